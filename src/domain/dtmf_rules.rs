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
    /// Of `tool`: the name of one of `llm_config.tools`; it is called without arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
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
    Tool,
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
                && rule.target.as_deref().is_none_or(|target| super::transfer::Target::parse(target).is_none())
            {
                let message = "a transfer needs an E.164 number, a tel: or a SIP URI as target";
                return Err(FieldFault::new(field("target"), message));
            }
            for (name, belongs, there) in [
                ("target", Action::Transfer, rule.target.is_some()),
                ("text", Action::Say, rule.text.is_some()),
                ("tool", Action::Tool, rule.tool.is_some()),
            ] {
                if there && rule.action != belongs {
                    return Err(FieldFault::new(field(name), "does not belong to this action"));
                }
            }
            if rule.action == Action::Tool && rule.tool.as_deref().is_none_or(str::is_empty) {
                return Err(FieldFault::new(field("tool"), "needs the name of a tool"));
            }
            // The terminator ends what is being entered: digits after it are never part of the same entry.
            let end = self.terminator.as_deref().and_then(|terminator| rule.digits.find(terminator));
            if end.is_some_and(|at| at > 0 && at + 1 < rule.digits.len()) {
                return Err(FieldFault::new(
                    field("digits"),
                    "cannot be reached: the terminator ends the entry before",
                ));
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
