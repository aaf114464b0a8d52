//! `/metrics`, without envelope. On the API port it needs the token, or without a token a local client. A separate
//! listener answers everybody who reaches it, and asks for the token if one is set.

use super::client_ip::ClientIp;
use super::envelope;
use super::error::ApiError;
use super::http_listener::RemoteAddr;
use super::state::ApiState;
use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;

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

fn refused() -> ApiError {
    let message = "Metrics need metrics.token, or access to metrics.listen";
    ApiError::new(StatusCode::UNAUTHORIZED, "metrics_token_required", message)
}

/// Whether a local program asks directly: no proxy header, and a loopback host name, so that DNS rebinding by a web
/// page does not work.
fn is_local(api: &ApiState, remote: RemoteAddr, headers: &HeaderMap) -> bool {
    let address = remote.0.ip().to_canonical();
    let is_proxy =
        api.http.behind_proxy || api.http.proxies.contain(address) || api.http.proxies.contain(remote.0.ip());
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
    let access = &api.metrics.auth;
    let is_open = access.token.is_none() && !access.has_listener;
    let is_local = remote.is_some_and(|Extension(remote)| is_local(&api, remote, &headers));
    if access.is_token(&headers) || (is_open && is_local) {
        return Ok(api.metrics.render().await);
    }
    visitor.count(&api)?;
    Err(refused())
}

/// The handler of the separate metrics listener.
async fn metrics_alone(
    State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap,
) -> Result<Response, ApiError> {
    if api.metrics.auth.token.is_none() || api.metrics.auth.is_token(&headers) {
        return Ok(api.metrics.render().await);
    }
    visitor.count(&api)?;
    Err(refused())
}

/// What `metrics.listen` answers.
pub fn router(api: ApiState) -> Router {
    Router::new()
        .route("/metrics", get(metrics_alone))
        .fallback(|| async { ApiError::not_found("Endpoint") })
        .layer(from_fn(envelope::wrap))
        .with_state(api)
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
}
