import { useState } from "preact/hooks";
import { type Delivery, type Me, type Usage as UsageBody, type UsageDay, get, patch, post, query } from "../api";
import { Bars } from "../charts";
import { type Language, LANGUAGES, language, setLanguage, t } from "../i18n";
import { useLoad } from "../live";
import { Badge, Button, Card, Dialog, EmptyState, Form, Input, Link, Page, Pager, ErrorMessage, Select, LoadedView, Table, formatMoney, formatNumber, useAction, formatDateTime } from "../ui";
import { theme, setTheme } from "../theme";

const LIMIT = 25;

export function Webhooks() {
  const [status, setStatus] = useState("");
  const [offset, setOffset] = useState(0);
  const [open, setOpen] = useState<string | null>(null);
  const state = useLoad(() => get<{ webhook_deliveries: Delivery[]; total: number }>(`/webhook-deliveries${query({ status, limit: LIMIT, offset })}`), [status, offset], { live: true });
  const { busy, error, run } = useAction();
  return (
    <Page title={t("Webhook deliveries")}>
      <search class="filters">
        <Select label={t("Status")} value={status} set={(value) => { setOffset(0); setStatus(value); }} options={[["", t("All")], ...["pending", "delivered", "failed"].map((one): [string, string] => [one, t(one)])]} />
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
              { name: t("Answer"), cell: (one) => <span class="clip">{one.response_status ?? one.error ?? "–"}</span> },
              { name: t("Time"), extra: true, cell: (one) => formatDateTime(one.created_at) },
              { name: "", right: true, cell: (one) => one.status !== "pending" && <Button kind="quiet" busy={busy} aria-label={`${t("Send again")}: ${one.event_type}`} onClick={() => run(async () => { await post(`/webhook-deliveries/${one.id}/resend`); state.reload(); })}>{t("Send again")}</Button> },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={setOffset} />
          </Card>
        ) : <EmptyState title={status ? t("No matching deliveries") : t("Nothing has been sent yet")}>{t("Set a webhook on an agent or task to receive the events of its calls.")} <Link to="agents">{t("Agents")}</Link></EmptyState>}
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
            <p class="clip">{one.url}</p>
            {one.call_id && <p><Link to={`calls/${one.call_id}`}>{t("The whole call")}</Link></p>}
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

export function Usage() {
  const [days, setDays] = useState("30");
  const from = new Date(Date.now() - (Number(days) - 1) * DAY_MS).toISOString().slice(0, 10);
  const state = useLoad(() => get<UsageBody>(`/usage${query({ from })}`), [from], { live: true });
  return (
    <Page title={t("Usage")}>
      <search class="filters">
        <Select label={t("Period")} value={days} set={setDays} options={["7", "30", "90"].map((count) => [count, `${count} ${t("days")}`])} />
      </search>
      <LoadedView of={state}>
        {(usage) => {
          const all = fillMissingDays(usage);
          return (
            <>
              {!usage.total.calls && <EmptyState title={t("No usage in this period")}>{t("Calls appear here shortly after they end.")}</EmptyState>}
              <div class="columns">
                <Card><Bars days={all} label={t("Calls")} value={(day) => day.calls} unit={(value) => formatNumber(value)} /></Card>
                <Card><Bars days={all} label={t("Minutes")} value={(day) => day.seconds / 60} unit={(value) => formatNumber(value, 1)} /></Card>
                <Card><Bars days={all} label={t("Cost")} value={(day) => day.cost} unit={(value) => formatMoney(value, usage.currency)} /></Card>
                <Card><Bars days={all} label={t("Tokens")} value={(day) => day.prompt_tokens + day.completion_tokens} unit={(value) => formatNumber(value)} /></Card>
                <Card><Bars days={all} label={t("Characters spoken")} value={(day) => day.characters} unit={(value) => formatNumber(value)} /></Card>
              </div>
              {usage.total.cost === 0 && usage.total.calls > 0 && <p class="soft">{t("The server's price table is empty, so no costs are shown.")}</p>}
            </>
          );
        }}
      </LoadedView>
    </Page>
  );
}

export function Settings({ me, changed }: { me: Me; changed: () => void }) {
  const { organization, user } = me;
  const [name, setName] = useState(organization.name);
  const [calls, setCalls] = useState(String(organization.max_concurrent_calls ?? ""));
  const [rate, setRate] = useState(String(organization.calls_per_second ?? ""));
  const [minutes, setMinutes] = useState(String(organization.max_minutes_per_day ?? ""));
  const [spend, setSpend] = useState(String(organization.max_spend_per_day ?? ""));
  const [saved, setSaved] = useState(false);
  const [passwords, setPasswords] = useState({ current: "", next: "" });
  const [done, setDone] = useState(false);
  return (
    <Page title={t("Settings")}>
      <div class="columns">
        <Card title={t("This console")}>
          <Select label={t("Language")} value={language()} set={(value) => setLanguage(value as Language)} options={LANGUAGES} />
          <Select label={t("Theme")} value={theme()} set={setTheme} options={[["", t("System default")], ["light", t("Light")], ["dark", t("Dark")]]} />
        </Card>
        <Card title={t("Organization")}>
          <Form label={t("Save")} submit={async () => {
            setSaved(false);
            const limit = (text: string) => (text ? Number(text) : null);
            await patch(`/organizations/${organization.id}`, {
              name,
              max_concurrent_calls: limit(calls),
              calls_per_second: limit(rate),
              max_minutes_per_day: limit(minutes),
              max_spend_per_day: limit(spend),
            });
            setSaved(true);
            changed();
          }}>
            <Input label={t("Name")} required value={name} set={setName} />
            <Input label={t("Concurrent calls")} type="number" min={1} hint={t("Further tasks wait. Empty: no limit.")} value={calls} set={setCalls} />
            <Input label={t("Calls per second")} type="number" min={0.01} step={0.01} value={rate} set={setRate} />
            <Input label={t("Minutes per day")} type="number" min={1} hint={t("No calls are made above these limits. Empty: no limit.")} value={minutes} set={setMinutes} />
            <Input label={t("Spending per day")} type="number" min={0.01} step={0.01} value={spend} set={setSpend} />
            {user.role !== "owner" && <p class="soft">{t("Only an owner can change this.")}</p>}
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
        <Card title={t("More")}>
          <ul>
            <li><a href="/docs">{t("API documentation")}</a></li>
            <li><a href="/examples/call.html">{t("Example page that makes a call")}</a></li>
            <li><a href="/trunkline.d.ts">{t("Types of trunkline.js")}</a></li>
          </ul>
          {user.role !== "member" && <AuditLog />}
        </Card>
      </div>
    </Page>
  );
}

function AuditLog() {
  const state = useLoad(() => get<{ entries: { id: string; actor: string; action: string; at: string }[] }>("/audit-log?limit=10"), []);
  return (
    <>
      <h3>{t("Audit log")}</h3>
      <LoadedView of={state}>
        {({ entries }) => entries.length ? (
          <Table caption={t("Audit log")} rows={entries} columns={[
            { name: t("Time"), cell: (entry) => formatDateTime(entry.at) },
            { name: t("Who"), cell: (entry) => entry.actor },
            { name: t("What"), cell: (entry) => entry.action },
          ]} />
        ) : <p class="soft">{t("Nothing yet.")}</p>}
      </LoadedView>
    </>
  );
}
