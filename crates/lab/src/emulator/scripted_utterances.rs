//! What realtime sessions hear next, on order: whatever it sounds like, noise too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Texts in their order; an empty one is a turn without words.
#[derive(Clone, Debug, Default)]
pub struct ScriptedUtterances(Arc<Mutex<VecDeque<String>>>);

impl ScriptedUtterances {
    /// Replaces the earlier utterances.
    pub fn set(&self, texts: impl IntoIterator<Item = String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = texts.into_iter().collect();
    }

    pub(super) fn next(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
