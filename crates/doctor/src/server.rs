//! Whether a server with these settings runs already: then its ports are not bound, and its limits are the ones that count.

use crate::holders::{Holder, Protocol, holder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use trunkline::config::Config;
use trunkline::domain::finding::Finding;

const CHECK: &str = "server";
/// A server that is well answers at once.
const DEADLINE: Duration = Duration::from_secs(3);

/// A server that answers at `api.listen`.
#[derive(Clone, Debug)]
pub(crate) struct RunningServer {
    pub version: String,
    /// What of it is not well, as its health page says.
    pub ill: Vec<String>,
    /// Its process, where it can be seen.
    pub process: Option<Holder>,
}

/// Asks at `api.listen`.
pub(crate) async fn find(config: &Config) -> Option<RunningServer> {
    let address = reachable(config.api.listen);
    let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().ok()?;
    let response = client.get(format!("http://{address}/api/v1/health")).send().await.ok()?;
    let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
    let checks = body["checks"].as_object()?;
    let is_ill = |status: Option<&str>| !matches!(status, Some("ok" | "not_configured"));
    let ill = checks.iter().filter(|(_, check)| is_ill(check["status"].as_str())).map(|(name, _)| name.clone());
    Some(RunningServer {
        version: body["version"].as_str().unwrap_or("of an unknown version").to_owned(),
        ill: ill.collect(),
        process: holder(Protocol::Tcp, config.api.listen.port()),
    })
}

/// A server that listens on every address listens on loopback too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// What is said of it.
pub(crate) fn finding(config: &Config, server: Option<&RunningServer>) -> Finding {
    let listen = config.api.listen;
    match server {
        None => Finding::ok(CHECK, format!("none answers at {listen} (api.listen): its ports are tried here")),
        Some(server) if !server.ill.is_empty() => Finding::error(
            CHECK,
            format!("the server at {listen} is not well: {}", server.ill.join(", ")),
            "look at its log, and at `trunkline health`",
        ),
        Some(server) if server.version != env!("CARGO_PKG_VERSION") => Finding::warning(
            CHECK,
            format!("the server at {listen} is {}, this program {}", server.version, env!("CARGO_PKG_VERSION")),
            "restart the server, so that it is the version that is installed",
        ),
        Some(server) => Finding::ok(CHECK, format!("{} answers at {listen} (api.listen)", server.version)),
    }
}
