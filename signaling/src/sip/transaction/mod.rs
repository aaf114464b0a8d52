//! The four transactions of RFC 3261 section 17 with the Accepted state of RFC 6026, as plain values. They know nothing
//! of dialogs and sockets.

pub mod invite_client;
pub mod invite_server;
pub mod non_invite_client;
pub mod non_invite_server;
pub mod timers;

use std::sync::Arc;

/// Bytes of one message, kept for retransmission and shared with the transmit queue.
pub type MessageBytes = Arc<[u8]>;

/// What the timer of a transaction asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeoutAction {
    /// Nothing: it was not due, or the transaction is over.
    Nothing,
    /// The message is sent again.
    Retransmit(MessageBytes),
    /// The peer never answered (B, F) or never acknowledged (H).
    TimedOut,
    /// The owner did not answer in time.
    OwnerTimedOut,
}

/// What to do with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseAction {
    /// New to the user of the transaction.
    Deliver,
    /// A retransmission of the final response: the ACK goes out again.
    ResendAck,
    /// A 2xx after a refusal, of another fork (RFC 3261 section 13.2.2.4): its dialog is not wanted.
    EndDialog,
    /// A retransmission or a response out of place: nothing to do.
    Absorb,
}
