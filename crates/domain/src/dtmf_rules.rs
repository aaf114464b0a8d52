//! What a customer wants done when keys are pressed. Live matching is `call/dtmf`.

use super::rules::{between, fits};
use super::template;
use super::transfer::TransferTarget;
use garde::{Error, Validate};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What the rules of an agent are judged by, beside themselves. Good for one validation.
#[derive(Debug, Default)]
pub struct DtmfContext {
    terminator: Option<String>,
    /// Names of the agent's own functions.
    tools: Vec<String>,
    /// Digits of the rules that were validated so far.
    seen: RefCell<BTreeSet<String>>,
}

impl DtmfContext {
    /// The context of an agent's rules; `tools` are the names of its own functions.
    pub fn new(rules: Option<&DtmfRules>, tools: Vec<String>) -> Self {
        Self { terminator: rules.and_then(|rules| rules.terminator.clone()), tools, seen: RefCell::default() }
    }

    /// Whether no earlier rule has these digits.
    fn is_first(&self, digits: &str) -> bool {
        self.seen.borrow_mut().insert(digits.to_owned())
    }
}

/// What happens when the caller presses keys; the longest rule that matches wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(DtmfContext))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct DtmfRules {
    /// Rules with different digits; empty if there are none.
    #[garde(dive)]
    pub rules: Vec<DtmfRule>,
    /// Milliseconds to wait for another digit before an entry counts as complete: 100 to 30,000; 2,000 by default.
    #[serde(default = "default_timeout")]
    #[schema(minimum = 100, maximum = 30_000)]
    #[garde(custom(between(100..=30_000)))]
    pub inter_digit_timeout_ms: u64,
    /// The key that completes an entry: one of 0-9, `*`, `#` and A-D; `#` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(fits(|key: &str| key.len() == 1 && are_digits(key), "must be one of 0-9, *, # and A-D"))))]
    pub terminator: Option<String>,
}

/// What happens when the caller enters certain digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(DtmfContext as context))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schema(as = DtmfRule)]
pub struct DtmfRule {
    /// The digits to enter: 1 to 32 of 0-9, `*`, `#` and A-D. Each rule has different ones.
    #[schema(pattern = "^[0-9*#A-D]{1,32}$")]
    #[garde(custom(fits(|_: &str| self.is_reachable(context), ENDED_BEFORE)))]
    #[garde(custom(fits(are_digits, "must be 1 to 32 of 0-9, *, # and A-D")))]
    #[garde(custom(fits(|_: &str| context.is_first(&self.digits), "is there twice")))]
    pub digits: String,
    /// What happens then.
    pub action: DtmfAction,
    /// Of `transfer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(self.has(DtmfAction::Transfer, |target| TransferTarget::parse(target).is_some(), NEEDS_TARGET)))]
    pub target: Option<String>,
    /// Of `tool`: the name of one of `llm_config.tools`; it is called without arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(self.has(DtmfAction::Tool, |tool| !tool.is_empty(), "needs the name of a tool")))]
    #[garde(inner(custom(is_tool)))]
    pub tool: Option<String>,
    /// Of `say`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(self.has(DtmfAction::Say, |text| !text.is_empty(), "say needs a text")))]
    #[garde(inner(custom(template::said())))]
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

const NEEDS_TARGET: &str = "a transfer needs an E.164 number, a tel: or a SIP URI as target";
const ENDED_BEFORE: &str = "cannot be reached: the terminator ends the entry before";

fn default_timeout() -> u64 {
    2_000
}

impl DtmfRule {
    /// The terminator ends what is being entered: digits after it are never part of the same entry.
    fn is_reachable(&self, context: &DtmfContext) -> bool {
        let end = context.terminator.as_deref().and_then(|terminator| self.digits.find(terminator));
        end.is_none_or(|at| at == 0 || at + 1 >= self.digits.len())
    }

    /// What one action needs, and no other one has.
    fn has(
        &self, action: DtmfAction, is_right: fn(&str) -> bool, needs: &'static str,
    ) -> impl FnOnce(&Option<String>, &DtmfContext) -> garde::Result {
        let is_its_own = self.action == action;
        move |value, _| match value {
            Some(_) if !is_its_own => Err(Error::new("does not belong to this action")),
            value if is_its_own && !value.as_deref().is_some_and(is_right) => Err(Error::new(needs)),
            _ => Ok(()),
        }
    }
}

fn are_digits(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.chars().all(|c| "0123456789*#ABCD".contains(c))
}

/// A key that calls a tool needs one.
fn is_tool(name: &str, context: &DtmfContext) -> garde::Result {
    if context.tools.iter().any(|tool| tool == name) {
        return Ok(());
    }
    Err(Error::new(format_args!("there is no tool named {name} in llm_config.tools")))
}
