//! Sessions with a server of Deepgram's kind that misbehaves.

use super::*;
use crate::stt::{SttSession, SttSessionConfig};
use crate::stt_session::open_stt_session;
use crate::{Deadlines, LocalTtsPrograms, ProviderAccess, ProviderSettings, StageDeadlines, SttEvent, vendors};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use trunkline_domain::provider::{ProviderAccount, SttProvider};

/// A server that sends these frames on every connection; it counts the connections.
async fn server(frames: Vec<Value>) -> (ProviderRegistry, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let frames = frames.clone();
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                for frame in frames {
                    socket.send(Message::text(frame.to_string())).await.unwrap();
                }
                while let Some(Ok(_)) = socket.next().await {}
            });
        }
    });
    let ms = Duration::from_millis;
    let deadlines = Deadlines { connect: ms(2_000), first_byte: ms(2_000), between_bytes: ms(2_000) };
    let endpoint = |account: &ProviderAccount| ProviderAccess {
        account: *account,
        base_url: base.clone(),
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
        speech: crate::LocalSpeechSettings::default(),
        guard: trunkline_egress::EgressGuard::unrestricted(),
    };
    (ProviderRegistry::new(settings).unwrap(), connections)
}

fn listen(providers: &ProviderRegistry) -> SttSession {
    listen_to(providers, SttProvider::Deepgram)
}

fn listen_to(providers: &ProviderRegistry, vendor: SttProvider) -> SttSession {
    let setup = SttSessionConfig {
        model: "nova-3-general".into(),
        language: "en".into(),
        keyterms: Vec::new(),
        encoding: "mulaw",
        endpointing_ms: 300,
        eager: false,
    };
    open_stt_session(providers, vec![vendors::stt_candidate(providers, vendor, None, setup)])
}

fn words(text: &str) -> Value {
    json!({"type": "Results", "is_final": true, "speech_final": true, "start": 0.0, "duration": 1.0,
        "channel": {"alternatives": [{"transcript": text, "confidence": 0.9}]}})
}

fn error() -> Value {
    json!({"type": "Error", "description": "hiccup", "message": "x", "variant": "y"})
}

#[tokio::test]
async fn words_right_behind_an_error_are_heard_and_the_session_goes_on() {
    let (providers, connections) = server(vec![error(), words("hello"), error(), words("and more words")]).await;
    let mut session = listen(&providers);
    let mut said = Vec::new();
    while said.len() < 2 {
        match session.stream.events.recv().await {
            Some(SttEvent::Final { text, .. }) => said.push(text),
            Some(SttEvent::Ready) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((said, connections.load(Ordering::SeqCst)), (vec!["hello".into(), "and more words".into()], 1));
}

#[tokio::test]
async fn an_error_with_nothing_behind_it_ends_the_session_and_another_one_begins() {
    let (providers, connections) = server(vec![words("hello"), error()]).await;
    let mut session = listen(&providers);
    loop {
        match session.stream.events.recv().await {
            Some(SttEvent::Reconnecting(failure)) => {
                assert!(matches!(failure, ProviderError::SessionEnded(_)), "{failure:?}");
                break;
            }
            Some(_) => {}
            None => panic!("the session is over"),
        }
    }
    while !matches!(session.stream.events.recv().await, Some(SttEvent::Ready)) {}
    assert!(connections.load(Ordering::SeqCst) >= 2);
}

/// Every kind of error that a transcription session tells of, alone and twice.
#[tokio::test]
async fn words_behind_any_error_of_a_transcription_session_are_heard() {
    let codes =
        ["rate_limit_exceeded", "server_error", "session_expired", "insufficient_quota", "invalid_api_key", "other"];
    for code in codes {
        for errors in 1..=2 {
            let error = json!({"type": "error", "error": {"type": code, "code": code, "message": "x"}});
            let of_item = |name: &str, field: &str| {
                json!({"type": format!("conversation.item.input_audio_transcription.{name}"), "item_id": "a",
                    field: "hello"})
            };
            let words = [of_item("delta", "delta"), of_item("completed", "transcript")];
            let frames = std::iter::repeat_n(error, errors).chain(words).collect();
            let (providers, connections) = server(frames).await;
            let mut session = listen_to(&providers, SttProvider::Openai);
            loop {
                match session.stream.events.recv().await {
                    Some(SttEvent::Final { text, .. }) if text == "hello" => break,
                    Some(SttEvent::Ready | SttEvent::Interim(_)) => {}
                    other => panic!("{code} {errors}: {other:?}"),
                }
            }
            assert_eq!(connections.load(Ordering::SeqCst), 1, "{code}");
        }
    }
}

#[tokio::test]
async fn a_refusal_with_nothing_behind_it_ends_the_session() {
    let error = json!({"type": "error", "error": {"code": "insufficient_quota", "message": "x"}});
    let (providers, connections) = server(vec![error]).await;
    let mut session = listen_to(&providers, SttProvider::Openai);
    loop {
        match session.stream.events.recv().await {
            Some(SttEvent::Failed(failure)) => break assert_eq!(failure, ProviderError::refused(402, "x")),
            Some(_) => {}
            None => panic!("the session is over"),
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
