//! Health endpoints: no key, no envelope. Live means the process need not be restarted; ready means it can take calls.
//! All checks run concurrently, each with a deadline, and their result is cached for half a second, so polling is cheap
//! and one hanging component hides no other.

use super::ApiState;
use super::envelope::{ApiResponse, ResponsePayload};
use crate::call::driver::CallServices;
use crate::domain::time::UnixMs;
use crate::store::now;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;
use utoipa::ToSchema;

/// A database that takes longer counts as unavailable.
const DATABASE_DEADLINE: Duration = Duration::from_secs(2);
/// A SIP user agent that takes longer to answer its own OPTIONS is too busy for callers.
pub(super) const SIP_DEADLINE: Duration = Duration::from_secs(1);
/// Journal entries that have waited longer count as stuck. A busy database takes a few milliseconds.
const JOURNAL_LATE: Duration = Duration::from_secs(5);
/// Missed heartbeats after which this process counts as away.
const HEARTBEATS_MISSED_MAX: u32 = 4;
/// How long a result is cached.
const RESULT_TTL: Duration = Duration::from_millis(500);

/// Never enveloped, no key.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` or `degraded`.
    status: &'static str,
    #[schema(format = "date-time")]
    timestamp: String,
    version: &'static str,
    checks: Checks,
}

#[derive(Clone, Serialize, ToSchema)]
struct Checks {
    database: DatabaseCheck,
    mail: MailCheck,
    sip: SipCheck,
    media: MediaCheck,
    journal: JournalCheck,
    node: NodeCheck,
}

#[derive(Clone, Serialize, ToSchema)]
struct MailCheck {
    /// `ok`, or `not_configured`: no mail is sent then.
    status: &'static str,
}

#[derive(Clone, Serialize, ToSchema)]
struct DatabaseCheck {
    /// `ok` or `error`.
    status: &'static str,
    latency_ms: i64,
}

/// An OPTIONS request that we send to our SIP endpoint, which answers it.
#[derive(Clone, Serialize, ToSchema)]
struct SipCheck {
    /// `ok` or `error`.
    status: &'static str,
    latency_ms: i64,
}

/// The threads that carry sound and write recordings.
#[derive(Clone, Serialize, ToSchema)]
struct MediaCheck {
    /// `ok` or `error`.
    status: &'static str,
    /// Milliseconds since the last turn of the media thread that has been silent longest.
    oldest_turn_ms: i64,
}

/// What calls have to write, on its way to the database.
#[derive(Clone, Serialize, ToSchema)]
struct JournalCheck {
    /// `ok` or `error`.
    status: &'static str,
    /// Entries that wait.
    queued: usize,
    /// How long the oldest of them has waited.
    oldest_ms: i64,
    /// When entries were last written; none since the start.
    #[schema(format = "date-time")]
    written_at: Option<String>,
}

/// This process among those that share the database.
#[derive(Clone, Serialize, ToSchema)]
struct NodeCheck {
    /// `ok`, or `error`: the heartbeat cannot be written.
    status: &'static str,
    /// Milliseconds since the last heartbeat.
    silent_ms: i64,
}

/// Whether the process must be restarted.
#[derive(Serialize, ToSchema)]
pub(super) struct Liveness {
    /// `ok` or `failed`.
    status: &'static str,
    /// The component that was given up; the process ends because of it.
    part: Option<&'static str>,
}

/// Whether the process can take calls.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ok`, `degraded` or `draining`.
    status: &'static str,
    checks: Checks,
}

/// The cached result; callers wait while a new one is computed.
#[derive(Clone, Debug, Default)]
pub(super) struct HealthCache(Arc<Mutex<LastHealthCheck>>);

/// When it was made, and what it found.
type LastHealthCheck = Option<(Instant, Arc<HealthResult>)>;

struct HealthResult {
    checks: Checks,
    all_well: bool,
}

impl std::fmt::Debug for HealthResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthResult").field("all_well", &self.all_well).finish_non_exhaustive()
    }
}

fn ok(well: bool) -> &'static str {
    if well { "ok" } else { "error" }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "health checks measure how long they took")]
    Instant::now()
}

impl HealthCache {
    async fn checked(&self, context: &CallServices) -> Arc<HealthResult> {
        let mut last = self.0.lock().await;
        if let Some((_, checked)) = last.as_ref().filter(|(at, _)| at.elapsed() < RESULT_TTL) {
            return checked.clone();
        }
        let checked = Arc::new(check(context).await);
        *last = Some((clock(), checked.clone()));
        checked
    }
}

async fn check(context: &CallServices) -> HealthResult {
    let (database, sip) = tokio::join!(check_database(context), check_sip(context));
    let (media, journal, node) = (check_media(context), check_journal(context), check_node(context));
    let all_well =
        [database.status, sip.status, media.status, journal.status, node.status].iter().all(|status| *status == "ok");
    let mail = MailCheck { status: if context.sends_mail { "ok" } else { "not_configured" } };
    HealthResult { checks: Checks { database, mail, sip, media, journal, node }, all_well }
}

async fn check_database(context: &CallServices) -> DatabaseCheck {
    let started = clock();
    let reachable = matches!(timeout(DATABASE_DEADLINE, context.store.ping()).await, Ok(Ok(())));
    DatabaseCheck { status: ok(reachable), latency_ms: ms(started.elapsed()) }
}

async fn check_sip(context: &CallServices) -> SipCheck {
    let started = clock();
    let answered = matches!(timeout(SIP_DEADLINE, context.sip.self_check()).await, Ok(Some(_)));
    SipCheck { status: ok(answered), latency_ms: ms(started.elapsed()) }
}

fn check_media(context: &CallServices) -> MediaCheck {
    let threads = context.workers.liveness();
    let oldest = threads.iter().map(|thread| thread.since_cycle).max().unwrap_or_default();
    MediaCheck { status: ok(!threads.iter().any(|thread| thread.is_stuck())), oldest_turn_ms: ms(oldest) }
}

fn check_journal(context: &CallServices) -> JournalCheck {
    let health = context.journal.health();
    JournalCheck {
        status: ok(health.oldest < JOURNAL_LATE),
        queued: health.queued,
        oldest_ms: ms(health.oldest),
        written_at: health.wrote_at.map(UnixMs::rfc3339),
    }
}

fn check_node(context: &CallServices) -> NodeCheck {
    let silent = context.heartbeat.since_last_heartbeat().unwrap_or_default();
    NodeCheck { status: ok(silent <= context.heartbeat_interval * HEARTBEATS_MISSED_MAX), silent_ms: ms(silent) }
}

fn answer(well: bool, body: impl Serialize) -> ApiResponse {
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    ApiResponse(code, ResponsePayload::Plain(serde_json::to_value(body).unwrap_or_default()))
}

/// Whether the server works.
#[utoipa::path(get, path = "/health", tag = "health", security(()), responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn health(State(api): State<ApiState>) -> ApiResponse {
    let checked = api.health.checked(&api.context).await;
    let body = Health {
        status: if checked.all_well { "ok" } else { "degraded" },
        timestamp: now().rfc3339(),
        version: env!("CARGO_PKG_VERSION"),
        checks: checked.checks.clone(),
    };
    answer(checked.all_well, body)
}

/// Whether the process is live; 503 means a component was given up and the process must be restarted.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200, body = Liveness), (status = 503, body = Liveness)))]
pub(super) async fn live(State(api): State<ApiState>) -> ApiResponse {
    let given_up = api.context.supervisor.given_up();
    let body = Liveness {
        status: if given_up.is_none() { "ok" } else { "failed" },
        part: given_up.as_ref().map(|given_up| given_up.part),
    };
    answer(given_up.is_none(), body)
}

/// Whether the process can take calls: database, SIP, media and journal work, and it is not draining.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()), responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn ready(State(api): State<ApiState>) -> ApiResponse {
    let checked = api.health.checked(&api.context).await;
    let stopping = api.context.supervisor.is_stopping() || api.context.supervisor.given_up().is_some();
    let status = match (stopping, checked.all_well) {
        (true, _) => "draining",
        (false, false) => "degraded",
        (false, true) => "ok",
    };
    answer(status == "ok", Readiness { status, checks: checked.checks.clone() })
}
