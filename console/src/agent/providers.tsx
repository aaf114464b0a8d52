// Who thinks, hears and speaks: providers with their models and voices.

import { useId, useRef, useState } from "preact/hooks";
import { LLM, type Offer, STT, TTS, withProvider } from "../catalog";
import { providerName } from "../provider-names";
import { translated } from "../errors";
import { t } from "../i18n";
import { Button, Dialog, Input, Select } from "../ui";
import { Json, Row, onEnter } from "./fields";
import { Listen, sampleOf } from "./listen";
import { type Catalog, useCatalog } from "./offers";
import { type Block, valueAt } from "./values";

export const REALTIME = ["openai_realtime", "xai_realtime", "elevenlabs_agent"];
export const STANDARD: Record<string, string> = { llm_config: "openai", stt_config: "deepgram", tts_config: "elevenlabs" };
/** What counts where nothing is set. */
const WITHOUT: Record<string, string> = { llm_config: "OpenAI gpt-4o-mini", stt_config: "Deepgram nova-3-general", tts_config: "the first fallback, or this server's voice" };
const OFFERS: Record<string, Record<string, Offer>> = { llm_config: LLM, stt_config: STT, tts_config: TTS };
const STAGE: Record<string, string> = { llm_config: "llm", stt_config: "stt", tts_config: "tts" };

export const blockOf = (document: Block, name: string): Block => (document[name] ?? {}) as Block;
export const providerOf = (document: Block, name: string) => String(blockOf(document, name).provider ?? STANDARD[name]);

/** A value of a list, or another one that is typed in. */
export function Pick({ label, hint, value, set, options, other }: { label: string; hint?: string; value: string; set: (value: string) => void; options: [string, string][]; other: string }) {
  const known = options.some(([key]) => key === value);
  const [free, setFree] = useState(false);
  if (!options.length) return <Input label={label} hint={hint} value={value} set={set} />;
  const typing = free || (!known && value !== "");
  return (
    <div>
      <Select label={label} hint={hint} value={typing ? "\0" : value} set={(key) => { setFree(key === "\0"); if (key !== "\0") set(key); }} options={[...(value === "" && !typing ? [["", "–"] as [string, string]] : []), ...options, ["\0", other]]} />
      {typing && <Input label={other} value={value} set={set} />}
    </div>
  );
}

/** Ours first, then the provider's others. */
function modelsOf(offer: Offer | undefined, catalog: Catalog | null, stage: string): [string, string][] {
  const listed = catalog?.models.filter((one) => one.stage === stage) ?? [];
  const name = (id: string) => listed.find((one) => one.id === id)?.name ?? id;
  const own = offer?.models ?? [];
  return [...own, ...listed.map(({ id }) => id).filter((id) => !own.includes(id))].map((id) => [id, name(id) === id ? id : `${name(id)} (${id})`]);
}

export function voicesOf(offer: Offer | undefined, catalog: Catalog | null): [string, string][] {
  const own = offer?.voices ?? [];
  const listed = (catalog?.voices ?? []).map(({ id, name, language, about }): [string, string] => [id, [name, about, language].filter(Boolean).join(" · ")]);
  return [...listed, ...own.filter(([id]) => !listed.some(([other]) => other === id))];
}

function Problem({ catalog, provider }: { catalog: Catalog | null; provider: string }) {
  if (!catalog?.problem) return null;
  const why = catalog.problem.kind === "not_configured" ? t("no key is set") : translated(catalog.problem.message);
  return <p class="soft">{t("The list of {name} cannot be had").replace("{name}", providerName(provider))}: {why}. {t("Any name may be typed in.")}</p>;
}

/** Model and voice of one provider, for the agent or for one of its fallbacks. */
export function ModelPick({ stage, provider, block, set }: { stage: string; provider: string; block: Block; set: (model: string) => void }) {
  const catalog = useCatalog(provider, String(block.base_url ?? ""));
  const of = REALTIME.includes(provider) ? "engine" : STAGE[stage]!;
  return <Pick key={provider} label={t("Model")} value={String(block.model ?? "")} set={set} options={modelsOf(OFFERS[stage]![provider], catalog, of)} other={t("Another model")} />;
}

export function VoicePick({ provider, block, set }: { provider: string; block: Block; set: (voice: string) => void }) {
  const catalog = useCatalog(provider, String(block.base_url ?? ""));
  return <Pick key={provider} label={t("Voice")} hint={provider === "cartesia" && !catalog?.voices.length ? t("The id of one of your voices at the provider.") : undefined} value={String(block.voice_id ?? "")} set={set} options={voicesOf(TTS[provider], catalog)} other={t("Another voice")} />;
}

interface Providers {
  document: Block;
  change: (document: Block) => void;
}

/** Provider and model of the block of one stage, with what else the stage has to name. */
export function ProviderFields({ stage, document, change }: Providers & { stage: "llm_config" | "stt_config" | "tts_config" }) {
  // What was set for a provider that is not chosen now.
  const remembered = useRef(new Map<string, Block>());
  const block = blockOf(document, stage);
  const provider = providerOf(document, stage);
  const offers = OFFERS[stage]!;
  // What is not set at all is the server's choice.
  const unset = !block.provider;
  const catalog = useCatalog(unset ? "" : provider, String(block.base_url ?? ""));
  const put = (field: string) => (value: unknown) => {
    const { [field]: _, ...rest } = block;
    change({ ...document, [stage]: { ...(block.provider ? {} : { provider }), ...rest, ...(value ? { [field]: value } : {}) } });
  };
  const choose = (next: string) => {
    if (!next) {
      const { [stage]: _, ...rest } = document;
      change(rest);
      return;
    }
    remembered.current.set(provider, block);
    change({ ...document, [stage]: withProvider(block, next, offers, remembered.current.get(next)) });
  };
  const realtime = REALTIME.includes(provider);
  const text = (field: string) => String(block[field] ?? "");
  const asks = !unset && !(stage === "llm_config" && provider === "local");
  const standard: [string, string][] = unset || stage !== "llm_config" ? [["", `${t("default")} (${t(WITHOUT[stage]!)})`]] : [];
  return (
    <div class="providers">
      <div class="grid">
        <div data-setting={`${stage}.provider`}><Select label={t("Provider")} value={unset ? "" : provider} set={choose} options={[...standard, ...Object.keys(offers).map((name): [string, string] => [name, providerName(name)])]} /></div>
        {asks && stage !== "tts_config" && <div data-setting={`${stage}.model`}><ModelPick stage={stage} provider={provider} block={block} set={put("model")} /></div>}
        {asks && stage === "tts_config" && <div data-setting="tts_config.voice_id"><VoicePick provider={provider} block={block} set={put("voice_id")} /></div>}
        {asks && stage === "tts_config" && <div data-setting="tts_config.model"><ModelPick stage={stage} provider={provider} block={block} set={put("model")} /></div>}
        {asks && realtime && provider !== "elevenlabs_agent" && <div data-setting="llm_config.voice"><Pick key={provider} label={t("Voice")} value={text("voice")} set={put("voice")} options={LLM[provider]?.voices ?? []} other={t("Another voice")} /></div>}
        {asks && stage === "stt_config" && <div data-setting="stt_config.language"><Input label={t("Language")} hint={t("A code such as en, nl or de; multi follows the caller.")} value={text("language")} set={put("language")} /></div>}
        {asks && stage === "tts_config" && <div data-setting="tts_config.language"><Input label={t("Language")} hint={t("A code such as en, nl or de.")} value={text("language")} set={put("language")} /></div>}
      </div>
      {asks && <Problem catalog={catalog} provider={provider} />}
      {asks && stage === "tts_config" && <VoiceChoice document={document} block={block} provider={provider} put={put("voice_id")} />}
      {stage === "llm_config" && provider === "local" && <Flow block={block} document={document} change={change} />}
    </div>
  );
}

/** The present voice is heard; others are heard and compared in a list. */
function VoiceChoice({ document, block, provider, put }: { document: Block; block: Block; provider: string; put: (voice: string) => void }) {
  const [comparing, compare] = useState(false);
  const catalog = useCatalog(provider, String(block.base_url ?? ""));
  const voices = voicesOf(TTS[provider], catalog);
  const [words, setWords] = useState("");
  const language = String(block.language ?? "en");
  const [text, setText] = useState<string | null>(null);
  const said = text ?? sampleOf(document.first_message, language);
  const settings = valueAt(document, "voice_settings") as Block | undefined;
  const whole = { language, ...block, provider };
  const fitting = voices.filter(([id, name]) => `${id} ${name}`.toLowerCase().includes(words.toLowerCase()));
  return (
    <div class="hear">
      {block.voice_id ? <Listen voice={whole} settings={settings} text={said} label={voices.find(([id]) => id === block.voice_id)?.[1] ?? String(block.voice_id)} /> : null}
      {voices.length > 1 && <Button onClick={() => compare(true)}>{t("Compare voices")}</Button>}
      {comparing && (
        <Dialog title={t("Voices")} close={() => compare(false)} wide unsaved={false}>
          <div class="grid" onKeyDown={onEnter()}>
            <Input label={t("Search")} type="search" value={words} set={setWords} />
            <Input label={t("What they say")} maxLength={300} value={said} set={setText} />
          </div>
          <ul class="voices">
            {fitting.slice(0, 60).map(([id, name]) => (
              <li key={id} class={id === block.voice_id ? "chosen" : ""}>
                <span><strong>{name}</strong> <code>{id}</code></span>
                <Listen voice={{ ...whole, voice_id: id }} settings={settings} text={said} label={name} />
                <Button kind={id === block.voice_id ? "quiet" : "plain"} disabled={id === block.voice_id} aria-label={`${t("Choose")}: ${name}`} onClick={() => { put(id); compare(false); }}>{id === block.voice_id ? t("chosen") : t("Choose")}</Button>
              </li>
            ))}
          </ul>
          {fitting.length > 60 && <p class="soft">{t("The first 60 are shown: search for others.")}</p>}
          <p class="soft">{t("Each sentence costs what it costs in a call.")}</p>
        </Dialog>
      )}
    </div>
  );
}

/** The rules of an agent without a model. */
function Flow({ block, document, change }: { block: Block; document: Block; change: (document: Block) => void }) {
  const id = useId();
  const put = (flow: unknown) => {
    const { model: _, flow: __, ...rest } = block;
    change({ ...document, llm_config: flow === undefined ? rest : { ...rest, flow } });
  };
  return (
    <Row place="llm_config.flow" setting={{ path: "llm_config.flow", label: "Flow", hint: "States, slots, intents and documents as JSON.", kind: "own", standard: "=none" }} set={false} wide>
      <Json id={id} label={t("Flow")} value={block.flow} put={put} rows={16} />
    </Row>
  );
}
