// What the pickers of an agent offer for each provider. Other models and voices are typed in.

export interface Offer {
  /** The first one is taken when the provider is chosen. */
  models: string[];
  /** Id and name; empty where voices are the customer's own. */
  voices?: [string, string][];
}

const named = (...names: string[]): [string, string][] => names.map((name) => [name, name[0]!.toUpperCase() + name.slice(1)]);

const OPENAI_VOICES = named("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse");

export const STT: Record<string, Offer> = {
  deepgram: { models: ["nova-3-general", "nova-2-phonecall", "flux-general-en", "flux-general-multi"] },
  openai: { models: ["gpt-4o-transcribe", "gpt-4o-mini-transcribe"] },
  local: { models: ["moonshine-tiny-en"] },
};

export const LLM: Record<string, Offer> = {
  openai: { models: ["gpt-4o-mini", "gpt-5.4-mini"] },
  anthropic: { models: ["claude-haiku-5-5", "claude-opus-5-5"] },
  groq: { models: ["openai/gpt-oss-20b", "qwen/qwen3-32b"] },
  mistral: { models: ["mistral-small-latest"] },
  xai: { models: ["grok-4-1-fast-non-reasoning"] },
  local: { models: [] },
  openai_realtime: { models: ["gpt-realtime-2.1"], voices: named("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse") },
  xai_realtime: { models: ["grok-voice-latest"] },
  elevenlabs_agent: { models: [] },
};

export const TTS: Record<string, Offer> = {
  elevenlabs: {
    models: ["eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2", "eleven_v3"],
    voices: [
      ["EXAVITQu4vr4xnSDxMaL", "Sarah"], ["21m00Tcm4TlvDq8ikWAM", "Rachel"], ["JBFqnCBsd6RMkjVDRZzb", "George"], ["XrExE9yKIg1WjnnlVkGX", "Matilda"], ["onwK4e9ZLuTAKqWW03F9", "Daniel"],
      ["Xb7hH8MSUJpSbSDYk0k2", "Alice"], ["nPczCjzI2devNBz1zQrb", "Brian"], ["cgSgspJ2msm6clMCkdW9", "Jessica"], ["cjVigY5qzO86Huf0OWal", "Eric"],
      ["FGY2WhTYpPnrIDTdsKH5", "Laura"], ["TX3LPaxmHKxFdv7VOQHJ", "Liam"], ["pFZP5JQG7iQjIQuC4Bku", "Lily"], ["IKne3meq5aSn9XLyUdCD", "Charlie"],
    ],
  },
  cartesia: { models: ["sonic-3.5"] },
  openai: { models: ["gpt-4o-mini-tts"], voices: OPENAI_VOICES },
  local: { models: [], voices: [["piper:joe", "Joe (Piper, English)"], ["en-us", "English (espeak-ng)"], ["nl", "Nederlands (espeak-ng)"], ["flite:slt", "SLT (Flite, English)"]] },
};

type Block = Record<string, unknown>;

/** Fields that mean something at one provider only. */
const OWN_FIELDS = ["model", "voice_id", "voice", "base_url", "reasoning_effort", "extra_body", "flow", "stability", "similarity_boost", "use_speaker_boost"];

/**
 * Another provider: its first model and voice take the place of the old one's, which would be unknown there. What was
 * set for a provider before comes back when it is chosen again.
 */
export function withProvider(block: Block, provider: string, offers: Record<string, Offer>, remembered?: Block): Block {
  const kept = Object.fromEntries(Object.entries(block).filter(([name]) => !OWN_FIELDS.includes(name)));
  const offer = offers[provider];
  const own = remembered
    ? Object.fromEntries(Object.entries(remembered).filter(([name]) => OWN_FIELDS.includes(name)))
    : { ...(offer?.models[0] ? { model: offer.models[0] } : {}), ...(offers === TTS ? { voice_id: offer?.voices?.[0]?.[0] ?? "" } : {}) };
  return { ...kept, ...own, provider };
}
