//! What `/metrics` shows, and who may read it.

use super::auth_header::bearer_token;
use super::health_checks::SIP_DEADLINE;
use crate::call::registry::CallRegistry;
use crate::domain::secret::Secret;
use crate::supervision::panics;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use tokio::time::timeout;
use trunkline_connections::ConnectionCounters;
use trunkline_media::io::ports::PortPool;
use trunkline_media::io::worker::MediaWorkers;
use trunkline_media::stats::LATENESS_BOUNDS_US;
use trunkline_signaling::io::SipHandle;

/// Who may read the metrics.
#[derive(Clone, Debug, Default)]
pub struct MetricsAuth {
    pub(super) token: Option<Secret>,
    pub(super) has_listener: bool,
    connections: Arc<ConnectionCounters>,
}

impl MetricsAuth {
    /// An empty token is none.
    pub fn new(token: &Secret, has_listener: bool) -> Self {
        Self { token: (!token.is_empty()).then(|| token.clone()), has_listener, connections: Arc::default() }
    }

    /// What its own listener counts.
    pub fn connections(&self) -> Arc<ConnectionCounters> {
        self.connections.clone()
    }

    /// Whether the request has the token.
    pub(super) fn is_token(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().zip(bearer_token(headers)).is_some_and(|(token, sent)| *token == *sent)
    }
}

/// Where the numbers come from.
#[derive(Clone, Debug)]
pub struct MetricsSources {
    /// What the process has counted.
    pub prometheus: PrometheusHandle,
    /// The live calls of this process.
    pub registry: CallRegistry,
    /// The threads that carry audio.
    pub workers: MediaWorkers,
    /// The SIP user agent.
    pub sip: SipHandle,
    /// The RTP ports that no call holds.
    pub ports: PortPool,
}

/// The metrics.
#[derive(Clone, Debug)]
pub(super) struct MetricsService {
    /// Who may read them.
    pub auth: MetricsAuth,
    /// Connections of the API's listener.
    pub connections: Arc<ConnectionCounters>,
    sources: MetricsSources,
}

impl MetricsService {
    pub(super) fn new(auth: MetricsAuth, sources: MetricsSources) -> Self {
        Self { auth, connections: Arc::default(), sources }
    }

    /// Everything, in Prometheus' text format.
    pub(super) async fn render(&self) -> Response {
        metrics::gauge!("trunkline_calls").set(self.sources.registry.count() as f64);
        metrics::gauge!("trunkline_media_port_pairs_free").set(self.sources.ports.available() as f64);
        let stats = self.sources.workers.stats();
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
        for (part, count) in panics() {
            metrics::counter!("trunkline_panics_total", "part" => part).absolute(count);
        }
        // If the SIP user agent does not answer, the other metrics are still rendered.
        if let Ok(Some(snapshot)) = timeout(SIP_DEADLINE, self.sources.sip.snapshot()).await {
            metrics::gauge!("trunkline_sip_sessions").set(snapshot.sessions as f64);
            for (role, count) in [("server", snapshot.server_transactions), ("client", snapshot.client_transactions)] {
                metrics::gauge!("trunkline_sip_transactions", "role" => role).set(count as f64);
            }
            let c = snapshot.counters;
            for (fate, count) in [
                ("received", c.received),
                ("garbage", c.unparseable),
                ("refused", c.refused),
                ("retransmitted", c.retransmitted),
                ("forbidden", c.forbidden),
                ("overload", c.overload),
                ("shed", c.rate_limited),
                ("guesses_limited", c.credentials_limited),
            ] {
                metrics::counter!("trunkline_sip_messages_total", "fate" => fate).absolute(count);
            }
        }
        count_connections("api", &self.connections);
        count_connections("metrics", &self.auth.connections);
        count_connections("webrtc_tcp", self.sources.workers.webrtc_tcp_report());
        for (listener, report) in self.sources.sip.connection_reports().all() {
            count_connections(listener, report);
        }
        ([("content-type", "text/plain; version=0.0.4")], self.sources.prometheus.render()).into_response()
    }
}

fn count_connections(listener: &'static str, report: &ConnectionCounters) {
    metrics::gauge!("trunkline_connections", "listener" => listener).set(report.open() as f64);
    metrics::counter!("trunkline_connections_accepted_total", "listener" => listener).absolute(report.accepted());
    for (why, count) in report.closed() {
        let labels = [("listener", listener), ("reason", why.name())];
        metrics::counter!("trunkline_connections_closed_total", &labels).absolute(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    #[test]
    fn an_empty_token_opens_nothing() {
        let mut headers = HeaderMap::new();
        for value in ["Bearer ", "Bearer", "Bearer a token of sixteen", "Basic YTpi"] {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert!(!MetricsAuth::new(&"".into(), false).is_token(&headers), "{value}");
        }
        headers.insert(header::AUTHORIZATION, "bearer a token of sixteen".parse().unwrap());
        assert!(MetricsAuth::new(&"a token of sixteen".into(), false).is_token(&headers));
        assert!(!MetricsAuth::new(&"a token of sixteen!".into(), false).is_token(&headers));
    }
}
