//! Matches the caller's DTMF digits against the agent's rules: the longest match wins; digits without a rule go to the
//! LLM.

use std::time::{Duration, Instant};
use trunkline_domain::dtmf_rules::{DtmfAction, DtmfRule, DtmfRules};
use trunkline_domain::transfer::TransferTarget;

/// Maximum digits collected.
const DIGITS_MAX: usize = 64;
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(2_000);

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtmfCommand {
    /// Transfers the caller to this target.
    Transfer(TransferTarget),
    /// Says this text.
    Say(String),
    /// Ends the call.
    EndCall,
    /// Tells the LLM which digits were entered.
    SendToLlm,
    /// Calls the tool with this name, without arguments.
    CallTool(String),
}

impl DtmfCommand {
    /// `None` for a transfer without a target, which a valid rule always has.
    fn of(rule: DtmfRule) -> Option<Self> {
        Some(match rule.action {
            DtmfAction::Transfer => Self::Transfer(TransferTarget::parse(&rule.target?)?),
            DtmfAction::Say => Self::Say(rule.text.unwrap_or_default()),
            DtmfAction::EndCall => Self::EndCall,
            DtmfAction::SendToLlm => Self::SendToLlm,
            DtmfAction::Tool => Self::CallTool(rule.tool.unwrap_or_default()),
        })
    }
}

/// The result of a finished digit sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtmfInput {
    /// The digits match a rule exactly.
    Rule {
        /// The digits of the rule.
        digits: String,
        /// What it does.
        command: DtmfCommand,
    },
    /// Digits that match no rule, without the terminator.
    Digits(String),
}

/// Digits that are being entered.
#[derive(Debug, Default)]
enum DtmfEntry {
    #[default]
    Empty,
    Open {
        /// At least one.
        digits: String,
        /// When the wait for the next digit ends.
        until: Instant,
    },
}

impl DtmfEntry {
    fn digits(&self) -> &str {
        match self {
            Self::Empty => "",
            Self::Open { digits, .. } => digits,
        }
    }
}

/// Collects the digits of one caller into sequences; at most 64 digits.
#[derive(Debug, Default)]
pub struct DtmfCollector {
    rules: Option<DtmfRules>,
    entry: DtmfEntry,
}

impl DtmfCollector {
    /// Returns an empty collector; `None` for an agent without DTMF rules: every sequence goes to the LLM.
    pub fn new(rules: Option<DtmfRules>) -> Self {
        Self { rules, entry: DtmfEntry::Empty }
    }

    /// Adds a digit; returns the result if it ends the sequence, by the terminator (default `#`) or by a match that no
    /// rule extends.
    pub fn handle_digit(&mut self, now: Instant, digit: char) -> Option<DtmfInput> {
        let terminator = self.rules.as_ref().and_then(|r| r.terminator.as_deref()).unwrap_or("#");
        let entered = self.entry.digits();
        let grown = format!("{entered}{digit}");
        if !entered.is_empty() && terminator.starts_with(digit) && !self.rules().any(|r| r.digits.starts_with(&grown)) {
            return self.finish();
        }
        let digits = if entered.len() < DIGITS_MAX { grown } else { entered.to_owned() };
        let timeout = self.rules.as_ref().map_or(DEFAULT_TIMEOUT, |r| Duration::from_millis(r.inter_digit_timeout_ms));
        let exact = self.rules().any(|r| r.digits == digits);
        let longer = self.rules().any(|r| r.digits.len() > digits.len() && r.digits.starts_with(&digits));
        self.entry = DtmfEntry::Open { digits, until: now + timeout };
        (exact && !longer).then(|| self.finish()).flatten()
    }

    fn rules(&self) -> impl Iterator<Item = &DtmfRule> {
        self.rules.iter().flat_map(|rules| &rules.rules)
    }

    /// Returns when the wait for the next digit ends; `None` while no digit is collected.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.entry {
            DtmfEntry::Empty => None,
            DtmfEntry::Open { until, .. } => Some(until),
        }
    }

    /// Ends the sequence if the wait for the next digit is over (default 2 s), and returns its result.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<DtmfInput> {
        if self.poll_timeout().is_some_and(|at| now >= at) { self.finish() } else { None }
    }

    /// Takes the digits of an open sequence away: an entry that is asked for gets them. Empty if there are none.
    pub fn take_entry(&mut self) -> String {
        match std::mem::take(&mut self.entry) {
            DtmfEntry::Open { digits, .. } => digits,
            DtmfEntry::Empty => String::new(),
        }
    }

    fn finish(&mut self) -> Option<DtmfInput> {
        let DtmfEntry::Open { digits, .. } = std::mem::take(&mut self.entry) else { return None };
        match self.rules().find(|rule| rule.digits == digits).cloned() {
            Some(rule) => DtmfCommand::of(rule).map(|command| DtmfInput::Rule { digits, command }),
            None => Some(DtmfInput::Digits(digits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> (Instant, DtmfCollector) {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        let rule = |digits: &str| DtmfRule {
            digits: digits.into(),
            action: DtmfAction::SendToLlm,
            target: None,
            tool: None,
            text: None,
        };
        let rules = DtmfRules {
            rules: vec![rule("1"), rule("12"), rule("*")],
            inter_digit_timeout_ms: 1_000,
            terminator: Some("#".into()),
        };
        (now, DtmfCollector::new(Some(rules)))
    }

    fn name(pressed: Option<DtmfInput>) -> String {
        match pressed {
            Some(DtmfInput::Rule { digits, .. }) => format!("rule {digits}"),
            Some(DtmfInput::Digits(digits)) => digits,
            None => String::new(),
        }
    }

    #[test]
    fn the_longest_match_wins() {
        let (t, mut keys) = keys();
        assert_eq!(name(keys.handle_digit(t, '*')), "rule *");
        assert_eq!(name(keys.handle_digit(t, '1')), "");
        assert_eq!(name(keys.handle_digit(t, '2')), "rule 12");
        keys.handle_digit(t, '1');
        assert_eq!(name(keys.handle_timeout(t + Duration::from_millis(999))), "");
        assert_eq!(name(keys.handle_timeout(t + Duration::from_millis(1_000))), "rule 1");
    }

    #[test]
    fn digits_without_a_rule_end_by_terminator_or_time() {
        let (t, mut keys) = keys();
        for digit in ['4', '2'] {
            assert_eq!(name(keys.handle_digit(t, digit)), "");
        }
        assert_eq!(name(keys.handle_digit(t, '#')), "42");
        keys.handle_digit(t, '7');
        assert_eq!(name(keys.handle_timeout(keys.poll_timeout().unwrap())), "7");
    }
}
