//! Tool calls that a model writes into its words, because its server does not read them: they are made, and never spoken.

mod parse;

use parse::{KnownTool, calls_in};
use trunkline_domain::chat::{ToolCall, ToolOffer};

/// Bytes of one written call; what is longer is dropped.
const CALL_BYTES_MAX: usize = ToolCall::ARGUMENTS_BYTES_MAX;
/// Most calls of one answer.
const CALLS_MAX: usize = 16;

/// How calls begin and end; without an end, the rest of the answer belongs to it.
const MARKS: [(&str, &str); 19] = [
    ("<tool_call>", "</tool_call>"),
    ("<tool_calls>", "</tool_calls>"),
    ("<tool_use>", "</tool_use>"),
    ("<tool_code>", "</tool_code>"),
    ("<function_calls>", "</function_calls>"),
    ("<function_call>", "</function_call>"),
    ("<function=", "</function>"),
    ("<invoke ", "</invoke>"),
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ("<|tool_call_begin|>", "<|tool_call_end|>"),
    ("<|tool_call|>", ""),
    ("<|python_tag|>", "<|eom_id|>"),
    ("<|tool_calls|>", ""),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
    ("[tool_calls]", ""),
    ("```tool_code", "```"),
    ("```tool_call", "```"),
    ("```json", "```"),
];
/// Where the marks that say nothing else begin; what is between them may be no call.
const FENCE: &str = "```json";

/// Stands before names in some formats.
const FUNCTIONS: &str = "functions.";
/// JSON that breaks off behind one of these was to be a call.
const CALL_FIELDS: [&str; 3] = ["\"name\"", "\"function\"", "\"tool"];

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Between marks.
    Marked(&'static str),
    /// In a block of JSON, which may be something else.
    Fenced,
    /// JSON at the beginning of a line.
    Json,
    /// The name of a tool and a bracket at the beginning of a line.
    Function,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Words,
    /// After so many bytes of the pending text, in which the call begins.
    Call(Form, usize),
}

/// What a text begins with.
enum Opening {
    No,
    /// More is needed.
    Unknown,
    Call(Form, usize),
}

/// Takes the calls out of the words of one answer.
#[derive(Debug)]
pub(crate) struct WrittenCalls {
    tools: Vec<KnownTool>,
    state: State,
    pending: String,
    /// Only white space was written in this line.
    is_line_start: bool,
    /// No word goes on here.
    is_word_start: bool,
    calls: Vec<ToolCall>,
}

impl WrittenCalls {
    /// A filter for a model that was offered these tools.
    pub(crate) fn new(tools: &[ToolOffer]) -> Self {
        let tools = tools.iter().map(KnownTool::new).collect();
        Self {
            tools,
            state: State::Words,
            pending: String::new(),
            is_line_start: true,
            is_word_start: true,
            calls: Vec::new(),
        }
    }

    /// Takes a piece of text; returns the words in it.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        self.pending.push_str(piece);
        let mut words = String::new();
        while self.step(&mut words) {}
        words
    }

    /// What is left of the words when the answer is over. A call whose end was cut off is none.
    pub(crate) fn finish(&mut self) -> String {
        let mut words = String::new();
        let rest = std::mem::take(&mut self.pending);
        match self.state {
            State::Words => words = rest,
            State::Call(form, _) => {
                let is_call = form == Form::Function || CALL_FIELDS.iter().any(|field| rest.contains(field));
                self.settle(if is_call { Form::Marked("") } else { form }, &rest, &mut words);
            }
        }
        self.state = State::Words;
        words
    }

    /// A call in another form; unknown tools are left out.
    pub(crate) fn add(&mut self, name: &str, arguments: &str) {
        let name = parse::bare_name(name);
        if self.calls.len() < CALLS_MAX && self.tools.iter().any(|tool| tool.name == name) {
            let id = format!("written_{}", self.calls.len());
            self.calls.push(ToolCall::new(id, name.to_owned(), arguments.to_owned()));
        }
    }

    /// The name of an offered tool that a model means by this one: "functions.find", "tools:find"; or "Find()", "find<|end|>",
    /// if exactly one has this name but for case, separators and marks.
    pub(crate) fn meant_by(&self, name: &str) -> Option<&str> {
        let is_known = |name: &str| self.tools.iter().find(|tool| tool.name == name).map(|tool| tool.name.as_str());
        let last = name.rsplit(['.', ':', '/']).find(|part| !part.bytes().all(|byte| byte.is_ascii_digit()));
        is_known(name)
            .or_else(|| is_known(parse::bare_name(name)))
            .or_else(|| is_known(last?.trim()))
            .or_else(|| self.alike(name))
    }

    fn alike(&self, name: &str) -> Option<&str> {
        let unmarked = parse::without_marks(name);
        let last = unmarked.rsplit(['.', ':', '/']).next().unwrap_or_default();
        [unmarked, last].into_iter().map(parse::letters).filter(|wanted| !wanted.is_empty()).find_map(|wanted| {
            let mut alike = self.tools.iter().filter(|tool| parse::letters(&tool.name) == wanted);
            alike.next().filter(|_| alike.next().is_none()).map(|tool| tool.name.as_str())
        })
    }

    /// All that came so far was no answer.
    pub(crate) fn clear(&mut self) {
        *self = Self { tools: std::mem::take(&mut self.tools), ..Self::new(&[]) };
    }

    /// A call has begun whose end has not come.
    pub(crate) fn is_within(&self) -> bool {
        matches!(self.state, State::Call(Form::Marked(_) | Form::Function, _))
    }

    /// Calls have been read.
    pub(crate) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The calls so far.
    pub(crate) fn take(&mut self) -> Vec<ToolCall> {
        std::mem::take(&mut self.calls)
    }

    /// Reads up to the next beginning or end of a call; false when more is needed.
    fn step(&mut self, words: &mut String) -> bool {
        match self.state {
            State::Words => self.find_call(words),
            State::Call(form, from) => {
                let body = self.pending.get(from..).unwrap_or_default();
                if let Some(end) = end_of(form, body) {
                    let span: String = self.pending.drain(..from + end).collect();
                    self.state = State::Words;
                    self.settle(form, &span, words);
                    return true;
                }
                if self.pending.len() > CALL_BYTES_MAX {
                    self.pending.clear();
                    self.state = State::Call(Form::Marked(""), 0);
                }
                false
            }
        }
    }

    fn find_call(&mut self, words: &mut String) -> bool {
        let mut at = 0;
        while let Some(c) = self.pending.get(at..).and_then(|rest| rest.chars().next()) {
            match self.opening(&self.pending[at..], c) {
                Opening::No => {}
                Opening::Unknown => {
                    words.extend(self.pending.drain(..at));
                    return false;
                }
                Opening::Call(form, length) => {
                    words.extend(self.pending.drain(..at));
                    self.state = State::Call(form, length);
                    return true;
                }
            }
            self.is_line_start = c == '\n' || self.is_line_start && c.is_whitespace();
            self.is_word_start = !(c.is_alphanumeric() || matches!(c, '_' | '-'));
            at += c.len_utf8();
        }
        words.push_str(&std::mem::take(&mut self.pending));
        false
    }

    fn opening(&self, rest: &str, first: char) -> Opening {
        if matches!(first, '<' | '[' | '`') {
            let begins = |text: &str, start: &str| {
                text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
            };
            if let Some((open, close)) = MARKS.iter().find(|(open, _)| begins(rest, open)) {
                let form = if *open == FENCE { Form::Fenced } else { Form::Marked(close) };
                return Opening::Call(form, open.len());
            }
            if MARKS.iter().any(|(open, _)| begins(open, rest)) {
                return Opening::Unknown;
            }
        }
        if first.is_whitespace() {
            return Opening::No;
        }
        match self.json_opening(rest, first) {
            Opening::No => self.function_opening(rest),
            opening => opening,
        }
    }

    /// An object, or a list of objects, at the beginning of a line.
    fn json_opening(&self, rest: &str, first: char) -> Opening {
        if !self.is_line_start || !matches!(first, '{' | '[') {
            return Opening::No;
        }
        let inner = rest.trim_start_matches(|c: char| matches!(c, '{' | '[') || c.is_whitespace());
        let opens = rest.len() - inner.len();
        let is_object = rest.get(..opens).is_some_and(|open| open.contains('{') && !open.contains("{{"));
        match inner.chars().next() {
            None if opens <= 16 && !rest.contains("{{") => Opening::Unknown,
            Some('"') if is_object => Opening::Call(Form::Json, 0),
            _ => Opening::No,
        }
    }

    /// The name of a tool and a bracket: at the beginning of a line, or anywhere if no word looks like the name.
    fn function_opening(&self, rest: &str) -> Opening {
        if !self.is_word_start {
            return Opening::No;
        }
        let name = rest.strip_prefix('[').filter(|_| self.is_line_start).unwrap_or(rest);
        if !name.is_empty() && name.len() <= FUNCTIONS.len() && FUNCTIONS.starts_with(name) {
            return Opening::Unknown;
        }
        let name = name.strip_prefix(FUNCTIONS).unwrap_or(name);
        let mut tools = self.tools.iter().filter(|tool| self.is_line_start || tool.name.contains('_'));
        let is_call =
            |tool: &&KnownTool| name.strip_prefix(tool.name.as_str()).is_some_and(|rest| rest.starts_with('('));
        if tools.clone().any(|tool| is_call(&tool)) {
            return Opening::Call(Form::Function, 0);
        }
        let may_be = !name.is_empty() && tools.any(|tool| tool.name.starts_with(name));
        if may_be { Opening::Unknown } else { Opening::No }
    }

    /// Makes the calls of a span. What may be something else and has none is said as before.
    fn settle(&mut self, form: Form, span: &str, words: &mut String) {
        let calls = calls_in(span, &self.tools);
        if calls.is_empty() && matches!(form, Form::Fenced | Form::Json | Form::Function) {
            words.push_str(span);
        }
        for (name, arguments) in calls {
            tracing::debug!(tool = name, "a model has written a tool call into its words");
            self.add(&name, &arguments);
        }
    }
}

/// Where a call ends, counted from behind its opening.
fn end_of(form: Form, body: &str) -> Option<usize> {
    match form {
        Form::Marked("") => None,
        Form::Marked(close) => body.find(close).map(|at| at + close.len()),
        Form::Fenced => body.find("```").map(|at| at + 3),
        Form::Json => {
            let mut values = serde_json::Deserializer::from_str(body).into_iter::<serde::de::IgnoredAny>();
            match values.next() {
                Some(Ok(_)) => Some(values.byte_offset()),
                Some(Err(error)) if !error.is_eof() => Some(body.len()),
                _ => None,
            }
        }
        Form::Function => {
            let end = parse::bracket_end(body)?;
            let is_list = body.starts_with('[');
            let rest = body.get(end..)?;
            if is_list { rest.find(']').map(|at| end + at + 1) } else { Some(end) }
        }
    }
}

#[cfg(test)]
mod tests;
