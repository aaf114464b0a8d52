//! The Reason header (RFC 3326): why the remote side ended a call, with SIP status and Q.850 cause.

use super::message::scan::{digits, param, split_before};
use super::message::{HeaderName, Headers};
use crate::limits;

/// Longest text of a reason that is kept.
const TEXT_MAX: usize = 120;

/// What a message says about its reason. At least one of the numbers is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// Status of `SIP;cause=…`.
    pub sip: Option<u16>,
    /// Cause of `Q.850;cause=…` (ITU-T Q.850 table 1).
    pub q850: Option<u8>,
    /// Text for people, at most 120 characters; `None` if it is missing or empty.
    pub text: Option<String>,
}

impl Reason {
    /// `None` without a readable Reason header; other protocols are skipped.
    pub fn from_headers(headers: &Headers) -> Option<Self> {
        let mut found = Self::default();
        for value in headers.list(&HeaderName::Reason).take(limits::LIST_ELEMENTS_MAX) {
            let (protocol, params) = split_before(value, ';');
            let Some(cause) = param(params, "cause").and_then(digits::<u16>) else { continue };
            match protocol.trim() {
                name if name.eq_ignore_ascii_case("SIP") && (100..700).contains(&cause) => found.sip = Some(cause),
                name if name.eq_ignore_ascii_case("Q.850") && cause < 128 => found.q850 = u8::try_from(cause).ok(),
                _ => continue,
            }
            if let Some(text) = param(params, "text").filter(|text| !text.is_empty()) {
                found.text = Some(text.chars().take(TEXT_MAX).collect());
            }
        }
        (found.sip.is_some() || found.q850.is_some()).then_some(found)
    }
}

/// The Q.850 cause that a status of ours stands for (RFC 3398 section 8.2.6.1), for peers behind gateways.
pub fn status_to_q850(status: u16) -> u8 {
    match status {
        404 | 604 => 1,
        410 => 22,
        480 => 18,
        484 => 28,
        486 | 600 => 17,
        403 | 603 => 21,
        488 | 606 => 65,
        503 => 41,
        _ => 31,
    }
}

/// `Q.850;cause=16;text="Normal call clearing"` for normal clearing.
pub const NORMAL_CLEARING: &str = "Q.850;cause=16;text=\"Normal call clearing\"";

/// Reason of a BYE to a peer whose answer cannot be used: what a response would have said.
pub const UNUSABLE_MEDIA: &str = "SIP;cause=488;text=\"Not Acceptable Here\", Q.850;cause=65";

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(values: &[&str]) -> Option<Reason> {
        let mut headers = Headers::default();
        for value in values {
            headers.push(HeaderName::Reason, *value);
        }
        Reason::from_headers(&headers)
    }

    #[test]
    fn sip_and_q850_are_read_from_one_or_two_headers() {
        let both = Reason { sip: Some(486), q850: Some(17), text: Some("User, busy".into()) };
        assert_eq!(reason(&["SIP;cause=486, Q.850 ;cause=17;text=\"User, busy\""]), Some(both.clone()));
        assert_eq!(reason(&["SIP;cause=486", "q.850;text=\"User, busy\";cause=17"]), Some(both));
        for none in [&[][..], &["Q.850"], &["Q.850;cause=200"], &["SIP;cause=x"], &["preemption;cause=1"]] {
            assert_eq!(reason(none), None, "{none:?}");
        }
    }

    /// RFC 3398 section 8.2.6.1: a gateway tells its caller the cause of a refusal.
    #[test]
    fn the_cause_of_a_refusal_is_the_one_of_the_telephone_network() {
        for (statuses, cause) in [
            (&[404, 604][..], 1),
            (&[486, 600], 17),
            (&[480], 18),
            (&[403, 603], 21),
            (&[410], 22),
            (&[484], 28),
            (&[503], 41),
            (&[488, 606], 65),
            (&[400, 500, 699], 31),
        ] {
            for status in statuses {
                assert_eq!(status_to_q850(*status), cause, "{status}");
            }
        }
    }
}
