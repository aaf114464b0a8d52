//! Recognizes messages of our dialogs, transactions and challenges by a few header values that a sender with a forged
//! source cannot know.

use super::receive::server_key_from_via;
use super::transaction_table::client_key;
use super::{UserAgent, dialog_key};
use crate::sip::digest;
use crate::sip::message::Via;
use crate::sip::message::peek::HeaderPeek;
use crate::sip::rate_limit::{SourceProof, SourceTransport};
use std::net::IpAddr;
use std::time::Instant;
use trunkline_connections::SourceAddress;

impl UserAgent {
    /// A request in one of our dialogs or transactions, a response to a request of ours, or the answer to a challenge
    /// that was sent to the same source.
    pub(super) fn is_known_traffic(&self, now: Instant, source: SourceAddress, peek: &HeaderPeek<'_>) -> bool {
        let Some(method) = peek.method else {
            return self.clients.contains_key(&client_key(peek.branch().unwrap_or(""), peek.cseq_method()));
        };
        let is_in_dialog =
            || peek.to_tag().is_some_and(|tag| self.dialogs.contains_key(&dialog_key(peek.call_id, tag)));
        let is_repeated = || {
            let method = if matches!(method, "ACK" | "CANCEL") { "INVITE" } else { method };
            let via = peek.via.split(',').next().and_then(Via::parse);
            via.and_then(|via| server_key_from_via(&via, method)).is_some_and(|key| self.servers.contains_key(&key))
        };
        let answers = || peek.nonce().is_some_and(|nonce| self.nonce_was_sent_to(now, source, nonce));
        is_in_dialog() || is_repeated() || answers()
    }

    /// A challenge with this nonce went to the source not long ago: so the sender receives at that address.
    fn nonce_was_sent_to(&self, now: Instant, source: SourceAddress, nonce: &str) -> bool {
        let second = now.saturating_duration_since(self.started).as_secs();
        digest::was_sent_to(nonce, &source.to_bytes(), second, |input| self.tokens.keyed(input))
    }

    /// Proof of the source address of a request with credentials.
    pub(super) fn source_proof(
        &self, now: Instant, source: IpAddr, path: SourceTransport, nonce: Option<&str>,
    ) -> SourceProof {
        match path {
            SourceTransport::Stream => SourceProof::Connected,
            SourceTransport::Datagram
                if nonce.is_some_and(|nonce| self.nonce_was_sent_to(now, source.into(), nonce)) =>
            {
                SourceProof::ReceivedChallenge
            }
            SourceTransport::Datagram => SourceProof::Unverified,
        }
    }
}
