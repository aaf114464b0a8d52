// The form of an agent: all settings in sections, found by words.

import "./agent.css";

import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { type Agent, type FieldFault, getAll } from "../api";
import { translated } from "../errors";
import { t } from "../i18n";
import { FallbackList } from "./fallbacks";
import { Fields, type Own, Row, onEnter, standardOf } from "./fields";
import { KeypadRules } from "./keypad";
import { PromptField } from "./prompt";
import { ProviderFields, REALTIME, providerOf } from "./providers";
import { SchemaBuilder } from "./schema";
import { PRESETS, SECTIONS, type Section, type Setting, WAITS } from "./settings";
import { ToolFields } from "./tools";
import { type Block, changesTo, isSet, valueAt, withValue } from "./values";

const EXTRACT = { type: "object", properties: { appointment_at: { type: "string", format: "date-time", description: "Date and time that was agreed on." }, satisfied: { type: "boolean", description: "Whether the caller sounded satisfied." } } };

/** Sections that only agents with STT, LLM and TTS have. */
const PIPELINE = ["stt", "voice", "languages", "fallbacks"];
const OPEN = ["basics", "prompt"];

const wordsOf = (setting: Setting): string => [setting.path, setting.path.replaceAll("_", " "), setting.label, setting.hint, t(setting.label), t(setting.hint), ...(setting.options ?? []).flat(), ...(setting.items ?? []).map(wordsOf)].join(" ").toLowerCase();
const fits = (text: string, words: string) => words.toLowerCase().split(/\s+/).every((word) => text.includes(word));

export function AgentForm({ agent, change, id, faults }: { agent: Partial<Agent>; change: (changes: Partial<Agent>) => void; id: string | null; faults: FieldFault[] }) {
  const [words, setWords] = useState("");
  const searching = words.trim() !== "";
  const document = agent as Block;
  const write = (next: Block) => change(changesTo(document, next) as Partial<Agent>);
  const realtime = REALTIME.includes(providerOf(document, "llm_config"));
  const own: Own = (place, setting, block, put) => ownField({ place, setting, document: block, change: put, agent: id, words: searching ? words : "" });
  const shown = SECTIONS.filter((section) => !(realtime && PIPELINE.includes(section.id)));
  const found = shown.filter((section) => !searching || fits(`${t(section.title)} ${section.title}`.toLowerCase(), words) || section.settings.some((setting) => fits(wordsOf(setting), words)));
  return (
    <>
      <search class="find"><label class="unseen" for="find-setting">{t("Find a setting")}</label><input id="find-setting" type="search" placeholder={t("Find a setting")} value={words} onInput={(event) => setWords(event.currentTarget.value)} onKeyDown={onEnter()} /></search>
      {found.map((section) => <SectionForm key={section.id} section={section} words={searching ? words : ""} document={document} write={write} own={own} faults={faults} />)}
      {!found.length && <p class="soft">{t("No setting has these words.")}</p>}
    </>
  );
}

/** How many settings of a section are not as they are by default. */
const countOf = (section: Section, document: Block) => section.settings.filter((setting) => {
  const value = valueAt(document, setting.path);
  return isSet(value) && value !== setting.standard && !(setting.kind === "yes" && value === (setting.standard ?? false));
}).length;

/** Whether the server refused something of a section. */
const isAbout = (section: Section) => ({ field }: FieldFault) => section.settings.some(({ path }) => field === path || field.startsWith(`${path}.`) || field.startsWith(`${path}[`) || path.startsWith(`${field}.`));

function SectionForm({ section, words, document, write, own, faults }: { section: Section; words: string; document: Block; write: (next: Block) => void; own: Own; faults: FieldFault[] }) {
  const [open, setOpen] = useState(OPEN.includes(section.id));
  const count = countOf(section.id === "turns" ? { ...section, settings: ofPreset(section.settings, document) } : section, document);
  const whole = !words || fits(`${t(section.title)} ${section.title}`.toLowerCase(), words);
  const wrong = faults.filter(isAbout(section));
  // What was refused is shown, and stays open while it is mended.
  useEffect(() => {
    if (wrong.length) setOpen(true);
  }, [faults]);
  const isOpen = open || words !== "";
  const settings = section.id === "turns" ? ofPreset(section.settings, document) : section.settings;
  return (
    <details class="section" id={`section-${section.id}`} open={isOpen} onToggle={(event) => { if (!words && event.currentTarget.open !== open) setOpen(event.currentTarget.open); }}>
      <summary>{t(section.title)} {count > 0 && <small>· {count} {t("set")}</small>}{wrong.length > 0 && <small class="bad"> · {t("refused")}</small>}</summary>
      {isOpen && (
        <fieldset class="plain" aria-label={t(section.title)}>
          {section.about && <p class="soft">{t(section.about)}</p>}
          {wrong.map((one) => <p key={one.field} class="problem"><code>{one.field}</code> {translated(one.message)}</p>)}
          <Fields settings={settings} document={document} change={write} own={own} finds={whole ? undefined : (setting) => fits(wordsOf(setting), words)} />
        </fieldset>
      )}
    </details>
  );
}

/** The defaults of the waits are those of the preset. */
function ofPreset(settings: Setting[], document: Block): Setting[] {
  const preset = PRESETS.find(([name]) => name === (valueAt(document, "turn_config.preset") ?? "balanced"));
  return settings.map((setting) => {
    const at = WAITS.indexOf(setting.path.replace("turn_config.", ""));
    return at < 0 || !preset ? setting : { ...setting, standard: preset[3][at] };
  });
}

interface Special {
  place: string;
  setting: Setting;
  document: Block;
  change: (document: Block) => void;
  agent: string | null;
  words: string;
}

/** Settings whose form is more than a field; null: another one shows it. */
function ownField({ place, setting, document, change, agent, words }: Special): ComponentChildren | undefined {
  const at = (value: unknown) => change(withValue(document, setting.path, value));
  if (setting.kind === "own" && words && !fits(wordsOf(setting), words) && setting.label) return null;
  switch (place) {
    case "first_message": return <PromptField label={t(setting.label)} place={place} hint={setting.hint} rows={2} value={String(document.first_message ?? "")} set={(text) => at(text || undefined)} standard={standardOf(setting)} />;
    case "system_prompt": return <PromptField label={t(setting.label)} place={place} hint={setting.hint} rows={12} value={String(document.system_prompt ?? "")} set={(text) => at(text || undefined)} standard={standardOf(setting)} />;
    case "llm_config.provider": case "stt_config.provider": case "tts_config.provider": return <ProviderFields stage={place.split(".")[0] as "llm_config"} document={document} change={change} />;
    case "llm_config.model": case "llm_config.voice": case "llm_config.flow": case "stt_config.model": case "stt_config.language": case "tts_config.voice_id": case "tts_config.model": case "tts_config.language": return null;
    case "turn_config.preset": return <Preset setting={setting} document={document} change={change} />;
    case "llm_config.tools": return <ToolFields tools={(valueAt(document, place) ?? []) as Block[]} set={at} agent={agent} />;
    case "handover_config.agents[].agent_id": return <AgentChoice setting={setting} value={String(document.agent_id ?? "")} set={at} not={agent} />;
    case "dtmf_rules.rules": return <KeypadRules rules={(valueAt(document, place) ?? []) as Block[]} set={(rules) => change(rules.length ? { ...document, dtmf_rules: { ...(document.dtmf_rules as Block | null), rules } } : withValue(document, place, undefined))} tools={toolNames(document)} />;
    case "fallbacks.stt": case "fallbacks.llm": case "fallbacks.tts": {
      const stage = place.split(".")[1] as "stt" | "llm" | "tts";
      return <FallbackList stage={stage} title={t({ stt: "Speech recognition", llm: "Language model", tts: "Voice" }[stage])} document={document} list={(valueAt(document, place) ?? []) as Block[]} set={at} />;
    }
    case "analysis_plan.structured_data_plan": return <div data-setting={place}><p class="soft">{t(setting.hint)}</p><SchemaBuilder label={t(setting.label)} schema={valueAt(document, place)} set={at} example={EXTRACT} /></div>;
    default: return undefined;
  }
}

const toolNames = (document: Block): string[] => ((valueAt(document, "llm_config.tools") ?? []) as Block[]).map((tool) => String((tool.function as Block | undefined)?.name ?? "")).filter(Boolean);

/** How long the agent waits, in three sizes: waits of one's own give way to those of the preset. */
function Preset({ setting, document, change }: { setting: Setting; document: Block; change: (document: Block) => void }) {
  const turns = (document.turn_config ?? {}) as Block;
  const chosen = String(turns.preset ?? "balanced");
  const waits = PRESETS.find(([name]) => name === chosen)?.[3] ?? [];
  const changed = WAITS.some((name, index) => turns[name] !== undefined && turns[name] !== waits[index]);
  const choose = (preset: string) => change({ ...document, turn_config: { ...Object.fromEntries(Object.entries(turns).filter(([name]) => !WAITS.includes(name))), preset } });
  const id = useId();
  return (
    <Row place="turn_config.preset" setting={{ ...setting, standard: "=Balanced" }} set={false} wide>
      <fieldset class="presets">
        <legend>{t(setting.label)}</legend>
        {PRESETS.map(([name, title, about]) => (
          <label key={name} class={name === chosen ? "preset chosen" : "preset"}>
            <input type="radio" name={id} checked={name === chosen} onChange={() => choose(name)} /> <strong>{t(title)}</strong>
            <small>{t(about)}</small>
          </label>
        ))}
      </fieldset>
      {changed && <p class="soft">{t("Some waits below are your own.")} <button type="button" class="link" onClick={() => choose(chosen)}>{t("Use those of the preset")}</button></p>}
    </Row>
  );
}

/** Another agent of the organization. */
function AgentChoice({ setting, value, set, not }: { setting: Setting; value: string; set: (id: string) => void; not: string | null }) {
  const [agents, setAgents] = useState<Agent[]>([]);
  const id = useId();
  useEffect(() => void getAll<Agent>("/agents", "agents").then(setAgents, () => undefined), []);
  const options: [string, string][] = agents.filter((agent) => agent.id !== not).map((agent) => [agent.id, agent.name]);
  return (
    <Row place="handover_config.agents[].agent_id" setting={setting} set={false}>
      <div class="field">
        <label for={id}>{t(setting.label)}</label>
        <select id={id} required value={value} onChange={(event) => set(event.currentTarget.value)}>
          <option value="">–</option>
          {[...options, ...(value && !options.some(([key]) => key === value) ? [[value, value] as [string, string]] : [])].map(([key, name]) => <option key={key} value={key}>{name}</option>)}
        </select>
      </div>
    </Row>
  );
}
