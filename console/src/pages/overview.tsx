import { type Agent, type Call, type Usage, get, query } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { TestCall } from "../testcall";
import { Badge, Button, Card, EmptyState, Link, Page, LoadedView, Table, formatDuration, formatMoney, formatNumber, formatTime } from "../ui";
import { demoOf, post } from "../api";
import { useState } from "preact/hooks";

interface Calls {
  calls: Call[];
  total: number;
}

interface LiveSnapshot {
  live: Calls;
  failed: Calls;
  today: Usage;
  agents: { agents: Agent[]; total: number };
  numbers: { total: number };
  demo: string | null;
}

async function load(): Promise<LiveSnapshot> {
  const midnight = new Date();
  midnight.setUTCHours(0, 0, 0, 0);
  const day = midnight.toISOString().slice(0, 10);
  const [progress, initiated, failed, today, agents, numbers, demo] = await Promise.all([
    get<Calls>(`/calls${query({ status: "in_progress", limit: 50 })}`),
    get<Calls>(`/calls${query({ status: "initiated", limit: 50 })}`),
    get<Calls>(`/calls${query({ status: "failed", limit: 5, started_after: midnight.toISOString() })}`),
    get<Usage>(`/usage${query({ from: day, to: day })}`),
    get<{ agents: Agent[]; total: number }>("/agents?limit=100"),
    get<{ total: number }>("/phone-numbers?limit=1"),
    demoOf(),
  ]);
  const live = { calls: [...progress.calls, ...initiated.calls], total: progress.total + initiated.total };
  return { live, failed, today, agents, numbers, demo: demo?.agent_id ?? null };
}

export function Overview() {
  const state = useLoad(load, [], { live: true, everyMs: 20_000 });
  return (
    <Page title={t("Overview")}>
      <LoadedView of={state}>
        {({ live, failed, today, agents, numbers, demo }) => (
          <>
            <dl class="tiles">
              <div><dt>{t("Live calls")}</dt><dd class="livecount">{formatNumber(live.total)}</dd></div>
              <div><dt>{t("Minutes today")}</dt><dd>{formatNumber(today.total.seconds / 60, 1)}</dd></div>
              <div><dt>{t("Cost today")}</dt><dd>{formatMoney(today.total.cost, today.currency)}</dd></div>
              <div><dt>{t("Failed today")}</dt><dd>{formatNumber(failed.total)}</dd></div>
            </dl>
            {demo && <TestCall agent={demo} />}
            {!agents.total && (
              <EmptyState title={t("No agents yet")}>
                {t("An agent defines how calls are answered.")} <Link to="agents/new">{t("Create the first one")}</Link>
              </EmptyState>
            )}
            {agents.total > 0 && !numbers.total && !demo && (
              <EmptyState title={t("No number is assigned yet")}>
                {t("Connect your carrier and give an agent a number, or call the agent from its page.")} <Link to="numbers">{t("Phone numbers and trunks")}</Link>
              </EmptyState>
            )}
            <Card title={t("Live calls")}>
              {live.calls.length ? <Live calls={live.calls} agents={agents.agents} reload={state.reload} /> : <p class="soft">{t("No active calls.")}</p>}
            </Card>
            <Card title={t("Failed today")} actions={<Link to="calls?status=failed">{t("All failed calls")}</Link>}>
              {failed.calls.length ? (
                <Table caption={t("Failed today")} rows={failed.calls} columns={[
                  { name: t("Started"), cell: (call) => <Link to={`calls/${call.id}`}>{formatTime(call.started_at)}</Link> },
                  { name: t("Other party"), cell: (call) => (call.direction === "outbound" ? call.to_number : call.from_number) },
                  { name: t("Reason"), cell: (call) => <Badge value="failed">{t((call.end_reason ?? "").replaceAll("_", " "))}</Badge> },
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
  const [now, set] = useState(Date.now());
  useLoad(async () => set(Date.now()), [], { everyMs: 1000 });
  const named = (id: string | null) => agents.find((agent) => agent.id === id)?.name ?? "–";
  return (
    <Table caption={t("Live calls")} rows={calls} columns={[
      { name: t("Other party"), cell: (call) => <Link to={`calls/${call.id}`}>{call.direction === "outbound" ? call.to_number : call.from_number}</Link> },
      { name: t("Agent"), cell: (call) => named(call.agent_id) },
      { name: t("Direction"), extra: true, cell: (call) => t(call.direction) },
      { name: t("Status"), cell: (call) => <Badge value={call.status} /> },
      { name: t("Length"), right: true, cell: (call) => (call.answered_at ? formatDuration(Math.max(0, (now - Date.parse(call.answered_at)) / 1000)) : "–") },
      { name: "", right: true, cell: (call) => <Button kind="quiet" aria-label={`${t("End")}: ${call.from_number}`} onClick={() => void post(`/calls/${call.id}/end`).finally(reload)}>{t("End")}</Button> },
    ]} />
  );
}
