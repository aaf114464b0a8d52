//! The tools of the server itself, as the LLM sees them: names, descriptions and arguments.

use super::digit_collection::{DIGITS_MAX, DigitRequest};
use super::spoken::value::ValueKind;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::time::Duration;
use trunkline_domain::built_in_tools::{BuiltInTools, CollectDigitsTool, FIRST_KEY_MS, NEXT_KEY_MS};
use trunkline_domain::chat::ToolOffer;
use trunkline_domain::transfer::TransferDestination;

/// A tool of the server. Agents replace one by a function of their own with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInTool {
    /// Ends the call.
    EndCall,
    /// Sends DTMF to the peer.
    SendDtmf,
    /// Puts the caller through.
    TransferCall,
    /// Leaves a message after the beep.
    LeaveVoicemail,
    /// Says nothing and leaves the next word to the caller.
    SkipTurn,
    /// Puts the caller on hold until the agent comes back.
    HoldCall,
    /// Asks the caller for digits.
    CollectDigits,
    /// Asks the caller for a value, and reads it back.
    CollectValue,
}

/// What decides which built-in tools a call offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abilities<'a> {
    /// What the agent has chosen.
    pub(super) chosen: Option<&'a BuiltInTools>,
    /// Where the call may be transferred; empty if it may not.
    pub(super) destinations: &'a [TransferDestination],
    /// Voicemail may have answered.
    pub(super) voicemail: bool,
}

impl BuiltInTool {
    const ALL: [Self; 8] = [
        Self::EndCall,
        Self::SendDtmf,
        Self::TransferCall,
        Self::LeaveVoicemail,
        Self::SkipTurn,
        Self::HoldCall,
        Self::CollectDigits,
        Self::CollectValue,
    ];

    /// The name of the function, as the LLM calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndCall => "end_call",
            Self::SendDtmf => "send_dtmf",
            Self::TransferCall => "transfer_call",
            Self::LeaveVoicemail => "leave_voicemail",
            Self::SkipTurn => "skip_turn",
            Self::HoldCall => "hold_call",
            Self::CollectDigits => "collect_digits",
            Self::CollectValue => "collect_value",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// The tool as it is offered; `None` if this call does not offer it.
    fn offer(self, abilities: Abilities<'_>) -> Option<ToolOffer> {
        let (description, parameters) = match self {
            Self::EndCall => end_call(),
            Self::SendDtmf => send_dtmf(),
            Self::TransferCall => transfer_call(abilities.destinations)?,
            Self::LeaveVoicemail => abilities.voicemail.then(leave_voicemail)?,
            Self::SkipTurn => skip_turn(abilities.chosen?)?,
            Self::HoldCall => hold_call(abilities.chosen?)?,
            Self::CollectDigits => collect_digits(abilities.chosen?)?,
            Self::CollectValue => collect_value(abilities.chosen?)?,
        };
        Some(ToolOffer { name: self.name().to_owned(), description, parameters, strict: false })
    }
}

/// Every built-in tool of a call.
pub(super) fn offers(abilities: Abilities<'_>) -> Vec<ToolOffer> {
    BuiltInTool::ALL.into_iter().filter_map(|tool| tool.offer(abilities)).collect()
}

fn end_call() -> (String, Value) {
    let parameters = json!({"type": "object", "properties": {
        "farewell": {"type": "string", "description": "Last words, if you have not said them yet."}},
        "additionalProperties": false});
    ("Ends the phone call. Use it when the conversation is finished; say goodbye first.".to_owned(), parameters)
}

fn send_dtmf() -> (String, Value) {
    let parameters = json!({"type": "object", "properties": {
        "digits": {"type": "string", "pattern": "^[0-9*#A-Da-dwWpP,. ()-]{1,64}$", "description":
            "0-9, * and #; w waits half a second, a comma two seconds"}},
        "required": ["digits"], "additionalProperties": false});
    ("Presses keys on the telephone keypad, to get through a menu.".to_owned(), parameters)
}

fn transfer_call(destinations: &[TransferDestination]) -> Option<(String, Value)> {
    if destinations.is_empty() {
        return None;
    }
    let about = |one: &TransferDestination| match &one.description {
        Some(about) => format!("{}: {about}", one.name),
        None => one.name.clone(),
    };
    let list = destinations.iter().map(about).collect::<Vec<_>>().join("; ");
    let names: Vec<&str> = destinations.iter().map(|one| one.name.as_str()).collect();
    let parameters = json!({"type": "object", "properties": {
        "destination": {"type": "string", "enum": names},
        "briefing": {"type": "string", "description":
            "One or two sentences for whoever picks up: who is calling, what about, what was done so far."}},
        "required": ["destination"], "additionalProperties": false});
    Some((format!("Puts the caller through to somebody else. Say so first. Destinations: {list}"), parameters))
}

fn leave_voicemail() -> (String, Value) {
    let parameters = json!({"type": "object", "properties": {
        "message": {"type": "string", "description": "What to say; the agent's own message without it."}},
        "additionalProperties": false});
    let description = "Use it as soon as you notice that an answering machine or mailbox has answered: the message is \
                       left after the beep and the call ends.";
    (description.to_owned(), parameters)
}

fn skip_turn(chosen: &BuiltInTools) -> Option<(String, Value)> {
    let settings = chosen.skip_turn.as_ref()?;
    let description = settings.description.clone().unwrap_or_else(|| {
        "Says nothing and waits for the caller. Use it instead of an answer, without any words, when the caller asks for \
         a moment, is not done, or talks to somebody else."
            .to_owned()
    });
    Some((description, json!({"type": "object", "properties": {}, "additionalProperties": false})))
}

fn hold_call(chosen: &BuiltInTools) -> Option<(String, Value)> {
    let settings = chosen.hold_call.as_ref()?;
    let description = settings.description.clone().unwrap_or_else(|| {
        "Puts the caller on hold. Say so first, in the same answer. Call it together with tools that take long: the caller \
         is back with you when they have answered, or when the seconds are over."
            .to_owned()
    });
    let seconds = json!({"type": "integer", "minimum": 1, "maximum": settings.max_seconds});
    Some((description, json!({"type": "object", "properties": {"seconds": seconds}, "additionalProperties": false})))
}

/// Digits that an entry has at most if the LLM does not say.
const DIGITS_DEFAULT_MAX: usize = 32;
/// Name of an entry that the LLM gives none.
const DIGITS_NAME: &str = "digits";

fn collect_digits(chosen: &BuiltInTools) -> Option<(String, Value)> {
    let settings = chosen.collect_digits.as_ref()?;
    let description = settings.description.clone().unwrap_or_else(|| {
        "Asks the caller to enter digits on the telephone keypad, and waits for them: a PIN, a customer number. The result \
         has a status (completed, timeout, too_short or cancelled) and the digits. Digits of a secret entry you do not \
         see: give their reference, such as {{collected.pin}}, to another tool as it is."
            .to_owned()
    });
    let count = || json!({"type": "integer", "minimum": 1, "maximum": DIGITS_MAX});
    let ms = |range: RangeInclusive<u64>| json!({"type": "integer", "minimum": range.start(), "maximum": range.end()});
    let properties = json!({
        "prompt": {"type": "string", "maxLength": 1000,
            "description": "What to say first. Leave it out if you say it yourself before the call."},
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,31}$", "description": "What the digits are, such as pin."},
        "min_digits": count(), "max_digits": count(),
        "terminator": {"type": "string", "enum": ["#", "*", "none"], "description": "The key that ends the entry; # by default."},
        "timeout_ms": ms(FIRST_KEY_MS), "inter_digit_timeout_ms": ms(NEXT_KEY_MS),
        "secret": {"type": "boolean", "description": "A PIN, card number or the like: nobody reads the digits."},
    });
    Some((description, json!({"type": "object", "properties": properties, "additionalProperties": false})))
}

/// What the LLM asks for, with the agent's settings where it does not say. Fails with the words for the LLM.
pub(super) fn digit_request(settings: &CollectDigitsTool, arguments: &Value) -> Result<DigitRequest, String> {
    let number = |name: &str| arguments.get(name).and_then(Value::as_u64);
    let count = |name: &str| number(name).and_then(|count| usize::try_from(count).ok());
    let min_digits = count("min_digits").unwrap_or(1).clamp(1, DIGITS_MAX);
    let max_digits = count("max_digits").unwrap_or(DIGITS_DEFAULT_MAX.max(min_digits)).clamp(1, DIGITS_MAX);
    if min_digits > max_digits {
        return Err("min_digits must not be more than max_digits".to_owned());
    }
    let ms = |name: &str, default: u64| Duration::from_millis(number(name).unwrap_or(default));
    Ok(DigitRequest {
        name: arguments.get("name").and_then(Value::as_str).unwrap_or(DIGITS_NAME).to_owned(),
        min_digits,
        max_digits,
        terminator: match arguments.get("terminator").and_then(Value::as_str) {
            Some("none") => None,
            Some(key) => key.chars().next(),
            None => Some('#'),
        },
        timeout: ms("timeout_ms", settings.timeout_ms),
        inter_digit_timeout: ms("inter_digit_timeout_ms", settings.inter_digit_timeout_ms),
        is_secret: settings.always_secret || arguments.get("secret").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn collect_value(chosen: &BuiltInTools) -> Option<(String, Value)> {
    let settings = chosen.collect_value.as_ref()?;
    let description = settings.description.clone().unwrap_or_else(|| {
        "Gets a value from the caller, reads it back, and lets the caller confirm it: a phone number, an e-mail address, a \
         date, an amount, a name, a code, or yes or no. Use it where a mistake would matter. The result has a status \
         (confirmed, rejected or gave_up), the value, and what the caller said last."
            .to_owned()
    });
    let properties = json!({
        "type": {"type": "string", "enum": ValueKind::NAMES},
        "prompt": {"type": "string", "maxLength": 1000,
            "description": "What to say first. Leave it out if you say it yourself before the call."},
        "heard": {"type": "string", "maxLength": 1000,
            "description": "The caller's own words, if the value was said already: it is read back at once."},
    });
    let parameters =
        json!({"type": "object", "properties": properties, "required": ["type"], "additionalProperties": false});
    Some((description, parameters))
}
