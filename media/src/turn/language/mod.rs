//! Words of each language by which the end of a turn is judged, and how much each sign counts in it.

mod dutch;
mod english;
mod french;
mod german;
mod italian;
mod portuguese;
mod spanish;

use super::cues::Weights;

/// One table of parameters per language. Lists of single words are parted by blanks, lists of phrases by `|`; all in
/// small letters.
#[derive(Debug)]
pub(super) struct LanguageTable {
    /// Words by their part in a sentence.
    pub(super) grammar: Grammar,
    /// Answers, and what is said around them.
    pub(super) replies: Replies,
    /// Parts of numbers, dates and addresses.
    pub(super) values: Values,
    /// What the caller may be asked for, in the agent's words or in the caller's own.
    pub(super) topics: Topics,
    /// How much each sign counts.
    pub(super) weights: &'static Weights,
}

/// Words by their part in a sentence.
#[derive(Debug)]
pub(super) struct Grammar {
    /// Words that never end a sentence: articles, possessives, conjunctions.
    pub(super) never_last: &'static str,
    /// Words that seldom end one: prepositions, auxiliaries, relative pronouns.
    pub(super) seldom_last: &'static str,
    /// Words that mostly stand before a noun: "this", "other".
    pub(super) prenominals: &'static str,
    /// Verbs that want an object: "I would like", "you have entered".
    pub(super) needs_object: &'static str,
    /// Words that stand between a subject and its verb: "to", "not".
    pub(super) particles: &'static str,
    /// Words that begin a subordinate clause, after which a main clause comes.
    pub(super) subordinators: &'static str,
    /// Words that begin a noun phrase.
    pub(super) determiners: &'static str,
    /// Personal pronouns as subjects.
    pub(super) subjects: &'static str,
    /// Finite verbs that need no object to be known as such.
    pub(super) finite: &'static str,
    /// Words of which a phrase has two: "either" and "or".
    pub(super) pairs: &'static [(&'static str, &'static str)],
    /// Verbs stand at the end of clauses.
    pub(super) is_verb_final: bool,
    /// "And", "or": what comes before the last item of a list.
    pub(super) joiners: &'static str,
    /// Words that begin a question.
    pub(super) question_words: &'static str,
    /// Verbs that begin a question to be answered by yes or no.
    pub(super) question_verbs: &'static str,
    /// Verbs and the like that begin a request.
    pub(super) imperatives: &'static str,
}

/// Answers, and what is said around them.
#[derive(Debug)]
pub(super) struct Replies {
    /// Sounds of somebody who thinks.
    pub(super) fillers: &'static str,
    /// Answers that are complete by themselves.
    pub(super) answers: &'static str,
    /// Answers that announce the rest when more than yes or no was asked for.
    pub(super) affirmations: &'static str,
    /// Words before a sentence that are no part of it: "well", "so".
    pub(super) lead_ins: &'static str,
    /// "Could you give me ...?" asks for more than yes or no.
    pub(super) request_verbs: &'static str,
    /// "One moment, please": the caller goes on.
    pub(super) holds: &'static str,
}

/// Parts of numbers, dates and addresses.
#[derive(Debug)]
pub(super) struct Values {
    /// Digits from zero on.
    pub(super) digits: &'static str,
    /// Numbers of two digits.
    pub(super) numbers: &'static str,
    /// "Double", "hundred".
    pub(super) multipliers: &'static str,
    /// Letters by their names, and words that spell.
    pub(super) spelling: &'static str,
    /// "At", "dot" and the like between the parts of an address.
    pub(super) address_words: &'static str,
    /// Days, ordinals: what lists of callers are made of, beside months.
    pub(super) items: &'static str,
    /// Names of the months.
    pub(super) months: &'static str,
    /// Digits of a phone number, from and to.
    pub(super) phone_digits: (usize, usize),
    /// Digits of a postal code, from and to.
    pub(super) postal_digits: (usize, usize),
}

/// Phrases that name what is asked for.
#[derive(Debug)]
pub(super) struct Topics {
    /// A phone number.
    pub(super) phone: &'static str,
    /// A number of another kind.
    pub(super) number: &'static str,
    /// A postal code.
    pub(super) postal: &'static str,
    /// "Digit", after the count.
    pub(super) digit: &'static str,
    /// A day or a date.
    pub(super) date: &'static str,
    /// An e-mail address.
    pub(super) email: &'static str,
    /// To spell something.
    pub(super) spell: &'static str,
    /// A name.
    pub(super) name: &'static str,
    /// How many, how much, when, which: something short.
    pub(super) short: &'static str,
    /// Several things of a kind.
    pub(super) several: &'static str,
    /// Whether there is anything else.
    pub(super) anything_else: &'static str,
    /// A story.
    pub(super) story: &'static str,
}

/// Whether a list of single words has this one.
pub(super) fn has_word(list: &str, word: &str) -> bool {
    list.split(' ').any(|one| one == word)
}

/// Whether a list of phrases has this text.
pub(super) fn has_phrase(list: &str, text: &str) -> bool {
    list.split('|').any(|one| one == text)
}

/// Whether a text has one of the phrases of a list, as whole words.
pub(super) fn contains_phrase(list: &str, text: &str) -> bool {
    list.split('|').filter(|phrase| !phrase.is_empty()).any(|phrase| {
        text.match_indices(phrase).any(|(at, _)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + phrase.len()..).and_then(|after| after.chars().next());
            let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            is_edge(before) && is_edge(after)
        })
    })
}

/// Whether a text ends with one of the phrases of a list, as whole words.
pub(super) fn ends_with_phrase(list: &str, text: &str) -> bool {
    list.split('|')
        .filter(|phrase| !phrase.is_empty())
        .any(|phrase| text.strip_suffix(phrase).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')))
}

/// The table of a language by its code, such as `en-US`; `None` for a language without one.
pub(super) fn table(code: &str) -> Option<&'static LanguageTable> {
    Some(match code.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase().as_str() {
        "en" => &english::TABLE,
        "nl" => &dutch::TABLE,
        "de" => &german::TABLE,
        "fr" => &french::TABLE,
        "es" => &spanish::TABLE,
        "it" => &italian::TABLE,
        "pt" => &portuguese::TABLE,
        _ => return None,
    })
}

/// All tables, for a caller whose language is not known.
const ALL: [&LanguageTable; 7] = [
    &english::TABLE,
    &dutch::TABLE,
    &german::TABLE,
    &french::TABLE,
    &spanish::TABLE,
    &italian::TABLE,
    &portuguese::TABLE,
];

/// The table for a text: that of its language; for a code that stands for several languages (`multi`, `auto`, none) the
/// one that knows most of its small words.
pub(super) fn table_for(code: &str, text: &str) -> Option<&'static LanguageTable> {
    if !matches!(code, "" | "multi" | "auto") {
        return table(code);
    }
    let known = |table: &LanguageTable| {
        let lists = [
            table.grammar.never_last,
            table.grammar.seldom_last,
            table.grammar.subjects,
            table.grammar.finite,
            table.values.digits,
        ];
        let is_known =
            |word: &&str| lists.iter().any(|list| has_word(list, word)) || has_phrase(table.replies.answers, word);
        text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(is_known).count()
    };
    ALL.into_iter().rev().max_by_key(|table| known(table)).filter(|table| known(table) > 0)
}
