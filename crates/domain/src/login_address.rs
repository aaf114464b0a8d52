//! The e-mail address that a person logs in with. One mailbox can be written in many ways; all of them are one address here.

use super::agent::is_email;
use unicode_normalization::UnicodeNormalization as _;

/// Bytes of an address: 64 before the @ and 255 after it (RFC 5321 section 4.5.3.1).
pub const BYTES_MAX: usize = 320;

/// An address in the form in which it is stored and compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginAddress {
    canonical: String,
    lowercase: String,
}

impl LoginAddress {
    /// `None` if the text is not an e-mail address, is too long, or contains invisible characters.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let address =
            (text.len() <= BYTES_MAX && is_email(text) && !text.contains(is_invisible)).then(|| Self::new(text));
        address.filter(|address| address.canonical.len() <= BYTES_MAX)
    }

    /// The same without asking whether it is one: for addresses that the operator or an earlier version has stored.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let lowercase = text.to_lowercase();
        let normal = |text: &str| text.nfc().collect::<String>().to_lowercase().nfc().collect::<String>();
        let canonical = match lowercase.rsplit_once('@') {
            Some((user, host)) => {
                // A host in Punycode and in its own script is the same host (RFC 5891).
                let (unicode, is_valid) = idna::domain_to_unicode(host);
                let host = if is_valid.is_ok() { unicode } else { normal(host) };
                format!("{}@{host}", normal(user))
            }
            None => normal(text),
        };
        Self { canonical, lowercase }
    }

    /// How it is stored.
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// How it may be stored: versions before this one only made the letters small.
    pub fn stored_forms(&self) -> [&str; 2] {
        [&self.canonical, &self.lowercase]
    }
}

/// Control characters, soft hyphens, zero-width and direction characters: two addresses that differ in them look the same.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FEFF}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_an_email_address_are_one_address() {
        for (one, other) in [
            ("Owner@Example.COM", "owner@example.com"),
            (" owner@example.com ", "owner@example.com"),
            // A letter with its accent, and a letter and an accent.
            ("jos\u{E9}@example.com", "JOSE\u{301}@example.com"),
            ("a@m\u{FC}nchen.example", "A@xn--mnchen-3ya.example"),
            ("a@M\u{DC}NCHEN.example", "a@mu\u{308}nchen.example"),
        ] {
            let (one, other) = (LoginAddress::parse(one).unwrap(), LoginAddress::parse(other).unwrap());
            assert_eq!(one.as_str(), other.as_str());
        }
        for (one, other) in [("a@example.com", "a@example.org"), ("a.b@example.com", "ab@example.com")] {
            assert_ne!(LoginAddress::new(one), LoginAddress::new(other));
        }
    }

    #[test]
    fn what_an_earlier_version_has_stored_is_found() {
        let typed = "Jose\u{301}@xn--mnchen-3ya.example";
        assert!(LoginAddress::new(typed).stored_forms().contains(&typed.to_lowercase().as_str()));
    }

    #[test]
    fn what_is_no_address_or_looks_like_another_one_is_refused() {
        let long = format!("{}@example.com", "a".repeat(BYTES_MAX));
        for bad in [
            "",
            "a",
            "@example.com",
            "a@b",
            "a\u{200B}@example.com",
            "a\u{202E}@example.com",
            "a\u{7}@example.com",
            &long,
        ] {
            assert_eq!(LoginAddress::parse(bad), None, "{bad:?}");
        }
    }
}
