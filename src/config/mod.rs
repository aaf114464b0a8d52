//! Settings: `config.toml`, then the environment, then a check that reports every fault at once.

mod check;
mod connections;
mod load;
mod webrtc;

pub use connections::{ApiConnections, SipConnections, WebrtcConnections};
pub use load::{ConfigError, load};
pub use webrtc::{IceServerConfig, WebrtcConfig};

use crate::domain::allowed_networks;
use crate::domain::price::PriceTable;
use crate::domain::provider::{ProviderAccount, provider_table};
use crate::domain::quota::Quotas;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Everything that can be set; `config.toml` in the repository explains each.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub api: ApiConfig,
    pub database: DatabaseConfig,
    pub sip: SipConfig,
    pub egress: EgressConfig,
    pub media: MediaConfig,
    pub webrtc: WebrtcConfig,
    pub calls: CallsConfig,
    /// What one organization may hold and use.
    pub quotas: Quotas,
    pub recordings: RecordingsConfig,
    pub log: LogConfig,
    pub telemetry: TelemetryConfig,
    pub metrics: MetricsConfig,
    pub providers: ProvidersConfig,
    pub webhooks: WebhooksConfig,
    pub smtp: SmtpConfig,
    pub secrets: SecretsConfig,
    pub node: NodeConfig,
    pub prices: PriceTable,
}

/// Where connections may go whose address somebody else names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Networks and addresses that are allowed beside the public internet: `10.1.0.0/16`, `192.168.1.10`.
    pub allow_networks: Vec<String>,
    /// Names are looked up here instead of by the system.
    pub dns_server: Option<SocketAddr>,
}

impl EgressConfig {
    /// One of `allow_networks`.
    fn network(text: &str) -> Option<IpNet> {
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    }

    /// Those of `allow_networks` that are networks: all of them, once the settings are checked.
    pub fn networks(&self) -> Vec<IpNet> {
        self.allow_networks.iter().filter_map(|text| Self::network(text)).collect()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Loopback, private addresses and http are allowed: for development and tests.
    pub allow_private: bool,
}

/// Where mail goes out; without a host none is sent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<String>,
    pub from: String,
    /// STARTTLS; without it only to loopback.
    pub tls: bool,
}

impl std::fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).field("tls", &self.tls).finish()
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Encrypts the provider keys of organizations.
    pub master_key: String,
}

impl std::fmt::Debug for SecretsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("configured", &!self.master_key.is_empty()).finish()
    }
}

#[derive(Clone, Debug, Deserialize)]
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

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    pub listen: SocketAddr,
    pub body_bytes_max: usize,
    pub public_url: String,
    pub rate_limit_per_minute: u32,
    /// Requests of one address in any sixty seconds at what needs no key.
    pub public_rate_limit_per_minute: u32,
    /// A proxy in front of us names the client in X-Forwarded-For.
    pub behind_proxy: bool,
    /// Signs session tokens of live transcripts.
    pub token_secret: String,
    pub connections: ApiConnections,
}

impl std::fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("listen", &self.listen)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("public_url", &self.public_url)
            .field("rate_limit_per_minute", &self.rate_limit_per_minute)
            .field("public_rate_limit_per_minute", &self.public_rate_limit_per_minute)
            .field("behind_proxy", &self.behind_proxy)
            .field("signs_with_own_key", &!self.token_secret.is_empty())
            .field("connections", &self.connections)
            .finish()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    pub url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConfig {
    pub listen: SocketAddr,
    pub advertised_address: Option<IpAddr>,
    /// `host:port` of a STUN server that tells our public address, where none is set.
    pub stun_server: String,
    /// The same for peers of the other family: an IPv6 address beside an IPv4 one, or the reverse.
    pub advertised_address_other: Option<IpAddr>,
    pub realm: String,
    pub user_agent: String,
    /// Carriers' names are looked up here instead of at the system's servers.
    pub dns_server: Option<SocketAddr>,
    /// RFC 4028; 0: no session timer is asked for.
    pub session_expires_s: u32,
    /// Trunks register. Of several processes on one database one should.
    pub register: bool,
    /// Trunks and SIP URIs may lead to private networks and to this machine. Unset: to private networks where
    /// `advertised_address` is in one itself, to this machine where it is a loopback address.
    pub allow_private: Option<bool>,
    /// Networks that trunks may list although they are wide: a list of addresses holds a /16 of IPv4 and a /32 of IPv6
    /// at most, beside what is inside of these.
    pub wide_networks_allowed: Vec<String>,
    pub tls: SipTlsConfig,
    pub websocket: SipWebSocketConfig,
    pub stir: StirConfig,
    pub connections: SipConnections,
}

impl SipConfig {
    /// The same as networks, without what is none.
    pub fn wide_networks(&self) -> Vec<ipnet::IpNet> {
        self.wide_networks_allowed.iter().filter_map(|text| allowed_networks::parse(text)).collect()
    }
}

/// Identity headers (RFC 8224).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StirConfig {
    /// PEM file of the roots; empty: headers are shown and not checked.
    pub roots: String,
    /// Older ones are not believed.
    pub max_age_s: u64,
    /// Certificates may be on private addresses and without TLS.
    pub allow_private: bool,
}

impl Default for StirConfig {
    fn default() -> Self {
        Self { roots: String::new(), max_age_s: 60, allow_private: false }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipTlsConfig {
    pub listen: Option<SocketAddr>,
    /// PEM files; ours is read again when it changes.
    pub certificate: String,
    pub private_key: String,
    /// Roots of clients' certificates; empty: none is asked for.
    pub client_roots: String,
    pub client_certificate_required: bool,
    /// Roots of servers' certificates beside the public ones.
    pub roots: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipWebSocketConfig {
    pub listen: Option<SocketAddr>,
    /// Over TLS, with the certificate of `[sip.tls]`.
    pub secure: bool,
    /// Pages that may connect; empty: all.
    pub allowed_origins: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    pub bind_address: Option<IpAddr>,
    pub port_first: u16,
    pub port_last: u16,
    /// 0: one less than there are cores, at least one.
    pub workers: usize,
    pub network_timeout_ms: u64,
    pub latching: LatchingMode,
}

/// Which sources of RTP are taken for the peer beside the one that its description names (RFC 7362).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchingMode {
    Off,
    SameAddress,
    #[default]
    SignallingAddress,
    Any,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallsConfig {
    pub calls_max: usize,
    pub overload_retry_after_s: u32,
    pub ring_timeout_ms: u64,
    pub drain_timeout_ms: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingsConfig {
    pub folder: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    pub format: LogFormat,
    pub filter: String,
}

/// Where spans go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`. Empty: nothing is sent.
    pub otlp_endpoint: String,
}

/// Who may read `/metrics`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Sent as `Authorization: Bearer …`. Empty: on the API's port, programs on this machine alone.
    pub token: String,
    /// A listener for nothing else; whoever reaches it needs no token, unless one is set.
    pub listen: Option<SocketAddr>,
}

impl std::fmt::Debug for MetricsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("token", &!self.token.is_empty()).field("listen", &self.listen).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Pretty,
    Json,
}

macro_rules! accounts {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $($stages:tt)*
    } )*) => {
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ProvidersConfig {
            /// Customers' own servers (`base_url` of an agent) may be on private addresses, and speak http.
            pub allow_private: bool,
            pub timeouts: ProviderTimeoutsConfig,
            $( pub $field: ProviderConfig, )*
        }

        impl Default for ProvidersConfig {
            fn default() -> Self {
                let at = |base_url: &str, api_version: &str| ProviderConfig {
                    base_url: base_url.to_owned(),
                    api_version: api_version.to_owned(),
                    ..ProviderConfig::default()
                };
                let mut providers =
                    Self { allow_private: false, timeouts: ProviderTimeoutsConfig::default(), $( $field: at($url, $version), )* };
                providers.local.program = "espeak-ng".to_owned();
                providers.local.flite_program = "flite".to_owned();
                providers
            }
        }

        impl ProvidersConfig {
            pub fn account(&self, account: ProviderAccount) -> &ProviderConfig {
                match account { $( ProviderAccount::$account => &self.$field, )* }
            }

            pub fn account_mut(&mut self, account: ProviderAccount) -> &mut ProviderConfig {
                match account { $( ProviderAccount::$account => &mut self.$field, )* }
            }
        }
    };
}
provider_table!(accounts);

/// Deadlines by what a provider does.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderTimeoutsConfig {
    pub stt: StageTimeoutsConfig,
    pub llm: StageTimeoutsConfig,
    pub tts: StageTimeoutsConfig,
    #[serde(rename = "engine")]
    pub realtime: StageTimeoutsConfig,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTimeoutsConfig {
    /// TCP, TLS and upgrade.
    pub connect_ms: u64,
    /// From a request to its first token or audio.
    pub first_byte_ms: u64,
    /// Between two of them; of a socket that only listens, for a sign of life.
    pub between_bytes_ms: u64,
}

impl Default for ProviderTimeoutsConfig {
    fn default() -> Self {
        let of = |first_byte_ms, between_bytes_ms| StageTimeoutsConfig {
            connect_ms: 3_000,
            first_byte_ms,
            between_bytes_ms,
        };
        Self { stt: of(4_000, 4_000), llm: of(8_000, 5_000), tts: of(5_000, 4_000), realtime: of(6_000, 4_000) }
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    pub base_url: String,
    pub api_key: Option<String>,
    /// File the key is read from instead.
    pub api_key_file: Option<String>,
    /// Of providers whose requests name one.
    pub api_version: String,
    /// Streams at once that the account allows; 0: no limit of ours.
    pub concurrency_max: usize,
    /// Of the local voices: espeak-ng.
    pub program: String,
    pub flite_program: String,
}

impl std::fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider")
            .field("base_url", &self.base_url)
            .field("key", &self.api_key.is_some())
            .field("api_version", &self.api_version)
            .field("concurrency_max", &self.concurrency_max)
            .field("program", &self.program)
            .field("flite_program", &self.flite_program)
            .finish()
    }
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
            token_secret: String::new(),
            connections: ApiConnections::default(),
        }
    }
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

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: "sqlite://data/trunkline.db".to_owned() }
    }
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 5_060)),
            advertised_address: None,
            stun_server: String::new(),
            advertised_address_other: None,
            realm: "trunkline".to_owned(),
            user_agent: concat!("trunkline/", env!("CARGO_PKG_VERSION")).to_owned(),
            dns_server: None,
            session_expires_s: 1_800,
            register: true,
            allow_private: None,
            wide_networks_allowed: Vec::new(),
            tls: SipTlsConfig::default(),
            websocket: SipWebSocketConfig::default(),
            stir: StirConfig::default(),
            connections: SipConnections::default(),
        }
    }
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            bind_address: None,
            port_first: 40_000,
            port_last: 44_999,
            workers: 0,
            network_timeout_ms: 30_000,
            latching: LatchingMode::default(),
        }
    }
}

impl Default for CallsConfig {
    fn default() -> Self {
        Self { calls_max: 1_000, overload_retry_after_s: 10, ring_timeout_ms: 60_000, drain_timeout_ms: 30_000 }
    }
}

impl Default for RecordingsConfig {
    fn default() -> Self {
        Self { folder: "data/recordings".to_owned() }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, filter: "info".to_owned() }
    }
}

impl Config {
    /// Address in Via, Contact and SDP.
    pub fn advertised(&self) -> IpAddr {
        self.sip.advertised_address.unwrap_or(if self.sip.listen.ip().is_unspecified() {
            primary_address().unwrap_or(self.sip.listen.ip())
        } else {
            self.sip.listen.ip()
        })
    }

    pub fn media_bind(&self) -> IpAddr {
        self.media.bind_address.unwrap_or(self.sip.listen.ip())
    }
}

/// The address this machine reaches the world from. Connecting a UDP socket sends nothing; it only asks
/// the routing table. 192.0.2.1 is a documentation address (RFC 5737).
pub fn primary_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    socket.local_addr().ok().map(|addr| addr.ip())
}
