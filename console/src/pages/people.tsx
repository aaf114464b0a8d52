import { useState } from "preact/hooks";
import { type ApiKey, type Me, type Organization, type PendingInvitation, type User, getAll, patch, post, remove } from "../api";
import { t } from "../i18n";
import { useLoad } from "../live";
import { Badge, Button, Card, Checkbox, Confirm, Dialog, EmptyState, Form, Input, ShownOnce, Page, ErrorMessage, Select, LoadedView, Table, useAction, usePage, formatDateTime, formatNumber } from "../ui";

const LIMIT = 25;
const SCOPES = ["agents", "tasks", "calls", "phone-numbers", "trunks", "providers", "usage", "doctor", "webhook-deliveries"].flatMap((name) => (name === "usage" || name === "doctor" ? [`${name}:read`] : [`${name}:read`, `${name}:write`]));

export function Keys() {
  const state = useLoad(() => getAll<ApiKey>("/api-keys", "api_keys"), []);
  const { shown, pager } = usePage(state.data ?? [], LIMIT);
  const [made, setMade] = useState<string | null>(null);
  const [open, setOpen] = useState(false);
  return (
    <Page title={t("API keys")} actions={<Button kind="main" onClick={() => setOpen(true)}>{t("New key")}</Button>}>
      {made && <ShownOnce label={t("Copy the key now: it is not shown again.")} text={made} />}
      <LoadedView of={state}>
        {(api_keys) => api_keys.length ? (
          <Card wide>
            <Table caption={t("API keys")} rows={shown} columns={[
              { name: t("Name"), cell: (key) => key.name },
              { name: t("Begins with"), cell: (key) => <code>{key.prefix}…</code> },
              { name: t("Permissions"), extra: true, cell: (key) => key.scopes?.join(", ") ?? t("full access") },
              { name: t("Last used"), extra: true, cell: (key) => (key.last_used_at ? formatDateTime(key.last_used_at) : t("never")) },
              { name: t("Expires"), extra: true, cell: (key) => (key.expires_at ? formatDateTime(key.expires_at) : t("never")) },
              { name: "", right: true, cell: (key) => (
                <span class="actions">
                  <Confirm label={t("Regenerate")} name={key.name} question={t("The old key stops working at once.")} act={async () => { setMade((await post<{ api_key: { key: string } }>(`/api-keys/${key.id}/regenerate`)).api_key.key); state.reload(); }} />
                  <Confirm label={t("Delete")} name={key.name} question={t("Requests with this key are rejected immediately.")} act={async () => { await remove(`/api-keys/${key.id}`); state.reload(); }} />
                </span>
              ) },
            ]} />
            {pager}
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
        {!all && <fieldset class="scopes"><legend>{t("Permissions")}</legend>{SCOPES.map((scope) => <Checkbox key={scope} label={scope} checked={scopes.includes(scope)} set={(on) => setScopes(on ? [...scopes, scope] : scopes.filter((one) => one !== scope))} />)}</fieldset>}
        <Input label={t("Expires")} type="datetime-local" value={expires} set={setExpires} />
      </Form>
    </Dialog>
  );
}

const ROLES = (): [string, string][] => ["owner", "admin", "member"].map((role) => [role, t(role)]);

export function Users({ me }: { me: User }) {
  const state = useLoad(() => getAll<User>("/users", "users"), []);
  const [open, setOpen] = useState(false);
  const [invited, setInvited] = useState<string | null>(null);
  const { busy, error, run } = useAction();
  const { shown, pager } = usePage(state.data ?? [], LIMIT);
  const manages = me.role !== "member";
  const pending = useLoad(() => (manages ? getAll<PendingInvitation>("/users/invitations", "invitations") : Promise.resolve([])), [manages]);
  // Only an owner changes roles and removes people.
  const changesRoles = me.role === "owner";
  return (
    <Page title={t("People")} actions={manages && <Button kind="main" onClick={() => setOpen(true)}>{t("Invite")}</Button>}>
      {invited && <ShownOnce label={t("Send this link to the person. It is valid for a week.")} text={invited} />}
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {() => (
          <Card wide>
            <Table caption={t("People")} rows={shown} columns={[
              { name: t("E-mail"), cell: (user) => user.email },
              { name: t("Name"), extra: true, cell: (user) => user.name ?? "–" },
              { name: t("Role"), cell: (user) => changesRoles && user.id !== me.id ? (
                <select aria-label={`${t("Role")}: ${user.email}`} disabled={busy} value={user.role} onChange={(event) => { const role = event.currentTarget.value; run(async () => { await patch(`/users/${user.id}`, { role }).finally(state.reload); }); }}>
                  {ROLES().map(([role, name]) => <option key={role} value={role}>{name}</option>)}
                </select>
              ) : t(user.role) },
              { name: t("Since"), extra: true, cell: (user) => formatDateTime(user.created_at) },
              { name: "", right: true, cell: (user) => changesRoles && user.id !== me.id && <Confirm label={t("Remove")} name={user.email} question={t("This person can no longer log in.")} act={async () => { await remove(`/users/${user.id}`); state.reload(); }} /> },
            ]} />
            {pager}
          </Card>
        )}
      </LoadedView>
      {manages && pending.data && pending.data.length > 0 && (
        <Card title={t("Pending invitations")} wide>
          <Table caption={t("Pending invitations")} rows={pending.data} columns={[
            { name: t("E-mail"), cell: (one) => one.email },
            { name: t("Role"), cell: (one) => t(one.role) },
            { name: t("Expires"), cell: (one) => formatDateTime(one.expires_at) },
            { name: "", right: true, cell: (one) => <Confirm label={t("Revoke")} name={one.email} question={t("The link that was sent stops working.")} act={async () => { await remove(`/users/invitations/${one.id}`); setInvited(null); pending.reload(); }} /> },
          ]} />
        </Card>
      )}
      {open && <Invite me={me} close={(link) => { setOpen(false); if (link) setInvited(link); state.reload(); pending.reload(); }} />}
    </Page>
  );
}

/** Where an invited person chooses a password. */
const invitationLink = (token: string) => `${location.origin}/#/invitation/${token}`;

function Invite({ me, close }: { me: User; close: (link?: string) => void }) {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState("member");
  return (
    <Dialog title={t("Invite")} close={() => close()}>
      <Form label={t("Invite")} submit={async () => {
        const { invitation } = await post<{ invitation: { token: string } }>("/users/invite", { email, role });
        close(invitationLink(invitation.token));
      }}>
        <Input label={t("E-mail")} type="email" required value={email} set={setEmail} />
        <Select label={t("Role")} value={role} set={setRole} options={ROLES().filter(([one]) => me.role === "owner" || one !== "owner")} />
        <p class="soft">{t("A second invitation to the same address makes the first one void.")}</p>
      </Form>
    </Dialog>
  );
}

/** What is shown once when an organization was made: a key, and the invitation of its owner. */
interface MadeOrganization {
  name: string;
  key: string;
  invitation: string | null;
}

export function Organizations({ me }: { me: Me }) {
  const state = useLoad(() => getAll<Organization>("/organizations", "organizations"), []);
  const { shown, pager } = usePage(state.data ?? [], LIMIT);
  const [open, setOpen] = useState<Organization | "new" | null>(null);
  const [made, setMade] = useState<MadeOrganization | null>(null);
  const owner = me.user.role === "owner";
  const name = (id: string | null) => state.data?.find((one) => one.id === id)?.name ?? "–";
  return (
    <Page title={t("Organizations")} actions={owner && <Button kind="main" onClick={() => setOpen("new")}>{t("New organization")}</Button>}>
      <p class="soft">{t("Sub-organizations have their own agents, numbers and keys; their usage is on your bill.")}</p>
      {made && <ShownOnce label={`${made.name}: ${t("Copy the key now: it is not shown again.")}`} text={made.key} />}
      {made?.invitation && <ShownOnce label={`${made.name}: ${t("Send this link to the owner, who chooses a password with it. It is valid for a week and not shown again.")}`} text={invitationLink(made.invitation)} />}
      {made && !made.invitation && <p class="soft">{t("The organization has no owner who can log in: it is managed with its key.")}</p>}
      <LoadedView of={state}>
        {() => (
          <Card wide>
            <Table caption={t("Organizations")} rows={shown} columns={[
              { name: t("Name"), cell: (one) => <>{owner ? <button type="button" class="link" onClick={() => setOpen(one)}>{one.name}</button> : one.name} {one.id === me.organization.id && <Badge value="yours" tone="good">{t("yours")}</Badge>}</> },
              { name: t("Belongs to"), extra: true, cell: (one) => name(one.parent_org_id) },
              { name: t("Concurrent calls"), right: true, cell: (one) => limit(one.max_concurrent_calls) },
              { name: t("Calls per second"), right: true, extra: true, cell: (one) => limit(one.calls_per_second, 2) },
              { name: t("Minutes per day"), right: true, extra: true, cell: (one) => limit(one.max_minutes_per_day) },
              { name: t("Since"), extra: true, cell: (one) => formatDateTime(one.created_at) },
            ]} />
            {pager}
          </Card>
        )}
      </LoadedView>
      {open === "new" && <NewOrganization parent={me.organization.id} close={(one) => { setOpen(null); if (one) setMade(one); state.reload(); }} />}
      {open && open !== "new" && <EditOrganization organization={open} close={() => { setOpen(null); state.reload(); }} />}
    </Page>
  );
}

const limit = (value: number | null, digits = 0) => (value === null ? t("no limit") : formatNumber(value, Number.isInteger(value) ? 0 : digits));

function EditOrganization({ organization, close }: { organization: Organization; close: () => void }) {
  const [fields, set] = useState(limitsOf(organization));
  return (
    <Dialog title={organization.name} close={close}>
      <Form label={t("Save")} submit={async () => { await patch(`/organizations/${organization.id}`, readLimits(fields)); close(); }}>
        <OrganizationFields fields={fields} set={set} />
      </Form>
    </Dialog>
  );
}

export type LimitFields = Record<"name" | "max_concurrent_calls" | "calls_per_second" | "max_minutes_per_day" | "max_spend_per_day", string>;

export const limitsOf = (organization: Organization): LimitFields => ({
  name: organization.name,
  max_concurrent_calls: String(organization.max_concurrent_calls ?? ""),
  calls_per_second: String(organization.calls_per_second ?? ""),
  max_minutes_per_day: String(organization.max_minutes_per_day ?? ""),
  max_spend_per_day: String(organization.max_spend_per_day ?? ""),
});

export const readLimits = ({ name, ...limits }: LimitFields) => ({ name, ...Object.fromEntries(Object.entries(limits).map(([field, text]) => [field, text ? Number(text) : null])) });

/** Name and limits of an organization. */
export function OrganizationFields({ fields, set }: { fields: LimitFields; set: (fields: LimitFields) => void }) {
  const put = (name: keyof LimitFields) => (value: string) => set({ ...fields, [name]: value });
  return (
    <>
      <Input label={t("Name")} required value={fields.name} set={put("name")} />
      <Input label={t("Concurrent calls")} type="number" min={1} hint={t("Further tasks wait. Empty: no limit.")} value={fields.max_concurrent_calls} set={put("max_concurrent_calls")} />
      <Input label={t("Calls per second")} type="number" min={0.01} step={0.01} value={fields.calls_per_second} set={put("calls_per_second")} />
      <Input label={t("Minutes per day")} type="number" min={1} hint={t("No calls are made above these limits. Empty: no limit.")} value={fields.max_minutes_per_day} set={put("max_minutes_per_day")} />
      <Input label={t("Daily spend limit")} type="number" min={0.01} step={0.01} value={fields.max_spend_per_day} set={put("max_spend_per_day")} />
    </>
  );
}

function NewOrganization({ parent, close }: { parent: string; close: (made?: MadeOrganization) => void }) {
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  return (
    <Dialog title={t("New organization")} close={() => close()}>
      <Form label={t("Create")} submit={async () => {
        const body = { name, parent_org_id: parent, ...(email ? { owner_email: email } : {}) };
        const answer = await post<{ api_key: { key: string }; invitation_token?: string | null }>("/organizations", body);
        close({ name, key: answer.api_key.key, invitation: answer.invitation_token ?? null });
      }}>
        <Input label={t("Name")} required value={name} set={setName} />
        <Input label={t("Owner's e-mail")} hint={t("You get a link for this person. Without an owner, nobody can log in to the organization.")} type="email" value={email} set={setEmail} />
      </Form>
    </Dialog>
  );
}
