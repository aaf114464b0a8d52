//! The rules of a trunk's fields: which texts may become a part of a SIP message.

use super::media::CODECS;
use super::target::TrunkTarget;
use crate::allowed_networks;
use crate::rules::{each, fits};

/// Text that becomes the user part of a URI: nothing in it ends that part, the URI or the header.
pub(super) fn is_clean(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@;\\".contains(&b))
}

/// The same with parameters, `;user=phone`.
pub(super) fn is_template(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@\\".contains(&b))
}

pub(super) fn has_place(template: &str) -> bool {
    ["{e164}", "{number}", "{national}"].iter().any(|place| template.contains(place))
}

/// What comes before or instead of a number.
pub(super) fn is_dialled(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#*".contains(&b))
}

/// A host name, or an address without brackets.
fn is_host(text: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    text.parse::<std::net::IpAddr>().is_ok() || (1..=253).contains(&text.len()) && text.bytes().all(name)
}

fn is_digits(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `+31`, `31`.
fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    is_digits(digits, 15)
}

pub(super) fn host_name() -> impl FnOnce(&str, &()) -> garde::Result {
    fits(is_host, "must be a host name or an address, without a port")
}

pub(super) fn have_hosts(targets: &[TrunkTarget], _: &()) -> garde::Result {
    let bad = targets.iter().find(|target| !is_host(&target.host));
    let words = |bad: &TrunkTarget| format!("{:?} is not a host name or address", bad.host);
    bad.map_or(Ok(()), |bad| Err(garde::Error::new(words(bad))))
}

pub(super) const CREDENTIAL_WORDS: &str = "must not be empty or hold control characters";

/// Becomes a part of header values, quoted or escaped; nothing escapes a line's end.
pub(super) fn is_credential(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

pub(super) fn digits(max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    fits(move |text: &str| is_digits(text, max), format!("must be 1 to {max} digits"))
}

pub(super) fn prefixes() -> impl FnOnce(&[String], &()) -> garde::Result {
    each(is_prefix, |bad| format!("{bad:?} is not a prefix of an E.164 number, such as +31"))
}

pub(super) fn networks() -> impl FnOnce(&[String], &()) -> garde::Result {
    let is_network = |text: &str| allowed_networks::parse(text).is_some();
    each(is_network, |bad| format!("{bad} is not an IP address or network such as 203.0.113.0/24"))
}

pub(super) fn are_codecs(list: &[String]) -> bool {
    (1..=CODECS.len()).contains(&list.len()) && list.iter().all(|codec| CODECS.contains(&codec.as_str()))
}
