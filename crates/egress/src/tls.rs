//! TLS of HTTPS clients. They share one configuration, because each configuration holds all root certificates of the
//! system.

use reqwest::ClientBuilder;
use rustls_platform_verifier::Verifier;
use std::sync::{Arc, OnceLock};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

/// Gives a client the configuration that all share. If none can be made, the client makes its own, and reports why not.
pub fn with_shared_tls(builder: ClientBuilder) -> ClientBuilder {
    static SHARED: OnceLock<Option<ClientConfig>> = OnceLock::new();
    match SHARED.get_or_init(config) {
        Some(config) => builder.tls_backend_preconfigured(config.clone()),
        None => builder,
    }
}

/// The system's roots, HTTP/2 and HTTP/1.1: what a client chooses by itself.
fn config() -> Option<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new(provider.clone()).ok()?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let mut config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_one_configuration() {
        let [first, second] = [config(), config()].map(|config| config.expect("this machine has root certificates"));
        assert_eq!(first.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert!(!Arc::ptr_eq(first.crypto_provider(), second.crypto_provider()), "each call makes its own");
        // A configuration of another version of rustls would make the client fail.
        assert!(with_shared_tls(reqwest::Client::builder()).build().is_ok());
    }
}
