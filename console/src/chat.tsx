// A chat with an agent: its prompt, tools, flow and history in writing, without sound.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, post } from "./api";
import { reasonOf } from "./callstate";
import { t } from "./i18n";
import { Latency, Thinking, latencyOf } from "./latency";
import { useTurns } from "./live-turns";
import { Badge, Button, Card, ErrorMessage, Link } from "./ui";

/** Characters that the server takes. */
const TEXT_MAX = 1_000;

export function Chat({ agent }: { agent: string }) {
  const [id, setId] = useState<string | null>(null);
  const [ended, setEnded] = useState(false);
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const { turns, over } = useTurns(id, id !== null);
  const chat = useRef<string | null>(null);
  const list = useRef<HTMLOListElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const going = id !== null && over === null && !ended;
  chat.current = going ? id : null;

  const end = (left: string | null) => {
    // The page may be going away: the request outlives it.
    if (left) void fetch(`/v1/calls/${left}/end`, { method: "POST", keepalive: true }).catch(() => {});
  };
  useEffect(() => {
    const leave = () => end(chat.current);
    addEventListener("pagehide", leave);
    return () => {
      removeEventListener("pagehide", leave);
      leave();
    };
  }, []);
  // The newest words are in sight, within the list alone.
  useEffect(() => list.current?.scrollTo({ top: list.current.scrollHeight }), [turns]);

  const begin = async () => {
    const { call_id } = await post<{ call_id: string }>("/calls/chat", { agent_id: agent, caller: "console" });
    setEnded(false);
    setId(call_id);
    return call_id;
  };
  const act = async (what: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    await what().catch((failure: Error) => {
      setError(failure);
      if (failure instanceof ApiError && ["call_over", "not_found"].includes(failure.code)) setEnded(true);
    });
    setBusy(false);
    field.current?.focus();
  };
  /** What could not be sent stays in the field. */
  const send = () => act(async () => {
    const words = text.trim();
    if (!words) return;
    await post(`/calls/${going ? id : await begin()}/message`, { text: words });
    setText("");
  });
  const last = turns.at(-1);
  const waiting = going && last?.role === "user" && last.is_final;
  return (
    <Card title={t("Text chat")} wide actions={id && <span role="status"><Badge value={going ? "connected" : "ended"} /></span>}>
      <div class="testcall chat">
        {!id && <p class="soft">{t("The same prompt, tools and flow as in a call, in writing. Only the language model costs money.")}</p>}
        {id && (
          <ol ref={list} class="turns" aria-live="polite" aria-label={t("Chat")} tabIndex={0}>
            {turns.map((turn, index) => (
              <li key={turn.position ?? "interim"} class={turn.role}>
                <span class="who">{turn.role === "user" ? t("You") : turn.role === "assistant" ? t("Agent") : t(turn.role)}</span>
                <span>{turn.content}{turn.interrupted && <em> {t("interrupted")}</em>} <Latency ms={latencyOf(turns, index)} /></span>
              </li>
            ))}
            {waiting && <Thinking key={last.position} />}
          </ol>
        )}
        {id && !going && <p class="soft" role="status">{t("The chat is over")}{over && `: ${reasonOf(over)}`}. <Link to={`calls/${id}`}>{t("The whole chat")}</Link></p>}
        <ErrorMessage error={error} />
        <form onSubmit={(event) => { event.preventDefault(); if (!busy) void send(); }}>
          <label class="unseen" for="chat-message">{t("Your message")}</label>
          <textarea
            id="chat-message" ref={field} rows={2} maxLength={TEXT_MAX} value={text} placeholder={t("Write to the agent")}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
              event.preventDefault();
              if (!busy) void send();
            }}
          />
          <div class="actions">
            <Button kind="main" type="submit" busy={busy} disabled={!text.trim()}>{t("Send")}</Button>
            {!id && <Button busy={busy} onClick={() => void act(begin)}>{t("Let the agent begin")}</Button>}
            {going && <Button onClick={() => { end(id); setEnded(true); }}>{t("End the chat")}</Button>}
            {id && !going && <Button busy={busy} onClick={() => void act(begin)}>{t("New chat")}</Button>}
          </div>
        </form>
      </div>
    </Card>
  );
}
