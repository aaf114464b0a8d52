//! What the agent asked for last, which tells what a complete answer is.

use super::language::{LanguageTable, Topics, contains_phrase, has_word, table_for};
use super::tokens::{EndMark, Sentence};

/// Characters before "how many" in a question that asks for something short: "And for how many".
const SHORT_QUESTION_START_MAX: usize = 12;

/// What the agent's last words ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// Nothing that is known.
    #[default]
    Nothing,
    /// Yes or no.
    YesNo,
    /// A number of so many digits.
    Digits {
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A number of unknown length.
    Number,
    /// A day or a date; one with its year, for a birthday.
    Date,
    /// An e-mail address.
    Email,
    /// To spell something.
    Spelling,
    /// A name.
    Name,
    /// A quantity, a time, a choice.
    Short,
    /// Several things of a kind: "Which days?"
    Several,
    /// Whether there is anything else.
    AnythingElse,
    /// A story: "How can I help?"
    Story,
}

impl Asked {
    /// As `metrics` names it; `None` when nothing is known.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Nothing => return None,
            Self::YesNo => "yes_or_no",
            Self::Digits { .. } | Self::Number => "number",
            Self::Date => "date",
            Self::Email => "email",
            Self::Spelling => "spelling",
            Self::Name => "name",
            Self::Short => "short_answer",
            Self::Several => "list",
            Self::AnythingElse => "anything_else",
            Self::Story => "story",
        })
    }
}

/// What the agent's last words ask for, in its language.
pub fn asked(said: &str, code: &str) -> Asked {
    let Some(table) = table_for(code, said) else { return Asked::Nothing };
    // A question with something behind it: "What is your number? Take your time."
    let question = said.rfind(['?', '？']).map_or("", |at| said.get(..=at).unwrap_or_default());
    let text = if question.is_empty() { said } else { question };
    let sentence = Sentence::last_of(text, |_| false);
    let is_question = sentence.mark == EndMark::Question;
    let found = topic(&sentence.text, table);
    let mut words = sentence.words().skip_while(|word| has_word(table.replies.lead_ins, word));
    let first = words.next().unwrap_or_default();
    let is_request = has_word(table.replies.request_verbs, first);
    if found == Some(Asked::AnythingElse) || found == Some(Asked::Story) {
        return found.unwrap_or_default();
    }
    if is_question && has_word(table.grammar.question_verbs, first) && !(is_request && found.is_some()) {
        return Asked::YesNo;
    }
    match found {
        Some(found) => found,
        None if is_question && has_word(table.replies.lead_ins, sentence.last()) => Asked::YesNo,
        None => Asked::Nothing,
    }
}

/// The topic that a sentence names.
pub(super) fn topic(text: &str, table: &LanguageTable) -> Option<Asked> {
    let Topics { phone, number, postal, digit, date, email, spell, name, short, several, anything_else, story } =
        &table.topics;
    let has = |list: &str| contains_phrase(list, text);
    if has(anything_else) {
        return Some(Asked::AnythingElse);
    }
    if has(email) {
        return Some(Asked::Email);
    }
    if has(spell) {
        return Some(Asked::Spelling);
    }
    if let Some(count) = digit_count(text, table, digit) {
        return Some(Asked::Digits { min: count, max: count });
    }
    let range = |(min, max): (usize, usize)| Asked::Digits { min, max };
    if has(postal) {
        return Some(range(table.values.postal_digits));
    }
    if has(phone) {
        return Some(range(table.values.phone_digits));
    }
    let topics = [(number, Asked::Number), (date, Asked::Date), (name, Asked::Name), (story, Asked::Story)];
    let named = topics.into_iter().find(|(list, _)| has(list)).map(|(_, asked)| asked);
    // "When" asks for something short where the question begins with it.
    let begins = || short.split('|').any(|phrase| text.find(phrase).is_some_and(|at| at <= SHORT_QUESTION_START_MAX));
    let is_several = || has(several);
    named.or_else(|| is_several().then_some(Asked::Several)).or_else(|| begins().then_some(Asked::Short))
}

/// "Six digits", "the 6-digit code", "sechsstellig".
fn digit_count(text: &str, table: &LanguageTable, unit: &str) -> Option<usize> {
    let words: Vec<&str> = text.split([' ', '-']).collect();
    let value = |word: &str| -> Option<usize> {
        let by_name = table.values.digits.split(' ').filter(|one| *one != "oh").position(|one| one == word);
        word.parse().ok().or(by_name).filter(|count| (2..=20).contains(count))
    };
    let is_unit = |word: &str| unit.split('|').any(|one| word == one);
    words.iter().enumerate().find_map(|(at, word)| {
        if is_unit(word) {
            return at.checked_sub(1).and_then(|before| words.get(before)).and_then(|before| value(before));
        }
        unit.split('|').find_map(|one| word.strip_suffix(one)).and_then(value)
    })
}
