//! Thoughts under a label, as models write them that have been told to think aloud: "**Thinking:** … **Answer:** …", or
//! "Thought: … Action: find_order …" of older prompts.

/// Labels of thoughts that nobody says on the phone, with or without marks around them.
const THOUGHTS: [&str; 6] = ["thinking", "thought", "thoughts", "reasoning", "thought process", "chain of thought"];
/// Labels of thoughts that are words too: only with marks around them.
const MARKED_THOUGHTS: [&str; 20] = [
    "analysis",
    "my thoughts",
    "my reasoning",
    "internal thoughts",
    "internal monologue",
    "inner monologue",
    "denken",
    "gedachte",
    "gedachten",
    "redenering",
    "gedanken",
    "überlegung",
    "überlegungen",
    "réflexion",
    "raisonnement",
    "razonamiento",
    "pensamiento",
    "ragionamento",
    "pensiero",
    "raciocínio",
];
/// Labels of answers.
const ANSWERS: [&str; 13] = [
    "final answer",
    "final response",
    "spoken response",
    "answer",
    "response",
    "reply",
    "antwoord",
    "antwort",
    "réponse",
    "respuesta",
    "risposta",
    "resposta",
    "final",
];
/// Bytes of a label with its marks.
const LABEL_BYTES_MAX: usize = 48;
/// Bytes of thoughts that are kept until their end is known.
const THOUGHTS_BYTES_MAX: usize = 64 * 1024;
/// A call of a tool in thoughts.
const ACTION: &str = "Action:";
const ACTION_INPUT: &str = "Action Input:";
/// What the tool would have answered, as a model that does not wait makes it up.
const OBSERVATION: &str = "\nObservation";

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A label may begin.
    Start,
    Thoughts,
    /// Behind the label of the answer, whose marks may go on.
    AnswerMarks,
    /// Only white space came behind them.
    AnswerStart,
    Words,
}

/// A label at the beginning of a text.
enum Label {
    No,
    /// More is needed.
    Unknown,
    /// Its length in bytes.
    Thoughts(usize),
    Answer(usize),
}

/// Takes thoughts under a label out of the words of one answer.
#[derive(Debug)]
pub(crate) struct LabelledThoughts {
    state: State,
    pending: String,
    call: Option<(String, String)>,
}

impl LabelledThoughts {
    /// A filter for the beginning of an answer.
    pub(crate) fn new() -> Self {
        Self { state: State::Start, pending: String::new(), call: None }
    }

    /// Takes a piece of text; returns the words in it.
    pub(crate) fn push(&mut self, piece: &str) -> String {
        if self.state == State::Words {
            return piece.to_owned();
        }
        self.pending.push_str(piece);
        if self.state == State::Start {
            match label_at(&self.pending) {
                Label::Unknown => return String::new(),
                Label::No => self.state = State::Words,
                Label::Thoughts(length) => self.begin(length, State::Thoughts),
                Label::Answer(length) => self.begin(length, State::AnswerMarks),
            }
        }
        if self.state == State::Thoughts {
            match answer_in(&self.pending) {
                Some(end) => self.begin(end, State::AnswerMarks),
                None => {
                    if self.pending.len() > THOUGHTS_BYTES_MAX {
                        self.pending.clear();
                    }
                    return String::new();
                }
            }
        }
        self.words_behind_label()
    }

    /// What is left when the answer is over. Under a label without an answer, the first paragraph was thoughts; a single one was
    /// words.
    pub(crate) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        let state = std::mem::replace(&mut self.state, State::Words);
        if state != State::Thoughts {
            return rest;
        }
        self.call = action_in(&rest);
        let behind = rest.trim_start().split_once("\n\n").map(|(_, behind)| behind.trim()).unwrap_or_default();
        match (&self.call, behind) {
            (Some(_), _) => String::new(),
            (None, "") => rest.trim_start().to_owned(),
            (None, behind) => behind.to_owned(),
        }
    }

    /// All that came so far was no answer.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }

    /// A call of a tool that stood in the thoughts: its name and arguments.
    pub(crate) fn take_call(&mut self) -> Option<(String, String)> {
        self.call.take()
    }

    fn begin(&mut self, length: usize, state: State) {
        self.pending.drain(..length);
        self.state = state;
    }

    /// The rest of the marks of a label and the white space behind it belong to it.
    fn words_behind_label(&mut self) -> String {
        let mut text = std::mem::take(&mut self.pending);
        if self.state == State::AnswerMarks {
            text = text.trim_start_matches(is_mark).to_owned();
            if !text.is_empty() {
                self.state = State::AnswerStart;
            }
        }
        if self.state == State::AnswerStart {
            text = text.trim_start().to_owned();
            if !text.is_empty() {
                self.state = State::Words;
            }
        }
        text
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '*' | '_')
}

/// What a text begins with. A label of an answer alone has marks, or says that it is the final one.
fn label_at(text: &str) -> Label {
    let body = text.trim_start();
    let marks = body.len() - body.trim_start_matches(|c: char| is_mark(c) || c == '#' || c == ' ').len();
    if body.is_empty() || marks == body.len() {
        return if text.len() <= LABEL_BYTES_MAX { Label::Unknown } else { Label::No };
    }
    let is_marked = marks > 0;
    let name = &body[marks..];
    let before = text.len() - name.len();
    let thoughts = THOUGHTS.iter().chain(MARKED_THOUGHTS.iter().filter(|_| is_marked));
    let answers = ANSWERS.iter().filter(|name| is_marked || name.starts_with("final "));
    let (mut found, mut is_unknown) = (Label::No, false);
    for (label, is_thought) in thoughts.map(|name| (name, true)).chain(answers.map(|name| (name, false))) {
        match end_of_label(name, label, is_marked) {
            Some(Some(end)) if is_thought => found = Label::Thoughts(before + end),
            Some(Some(end)) => found = Label::Answer(before + end),
            Some(None) => is_unknown = true,
            None => {}
        }
    }
    match found {
        Label::No if is_unknown && text.len() <= LABEL_BYTES_MAX => Label::Unknown,
        found => found,
    }
}

/// The end of a label behind its colon: `None` if it is another word, `Some(None)` if more is needed. A heading needs no
/// colon.
fn end_of_label(text: &str, label: &str, is_marked: bool) -> Option<Option<usize>> {
    let mut rest = text;
    for wanted in label.chars() {
        let Some(c) = rest.chars().next() else { return Some(None) };
        if !c.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
        rest = &rest[c.len_utf8()..];
    }
    let behind = rest.trim_start_matches(|c: char| is_mark(c) || matches!(c, ' ' | '\u{a0}' | '\u{202f}'));
    let length = text.len() - behind.len();
    match behind.chars().next() {
        None => Some(None),
        Some(':') => Some(Some(length + 1)),
        Some('\n') if is_marked => Some(Some(length + 1)),
        Some(_) => None,
    }
}

/// Behind the label of the answer in thoughts: with marks, or with a capital behind white space.
fn answer_in(text: &str) -> Option<usize> {
    let starts = text.char_indices().filter(|(at, c)| {
        let before = text[..*at].chars().next_back();
        let is_marked = before.is_some_and(|c| is_mark(c) || c == '#');
        c.is_alphabetic() && (is_marked || c.is_uppercase() && before.is_none_or(char::is_whitespace))
    });
    for (at, _) in starts {
        let head = text[..at].trim_end_matches(' ');
        let is_marked = head.ends_with(|c: char| is_mark(c) || c == '#');
        let end = ANSWERS.iter().find_map(|label| end_of_label(&text[at..], label, is_marked).flatten());
        if let Some(end) = end {
            return Some(at + end);
        }
    }
    None
}

/// "Action: find_order", and its input as JSON or in words.
fn action_in(thoughts: &str) -> Option<(String, String)> {
    let thoughts = thoughts.split_once(OBSERVATION).map_or(thoughts, |(before, _)| before);
    let (_, behind) = thoughts.rsplit_once(ACTION)?;
    let (name, input) = behind.split_once(ACTION_INPUT).unwrap_or((behind, "{}"));
    let name = name.trim().lines().next().unwrap_or_default().trim_matches(|c: char| !c.is_alphanumeric() && c != '_');
    if name.is_empty() {
        return None;
    }
    let Some(at) = input.find('{') else { return Some((name.to_owned(), input.trim().to_owned())) };
    let input = input.get(at..)?;
    let mut values = serde_json::Deserializer::from_str(input).into_iter::<serde::de::IgnoredAny>();
    let is_whole = matches!(values.next(), Some(Ok(_)));
    let end = values.byte_offset();
    is_whole.then(|| (name.to_owned(), input.get(..end).unwrap_or("{}").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, size: usize) -> (String, Option<(String, String)>) {
        let mut filter = LabelledThoughts::new();
        let chars: Vec<char> = text.chars().collect();
        let mut said: String = chars.chunks(size).map(|piece| filter.push(&piece.iter().collect::<String>())).collect();
        said.push_str(&filter.finish());
        (said, filter.take_call())
    }

    #[test]
    fn thoughts_under_a_label_are_not_heard() {
        for text in [
            "**Thinking:** The caller wants an order.\n\n**Answer:** It is here.",
            "**Thinking**: The caller wants an order. **Answer**: It is here.",
            "  **Thought process:**\nHm: an answer: 7.\n\n**Final Answer:**\n\nIt is here.",
            "### Reasoning\nThe caller wants an order.\n\n### Response\nIt is here.",
            "Thought: I know it.\nFinal Answer: It is here.",
            "Thinking: I know it. Answer: It is here.",
            "_Thinking:_ I know it.\n_Answer:_ It is here.",
            "**Überlegung:** Der Anrufer fragt.\n**Antwort:** It is here.",
            "**Réflexion :** il demande.\n**Réponse :** It is here.",
            "**Gedachte:** hij vraagt.\n**Antwoord:** It is here.",
            "**Thinking:** The caller wants an order.\n\nIt is here.",
            "**Answer:** It is here.",
            "Final answer: It is here.",
        ] {
            for size in [1, 2, 3, 7, 1_000] {
                assert_eq!(heard(text, size), ("It is here.".to_owned(), None), "{text:?} in {size}");
            }
        }
    }

    #[test]
    fn words_are_left_alone() {
        for text in [
            "Thinking of you.",
            "Thoughts are free.",
            "Answer: seven.",
            "**Bold** words.",
            "The answer: seven.",
            "Final words.",
            "# 1 is ready.",
            "Reasoning",
            "Analysis: it is broken.",
            "**",
            "Gedanken: frei.",
        ] {
            for size in [1, 3, 1_000] {
                assert_eq!(heard(text, size), (text.to_owned(), None), "{text:?} in {size}");
            }
        }
        let mut filter = LabelledThoughts::new();
        assert_eq!(filter.push("Th") + &filter.push("ank you"), "Thank you", "nothing waits for long");
        assert_eq!(heard("Thinking: about it takes time.", 3).0, "about it takes time.", "words without an answer");
    }

    #[test]
    fn an_action_under_thoughts_is_a_call() {
        let text = "Thought: I look.\nAction: find_order\nAction Input: {\"number\": \"12\"}\nObservation:";
        for size in [1, 5, 1_000] {
            let call = ("find_order".to_owned(), "{\"number\": \"12\"}".to_owned());
            assert_eq!(heard(text, size), (String::new(), Some(call)));
        }
        assert_eq!(heard("Thought: I look.\nAction: none", 3).1, Some(("none".into(), "{}".into())));
        assert_eq!(heard("Thought: I look.\nAction: find\nAction Input: {\"a", 3).1, None);
        assert_eq!(
            heard("Thought: I look.\nAction: find\nAction Input: 12\n", 3).1,
            Some(("find".into(), "12".into()))
        );
        let made_up = "Thought: a.\nAction: find\nAction Input: {}\nObservation: 7\nThought: b.\nAction: book";
        assert_eq!(heard(made_up, 3).1, Some(("find".into(), "{}".into())));
    }

    #[test]
    fn a_withdrawn_beginning_is_forgotten_and_endless_thoughts_are_bounded() {
        let mut filter = LabelledThoughts::new();
        filter.push("**Thinking:** hm");
        filter.clear();
        assert_eq!(filter.push("Yes. "), "Yes. ");
        let mut filter = LabelledThoughts::new();
        filter.push("**Thinking:** ");
        for _ in 0..100 {
            filter.push(&"word ".repeat(1_000));
        }
        assert!(filter.pending.len() <= THOUGHTS_BYTES_MAX);
    }
}
