//! Calls in lines of their own: "Action: find_order" with its input, and tags that have the name of a tool.

use super::frames::begins_with;
use super::parse::{KnownTool, add_value, attributes, call_with, calls_in};
use serde_json::{Map, Value};

const ACTION: &str = "action";
const INPUT: &str = "input";
/// What the tool has answered, as a model that does not wait makes it up.
const OBSERVATION: &str = "\nobservation";
/// Signs around labels and names.
const MARKS: [char; 7] = ['*', '_', '#', '`', '"', '\'', ' '];

/// What a line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Other,
    /// More is needed.
    Unknown,
    Call,
}

/// Whether a line is the call of an offered tool: "Action: find_order", "**Action:** {…}". Other words behind this label are
/// words.
pub(super) fn action_line(text: &str, tools: &[KnownTool]) -> Line {
    let label = text.trim_start_matches(['*', '_', '#', ' ']);
    let Some(behind) = behind_label(label, ACTION) else {
        let may_begin =
            begins_with(ACTION, label) || begins_with(label, ACTION) && only_marks(label.get(ACTION.len()..));
        return if may_begin { Line::Unknown } else { Line::Other };
    };
    let target = behind.trim_start_matches(|c: char| MARKS.contains(&c) || c.is_whitespace());
    let target = target.strip_prefix("json").map_or(target, str::trim_start);
    if target.starts_with(['{', '[']) {
        return Line::Call;
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let is_whole = |name: &str| target.strip_prefix(name).is_some_and(|rest| rest.starts_with(|c| !is_part(c)));
    if tools.iter().any(|tool| is_whole(&tool.name)) {
        Line::Call
    } else if "json".starts_with(target) || tools.iter().any(|tool| tool.name.starts_with(target)) {
        Line::Unknown
    } else {
        Line::Other
    }
}

/// Behind a label and its colon.
fn behind_label<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let behind = text.get(label.len()..).filter(|_| begins_with(text, label))?;
    behind.trim_start_matches(['*', '_', ' ']).strip_prefix(':')
}

fn only_marks(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.chars().all(|c| matches!(c, '*' | '_' | ' ')))
}

/// The call of an action: its name, and its input as JSON, in brackets, or as it is said.
pub(super) fn action_calls(text: &str, tools: &[KnownTool]) -> Vec<(String, String)> {
    let small = text.to_ascii_lowercase();
    let text = small.find(OBSERVATION).and_then(|end| text.get(..end)).unwrap_or(text);
    let label = text.trim_start_matches(|c: char| MARKS.contains(&c) || c.is_whitespace());
    let behind = behind_label(label, ACTION).unwrap_or(label);
    let (head, input) = split_at_input(behind);
    let name = head.trim_start_matches(|c: char| MARKS.contains(&c) || c.is_whitespace());
    let tool = tools.iter().filter(|tool| name.starts_with(&tool.name)).max_by_key(|tool| tool.name.len());
    let Some(tool) = tool.filter(|_| !name.starts_with(['{', '['])) else { return calls_in(behind, tools) };
    let behind = name.get(tool.name.len()..).unwrap_or_default();
    let brackets =
        behind.trim_start_matches(['`', '*']).trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match input.or(brackets) {
        Some(input) => vec![call_with(tool, input)],
        None => {
            Some(calls_in(head, tools)).filter(|calls| !calls.is_empty()).unwrap_or_else(|| vec![call_with(tool, "")])
        }
    }
}

/// The input behind "Action Input:", if there is one.
fn split_at_input(text: &str) -> (&str, Option<&str>) {
    let small = text.to_ascii_lowercase();
    let found = small.match_indices(INPUT).find_map(|(at, _)| {
        let before = small.get(..at)?.trim_end_matches(['*', '_', ' ']);
        let before = before.strip_suffix(ACTION).unwrap_or(before).trim_end_matches(['*', '_', ' ']);
        let is_line_start = before.is_empty() || before.ends_with('\n');
        is_line_start.then_some(())?;
        let input = behind_label(text.get(at..)?, INPUT)?;
        Some((text.get(..before.len())?, Some(input)))
    });
    found.unwrap_or((text, None))
}

/// Whether what stands behind `<find_order` is a call: its end, or `Err` with the end of what is none.
pub(super) fn tag_end(body: &str, name: &str) -> Option<Result<usize, usize>> {
    let head = body.find('>')?;
    if body.get(..head)?.ends_with('/') {
        return Some(Ok(head + 1));
    }
    let inner = body.get(head + 1..)?;
    match inner.trim_start().chars().next() {
        Some('<' | '{') => {}
        Some(_) => return Some(Err(head + 1)),
        None => return None,
    }
    let close = format!("</{name}>");
    inner.find(&close).map(|at| Ok(head + 1 + at + close.len()))
}

/// `<find_order><number>12</number></find_order>`, with attributes, or with JSON within.
pub(super) fn tag_calls(text: &str, tool: &KnownTool) -> Vec<(String, String)> {
    let Some(behind) = text.strip_prefix('<').and_then(|text| text.strip_prefix(tool.name.as_str())) else {
        return Vec::new();
    };
    let (head, inner) = behind.split_once('>').unwrap_or((behind, ""));
    let inner = match inner.split_once(&format!("</{}>", tool.name)) {
        Some((inner, _)) => inner.trim(),
        None if head.ends_with('/') => "",
        None => return Vec::new(),
    };
    if inner.starts_with('{') {
        return vec![call_with(tool, inner)];
    }
    let mut arguments = Map::new();
    for (name, value) in attributes(head.trim_end_matches('/')) {
        add_value(&mut arguments, Some(tool), name, value);
    }
    let mut rest = inner;
    while let Some((_, tag)) = rest.split_once('<') {
        let Some((name, behind)) = tag.split_once('>') else { return Vec::new() };
        let Some((value, behind)) = behind.split_once(&format!("</{name}>")) else { return Vec::new() };
        add_value(&mut arguments, Some(tool), name.trim(), value);
        rest = behind;
    }
    if rest.trim().is_empty() { vec![(tool.name.clone(), Value::Object(arguments).to_string())] } else { Vec::new() }
}
