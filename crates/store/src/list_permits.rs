//! One list at a time for each organization.

use super::error::StoreError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Organizations whose turns are remembered; those without a waiting request are dropped when there are more.
const TURNS_MAX: usize = 1_000;
/// How long a list waits for its turn: as long as for a connection.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A value of a statement's `$n`.
#[derive(Clone, Debug)]
pub(super) enum BindValue {
    Text(String),
    MaybeText(Option<String>),
    MaybeInt(Option<i64>),
}

/// One list at a time for each organization, by the first value of its statement.
#[derive(Clone, Debug, Default)]
pub(super) struct ListPermits(Arc<Mutex<HashMap<String, Arc<Semaphore>>>>);

impl ListPermits {
    /// Waits for its turn, as long as for a connection.
    pub(super) async fn take(&self, binds: &[BindValue]) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        let Some(BindValue::Text(organization)) = binds.first() else { return Ok(None) };
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() > TURNS_MAX {
                all.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            all.entry(organization.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        match tokio::time::timeout(WAIT_MAX, turn.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(StoreError::Busy { limit: "lists_at_once" }),
        }
    }
}
