//! Is the caller interrupting? The voice was held where the audio is; here words and time decide whether it
//! stops or goes on.

use super::{Machine, Output, Timer};
use crate::dialogue::backchannel::{is_backchannel, is_echo_of, is_pick_up, may_be_backchannel};
use crate::providers::SttEvent;
use std::time::{Duration, Instant};

/// After the caller's sound, words of it are waited for this long before the agent goes on.
pub(super) const VERDICT_AFTER: Duration = Duration::from_millis(350);
/// Sound that lasts this long without words, and too softly to interrupt, is none.
const HELD_MAX: Duration = Duration::from_millis(2_500);
/// Recognisers are less sure than this of what was no speech.
const CONFIDENCE_MIN: f32 = 0.35;
/// A caller who speaks up this soon after a turn had not finished it.
const GOES_ON: Duration = Duration::from_millis(1_500);

impl Machine {
    /// The voice fell silent because the caller made a sound.
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

    /// Our own voice comes back on this line.
    pub fn handle_echo(&mut self) {
        self.has_echo = true;
    }

    /// Words that are ours are nobody's.
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

    /// Whether a text only shows that the caller listens to what is being said, or is a noise that a recogniser
    /// made words of.
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

    /// The recogniser has heard something while the voice is held.
    pub(super) fn judge_words(&mut self, now: Instant, is_final: bool) {
        let (Some(generation), text) = (self.held, self.endpoint.words()) else { return };
        if text.is_empty() {
            // It was heard out, and it was nothing.
            if is_final && !self.endpoint.is_speaking() {
                self.timers.set(Timer::Resume, now);
            }
            return;
        }
        // Before a word of a reply was heard there is nothing to listen to.
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

    /// The caller has said nothing that would stop the agent.
    pub(super) fn go_on(&mut self) {
        self.metrics.backchannels += 1;
        if self.held.take().is_some() {
            self.timers.clear(Timer::Resume);
            self.metrics.resumes += 1;
            self.output(Output::Resume);
        }
    }

    /// Nothing came of an interruption.
    pub(super) fn resume(&mut self, now: Instant) {
        if self.held.take().is_some() {
            self.metrics.resumes += 1;
            return self.output(Output::Resume);
        }
        // Words that are still to be judged end as a turn.
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

    /// The reply that was just begun is heard to its end.
    pub(super) fn protect(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.protected = true;
            let generation = reply.generation;
            // Before its first piece.
            self.outputs.push_front(Output::Protect { generation });
        }
    }

    /// The caller speaks: a turn that was held for finished may not have been.
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

    /// The words stand by themselves and the line is quiet: the recogniser is asked for its last word, and the
    /// model may begin.
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
