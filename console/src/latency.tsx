// How long an answer takes, while it happens and afterwards.

import { useEffect, useState } from "preact/hooks";
import type { Turn } from "./api";
import { t } from "./i18n";
import { formatNumber } from "./ui";

type Timed = Pick<Turn, "role"> & { started_at_ms?: number; ended_at_ms?: number; is_final: boolean };

/** Time from the end of the caller's words to the agent's answer, as far as the transcript tells it. */
export function latencyOf(turns: Timed[], index: number): number | null {
  const [before, turn] = [turns[index - 1], turns[index]];
  if (turn?.role !== "assistant" || before?.role !== "user" || !before.is_final) return null;
  if (!turn.started_at_ms || !before.ended_at_ms) return null;
  const ms = turn.started_at_ms - before.ended_at_ms;
  return ms > 0 ? ms : null;
}

export function Latency({ ms }: { ms: number | null }) {
  return ms === null ? null : <span class="ms" title={t("Response latency")}>{formatNumber(ms)} ms</span>;
}

const TICK_MS = 100;

/** The answer that is awaited, and for how long by now. A screen reader hears of the answer, not of each tenth. */
export function Thinking() {
  const [since] = useState(() => performance.now());
  const [now, set] = useState(since);
  useEffect(() => {
    const timer = setInterval(() => set(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <li class="assistant thinking" aria-hidden="true">
      <span class="who">{t("Agent")}</span>
      <span>… <span class="ms">{formatNumber((now - since) / 1000, 1)} s</span></span>
    </li>
  );
}
