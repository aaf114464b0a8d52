//! Recognizes messages of our dialogs, transactions and challenges by a few header values that a sender with a forged
//! source cannot know.

use super::admission::Admission;
use super::client_transactions::ClientTransactions;
use super::server_transactions::ServerTransactions;
use super::session::SessionTable;
use super::transaction_keys::{client_key, server_key_from_via};
use crate::sip::message::Via;
use crate::sip::message::peek::HeaderPeek;
use crate::sip::token::TokenSource;
use std::time::Instant;
use trunkline_connections::SourceAddress;

/// The tables that a message may belong to.
pub(super) struct KnownTraffic<'a> {
    pub(super) clients: &'a ClientTransactions,
    pub(super) servers: &'a ServerTransactions,
    pub(super) sessions: &'a SessionTable,
    pub(super) tokens: &'a TokenSource,
}

impl KnownTraffic<'_> {
    /// A request in one of our dialogs or transactions, a response to a request of ours, or the answer to a challenge
    /// that was sent to the same source.
    pub(super) fn contains(
        &self, now: Instant, source: SourceAddress, peek: &HeaderPeek<'_>, admission: &Admission,
    ) -> bool {
        let Some(method) = peek.method else {
            return self.clients.contains(&client_key(peek.branch().unwrap_or(""), peek.cseq_method()));
        };
        let is_in_dialog = || peek.to_tag().is_some_and(|tag| self.sessions.find_dialog(peek.call_id, tag).is_some());
        let is_repeated = || {
            let method = if matches!(method, "ACK" | "CANCEL") { "INVITE" } else { method };
            let via = peek.via.split(',').next().and_then(Via::parse);
            via.and_then(|via| server_key_from_via(&via, method)).is_some_and(|key| self.servers.contains(&key))
        };
        let answers = || peek.nonce().is_some_and(|nonce| admission.nonce_was_sent_to(now, source, nonce, self.tokens));
        is_in_dialog() || is_repeated() || answers()
    }
}
