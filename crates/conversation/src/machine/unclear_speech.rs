//! Speech of which the agent has no words: STT is sure of none (a language that it does not know, a very bad line), has failed,
//! or has heard nothing in it. The agent says so, where silence would follow.

use super::conversing::Conversing;
use super::talk::Speaker;
use super::unclear_cause::UnclearCause;
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};

/// The caller may only have paused.
const ANSWER_AFTER: Duration = Duration::from_millis(350);
/// Words of a speech in which STT has found none may still follow.
const LOST_AFTER: Duration = Duration::from_millis(1_000);
/// A sound this long is speech.
const SPEECH_MIN: Duration = Duration::from_millis(1_000);
/// How often that is said until the caller is understood.
const REASONS_MAX: u32 = 2;
/// How often anything is said until then: whoever has spoken is not left in silence, but behind it may be a radio.
const ANSWERS_MAX: u32 = 5;

impl Conversing {
    /// STT has ended an utterance that it did not understand.
    pub(super) fn handle_unclear_speech(&mut self, now: Instant) {
        self.await_clear_speech(now + ANSWER_AFTER, UnclearCause::NotUnderstood);
    }

    /// STT has failed at an utterance.
    pub(super) fn handle_lost_speech(&mut self, now: Instant) {
        self.await_clear_speech(now + ANSWER_AFTER, UnclearCause::Lost);
    }

    /// STT has ended an utterance without a word: one that was long enough is lost.
    pub(super) fn handle_wordless_speech(&mut self, now: Instant) {
        let Speaker::Pipeline(pipeline) = &self.talk.speaker else { return };
        if pipeline.last_speech >= SPEECH_MIN && self.talk.timers.unclear.is_none() {
            self.await_clear_speech(now + LOST_AFTER, UnclearCause::Lost);
        }
    }

    fn await_clear_speech(&mut self, until: Instant, cause: UnclearCause) {
        let line = &self.talk.line;
        let has_words = !line.caller.end_of_turn.words().is_empty();
        if self.unclear.answers < ANSWERS_MAX && line.playout.response.is_none() && !has_words {
            self.unclear.cause = cause;
            self.talk.timers.unclear = Some(until);
        }
    }

    /// Nothing that was understood followed.
    pub(super) fn answer_unclear_speech(&mut self, now: Instant) {
        let talk = &mut self.talk;
        if talk.line.caller.end_of_turn.is_speaking() {
            talk.timers.unclear = Some(now + ANSWER_AFTER);
            return;
        }
        let is_free = talk.line.caller.is_quiet()
            && talk.line.caller.waiting_turn.is_none()
            && talk.line.playout.response.is_none()
            && !talk.tools.is_waiting()
            && !self.collecting.is_active();
        if is_free {
            self.unclear.answers += 1;
            let asks = talk.line.facts.silence.as_ref().filter(|_| self.unclear.answers > REASONS_MAX);
            // The reason was told: what a silent caller is asked takes its place. It is no silence that ends the call.
            let question = asks.map(|config| {
                let ways: Vec<&String> = std::iter::once(&config.prompt).chain(&config.prompts).collect();
                ways[(self.unclear.answers - REASONS_MAX - 1) as usize % ways.len()].clone()
            });
            match (question, self.unclear.cause) {
                (Some(question), _) => talk.say(now, &question, AfterResponse::AwaitCaller),
                (None, UnclearCause::NotUnderstood) => {
                    talk.say(now, talk.line.facts.phrases.not_understood, AfterResponse::AwaitCaller);
                }
                (None, UnclearCause::Lost) => talk.ask_to_repeat(now),
            }
        }
    }
}
