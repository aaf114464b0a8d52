import { type Agent, type Call, type PhoneNumber, type Provider, type Usage, demoOf, get, post, query } from "../api";
import { lengthOf, partyOf, reasonOf, whyFailed } from "../callstate";
import { t } from "../i18n";
import { useLoad } from "../live";
import { TestCall } from "../testcall";
import { Checklist, type Found } from "./welcome";
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
  found: Found | null;
  demo: string | null;
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
  const fresh = async (): Promise<Found> => {
    const [{ providers }, calls, trunks, numbers] = await Promise.all([get<{ providers: Provider[] }>("/providers"), total("/calls"), total("/trunks"), get<{ phone_numbers: PhoneNumber[] }>("/phone-numbers?limit=100")]);
    // A number that no agent answers is not yet one.
    return { providers, agents: agents.agents, calls, trunks, numbers: numbers.phone_numbers.filter((one) => one.agent_id).length };
  };
  const live = { calls: [...progress.calls, ...initiated.calls], total: progress.total + initiated.total };
  return { live, failed, today, agents, found: demo ? null : await fresh(), demo: demo?.agent_id ?? null };
}

export function Overview({ manages }: { manages: boolean }) {
  const state = useLoad(load, [], { live: true, everyMs: 20_000 });
  return (
    <Page title={t("Overview")}>
      <LoadedView of={state}>
        {({ live, failed, today, agents, found, demo }) => (
          <>
            {found && <Checklist found={found} reload={state.reload} manages={manages} />}
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
