//! SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966), and the name-addr form around them.

use super::scan::{self, param, split_before, split_unquoted};
use std::fmt;

/// Scheme of a URI; others are answered 416.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`, any transport (RFC 3261 section 19.1).
    Sip,
    /// `sips:`, over TLS (RFC 3261 section 19.1).
    Sips,
    /// `tel:`, a phone number without a host (RFC 3966).
    Tel,
}

/// A URI as far as a user agent needs it. Parameters and headers stay text; they are looked up rarely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// Scheme, which decides the form of the rest.
    pub scheme: Scheme,
    /// User part as written (escapes kept). The whole number for `tel:`.
    pub user: Option<String>,
    /// Host without brackets for IPv6; empty for `tel:`.
    pub host: String,
    /// Port, 1 to 65535; `None` for the default port of the transport, and always for `tel:`.
    pub port: Option<u16>,
    /// `;a=b;lr` with the leading semicolon, or empty.
    pub params: String,
    /// `?a=b` with the question mark, or empty.
    pub headers: String,
}

/// Why a URI or name-addr cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriError {
    /// A scheme this user agent does not know: answered 416.
    UnknownScheme,
    /// The text breaks the syntax: bad host, port, number or character, unclosed quote or bracket.
    Malformed,
}

impl Uri {
    /// `sip:user@host:port`; the host may be an IPv6 address without brackets.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            params: String::new(),
            headers: String::new(),
        }
    }

    /// Parses a `sip:`, `sips:` or `tel:` URI without angle brackets. Fails with `UnknownScheme` for other schemes,
    /// else with `Malformed`.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        UriParts::split(text).map(Self::from)
    }

    /// Takes a parameter out, names without regard to case.
    pub fn remove_param(&mut self, name: &str) {
        let is_named = |param: &str| param.split('=').next().unwrap_or("").trim().eq_ignore_ascii_case(name);
        let kept = self.params.split(';').filter(|param| !param.is_empty() && !is_named(param));
        self.params = kept.flat_map(|param| [";", param]).collect();
    }

    /// Value of a parameter; `Some("")` when it is there without a value.
    pub fn param(&self, name: &str) -> Option<&str> {
        param(&self.params, name)
    }

    /// User part without password, parameters (`;phone-context=…`) and percent escapes.
    pub fn user_plain(&self) -> Option<String> {
        let user = self.user.as_deref()?;
        let user = user.split([';', ':']).next().unwrap_or(user);
        Some(unescape(user))
    }
}

/// Borrowed parts of a URI, to validate it without allocating.
struct UriParts<'a> {
    scheme: Scheme,
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
    headers: &'a str,
}

impl From<UriParts<'_>> for Uri {
    fn from(parts: UriParts<'_>) -> Self {
        Self {
            scheme: parts.scheme,
            user: parts.user.map(str::to_owned),
            host: parts.host.to_owned(),
            port: parts.port,
            params: parts.params.to_owned(),
            headers: parts.headers.to_owned(),
        }
    }
}

/// Whether port 0, which nothing can be sent to, is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ZeroPort {
    Malformed,
    Allowed,
}

impl<'a> UriParts<'a> {
    fn split(text: &'a str) -> Result<Self, UriError> {
        Self::split_with(text, ZeroPort::Malformed)
    }

    fn split_with(text: &'a str, zero: ZeroPort) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Malformed)?;
        let scheme = if scheme.eq_ignore_ascii_case("sip") {
            Scheme::Sip
        } else if scheme.eq_ignore_ascii_case("sips") {
            Scheme::Sips
        } else if scheme.eq_ignore_ascii_case("tel") {
            return split_tel(rest);
        } else if is_scheme(scheme) {
            return Err(UriError::UnknownScheme);
        } else {
            return Err(UriError::Malformed);
        };
        if rest.chars().any(|c| is_control(c) || matches!(c, ' ' | '<' | '>' | '"')) {
            return Err(UriError::Malformed);
        }
        // The user part may hold ';' and '?', so the '@' is looked for first.
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        if user == Some("") {
            return Err(UriError::Malformed);
        }
        let (rest, headers) = split_before(rest, '?');
        let (host_port, params) = split_before(rest, ';');
        let (host, port) = split_host_any_port(host_port).ok_or(UriError::Malformed)?;
        if port == Some(0) && zero == ZeroPort::Malformed {
            return Err(UriError::Malformed);
        }
        Ok(Self { scheme, user, host, port, params, headers })
    }
}

/// A control character, or one that stands for it: see `message::text`.
pub fn is_control(c: char) -> bool {
    c.is_ascii_control() || super::wire_text::is_escaped_control(c)
}

fn split_tel(rest: &str) -> Result<UriParts<'_>, UriError> {
    let (number, params) = split_before(rest, ';');
    if params.chars().any(|c| is_control(c) || matches!(c, ' ' | '<' | '>' | '"')) {
        return Err(UriError::Malformed);
    }
    if number.is_empty() || number.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"+-.()*#".contains(&b))) {
        return Err(UriError::Malformed);
    }
    Ok(UriParts { scheme: Scheme::Tel, user: Some(number), host: "", port: None, params, headers: "" })
}

fn is_scheme(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`. Port 0 is invalid.
pub fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    split_host_any_port(text).filter(|(_, port)| *port != Some(0))
}

fn split_host_any_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return None,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let v6 = text.starts_with('[');
    if host.is_empty() || (!v6 && !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))) {
        return None;
    }
    let port = match port {
        Some(port) => Some(scan::digits(port.trim())?),
        None => None,
    };
    Some((host, port))
}

/// Percent escapes resolved. Invalid UTF-8 and control characters become U+FFFD.
pub fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, behind @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = behind;
                }
                _ => out.push(*first),
            },
            _ => out.push(*first),
        }
    }
    let text = String::from_utf8_lossy(&out);
    text.chars().map(|c| if is_control(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A text as the user part of a URI: what may not stand there is escaped (RFC 3261 section 25.1, `user`).
pub fn escape_user(text: &str) -> String {
    let stands = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stands(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Sip => "sip:",
            Scheme::Sips => "sips:",
            Scheme::Tel => "tel:",
        })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if self.scheme != Scheme::Tel {
                f.write_str("@")?;
            }
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.params)?;
        f.write_str(&self.headers)
    }
}

/// `"Name" <uri>;params` or `uri;params` (RFC 3261 section 20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name without the quotes around it, escapes kept; `None` if it is empty.
    pub display: Option<String>,
    /// The address, for example of the caller in From.
    pub uri: Uri,
    /// Header parameters, `;tag=…`, or empty.
    pub params: String,
}

impl NameAddr {
    /// Parses a name-addr or a bare URI, whose parameters then belong to the header. Fails if the URI or the brackets
    /// are malformed.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        Self::parse_with(text, ZeroPort::Malformed)
    }

    /// The same of a Contact, whose URI may have port 0: a target that nothing can be sent to, and no reason to refuse the
    /// call, because the peer is known from elsewhere.
    pub fn parse_contact(text: &str) -> Result<Self, UriError> {
        Self::parse_with(text, ZeroPort::Allowed)
    }

    fn parse_with(text: &str, zero: ZeroPort) -> Result<Self, UriError> {
        let parts = NameAddrParts::split(text)?;
        Ok(Self {
            display: (!parts.display.is_empty()).then(|| parts.display.to_owned()),
            uri: UriParts::split_with(parts.uri, zero)?.into(),
            params: parts.params.to_owned(),
        })
    }

    /// Whether the text parses, without keeping it.
    pub fn check(text: &str) -> Result<(), UriError> {
        NameAddrParts::split(text).and_then(|parts| UriParts::split(parts.uri).map(|_| ()))
    }

    /// Returns the tag, which identifies a side of the dialog; `None` if it is missing or empty.
    pub fn tag(&self) -> Option<&str> {
        param(&self.params, "tag").filter(|tag| !tag.is_empty())
    }
}

/// A name-addr's parts inside its text.
struct NameAddrParts<'a> {
    display: &'a str,
    uri: &'a str,
    params: &'a str,
}

impl<'a> NameAddrParts<'a> {
    fn split(text: &'a str) -> Result<Self, UriError> {
        let text = text.trim();
        let Some((display, rest)) = split_unquoted(text, b'<') else {
            // Without brackets every semicolon starts a header parameter.
            let (uri, params) = split_before(text, ';');
            return Ok(Self { display: "", uri: uri.trim(), params });
        };
        let (uri, params) = rest.split_once('>').ok_or(UriError::Malformed)?;
        let display = display.trim();
        if display.bytes().filter(|b| *b == b'"').count() == 1 {
            return Err(UriError::Malformed);
        }
        let display = display.strip_prefix('"').and_then(|d| d.strip_suffix('"')).unwrap_or(display);
        let params = params.trim();
        if !params.is_empty() && !params.starts_with(';') || scan::has_too_many_params(params) {
            return Err(UriError::Malformed);
        }
        Ok(Self { display, uri, params })
    }
}

/// The parameters behind a name-addr, `;tag=…`; none when it cannot be read.
pub fn header_params(value: &str) -> Option<&str> {
    NameAddrParts::split(value).ok().map(|parts| parts.params)
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "\"{display}\" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let uri = Uri::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn any_text_can_be_a_user_part_and_is_read_back() {
        for (text, wanted) in [
            ("+31201234567", "+31201234567"),
            ("a@b", "a%40b"),
            ("x>, <sip:y\"", "x%3E,%20%3Csip%3Ay%22"),
            ("\u{e4}", "%C3%A4"),
        ] {
            assert_eq!(escape_user(text), wanted);
            let uri = Uri::sip(Some(&escape_user(text)), "h.example", None).to_string();
            let read = Uri::parse(&uri).unwrap();
            assert_eq!((unescape(read.user.as_deref().unwrap()).as_str(), read.host.as_str()), (text, "h.example"));
        }
        assert_eq!(escape_user("x\r\nVia: y"), "x%0D%0AVia%3A%20y");
        assert_eq!(unescape("x%0D%0A%00"), "x\u{fffd}\u{fffd}\u{fffd}", "no control character is read back");
    }

    #[test]
    fn uris_print_as_they_were_written() {
        check("sip:alice@example.com");
        check("sips:+31201234567@gw.example.com:5061;transport=tcp;lr");
        check("sip:[2001:db8::1]:5070");
        check("sip:user;par=u%40example.net@example.com");
        check("tel:+31201234567;phone-context=example.com");
        check("sip:1234@10.0.0.1?Subject=x");
    }

    #[test]
    fn bad_uris_are_refused() {
        assert_eq!(Uri::parse("http://example.com"), Err(UriError::UnknownScheme));
        for text in ["sip:a@h:0", "sip:a@h:+5", "sip:a@h:65536", "sip:a\0b@h", "sip:a\u{F700}b@h", "tel:+1;x=\u{7f}"] {
            assert!(Uri::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "sip:", "sip:@host", "sip:a b@host", "sip:a@host:99999", "sip:a@ho st", "sip:[::1", "nobody"] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn port_zero_is_read_in_a_contact_alone() {
        let contact = NameAddr::parse_contact("<sip:u@h:0>;expires=5").unwrap();
        assert_eq!((contact.uri.port, contact.uri.host.as_str()), (Some(0), "h"));
        assert!(NameAddr::parse("<sip:u@h:0>").is_err() && NameAddr::parse_contact("<sip:u@h:65536>").is_err());
        assert!(split_host_port("h:0").is_none());
    }

    #[test]
    fn name_addr_finds_the_tag_behind_quotes_and_brackets() {
        let addr = NameAddr::parse("\"A <x> ;tag=no \\\" y\" <sip:a@b;tag=uri>;x=\"q;tag=no\";tag=yes").unwrap();
        assert_eq!(addr.tag(), Some("yes"));
        assert_eq!(addr.uri.param("tag"), Some("uri"));
        let bare = NameAddr::parse("sip:a@b;tag=1").unwrap();
        assert_eq!((bare.tag(), bare.uri.params.as_str()), (Some("1"), ""));
        assert!(NameAddr::parse("\"unterminated <sip:a@b>").is_err());
    }

    #[test]
    fn the_user_part_is_unescaped_without_password_and_parameters() {
        let uri = Uri::parse("sip:%2B3120;phone-context=x:pw@h").unwrap();
        assert_eq!(uri.user_plain().as_deref(), Some("+3120"));
        for (text, wanted) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%é1", "%é1"),
            ("%c3%a9", "é"),
            ("a%00%0d%0Ab%7f", "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(unescape(text), wanted, "{text}");
        }
    }
}
