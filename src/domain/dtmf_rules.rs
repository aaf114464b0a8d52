//! What a customer wants done when keys are pressed. Live matching is `call/dtmf`.

use super::FieldFault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DtmfRules {
    pub rules: Vec<Rule>,
    #[serde(default = "default_timeout")]
    #[schema(minimum = 100, maximum = 30_000)]
    pub inter_digit_timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminator: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DtmfRule)]
pub struct Rule {
    #[schema(pattern = "^[0-9*#A-D]{1,32}$")]
    pub digits: String,
    pub action: Action,
    /// Of `transfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of `say`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DtmfAction)]
pub enum Action {
    Transfer,
    Say,
    EndCall,
    SendToLlm,
}

fn default_timeout() -> u64 {
    2_000
}

impl DtmfRules {
    pub fn validate(&self) -> Result<(), FieldFault> {
        let is_digits =
            |text: &str| !text.is_empty() && text.len() <= 32 && text.chars().all(|c| "0123456789*#ABCD".contains(c));
        for (index, rule) in self.rules.iter().enumerate() {
            let field = |name: &str| format!("dtmf_rules.rules[{index}].{name}");
            if !is_digits(&rule.digits) {
                return Err(FieldFault::new(field("digits"), "must be 1 to 32 of 0-9, *, # and A-D"));
            }
            if rule.action == Action::Transfer
                && rule.target.as_deref().is_none_or(|t| super::phone_number::Destination::parse(t).is_none())
            {
                return Err(FieldFault::new(field("target"), "a transfer needs an E.164 number or SIP URI as target"));
            }
            if rule.action == Action::Say && rule.text.as_deref().is_none_or(str::is_empty) {
                return Err(FieldFault::new(field("text"), "say needs a text"));
            }
            if self.rules[..index].iter().any(|earlier| earlier.digits == rule.digits) {
                return Err(FieldFault::new(field("digits"), "is there twice"));
            }
        }
        if !(100..=30_000).contains(&self.inter_digit_timeout_ms) {
            return Err(FieldFault::new("dtmf_rules.inter_digit_timeout_ms", "must be between 100 and 30000"));
        }
        if self.terminator.as_deref().is_some_and(|t| t.len() != 1 || !is_digits(t)) {
            return Err(FieldFault::new("dtmf_rules.terminator", "must be one of 0-9, *, # and A-D"));
        }
        Ok(())
    }
}
