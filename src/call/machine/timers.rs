//! The timers of a call, each with a name.

use super::transfer::Transfer;
use super::{Machine, Output, Phase};
use crate::call::voicemail::Detection;
use crate::dialogue::reply::Then;
use crate::domain::end_reason::EndReason;
use crate::providers::Failure;
use std::time::{Duration, Instant};

/// Which timer fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
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
    LastWords,
    /// A tool result came during speech, and nothing was said after all.
    ToolResult,
    /// A tool or the LLM is slow: say a filler.
    Filler,
    /// Voicemail: maximum announcement or message time, or the pause after the beep.
    Mailbox,
    /// The transfer target does not answer.
    Transfer,
    /// The realtime model was asked and does not respond, or stalls.
    EngineStall,
    /// The realtime model has not sent the caller's transcript.
    CallerWords,
}

/// What the model is told when the caller says nothing.
const STILL_THERE: &str = "The caller has said nothing for a while. Ask in one short sentence whether they are still \
there or need a moment, in words that fit the conversation and that you have not used before.";

const COUNT: usize = 13;

#[derive(Debug, Default)]
pub(super) struct Timers([Option<Instant>; COUNT]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn clear_all(&mut self) {
        self.0 = [None; COUNT];
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes a timer that is due.
    fn due(&mut self, now: Instant) -> Option<Timer> {
        const ALL: [Timer; COUNT] = [
            Timer::MaxDuration,
            Timer::Goodbye,
            Timer::Silence,
            Timer::Resume,
            Timer::SttStall,
            Timer::SttLate,
            Timer::LastWords,
            Timer::ToolResult,
            Timer::Filler,
            Timer::Mailbox,
            Timer::Transfer,
            Timer::EngineStall,
            Timer::CallerWords,
        ];
        let timer = ALL.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.clear(timer);
        Some(timer)
    }
}

impl Machine {
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let talking = self.is_talking();
        let turn = self.endpoint.poll_timeout().filter(|_| talking && self.waiting_turn.is_none());
        let who = self.detection.as_ref().and_then(Detection::poll_timeout).filter(|_| talking);
        [self.timers.next(), turn, who, self.keys.poll_timeout().filter(|_| talking)].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.due(now) {
            tracing::trace!(?timer, "call wakes");
            self.handle_timer(now, timer);
        }
        let found = self.detection.as_mut().and_then(|detection| detection.handle_timeout(now));
        self.answered_by(now, found);
        if let Some(pressed) = self.keys.handle_timeout(now) {
            self.pressed(now, pressed);
        }
        self.check_turn(now);
    }

    fn handle_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            // Two people who are bridged are not prompted.
            Timer::MaxDuration if self.transfer.as_ref().is_some_and(Transfer::is_connected) => {
                self.handle_command(now, EndReason::MaxDuration);
            }
            Timer::MaxDuration => {
                if self.transfer.take().is_some() {
                    self.output(Output::EndConsult);
                }
                let text = self.phrases.time_is_up;
                self.say_instead(now, text, Then::HangUp(EndReason::MaxDuration));
            }
            Timer::Goodbye => {
                let reason = match self.reply.as_ref().map(|reply| reply.then) {
                    Some(Then::HangUp(reason)) => reason,
                    _ => EndReason::AgentHungUp,
                };
                self.handle_command(now, reason);
            }
            Timer::Silence => self.silence_passed(now),
            Timer::Resume => self.resume(now),
            Timer::Filler => self.fill(now),
            Timer::Transfer => self.transfer_timed_out(now),
            Timer::Mailbox => self.mailbox_listens(now),
            Timer::SttStall => self.recogniser_stalled(now),
            Timer::SttLate => self.recogniser_late(),
            Timer::ToolResult => self.read_results(now),
            Timer::EngineStall => self.engine_failed(now, &Failure::Deadline("answer")),
            Timer::CallerWords => self.caller_words_late(),
            Timer::LastWords => {
                if let Phase::Ending { reason, .. } = self.phase {
                    self.finish(now, reason);
                }
            }
        }
    }

    fn silence_passed(&mut self, now: Instant) {
        let Some(config) = self.silence.clone() else { return };
        if self.reply.is_some() || self.endpoint.is_speaking() || !self.endpoint.words().is_empty() {
            return;
        }
        if self.silence_prompts < config.max_prompts {
            let asked = self.silence_prompts as usize;
            self.silence_prompts += 1;
            if config.generate_prompts {
                return self.ask(now, Some(STILL_THERE));
            }
            let ways: Vec<&String> = std::iter::once(&config.prompt).chain(&config.prompts).collect();
            self.say(now, ways[asked % ways.len()], Then::Listen);
        } else {
            self.say(now, &config.goodbye, Then::HangUp(EndReason::Silence));
        }
    }

    /// Starts the silence timer if it is the caller's turn.
    pub(super) fn arm_silence(&mut self, now: Instant) {
        // While a tool works the caller waits for us.
        let ours = !self.is_talking() || self.tools.is_waiting() || self.mailbox.is_some() || self.is_transferring();
        if let (Some(config), None, false) = (&self.silence, &self.reply, ours) {
            let after = Duration::from_millis(config.prompt_after_ms);
            self.timers.set(Timer::Silence, now + after);
        }
    }
}
