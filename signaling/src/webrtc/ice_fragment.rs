//! ICE fragments (RFC 8840 section 9): trickled candidates, or an ICE restart.

use crate::limits;
use secrecy::{ExposeSecret as _, SecretString};

/// What a fragment says.
#[derive(Clone, Debug, Default)]
pub struct IceFragment {
    /// The browser's new user name fragment in an ICE restart; `None` for trickled candidates without credentials.
    pub ufrag: Option<String>,
    /// The browser's new ICE password; present exactly when the user name fragment is.
    pub password: Option<SecretString>,
    /// As in `a=candidate:`, from `candidate:` on.
    pub candidates: Vec<String>,
}

/// Why a fragment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentError {
    /// No UTF-8, nothing of ICE in it, or only one of user name fragment and password.
    NotAFragment,
    /// More than 64 candidates.
    TooManyCandidates,
}

impl std::fmt::Display for FragmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAFragment => f.write_str("not a trickle-ice-sdpfrag: it has neither credentials nor candidates"),
            Self::TooManyCandidates => {
                write!(f, "the fragment has more than {} candidates", limits::OFFER_CANDIDATES_MAX)
            }
        }
    }
}

/// Parses an ICE fragment. Fails with `NotAFragment` without credentials, candidates or their end, and with
/// `TooManyCandidates` over 64.
pub fn parse(text: &[u8]) -> Result<IceFragment, FragmentError> {
    let text = std::str::from_utf8(text).map_err(|_| FragmentError::NotAFragment)?;
    let mut fragment = IceFragment::default();
    let mut any = false;
    for line in text.lines().map(str::trim_end) {
        any |= line == "a=end-of-candidates";
        if let Some(ufrag) = line.strip_prefix("a=ice-ufrag:") {
            fragment.ufrag = Some(ufrag.to_owned());
        } else if let Some(password) = line.strip_prefix("a=ice-pwd:") {
            fragment.password = Some(password.into());
        } else if let Some(candidate) = line.strip_prefix("a=").filter(|rest| rest.starts_with("candidate:")) {
            if fragment.candidates.len() >= limits::OFFER_CANDIDATES_MAX {
                return Err(FragmentError::TooManyCandidates);
            }
            fragment.candidates.push(candidate.to_owned());
        }
    }
    let complete = fragment.ufrag.is_some() == fragment.password.is_some();
    if !complete || !any && fragment.ufrag.is_none() && fragment.candidates.is_empty() {
        return Err(FragmentError::NotAFragment);
    }
    Ok(fragment)
}

/// The answer to a restart: our new credentials.
pub fn print(ufrag: &str, password: &SecretString) -> String {
    let password = password.expose_secret();
    format!("a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_and_credentials_are_found() {
        let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
a=candidate:1 1 UDP 2130706431 198.51.100.1 39132 typ host\r\na=end-of-candidates\r\n";
        let fragment = parse(text.as_bytes()).unwrap();
        assert_eq!(fragment.ufrag.as_deref(), Some("EsAw"));
        assert_eq!(fragment.candidates, ["candidate:1 1 UDP 2130706431 198.51.100.1 39132 typ host"]);
        let restarted = parse(print("a", &"b".into()).as_bytes()).unwrap();
        assert_eq!(restarted.password.map(|password| password.expose_secret().to_owned()).as_deref(), Some("b"));
        assert!(parse(b"a=end-of-candidates").is_ok());
    }

    #[test]
    fn the_browser_is_told_why_its_fragment_is_refused() {
        assert!(FragmentError::NotAFragment.to_string().contains("neither credentials nor candidates"));
        assert!(FragmentError::TooManyCandidates.to_string().contains("more than 64 candidates"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [&b""[..], b"hello", b"\xff", b"a=ice-ufrag:only"] {
            assert_eq!(parse(text).unwrap_err(), FragmentError::NotAFragment);
        }
        let many = "a=candidate:1\r\n".repeat(1_000);
        assert_eq!(parse(many.as_bytes()).unwrap_err(), FragmentError::TooManyCandidates);
    }
}
