// Every setting of an agent: its place in the document, what it is for, its default. A test compares this table with the
// API's own description. Labels and hints are English and translated where they are shown.

export type Kind = "text" | "long" | "number" | "yes" | "choice" | "lines" | "json" | "pairs" | "words" | "secret" | "part" | "rows" | "many" | "own";

export interface Setting {
  /** Place in the document, or in the entry of a list. */
  path: string;
  label: string;
  hint: string;
  kind: Kind;
  /** Value that counts where none is set; a text that begins with "=" is said as it is. */
  standard?: string | number | boolean;
  min?: number;
  max?: number;
  step?: number;
  /** Values of a choice, with their names. */
  options?: [string, string][];
  /** Settings of an entry of a list, or of a part that may be left out. */
  items?: Setting[];
  /** A new entry. */
  fresh?: Record<string, unknown>;
  /** What one entry is called. */
  entry?: string;
  required?: boolean;
  placeholder?: string;
  /** Longer texts have more room. */
  rows?: number;
  /** Most entries of a list. */
  most?: number;
}

type More = Partial<Setting>;
const text = (path: string, label: string, hint: string, more: More = {}): Setting => ({ path, label, hint, kind: "text", ...more });
const long = (path: string, label: string, hint: string, more: More = {}): Setting => ({ path, label, hint, kind: "long", rows: 2, ...more });
const number = (path: string, label: string, hint: string, standard: number | string | undefined, min: number, max: number, more: More = {}): Setting => ({ path, label, hint, kind: "number", standard, min, max, ...more });
const yes = (path: string, label: string, hint: string, standard: boolean, more: More = {}): Setting => ({ path, label, hint, kind: "yes", standard, ...more });
const choice = (path: string, label: string, hint: string, standard: string | undefined, options: [string, string][], more: More = {}): Setting => ({ path, label, hint, kind: "choice", standard, options, ...more });
const lines = (path: string, label: string, hint: string, more: More = {}): Setting => ({ path, label, hint, kind: "lines", rows: 3, ...more });
const json = (path: string, label: string, hint: string, more: More = {}): Setting => ({ path, label, hint, kind: "json", rows: 5, ...more });
const pairs = (path: string, label: string, hint: string, more: More = {}): Setting => ({ path, label, hint, kind: "pairs", rows: 2, ...more });
const part = (path: string, label: string, hint: string, items: Setting[], more: More = {}): Setting => ({ path, label, hint, kind: "part", items, ...more });
const rows = (path: string, label: string, hint: string, items: Setting[], more: More = {}): Setting => ({ path, label, hint, kind: "rows", items, ...more });
const own = (path: string, label = "", hint = "", more: More = {}): Setting => ({ path, label, hint, kind: "own", ...more });

const BASE_URL = "A server of yours that speaks the provider's protocol. Empty: the provider's own address.";

/** What STT, LLM and TTS have beside provider, model and voice; fallbacks have them too. */
export const STT_MORE: Setting[] = [
  lines("keyterms", "Words to expect", "Names and products that callers say, one a line; 100 at most.", { most: 100 }),
  text("base_url", "Server address", BASE_URL, { placeholder: "https://" }),
];
export const LLM_MORE: Setting[] = [
  number("temperature", "Temperature", "How freely the model words its answers: 0 is the same each time. Anthropic takes 1 at most.", 0.7, 0, 2, { step: 0.1 }),
  number("max_tokens", "Longest answer (tokens)", "An answer that is cut there ends with its last whole sentence.", "=the provider's limit; 1,024 for Anthropic", 1, 32_768),
  number("top_p", "Top P", "Share of the likeliest words that the model chooses from.", "=the provider's", 0, 1, { step: 0.05 }),
  lines("stop", "Stop texts", "Texts that end an answer and are not said, one a line; four at most.", { most: 4 }),
  choice("reasoning_effort", "Thinking", "How much the model thinks before it answers; more is slower.", "=as little as the model can", ["none", "minimal", "default", "low", "medium", "high", "xhigh", "max"].map((name) => [name, name])),
  json("extra_body", "Further parameters", "An object that goes into each request as it is, for what has no field here."),
  text("base_url", "Server address", BASE_URL, { placeholder: "https://" }),
];
const NORMALIZATION: [string, string][] = [["auto", "whoever is better at it"], ["ours", "this server"], ["vendor", "the voice"]];
export const TTS_MORE: Setting[] = [
  number("speed", "Speed", "1 is normal. ElevenLabs takes 0.7 to 1.2, Cartesia 0.6 to 1.5; other values are cut.", 1, 0.5, 2, { step: 0.05 }),
  choice("text_normalization", "Numbers and dates are written out by", "“12:30” becomes “half past twelve” before it is said, or the voice reads it itself.", "auto", NORMALIZATION),
  number("stability", "Stability", "ElevenLabs: 0 is lively, 1 is even.", "=the voice's own", 0, 1, { step: 0.05 }),
  number("similarity_boost", "Likeness", "ElevenLabs: how close to the original voice.", "=the voice's own", 0, 1, { step: 0.05 }),
  yes("use_speaker_boost", "Raises the likeness", "ElevenLabs: slower.", false),
  text("base_url", "Server address", BASE_URL, { placeholder: "https://" }),
];

const SAID_BY_TOOL: Setting[] = [
  yes("enabled", "Says something", "", true),
  number("after_ms", "First after (ms)", "When the first phrase is said.", 2_500, 300, 60_000),
  number("repeat_ms", "Again after (ms)", "Silence before each further phrase.", 4_000, 2_000, 60_000),
  lines("phrases", "Phrases", "One a line, in this order; ten at most.", { most: 10, standard: "=the fillers of “Silence”" }),
];

export const TOOL_FUNCTION: Setting[] = [
  text("function.name", "Name", "What the model calls it: letters, digits, _ and -.", { required: true, placeholder: "find_order" }),
  long("function.description", "What it does and when to use it", "The model chooses by this text; 1,024 characters at most."),
  own("function.parameters", "Arguments", "What the model has to give."),
  yes("function.strict", "Strict arguments", "OpenAI and Anthropic hold the model to the schema.", false),
  text("url", "URL", "Where calls of this tool go. {{name}} is filled in from the call; with a request of its own also {name} by an argument.", { placeholder: "https://", standard: "=/tool-calls below the agent's webhook URL" }),
  part("request", "Custom request", "Method, headers, credentials and the use of the answer. Without it, the message tool-calls is posted.", [
    choice("method", "Method", "GET and DELETE carry the arguments in the query, the others in the body.", "POST", ["GET", "POST", "PUT", "PATCH", "DELETE"].map((name) => [name, name])),
    choice("body_format", "Body", "", "message", [["message", "the message tool-calls (JSON)"], ["json", "the arguments as JSON"], ["form", "the arguments as a form"]]),
    pairs("headers", "Headers", "One a line, such as X-Shop: 12. {{name}} and {{secrets.NAME}} are filled in."),
    pairs("secrets", "Secrets", "One a line, such as KEY: …; used as {{secrets.KEY}}. Stored ones are shown as ******** and stay as they are."),
    own("auth", "Credentials", "Sent with each request."),
    lines("query_parameters", "Arguments in the query", "Names, one a line: they go to the query although there is a body."),
    json("static_parameters", "Arguments that are always sent", "The model does not see them, and they replace what it says."),
    pairs("response.fields", "What the model reads of the answer", "One a line: a name and where it stands, such as status: data.items[0].status.", { standard: "=the whole answer" }),
    pairs("response.variables", "Variables of the call", "The same; later tools and the prompt have them as {{name}}."),
    number("retry.count", "Repetitions", "After errors of the connection and the statuses 429 and 5xx.", 0, 0, 5),
    number("retry.delay_ms", "Pause before the first (ms)", "Each further one waits twice as long.", 500, 100, 10_000),
    yes("retry.post", "POST and PATCH are repeated too", "Your server knows a repeated request by its Idempotency-Key.", false),
  ]),
];
export const TOOL_SERVER: Setting[] = [
  text("server_url", "Server address", "A tool server (Model Context Protocol, streamable HTTP).", { required: true, placeholder: "https://" }),
  { path: "authorization", label: "Authorization", hint: "Sent as this header; never shown again. Empty: the stored one stays.", kind: "secret", placeholder: "Bearer …" },
  lines("allowed_tools", "Tools that may be used", "Names, one a line.", { standard: "=all of the server" }),
];
export const TOOL_COMMON: Setting[] = [
  number("timeout_ms", "Longest wait (ms)", "For the result, with all attempts.", 10_000, 1, 120_000),
  yes("async", "The conversation goes on without the result", "", false),
  choice("start", "Starts", "A tool without side effects may begin while the agent still announces it.", "after_announcement", [["after_announcement", "after the announcement was heard"], ["at_once", "at once"]]),
  text("filler", "Said when it starts", "Such as “I'll look that up”."),
];
export const TOOL_PROGRESS: Setting = part("progress", "While it works", "What callers hear when this tool takes long.", SAID_BY_TOOL);

export interface Section {
  id: string;
  title: string;
  about?: string;
  settings: Setting[];
}

export const SECTIONS: Section[] = [
  { id: "basics", title: "Basics", settings: [
    text("name", "Name", "The agent's name in this console.", { required: true }),
    text("business_name", "Business", "Company that the agent speaks for; named in the default prompt."),
    yes("is_active", "Answers calls", "Off: it neither answers calls nor makes them for tasks.", true),
    long("description", "Notes", "For people; the model does not see them."),
  ] },
  { id: "prompt", title: "Prompt", settings: [
    own("first_message", "Greeting", "The first words of every call. {{name|default}} is filled in from the context of a task.", { standard: "=the model greets" }),
    own("system_prompt", "Instructions", "What the agent is for, how it behaves, when it ends the call.", { standard: "=a short prompt that names the business" }),
    yes("tell_call_facts", "Knows date, time and the caller's number", "The model is told date, weekday, time, direction and numbers.", true),
    text("time_zone", "Time zone", "Of dates and times that the agent knows, such as Europe/Amsterdam.", { standard: "UTC", placeholder: "Europe/Amsterdam" }),
    rows("llm_config.messages", "Examples", "Messages after the instructions and before the conversation.", [
      choice("role", "Who speaks", "", undefined, [["system", "system"], ["user", "caller"], ["assistant", "agent"]]),
      long("content", "Text", "", { required: true }),
    ], { entry: "Example", fresh: { role: "user", content: "" } }),
  ] },
  { id: "model", title: "Language model", about: "Who thinks. A realtime model hears and speaks by itself.", settings: [own("llm_config.provider"), own("llm_config.model"), own("llm_config.voice"), own("llm_config.flow"), ...LLM_MORE.map((one) => ({ ...one, path: `llm_config.${one.path}` }))] },
  { id: "stt", title: "Speech recognition", about: "Who hears the caller.", settings: [own("stt_config.provider"), own("stt_config.model"), own("stt_config.language"), ...STT_MORE.map((one) => ({ ...one, path: `stt_config.${one.path}` }))] },
  { id: "voice", title: "Voice", about: "Who speaks to the caller.", settings: [
    own("tts_config.provider"), own("tts_config.voice_id"), own("tts_config.model"), own("tts_config.language"),
    ...TTS_MORE.map((one) => ({ ...one, path: `tts_config.${one.path}` })),
    number("voice_settings.style", "Style", "ElevenLabs: how much the speaker's style is exaggerated.", "=the voice's own", 0, 1, { step: 0.05 }),
    number("voice_settings.speed", "Speed (voice_settings)", "The same as “Speed”, in the older place; the field above comes first.", "=as above", 0.5, 2, { step: 0.05 }),
    number("voice_settings.stability", "Stability (voice_settings)", "The older place; the field above comes first.", "=as above", 0, 1, { step: 0.05 }),
    number("voice_settings.similarity_boost", "Likeness (voice_settings)", "The older place; the field above comes first.", "=as above", 0, 1, { step: 0.05 }),
    yes("voice_settings.use_speaker_boost", "Raises the likeness (voice_settings)", "The older place; the field above comes first.", false),
    rows("pronunciation_dictionary", "Pronunciation", "How the voice says certain words; the transcript keeps the text.", [
      text("text", "Word", "Whole words as they are written in answers.", { required: true }),
      text("say_as", "Said as", "What is said instead."),
      text("ipa", "Sounds (IPA)", "For voices that take them (ElevenLabs' English models)."),
      text("language", "Language", "Only for a voice of this language, such as en or pt-BR.", { standard: "=any" }),
      yes("case_sensitive", "Capitals matter", "", false),
    ], { entry: "Word", fresh: { text: "", say_as: "" }, most: 500 }),
    part("background", "Background sound", "Heard under the voice; softer while the agent speaks.", [
      choice("sound", "Sound", "", undefined, [["room", "a quiet room"], ["office", "an office"]]),
      number("level_db", "Louder or softer (dB)", "A room is at -50, an office at -42 dBFS.", 0, -30, 12),
    ], { fresh: { sound: "room" } }),
  ] },
  { id: "languages", title: "Languages", about: "What the agent speaks with and says in other languages. With multi as language of speech recognition it follows the caller.", settings: [
    { path: "languages", label: "Languages", hint: "By code, such as nl or de-AT; 20 at most.", kind: "many", entry: "Language", most: 20, items: [
      text("voice_id", "Voice", "A voice of the same provider.", { standard: "=the agent's own" }),
      text("model", "Model of the voice", "", { standard: "=the agent's own" }),
      text("prompt", "Asks a silent caller", "", { standard: "=a usual question" }),
      lines("prompts", "More ways to ask", "One a line."),
      text("goodbye", "Says goodbye", "Before the call ends because the caller stayed silent.", { standard: "=a usual goodbye" }),
      lines("fillers", "Fillers", "One a line; said when a tool or the model takes longer."),
    ] },
  ] },
  { id: "turns", title: "Turn-taking", about: "When the agent answers, and what interrupts it.", settings: [
    own("turn_config.preset", "Waiting for the caller", "Sets the six waits below."),
    number("turn_config.endpointing_ms", "Speech recognition waits (ms)", "Silence after which it holds an utterance for finished.", 300, 10, 5_000),
    number("turn_config.min_silence_ms", "Shortest wait (ms)", "No turn ends before.", 100, 0, 5_000),
    number("turn_config.complete_silence_ms", "After a whole sentence (ms)", "“I'd like to book a table.”", 250, 0, 5_000),
    number("turn_config.silence_ms", "When it may be over (ms)", "“A table for two”", 750, 0, 10_000),
    number("turn_config.unfinished_silence_ms", "After an unfinished sentence (ms)", "“My number is”", 2_000, 0, 10_000),
    number("turn_config.max_silence_ms", "Longest wait (ms)", "Ends a turn whatever its words are.", 3_000, 0, 20_000),
    yes("turn_config.eager", "Answers ahead", "The model begins on a likely end of the turn: faster, for more tokens.", false),
    yes("turn_config.barge_in", "The caller can interrupt", "", true),
    number("turn_config.barge_in_min_speech_ms", "Interrupts without words (ms)", "Sound of the caller that is an interruption before any word of it is known.", 500, 48, 2_000),
    lines("turn_config.backchannels", "Words that do not interrupt", "One a line, beside those of the language (“mhm”, “I see”); 50 at most.", { most: 50 }),
    yes("turn_config.first_message_interruptible", "The greeting can be interrupted", "", true),
    yes("turn_config.tool_speech_interruptible", "Words while tools work can be interrupted", "", true),
  ] },
  { id: "silence", title: "Silence", about: "What the agent says when the caller is silent, and while a tool or the model takes long.", settings: [
    yes("autonomous_silence_handling", "Asks silent callers", "Off: it waits without a word.", true),
    number("silence_config.prompt_after_ms", "Ask after (ms)", "Silence after the agent has finished.", 8_000, 1_000, 120_000),
    number("silence_config.max_prompts", "Ask how often", "Then it says goodbye and ends the call.", 2, 0, 10),
    text("silence_config.prompt", "Question", "", { standard: "Are you still there?" }),
    lines("silence_config.prompts", "More questions", "One a line; one after the other is used."),
    yes("silence_config.generate_prompts", "The model words the question", "From the conversation so far.", false),
    text("silence_config.goodbye", "Goodbye", "", { standard: "I can't hear you, so I will end the call now. Goodbye." }),
    lines("silence_config.fillers", "Fillers", "One a line; said when a tool or the model takes longer."),
    number("silence_config.filler_after_ms", "Filler after (ms)", "How long a tool or the model may take before.", 1_500, 300, 20_000),
    yes("silence_config.default_fillers", "Usual fillers", "Without fillers of your own: a short phrase after 2.5 s.", true),
  ] },
  { id: "tools", title: "Tools", about: "What the model may do besides speaking.", settings: [
    own("llm_config.tools"),
    part("built_in_tools.skip_turn", "May stay silent", "The model may say nothing, because the caller is not done or spoke to somebody else.", [text("description", "When to use it", "", { standard: "=a description of ours" })]),
    part("built_in_tools.hold_call", "May put the caller on hold", "While its tools work.", [
      text("description", "When to use it", "", { standard: "=a description of ours" }),
      number("max_seconds", "Longest time on hold (s)", "", 120, 1, 600),
      yes("music", "Music", "", true),
    ]),
    part("built_in_tools.collect_digits", "May ask for keys", "The caller enters digits on the keypad.", [
      text("description", "When to use it", "", { standard: "=a description of ours" }),
      number("timeout_ms", "Time to the first key (ms)", "", 10_000, 1_000, 60_000),
      number("inter_digit_timeout_ms", "Time to the next key (ms)", "Then the entry is over.", 3_000, 500, 30_000),
      yes("always_secret", "Every entry is secret", "", false),
      yes("reveal_secrets", "The model reads secret digits", "Off: it gets their number, and {{collected.NAME}} for its other tools.", false),
    ]),
    part("built_in_tools.collect_value", "May ask to confirm a value", "A number, address, date, amount, name or code is read back and confirmed.", [
      text("description", "When to use it", "", { standard: "=a description of ours" }),
      text("country", "Country", "Of national phone numbers, such as NL.", { standard: "=international numbers only" }),
      text("currency", "Currency", "Of amounts that name none.", { standard: "EUR" }),
      choice("spelling", "Spelling", "How codes are read back.", "nato", [["nato", "Alpha, Bravo, Charlie"], ["letters", "A, B, C"]]),
      number("max_attempts", "Asks how often", "", 3, 1, 5),
      number("timeout_ms", "Time for an answer (ms)", "", 8_000, 1_000, 60_000),
    ]),
  ] },
  { id: "transfers", title: "Transfers", about: "Where the model may put callers through, and agents that may take over.", settings: [
    rows("transfer_config.destinations", "Destinations", "", [
      text("name", "Name of the destination", "What the model calls it, such as billing.", { required: true }),
      text("target", "Number or SIP address", "In international form, or a tel: or sip: URI.", { required: true, placeholder: "+31201234567" }),
      choice("mode", "Method", "", "=as for all", [["auto", "refer, else bridge"], ["refer", "the trunk connects (REFER)"], ["bridge", "this server connects"], ["attended", "the agent announces the caller first"]]),
      text("description", "When it is chosen", "The model chooses by this text."),
      pairs("headers", "SIP headers", "For the destination, one a line, such as X-Queue: vip. Names begin with X-, or are User-to-User."),
      yes("pass_user_to_user", "Passes the caller's User-to-User header on", "", false),
    ], { entry: "Destination", fresh: { name: "", target: "" }, most: 50 }),
    choice("transfer_config.mode", "Method for all", "", "auto", [["auto", "refer, else bridge"], ["refer", "the trunk connects (REFER)"], ["bridge", "this server connects"], ["attended", "the agent announces the caller first"]]),
    number("transfer_config.ring_timeout_ms", "Rings at most (ms)", "Then the caller is back with the agent.", 30_000, 5_000, 120_000),
    yes("transfer_config.hold_music", "Music for the caller meanwhile", "", true),
    rows("handover_config.agents", "Other agents", "Agents of the organization that the model may hand the call to.", [
      own("agent_id", "Agent", ""),
      text("name", "Name for the model", "Such as billing.", { required: true }),
      text("description", "When it is chosen", "The model chooses by this text."),
      choice("history", "What it learns", "", "full", [["full", "everything that was said"], ["summary", "a summary"], ["none", "nothing"]]),
      text("summary_description", "What the summary has", "Such as the customer number and what was tried."),
      choice("opening", "How it begins", "", "continue", [["continue", "goes on without a greeting"], ["greet", "says its greeting"]]),
      text("announcement", "Said before", "By the present agent, if the model says nothing itself."),
    ], { entry: "Agent", fresh: { agent_id: "", name: "" }, most: 20 }),
  ] },
  { id: "keypad", title: "Keypad (DTMF)", about: "What happens when callers press keys. Other keys go to the model.", settings: [
    own("dtmf_rules.rules"),
    number("dtmf_rules.inter_digit_timeout_ms", "Time to the next key (ms)", "Then an entry counts as complete.", 2_000, 100, 30_000),
    text("dtmf_rules.terminator", "Key that completes an entry", "", { standard: "#" }),
  ] },
  { id: "voicemail", title: "Voicemail and ringing", settings: [
    yes("voicemail_detection", "Detects voicemail", "Outgoing calls look for an answering machine.", false),
    long("voicemail_message", "Message", "Said after the beep. Without one, the call ends when voicemail answers."),
    number("ringing.ring_ms", "Rings before the answer (ms)", "On incoming calls over a trunk; nothing of it is charged or recorded.", 0, 0, 30_000),
    text("ringing.announcement", "Said before the answer", "After the ringing, such as “calls are recorded”."),
  ] },
  { id: "fallbacks", title: "Fallbacks", about: "Providers that take over when the first one fails, in this order.", settings: [
    own("fallbacks.stt"), own("fallbacks.llm"), own("fallbacks.tts"),
    number("fallbacks.hedge_after_ms", "Also asks the next one after (ms)", "Time without a word or a sound; the first answer counts. 0: only after a failure.", 1_500, 0, 30_000),
    yes("fallbacks.take_messages", "Takes a message when no model answers", "Name, number and message; off: an apology, and the end of the call.", true),
  ] },
  { id: "analysis", title: "Analysis", about: "What to find out about a call when it is over.", settings: [
    long("analysis_plan.success_criteria", "Success criteria", "What makes a call a success, in words."),
    number("analysis_plan.min_messages_threshold", "Minimum number of turns", "Shorter calls are not analysed.", "=none", 0, 10_000),
    own("analysis_plan.structured_data_plan", "Data to extract", "Fields that are filled in from the conversation."),
  ] },
  { id: "recording", title: "Recording and limits", settings: [
    yes("recording_enabled", "Records calls", "Stereo: the caller left, the agent right.", true),
    number("max_duration_seconds", "Maximum duration (s)", "Then the call ends.", 1_800, 10, 14_400),
    json("metadata", "Metadata", "Any object of yours; it is copied into each call.", { rows: 3 }),
  ] },
  { id: "webhook", title: "Webhook", settings: [
    text("webhook_url", "Webhook URL", "Events are posted to this address with their path appended, such as /status-update.", { placeholder: "https://" }),
    { path: "webhook_events", label: "Events", hint: "Which of them are sent.", kind: "words", standard: "=all", options: ["assistant-request", "tool-calls", "status-update", "agent-changed", "end-of-call-report"].map((name): [string, string] => [name, name]) },
    { path: "webhook_secret", label: "Webhook secret", hint: "Signs the webhooks; never shown again. Empty: the stored one stays.", kind: "secret" },
    { path: "previous_webhook_secret", label: "Secret before", hint: "Signs as well until the time below, so that receivers can change over.", kind: "secret" },
    text("webhook_rotation_ends_at", "Secret before is valid until", "Such as 2026-03-27T12:00:00Z; set it with a new secret.", { placeholder: "2026-03-27T12:00:00Z" }),
    text("notification_email", "Notification e-mail", "Gets a mail after each call."),
  ] },
];

/** Turn-taking presets: the waits that each sets, in the order of the fields, and what it means. */
export const PRESETS: [string, string, string, number[]][] = [
  ["quick", "Quick", "For short exchanges. Answers after 0.2 to 1.2 s; callers who pause are cut off more often.", [200, 50, 200, 350, 1_200, 1_800]],
  ["balanced", "Balanced", "For most calls. Answers after 0.25 s when a sentence is whole, waits up to 2 s when it is not.", [300, 100, 250, 750, 2_000, 3_000]],
  ["patient", "Patient", "For callers who think, spell or dictate. Waits 0.4 to 2.8 s; cuts off least.", [500, 200, 400, 1_500, 2_800, 4_000]],
];
export const WAITS = ["endpointing_ms", "min_silence_ms", "complete_silence_ms", "silence_ms", "unfinished_silence_ms", "max_silence_ms"];
