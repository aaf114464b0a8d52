//! HTTP listeners: the API with the console, and the metrics if they have a separate port.

use super::error::AppError;
use crate::api::{ApiState, http_listener, metrics, router::router};
use crate::config::Config;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use trunkline_connections::{ConnectionCaps, ConnectionPool};

/// Connections of the metrics' own listener: some collectors ask, each over one or two.
const METRICS_CAPS: ConnectionCaps =
    ConnectionCaps { total: 64, reserved: 0, per_source: 16, per_listed_source: 16, per_tenant: 64 };

pub(super) async fn bind(setting: &str, listen: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let fault = |source| AppError::Io { what: format!("{setting} {listen}"), source };
    let listener = TcpListener::bind(listen).await.map_err(fault)?;
    let addr = listener.local_addr().map_err(fault)?;
    Ok((listener, addr))
}

/// The HTTP listeners by component. They serve until the end, so that readiness can be queried and calls ended while
/// the process drains.
pub(super) fn servings(
    config: &Config, api: ApiState, listener: TcpListener, metrics: Option<TcpListener>,
) -> Vec<(&'static str, http_listener::HttpListener)> {
    let limits = listener_limits(config);
    let of_metrics = metrics.map(|listener| http_listener::HttpListener {
        listener,
        router: metrics::router(api.clone()),
        limits: limits.clone(),
        connections: ConnectionPool::new(METRICS_CAPS),
        report: api.metrics_connections(),
    });
    let of_api = http_listener::HttpListener {
        listener,
        report: api.connections(),
        router: router(api),
        limits,
        connections: ConnectionPool::new(config.api.connections.caps()),
    };
    let of_metrics = of_metrics.map(|serving| ("metrics_listener", serving));
    std::iter::once(("api_listener", of_api)).chain(of_metrics).collect()
}

fn listener_limits(config: &Config) -> http_listener::HttpLimits {
    let connections = &config.api.connections;
    http_listener::HttpLimits {
        headers: connections.header_timeout(),
        idle: connections.idle_timeout(),
        transfer: connections.transfer_timeout(),
        proxies: Arc::new(connections.proxies()),
        behind_proxy: config.api.behind_proxy,
    }
}
