import { useLayoutEffect, useState } from "preact/hooks";
import { type Delivery, type Me, type Usage as UsageBody, type UsageDay, get, patch, post, query } from "../api";
import { Bars } from "../charts";
import { save, write } from "../csv";
import { readDraft, writeDraft } from "../drafts";
import { type Language, LANGUAGES, language, setLanguage, t } from "../i18n";
import { useLoad } from "../live";
import { useListQuery } from "../router";
import { OrganizationFields, limitsOf, readLimits } from "./people";
import { Badge, Button, Card, Copyable, Dialog, EmptyState, Form, Input, Link, Page, Pager, ErrorMessage, Select, LoadedView, Table, formatMoney, formatNumber, useAction, formatDateTime } from "../ui";
import { theme, setTheme } from "../theme";

const LIMIT = 25;

/** What the receiver answered, or why there was no answer. */
const responseOf = (one: Delivery) => (one.response_status ? `HTTP ${one.response_status}` : (one.error ?? "–"));

export function Webhooks() {
  const { of, offset, put, go } = useListQuery(LIMIT);
  const filter = { status: of("status"), event_type: of("event") };
  const [open, setOpen] = useState<string | null>(null);
  const state = useLoad(() => get<{ webhook_deliveries: Delivery[]; total: number }>(`/webhook-deliveries${query({ ...filter, limit: LIMIT, offset })}`), [JSON.stringify(filter), offset], { live: true, everyMs: 15_000 });
  const { busy, error, run } = useAction();
  return (
    <Page title={t("Webhook deliveries")}>
      <search class="filters">
        <Select label={t("Status")} value={filter.status} set={(status) => put({ status })} options={[["", t("All")], ...["pending", "delivered", "failed"].map((one): [string, string] => [one, t(one)])]} />
        <Select label={t("Event")} value={filter.event_type} set={(event) => put({ event })} options={[["", t("All")], ...["status-update", "agent-changed", "end-of-call-report", "call_started", "call_completed", "call_failed", "alert"].map((one): [string, string] => [one, one])]} />
      </search>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ webhook_deliveries, total }) => webhook_deliveries.length ? (
          <Card wide>
            <Table caption={t("Webhook deliveries")} rows={webhook_deliveries} columns={[
              { name: t("Event"), cell: (one) => <button type="button" class="link" onClick={() => setOpen(one.id)}>{one.event_type}</button> },
              { name: t("Address"), extra: true, cell: (one) => <span class="clip">{one.url}</span> },
              { name: t("Status"), cell: (one) => <Badge value={one.status} /> },
              { name: t("Attempts"), right: true, extra: true, cell: (one) => one.attempts },
              { name: t("Response"), cell: (one) => <span class="clip">{responseOf(one)}</span> },
              { name: t("Next attempt"), extra: true, cell: (one) => formatDateTime(one.next_attempt_at) },
              { name: t("Created"), extra: true, cell: (one) => formatDateTime(one.created_at) },
              { name: "", right: true, cell: (one) => one.status !== "pending" && <Button kind="quiet" busy={busy} aria-label={`${t("Send again")}: ${one.event_type}`} onClick={() => run(async () => { await post(`/webhook-deliveries/${one.id}/resend`); state.reload(); })}>{t("Send again")}</Button> },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : filter.status || filter.event_type || offset ? (
          <EmptyState title={t("No matching deliveries")}><Button kind="quiet" onClick={() => put({ status: "", event: "" })}>{t("Clear the filters")}</Button></EmptyState>
        ) : <EmptyState title={t("Nothing has been sent yet")}>{t("Set a webhook on an agent or task to receive the events of its calls.")} <Link to="agents">{t("Agents")}</Link></EmptyState>}
      </LoadedView>
      {open && <Payload id={open} close={() => setOpen(null)} />}
    </Page>
  );
}

function Payload({ id, close }: { id: string; close: () => void }) {
  const state = useLoad(() => get<{ webhook_delivery: Delivery }>(`/webhook-deliveries/${id}`), [id]);
  return (
    <Dialog title={t("What was sent")} close={close} wide>
      <LoadedView of={state}>
        {({ webhook_delivery: one }) => (
          <>
            <p class="reason">{one.url}</p>
            <dl class="facts">
              <div><dt>{t("Status")}</dt><dd><Badge value={one.status} /></dd></div>
              <div><dt>{t("Attempts")}</dt><dd>{one.attempts}</dd></div>
              <div><dt>{t("Response")}</dt><dd>{responseOf(one)}</dd></div>
              {one.next_attempt_at && <div><dt>{t("Next attempt")}</dt><dd>{formatDateTime(one.next_attempt_at)}</dd></div>}
              {one.call_id && <div><dt>{t("Call")}</dt><dd><Link to={`calls/${one.call_id}`}>{t("The whole call")}</Link></dd></div>}
              <div><dt>webhook-id</dt><dd><Copyable text={one.id} name="webhook-id" /></dd></div>
            </dl>
            {one.error && <p class="problem">{one.error}</p>}
            <pre tabIndex={0}>{JSON.stringify(one.payload, null, 2)}</pre>
          </>
        )}
      </LoadedView>
    </Dialog>
  );
}

const DAY_MS = 86_400_000;

/** Every day between two, also those nothing happened on. */
function fillMissingDays({ from, to, usage }: UsageBody): UsageDay[] {
  const days: UsageDay[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const day = new Date(at).toISOString().slice(0, 10);
    const sum = { day, calls: 0, seconds: 0, prompt_tokens: 0, completion_tokens: 0, characters: 0, cost: 0 };
    for (const row of usage.filter((one) => one.day === day)) {
      for (const name of ["calls", "seconds", "prompt_tokens", "completion_tokens", "characters", "cost"] as const) sum[name] += row[name];
    }
    days.push(sum);
  }
  return days;
}

const USAGE_COLUMNS = ["day", "calls", "seconds", "prompt_tokens", "completion_tokens", "characters", "cost"] as const;

export function Usage() {
  const { of, put } = useListQuery(LIMIT);
  const days = ["7", "30", "90"].includes(of("days")) ? of("days") : "30";
  const from = new Date(Date.now() - (Number(days) - 1) * DAY_MS).toISOString().slice(0, 10);
  const state = useLoad(() => get<UsageBody>(`/usage${query({ from })}`), [from], { live: true });
  const download = (usage: UsageBody) => save(`usage-${usage.from}-${usage.to}.csv`, write([...USAGE_COLUMNS, "currency"], fillMissingDays(usage).map((day) => [...USAGE_COLUMNS.map((name) => day[name]), usage.currency])));
  return (
    <Page title={t("Usage")} actions={<Button disabled={!state.data?.total.calls} onClick={() => state.data && download(state.data)}>{t("Export CSV")}</Button>}>
      <search class="filters">
        <Select label={t("Period")} value={days} set={(value) => put({ days: value })} options={["7", "30", "90"].map((count) => [count, `${count} ${t("days")}`])} />
      </search>
      <LoadedView of={state}>
        {(usage) => {
          const all = fillMissingDays(usage);
          return (
            <>
              {!usage.total.calls && <EmptyState title={t("No usage in this period")}>{t("Calls appear here shortly after they end.")}</EmptyState>}
              <div class="columns">
                <Card><Bars days={all} label={t("Calls")} value={(day) => day.calls} unit={(value) => formatNumber(value, Number.isInteger(value) ? 0 : 1)} /></Card>
                <Card><Bars days={all} label={t("Minutes")} value={(day) => day.seconds / 60} unit={(value) => formatNumber(value, 1)} /></Card>
                <Card><Bars days={all} label={t("Cost")} value={(day) => day.cost} unit={(value) => formatMoney(value, usage.currency)} /></Card>
                <Card><Bars days={all} label={t("Tokens")} value={(day) => day.prompt_tokens + day.completion_tokens} unit={(value) => formatNumber(value)} /></Card>
                <Card><Bars days={all} label={t("Characters spoken")} value={(day) => day.characters} unit={(value) => formatNumber(value)} /></Card>
              </div>
              <p class="soft">{t("Days are in UTC.")} {usage.total.cost === 0 && usage.total.calls > 0 && t("No prices configured; costs show as zero.")}</p>
            </>
          );
        }}
      </LoadedView>
    </Page>
  );
}

const DRAFT = "settings";

export function Settings({ me, changed }: { me: Me; changed: () => void }) {
  const { organization, user } = me;
  const stored = limitsOf(organization);
  // What was typed on another visit and not saved, of this organization.
  const [fields, set] = useState(() => readDraft<typeof stored>(`${DRAFT}.${organization.id}`) ?? stored);
  const [saved, setSaved] = useState(false);
  const [passwords, setPasswords] = useState({ current: "", next: "" });
  const [done, setDone] = useState(false);
  const differs = JSON.stringify(fields) !== JSON.stringify(stored);
  useLayoutEffect(() => writeDraft(`${DRAFT}.${organization.id}`, differs ? fields : null), [fields, differs]);
  return (
    <Page title={t("Settings")}>
      <div class="columns">
        <div class="stack">
          <Card title={t("This console")}>
            <Select label={t("Language")} value={language()} set={(value) => setLanguage(value as Language)} options={LANGUAGES} />
            <Select label={t("Theme")} value={theme()} set={setTheme} options={[["", t("System default")], ["light", t("Light")], ["dark", t("Dark")]]} />
          </Card>
          <Card title={t("More")}>
            <ul class="links">
              <li><a href="/docs">{t("API documentation")}</a></li>
              <li><a href="/examples/call.html">{t("Example page that makes a call")}</a></li>
              <li><a href="/trunkline.d.ts">{t("Types of trunkline.js")}</a></li>
              {user.role !== "member" && <li><Link to="audit">{t("Audit log")}</Link></li>}
            </ul>
          </Card>
        </div>
        <Card title={t("Organization")}>
          <Form label={t("Save")} locked={user.role === "owner" ? undefined : t("Only an owner can change this.")} beside={differs && !saved && <><Button onClick={() => set(stored)}>{t("Discard changes")}</Button> <span class="soft">{t("Unsaved changes")}</span></>} submit={async () => {
            setSaved(false);
            await patch(`/organizations/${organization.id}`, readLimits(fields));
            writeDraft(`${DRAFT}.${organization.id}`, null);
            setSaved(true);
            changed();
          }}>
            <OrganizationFields fields={fields} set={(now) => { setSaved(false); set(now); }} />
            {saved && <p class="good" role="status">{t("Saved")}</p>}
          </Form>
        </Card>
        <Card title={t("Password")}>
          <Form label={t("Change")} submit={async () => {
            setDone(false);
            await post("/auth/password", { current_password: passwords.current, new_password: passwords.next });
            setPasswords({ current: "", next: "" });
            setDone(true);
          }}>
            <Input label={t("Current password")} type="password" required autocomplete="current-password" value={passwords.current} set={(current) => setPasswords({ ...passwords, current })} />
            <Input label={t("New password")} type="password" required minLength={10} autocomplete="new-password" hint={t("At least ten characters.")} value={passwords.next} set={(next) => setPasswords({ ...passwords, next })} />
            {done && <p class="good" role="status">{t("Changed. Other sessions have ended.")}</p>}
          </Form>
        </Card>
      </div>
    </Page>
  );
}

interface AuditEntry {
  id: string;
  actor: string;
  action: string;
  target: string | null;
  at: string;
}

export function AuditLog() {
  const { offset, go } = useListQuery(LIMIT);
  const state = useLoad(() => get<{ entries: AuditEntry[]; total: number }>(`/audit-log${query({ limit: LIMIT, offset })}`), [offset]);
  return (
    <Page title={t("Audit log")}>
      <LoadedView of={state}>
        {({ entries, total }) => entries.length ? (
          <Card wide>
            <Table caption={t("Audit log")} rows={entries} columns={[
              { name: t("Time"), cell: (entry) => formatDateTime(entry.at) },
              { name: t("Who"), cell: (entry) => entry.actor },
              { name: t("What"), cell: (entry) => entry.action },
              { name: t("Changed object"), extra: true, cell: (entry) => (entry.target ? <code>{entry.target}</code> : "–") },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : <EmptyState title={t("Nothing yet")}>{t("Changes by people of this organization appear here.")}</EmptyState>}
      </LoadedView>
    </Page>
  );
}
