//! P-Early-Media (RFC 5009): whether a network lets media of the callee through before the answer.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::message::{HeaderName, Headers};
use crate::limits;

/// Value of the header in our INVITEs: what networks send us of it is understood.
pub const SUPPORTED: &str = "supported";

/// What a message says about media of the callee before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyMediaAuthorization {
    /// Nothing: what was said before holds, and without that media are heard as they come.
    #[default]
    Unspecified,
    /// Media of the callee come through: `sendrecv`, `sendonly`.
    Authorized,
    /// None come through, or what comes is not meant to be heard: `inactive`, `recvonly`.
    Refused,
}

impl EarlyMediaAuthorization {
    /// Reads the directions, which are those of the callee. Ours are calls with one stream, so that one direction that lets
    /// audio through is enough; unknown words are skipped (section 8).
    pub fn from_headers(headers: &Headers) -> Self {
        let name = HeaderName::PEarlyMedia;
        let words = headers.list(&name).take(limits::LIST_ELEMENTS_MAX).filter_map(|value| value.split(';').next());
        words.fold(Self::Unspecified, |so_far, word| match word.trim().to_ascii_lowercase().as_str() {
            "sendrecv" | "sendonly" => Self::Authorized,
            "inactive" | "recvonly" if so_far == Self::Unspecified => Self::Refused,
            _ => so_far,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_the_callee_and_unknown_words_say_nothing() {
        use EarlyMediaAuthorization::{Authorized, Refused, Unspecified};
        for (values, authorization) in [
            (&[][..], Unspecified),
            (&["supported"], Unspecified),
            (&["gated"], Unspecified),
            (&[""], Unspecified),
            (&["sendonly"], Authorized),
            (&["SendRecv, gated"], Authorized),
            (&["inactive"], Refused),
            (&["recvonly"], Refused),
            (&["gated,inactive;x=y"], Refused),
            (&["inactive, sendrecv"], Authorized),
            (&["sendonly", "inactive"], Authorized),
            (&["supported", "Inactive"], Refused),
        ] {
            let mut headers = Headers::default();
            for value in values {
                headers.push(HeaderName::parse("p-early-media"), *value);
            }
            assert_eq!(EarlyMediaAuthorization::from_headers(&headers), authorization, "{values:?}");
        }
    }
}
