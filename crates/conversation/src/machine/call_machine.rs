//! The call machine: one mode at a time, changed by what happens.

use super::call_metrics::CallMetrics;
use super::conversing::Conversing;
use super::ending::{FINAL_TRANSCRIPT_TIMEOUT, Over};
use super::mode::Mode;
use super::output::CallOutput;
use super::pipeline::Pipeline;
use super::realtime::{Realtime, RealtimeCapabilities};
use super::spec::CallSpec;
use super::talk::Speaker;
use std::time::{Duration, Instant};
use trunkline_domain::end_reason::EndReason;
use trunkline_providers::Failover;

/// How long an end that nobody's words are expected for waits for the playback report.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(100);
/// The same, when the peer has hung up.
const HANG_UP_TIMEOUT: Duration = Duration::from_millis(60);

/// Decides what happens in one answered call: events go in, outputs and a deadline come out.
pub struct CallMachine {
    pub(super) mode: Mode,
}

impl std::fmt::Debug for CallMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallMachine").field("mode", &self.mode.name()).finish_non_exhaustive()
    }
}

impl CallMachine {
    /// The call was just answered.
    pub fn new(now: Instant, spec: CallSpec) -> Self {
        Self { mode: Conversing::answered(now, spec, Speaker::Pipeline(Pipeline::default())).into() }
    }

    /// A call on a realtime model.
    pub fn with_realtime(now: Instant, spec: CallSpec, capabilities: RealtimeCapabilities) -> Self {
        Self { mode: Conversing::answered(now, spec, Speaker::Realtime(Realtime::new(capabilities))).into() }
    }

    /// Returns the next thing for the driver to do; `None` when all are done.
    pub fn poll_output(&mut self) -> Option<CallOutput> {
        self.mode.log_mut().outputs.pop_front()
    }

    /// Returns the figures collected so far.
    pub fn metrics(&self) -> &CallMetrics {
        &self.mode.log().metrics
    }

    /// Returns whether the call has ended; no output follows then.
    pub fn is_over(&self) -> bool {
        matches!(self.mode, Mode::Over(_))
    }

    /// Whether the caller makes a sound, and whether words of the present turn are known.
    pub fn caller_state(&self) -> (bool, bool) {
        let caller = self.mode.line().map(|line| &line.caller.end_of_turn);
        caller.map_or((false, false), |caller| (caller.is_speaking(), !caller.words().is_empty()))
    }

    /// Replaces the mode by what becomes of it.
    pub(super) fn change(&mut self, next: impl FnOnce(Mode) -> Mode) {
        let mode = std::mem::replace(&mut self.mode, Mode::Over(Over::default()));
        self.mode = next(mode);
    }

    /// Since when the caller has waited for an answer without hearing a sound: the end of the last turn.
    pub fn caller_waits_since(&self) -> Option<Instant> {
        self.mode.talk().and_then(|talk| talk.fillers.unanswered_since())
    }

    /// Records that a fallback provider took over.
    pub fn record_failover(&mut self, now: Instant, switch: &Failover) {
        if let Some(line) = self.mode.line_mut() {
            line.record_failover(now, switch);
        }
    }

    /// Ends the call on request: `POST /calls/:id/end` and `/cancel`, shutdown, overload.
    pub fn handle_command(&mut self, now: Instant, reason: EndReason) {
        self.begin_hang_up(now, reason, COMMAND_TIMEOUT);
    }

    /// Ends the call because no packet of the peer has come for the network timeout.
    pub fn handle_network_lost(&mut self, now: Instant) {
        self.begin_hang_up(now, EndReason::NetworkLost, COMMAND_TIMEOUT);
    }

    /// The peer hung up: its final transcript may still arrive.
    pub fn handle_peer_hung_up(&mut self, now: Instant, reason: EndReason) {
        let (pending, reason) = match &mut self.mode {
            Mode::Conversing(Conversing { talk, .. }) => (talk.expect_last_words(), reason),
            Mode::Voicemail(voicemail) => (voicemail.talk.expect_last_words(), reason),
            Mode::Held(held) => (held.talk.expect_last_words(), reason),
            Mode::Transferring(transferring) => {
                (transferring.talk.expect_last_words(), transferring.end_reason(reason))
            }
            Mode::HandingOver(handover) => (handover.talk.expect_last_words(), reason),
            Mode::Bridged(bridged) => (!bridged.line.caller.is_quiet(), bridged.end_reason(reason)),
            Mode::Ending(_) | Mode::Over(_) => return,
        };
        self.begin_hang_up(now, reason, if pending { FINAL_TRANSCRIPT_TIMEOUT } else { HANG_UP_TIMEOUT });
    }

    fn begin_hang_up(&mut self, now: Instant, reason: EndReason, wait: Duration) {
        self.cancel_collecting(now);
        self.change(|mode| {
            let ending = match mode {
                Mode::Conversing(conversing) => conversing.hang_up(now, reason, wait),
                Mode::Voicemail(voicemail) => voicemail.talk.hang_up(now, reason, wait),
                Mode::Held(held) => held.talk.hang_up(now, reason, wait),
                Mode::Transferring(transferring) => transferring.talk.hang_up(now, reason, wait),
                Mode::HandingOver(handover) => handover.talk.hang_up(now, reason, wait),
                Mode::Bridged(bridged) => bridged.hang_up(now, reason, wait),
                ended @ (Mode::Ending(_) | Mode::Over(_)) => return ended,
            };
            // Without words to come or a playback report, nothing is waited for.
            if ending.is_silent() && !ending.is_working() && wait < FINAL_TRANSCRIPT_TIMEOUT {
                return Mode::Over(ending.finish(now));
            }
            Mode::Ending(ending)
        });
    }

    /// Ends the machine, if it waits for its end.
    pub(super) fn finish(&mut self, now: Instant) {
        self.change(|mode| match mode {
            Mode::Ending(ending) => Mode::Over(ending.finish(now)),
            going_on @ (Mode::Conversing(_)
            | Mode::Voicemail(_)
            | Mode::Held(_)
            | Mode::Transferring(_)
            | Mode::HandingOver(_)
            | Mode::Bridged(_)) => going_on,
            over @ Mode::Over(_) => over,
        });
    }

    #[cfg(test)]
    pub(super) fn response_id(&self) -> u32 {
        self.mode.line().map_or(0, |line| line.playout.last_id)
    }
}
