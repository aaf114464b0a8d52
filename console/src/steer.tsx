// Steering a call that goes on: what the agent says, what it is told, hold, transfer.

import { useState } from "preact/hooks";
import { type Agent, type Call, type CallControl, get, post } from "./api";
import { isOnHold } from "./callstate";
import { t } from "./i18n";
import { useLoad } from "./live";
import { Button, Card, Checkbox, ErrorMessage, Form, Input, Select, useAction } from "./ui";

/** Characters that the server takes. */
const TEXT_MAX = 1_000;

interface Destination {
  name: string;
}

/** Buttons and fields for everybody who may. `controls`: the commands of the call so far, newest last. */
export function Steer({ call, controls, reload }: { call: Call; controls: CallControl[]; reload: () => void }) {
  const [done, setDone] = useState("");
  const { busy, error, run } = useAction();
  const held = isOnHold(controls);
  // A chat cannot wait or be put through.
  const hasLine = call.direction !== "chat";
  const give = async (control: string, body: Record<string, unknown>, said: string) => {
    setDone("");
    await post(`/calls/${call.id}/${control}`, body);
    setDone(said);
    reload();
  };
  const hold = () => (held ? give("resume", {}, t("The caller is back with the agent.")) : give("hold", {}, t("The caller is on hold.")));
  return (
    <Card title={t("Steer the call")} wide actions={hasLine && <Button busy={busy} aria-pressed={held} onClick={() => run(hold)}>{held ? t("Resume") : t("Hold")}</Button>}>
      <p role="status" class="soft">{done || (held ? t("The caller is on hold.") : t("The caller does not notice who steers."))}</p>
      <ErrorMessage error={error} />
      <div class="columns steer">
        <Say give={give} />
        <Whisper give={give} />
        {hasLine && <PutThrough agent={call.agent_id} give={give} />}
      </div>
    </Card>
  );
}

type Give = (control: string, body: Record<string, unknown>, said: string) => Promise<void>;

function Say({ give }: { give: Give }) {
  const [text, setText] = useState("");
  const [interrupt, setInterrupt] = useState(false);
  const submit = async () => {
    await give("say", { text, interrupt }, t("The agent says it."));
    setText("");
  };
  return (
    <Form label={t("Say")} submit={submit}>
      <Input label={t("Let the agent say")} hint={t("After what is being said now.")} value={text} set={setText} required maxLength={TEXT_MAX} />
      <Checkbox label={t("Interrupt the agent")} checked={interrupt} set={setInterrupt} />
    </Form>
  );
}

function Whisper({ give }: { give: Give }) {
  const [text, setText] = useState("");
  const submit = async () => {
    await give("instruct", { text }, t("The agent's next answer follows it."));
    setText("");
  };
  return (
    <Form label={t("Whisper")} submit={submit}>
      <Input label={t("Tell the agent")} hint={t("The caller does not hear it.")} value={text} set={setText} required maxLength={TEXT_MAX} />
    </Form>
  );
}

function PutThrough({ agent, give }: { agent: string | null; give: Give }) {
  const [to, setTo] = useState("");
  const [name, setName] = useState("");
  const known = useLoad(() => (agent ? get<{ agent: Agent }>(`/agents/${agent}`) : Promise.resolve(null)), [agent]);
  const transfers = known.data?.agent.transfer_config as { destinations?: Destination[] } | null | undefined;
  const destinations = transfers?.destinations ?? [];
  const submit = () => give("transfer", name ? { destination: name } : { to: to.trim() }, t("The caller is being put through."));
  return (
    <Form label={t("Put through")} submit={submit}>
      {destinations.length > 0 && <Select label={t("Destination")} value={name} set={setName} options={[["", t("A number")], ...destinations.map((one): [string, string] => [one.name, one.name])]} />}
      {!name && <Input label={t("Put through to")} hint={t("With country code, such as +31201234567.")} value={to} set={setTo} required />}
    </Form>
  );
}
