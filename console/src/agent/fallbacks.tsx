// Providers that take over, first to last: ordered by dragging, by buttons and by Alt with an arrow key.

import { LLM, type Offer, STT, TTS, withProvider } from "../catalog";
import { t } from "../i18n";
import { Input, Select } from "../ui";
import { Entries, Fields, Json } from "./fields";
import { Listen, sampleOf } from "./listen";
import { providerName } from "../provider-names";
import { ModelPick, REALTIME, VoicePick, blockOf } from "./providers";
import { LLM_MORE, STT_MORE, TTS_MORE } from "./settings";
import type { Block } from "./values";

type Stage = "stt" | "llm" | "tts";
const OFFERS: Record<Stage, Record<string, Offer>> = { stt: STT, llm: LLM, tts: TTS };
const MORE = { stt: STT_MORE, llm: LLM_MORE, tts: TTS_MORE };
const MOST = 3;

export function FallbackList({ stage, title, document, list, set }: { stage: Stage; title: string; document: Block; list: Block[]; set: (list: Block[] | undefined) => void }) {
  const offers = OFFERS[stage];
  const language = String(blockOf(document, stage === "tts" ? "tts_config" : "stt_config").language ?? "en");
  const names = Object.keys(offers).filter((name) => !REALTIME.includes(name) && !(stage === "llm" && name === "local"));
  const made = (provider: string) => withProvider(stage === "llm" ? {} : { language }, provider, offers);
  const config = `${stage}_config`;
  const place = `fallbacks.${stage}[].`;
  return (
    <fieldset class="list" data-setting={`fallbacks.${stage}`}>
      <legend>{title}</legend>
      <p class="soft">{t("First")}: {providerName(String(blockOf(document, config).provider ?? { llm: "openai", stt: "deepgram", tts: "elevenlabs" }[stage]))} {String(blockOf(document, config)[stage === "tts" ? "voice_id" : "model"] ?? "")}</p>
      <Entries list={list} set={(next) => set(next.length ? next : undefined)} most={MOST} entry={title} title={(one, at) => `${at + 1}. ${providerName(String(one.provider))}`} add={() => made(names.find((name) => list.every((one) => one.provider !== name) && name !== blockOf(document, config).provider) ?? names[0]!)}>
        {(one, at, put) => {
          const provider = String(one.provider);
          const field = (name: string) => (value: string) => put(value ? { ...one, [name]: value } : Object.fromEntries(Object.entries(one).filter(([other]) => other !== name)));
          return (
            <>
              <div class="grid">
                <div data-setting={`${place}provider`}><Select label={t("Provider")} value={provider} set={(next) => put(made(next))} options={[...new Set([...names, provider])].map((name) => [name, providerName(name)])} /></div>
                {stage === "tts" && <div data-setting={`${place}voice_id`}><VoicePick provider={provider} block={one} set={field("voice_id")} /></div>}
                {!(stage === "llm" && provider === "local") && <div data-setting={`${place}model`}><ModelPick stage={config} provider={provider} block={one} set={field("model")} /></div>}
                {stage !== "llm" && <div data-setting={`${place}language`}><Input label={t("Language")} value={String(one.language ?? "")} set={field("language")} /></div>}
              </div>
              {stage === "tts" && Boolean(one.voice_id) && <Listen voice={one} settings={undefined} text={sampleOf(document.first_message, String(one.language ?? "en"))} label={`${title} ${at + 1}`} />}
              {stage === "llm" && (provider === "local" || one.flow !== undefined) && <div data-setting={`${place}flow`}><Json id={`fallback-flow-${at}`} label={t("Flow")} value={one.flow} put={(flow) => put({ ...one, flow })} rows={8} /></div>}
              <details class="more"><summary>{t("More")}</summary><Fields settings={MORE[stage]} document={one} change={put} prefix={place} /></details>
            </>
          );
        }}
      </Entries>
    </fieldset>
  );
}
