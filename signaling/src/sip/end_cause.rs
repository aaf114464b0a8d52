//! Why a call ended, at SIP level. The root crate maps it to the customer's `end_reason`.

use super::reason::Reason;

/// End cause of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// We hung up, cancelled or refused.
    LocalHangUp,
    /// We hung up, because the media that the peer described cannot be used: its answer came with a 200 or an ACK, which
    /// cannot be refused.
    UnusableMedia,
    /// The peer sent BYE.
    RemoteBye {
        /// Reason header of the BYE (RFC 3326); `None` without a readable one.
        reason_header: Option<Reason>,
    },
    /// The peer cancelled its INVITE before our final answer.
    RemoteCancel {
        /// Reason header of the CANCEL (RFC 3326); `None` without a readable one.
        reason_header: Option<Reason>,
    },
    /// The peer refused our INVITE.
    Rejected {
        /// SIP status, 400 to 699.
        status: u16,
        /// Reason phrase of the response, as received.
        reason: String,
        /// Retry-After in seconds, at most 86,400; `None` without that header.
        retry_after_s: Option<u32>,
        /// Reason header of the response (RFC 3326); `None` without a readable one.
        reason_header: Option<Reason>,
    },
    /// The peer asks to be called somewhere else (3xx): URIs, the preferred first.
    Redirected {
        /// SIP status, 300 to 399.
        status: u16,
        /// URIs to call instead, the preferred first, at most 8.
        contacts: Vec<String>,
    },
    /// No answer from the network to our INVITE (timer B).
    NoResponse,
    /// Our 200 was never acknowledged (RFC 3261 section 13.3.1.4), or a reliable provisional response (RFC 3262).
    NotAcknowledged,
    /// The message could not be sent: unknown host, refused connection.
    Unreachable(String),
    /// The peer no longer knows the dialog (481 or 408 to a request inside it).
    DialogLost,
    /// Neither side refreshed the session in time (RFC 4028 section 10).
    SessionExpired,
    /// Internal error.
    InternalError,
}
