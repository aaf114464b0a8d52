//! SIP over TLS and secure WebSockets: a listener that was asked to be secure is never a plain one.

use crate::config::error::ConfigError;
use crate::config::sip::SipConfig;

pub(super) fn check(sip: &SipConfig, faults: &mut Vec<ConfigError>) {
    let tls = &sip.tls;
    let mut add = |path: &str, message: &str| {
        faults.push(ConfigError { path: path.to_owned(), message: message.to_owned() });
    };
    match (tls.certificate.is_empty(), tls.private_key.is_empty()) {
        (false, true) => add("sip.tls.private_key", "is missing; sip.tls.certificate needs it"),
        (true, false) => add("sip.tls.certificate", "is missing; sip.tls.private_key belongs to one"),
        (true, true) if tls.listen.is_some() => add("sip.tls.certificate", "is missing; sip.tls.listen needs it"),
        (true, true) if sip.websocket.secure => {
            add("sip.tls.certificate", "is missing; sip.websocket.secure needs it");
        }
        _ => {}
    }
    if tls.client_certificate_required && tls.client_roots.is_empty() {
        let message = "is missing; without it sip.tls.client_certificate_required cannot check a client";
        add("sip.tls.client_roots", message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sip::{SipTlsConfig, SipWebSocketConfig};

    fn faults(tls: SipTlsConfig, websocket: SipWebSocketConfig) -> Vec<String> {
        let mut faults = Vec::new();
        check(&SipConfig { tls, websocket, ..SipConfig::default() }, &mut faults);
        faults.into_iter().map(|fault| fault.path).collect()
    }

    fn files(certificate: &str, private_key: &str) -> SipTlsConfig {
        SipTlsConfig { certificate: certificate.into(), private_key: private_key.into(), ..SipTlsConfig::default() }
    }

    #[test]
    fn half_a_key_pair_is_refused() {
        assert_eq!(faults(files("a.pem", ""), SipWebSocketConfig::default()), ["sip.tls.private_key"]);
        assert_eq!(faults(files("", "a.key"), SipWebSocketConfig::default()), ["sip.tls.certificate"]);
        assert!(faults(files("a.pem", "a.key"), SipWebSocketConfig::default()).is_empty());
        assert!(faults(files("", ""), SipWebSocketConfig::default()).is_empty());
    }

    #[test]
    fn a_secure_listener_needs_a_certificate() {
        let listen = Some("127.0.0.1:5061".parse().unwrap());
        let secure = SipWebSocketConfig { listen, secure: true, ..SipWebSocketConfig::default() };
        assert_eq!(faults(files("", ""), secure.clone()), ["sip.tls.certificate"]);
        assert!(faults(files("a.pem", "a.key"), secure).is_empty());
        let tls = SipTlsConfig { listen, ..SipTlsConfig::default() };
        assert_eq!(faults(tls, SipWebSocketConfig::default()), ["sip.tls.certificate"]);
    }

    #[test]
    fn demanded_certificates_need_roots() {
        let tls = SipTlsConfig { client_certificate_required: true, ..files("a.pem", "a.key") };
        assert_eq!(faults(tls, SipWebSocketConfig::default()), ["sip.tls.client_roots"]);
    }
}
