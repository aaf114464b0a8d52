//! What providers get to see, byte for byte: `fixtures/providers/*.txt` hold our requests as they leave.

use super::support::Golden;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use trunkline::domain::chat::{ChatMessage, ToolCall};
use trunkline::domain::provider::{Account, LlmProvider, SttProvider};
use trunkline::domain::speech::{TtsConfig, VoiceSettings};
use trunkline::providers::chat::{self, Plan};
use trunkline::providers::{ChatRequest, Deadlines, Endpoint, Programs, Providers, Settings, Timeouts, listen};

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
fn providers(base: &str) -> Providers {
    let ms = Duration::from_millis;
    let deadlines = Deadlines { connect: ms(2_000), first_byte: ms(2_000), between_bytes: ms(2_000) };
    let endpoint = |account: &Account| Endpoint {
        account: *account,
        base_url: base.to_owned(),
        api_key: Some("secret-key".into()),
        api_version: "2026-10-21".into(),
        concurrency_max: 0,
        is_customers: false,
    };
    let settings = Settings {
        timeouts: Timeouts { stt: deadlines, llm: deadlines, tts: deadlines, engine: deadlines },
        endpoints: Account::ALL.iter().map(endpoint).collect(),
        programs: Programs { espeak: "espeak-ng".into(), flite: "flite".into() },
        allow_private: true,
    };
    Providers::new(settings).unwrap()
}

fn conversation() -> ChatRequest {
    let call = |id: &str, name: &str| ToolCall { id: id.into(), name: name.into(), arguments: "{\"a\":1}".into() };
    ChatRequest {
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
        tools: trunkline::dialogue::tools::offers(&[]),
        cache_key: Some("agent-42".into()),
        ..ChatRequest::default()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_leave_as_the_vendors_document_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let providers = providers(&format!("http://{}", listener.local_addr().unwrap()));
    let mut open = Vec::new();
    let mut golden = Golden::new("providers");
    for (name, provider, model, temperature) in [
        ("openai_chat", LlmProvider::Openai, "gpt-4o-mini", None),
        ("openai_chat_reasoning", LlmProvider::Openai, "gpt-5.4-mini", Some(0.3)),
        ("anthropic_messages", LlmProvider::Anthropic, "claude-haiku-5-5", None),
        ("anthropic_messages_temperature", LlmProvider::Anthropic, "claude-sonnet-4", Some(1.4)),
        ("groq_chat", LlmProvider::Groq, "openai/gpt-oss-20b", None),
        ("mistral_chat", LlmProvider::Mistral, "mistral-small-latest", None),
        ("xai_chat", LlmProvider::Xai, "grok-4-1-fast-non-reasoning", None),
    ] {
        let candidate = providers.chat_candidate(provider, model, temperature, None).unwrap();
        let plan = Plan { candidates: vec![candidate.clone()], hedge_after: None };
        let stream = chat::ask(&providers, plan.clone(), conversation());
        golden.compare(name, &captured(&listener, &mut open).await);
        drop(stream);
        if temperature.is_none() {
            let schema = json!({"type": "object", "properties": {"summary": {"type": "string"}}});
            let messages = [ChatMessage::System("Report.".into()), ChatMessage::User("Hello".into())];
            let asked = chat::complete(&providers, &plan, &messages, &schema, Duration::from_secs(2));
            let text = tokio::select! {
                text = captured(&listener, &mut open) => text,
                _ = asked => unreachable!("nobody answers"),
            };
            golden.compare(&format!("{name}_structured"), &text);
        }
    }
    let speak = |config: Value| {
        let config: TtsConfig = serde_json::from_value(config).unwrap();
        let settings: VoiceSettings =
            serde_json::from_value(json!({"stability": 0.4, "style": 0.1, "speed": 2.0})).unwrap();
        let mut voice = providers.voice(&config, &settings);
        let speech = voice.speak("Goede morgen.", true);
        (voice, speech)
    };
    let spoken = speak(json!({"provider": "openai", "voice_id": "alloy", "language": "nl", "speed": 1.2}));
    golden.compare("openai_speech", &captured(&listener, &mut open).await);
    drop(spoken);
    let elevenlabs = |model: &str| {
        json!({"provider": "elevenlabs", "voice_id": "a voice", "language": "nl-NL", "model": model,
        "similarity_boost": 0.7, "stability": 0.6, "use_speaker_boost": true})
    };
    let spoken = speak(elevenlabs("eleven_monolingual_v1"));
    golden.compare("elevenlabs_stream", &captured(&listener, &mut open).await);
    drop(spoken);
    for (name, config) in [
        ("elevenlabs_multi_stream_input", elevenlabs("eleven_flash_v2_5")),
        ("elevenlabs_multilingual", elevenlabs("eleven_multilingual_v2")),
        ("elevenlabs_text_to_dialogue", elevenlabs("eleven_v3")),
        ("cartesia_websocket", json!({"provider": "cartesia", "voice_id": "a voice", "language": "nl-NL", "speed": 2})),
    ] {
        let (voice, speech) = speak(config);
        let (head, mut socket) = upgraded(&listener).await;
        let said = frames(&mut socket).await;
        drop(speech);
        let cancelled = frames(&mut socket).await;
        golden.compare(name, &format!("{head}\n{said}\nthe caller interrupts\n\n{cancelled}"));
        drop(voice);
    }
    for (name, provider, model, language) in [
        ("deepgram_listen", SttProvider::Deepgram, "nova-3-general", "nl"),
        ("deepgram_flux", SttProvider::Deepgram, "flux-general-multi", "nl"),
        ("openai_transcription", SttProvider::Openai, "gpt-4o-transcribe", "nl-NL"),
    ] {
        let setup = listen::Setup {
            model: model.into(),
            language: language.into(),
            keyterms: vec!["Acme".into(), "Jansen & Zn".into()],
            encoding: "alaw",
            endpointing_ms: 300,
        };
        let candidate = providers.stt_candidate(provider, None, setup);
        let session = listen::listen(&providers, vec![candidate]);
        let (head, mut socket) = upgraded(&listener).await;
        session.input.send(listen::Input::Audio(vec![0xD5; 640].into())).await.unwrap();
        session.input.send(listen::Input::Finalize).await.unwrap();
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
        golden.compare(name, &format!("{head}\n{said}"));
        drop(session);
    }
    golden.finish();
}
