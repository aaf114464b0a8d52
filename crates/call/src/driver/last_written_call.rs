//! A call as it was last written. It survives the task of the call, so that a call that panics can be ended.

use crate::call_webhooks::CallWebhooks;
use crate::domain::call::Call;
use crate::live_update::LiveFeed;
use crate::registry::RegistryGuard;
use crate::store::OrgScope;
use std::sync::{Arc, Mutex, PoisonError};

/// The call as last written, until it is over.
pub(super) struct LastWrittenCall {
    pub scope: OrgScope,
    pub call: Call,
    pub hooks: CallWebhooks,
    pub live: LiveFeed,
    /// Held so that the drain also waits for this call.
    pub place: Arc<RegistryGuard>,
}

/// Survives the task of a call. Updated whenever the call's row is written.
#[derive(Clone, Default)]
pub(super) struct CallPanicGuard(Arc<Mutex<Option<LastWrittenCall>>>);

impl CallPanicGuard {
    /// The row was written; none when the call is over.
    pub(super) fn record_written(&self, last: Option<LastWrittenCall>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Takes the call that was last written and is not over.
    pub(super) fn take(&self) -> Option<LastWrittenCall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
