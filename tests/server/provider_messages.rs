//! What providers get to see, byte for byte: `fixtures/providers/*.txt` hold our requests as they leave.

use super::support::Golden;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use trunkline::domain::agent::AgentFields;
use trunkline::domain::chat::{ChatMessage, ToolCall};
use trunkline::providers::{self, ChatRequest, Deadlines, Endpoint, Providers, Warmth};

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
    let shown = ["authorization", "xi-api-key", "content-type", "accept"];
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

fn fields() -> AgentFields {
    serde_json::from_value(json!({
        "name": "A",
        "voice_settings": {"stability": 0.4, "style": 0.1, "speed": 2.0},
        "tts_config": {"provider": "elevenlabs", "voice_id": "a voice", "language": "nl-NL", "similarity_boost": 0.7, "stability": 0.6},
    }))
    .unwrap()
}

fn conversation() -> ChatRequest {
    ChatRequest {
        model: "gpt-4o-mini".into(),
        temperature: Some(0.7),
        messages: vec![
            ChatMessage::System("You help customers of Acme.".into()),
            ChatMessage::Assistant { content: "Good morning.".into(), tool_calls: Vec::new() },
            ChatMessage::User("I want to speak to a human.".into()),
            ChatMessage::Assistant {
                content: String::new(),
                tool_calls: vec![ToolCall { id: "call_1".into(), name: "end_call".into(), arguments: "{}".into() }],
            },
            ChatMessage::Tool { call_id: "call_1".into(), content: "the call ends".into() },
        ],
        tools: trunkline::dialogue::tools::offers(&[]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_leave_as_the_vendors_document_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = Endpoint { base_url: base.clone(), api_key: Some("secret-key".into()) };
    let ms = Duration::from_millis;
    let deadlines = Deadlines { connect: ms(2_000), first_byte: ms(2_000), between_bytes: ms(2_000) };
    let providers = Providers {
        http: Providers::http_client(&deadlines).unwrap(),
        deadlines,
        deepgram: endpoint.clone(),
        openai: endpoint.clone(),
        elevenlabs: endpoint.clone(),
        espeak: "espeak-ng".into(),
        warmth: Warmth::default(),
    };
    let mut open = Vec::new();
    let mut golden = Golden::new("providers");
    let agent = fields();
    let stream = providers::openai::client::chat(&providers, &endpoint, &conversation());
    golden.compare("openai_chat", &captured(&listener, &mut open).await);
    drop(stream);
    let speech = providers::openai::client::speech(&providers, "gpt-4o-mini-tts", "alloy", Some(1.2), "Hello there.");
    golden.compare("openai_speech", &captured(&listener, &mut open).await);
    drop(speech);
    let config = agent.tts_config.as_ref().unwrap();
    let speech =
        providers::elevenlabs::client::speech(&providers, config, agent.voice_settings.as_ref(), "Goede morgen.");
    golden.compare("elevenlabs_stream", &captured(&listener, &mut open).await);
    drop(speech);
    let listen = providers::deepgram::client::Listen {
        model: "nova-3-general".into(),
        language: "nl".into(),
        keyterms: vec!["Acme".into(), "Jansen & Zn".into()],
        encoding: "alaw",
        endpointing_ms: 300,
    };
    let session = providers::deepgram::client::listen(&endpoint, deadlines, listen);
    golden.compare("deepgram_listen", &captured(&listener, &mut open).await);
    drop(session);
    golden.finish();
}
