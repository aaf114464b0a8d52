//! All sections of the settings together, and the addresses that follow from several of them.

use super::media::MediaConfig;
use super::providers::ProvidersConfig;
use super::sections::{
    ApiConfig, CallsConfig, DatabaseConfig, EgressConfig, LogConfig, MetricsConfig, NodeConfig, RecordingsConfig,
    SecretsConfig, SmtpConfig, TelemetryConfig, WebhooksConfig,
};
use super::sip::SipConfig;
use super::webrtc::WebrtcConfig;
use crate::domain::price::PriceTable;
use crate::domain::quota::Quotas;
use serde::Deserialize;
use std::net::IpAddr;

/// Everything that can be set; `config.toml` in the repository explains each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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

impl Config {
    /// Returns the names of the sections that differ, such as `sip`: what has to wait for a restart when the settings
    /// are read again. `log` is left out where only `log.filter` differs, which takes effect at once.
    pub fn sections_changed(&self, new: &Self) -> Vec<&'static str> {
        let log = LogConfig { filter: new.log.filter.clone(), ..self.log.clone() };
        let sections = [
            ("api", self.api == new.api),
            ("database", self.database == new.database),
            ("sip", self.sip == new.sip),
            ("egress", self.egress == new.egress),
            ("media", self.media == new.media),
            ("webrtc", self.webrtc == new.webrtc),
            ("calls", self.calls == new.calls),
            ("quotas", self.quotas == new.quotas),
            ("recordings", self.recordings == new.recordings),
            ("log", log == new.log),
            ("telemetry", self.telemetry == new.telemetry),
            ("metrics", self.metrics == new.metrics),
            ("providers", self.providers == new.providers),
            ("webhooks", self.webhooks == new.webhooks),
            ("smtp", self.smtp == new.smtp),
            ("secrets", self.secrets == new.secrets),
            ("node", self.node == new.node),
            ("prices", self.prices == new.prices),
        ];
        sections.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }

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

    /// Addresses that we send to browsers.
    pub fn web_addresses(&self) -> Vec<IpAddr> {
        let web = &self.webrtc;
        if !web.advertised_addresses.is_empty() {
            return web.advertised_addresses.clone();
        }
        vec![if web.listen.ip().is_unspecified() { self.advertised() } else { web.listen.ip() }]
    }
}

/// The address this machine reaches the world from. Connecting a UDP socket sends nothing; it only asks
/// the routing table. 192.0.2.1 is a documentation address (RFC 5737).
pub fn primary_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    socket.local_addr().ok().map(|addr| addr.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_sections_are_named_and_the_filter_is_not_among_them() {
        let (old, mut new) = (Config::default(), Config::default());
        new.log.filter = "debug".to_owned();
        assert!(old.sections_changed(&new).is_empty());
        new.api.token_secret = "new".into();
        new.providers.openai.api_key = Some("new".into());
        new.sip.realm = "acme".to_owned();
        assert_eq!(old.sections_changed(&new), ["api", "sip", "providers"]);
        new.log.format = super::super::LogFormat::Json;
        assert_eq!(old.sections_changed(&new), ["api", "sip", "log", "providers"]);
    }
}
