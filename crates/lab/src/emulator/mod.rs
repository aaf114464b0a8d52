//! The providers' protocols seen from their side, on loopback: build and test agents without accounts.
//!
//! Written against the vendors' documentation and never against our own clients; it shares no code with
//! `providers`, so that a mistake there is not made twice.
#![expect(clippy::disallowed_methods, reason = "a separate server: it may use tasks, clocks and delays")]

mod anthropic;
mod cartesia;
mod conversational_agent;
mod deepgram;
mod elevenlabs;
mod elevenlabs_sockets;
mod fault_injection;
mod flux;
mod odd_models;
mod openai;
mod phrase_stt;
mod precise_timer;
mod realtime;
mod script;
mod scripted_utterances;
mod state;
mod tts_audio;
mod wire;

pub use fault_injection::{FaultInjection, InjectedFault};
pub use phrase_stt::{FixturePhrase, PhraseRecognizer, fixture_phrases};
pub use script::{ReplyRule, ReplyScript, ScriptedTool};
pub use scripted_utterances::ScriptedUtterances;
pub use state::Delays;

use axum::Router;
use axum::extract::{Json, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use state::Emulator;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// Results kept for measurements.
const RESULTS_MAX: usize = 16_384;

/// How an emulator behaves from the start.
#[derive(Clone, Debug, Default)]
pub struct EmulatorSettings {
    /// How long the emulated providers take.
    pub delays: Delays,
    /// What the emulated LLM answers.
    pub script: ReplyScript,
    /// Program that speaks; without it the voice is a buzz of the right length.
    pub espeak: Option<String>,
}

/// What came to the emulator.
#[derive(Debug, Default)]
pub struct RequestCounts {
    /// TCP connections that were accepted.
    pub connections: AtomicU64,
    /// Requests that became sockets, and all others.
    pub upgrades: AtomicU64,
    /// Requests that did not become WebSockets.
    pub requests: AtomicU64,
}

/// A running emulator.
#[expect(missing_debug_implementations, reason = "nothing to see")]
pub struct EmulatorHandle {
    /// Address it listens on; with the port that the system chose where 0 was asked for.
    pub addr: SocketAddr,
    /// Faults of the next requests; can be set while it runs.
    pub faults: FaultInjection,
    /// What realtime sessions hear next.
    pub utterances: ScriptedUtterances,
    /// What came in since the start.
    pub counts: Arc<RequestCounts>,
    /// What STT said, and when: for measuring.
    pub results: broadcast::Sender<(Instant, String)>,
    task: tokio::task::AbortHandle,
    _clock: precise_timer::TimerStopGuard,
}

impl Drop for EmulatorHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl EmulatorHandle {
    /// Returns the URL without a path: `http://127.0.0.1:8090`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What a provider's `base_url` is set to.
    pub fn address_of(&self, provider: &str) -> String {
        let path = match provider {
            "openai" => "/v1",
            "groq" => "/groq/openai/v1",
            "mistral" => "/mistral/v1",
            "xai" => "/xai/v1",
            "anthropic" => "/anthropic",
            "cartesia" => "/cartesia",
            _ => "",
        };
        format!("{}{path}", self.base_url())
    }
}

/// Serves all emulated providers on one address.
pub async fn start(listen: SocketAddr, settings: EmulatorSettings) -> std::io::Result<EmulatorHandle> {
    let listener = TcpListener::bind(listen).await?;
    let addr = listener.local_addr()?;
    let (faults, utterances) = (FaultInjection::default(), ScriptedUtterances::default());
    let (clock, stop) = precise_timer::PreciseTimer::start()?;
    let emulator = Emulator {
        delays: settings.delays,
        clock,
        script: Arc::new(settings.script),
        faults: faults.clone(),
        utterances: utterances.clone(),
        stt: Arc::new(PhraseRecognizer::new(fixture_phrases())),
        voice: tts_audio::EmulatedVoice::new(settings.espeak),
        results: broadcast::Sender::new(RESULTS_MAX),
    };
    let results = emulator.results.clone();
    let counts = Arc::new(RequestCounts::default());
    let router = router().with_state(emulator);
    let task = tokio::spawn(serve(listener, router, counts.clone())).abort_handle();
    Ok(EmulatorHandle { addr, faults, utterances, counts, results, task, _clock: stop })
}

/// Every vendor's paths.
fn router() -> Router<Emulator> {
    Router::new()
        .route("/v1/listen", get(deepgram::listen))
        .route("/v2/listen", get(flux::listen))
        .route("/v1/projects", get(deepgram::projects))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/groq/openai/v1/chat/completions", post(openai::groq))
        .route("/mistral/v1/chat/completions", post(openai::mistral))
        .route("/xai/v1/chat/completions", post(openai::xai))
        .route("/v1/models", get(models))
        .route("/groq/openai/v1/models", get(openai::models))
        .route("/mistral/v1/models", get(openai::models))
        .route("/xai/v1/models", get(openai::models))
        .route("/v1/audio/speech", post(openai::speech))
        .route("/v1/realtime", get(realtime::openai))
        .route("/xai/v1/realtime", get(realtime::xai))
        .route("/anthropic/v1/messages", post(anthropic::messages))
        .route("/anthropic/v1/models", get(anthropic::models))
        .route("/v1/user", get(elevenlabs::user))
        .route("/v1/voices", get(elevenlabs::voices))
        .route("/v1/text-to-speech/{voice}/stream", post(elevenlabs::stream))
        .route("/v1/text-to-speech/{voice}/stream-input", get(elevenlabs_sockets::single))
        .route("/v1/text-to-speech/{voice}/multi-stream-input", get(elevenlabs_sockets::multi))
        .route("/v1/text-to-dialogue/multi-stream-input", get(elevenlabs_sockets::dialogue))
        .route("/v1/convai/conversation", get(conversational_agent::conversation))
        .route("/v1/convai/conversations/{id}", get(elevenlabs::conversation))
        .route("/cartesia/tts/websocket", get(cartesia::websocket))
        .route("/cartesia/voices", get(cartesia::voices))
        .route("/emulator/faults", post(set_fault))
        .route("/emulator/utterances", post(set_utterances))
}

/// Counts what comes in, and serves it.
async fn serve(listener: TcpListener, router: Router, counts: Arc<RequestCounts>) {
    use axum::serve::ListenerExt as _;
    let of_requests = counts.clone();
    let router = router.layer(axum::middleware::from_fn(move |request: Request, next: Next| {
        let counter =
            if request.headers().contains_key("upgrade") { &of_requests.upgrades } else { &of_requests.requests };
        counter.fetch_add(1, Ordering::Relaxed);
        next.run(request)
    }));
    let listener = listener.tap_io(move |stream| {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        let _ = stream.set_nodelay(true);
    });
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "emulator stopped");
    }
}

/// Three vendors have their models at the same path; their keys come in other headers.
async fn models(headers: HeaderMap) -> Response {
    let scheme = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    match () {
        () if headers.contains_key("xi-api-key") => elevenlabs::models(),
        () if scheme.starts_with("Token ") => deepgram::models(),
        () => openai::models(headers).await,
    }
}

/// `{"stage":"llm","fault":"stall","times":1}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRequest {
    stage: String,
    fault: Option<InjectedFault>,
    times: Option<u32>,
}

async fn set_utterances(State(emulator): State<Emulator>, Json(texts): Json<Vec<String>>) -> StatusCode {
    emulator.utterances.set(texts);
    StatusCode::NO_CONTENT
}

async fn set_fault(State(emulator): State<Emulator>, Json(order): Json<FaultRequest>) -> StatusCode {
    let known = emulator.faults.set(&order.stage, order.fault, order.times.unwrap_or(u32::MAX));
    if known { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST }
}
