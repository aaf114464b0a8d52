// The SIP messages of a call as a ladder: who sent what to whom, and when.

import { useEffect, useState } from "preact/hooks";
import { type Call, type SipLog, type SipMessage, get } from "./api";
import { locale, t } from "./i18n";
import { useLoad } from "./live";
import { Card, LoadedView, formatNumber } from "./ui";

/** Between two looks at messages that may still come. */
const AGAIN_MS = 3000;
const LABEL_MAX = 52;

export function SipMessages({ call }: { call: Call }) {
  const path = `/calls/${call.id}/sip-log`;
  const state = useLoad(() => get<SipLog>(path), [call.id, call.status]);
  useEffect(() => {
    if (!state.data || state.data.complete) return;
    const timer = setTimeout(state.reload, AGAIN_MS);
    return () => clearTimeout(timer);
  }, [state.data]);
  const messages = state.data?.messages.length;
  // A call from a browser has some only if it was transferred.
  if (call.transport !== "sip" && !messages) return null;
  return (
    <Card title="SIP" wide actions={messages ? <a href={`/v1${path}?format=text`} download>{t("Download as text")}</a> : undefined}>
      <LoadedView of={state}>
        {(log) => log.messages.length ? <Ladder log={log} /> : <p class="soft">{t("No SIP messages are stored for this call.")}</p>}
      </LoadedView>
    </Card>
  );
}

function Ladder({ log }: { log: SipLog }) {
  const [opened, open] = useState<number | null>(null);
  const remotes = [...new Set(log.messages.map((message) => message.remote))];
  const parties = ["Trunkline", ...remotes];
  const lane = (index: number) => ((index + 0.5) / parties.length) * 100;
  return (
    <>
      <p class="soft">{t("Select a message to read it. Passwords, keys and digits are masked.")}{log.left_out > 0 && ` ${formatNumber(log.left_out)} ${t("messages were left out for lack of room.")}`}</p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("SIP messages")}>
        <div class="ladder" style={{ minWidth: `${parties.length > 2 ? 9 + parties.length * 14 : 0}rem` }}>
          <div class="parties" aria-hidden="true"><span /><div>{parties.map((party) => <strong key={party}>{party}</strong>)}</div></div>
          <ol aria-label={t("SIP messages")}>
            {log.messages.map((message, index) => (
              <li key={index}>
                <button type="button" class={tone(message)} aria-expanded={opened === index} aria-label={spoken(message, log.messages[index - 1])} onClick={() => open(opened === index ? null : index)}>
                  <span class="when"><span>{clock(message.at)}</span><small>{delta(message, log.messages[index - 1])}</small></span>
                  <Arrow message={message} lanes={parties.map((_, party) => lane(party))} peer={lane(1 + remotes.indexOf(message.remote))} />
                </button>
                {opened === index && <Details message={message} />}
              </li>
            ))}
          </ol>
        </div>
      </div>
    </>
  );
}

function Arrow({ message, lanes, peer }: { message: SipMessage; lanes: number[]; peer: number }) {
  const own = lanes[0] ?? 0;
  const [from, to] = message.direction === "sent" ? [own, peer] : [peer, own];
  const head = to > from ? "M-8,-4 L0,0 L-8,4 z" : "M8,-4 L0,0 L8,4 z";
  return (
    <svg height="34" width="100%" aria-hidden="true">
      {lanes.map((x) => <line key={x} class="lane" x1={`${x}%`} x2={`${x}%`} y1="0" y2="34" />)}
      <line class="arrow" x1={`${from}%`} x2={`${to}%`} y1="25" y2="25" />
      <svg x={`${to}%`} y="25" overflow="visible"><path class="arrow" d={head} /></svg>
      <text x={`${(from + to) / 2}%`} y="17" text-anchor="middle">{label(message)}</text>
    </svg>
  );
}

function Details({ message }: { message: SipMessage }) {
  const [from, to] = message.direction === "sent" ? [message.local, message.remote] : [message.remote, message.local];
  return (
    <div class="message">
      <p class="soft">
        {message.transport.toUpperCase()} {from} → {to}, {formatNumber(message.length)} {t("bytes")}
        {message.cut && `. ${t("Only the beginning is stored.")}`}
        {message.retransmissions > 0 && `. ${t("Sent again, times:")} ${formatNumber(message.retransmissions)}, ${t("last at")} ${clock(message.last_at)}`}
      </p>
      <pre tabIndex={0}>{message.text.trimEnd()}</pre>
    </div>
  );
}

function tone({ status }: SipMessage): string {
  if (status === null || status < 200) return "";
  return status < 300 ? "good" : status === 401 || status === 407 ? "" : "bad";
}

/** The start line without the version, and how often it was repeated. */
function label(message: SipMessage): string {
  const line = message.start_line.replace(/^SIP\/2\.0 /i, "").replace(/ SIP\/2\.0$/i, "") || "?";
  const short = line.length > LABEL_MAX ? `${line.slice(0, LABEL_MAX - 1)}…` : line;
  return message.retransmissions > 0 ? `${short} (+${message.retransmissions}×)` : short;
}

function clock(iso: string): string {
  return new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }).format(new Date(iso));
}

function delta(message: SipMessage, before: SipMessage | undefined): string {
  const ms = before ? Date.parse(message.at) - Date.parse(before.at) : 0;
  return `+${formatNumber(ms / 1000, 3)} s`;
}

function spoken(message: SipMessage, before: SipMessage | undefined): string {
  const [from, to] = message.direction === "sent" ? ["Trunkline", message.remote] : [message.remote, "Trunkline"];
  return `${from} → ${to}: ${label(message)}, ${delta(message, before)}`;
}
