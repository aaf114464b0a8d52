//! A request of ours and its newest transaction.

use std::sync::Arc;

/// A request of ours that may still wait for the address of its next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PendingRequest {
    /// Nothing was sent yet, or the next address is looked up.
    Resolving,
    /// Its newest transaction.
    Sent { key: Arc<str> },
}

impl PendingRequest {
    /// The request is this transaction.
    pub(crate) fn is(&self, tx: &str) -> bool {
        self.key().is_some_and(|key| **key == *tx)
    }

    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Resolving => None,
            Self::Sent { key } => Some(key),
        }
    }
}
