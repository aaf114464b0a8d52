//! The tools of a call: the built-in ones (ending the call, pressing keys) and those of the agent.

use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::speech::Tool;
use serde_json::{Value, json};

/// What a tool call asks of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Hang up once everything was said; `farewell` is spoken when the reply had no words.
    EndCall {
        farewell: Option<String>,
    },
    SendDigits {
        digits: String,
    },
    /// A tool of the agent's: the customer's server runs it.
    Custom {
        /// The conversation goes on without a result.
        is_async: bool,
        /// Said while the result is waited for.
        filler: Option<String>,
    },
    /// Told to the model.
    Invalid(String),
}

/// The agent's tools, and the built-in ones it has not replaced by its own.
pub fn offers(custom: &[Tool]) -> Vec<ToolOffer> {
    let own = custom.iter().map(|tool| ToolOffer {
        name: tool.function.name.clone(),
        description: tool.function.description.clone().unwrap_or_default(),
        parameters: tool.function.parameters.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}})),
        strict: tool.function.strict.unwrap_or(false),
    });
    let built_in = built_in().into_iter().filter(|offer| custom.iter().all(|tool| tool.function.name != offer.name));
    own.chain(built_in).collect()
}

fn built_in() -> Vec<ToolOffer> {
    vec![
        ToolOffer {
            name: "end_call".to_owned(),
            description: "Ends the phone call. Use it when the conversation is finished; say goodbye first.".to_owned(),
            parameters: json!({"type": "object", "properties": {
                "farewell": {"type": "string", "description": "Last words, if you have not said them yet."}},
                "additionalProperties": false}),
            strict: false,
        },
        ToolOffer {
            name: "send_dtmf".to_owned(),
            description: "Presses keys on the telephone keypad, to get through a menu.".to_owned(),
            parameters: json!({"type": "object", "properties": {
                "digits": {"type": "string", "description": "0-9, * and #", "pattern": "^[0-9*#A-D]{1,32}$"}},
                "required": ["digits"], "additionalProperties": false}),
            strict: false,
        },
    ]
}

pub fn action(call: &ToolCall, custom: &[Tool]) -> Action {
    let Ok(arguments) = serde_json::from_str::<Value>(&call.arguments) else {
        return Action::Invalid("the arguments are not valid JSON".to_owned());
    };
    if let Some(tool) = custom.iter().find(|tool| tool.function.name == call.name) {
        return Action::Custom { is_async: tool.is_async.unwrap_or(false), filler: tool.filler.clone() };
    }
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::to_owned);
    match call.name.as_str() {
        "end_call" => Action::EndCall { farewell: text("farewell").filter(|text| !text.trim().is_empty()) },
        "send_dtmf" => match text("digits") {
            Some(digits)
                if (1..=32).contains(&digits.len()) && digits.chars().all(|c| "0123456789*#ABCD".contains(c)) =>
            {
                Action::SendDigits { digits }
            }
            _ => Action::Invalid("digits must be 1 to 32 of 0-9, *, # and A-D".to_owned()),
        },
        other => Action::Invalid(format!("there is no tool named {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: &str, wanted: &Action) {
        let call = ToolCall { id: "1".into(), name: name.into(), arguments: arguments.into() };
        assert_eq!(action(&call, &[]), *wanted);
    }

    #[test]
    fn arguments_are_checked() {
        check("end_call", "{}", &Action::EndCall { farewell: None });
        check("end_call", "{\"farewell\":\"Bye\"}", &Action::EndCall { farewell: Some("Bye".into()) });
        check("send_dtmf", "{\"digits\":\"12#\"}", &Action::SendDigits { digits: "12#".into() });
        check(
            "send_dtmf",
            "{\"digits\":\"x\"}",
            &Action::Invalid("digits must be 1 to 32 of 0-9, *, # and A-D".into()),
        );
        check("fly", "{}", &Action::Invalid("there is no tool named fly".into()));
        check("end_call", "{", &Action::Invalid("the arguments are not valid JSON".into()));
    }
}
