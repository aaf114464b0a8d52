import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { AGENT_NAMES, type Agent, type AgentName, type Call, type CallControl, type Delivery, type Provider, type Task, type Turn, get, getAll, post, query } from "../api";
import { type Phase, absent, controlText, failoverText, laterControls, lengthOf, partyOf, phaseOf, reasonOf, titleOf, whyFailed } from "../callstate";
import { Waterfall, Waveform } from "../charts";
import { save, write } from "../csv";
import { patiently } from "../import";
import { t } from "../i18n";
import { Latency, latencyOf } from "../latency";
import { useLoad } from "../live";
import { providerName } from "../provider-names";
import { useTurns } from "../live-turns";
import { ListenIn } from "../listen";
import { type CallFilter, type Neighbours, filterOf, neighboursOf } from "../neighbours";
import { type Route, navigate, useListQuery } from "../router";
import { Share } from "../share";
import { SipMessages } from "../sip";
import { Steer } from "../steer";
import { plainNumber } from "../phone";
import { Badge, Button, Card, Copyable, EmptyState, Input, Link, Page, Pager, ErrorMessage, Select, LoadedView, Table, formatDuration, formatMoney, formatNumber, useAction, useNow, formatDateTime } from "../ui";

const LIMIT = 25;
/** Calls in one exported file. */
const EXPORT_MAX = 10_000;
const EXPORT_PAGE = 100;
/** What the list shows, and what the file has beside it. */
const FIELDS = "id,agent_id,direction,from_number,to_number,status,end_reason,started_at,answered_at,duration_seconds,cost";
const EXPORT_FIELDS = `${FIELDS},ended_at,summary,task_id,sip_call_id`;

async function exportCalls(filter: CallFilter, named: (id: string | null) => string, step: (done: number) => void) {
  const rows: Call[] = [];
  for (let offset = 0; offset < EXPORT_MAX; offset += EXPORT_PAGE) {
    const { calls, total } = await patiently(() => get<{ calls: Call[]; total: number }>(`/calls${query({ ...filter, fields: EXPORT_FIELDS, limit: EXPORT_PAGE, offset })}`));
    rows.push(...calls);
    step(rows.length);
    if (!calls.length || rows.length >= total) break;
  }
  // A call that begins meanwhile moves the others on by one.
  const each = [...new Map(rows.map((call) => [call.id, call])).values()];
  const header = ["id", "started_at", "answered_at", "ended_at", "direction", "from_number", "to_number", "agent", "status", "end_reason", "duration_seconds", "cost", "currency", "summary", "task_id", "sip_call_id"];
  const cells = each.map((call) => [call.id, call.started_at, call.answered_at, call.ended_at, call.direction, call.from_number, call.to_number, named(call.agent_id), call.status, call.end_reason, call.duration_seconds, call.cost?.total, call.cost?.currency, call.summary, call.task_id, call.sip_call_id]);
  save(`calls-${new Date().toISOString().slice(0, 10)}.csv`, write(header, cells));
}

export function Calls() {
  const { of, offset, put, go } = useListQuery(LIMIT);
  const [text, setText] = useState(of("q"));
  const [exported, setExported] = useState(0);
  const { busy, error, run } = useAction();
  useEffect(() => {
    if (text === of("q")) return;
    const timer = setTimeout(() => put({ q: text }), 300);
    return () => clearTimeout(timer);
  }, [text]);
  const [number, setNumber] = useState(of("number"));
  // On a telephone the calls come first; the filters beyond the search are a button away.
  const [unfolded, unfold] = useState(FILTERS.some((name) => name !== "q" && of(name)));
  useEffect(() => {
    const plain = plainNumber(number);
    if (plain === of("number")) return;
    const timer = setTimeout(() => put({ number: plain }), 300);
    return () => clearTimeout(timer);
  }, [number]);
  const agents = useLoad(() => getAll<AgentName>(AGENT_NAMES, "agents"), []);
  const providers = useLoad(() => get<{ providers: Provider[] }>("/providers").then((found) => found.providers), []);
  const filter = filterOf(of);
  const state = useLoad(() => get<{ calls: Call[]; total: number }>(`/calls${query({ ...filter, fields: FIELDS, limit: LIMIT, offset })}`), [JSON.stringify(filter), offset], { live: true });
  const now = useNow(Boolean(state.data?.calls.some((call) => call.status === "in_progress")));
  const named = (id: string | null) => agents.data?.find((agent) => agent.id === id)?.name ?? "–";
  const filtered = FILTERS.some(of);
  const kept = new URLSearchParams([...FILTERS, "zone"].map((name) => [name, of(name)]).filter(([, value]) => value) as [string, string][]).toString();
  const clear = () => {
    setText("");
    setNumber("");
    put(Object.fromEntries([...FILTERS, "zone"].map((name) => [name, ""])));
  };
  return (
    <Page title={t("Calls")} actions={<Button busy={busy} disabled={!state.data?.total} onClick={() => run(() => exportCalls(filter, named, setExported))}>{busy ? `${t("Exporting")}: ${formatNumber(exported)}` : t("Export CSV")}</Button>}>
      <search class={unfolded ? "filters" : "filters folded"}>
        <Input label={t("Search")} type="search" placeholder={t("Number, words, id")} value={text} set={setText} />
        <Input label={t("Number")} type="search" placeholder="+31201234567" value={number} set={setNumber} />
        <Input label={t("From date")} type="date" max={of("to") || undefined} value={of("from")} set={(from) => put({ from })} />
        <Input label={t("To date")} type="date" min={of("from") || undefined} value={of("to")} set={(to) => put({ to })} />
        <Select label={t("Status")} value={of("status")} set={(status) => put({ status })} options={[["", t("All")], ...["initiated", "in_progress", "completed", "failed"].map((one): [string, string] => [one, t(one.replaceAll("_", " "))])]} />
        <Select label={t("End reason")} value={of("reason")} set={(reason) => put({ reason })} options={[["", t("All")], ...END_REASONS.map((one): [string, string] => [one, reasonOf(one)])]} />
        <Select label={t("Direction")} value={of("direction")} set={(direction) => put({ direction })} options={[["", t("All")], ...["inbound", "outbound", "web", "chat"].map((one): [string, string] => [one, t(one)])]} />
        <Select label={t("Agent")} value={of("agent")} set={(agent) => put({ agent })} options={[["", t("All")], ...(agents.data ?? []).map((agent): [string, string] => [agent.id, agent.name])]} />
        <Select label={t("Provider")} value={of("provider")} set={(provider) => put({ provider })} options={[["", t("All")], ...(providers.data ?? []).map(({ name }): [string, string] => [name, providerName(name)])]} />
        <Select label={t("Success")} value={of("success")} set={(success) => put({ success })} options={[["", t("All")], ["true", t("successful")], ["false", t("not successful")]]} />
      </search>
      {!unfolded && <p class="unfold"><Button onClick={() => unfold(true)}>{t("More filters")}</Button></p>}
      {of("batch") && <p class="soft">{t("Only calls of one batch.")} <Link to={`tasks?batch=${of("batch")}`}>{t("Batch")}</Link> <Button kind="quiet" onClick={() => put({ batch: "" })}>{t("Show all")}</Button></p>}
      {of("zone") === "utc" && (of("from") || of("to")) && <p class="soft">{t("Days are in UTC.")} <Button kind="quiet" onClick={() => put({ zone: "" })}>{t("Use my time zone")}</Button></p>}
      {of("task") && <p class="soft">{t("Only calls of one task.")} <Button kind="quiet" onClick={() => put({ task: "" })}>{t("Show all")}</Button></p>}
      {busy && exported >= EXPORT_MAX && <p class="soft" role="status">{t("A file has at most 10,000 calls: choose fewer days.")}</p>}
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ calls, total }) => calls.length ? (
          <Card>
            <Table caption={t("Calls")} rows={calls} columns={[
              { name: t("Started"), cell: (call) => <Link to={`calls/${call.id}${kept && `?${kept}`}`}>{formatDateTime(call.started_at)}</Link> },
              { name: t("Other party"), cell: partyOf },
              { name: t("Agent"), extra: true, cell: (call) => named(call.agent_id) },
              { name: t("Direction"), extra: true, cell: (call) => t(call.direction) },
              { name: t("Status"), cell: (call) => <Badge value={call.status} /> },
              { name: t("End reason"), extra: true, cell: (call) => reasonOf(call.end_reason) },
              { name: t("Duration"), right: true, cell: (call) => formatDuration(lengthOf(call, now)) },
              { name: t("Cost"), right: true, extra: true, cell: (call) => (call.cost?.currency ? formatMoney(call.cost.total ?? 0, call.cost.currency) : "–") },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={go} />
          </Card>
        ) : filtered || offset ? (
          <EmptyState title={t("No matching calls")}>{t("Try fewer words or another filter.")} <Button kind="quiet" onClick={clear}>{t("Clear the filters")}</Button></EmptyState>
        ) : (
          <EmptyState title={t("No calls yet")}>{t("Call an agent from its page, assign a number to it, or create a task that calls out.")} <Link to="agents">{t("Agents")}</Link> · <Link to="numbers">{t("Phone numbers and trunks")}</Link> · <Link to="tasks">{t("Tasks")}</Link></EmptyState>
        )}
      </LoadedView>
    </Page>
  );
}

/** What the address of the list holds. */
const FILTERS = ["q", "number", "status", "direction", "agent", "task", "batch", "reason", "provider", "success", "from", "to"];

const END_REASONS = ["customer_hung_up", "agent_hung_up", "transferred", "voicemail", "silence", "max_duration", "busy", "no_answer", "rejected", "canceled", "invalid_number", "fax", "trunk_error", "provider_error", "network_lost", "overload", "ended_by_api", "server_shutdown", "server_crash"];

/** Leads through the list that the call was opened from. */
function useNeighbours(call: Call | undefined, route: Route) {
  const of = (name: string) => route.params.get(name) ?? "";
  const search = route.params.toString();
  const found = useLoad<Neighbours>(() => (call ? neighboursOf(call, filterOf(of)) : Promise.resolve({ newer: null, older: null })), [call?.id, search]).data;
  const way = (id: string) => `calls/${id}${search && `?${search}`}`;
  return { newer: found?.newer ? way(found.newer) : null, older: found?.older ? way(found.older) : null, list: `calls${search && `?${search}`}` };
}

export function CallPage({ id, route }: { id: string; route: Route }) {
  const state = useLoad(() => get<{ call: Call }>(`/calls/${id}`), [id], { live: true });
  const hooks = useLoad(() => get<{ webhook_deliveries: Delivery[] }>(`/webhook-deliveries${query({ call_id: id, limit: 100 })}`), [id], { live: true });
  const call = state.data?.call;
  const { busy, error, run } = useAction();
  const going = call?.status === "in_progress" || call?.status === "initiated";
  const now = useNow(Boolean(going));
  const { turns: live, controls: heard } = useTurns(id, Boolean(going));
  const phase = call ? phaseOf(call, Date.now()) : "ringing";
  const { newer, older, list } = useNeighbours(call, route);
  useEffect(() => {
    // Figures and report come a moment after the end.
    if (call && !going && (phase === "settling" || (phase === "over" && !call.report && call.ended_at && Date.now() - Date.parse(call.ended_at) < 60_000))) {
      const timer = setTimeout(state.reload, 1500);
      return () => clearTimeout(timer);
    }
  }, [state.data]);
  return (
    <Page title={call ? titleOf(call) : t("Call")} actions={going ? <Button kind="danger" busy={busy} onClick={() => run(async () => { await post(`/calls/${id}/end`); state.reload(); })}>{t("End the call")}</Button> : call && <Share call={id} recording={call.recording_available} />}>
      <nav class="neighbours" aria-label={t("Calls")}>
        <Link to={list}>{t("Back to the list")}</Link>
        <span class="actions">
          <Button disabled={!newer} onClick={() => newer && navigate(newer)}>{t("Newer call")}</Button>
          <Button disabled={!older} onClick={() => older && navigate(older)}>{t("Older call")}</Button>
        </span>
      </nav>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ call }) => (
          <>
            <Why call={call} />
            <Facts call={call} now={now} />
            {call.status === "in_progress" ? (
              <div class="split">
                <div>
                  <Conversation call={call} phase={phase} turns={live.length ? live : (call.transcript ?? [])} />
                  <Commands controls={laterControls(call.metrics?.controls, heard)} />
                </div>
                <div class="beside">
                  {call.direction !== "chat" && <ListenIn call={call.id} />}
                  <Steer call={call} controls={laterControls(call.metrics?.controls, heard)} reload={state.reload} />
                </div>
              </div>
            ) : (
              <>
                <Commands controls={laterControls(call.metrics?.controls, heard)} />
                {call.summary && <Card title={t("Summary")} wide><p>{call.summary}</p></Card>}
                <Conversation call={call} phase={phase} turns={going && live.length ? live : (call.transcript ?? [])} />
              </>
            )}
            <Card title={t("Response latency by stage")} wide><Waterfall turns={call.metrics?.turns ?? []} none={absent(phase, "answers")} /></Card>
            <div class="columns">
              <Card title={t("Cost")}><Costs call={call} phase={phase} /></Card>
              {call.direction !== "chat" && <Card title={t("Connection")}><ConnectionQuality call={call} phase={phase} /></Card>}
            </div>
            {call.direction !== "chat" && <SipMessages call={call} />}
            {call.extracted_data !== null && <Card title={t("Extracted data")} wide><pre tabIndex={0}>{JSON.stringify(call.extracted_data, null, 2)}</pre></Card>}
            <Card title={t("Webhook deliveries")} wide>
              {hooks.error ? <ErrorMessage error={hooks.error} retry={hooks.reload} /> : hooks.data?.webhook_deliveries.length ? (
                <Table caption={t("Webhook deliveries")} rows={hooks.data.webhook_deliveries} columns={[
                  { name: t("Event"), cell: (one) => one.event_type },
                  { name: t("Address"), extra: true, cell: (one) => <span class="clip">{one.url}</span> },
                  { name: t("Status"), cell: (one) => <Badge value={one.status} /> },
                  { name: t("Response"), cell: (one) => one.response_status ?? one.error ?? "–" },
                ]} />
              ) : <p class="soft">{hooks.data ? t("No webhooks were sent for this call.") : t("Loading…")}</p>}
            </Card>
          </>
        )}
      </LoadedView>
    </Page>
  );
}

/** The first line of a call that failed: why. */
function Why({ call }: { call: Call }) {
  const facts = whyFailed(call);
  if (call.status !== "failed") return null;
  return (
    <div class="why">
      <p><strong>{t("The call failed")}: {reasonOf(call.end_reason)}</strong>{facts.length > 0 && ` – ${facts.join(" · ")}`}</p>
    </div>
  );
}

function Facts({ call, now }: { call: Call; now: number }) {
  const agent = useLoad(() => (call.agent_id ? get<{ agent: Agent }>(`/agents/${call.agent_id}`).then((found) => found.agent.name, () => t("deleted agent")) : Promise.resolve("–")), [call.agent_id]);
  const task = useLoad(() => (call.task_id ? get<{ task: Task }>(`/tasks/${call.task_id}`).then((found) => found.task, () => null) : Promise.resolve(null)), [call.task_id]);
  const facts = whyFailed(call);
  const failovers = call.metrics?.failovers ?? [];
  return (
    <dl class="facts">
      <div><dt>{t("Status")}</dt><dd><Badge value={call.status} /></dd></div>
      <div><dt>{t("End reason")}</dt><dd>{reasonOf(call.end_reason)}</dd></div>
      {call.status !== "failed" && facts.length > 0 && <div><dt>{t("SIP reason")}</dt><dd>{facts.join(" · ")}</dd></div>}
      <div><dt>{t("From")}</dt><dd>{call.from_number}</dd></div>
      <div><dt>{t("To")}</dt><dd>{call.to_number}</dd></div>
      <div><dt>{t("Direction")}</dt><dd>{t(call.direction)} ({call.transport === "webrtc" ? "WebRTC" : call.transport === "text" ? t("in writing") : "SIP"})</dd></div>
      <div><dt>{t("Agent")}</dt><dd>{call.agent_id ? <Link to={`agents/${call.agent_id}`}>{agent.data ?? "…"}</Link> : "–"}</dd></div>
      {call.task_id && <div><dt>{t("Task")}</dt><dd><Link to={`calls?task=${call.task_id}`}>{task.data?.name ?? t("All calls of the task")}</Link></dd></div>}
      <div><dt>{t("Started")}</dt><dd>{formatDateTime(call.started_at)}</dd></div>
      <div><dt>{t("Duration")}</dt><dd>{formatDuration(lengthOf(call, now))}</dd></div>
      {failovers.length > 0 && <div><dt>{t("Failovers")}</dt><dd><ul class="inline">{failovers.map((one, index) => <li key={index}>{failoverText(one)}</li>)}</ul></dd></div>}
      <div><dt>{t("Call id")}</dt><dd><Copyable text={call.id} name={t("Call id")} /></dd></div>
      {call.sip_call_id && <div><dt>SIP Call-ID</dt><dd><Copyable text={call.sip_call_id} name="SIP Call-ID" /></dd></div>}
    </dl>
  );
}

/** What was wanted of the call from beside it, and by whom. */
function Commands({ controls }: { controls: CallControl[] }) {
  if (!controls.length) return null;
  return (
    <Card title={t("Commands")} wide>
      <ol class="turns" aria-label={t("Commands")}>
        {controls.map((one) => (
          <li key={`${one.at_ms} ${one.control}`}>
            <span class="stamp">{formatDuration(one.at_ms / 1000)}</span>
            <span class="who">{controlText(one.control)}</span>
            <span>{one.text} <span class="soft">{one.by}</span></span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** J and K move through the turns, from the one that has the focus, unless somebody types or answers a question. */
function useTurnKeys(list: { current: HTMLOListElement | null }) {
  useEffect(() => {
    const move = (event: KeyboardEvent) => {
      const step = { j: 1, k: -1 }[event.key.toLowerCase()];
      const typing = event.target instanceof Element && event.target.closest("input, select, textarea, [contenteditable], dialog");
      if (!step || event.ctrlKey || event.metaKey || event.altKey || typing || !list.current) return;
      const turns = [...list.current.children] as HTMLElement[];
      const at = turns.findIndex((turn) => turn.contains(document.activeElement));
      const to = at < 0 ? (step > 0 ? 0 : turns.length - 1) : Math.max(0, Math.min(turns.length - 1, at + step));
      event.preventDefault();
      turns[to]?.focus();
    };
    addEventListener("keydown", move);
    return () => removeEventListener("keydown", move);
  }, []);
}

function Conversation({ call, phase, turns }: { call: Call; phase: Phase; turns: Turn[] }) {
  const audio = useRef<HTMLAudioElement>(null);
  const [at, setAt] = useState(0);
  const url = `/v1/calls/${call.id}/recording/stream`;
  const seek = (seconds: number) => {
    if (!audio.current) return;
    audio.current.currentTime = seconds;
    setAt(seconds);
    void audio.current.play();
  };
  // The newest words of a call that goes on are in sight.
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    if (phase === "live") list.current?.scrollTo({ top: list.current.scrollHeight });
  }, [turns, phase]);
  useTurnKeys(list);
  const now = useMemo(() => turns.findIndex((turn) => at * 1000 >= turn.started_at_ms && at * 1000 <= turn.ended_at_ms), [turns, at]);
  return (
    <Card title={t("Conversation")} wide>
      {call.recording_available && (
        <>
          <Waveform url={url} turns={turns} at={at} seek={seek} />
          <audio ref={audio} controls preload="metadata" src={url} aria-label={t("Recording")} onTimeUpdate={(event) => setAt(event.currentTarget.currentTime)} />
        </>
      )}
      {turns.length ? (
        <>
        <p class="soft keyed">{t("J and K move between the turns.")}{call.recording_available && ` ${t("Enter plays from there.")}`}</p>
        <ol ref={list} class="turns" aria-label={t("Transcript")} tabIndex={0}>
          {turns.map((turn, index) => (
            <li key={index} tabIndex={-1} onKeyDown={(event) => { if (event.key === "Enter" && event.target === event.currentTarget && call.recording_available) seek(turn.started_at_ms / 1000); }} class={`${turn.role}${call.recording_available && index === now ? " now" : ""}${turn.interrupted ? " cut" : ""}`}>
              {call.recording_available ? <button type="button" class="stamp" onClick={() => seek(turn.started_at_ms / 1000)} aria-label={`${t("Listen from")} ${formatDuration(turn.started_at_ms / 1000)}`}>{formatDuration(turn.started_at_ms / 1000)}</button> : <span class="stamp">{formatDuration(turn.started_at_ms / 1000)}</span>}
              <span class="who">{t(turn.role)}</span>
              <span>{turn.content || <span class="soft">{t("not heard")}</span>}{turn.said_by && <span class="soft"> · {t("said by an operator")}</span>}{turn.interrupted && <em> {t("interrupted")}</em>} <Latency ms={latencyOf(turns.map((one) => ({ ...one, is_final: true })), index)} /></span>
            </li>
          ))}
        </ol>
        </>
      ) : <p class="soft">{absent(phase, "words")}</p>}
    </Card>
  );
}

function Costs({ call, phase }: { call: Call; phase: Phase }) {
  const { cost } = call;
  // Costs come a moment after the figures.
  const soon = phase === "over" && call.ended_at !== null && Date.now() - Date.parse(call.ended_at) < 60_000;
  if (!cost?.items || !cost.currency) return <p class="soft">{absent(soon ? "settling" : phase, "figures")}</p>;
  // A chat has no line: nothing of it is telephony.
  const rows = cost.items.map((item, index) => ({ id: String(index), ...item }) as Record<string, unknown> & { id: string }).filter((row) => call.direction !== "chat" || row.kind !== "telephony");
  const amount = (row: Record<string, unknown>) =>
    [["seconds", "s"], ["prompt_tokens", t("tokens in")], ["completion_tokens", t("tokens out")], ["characters", t("characters")]]
      .filter(([name]) => row[name!] !== undefined)
      .map(([name, unit]) => `${formatNumber(Number(row[name!]))} ${unit}`)
      .join(", ");
  return (
    <>
      <Table caption={t("Cost")} rows={rows} columns={[
        { name: t("What"), cell: (row) => [t(String(row.kind)), row.provider && `${row.provider}/${row.model}`].filter(Boolean).join(" · ") },
        { name: t("Amount"), cell: amount },
        { name: t("Cost"), right: true, cell: (row) => (row.cost === null ? t("no price") : formatMoney(Number(row.cost), cost.currency!)) },
      ]} />
      <p class="right"><strong>{formatMoney(cost.total ?? 0, cost.currency)}</strong></p>
      {rows.length > 0 && rows.every((row) => row.cost === null) && <p class="soft">{t("No prices configured; costs show as zero.")}</p>}
    </>
  );
}

function ConnectionQuality({ call, phase }: { call: Call; phase: Phase }) {
  const media = call.metrics?.media;
  const stopped = (call.metrics?.interruptions as Record<string, number> | undefined)?.stopped ?? 0;
  if (!media) return <p class="soft">{absent(phase, "figures")}</p>;
  const figure = (name: string, digits = 0, unit = "") => (typeof media[name] === "number" ? `${formatNumber(media[name], digits)}${unit}` : "–");
  return (
    <dl class="facts">
      <div><dt>{t("Packets received")}</dt><dd>{figure("packets_received")}</dd></div>
      <div><dt>{t("Packets lost")}</dt><dd>{figure("packets_lost")}</dd></div>
      <div><dt>{t("Jitter")}</dt><dd>{figure("jitter_ms", 1, "\u00a0ms")}</dd></div>
      <div><dt>{t("Round trip")}</dt><dd>{figure("round_trip_ms", 1, "\u00a0ms")}</dd></div>
      <div><dt>{t("Interruptions")}</dt><dd>{formatNumber(stopped)}</dd></div>
    </dl>
  );
}
