//! Which digest algorithms our challenges name, and in which order (RFC 8760).

use crate::sip::digest::DigestAlgorithm;

const MD5_FIRST: &[DigestAlgorithm] = &[DigestAlgorithm::Md5, DigestAlgorithm::Sha256];
const SHA256_FIRST: &[DigestAlgorithm] = &[DigestAlgorithm::Sha256, DigestAlgorithm::Md5];

/// Beginnings of User-Agent, in lower case, of software that looks at the first challenge alone and knows MD5 only:
/// SIPp 3.6, and what is built on PJSIP up to 2.10 or on chan_sip.
const READ_THE_FIRST_ONLY: &[&str] = &["sipp", "asterisk", "fpbx", "pjsua", "pjsip", "microsip"];

/// The algorithms of a trunk's challenges, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChallengeAlgorithms {
    /// Both; the stronger first, unless the caller's User-Agent is known to read the first challenge only.
    #[default]
    Automatic,
    /// MD5 alone.
    Md5,
    /// SHA-256 alone.
    Sha256,
    /// MD5, then SHA-256.
    Md5First,
    /// SHA-256, then MD5.
    Sha256First,
}

impl ChallengeAlgorithms {
    /// The algorithms of a challenge for a caller with this User-Agent.
    pub(super) fn for_caller(self, user_agent: Option<&str>) -> &'static [DigestAlgorithm] {
        match self {
            Self::Automatic if user_agent.is_some_and(reads_the_first_only) => MD5_FIRST,
            Self::Automatic | Self::Sha256First => SHA256_FIRST,
            Self::Md5First => MD5_FIRST,
            Self::Md5 => &[DigestAlgorithm::Md5],
            Self::Sha256 => &[DigestAlgorithm::Sha256],
        }
    }

    /// An answer with this algorithm is taken.
    pub(super) fn accept(self, algorithm: DigestAlgorithm) -> bool {
        let is_md5 = matches!(algorithm, DigestAlgorithm::Md5 | DigestAlgorithm::Md5Sess);
        match self {
            Self::Automatic | Self::Md5First | Self::Sha256First => true,
            Self::Md5 => is_md5,
            Self::Sha256 => !is_md5,
        }
    }

    /// For a caller that may be of either trunk: each finds what it takes.
    pub(super) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Automatic }
    }
}

fn reads_the_first_only(user_agent: &str) -> bool {
    let starts = |name: &&str| user_agent.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    READ_THE_FIRST_ONLY.iter().any(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigestAlgorithm::{Md5, Md5Sess, Sha256, Sha256Sess};

    #[test]
    fn old_software_finds_its_algorithm_first() {
        let order = |user_agent| ChallengeAlgorithms::Automatic.for_caller(user_agent);
        for known in ["SIPp", "sipp 3.6.1", "Asterisk PBX 16.2.1", "PJSUA v2.10", "FPBX-15.0.17(16.13.0)"] {
            assert_eq!(order(Some(known)), [Md5, Sha256], "{known}");
        }
        for other in [None, Some(""), Some("sip"), Some("Linphone/4.5"), Some("\u{e4}sterisk")] {
            assert_eq!(order(other), [Sha256, Md5], "{other:?}");
        }
    }

    #[test]
    fn a_trunk_names_its_algorithms_whoever_calls_and_takes_no_others() {
        use ChallengeAlgorithms as Wanted;
        for (wanted, order) in [
            (Wanted::Md5, &[Md5][..]),
            (Wanted::Sha256, &[Sha256]),
            (Wanted::Md5First, &[Md5, Sha256]),
            (Wanted::Sha256First, &[Sha256, Md5]),
        ] {
            for user_agent in [None, Some("SIPp")] {
                assert_eq!(wanted.for_caller(user_agent), order);
            }
            for (algorithm, session) in [(Md5, Md5Sess), (Sha256, Sha256Sess)] {
                assert_eq!(wanted.accept(algorithm), order.contains(&algorithm));
                assert_eq!(wanted.accept(session), order.contains(&algorithm));
            }
            assert_eq!((wanted.or(wanted), wanted.or(Wanted::Automatic)), (wanted, Wanted::Automatic));
        }
    }
}
