//! Marks around thoughts and answers: tags, with whatever attributes, and channel marks. They may be cut anywhere.

/// What a mark in the text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Thoughts begin.
    Open,
    /// Thoughts begin, if nothing was said before: elsewhere it is a word in angle brackets.
    OpenFirst,
    /// Thoughts begin that only this text ends, which means nothing else anywhere.
    Until(&'static str),
    /// Thoughts end. Without a beginning, everything before was thoughts.
    Close,
    /// The end of `OpenFirst`; says nothing without it.
    CloseFirst,
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
    ("[think]", Mark::Open),
    ("[/think]", Mark::Close),
    ("◁think▷", Mark::Open),
    ("◁/think▷", Mark::Close),
    ("<|begin_of_thought|>", Mark::Open),
    ("<|end_of_thought|>", Mark::Close),
    ("<|begin_of_solution|>", Mark::Noise),
    ("<|end_of_solution|>", Mark::Noise),
    // Cohere.
    ("<|start_thinking|>", Mark::Open),
    ("<|end_thinking|>", Mark::Close),
    ("<|start_response|>", Mark::Noise),
    ("<|end_response|>", Mark::Noise),
    ("<|start_text|>", Mark::Noise),
    ("<|end_text|>", Mark::Noise),
    // Gemma, EXAONE.
    ("<unused94>", Mark::Open),
    ("<unused95>", Mark::Close),
    ("[|thought|]", Mark::Open),
    ("[|endofthought|]", Mark::Close),
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
/// Frames whose end is a text that means something else elsewhere. Labels within brackets have a blank behind them: behind
/// the bracket's end they are `labels`.
const FRAMES: [(&str, &str); 14] = [
    ("```thinking", "```"),
    ("```thought", "```"),
    ("```thoughts", "```"),
    ("```think", "```"),
    ("```reasoning", "```"),
    ("*thinks: ", "*"),
    ("*thinking: ", "*"),
    ("*thought: ", "*"),
    ("(thinks: ", ")"),
    ("(thinking: ", ")"),
    ("(thought: ", ")"),
    ("[thinks: ", "]"),
    ("[thinking: ", "]"),
    ("[thought: ", "]"),
];
/// Names of tags around thoughts, with whatever attributes and blanks.
pub(super) const THOUGHT_TAGS: [&str; 17] = [
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
    "internal_monologue",
    "internal_thoughts",
    "inner_thoughts",
    "thought_process",
    "chain_of_thought",
    "antthinking",
];
/// Names that are words too: tags around thoughts only where an answer begins.
pub(super) const FIRST_TAGS: [&str; 5] = ["plan", "planning", "internal", "monologue", "deliberation"];
/// Open WebUI shows thoughts as a part of the page that can be opened.
const DETAILS: (&str, &str) = ("<details", "</details>");
const OF_THOUGHTS: [&str; 3] = ["reasoning", "thinking", "thought"];
/// Tags around answers.
const ANSWER_TAGS: [&str; 2] = ["answer", "final_answer"];
/// Bytes of a tag with its attributes.
const TAG_BYTES_MAX: usize = 200;
/// First characters of the marks.
const MARK_STARTS: [char; 6] = ['<', '[', '◁', '`', '*', '('];
/// Where the first mark is, or where one may begin; its length in bytes and its meaning if it is whole.
pub(super) fn next_mark(text: &str) -> (usize, Option<(usize, Mark)>) {
    for (at, _) in text.char_indices().filter(|(_, c)| MARK_STARTS.contains(c)) {
        let rest = &text[at..];
        if let Some((name, mark)) = MARKS.iter().find(|(name, _)| begins_with(rest, name)) {
            return (at, Some((name.len(), *mark)));
        }
        if let Some(found) = frame_at(rest) {
            return (at, found);
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

/// A frame that begins here: `Some(None)` if it may.
fn frame_at(text: &str) -> Option<Option<(usize, Mark)>> {
    let whole = |(open, close): &(&'static str, &'static str)| {
        let behind = text.get(open.len()..).filter(|_| begins_with(text, open))?;
        // Of a code block, the whole first line is its name.
        match behind.chars().next() {
            Some(c) if open.ends_with(' ') || !(c.is_alphanumeric() || c == '_') => {
                Some(Some((open.len(), Mark::Until(close))))
            }
            None if open.ends_with(' ') => Some(Some((open.len(), Mark::Until(close)))),
            None => Some(None),
            Some(_) => None,
        }
    };
    if let Some(found) = FRAMES.iter().find_map(whole) {
        return Some(found);
    }
    let (open, close) = DETAILS;
    if begins_with(text, open) {
        let Some(end) = text.bytes().take(TAG_BYTES_MAX).position(|byte| byte == b'>') else {
            return (text.len() <= TAG_BYTES_MAX).then_some(None);
        };
        let head = text.get(..end).unwrap_or_default().to_lowercase();
        let is_of_thoughts = OF_THOUGHTS.iter().any(|kind| head.contains(kind));
        return is_of_thoughts.then_some(Some((end + 1, Mark::Until(close))));
    }
    let may_begin = FRAMES.iter().any(|(name, _)| begins_with(name, text)) || begins_with(open, text);
    may_begin.then_some(None)
}

/// Where a text without regard to case is, or may begin at the end.
pub(super) fn find_end(text: &str, end: &str) -> Result<usize, usize> {
    for (at, _) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        if begins_with(rest, end) {
            return Ok(at);
        }
        if rest.len() < end.len() && begins_with(end, rest) {
            return Err(at);
        }
    }
    Err(text.len())
}

/// Whether a tag begins here.
enum Tag {
    No,
    /// Its end has not come.
    Open,
    Whole(usize, Mark),
}

/// Reads `<think type="x">`, `</think >`, `< think >`, `<|think|>` and their like.
fn tag_at(text: &str) -> Tag {
    let Some(inner) = text.strip_prefix('<') else { return Tag::No };
    if let Some(inner) = inner.strip_prefix('|') {
        return token_at(text, inner);
    }
    let inner = inner.trim_start_matches(' ');
    let close = inner.strip_prefix('/').map(str::trim_start);
    let named = close.unwrap_or(inner);
    let first = FIRST_TAGS.iter().map(|name| (*name, Mark::OpenFirst));
    let answers = ANSWER_TAGS.iter().map(|name| (*name, Mark::Noise));
    let mut names = THOUGHT_TAGS.iter().map(|name| (*name, Mark::Open)).chain(first).chain(answers);
    let mut is_open = close.is_some() && named.is_empty();
    let found = names.find_map(|(name, meaning)| {
        is_open |= begins_with(name, named);
        let rest = named.get(name.len()..).filter(|_| begins_with(named, name))?;
        match tag_end(rest) {
            // A tag that stands alone is noise.
            Tag::Whole(length, Mark::Noise) => Some((text.len() - rest.len() + length, Mark::Noise)),
            Tag::Whole(length, _) => Some((text.len() - rest.len() + length, meaning)),
            Tag::Open => {
                is_open = true;
                None
            }
            Tag::No => None,
        }
    });
    match (found, close) {
        (Some((length, Mark::Open)), Some(_)) => Tag::Whole(length, Mark::Close),
        (Some((length, Mark::OpenFirst)), Some(_)) => Tag::Whole(length, Mark::CloseFirst),
        (Some((length, mark)), _) => Tag::Whole(length, mark),
        (None, _) if is_open && text.len() <= TAG_BYTES_MAX => Tag::Open,
        (None, _) => Tag::No,
    }
}

/// A tag as a token of a template: `<|think|>`, `<|/think|>`. `inner` stands behind its first two signs.
fn token_at(text: &str, inner: &str) -> Tag {
    let (named, mark) = match inner.strip_prefix('/') {
        Some(named) => (named, Mark::Close),
        None => (inner, Mark::Open),
    };
    let tokens = THOUGHT_TAGS.iter().map(|name| format!("{name}|>"));
    for token in tokens {
        if begins_with(named, &token) {
            return Tag::Whole(text.len() - named.len() + token.len(), mark);
        }
        if begins_with(&token, named) {
            return Tag::Open;
        }
    }
    Tag::No
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
