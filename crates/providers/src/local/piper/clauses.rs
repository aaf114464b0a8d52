//! A text as a Piper voice speaks it: clauses with their marks, in parts that are synthesized at once. Pure.
//!
//! espeak-ng returns phonemes without the marks, a line for each line that it gets. So each clause is a line, and its
//! mark is added again: the voice makes its pause and its melody of it.

/// A part ends with the first clause beyond so many characters: the first one soon, because the caller waits for it.
const FIRST_PART_CHARS: usize = 24;
const PART_CHARS: usize = 90;
/// A clause beyond it is cut between two words. A voice gets slower and needs more memory with each phoneme.
const CLAUSE_CHARS_MAX: usize = 160;
/// Text that is spoken of one request at most.
pub(super) const TEXT_CHARS_MAX: usize = 8_192;

/// Words up to a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// The words without the mark, in one line.
    pub words: String,
    /// What follows them, as Piper's voices know it.
    pub mark: char,
    /// Characters of the whole text at the end of each word.
    pub word_ends: Vec<u32>,
}

/// The mark that a voice knows for a sign of the text; `None` for a sign within a clause.
fn mark(sign: char) -> Option<char> {
    Some(match sign {
        '.' | '…' | '。' => '.',
        ',' | '，' | '、' | '—' | '–' => ',',
        ';' | '；' => ';',
        ':' | '：' => ':',
        '!' | '！' | '¡' => '!',
        '?' | '？' | '¿' => '?',
        _ => return None,
    })
}

/// What may stand between a mark and the blank after it.
fn closes(sign: char) -> bool {
    matches!(sign, '"' | '\'' | ')' | ']' | '”' | '’' | '»') || mark(sign).is_some()
}

/// Clauses of a text in order. Characters that are neither letters nor digits make no clause of their own.
pub(super) fn clauses(text: &str) -> Vec<Clause> {
    let signs: Vec<char> = text.chars().take(TEXT_CHARS_MAX).collect();
    let mut clauses = Vec::new();
    let mut open = OpenClause::default();
    for (at, &sign) in signs.iter().enumerate() {
        let is_wide = matches!(sign, '—' | '。' | '！' | '？' | '，' | '、' | '；' | '：');
        let rest = signs.get(at + 1..).unwrap_or_default();
        let is_end = rest.iter().find(|sign| !closes(**sign)).is_none_or(|sign| sign.is_whitespace());
        match mark(sign) {
            Some(mark) if is_wide || is_end => clauses.extend(open.close(mark, at)),
            _ => {
                if sign.is_whitespace() && open.chars >= CLAUSE_CHARS_MAX {
                    clauses.extend(open.close(',', at));
                }
                open.push(sign, at);
            }
        }
    }
    clauses.extend(open.close('.', signs.len()));
    clauses
}

#[derive(Default)]
struct OpenClause {
    words: String,
    chars: usize,
    word_ends: Vec<u32>,
    in_word: bool,
    has_sound: bool,
}

impl OpenClause {
    fn push(&mut self, sign: char, at: usize) {
        if sign.is_whitespace() || sign.is_control() {
            self.end_word(at);
            return;
        }
        if !self.in_word && !self.words.is_empty() {
            self.words.push(' ');
        }
        self.in_word = true;
        self.has_sound |= sign.is_alphanumeric();
        self.words.push(sign);
        self.chars += 1;
    }

    fn end_word(&mut self, at: usize) {
        if std::mem::take(&mut self.in_word) {
            self.word_ends.push(at as u32);
        }
    }

    /// The clause, if there is a word in it. The mark belongs to its last word.
    fn close(&mut self, mark: char, at: usize) -> Option<Clause> {
        self.end_word(at);
        let Self { words, mut word_ends, has_sound, .. } = std::mem::take(self);
        if let Some(last) = word_ends.last_mut() {
            *last = (*last).max(at as u32);
        }
        has_sound.then_some(Clause { words, mark, word_ends })
    }
}

/// Puts clauses together to the parts that are synthesized at once.
pub(super) fn parts(clauses: Vec<Clause>) -> Vec<Vec<Clause>> {
    let mut parts: Vec<Vec<Clause>> = Vec::new();
    let mut part = Vec::new();
    let mut chars = 0;
    for clause in clauses {
        chars += clause.words.chars().count();
        part.push(clause);
        let enough = if parts.is_empty() { FIRST_PART_CHARS } else { PART_CHARS };
        if chars >= enough {
            parts.push(std::mem::take(&mut part));
            chars = 0;
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Phonemes of clauses from what espeak-ng returned for them, one line each. If it returned another number of lines, they
/// are one clause: its marks are lost, and its words are heard.
pub(super) fn phonemes(clauses: &[Clause], lines: &str) -> Vec<String> {
    let lines: Vec<String> = lines.lines().map(cleaned).filter(|line| !line.is_empty()).collect();
    if lines.len() == clauses.len() {
        return lines;
    }
    vec![lines.join(" ")]
}

/// Without the language marks of espeak-ng (`(en)`), joiners and further blanks.
fn cleaned(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('(') {
        let (flag, behind) = after.split_once(')').unwrap_or((after, ""));
        kept.push_str(before);
        if !flag.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            kept.push_str(flag);
        }
        rest = behind;
    }
    kept.push_str(rest);
    let words: Vec<String> = kept
        .split_whitespace()
        .map(|word| word.chars().filter(|sign| *sign != '\u{200d}' && *sign != '_').collect())
        .collect();
    words.join(" ")
}

#[cfg(test)]
#[path = "clauses_tests.rs"]
mod tests;
