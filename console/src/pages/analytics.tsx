import { type Agent, type Analytics as Body, type CallGroup, type CallSums, type Provider, get, getAll, query } from "../api";
import { reasonOf } from "../callstate";
import { Bars } from "../charts";
import { save, write } from "../csv";
import { t } from "../i18n";
import { useLoad } from "../live";
import { providerName } from "../provider-names";
import { navigate, useListQuery } from "../router";
import { Button, Card, EmptyState, Input, Link, LoadedView, Page, Select, Table, Tabs, formatDay, formatMoney, formatNumber } from "../ui";

const DAY_MS = 86_400_000;
/** Tables and files show the largest groups first; nobody reads further. */
const ROWS_MAX = 200;

type Group = Body["group_by"];
type DaySums = CallSums & { day: string };

const GROUPS: [Group, string][] = [["agent", "By agent"], ["provider", "By provider"], ["end_reason", "By end reason"], ["day", "By day"]];

const EMPTY: CallSums = { calls: 0, answered: 0, failed: 0, seconds: 0, cost: 0, judged: 0, successes: 0, cut_offs: 0, failovers: 0, answers: 0, response_p50_ms: null, response_p95_ms: null };

const isDay = (text: string) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
const today = () => new Date().toISOString().slice(0, 10);
const daysBefore = (day: string, count: number) => new Date(Date.parse(day) - count * DAY_MS).toISOString().slice(0, 10);

/** Every day of the period, also those without calls. */
function everyDay({ from, to, groups }: Body): DaySums[] {
  const known = new Map(groups.map((group) => [group.key, group]));
  const days: DaySums[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const day = new Date(at).toISOString().slice(0, 10);
    days.push({ ...EMPTY, ...known.get(day), day });
  }
  return days;
}

const percent = (part: number, whole: number) => (whole ? `${formatNumber((100 * part) / whole, 1)}\u00a0%` : "–");
const ms = (value: number | null) => (value === null ? "–" : `${formatNumber(value)}\u00a0ms`);
const count = (value: number) => formatNumber(value, Number.isInteger(value) ? 0 : 1);

export function Analytics() {
  const { of, put } = useListQuery(1);
  const to = isDay(of("to")) ? of("to") : today();
  const from = isDay(of("from")) ? of("from") : daysBefore(to, 29);
  const by = GROUPS.find(([group]) => group === of("by"))?.[0] ?? "agent";
  const filter = { from, to, agent_id: of("agent"), provider: of("provider"), direction: of("direction") };
  const agents = useLoad(() => getAll<Agent>("/agents", "agents"), []);
  const providers = useLoad(() => get<{ providers: Provider[] }>("/providers").then((found) => found.providers), []);
  const ask = (group_by: Group) => () => get<Body>(`/analytics${query({ ...filter, group_by })}`);
  const days = useLoad(ask("day"), [JSON.stringify(filter)], { everyMs: 60_000 });
  const table = useLoad(ask(by), [JSON.stringify(filter), by], { everyMs: 60_000 });
  const filtered = ["agent", "provider", "direction", "from", "to"].some(of);

  const agentName = (id: string) => agents.data?.find((agent) => agent.id === id)?.name ?? t("deleted agent");
  const nameOf = (group: CallGroup) => {
    if (group.key === null) return by === "agent" ? t("no agent") : "–";
    if (by === "agent") return agentName(group.key);
    if (by === "provider") return `${group.key} (${t(`stage: ${group.stage}`)})`;
    return by === "end_reason" ? reasonOf(group.key) : formatDay(group.key);
  };
  /** The list of the calls behind a figure. */
  const calls = (more: Record<string, string>) => `calls${query({ from, to, agent: of("agent"), provider: of("provider"), direction: of("direction"), zone: "utc", ...more })}`;
  const behind = (group: CallGroup, more: Record<string, string> = {}) => {
    const key = group.key ?? "";
    const own: Record<string, string> = { agent: { agent: key }, provider: { provider: key }, end_reason: { reason: key }, day: { from: key, to: key } }[by];
    return group.key === null ? null : calls({ ...own, ...more });
  };
  const linked = (group: CallGroup, text: string, more: Record<string, string> = {}, name = nameOf(group)) => {
    const link = behind(group, more);
    return link ? <Link to={link} aria-label={more.status || more.success ? `${text}: ${name}` : undefined}>{text}</Link> : text;
  };
  const download = ({ groups, currency }: Body) => {
    const names = ["calls", "answered", "failed", "seconds", "cost", "judged", "successes", "cut_offs", "failovers", "answers", "response_p50_ms", "response_p95_ms"] as const;
    save(`analytics-${by}-${from}-${to}.csv`, write([by, "id", "stage", ...names, "currency"], groups.map((group) => [nameOf(group), group.key, group.stage, ...names.map((name) => group[name]), currency])));
  };

  return (
    <Page title={t("Analytics")} actions={<Button disabled={!table.data?.groups.length} onClick={() => table.data && download(table.data)}>{t("Export CSV")}</Button>}>
      <search class="filters">
        <Input label={t("From date")} type="date" max={to} value={from} set={(day) => put({ from: day })} />
        <Input label={t("To date")} type="date" min={from} max={today()} value={to} set={(day) => put({ to: day })} />
        <Select label={t("Agent")} value={of("agent")} set={(agent) => put({ agent })} options={[["", t("All")], ...(agents.data ?? []).map((agent): [string, string] => [agent.id, agent.name])]} />
        <Select label={t("Provider")} value={of("provider")} set={(provider) => put({ provider })} options={[["", t("All")], ...(providers.data ?? []).map(({ name }): [string, string] => [name, providerName(name)])]} />
        <Select label={t("Direction")} value={of("direction")} set={(direction) => put({ direction })} options={[["", t("All")], ...["inbound", "outbound", "web"].map((one): [string, string] => [one, t(one)])]} />
      </search>
      <LoadedView of={days}>
        {(body) => {
          const { total, currency } = body;
          if (!total.calls) {
            return filtered
              ? <EmptyState title={t("No calls in this period")}>{t("Choose other days or another filter.")} <Button kind="quiet" onClick={() => put({ from: "", to: "", agent: "", provider: "", direction: "" })}>{t("Clear the filters")}</Button></EmptyState>
              : <EmptyState title={t("No calls in this period")}>{t("Calls appear here shortly after they end.")} <Link to="agents">{t("Agents")}</Link></EmptyState>;
          }
          const all = everyDay(body);
          const open = (day: DaySums, more: Record<string, string> = {}) => navigate(calls({ from: day.day, to: day.day, ...more }));
          return (
            <>
              <dl class="tiles four">
                <div><dt>{t("Calls")}</dt><dd><Link to={calls({})}>{formatNumber(total.calls)}</Link></dd></div>
                <div><dt>{t("Minutes")}</dt><dd>{formatNumber(total.seconds / 60, 1)}</dd></div>
                <div><dt>{t("Cost")}</dt><dd>{formatMoney(total.cost, currency)}</dd></div>
                <div><dt>{t("Failed")}</dt><dd><Link to={calls({ status: "failed" })}>{percent(total.failed, total.calls)}</Link></dd></div>
                <div><dt>{t("Successful")}</dt><dd>{percent(total.successes, total.judged)}</dd></div>
                <div><dt>{t("Response p50")}</dt><dd>{ms(total.response_p50_ms)}</dd></div>
                <div><dt>{t("Response p95")}</dt><dd>{ms(total.response_p95_ms)}</dd></div>
                <div><dt>{t("Cut-offs")}</dt><dd>{formatNumber(total.cut_offs)}</dd></div>
              </dl>
              <div class="columns">
                <Card><Bars days={all} label={t("Calls · failed")} value={(day) => day.calls} part={(day) => day.failed} bad unit={count} open={open} /></Card>
                <Card><Bars days={all} label={t("Response p95 · p50")} value={(day) => day.response_p95_ms ?? 0} part={(day) => day.response_p50_ms ?? 0} unit={(value) => `${formatNumber(value)}\u00a0ms`} total={ms(total.response_p95_ms)} open={open} /></Card>
                <Card><Bars days={all} label={t("Judged calls · successful")} value={(day) => day.judged} part={(day) => day.successes} unit={count} total={percent(total.successes, total.judged)} open={(day) => open(day, { success: "false" })} /></Card>
                <Card><Bars days={all} label={t("Minutes")} value={(day) => day.seconds / 60} unit={(value) => formatNumber(value, 1)} open={open} /></Card>
                <Card><Bars days={all} label={t("Cost")} value={(day) => day.cost} unit={(value) => formatMoney(value, currency)} open={open} /></Card>
                <Card><Bars days={all} label={t("Cut-offs")} value={(day) => day.cut_offs} unit={count} open={open} /></Card>
              </div>
              <Card wide>
                <Tabs label={t("Groups")} tabs={GROUPS.map(([group, name]): [Group, string] => [group, t(name)])} tab={by} set={(by) => put({ by })} />
                <div role="tabpanel" id="panel" aria-labelledby={`tab-${by}`}>
                  <LoadedView of={table}>
                    {({ group_by, groups, total }) => group_by === by && (
                      <Table caption={t(GROUPS.find(([group]) => group === by)![1])} rows={(by === "day" ? [...groups].reverse() : groups).slice(0, ROWS_MAX).map((group) => ({ ...group, id: `${group.stage} ${group.key}` }))} columns={[
                        { name: t({ agent: "Agent", provider: "Provider", end_reason: "End reason", day: "Day" }[by]), cell: (group) => linked(group, nameOf(group)) },
                        { name: t("Calls"), right: true, cell: (group) => `${formatNumber(group.calls)}${by === "end_reason" ? ` (${percent(group.calls, total.calls)})` : ""}` },
                        { name: t("Minutes"), right: true, extra: true, cell: (group) => formatNumber(group.seconds / 60, 1) },
                        { name: t("Cost"), right: true, extra: true, cell: (group) => formatMoney(group.cost, currency) },
                        ...(by === "end_reason" ? [] : [
                          { name: t("Failed"), right: true, cell: (group: CallGroup) => (group.failed ? linked(group, percent(group.failed, group.calls), { status: "failed" }) : percent(0, group.calls)) },
                          { name: t("Successful"), right: true, extra: true, cell: (group: CallGroup) => (group.judged > group.successes ? linked(group, percent(group.successes, group.judged), { success: "false" }) : percent(group.successes, group.judged)) },
                          { name: "p50", right: true, extra: true, cell: (group: CallGroup) => ms(group.response_p50_ms) },
                          { name: "p95", right: true, cell: (group: CallGroup) => ms(group.response_p95_ms) },
                        ]),
                        { name: t("Cut-offs"), right: true, extra: true, cell: (group) => formatNumber(group.cut_offs) },
                        { name: t("Failovers"), right: true, extra: true, cell: (group) => formatNumber(group.failovers) },
                      ]} />
                    )}
                  </LoadedView>
                </div>
              </Card>
              <p class="soft">{t("Days are in UTC, by the beginning of the calls.")} {t("Response times run from the caller's last sound to the agent's first.")} {t("A successful call is one that its analysis judged so.")}</p>
            </>
          );
        }}
      </LoadedView>
    </Page>
  );
}
