import { useState } from "preact/hooks";
import { type Agent, ApiError, type AlertEvent, type AlertRule, type Trunk, type Usage, getAll, get, getTagged, patchTagged, post, query, remove } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { useListQuery } from "../router";
import { Badge, Button, Card, Checkbox, Confirm, Dialog, EmptyState, ErrorMessage, Form, Input, Link, LoadedView, Page, Pager, Select, Table, formatDateTime, formatMoney, formatNumber, useAction } from "../ui";

const LIMIT = 25;

type Condition = AlertRule["condition"];

const CONDITIONS: Record<Condition, string> = { failure_rate: "Failed calls", response_p95: "Slow answers", trunk_down: "Trunk down", spend: "Spend" };

/** Minutes that a person would choose; another number that a rule has is kept. */
const SPANS = [5, 15, 30, 60, 180, 360, 720, 1440, 10_080];

function spanText(minutes: number): string {
  if (minutes % 10_080 === 0) return minutes === 10_080 ? t("1 week") : `${minutes / 10_080} ${t("weeks")}`;
  if (minutes % 1440 === 0) return minutes === 1440 ? t("1 day") : `${minutes / 1440} ${t("days")}`;
  if (minutes % 60 === 0) return minutes === 60 ? t("1 hour") : `${minutes / 60} ${t("hours")}`;
  return minutes === 1 ? t("1 minute") : `${minutes} ${t("minutes")}`;
}

const spans = (value: number): [string, string][] => [...new Set([...SPANS, value])].sort((a, b) => a - b).map((minutes) => [String(minutes), spanText(minutes)]);

/** A value in the unit of its condition. */
function valueText(condition: Condition, value: number | null, currency: string): string {
  if (value === null) return "–";
  if (condition === "failure_rate") return `${formatNumber(value, 1)}\u00a0%`;
  if (condition === "response_p95") return `${formatNumber(value)}\u00a0ms`;
  return condition === "spend" ? formatMoney(value, currency) : formatNumber(value);
}

/** What a rule watches, in words. */
function conditionText(rule: AlertRule, currency: string): string {
  const span = spanText(rule.window_minutes);
  if (rule.condition === "trunk_down") return `${t("A trunk cannot be reached for")} ${span}`;
  const what = { failure_rate: t("Failed calls above"), response_p95: t("Answers (p95) above"), spend: t("Spend above") }[rule.condition];
  return `${what} ${valueText(rule.condition, rule.threshold, currency)} ${t("within")} ${span}`;
}

const StateBadge = ({ rule }: { rule: AlertRule }) => rule.is_active ? <Badge value={rule.state} tone={rule.state === "firing" ? "bad" : rule.evaluated_at ? "good" : ""}>{rule.state === "firing" ? t("Firing") : rule.evaluated_at ? t("OK") : t("Not checked yet")}</Badge> : <Badge value="off">{t("Off")}</Badge>;

/** Prices are in one currency for the whole server. */
const useCurrency = () => useLoad(() => get<Usage>(`/usage${query({ from: new Date().toISOString().slice(0, 10) })}`).then((usage) => usage.currency), []).data ?? "USD";

export function Alerts() {
  const { offset, go } = useListQuery(LIMIT);
  const state = useLoad(() => get<{ alert_rules: AlertRule[]; total: number }>(`/alert-rules${query({ limit: LIMIT, offset })}`), [offset], { everyMs: 10_000 });
  const [open, setOpen] = useState<string | null>(null);
  const currency = useCurrency();
  return (
    <Page title={t("Alerts")} actions={<Button kind="main" onClick={() => setOpen("")}>{t("New alert rule")}</Button>}>
      <LoadedView of={state}>
        {({ alert_rules: rules, total }) => rules.length ? (
          <Card>
            <Table caption={t("Alert rules")} rows={rules} columns={[
              { name: t("Name"), cell: (rule) => <Link to={`alerts/${rule.id}`}>{rule.name}</Link> },
              { name: t("State"), cell: (rule) => <StateBadge rule={rule} /> },
              { name: t("Fires on"), cell: (rule) => conditionText(rule, currency) },
              { name: t("Measured"), right: true, extra: true, cell: (rule) => valueText(rule.condition, rule.value, currency) },
              { name: t("Sent to"), extra: true, cell: (rule) => <span class="clip">{rule.channel === "mail" ? rule.email : rule.webhook_url}</span> },
              { name: "", right: true, cell: (rule) => (
                <span class="actions">
                  <Button kind="quiet" aria-label={`${t("Edit")}: ${rule.name}`} onClick={() => setOpen(rule.id)}>{t("Edit")}</Button>
                  <Confirm label={t("Delete")} name={rule.name} question={t("Delete this alert rule and its history?")} act={async () => { await remove(`/alert-rules/${rule.id}`); state.reload(); }} />
                </span>
              ) },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : (
          <EmptyState title={t("No alert rules yet")}>{t("A rule tells you by mail or webhook when calls fail, answers are slow, a trunk is down, or too much is spent.")} <Button kind="quiet" onClick={() => setOpen("")}>{t("New alert rule")}</Button></EmptyState>
        )}
      </LoadedView>
      {open !== null && <RuleDialog id={open} close={() => { setOpen(null); state.reload(); }} />}
    </Page>
  );
}

export function AlertPage({ id }: { id: string }) {
  const { offset, go } = useListQuery(LIMIT);
  const state = useLoad(() => get<{ alert_rule: AlertRule }>(`/alert-rules/${id}`), [id], { everyMs: 10_000 });
  const events = useLoad(() => get<{ alert_events: AlertEvent[]; total: number }>(`/alert-rules/${id}/events${query({ limit: LIMIT, offset })}`), [id, offset], { everyMs: 10_000 });
  const [editing, edit] = useState(false);
  const [tested, setTested] = useState(false);
  const { busy, error, run } = useAction();
  const currency = useCurrency();
  const rule = state.data?.alert_rule;
  const test = () => run(async () => {
    setTested(false);
    await post(`/alert-rules/${id}/test`);
    setTested(true);
  });
  return (
    <Page title={rule?.name ?? t("Alert rule")} actions={rule && <><Button busy={busy} onClick={test}>{t("Send a test")}</Button><Button kind="main" onClick={() => edit(true)}>{t("Edit")}</Button></>}>
      <p><Link to="alerts">{t("All alert rules")}</Link></p>
      <ErrorMessage error={error} />
      {tested && rule && <p class="good" role="status">{rule.channel === "mail" ? t("A test mail is on its way.") : t("A test webhook is on its way.")} {rule.channel === "webhook" && <Link to="webhooks?event=alert">{t("Webhook deliveries")}</Link>}</p>}
      <LoadedView of={state}>
        {({ alert_rule: rule }) => (
          <dl class="facts">
            <div><dt>{t("State")}</dt><dd><StateBadge rule={rule} /></dd></div>
            <div><dt>{t("Since")}</dt><dd>{formatDateTime(rule.state_since)}</dd></div>
            <div><dt>{t("Fires on")}</dt><dd>{conditionText(rule, currency)}</dd></div>
            <div><dt>{t("Measured")}</dt><dd>{valueText(rule.condition, rule.value, currency)}{rule.calls !== null && ` (${formatNumber(rule.calls)} ${rule.calls === 1 ? t("call") : t("calls")})`}</dd></div>
            <div><dt>{t("Checked")}</dt><dd>{formatDateTime(rule.evaluated_at)}</dd></div>
            <div><dt>{t("Sent to")}</dt><dd>{rule.channel === "mail" ? rule.email : rule.webhook_url}</dd></div>
          </dl>
        )}
      </LoadedView>
      <Card title={t("History")} wide>
        <LoadedView of={events}>
          {({ alert_events: all, total }) => all.length ? (
            <>
              <Table caption={t("History")} rows={all} columns={[
                { name: t("Time"), cell: (event) => formatDateTime(event.created_at) },
                { name: t("State"), cell: (event) => <Badge value={event.state} tone={event.state === "firing" ? "bad" : "good"}>{event.state === "firing" ? t("Firing") : t("Resolved")}</Badge> },
                { name: t("Measured"), right: true, cell: (event) => (rule ? valueText(rule.condition, event.value, currency) : "–") },
                { name: t("Calls"), right: true, extra: true, cell: (event) => (event.calls === null ? "–" : formatNumber(event.calls)) },
                { name: "webhook-id", extra: true, cell: (event) => <code class="clip">{event.delivery_id}</code> },
              ]} />
              <Pager total={total} limit={LIMIT} offset={offset} go={go} />
            </>
          ) : <p class="soft">{t("This rule has not fired in the last 30 days.")}</p>}
        </LoadedView>
      </Card>
      {editing && <RuleDialog id={id} close={() => { edit(false); state.reload(); }} />}
    </Page>
  );
}

const NEW = { name: "", condition: "failure_rate" as Condition, threshold: "20", window_minutes: "60", calls_min: "20", cool_down_minutes: "60", agent_id: "", trunk_id: "", channel: "mail" as AlertRule["channel"], email: "", webhook_url: "", webhook_secret: "", is_active: true };
type Fields = typeof NEW;

/** Thresholds to begin with. */
const THRESHOLDS: Record<Condition, string> = { failure_rate: "20", response_p95: "2000", trunk_down: "0", spend: "50" };

function fieldsOf(rule: AlertRule): Fields {
  return {
    ...NEW, name: rule.name, condition: rule.condition, threshold: String(rule.threshold), window_minutes: String(rule.window_minutes), calls_min: String(rule.calls_min), cool_down_minutes: String(rule.cool_down_minutes),
    agent_id: rule.agent_id ?? "", trunk_id: rule.trunk_id ?? "", channel: rule.channel, email: rule.email ?? "", webhook_url: rule.webhook_url ?? "", is_active: rule.is_active,
  };
}

/** The document of the form. An empty secret keeps the one that is stored. */
function documentOf(fields: Fields): Record<string, unknown> {
  const watchesTrunk = fields.condition === "trunk_down";
  return {
    name: fields.name, condition: fields.condition, threshold: Number(fields.threshold), window_minutes: Number(fields.window_minutes), calls_min: Number(fields.calls_min), cool_down_minutes: Number(fields.cool_down_minutes),
    agent_id: (!watchesTrunk && fields.agent_id) || null, trunk_id: (watchesTrunk && fields.trunk_id) || null, channel: fields.channel, is_active: fields.is_active,
    email: fields.channel === "mail" ? fields.email : null, webhook_url: fields.channel === "webhook" ? fields.webhook_url : null,
    ...(fields.channel === "webhook" && fields.webhook_secret ? { webhook_secret: fields.webhook_secret } : {}),
  };
}

function RuleDialog({ id, close }: { id: string; close: () => void }) {
  const state = useLoad(async () => {
    const [stored, agents, trunks] = await Promise.all([id ? getTagged<{ alert_rule: AlertRule }>(`/alert-rules/${id}`) : null, getAll<Agent>("/agents", "agents"), getAll<Trunk>("/trunks", "trunks")]);
    return { stored, agents, trunks };
  }, [id]);
  return (
    <Dialog title={id ? t("Alert rule") : t("New alert rule")} close={close}>
      <LoadedView of={state}>{({ stored, agents, trunks }) => <RuleForm {...{ id, agents, trunks, close }} before={stored ? fieldsOf(stored.alert_rule) : NEW} etag={stored?.etag ?? null} secret={stored?.alert_rule.webhook_secret_set ?? false} />}</LoadedView>
    </Dialog>
  );
}

function RuleForm({ id, before, etag, secret, agents, trunks, close }: { id: string; before: Fields; etag: string | null; secret: boolean; agents: Agent[]; trunks: Trunk[]; close: () => void }) {
  const [fields, set] = useState(before);
  const put = (changes: Partial<Fields>) => set((now) => ({ ...now, ...changes }));
  const currency = useCurrency();
  const { condition, channel } = fields;
  const units: Record<Condition, string> = { failure_rate: t("Threshold (% of calls)"), response_p95: t("Threshold (ms)"), trunk_down: "", spend: `${t("Threshold")} (${currency})` };
  const watched = trunks.filter((trunk) => trunk.register || trunk.options_interval_s);
  return (
    <Form label={id ? t("Save") : t("Create")} submit={async () => {
      const document = documentOf(fields);
      await (id ? patchTagged(`/alert-rules/${id}`, document, etag) : post("/alert-rules", document)).catch((error) => {
        throw error instanceof ApiError && channel === "mail" && [...error.faults, error].some((fault) => fault.field === "channel") ? new Error("Choose the webhook: this server sends no mail.") : error;
      });
      close();
    }}>
      <Input label={t("Name")} required maxLength={200} value={fields.name} set={(name) => put({ name })} />
      <div class="grid">
        <Select label={t("Fires on")} value={condition} set={(value) => put({ condition: value as Condition, threshold: THRESHOLDS[value as Condition] })} options={Object.entries(CONDITIONS).map(([key, name]) => [key, t(name)])} />
        {condition !== "trunk_down" && <Input label={units[condition]} type="number" required min={0} max={condition === "failure_rate" ? 99.9 : 1_000_000_000} step="any" value={fields.threshold} set={(threshold) => put({ threshold })} />}
        <Select label={condition === "trunk_down" ? t("Down for") : t("Window")} value={fields.window_minutes} set={(window_minutes) => put({ window_minutes })} options={spans(Number(fields.window_minutes))} />
        {(condition === "failure_rate" || condition === "response_p95") && <Input label={t("Minimum number of calls")} type="number" required min={1} max={100_000} value={fields.calls_min} set={(calls_min) => put({ calls_min })} />}
        <Select label={t("Pause between alerts")} value={fields.cool_down_minutes} set={(cool_down_minutes) => put({ cool_down_minutes })} options={spans(Number(fields.cool_down_minutes))} />
        {condition === "trunk_down"
          ? <Select label={t("Trunk")} value={fields.trunk_id} set={(trunk_id) => put({ trunk_id })} options={[["", t("Any trunk")], ...trunks.map((trunk): [string, string] => [trunk.id, trunk.name])]} />
          : <Select label={t("Agent")} value={fields.agent_id} set={(agent_id) => put({ agent_id })} options={[["", t("All agents")], ...agents.map((agent): [string, string] => [agent.id, agent.name])]} />}
      </div>
      {condition === "trunk_down" && watched.length < trunks.length && <p class="soft">{t("Only trunks that register or have a probe interval are known to be down.")}</p>}
      <Select label={t("Notify by")} value={channel} set={(value) => put({ channel: value as Fields["channel"] })} options={[["mail", t("Mail")], ["webhook", "Webhook"]]} />
      {channel === "mail" ? (
        <Input label={t("E-mail")} type="email" required maxLength={320} value={fields.email} set={(email) => put({ email })} />
      ) : (
        <>
          <Input label={t("Address")} type="url" required placeholder="https://" maxLength={2000} value={fields.webhook_url} set={(webhook_url) => put({ webhook_url })} />
          <Input label={t("Secret")} type="password" autocomplete="off" maxLength={256} hint={secret ? t("A secret is stored. Leave empty to keep it.") : t("Signs the webhook, so that your server knows who sent it.")} value={fields.webhook_secret} set={(webhook_secret) => put({ webhook_secret })} />
        </>
      )}
      <Checkbox label={t("Active")} checked={fields.is_active} set={(is_active) => put({ is_active })} />
    </Form>
  );
}
