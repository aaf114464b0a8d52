//! Health and metrics: no key, no envelope.

use super::Api;
use super::envelope::{Answer, Payload};
use crate::store::now;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use std::time::Duration;
use trunkline_media::stats::LATENESS_BOUNDS_US;
use utoipa::ToSchema;

/// A database that takes longer is as good as gone for a health check.
const DEADLINE: Duration = Duration::from_secs(2);

/// Never enveloped, no key.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` or `degraded`.
    status: &'static str,
    #[schema(format = "date-time")]
    timestamp: String,
    version: &'static str,
    checks: Checks,
}

#[derive(Serialize, ToSchema)]
struct Checks {
    database: DatabaseCheck,
    mail: MailCheck,
}

#[derive(Serialize, ToSchema)]
struct MailCheck {
    /// `ok`, or `not_configured`: no mail is sent then.
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct DatabaseCheck {
    /// `ok` or `error`.
    status: &'static str,
    latency_ms: i64,
}

/// Whether the server works.
#[utoipa::path(get, path = "/health", tag = "health", security(()), responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn health(State(api): State<Api>) -> Answer {
    let started = now();
    let reachable = matches!(tokio::time::timeout(DEADLINE, api.context.store.ping()).await, Ok(Ok(())));
    let latency_ms = now().0 - started.0;
    let (code, status) = if reachable { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "degraded") };
    let check = if reachable { "ok" } else { "error" };
    let mail = if api.context.sends_mail { "ok" } else { "not_configured" };
    let body = Health {
        status,
        timestamp: now().rfc3339(),
        version: env!("CARGO_PKG_VERSION"),
        checks: Checks { database: DatabaseCheck { status: check, latency_ms }, mail: MailCheck { status: mail } },
    };
    Answer(code, Payload::Plain(serde_json::to_value(body).unwrap_or_default()))
}

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    metrics::gauge!("trunkline_calls").set(api.context.registry.count() as f64);
    let stats = api.context.workers.stats();
    // In the form of a Prometheus histogram: each bucket holds the ones before it.
    let mut so_far = 0;
    for (bucket, count) in stats.lateness().into_iter().enumerate() {
        so_far += count;
        let le = LATENESS_BOUNDS_US.get(bucket).map_or("+Inf".to_owned(), |us| format!("{}", *us as f64 / 1e6));
        metrics::counter!("trunkline_media_slot_lateness_seconds_bucket", "le" => le).absolute(so_far);
    }
    metrics::counter!("trunkline_media_slot_lateness_seconds_count").absolute(so_far);
    let dropped = stats.recording_blocks_dropped.load(std::sync::atomic::Ordering::Relaxed);
    metrics::counter!("trunkline_queue_overflows_total", "queue" => "recording").absolute(dropped);
    let refused = stats.commands_refused.load(std::sync::atomic::Ordering::Relaxed);
    metrics::counter!("trunkline_queue_overflows_total", "queue" => "media_commands").absolute(refused);
    if let Some(snapshot) = api.context.sip.snapshot().await {
        let c = snapshot.counters;
        for (fate, count) in [
            ("received", c.received),
            ("garbage", c.garbage),
            ("refused", c.refused),
            ("retransmitted", c.retransmitted),
            ("forbidden", c.forbidden),
            ("overload", c.overload),
            ("shed", c.shed),
        ] {
            metrics::counter!("trunkline_sip_messages_total", "fate" => fate).absolute(count);
        }
    }
    ([("content-type", "text/plain; version=0.0.4")], api.metrics.render())
}
