import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Agent, type Call, type Delivery, type Turn, get, post, query } from "../api";
import { Waterfall, Waveform } from "../charts";
import { t } from "../i18n";
import { useLoad } from "../live";
import { type Route, setQuery } from "../router";
import { SipMessages } from "../sip";
import { Badge, Button, Card, EmptyState, Input, Link, Page, Pager, ErrorMessage, Select, LoadedView, Table, formatDuration, formatMoney, formatNumber, useAction, formatDateTime } from "../ui";

const LIMIT = 25;

export function Calls({ route }: { route: Route }) {
  const of = (name: string) => route.params.get(name) ?? "";
  const [text, setText] = useState(of("q"));
  const [offset, setOffset] = useState(0);
  const put = (changes: Record<string, string>) => {
    setOffset(0);
    setQuery({ ...Object.fromEntries(route.params), ...changes });
  };
  useEffect(() => {
    if (text === of("q")) return;
    const timer = setTimeout(() => put({ q: text }), 300);
    return () => clearTimeout(timer);
  }, [text]);
  const agents = useLoad(() => get<{ agents: Agent[] }>("/agents?limit=100"), []);
  const filter = { q: of("q"), status: of("status"), direction: of("direction"), agent_id: of("agent"), limit: LIMIT, offset };
  const state = useLoad(() => get<{ calls: Call[]; total: number }>(`/calls${query(filter)}`), [JSON.stringify(filter)], { live: true });
  const named = (id: string | null) => agents.data?.agents.find((agent) => agent.id === id)?.name ?? "–";
  const filtered = ["q", "status", "direction", "agent"].some(of);
  return (
    <Page title={t("Calls")}>
      <search class="filters">
        <Input label={t("Search")} type="search" placeholder={t("Number, words, call id")} value={text} set={setText} />
        <Select label={t("Status")} value={of("status")} set={(status) => put({ status })} options={[["", t("All")], ...["initiated", "in_progress", "completed", "failed"].map((one): [string, string] => [one, t(one.replaceAll("_", " "))])]} />
        <Select label={t("Direction")} value={of("direction")} set={(direction) => put({ direction })} options={[["", t("All")], ...["inbound", "outbound", "web"].map((one): [string, string] => [one, t(one)])]} />
        <Select label={t("Agent")} value={of("agent")} set={(agent) => put({ agent })} options={[["", t("All")], ...(agents.data?.agents ?? []).map((agent): [string, string] => [agent.id, agent.name])]} />
      </search>
      <LoadedView of={state}>
        {({ calls, total }) => calls.length ? (
          <Card>
            <Table caption={t("Calls")} rows={calls} columns={[
              { name: t("Started"), cell: (call) => <Link to={`calls/${call.id}`}>{formatDateTime(call.started_at)}</Link> },
              { name: t("Other party"), cell: (call) => (call.direction === "outbound" ? call.to_number : call.from_number) },
              { name: t("Agent"), extra: true, cell: (call) => named(call.agent_id) },
              { name: t("Direction"), extra: true, cell: (call) => t(call.direction) },
              { name: t("Status"), cell: (call) => <Badge value={call.status} /> },
              { name: t("Reason"), extra: true, cell: (call) => t((call.end_reason ?? "–").replaceAll("_", " ")) },
              { name: t("Length"), right: true, cell: (call) => formatDuration(call.duration_seconds) },
              { name: t("Cost"), right: true, extra: true, cell: (call) => (call.cost?.currency ? formatMoney(call.cost.total ?? 0, call.cost.currency) : "–") },
            ]} />
            <Pager total={total} limit={LIMIT} offset={offset} go={setOffset} />
          </Card>
        ) : filtered ? (
          <EmptyState title={t("No matching calls")}>{t("Try fewer words or another filter.")}</EmptyState>
        ) : (
          <EmptyState title={t("No calls yet")}>{t("Call an agent from its page, assign a number to it, or create a task that calls out.")} <Link to="agents">{t("Agents")}</Link> · <Link to="numbers">{t("Phone numbers and trunks")}</Link> · <Link to="tasks">{t("Tasks")}</Link></EmptyState>
        )}
      </LoadedView>
    </Page>
  );
}

export function CallPage({ id }: { id: string }) {
  const state = useLoad(() => get<{ call: Call }>(`/calls/${id}`), [id], { live: true });
  const hooks = useLoad(() => get<{ webhook_deliveries: Delivery[] }>(`/webhook-deliveries${query({ call_id: id, limit: 100 })}`), [id], { live: true });
  const call = state.data?.call;
  const { busy, error, run } = useAction();
  const going = call?.status === "in_progress" || call?.status === "initiated";
  const live = useTurns(id, Boolean(going));
  useEffect(() => {
    // The report comes a moment after the end.
    if (call && !going && !call.report) {
      const timer = setTimeout(state.reload, 1500);
      return () => clearTimeout(timer);
    }
  }, [call?.status, call?.report]);
  return (
    <Page title={call ? `${t("Call")} ${call.direction === "outbound" ? call.to_number : call.from_number}` : t("Call")} actions={going && <Button kind="danger" busy={busy} onClick={() => run(async () => { await post(`/calls/${id}/end`); state.reload(); })}>{t("End the call")}</Button>}>
      <ErrorMessage error={error} />
      <LoadedView of={state}>
        {({ call }) => (
          <>
            <dl class="facts">
              <div><dt>{t("Status")}</dt><dd><Badge value={call.status} /></dd></div>
              <div><dt>{t("Reason")}</dt><dd>{t((call.end_reason ?? "–").replaceAll("_", " "))}</dd></div>
              <div><dt>{t("From")}</dt><dd>{call.from_number}</dd></div>
              <div><dt>{t("To")}</dt><dd>{call.to_number}</dd></div>
              <div><dt>{t("Direction")}</dt><dd>{t(call.direction)} ({call.transport})</dd></div>
              <div><dt>{t("Started")}</dt><dd>{formatDateTime(call.started_at)}</dd></div>
              <div><dt>{t("Length")}</dt><dd>{formatDuration(call.duration_seconds)}</dd></div>
              <div><dt>{t("Agent")}</dt><dd>{call.agent_id ? <Link to={`agents/${call.agent_id}`}>{t("Open")}</Link> : "–"}</dd></div>
            </dl>
            {call.summary && <Card title={t("Summary")} wide><p>{call.summary}</p></Card>}
            <Conversation call={call} turns={going && live.length ? live : (call.transcript ?? [])} />
            <Card title={t("Time breakdown of each answer")} wide><Waterfall turns={call.metrics?.turns ?? []} /></Card>
            <div class="columns">
              <Card title={t("Cost")}><Costs call={call} /></Card>
              <Card title={t("Line")}><ConnectionQuality call={call} /></Card>
            </div>
            <SipMessages call={call} />
            {call.extracted_data !== null && <Card title={t("Extracted data")} wide><pre tabIndex={0}>{JSON.stringify(call.extracted_data, null, 2)}</pre></Card>}
            <Card title={t("Sent webhooks")} wide>
              {hooks.data?.webhook_deliveries.length ? (
                <Table caption={t("Sent webhooks")} rows={hooks.data.webhook_deliveries} columns={[
                  { name: t("Event"), cell: (one) => one.event_type },
                  { name: t("Address"), extra: true, cell: (one) => <span class="clip">{one.url}</span> },
                  { name: t("Status"), cell: (one) => <Badge value={one.status} /> },
                  { name: t("Answer"), right: true, cell: (one) => one.response_status ?? one.error ?? "–" },
                ]} />
              ) : <p class="soft">{t("None: neither the agent nor the task has a webhook.")}</p>}
            </Card>
          </>
        )}
      </LoadedView>
    </Page>
  );
}

/** The transcript of a call that goes on, as it grows. */
function useTurns(id: string, going: boolean): Turn[] {
  const [turns, set] = useState<Turn[]>([]);
  useEffect(() => {
    if (!going) return;
    const known = new Map<number, Turn>();
    let socket: WebSocket | null = null;
    let left = false;
    get<{ websocket_url: string; temp_token: string }>(`/calls/${id}/live`).then(({ temp_token }) => {
      if (left) return;
      const url = new URL(`/ws/calls/${id}`, location.href);
      url.protocol = url.protocol.replace("http", "ws");
      url.searchParams.set("session_token", temp_token);
      socket = new WebSocket(url);
      socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data as string) as { type: string; data: { transcript: (Turn & { position: number | null; is_final: boolean })[] } };
        if (message.type !== "transcript_update") return;
        let interim: Turn | null = null;
        for (const turn of message.data.transcript) {
          if (turn.position === null) interim = { ...turn, started_at_ms: 0, ended_at_ms: 0, interrupted: false, confidence: null };
          else known.set(turn.position, turn);
        }
        const all = [...known].sort(([a], [b]) => a - b).map(([, turn]) => turn);
        set(interim ? [...all, interim] : all);
      });
    }, () => {});
    return () => {
      left = true;
      socket?.close();
    };
  }, [id, going]);
  return turns;
}

function Conversation({ call, turns }: { call: Call; turns: Turn[] }) {
  const audio = useRef<HTMLAudioElement>(null);
  const [at, setAt] = useState(0);
  const url = `/v1/calls/${call.id}/recording/stream`;
  const seek = (seconds: number) => {
    if (!audio.current) return;
    audio.current.currentTime = seconds;
    setAt(seconds);
    void audio.current.play();
  };
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
        <ol class="turns" aria-label={t("Transcript")}>
          {turns.map((turn, index) => (
            <li key={index} class={`${turn.role}${index === now ? " now" : ""}${turn.interrupted ? " cut" : ""}`}>
              {call.recording_available ? <button type="button" class="stamp" onClick={() => seek(turn.started_at_ms / 1000)} aria-label={`${t("Listen from")} ${formatDuration(turn.started_at_ms / 1000)}`}>{formatDuration(turn.started_at_ms / 1000)}</button> : <span class="stamp">{formatDuration(turn.started_at_ms / 1000)}</span>}
              <span class="who">{t(turn.role)}</span>
              <span>{turn.content}{turn.interrupted && <em> {t("interrupted")}</em>}</span>
            </li>
          ))}
        </ol>
      ) : <p class="soft">{t("Nothing was said.")}</p>}
    </Card>
  );
}

function Costs({ call }: { call: Call }) {
  const { cost } = call;
  if (!cost?.items || !cost.currency) return <p class="soft">{t("Available shortly after the call ends.")}</p>;
  const rows = cost.items.map((item, index) => ({ id: String(index), ...item }) as Record<string, unknown> & { id: string });
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
    </>
  );
}

function ConnectionQuality({ call }: { call: Call }) {
  const media = call.metrics?.media;
  const stopped = (call.metrics?.interruptions as Record<string, number> | undefined)?.stopped ?? 0;
  if (!media) return <p class="soft">{t("Available shortly after the call ends.")}</p>;
  const figure = (name: string, digits = 0) => (typeof media[name] === "number" ? formatNumber(media[name], digits) : "–");
  return (
    <dl class="facts">
      <div><dt>{t("Packets received")}</dt><dd>{figure("packets_received")}</dd></div>
      <div><dt>{t("Packets lost")}</dt><dd>{figure("packets_lost")}</dd></div>
      <div><dt>{t("Jitter")}</dt><dd>{figure("jitter_ms", 1)} ms</dd></div>
      <div><dt>{t("Round trip")}</dt><dd>{figure("round_trip_ms", 1)} ms</dd></div>
      <div><dt>{t("Interruptions")}</dt><dd>{formatNumber(stopped)}</dd></div>
    </dl>
  );
}
