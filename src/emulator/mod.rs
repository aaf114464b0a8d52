//! The providers' protocols seen from their side, on loopback: build and test agents without accounts.
//!
//! Written against the vendors' documentation and never against our own clients; it shares no code with
//! `providers`, so that a mistake there is not made twice.
#![expect(clippy::disallowed_methods, reason = "a server of its own: tasks, clocks and delays are its business")]

mod clock;
mod deepgram;
mod elevenlabs;
mod faults;
mod openai;
mod recogniser;
mod script;
mod voice;

pub use faults::{Fault, Faults};
pub use recogniser::{Phrase, Recogniser, fixture_phrases};
pub use script::{Rule, Script};

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Results kept for whoever measures.
const RESULTS_MAX: usize = 16_384;

/// How long the emulated providers take.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// From the end of an utterance (after its endpointing silence) to the final result.
    pub stt_final_ms: u64,
    /// From the request to the first token.
    pub llm_first_token_ms: u64,
    /// Between two tokens.
    pub llm_token_ms: u64,
    /// From the request to the first audio.
    pub tts_first_byte_ms: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { stt_final_ms: 50, llm_first_token_ms: 150, llm_token_ms: 5, tts_first_byte_ms: 100 }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub delays: Delays,
    pub script: Script,
    /// Program that speaks; without it the voice is a buzz of the right length.
    pub espeak: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Emulator {
    delays: Delays,
    clock: clock::Clock,
    script: Arc<Script>,
    faults: Faults,
    recogniser: Arc<Recogniser>,
    voice: voice::Voice,
    results: broadcast::Sender<(Instant, String)>,
}

/// A running emulator.
#[expect(missing_debug_implementations, reason = "nothing to see")]
pub struct Running {
    pub addr: SocketAddr,
    pub faults: Faults,
    /// What the recogniser said, and when: for measuring.
    pub results: broadcast::Sender<(Instant, String)>,
    task: tokio::task::AbortHandle,
    _clock: clock::Stop,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// Serves all emulated providers on one address.
pub async fn start(listen: SocketAddr, settings: Settings) -> std::io::Result<Running> {
    let listener = TcpListener::bind(listen).await?;
    let addr = listener.local_addr()?;
    let faults = Faults::default();
    let (clock, stop) = clock::Clock::start()?;
    let emulator = Emulator {
        delays: settings.delays,
        clock,
        script: Arc::new(settings.script),
        faults: faults.clone(),
        recogniser: Arc::new(Recogniser::new(fixture_phrases())),
        voice: voice::Voice::new(settings.espeak),
        results: broadcast::Sender::new(RESULTS_MAX),
    };
    let results = emulator.results.clone();
    let router = Router::new()
        .route("/v1/listen", get(deepgram::listen))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/audio/speech", post(openai::speech))
        .route("/v1/text-to-speech/{voice}/stream", post(elevenlabs::stream))
        .route("/v1/convai/conversations/{id}", get(elevenlabs::conversation))
        .route("/emulator/faults", post(set_fault))
        .with_state(emulator);
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "emulator stopped");
        }
    })
    .abort_handle();
    Ok(Running { addr, faults, results, task, _clock: stop })
}

/// `{"stage":"llm","fault":"stall","times":1}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultOrder {
    stage: String,
    fault: Option<Fault>,
    times: Option<u32>,
}

async fn set_fault(State(emulator): State<Emulator>, Json(order): Json<FaultOrder>) -> StatusCode {
    let known = emulator.faults.set(&order.stage, order.fault, order.times.unwrap_or(u32::MAX));
    if known { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST }
}

/// Longer than any deadline of a client: what "stalls" means here.
async fn stall() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}
