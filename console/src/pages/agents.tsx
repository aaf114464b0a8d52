import { useEffect, useState } from "preact/hooks";
import { type Agent, ApiError, type Version, get, patch, post, remove } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { navigate } from "../router";
import { TestCall } from "../testcall";
import { type Transfers, TransferFields } from "./transfers";
import { Badge, Button, Card, Checkbox, Confirm, EmptyState, Form, Input, Link, Page, ErrorMessage, Select, LoadedView, Table, TextArea, useAction, formatDateTime } from "../ui";

export function Agents() {
  const state = useLoad(() => get<{ agents: Agent[]; total: number }>("/agents?limit=100"), []);
  return (
    <Page title={t("Agents")} actions={<Button kind="main" onClick={() => navigate("agents/new")}>{t("New agent")}</Button>}>
      <LoadedView of={state}>
        {({ agents }) => agents.length ? (
          <Card>
            <Table caption={t("Agents")} rows={agents} columns={[
              { name: t("Name"), cell: (agent) => <Link to={`agents/${agent.id}`}>{agent.name}</Link> },
              { name: t("Greeting"), extra: true, cell: (agent) => <span class="clip">{agent.first_message ?? "–"}</span> },
              { name: t("Model"), extra: true, cell: (agent) => config(agent, "llm_config", "model") || "–" },
              { name: t("State"), cell: (agent) => <Badge value={agent.is_active ? "active" : "inactive"} tone={agent.is_active ? "good" : ""} /> },
              { name: t("Changed"), extra: true, cell: (agent) => formatDateTime(agent.updated_at) },
            ]} />
          </Card>
        ) : (
          <EmptyState title={t("No agents yet")}>{t("An agent defines how calls are answered: its purpose, greeting, voice and model.")} <Link to="agents/new">{t("Create the first one")}</Link></EmptyState>
        )}
      </LoadedView>
    </Page>
  );
}

const config = (agent: Partial<Agent>, block: string, field: string): string =>
  String((agent[block] as Record<string, unknown> | null | undefined)?.[field] ?? "");

const NEW: Partial<Agent> = {
  name: "",
  is_active: true,
  first_message: "",
  system_prompt: "",
  stt_config: { provider: "deepgram", model: "nova-3-general", language: "en" },
  llm_config: { provider: "openai", model: "gpt-4o-mini" },
  tts_config: { provider: "elevenlabs", voice_id: "EXAVITQu4vr4xnSDxMaL", language: "en" },
};

/** What the server makes; a saved document is sent back without it. */
const SERVER_FIELDS = ["id", "organization_id", "created_at", "updated_at", "starting_message", "enabled", "webhook_secret_set", "webhook_rotation_ends_at"];
const providers = (...names: string[]): [string, string][] => names.map((name) => [name, name.replaceAll("_", " ")]);

export function AgentEdit({ id }: { id: string }) {
  const isNew = id === "new";
  const loaded = useLoad(async () => (isNew ? { agent: NEW as Agent } : get<{ agent: Agent }>(`/agents/${id}`)), [id]);
  const [draft, setDraft] = useState<Partial<Agent> | null>(null);
  const [tab, setTab] = useState<"form" | "json" | "versions">("form");
  const [saved, setSaved] = useState(false);
  const [warnings, setWarnings] = useState<string[]>([]);
  useEffect(() => setDraft(null), [id]);
  const agent = draft ?? loaded.data?.agent ?? null;
  const title = isNew ? t("New agent") : (loaded.data?.agent.name ?? t("Agent"));
  const change = (changes: Partial<Agent>) => {
    setSaved(false);
    setDraft({ ...(agent ?? {}), ...changes });
  };
  const save = async (fields: Partial<Agent>) => {
    const body = Object.fromEntries(Object.entries(fields).filter(([name]) => !SERVER_FIELDS.includes(name)));
    const answer = isNew
      ? await post<{ agent: Agent; warnings?: string[] }>("/agents", withoutEmpty(body))
      : await patch<{ agent: Agent; warnings?: string[] }>(`/agents/${id}`, body);
    setDraft(null);
    setSaved(true);
    setWarnings(answer.warnings ?? []);
    if (isNew) navigate(`agents/${answer.agent.id}`);
    else loaded.reload();
  };
  const tabs: ["form" | "json" | "versions", string][] = [["form", t("Form")], ["json", "JSON"], ...(isNew ? [] : [["versions", t("Versions")] as ["versions", string]])];
  return (
    <Page title={title} actions={!isNew && <Confirm label={t("Delete")} question={t("Delete this agent? Calls to its numbers will no longer be answered.")} act={async () => { await remove(`/agents/${id}`); navigate("agents"); }} />}>
      <LoadedView of={loaded}>
        {() => agent && (
          <div class={isNew ? "" : "split"}>
            <div>
            <div class="tabs" role="tablist">
              {tabs.map(([name, label]) => <button type="button" key={name} role="tab" id={`tab-${name}`} aria-selected={tab === name} aria-controls="panel" onClick={() => setTab(name)}>{label}</button>)}
            </div>
            <div role="tabpanel" id="panel" aria-labelledby={`tab-${tab}`}>
              {tab === "form" && <Card wide><AgentForm agent={agent} change={change} save={() => save(agent)} isNew={isNew} /></Card>}
              {tab === "json" && <Card wide><AgentJson agent={agent} save={save} /></Card>}
              {tab === "versions" && <Versions id={id} restored={() => { setDraft(null); loaded.reload(); }} />}
            </div>
            {saved && <p class="good" role="status">{t("Saved")}</p>}
            {saved && warnings.map((warning) => <p key={warning} class="problem" role="alert">{warning}</p>)}
            </div>
            {!isNew && <div class="beside"><TestCall agent={id} /></div>}
          </div>
        )}
      </LoadedView>
    </Page>
  );
}

/** Empty texts are fields that were left out. */
const withoutEmpty = (body: Record<string, unknown>) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== "" && value !== null));

function AgentForm({ agent, change, save, isNew }: { agent: Partial<Agent>; change: (changes: Partial<Agent>) => void; save: () => Promise<void>; isNew: boolean }) {
  const text = (field: keyof Agent) => String(agent[field] ?? "");
  const put = (field: string) => (value: string) => change({ [field]: value || null });
  const inside = (block: string, field: string) => (value: string) => {
    const whole = { ...(agent[block] as Record<string, unknown> | null) };
    if (value) whole[field] = value;
    else delete whole[field];
    change({ [block]: whole });
  };
  const engine = ["openai_realtime", "xai_realtime", "elevenlabs_agent"].includes(config(agent, "llm_config", "provider"));
  const rules = config(agent, "llm_config", "provider") === "local";
  return (
    <Form submit={save} label={isNew ? t("Create") : t("Save")}>
      <div class="grid">
        <Input label={t("Name")} required value={text("name")} set={(name) => change({ name })} />
        <Input label={t("Business")} value={text("business_name")} set={put("business_name")} />
      </div>
      <Input label={t("Greeting")} hint={t("The first words of every call. {{name|default}} is filled in from the context of a task.")} value={text("first_message")} set={put("first_message")} />
      <TextArea label={t("Instructions")} hint={t("What the agent is for, how it behaves, when it ends the call.")} rows={8} value={text("system_prompt")} set={put("system_prompt")} />
      <fieldset>
        <legend>{t("Model")}</legend>
        <div class="grid">
          <Select label={t("Provider")} value={config(agent, "llm_config", "provider") || "openai"} set={inside("llm_config", "provider")} options={providers("openai", "anthropic", "groq", "mistral", "xai", "local", "openai_realtime", "xai_realtime", "elevenlabs_agent")} />
          {!rules && <Input label={t("Model")} value={config(agent, "llm_config", "model")} set={inside("llm_config", "model")} />}
        </div>
        {rules && <FlowField agent={agent} change={change} />}
      </fieldset>
      {!engine && (
        <>
          <fieldset>
            <legend>{t("Speech recognition")}</legend>
            <div class="grid">
              <Select label={t("Provider")} value={config(agent, "stt_config", "provider") || "deepgram"} set={inside("stt_config", "provider")} options={providers("deepgram", "openai", "local")} />
              <Input label={t("Model")} value={config(agent, "stt_config", "model")} set={inside("stt_config", "model")} />
              <Input label={t("Language")} hint="en, nl, de, multi" value={config(agent, "stt_config", "language")} set={inside("stt_config", "language")} />
            </div>
          </fieldset>
          <fieldset>
            <legend>{t("Voice")}</legend>
            <div class="grid">
              <Select label={t("Provider")} value={config(agent, "tts_config", "provider") || "elevenlabs"} set={inside("tts_config", "provider")} options={providers("elevenlabs", "cartesia", "openai", "local")} />
              <Input label={t("Voice")} hint={config(agent, "tts_config", "provider") === "local" ? "piper:joe, en-us+f3, flite:slt" : undefined} value={config(agent, "tts_config", "voice_id")} set={inside("tts_config", "voice_id")} />
              <Input label={t("Language")} value={config(agent, "tts_config", "language")} set={inside("tts_config", "language")} />
            </div>
          </fieldset>
        </>
      )}
      <TransferFields transfers={(agent.transfer_config ?? null) as Transfers | null} change={(transfer_config) => change({ transfer_config })} />
      <div class="grid">
        <Input label={t("Webhook")} type="url" placeholder="https://" value={text("webhook_url")} set={put("webhook_url")} />
        <Input label={t("Maximum call length (seconds)")} type="number" min={10} max={14400} value={text("max_duration_seconds")} set={(value) => change({ max_duration_seconds: value ? Number(value) : null })} />
      </div>
      <Input label={t("Time zone")} hint={t("Of dates and times that the agent knows, such as Europe/Amsterdam. Without one: UTC.")} value={text("time_zone")} set={put("time_zone")} />
      <Checkbox label={t("Answers calls")} checked={agent.is_active !== false} set={(is_active) => change({ is_active })} />
      <Checkbox label={t("Records calls")} checked={agent.recording_enabled !== false} set={(recording_enabled) => change({ recording_enabled })} />
      <Checkbox label={t("Knows date, time and the caller's number")} checked={agent.tell_call_facts !== false} set={(tell_call_facts) => change({ tell_call_facts })} />
      <Checkbox label={t("Detects voicemail")} checked={agent.voicemail_detection === true} set={(voicemail_detection) => change({ voicemail_detection })} />
    </Form>
  );
}

/** The rules of an agent without a model, as JSON. A text that is none stays in the field and changes nothing. */
function FlowField({ agent, change }: { agent: Partial<Agent>; change: (changes: Partial<Agent>) => void }) {
  const block = (agent.llm_config ?? {}) as Record<string, unknown>;
  const [text, setText] = useState(block.flow ? JSON.stringify(block.flow, null, 2) : "");
  const [fault, setFault] = useState("");
  const write = (text: string) => {
    setText(text);
    try {
      const flow: unknown = JSON.parse(text);
      const { model: _, ...rest } = block;
      change({ llm_config: { ...rest, flow } });
      setFault("");
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return <TextArea label={t("Flow")} hint={t("States, slots, intents and documents as JSON.")} error={fault} code rows={16} value={text} set={write} />;
}

function AgentJson({ agent, save }: { agent: Partial<Agent>; save: (fields: Partial<Agent>) => Promise<void> }) {
  const document = Object.fromEntries(Object.entries(agent).filter(([name, value]) => !SERVER_FIELDS.includes(name) && value !== null));
  const [text, setText] = useState(JSON.stringify(document, null, 2));
  return (
    <Form label={t("Save")} submit={async () => {
      let fields: Partial<Agent>;
      try {
        fields = JSON.parse(text) as Partial<Agent>;
      } catch (error) {
        throw new ApiError(400, "invalid_json", (error as Error).message);
      }
      // What was taken out is cleared.
      const gone = Object.keys(document).filter((name) => !(name in fields)).map((name) => [name, null]);
      await save({ ...Object.fromEntries(gone), ...fields });
    }}>
      <TextArea label={t("The agent as JSON")} hint={t("All fields of the API, including tools and rules.")} code rows={26} value={text} set={setText} />
    </Form>
  );
}

function Versions({ id, restored }: { id: string; restored: () => void }) {
  const state = useLoad(() => get<{ versions: Version[]; total: number }>(`/agents/${id}/versions?limit=50`), [id]);
  const { busy, error, run } = useAction();
  const changes = (versions: Version[], index: number) => {
    const [now, before] = [versions[index]?.agent, versions[index + 1]?.agent];
    if (!now || !before) return t("created");
    const fields = Object.keys(now).filter((name) => !SERVER_FIELDS.includes(name) && JSON.stringify(now[name]) !== JSON.stringify(before[name]));
    return fields.join(", ") || t("nothing");
  };
  return (
    <Card wide title={t("Versions")}>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ versions }) => (
          <Table caption={t("Versions")} rows={versions.map((version, index) => ({ ...version, id: String(version.version), index }))} columns={[
            { name: t("Version"), right: true, cell: (row) => row.version },
            { name: t("Saved"), cell: (row) => formatDateTime(row.created_at) },
            { name: t("Changed"), cell: (row) => changes(versions, row.index) },
            { name: "", right: true, cell: (row) => row.index > 0 && <Button kind="quiet" busy={busy} aria-label={`${t("Restore")} ${row.version}`} onClick={() => run(async () => { await post(`/agents/${id}/versions/${row.version}/restore`); state.reload(); restored(); })}>{t("Restore")}</Button> },
          ]} />
        )}
      </LoadedView>
    </Card>
  );
}
