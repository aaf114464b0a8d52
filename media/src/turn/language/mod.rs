//! Words of each language by which the end of a turn is judged, and how much each sign counts in it.

mod dutch;
mod english;
mod french;
mod german;
mod italian;
mod portuguese;
mod spanish;
mod table;

pub(super) use table::{LanguageTable, Topics, has_word};

/// Whether a list of phrases has this text.
pub(super) fn has_phrase(list: &str, text: &str) -> bool {
    list.split('|').any(|one| one == text)
}

/// Whether a text has one of the phrases of a list, as whole words.
pub(super) fn contains_phrase(list: &str, text: &str) -> bool {
    phrases_in(list, text).next().is_some()
}

/// What stands before the first and behind the last of the phrases of a list that a text has.
pub(super) fn around_phrases<'t>(list: &str, text: &'t str) -> Option<(&'t str, &'t str)> {
    let (from, to) = phrases_in(list, text).reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
    Some((text.get(..from)?, text.get(to..)?))
}

/// Where the phrases of a list stand in a text, as whole words.
fn phrases_in(list: &str, text: &str) -> impl Iterator<Item = (usize, usize)> {
    list.split('|').filter(|phrase| !phrase.is_empty()).flat_map(move |phrase| {
        text.match_indices(phrase).map(|(at, found)| (at, at + found.len())).filter(move |(from, to)| {
            let before = text.get(..*from).and_then(|before| before.chars().next_back());
            let after = text.get(*to..).and_then(|after| after.chars().next());
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
