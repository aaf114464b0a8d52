//! What a customer wants done when keys are pressed. Live matching is `call/dtmf`.

use super::FieldError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happens when the caller presses keys; the longest rule that matches wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DtmfRules {
    /// Rules with different digits; empty if there are none.
    pub rules: Vec<DtmfRule>,
    /// Milliseconds to wait for another digit before an entry counts as complete: 100 to 30,000; 2,000 by default.
    #[serde(default = "default_timeout")]
    #[schema(minimum = 100, maximum = 30_000)]
    pub inter_digit_timeout_ms: u64,
    /// The key that completes an entry: one of 0-9, `*`, `#` and A-D; `#` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminator: Option<String>,
}

/// What happens when the caller enters certain digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DtmfRule)]
pub struct DtmfRule {
    /// The digits to enter: 1 to 32 of 0-9, `*`, `#` and A-D. Each rule has different ones.
    #[schema(pattern = "^[0-9*#A-D]{1,32}$")]
    pub digits: String,
    /// What happens then.
    pub action: DtmfAction,
    /// Of `transfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of `tool`: the name of one of `llm_config.tools`; it is called without arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Of `say`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What a rule for digits does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DtmfAction)]
pub enum DtmfAction {
    /// Transfers the caller to `target`.
    Transfer,
    /// Says `text`.
    Say,
    /// Ends the call.
    EndCall,
    /// Tells the LLM which digits were entered.
    SendToLlm,
    /// Calls the tool that is named in `tool`, without arguments.
    Tool,
}

fn default_timeout() -> u64 {
    2_000
}

impl DtmfRules {
    /// Checks digits, terminator, timeout and what each action needs; the error names the first wrong field.
    pub fn validate(&self) -> Result<(), FieldError> {
        let is_digits =
            |text: &str| !text.is_empty() && text.len() <= 32 && text.chars().all(|c| "0123456789*#ABCD".contains(c));
        for (index, rule) in self.rules.iter().enumerate() {
            let field = |name: &str| format!("dtmf_rules.rules[{index}].{name}");
            if !is_digits(&rule.digits) {
                return Err(FieldError::new(field("digits"), "must be 1 to 32 of 0-9, *, # and A-D"));
            }
            if rule.action == DtmfAction::Transfer
                && rule.target.as_deref().is_none_or(|target| super::transfer::TransferTarget::parse(target).is_none())
            {
                let message = "a transfer needs an E.164 number, a tel: or a SIP URI as target";
                return Err(FieldError::new(field("target"), message));
            }
            for (name, belongs, there) in [
                ("target", DtmfAction::Transfer, rule.target.is_some()),
                ("text", DtmfAction::Say, rule.text.is_some()),
                ("tool", DtmfAction::Tool, rule.tool.is_some()),
            ] {
                if there && rule.action != belongs {
                    return Err(FieldError::new(field(name), "does not belong to this action"));
                }
            }
            if rule.action == DtmfAction::Tool && rule.tool.as_deref().is_none_or(str::is_empty) {
                return Err(FieldError::new(field("tool"), "needs the name of a tool"));
            }
            // The terminator ends what is being entered: digits after it are never part of the same entry.
            let end = self.terminator.as_deref().and_then(|terminator| rule.digits.find(terminator));
            if end.is_some_and(|at| at > 0 && at + 1 < rule.digits.len()) {
                return Err(FieldError::new(
                    field("digits"),
                    "cannot be reached: the terminator ends the entry before",
                ));
            }
            if rule.action == DtmfAction::Say && rule.text.as_deref().is_none_or(str::is_empty) {
                return Err(FieldError::new(field("text"), "say needs a text"));
            }
            if self.rules[..index].iter().any(|earlier| earlier.digits == rule.digits) {
                return Err(FieldError::new(field("digits"), "is there twice"));
            }
        }
        if !(100..=30_000).contains(&self.inter_digit_timeout_ms) {
            return Err(FieldError::new("dtmf_rules.inter_digit_timeout_ms", "must be between 100 and 30000"));
        }
        if self.terminator.as_deref().is_some_and(|t| t.len() != 1 || !is_digits(t)) {
            return Err(FieldError::new("dtmf_rules.terminator", "must be one of 0-9, *, # and A-D"));
        }
        Ok(())
    }
}
