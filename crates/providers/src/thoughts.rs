//! Takes a model's thoughts out of its words, as they stream in: tags around them, a closing tag alone, and the channel marks
//! of models whose server does not read them. Marks may be cut anywhere.

/// What a mark in the text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Thoughts begin.
    Open,
    /// Thoughts end. Without a beginning, everything before was thoughts.
    Close,
    /// The name of a channel follows.
    Channel,
    /// A role follows.
    Role,
    /// The words of the channel that was named follow.
    Message,
    /// The words of a channel end.
    End,
    /// Says nothing to a caller.
    Noise,
}

/// In small letters; they are found in any case.
const MARKS: [(&str, Mark); 32] = [
    ("<think>", Mark::Open),
    ("</think>", Mark::Close),
    ("<thinking>", Mark::Open),
    ("</thinking>", Mark::Close),
    ("<thought>", Mark::Open),
    ("</thought>", Mark::Close),
    ("<thoughts>", Mark::Open),
    ("</thoughts>", Mark::Close),
    ("<reasoning>", Mark::Open),
    ("</reasoning>", Mark::Close),
    ("<seed:think>", Mark::Open),
    ("</seed:think>", Mark::Close),
    ("[think]", Mark::Open),
    ("[/think]", Mark::Close),
    ("◁think▷", Mark::Open),
    ("◁/think▷", Mark::Close),
    ("<|begin_of_thought|>", Mark::Open),
    ("<|end_of_thought|>", Mark::Close),
    ("<|begin_of_solution|>", Mark::Noise),
    ("<|end_of_solution|>", Mark::Noise),
    ("<|channel>", Mark::Open),
    ("<channel|>", Mark::Close),
    ("<|channel|>", Mark::Channel),
    ("<|start|>", Mark::Role),
    ("<|message|>", Mark::Message),
    ("<|end|>", Mark::End),
    ("<|return|>", Mark::End),
    ("<|call|>", Mark::End),
    ("<|im_end|>", Mark::Noise),
    ("<|eot_id|>", Mark::Noise),
    ("<|endoftext|>", Mark::Noise),
    ("<end_of_turn>", Mark::Noise),
];
/// First characters of the marks.
const MARK_STARTS: [char; 3] = ['<', '[', '◁'];
/// Where a server has dropped the channel marks themselves, their names are left: before thoughts that begin with a
/// capital letter, and before the answer.
const BARE_CHANNEL: &str = "analysis";
const BARE_ANSWER: &str = "assistantfinal";
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

    /// What is left when the answer is over.
    pub fn finish(&mut self) -> String {
        let mut part = SpokenPart::default();
        match self.state {
            State::Start | State::Answer => {
                let rest = std::mem::take(&mut self.pending);
                self.speak(&rest, &mut part);
            }
            // No closing tag came: these were words.
            State::Held => {
                let rest = std::mem::take(&mut self.kept) + &std::mem::take(&mut self.pending);
                self.speak(&rest, &mut part);
            }
            State::Thoughts | State::OtherChannel | State::BareChannel | State::Header => self.pending.clear(),
        }
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
        let (end, mark) = next_mark(&self.pending);
        let text: String = self.pending.drain(..end).collect();
        self.take_text(&text, part);
        let Some((length, mark)) = mark else { return false };
        self.pending.drain(..length);
        self.take_mark(mark, part);
        true
    }

    /// The first characters show whether a channel without marks begins; false if there are too few.
    fn decide_start(&mut self) -> bool {
        let text = self.pending.trim_start();
        if text.is_empty() || (text.len() <= BARE_CHANNEL.len() && BARE_CHANNEL.starts_with(text)) {
            return false;
        }
        let after = text.strip_prefix(BARE_CHANNEL).and_then(|rest| rest.chars().next());
        self.state = if after.is_some_and(char::is_uppercase) { State::BareChannel } else { State::Answer };
        true
    }

    fn end_bare_channel(&mut self) -> bool {
        let Some(at) = self.pending.find(BARE_ANSWER) else {
            let keep = self.pending.ceil_char_boundary(self.pending.len().saturating_sub(BARE_ANSWER.len()));
            self.pending.drain(..keep);
            return false;
        };
        self.pending.drain(..at + BARE_ANSWER.len());
        self.state = State::Answer;
        true
    }

    fn take_text(&mut self, text: &str, part: &mut SpokenPart) {
        match self.state {
            State::Answer => self.speak(text, part),
            State::Held => self.kept.push_str(text),
            State::Header if self.kept.len() + text.len() <= HEADER_BYTES_MAX => self.kept.push_str(text),
            State::Start | State::Header | State::Thoughts | State::OtherChannel | State::BareChannel => {}
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
            (State::Thoughts, Mark::Close) => self.begin_answer(),
            (State::Thoughts, _) => State::Thoughts,
            (State::Header, Mark::Message) => {
                let header = std::mem::take(&mut self.kept);
                let name = header.split_whitespace().next().unwrap_or_default();
                if matches!(name, "" | "final" | "assistant") { self.begin_answer() } else { State::OtherChannel }
            }
            (State::OtherChannel, Mark::End) => self.begin_answer(),
            (_, Mark::Channel | Mark::Role) => {
                self.kept.clear();
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
            (State::Answer, Mark::Close) => {
                self.retract(part);
                State::Answer
            }
            (state, _) => state,
        };
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

/// Where the first mark is, or where one may begin; its length in bytes and its meaning if it is whole.
fn next_mark(text: &str) -> (usize, Option<(usize, Mark)>) {
    for (at, _) in text.char_indices().filter(|(_, c)| MARK_STARTS.contains(c)) {
        let rest = &text[at..];
        if let Some((name, mark)) = MARKS.iter().find(|(name, _)| begins_with(rest, name)) {
            return (at, Some((name.len(), *mark)));
        }
        if MARKS.iter().any(|(name, _)| begins_with(name, rest)) {
            return (at, None);
        }
    }
    (text.len(), None)
}

/// Without regard to case.
fn begins_with(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// A whole answer that should be JSON, from behind the last mark that an object follows. One that is JSON as it stands is left
/// alone.
pub fn without_thoughts(text: String) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
        return text;
    }
    let Some(last) = text.rfind('{') else { return text };
    let (mut from, mut start) = (0, 0);
    while let (at, Some((length, mark))) = next_mark(&text[from..last]) {
        from += at + length;
        if matches!(mark, Mark::Close | Mark::Message) {
            start = from;
        }
    }
    text[start..].trim_start().to_owned()
}

#[cfg(test)]
mod tests;
