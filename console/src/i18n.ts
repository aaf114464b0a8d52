// English text is written in place and is the translation key. A test finds missing translations.

import { keyOf } from "./keys";

export type Language = "en" | "nl";
export const LANGUAGES: [string, string][] = [["en", "English"], ["nl", "Nederlands"]];

const KEY = "trunkline.language";
const DICTIONARIES: Record<Language, Record<string, string>> = { en: {}, nl: {} };

/** Keys that are not English text. */
const NAMES: Record<string, string> = {
  "batch: resume": "Resume",
  "ended by api": "ended by API", "user": "caller", "assistant": "agent", "stt": "speech recognition", "llm": "language model", "tts": "voice",
  "key: own": "your own", "key: server": "the server's", "key: none": "none", "key: not_needed": "not needed",
  "stage: stt": "STT", "stage: llm": "LLM", "stage: tts": "TTS", "stage: engine": "realtime model",
  "error: unauthorized": "Your session has ended: log in again.", "error: precondition_failed": "Somebody else has changed this in the meantime.",
  "level: ok": "ok", "level: warning": "warning", "level: error": "error",
  "check: address": "Address", "check: agents": "Agents", "check: certificates": "Certificates", "check: clock": "Clock", "check: database": "Database", "check: descriptors": "Open files", "check: disk": "Disk", "check: dns": "DNS", "check: folders": "Folders",
  "check: machine": "Machine", "check: master_key": "Master key", "check: models": "Speech models", "check: ports": "Ports", "check: providers": "Providers", "check: server": "Server", "check: trunks": "Trunks", "check: webhooks": "Webhooks",
  "action: transfer": "transfer", "action: say": "say something", "action: send_to_llm": "tell the model", "action: tool": "call a tool", "action: end_call": "end the call",
};

function initialLanguage(): Language {
  const stored = localStorage.getItem(KEY);
  if (stored === "en" || stored === "nl") return stored;
  return navigator.language.startsWith("nl") ? "nl" : "en";
}

let now = initialLanguage();

export const language = () => now;

/** How dates, numbers and money are written. */
export const locale = () => (now === "nl" ? "nl-NL" : "en-GB");

/** Loads the words of the present language. Without them, English is shown. */
export async function loadLanguage(): Promise<void> {
  if (now !== "nl" || Object.keys(DICTIONARIES.nl).length) return;
  try {
    DICTIONARIES.nl = (await import("./dutch")).dutch;
  } catch {
    // The server cannot be reached: the page says so in English.
  }
}

export function setLanguage(value: Language) {
  localStorage.setItem(KEY, value);
  now = value;
  void loadLanguage().then(() => {
    applyLanguage();
    dispatchEvent(new Event("trunkline.changed"));
  });
}

export function applyLanguage() {
  document.documentElement.lang = now;
}

export function t(text: string): string {
  return DICTIONARIES[now][keyOf(text)] ?? NAMES[text] ?? text;
}
