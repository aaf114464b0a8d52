//! What providers get to see, byte for byte: `fixtures/providers/*.snap` hold our requests as they leave.

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
use trunkline::domain::provider::{LlmProvider, ProviderAccount, SttProvider};
use trunkline::domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline::providers::llm::{self, LlmPlan};
use trunkline::providers::tts::TtsSocketProtocol;
use trunkline::providers::{
    Deadlines, LlmRequest, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings, StageDeadlines,
    cartesia, elevenlabs, realtime, stt, vendors,
};

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
        guard: trunkline::egress::EgressGuard::unrestricted(),
    };
    ProviderRegistry::new(settings).unwrap()
}

fn conversation() -> LlmRequest {
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: "{\"a\":1}".into(),
        schema_error: None,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_leave_as_the_vendors_document_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let providers = providers(&format!("http://{}", listener.local_addr().unwrap()));
    let mut open = Vec::new();
    let mut snapshots = SnapshotFolder::new("providers");
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
        let plan = LlmPlan { candidates: vec![candidate.clone()], hedge_after: None };
        let stream = llm::stream_llm_response(&providers, plan.clone(), conversation());
        snapshots.compare(name, &captured(&listener, &mut open).await);
        drop(stream);
        if temperature.is_none() {
            let schema = json!({"type": "object", "properties": {"summary": {"type": "string"}}});
            let messages = [ChatMessage::System("Report.".into()), ChatMessage::User("Hello".into())];
            let asked = llm::complete(&providers, &plan, &messages, &schema, Duration::from_secs(2));
            let text = tokio::select! {
                text = captured(&listener, &mut open) => text,
                _ = asked => unreachable!("no answer is sent"),
            };
            snapshots.compare(&format!("{name}_structured"), &text);
        }
    }
    let speak = |config: Value| {
        let config: TtsConfig = serde_json::from_value(config).unwrap();
        let settings: VoiceSettings =
            serde_json::from_value(json!({"stability": 0.4, "style": 0.1, "speed": 2.0})).unwrap();
        let mut voice = providers.tts_session(&config, &settings);
        let speech = voice.speak("Goede morgen.", true);
        (voice, speech)
    };
    let spoken = speak(json!({"provider": "openai", "voice_id": "alloy", "language": "nl", "speed": 1.2}));
    snapshots.compare("openai_speech", &captured(&listener, &mut open).await);
    drop(spoken);
    let elevenlabs = |model: &str| {
        json!({"provider": "elevenlabs", "voice_id": "a voice", "language": "nl-NL", "model": model,
        "similarity_boost": 0.7, "stability": 0.6, "use_speaker_boost": true})
    };
    let spoken = speak(elevenlabs("eleven_monolingual_v1"));
    snapshots.compare("elevenlabs_stream", &captured(&listener, &mut open).await);
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
        snapshots.compare(name, &format!("{head}\n{said}\nthe caller interrupts\n\n{cancelled}"));
        drop(voice);
    }
    for (name, provider, model, language) in [
        ("deepgram_listen", SttProvider::Deepgram, "nova-3-general", "nl"),
        ("deepgram_flux", SttProvider::Deepgram, "flux-general-multi", "nl"),
        ("openai_transcription", SttProvider::Openai, "gpt-4o-transcribe", "nl-NL"),
    ] {
        let setup = stt::SttSessionConfig {
            model: model.into(),
            language: language.into(),
            keyterms: vec!["Acme".into(), "Jansen & Zn".into()],
            encoding: "alaw",
            endpointing_ms: 300,
            eager: false,
        };
        let candidate = providers.stt_candidate(provider, None, setup);
        let session = stt::open_stt_session(&providers, vec![candidate]);
        let (head, mut socket) = upgraded(&listener).await;
        session.input.send(stt::SttInput::Audio(vec![0xD5; 640].into())).await.unwrap();
        session.input.send(stt::SttInput::Finalize).await.unwrap();
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
        snapshots.compare(name, &format!("{head}\n{said}"));
        drop(session);
    }
    snapshots.finish();
}

/// What the vendors send, message by message, and what it means to us: `fixtures/provider_events/*.snap`.
#[test]
fn messages_of_the_vendors_mean_what_they_say() {
    let mut snapshots = SnapshotFolder::new("provider_events");
    let say = |messages: &[Value], mut read: Box<dyn FnMut(&str) -> String>| {
        let mut text = String::new();
        for message in messages {
            text += &format!("{message}\n  {}\n", read(&message.to_string()));
        }
        text + &format!("<html>502 Bad Gateway</html>\n  {}\n", read("<html>502 Bad Gateway</html>"))
    };
    for (name, provider, model, messages) in stt_messages() {
        let setup = stt::SttSessionConfig {
            model: model.into(),
            language: "nl".into(),
            keyterms: vec![],
            encoding: "mulaw",
            endpointing_ms: 300,
            eager: false,
        };
        let mut wire = vendors::stt_vendor(provider).open(&setup);
        snapshots.compare(name, &say(&messages, Box::new(move |text| format!("{:?}", wire.read(text)))));
    }
    for (name, provider, messages) in model_messages() {
        let mut reader = vendors::llm_vendor(provider).unwrap().reader();
        let text = say(
            &messages,
            Box::new(move |text| {
                let mut said = vec![];
                let read = reader.event(text, &mut said);
                let finished = reader.is_finished();
                format!("{read:?}, said {said:?}, finished {finished}")
            }),
        );
        let mut reader = vendors::llm_vendor(provider).unwrap().reader();
        for message in &messages {
            let _ = reader.event(&message.to_string(), &mut vec![]);
        }
        snapshots.compare(name, &format!("{text}at the end\n  {:?}\n", reader.finish()));
    }
    for (name, provider, model, messages) in tts_messages() {
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
        snapshots.compare(name, &say(&messages, Box::new(move |text| format!("{:?}", wire.read(text)))));
    }
    for (name, provider, messages) in realtime_messages() {
        let setup = realtime::RealtimeSessionConfig {
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
        snapshots.compare(name, &say(&messages, Box::new(move |text| format!("{:?}", wire.read(text)))));
    }
    snapshots.finish();
}

type Messages = Vec<Value>;

fn stt_messages() -> Vec<(&'static str, SttProvider, &'static str, Messages)> {
    let results = |is_final: bool, transcript: &str| {
        json!({"type": "Results", "channel_index": [0, 1], "duration": 1.02, "start": 4.98, "is_final": is_final, "speech_final": is_final,
            "channel": {"alternatives": [{"transcript": transcript, "confidence": 0.97, "words": []}]}, "from_finalize": false})
    };
    let info = |event: &str| {
        json!({"type": "TurnInfo", "request_id": "b1", "sequence_id": 7, "event": event, "turn_index": 2, "audio_window_start": 3.2,
            "audio_window_end": 4.4, "transcript": "ik wil graag", "words": [{"word": "ik", "confidence": 0.98, "start": 3.3, "end": 3.4}],
            "end_of_turn_confidence": 0.12, "trigger": "model"})
    };
    let of_input = |name: &str, rest: Value| {
        let mut event = json!({"type": format!("conversation.item.input_audio_transcription.{name}"), "item_id": "i1", "content_index": 0});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    vec![
        (
            "deepgram_listen",
            SttProvider::Deepgram,
            "nova-3",
            vec![
                results(false, "ja dat"),
                results(false, ""),
                results(true, "ja dat klopt"),
                results(true, ""),
                json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 5.0}),
                json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 6.12}),
                json!({"type": "Metadata", "request_id": "8c1", "duration": 41.2, "channels": 1}),
                json!({"type": "ConfigureSuccess", "request_id": "8c1", "keyterms": []}),
                json!({"type": "Error", "variant": "SchemaError", "description": "unknown message", "message": "x"}),
            ],
        ),
        (
            "deepgram_flux",
            SttProvider::Deepgram,
            "flux-general-en",
            vec![
                json!({"type": "Connected", "request_id": "b1", "sequence_id": 0}),
                info("StartOfTurn"),
                info("Update"),
                info("EagerEndOfTurn"),
                info("TurnResumed"),
                info("EndOfTurn"),
                info("SomethingNew"),
                json!({"type": "ConfigureSuccess", "request_id": "b1", "sequence_id": 9}),
                json!({"type": "Warning", "request_id": "b1", "sequence_id": 10, "code": "X", "description": "x"}),
                json!({"type": "Error", "sequence_id": 11, "code": "INTERNAL_SERVER_ERROR", "description": "x"}),
            ],
        ),
        (
            "openai_transcription",
            SttProvider::Openai,
            "gpt-4o-transcribe",
            vec![
                json!({"type": "session.created", "session": {}}),
                json!({"type": "session.updated", "session": {}}),
                json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 100, "item_id": "i1"}),
                of_input("delta", json!({"delta": "Ja "})),
                json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1_200, "item_id": "i1"}),
                json!({"type": "input_audio_buffer.committed", "item_id": "i1"}),
                of_input("delta", json!({"delta": "hoor."})),
                of_input("completed", json!({"transcript": "Ja hoor."})),
                of_input("failed", json!({"error": {"message": "x"}})),
                json!({"type": "error", "error": {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "message": "empty"}}),
                json!({"type": "error", "error": {"type": "invalid_request_error", "code": "model_not_found", "message": "no such model"}}),
            ],
        ),
    ]
}

fn model_messages() -> Vec<(&'static str, LlmProvider, Messages)> {
    let chunk = |delta: Value, reason: Value| json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let tool = |index: u32, id: Value, name: Value, arguments: Value| {
        chunk(
            json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
            json!(null),
        )
    };
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 812, "completion_tokens": 31, "prompt_tokens_details": {"cached_tokens": 768}}});
    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let block =
        |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    vec![
        (
            "openai_chat",
            LlmProvider::Openai,
            vec![
                chunk(json!({"role": "assistant", "content": "", "refusal": null}), json!(null)),
                chunk(json!({"content": "Goede"}), json!(null)),
                tool(0, json!("call_a"), json!("book"), json!("")),
                tool(1, json!("call_b"), json!("look"), json!("{}")),
                tool(0, json!(null), json!(null), json!("{\"day\":1}")),
                chunk(json!({"refusal": "I cannot help with that."}), json!(null)),
                chunk(json!({}), json!("tool_calls")),
                usage,
                json!({"error": {"message": "The server had an error", "type": "server_error", "code": null}}),
            ],
        ),
        (
            "groq_chat",
            LlmProvider::Groq,
            vec![
                json!({"x_groq": {"id": "req_1"}, "choices": [{"delta": {"role": "assistant", "reasoning": "hm"}}]}),
                chunk(json!({"content": "Ja."}), json!(null)),
                json!({"x_groq": {"usage": {"prompt_tokens": 2, "completion_tokens": 1}}, "choices": [{"delta": {}, "finish_reason": "stop"}]}),
                json!({"error": {"message": "Failed to call a function.", "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "x"}}),
                json!({"x_groq": {"error": "over capacity"}, "choices": []}),
            ],
        ),
        (
            "mistral_chat",
            LlmProvider::Mistral,
            vec![
                chunk(
                    json!({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Ja."}]}),
                    json!(null),
                ),
                tool(0, json!("null"), json!("book"), json!({"day": 1})),
                chunk(json!({}), json!("tool_calls")),
                json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}),
            ],
        ),
        (
            "xai_chat",
            LlmProvider::Xai,
            vec![
                chunk(json!({"reasoning_content": "hm"}), json!(null)),
                tool(0, json!("call_1"), json!("book"), json!("{\"day\":1}")),
                chunk(json!({}), json!("tool_calls")),
                json!({"code": "Client specified an invalid argument", "error": "Argument not supported on this model"}),
            ],
        ),
        (
            "anthropic_messages",
            LlmProvider::Anthropic,
            vec![
                json!({"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 25, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 1_800, "output_tokens": 1}}}),
                json!({"type": "ping"}),
                block(0, json!({"type": "thinking", "thinking": ""})),
                delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
                delta(0, json!({"type": "signature_delta", "signature": "x"})),
                json!({"type": "content_block_stop", "index": 0}),
                block(1, json!({"type": "text", "text": ""})),
                delta(1, json!({"type": "text_delta", "text": "Prima"})),
                block(2, json!({"type": "tool_use", "id": "toolu_1", "name": "book", "input": {}})),
                delta(2, json!({"type": "input_json_delta", "partial_json": "{\"day\": \"ma\"}"})),
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 48}}),
                json!({"type": "message_stop"}),
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            ],
        ),
    ]
}

fn tts_messages() -> Vec<(&'static str, &'static str, &'static str, Messages)> {
    let alignment = |names: [&str; 2]| json!({"chars": ["J", "a", " "], names[0]: [0, 40, 90], names[1]: [40, 50, 10]});
    let camel = alignment(["charStartTimesMs", "charDurationsMs"]);
    let snake = alignment(["char_start_times_ms", "char_durations_ms"]);
    vec![
        (
            "elevenlabs_multi_stream_input",
            "elevenlabs",
            "eleven_flash_v2_5",
            vec![
                json!({"audio": "/////w==", "contextId": "s1", "isFinal": null, "alignment": camel, "normalizedAlignment": null}),
                json!({"audio": "/////w==", "contextId": "s1", "alignment": null, "normalizedAlignment": null}),
                json!({"audio": null, "contextId": "s1"}),
                json!({"type": "flush_done"}),
                json!({"isFinal": true, "contextId": "s1"}),
                json!({"message": "Have not received a new text input", "error": "input_timeout_exceeded", "code": 1_008}),
                json!({"message": "Too many", "error": "max_active_conversations", "code": 1_008}),
                json!({"message": "Quota", "error": "quota_exceeded", "code": 1_008}),
            ],
        ),
        (
            "elevenlabs_text_to_dialogue",
            "elevenlabs",
            "eleven_v3",
            vec![
                json!({"audio": "/////w==", "context_id": "s1", "alignment": snake}),
                json!({"is_final_audio_for_turn": true, "context_id": "s1"}),
                json!({"is_final": true, "context_id": "s1"}),
                json!({"message": "voices can only be set in the first message", "error": "invalid", "code": 1_008, "param": "voices"}),
            ],
        ),
        (
            "cartesia_websocket",
            "cartesia",
            "sonic-3.5",
            vec![
                json!({"type": "chunk", "context_id": "s1", "status_code": 206, "done": false, "step_time": 84.1, "data": "/////w==", "flush_id": 1}),
                json!({"type": "timestamps", "context_id": "s1", "status_code": 206, "done": false,
                    "word_timestamps": {"words": ["Ja", "hoor."], "start": [0.0, 0.3], "end": [0.3, 0.71]}}),
                json!({"type": "phoneme_timestamps", "context_id": "s1", "done": false, "phoneme_timestamps": {}}),
                json!({"type": "flush_done", "context_id": "s1", "status_code": 206, "done": false, "flush_done": true}),
                json!({"type": "done", "context_id": "s1", "status_code": 200, "done": true}),
                json!({"type": "error", "context_id": "s1", "status_code": 429, "done": true, "error_code": "concurrency_limited", "title": "Too many"}),
                json!({"type": "error", "context_id": "s1", "status_code": 400, "done": true, "error": "a plain text"}),
            ],
        ),
    ]
}

fn realtime_messages() -> Vec<(&'static str, LlmProvider, Messages)> {
    let of = |kind: &str, rest: Value| {
        let mut event = json!({"type": kind, "event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let shared = vec![
        json!({"type": "session.created", "session": {}}),
        json!({"type": "session.updated", "session": {}}),
        of("input_audio_buffer.speech_started", json!({"audio_start_ms": 100})),
        of("input_audio_buffer.speech_stopped", json!({"audio_end_ms": 900})),
        of("input_audio_buffer.committed", json!({})),
        of("conversation.item.added", json!({"item": {}})),
        of("response.created", json!({"response": {"id": "r"}})),
        of("response.output_item.added", json!({"item": {"id": "i"}})),
        of("response.content_part.added", json!({})),
        of("response.output_audio_transcript.delta", json!({"delta": "Goede"})),
        of("response.output_audio.delta", json!({"delta": "/////w=="})),
        of("response.output_audio.done", json!({})),
        of("response.output_audio_transcript.done", json!({"transcript": "Goedemorgen."})),
        of("response.function_call_arguments.delta", json!({"delta": "{"})),
        of(
            "response.function_call_arguments.done",
            json!({"call_id": "c", "name": "book", "arguments": "{\"day\":1}"}),
        ),
        of("response.output_item.done", json!({})),
        of(
            "response.done",
            json!({"response": {"status": "completed", "usage": {"input_tokens": 9, "output_tokens": 4, "input_token_details": {"cached_tokens": 2}}}}),
        ),
        of("conversation.item.truncated", json!({"audio_end_ms": 1_840})),
        json!({"type": "rate_limits.updated", "rate_limits": []}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "x"}}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "session_expired", "message": "over"}}),
    ];
    let transcription =
        |name: &str, rest: Value| of(&format!("conversation.item.input_audio_transcription.{name}"), rest);
    let mut openai = shared.clone();
    openai.insert(5, transcription("delta", json!({"delta": "Ja "})));
    openai.insert(6, transcription("completed", json!({"transcript": "Ja hoor."})));
    let mut xai = shared;
    xai.insert(1, json!({"type": "conversation.created", "conversation": {"id": "c"}}));
    xai.insert(2, json!({"type": "ping", "timestamp": 1}));
    xai.insert(6, transcription("updated", json!({"transcript": "Ja"})));
    xai.insert(7, transcription("completed", json!({"transcript": "Ja hoor."})));
    vec![
        ("openai_realtime", LlmProvider::OpenaiRealtime, openai),
        ("xai_realtime", LlmProvider::XaiRealtime, xai),
        (
            "elevenlabs_agent",
            LlmProvider::ElevenlabsAgent,
            vec![
                json!({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event":
                    {"conversation_id": "conv_1", "agent_output_audio_format": "ulaw_8000", "user_input_audio_format": "ulaw_8000"}}),
                json!({"type": "ping", "ping_event": {"event_id": 7, "ping_ms": 50}}),
                json!({"type": "agent_response", "agent_response_event": {"agent_response": "Hallo."}}),
                json!({"type": "audio", "audio_event": {"audio_base_64": "/////w==", "event_id": 3}}),
                json!({"type": "vad_score", "vad_score_event": {"vad_score": 0.9}}),
                json!({"type": "interruption", "interruption_event": {"event_id": 4}}),
                json!({"type": "audio", "audio_event": {"audio_base_64": "/////w==", "event_id": 4}}),
                json!({"type": "agent_response_correction", "agent_response_correction_event": {"original_agent_response": "Hallo.", "corrected_agent_response": "Ha"}}),
                json!({"type": "user_transcript", "user_transcription_event": {"user_transcript": "Ja hoor."}}),
                json!({"type": "client_tool_call", "client_tool_call": {"tool_name": "book", "tool_call_id": "t", "parameters": {"day": 1}}}),
                json!({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event":
                    {"conversation_id": "conv_2", "agent_output_audio_format": "pcm_16000", "user_input_audio_format": "ulaw_8000"}}),
            ],
        ),
    ]
}
