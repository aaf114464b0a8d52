//! The tools of a call: built-in ones, the agent's, and those of tool servers (MCP).

use super::built_in_tools::{self, Abilities, BuiltInTool};
use super::digit_collection::DigitRequest;
use super::spoken::value::ValueKind;
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_domain::agent_handover::{HandoverHistory, HandoverTarget};
use trunkline_domain::built_in_tools::BuiltInTools;
use trunkline_domain::chat::{ToolCall, ToolOffer};
use trunkline_domain::provider_config::{Tool, ToolStart};
use trunkline_domain::tool_limits::OFFERS_MAX;
use trunkline_domain::transfer::TransferDestination;
use trunkline_json::document::DocumentLimits;
use trunkline_json::schema::CompiledSchema;

/// Faults of arguments that the model receives at once.
const FAULTS_MAX: usize = 5;
/// Characters of an unknown name that the model reads again.
const NAME_CHARS_MAX: usize = 100;
/// Arguments of a tool: a long form has a hundred values.
const ARGUMENTS: DocumentLimits =
    DocumentLimits { bytes_max: ToolCall::ARGUMENTS_BYTES_MAX, depth_max: 32, values_max: 5_000 };

/// The tools that a call offers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToolSet<'a> {
    /// The tools of the agent, which the customer's server runs.
    pub custom: &'a [Tool],
    /// What the agent has chosen of the server's own tools.
    pub built_in: Option<&'a BuiltInTools>,
    /// Of servers, as they describe them.
    pub remote: &'a [ToolOffer],
    /// Where the call may be transferred; empty if it may not.
    pub destinations: &'a [TransferDestination],
    /// The agents that the call may be handed to; empty if it may not.
    pub handovers: &'a [HandoverTarget],
    /// Codes of the languages that the LLM can choose; empty if it cannot.
    pub languages: &'a [String],
    /// Voicemail may have answered.
    pub voicemail: bool,
}

/// The action of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolAction {
    /// Hang up after speaking; `farewell` is said if the response had no words.
    EndCall {
        /// Last words of the agent; `None` if the LLM gave none.
        farewell: Option<String>,
    },
    /// Transfer to a destination, by index.
    Transfer {
        /// Index into the destinations of the tool set, from 0.
        destination: usize,
        /// The briefing for the transfer target, spoken before the calls are bridged.
        briefing: Option<String>,
    },
    /// Hand the call to another agent, by index.
    HandOver {
        /// Index into the agents of the tool set, from 0.
        target: usize,
        /// What the next agent should know.
        summary: Option<String>,
    },
    /// Go on in another language.
    SetLanguage {
        /// One of the codes of the tool set.
        language: String,
    },
    /// Send DTMF to the peer.
    SendDigits {
        /// The digits, at most 64: `0` to `9`, `*`, `#` or `A` to `D`; `w` and `,` are pauses of 0.5 and 2 seconds.
        digits: String,
    },
    /// Leave a message after the beep, then hang up.
    LeaveVoicemail {
        /// The message to leave; `None`: the agent's configured message.
        message: Option<String>,
    },
    /// Say nothing: the caller has the next word.
    SkipTurn,
    /// The caller is on hold until other tools have answered, or the time is over.
    Hold {
        /// The longest time.
        limit: Duration,
        /// Whether the caller hears music.
        music: bool,
    },
    /// Ask the caller for digits.
    CollectDigits {
        /// What is asked for.
        request: DigitRequest,
        /// Said first; `None` if the caller was asked already.
        prompt: Option<String>,
    },
    /// Ask the caller for a value, and read it back.
    CollectValue {
        /// What is asked for.
        kind: ValueKind,
        /// Said first; `None` if the caller was asked already.
        prompt: Option<String>,
        /// What the caller has said of it already.
        heard: Option<String>,
    },
    /// A tool of the agent's: the customer's server runs it.
    Custom {
        /// The conversation goes on without a result.
        is_async: bool,
        /// Said while the result is waited for.
        filler: Option<String>,
        /// It runs before the words that announce it were heard.
        starts_at_once: bool,
    },
    /// Told to the LLM as an error.
    Invalid(String),
}

impl ToolSet<'_> {
    fn functions(&self) -> impl Iterator<Item = &Tool> {
        self.custom.iter().filter(|tool| tool.is_function())
    }

    /// The agent's tools, those of its servers, and the built-in ones it has not replaced by its own: as many as vendors
    /// take. Built-in ones come first then, because an agent without them cannot hang up.
    pub fn offers(&self) -> Vec<ToolOffer> {
        let own = self.functions().map(|tool| ToolOffer {
            name: tool.function.name.clone(),
            description: tool.function.description.clone().unwrap_or_default(),
            parameters: offered(tool),
            strict: tool.function.strict.unwrap_or(false),
        });
        let mut offers: Vec<ToolOffer> = own.collect();
        let mut built_in = self.built_in();
        built_in.retain(|offer| offers.iter().chain(self.remote).all(|known| known.name != offer.name));
        let room = OFFERS_MAX - built_in.len();
        for offer in self.remote {
            if offers.len() < room && offers.iter().all(|known| known.name != offer.name) {
                offers.push(offer.clone());
            }
        }
        offers.truncate(room);
        offers.append(&mut built_in);
        offers
    }

    fn built_in(&self) -> Vec<ToolOffer> {
        let Self { built_in: chosen, destinations, handovers, languages, voicemail, .. } = *self;
        built_in_tools::offers(Abilities { chosen, destinations, handovers, languages, voicemail })
    }

    /// The handover to an agent; one that learns nothing but a summary needs one.
    fn hand_over(&self, wanted: Option<&str>, summary: Option<String>) -> ToolAction {
        let found = self.handovers.iter().enumerate().find(|(_, one)| Some(one.name.as_str()) == wanted);
        match found {
            Some((_, one)) if one.history == HandoverHistory::Summary && summary.is_none() => {
                ToolAction::Invalid(format!("{} needs a summary", one.name))
            }
            Some((target, _)) => ToolAction::HandOver { target, summary },
            None => unknown("agent", wanted, self.handovers.iter().map(|one| one.name.as_str())),
        }
    }

    /// The schema that the arguments of a tool are held against, if there is such a tool.
    pub fn schema(&self, name: &str) -> Option<Value> {
        let mut offer = self.offers().into_iter().find(|offer| offer.name == name)?;
        let own = self.functions().find(|tool| tool.function.name == name);
        if let Some(request) = own.and_then(|tool| tool.request.as_ref()) {
            // What the model says in place of a fixed value is replaced, whatever it is.
            request.take_any_static(&mut offer.parameters);
        }
        if own.is_none() && self.remote.iter().all(|tool| tool.name != name) {
            // Extra arguments of built-in tools are ignored.
            offer.parameters.as_object_mut().map(|schema| schema.remove("additionalProperties"));
        }
        Some(offer.parameters)
    }

    /// The action of a tool call. Invalid arguments never leave the call: the driver has validated them and recorded
    /// the mismatch.
    pub fn action(&self, call: &ToolCall) -> ToolAction {
        let arguments = match arguments(&call.arguments) {
            Ok(arguments) => arguments,
            Err(fault) => return ToolAction::Invalid(fault),
        };
        if self.offers().iter().all(|offer| offer.name != call.name) {
            return ToolAction::Invalid(format!("there is no tool named {}", call.name));
        }
        if let Some(fault) = &call.schema_error {
            return ToolAction::Invalid(fault.clone());
        }
        if let Some(tool) = self.functions().find(|tool| tool.function.name == call.name) {
            let starts_at_once = tool.start == Some(ToolStart::AtOnce);
            let (is_async, filler) = (tool.is_async.unwrap_or(false), tool.filler.clone());
            return ToolAction::Custom { is_async, filler, starts_at_once };
        }
        if self.remote.iter().any(|tool| tool.name == call.name) {
            return ToolAction::Custom { is_async: false, filler: None, starts_at_once: false };
        }
        // Offered, and none of ours: a defect, which must not do what another tool does.
        match BuiltInTool::named(&call.name) {
            Some(tool) => self.built_in_action(tool, &arguments),
            None => ToolAction::Invalid(format!("the tool {} is not available", call.name)),
        }
    }

    fn built_in_action(&self, tool: BuiltInTool, arguments: &Value) -> ToolAction {
        let text = |name: &str| {
            arguments.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(str::to_owned)
        };
        match tool {
            BuiltInTool::EndCall => ToolAction::EndCall { farewell: text("farewell") },
            BuiltInTool::SendDtmf => {
                let digits = dial_digits(&text("digits").unwrap_or_default());
                if digits.chars().any(|c| !matches!(c, 'w' | ',')) {
                    ToolAction::SendDigits { digits }
                } else {
                    ToolAction::Invalid("digits has no key: 0-9, *, # or A-D".to_owned())
                }
            }
            BuiltInTool::LeaveVoicemail => ToolAction::LeaveVoicemail { message: text("message") },
            BuiltInTool::SetLanguage => match text("language").filter(|code| self.languages.contains(code)) {
                Some(language) => ToolAction::SetLanguage { language },
                None => unknown("language", text("language").as_deref(), self.languages.iter().map(String::as_str)),
            },
            BuiltInTool::TransferAgent => self.hand_over(text("agent").as_deref(), text("summary")),
            BuiltInTool::SkipTurn => ToolAction::SkipTurn,
            BuiltInTool::CollectValue => match text("type").as_deref().and_then(ValueKind::named) {
                Some(kind) => ToolAction::CollectValue { kind, prompt: text("prompt"), heard: text("heard") },
                None => ToolAction::Invalid("there is no such type of value".to_owned()),
            },
            BuiltInTool::HoldCall => {
                let settings = self.built_in.and_then(|chosen| chosen.hold_call.clone()).unwrap_or_default();
                let limit = built_in_tools::hold_limit(&settings, arguments);
                ToolAction::Hold { limit, music: settings.music }
            }
            BuiltInTool::CollectDigits => {
                let settings = self.built_in.and_then(|chosen| chosen.collect_digits.clone()).unwrap_or_default();
                match built_in_tools::digit_request(&settings, arguments) {
                    Ok(request) => ToolAction::CollectDigits { request, prompt: text("prompt") },
                    Err(fault) => ToolAction::Invalid(fault),
                }
            }
            BuiltInTool::TransferCall => {
                let wanted = text("destination");
                let names = || self.destinations.iter().map(|one| one.name.as_str());
                match names().position(|name| Some(name) == wanted.as_deref()) {
                    Some(destination) => ToolAction::Transfer { destination, briefing: text("briefing") },
                    None => unknown("destination", wanted.as_deref(), names()),
                }
            }
        }
    }
}

/// The model has named something that is not there: it reads what is.
fn unknown<'a>(what: &str, wanted: Option<&str>, known: impl Iterator<Item = &'a str>) -> ToolAction {
    let names = known.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let wanted: String = wanted.unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
    let named = if wanted.is_empty() { String::new() } else { format!(" named \"{wanted}\"") };
    ToolAction::Invalid(format!("there is no {what}{named}; choose one of {names}"))
}

/// The arguments that the model is offered: none that are always sent.
fn offered(tool: &Tool) -> Value {
    let none = || json!({"type": "object", "properties": {}});
    let mut parameters = tool.function.parameters.clone().unwrap_or_else(none);
    if let Some(request) = &tool.request {
        request.hide_static(&mut parameters);
    }
    parameters
}

/// Keys and pauses as models write them: `w` is half a second, a comma or `p` two seconds; blanks, hyphens and brackets
/// only group.
fn dial_digits(text: &str) -> String {
    let key = |c: char| match c {
        '0'..='9' | '*' | '#' => Some(c),
        'a'..='d' | 'A'..='D' => Some(c.to_ascii_uppercase()),
        'w' | 'W' => Some('w'),
        ',' | 'p' | 'P' => Some(','),
        _ => None,
    };
    text.chars().filter_map(key).collect()
}

/// Arguments as a model writes them; none are an empty object.
fn arguments(text: &str) -> Result<Value, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    ARGUMENTS.parse(text.as_bytes()).map_err(|error| match error {
        trunkline_json::document::DocumentError::Invalid(_) => "the arguments are not valid JSON".to_owned(),
        bound => format!("the arguments are too large: the JSON text {bound}"),
    })
}

/// How arguments fail the schema of their tool, in words for the model; what is not JSON is judged elsewhere.
pub fn argument_error(schema: &CompiledSchema, text: &str) -> Option<String> {
    let misfit = schema.check_value(&arguments(text).ok()?, FAULTS_MAX).err()?;
    Some(format!("the arguments do not fit: {}", misfit.describe()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_json::schema::{PatternPolicy, SchemaBudget};

    fn check(name: &str, arguments: &str, wanted: &ToolAction) {
        let destinations: Vec<TransferDestination> = serde_json::from_value(
            json!([{"name": "desk", "target": "+31201234567"}, {"name": "billing", "target": "+31201234568"}]),
        )
        .unwrap();
        let find: Tool = serde_json::from_value(json!({"function": {"name": "find", "parameters": {
            "type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}}}))
        .unwrap();
        let custom = [find];
        let built_in = serde_json::from_value(json!({"skip_turn": {}, "hold_call": {}})).unwrap();
        let abilities = ToolSet {
            custom: &custom,
            built_in: Some(&built_in),
            destinations: &destinations,
            voicemail: true,
            ..ToolSet::default()
        };
        let schema = abilities.schema(name).map(|schema| {
            CompiledSchema::compile(&schema, &mut SchemaBudget::default(), PatternPolicy::None)
                .unwrap_or_else(|error| panic!("{error}"))
        });
        let schema_error = schema.and_then(|schema| argument_error(&schema, arguments));
        let call =
            ToolCall { id: "1".into(), name: name.into(), arguments: arguments.into(), schema_error, opaque: None };
        assert_eq!(abilities.action(&call), *wanted);
    }

    fn invalid(name: &str, arguments: &str, wanted: &str) {
        check(name, arguments, &ToolAction::Invalid(wanted.to_owned()));
    }

    #[test]
    fn arguments_are_read() {
        check("end_call", "{}", &ToolAction::EndCall { farewell: None });
        check("end_call", "", &ToolAction::EndCall { farewell: None });
        check("end_call", "{\"reason\":\"done\"}", &ToolAction::EndCall { farewell: None });
        check("end_call", "{\"farewell\":\"Bye\"}", &ToolAction::EndCall { farewell: Some("Bye".into()) });
        check("send_dtmf", "{\"digits\":\"12#\"}", &ToolAction::SendDigits { digits: "12#".into() });
        check("skip_turn", "{}", &ToolAction::SkipTurn);
        let hold = |seconds| ToolAction::Hold { limit: Duration::from_secs(seconds), music: true };
        check("hold_call", "{}", &hold(120));
        check("hold_call", "{\"seconds\":30}", &hold(30));
        for (written, digits) in
            [("1w2ww4711#", "1w2ww4711#"), ("1,2", "1,2"), ("1 2", "12"), ("1-2", "12"), ("1p(2)a", "1,2A")]
        {
            let arguments = format!("{{\"digits\":\"{written}\"}}");
            check("send_dtmf", &arguments, &ToolAction::SendDigits { digits: digits.into() });
        }
        invalid("send_dtmf", "{\"digits\":\"w, -\"}", "digits has no key: 0-9, *, # or A-D");
        check("leave_voicemail", "{}", &ToolAction::LeaveVoicemail { message: None });
        check("find", "{\"order\":4}", &ToolAction::Custom { is_async: false, filler: None, starts_at_once: false });
        let billing = ToolAction::Transfer { destination: 1, briefing: Some("An invoice.".into()) };
        check("transfer_call", "{\"destination\":\"billing\",\"briefing\":\"An invoice.\"}", &billing);
    }

    #[test]
    fn arguments_that_do_not_fit_never_leave_the_call() {
        invalid("find", "{\"order\":\"four\"}", "the arguments do not fit: order: \"four\" is not of type \"integer\"");
        invalid("find", "{}", "the arguments do not fit: \"order\" is a required property");
        invalid(
            "send_dtmf",
            "{\"digits\":\"x\"}",
            "the arguments do not fit: digits: \"x\" does not match \"^[0-9*#A-Da-dwWpP,. ()-]{1,64}$\"",
        );
        invalid(
            "transfer_call",
            "{\"destination\":\"+4412345678\"}",
            "the arguments do not fit: destination: \"+4412345678\" is not one of \"desk\" or \"billing\"",
        );
        invalid("fly", "{}", "there is no tool named fly");
        invalid("end_call", "{", "the arguments are not valid JSON");
    }

    #[test]
    fn what_is_always_sent_is_not_asked_of_the_model_and_taken_in_any_form() {
        let tool: Tool = serde_json::from_value(json!({"function": {"name": "find", "parameters": {"type": "object",
            "properties": {"order": {"type": "integer"}, "shop": {"type": "string"}}, "required": ["order", "shop"],
            "additionalProperties": false}}, "request": {"static_parameters": {"shop": "main"}}}))
        .unwrap();
        let custom = [tool];
        let set = ToolSet { custom: &custom, ..ToolSet::default() };
        let offered = &set.offers()[0].parameters;
        assert_eq!(offered["properties"], json!({"order": {"type": "integer"}}));
        assert_eq!(offered["required"], json!(["order"]));
        let schema =
            CompiledSchema::compile(&set.schema("find").unwrap(), &mut SchemaBudget::default(), PatternPolicy::None)
                .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(argument_error(&schema, r#"{"order":1,"shop":["other"]}"#), None);
        assert!(argument_error(&schema, r#"{"order":1,"more":1}"#).is_some());
    }

    #[test]
    fn arguments_have_bounds() {
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        invalid("find", &deep, "the arguments are too large: the JSON text is nested more than 32 levels deep");
        let many = format!("[{}1]", "1,".repeat(5_001));
        invalid("end_call", &many, "the arguments are too large: the JSON text has more than 5000 values");
        let long = format!("{{\"order\":\"{}\"}}", "x".repeat(70_000));
        invalid("find", &long, "the arguments are too large: the JSON text is larger than 65536 bytes");
    }

    #[test]
    fn only_what_can_be_done_is_offered() {
        let names = |abilities: ToolSet<'_>| abilities.offers().into_iter().map(|offer| offer.name).collect::<Vec<_>>();
        assert_eq!(names(ToolSet::default()), ["end_call", "send_dtmf"]);
        let remote = [ToolOffer { name: "end_call".into(), ..ToolOffer::default() }];
        assert_eq!(
            names(ToolSet { remote: &remote, voicemail: true, ..ToolSet::default() }),
            ["end_call", "send_dtmf", "leave_voicemail"]
        );
    }

    #[test]
    fn no_more_tools_are_offered_than_vendors_take() {
        let remote: Vec<ToolOffer> =
            (0..200).map(|number| ToolOffer { name: format!("t{number}"), ..ToolOffer::default() }).collect();
        let set = ToolSet { remote: &remote, ..ToolSet::default() };
        let names: Vec<String> = set.offers().into_iter().map(|offer| offer.name).collect();
        assert_eq!((names.len(), names[0].as_str(), names[125].as_str()), (OFFERS_MAX, "t0", "t125"));
        assert_eq!(names[126..], ["end_call", "send_dtmf"]);
        let call = ToolCall { name: "t150".into(), ..ToolCall::default() };
        assert_eq!(set.action(&call), ToolAction::Invalid("there is no tool named t150".into()));
    }
}
