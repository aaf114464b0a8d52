//! The passages of a flow's documents.

use super::matching::{STEM_CHARS_MIN, content_words, is_alike};
use std::collections::BTreeSet;
use trunkline_domain::flow::FlowDocument;

/// A passage that can be said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FaqPassage {
    /// What it is about.
    pub title: String,
    /// What is said.
    pub text: String,
    /// Other words for it.
    pub words: String,
}

/// The passages of all documents.
pub(super) fn passages(documents: &[FlowDocument]) -> Vec<FaqPassage> {
    let of_document = |document: &FlowDocument| {
        let (title, words) = (document.title.clone(), document.words.clone().unwrap_or_default());
        let each = |text: &str| FaqPassage { title: title.clone(), text: text.to_owned(), words: words.clone() };
        document.passages().map(each).collect::<Vec<_>>()
    };
    documents.iter().flat_map(of_document).collect()
}

/// The words of all passages that say something.
pub(super) fn vocabulary(passages: &[FaqPassage], language: &str) -> BTreeSet<String> {
    let texts = passages.iter().flat_map(|one| [&one.title, &one.words, &one.text]);
    texts.flat_map(|text| content_words(text, language)).collect()
}

/// Whether a form of a word is in a vocabulary. Forms of a word begin alike.
pub(super) fn is_known(word: &str, vocabulary: &BTreeSet<String>) -> bool {
    let beginning: String = word.chars().take(STEM_CHARS_MIN).collect();
    let mut near = vocabulary.range(beginning.clone()..).take_while(|one| one.starts_with(&beginning));
    near.any(|one| is_alike(one, word))
}
