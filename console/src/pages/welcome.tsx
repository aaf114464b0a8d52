// What a new organization does first; each step is done where it stands, as far as it can be.

import { useState } from "preact/hooks";
import { type Agent, type Provider, patch, post } from "../api";
import { TEMPLATE_NAMES, TemplateDialog } from "../agent/template-choice";
import { TEMPLATES, type TemplateName } from "../agent/templates";
import { CARRIERS } from "../carriers";
import { translated } from "../errors";
import { t } from "../i18n";
import { navigate } from "../router";
import { Button, Card, Dialog, ErrorMessage, Form, Input, Link, Select, useAction } from "../ui";

export type StepName = "keys" | "agent" | "call" | "trunk" | "number" | "webhook";

export interface Step {
  id: StepName;
  done: boolean;
  name: string;
  about: string;
}

export interface Found {
  providers: Pick<Provider, "name" | "key">[];
  agents: Agent[];
  calls: number;
  trunks: number;
  numbers: number;
}

const LOCAL = "trunkline.local-speech";
const HIDDEN = "trunkline.welcome-hidden";

const isLocal = (agent: Agent) => (agent.llm_config as { provider?: string } | null | undefined)?.provider === "local";

/** What is left to do before callers reach an agent, in the order of doing it. */
export function stepsOf(found: Found, localSpeech = false): Step[] {
  const keyed = found.providers.some(({ key }) => key === "own" || key === "server");
  return [
    { id: "keys", done: keyed || localSpeech || found.agents.some(isLocal), name: t("Choose who hears, thinks and speaks"), about: t("Set the key of a provider, or use the speech of this server, which needs none.") },
    { id: "agent", done: found.agents.length > 0, name: t("Create an agent"), about: t("It answers calls. Begin with one that works, and change it later:") },
    { id: "call", done: found.calls > 0, name: t("Make a test call"), about: t("Talk to the agent from its page, with the microphone of this computer.") },
    { id: "trunk", done: found.trunks > 0, name: t("Add a trunk"), about: t("The connection to your carrier or PBX, filled in for:") },
    { id: "number", done: found.numbers > 0, name: t("Assign a number"), about: t("Its callers reach the agent.") },
    { id: "webhook", done: found.agents.some((agent) => Boolean(agent.webhook_url)), name: t("Set a webhook"), about: t("Your server is told of each call. Optional.") },
  ];
}

export function Checklist({ found, reload, manages }: { found: Found; reload: () => void; manages: boolean }) {
  const [local, setLocal] = useState(localStorage.getItem(LOCAL) === "1");
  const [hidden, hide] = useState(localStorage.getItem(HIDDEN) === "1");
  const [open, setOpen] = useState<"key" | "webhook" | TemplateName | null>(null);
  const steps = stepsOf(found, local);
  const done = steps.filter((step) => step.done).length;
  const next = steps.find((step) => !step.done);
  if (hidden || !next) return null;
  const close = () => {
    setOpen(null);
    reload();
  };
  const template = TEMPLATE_NAMES.find((name) => name === open);
  return (
    <Card title={t("Get started")} actions={<><span class="soft">{done} {t("of")} {steps.length}</span><Button kind="quiet" onClick={() => { localStorage.setItem(HIDDEN, "1"); hide(true); }}>{t("Hide")}</Button></>} wide>
      <ol class="steps">
        {steps.map((step) => (
          <li key={step.id} class={step.done ? "done" : ""} aria-current={step === next ? "step" : undefined}>
            <span class="mark" aria-hidden="true">{step.done ? "✓" : ""}</span>
            <span class="name">{step.name}{step.done && <span class="unseen"> ({t("done")})</span>}</span>
            {!step.done && <span class="soft">{step.about}</span>}
            {!step.done && <StepActions step={step.id} found={found} manages={manages} open={setOpen} local={() => { localStorage.setItem(LOCAL, "1"); setLocal(true); }} />}
          </li>
        ))}
      </ol>
      {open === "key" && <KeyDialog close={close} />}
      {open === "webhook" && <WebhookDialog agents={found.agents} close={close} />}
      {template && <TemplateDialog name={template} close={close} made={(agent) => { setOpen(null); navigate(`agents/${agent.id}`); }} />}
    </Card>
  );
}

/** What does a step, where it stands. */
function StepActions({ step, found, manages, open, local }: { step: StepName; found: Found; manages: boolean; open: (what: "key" | "webhook" | TemplateName) => void; local: () => void }) {
  const [agent] = found.agents;
  switch (step) {
    case "keys": return <span class="go actions">{manages ? <Button onClick={() => open("key")}>{t("Set key")}</Button> : <span class="soft">{t("Admins set keys.")}</span>}<LocalSpeech works={local} /></span>;
    case "agent": return <span class="go actions">{TEMPLATE_NAMES.map((name) => <Button key={name} onClick={() => open(name)}>{t(TEMPLATES[name].title)}</Button>)}<Link to="agents/new">{t("Blank")}</Link></span>;
    case "call": return <span class="go actions">{agent ? <Button onClick={() => navigate(`agents/${agent.id}`)}>{t("Test call")}</Button> : <span class="soft">{t("Create an agent first.")}</span>}</span>;
    case "trunk": return <span class="go actions">{Object.entries(CARRIERS).map(([key, { name }]) => <Button key={key} onClick={() => navigate(`numbers?new=trunk&carrier=${key}`)}>{t(name)}</Button>)}</span>;
    case "number": return <span class="go actions"><Button onClick={() => navigate("numbers?new=number")}>{t("New number")}</Button></span>;
    case "webhook": return <span class="go actions">{agent ? <Button onClick={() => open("webhook")}>{t("Set a webhook")}</Button> : <span class="soft">{t("Create an agent first.")}</span>}</span>;
  }
}

interface Trial {
  ok: boolean;
  problem: { message: string } | null;
  missing_models?: string[];
}

/** Whether this server hears and speaks by itself. */
function LocalSpeech({ works }: { works: () => void }) {
  const { busy, error, run } = useAction();
  const [trial, set] = useState<Trial | null>(null);
  const test = () => run(async () => {
    const found = await post<Trial>("/providers/local/test");
    set(found);
    if (found.ok && !found.missing_models?.length) works();
  });
  return (
    <>
      <Button busy={busy} onClick={test}>{t("Use this server's speech")}</Button>
      {trial?.problem && <span class="bad" role="alert">{translated(trial.problem.message)}</span>}
      {trial?.missing_models?.map((advice) => <small key={advice} class="reason" role="status">{advice}</small>)}
      {error && <ErrorMessage error={error} />}
    </>
  );
}

const KEYED = [["openai", "OpenAI"], ["anthropic", "Anthropic"], ["groq", "Groq"], ["mistral", "Mistral"], ["xai", "xAI"], ["deepgram", "Deepgram"], ["elevenlabs", "ElevenLabs"], ["cartesia", "Cartesia"]] as [string, string][];

/** A key that is stored and tried at once. */
function KeyDialog({ close }: { close: () => void }) {
  const [provider, setProvider] = useState("openai");
  const [value, set] = useState("");
  const [trial, setTrial] = useState<Trial | null>(null);
  return (
    <Dialog title={t("Provider key")} close={close} unsaved={trial?.ok ? false : undefined}>
      <Form label={t("Save and test")} submit={async () => {
        setTrial(null);
        await post("/secrets", { name: provider, provider, value });
        const found = await post<Trial>(`/providers/${provider}/test`);
        setTrial(found);
        if (found.ok) set("");
      }} beside={trial?.ok ? <Button onClick={close}>{t("Done")}</Button> : undefined}>
        <Select label={t("Provider")} hint={t("OpenAI alone can hear, think and speak; most people take Deepgram and ElevenLabs for speech.")} value={provider} set={(name) => { setProvider(name); setTrial(null); }} options={KEYED} />
        <Input label={t("Provider key")} type="password" required={!trial?.ok} autocomplete="off" hint={t("Stored encrypted; it is never shown again.")} value={value} set={set} />
        {trial && <p role="status" class={trial.ok ? "good" : "bad"}>{trial.ok ? t("The key works. Set another one, or close.") : `${t("The key is stored, but the provider refuses it:")} ${translated(trial.problem?.message ?? "")}`}</p>}
      </Form>
    </Dialog>
  );
}

function WebhookDialog({ agents, close }: { agents: Agent[]; close: () => void }) {
  const [url, set] = useState("");
  const without = agents.filter((agent) => !agent.webhook_url);
  return (
    <Dialog title={t("Set a webhook")} close={close}>
      <Form label={t("Save")} submit={async () => { for (const agent of without) await patch(`/agents/${agent.id}`, { webhook_url: url }); close(); }}>
        <Input label={t("Webhook URL")} type="url" required placeholder="https://" hint={t("Events are posted to this address with their path appended, such as /status-update.")} value={url} set={set} />
        <p class="soft">{t("Applies to:")} {without.map(({ name }) => name).join(", ")}</p>
      </Form>
    </Dialog>
  );
}
