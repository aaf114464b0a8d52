//! Sections of a few settings each.

use super::connections::ApiConnections;
use crate::domain::ids::OrganizationId;
use crate::domain::secret::Secret;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Settings of the REST API and console, from `[api]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Address of API, console, health and metrics. Default `127.0.0.1:3008`.
    pub listen: SocketAddr,
    /// Largest request body in bytes, 1 KiB to 100 MiB; larger ones get 413. Default 1 MiB.
    pub body_bytes_max: usize,
    /// Start of generated links, such as `https://voice.example.com`; empty: the host of the request.
    pub public_url: String,
    /// Requests of one API key in any sixty seconds, at least 1; more get 429. Default 1000.
    pub rate_limit_per_minute: u32,
    /// Requests of one address in a minute at what needs no key.
    pub public_rate_limit_per_minute: u32,
    /// A proxy in front of us names the client in X-Forwarded-For.
    pub behind_proxy: bool,
    /// Signs session tokens of live transcripts.
    pub token_secret: Secret,
    /// Organization of who runs the server: its admins see in `GET /doctor` what is wrong with the machine. Default: none.
    pub operator_organization: Option<OrganizationId>,
    /// Caps and timeouts of the API's connections.
    pub connections: ApiConnections,
}

impl Default for ApiConfig {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 3_008));
        Self {
            listen,
            body_bytes_max: 1 << 20,
            public_url: String::new(),
            rate_limit_per_minute: 1_000,
            public_rate_limit_per_minute: 60,
            behind_proxy: false,
            token_secret: Secret::default(),
            operator_organization: None,
            connections: ApiConnections::default(),
        }
    }
}

/// Database of the installation, from `[database]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite://path` (created on first use) or `postgres://user:password@host/name`. Default
    /// `sqlite://data/trunkline.db`. It may hold a password.
    pub url: Secret,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: "sqlite://data/trunkline.db".into() }
    }
}

/// Where connections may go if a customer or a peer names the address.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Networks and addresses that are allowed beside the public internet: `10.1.0.0/16`, `192.168.1.10`.
    pub allow_networks: Vec<String>,
    /// Names are looked up here instead of by the system.
    pub dns_server: Option<SocketAddr>,
}

impl EgressConfig {
    /// One of `allow_networks`.
    pub(super) fn network(text: &str) -> Option<IpNet> {
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    }

    /// Those of `allow_networks` that are networks: all of them, once the settings are checked.
    pub fn networks(&self) -> Vec<IpNet> {
        self.allow_networks.iter().filter_map(|text| Self::network(text)).collect()
    }
}

/// Where webhooks may be delivered; by default to public addresses over https only.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Loopback, private addresses and http are allowed: for development and tests.
    pub allow_private: bool,
}

/// Where mail goes out; without a host none is sent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmtpConfig {
    /// Host name or address of the server; empty: no mail is sent.
    pub host: String,
    /// TCP port. Default 587.
    pub port: u16,
    /// Login at the server; `None`: no authentication. Set with `password` or not at all.
    pub username: Option<String>,
    /// Password of `username`; set both or neither.
    pub password: Option<Secret>,
    /// Sender address of all mail. Default `trunkline@localhost`.
    pub from: String,
    /// STARTTLS; without it only to loopback.
    pub tls: bool,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            username: None,
            password: None,
            from: "trunkline@localhost".to_owned(),
            tls: true,
        }
    }
}

/// Secrets of the installation, from `[secrets]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Encrypts the provider keys of organizations.
    pub master_key: Secret,
}

/// Identity and heartbeat of this process, from `[node]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// One for each process that shares a database; empty: a new one at each start.
    pub name: String,
    /// How often this process says that it lives.
    pub beat_ms: u64,
    /// A process that says nothing for this long is dead, by the database's clock; the same for all who share it.
    pub dead_after_ms: u64,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { name: String::new(), beat_ms: 3_000, dead_after_ms: 12_000 }
    }
}

/// Limits and deadlines of calls, from `[calls]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallsConfig {
    /// Simultaneous calls of this process, 1 to 20,000; a further INVITE gets 503. Default 1000.
    pub calls_max: usize,
    /// Seconds in the Retry-After of that 503. Default 10.
    pub overload_retry_after_s: u32,
    /// Milliseconds after which an unanswered outbound call ends, 1,000 to 600,000. Default 60,000.
    pub ring_timeout_ms: u64,
    /// Milliseconds to wait for calls to end on SIGTERM, 0 to 3,600,000. Default 30,000.
    pub drain_timeout_ms: u64,
}

impl Default for CallsConfig {
    fn default() -> Self {
        Self { calls_max: 1_000, overload_retry_after_s: 10, ring_timeout_ms: 60_000, drain_timeout_ms: 30_000 }
    }
}

/// Storage of recordings, from `[recordings]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingsConfig {
    /// Folder with one folder for each organization and one WAV file for each call. Default `data/recordings`.
    pub folder: String,
}

impl Default for RecordingsConfig {
    fn default() -> Self {
        Self { folder: "data/recordings".to_owned() }
    }
}

/// Settings of the log on standard error, from `[log]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Readable text or JSON lines. Default `pretty`.
    pub format: LogFormat,
    /// `tracing` filter, such as `info,trunkline_call=debug`. Default `info`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, filter: "info".to_owned() }
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Readable text, one line an event.
    Pretty,
    /// One JSON object per line, with the event's fields at the top level.
    Json,
}

/// Where spans go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`. Empty: nothing is sent.
    pub otlp_endpoint: String,
}

/// Who may read `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Sent as `Authorization: Bearer …`. Empty: on the API's port, programs on this machine alone.
    pub token: Secret,
    /// A separate listener for metrics; clients need no token there, unless one is set.
    pub listen: Option<SocketAddr>,
}
