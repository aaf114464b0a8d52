// The editor of one agent: a form and the same document as JSON over one draft, which is kept until it is saved.

import { useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import { type Agent, ApiError, type Tagged, getTagged, get, patchTagged, post, remove } from "../api";
import { changedFields } from "../diff";
import { readDraft, writeDraft } from "../drafts";
import { t } from "../i18n";
import { useLoad } from "../live";
import { type Route, navigate } from "../router";
import { Chat } from "../chat";
import { TestCall } from "../testcall";
import { AgentForm } from "../agent/form";
import { TemplateCards, TemplateDialog } from "../agent/template-choice";
import type { TemplateName } from "../agent/templates";
import { MergeDialog } from "./agent-conflict";
import { SERVER_FIELDS, Versions, documentOf } from "./agents";
import { Button, Card, Confirm, ErrorMessage, Link, LoadedView, Page, Tabs, TextArea, useAction } from "../ui";

type Tab = "form" | "json" | "versions";

/** What is typed and not saved: the document, and the JSON as long as it is none. */
interface Draft {
  fields: Partial<Agent>;
  /** Version that the changes began with. */
  etag: string | null;
  /** The document of that version. */
  base?: Partial<Agent>;
  broken?: string;
}

const NEW: Partial<Agent> = {
  name: "",
  is_active: true,
  stt_config: { provider: "deepgram", model: "nova-3-general", language: "en" },
  llm_config: { provider: "openai", model: "gpt-4o-mini" },
  tts_config: { provider: "elevenlabs", voice_id: "EXAVITQu4vr4xnSDxMaL", language: "en" },
};

/** Empty texts are fields that were left out. */
const withoutEmpty = (body: Record<string, unknown>) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== "" && value !== null));

/** A copy of another agent, under another name; its secrets have to be given again. */
async function startOf(from: string | null): Promise<Partial<Agent>> {
  if (!from) return NEW;
  const { agent } = await get<{ agent: Agent }>(`/agents/${from}`);
  const { webhook_rotation_ends_at: _, ...fields } = documentOf(agent);
  return { ...fields, name: `${agent.name} (${t("copy")})`.slice(0, 200) };
}

export function AgentEdit({ id, route }: { id: string; route: Route }) {
  const isNew = id === "new";
  const from = route.params.get("from");
  const key = `agent.${id}${from ? `.${from}` : ""}`;
  const loaded = useLoad(async () => (isNew ? { agent: (await startOf(from)) as Agent, etag: null } : getTagged<{ agent: Agent }>(`/agents/${id}`)), [id, from]);
  const [draft, setDraft] = useState<Draft | null>(() => readDraft<Draft>(key));
  const [restored] = useState(draft !== null);
  const [tab, setTab] = useState<Tab>(draft?.broken === undefined ? "form" : "json");
  const [saved, setSaved] = useState<string[] | null>(null);
  const { busy, error, run, clear } = useAction();
  const [merging, setMerging] = useState(false);
  // What a save answered is shown at once.
  const [answered, setAnswered] = useState<Tagged<{ agent: Agent }> | null>(null);
  useEffect(() => setAnswered(null), [loaded.data]);
  const base = answered ?? loaded.data;
  const stored = base ? documentOf(base.agent) : {};
  const agent = draft?.fields ?? stored;
  const changed = draft ? Object.keys(changedFields(stored, draft.fields)).length > 0 || draft.broken !== undefined : false;
  // Before anything else can happen: whoever leaves at once loses nothing.
  useLayoutEffect(() => writeDraft(key, changed ? draft : null), [draft, changed]);
  useEffect(() => {
    if (!changed) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [changed]);
  const put = (fields: Partial<Agent>, broken?: string) => {
    setSaved(null);
    setDraft((before) => ({ fields, etag: before?.etag ?? base?.etag ?? null, base: before?.base ?? stored, broken }));
  };
  const save = async (force = false) => {
    if (draft?.broken !== undefined) throw new ApiError(400, "invalid_json", t("The JSON has an error: correct it before you save."));
    if (isNew) {
      const answer = await post<{ agent: Agent; warnings?: string[] }>("/agents", withoutEmpty(Object.fromEntries(Object.entries(agent).filter(([name]) => !SERVER_FIELDS.includes(name)))));
      writeDraft(key, null);
      setDraft(null);
      navigate(`agents/${answer.agent.id}`);
      return;
    }
    const tag = force ? null : (draft?.etag ?? null);
    const answer = await patchTagged<{ agent: Agent; warnings?: string[] }>(`/agents/${id}`, changedFields(stored, agent), tag);
    setAnswered(answer);
    setSaved(answer.warnings ?? []);
    setDraft(null);
  };
  /** Both changes, over the other's version. */
  const merge = async (merged: Partial<Agent>, theirs: Partial<Agent>, tag: string | null) => {
    const answer = await patchTagged<{ agent: Agent; warnings?: string[] }>(`/agents/${id}`, changedFields(theirs, merged), tag);
    setAnswered(answer);
    setSaved(answer.warnings ?? []);
    setDraft(null);
    clear();
  };
  const submit = (event?: Event, force?: boolean) => {
    event?.preventDefault();
    if (!busy) run(() => save(force));
  };
  const discard = () => {
    setDraft(null);
    setTab(tab === "json" ? "form" : tab);
  };
  const faults = useMemo(() => (error instanceof ApiError ? (error.faults.length ? error.faults : error.field ? [{ field: error.field, message: error.message }] : []) : []), [error]);
  const conflict = error instanceof ApiError && error.code === "precondition_failed";
  const title = isNew ? t("New agent") : (base?.agent.name ?? t("Agent"));
  const tabs: [Tab, string][] = [["form", t("Form")], ["json", "JSON"], ...(isNew ? [] : [["versions", t("Versions")] as [Tab, string]])];
  const bar = (
    <div class="bar">
      <ErrorMessage error={error} />
      {conflict && (
        <p class="actions">
          <Button kind="main" onClick={() => setMerging(true)}>{t("Merge both changes")}</Button>
          <Confirm kind="plain" label={t("Load the other version")} question={t("Your unsaved changes are thrown away.")} act={async () => { discard(); clear(); loaded.reload(); }} />
          <Confirm kind="danger" label={t("Save mine anyway")} question={t("Fields that both have changed become yours. The other's version stays in the list of versions.")} act={async () => { await save(true); clear(); }} />
        </p>
      )}
      <Button kind={conflict ? "plain" : "main"} type="submit" busy={busy}>{isNew ? t("Create") : t("Save")}</Button>
      {changed && !isNew && <Confirm label={t("Discard changes")} question={t("Go back to what is saved?")} act={async () => discard()} />}
      {changed && <span class="soft" role="status">{t("Unsaved changes")}</span>}
      {!changed && saved && <span class="good" role="status">{t("Saved")}</span>}
      {saved?.map((warning) => <p key={warning} class="problem" role="alert">{warning}</p>)}
    </div>
  );
  return (
    <Page title={title} actions={!isNew && <><Link to={`agents/new?from=${id}`}>{t("Duplicate")}</Link><Confirm label={t("Delete")} name={base?.agent.name} question={t("Delete this agent? Calls to its numbers will no longer be answered.")} act={async () => { await remove(`/agents/${id}`); writeDraft(key, null); setDraft(null); navigate("agents"); }} /></>}>
      <LoadedView of={loaded}>
        {() => (
          <div class={isNew ? "" : "split"}>
            <div>
              {isNew && !from && !changed && <Templates />}
              {restored && changed && <p class="soft" role="status">{t("Your unsaved changes were kept.")}</p>}
              <Tabs label={t("Agent")} tabs={tabs} tab={tab} set={setTab} />
              <div role="tabpanel" id="panel" aria-labelledby={`tab-${tab}`}>
                {tab === "form" && <Card wide><form onSubmit={submit}><AgentForm agent={agent} faults={faults} id={isNew ? from : id} change={(changes) => put({ ...agent, ...changes })} />{bar}</form></Card>}
                {tab === "json" && <Card wide><form onSubmit={submit}><AgentJson key={base?.etag} agent={agent} broken={draft?.broken} put={put} />{bar}</form></Card>}
                {tab === "versions" && <Versions id={id} restored={() => { setDraft(null); loaded.reload(); }} />}
              </div>
            </div>
            {merging && draft && <MergeDialog id={id} base={draft.base ?? stored} mine={draft.fields} save={merge} close={() => setMerging(false)} />}
            {!isNew && <div class="beside">{changed && <p class="soft">{t("Test call and chat use the saved version.")}</p>}<TestCall agent={id} /><Chat agent={id} /></div>}
          </div>
        )}
      </LoadedView>
    </Page>
  );
}

/** Agents to begin with. */
function Templates() {
  const [chosen, choose] = useState<TemplateName | null>(null);
  return (
    <Card title={t("Begin with a template")} wide>
      <TemplateCards choose={choose} />
      <p class="soft">{t("Or fill in the form below.")}</p>
      {chosen && <TemplateDialog name={chosen} close={() => choose(null)} made={(agent) => navigate(`agents/${agent.id}`)} />}
    </Card>
  );
}

/** The draft as JSON. What is being typed and is no document yet stays as it is, and the form keeps the last one that was. */
function AgentJson({ agent, broken, put }: { agent: Partial<Agent>; broken: string | undefined; put: (fields: Partial<Agent>, broken?: string) => void }) {
  const [text, setText] = useState(broken ?? JSON.stringify(withoutNull(agent), null, 2));
  const [fault, setFault] = useState("");
  const write = (typed: string) => {
    setText(typed);
    try {
      const fields: unknown = JSON.parse(typed);
      if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw new SyntaxError(t("An agent is an object in braces."));
      put(fields as Partial<Agent>);
      setFault("");
    } catch (error) {
      put(agent, typed);
      setFault((error as Error).message);
    }
  };
  return <TextArea label={t("The agent as JSON")} hint={t("All fields of the API, including tools and rules.")} error={fault} code rows={26} value={text} set={write} />;
}

const withoutNull = (agent: Partial<Agent>) => Object.fromEntries(Object.entries(agent).filter(([, value]) => value !== null));
