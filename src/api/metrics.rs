//! `/metrics`, without envelope. On the API port it needs the token, or without a token a local client. A separate
//! listener answers everybody who reaches it, and asks for the token if one is set.

use super::auth::bearer_token;
use super::client_ip::ClientIp;
use super::error::ApiError;
use super::health::SIP_DEADLINE;
use super::{ApiState, RemoteAddr};
use crate::domain::secret::Secret;
use crate::supervision::panics;
use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::time::timeout;
use trunkline_connections::ConnectionCounters;
use trunkline_media::stats::LATENESS_BOUNDS_US;

/// Headers that proxies add. A request with one of them comes from somewhere else, whatever its connection says.
const FORWARDED: [&str; 8] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-connecting-ip",
    "true-client-ip",
];

/// Who may read the metrics.
#[derive(Clone, Debug, Default)]
pub struct MetricsAuth {
    token: Option<Secret>,
    has_listener: bool,
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

    fn is_token(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().zip(bearer_token(headers)).is_some_and(|(token, sent)| *token == *sent)
    }
}

fn refused() -> ApiError {
    let message = "Metrics need metrics.token, or access to metrics.listen";
    ApiError::new(StatusCode::UNAUTHORIZED, "metrics_token_required", message)
}

/// Whether a local program asks directly: no proxy header, and a loopback host name, so that DNS rebinding by a web
/// page does not work.
fn is_local(api: &ApiState, remote: RemoteAddr, headers: &HeaderMap) -> bool {
    let address = remote.0.ip().to_canonical();
    let is_proxy = api.behind_proxy || api.proxies.contain(address) || api.proxies.contain(remote.0.ip());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    address.is_loopback()
        && !is_proxy
        && !FORWARDED.iter().any(|name| headers.contains_key(*name))
        && is_loopback_name(host)
}

/// `localhost`, `127.0.0.1` or `[::1]`, with a port or without.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// `GET /metrics` on the API's port.
pub(super) async fn metrics(
    State(api): State<ApiState>, visitor: ClientIp, remote: Option<Extension<RemoteAddr>>, headers: HeaderMap,
) -> Result<Response, ApiError> {
    let access = &api.metrics_access;
    let is_open = access.token.is_none() && !access.has_listener;
    let is_local = remote.is_some_and(|Extension(remote)| is_local(&api, remote, &headers));
    if access.is_token(&headers) || (is_open && is_local) {
        return Ok(render(&api).await);
    }
    visitor.count(&api)?;
    Err(refused())
}

/// The handler of the separate metrics listener.
async fn metrics_alone(
    State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap,
) -> Result<Response, ApiError> {
    if api.metrics_access.token.is_none() || api.metrics_access.is_token(&headers) {
        return Ok(render(&api).await);
    }
    visitor.count(&api)?;
    Err(refused())
}

/// What `metrics.listen` answers.
pub fn router(api: ApiState) -> Router {
    Router::new()
        .route("/metrics", get(metrics_alone))
        .fallback(|| async { ApiError::not_found("Endpoint") })
        .layer(from_fn_with_state(api.clone(), super::envelope::wrap))
        .with_state(api)
}

fn count_connections(listener: &'static str, report: &ConnectionCounters) {
    metrics::gauge!("trunkline_connections", "listener" => listener).set(report.open() as f64);
    metrics::counter!("trunkline_connections_accepted_total", "listener" => listener).absolute(report.accepted());
    for (why, count) in report.closed() {
        let labels = [("listener", listener), ("reason", why.name())];
        metrics::counter!("trunkline_connections_closed_total", &labels).absolute(count);
    }
}

/// Everything, in Prometheus' text format.
async fn render(api: &ApiState) -> Response {
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
    for (part, count) in panics() {
        metrics::counter!("trunkline_panics_total", "part" => part).absolute(count);
    }
    // If the SIP user agent does not answer, the other metrics are still rendered.
    if let Ok(Some(snapshot)) = timeout(SIP_DEADLINE, api.context.sip.snapshot()).await {
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
    count_connections("api", &api.connections);
    count_connections("metrics", &api.metrics_access.connections);
    count_connections("webrtc_tcp", api.context.workers.webrtc_tcp_report());
    for (listener, report) in api.context.sip.connection_reports().all() {
        count_connections(listener, report);
    }
    ([("content-type", "text/plain; version=0.0.4")], api.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for name in ["localhost", "LOCALHOST:3008", "127.0.0.1", "127.0.0.1:3008", "127.9.9.9:1", "[::1]:3008", "[::1]"]
        {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in
            ["", "example.com", "localhost.example.com:3008", "127.0.0.1.example.com", "10.0.0.1:3008", "[::2]:1"]
        {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

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
