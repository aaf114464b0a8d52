//! Phone numbers in E.164 form, and other destinations that can be dialled.

use serde::Deserialize;
use std::fmt;

/// `+` and 7 to 15 digits that do not start with zero (ITU-T E.164; seven digits is the shortest
/// international number in use).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads E.164 with its plus and without separators; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let fits = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
        (fits && digits.bytes().all(|b| b.is_ascii_digit())).then(|| Self(text.to_owned()))
    }

    /// Returns the number with its plus: `+31201234567`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the plus.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

/// Separators that people write between digits.
const SEPARATORS: [char; 8] = [' ', '\u{a0}', '\u{202f}', '-', '\u{2011}', '.', '(', ')'];

/// A number as people write it, `+1 (555) 019-9000`, in E.164. "(0)" is dialled at home only, and no digit of the number
/// here: such a text stays as it is, as does every other.
pub fn without_separators(text: &str) -> String {
    let text = text.trim();
    let is_number = text.strip_prefix('+').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit() || SEPARATORS.contains(&c))
            && rest.chars().all(|c| c.is_ascii_digit() || SEPARATORS.contains(&c))
    });
    if is_number && !text.contains("(0)") { text.replace(SEPARATORS, "") } else { text.to_owned() }
}

/// Reads a number, which may have separators.
pub fn read_number<'de, D: serde::Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    String::deserialize(value).map(|text| without_separators(&text))
}

/// Reads a number that may be null.
pub fn read_optional_number<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(value).map(|text| text.map(|text| without_separators(&text)))
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The callee of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A number in E.164, dialled as the trunk's `dial_string` says.
    Number(PhoneNumber),
    /// `sip:user@host`, where the trunk allows it.
    SipUri(String),
}

impl Destination {
    /// Reads a number in E.164, or `sip:user@host` of at most 256 bytes; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("sip:") {
            let (user, host) = rest.split_once('@')?;
            let clean =
                |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "<>\"@,".contains(c));
            return (clean(user) && clean(host) && text.len() <= 256).then(|| Self::SipUri(text.to_owned()));
        }
        PhoneNumber::parse(text).map(Self::Number)
    }

    /// The number that is called; of a SIP URI the number in front of its host, `sip:+31201234567;phone-context=…@host`.
    pub fn number(&self) -> Option<PhoneNumber> {
        match self {
            Self::Number(number) => Some(number.clone()),
            Self::SipUri(uri) => {
                let user = uri.strip_prefix("sip:")?.split(['@', ';', ':']).next()?;
                PhoneNumber::parse(&without_separators(&user.replace("%2B", "+").replace("%2b", "+")))
            }
        }
    }

    /// Returns the number with its plus, or the URI as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::SipUri(uri) => uri,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e164_only() {
        for good in ["+1234567890", "+442071234567", "+31201234567", "+2907512"] {
            assert_eq!(PhoneNumber::parse(good).map(|n| n.to_string()).as_deref(), Some(good));
        }
        for bad in ["", "+", "0201234567", "+0201234567", "+12345", "+1234567890123456", "+31 20", "+31201234567x"] {
            assert_eq!(PhoneNumber::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_uri_calls_the_number_in_front_of_its_host() {
        for uri in [
            "sip:+31201234567@carrier.example",
            "sip:+31201234567;phone-context=x@carrier.example",
            "sip:%2B31201234567@carrier.example",
            "sip:+31-20-123-4567:secret@carrier.example",
            "+31201234567",
        ] {
            let number = Destination::parse(uri).and_then(|to| to.number());
            assert_eq!(number.map(|number| number.to_string()).as_deref(), Some("+31201234567"), "{uri}");
        }
        assert_eq!(Destination::parse("sip:desk@pbx.example").and_then(|to| to.number()), None);
    }

    #[test]
    fn separators_that_people_write_are_left_out() {
        for text in ["+1 (555) 019-9000", "+1.555.019.9000", " +1\u{a0}555\u{202f}019\u{2011}9000 ", "+(1)5550199000"] {
            assert_eq!(without_separators(text), "+15550199000", "{text}");
        }
        for text in ["+31 (0)20 123 4567", "sip:a b@host", "020 123 4567", "+1 555 CALL", "+-", "+", ""] {
            let parsed = PhoneNumber::parse(&without_separators(text));
            assert_eq!(parsed, None, "{text}");
        }
    }

    #[test]
    fn destinations() {
        assert!(matches!(Destination::parse("sip:100@127.0.0.1:5070"), Some(Destination::SipUri(_))));
        for bad in ["sip:", "sip:@host", "sip:a b@host", "sip:a@", "tel:+31"] {
            assert_eq!(Destination::parse(bad), None, "{bad}");
        }
    }
}
