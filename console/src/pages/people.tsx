import { useState } from "preact/hooks";
import { type ApiKey, type Me, type Organization, type User, get, patch, post, remove } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { Badge, Button, Card, Checkbox, Confirm, Dialog, EmptyState, Form, Input, ShownOnce, Page, ErrorMessage, Select, LoadedView, Table, useAction, formatDateTime } from "../ui";

const SCOPES = ["agents", "tasks", "calls", "phone-numbers", "trunks", "providers", "usage", "webhook-deliveries"].flatMap((name) => (name === "usage" ? [`${name}:read`] : [`${name}:read`, `${name}:write`]));

export function Keys() {
  const state = useLoad(() => get<{ api_keys: ApiKey[] }>("/api-keys?limit=100"), []);
  const [made, setMade] = useState<string | null>(null);
  const [open, setOpen] = useState(false);
  return (
    <Page title={t("API keys")} actions={<Button kind="main" onClick={() => setOpen(true)}>{t("New key")}</Button>}>
      {made && <ShownOnce label={t("Copy the key now: it is not shown again.")} text={made} />}
      <LoadedView of={state}>
        {({ api_keys }) => api_keys.length ? (
          <Card wide>
            <Table caption={t("API keys")} rows={api_keys} columns={[
              { name: t("Name"), cell: (key) => key.name },
              { name: t("Begins with"), cell: (key) => <code>{key.prefix}…</code> },
              { name: t("May"), extra: true, cell: (key) => key.scopes?.join(", ") ?? t("everything") },
              { name: t("Last used"), extra: true, cell: (key) => formatDateTime(key.last_used_at) },
              { name: t("Expires"), extra: true, cell: (key) => formatDateTime(key.expires_at) },
              { name: "", right: true, cell: (key) => (
                <span class="actions">
                  <Confirm label={t("Regenerate")} name={key.name} question={t("The old key stops working at once.")} act={async () => { setMade((await post<{ api_key: { key: string } }>(`/api-keys/${key.id}/regenerate`)).api_key.key); state.reload(); }} />
                  <Confirm label={t("Delete")} name={key.name} question={t("Requests with this key are rejected immediately.")} act={async () => { await remove(`/api-keys/${key.id}`); state.reload(); }} />
                </span>
              ) },
            ]} />
          </Card>
        ) : <EmptyState title={t("No keys yet")}>{t("Programs use the API with a key. Give each program its own key, with only the scopes that it needs.")}</EmptyState>}
      </LoadedView>
      {open && <NewKey close={(key) => { setOpen(false); if (key) setMade(key); state.reload(); }} />}
    </Page>
  );
}

function NewKey({ close }: { close: (key?: string) => void }) {
  const [name, setName] = useState("");
  const [all, setAll] = useState(true);
  const [scopes, setScopes] = useState<string[]>([]);
  const [expires, setExpires] = useState("");
  return (
    <Dialog title={t("New key")} close={() => close()}>
      <Form label={t("Create")} submit={async () => {
        const body = { name, ...(all ? {} : { scopes }), ...(expires ? { expires_at: new Date(expires).toISOString() } : {}) };
        close((await post<{ api_key: { key: string } }>("/api-keys", body)).api_key.key);
      }}>
        <Input label={t("Name")} required hint={t("The program that uses this key.")} value={name} set={setName} />
        <Checkbox label={t("Full access")} checked={all} set={setAll} />
        {!all && <fieldset class="scopes"><legend>{t("May")}</legend>{SCOPES.map((scope) => <Checkbox key={scope} label={scope} checked={scopes.includes(scope)} set={(on) => setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope))} />)}</fieldset>}
        <Input label={t("Expires")} type="datetime-local" value={expires} set={setExpires} />
      </Form>
    </Dialog>
  );
}

const ROLES = (): [string, string][] => ["owner", "admin", "member"].map((role) => [role, t(role)]);

export function Users({ me }: { me: User }) {
  const state = useLoad(() => get<{ users: User[] }>("/users?limit=100"), []);
  const [open, setOpen] = useState(false);
  const [invited, setInvited] = useState<string | null>(null);
  const { busy, error, run } = useAction();
  const manages = me.role !== "member";
  return (
    <Page title={t("People")} actions={manages && <Button kind="main" onClick={() => setOpen(true)}>{t("Invite")}</Button>}>
      {invited && <ShownOnce label={t("Send this link to the person. It is valid for a week.")} text={invited} />}
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ users }) => (
          <Card wide>
            <Table caption={t("People")} rows={users} columns={[
              { name: t("E-mail"), cell: (user) => user.email },
              { name: t("Name"), extra: true, cell: (user) => user.name ?? "–" },
              { name: t("Role"), cell: (user) => manages && user.id !== me.id ? (
                <select aria-label={`${t("Role")}: ${user.email}`} disabled={busy} value={user.role} onChange={(event) => { const role = event.currentTarget.value; run(async () => { await patch(`/users/${user.id}`, { role }).finally(state.reload); }); }}>
                  {ROLES().map(([role, name]) => <option key={role} value={role}>{name}</option>)}
                </select>
              ) : t(user.role) },
              { name: t("Since"), extra: true, cell: (user) => formatDateTime(user.created_at) },
              { name: "", right: true, cell: (user) => manages && user.id !== me.id && <Confirm label={t("Remove")} name={user.email} question={t("This person can no longer log in.")} act={async () => { await remove(`/users/${user.id}`); state.reload(); }} /> },
            ]} />
          </Card>
        )}
      </LoadedView>
      {open && <Invite close={(link) => { setOpen(false); if (link) setInvited(link); state.reload(); }} />}
    </Page>
  );
}

function Invite({ close }: { close: (link?: string) => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("member");
  return (
    <Dialog title={t("Invite")} close={() => close()}>
      <Form label={t("Invite")} submit={async () => {
        const { invitation } = await post<{ invitation: { token: string } }>("/users/invite", { email, role });
        close(`${location.origin}/#/invitation/${invitation.token}`);
      }}>
        <Input label={t("E-mail")} type="email" required value={email} set={setEmail} />
        <Select label={t("Role")} value={role} set={setRole} options={ROLES()} />
      </Form>
    </Dialog>
  );
}

export function Organizations({ me }: { me: Me }) {
  const state = useLoad(() => get<{ organizations: Organization[] }>("/organizations?limit=100"), []);
  const [open, setOpen] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  const owner = me.user.role === "owner";
  return (
    <Page title={t("Organizations")} actions={owner && <Button kind="main" onClick={() => setOpen(true)}>{t("New organization")}</Button>}>
      <p class="soft">{t("Sub-organizations have their own agents, numbers and keys; their usage is on your bill.")}</p>
      {made && <ShownOnce label={t("Copy the key now: it is not shown again.")} text={made} />}
      <LoadedView of={state}>
        {({ organizations }) => (
          <Card wide>
            <Table caption={t("Organizations")} rows={organizations} columns={[
              { name: t("Name"), cell: (one) => <>{one.name} {one.id === me.organization.id && <Badge value="yours" tone="good">{t("yours")}</Badge>}</> },
              { name: t("Concurrent calls"), right: true, cell: (one) => one.max_concurrent_calls ?? t("no limit") },
              { name: t("Calls per second"), right: true, extra: true, cell: (one) => one.calls_per_second ?? t("no limit") },
              { name: t("Since"), extra: true, cell: (one) => formatDateTime(one.created_at) },
            ]} />
          </Card>
        )}
      </LoadedView>
      {open && <NewOrganization parent={me.organization.id} close={(key) => { setOpen(false); if (key) setMade(key); state.reload(); }} />}
    </Page>
  );
}

function NewOrganization({ parent, close }: { parent: string; close: (key?: string) => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  return (
    <Dialog title={t("New organization")} close={() => close()}>
      <Form label={t("Create")} submit={async () => {
        const body = { name, parent_org_id: parent, ...(email ? { owner_email: email } : {}) };
        close((await post<{ api_key: { key: string } }>("/organizations", body)).api_key.key);
      }}>
        <Input label={t("Name")} required value={name} set={setName} />
        <Input label={t("Owner's e-mail")} type="email" value={email} set={setEmail} />
      </Form>
    </Dialog>
  );
}
