//! Tool calls that a model writes into its words, because its server does not read them: they are made, and never spoken.

mod frames;
mod lines;
mod parse;

use frames::{Beginning, FENCE, FRAMES, behind_end, frame_at};
use lines::{Line, action_calls, action_line, tag_calls, tag_end};
use parse::{KnownTool, bracket_behind, calls_in};
use trunkline_domain::chat::{ToolCall, ToolOffer};

/// Bytes of one written call; what is longer is dropped.
const CALL_BYTES_MAX: usize = ToolCall::ARGUMENTS_BYTES_MAX;
/// Most calls of one answer.
const CALLS_MAX: usize = 16;

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
    /// "Action: find_order" at the beginning of a line. What follows is the rest of the call, or made up.
    Action,
    /// A tag with the name of this tool.
    Tag(usize),
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
            State::Words if self.is_line_start && action_line(&format!("{rest}\n"), &self.tools) == Line::Call => {
                self.settle(Form::Action, &rest, &mut words);
            }
            State::Words => words = rest,
            State::Call(Form::Action, _) => self.settle(Form::Action, &rest, &mut words),
            State::Call(Form::Tag(_), _) => self.settle(Form::Marked(""), &rest, &mut words),
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
        let tool = self.tools.iter().find(|tool| tool.name == name);
        if let Some(tool) = tool.filter(|_| self.calls.len() < CALLS_MAX) {
            // Words of an input: "Action Input: 12".
            let is_object = arguments.trim_start().starts_with('{');
            let arguments = if is_object { arguments.to_owned() } else { parse::call_with(tool, arguments).1 };
            let id = format!("written_{}", self.calls.len());
            self.calls.push(ToolCall::new(id, name.to_owned(), arguments));
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
        matches!(self.state, State::Call(Form::Marked(_) | Form::Function | Form::Action | Form::Tag(_), _))
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
                if let Some(end) = self.end_of(form, body) {
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
        match frame_at(rest, self.is_line_start && self.is_word_start) {
            Beginning::Frame(place, length) => {
                let (open, close) = FRAMES[place];
                return Opening::Call(if open == FENCE { Form::Fenced } else { Form::Marked(close) }, length);
            }
            Beginning::Unknown => return Opening::Unknown,
            Beginning::No => {}
        }
        if first.is_whitespace() {
            return Opening::No;
        }
        if let Some(inner) = rest.strip_prefix('<') {
            return self.tag_opening(inner);
        }
        let line = if self.is_line_start { action_line(rest, &self.tools) } else { Line::Other };
        match (line, self.json_opening(rest, first)) {
            (Line::Call, _) => Opening::Call(Form::Action, 0),
            (Line::Unknown, Opening::No) => Opening::Unknown,
            (_, Opening::No) => self.function_opening(rest),
            (_, opening) => opening,
        }
    }

    /// A tag with the name of a tool.
    fn tag_opening(&self, inner: &str) -> Opening {
        let is_named = |tool: &KnownTool| {
            let behind = inner.strip_prefix(tool.name.as_str());
            behind.is_some_and(|behind| behind.starts_with(|c: char| matches!(c, '>' | '/') || c.is_whitespace()))
        };
        match self.tools.iter().position(is_named) {
            Some(place) => Opening::Call(Form::Tag(place), 1 + self.tools[place].name.len()),
            None if self.tools.iter().any(|tool| tool.name.starts_with(inner)) => Opening::Unknown,
            None => Opening::No,
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
        let is_call = |tool: &&KnownTool| bracket_behind(name, &tool.name).is_some();
        if tools.clone().any(|tool| is_call(&tool)) {
            return Opening::Call(Form::Function, 0);
        }
        let is_method = |behind: &str| {
            behind.strip_prefix('.').is_some_and(|method| method.chars().all(|c| c.is_alphanumeric() || c == '_'))
        };
        let may_be = !name.is_empty()
            && tools.any(|tool| {
                tool.name.starts_with(name) || name.strip_prefix(tool.name.as_str()).is_some_and(is_method)
            });
        if may_be { Opening::Unknown } else { Opening::No }
    }

    /// Makes the calls of a span. What may be something else and has none is said as before.
    fn settle(&mut self, form: Form, span: &str, words: &mut String) {
        let calls = match form {
            Form::Action => action_calls(span, &self.tools),
            Form::Tag(place) => self.tools.get(place).map(|tool| tag_calls(span, tool)).unwrap_or_default(),
            Form::Marked(_) | Form::Fenced | Form::Json | Form::Function => calls_in(span, &self.tools),
        };
        if calls.is_empty() && matches!(form, Form::Fenced | Form::Json | Form::Function | Form::Tag(_)) {
            words.push_str(span);
        }
        for (name, arguments) in calls {
            tracing::debug!(tool = name, "a model has written a tool call into its words");
            self.add(&name, &arguments);
        }
    }

    /// Where a call ends, counted from behind its opening.
    fn end_of(&self, form: Form, body: &str) -> Option<usize> {
        match form {
            Form::Marked("") | Form::Action => None,
            Form::Marked(close) => behind_end(body, close),
            Form::Tag(place) => {
                let end = tag_end(body, &self.tools.get(place)?.name)?;
                Some(end.unwrap_or_else(|words| words))
            }
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
}

#[cfg(test)]
mod tests;
