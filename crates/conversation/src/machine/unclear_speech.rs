//! Speech in which STT found words and is sure of none: a language that it does not know, or a very bad line. The agent
//! says so, where silence would follow.

use super::conversing::Conversing;
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};

/// The caller may only have paused.
const ANSWER_AFTER: Duration = Duration::from_millis(350);
/// How often it is said until the caller is understood: behind it may be a radio.
const ANSWERS_MAX: u32 = 2;

impl Conversing {
    /// STT has ended an utterance that it did not understand.
    pub(super) fn handle_unclear_speech(&mut self, now: Instant) {
        if self.unclear_answers < ANSWERS_MAX && self.talk.line.playout.response.is_none() {
            self.talk.timers.unclear = Some(now + ANSWER_AFTER);
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
            self.unclear_answers += 1;
            talk.say(now, talk.line.facts.phrases.not_understood, AfterResponse::AwaitCaller);
        }
    }
}
