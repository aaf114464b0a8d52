// The fields of an agent, in sections. What a section does not show is kept; JSON has everything.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Agent } from "../api";
import { LLM, type Offer, STT, TTS, withProvider } from "../catalog";
import { t } from "../i18n";
import { Button, Checkbox, Input, Select, TextArea } from "../ui";
import { config } from "./agents";
import { type Transfers, TransferFields } from "./transfers";

type Block = Record<string, unknown>;
type Change = (changes: Partial<Agent>) => void;

const REALTIME = ["openai_realtime", "xai_realtime", "elevenlabs_agent"];
const PROVIDER_NAMES: Record<string, string> = {
  openai: "OpenAI", anthropic: "Anthropic", groq: "Groq", mistral: "Mistral", xai: "xAI", deepgram: "Deepgram", elevenlabs: "ElevenLabs", cartesia: "Cartesia",
  openai_realtime: "OpenAI Realtime", xai_realtime: "xAI Realtime", elevenlabs_agent: "ElevenLabs Agents",
};
const providerName = (name: string) => PROVIDER_NAMES[name] ?? t(name === "local" ? "this server" : name);

const blockOf = (agent: Partial<Agent>, name: string): Block => (agent[name] ?? {}) as Block;
const isSet = (value: unknown) => value !== null && value !== undefined && !(Array.isArray(value) && !value.length);

function Section({ title, about, set, children }: { title: string; about?: string; set?: boolean; children: ComponentChildren }) {
  return (
    <details class="section">
      <summary>{title} {set && <small>· {t("set")}</small>}</summary>
      {about && <p class="soft">{about}</p>}
      {children}
    </details>
  );
}

/** A value of a list, or another one that is typed in. */
function Pick({ label, hint, value, set, options, other }: { label: string; hint?: string; value: string; set: (value: string) => void; options: [string, string][]; other: string }) {
  const known = options.some(([key]) => key === value);
  const [free, setFree] = useState(!known && value !== "");
  if (!options.length) return <Input label={label} hint={hint} value={value} set={set} />;
  const typing = free || (!known && value !== "");
  return (
    <div>
      <Select label={label} hint={hint} value={typing ? "\0" : value} set={(key) => { setFree(key === "\0"); if (key !== "\0") set(key); }} options={[...(value === "" && !typing ? [["", "–"] as [string, string]] : []), ...options, ["\0", other]]} />
      {typing && <Input label={other} value={value} set={set} />}
    </div>
  );
}

const same = (names: string[]): [string, string][] => names.map((name) => [name, name]);

export function AgentFields({ agent, change }: { agent: Partial<Agent>; change: Change }) {
  const text = (field: keyof Agent) => String(agent[field] ?? "");
  const put = (field: string) => (value: string) => change({ [field]: value || null });
  const realtime = REALTIME.includes(config(agent, "llm_config", "provider"));
  return (
    <>
      <div class="grid">
        <Input label={t("Name")} required value={text("name")} set={(name) => change({ name })} />
        <Input label={t("Business")} hint={t("Company that the agent speaks for.")} value={text("business_name")} set={put("business_name")} />
      </div>
      <Input label={t("Greeting")} hint={t("The first words of every call. {{name|default}} is filled in from the context of a task.")} value={text("first_message")} set={put("first_message")} />
      <TextArea label={t("Instructions")} hint={t("What the agent is for, how it behaves, when it ends the call.")} rows={8} value={text("system_prompt")} set={put("system_prompt")} />
      <Providers agent={agent} change={change} realtime={realtime} />
      <fieldset>
        <legend>{t("Turn-taking")}</legend>
        <Select label={t("Waiting for the caller")} hint={t("How long the agent waits when the caller may not have finished.")} value={config(agent, "turn_config", "preset") || "balanced"} set={(preset) => change({ turn_config: withPreset(agent.turn_config, preset) })} options={[["quick", t("Quick")], ["balanced", t("Balanced")], ["patient", t("Patient")]]} />
      </fieldset>
      <Checkbox label={t("Answers calls")} checked={agent.is_active !== false} set={(is_active) => change({ is_active })} />
      <Checkbox label={t("Records calls")} checked={agent.recording_enabled !== false} set={(recording_enabled) => change({ recording_enabled })} />
      <TransferFields transfers={(agent.transfer_config ?? null) as Transfers | null} change={(transfer_config) => change({ transfer_config })} />
      {!realtime && <Fallbacks agent={agent} change={change} />}
      <Section title={t("Tools")} about={t("Functions and tool servers that the model may use, as a list in JSON.")} set={isSet(blockOf(agent, "llm_config").tools)}>
        <JsonField label={t("Tools as JSON")} value={blockOf(agent, "llm_config").tools} empty="[]" example={TOOL} set={(tools) => change({ llm_config: without(blockOf(agent, "llm_config"), "tools", tools) })} />
      </Section>
      <Keypad agent={agent} change={change} />
      <Silence agent={agent} change={change} />
      <Section title={t("Voicemail")} set={agent.voicemail_detection === true}>
        <Checkbox label={t("Detects voicemail")} checked={agent.voicemail_detection === true} set={(voicemail_detection) => change({ voicemail_detection })} />
        <TextArea label={t("Message")} hint={t("Said after the beep. Without one, the call ends when voicemail answers.")} rows={2} value={text("voicemail_message")} set={put("voicemail_message")} />
      </Section>
      <Analysis agent={agent} change={change} />
      <Section title={t("Webhook")} set={isSet(agent.webhook_url)}>
        <Input label={t("Webhook URL")} hint={t("Events are posted to this address with their path appended, such as /status-update.")} type="url" placeholder="https://" value={text("webhook_url")} set={put("webhook_url")} />
        <Input label={t("Notification e-mail")} hint={t("Gets a mail after each call.")} type="email" value={text("notification_email")} set={put("notification_email")} />
      </Section>
      <Section title={t("Limits and facts")}>
        <div class="grid">
          <Input label={t("Maximum duration (s)")} hint={t("Default: 1800.")} type="number" min={10} max={14400} value={text("max_duration_seconds")} set={(value) => change({ max_duration_seconds: value ? Number(value) : null })} />
          <Input label={t("Time zone")} hint={t("Of dates and times that the agent knows, such as Europe/Amsterdam. Without one: UTC.")} value={text("time_zone")} set={put("time_zone")} />
        </div>
        <Checkbox label={t("Knows date, time and the caller's number")} checked={agent.tell_call_facts !== false} set={(tell_call_facts) => change({ tell_call_facts })} />
      </Section>
    </>
  );
}

/** Model, recognition and voice. */
function Providers({ agent, change, realtime }: { agent: Partial<Agent>; change: Change; realtime: boolean }) {
  // What was set for a provider that is not chosen now.
  const remembered = useRef(new Map<string, Block>());
  const inside = (block: string, field: string) => (value: string) => change({ [block]: without(blockOf(agent, block), field, value || undefined) });
  const choose = (block: string, offers: Record<string, Offer>, fallback: string) => (provider: string) => {
    const now = blockOf(agent, block);
    remembered.current.set(`${block} ${String(now.provider ?? fallback)}`, now);
    change({ [block]: withProvider(now, provider, offers, remembered.current.get(`${block} ${provider}`)) });
  };
  const provider = (block: string, fallback: string) => config(agent, block, "provider") || fallback;
  const options = (offers: Record<string, Offer>): [string, string][] => Object.keys(offers).map((name) => [name, providerName(name)]);
  const [llm, stt, tts] = [provider("llm_config", "openai"), provider("stt_config", "deepgram"), provider("tts_config", "elevenlabs")];
  const model = (block: string, offers: Record<string, Offer>, name: string) => (
    <Pick key={`${block} ${name}`} label={t("Model")} value={config(agent, block, "model")} set={inside(block, "model")} options={same(offers[name]?.models ?? [])} other={t("Another model")} />
  );
  return (
    <>
      <fieldset>
        <legend>{t("Language model")}</legend>
        <div class="grid">
          <Select label={t("Provider")} value={llm} set={choose("llm_config", LLM, "openai")} options={options(LLM)} />
          {llm !== "local" && model("llm_config", LLM, llm)}
          {realtime && llm !== "elevenlabs_agent" && <Pick key={`voice ${llm}`} label={t("Voice")} value={config(agent, "llm_config", "voice")} set={inside("llm_config", "voice")} options={LLM[llm]?.voices ?? []} other={t("Another voice")} />}
        </div>
        {llm === "local" && <FlowField agent={agent} change={change} />}
      </fieldset>
      {!realtime && (
        <>
          <fieldset>
            <legend>{t("Speech recognition")}</legend>
            <div class="grid">
              <Select label={t("Provider")} value={stt} set={choose("stt_config", STT, "deepgram")} options={options(STT)} />
              {model("stt_config", STT, stt)}
              <Input label={t("Language")} hint={t("A code such as en, nl or de; multi follows the caller.")} value={config(agent, "stt_config", "language")} set={inside("stt_config", "language")} />
            </div>
          </fieldset>
          <fieldset>
            <legend>{t("Voice")}</legend>
            <div class="grid">
              <Select label={t("Provider")} value={tts} set={choose("tts_config", TTS, "elevenlabs")} options={options(TTS)} />
              <Pick key={`voice ${tts}`} label={t("Voice")} hint={tts === "cartesia" ? t("The id of one of your voices at the provider.") : undefined} value={config(agent, "tts_config", "voice_id")} set={inside("tts_config", "voice_id")} options={TTS[tts]?.voices ?? []} other={t("Another voice")} />
              <Input label={t("Language")} value={config(agent, "tts_config", "language")} set={inside("tts_config", "language")} />
            </div>
          </fieldset>
        </>
      )}
    </>
  );
}

/** Waiting times of their own would replace those of the preset. */
const withPreset = (turns: unknown, preset: string) => {
  const rest = Object.entries((turns ?? {}) as Block).filter(([name]) => !name.endsWith("silence_ms") && name !== "endpointing_ms");
  return { ...Object.fromEntries(rest), preset };
};

/** A block with one field set, or without it. */
function without(block: Block, field: string, value: unknown): Block {
  const whole = { ...block };
  if (value === undefined || value === null) delete whole[field];
  else whole[field] = value;
  return whole;
}

const orNull = (block: Block) => (Object.keys(block).length ? block : null);

/** Providers that take over, first to last. */
function Fallbacks({ agent, change }: { agent: Partial<Agent>; change: Change }) {
  const all = blockOf(agent, "fallbacks");
  const stages: [string, string, Record<string, Offer>][] = [["stt", t("Speech recognition"), STT], ["llm", t("Language model"), LLM], ["tts", t("Voice"), TTS]];
  return (
    <Section title={t("Fallbacks")} about={t("Providers that take over when the first one fails, in this order.")} set={stages.some(([stage]) => isSet(all[stage]))}>
      {stages.map(([stage, title, offers]) => {
        const list = (all[stage] ?? []) as Block[];
        const set = (now: Block[]) => change({ fallbacks: orNull(without(all, stage, now.length ? now : undefined)) });
        const language = config(agent, stage === "tts" ? "tts_config" : "stt_config", "language") || "en";
        const names = Object.keys(offers).filter((name) => !REALTIME.includes(name) && !(stage === "llm" && name === "local"));
        const made = (provider: string) => withProvider(stage === "llm" ? {} : { language }, provider, offers);
        return (
          <fieldset key={stage}>
            <legend>{title}</legend>
            {list.map((one, index) => (
              <div class="grid" role="group" aria-label={`${title} ${index + 1}`} key={index}>
                <Select label={`${t("Provider")} ${index + 1}`} value={String(one.provider)} set={(provider) => set(list.map((other, at) => (at === index ? made(provider) : other)))} options={[...new Set([...names, String(one.provider)])].map((name) => [name, providerName(name)])} />
                {stage === "tts"
                  ? <Pick key={String(one.provider)} label={t("Voice")} value={String(one.voice_id ?? "")} set={(voice_id) => set(list.map((other, at) => (at === index ? { ...other, voice_id } : other)))} options={offers[String(one.provider)]?.voices ?? []} other={t("Another voice")} />
                  : <Pick key={String(one.provider)} label={t("Model")} value={String(one.model ?? "")} set={(model) => set(list.map((other, at) => (at === index ? { ...other, model } : other)))} options={same(offers[String(one.provider)]?.models ?? [])} other={t("Another model")} />}
                <p class="actions">
                  {index > 0 && <Button kind="quiet" aria-label={`${t("Move up")}: ${title} ${index + 1}`} onClick={() => set(list.map((other, at) => (at === index - 1 ? one : at === index ? list[index - 1]! : other)))}>{t("Move up")}</Button>}
                  <Button kind="quiet" aria-label={`${t("Remove")}: ${title} ${index + 1}`} onClick={() => set(list.filter((_, at) => at !== index))}>{t("Remove")}</Button>
                </p>
              </div>
            ))}
            {list.length < 3 && <p><Button aria-label={`${t("Add a fallback")}: ${title}`} onClick={() => set([...list, made(names[0]!)])}>{t("Add a fallback")}</Button></p>}
          </fieldset>
        );
      })}
    </Section>
  );
}

const ACTIONS = ["transfer", "say", "send_to_llm", "tool", "end_call"];
const ACTION_FIELD: Record<string, "target" | "text" | "tool"> = { transfer: "target", say: "text", tool: "tool" };

/** What the keys of the caller's phone do. */
function Keypad({ agent, change }: { agent: Partial<Agent>; change: Change }) {
  const all = blockOf(agent, "dtmf_rules");
  const rules = (all.rules ?? []) as Block[];
  const set = (now: Block[]) => change({ dtmf_rules: now.length ? { ...all, rules: now } : orNull(without(all, "rules", undefined)) });
  const label: Record<string, string> = { target: t("Number or SIP address"), text: t("Words"), tool: t("Name of the tool") };
  return (
    <Section title={t("Keypad (DTMF)")} about={t("What happens when callers press keys. Other keys go to the model.")} set={rules.length > 0}>
      {rules.map((rule, index) => {
        const field = ACTION_FIELD[String(rule.action)];
        const put = (changes: Block) => set(rules.map((other, at) => (at === index ? { ...other, ...changes } : other)));
        return (
          <div class="grid" role="group" aria-label={`${t("Keys")} ${String(rule.digits)}`} key={index}>
            <Input label={t("Keys")} required value={String(rule.digits ?? "")} set={(digits) => put({ digits })} />
            <Select label={t("Action")} value={String(rule.action)} set={(action) => set(rules.map((other, at) => (at === index ? { digits: rule.digits, action, ...(ACTION_FIELD[action] ? { [ACTION_FIELD[action]]: "" } : {}) } : other)))} options={ACTIONS.map((action) => [action, t(`action: ${action}`)])} />
            {field && <Input label={label[field]!} required value={String(rule[field] ?? "")} set={(value) => put({ [field]: value })} />}
            <p><Button kind="quiet" aria-label={`${t("Remove")}: ${t("Keys")} ${String(rule.digits)}`} onClick={() => set(rules.filter((_, at) => at !== index))}>{t("Remove")}</Button></p>
          </div>
        );
      })}
      <p><Button onClick={() => set([...rules, { digits: "", action: "transfer", target: "" }])}>{t("Add keys")}</Button></p>
    </Section>
  );
}

/** What is said to a caller who says nothing, and while something takes long. */
function Silence({ agent, change }: { agent: Partial<Agent>; change: Change }) {
  const all = blockOf(agent, "silence_config");
  const put = (field: string, value: unknown) => change({ silence_config: orNull(without(all, field, value)) });
  const number = (field: string) => String(all[field] ?? "");
  return (
    <Section title={t("Silence")} about={t("What the agent says when the caller is silent, and while a tool or the model takes long.")} set={isSet(agent.silence_config)}>
      <div class="grid">
        <Input label={t("Question")} value={String(all.prompt ?? "")} set={(value) => put("prompt", value || undefined)} />
        <Input label={t("Goodbye")} value={String(all.goodbye ?? "")} set={(value) => put("goodbye", value || undefined)} />
        <Input label={t("Ask after (ms)")} type="number" min={0} value={number("prompt_after_ms")} set={(value) => put("prompt_after_ms", value ? Number(value) : undefined)} />
        <Input label={t("Ask how often")} type="number" min={0} value={number("max_prompts")} set={(value) => put("max_prompts", value ? Number(value) : undefined)} />
      </div>
      <Lines label={t("Fillers")} hint={t("One a line; said when a tool or the model takes longer.")} lines={(all.fillers ?? []) as string[]} set={(fillers) => put("fillers", fillers.length ? fillers : undefined)} />
    </Section>
  );
}

/** What is found out about a call when it is over. */
function Analysis({ agent, change }: { agent: Partial<Agent>; change: Change }) {
  const all = blockOf(agent, "analysis_plan");
  const put = (field: string, value: unknown) => change({ analysis_plan: orNull(without(all, field, value)) });
  return (
    <Section title={t("Analysis")} about={t("What to find out about a call when it is over.")} set={isSet(agent.analysis_plan)}>
      <TextArea label={t("Success criteria")} hint={t("What makes a call a success, in words.")} rows={2} value={String(all.success_criteria ?? "")} set={(value) => put("success_criteria", value || undefined)} />
      <Input label={t("Minimum number of turns")} hint={t("Shorter calls are not analysed.")} type="number" min={0} value={String(all.min_messages_threshold ?? "")} set={(value) => put("min_messages_threshold", value ? Number(value) : undefined)} />
      <JsonField label={t("Data to extract (JSON Schema)")} value={all.structured_data_plan} empty="" example={SCHEMA} set={(schema) => put("structured_data_plan", schema ?? undefined)} />
    </Section>
  );
}

/** Texts, one a line; what is typed stays as it is typed. */
function Lines({ label, hint, lines, set }: { label: string; hint: string; lines: string[]; set: (lines: string[]) => void }) {
  const [typed, type] = useState(lines.join("\n"));
  const read = (text: string) => text.split("\n").map((line) => line.trim()).filter(Boolean);
  const shown = read(typed).join("\n") === lines.join("\n") ? typed : lines.join("\n");
  return <TextArea label={label} hint={hint} rows={3} value={shown} set={(text) => { type(text); set(read(text)); }} />;
}

const TOOL = [{ type: "function", url: "https://example.com/orders", function: { name: "find_order", description: "Finds an order by its number.", parameters: { type: "object", properties: { number: { type: "string" } }, required: ["number"] } } }];
const SCHEMA = { type: "object", properties: { appointment_at: { type: "string", description: "Date and time that was agreed on." }, satisfied: { type: "boolean" } } };

/** A part of the document as JSON. A text that is none stays in the field and changes nothing. */
function JsonField({ label, hint, value, empty, example, set, rows = 8 }: { label: string; hint?: string; value: unknown; empty: string; example?: unknown; set: (value: unknown) => void; rows?: number }) {
  const [text, setText] = useState(isSet(value) ? JSON.stringify(value, null, 2) : empty);
  const [fault, setFault] = useState("");
  const write = (typed: string) => {
    setText(typed);
    try {
      set(typed.trim() ? JSON.parse(typed) : undefined);
      setFault("");
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return (
    <>
      <TextArea label={label} hint={hint} error={fault && `${fault} ${t("The last valid text is kept until this is corrected.")}`} code rows={rows} value={text} set={write} />
      {example !== undefined && (text.trim() === empty || !text.trim()) && <p><Button onClick={() => write(JSON.stringify(example, null, 2))}>{t("Insert an example")}</Button></p>}
    </>
  );
}

/** The rules of an agent without a model. */
function FlowField({ agent, change }: { agent: Partial<Agent>; change: Change }) {
  const block = blockOf(agent, "llm_config");
  const write = (flow: unknown) => {
    const { model: _, ...rest } = block;
    change({ llm_config: without(rest, "flow", flow) });
  };
  return <JsonField label={t("Flow")} hint={t("States, slots, intents and documents as JSON.")} value={block.flow} empty="" rows={16} set={write} />;
}
