import { useRef, useState } from "preact/hooks";
import { AGENT_NAMES, type AgentName, type PhoneNumber, type Task, type Trunk, getAll, patch, post, remove } from "../api";
import { CARRIERS, PLACEHOLDER } from "../carriers";
import { lineText, translated } from "../errors";
import { t } from "../i18n";
import { useLoad } from "../live";
import { type Route, setQuery } from "../router";
import { plainNumber } from "../phone";
import { Badge, Button, Card, Checkbox, Confirm, Copyable, Dialog, EmptyState, Form, Input, Link, Page, Select, LoadedView, Table, useAction, usePage } from "../ui";

const LIMIT = 25;

interface State {
  numbers: PhoneNumber[];
  trunks: Trunk[];
  agents: AgentName[];
}

interface Health {
  reachable: boolean;
  sip_status: number | null;
  latency_ms: number | null;
  problem: string | null;
}

async function load(): Promise<State> {
  const [numbers, trunks, agents] = await Promise.all([getAll<PhoneNumber>("/phone-numbers", "phone_numbers"), getAll<Trunk>("/trunks", "trunks"), getAll<AgentName>(AGENT_NAMES, "agents")]);
  return { numbers, trunks, agents };
}

/** `?new=trunk&carrier=twilio` opens a form at once: the checklist leads there. */
function asked({ params }: Route): { what: "number" | "trunk" } | null {
  const what = params.get("new");
  return what === "number" || what === "trunk" ? { what } : null;
}

export function Numbers({ route }: { route: Route }) {
  const state = useLoad(load, []);
  const [open, setOpen] = useState<{ what: "number" | "trunk" | "call"; trunk?: Trunk; number?: PhoneNumber } | null>(() => asked(route));
  const close = () => {
    setOpen(null);
    if (asked(route)) setQuery({});
    state.reload();
  };
  const trunkPage = usePage(state.data?.trunks ?? [], LIMIT);
  const numberPage = usePage(state.data?.numbers ?? [], LIMIT);
  return (
    <Page title={t("Phone numbers and trunks")} actions={<><Button onClick={() => setOpen({ what: "trunk" })}>{t("New trunk")}</Button><Button kind="main" onClick={() => setOpen({ what: "number" })}>{t("New number")}</Button></>}>
      <LoadedView of={state}>
        {({ numbers, trunks, agents }) => (
          <>
            <Card title={t("Trunks")} wide>
              {trunks.length ? (
                <><Table caption={t("Trunks")} rows={trunkPage.shown} columns={[
                  { name: t("Name"), cell: (trunk) => <button type="button" class="link" onClick={() => setOpen({ what: "trunk", trunk })}>{trunk.name}</button> },
                  { name: t("Host"), extra: true, cell: (trunk) => (trunk.host ? `${trunk.host}${trunk.port ? `:${trunk.port}` : ""} (${trunk.transport})` : t("receives only")) },
                  { name: t("Allowed source IPs"), extra: true, cell: (trunk) => trunk.allowed_addresses.join(", ") || t("none") },
                  { name: t("Registration"), extra: true, cell: (trunk) => <Registration trunk={trunk} /> },
                  { name: t("Health"), cell: (trunk) => <TrunkHealth trunk={trunk} /> },
                  { name: "", right: true, cell: (trunk) => (
                    <span class="actions">
                      {trunk.host && <Button kind="quiet" aria-label={`${t("Test call")}: ${trunk.name}`} onClick={() => setOpen({ what: "call", trunk })}>{t("Test call")}</Button>}
                      <Confirm label={t("Delete")} name={trunk.name} question={t("Delete this trunk? Its numbers will have no trunk.")} act={async () => { await remove(`/trunks/${trunk.id}`); state.reload(); }} />
                    </span>
                  ) },
                ]} />{trunkPage.pager}</>
              ) : <EmptyState title={t("No trunks yet")}>{t("A trunk is the connection to your carrier: its address, and where calls may come from.")}</EmptyState>}
            </Card>
            <Card title={t("Numbers")} wide>
              {numbers.length ? (
                <><Table caption={t("Numbers")} rows={numberPage.shown} columns={[
                  { name: t("Number"), cell: (number) => <button type="button" class="link" onClick={() => setOpen({ what: "number", number })}>{number.number}</button> },
                  { name: t("Name"), extra: true, cell: (number) => number.name ?? "–" },
                  { name: t("Answered by"), cell: (number) => (number.agent_id ? <Link to={`agents/${number.agent_id}`}>{agents.find((agent) => agent.id === number.agent_id)?.name ?? "–"}</Link> : t("no agent")) },
                  { name: t("Trunk"), extra: true, cell: (number) => trunks.find((trunk) => trunk.id === number.trunk_id)?.name ?? "–" },
                  { name: "", right: true, cell: (number) => <Confirm label={t("Delete")} name={number.number} question={t("Delete this number?")} act={async () => { await remove(`/phone-numbers/${number.id}`); state.reload(); }} /> },
                ]} />{numberPage.pager}</>
              ) : <EmptyState title={t("No numbers yet")}>{t("A number connects callers to an agent. Its calls must arrive over one of your trunks.")}</EmptyState>}
            </Card>
            {open?.what === "trunk" && <TrunkForm trunk={open.trunk} carrier={open.trunk ? "" : (route.params.get("carrier") ?? "")} close={close} />}
            {open?.what === "number" && <NumberForm number={open.number} {...{ agents, trunks, close }} />}
            {open?.what === "call" && open.trunk && <CallOut {...{ agents, close }} trunk={open.trunk} numbers={numbers} />}
          </>
        )}
      </LoadedView>
    </Page>
  );
}

function Registration({ trunk }: { trunk: Trunk }) {
  const state = trunk.state.registration;
  if (!trunk.register) return <Badge value="not used">{t("by address")}</Badge>;
  if (!state) return <span class="soft">{t("not tried yet")}</span>;
  return <><Badge value={state.registered ? "reachable" : "unreachable"}>{state.registered ? t("registered") : `${t("not registered")}${state.sip_status ? ` · ${state.sip_status}` : ""}`}</Badge>{!state.registered && state.problem && <Reason text={state.problem} />}</>;
}

/** Why something does not work, in words, below its state. */
const Reason = ({ text }: { text: string }) => <small class="reason">{translated(text)}</small>;

function TrunkHealth({ trunk }: { trunk: Trunk }) {
  const [health, set] = useState<Health | null>(null);
  const { busy, error, run } = useAction();
  if (!trunk.host) return <span class="soft">{t("receives only")}</span>;
  const probed = trunk.state.targets;
  const away = probed.filter((one) => !one.reachable);
  return (
    <>
      <span class="actions">
        {!health && probed.length > 0 && <Badge value={away.length ? "unreachable" : "reachable"}>{probed.length > 1 ? `${probed.length - away.length}/${probed.length} ${t("reachable")}` : away.length ? t("unreachable") : t("reachable")}</Badge>}
        {health && <span role="status"><Badge value={health.reachable ? "reachable" : "unreachable"}>{health.reachable ? `${t("reachable")} · ${health.sip_status} · ${health.latency_ms} ms` : t("unreachable")}</Badge></span>}
        <Button kind="quiet" busy={busy} aria-label={`${t("Check")}: ${trunk.name}`} onClick={() => run(async () => set(await post<Health>(`/trunks/${trunk.id}/test`)))}>{t("Check")}</Button>
      </span>
      {!health && away.map((one) => <Reason key={one.host} text={`${one.host}: ${one.sip_status ? `SIP ${one.sip_status}` : t("no answer to OPTIONS")}`} />)}
      {health?.problem && <Reason text={health.problem} />}
      {error && <span class="bad" role="alert">{lineText(error)}</span>}
    </>
  );
}

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);

/** A host as people copy it: without a scheme, and with its port and transport in the fields for them. */
export function readHost(text: string): { host: string; port?: string; transport?: string } {
  const match = /^(?:(sips?):)?(?:\/\/)?(?:[^@\s]*@)?(\[[0-9a-f:.]+\]|[^:;?\s/]+)(?::(\d{1,5}))?(?:;transport=(udp|tcp|tls))?[;?/]*$/i.exec(text.trim());
  if (!match) return { host: text.trim() };
  const [, scheme, host, port, transport] = match;
  const over = transport?.toLowerCase() ?? (scheme?.toLowerCase() === "sips" ? "tls" : undefined);
  return { host: host!.replace(/^\[|\]$/g, ""), ...(port ? { port } : {}), ...(over ? { transport: over } : {}) };
}

function TrunkForm({ trunk, carrier: first, close }: { trunk?: Trunk; carrier: string; close: () => void }) {
  const filled: Record<string, unknown> | undefined = trunk ?? (CARRIERS[first] && { name: CARRIERS[first].name, ...CARRIERS[first].fields, allowed_addresses: CARRIERS[first].fields.allowed?.split(", "), register: CARRIERS[first].register });
  const text = (name: string) => String(filled?.[name] ?? "");
  const [fields, set] = useState({ name: text("name"), host: text("host"), port: text("port"), transport: text("transport") || "udp", username: text("username"), password: "", from_user: text("from_user"), dial_string: text("dial_string") || "{e164}", allowed: ((filled?.allowed_addresses ?? []) as string[]).join(", "), codecs: (trunk?.codecs ?? ["PCMU", "PCMA"]).join(", "), max: text("max_concurrent_calls"), outbound_proxy: text("outbound_proxy"), srtp: text("srtp") || "off", country_code: text("country_code"), options: text("options_interval_s") });
  const [uris, setUris] = useState(trunk?.allow_sip_uri === true);
  const [register, setRegister] = useState(filled?.register === true);
  const [carrier, setCarrier] = useState(CARRIERS[first] ? first : "");
  const put = (name: keyof typeof fields) => (value: string) => set({ ...fields, [name]: value });
  const preset = (key: string) => {
    setCarrier(key);
    const chosen = CARRIERS[key];
    if (!chosen) return;
    const named = Object.values(CARRIERS).some((one) => one.name === fields.name);
    set({ ...fields, host: "", transport: "udp", allowed: "", srtp: "off", ...chosen.fields, name: fields.name && !named ? fields.name : chosen.name });
    setRegister(chosen.register === true);
  };
  return (
    <Dialog title={trunk ? trunk.name : t("New trunk")} close={close} wide>
      <Form label={trunk ? t("Save") : t("Create")} submit={async () => {
        if (PLACEHOLDER.test(`${fields.host} ${fields.allowed}`)) throw new Error("Replace the words in capital letters by your own values.");
        const { allowed, codecs, max, options, port, password, ...rest } = { ...fields, ...readHost(fields.host) };
        const body: Record<string, unknown> = {
          ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, value || null])),
          port: port ? Number(port) : null,
          allowed_addresses: words(allowed),
          codecs: words(codecs),
          max_concurrent_calls: max ? Number(max) : null,
          options_interval_s: options ? Number(options) : null,
          allow_sip_uri: uris,
          register,
          ...(password ? { password } : {}),
        };
        if (trunk) await patch(`/trunks/${trunk.id}`, body);
        else await post("/trunks", Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)));
        close();
      }}>
        {!trunk && <Select label={t("Carrier")} value={carrier} set={preset} options={[["", t("Another one")], ...Object.entries(CARRIERS).map(([key, { name }]): [string, string] => [key, t(name)])]} />}
        {carrier && CARRIERS[carrier] && <p class="soft">{t(CARRIERS[carrier].note)} {t("The SIP address of this server is usually")} <Copyable text={`sip:${location.hostname}:5060`} name={t("SIP address")} /> {t("Compare the addresses with the carrier's list.")}</p>}
        <Input label={t("Name")} required value={fields.name} set={put("name")} />
        <div class="grid">
          <Input label={t("Host")} hint={t("Where calls are sent. Empty: incoming calls only.")} placeholder="sip.carrier.example" spellcheck={false} value={fields.host} set={put("host")} />
          <Input label={t("Port")} type="number" min={1} max={65535} placeholder={fields.transport === "tls" ? "5061" : "5060"} value={fields.port} set={put("port")} />
          <Select label={t("Transport")} value={fields.transport} set={put("transport")} options={[["udp", "UDP"], ["tcp", "TCP"], ["tls", "TLS"]]} />
        </div>
        <div class="grid">
          <Input label={t("User name")} autocomplete="off" value={fields.username} set={put("username")} />
          <Input label={t("Password")} type="password" autocomplete="new-password" hint={trunk?.password_set ? t("Set. Leave empty to keep it. Enter it again if you change the host, port or proxy.") : undefined} value={fields.password} set={put("password")} />
        </div>
        <Checkbox label={t("Register with this trunk")} checked={register} set={setRegister} />
        <Input label={t("Allowed source IPs")} hint={t("Addresses and networks that may send calls, such as 203.0.113.0/24.")} value={fields.allowed} set={put("allowed")} />
        <details class="section" open={Boolean(trunk)}>
          <summary>{t("More settings")}</summary>
          <div class="grid">
            <Input label={t("Dial string")} hint="{e164}, {number}, {national}" value={fields.dial_string} set={put("dial_string")} />
            <Input label={t("Country code")} placeholder="31" value={fields.country_code} set={put("country_code")} />
            <Input label={t("From user")} hint={t("Some carriers expect the account name here.")} value={fields.from_user} set={put("from_user")} />
            <Input label={t("Outbound proxy")} placeholder="proxy.carrier.example:5060" value={fields.outbound_proxy} set={put("outbound_proxy")} />
            <Input label={t("Codecs")} hint="PCMU, PCMA, G722, OPUS" value={fields.codecs} set={put("codecs")} />
            <Select label={t("Media encryption (SRTP)")} value={fields.srtp} set={put("srtp")} options={[["off", t("off")], ["preferred", t("where possible")], ["mandatory", t("always")]]} />
            <Input label={t("Concurrent calls")} type="number" min={1} value={fields.max} set={put("max")} />
            <Input label={t("Probe interval")} hint={t("Seconds; empty: never.")} type="number" min={10} max={3600} value={fields.options} set={put("options")} />
          </div>
          <Checkbox label={t("Allow calls to SIP addresses")} checked={uris} set={setUris} />
        </details>
      </Form>
    </Dialog>
  );
}

function NumberForm({ number, agents, trunks, close }: { number?: PhoneNumber; agents: AgentName[]; trunks: Trunk[]; close: () => void }) {
  const [fields, set] = useState({ number: number?.number ?? "", name: number?.name ?? "", agent_id: number?.agent_id ?? agents[0]?.id ?? "", trunk_id: number?.trunk_id ?? trunks[0]?.id ?? "" });
  const put = (name: keyof typeof fields) => (value: string) => set({ ...fields, [name]: value });
  const body = Object.fromEntries(Object.entries({ ...fields, number: plainNumber(fields.number) }).map(([name, value]) => [name, value || null]));
  return (
    <Dialog title={number ? number.number : t("New number")} close={close}>
      <Form label={number ? t("Save") : t("Create")} submit={async () => {
        const { number: _, ...changes } = body;
        if (number) await patch(`/phone-numbers/${number.id}`, changes);
        else await post("/phone-numbers", Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)));
        close();
      }}>
        {!number && <Input label={t("Number")} type="tel" required hint={t("With country code, such as +31201234567.")} placeholder="+31201234567" value={fields.number} set={put("number")} />}
        <Input label={t("Name")} value={fields.name} set={put("name")} />
        <Select label={t("Answered by")} value={fields.agent_id} set={put("agent_id")} options={[["", t("no agent")], ...agents.map((agent): [string, string] => [agent.id, agent.name])]} />
        <Select label={t("Trunk")} value={fields.trunk_id} set={put("trunk_id")} options={[["", "–"], ...trunks.map((trunk): [string, string] => [trunk.id, trunk.name])]} />
      </Form>
    </Dialog>
  );
}

/** A task that is executed at once; the number it calls from decides the trunk. */
function CallOut({ agents, numbers, trunk, close }: { agents: AgentName[]; numbers: PhoneNumber[]; trunk: Trunk; close: () => void }) {
  const from = numbers.find((number) => number.trunk_id === trunk.id);
  const [agent, setAgent] = useState(agents[0]?.id ?? "");
  const [to, setTo] = useState("");
  const [call, setCall] = useState<string | null>(null);
  const made = useRef<Task | null>(null);
  if (!agents.length) return <Dialog title={t("Test call")} close={close}><p>{t("A call needs an agent.")} <Link to="agents/new">{t("Create the first one")}</Link></p></Dialog>;
  return (
    <Dialog title={`${t("Test call")}: ${trunk.name}`} close={close} unsaved={call ? false : undefined}>
      <Form label={t("Call now")} submit={async () => {
        const body = { agent_id: agent, to_number: plainNumber(to), name: t("Test call"), ...(from ? { from_number: from.number } : {}) };
        // A task whose call was refused is tried again, not made again.
        if (made.current) await patch(`/tasks/${made.current.id}`, body);
        else made.current = (await post<{ task: Task }>("/tasks", body)).task;
        const { call_id } = await post<{ call_id: string }>(`/tasks/${made.current.id}/execute`);
        made.current = null;
        setCall(call_id);
      }}>
        {!from && <p class="soft">{t("No number uses this trunk: the first trunk that can call out is used. Give a number this trunk to test it.")}</p>}
        <Input label={t("Number")} type="tel" required placeholder="+31201234567" value={to} set={setTo} />
        <Select label={t("Agent")} value={agent} set={setAgent} options={agents.map((one): [string, string] => [one.id, one.name])} />
        {call && <p role="status">{t("Ringing.")} <Link to={`calls/${call}`}>{t("Follow the call")}</Link></p>}
      </Form>
    </Dialog>
  );
}
