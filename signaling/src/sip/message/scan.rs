//! Cutting header values at their separators. All list, parameter and name-addr parsing uses these functions, which
//! return slices and never offsets.

use crate::limits;

/// Tracks quoted strings; separators count only outside (RFC 3261 section 25.1).
#[derive(Clone, Copy, Default)]
struct Quotes {
    quoted: bool,
    escaped: bool,
}

impl Quotes {
    /// Takes the next byte; false for a byte of a quoted string and for the quotes themselves.
    fn is_outside(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match byte {
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ => return !self.quoted,
        }
        false
    }
}

/// What follows a prefix of ASCII characters in any letter case. The version of SIP is written in upper case and compared
/// without regard to it (RFC 3261 section 7.1).
pub fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Before and after the first `separator` (an ASCII character) outside of quoted strings.
pub fn split_unquoted(text: &str, separator: u8) -> Option<(&str, &str)> {
    let mut quotes = Quotes::default();
    let at = text.bytes().position(|byte| quotes.is_outside(byte) && byte == separator)?;
    cut_at(text, at)
}

/// Up to the first `separator`, and from it on: the second part begins with it, or is empty.
pub fn split_before(text: &str, separator: char) -> (&str, &str) {
    text.find(separator).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""))
}

/// Before and after the byte at `at`, which is one of ASCII.
fn cut_at(text: &str, at: usize) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

/// The first element of a comma separated list, and what follows its comma. Empty elements are skipped (RFC 3261
/// section 7.3.1 knows none, and senders write them). Commas in quoted strings and angle brackets separate nothing.
pub fn split_element(list: &str) -> Option<(&str, &str)> {
    let mut rest = list;
    loop {
        let (mut quotes, mut bracket) = (Quotes::default(), false);
        let comma = rest.bytes().position(|byte| {
            let outside = quotes.is_outside(byte);
            match byte {
                b'<' if outside => bracket = true,
                b'>' if outside => bracket = false,
                _ => {}
            }
            outside && byte == b',' && !bracket
        });
        let (element, after) = match comma {
            Some(at) => cut_at(rest, at)?,
            None => (rest, ""),
        };
        if !element.trim().is_empty() {
            return Some((element.trim(), after));
        }
        comma?;
        rest = after;
    }
}

/// The elements of a comma separated list.
pub fn elements(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (element, after) = split_element(rest)?;
        rest = after;
        Some(element)
    })
}

/// Names and values of `;name=value;flag`, quotes taken off. Text before the first semicolon is skipped.
pub fn params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = split_unquoted(text, b';').map(|(_, rest)| rest);
    let all = std::iter::from_fn(move || {
        let text = rest?;
        let (one, after) = match split_unquoted(text, b';') {
            Some((one, after)) => (one, Some(after)),
            None => (text, None),
        };
        rest = after;
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        Some((name.trim(), without_quotes(value.trim())))
    });
    all.take(limits::PARAMS_MAX)
}

/// Looks a parameter up, names without regard to case; `Some("")` when it has no value.
pub fn param<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    params(text).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// True if there are more parameters than are read.
pub fn has_too_many_params(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b';').count() > limits::PARAMS_MAX && params(text).count() >= limits::PARAMS_MAX
}

fn without_quotes(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// A number written in digits alone; `None` for anything else, and for one that does not fit.
pub fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Seconds: a number too large for its type is the largest there is (RFC 3261 section 25.1 bounds none of them).
pub fn seconds(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}

/// `token` of RFC 3261 section 25.1.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_of_quotes_and_brackets() {
        let all: Vec<_> = elements("<sip:a@b;x=1,2>, \"x, \\\", y\" <sip:c@d> ,, e").collect();
        assert_eq!(all, ["<sip:a@b;x=1,2>", "\"x, \\\", y\" <sip:c@d>", "e"]);
        assert_eq!(split_element(" ,é;x=ü, b"), Some(("é;x=ü", " b")));
        for empty in ["", " ", ",", " , ,\t"] {
            assert_eq!(split_element(empty), None, "{empty:?}");
        }
    }

    #[test]
    fn parameters_are_found_whatever_stands_around_them() {
        let text = "x;é=ü ; Tag = \"a;b\\\"c\" ;flag;;last=1";
        assert_eq!((param(text, "tag"), param(text, "FLAG")), (Some("a;b\\\"c"), Some("")));
        assert_eq!((param(text, "é"), param(text, "last"), param(text, "x")), (Some("ü"), Some("1"), None));
        assert_eq!(param(";x=\"open;tag=1", "tag"), None, "a quote without an end holds the rest");
        let many = ";x=1".repeat(limits::PARAMS_MAX) + ";tag=1";
        assert_eq!((param(&many, "tag"), has_too_many_params(&many)), (None, true));
        assert!(!has_too_many_params(";tag=1"));
        let semicolons = ";".repeat(2 * limits::PARAMS_MAX);
        assert!(!has_too_many_params(&format!(";text=\"{semicolons}\";tag=1")), "a quoted one separates nothing");
        assert!(!has_too_many_params(&";x=1".repeat(limits::PARAMS_MAX)), "all of them are read");
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!((digits::<u16>("65535"), digits::<u16>("65536"), digits::<u16>("+5")), (Some(65_535), None, None));
        assert_eq!((digits::<u8>(""), digits::<u8>("٣")), (None, None));
        assert_eq!(
            (seconds("4294967295"), seconds("4294967296"), seconds("-1")),
            (Some(u32::MAX), Some(u32::MAX), None)
        );
    }
}
