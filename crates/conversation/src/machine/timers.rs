//! The timers of a call, each with a name.

use super::transfer::PendingTransfer;
use super::{CallMachine, CallOutput, CallPhase};
use crate::amd::AmdDetector;
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_domain::end_reason::EndReason;
use trunkline_providers::ProviderError;

/// Which timer fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTimer {
    /// `max_duration_seconds` is over.
    MaxDuration,
    /// A goodbye has been going on for too long.
    Goodbye,
    /// The caller has said nothing for a while.
    Silence,
    /// A barge-in brought no words: resume.
    Resume,
    /// Speech was detected, but STT is silent.
    SttStall,
    /// The caller is silent, but STT has not sent its final result.
    SttLate,
    /// The final transcript has not arrived.
    FinalTranscript,
    /// A tool result came during speech, and nothing was said after all.
    ToolResult,
    /// A tool or the LLM is slow: say a filler.
    Filler,
    /// Voicemail: maximum announcement or message time, or the pause after the beep.
    Voicemail,
    /// The transfer target does not answer.
    Transfer,
    /// The realtime model was asked and does not respond, or stalls.
    RealtimeStall,
    /// The realtime model has not sent the caller's transcript.
    CallerTranscript,
}

/// Prompt for the model when the caller says nothing.
const SILENCE_PROMPT: &str = "The caller has said nothing for a while. Ask in one short sentence whether they are still \
there or need a moment, in words that fit the conversation and that you have not used before.";

const COUNT: usize = 13;

#[derive(Debug, Default)]
pub(super) struct CallTimers([Option<Instant>; COUNT]);

impl CallTimers {
    pub(super) fn set(&mut self, timer: CallTimer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn clear(&mut self, timer: CallTimer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn clear_all(&mut self) {
        self.0 = [None; COUNT];
    }

    pub(super) fn is_set(&self, timer: CallTimer) -> bool {
        self.0[timer as usize].is_some()
    }

    fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes a timer that is due.
    fn due(&mut self, now: Instant) -> Option<CallTimer> {
        const ALL: [CallTimer; COUNT] = [
            CallTimer::MaxDuration,
            CallTimer::Goodbye,
            CallTimer::Silence,
            CallTimer::Resume,
            CallTimer::SttStall,
            CallTimer::SttLate,
            CallTimer::FinalTranscript,
            CallTimer::ToolResult,
            CallTimer::Filler,
            CallTimer::Voicemail,
            CallTimer::Transfer,
            CallTimer::RealtimeStall,
            CallTimer::CallerTranscript,
        ];
        let timer = ALL.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.clear(timer);
        Some(timer)
    }
}

impl CallMachine {
    /// Returns when `handle_timeout` must be called; `None` when nothing waits for time or the call is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let talking = self.is_talking();
        let turn = self.end_of_turn.poll_timeout().filter(|_| talking && self.waiting_turn.is_none());
        let who = self.amd.as_ref().and_then(AmdDetector::poll_timeout).filter(|_| talking);
        [self.timers.next(), turn, who, self.dtmf.poll_timeout().filter(|_| talking)].into_iter().flatten().min()
    }

    /// Runs every timer that is due, then AMD, the DTMF collector and the end-of-turn detection.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.due(now) {
            tracing::trace!(?timer, "call wakes");
            self.handle_timer(now, timer);
        }
        let found = self.amd.as_mut().and_then(|detection| detection.handle_timeout(now));
        self.handle_amd_result(now, found);
        if let Some(pressed) = self.dtmf.handle_timeout(now) {
            self.handle_dtmf_input(now, pressed);
        }
        self.check_turn(now);
    }

    fn handle_timer(&mut self, now: Instant, timer: CallTimer) {
        match timer {
            // Two people who are bridged are not prompted.
            CallTimer::MaxDuration if self.transfer.as_ref().is_some_and(PendingTransfer::is_connected) => {
                self.handle_command(now, EndReason::MaxDuration);
            }
            CallTimer::MaxDuration => {
                if self.transfer.take().is_some() {
                    self.output(CallOutput::EndConsultation);
                }
                let text = self.phrases.time_is_up;
                self.say_instead(now, text, AfterResponse::HangUp(EndReason::MaxDuration));
            }
            CallTimer::Goodbye => {
                let reason = match self.response.as_ref().map(|response| response.after) {
                    Some(AfterResponse::HangUp(reason)) => reason,
                    _ => EndReason::AgentHungUp,
                };
                self.handle_command(now, reason);
            }
            CallTimer::Silence => self.silence_passed(now),
            CallTimer::Resume => self.resume_remainder(now),
            CallTimer::Filler => self.handle_filler_timeout(now),
            CallTimer::Transfer => self.transfer_timed_out(now),
            CallTimer::Voicemail => self.handle_voicemail_ready(now),
            CallTimer::SttStall => self.handle_stt_stalled(now),
            CallTimer::SttLate => self.handle_stt_late(),
            CallTimer::ToolResult => self.request_response_to_results(now),
            CallTimer::RealtimeStall => self.handle_realtime_failed(now, &ProviderError::Timeout("answer")),
            CallTimer::CallerTranscript => self.handle_caller_transcript_timeout(),
            CallTimer::FinalTranscript => {
                if let CallPhase::Ending { reason, .. } = self.phase {
                    self.finish(now, reason);
                }
            }
        }
    }

    fn silence_passed(&mut self, now: Instant) {
        let Some(config) = self.silence.clone() else { return };
        if self.response.is_some() || self.end_of_turn.is_speaking() || !self.end_of_turn.words().is_empty() {
            return;
        }
        if self.silence_prompts < config.max_prompts {
            let asked = self.silence_prompts as usize;
            self.silence_prompts += 1;
            if config.generate_prompts {
                return self.request_llm_response(now, Some(SILENCE_PROMPT));
            }
            let ways: Vec<&String> = std::iter::once(&config.prompt).chain(&config.prompts).collect();
            self.say(now, ways[asked % ways.len()], AfterResponse::AwaitCaller);
        } else {
            self.say(now, &config.goodbye, AfterResponse::HangUp(EndReason::Silence));
        }
    }

    /// Starts the silence timer if it is the caller's turn.
    pub(super) fn arm_silence(&mut self, now: Instant) {
        // While a tool works the caller waits for us.
        let ours = !self.is_talking() || self.tools.is_waiting() || self.voicemail.is_some() || self.is_transferring();
        if let (Some(config), None, false) = (&self.silence, &self.response, ours) {
            let after = Duration::from_millis(config.prompt_after_ms);
            self.timers.set(CallTimer::Silence, now + after);
        }
    }
}
