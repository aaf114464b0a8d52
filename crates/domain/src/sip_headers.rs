//! Headers that customers put on calls: trunks on all of theirs, tasks and tools on one.

use garde::Error;
use std::collections::BTreeMap;

/// Headers that make a message what it is cannot be set from outside.
const OWN_HEADERS: &[&str] = &[
    "call-id",
    "max-forwards",
    "content-length",
    "content-type",
    "content-encoding",
    "record-route",
    "proxy-authorization",
    "session-expires",
    "min-se",
    "refer-to",
    "referred-by",
    "target-dialog",
    "proxy-require",
    "proxy-authenticate",
    "www-authenticate",
    "authentication-info",
    "content-disposition",
    "content-language",
    "content-transfer-encoding",
    "content-id",
    "mime-version",
    "accept-encoding",
    "min-expires",
    "retry-after",
    "subscription-state",
    "allow-events",
    "sip-etag",
    "sip-if-match",
];

/// Headers that customers put on a call.
pub const HEADERS_MAX: usize = 20;
/// Characters of the value of one.
pub const HEADER_VALUE_MAX: usize = 512;

/// A rule of a field: names are tokens and not ours, values one line of visible ASCII.
pub(super) fn rule<C>(custom_only: bool) -> impl FnOnce(&BTreeMap<String, String>, &C) -> garde::Result {
    move |headers, _| check(headers, custom_only).map_err(Error::new)
}

fn check(headers: &BTreeMap<String, String>, custom_only: bool) -> Result<(), String> {
    if headers.len() > HEADERS_MAX {
        return Err(format!("at most {HEADERS_MAX} headers"));
    }
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let (first, rest) = lower.split_once('-').unwrap_or(("", ""));
        let parts = !first.is_empty()
            && (1..=60).contains(&rest.len())
            && first.bytes().all(|b| b.is_ascii_alphanumeric())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !parts || lower.len() > 64 {
            return Err(format!("{name:?}: a name such as X-Account is needed"));
        }
        if OWN_HEADERS.contains(&lower.as_str()) {
            return Err(format!("{name} is set by the call itself"));
        }
        if custom_only && first != "x" && lower != "user-to-user" {
            return Err(format!("{name}: only X-… and User-to-User can be set"));
        }
        if value.is_empty() || value.len() > HEADER_VALUE_MAX || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(format!("{name}: the value must have 1 to {HEADER_VALUE_MAX} visible ASCII characters"));
        }
    }
    Ok(())
}
