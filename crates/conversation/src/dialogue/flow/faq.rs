//! Answers from documents. A search engine ranks passages by their words (BM25); what counts as an answer is decided here.

use super::matching::{content_words, is_alike};
use super::passages::{FaqPassage, is_known};
use super::prepared::FlowDialogue;
use std::collections::{BTreeMap, BTreeSet};
use trunkline_domain::chat::ChatMessage;

/// Turns of the caller that are searched for, the newest first: earlier ones say nothing any more.
const SEARCHES_MAX: usize = 100;
/// Words of a search.
const KEYWORDS_MAX: usize = 16;

/// Something that the caller said, to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaqSearch {
    /// The caller's words.
    pub turn: String,
    /// The words that say what it is about, folded.
    pub keywords: Vec<String>,
}

/// Places of passages by the caller's words, the best ones first.
pub type FaqFound = BTreeMap<String, Vec<usize>>;

impl FlowDialogue {
    /// The passages to search in.
    pub fn passages(&self) -> &[FaqPassage] {
        &self.passages
    }

    /// What to look up for an answer to these messages; nothing if there are no documents.
    pub fn searches(&self, messages: &[ChatMessage]) -> Vec<FaqSearch> {
        if self.passages.is_empty() {
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let turns = messages.iter().rev().filter_map(|message| match message {
            ChatMessage::User(text) => Some(text),
            _ => None,
        });
        let searches = turns
            .filter(|text| seen.insert(text.as_str()))
            .take(SEARCHES_MAX)
            .map(|text| FaqSearch { turn: text.clone(), keywords: self.keywords(text) });
        searches.filter(|search| !search.keywords.is_empty()).collect()
    }

    fn keywords(&self, text: &str) -> Vec<String> {
        let mut keywords = content_words(text, &self.context.language);
        keywords.retain(|word| word.chars().any(char::is_alphanumeric));
        keywords.sort();
        keywords.dedup();
        keywords.truncate(KEYWORDS_MAX);
        keywords
    }

    /// The answer among the passages that were found: it must share most of what the caller asks about.
    pub(super) fn faq_answer(&self, turn: &str, found: &FaqFound) -> Option<&str> {
        let keywords = self.keywords(turn);
        let places = found.get(turn)?.iter();
        places
            .filter_map(|place| self.passages.get(*place))
            .find(|one| is_about(one, &keywords, &self.vocabulary, &self.context.language))
            .map(|one| one.text.as_str())
    }
}

/// Half of the keywords are in the passage, and one of them says what it is about. Words that no passage has say little
/// about which one is meant, so two of them count as one.
fn is_about(passage: &FaqPassage, keywords: &[String], vocabulary: &BTreeSet<String>, language: &str) -> bool {
    let about = content_words(&format!("{} {}", passage.title, passage.words), language);
    let text = content_words(&passage.text, language);
    let has = |words: &[String], keyword: &String| words.iter().any(|word| is_alike(word, keyword));
    let in_title = keywords.iter().filter(|keyword| has(&about, keyword)).count();
    let in_any = keywords.iter().filter(|keyword| has(&about, keyword) || has(&text, keyword)).count();
    let known = keywords.iter().filter(|keyword| is_known(keyword, vocabulary)).count();
    in_title > 0 && 4 * in_any >= 2 * known + (keywords.len() - known)
}
