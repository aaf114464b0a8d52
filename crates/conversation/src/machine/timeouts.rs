//! What happens when a timer fires.

use super::call_machine::CallMachine;
use super::mode::Mode;
use super::timers::CallTimer;
use crate::amd::AmdDetector;
use crate::dialogue::response::AfterResponse;
use std::time::Instant;
use trunkline_domain::end_reason::EndReason;
use trunkline_providers::ProviderError;

impl CallMachine {
    /// Returns when `handle_timeout` must be called; `None` when nothing waits for time or the call is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timers = CallTimer::ALL.into_iter().filter_map(|timer| self.mode.deadline(timer));
        let who = self.mode.amd().and_then(AmdDetector::poll_timeout);
        let keys = self.mode.talk().and_then(|talk| talk.dtmf.poll_timeout());
        timers.chain(self.mode.end_of_turn()).chain(who).chain(keys).min()
    }

    /// Runs every timer that is due, then AMD, the DTMF collector and the end-of-turn detection.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.take_due(now) {
            tracing::trace!(?timer, "call wakes");
            self.handle_timer(now, timer);
        }
        self.run_amd(now, |amd| amd.handle_timeout(now));
        let input = self.mode.talk_mut().and_then(|talk| talk.dtmf.handle_timeout(now));
        if let Some(input) = input {
            self.handle_dtmf_input(now, input);
        }
        self.check_turn(now);
    }

    /// Takes a timer that is due. Those that a mode keeps end with it.
    fn take_due(&mut self, now: Instant) -> Option<CallTimer> {
        let timer = CallTimer::ALL.into_iter().find(|timer| self.mode.deadline(*timer).is_some_and(|at| at <= now))?;
        if let Some(talk) = self.mode.talk_mut() {
            talk.clear(timer);
        }
        Some(timer)
    }

    fn handle_timer(&mut self, now: Instant, timer: CallTimer) {
        match (timer, self.mode.talk_mut()) {
            (CallTimer::MaxDuration, _) => self.handle_max_duration(now),
            (CallTimer::Silence | CallTimer::Unclear | CallTimer::SttStall, _) => {
                if let Mode::Conversing(conversing) = &mut self.mode {
                    conversing.handle_timer(now, timer);
                }
            }
            (CallTimer::Collection, _) => self.handle_collection_timeout(now),
            (CallTimer::OperatorText, _) => self.handle_operator_timeout(now),
            (CallTimer::Voicemail, _) => {
                if let Mode::Voicemail(voicemail) = &mut self.mode {
                    voicemail.handle_ready(now);
                }
            }
            (CallTimer::Hold, _) => self.resume_hold(now, "the time is over"),
            (CallTimer::Transfer, _) => self.handle_transfer_timeout(now),
            (CallTimer::Handover, _) => self.handle_handover_timeout(now),
            (CallTimer::FinalTranscript, _) => self.finish(now),
            (CallTimer::ToolResult, _) => self.request_response_to_results(now),
            (CallTimer::Goodbye, Some(talk)) => {
                let reason = match talk.line.playout.response.as_ref().map(|response| response.after) {
                    Some(AfterResponse::HangUp(reason)) => reason,
                    Some(AfterResponse::AwaitCaller | AfterResponse::Transfer | AfterResponse::HandOver) | None => {
                        EndReason::AgentHungUp
                    }
                };
                self.handle_command(now, reason);
            }
            (CallTimer::Resume, Some(talk)) => {
                if talk.resume_remainder(now) {
                    self.arm_silence(now);
                }
            }
            (CallTimer::Filler, Some(talk)) => talk.handle_filler_timeout(now),
            (CallTimer::SttLate, Some(talk)) => talk.handle_stt_late(),
            (CallTimer::RealtimeStall, Some(talk)) => {
                if !talk.wait_on_realtime() {
                    talk.handle_realtime_failed(now, &ProviderError::Timeout("answer"));
                }
            }
            (CallTimer::CallerTranscript, Some(talk)) => talk.handle_caller_transcript_timeout(),
            (
                CallTimer::Goodbye
                | CallTimer::Resume
                | CallTimer::Filler
                | CallTimer::SttLate
                | CallTimer::RealtimeStall
                | CallTimer::CallerTranscript,
                None,
            ) => {}
        }
    }

    /// `max_duration_seconds` is over; two people who are bridged are not told.
    fn handle_max_duration(&mut self, now: Instant) {
        if let Mode::Bridged(_) = self.mode {
            return self.handle_command(now, EndReason::MaxDuration);
        }
        self.give_up_transfer();
        self.resume_hold(now, "the call has reached its longest duration");
        self.give_up_handover();
        if let Some(talk) = self.mode.talk_mut() {
            let text = talk.line.facts.phrases.time_is_up;
            talk.say_last_words(now, text, EndReason::MaxDuration);
        }
    }
}
