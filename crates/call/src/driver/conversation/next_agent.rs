//! The next agent of a call, while it is prepared and until it takes over.

use super::super::agent_preparation::PreparedAgent;
use crate::agent_switch::HandoverError;
use crate::supervision::PanicError;
use tokio::task::JoinSet;

/// How the preparation of an agent went; outside of it, whether its task panicked.
pub(super) type PreparationResult = Result<Result<Box<PreparedAgent>, HandoverError>, PanicError>;

/// The next agent of a call, as far as there is one.
#[derive(Default)]
pub(super) struct NextAgent {
    /// At most one.
    pub preparing: JoinSet<PreparationResult>,
    pub ready: Option<Box<PreparedAgent>>,
}
