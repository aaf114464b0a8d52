//! The language of a conversation: its state.

use super::spec::CallSpec;
use crate::dialogue::language_tracker::LanguageTracker;

/// The language of a conversation, and what the call is like in the agent's own one.
#[derive(Debug)]
pub(super) struct ConversationLanguage {
    /// The call in the agent's own language.
    pub(super) own: CallSpec,
    pub(super) tracker: LanguageTracker,
    /// Sure, and not spoken yet: the agent still says something in the language before.
    pub(super) due: Option<String>,
    /// Those that the LLM can choose.
    pub(super) selectable: Vec<String>,
}

impl ConversationLanguage {
    pub(super) fn new(own: CallSpec) -> Self {
        Self { selectable: own.selectable_languages(), own, tracker: LanguageTracker::default(), due: None }
    }
}
