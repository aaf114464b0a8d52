//! Notifications for tasks that wait for rows, so that they need not poll often.

use std::sync::Arc;
use tokio::sync::Notify;

#[derive(Clone, Debug, Default)]
pub struct Notifiers {
    pub outbox: Arc<Notify>,
    pub wrap_up: Arc<Notify>,
    pub schedule: Arc<Notify>,
}
