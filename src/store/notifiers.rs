//! Who waits for rows: told when there are some, so that nobody has to ask often.

use std::sync::Arc;
use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub struct Notifiers {
    pub outbox: Arc<Notify>,
    pub wrap_up: Arc<Notify>,
    pub schedule: Arc<Notify>,
}
