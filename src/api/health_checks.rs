//! Checks whether database, SIP, media and journal work. All run concurrently, each with a deadline, and their result is
//! cached for half a second, so polling is cheap and one hanging component hides no other.

use super::doctor_reports::{DoctorReports, DoctorSettings};
use crate::call::driver::Node;
use crate::domain::time::UnixMs;
use crate::store::Store;
use crate::store::journal::Journal;
use crate::supervision::{PartFailedError, Supervisor};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;
use trunkline_media::io::worker::MediaWorkers;
use trunkline_signaling::io::SipHandle;
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

/// The parts of the server that are checked.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Checks {
    /// The database answers.
    database: DatabaseCheck,
    /// Mail can be sent.
    mail: MailCheck,
    /// The SIP stack answers.
    sip: SipCheck,
    /// The media threads take their turns.
    media: MediaCheck,
    /// Events of calls are written.
    journal: JournalCheck,
    /// The process writes its heartbeat.
    node: NodeCheck,
}

/// Whether mail is sent.
#[derive(Clone, Serialize, ToSchema)]
struct MailCheck {
    /// `ok`, or `not_configured`: no mail is sent then.
    status: &'static str,
}

/// Whether the database answers.
#[derive(Clone, Serialize, ToSchema)]
struct DatabaseCheck {
    /// `ok` or `error`.
    status: &'static str,
    /// Milliseconds that its answer took.
    latency_ms: i64,
}

/// An OPTIONS request that we send to our SIP endpoint, which answers it.
#[derive(Clone, Serialize, ToSchema)]
struct SipCheck {
    /// `ok` or `error`.
    status: &'static str,
    /// Milliseconds that its answer took.
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

/// The cached result; callers wait while a new one is computed.
#[derive(Clone, Debug, Default)]
struct HealthCache(Arc<Mutex<LastHealthCheck>>);

/// When it was made, and what it found.
type LastHealthCheck = Option<(Instant, Arc<HealthResult>)>;

/// What the checks found.
pub(super) struct HealthResult {
    pub(super) checks: Checks,
    pub(super) all_well: bool,
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

/// What the checks look at.
#[derive(Clone, Debug)]
pub struct HealthSources {
    /// The database.
    pub store: Store,
    /// The SIP user agent.
    pub sip: SipHandle,
    /// The threads that carry audio.
    pub workers: MediaWorkers,
    /// What calls have to write.
    pub journal: Journal,
    /// This process among those that share the database.
    pub node: Node,
    /// Whether a component was given up, and whether the process ends.
    pub supervisor: Supervisor,
    /// False without SMTP settings.
    pub sends_mail: bool,
}

/// Looks whether the process is well, at most every half second.
#[derive(Clone, Debug)]
pub(super) struct HealthService {
    /// What is wrong with what organizations have set up.
    pub(super) doctor: DoctorReports,
    sources: HealthSources,
    cache: HealthCache,
}

impl HealthService {
    pub(super) fn new(sources: HealthSources, doctor: DoctorSettings) -> Self {
        Self { doctor: DoctorReports::new(doctor), sources, cache: HealthCache::default() }
    }

    /// The result of the checks.
    pub(super) async fn checked(&self) -> Arc<HealthResult> {
        self.cache.checked(&self.sources).await
    }

    /// Whether the server can send mail.
    pub(super) fn sends_mail(&self) -> bool {
        self.sources.sends_mail
    }

    /// The component that was given up, if one was.
    pub(super) fn given_up(&self) -> Option<PartFailedError> {
        self.sources.supervisor.given_up()
    }

    /// Whether the process ends.
    pub(super) fn is_stopping(&self) -> bool {
        self.sources.supervisor.is_stopping()
    }
}

impl HealthCache {
    async fn checked(&self, sources: &HealthSources) -> Arc<HealthResult> {
        let mut last = self.0.lock().await;
        if let Some((_, checked)) = last.as_ref().filter(|(at, _)| at.elapsed() < RESULT_TTL) {
            return checked.clone();
        }
        let checked = Arc::new(check(sources).await);
        *last = Some((clock(), checked.clone()));
        checked
    }
}

async fn check(sources: &HealthSources) -> HealthResult {
    let (database, sip) = tokio::join!(check_database(sources), check_sip(sources));
    let (media, journal, node) = (check_media(sources), check_journal(sources), check_node(sources));
    let all_well =
        [database.status, sip.status, media.status, journal.status, node.status].iter().all(|status| *status == "ok");
    let mail = MailCheck { status: if sources.sends_mail { "ok" } else { "not_configured" } };
    HealthResult { checks: Checks { database, mail, sip, media, journal, node }, all_well }
}

async fn check_database(sources: &HealthSources) -> DatabaseCheck {
    let started = clock();
    let reachable = matches!(timeout(DATABASE_DEADLINE, sources.store.ping()).await, Ok(Ok(())));
    DatabaseCheck { status: ok(reachable), latency_ms: ms(started.elapsed()) }
}

async fn check_sip(sources: &HealthSources) -> SipCheck {
    let started = clock();
    let answered = matches!(timeout(SIP_DEADLINE, sources.sip.self_check()).await, Ok(Some(_)));
    SipCheck { status: ok(answered), latency_ms: ms(started.elapsed()) }
}

fn check_media(sources: &HealthSources) -> MediaCheck {
    let threads = sources.workers.liveness();
    let oldest = threads.iter().map(|thread| thread.since_cycle).max().unwrap_or_default();
    MediaCheck { status: ok(!threads.iter().any(|thread| thread.is_stuck())), oldest_turn_ms: ms(oldest) }
}

fn check_journal(sources: &HealthSources) -> JournalCheck {
    let health = sources.journal.health();
    JournalCheck {
        status: ok(health.oldest < JOURNAL_LATE),
        queued: health.queued,
        oldest_ms: ms(health.oldest),
        written_at: health.wrote_at.map(UnixMs::rfc3339),
    }
}

fn check_node(sources: &HealthSources) -> NodeCheck {
    let silent = sources.node.heartbeat.since_last_heartbeat().unwrap_or_default();
    NodeCheck { status: ok(silent <= sources.node.heartbeat_interval * HEARTBEATS_MISSED_MAX), silent_ms: ms(silent) }
}
