// An agent with every setting that there is, and the places of all settings as the API describes them.

import { api } from "./support.mjs";

/** Every setting has a value, as far as they go together. */
export const whole = (other) => ({
  name: "Everything",
  business_name: "Shop",
  description: "Notes",
  notification_email: "mail@example.com",
  first_message: "Hello {{name|there}}, this is the shop.",
  system_prompt: "You help {{name}} with orders.\nIt is {{date}}.",
  time_zone: "Europe/Amsterdam",
  tell_call_facts: false,
  stt_config: { provider: "deepgram", model: "nova-3-general", language: "en", keyterms: ["Acme"] },
  llm_config: {
    provider: "openai", model: "gpt-4o-mini", temperature: 0.4, max_tokens: 400, top_p: 0.9, stop: ["END"],
    extra_body: { seed: 7 },
    messages: [{ role: "user", content: "Is it open?" }, { role: "assistant", content: "It is." }],
    tools: [
      {
        type: "function", url: "https://example.com/orders/{number}", async: false, timeout_ms: 5000, start: "at_once", filler: "One moment.",
        progress: { enabled: true, after_ms: 2000, repeat_ms: 4000, phrases: ["Still looking."] },
        function: { name: "find_order", description: "Finds an order.", strict: false, parameters: { type: "object", properties: { number: { type: "string", description: "Its number." } }, required: ["number"] } },
        request: {
          method: "POST", body_format: "json", headers: { "X-Shop": "12" }, secrets: { KEY: "secret-of-the-shop" }, auth: { type: "bearer", token: "{{secrets.KEY}}" },
          query_parameters: ["lang"], static_parameters: { lang: "en" }, response: { fields: { status: "status" }, variables: { order_status: "status" } }, retry: { count: 1, delay_ms: 500, post: false },
        },
      },
      { type: "mcp", server_url: "https://mcp.example.com/mcp", authorization: "Bearer mcp-secret", allowed_tools: ["search"] },
    ],
  },
  tts_config: { provider: "elevenlabs", voice_id: "EXAVITQu4vr4xnSDxMaL", language: "en", model: "eleven_flash_v2_5", speed: 1.1, stability: 0.5, similarity_boost: 0.7, use_speaker_boost: true, text_normalization: "ours" },
  voice_settings: { style: 0.2, speed: 1.1, stability: 0.5, similarity_boost: 0.7, use_speaker_boost: true },
  pronunciation_dictionary: [{ text: "SQL", say_as: "sequel", language: "en", case_sensitive: true }],
  background: { sound: "office", level_db: -3 },
  languages: { nl: { voice_id: "emulated-voice", model: "eleven_flash_v2_5", prompt: "Bent u er nog?", prompts: ["Hallo?"], goodbye: "Tot ziens.", fillers: ["Een moment."] } },
  turn_config: { preset: "patient", eager: true, backchannels: ["right"] },
  autonomous_silence_handling: true,
  silence_config: { prompt_after_ms: 6000, prompts: ["Hello?"], fillers: ["One moment."] },
  built_in_tools: { skip_turn: {}, hold_call: {}, collect_digits: {}, collect_value: { country: "NL" } },
  transfer_config: { destinations: [{ name: "billing", target: "+31201234567", mode: "bridge", description: "Invoices", headers: { "X-Queue": "vip" }, pass_user_to_user: true }], ring_timeout_ms: 20000 },
  handover_config: { agents: [{ agent_id: other, name: "sales", description: "Buying", history: "summary", summary_description: "What they want", opening: "greet", announcement: "One moment." }] },
  dtmf_rules: { rules: [{ digits: "1", action: "transfer", target: "+31201234567" }, { digits: "2", action: "say", text: "Two." }, { digits: "3", action: "tool", tool: "find_order" }], inter_digit_timeout_ms: 1500, terminator: "#" },
  voicemail_detection: true,
  voicemail_message: "Please call back.",
  ringing: { ring_ms: 1000, announcement: "Calls are recorded." },
  fallbacks: {
    stt: [{ provider: "openai", model: "gpt-4o-transcribe", language: "en" }],
    llm: [{ provider: "anthropic", model: "claude-haiku-5-5" }, { provider: "groq", model: "openai/gpt-oss-20b" }],
    tts: [{ provider: "openai", voice_id: "alloy", language: "en" }],
    hedge_after_ms: 900, take_messages: false,
  },
  analysis_plan: { success_criteria: "An order was found.", min_messages_threshold: 2, structured_data_plan: { type: "object", title: "Result", properties: { order: { type: "string", minLength: 2 }, kind: { type: "string", enum: ["new", "old"] }, items: { type: "array", items: { type: "object", properties: { id: { type: "string" } } } } }, required: ["order"] } },
  recording_enabled: false,
  max_duration_seconds: 600,
  metadata: { team: "a" },
  webhook_url: "https://example.com/hooks",
  webhook_events: ["status-update"],
  webhook_secret: "a webhook secret of ours",
});

const ALIASES = ["enabled", "starting_message"];

/** The places of all settings: `llm_config.tools[].url`, `languages{}.prompt`. */
export async function placesOfSettings() {
  const { components } = await api("GET", "/openapi.json");
  const schemas = components.schemas;
  const resolved = (schema) => {
    for (;;) {
      if (schema.$ref) schema = schemas[schema.$ref.split("/").at(-1)];
      if (schema.properties) return schema;
      const one = [schema.oneOf, schema.anyOf, schema.allOf].find(Boolean)?.filter(({ type }) => type !== "null");
      if (one?.length !== 1) return schema;
      schema = one[0];
    }
  };
  const found = new Set();
  const walk = (place, given) => {
    const schema = resolved(given);
    // Rules of a flow are a language of their own, and schemas and objects of customers are theirs.
    if (/\.flow$/.test(place)) return found.add(place);
    const variants = schema.properties ? [] : (schema.oneOf ?? schema.anyOf ?? []).map(resolved).filter(({ properties }) => properties);
    if (schema.properties || variants.length) {
      for (const { properties } of [schema, ...variants]) for (const [name, one] of Object.entries(properties ?? {})) walk(place ? `${place}.${name}` : name, one);
      return undefined;
    }
    const items = schema.items && resolved(schema.items);
    if (items && (items.properties || items.oneOf)) return walk(`${place}[]`, items);
    const each = typeof schema.additionalProperties === "object" && resolved(schema.additionalProperties);
    if (each && each.properties) return walk(`${place}{}`, each);
    return found.add(place);
  };
  walk("", { $ref: "#/components/schemas/AgentFields" });
  return [...found].filter((place) => !ALIASES.includes(place)).sort();
}
