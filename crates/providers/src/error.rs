//! What can go wrong with a provider.

use std::time::Duration;
use trunkline_egress::EgressError;

/// An error of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// No key is configured for the account.
    NotConfigured,
    /// The organization's own key cannot be decrypted, and the server's does not take its place.
    KeyUnreadable,
    /// The egress guard refuses the address that an agent names.
    AddressBlocked(EgressError),
    /// The provider refused; the text is the provider's.
    Refused {
        /// HTTP status, or the vendor's code for an error on a socket.
        status: u16,
        /// What the provider says, at most 300 bytes.
        message: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// No connection came about; holds the reason in words.
    Unreachable(String),
    /// Which timeout passed.
    Timeout(&'static str),
    /// The stream ended early.
    Disconnected(String),
    /// The vendor ended the session in its own time, or asks for another one; holds what it says.
    SessionEnded(String),
    /// The response does not follow the provider's protocol.
    InvalidResponse(String),
    /// A model of this machine cannot be used; holds why, and what to do about it.
    Unavailable(String),
    /// Not asked: the circuit is open, or the concurrency limit is reached.
    CircuitOpen(&'static str),
}

impl ProviderError {
    /// An answer that could not be read, with the reader's words.
    pub fn invalid_response(error: impl std::fmt::Display) -> Self {
        Self::InvalidResponse(error.to_string())
    }

    pub(crate) fn refused(status: u16, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(300));
        Self::Refused { status, message, retry_after: None }
    }

    /// Whether the same request may be retried.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConfigured | Self::KeyUnreadable | Self::AddressBlocked(_) | Self::Unavailable(_) => false,
            Self::Refused { status, .. } => matches!(status, 408 | 409 | 425 | 429 | 500..),
            _ => true,
        }
    }

    /// Whether every further request of this call would fail in the same way: a key that is refused, or an address. What a
    /// gateway says of one request (400, 404) may be different for the next one.
    pub fn is_final(&self) -> bool {
        match self {
            Self::NotConfigured | Self::KeyUnreadable | Self::AddressBlocked(_) | Self::Unavailable(_) => true,
            Self::Refused { status, .. } => matches!(status, 401..=403),
            _ => false,
        }
    }

    /// A short name for metrics and the call's record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotConfigured | Self::KeyUnreadable | Self::Unavailable(_) => "not_configured",
            Self::AddressBlocked(_) => "address_refused",
            Self::Refused { status: 401 | 403, .. } => "unauthorized",
            Self::Refused { status: 429, .. } => "rate_limited",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "deadline",
            Self::Disconnected(_) => "dropped",
            Self::SessionEnded(_) => "session_ended",
            Self::InvalidResponse(_) => "garbage",
            Self::CircuitOpen(_) => "closed",
        }
    }
}

impl std::fmt::Display for ProviderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no key configured"),
            Self::KeyUnreadable => f.write_str("the organization's key cannot be opened with this server's master key"),
            Self::AddressBlocked(why) => write!(f, "base_url {why}"),
            Self::Refused { status, message, .. } => write!(f, "refused with {status}: {message}"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Timeout(which) => write!(f, "no {which} in time"),
            Self::Disconnected(why) => write!(f, "dropped: {why}"),
            Self::SessionEnded(why) => write!(f, "session ended: {why}"),
            Self::InvalidResponse(what) => write!(f, "not understood: {what}"),
            Self::Unavailable(why) => f.write_str(why),
            Self::CircuitOpen(why) => write!(f, "not asked: {why}"),
        }
    }
}
