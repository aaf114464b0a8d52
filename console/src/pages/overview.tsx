import { type Agent, type Call, type Provider, type Usage, demoOf, get, post, query } from "../api";
import { lengthOf, partyOf, reasonOf, whyFailed } from "../callstate";
import { t } from "../i18n";
import { useLoad } from "../live";
import { TestCall } from "../testcall";
import { Badge, Button, Card, ErrorMessage, Link, Page, LoadedView, Table, formatDuration, formatMoney, formatNumber, formatTime, useAction, useNow } from "../ui";

interface Calls {
  calls: Call[];
  total: number;
}

interface LiveSnapshot {
  live: Calls;
  failed: Calls;
  today: Usage;
  agents: { agents: Agent[]; total: number };
  /** What a first call needs; null in the demo, which has it all. */
  steps: Step[] | null;
  demo: string | null;
}

interface Step {
  done: boolean;
  name: string;
  about: string;
  to: string;
  go: string;
}

/** What is left to do before callers reach an agent, in the order of doing it. */
export function stepsOf(found: { providers: Pick<Provider, "key">[]; agents: Pick<Agent, "id">[]; calls: number; trunks: number; numbers: number }): Step[] {
  const [agent] = found.agents;
  return [
    { done: found.providers.some(({ key }) => key === "own" || key === "server"), name: t("Set a provider key"), about: t("For speech and the language model. Without one, agents use what runs on this server."), to: "providers", go: t("Providers") },
    { done: found.agents.length > 0, name: t("Create an agent"), about: t("It answers calls: instructions, voice and model."), to: "agents/new", go: t("New agent") },
    { done: found.calls > 0, name: t("Make a test call"), about: t("Talk to the agent from its page, with the microphone of this computer."), to: agent ? `agents/${agent.id}` : "agents", go: t("Test call") },
    { done: found.trunks > 0, name: t("Add a trunk"), about: t("The connection to your carrier or PBX."), to: "numbers", go: t("Trunks") },
    { done: found.numbers > 0, name: t("Assign a number"), about: t("Its callers reach the agent."), to: "numbers", go: t("Numbers") },
  ];
}

async function load(): Promise<LiveSnapshot> {
  const midnight = new Date();
  midnight.setUTCHours(0, 0, 0, 0);
  const day = midnight.toISOString().slice(0, 10);
  const [progress, initiated, failed, today, agents, demo] = await Promise.all([
    get<Calls>(`/calls${query({ status: "in_progress", limit: 50 })}`),
    get<Calls>(`/calls${query({ status: "initiated", limit: 50 })}`),
    get<Calls>(`/calls${query({ status: "failed", limit: 5, started_after: midnight.toISOString() })}`),
    get<Usage>(`/usage${query({ from: day, to: day })}`),
    get<{ agents: Agent[]; total: number }>("/agents?limit=100"),
    demoOf(),
  ]);
  const total = (path: string) => get<{ total: number }>(`${path}?limit=1`).then((answer) => answer.total);
  const fresh = async (): Promise<Step[]> => {
    const [{ providers }, calls, trunks, numbers] = await Promise.all([get<{ providers: Provider[] }>("/providers"), total("/calls"), total("/trunks"), total("/phone-numbers")]);
    return stepsOf({ providers, agents: agents.agents, calls, trunks, numbers });
  };
  const live = { calls: [...progress.calls, ...initiated.calls], total: progress.total + initiated.total };
  return { live, failed, today, agents, steps: demo ? null : await fresh(), demo: demo?.agent_id ?? null };
}

export function Overview() {
  const state = useLoad(load, [], { live: true, everyMs: 20_000 });
  return (
    <Page title={t("Overview")}>
      <LoadedView of={state}>
        {({ live, failed, today, agents, steps, demo }) => (
          <>
            {steps && steps.some(({ done }) => !done) && <Checklist steps={steps} />}
            <dl class="tiles">
              <div><dt>{t("Live calls")}</dt><dd class="livecount">{formatNumber(live.total)}</dd></div>
              <div><dt>{t("Minutes today")}</dt><dd>{formatNumber(today.total.seconds / 60, 1)}</dd></div>
              <div><dt>{t("Cost today")}</dt><dd>{formatMoney(today.total.cost, today.currency)}</dd></div>
              <div><dt>{t("Failed today")}</dt><dd>{formatNumber(failed.total)}</dd></div>
            </dl>
            {demo && <TestCall agent={demo} />}
            <Card title={t("Live calls")}>
              {live.calls.length ? <Live calls={live.calls} agents={agents.agents} reload={state.reload} /> : <p class="soft">{t("No active calls.")}</p>}
            </Card>
            <Card title={t("Failed today")} actions={<Link to="calls?status=failed">{t("All failed calls")}</Link>}>
              {failed.calls.length ? (
                <Table caption={t("Failed today")} rows={failed.calls} columns={[
                  { name: t("Started"), cell: (call) => <Link to={`calls/${call.id}`}>{formatTime(call.started_at)}</Link> },
                  { name: t("Other party"), cell: partyOf },
                  { name: t("End reason"), cell: (call) => <Badge value="failed">{reasonOf(call.end_reason)}</Badge> },
                  { name: t("SIP reason"), extra: true, cell: (call) => whyFailed(call)[0] ?? "–" },
                ]} />
              ) : <p class="soft">{t("No calls have failed today.")}</p>}
            </Card>
          </>
        )}
      </LoadedView>
    </Page>
  );
}

function Checklist({ steps }: { steps: Step[] }) {
  const done = steps.filter((step) => step.done).length;
  const next = steps.find((step) => !step.done);
  return (
    <Card title={t("Get started")} actions={<span class="soft">{done} {t("of")} {steps.length}</span>} wide>
      <ol class="steps">
        {steps.map((step) => (
          <li key={step.name} class={step.done ? "done" : ""} aria-current={step === next ? "step" : undefined}>
            <span class="mark" aria-hidden="true">{step.done ? "✓" : ""}</span>
            <span class="name">{step.name}{step.done && <span class="unseen"> ({t("done")})</span>}</span>
            {!step.done && <span class="soft">{step.about}</span>}
            {!step.done && <span class="go"><Link to={step.to}>{step.go}</Link></span>}
          </li>
        ))}
      </ol>
    </Card>
  );
}

function Live({ calls, agents, reload }: { calls: Call[]; agents: Agent[]; reload: () => void }) {
  const now = useNow(true);
  const { busy, error, run } = useAction();
  const named = (id: string | null) => agents.find((agent) => agent.id === id)?.name ?? "–";
  return (
    <>
      <ErrorMessage error={error} />
      <Table caption={t("Live calls")} rows={calls} columns={[
        { name: t("Other party"), cell: (call) => <Link to={`calls/${call.id}`}>{partyOf(call)}</Link> },
        { name: t("Agent"), cell: (call) => named(call.agent_id) },
        { name: t("Direction"), extra: true, cell: (call) => t(call.direction) },
        { name: t("Status"), cell: (call) => <Badge value={call.status} /> },
        { name: t("Duration"), right: true, cell: (call) => formatDuration(lengthOf(call, now)) },
        { name: "", extra: true, cell: (call) => <Link to={`calls/${call.id}`} aria-label={`${t("Steer")}: ${partyOf(call)}`}>{t("Steer")}</Link> },
        { name: "", right: true, cell: (call) => <Button kind="quiet" busy={busy} aria-label={`${t("End")}: ${partyOf(call)}`} onClick={() => run(() => post(`/calls/${call.id}/end`).finally(reload))}>{t("End")}</Button> },
      ]} />
    </>
  );
}
