// A voice that is heard before it is chosen.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type ApiErrorBody } from "../api";
import { t } from "../i18n";
import { Button, ErrorMessage } from "../ui";
import type { Block } from "./values";

/** The one voice that is heard now. */
let playing: (() => void) | null = null;

async function sound(body: unknown, signal: AbortSignal): Promise<ArrayBuffer> {
  let response: Response;
  try {
    response = await fetch("/v1/providers/speech", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(0, "unreachable", "The server cannot be reached");
  }
  if (!response.ok) {
    const { error, details } = (await response.json().catch(() => ({}))) as Partial<ApiErrorBody>;
    throw new ApiError(response.status, details?.code ?? "refused", error ?? response.statusText, details?.field, [], details?.faults);
  }
  try {
    return lengthsOf(await response.arrayBuffer());
  } catch {
    throw new ApiError(0, "speech_stopped", "The voice stopped in the middle. Try again.");
  }
}

/** A stream's header names no length: the browser's reader wants one. */
function lengthsOf(file: ArrayBuffer): ArrayBuffer {
  const view = new DataView(file);
  view.setUint32(4, file.byteLength - 8, true);
  view.setUint32(40, file.byteLength - 44, true);
  return file;
}

export function Listen({ voice, settings, text, label }: { voice: Block; settings: Block | undefined; text: string; label?: string }) {
  const [state, set] = useState<"idle" | "asking" | "playing">("idle");
  const [error, setError] = useState<Error | null>(null);
  const stopped = useRef<(() => void) | null>(null);
  useEffect(() => () => stopped.current?.(), []);
  const play = async () => {
    playing?.();
    setError(null);
    set("asking");
    const control = new AbortController();
    const context = new AudioContext();
    const stop = () => {
      if (control.signal.aborted) return;
      control.abort();
      void context.close();
      if (playing === stop) playing = null;
      set("idle");
    };
    playing = stopped.current = stop;
    try {
      const file = await sound({ tts_config: voice, text, ...(settings && Object.keys(settings).length ? { voice_settings: settings } : {}) }, control.signal);
      const source = context.createBufferSource();
      source.buffer = await context.decodeAudioData(file);
      source.connect(context.destination);
      source.onended = stop;
      source.start();
      set("playing");
    } catch (fault) {
      if (!control.signal.aborted) setError(fault as Error);
      stop();
    }
  };
  return (
    <>
      <p class="actions"><Button busy={state === "asking"} aria-label={label && `${state === "playing" ? t("Stop") : t("Listen")}: ${label}`} onClick={() => (state === "playing" ? stopped.current?.() : void play())}>{state === "playing" ? `■ ${t("Stop")}` : `▶ ${t("Listen")}`}</Button><span class="soft" role="status">{state === "asking" ? t("The provider is asked …") : state === "playing" ? t("Playing") : ""}</span></p>
      <ErrorMessage error={error} />
    </>
  );
}

const SENTENCES: Record<string, string> = {
  en: "Good morning, how can I help you today?", nl: "Goedemorgen, waarmee kan ik u helpen?", de: "Guten Morgen, wie kann ich Ihnen helfen?", fr: "Bonjour, comment puis-je vous aider ?",
  es: "Buenos días, ¿en qué puedo ayudarle?", it: "Buongiorno, come posso aiutarla?", pt: "Bom dia, como posso ajudar?", pl: "Dzień dobry, w czym mogę pomóc?", sv: "God morgon, hur kan jag hjälpa dig?",
};

/** What a voice says: the greeting, as far as it has no variables, or a sentence of its language. */
export function sampleOf(greeting: unknown, language: string): string {
  const text = typeof greeting === "string" ? greeting.replace(/\{\{[^{}|]*\|([^{}]*)\}\}/g, "$1").trim() : "";
  if (text && !text.includes("{{") && text.length <= 300) return text;
  return SENTENCES[language.split(/[-_]/)[0]!.toLowerCase()] ?? SENTENCES.en!;
}
