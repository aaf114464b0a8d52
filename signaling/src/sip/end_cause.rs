//! Why a call ended, at SIP level. The root crate maps it to the customer's `end_reason`.

use super::reason::Reason;

/// End cause of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// We hung up, cancelled or refused.
    LocalHangUp,
    /// The peer sent BYE.
    RemoteBye { why: Option<Reason> },
    /// The peer cancelled its INVITE before our final answer.
    RemoteCancel { why: Option<Reason> },
    /// The peer refused our INVITE.
    Rejected { status: u16, reason: String, retry_after_s: Option<u32>, why: Option<Reason> },
    /// The peer asks to be called somewhere else (3xx): URIs, the preferred first.
    Redirected { status: u16, contacts: Vec<String> },
    /// No answer from the network to our INVITE (timer B).
    NoResponse,
    /// Our 200 was never acknowledged (RFC 3261 section 13.3.1.4), or a reliable provisional response (RFC 3262).
    NotAcknowledged,
    /// The message could not be sent: unknown host, refused connection.
    Unreachable(String),
    /// The peer no longer knows the dialog (481 or 408 to a request inside it).
    DialogLost,
    /// Nobody refreshed the session in time (RFC 4028 section 10).
    SessionExpired,
    /// Internal error.
    InternalError,
}
