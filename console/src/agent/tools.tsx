// The tools of the model as forms: functions of the customer's, and tool servers.

import { useId } from "preact/hooks";
import { t } from "../i18n";
import { Button } from "../ui";
import { Entries, Fields, type Own, Row } from "./fields";
import { SchemaBuilder } from "./schema";
import { type Setting, TOOL_COMMON, TOOL_FUNCTION, TOOL_PROGRESS, TOOL_SERVER } from "./settings";
import { TryTool } from "./try-tool";
import type { Block } from "./values";

const PARAMETERS = { type: "object", properties: { number: { type: "string", description: "Number of the order." } }, required: ["number"] };
const nameOf = (tool: Block, at: number) => (tool.type === "mcp" ? String(tool.server_url ?? "") : String((tool.function as Block | undefined)?.name ?? "")) || `${t("Tool")} ${at + 1}`;
const PLACE = "llm_config.tools[].";

/** Arguments and credentials have forms of their own. */
const own: Own = (place, setting, document, change) => {
  if (place === `${PLACE}function.parameters`) return <Parameters setting={setting} tool={document} change={change} />;
  if (place === `${PLACE}request.auth`) return <Auth setting={setting} request={document} change={change} />;
  return undefined;
};

export function ToolFields({ tools, set, agent }: { tools: Block[]; set: (tools: Block[] | undefined) => void; agent: string | null }) {
  const put = (next: Block[]) => set(next.length ? next : undefined);
  return (
    <fieldset class="list" data-setting="llm_config.tools">
      <legend>{t("Functions and tool servers")}</legend>
      <Entries list={tools} set={put} entry={t("Tool")} title={nameOf}>
        {(tool, _, change) => <ToolForm tool={tool} change={change} agent={agent} />}
      </Entries>
      <p class="actions">
        <Button onClick={() => put([...tools, { type: "function", function: { name: "", description: "", parameters: { type: "object", properties: {} } } }])}>{t("Add a function")}</Button>
        <Button onClick={() => put([...tools, { type: "mcp", server_url: "" }])}>{t("Add a tool server (MCP)")}</Button>
        {!tools.length && <Button kind="quiet" onClick={() => put([EXAMPLE])}>{t("Insert an example")}</Button>}
      </p>
    </fieldset>
  );
}

const EXAMPLE = { type: "function", url: "https://example.com/orders", function: { name: "find_order", description: "Finds an order by its number.", parameters: PARAMETERS } };

function ToolForm({ tool, change, agent }: { tool: Block; change: (tool: Block) => void; agent: string | null }) {
  const isServer = tool.type === "mcp";
  return (
    <>
      <div data-setting={`${PLACE}type`} class="soft">{isServer ? t("Tool server (MCP)") : t("Function")}</div>
      <Fields settings={isServer ? TOOL_SERVER : TOOL_FUNCTION} document={tool} change={change} prefix={PLACE} own={own} kept="request" />
      <details class="more">
        <summary>{t("Timing and filler words")}</summary>
        <Fields settings={isServer ? TOOL_COMMON : [...TOOL_COMMON, TOOL_PROGRESS]} document={tool} change={change} prefix={PLACE} kept="progress" />
      </details>
      <TryTool tool={tool} agent={agent} />
    </>
  );
}

function Parameters({ setting, tool, change }: { setting: Setting; tool: Block; change: (tool: Block) => void }) {
  const about = (tool.function ?? {}) as Block;
  const put = (parameters: unknown) => {
    const { parameters: _, ...rest } = about;
    change({ ...tool, function: parameters === undefined ? rest : { ...rest, parameters } });
  };
  return <div data-setting={`${PLACE}function.parameters`}><SchemaBuilder label={t(setting.label)} schema={about.parameters} set={put} example={PARAMETERS} /></div>;
}

const SECRET: Record<string, string> = { bearer: "token", basic: "password", header: "value" };

function Auth({ setting, request, change }: { setting: Setting; request: Block; change: (request: Block) => void }) {
  const auth = (request.auth ?? {}) as Block;
  const type = String(auth.type ?? "");
  const id = useId();
  const put = (next: Block | undefined) => {
    const { auth: _, ...rest } = request;
    change(next ? { ...rest, auth: next } : rest);
  };
  const field = (name: string, label: string, secret = false) => (
    <div class="field" data-setting={`${PLACE}request.auth.${name}`}>
      <label for={`${id}-${name}`}>{label}</label>
      <input id={`${id}-${name}`} type={secret ? "password" : "text"} autocomplete={secret ? "new-password" : "off"} required value={String(auth[name] ?? "")} onInput={(event) => put({ ...auth, [name]: event.currentTarget.value })} />
    </div>
  );
  return (
    <Row place={`${PLACE}request.auth.type`} setting={{ ...setting, standard: "=none" }} set={false}>
      <div class="field">
        <label for={id}>{t("Credentials")}</label>
        <select id={id} value={type} onChange={(event) => put(event.currentTarget.value ? { type: event.currentTarget.value, ...(event.currentTarget.value === "basic" ? { username: "" } : event.currentTarget.value === "header" ? { name: "X-Api-Key" } : {}), [SECRET[event.currentTarget.value]!]: "" } : undefined)}>
          {[["", t("none")], ["bearer", "Bearer"], ["basic", "Basic"], ["header", t("a header")]].map(([key, name]) => <option key={key} value={key}>{name}</option>)}
        </select>
      </div>
      {type === "basic" && field("username", t("User name"))}
      {type === "header" && field("name", t("Name of the header"))}
      {type && field(SECRET[type]!, t("Secret"), true)}
    </Row>
  );
}
