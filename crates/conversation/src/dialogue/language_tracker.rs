//! Which language the caller speaks, from what STT says about its final words. A loanword, a name or a single "okay" is no
//! sign of another language.

use trunkline_domain::languages::{is_same_language, primary};
use trunkline_providers::LanguageWords;

/// Words of a final result that count as a sign; fewer may be a name or a loanword.
const SIGN_WORDS_MIN: u32 = 2;
/// Words of one final result that are enough by themselves.
const SURE_WORDS_MIN: u32 = 4;
/// Share of the words of such a result, in percent: the rest may be names.
const SURE_PERCENT_MIN: u32 = 75;
/// Consecutive signs that are enough together.
const SIGNS_MIN: u32 = 2;

/// Signs of another language that are not enough yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    language: String,
    signs: u32,
}

/// Follows the language of one caller.
#[derive(Clone, Debug, Default)]
pub struct LanguageTracker {
    candidate: Option<Candidate>,
}

impl LanguageTracker {
    /// Counts a final result while the conversation is in `current`; returns another language once it is sure.
    pub fn handle_final(&mut self, current: &str, heard: &[LanguageWords]) -> Option<String> {
        let all: u32 = heard.iter().map(|one| one.words).sum();
        let most = heard.iter().max_by_key(|one| one.words)?;
        if most.words < SIGN_WORDS_MIN || most.words * 2 <= all {
            // Too short, or mixed: nothing can be said.
            return None;
        }
        if is_same_language(&most.language, current) {
            self.candidate = None;
            return None;
        }
        let language = primary(&most.language);
        let signs = match self.candidate.take() {
            Some(known) if known.language == language => known.signs + 1,
            _ => 1,
        };
        let is_sure = most.words >= SURE_WORDS_MIN && most.words * 100 >= all * SURE_PERCENT_MIN;
        if is_sure || signs >= SIGNS_MIN {
            return Some(most.language.clone());
        }
        self.candidate = Some(Candidate { language, signs });
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Vec<LanguageWords> {
        let one = |part: &str| {
            let (language, words) = part.split_once(' ').unwrap();
            LanguageWords { language: language.to_owned(), words: words.parse().unwrap() }
        };
        text.split(", ").map(one).collect()
    }

    fn check(finals: &[&str], wanted: Option<&str>) {
        let mut tracker = LanguageTracker::default();
        let told: Vec<Option<String>> = finals.iter().map(|text| tracker.handle_final("en-US", &heard(text))).collect();
        let (last, before) = told.split_last().unwrap();
        assert!(before.iter().all(Option::is_none), "{finals:?}: {told:?}");
        assert_eq!(last.as_deref(), wanted, "{finals:?}");
    }

    #[test]
    fn a_sentence_in_another_language_is_sure() {
        check(&["nl 6"], Some("nl"));
        check(&["nl-BE 4"], Some("nl-BE"));
        check(&["nl 6, en 2"], Some("nl"));
        check(&["en 6"], None);
        check(&["en-GB 6"], None);
    }

    #[test]
    fn two_short_answers_are_sure_together() {
        check(&["nl 2", "nl 3"], Some("nl"));
        check(&["nl 2"], None);
        check(&["nl 2", "en 3", "nl 2"], None);
        check(&["nl 2", "de 2"], None);
        // A word between them says nothing.
        check(&["nl 2", "en 1", "nl 2"], Some("nl"));
    }

    #[test]
    fn loanwords_and_names_are_no_sign() {
        check(&["fr 1", "fr 1", "fr 1"], None);
        check(&["en 5, fr 2"], None);
        check(&["nl 2, en 2", "nl 2, en 2"], None);
        check(&["nl 4, en 3"], None);
    }
}
