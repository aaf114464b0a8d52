import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type SharedCall, get } from "../api";
import { LANGUAGES, type Language, language, setLanguage, t } from "../i18n";
import { useLoad } from "../live";
import { ErrorMessage, Select, formatDateTime, formatDuration } from "../ui";

/** A call for people with a link and without an account. */
export function Shared({ token }: { token: string }) {
  const path = `/shared-calls/${encodeURIComponent(token)}`;
  const state = useLoad(() => get<{ call: SharedCall }>(path), [token]);
  const audio = useRef<HTMLAudioElement>(null);
  const [at, setAt] = useState(-1);
  const title = t("Shared call");
  useEffect(() => {
    document.title = `${title} · Trunkline`;
  }, [title]);
  const call = state.data?.call;
  const gone = state.error instanceof ApiError && state.error.status === 404;
  const seek = (seconds: number) => {
    if (!audio.current) return;
    audio.current.currentTime = seconds;
    void audio.current.play();
  };
  return (
    <main class="shared">
      <header class="page"><h1>{title}</h1></header>
      {gone && <div class="empty"><p class="title">{t("This link does not work, or no longer")}</p><p>{t("It may have expired, or somebody has revoked it. Ask whoever sent it for a new one.")}</p></div>}
      {state.error && !gone && <ErrorMessage error={state.error} retry={state.reload} />}
      {!call && !state.error && <p class="loading" role="status">{t("Loading…")}</p>}
      {call && (
        <>
          <dl class="facts">
            <div><dt>{t("Started")}</dt><dd>{formatDateTime(call.started_at)}</dd></div>
            <div><dt>{t("Duration")}</dt><dd>{formatDuration(call.duration_seconds)}</dd></div>
            <div><dt>{t("Agent")}</dt><dd>{call.agent_name ?? "–"}</dd></div>
          </dl>
          {call.summary && <section class="card"><header><h2>{t("Summary")}</h2></header><p>{call.summary}</p></section>}
          <section class="card">
            <header><h2>{t("Conversation")}</h2></header>
            {call.recording_available && <audio ref={audio} controls preload="metadata" src={`/v1${path}/recording`} aria-label={t("Recording")} onTimeUpdate={(event) => setAt(event.currentTarget.currentTime * 1000)} />}
            {call.transcript.length ? (
              <ol class="turns whole" aria-label={t("Transcript")}>
                {call.transcript.map((turn, index) => (
                  <li key={index} class={`${turn.role}${at >= turn.started_at_ms && at <= turn.ended_at_ms ? " now" : ""}`}>
                    {call.recording_available ? <button type="button" class="stamp" onClick={() => seek(turn.started_at_ms / 1000)} aria-label={`${t("Listen from")} ${formatDuration(turn.started_at_ms / 1000)}`}>{formatDuration(turn.started_at_ms / 1000)}</button> : <span class="stamp">{formatDuration(turn.started_at_ms / 1000)}</span>}
                    <span class="who">{turn.role === "user" ? t("Caller") : t("Agent")}</span>
                    <span>{turn.content}{turn.interrupted && <em> {t("interrupted")}</em>}</span>
                  </li>
                ))}
              </ol>
            ) : <p class="soft">{t("Nothing was said.")}</p>}
          </section>
          <p class="soft">{t("This link works until")} {formatDateTime(call.expires_at)}.</p>
        </>
      )}
      <Select label={t("Language")} value={language()} set={(value) => setLanguage(value as Language)} options={LANGUAGES} />
    </main>
  );
}
