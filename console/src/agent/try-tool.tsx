// A tool that is tried: its real request with arguments of one's own, and what came of it.

import { useId, useState } from "preact/hooks";
import { post } from "../api";
import { translated } from "../errors";
import { t } from "../i18n";
import { Badge, Button, ErrorMessage, formatNumber, useAction } from "../ui";
import { onEnter } from "./fields";
import { fieldsOf } from "./schema";
import type { Block } from "./values";
import { variablesOf } from "./prompt";

interface ToolTest {
  ok: boolean;
  latency_ms: number;
  request: { method: string; url: string; headers: { name: string; value: string }[]; body: string | null } | null;
  answer: { status: number; content_type: string | null; body: string } | null;
  result: string | null;
  variables: Block;
  tools: { name: string; description: string }[] | null;
  problem: string | null;
}

/** What a field of the form stands for: numbers and truths are sent as such, and what is JSON too. */
function argumentOf(type: string, text: string): unknown {
  if (type === "number" || type === "integer") return Number(text);
  if (type === "boolean") return text === "true";
  if (type === "strings") return text.split(",").map((one) => one.trim()).filter(Boolean);
  if (type !== "json") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** JSON is set out in lines. */
function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

const OF_SERVER = /^(secrets\.|collected\.)/;

export function TryTool({ tool, agent }: { tool: Block; agent: string | null }) {
  const isServer = tool.type === "mcp";
  const schema = (tool.function as Block | undefined)?.parameters;
  const fields = fieldsOf(schema) ?? [];
  const names = isServer ? [] : variablesOf(JSON.stringify(tool)).filter((name) => !OF_SERVER.test(name) && !fields.some((field) => field.name === name));
  const [values, setValues] = useState<Record<string, string>>({});
  const [variables, setVariables] = useState<Record<string, string>>({});
  const [free, setFree] = useState("{}");
  const [found, setFound] = useState<ToolTest | null>(null);
  const { busy, error, run } = useAction();
  const id = useId();
  const typed = () => {
    if (!fields.length) return JSON.parse(free || "{}") as unknown;
    return Object.fromEntries(fields.filter(({ name }) => (values[name] ?? "") !== "").map(({ name, type }) => [name, argumentOf(type, values[name]!)]));
  };
  const go = () => run(async () => {
    setFound(null);
    let sent: unknown;
    try {
      sent = typed();
    } catch {
      throw new Error("The arguments are no JSON object.");
    }
    setFound(await post<ToolTest>("/agents/tools/test", { tool, arguments: sent, variables: Object.fromEntries(Object.entries(variables).filter(([, value]) => value)), ...(agent ? { agent_id: agent } : {}) }));
  });
  return (
    <details class="try" onKeyDown={onEnter(() => !busy && go())}>
      <summary>{t("Try it")}</summary>
      <p class="soft">{isServer ? t("Asks the server which tools it has.") : t("Sends the real request, once, with these arguments. What it does at your server, it does.")}</p>
      {!isServer && fields.length > 0 && (
        <div class="grid">
          {fields.map((field, at) => (
            <div class="field" key={field.name}>
              <label for={`${id}-${at}`}>{field.name}{field.required ? " *" : ""}</label>
              {field.type === "boolean" || field.type === "choice"
                ? <select id={`${id}-${at}`} value={values[field.name] ?? ""} onChange={(event) => setValues({ ...values, [field.name]: event.currentTarget.value })}><option value="">–</option>{(field.type === "boolean" ? ["true", "false"] : (field.schema.enum as string[])).map((one) => <option key={one} value={one}>{one}</option>)}</select>
                : <input id={`${id}-${at}`} type={field.type === "number" || field.type === "integer" ? "number" : "text"} step="any" value={values[field.name] ?? ""} onInput={(event) => setValues({ ...values, [field.name]: event.currentTarget.value })} />}
            </div>
          ))}
        </div>
      )}
      {!isServer && !fields.length && <div class="field"><label for={`${id}-free`}>{t("Arguments as JSON")}</label><textarea id={`${id}-free`} class="code" rows={2} spellcheck={false} value={free} onInput={(event) => setFree(event.currentTarget.value)} /></div>}
      {names.length > 0 && (
        <div class="grid">
          {names.map((name, at) => <div class="field" key={name}><label for={`${id}-v${at}`}>{`{{${name}}}`}</label><input id={`${id}-v${at}`} value={variables[name] ?? ""} onInput={(event) => setVariables({ ...variables, [name]: event.currentTarget.value })} /></div>)}
        </div>
      )}
      <p><Button busy={busy} onClick={go}>{isServer ? t("Ask for its tools") : t("Send the request")}</Button></p>
      <ErrorMessage error={error} />
      {found && (
        <div class="trial" role="status">
          <p><Badge value={found.ok ? "completed" : "failed"}>{found.ok ? t("answered") : t("failed")}</Badge> <span class="soft">{formatNumber(found.latency_ms)} ms</span> {found.problem && <span class="bad">{translated(found.problem)}</span>}</p>
          {found.tools && <ul class="plainlist">{found.tools.map((one) => <li key={one.name}><code>{one.name}</code> <span class="soft">{one.description}</span></li>)}</ul>}
          {found.request && <Shown title={`${t("Request")}: ${found.request.method} ${found.request.url}`} text={[...found.request.headers.map(({ name, value }) => `${name}: ${value}`), ...(found.request.body === null ? [] : ["", readable(found.request.body)])].join("\n")} />}
          {found.answer && <Shown title={`${t("Answer")}: ${found.answer.status}${found.answer.content_type ? ` · ${found.answer.content_type}` : ""}`} text={readable(found.answer.body)} />}
          {found.result !== null && <Shown title={t("What the model reads")} text={found.result} />}
          {Object.keys(found.variables).length > 0 && <Shown title={t("Variables of the call")} text={JSON.stringify(found.variables, null, 2)} />}
        </div>
      )}
    </details>
  );
}

function Shown({ title, text }: { title: string; text: string }) {
  return <figure class="shown"><figcaption>{title}</figcaption><pre tabIndex={0}>{text || "–"}</pre></figure>;
}
