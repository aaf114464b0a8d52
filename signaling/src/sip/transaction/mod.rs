//! The four transactions of RFC 3261 section 17 with the Accepted state of RFC 6026, as plain values.
//! They refuse to know dialogs, sockets and what a request is for.

pub mod client;
pub mod client_invite;
pub mod server;
pub mod server_invite;
pub mod timers;

use std::sync::Arc;

/// Bytes of one message, kept for retransmission and shared with the transmit queue.
pub type Wire = Arc<[u8]>;

/// What a transaction's timer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// To be sent again.
    pub send: Option<Wire>,
    /// The peer never answered (B, F) or never acknowledged (H).
    pub timed_out: bool,
    /// Nobody here answered.
    pub unanswered: bool,
}

/// What a client transaction makes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New to the user of the transaction.
    Deliver,
    /// A retransmission of the final response: the ACK goes out again.
    Acknowledge,
    Absorb,
}
