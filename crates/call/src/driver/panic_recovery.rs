//! A call whose task panics ends like any other: one final state, its events, its report. Its resources (leg, ports,
//! provider connections) are dropped with the task; the user agent hangs up calls without an owner.

use super::call_record::CallRecord;
use super::last_written_call::{CallPanicGuard, LastWrittenCall};
use super::services::SharedServices;
use crate::domain::end_reason::EndReason;
use crate::recordings;
use crate::supervision::contain;

impl CallPanicGuard {
    /// Runs a call to its end; one that panics is ended here.
    pub(super) async fn run_contained(self, context: &SharedServices, run: impl Future<Output = ()>) {
        let panicked = contain("call", run).await.is_err();
        // A call that returned without recording its end is a defect and is ended here as well.
        self.end(context, panicked).await;
    }

    async fn end(self, context: &SharedServices, panicked: bool) {
        let last = self.take();
        // Without a row, no webhook and no listener has learned of the call; the user agent rejects its caller.
        let Some(LastWrittenCall { scope, call, hooks, live, place }) = last else { return };
        let id = call.id;
        context.web_calls.counts.forget(id);
        let path = recordings::path(scope.organization(), id);
        let recorded = call.answered_at().is_some() && context.recordings.folder.join(&path).exists();
        let mut record =
            CallRecord::resume_existing((&context.journal, &context.sip_logs), scope, call, hooks, live, place);
        if recorded {
            // The recording is playable up to its last half second.
            context.journal.record_recording(scope, id, path);
        }
        record.record_ended(EndReason::ServerCrash).await;
        tracing::error!(call = %id, panicked, "a bug (panic or missing end) ended the call");
    }
}
