//! Servers of the settings that clients reach over TLS (`api.public_url`, `turns:` of `webrtc.ice_servers`): chain, name and end
//! of their certificates, as a client sees them.

use crate::certificate_names::CHECK;
use crate::certificates::now_s;
use rustls_platform_verifier::Verifier;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use trunkline::checkup::certificates::{end_of, not_after};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use url::Url;

const DEADLINE: Duration = Duration::from_secs(5);
const HTTPS_PORT: u16 = 443;
const TURNS_PORT: u16 = 5_349;
/// Servers that are asked.
const PEERS_MAX: usize = 8;

/// A server, and the setting that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TlsPeer {
    setting: &'static str,
    host: String,
    port: u16,
}

/// What came of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TlsOutcome {
    /// The certificate is good for its name; when it ends, where that can be read.
    Verified(Option<u64>),
    /// TLS failed, such as by a certificate for another name.
    Refused(String),
    /// No connection.
    Unreachable(String),
}

/// Connects to each of them.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let urls = config.webrtc.ice_servers.iter().map(|server| server.url.as_str());
    let peers = peers(&config.api.public_url, urls);
    let Some(tls) = client(&peers) else { return Vec::new() };
    futures_util::future::join_all(peers.into_iter().map(|peer| asked(tls.clone(), peer))).await
}

async fn asked(tls: TlsConnector, peer: TlsPeer) -> Finding {
    let outcome = timeout(DEADLINE, ask(&tls, &peer)).await;
    let outcome = outcome.unwrap_or_else(|_| TlsOutcome::Unreachable("no answer in time".to_owned()));
    finding(&peer, &outcome, now_s())
}

fn peers<'a>(public_url: &str, ice_servers: impl Iterator<Item = &'a str>) -> Vec<TlsPeer> {
    let api = Url::parse(public_url).ok().filter(|url| url.scheme() == "https").and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some(TlsPeer { setting: "api.public_url", host, port: url.port().unwrap_or(HTTPS_PORT) })
    });
    let turn = ice_servers.filter_map(|url| {
        let address = url.strip_prefix("turns:").or_else(|| url.strip_prefix("stuns:"))?.split('?').next()?;
        // Only an address of IPv6 has further colons, and it stands in brackets.
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (address, TURNS_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(TlsPeer { setting: "webrtc.ice_servers", host, port })
    });
    api.into_iter().chain(turn).take(PEERS_MAX).collect()
}

/// None without anybody to ask.
fn client(peers: &[TlsPeer]) -> Option<TlsConnector> {
    if peers.is_empty() {
        return None;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new(provider.clone()).ok()?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}

async fn ask(tls: &TlsConnector, peer: &TlsPeer) -> TlsOutcome {
    let Ok(name) = ServerName::try_from(peer.host.clone()) else {
        return TlsOutcome::Refused(format!("{} is no name of a server", peer.host));
    };
    let stream = match TcpStream::connect((peer.host.as_str(), peer.port)).await {
        Ok(stream) => stream,
        Err(error) => return TlsOutcome::Unreachable(error.to_string()),
    };
    match tls.connect(name, stream).await {
        Ok(stream) => {
            let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            TlsOutcome::Verified(leaf.and_then(|leaf| not_after(leaf)))
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            TlsOutcome::Refused("it closed the connection: it does not speak TLS there".to_owned())
        }
        Err(error) => TlsOutcome::Refused(error.to_string()),
    }
}

fn finding(peer: &TlsPeer, outcome: &TlsOutcome, now_s: u64) -> Finding {
    let what = format!("{}:{} ({})", peer.host, peer.port, peer.setting);
    match outcome {
        TlsOutcome::Verified(end_s) => end_of(CHECK, &what, *end_s, now_s, "renew it where the proxy or server has it"),
        TlsOutcome::Refused(why) => Finding::error(
            CHECK,
            format!("{what}: clients refuse its TLS: {why}"),
            "give it a certificate for that name with its whole chain, from an authority that clients know",
        ),
        TlsOutcome::Unreachable(why) => Finding::warning(
            CHECK,
            format!("{what} cannot be reached from here: {why}"),
            format!(
                "look at {} and at the firewall; some routers do not let a network call its own public address",
                peer.setting
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use trunkline::domain::finding::Level;

    #[test]
    fn servers_with_tls_are_taken_from_the_settings() {
        let urls = [
            "stun:stun.example.com:3478",
            "turn:turn.example.com?transport=tcp",
            "turns:turn.example.com?transport=tcp",
            "turns:turn.example.com:443",
            "turns:[2001:db8::1]:5350",
            "turns:[2001:db8::1]",
            "turns:turn.example.com:port",
        ];
        let found = peers("https://voice.example.com/", urls.into_iter());
        let shown: Vec<_> = found.iter().map(|peer| (peer.host.as_str(), peer.port)).collect();
        let turn = "turn.example.com";
        let expected =
            [("voice.example.com", 443), (turn, 5_349), (turn, 443), ("2001:db8::1", 5_350), ("2001:db8::1", 5_349)];
        assert_eq!(shown, expected);
        assert!(peers("http://voice.example.com", std::iter::empty()).is_empty());
        assert!(peers("", std::iter::empty()).is_empty());
    }

    #[test]
    fn what_a_client_would_see_is_told_with_its_setting() {
        let peer = TlsPeer { setting: "api.public_url", host: "voice.example.com".to_owned(), port: 443 };
        let of = |outcome| finding(&peer, &outcome, 1_000);
        assert_eq!(of(TlsOutcome::Verified(Some(u64::MAX))).level, Level::Ok);
        assert_eq!(of(TlsOutcome::Verified(Some(1_001))).level, Level::Warning);
        assert_eq!(of(TlsOutcome::Refused("NotValidForName".to_owned())).level, Level::Error);
        let away = of(TlsOutcome::Unreachable("refused".to_owned()));
        assert!(away.level == Level::Warning && away.found.contains("api.public_url"), "{away:?}");
    }

    #[tokio::test]
    async fn a_port_without_tls_and_one_without_a_server_differ() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = TlsPeer { setting: "webrtc.ice_servers", host: "localhost".to_owned(), port };
        let tls = client(std::slice::from_ref(&peer)).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        };
        let (outcome, ()) = tokio::join!(ask(&tls, &peer), serve);
        assert!(matches!(outcome, TlsOutcome::Refused(_)), "{outcome:?}");
        drop(listener);
        assert!(matches!(ask(&tls, &peer).await, TlsOutcome::Unreachable(_)));
    }
}
