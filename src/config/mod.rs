//! Settings: `config.toml`, then the environment, then a check that reports every fault at once.

mod check;
mod connections;
mod error;
mod load;
mod media;
mod providers;
mod settings;
mod sip;
mod webrtc;

pub use connections::{ApiConnections, SipConnections, WebrtcConnections};
pub use error::ConfigError;
pub use load::load;
pub use media::{LatchingMode, MediaConfig};
pub use providers::{ProviderConfig, ProviderTimeoutsConfig, ProvidersConfig, StageTimeoutsConfig};
pub use settings::{
    ApiConfig, CallsConfig, Config, DatabaseConfig, EgressConfig, LogConfig, LogFormat, MetricsConfig, NodeConfig,
    RecordingsConfig, SecretsConfig, SmtpConfig, TelemetryConfig, WebhooksConfig, primary_address,
};
pub use sip::{SipConfig, SipTlsConfig, SipWebSocketConfig, StirConfig};
pub use webrtc::{IceServerConfig, WebrtcConfig};
