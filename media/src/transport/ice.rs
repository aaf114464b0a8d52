//! ICE-lite on a separate stream (RFC 8445 section 2.5): we answer connectivity checks and send none. No sockets
//! here.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use std::net::SocketAddr;
use str0m::crypto::from_feature_flags;
use str0m::ice::StunMessage;

/// Room for an answer: header, address, integrity, fingerprint.
const ANSWER_BYTES: usize = 128;

/// Our ufrag and password, as in SDP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IceLiteAgent {
    /// Our user name fragment (`a=ice-ufrag`): the first part of a check's user name.
    pub ufrag: [u8; 8],
    /// Our password (`a=ice-pwd`): key of the message integrity of checks and answers.
    pub password: [u8; 32],
}

impl std::fmt::Debug for IceLiteAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceLiteAgent").finish_non_exhaustive()
    }
}

/// Kind of connectivity check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectivityCheck {
    /// Without USE-CANDIDATE.
    Plain,
    /// With USE-CANDIDATE: the pair is nominated.
    Nominated,
}

impl IceLiteAgent {
    /// Whether a datagram is STUN, and not RTP or DTLS (RFC 7983).
    pub fn is_check(datagram: &[u8]) -> bool {
        datagram.len() >= 20 && datagram.first().is_some_and(|first| *first < 4)
    }

    /// Answers a check with valid message integrity; `None` for anything else.
    pub fn handle_check(
        &self, source: SocketAddr, datagram: &[u8], reply: impl FnOnce(&[u8]),
    ) -> Option<ConnectivityCheck> {
        let hmac = from_feature_flags().sha1_hmac_provider;
        let message = StunMessage::parse(datagram).ok().filter(StunMessage::is_binding_request)?;
        let (ours, _) = message.split_username()?;
        if ours.as_bytes() != self.ufrag || !message.verify(&self.password, |key, parts| hmac.sha1_hmac(key, parts)) {
            return None;
        }
        let mut buffer = [0; ANSWER_BYTES];
        let answer = StunMessage::binding_reply(message.trans_id(), source);
        let len = answer.to_bytes(Some(&self.password), &mut buffer, |key, parts| hmac.sha1_hmac(key, parts)).ok()?;
        reply(buffer.get(..len)?);
        Some(if message.use_candidate() { ConnectivityCheck::Nominated } else { ConnectivityCheck::Plain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::ice::{StunMessageBuilder, TransId};

    const LITE: IceLiteAgent = IceLiteAgent { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" };

    fn check(username: &str, password: &[u8], chosen: bool) -> Vec<u8> {
        let hmac = from_feature_flags().sha1_hmac_provider;
        let builder = StunMessageBuilder::new().binding().request().username(username).prio(1).ice_controlling(1);
        let builder = if chosen { builder.use_candidate() } else { builder };
        let mut buffer = vec![0; 256];
        let message = builder.build(TransId::new());
        let len = message.to_bytes(Some(password), &mut buffer, |key, parts| hmac.sha1_hmac(key, parts)).unwrap();
        buffer.truncate(len);
        buffer
    }

    #[test]
    fn valid_check_gets_mapped_address() {
        let source: SocketAddr = "192.0.2.7:4242".parse().unwrap();
        for (chosen, wanted) in [(false, ConnectivityCheck::Plain), (true, ConnectivityCheck::Nominated)] {
            let datagram = check("01234567:them", &LITE.password, chosen);
            assert!(IceLiteAgent::is_check(&datagram));
            let mut answer = vec![];
            assert_eq!(LITE.handle_check(source, &datagram, |bytes| answer = bytes.to_vec()), Some(wanted));
            let answer = StunMessage::parse(&answer).unwrap();
            assert_eq!((answer.is_successful_binding_response(), answer.mapped_address()), (true, Some(source)));
        }
    }

    #[test]
    fn invalid_checks_are_not_answered() {
        let source = "192.0.2.7:4242".parse().unwrap();
        let right = check("01234567:them", &LITE.password, true);
        let mut changed = right.clone();
        changed[30] ^= 1;
        let all = [
            check("01234568:them", &LITE.password, true),
            check("01234567:them", b"another", true),
            changed,
            right[..40].to_vec(),
            vec![0; 20],
        ];
        for datagram in all {
            assert_eq!(LITE.handle_check(source, &datagram, |_| panic!("answered")), None);
        }
    }
}
