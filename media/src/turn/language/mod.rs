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
