//! Settings: `config.toml`, then the environment, then a check that reports every fault at once.

mod check;
mod connections;
mod error;
mod load;
mod media;
mod providers;
mod sections;
mod settings;
mod sip;
mod webrtc;

/// What works, and probably not as it is meant: `trunkline check-config` prints it, and the log at the start.
pub fn advice(config: &Config) -> Vec<ConfigError> {
    check::advice(config)
}

pub use connections::{ApiConnections, SipConnections, WebrtcConnections};
pub use error::ConfigError;
pub use load::load;
pub use media::{LatchingMode, MediaConfig};
pub use providers::{ProviderConfig, ProviderTimeoutsConfig, ProvidersConfig, StageTimeoutsConfig};
pub use sections::{
    ApiConfig, CallsConfig, DatabaseConfig, EgressConfig, LogConfig, LogFormat, MetricsConfig, NodeConfig,
    RecordingsConfig, SecretsConfig, SmtpConfig, TelemetryConfig, WebhooksConfig,
};
pub use settings::{Config, primary_address};
pub use sip::{SipConfig, SipTlsConfig, SipWebSocketConfig, StirConfig};
pub use webrtc::{IceServerConfig, WebrtcConfig};
