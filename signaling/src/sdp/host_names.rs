//! Names in the place of addresses (RFC 8866 section 5.7 allows fully qualified names): found, so that the owner of the
//! call can look them up, and replaced by what they mean before the description is read.

use std::net::IpAddr;

/// Names of one description that are looked up. A stream has two, for RTP and RTCP.
pub const HOST_NAMES_MAX: usize = 4;
/// The longest name (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// Lines that name a host in this way: `IN IP4 host`.
const STARTS: [&str; 2] = ["c=", "a=rtcp:"];

/// The names of a description, each once.
pub fn find(description: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(description);
    let mut names: Vec<String> = Vec::new();
    for name in text.lines().filter_map(|line| HostLine::split(line).map(|line| line.name)) {
        if names.len() < HOST_NAMES_MAX && !names.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The description with addresses in the place of names; a name without an address stays.
pub fn replace(description: &[u8], addr_of: impl Fn(&str) -> Option<IpAddr>) -> Vec<u8> {
    let text = String::from_utf8_lossy(description);
    let lines = text.split_inclusive('\n').map(|line| {
        let content = line.trim_end_matches(['\r', '\n']);
        let replaced = HostLine::split(content).and_then(|line| Some((line.before, addr_of(line.name)?)));
        match replaced {
            Some((before, addr)) => {
                let family = if addr.is_ipv4() { "IP4" } else { "IP6" };
                let end = line.strip_prefix(content).unwrap_or("\r\n");
                format!("{before}IN {family} {addr}{end}")
            }
            None => line.to_owned(),
        }
    });
    lines.collect::<String>().into_bytes()
}

/// A line with a name, cut before its network type.
struct HostLine<'a> {
    before: &'a str,
    name: &'a str,
}

impl<'a> HostLine<'a> {
    fn split(line: &'a str) -> Option<Self> {
        STARTS.iter().find(|start| line.starts_with(**start))?;
        let at = line.find("IN ")?;
        let (before, network) = line.split_at_checked(at)?;
        let mut parts = network.split_ascii_whitespace().skip(1);
        let (family, name) = (parts.next()?, parts.next()?);
        (matches!(family, "IP4" | "IP6") && is_name(name)).then_some(Self { before, name })
    }
}

/// A name, and no address (which may have a TTL behind a slash).
fn is_name(text: &str) -> bool {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(is_host)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: &str = "v=0\r\no=- 1 1 IN IP4 other.example\r\nc=IN IP4 media.example\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\nc=IN IP6 Six.example.\r\na=rtcp:5001 IN IP4 media.example\r\n\
        m=audio 4002 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n";

    #[test]
    fn names_are_found_once_and_addresses_are_none() {
        assert_eq!(find(NAMED.as_bytes()), ["media.example", "Six.example."]);
        for line in ["c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1", "c=IN IP4 1.2.3", "c=IN IP4 ", "c=IN IP4 a b/c"] {
            let found = find(line.as_bytes());
            assert!(found.is_empty() || found == ["a"], "{line}: {found:?}");
        }
        let many: String = (0..50).map(|n| format!("c=IN IP4 h{n}.example\r\n")).collect();
        assert_eq!(find(many.as_bytes()).len(), HOST_NAMES_MAX);
    }

    #[test]
    fn addresses_take_the_place_of_names_and_bring_their_family() {
        let known = |name: &str| match name {
            "media.example" => Some(IpAddr::from([192, 0, 2, 7])),
            "Six.example." => "2001:db8::7".parse().ok(),
            _ => None,
        };
        let replaced = String::from_utf8(replace(NAMED.as_bytes(), known)).unwrap();
        let wanted = NAMED
            .replace("c=IN IP4 media.example", "c=IN IP4 192.0.2.7")
            .replace("5001 IN IP4 media.example", "5001 IN IP4 192.0.2.7")
            .replace("IN IP6 Six.example.", "IN IP6 2001:db8::7");
        assert_eq!(replaced, wanted, "the origin stays");
        assert_eq!(replace(NAMED.as_bytes(), |_| None), NAMED.as_bytes());
        assert_eq!(replace(b"c=IN IP6 media.example", known), b"c=IN IP4 192.0.2.7");
    }
}
