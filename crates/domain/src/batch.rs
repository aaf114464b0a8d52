//! A batch: tasks that are started, paused and repeated together.

use super::ids::BatchId;
use super::time::UnixMs;
use utoipa::ToSchema;

/// Whether the tasks of a batch are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Its tasks wait. Calls that are under way go on; a task that is executed by itself is called all the same.
    Paused,
    /// Its pending tasks are called: at their time, those without a time as soon as the limits allow.
    Running,
}

impl BatchStatus {
    /// Every status.
    pub const ALL: &[Self] = &[Self::Paused, Self::Running];

    /// Returns the name in JSON and in the database: `paused` or `running`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Running => "running",
        }
    }

    /// Reads the name that JSON and the database use; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }
}

/// A stored batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Chosen by the server when the batch is created; never changes.
    pub id: BatchId,
    /// What people call the batch.
    pub name: String,
    /// Whether its tasks are called.
    pub status: BatchStatus,
    /// When the batch was created.
    pub created_at: UnixMs,
    /// When it was last started or paused.
    pub updated_at: UnixMs,
}
