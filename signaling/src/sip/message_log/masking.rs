//! Takes secrets out of a message before it is recorded, and makes what is left printable.
//!
//! Masked: credentials (`Authorization`, `Proxy-Authorization`, `Authentication-Info`; of Digest the fields that are no
//! secret stay), headers that are named like a secret, passwords in URIs, the signature of `Identity`, keys of SRTP
//! (`a=crypto`, `a=key-mgmt`, `k=`), ICE passwords, digits in INFO and KPML, and the text of MESSAGE. A body that is encoded
//! is left out, because nothing in it can be masked.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// Fields of Digest credentials that are not secret. Without nonce and response, nobody can guess the password.
const PUBLIC_DIGEST_FIELDS: [&str; 6] = ["username", "realm", "uri", "algorithm", "qop", "nc"];
/// Parts of names of headers whose values are secret.
const SECRET_NAMES: [&str; 8] =
    ["authorization", "password", "passwd", "secret", "token", "api-key", "apikey", "cookie"];

/// What is done with the lines of a body, the strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum BodyRule {
    /// Keys and passwords are masked.
    Keys,
    /// Digits too: somebody may have pressed a PIN.
    Digits,
    /// Nothing of it is recorded.
    LeaveOut,
}

/// The text of a message, or of its beginning, without secrets.
pub fn mask(message: &[u8]) -> String {
    let text = printable(message);
    let text = text.trim_start_matches(['\r', '\n']);
    let mut masked = String::with_capacity(text.len());
    let (head, body) = split_head(text);
    let mut rule = BodyRule::Keys;
    for (index, header) in logical_lines(head).enumerate() {
        rule = if index == 0 {
            rule_of_start_line(header)
        } else {
            rule_of_header(header).map_or(rule, |other| rule.max(other))
        };
        masked.push_str(&mask_header(header, index == 0));
    }
    match rule {
        BodyRule::LeaveOut if !body.trim().is_empty() => {
            masked.push_str("\r\n");
            let _ = write!(masked, "({MASK} body not recorded)");
        }
        rule => push_body(&mut masked, body, rule),
    }
    masked
}

/// Bytes that are no text, control and direction characters are written as escapes.
fn printable(message: &[u8]) -> String {
    let mut text = String::with_capacity(message.len());
    for chunk in message.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' | '\t' => text.push(c),
                '\r' if chars.peek() == Some(&'\n') => text.push(c),
                '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' => {
                    text.extend(c.escape_unicode());
                }
                c if c.is_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Start line and headers, and the rest from the empty line on.
fn split_head(text: &str) -> (&str, &str) {
    let mut before = 0_usize;
    for line in text.split_inclusive('\n') {
        if matches!(line, "\n" | "\r\n") {
            break;
        }
        before = before.saturating_add(line.len());
    }
    text.split_at_checked(before).unwrap_or((text, ""))
}

/// Lines with those that continue them (RFC 3261 section 7.3.1).
fn logical_lines(head: &str) -> impl Iterator<Item = &str> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let mut length = 0_usize;
        for line in rest.split_inclusive('\n') {
            if length > 0 && !line.starts_with([' ', '\t']) {
                break;
            }
            length = length.saturating_add(line.len());
        }
        let (line, after) = rest.split_at_checked(length).filter(|(line, _)| !line.is_empty())?;
        rest = after;
        Some(line)
    })
}

fn rule_of_method(method: &str) -> BodyRule {
    match method {
        "MESSAGE" => BodyRule::LeaveOut,
        "INFO" => BodyRule::Digits,
        _ => BodyRule::Keys,
    }
}

fn rule_of_start_line(line: &str) -> BodyRule {
    rule_of_method(line.split_ascii_whitespace().next().unwrap_or(""))
}

/// The rule that a header makes for the body. A response has its method in CSeq.
fn rule_of_header(header: &str) -> Option<BodyRule> {
    let (name, value) = header.split_once(':')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase());
    match name.as_str() {
        "cseq" => Some(rule_of_method(&value.split_ascii_whitespace().nth(1)?.to_ascii_uppercase()))
            .filter(|rule| *rule != BodyRule::Keys),
        "content-encoding" | "e" if !value.is_empty() && value != "identity" => Some(BodyRule::LeaveOut),
        "content-transfer-encoding" if is_encoded(&value) => Some(BodyRule::LeaveOut),
        _ => None,
    }
}

fn is_encoded(transfer_encoding: &str) -> bool {
    !matches!(transfer_encoding, "" | "7bit" | "8bit" | "binary")
}

fn mask_header(header: &str, is_start_line: bool) -> Cow<'_, str> {
    let named = header.split_once(':').filter(|_| !is_start_line);
    let Some((name, value)) = named else { return mask_line(header) };
    let line_end = if header.ends_with("\r\n") {
        "\r\n"
    } else if header.ends_with('\n') {
        "\n"
    } else {
        ""
    };
    let one_line = || value.split_whitespace().collect::<Vec<_>>().join(" ");
    let masked = match name.trim().to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" => mask_credentials(&one_line()),
        "authentication-info" | "proxy-authentication-info" => mask_fields(&one_line()),
        "identity" | "y" => mask_signatures(&one_line()),
        secret if SECRET_NAMES.iter().any(|part| secret.contains(part)) => MASK.to_owned(),
        _ => return mask_line(header),
    };
    Cow::Owned(format!("{name}: {masked}{line_end}"))
}

fn mask_credentials(value: &str) -> String {
    match value.split_once(' ') {
        Some((scheme, fields)) if scheme.eq_ignore_ascii_case("digest") => format!("{scheme} {}", mask_fields(fields)),
        _ => MASK.to_owned(),
    }
}

/// Fields of Digest; those that are secret or unknown lose their values.
fn mask_fields(fields: &str) -> String {
    let mut is_quoted = false;
    let parts = fields.split(|c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    let masked: Vec<String> = parts
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or(("", field));
            let (name, value) = (name.trim(), value.trim());
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            let is_public = PUBLIC_DIGEST_FIELDS.iter().any(|public| name.eq_ignore_ascii_case(public));
            match name {
                "" => MASK.to_owned(),
                name if is_public && !inner.contains(['"', '\\']) => format!("{name}={value}"),
                name if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => format!("{name}=\"{MASK}\""),
                _ => MASK.to_owned(),
            }
        })
        .collect();
    if is_quoted { MASK.to_owned() } else { masked.join(", ") }
}

/// The last part of each PASSporT (RFC 8225), which makes it valid.
fn mask_signatures(value: &str) -> String {
    let masked = value.split(',').map(|one| {
        let (token, rest) = one.split_at_checked(one.find([';', ' ']).unwrap_or(one.len())).unwrap_or((one, ""));
        match token.rsplit_once('.') {
            Some((signed, _)) => format!("{signed}.{MASK}{rest}"),
            None => format!("{MASK}{rest}"),
        }
    });
    masked.collect::<Vec<_>>().join(",")
}

/// A line of headers or of a body: passwords and keys in it, wherever they stand.
fn mask_line(line: &str) -> Cow<'_, str> {
    let is_space = |c: char| c.is_whitespace();
    let in_uri = |c: char| c.is_whitespace() || matches!(c, '&' | '>' | ';' | '"');
    let in_key = |c: char| c.is_whitespace() || matches!(c, ';' | '"');
    let line = mask_after(Cow::Borrowed(line), "authorization=", in_uri);
    let line = mask_after(line, "inline:", in_key);
    let line = mask_after(line, "ice-pwd:", is_space);
    let line = mask_after(line, "key-mgmt:", |c| matches!(c, '\r' | '\n'));
    let line = mask_after(line, " digits=\"", |c| c == '"');
    mask_after_user(line)
}

/// Masks what follows `marker` (lower-case ASCII) up to a character that ends it. White space before the value stays.
fn mask_after<'a>(line: Cow<'a, str>, marker: &str, ends: impl Fn(char) -> bool) -> Cow<'a, str> {
    let mut masked = String::new();
    let mut rest = line.as_ref();
    while let Some((before, after)) = split_after(rest, marker) {
        let blank = after.len().saturating_sub(after.trim_start_matches([' ', '\t']).len());
        let (blank, value) = after.split_at_checked(blank).unwrap_or(("", after));
        let (secret, next) = value.split_at_checked(value.find(&ends).unwrap_or(value.len())).unwrap_or((value, ""));
        masked.extend([before, blank, if secret.is_empty() { "" } else { MASK }]);
        rest = next;
    }
    if masked.is_empty() {
        return line;
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// Up to and with `marker`, in any case, and what follows.
fn split_after<'a>(text: &'a str, marker: &str) -> Option<(&'a str, &'a str)> {
    let found = text.as_bytes().windows(marker.len()).position(|part| part.eq_ignore_ascii_case(marker.as_bytes()))?;
    text.split_at_checked(found.saturating_add(marker.len()))
}

/// What stands before the user of a URI.
const URI_MARKERS: [&str; 3] = ["sip:", "sips:", "://"];

/// The password in `sip:user:password@host` (RFC 3261 section 19.1.1), or of another URI (RFC 3986 section 3.2.1).
fn mask_after_user(line: Cow<'_, str>) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut rest = line.as_ref();
    while let Some((before, after)) =
        URI_MARKERS.iter().filter_map(|marker| split_after(rest, marker)).min_by_key(|(before, _)| before.len())
    {
        masked.push_str(before);
        rest = after;
        let Some((uri, next)) = after.split_at_checked(end_of_uri(after)) else { break };
        if let Some((user, host)) = uri.split_once('@') {
            let Some((name, _)) = user.split_once(':') else { continue };
            masked.extend([name, ":", MASK, "@", host]);
            rest = next;
        } else if let Some((name, tail)) = uri.split_once(':')
            && !uri.starts_with('[')
            && (next.is_empty() || !is_port(name, tail))
        {
            // The message was cut before the host: this may be the beginning of a password.
            masked.extend([name, ":", MASK]);
            rest = next;
        }
    }
    if masked.is_empty() {
        return line;
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// Where a URI at the beginning of `text` ends. A comma belongs to a user or a password, and ends a host. Where the message
/// was cut before a host, all of it may be user and password.
fn end_of_uri(text: &str) -> usize {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '>' | '<' | '"')).unwrap_or(text.len());
    let host = text.find('@').filter(|at| *at < end);
    if host.is_none() && end == text.len() {
        return end;
    }
    let host = host.unwrap_or(0);
    let comma = text.get(host..end).and_then(|host| host.find(',')).map(|comma| comma.saturating_add(host));
    comma.unwrap_or(end)
}

/// Whether a URI without a user has a host of this name and a port, or a colon in its parameters.
fn is_port(name: &str, tail: &str) -> bool {
    name.contains([';', '?'])
        || tail.split([';', '?', '/']).next().is_some_and(|port| port.chars().all(|c| c.is_ascii_digit()))
}

fn push_body(masked: &mut String, body: &str, rule: BodyRule) {
    let mut is_encoded_part = false;
    for line in body.split_inclusive('\n') {
        let lower = line.trim().to_ascii_lowercase();
        if lower.starts_with("--") {
            is_encoded_part = false;
        }
        let part_encoding = lower.strip_prefix("content-transfer-encoding:").map(str::trim).filter(|e| is_encoded(e));
        let is_gzip = lower.strip_prefix("content-encoding:").is_some_and(|value| value.trim() != "identity");
        if is_encoded_part && !lower.is_empty() && !lower.starts_with("content-") {
            masked.extend([MASK, "\r\n"]);
        } else if lower.starts_with("a=crypto") && !lower.contains("inline:") {
            masked.extend(["a=crypto:", MASK, "\r\n"]);
        } else if lower.starts_with("k=") {
            masked.extend(["k=", MASK, "\r\n"]);
        } else if rule == BodyRule::Digits && !lower.starts_with("content-") && !lower.starts_with("--") {
            masked.push_str(&mask_digits(line));
        } else {
            masked.push_str(&mask_line(line));
        }
        is_encoded_part |= part_encoding.is_some() || is_gzip;
    }
}

/// A line of an INFO. `Duration` stays: a carrier asks for it.
fn mask_digits(line: &str) -> String {
    let end: String = line.chars().skip_while(|c| !matches!(c, '\r' | '\n')).collect();
    match line.split_once('=') {
        Some((name, _)) if name.trim().eq_ignore_ascii_case("duration") => line.to_owned(),
        Some((name, _)) if name.trim().chars().all(|c| c.is_ascii_alphabetic()) => format!("{name}={MASK}{end}"),
        _ if line.trim().is_empty() => line.to_owned(),
        _ if line.trim().len() <= 2 => format!("{MASK}{end}"),
        _ => mask_line(line).chars().map(|c| if c.is_ascii_digit() || c == '#' { '*' } else { c }).collect(),
    }
}
