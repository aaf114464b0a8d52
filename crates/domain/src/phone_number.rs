//! Phone numbers in E.164 form, and other destinations that can be dialled.

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
    fn destinations() {
        assert!(matches!(Destination::parse("sip:100@127.0.0.1:5070"), Some(Destination::SipUri(_))));
        for bad in ["sip:", "sip:@host", "sip:a b@host", "sip:a@", "tel:+31"] {
            assert_eq!(Destination::parse(bad), None, "{bad}");
        }
    }
}
