//! Digits and letters at the end of a turn: how many there are, and whether they are all that such a number has.

use super::language::{LanguageTable, has_word};
use super::tokens::{Sentence, Token};

/// Endings of hosts that are more than two letters.
const HOST_ENDS: &str =
    "com net org edu gov info biz io co uk nl de fr es it pt eu be at ch us br mx ca au app dev me online";

/// Digits and letters that the words end in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NumberTail {
    /// Digits as they would be written.
    pub(super) digits: usize,
    /// Letters that were spelled.
    pub(super) letters: usize,
    /// Words of the tail.
    pub(super) words: usize,
    /// Words before it in the sentence.
    pub(super) before: usize,
}

enum Piece {
    Digits(usize),
    /// "Twenty", which a digit may follow.
    Tens,
    Letters(usize),
    /// A dash between two parts.
    Joint,
    Other,
}

/// What a written word is as a part of a number.
fn figures(word: &str) -> Option<Piece> {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let is_plain = word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '+' | '/' | '.'));
    match (digits, letters, is_plain) {
        (0, _, _) | (_, _, false) => None,
        (_, 0, _) => Some(Piece::Digits(digits)),
        // "A4B7" is a code; "2nd", "10am" and "4th" are not.
        _ if letters <= 2 && word.starts_with(|c: char| c.is_ascii_digit()) => None,
        _ => Some(Piece::Letters(digits + letters)),
    }
}

fn piece(token: &Token, table: &LanguageTable, is_inside: bool) -> Piece {
    let word = token.word.as_str();
    if let Some(piece) = figures(word) {
        return piece;
    }
    if has_word(table.values.digits, word) {
        return Piece::Digits(1);
    }
    if has_word(table.values.numbers, word) {
        return Piece::Tens;
    }
    if has_word(table.values.multipliers, word) {
        return Piece::Digits(1);
    }
    if word.chars().count() == 1 {
        // A letter that is a word too counts where letters stand, or where STT wrote a capital.
        let is_word = [table.grammar.never_last, table.grammar.seldom_last, table.grammar.subjects]
            .iter()
            .any(|list| has_word(list, word));
        let is_letter = !is_word || is_inside || token.is_capital && word != "i";
        return if is_letter { Piece::Letters(1) } else { Piece::Other };
    }
    if has_word(table.values.spelling, word) {
        return Piece::Letters(1);
    }
    // "J-O-H-N" in one word.
    if word.contains('-') && word.split('-').all(|part| part.chars().count() == 1) {
        return Piece::Letters(word.split('-').count());
    }
    if is_inside && (has_word(table.values.address_words, word) || has_word(table.replies.fillers, word)) {
        return Piece::Joint;
    }
    Piece::Other
}

/// The digits and letters that a sentence ends in.
pub(super) fn number_tail(sentence: &Sentence, table: &LanguageTable) -> NumberTail {
    let mut tail = NumberTail::default();
    let mut index = sentence.tokens.len();
    let mut digit_follows = false;
    while let Some(token) = index.checked_sub(1).and_then(|last| sentence.tokens.get(last)) {
        // "M as in Mike".
        if let Some(used) = as_in(sentence, index) {
            tail.letters += 1;
            (tail.words, index, digit_follows) = (tail.words + used, index - used, false);
            continue;
        }
        let before = index.checked_sub(2).and_then(|at| sentence.tokens.get(at));
        let is_spelled = before.is_some_and(|before| before.word.chars().count() == 1 && before.is_capital);
        // "O número é oito": a word of one letter is a letter only between others.
        let is_after_part = || before.is_some_and(|before| !matches!(piece(before, table, false), Piece::Other));
        let is_inside = is_spelled || tail.words > 0 && is_after_part();
        let is_first_digit = matches!(piece(token, table, is_inside), Piece::Digits(1));
        match piece(token, table, is_inside) {
            Piece::Digits(count) => tail.digits += count,
            // "Twenty one" is two digits.
            Piece::Tens => tail.digits += if digit_follows { 1 } else { 2 },
            Piece::Letters(count) => tail.letters += count,
            Piece::Joint => {}
            Piece::Other => break,
        }
        digit_follows = is_first_digit;
        tail.words += 1;
        index -= 1;
    }
    tail.before = index;
    tail
}

/// How many words "M as in Mike" has, if the words before `end` are such.
fn as_in(sentence: &Sentence, end: usize) -> Option<usize> {
    let word = |back: usize| end.checked_sub(back).and_then(|at| sentence.tokens.get(at)).map(|t| t.word.as_str());
    let is_letter = |word: Option<&str>| {
        word.is_some_and(|word| word.chars().count() == 1 && word.chars().all(char::is_alphabetic))
    };
    if word(3) == Some("as") && word(2) == Some("in") && is_letter(word(4)) {
        return Some(4);
    }
    let link = word(2)?;
    (matches!(link, "for" | "like" | "wie" | "comme" | "van" | "de" | "come") && is_letter(word(3))).then_some(3)
}

/// How far an address has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressState {
    /// The words are no address.
    None,
    /// Its end is missing.
    Open,
    /// It has its end: `example.com`.
    Full,
}

/// The state of an address that the sentence ends in; `is_asked`: one was asked for.
pub(super) fn address(sentence: &Sentence, table: &LanguageTable, is_asked: bool) -> AddressState {
    let words: Vec<&str> = sentence.words().collect();
    let Some(last) = words.last() else { return AddressState::None };
    let recent = words.get(words.len().saturating_sub(4)..).unwrap_or_default();
    let has_sign = recent.iter().any(|word| word.contains('@'));
    if has_sign {
        let is_full = last.rsplit_once('.').is_some_and(|(_, end)| end.chars().count() >= 2);
        return if is_full { AddressState::Full } else { AddressState::Open };
    }
    if last.rsplit_once('.').is_some_and(|(host, end)| !host.is_empty() && has_word(HOST_ENDS, end)) {
        return AddressState::Full;
    }
    let is_mark = |word: &str| has_word(table.values.address_words, word);
    let before = words.len().checked_sub(2).and_then(|at| words.get(at)).copied().unwrap_or_default();
    let has_at = words.iter().rev().take(12).any(|word| is_mark(word) && !matches!(*word, "plus" | "point" | "punt"));
    if is_mark(before) && has_word(HOST_ENDS, last) && (has_at || is_asked) {
        return AddressState::Full;
    }
    if has_at && words.len() >= 2 && is_asked {
        return AddressState::Open;
    }
    // "John dot": one such word at the end is enough where it cannot end a sentence.
    let is_dangling = is_mark(last) && !matches!(*last, "at" | "point" | "plus" | "minus" | "punt" | "punto" | "ponto");
    if is_dangling || is_mark(last) && words.iter().filter(|word| is_mark(word)).count() >= 2 {
        return AddressState::Open;
    }
    AddressState::None
}
