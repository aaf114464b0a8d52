//! Prompts for the analysis of an ended call, and validation of the answer.

use serde_json::{Map, Value, json};
use trunkline_domain::analysis::AnalysisPlan;
use trunkline_domain::chat::ChatMessage;
use trunkline_domain::transcript::{Turn, TurnRole};
use trunkline_json::document::DocumentLimits;
use trunkline_json::schema::{CompiledSchema, PatternPolicy, SchemaBudget, SchemaError, ValueError};

/// Characters of a transcript that are looked at; the middle of a longer one is left out.
const TRANSCRIPT_CHARS_MAX: usize = 200_000;

/// What a model may answer.
const ANSWER: DocumentLimits = DocumentLimits { bytes_max: 256 * 1024, depth_max: 64, values_max: 20_000 };
/// Places where the object of an answer may begin that are tried.
const OBJECT_STARTS_MAX: usize = 64;
/// Faults of an answer that the model receives.
const FAULTS_MAX: usize = 10;

/// The prompt and the schema of its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalysisPrompt {
    /// Instructions and transcript.
    pub messages: Vec<ChatMessage>,
    /// JSON Schema of the answer.
    pub schema: Value,
}

/// The schemas an answer must fit: ours and the customer's.
#[derive(Debug)]
pub struct AnalysisSchema {
    ours: CompiledSchema,
    structured_data: Option<CompiledSchema>,
}

impl AnalysisSchema {
    /// Compiles the schemas. Takes milliseconds: not for a thread that others wait for.
    pub fn compile(plan: Option<&AnalysisPlan>) -> Result<Self, SchemaError> {
        let compile = |schema: &Value| {
            CompiledSchema::compile(schema, &mut SchemaBudget::default(), PatternPolicy::SkipBacktracking)
        };
        let own = json!({"type": "object", "properties": properties(), "required": REQUIRED});
        let structured_data = plan.and_then(|plan| plan.structured_data_plan.as_ref()).map(compile).transpose()?;
        Ok(Self { ours: compile(&own)?, structured_data })
    }
}

const REQUIRED: [&str; 5] = ["summary", "success", "success_reason", "sentiment", "follow_up"];

fn properties() -> Value {
    json!({
        "summary": {"type": "string", "description": "The call in two or three sentences."},
        "success": {"type": "boolean", "description": "Whether the call was a success."},
        "success_reason": {"type": "string", "description": "Why, in one sentence."},
        "sentiment": {"type": "string", "enum": ["positive", "neutral", "negative"], "description": "The caller's mood at the end."},
        "follow_up": {"type": "string", "description": "What was promised or is left to do; empty if nothing is."},
    })
}

/// What a model said about a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// The call in two or three sentences.
    pub summary: String,
    /// The fields that every analysis has, as one JSON object.
    pub report: Value,
    /// Data by the customer's schema; `None` if the agent has no schema.
    pub structured_data: Option<Value>,
}

/// Whether there are enough turns to analyse, and at least one word of the caller.
pub fn has_enough_turns(turns: &[Turn], plan: Option<&AnalysisPlan>) -> bool {
    let spoken = turns.iter().filter(|turn| matches!(turn.role, TurnRole::User | TurnRole::Assistant)).count();
    let threshold = plan.and_then(|plan| plan.min_messages_threshold).unwrap_or(1) as usize;
    spoken >= threshold.max(1) && turns.iter().any(|turn| turn.role == TurnRole::User)
}

fn transcript(turns: &[Turn]) -> String {
    let line = |turn: &Turn| {
        let who = match turn.role {
            TurnRole::User => "Caller",
            TurnRole::Assistant => "Agent",
            TurnRole::Tool => "Tool",
            TurnRole::System => "Note",
        };
        format!("{who}: {}", turn.content)
    };
    let text = turns.iter().map(line).collect::<Vec<_>>().join("\n");
    let length = text.chars().count();
    if length <= TRANSCRIPT_CHARS_MAX {
        return text;
    }
    let half = TRANSCRIPT_CHARS_MAX / 2;
    let (head, tail): (String, String) =
        (text.chars().take(half).collect(), text.chars().skip(length - half).collect());
    format!("{head}\n[…]\n{tail}")
}

/// The question about a call.
pub fn analysis_prompt(turns: &[Turn], plan: Option<&AnalysisPlan>, language: &str) -> AnalysisPrompt {
    let criteria = plan.and_then(|plan| plan.success_criteria.as_deref());
    let criteria = criteria.unwrap_or("The caller's request was dealt with, or the purpose of the call was reached.");
    let mut properties = properties();
    let mut required = REQUIRED.to_vec();
    let mut definitions = Map::new();
    if let Some(schema) = plan.and_then(|plan| plan.structured_data_plan.as_ref()) {
        let mut schema = schema.clone();
        // References in it count from the root.
        for name in ["$defs", "definitions"] {
            definitions.extend(schema.as_object_mut().and_then(|schema| schema.remove_entry(name)));
        }
        properties["structured_data"] = schema;
        required.push("structured_data");
    }
    let instructions = format!(
        "You review telephone calls. Read the transcript and answer with one JSON object of the given schema, written in the \
         language with the code {language}. Use only what was said; where something was not said, leave optional fields out. \
         A call is a success when: {criteria}"
    );
    let messages =
        vec![ChatMessage::System(instructions), ChatMessage::User(format!("Transcript:\n{}", transcript(turns)))];
    let mut schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    if let Some(schema) = schema.as_object_mut() {
        schema.extend(definitions);
    }
    AnalysisPrompt { messages, schema }
}

impl AnalysisSchema {
    /// Whether data that no model wrote fits the customer's schema, if there is one.
    pub fn check_structured_data(&self, data: &Value) -> Result<(), String> {
        let Some(schema) = &self.structured_data else { return Ok(()) };
        let faults = described("/structured_data", schema.check_value(data, FAULTS_MAX));
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    /// The answer, if it has the shape that was asked for; what is wrong with it otherwise. Takes milliseconds.
    pub fn read(&self, answer: &str) -> Result<Analysis, String> {
        let answer = first_object(answer);
        let mut report = ANSWER.parse(answer.as_bytes()).map_err(|error| format!("the answer {error}"))?;
        let structured_data = report.as_object_mut().and_then(|object| object.remove("structured_data"));
        let mut faults = described("", self.ours.check_value(&report, FAULTS_MAX));
        if let Some(extra) = report.as_object().and_then(|object| object.keys().find(|name| !is_ours(name))) {
            faults.push(format!(": Additional properties are not allowed ({extra:?} was unexpected)"));
        }
        match (&self.structured_data, &structured_data) {
            (Some(schema), Some(data)) => {
                faults.extend(described("/structured_data", schema.check_value(data, FAULTS_MAX)));
            }
            (Some(_), None) => faults.push(": \"structured_data\" is a required property".to_owned()),
            (None, Some(_)) => faults.push(": \"structured_data\" was not asked for".to_owned()),
            (None, None) => {}
        }
        if !faults.is_empty() {
            faults.truncate(FAULTS_MAX);
            return Err(faults.join("; "));
        }
        let summary = report["summary"].as_str().unwrap_or_default().to_owned();
        Ok(Analysis { summary, report, structured_data })
    }
}

/// The first whole JSON object with something in it: models write words, fences and thoughts around it. The whole answer if
/// there is none.
fn first_object(answer: &str) -> &str {
    let answer = answer.trim();
    if answer.len() > 2 * ANSWER.bytes_max {
        return answer;
    }
    for (at, _) in answer.match_indices('{').take(OBJECT_STARTS_MAX) {
        let Some(rest) = answer.get(at..) else { continue };
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<serde::de::IgnoredAny>();
        if let Some(Ok(_)) = values.next()
            && let Some(object) = rest.get(..values.byte_offset())
            && object.contains(':')
        {
            return object;
        }
    }
    answer
}

fn is_ours(name: &str) -> bool {
    REQUIRED.contains(&name)
}

/// Faults with their places, below a place.
fn described(below: &str, checked: Result<(), ValueError>) -> Vec<String> {
    match checked {
        Ok(()) => Vec::new(),
        Err(ValueError::Faults(faults)) => {
            faults.iter().map(|fault| format!("{below}{}: {}", fault.place, fault.message)).collect()
        }
        Err(misfit) => vec![format!("{below}: {}", misfit.describe())],
    }
}

impl AnalysisPrompt {
    /// The same request again, with the faults of the last answer.
    pub fn repair(&self, answer: &str, fault: &str) -> Self {
        let mut again = self.clone();
        again.messages.push(ChatMessage::Assistant { content: answer.to_owned(), tool_calls: Vec::new() });
        let hint = format!("That does not fit the schema: {fault}. Answer again with the corrected JSON object only.");
        again.messages.push(ChatMessage::User(hint));
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: TurnRole, content: &str) -> Turn {
        Turn {
            role,
            content: content.into(),
            started_at_ms: 0,
            ended_at_ms: 0,
            interrupted: false,
            confidence: None,
            agent_id: None,
            said_by: None,
        }
    }

    fn plan() -> AnalysisPlan {
        let schema =
            json!({"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]});
        AnalysisPlan { structured_data_plan: Some(schema), min_messages_threshold: Some(2), success_criteria: None }
    }

    #[test]
    fn a_threshold_counts_what_was_spoken() {
        let one = [turn(TurnRole::User, "Hi")];
        let two = [turn(TurnRole::Assistant, "Hello"), turn(TurnRole::User, "Hi")];
        assert!(
            has_enough_turns(&one, None)
                && !has_enough_turns(&one, Some(&plan()))
                && has_enough_turns(&two, Some(&plan()))
        );
        assert!(!has_enough_turns(&[turn(TurnRole::Assistant, "Hello")], None), "the call was not answered");
    }

    #[test]
    fn answers_are_held_against_the_schema() {
        let question = analysis_prompt(&[turn(TurnRole::User, "Order 42")], Some(&plan()), "en");
        let good = r#"{"summary":"S","success":true,"success_reason":"R","sentiment":"neutral","follow_up":"","structured_data":{"order_id":"42"}}"#;
        let shape = AnalysisSchema::compile(Some(&plan())).unwrap();
        let analysis = shape.read(&format!("```json\n{good}\n```")).unwrap();
        assert_eq!((analysis.summary.as_str(), analysis.structured_data), ("S", Some(json!({"order_id": "42"}))));
        let fault = shape.read(&good.replace("\"42\"", "42")).unwrap_err();
        assert_eq!(fault, "/structured_data/order_id: 42 is not of type \"string\"");
        let fault = shape.read(&good.replace("\"summary\"", "\"sumary\"")).unwrap_err();
        assert!(fault.contains("\"summary\" is a required property") && fault.contains("sumary"), "{fault}");
        for around in [
            format!("Here is the JSON:\n```json\n{good}\n```\nLet me know!"),
            format!("```JSON\n{good}\n```"),
            format!("{{summary}} as {{}}: {good} {{\"summary\":\"another\"}}"),
            format!("\u{feff}{good}</s>"),
        ] {
            assert!(shape.read(&around).is_ok(), "{around}");
        }
        assert!(shape.read(&good[..good.len() - 1]).is_err(), "not whole");
        assert!(shape.read("I would say it went well").is_err());
        assert!(shape.read(&"[".repeat(100_000)).unwrap_err().contains("64 levels"));
        assert!(AnalysisSchema::compile(None).unwrap().read(good).unwrap_err().contains("not asked for"));
        assert_eq!(question.repair("x", "y").messages.len(), 4);
    }

    #[test]
    fn definitions_of_a_plan_are_found_where_they_are_referred_to() {
        let schema = json!({"$defs": {"id": {"type": "integer"}}, "properties": {"order": {"$ref": "#/$defs/id"}}});
        let plan = AnalysisPlan { structured_data_plan: Some(schema), ..AnalysisPlan::default() };
        let asked = analysis_prompt(&[turn(TurnRole::User, "Order 42")], Some(&plan), "en").schema;
        assert_eq!(asked["$defs"], json!({"id": {"type": "integer"}}));
        assert_eq!(asked["properties"]["structured_data"], json!({"properties": {"order": {"$ref": "#/$defs/id"}}}));
        let shape = AnalysisSchema::compile(Some(&plan)).unwrap();
        let answer = |order: Value| {
            json!({"summary": "", "success": true, "success_reason": "", "sentiment": "neutral",
            "follow_up": "", "structured_data": {"order": order}})
        };
        assert!(shape.read(&answer(json!(42)).to_string()).is_ok());
        assert!(shape.read(&answer(json!("x")).to_string()).is_err());
    }

    #[test]
    fn a_long_transcript_loses_its_middle() {
        let long =
            transcript(&[turn(TurnRole::User, &"a".repeat(150_000)), turn(TurnRole::Tool, &"z".repeat(150_000))]);
        let (head, tail) = long.split_once("\n[…]\n").unwrap();
        assert!(head.starts_with("Caller: aaa") && tail.ends_with("zzz"));
        assert_eq!((head.chars().count(), tail.chars().count()), (TRANSCRIPT_CHARS_MAX / 2, TRANSCRIPT_CHARS_MAX / 2));
    }
}
