//! What providers get to see, byte for byte: `fixtures/providers/*.snap` hold our requests as they leave.

mod llm;
mod realtime;
mod stt;
mod tts;

use super::support::SnapshotFolder;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use trunkline::domain::chat::{ChatMessage, ToolCall};
use trunkline::domain::llm_options::LlmOptions;
use trunkline::domain::provider::{LlmProvider, ProviderAccount, SttProvider};
use trunkline::domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline::providers::llm::{LlmPlan, complete, stream_llm_response};
use trunkline::providers::realtime::RealtimeSessionConfig;
use trunkline::providers::stt::{SttInput, SttSessionConfig};
use trunkline::providers::stt_session::open_stt_session;
use trunkline::providers::tts::TtsSession;
use trunkline::providers::tts_socket::TtsSocketProtocol;
use trunkline::providers::{
    Deadlines, LlmRequest, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings, StageDeadlines,
    TtsStream, cartesia, elevenlabs, vendors,
};

/// What a vendor sends, one after the other.
type Messages = Vec<Value>;

/// The next request: its line, the headers that matter, its body. Its connection stays open, unanswered: a
/// closed one would be tried again.
async fn captured(listener: &TcpListener, open: &mut Vec<TcpStream>) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0; 4_096];
        let len = stream.read(&mut chunk).await.unwrap();
        assert!(len > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..len]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            break (head, length.unwrap_or(0usize));
        }
    };
    let start = head.len() + 4;
    while bytes.len() < start + length {
        let mut chunk = [0; 4_096];
        let len = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..len]);
    }
    let shown = ["authorization", "x-api-key", "xi-api-key", "anthropic-version", "content-type", "accept"];
    let mut lines: Vec<String> = head
        .lines()
        .skip(1)
        .filter(|line| shown.iter().any(|name| line.to_lowercase().starts_with(&format!("{name}:"))))
        .map(str::to_lowercase)
        .collect();
    lines.sort();
    let mut text = format!("{}\n{}\n", head.lines().next().unwrap(), lines.join("\n"));
    if length > 0 {
        let body: Value = serde_json::from_slice(&bytes[start..start + length]).unwrap();
        text += &format!("\n{}\n", serde_json::to_string_pretty(&body).unwrap());
    }
    open.push(stream);
    text
}

/// Every provider at one address.
fn providers(base: &str) -> ProviderRegistry {
    let ms = Duration::from_millis;
    let deadlines = Deadlines { connect: ms(2_000), first_byte: ms(2_000), between_bytes: ms(2_000) };
    let endpoint = |account: &ProviderAccount| ProviderAccess {
        account: *account,
        base_url: base.to_owned(),
        api_key: Some("secret-key".into()),
        api_version: "2026-10-21".into(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    };
    let settings = ProviderSettings {
        timeouts: StageDeadlines { stt: deadlines, llm: deadlines, tts: deadlines, realtime: deadlines },
        endpoints: ProviderAccount::ALL.iter().map(endpoint).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".into(), flite: "flite".into() },
        speech: trunkline::providers::LocalSpeechSettings::default(),
        guard: trunkline::egress::EgressGuard::unrestricted(),
    };
    ProviderRegistry::new(settings).unwrap()
}

fn conversation() -> LlmRequest {
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: "{\"a\":1}".into(),
        ..ToolCall::default()
    };
    LlmRequest {
        messages: vec![
            ChatMessage::System("You help customers of Acme.".into()),
            ChatMessage::Assistant { content: "Good morning.".into(), tool_calls: Vec::new() },
            ChatMessage::User("I want to speak to a human.".into()),
            ChatMessage::Assistant {
                content: String::new(),
                tool_calls: vec![call("call_1", "end_call"), call("call_2", "send_dtmf")],
            },
            ChatMessage::Tool { call_id: "call_1".into(), content: "the call ends".into() },
            ChatMessage::Tool { call_id: "call_2".into(), content: "pressed 1".into() },
            ChatMessage::System("The tool look answered: 7".into()),
        ],
        tools: trunkline::dialogue::tools::ToolSet::default().offers(),
        cache_key: Some("agent-42".into()),
        ..LlmRequest::default()
    }
}

/// What is sent over a socket after its upgrade, until nothing comes for a moment.
async fn frames(socket: &mut WebSocketStream<TcpStream>) -> String {
    let mut text = String::new();
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_millis(300), socket.next()).await {
        match frame {
            Message::Text(json) => {
                let value: Value = serde_json::from_str(&json).unwrap();
                text += &format!("{}\n", serde_json::to_string_pretty(&value).unwrap());
            }
            Message::Binary(bytes) => text += &format!("{} bytes\n", bytes.len()),
            _ => {}
        }
    }
    text
}

/// The next upgrade, and its socket.
async fn upgraded(listener: &TcpListener) -> (String, WebSocketStream<TcpStream>) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut head = String::new();
    #[expect(clippy::result_large_err, reason = "the library's own type")]
    let look = |request: &Request, response: Response| {
        head = format!("GET {}\n", request.uri());
        for name in ["authorization", "xi-api-key", "cartesia-version"] {
            if let Some(value) = request.headers().get(name) {
                head += &format!("{name}: {}\n", value.to_str().unwrap());
            }
        }
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, look).await.unwrap();
    (head, socket)
}

/// Requests as they arrive at a vendor.
struct Capture {
    listener: TcpListener,
    providers: ProviderRegistry,
    open: Vec<TcpStream>,
    snapshots: SnapshotFolder,
}

impl Capture {
    async fn compare_next(&mut self, name: &str) {
        let text = captured(&self.listener, &mut self.open).await;
        self.snapshots.compare(name, &text);
    }

    async fn chat(&mut self, name: &str, provider: LlmProvider, model: &str, temperature: Option<f64>) {
        let options = LlmOptions { temperature, ..LlmOptions::default() };
        let candidate = vendors::llm_candidate(&self.providers, provider, model, options, None).unwrap();
        let plan = LlmPlan { candidates: vec![candidate], rules: None, hedge_after: None };
        let stream = stream_llm_response(&self.providers, plan.clone(), conversation());
        self.compare_next(name).await;
        drop(stream);
        if temperature.is_none() {
            self.structured_answer(&format!("{name}_structured"), &plan).await;
        }
    }

    async fn structured_answer(&mut self, name: &str, plan: &LlmPlan) {
        let schema = json!({"type": "object", "properties": {"summary": {"type": "string"}}});
        let messages = [ChatMessage::System("Report.".into()), ChatMessage::User("Hello".into())];
        let asked = complete(&self.providers, plan, &messages, &schema, Duration::from_secs(2));
        let text = tokio::select! {
            text = captured(&self.listener, &mut self.open) => text,
            _ = asked => unreachable!("no answer is sent"),
        };
        self.snapshots.compare(name, &text);
    }

    fn speak(&self, config: Value) -> (Box<dyn TtsSession>, TtsStream) {
        let config: TtsConfig = serde_json::from_value(config).unwrap();
        let settings: VoiceSettings =
            serde_json::from_value(json!({"stability": 0.4, "style": 0.1, "speed": 2.0})).unwrap();
        let mut voice = vendors::tts_session(&self.providers, &config, &settings, false);
        let speech = voice.speak("Goede morgen.", true);
        (voice, speech)
    }

    async fn speech_over_http(&mut self, name: &str, config: Value) {
        let spoken = self.speak(config);
        self.compare_next(name).await;
        drop(spoken);
    }

    async fn speech_over_socket(&mut self, name: &str, config: Value) {
        let (voice, speech) = self.speak(config);
        let (head, mut socket) = upgraded(&self.listener).await;
        let said = frames(&mut socket).await;
        drop(speech);
        let cancelled = frames(&mut socket).await;
        self.snapshots.compare(name, &format!("{head}\n{said}\nthe caller interrupts\n\n{cancelled}"));
        drop(voice);
    }

    async fn stt(&mut self, name: &str, provider: SttProvider, model: &str, language: &str) {
        let setup = SttSessionConfig {
            model: model.into(),
            language: language.into(),
            keyterms: vec!["Acme".into(), "Jansen & Zn".into()],
            encoding: "alaw",
            endpointing_ms: 300,
            eager: false,
        };
        let candidate = vendors::stt_candidate(&self.providers, provider, None, setup);
        let session = open_stt_session(&self.providers, vec![candidate]);
        let (head, mut socket) = upgraded(&self.listener).await;
        session.input.send(SttInput::Audio(vec![0xD5; 640].into())).await.unwrap();
        session.input.send(SttInput::Finalize).await.unwrap();
        let mut said = String::new();
        // A gap is filled in its own time, which is not part of what is pinned.
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_millis(90), socket.next()).await {
            said += &match frame {
                Message::Text(text) if text.contains("append") => "append of audio\n".to_owned(),
                Message::Text(text) => format!("{text}\n"),
                Message::Binary(bytes) => format!("{} bytes\n", bytes.len()),
                _ => continue,
            };
        }
        self.snapshots.compare(name, &format!("{head}\n{said}"));
        drop(session);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_leave_as_the_vendors_document_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let providers = providers(&format!("http://{}", listener.local_addr().unwrap()));
    let snapshots = SnapshotFolder::new("providers");
    let mut capture = Capture { listener, providers, open: Vec::new(), snapshots };
    for (name, provider, model, temperature) in [
        ("openai_chat", LlmProvider::Openai, "gpt-4o-mini", None),
        ("openai_chat_reasoning", LlmProvider::Openai, "gpt-5.4-mini", Some(0.3)),
        ("anthropic_messages", LlmProvider::Anthropic, "claude-haiku-5-5", None),
        ("anthropic_messages_temperature", LlmProvider::Anthropic, "claude-sonnet-4", Some(1.4)),
        ("groq_chat", LlmProvider::Groq, "openai/gpt-oss-20b", None),
        ("mistral_chat", LlmProvider::Mistral, "mistral-small-latest", None),
        ("xai_chat", LlmProvider::Xai, "grok-4-1-fast-non-reasoning", None),
    ] {
        capture.chat(name, provider, model, temperature).await;
    }
    let openai = json!({"provider": "openai", "voice_id": "alloy", "language": "nl", "speed": 1.2});
    capture.speech_over_http("openai_speech", openai).await;
    let elevenlabs = |model: &str| {
        json!({"provider": "elevenlabs", "voice_id": "a voice", "language": "nl-NL", "model": model,
        "similarity_boost": 0.7, "stability": 0.6, "use_speaker_boost": true})
    };
    capture.speech_over_http("elevenlabs_stream", elevenlabs("eleven_monolingual_v1")).await;
    for (name, config) in [
        ("elevenlabs_multi_stream_input", elevenlabs("eleven_flash_v2_5")),
        ("elevenlabs_multilingual", elevenlabs("eleven_multilingual_v2")),
        ("elevenlabs_turbo", elevenlabs("eleven_turbo_v2_5")),
        ("elevenlabs_text_to_dialogue", elevenlabs("eleven_v3")),
        ("cartesia_websocket", json!({"provider": "cartesia", "voice_id": "a voice", "language": "nl-NL", "speed": 2})),
    ] {
        capture.speech_over_socket(name, config).await;
    }
    for (name, provider, model, language) in [
        ("deepgram_listen", SttProvider::Deepgram, "nova-3-general", "nl"),
        ("deepgram_flux", SttProvider::Deepgram, "flux-general-multi", "nl"),
        ("openai_transcription", SttProvider::Openai, "gpt-4o-transcribe", "nl-NL"),
    ] {
        capture.stt(name, provider, model, language).await;
    }
    capture.snapshots.finish();
}

/// Every message and what it means to us, and then a text that is no message.
fn readings(messages: &[Value], mut read: impl FnMut(&str) -> String) -> String {
    let mut text = String::new();
    for message in messages {
        text += &format!("{message}\n  {}\n", read(&message.to_string()));
    }
    text + &format!("<html>502 Bad Gateway</html>\n  {}\n", read("<html>502 Bad Gateway</html>"))
}

fn read_stt(provider: SttProvider, model: &str, messages: &[Value]) -> String {
    let setup = SttSessionConfig {
        model: model.into(),
        language: "nl".into(),
        keyterms: vec![],
        encoding: "mulaw",
        endpointing_ms: 300,
        eager: false,
    };
    let mut wire = vendors::stt_vendor(provider).open(&setup);
    readings(messages, |text| format!("{:?}", wire.read(text)))
}

fn read_llm(provider: LlmProvider, messages: &[Value]) -> String {
    let mut reader = vendors::llm_vendor(provider).unwrap().reader();
    let text = readings(messages, |text| {
        let mut said = vec![];
        let read = reader.event(text, &mut said);
        let finished = reader.is_finished();
        format!("{read:?}, said {said:?}, finished {finished}")
    });
    let mut reader = vendors::llm_vendor(provider).unwrap().reader();
    for message in messages {
        let _ = reader.event(&message.to_string(), &mut vec![]);
    }
    format!("{text}at the end\n  {:?}\n", reader.finish())
}

fn read_tts(name: &str, provider: &str, model: &str, messages: &[Value]) -> String {
    let config = json!({"provider": provider, "voice_id": "v", "language": "nl", "model": model});
    let config: TtsConfig = serde_json::from_value(config).unwrap();
    let settings = VoiceSettings::default();
    let mut wire: Box<dyn TtsSocketProtocol> = match name {
        "elevenlabs_multi_stream_input" => {
            Box::new(elevenlabs::multi_stream::MultiStreamProtocol::new(&config, &settings))
        }
        "elevenlabs_text_to_dialogue" => {
            Box::new(elevenlabs::text_to_dialogue::TextToDialogueProtocol::new(&config, &settings))
        }
        _ => Box::new(cartesia::websocket::CartesiaProtocol::new(&config, &settings)),
    };
    wire.speak("s1", "Ja hoor.");
    readings(messages, |text| format!("{:?}", wire.read(text)))
}

fn read_realtime(provider: LlmProvider, messages: &[Value]) -> String {
    let setup = RealtimeSessionConfig {
        model: "m".into(),
        voice: None,
        instructions: "Be brief.".into(),
        first_message: None,
        language: "nl".into(),
        tools: vec![],
        encoding: "mulaw",
        silence_ms: 300,
    };
    let mut wire = vendors::realtime_vendor(provider).unwrap().open(setup);
    readings(messages, |text| format!("{:?}", wire.read(text)))
}

/// What the vendors send, message by message, and what it means to us: `fixtures/provider_events/*.snap`.
#[test]
fn messages_of_the_vendors_mean_what_they_say() {
    let mut snapshots = SnapshotFolder::new("provider_events");
    for (name, provider, model, messages) in stt::all() {
        snapshots.compare(name, &read_stt(provider, model, &messages));
    }
    for (name, provider, messages) in llm::all() {
        snapshots.compare(name, &read_llm(provider, &messages));
    }
    for (name, provider, model, messages) in tts::all() {
        snapshots.compare(name, &read_tts(name, provider, model, &messages));
    }
    for (name, provider, messages) in realtime::all() {
        snapshots.compare(name, &read_realtime(provider, &messages));
    }
    snapshots.finish();
}
