//! The handshake, by a library that is not the one str0m uses for browsers, because phones and gateways show certificates with RSA
//! keys.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::{DtlsFingerprint, DtlsParams, HandshakeProgress};
use crate::transport::srtp::{KEY_BYTES_MAX, SrtpKeys, SrtpProfile};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{RTCCryptoProvider, default_provider};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Fits every path without fragments (an Ethernet frame less IPv6 and UDP).
const MTU: usize = 1_200;
/// RFC 6347 section 4.2.4.1 begins with a second; too long for call setup.
const REPEAT_AFTER: Duration = Duration::from_millis(250);
/// Placeholder peer address: the library identifies peers by address, but each handshake here has exactly one peer,
/// whose address may change.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));
/// What the keys are exported as (RFC 5764 section 4.2).
const LABEL: &str = "EXTRACTOR-dtls_srtp";

/// Self-signed certificate used in all DTLS handshakes of this process.
pub struct DtlsIdentity {
    provider: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
    fingerprint: DtlsFingerprint,
}

impl std::fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsIdentity").finish_non_exhaustive()
    }
}

fn sha256(bytes: &[u8]) -> DtlsFingerprint {
    str0m::crypto::from_feature_flags().sha256_provider.sha256(bytes)
}

impl DtlsIdentity {
    /// `None` where the library cannot make a certificate.
    pub fn new() -> Option<Self> {
        let provider = default_provider().ok()?;
        let certificate = Certificate::generate_self_signed(["trunkline".to_owned()], provider.crypto()).ok()?;
        let fingerprint = sha256(certificate.certificate.first()?);
        Some(Self { provider, certificate, fingerprint })
    }

    /// SHA-256 of our certificate, for `a=fingerprint` in SDP.
    pub fn fingerprint(&self) -> DtlsFingerprint {
        self.fingerprint
    }

    /// Both certificates are authenticated only by the fingerprints in SDP.
    fn config(&self, terms: DtlsParams, refused: &Arc<AtomicBool>) -> Option<HandshakeConfig> {
        let refused = refused.clone();
        let is_expected = move |shown: &[Vec<u8>], _: &[_]| match shown.first() {
            Some(certificate) if sha256(certificate) == terms.peer_fingerprint => Ok(()),
            _ => {
                refused.store(true, Ordering::Relaxed);
                Err(Error::Other("certificate does not match the SDP fingerprint".to_owned()))
            }
        };
        let profiles =
            vec![Profile::Srtp_Aead_Aes_256_Gcm, Profile::Srtp_Aead_Aes_128_Gcm, Profile::Srtp_Aes128_Cm_Hmac_Sha1_80];
        let config = ConfigBuilder::default()
            .with_crypto_provider(self.provider.clone())
            .with_certificates(vec![self.certificate.clone()])
            .with_srtp_protection_profiles(profiles)
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_extended_master_secret(ExtendedMasterSecretType::Request)
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(is_expected)))
            .with_flight_interval(REPEAT_AFTER)
            .with_mtu(MTU);
        config.build(terms.is_dtls_client, terms.is_dtls_client.then_some(PEER)).ok()
    }
}

/// One side of a handshake.
pub struct DtlsHandshake {
    /// The negotiated parameters it was started with.
    pub terms: DtlsParams,
    endpoint: Endpoint,
    /// The peer showed another certificate.
    refused: Arc<AtomicBool>,
    progress: HandshakeProgress,
}

impl std::fmt::Debug for DtlsHandshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsHandshake").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl DtlsHandshake {
    /// The DTLS client must call [`DtlsHandshake::handle_timeout`] at once to send its first flight.
    pub fn new(now: Instant, identity: &DtlsIdentity, terms: DtlsParams) -> Option<Self> {
        let refused = Arc::new(AtomicBool::new(false));
        let config = Arc::new(identity.config(terms, &refused)?);
        let server = (!terms.is_dtls_client).then(|| config.clone());
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, server);
        if terms.is_dtls_client {
            endpoint.connect(now, PEER, config, None).ok()?;
        }
        Some(Self { terms, endpoint, refused, progress: HandshakeProgress::Waiting })
    }

    /// How it stands after the last datagram or timeout.
    pub fn progress(&self) -> HandshakeProgress {
        self.progress
    }

    /// When [`DtlsHandshake::handle_timeout`] wants to be called, if at all.
    pub fn due(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&PEER)
    }

    /// Takes a datagram of the peer and sends what follows from it. Ignores what cannot be parsed.
    pub fn handle(&mut self, now: Instant, datagram: &[u8], send: &mut dyn FnMut(&[u8])) {
        match self.endpoint.read(now, PEER, None, datagram.into()) {
            Ok(events) => {
                let done = events.iter().any(|event| matches!(event, EndpointEvent::HandshakeComplete));
                if done && self.progress == HandshakeProgress::Waiting {
                    let state = self.endpoint.get_connection_state(PEER);
                    let keys = state.and_then(|state| keys(state, self.terms.is_dtls_client));
                    self.progress = keys.map_or(HandshakeProgress::Failed, HandshakeProgress::Done);
                }
            }
            // Ignore datagrams that cannot be parsed.
            Err(Error::ErrAlertFatalOrClose) => self.fail(),
            Err(_) if self.refused.load(Ordering::Relaxed) => self.fail(),
            Err(_) => {}
        }
        self.flush_output(send);
    }

    /// Sends the last flight again if that is due, first after 250 ms. Does nothing earlier.
    pub fn handle_timeout(&mut self, now: Instant, send: &mut dyn FnMut(&[u8])) {
        if self.due().is_some_and(|due| due <= now) && self.endpoint.handle_timeout(PEER, now).is_err() {
            self.fail();
        }
        self.flush_output(send);
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant, send: &mut dyn FnMut(&[u8])) {
        let _ = self.endpoint.close(now); // nothing to close
        self.flush_output(send);
    }

    fn fail(&mut self) {
        if self.progress == HandshakeProgress::Waiting {
            self.progress = HandshakeProgress::Failed;
        }
    }

    fn flush_output(&mut self, send: &mut dyn FnMut(&[u8])) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            send(&transmit.message);
        }
    }
}

/// RFC 5764 section 4.2: both keys, then both salts, the client's first.
fn keys(state: &State, is_client: bool) -> Option<SrtpKeys> {
    let suite = match state.srtp_protection_profile() {
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 => SrtpProfile::AesCm128HmacSha1_80,
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_32 => SrtpProfile::AesCm128HmacSha1_32,
        Profile::Srtp_Aead_Aes_128_Gcm => SrtpProfile::AeadAes128Gcm,
        Profile::Srtp_Aead_Aes_256_Gcm => SrtpProfile::AeadAes256Gcm,
        _ => return None,
    };
    let (key, salt) = suite.lengths();
    let material = state.export_keying_material(LABEL, &[], 2 * (key + salt)).ok()?;
    let material: &[u8] = material.as_ref();
    let of = |side: usize| {
        let key = material.chunks_exact(key).nth(side)?;
        let salt = material.get(2 * key.len()..)?.chunks_exact(salt).nth(side)?;
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes.iter_mut().zip(key.iter().chain(salt)).for_each(|(to, from)| *to = *from);
        Some(bytes)
    };
    let (client, server) = (of(0)?, of(1)?);
    let (ours, theirs) = if is_client { (client, server) } else { (server, client) };
    Some(SrtpKeys { suite, send: ours, receive: theirs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::srtp::SrtpSession;

    #[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// Runs both sides until neither sends; every `lost`-th datagram is dropped.
    fn shake(a: &mut DtlsHandshake, b: &mut DtlsHandshake, mut now: Instant, lost: usize) -> Instant {
        let (mut to_a, mut to_b): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (vec![], vec![]);
        let mut sent = 0;
        for _ in 0..2_000 {
            if a.progress() != HandshakeProgress::Waiting && b.progress() != HandshakeProgress::Waiting {
                break;
            }
            now += Duration::from_millis(10);
            let mut keep = |queue: &mut Vec<Vec<u8>>, bytes: &[u8]| {
                sent += 1;
                if lost == 0 || sent % lost != 0 {
                    queue.push(bytes.to_vec());
                }
            };
            for datagram in std::mem::take(&mut to_a) {
                assert!(crate::transport::dtls::is_dtls(&datagram));
                a.handle(now, &datagram, &mut |bytes| keep(&mut to_b, bytes));
            }
            for datagram in std::mem::take(&mut to_b) {
                b.handle(now, &datagram, &mut |bytes| keep(&mut to_a, bytes));
            }
            if a.due().is_none_or(|due| due <= now) {
                a.handle_timeout(now, &mut |bytes| keep(&mut to_b, bytes));
            }
            if b.due().is_none_or(|due| due <= now) {
                b.handle_timeout(now, &mut |bytes| keep(&mut to_a, bytes));
            }
        }
        now
    }

    fn pair(now: Instant) -> (DtlsHandshake, DtlsHandshake) {
        let (a, b) = (DtlsIdentity::new().unwrap(), DtlsIdentity::new().unwrap());
        let client = DtlsHandshake::new(
            now,
            &a,
            DtlsParams { peer_fingerprint: b.fingerprint(), is_dtls_client: true, association: 0 },
        )
        .unwrap();
        let server = DtlsHandshake::new(
            now,
            &b,
            DtlsParams { peer_fingerprint: a.fingerprint(), is_dtls_client: false, association: 0 },
        )
        .unwrap();
        (client, server)
    }

    #[test]
    fn both_sides_derive_the_same_keys() {
        for lost in [0, 3] {
            let now = origin();
            let (mut client, mut server) = pair(now);
            let end = shake(&mut client, &mut server, now, lost);
            let (HandshakeProgress::Done(ours), HandshakeProgress::Done(theirs)) =
                (client.progress(), server.progress())
            else {
                panic!("lost {lost}: {:?} {:?}", client.progress(), server.progress());
            };
            assert!(end - now < Duration::from_secs(15), "{:?}", end - now);
            assert_eq!((ours.send, ours.receive, ours.suite), (theirs.receive, theirs.send, theirs.suite));
            let (mut a, mut b) = (SrtpSession::new(ours).unwrap(), SrtpSession::new(theirs).unwrap());
            let packet = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 9, 8, 7, 6];
            let (mut sealed, mut opened) = (vec![], vec![]);
            a.protect(&packet, false, |bytes| sealed = bytes.to_vec());
            assert!(b.unprotect(&sealed, false, |bytes| opened = bytes.to_vec()));
            assert_eq!(opened, packet);
        }
    }

    #[test]
    fn wrong_certificate_gets_no_keys() {
        let now = origin();
        let (_, mut server) = pair(now);
        let identity = DtlsIdentity::new().unwrap();
        let mut client = DtlsHandshake::new(
            now,
            &identity,
            DtlsParams { peer_fingerprint: [0; 32], is_dtls_client: true, association: 0 },
        )
        .unwrap();
        shake(&mut client, &mut server, now, 0);
        assert_eq!(client.progress(), HandshakeProgress::Failed);
    }

    #[test]
    fn invalid_datagrams_do_not_disturb_handshake() {
        let now = origin();
        let (mut client, mut server) = pair(now);
        for datagram in [&[22u8][..], &[22, 254, 253, 0, 0], &[63; 1_200], &[20; 13]] {
            server.handle(now, datagram, &mut |_| {});
        }
        shake(&mut client, &mut server, now, 0);
        assert!(matches!(server.progress(), HandshakeProgress::Done(_)), "{:?}", server.progress());
    }
}
