//! Calls that nobody holds any more: of processes that died, and of tasks that never started.

use super::call_record::CallRecord;
use super::node::Node;
use super::recording_quota::RecordingFolder;
use super::sip_logs::SipLogs;
use crate::call_row::{Orphans, find_orphans};
use crate::call_webhooks::CallWebhooks;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::live_update::LiveFeed;
use crate::post_call::agent_fields;
use crate::registry::{CallCommand, CallRegistry};
use crate::store::journal::Journal;
use crate::store::{Store, StoreError};
use std::collections::HashSet;
use std::time::Duration;

/// How long to wait for journal entries of calls to reach the database.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// Ends calls without an owner.
#[derive(Clone, Debug)]
pub struct CallRecovery {
    /// The database.
    pub store: Store,
    /// Writes the rows of calls in the background, in batches.
    pub journal: Journal,
    /// The SIP messages of calls.
    pub sip_logs: SipLogs,
    /// The live calls of this process.
    pub registry: CallRegistry,
    /// Where their recordings are.
    pub recordings: RecordingFolder,
    /// This process among those that share the database.
    pub node: Node,
}

impl CallRecovery {
    /// Ends calls that another process has marked as failed because it considered this process dead. Their rows stay as
    /// they are.
    pub fn end_overtaken(&self, calls: &[CallId]) {
        for call in calls {
            tracing::warn!(%call, "another process has ended a call of this process");
            self.registry.command_any(*call, CallCommand::End(EndReason::ServerCrash));
        }
    }

    /// Ends calls that are open under this node's name but that no task holds: their task never started. Only those
    /// found at the previous check too, and without journal entries in flight. Returns the candidates for the next
    /// check.
    pub async fn end_orphans(&self, before: &HashSet<CallId>) -> Result<HashSet<CallId>, StoreError> {
        let open = self.store.open_calls_of(&self.node.name).await?;
        let Orphans { found, to_end } = find_orphans(open, |call| self.registry.holds(call), before);
        if to_end.is_empty() || !self.journal.flush(FLUSH_DEADLINE).await {
            return Ok(found);
        }
        for (scope, id) in to_end {
            let Some(call) = self.store.call(scope, id).await?.filter(|call| !call.status().is_over()) else {
                continue;
            };
            let place = self.registry.register_finished(scope, id, call.task);
            let hooks = CallWebhooks::new(call.agent, &agent_fields(&call));
            let writers = (&self.journal, &self.sip_logs);
            CallRecord::resume_existing(writers, scope, call, hooks, LiveFeed::default(), place)
                .record_ended(EndReason::ServerCrash)
                .await;
            tracing::error!(call = %id, "ended an orphaned call");
        }
        Ok(found)
    }
}
