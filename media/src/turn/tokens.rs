//! The words of a turn as they are judged: in small letters without the marks around them, and the sentence they end in.

/// Marks that end a sentence.
const END_MARKS: [char; 9] = ['.', '?', '!', '。', '？', '！', '｡', '؟', '।'];
/// Marks after which something follows.
const OPEN_MARKS: [char; 12] = [',', '-', '–', '—', '…', ':', ';', '、', '，', '：', '،', '('];
/// Words that are looked at; what came before them decides nothing.
const WORDS_MAX: usize = 60;

/// How a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndMark {
    None,
    /// A full stop or an exclamation mark.
    Stop,
    Question,
    /// A comma, a dash, an ellipsis.
    Open,
}

/// A word and how it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// In small letters, without the marks around it.
    pub(super) word: String,
    pub(super) is_capital: bool,
    /// A comma or the like follows.
    pub(super) has_comma: bool,
}

/// The last sentence of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) tokens: Vec<Token>,
    /// The words with blanks between them.
    pub(super) text: String,
    pub(super) mark: EndMark,
    /// Words of the whole turn.
    pub(super) turn_words: usize,
    /// The text has marks: it comes from an STT that writes them.
    pub(super) has_marks: bool,
}

fn trimmed(word: &str) -> String {
    let word = word.replace(['’', '‘'], "'");
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '@' && c != '\'' && c != '+');
    // "A.m." keeps the dot inside, not the one at its end.
    word.trim_matches('\'').to_lowercase()
}

fn end_mark(text: &str) -> EndMark {
    let text = text.trim_end_matches(['"', '\'', '”', '»', ')', ' ']);
    if text.ends_with("...") || text.ends_with(OPEN_MARKS) {
        return EndMark::Open;
    }
    match text.chars().next_back() {
        Some('?' | '？' | '؟') => EndMark::Question,
        Some(c) if END_MARKS.contains(&c) => EndMark::Stop,
        _ => EndMark::None,
    }
}

/// Whether a written word ends a sentence: "street." does, "a.m." and "Dr." do not, and "4." is a digit.
fn ends_sentence(word: &str) -> bool {
    let body = word.trim_end_matches(END_MARKS);
    let is_stop = word.ends_with('.');
    word.ends_with(END_MARKS)
        && !(is_stop && (body.contains('.') || body.chars().count() <= 2 || word.ends_with("..")))
        && !body.chars().all(|c| c.is_ascii_digit())
}

impl Sentence {
    /// Leaves out what stands before a word that begins a sentence by its capital, where no mark parts the two.
    pub(super) fn begin_at_capital(&mut self, begins: impl Fn(&str) -> bool) {
        let at = self.tokens.iter().rposition(|token| token.is_capital && begins(&token.word)).unwrap_or(0);
        self.tokens.drain(..at);
        self.text = self.words().collect::<Vec<_>>().join(" ");
    }

    /// The last sentence of a text, whatever marks it has. A mark behind a part of a number or a list ends none.
    pub(super) fn last_of(text: &str, is_part: impl Fn(&str) -> bool) -> Self {
        let text = text.trim();
        let raw: Vec<&str> = text.split_whitespace().collect();
        let raw = raw.get(raw.len().saturating_sub(WORDS_MAX)..).unwrap_or_default();
        let is_end = |word: &&str| ends_sentence(word) && !is_part(&trimmed(word));
        let is_last = |index: &usize| index + 1 < raw.len() && raw.get(*index).is_some_and(is_end);
        let from = (0..raw.len()).rev().find(is_last).map_or(0, |index| index + 1);
        let tokens: Vec<Token> = raw
            .get(from..)
            .unwrap_or_default()
            .iter()
            .map(|word| Token {
                word: trimmed(word),
                is_capital: word.chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_uppercase),
                has_comma: word.ends_with([',', ';', ':']),
            })
            .filter(|token| !token.word.is_empty())
            .collect();
        let words: Vec<&str> = tokens.iter().map(|token| token.word.as_str()).collect();
        Self {
            text: words.join(" "),
            mark: end_mark(text),
            turn_words: raw.len(),
            has_marks: text.contains([',', '.', '?', '!']),
            tokens,
        }
    }

    pub(super) fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.tokens.iter().map(|token| token.word.as_str())
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn last(&self) -> &str {
        self.tokens.last().map_or("", |token| token.word.as_str())
    }
}
