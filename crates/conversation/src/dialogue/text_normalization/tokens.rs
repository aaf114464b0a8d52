//! A sentence as tokens: runs of digits, runs of letters, single signs, and whether white space stands before them.

/// What a token consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Number,
    Word,
    Sign,
}

/// A part of the sentence without white space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    /// White space, or nothing at all, stands before it.
    pub(super) is_spaced: bool,
}

impl Token<'_> {
    /// Where it ends, in octets of the sentence.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// A text and its tokens.
#[derive(Debug)]
pub(super) struct Sentence<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token<'a>>,
}

/// Hyphens and dashes that may stand between two numbers.
pub(super) const DASHES: &[&str] = &["-", "–", "—", "‐", "‑", "−"];
/// Signs that make a number behind them negative.
const MINUS: &[&str] = &["-", "−", "–"];

fn kind_of(c: char) -> TokenKind {
    if c.is_ascii_digit() {
        TokenKind::Number
    } else if c.is_alphabetic() && !matches!(c, 'º' | 'ª') || is_combining(c) {
        TokenKind::Word
    } else {
        TokenKind::Sign
    }
}

fn is_combining(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36F | 0x900..=0x903 | 0x93A..=0x94F | 0xE31 | 0xE34..=0xE3A | 0xE47..=0xE4E)
}

impl<'a> Sentence<'a> {
    /// Reads a text whose white space is single blanks.
    pub(super) fn new(text: &'a str) -> Self {
        let mut tokens: Vec<Token<'a>> = Vec::new();
        let mut spaced = true;
        for (start, c) in text.char_indices() {
            if c.is_whitespace() {
                spaced = true;
                continue;
            }
            let kind = kind_of(c);
            let end = start + c.len_utf8();
            match tokens.last_mut() {
                Some(last) if !spaced && last.kind == kind && kind != TokenKind::Sign => {
                    last.text = &text[last.start..end];
                }
                _ => tokens.push(Token { text: &text[start..end], kind, start, is_spaced: spaced }),
            }
            spaced = false;
        }
        Self { text, tokens }
    }

    /// A token, if there is one.
    pub(super) fn get(&self, at: usize) -> Option<&Token<'a>> {
        self.tokens.get(at)
    }

    /// The token before.
    pub(super) fn before(&self, at: usize) -> Option<&Token<'a>> {
        at.checked_sub(1).and_then(|at| self.tokens.get(at))
    }

    /// The text of a token, empty behind the last one.
    pub(super) fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// The digits of a token, if it is a number.
    pub(super) fn digits(&self, at: usize) -> Option<&'a str> {
        self.tokens.get(at).filter(|token| token.kind == TokenKind::Number).map(|token| token.text)
    }

    /// The letters of a token, if it is a word.
    pub(super) fn word(&self, at: usize) -> Option<&'a str> {
        self.tokens.get(at).filter(|token| token.kind == TokenKind::Word).map(|token| token.text)
    }

    /// Whether a token follows the one before without white space.
    pub(super) fn is_glued(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| !token.is_spaced)
    }

    /// Whether a token is this sign, next to the one before.
    pub(super) fn glued_sign(&self, at: usize, signs: &[&str]) -> bool {
        self.tokens.get(at).is_some_and(|token| !token.is_spaced && signs.contains(&token.text))
    }

    /// Whether a token does not continue a word or number before it.
    pub(super) fn starts_word(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else { return false };
        token.is_spaced || self.before(at).is_some_and(|before| before.kind == TokenKind::Sign)
    }

    /// Whether nothing of a word or number follows directly.
    pub(super) fn ends_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_none_or(|token| token.is_spaced || token.kind == TokenKind::Sign)
    }

    /// Whether only closing signs are left.
    pub(super) fn is_end(&self, at: usize) -> bool {
        self.tokens.get(at..).unwrap_or(&[]).iter().all(|token| {
            token.kind == TokenKind::Sign && matches!(token.text, ")" | "\"" | "”" | "’" | "'" | "»" | "]" | "“")
        })
    }

    /// Whether a sentence begins here: nothing, or the end of another one, stands before.
    pub(super) fn is_sentence_start(&self, at: usize) -> bool {
        let mut at = at;
        while let Some(before) = self.before(at) {
            match before.text {
                "\"" | "“" | "„" | "«" | "(" | "¿" | "¡" | "'" | "*" => at -= 1,
                "." | "!" | "?" | "…" | ":" => return true,
                _ => return false,
            }
        }
        true
    }

    /// The index of the first token at or behind an octet.
    pub(super) fn token_from(&self, octet: usize) -> usize {
        self.tokens.partition_point(|token| token.start < octet)
    }

    /// A dash between two values: its end, whether or not blanks stand around it.
    pub(super) fn dash(&self, at: usize) -> Option<usize> {
        let token = self.tokens.get(at).filter(|token| DASHES.contains(&token.text))?;
        let next = self.tokens.get(at + 1)?;
        (token.is_spaced == next.is_spaced).then_some(at + 1)
    }

    /// A minus before a value: its end. A hyphen behind a word or number is none.
    pub(super) fn minus(&self, at: usize) -> Option<usize> {
        let token = self.tokens.get(at).filter(|token| MINUS.contains(&token.text))?;
        let opens = token.is_spaced || self.before(at).is_some_and(|before| matches!(before.text, "(" | ":" | "\""));
        let behind_number = self.before(at).is_some_and(|before| before.kind == TokenKind::Number);
        (opens && !behind_number && self.is_glued(at + 1)).then_some(at + 1)
    }

    /// Words before a token, the nearest first, in small letters; signs other than brackets and colons end them.
    pub(super) fn words_before(&self, at: usize, count: usize) -> Vec<String> {
        let mut words = Vec::new();
        for token in self.tokens.get(..at).unwrap_or(&[]).iter().rev().take(count * 4) {
            match token.kind {
                TokenKind::Word => words.push(token.text.to_lowercase()),
                TokenKind::Number => {}
                TokenKind::Sign if matches!(token.text, "." | "!" | "?" | ";") => break,
                TokenKind::Sign => {}
            }
            if words.len() >= count {
                break;
            }
        }
        words
    }

    /// Whether a text stands at an octet, and neither letter nor digit behind it.
    pub(super) fn stands(&self, octet: usize, wanted: &str) -> bool {
        let Some(rest) = self.text.get(octet..).and_then(|rest| rest.strip_prefix(wanted)) else { return false };
        let inner = wanted.chars().next_back().is_some_and(char::is_alphanumeric);
        // "5 l'un" is no unit, "5 m's" none either.
        let elided =
            rest.strip_prefix(['\'', '’']).and_then(|rest| rest.chars().next()).is_some_and(char::is_alphabetic);
        !(inner && (elided || rest.chars().next().is_some_and(char::is_alphanumeric)))
    }
}

/// Whether a word begins with a capital.
pub(super) fn has_capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// Whether a word has capitals only.
pub(super) fn is_all_capitals(word: &str) -> bool {
    word.chars().all(char::is_uppercase)
}

/// What a grammar has read: where it ends, as an index of a token, and what is said.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) end: usize,
    pub(super) spoken: String,
}

impl Reading {
    pub(super) fn new(end: usize, spoken: impl Into<String>) -> Option<Self> {
        Some(Self { end, spoken: spoken.into() })
    }
}
