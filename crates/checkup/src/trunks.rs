//! What a trunk's answer to OPTIONS means.

use crate::domain::finding::Finding;
use trunkline_signaling::sip::user_agent::ProbeResult;

/// The name of the check.
pub const CHECK: &str = "trunks";

/// A trunk that was asked; `name` is its name and id. A refusal is an answer, but one that asks for credentials says that
/// there are none, or the wrong ones.
pub fn finding(name: &str, result: &ProbeResult, has_credentials: bool) -> Finding {
    match (result, has_credentials) {
        (ProbeResult::Answered(status @ (401 | 407)), true) => Finding::error(
            CHECK,
            format!("{name} does not take its username and password (OPTIONS: {status})"),
            "look at username and password of the trunk, and at the realm that the carrier names",
        ),
        (ProbeResult::Answered(status @ (401 | 407)), false) => Finding::error(
            CHECK,
            format!("{name} asks for credentials (OPTIONS: {status}), and has no username"),
            "set username and password of the trunk, or have the carrier allow this server's address",
        ),
        (ProbeResult::Answered(status), _) => Finding::ok(CHECK, format!("{name} answered OPTIONS with {status}")),
        (ProbeResult::Silent, _) => Finding::warning(
            CHECK,
            format!("{name} did not answer OPTIONS"),
            "look at its host, port and transport, and at the firewall; some carriers never answer: \
             `trunkline check-trunk` makes a call",
        ),
        (ProbeResult::Unreachable(why), _) => Finding::error(
            CHECK,
            format!("{name} cannot be asked: {why}"),
            "look at its host, and at sip.allow_private if it is in a private network",
        ),
    }
}

/// A trunk that registers, and is not registered.
pub fn unregistered(name: &str, why: &str) -> Finding {
    Finding::error(
        CHECK,
        format!("{name} is not registered, so its calls do not arrive: {why}"),
        "look at registrar, username and password of the trunk, and at whether another device registers with them",
    )
}

/// A trunk that was not asked, and why not.
pub fn not_asked(name: &str, why: &str) -> Finding {
    Finding::warning(CHECK, format!("{name} was not asked: {why}"), "look again in a minute")
}

/// More trunks than are asked.
pub fn left_out(count: usize) -> Finding {
    Finding::ok(CHECK, format!("{count} more were not asked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Level;

    #[test]
    fn answers_are_signs_of_life_unless_they_ask_for_credentials() {
        let of = |result, has_credentials| finding("Carrier (1)", &result, has_credentials);
        for status in [200, 403, 404, 405, 503] {
            assert_eq!(of(ProbeResult::Answered(status), true).level, Level::Ok, "{status}");
        }
        for status in [401, 407] {
            assert!(of(ProbeResult::Answered(status), true).found.contains("does not take"));
            assert!(of(ProbeResult::Answered(status), false).found.contains("has no username"));
        }
        assert_eq!(of(ProbeResult::Silent, true).level, Level::Warning);
        let unreachable = of(ProbeResult::Unreachable("no address".to_owned()), true);
        assert!(unreachable.level == Level::Error && unreachable.found.contains("no address"));
        assert_eq!(unregistered("Carrier (1)", "403").level, Level::Error);
        assert_eq!(not_asked("Carrier (1)", "too many").level, Level::Warning);
    }
}
