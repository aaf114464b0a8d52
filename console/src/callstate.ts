// What a call is doing, and why it ended as it did: what its page says in its first lines.

import type { Call, CallControl, Failover } from "./api";
import { t } from "./i18n";

/** `settling`: over, and its figures are still being written. */
export type Phase = "ringing" | "live" | "settling" | "over" | "unanswered";

/** Figures and report are there a moment after the end, or never. */
const SETTLES_MS = 60_000;

export function phaseOf(call: Pick<Call, "status" | "answered_at" | "ended_at" | "metrics">, now: number): Phase {
  if (call.status === "initiated") return "ringing";
  if (call.status === "in_progress") return "live";
  if (!call.answered_at) return "unanswered";
  const fresh = call.ended_at !== null && now - Date.parse(call.ended_at) < SETTLES_MS;
  return !call.metrics && fresh ? "settling" : "over";
}

/** Instead of words, figures or costs that are not there. */
export function absent(phase: Phase, what: "words" | "answers" | "figures"): string {
  if (phase === "ringing") return t("The call has not been answered yet.");
  if (phase === "unanswered") return t("The call was not answered.");
  if (phase === "settling") return t("Available shortly after the call ends.");
  if (phase === "live") return what !== "words" ? t("Available shortly after the call ends.") : t("Nothing has been said yet.");
  if (what === "words") return t("Nothing was said.");
  return what === "answers" ? t("The agent gave no answers.") : t("No figures were recorded.");
}

/** Seconds since the answer, also while the call goes on. */
export function lengthOf(call: Pick<Call, "status" | "answered_at" | "duration_seconds">, now: number): number | null {
  if (call.status === "in_progress" && call.answered_at) return Math.max(0, (now - Date.parse(call.answered_at)) / 1000);
  return call.duration_seconds;
}

/** Who the call is with, as a title. */
export function titleOf(call: Pick<Call, "direction" | "from_number" | "to_number">): string {
  if (call.direction === "outbound") return `${t("Call to")} ${call.to_number}`;
  if (call.direction === "inbound") return `${t("Call from")} ${call.from_number}`;
  if (call.direction === "chat") return call.from_number && call.from_number !== "chat" && call.from_number !== "console" ? `${t("Chat with")} ${call.from_number}` : t("Text chat");
  if (call.from_number === "console") return t("Test call");
  return call.from_number && call.from_number !== "web" ? `${t("Web call from")} ${call.from_number}` : t("Web call");
}

/** The other party in lists. */
export function partyOf(call: Pick<Call, "direction" | "from_number" | "to_number">): string {
  if (call.direction === "outbound") return call.to_number;
  if (call.direction === "chat" && ["console", "chat"].includes(call.from_number)) return t("Text chat");
  if (call.direction === "web" && call.from_number === "console") return t("Test call");
  return call.from_number;
}

export const reasonOf = (reason: string | null): string => t((reason ?? "–").replaceAll("_", " "));

/** What went wrong, the most telling first: signalling's own words, then providers. Empty if nothing did. */
export function whyFailed(call: Pick<Call, "status" | "end_reason" | "signalling" | "metrics">): string[] {
  const facts: string[] = [];
  const { signalling, metrics } = call;
  if (signalling?.problem) facts.push(signalling.problem);
  if (signalling?.sip_status) facts.push(`SIP ${[signalling.sip_status, signalling.sip_reason].filter(Boolean).join(" ")}`);
  const q850 = [signalling?.q850_cause && `Q.850 ${signalling.q850_cause}`, signalling?.reason_text].filter(Boolean).join(" ");
  if (q850) facts.push(q850);
  if (call.status === "failed" || call.end_reason === "provider_error") {
    for (const [kind, count] of Object.entries(metrics?.provider_errors ?? {})) facts.push(`${kind.replaceAll("_", " ")} (${count}×)`);
    for (const one of metrics?.failovers ?? []) facts.push(`${t("Failover")}: ${failoverText(one)}`);
  }
  return facts;
}

/** A failover in words: `llm: openai → anthropic`. */
export function failoverText(one: Failover): string {
  const name = (value: unknown) => (typeof value === "string" ? value : value === null || value === undefined ? "?" : JSON.stringify(value));
  return `${one.stage ? `${t(`stage: ${one.stage}`)}: ` : ""}${name(one.from)} → ${name(one.to)}${one.why ? ` (${t(one.why.replaceAll("_", " "))})` : ""}${one.recovered ? `, ${t("recovered")}` : ""}`;
}

/** The commands to a call, newest last: those of its figures, and those that were heard of since. */
export function laterControls(known: CallControl[] | undefined, heard: CallControl[]): CallControl[] {
  const all = known ?? [];
  const last = all.at(-1)?.at_ms ?? -1;
  return [...all, ...heard.filter((one) => one.at_ms > last)];
}

/** Whether the last command about it has put the caller on hold. */
export function isOnHold(controls: CallControl[]): boolean {
  return controls.findLast((one) => ["hold", "resume", "transfer"].includes(one.control))?.control === "hold";
}

const CONTROLS: Record<string, string> = { say: "Say", instruct: "Whisper", transfer: "Put through", hold: "Hold", resume: "Resume" };

export const controlText = (control: string): string => t(CONTROLS[control] ?? control);
