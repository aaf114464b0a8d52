// What the keys of the caller's phone do.

import { t } from "../i18n";
import { Input, Select } from "../ui";
import { Entries } from "./fields";
import type { Block } from "./values";

const ACTIONS = ["transfer", "say", "send_to_llm", "tool", "end_call"];
const FIELD: Record<string, "target" | "text" | "tool"> = { transfer: "target", say: "text", tool: "tool" };
const PLACE = "dtmf_rules.rules[].";

export function KeypadRules({ rules, set, tools }: { rules: Block[]; set: (rules: Block[]) => void; tools: string[] }) {
  const label: Record<string, string> = { target: t("Number or SIP address"), text: t("Words"), tool: t("Name of the tool") };
  return (
    <fieldset class="list" data-setting="dtmf_rules.rules">
      <legend>{t("Keys")}</legend>
      <Entries list={rules} set={set} entry={t("Keys")} title={(rule, at) => `${t("Keys")} ${String(rule.digits ?? "") || at + 1}`} add={() => ({ digits: "", action: "transfer", target: "" })}>
        {(rule, _, put) => {
          const action = String(rule.action);
          const field = FIELD[action];
          const choose = (next: string) => put({ digits: rule.digits, action: next, ...(FIELD[next] ? { [FIELD[next]!]: "" } : {}) });
          return (
            <div class="grid">
              <div data-setting={`${PLACE}digits`}><Input label={t("Keys")} required placeholder="1" value={String(rule.digits ?? "")} set={(digits) => put({ ...rule, digits })} /></div>
              <div data-setting={`${PLACE}action`}><Select label={t("Action")} value={action} set={choose} options={ACTIONS.map((one) => [one, t(`action: ${one}`)])} /></div>
              {field === "tool" && tools.length > 0
                ? <div data-setting={`${PLACE}tool`}><Select label={label.tool!} value={String(rule.tool ?? "")} set={(tool) => put({ ...rule, tool })} options={[["", "–"], ...[...new Set([...tools, String(rule.tool ?? "")])].filter(Boolean).map((name): [string, string] => [name, name])]} /></div>
                : field && <div data-setting={`${PLACE}${field}`}><Input label={label[field]!} required value={String(rule[field] ?? "")} set={(value) => put({ ...rule, [field]: value })} /></div>}
            </div>
          );
        }}
      </Entries>
    </fieldset>
  );
}
