//! Takes a model's thoughts out of its words, as they stream in: tags around them, a closing tag alone, and the channel marks
//! of models whose server does not read them. Marks may be cut anywhere.

mod labels;
mod marks;

pub(crate) use labels::LabelledThoughts;
use marks::{Mark, find_end, next_mark};

/// Where a server has dropped the channel marks themselves, their names are left: before thoughts that begin with a
/// capital letter, and before the answer.
const BARE_CHANNEL: &str = "analysis";
const BARE_CHANNELS: [&str; 2] = ["assistantanalysis", "assistantcommentary"];
const BARE_ANSWER: &str = "assistantfinal";
/// Who a message is for, if it is a call.
const RECIPIENT: &str = "to=";
/// Bytes of the arguments of a call.
const CALL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the name of a channel.
const HEADER_BYTES_MAX: usize = 300;

/// How the answers of a model begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerStart {
    /// With words, or with a mark.
    #[default]
    Marked,
    /// With thoughts that only a closing tag ends: its chat template has the opening one.
    InThoughts,
}

impl AnswerStart {
    /// What the name of a model says: these templates open the thoughts themselves.
    pub fn of_model(model: &str) -> Self {
        let model = model.to_lowercase();
        let begins = ["qwq", "deepseek-r1", "r1-distill", "-thinking"].iter().any(|name| model.contains(name));
        if begins { Self::InThoughts } else { Self::Marked }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was read yet.
    Start,
    /// What comes is kept until it is known whether it is thoughts.
    Held,
    Answer,
    /// Between tags.
    Thoughts,
    /// In thoughts that only this text ends.
    Until(&'static str),
    /// Behind a closing tag that may be one of several: what comes is kept until the next one, or the end.
    Nested,
    /// In the arguments of a call.
    Call,
    /// In a channel that is not for the caller.
    OtherChannel,
    /// After a channel name without marks.
    BareChannel,
    /// In the name of a channel or a role.
    Header,
}

/// What is left of a piece of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpokenPart {
    /// Everything that was passed on before was thoughts.
    pub is_retraction: bool,
    /// Words for the caller; may be empty.
    pub text: String,
}

/// Filters the words of one answer.
#[derive(Debug)]
pub struct ThoughtFilter {
    state: State,
    /// Not looked at to its end: a mark may begin in it.
    pending: String,
    /// Text that may be thoughts, or the name of a channel.
    kept: String,
    has_spoken: bool,
    /// What was passed on last ends with white space.
    ends_with_space: bool,
    /// White space after thoughts belongs to them.
    trims: bool,
    lone_close: bool,
    held: bool,
    /// Between tags whose name is a word too.
    is_in_first: bool,
    /// Opening tags within thoughts that no closing one has ended.
    nested: usize,
    /// Who the message in this channel is for.
    recipient: String,
    calls: Vec<(String, String)>,
}

impl ThoughtFilter {
    /// A filter for an answer that begins in this way.
    pub fn new(start: AnswerStart) -> Self {
        let held = start == AnswerStart::InThoughts;
        Self {
            state: if held { State::Held } else { State::Start },
            pending: String::new(),
            kept: String::new(),
            has_spoken: false,
            ends_with_space: true,
            trims: true,
            lone_close: false,
            held,
            is_in_first: false,
            nested: 0,
            recipient: String::new(),
            calls: Vec::new(),
        }
    }

    /// How this model's answers begin, as far as this one shows it.
    pub fn observed_start(&self) -> Option<AnswerStart> {
        match (self.lone_close, self.held) {
            (true, _) => Some(AnswerStart::InThoughts),
            (false, true) => Some(AnswerStart::Marked),
            (false, false) => None,
        }
    }

    /// Takes a piece of the model's text.
    pub fn push(&mut self, piece: &str) -> SpokenPart {
        self.pending.push_str(piece);
        let mut part = SpokenPart::default();
        while self.step(&mut part) {}
        self.has_spoken |= !part.text.is_empty();
        self.ends_with_space = part.text.chars().next_back().map_or(self.ends_with_space, char::is_whitespace);
        part
    }

    /// Calls of tools that were written into a channel of their own: names and arguments.
    pub fn take_calls(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.calls)
    }

    /// What is left when the answer is over.
    pub fn finish(&mut self) -> String {
        let mut part = SpokenPart::default();
        match self.state {
            State::Start | State::Answer => {
                let rest = std::mem::take(&mut self.pending);
                self.speak(&rest, &mut part);
            }
            // No closing tag came: these were words.
            State::Held | State::Nested => {
                let rest = std::mem::take(&mut self.kept) + &std::mem::take(&mut self.pending);
                self.speak(&rest, &mut part);
            }
            State::Thoughts => {
                let rest = std::mem::take(&mut self.kept);
                self.speak(&rest, &mut part);
            }
            State::Call => self.end_call(),
            State::BareChannel => self.end_bare_call(),
            // The words of an answer whose header has no end.
            State::Header => {
                let header = std::mem::take(&mut self.kept);
                let words = header.trim_start().strip_prefix("assistant").or(header.trim_start().strip_prefix("final"));
                let words = words.filter(|words| words.starts_with(char::is_whitespace) && !words.contains(RECIPIENT));
                self.speak(words.unwrap_or_default(), &mut part);
            }
            State::OtherChannel | State::Until(_) => {}
        }
        self.pending.clear();
        part.text
    }

    /// Looks at the pending text up to the next mark; false when more is needed.
    fn step(&mut self, part: &mut SpokenPart) -> bool {
        if self.state == State::Start && !self.decide_start() {
            return false;
        }
        if self.state == State::BareChannel {
            return self.end_bare_channel();
        }
        if let State::Until(end) = self.state {
            return self.end_frame(end);
        }
        let (end, mark) = next_mark(&self.pending);
        let text: String = self.pending.drain(..end).collect();
        self.take_text(&text, part);
        let Some((length, mark)) = mark else { return false };
        let written: String = self.pending.drain(..length).collect();
        let is_first = !self.has_spoken && part.text.is_empty() && self.state != State::Thoughts;
        match mark {
            Mark::OpenFirst if is_first => {
                self.is_in_first = true;
                self.take_mark(Mark::Open, part);
            }
            Mark::CloseFirst if self.is_in_first => {
                self.is_in_first = false;
                self.take_mark(Mark::Close, part);
            }
            Mark::OpenFirst | Mark::CloseFirst => self.take_text(&written, part),
            _ => self.take_mark(mark, part),
        }
        true
    }

    /// Drops what comes up to the end of a frame.
    fn end_frame(&mut self, end: &str) -> bool {
        let at = find_end(&self.pending, end);
        let dropped = at.map_or_else(|open| open, |at| at + end.len());
        self.pending.drain(..dropped);
        if at.is_ok() {
            self.state = self.begin_answer();
        }
        at.is_ok()
    }

    /// The first characters show whether a channel without marks begins; false if there are too few.
    fn decide_start(&mut self) -> bool {
        let text = self.pending.trim_start();
        let is_open = |name: &&str| text.len() <= name.len() && name.starts_with(text);
        if text.is_empty() || is_open(&BARE_CHANNEL) || is_open(&BARE_ANSWER) || BARE_CHANNELS.iter().any(is_open) {
            return false;
        }
        let after = text.strip_prefix(BARE_CHANNEL).and_then(|rest| rest.chars().next());
        self.state = if text.starts_with(BARE_ANSWER) {
            self.pending = text.get(BARE_ANSWER.len()..).unwrap_or_default().to_owned();
            State::Answer
        } else if after.is_some_and(char::is_uppercase) || BARE_CHANNELS.iter().any(|name| text.starts_with(name)) {
            State::BareChannel
        } else {
            State::Answer
        };
        true
    }

    fn end_bare_channel(&mut self) -> bool {
        let Some(at) = self.pending.find(BARE_ANSWER) else {
            let passed = self.pending.ceil_char_boundary(self.pending.len().saturating_sub(BARE_ANSWER.len()));
            let passed: String = self.pending.drain(..passed).collect();
            if self.kept.len() + passed.len() <= CALL_BYTES_MAX {
                self.kept.push_str(&passed);
            }
            return false;
        };
        self.pending.drain(..at + BARE_ANSWER.len());
        self.kept.clear();
        self.state = State::Answer;
        true
    }

    /// "assistantcommentary to=functions.find json{…}": a call whose marks were dropped.
    fn end_bare_call(&mut self) {
        let text = std::mem::take(&mut self.kept) + &std::mem::take(&mut self.pending);
        let Some((_, call)) = text.rsplit_once(RECIPIENT) else { return };
        let Some((name, _)) = call.split_once(char::is_whitespace) else { return };
        if let Some(at) = call.find('{') {
            self.calls.push((name.to_owned(), call.get(at..).unwrap_or_default().trim().to_owned()));
        }
    }

    /// Notes who the message is for that this header stands before.
    fn read_header(&mut self) -> String {
        let header = std::mem::take(&mut self.kept);
        if let Some((_, recipient)) = header.split_once(RECIPIENT) {
            let end = recipient.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(recipient.len());
            self.recipient = recipient.get(..end).unwrap_or_default().to_owned();
        }
        header
    }

    fn end_call(&mut self) {
        let arguments = std::mem::take(&mut self.kept);
        self.calls.push((std::mem::take(&mut self.recipient), arguments.trim().to_owned()));
    }

    fn take_text(&mut self, text: &str, part: &mut SpokenPart) {
        match self.state {
            State::Answer => self.speak(text, part),
            State::Held | State::Nested => self.kept.push_str(text),
            State::Call if self.kept.len() + text.len() <= CALL_BYTES_MAX => self.kept.push_str(text),
            State::Header if self.kept.len() + text.len() <= HEADER_BYTES_MAX => self.kept.push_str(text),
            State::Start
            | State::Header
            | State::Thoughts
            | State::Until(_)
            | State::OtherChannel
            | State::BareChannel
            | State::Call => {}
        }
    }

    fn speak(&mut self, text: &str, part: &mut SpokenPart) {
        let text = if self.trims { text.trim_start() } else { text };
        if !text.is_empty() {
            let is_apart = part.text.chars().next_back().map_or(self.ends_with_space, char::is_whitespace);
            if self.trims && !is_apart {
                part.text.push(' ');
            }
            self.trims = false;
            part.text.push_str(text);
        }
    }

    fn take_mark(&mut self, mark: Mark, part: &mut SpokenPart) {
        self.state = match (self.state, mark) {
            (State::Thoughts | State::Nested, _) => self.take_mark_in_thoughts(mark),
            (State::Header, Mark::Message) => self.end_header(),
            (State::Header, Mark::Channel) => {
                self.read_header();
                State::Header
            }
            (State::Call, Mark::End | Mark::Role | Mark::Channel) => {
                self.end_call();
                if mark == Mark::End { self.begin_answer() } else { State::Header }
            }
            (State::Call, _) => State::Call,
            (State::OtherChannel, Mark::End) => self.begin_answer(),
            (_, Mark::Channel | Mark::Role) => {
                self.kept.clear();
                self.recipient.clear();
                State::Header
            }
            (State::Held, Mark::Close) => {
                self.lone_close = true;
                self.kept.clear();
                self.begin_answer()
            }
            (State::Held, Mark::Open) => {
                self.held = false;
                let before = std::mem::take(&mut self.kept);
                self.speak(&before, part);
                self.trims = true;
                State::Thoughts
            }
            (_, Mark::Open) => {
                self.trims = true;
                State::Thoughts
            }
            (State::Held, Mark::Until(end)) => {
                self.held = false;
                let before = std::mem::take(&mut self.kept);
                self.speak(&before, part);
                State::Until(end)
            }
            (State::Answer, Mark::Until(end)) => State::Until(end),
            (State::Answer, Mark::Close) => {
                self.retract(part);
                State::Answer
            }
            (state, _) => state,
        };
    }

    /// Thoughts end with the last of their closing tags: some models write tags within them.
    fn take_mark_in_thoughts(&mut self, mark: Mark) -> State {
        match (self.state, mark, self.nested.checked_sub(1)) {
            (_, Mark::Open, _) => {
                self.nested += 1;
                State::Thoughts
            }
            (state, Mark::Close, left) => {
                if state == State::Nested {
                    self.kept.clear();
                }
                self.nested = left.unwrap_or(0);
                if left.is_some() { State::Nested } else { self.begin_answer() }
            }
            (state, ..) => state,
        }
    }

    fn end_header(&mut self) -> State {
        let header = self.read_header();
        if !self.recipient.is_empty() {
            return State::Call;
        }
        let name = header.split_whitespace().next().unwrap_or_default();
        if matches!(name, "" | "final" | "assistant") { self.begin_answer() } else { State::OtherChannel }
    }

    /// Words for the caller follow.
    fn begin_answer(&mut self) -> State {
        self.trims = true;
        State::Answer
    }

    /// A closing tag without an opening one: what came before were thoughts.
    fn retract(&mut self, part: &mut SpokenPart) {
        self.trims = true;
        if self.has_spoken || !part.text.is_empty() {
            self.lone_close = true;
            part.is_retraction = true;
            part.text.clear();
            (self.has_spoken, self.ends_with_space) = (false, true);
        }
    }
}

/// A whole answer that should be JSON, from behind the last mark that an object follows. One that is JSON as it stands is left
/// alone.
pub fn without_thoughts(text: String) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
        return text;
    }
    let Some(last) = text.rfind('{') else { return text };
    let (mut from, mut start) = (0, 0);
    // Ends that do not come any more, so that many marks without one do not search the text again and again.
    let mut missing: Vec<&str> = Vec::new();
    while let (at, Some((length, mark))) = next_mark(&text[from..last]) {
        from += at + length;
        if let Mark::Until(end) = mark
            && !missing.contains(&end)
        {
            match find_end(&text[from..last], end) {
                Ok(at) => {
                    from += at + end.len();
                    start = from;
                }
                Err(_) => missing.push(end),
            }
        }
        if matches!(mark, Mark::Close | Mark::CloseFirst | Mark::Message) {
            start = from;
        }
    }
    text[start..].trim_start().to_owned()
}

#[cfg(test)]
mod tests;
