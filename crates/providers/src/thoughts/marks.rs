//! Marks around thoughts and answers: tags, with whatever attributes, and channel marks. They may be cut anywhere.

/// What a mark in the text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
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
const MARKS: [(&str, Mark); 22] = [
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
    ("<|start_header_id|>", Mark::Role),
    ("<|end_header_id|>", Mark::Message),
    ("<|message|>", Mark::Message),
    ("<|end|>", Mark::End),
    ("<|return|>", Mark::End),
    ("<|call|>", Mark::End),
    ("<|im_end|>", Mark::Noise),
    ("<|eot_id|>", Mark::Noise),
    ("<|endoftext|>", Mark::Noise),
    ("<end_of_turn>", Mark::Noise),
];
/// Names of tags around thoughts, with whatever attributes and blanks.
pub(super) const THOUGHT_TAGS: [&str; 13] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reason",
    "seed:think",
    "analysis",
    "scratchpad",
    "reflection",
    "inner_monologue",
    "internal_thoughts",
    "chain_of_thought",
];
/// Tags around answers.
const ANSWER_TAGS: [&str; 2] = ["answer", "final_answer"];
/// Bytes of a tag with its attributes.
const TAG_BYTES_MAX: usize = 200;
/// First characters of the marks.
const MARK_STARTS: [char; 3] = ['<', '[', '◁'];
/// Where the first mark is, or where one may begin; its length in bytes and its meaning if it is whole.
pub(super) fn next_mark(text: &str) -> (usize, Option<(usize, Mark)>) {
    for (at, _) in text.char_indices().filter(|(_, c)| MARK_STARTS.contains(c)) {
        let rest = &text[at..];
        if let Some((name, mark)) = MARKS.iter().find(|(name, _)| begins_with(rest, name)) {
            return (at, Some((name.len(), *mark)));
        }
        match tag_at(rest) {
            Tag::Whole(length, mark) => return (at, Some((length, mark))),
            Tag::Open => return (at, None),
            Tag::No => {}
        }
        if MARKS.iter().any(|(name, _)| begins_with(name, rest)) {
            return (at, None);
        }
    }
    (text.len(), None)
}

/// Whether a tag begins here.
enum Tag {
    No,
    /// Its end has not come.
    Open,
    Whole(usize, Mark),
}

/// Reads `<think type="x">`, `</think >` and their like.
fn tag_at(text: &str) -> Tag {
    let Some(inner) = text.strip_prefix('<') else { return Tag::No };
    let close = inner.strip_prefix('/').map(str::trim_start);
    let named = close.unwrap_or(inner);
    let mut names = THOUGHT_TAGS.iter().map(|name| (*name, true)).chain(ANSWER_TAGS.iter().map(|name| (*name, false)));
    let mut is_open = close.is_some() && named.is_empty();
    let found = names.find_map(|(name, is_thought)| {
        is_open |= begins_with(name, named);
        let rest = named.get(name.len()..).filter(|_| begins_with(named, name))?;
        match tag_end(rest) {
            Tag::Whole(length, mark) => Some((text.len() - rest.len() + length, is_thought && mark == Mark::Open)),
            Tag::Open => {
                is_open = true;
                None
            }
            Tag::No => None,
        }
    });
    match (found, close) {
        (Some((length, true)), None) => Tag::Whole(length, Mark::Open),
        (Some((length, true)), Some(_)) => Tag::Whole(length, Mark::Close),
        (Some((length, false)), _) => Tag::Whole(length, Mark::Noise),
        (None, _) if is_open && text.len() <= TAG_BYTES_MAX => Tag::Open,
        (None, _) => Tag::No,
    }
}

/// The end of a tag behind its name, and whether the tag stands alone, which is noise.
fn tag_end(text: &str) -> Tag {
    let mut rest = text;
    loop {
        let inner = rest.trim_start();
        let is_apart = inner.len() < rest.len();
        if inner.is_empty() || inner == "/" {
            return Tag::Open;
        }
        for (end, mark) in [(">", Mark::Open), ("/>", Mark::Noise)] {
            if inner.starts_with(end) {
                return Tag::Whole(text.len() - inner.len() + end.len(), mark);
            }
        }
        let name = inner.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | ':'))).unwrap_or(inner.len());
        if name == 0 || !is_apart {
            return Tag::No;
        }
        let behind = inner.get(name..).unwrap_or_default().trim_start();
        if behind.is_empty() {
            return Tag::Open;
        }
        let Some(value) = behind.strip_prefix('=').map(str::trim_start) else { return Tag::No };
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let end = match quote {
            Some(quote) => value.get(1..).and_then(|value| value.find(quote)).map(|at| at + 2),
            None => value.find(|c: char| c.is_whitespace() || c == '>'),
        };
        match end.and_then(|end| value.get(end..)) {
            Some(behind) => rest = behind,
            None => return Tag::Open,
        }
    }
}

/// Without regard to case.
fn begins_with(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}
