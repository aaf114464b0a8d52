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
use crate::domain::provider::ProviderAccount;
use crate::domain::quota::Quotas;
use crate::domain::secret::Secret;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Everything that can be set; `config.toml` in the repository explains each.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// REST API and console: address, limits, links.
    pub api: ApiConfig,
    /// Database that holds everything but the recordings.
    pub database: DatabaseConfig,
    /// SIP listeners, our address and identity, session timer, and trunks' networks.
    pub sip: SipConfig,
    /// Private networks and name server for addresses that others name.
    pub egress: EgressConfig,
    /// RTP ports, media threads, latching, and the timeout for silent networks.
    pub media: MediaConfig,
    /// Calls from browsers (WHIP, ICE).
    pub webrtc: WebrtcConfig,
    /// Limits and deadlines of calls, for this process.
    pub calls: CallsConfig,
    /// What one organization may hold and use.
    pub quotas: Quotas,
    /// Where recordings are stored.
    pub recordings: RecordingsConfig,
    /// Format and level of the log on standard error.
    pub log: LogConfig,
    /// Collector that gets the spans of each call.
    pub telemetry: TelemetryConfig,
    /// Access to `GET /metrics`.
    pub metrics: MetricsConfig,
    /// Accounts and deadlines of STT, LLM, TTS and realtime providers.
    pub providers: ProvidersConfig,
    /// Where webhooks may be delivered.
    pub webhooks: WebhooksConfig,
    /// Server that sends mail after calls; off by default.
    pub smtp: SmtpConfig,
    /// Key that encrypts what the database holds of provider keys.
    pub secrets: SecretsConfig,
    /// This process among those that share a database.
    pub node: NodeConfig,
    /// Prices that the bill of each call is computed from; those not listed count nothing.
    pub prices: PriceTable,
}

/// Where connections may go if a customer or a peer names the address.
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

/// Where webhooks may be delivered; by default to public addresses over https only.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Loopback, private addresses and http are allowed: for development and tests.
    pub allow_private: bool,
}

/// Where mail goes out; without a host none is sent.
#[derive(Clone, Debug, Deserialize)]
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

/// Secrets of the installation, from `[secrets]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Encrypts the provider keys of organizations.
    pub master_key: Secret,
}

/// Identity and heartbeat of this process, from `[node]`.
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

/// Settings of the REST API and console, from `[api]`.
#[derive(Clone, Debug, Deserialize)]
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
    /// Caps and timeouts of the API's connections.
    pub connections: ApiConnections,
}

/// Database of the installation, from `[database]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseConfig {
    /// `sqlite://path` (created on first use) or `postgres://user:password@host/name`. Default
    /// `sqlite://data/trunkline.db`. It may hold a password.
    pub url: Secret,
}

/// Settings of the SIP listeners and of our user agent, from `[sip]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConfig {
    /// Address of the UDP and TCP listeners. Default `0.0.0.0:5060`.
    pub listen: SocketAddr,
    /// Our address as carriers see it, behind NAT. `None`: found by STUN, or that of the default route.
    pub advertised_address: Option<IpAddr>,
    /// `host:port` of a STUN server that tells our public address, where none is set.
    pub stun_server: String,
    /// The same for peers of the other family: an IPv6 address beside an IPv4 one, or the reverse.
    pub advertised_address_other: Option<IpAddr>,
    /// Realm of our digest challenges (RFC 7616). Default `trunkline`.
    pub realm: String,
    /// Value of the Server and User-Agent headers. Default `trunkline/` and the version.
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
    /// SIP over TLS.
    pub tls: SipTlsConfig,
    /// SIP over WebSocket.
    pub websocket: SipWebSocketConfig,
    /// Verification of Identity headers (STIR/SHAKEN).
    pub stir: StirConfig,
    /// Caps and timeouts of TCP, TLS and WebSocket connections together.
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

/// SIP over TLS, from `[sip.tls]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipTlsConfig {
    /// Address of the TLS listener, such as `0.0.0.0:5061`. `None`: no TLS listener.
    pub listen: Option<SocketAddr>,
    /// PEM files; ours is read again when it changes.
    pub certificate: String,
    /// Path of the PEM file with the key of `certificate`; read again when it changes.
    pub private_key: String,
    /// Roots of clients' certificates; empty: none is asked for.
    pub client_roots: String,
    /// Rejects clients without a certificate; only effective with `client_roots`. Default false.
    pub client_certificate_required: bool,
    /// Roots of servers' certificates beside the public ones.
    pub roots: String,
}

/// SIP over WebSocket (RFC 7118), from `[sip.websocket]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipWebSocketConfig {
    /// Address of the WebSocket listener. `None`: no WebSocket listener.
    pub listen: Option<SocketAddr>,
    /// Over TLS, with the certificate of `[sip.tls]`.
    pub secure: bool,
    /// Pages that may connect; empty: all.
    pub allowed_origins: Vec<String>,
}

/// RTP ports, media threads and latching, from `[media]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// Address of the RTP sockets. `None`: that of `sip.listen`.
    pub bind_address: Option<IpAddr>,
    /// First UDP port for RTP, 1024 or higher; each call takes an even port and the next one. Default 40000.
    pub port_first: u16,
    /// Last port of the range, which must hold a pair for each of `calls.calls_max`. Default 44999.
    pub port_last: u16,
    /// 0: one less than there are cores, at least one.
    pub workers: usize,
    /// Milliseconds without a packet from the peer, after which a call ends as lost: 1,000 to 600,000. Default 30,000.
    pub network_timeout_ms: u64,
    /// Which sources of RTP are followed in addition to the address in the SDP. Default `signalling_address`.
    pub latching: LatchingMode,
}

/// Which sources of RTP are taken for the peer beside the one that its description names (RFC 7362).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchingMode {
    /// No source but the one in the SDP.
    Off,
    /// Other ports of the address in the SDP.
    SameAddress,
    /// Also any port of the address that the peer's SIP came from: phones behind NAT. The default.
    #[default]
    SignallingAddress,
    /// The first sender from any address: only for networks without strangers.
    Any,
}

/// Limits and deadlines of calls, from `[calls]`.
#[derive(Clone, Debug, Deserialize)]
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

/// Storage of recordings, from `[recordings]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingsConfig {
    /// Folder with one folder for each organization and one WAV file for each call. Default `data/recordings`.
    pub folder: String,
}

/// Settings of the log on standard error, from `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Readable text or JSON lines. Default `pretty`.
    pub format: LogFormat,
    /// `tracing` filter, such as `info,trunkline::call=debug`. Default `info`.
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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Sent as `Authorization: Bearer …`. Empty: on the API's port, programs on this machine alone.
    pub token: Secret,
    /// A separate listener for metrics; clients need no token there, unless one is set.
    pub listen: Option<SocketAddr>,
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

macro_rules! accounts {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $($stages:tt)*
    } )*) => {
        /// Provider accounts of the installation and their deadlines, from `[providers]`.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ProvidersConfig {
            /// Customers' own servers (`base_url` of an agent) may be on private addresses, and speak http.
            pub allow_private: bool,
            /// Deadlines of each kind of request.
            pub timeouts: ProviderTimeoutsConfig,
            $(
                #[doc = concat!("Address, key and limits of `", $name, "`.")]
                pub $field: ProviderConfig,
            )*
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
            /// Returns the settings of an account.
            pub fn account(&self, account: ProviderAccount) -> &ProviderConfig {
                match account { $( ProviderAccount::$account => &self.$field, )* }
            }

            /// Returns the settings of an account for change, such as adding a key from the environment.
            pub fn account_mut(&mut self, account: ProviderAccount) -> &mut ProviderConfig {
                match account { $( ProviderAccount::$account => &mut self.$field, )* }
            }
        }
    };
}
trunkline_domain::provider_table!(accounts);

/// Deadlines by what a provider does.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderTimeoutsConfig {
    /// Deadlines of STT streams. Default 3000, 4000 and 4000 ms.
    pub stt: StageTimeoutsConfig,
    /// Deadlines of LLM requests. Default 3000, 8000 and 5000 ms.
    pub llm: StageTimeoutsConfig,
    /// Deadlines of TTS requests. Default 3000, 5000 and 4000 ms.
    pub tts: StageTimeoutsConfig,
    /// Deadlines of realtime models, set as `engine`. Default 3000, 6000 and 4000 ms.
    #[serde(rename = "engine")]
    pub realtime: StageTimeoutsConfig,
}

/// Deadlines of one kind of request in milliseconds, each 100 to 120,000.
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

/// One account at a provider, from `[providers.<name>]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Start of the provider's URLs, without a trailing slash; http and ws only to loopback. Empty: the vendor's.
    pub base_url: String,
    /// Key of the account; `None`: the vendor's environment variable, such as `DEEPGRAM_API_KEY`, or no key at all.
    pub api_key: Option<Secret>,
    /// File the key is read from instead.
    pub api_key_file: Option<String>,
    /// Of providers whose requests name one.
    pub api_version: String,
    /// Streams at once that the account allows; 0: no limit of ours.
    pub concurrency_max: usize,
    /// Of the local voices: espeak-ng.
    pub program: String,
    /// Program of the second local TTS, used for voices such as `flite:slt`. Default `flite`.
    pub flite_program: String,
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
        Self { url: "sqlite://data/trunkline.db".into() }
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

    /// Returns the address the RTP sockets bind to: `media.bind_address`, or the address of `sip.listen`.
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
