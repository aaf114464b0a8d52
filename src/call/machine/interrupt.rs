//! Barge-in: the media leg has paused playback; here words and time decide whether it stops or resumes.

use super::{Machine, Output, Timer};
use crate::dialogue::backchannel::{is_backchannel, is_echo_of, is_pick_up, may_be_backchannel};
use crate::providers::SttEvent;
use std::time::{Duration, Instant};

/// How long to wait for words after the caller's sound before playback resumes.
pub(super) const VERDICT_AFTER: Duration = Duration::from_millis(350);
/// Quiet sound without words for this long is not a barge-in.
const HELD_MAX: Duration = Duration::from_millis(2_500);
/// Below this STT confidence a result counts as noise.
const CONFIDENCE_MIN: f32 = 0.35;
/// If the caller speaks again within this time, the turn had not ended.
const GOES_ON: Duration = Duration::from_millis(1_500);

impl Machine {
    /// Playback was paused because the caller made a sound.
    pub fn handle_held(&mut self, now: Instant, generation: u32) {
        let present = self.reply.as_ref().filter(|reply| reply.generation == generation);
        let Some(reply) = present.filter(|_| self.is_talking()) else { return };
        if reply.protected {
            return self.output(Output::Resume);
        }
        self.metrics.holds += 1;
        self.held = Some(generation);
        self.timers.set(Timer::Resume, now + HELD_MAX);
        self.judge_words(now, false);
    }

    /// The agent's own voice is echoed on this line.
    pub fn handle_echo(&mut self) {
        self.has_echo = true;
    }

    /// Removes words that are an echo of the agent.
    pub(super) fn without_echo(&self, event: SttEvent) -> SttEvent {
        let said = match &self.reply {
            Some(reply) if self.has_echo => reply.said(),
            _ => return event,
        };
        match event {
            SttEvent::Interim(text) if is_echo_of(&text, &said) => SttEvent::Interim(String::new()),
            SttEvent::Final { text, confidence, speech_final } if is_echo_of(&text, &said) => {
                SttEvent::Final { text: String::new(), confidence, speech_final }
            }
            event => event,
        }
    }

    /// Whether a text is only a backchannel, or noise that STT turned into words.
    pub(super) fn is_listening(&self, text: &str, confidence: Option<f32>) -> bool {
        let Some(reply) = self.reply.as_ref().filter(|reply| reply.turn.is_some()) else { return false };
        if confidence.is_some_and(|confidence| confidence < CONFIDENCE_MIN) {
            return true;
        }
        let turn = self.brief.agent.turn();
        let language = self.brief.heard_language();
        let asked = reply.said().trim_end().ends_with('?');
        let greeting = reply.canned && self.history.is_empty();
        is_backchannel(text, language, asked, &turn.backchannels) || greeting && is_pick_up(text, language)
    }

    /// STT has recognised something while playback is paused.
    pub(super) fn judge_words(&mut self, now: Instant, is_final: bool) {
        let (Some(generation), text) = (self.held, self.endpoint.words()) else { return };
        if text.is_empty() {
            // It was played to the end, and the sound was nothing.
            if is_final && !self.endpoint.is_speaking() {
                self.timers.set(Timer::Resume, now);
            }
            return;
        }
        // Before anything of a response was heard there can be no backchannel.
        let begun = self.reply.as_ref().is_some_and(|reply| reply.turn.is_some());
        if self.is_listening(&text, self.endpoint.confidence()) {
            if is_final && !self.endpoint.is_speaking() {
                self.timers.set(Timer::Resume, now);
            }
        } else if begun && (is_final || !may_be_backchannel(&text, self.brief.heard_language())) {
            self.held = None;
            self.timers.clear(Timer::Resume);
            self.output(Output::Interrupt { generation });
        }
    }

    /// Resumes: the caller has said nothing that stops the agent.
    pub(super) fn go_on(&mut self) {
        self.metrics.backchannels += 1;
        if self.held.take().is_some() {
            self.timers.clear(Timer::Resume);
            self.metrics.resumes += 1;
            self.output(Output::Resume);
        }
    }

    /// The barge-in came to nothing.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.held.take().is_some() {
            self.metrics.resumes += 1;
            return self.output(Output::Resume);
        }
        // Words still to be judged end as a turn.
        if !self.endpoint.words().is_empty() {
            return;
        }
        if let Some(text) = self.unsaid.take().filter(|text| !text.is_empty()) {
            self.was_cut = false;
            self.say(now, &text, crate::dialogue::reply::Then::Listen);
        } else {
            self.arm_silence(now);
        }
    }

    /// Makes the current response uninterruptible.
    pub(super) fn protect(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.protected = true;
            let generation = reply.generation;
            // Before its first piece.
            self.outputs.push_front(Output::Protect { generation });
        }
    }

    /// The caller speaks: a turn considered finished may not have been.
    pub(super) fn caller_goes_on(&mut self, at: Instant) {
        self.discard_ahead();
        let unheard = self.reply.as_ref().is_none_or(|reply| reply.turn.is_none());
        if let Some(ended) = self.last_turn.take()
            && unheard
            && at.saturating_duration_since(ended) <= GOES_ON
        {
            self.metrics.cut_offs += 1;
            self.endpoint.note_cut_off(at.saturating_duration_since(ended));
        }
    }

    /// The words are a complete sentence and the line is silent: ask STT to finalize, and start preemptive generation.
    pub(super) fn likely_over(&mut self, now: Instant) {
        if self.engine.is_some() || !self.is_talking() || !self.endpoint.is_likely_over() {
            return;
        }
        if self.endpoint.is_waiting_for_final() && self.endpoint.is_streaming() {
            self.output(Output::FinalizeStt);
        }
        self.think_ahead(now);
    }
}
