//! Fillers: a short phrase while a tool or the LLM takes long.

use super::output::CallOutput;
use super::talk::Talk;
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_media::playout::queue::SegmentId;

impl Talk {
    pub(super) fn arm_filler(&mut self, now: Instant) {
        if let Some(config) = self.line.facts.silence.as_ref().filter(|config| !config.fillers.is_empty()) {
            self.timers.filler = Some(now + Duration::from_millis(config.filler_after_ms));
        }
    }

    /// Says something while tools run.
    pub(super) fn say_filler(&mut self, now: Instant, words: String) {
        self.history.append_filler(&words);
        self.say(now, &words, AfterResponse::AwaitCaller);
        if let Some(response) = &mut self.line.playout.response {
            response.is_filler = true;
            if !self.line.facts.spec.agent.turn().tool_speech_interruptible {
                self.line.make_uninterruptible();
            }
        }
        self.last_filler = Some(words);
    }

    /// Filler timeout: a tool or the LLM takes too long.
    pub(super) fn handle_filler_timeout(&mut self, now: Instant) {
        let Some(words) = self.next_filler() else { return };
        let response = self.line.playout.response.as_mut();
        if let Some(response) = response.filter(|response| !response.is_scripted && !response.has_words()) {
            let response_id = response.response_id;
            let Some((index, text)) = response.add_filler(&words) else { return };
            self.last_filler = Some(words);
            self.line.output(CallOutput::Speak { segment: SegmentId { response_id, index }, text });
        } else if self.line.playout.response.is_none()
            && self.tools.is_waiting()
            && !self.line.caller.end_of_turn.is_speaking()
        {
            self.say_filler(now, words);
        }
    }

    /// The filler after the one that was used last; none when it is the only one.
    fn next_filler(&self) -> Option<String> {
        let fillers = &self.line.facts.silence.as_ref()?.fillers;
        let last = self.last_filler.as_ref();
        let after = last.and_then(|last| fillers.iter().position(|one| one == last)).map_or(0, |at| at + 1);
        let next = fillers.get(after % fillers.len().max(1))?;
        (Some(next) != last).then(|| next.clone())
    }
}
