//! The passages of a flow's documents.

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
