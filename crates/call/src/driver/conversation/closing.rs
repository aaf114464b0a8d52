//! The end of an answered call: releases everything and records the final state.

use super::super::call_leg::CallLeg;
use super::ConversationLoop;
use crate::call_metrics::{final_metrics, trace, turn_seconds};
use crate::domain::end_reason::EndReason;
use std::time::Duration;
use trunkline_media::leg::LegEvent;

/// How long to wait for the statistics of a removed leg.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

impl ConversationLoop {
    /// Releases everything and records the final state of the call.
    pub(super) async fn close(mut self, reason: EndReason) {
        self.llm = None;
        // Nobody waits for these results any more: their requests end now.
        self.tools.abort_all();
        if let CallLeg::Sip(line) = &self.call.leg {
            self.call.context.sip.hang_up(line.call).await;
        }
        self.consultation = None;
        self.call.record.call.legs = 1;
        self.call.slot.release();
        let (journal, scope, id) =
            (self.call.context.journal.clone(), self.call.record.scope, self.call.record.call.id);
        let recorded = self.call.media.recording.clone().map(|path| {
            let done: trunkline_media::io::recorder::RecordingDone = Box::new(move |result| match result {
                Ok(samples) if samples > 0 => journal.record_recording(scope, id, path),
                Ok(_) => {}
                Err(error) => tracing::error!(call = %id, %error, "recording failed"),
            });
            done
        });
        self.call.media.leg.remove(recorded);
        let deadline = tokio::time::Instant::now() + CLOSE_DEADLINE;
        while self.stats.is_none() {
            match tokio::time::timeout_at(deadline, self.call.media.events.recv()).await {
                Ok(Some(LegEvent::Closed { stats })) => self.stats = Some(stats),
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        if let Some(stats) = &self.stats {
            metrics::histogram!("trunkline_jitter_seconds").record(f64::from(stats.jitter_ms) / 1_000.0);
            metrics::counter!("trunkline_rtp_packets_received_total").increment(stats.packets_received);
            metrics::counter!("trunkline_rtp_packets_lost_total").increment(stats.packets_lost);
        }
        let figures = self.machine.metrics();
        for (stage, seconds) in figures.turns.iter().flat_map(turn_seconds) {
            metrics::histogram!("trunkline_turn_seconds", "stage" => stage).record(seconds);
        }
        let before = self.call.record.call.metrics.take();
        self.call.record.call.metrics = Some(final_metrics(figures.to_json(), self.stats.as_ref(), before));
        self.call.record.record_ended(reason).await;
        if let Some(trace) = trace(&self.call.record.call, &self.machine.metrics().turns) {
            self.call.context.spans.export(trace);
        }
        tracing::info!(reason = reason.name(), "call ended");
    }
}
