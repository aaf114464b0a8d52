//! Thousands that blanks part: "1 050,00 €", "CHF 1 050.-", "10 000 km". A blank may as well part two numbers, so what
//! stands around the groups decides. The same in all languages; French parts thousands by blanks everywhere.

use super::locale::Locale;
use super::tokens::{DASHES, Sentence, TokenKind};

/// Numbers of a range, and tokens of an amount, that are looked at.
const NUMBERS_MAX: usize = 4;
const AMOUNT_TOKENS: usize = 12;

/// Whether the three digits at a token continue the number that begins at `start`: `groups` of it, parted by blanks
/// alone, stand before.
pub(super) fn continues(sentence: &Sentence<'_>, start: usize, at: usize, locale: Locale) -> bool {
    let first = sentence.text(start);
    let is_group = |at: usize| sentence.digits(at).is_some_and(|digits| digits.len() == 3);
    if !is_group(at) || first.len() > 3 || first.starts_with('0') || sentence.is_glued(at) {
        return false;
    }
    let in_amount = is_behind_currency(sentence, start, locale) || is_before_currency(sentence, at, locale);
    let is_closed = sentence.ends_word(at + 1) || currency_at(sentence, at + 1, locale, false);
    // "800 123 456" is more often a phone number, and "123 456" within it no number of its own.
    let behind_group = is_group(start) && start > 0 && is_group(start - 1) && !sentence.is_glued(start);
    if behind_group || !is_closed {
        return false;
    }
    if in_amount {
        return true;
    }
    let next = sentence.digits(at + 1).filter(|_| !sentence.is_glued(at + 1));
    if first.len() == 3 && next.is_some_and(|next| next.len() >= 2) {
        return false;
    }
    locale.language.signs.blank_thousands || is_certain(sentence, start, at, locale)
}

/// No number begins with a zero: "1 050 km", "10 000 clientes". But phone numbers and codes have such groups.
fn is_certain(sentence: &Sentence<'_>, start: usize, at: usize, locale: Locale) -> bool {
    let end = (at..at + NUMBERS_MAX).find(|at| sentence.digits(*at).is_none_or(|digits| digits.len() != 3));
    let Some(end) = end.filter(|end| sentence.digits(*end).is_none()) else { return false };
    let has_zero = (start + 1..end).any(|at| sentence.text(at).starts_with('0'));
    let is_first = sentence.before(start).is_none_or(|before| {
        before.kind == TokenKind::Word
            || before.kind == TokenKind::Sign && matches!(before.text, "(" | ":" | "," | "¿" | "." | "\"")
    });
    let counted = sentence.get(end).is_some_and(|next| {
        next.is_spaced && next.kind == TokenKind::Word && next.text.chars().count() >= 2 || next.text == "%"
    });
    let codes = &locale.language.codes;
    let asked = sentence.words_before(start, 4).iter().any(|word| {
        [codes.strong, codes.weak, codes.grouped, codes.extensions, codes.phone, codes.call, codes.cards]
            .iter()
            .any(|list| list.iter().any(|one| word == one || one.len() >= 4 && word.ends_with(one)))
            || word.ends_with("nr")
    });
    let joins = sentence.word(end).is_some_and(|word| codes.call_fillers.contains(&word));
    has_zero && is_first && counted && !asked && !joins
}

/// "R$ 1 050", "€ 1 000 – 2 000": a sign or code of a currency stands before, perhaps with the first number of a range.
fn is_behind_currency(sentence: &Sentence<'_>, start: usize, locale: Locale) -> bool {
    let Some(before) = sentence.before(start) else { return false };
    if ends_currency(sentence, before.end(), locale) {
        return true;
    }
    if !DASHES.contains(&before.text) {
        return false;
    }
    for at in (start.saturating_sub(AMOUNT_TOKENS)..start - 1).rev() {
        let Some(token) = sentence.get(at) else { return false };
        if ends_currency(sentence, token.end(), locale) {
            return true;
        }
        let sign = matches!(token.text, "." | "," | "'" | "’") && sentence.is_glued(at + 1);
        if token.kind != TokenKind::Number && !sign {
            return false;
        }
    }
    // "€ -1 050".
    start >= 2 && sentence.before(start - 1).is_some_and(|sign| ends_currency(sentence, sign.end(), locale))
}

/// Whether a sign or code of a currency ends at an octet.
fn ends_currency(sentence: &Sentence<'_>, octet: usize, locale: Locale) -> bool {
    let Some(head) = sentence.text.get(..octet) else { return false };
    locale.language.money.currencies.iter().flat_map(|currency| currency.signs).any(|sign| {
        head.strip_suffix(sign).is_some_and(|rest| {
            !sign.starts_with(char::is_alphabetic) || !rest.chars().next_back().is_some_and(char::is_alphanumeric)
        })
    })
}

/// Whether the groups from a token on are those of an amount: "1 000 €", "1 050,00 EUR", "1 000–2 000 €",
/// "1 050 Mio. €".
fn is_before_currency(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let mut end = at;
    for _ in 0..NUMBERS_MAX {
        for _ in 0..NUMBERS_MAX {
            let is_group = sentence.digits(end).is_some_and(|digits| digits.len() == 3) && !sentence.is_glued(end);
            end += usize::from(is_group);
        }
        if sentence.glued_sign(end, &[".", ","]) && sentence.is_glued(end + 1) {
            if sentence.digits(end + 1).is_some() {
                end += 2;
            } else if sentence.glued_sign(end + 1, DASHES) && sentence.ends_word(end + 2) {
                // "1 050,-" is an amount by itself.
                return true;
            }
        }
        let zero = sentence.text(at).starts_with('0');
        if currency_at(sentence, behind_scale(sentence, end, locale), locale, zero || !locale.is_english()) {
            return true;
        }
        match sentence.dash(end).filter(|next| sentence.digits(*next).is_some()) {
            Some(next) => end = next + 1,
            None => return false,
        }
    }
    false
}

/// Behind "Mio." and "millones de", if they stand at a token.
fn behind_scale(sentence: &Sentence<'_>, at: usize, locale: Locale) -> usize {
    let Some(token) = sentence.get(at) else { return at };
    let written = locale.language.money.scales.iter().flat_map(|scale| scale.written);
    let longest = written.filter(|written| sentence.stands(token.start, written)).map(|written| written.len()).max();
    let Some(length) = longest else { return at };
    let end = sentence.token_from(token.start + length);
    if matches!(sentence.text(end), "de" | "di") { end + 1 } else { end }
}

/// Whether a currency stands at a token: its sign, its code or its name; `one` admits the singular, which before a noun
/// describes that one: "3 100 dollar cards".
fn currency_at(sentence: &Sentence<'_>, at: usize, locale: Locale, one: bool) -> bool {
    let Some(token) = sentence.get(at) else { return false };
    // "1 050 TEUR".
    let code = sentence.word(at).filter(|word| word.len() == 4).and_then(|word| word.strip_prefix(['T', 'k', 'M']));
    locale.language.money.currencies.iter().any(|currency| {
        let singular = Some(currency.one).filter(|name| one && token.is_spaced && *name != currency.many);
        let plural = Some(currency.many).filter(|_| token.is_spaced);
        currency.signs.iter().copied().chain(singular).chain(plural).any(|name| sentence.stands(token.start, name))
            || code.is_some_and(|code| currency.signs.contains(&code))
    })
}
