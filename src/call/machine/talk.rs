//! Turns and responses: the caller's turn to the LLM, its text to TTS, tools in between.

use super::{FAILURES_MAX, GOODBYE_MAX, Machine, Output, Phase, Timer};
use crate::dialogue::reply::{Reply, Then};
use crate::domain::chat::ChatMessage;
use crate::domain::end_reason::EndReason;
use crate::providers::{Failure, LlmEvent};
use std::time::{Duration, Instant};
use trunkline_media::playout::queue::PieceId;
use trunkline_media::turn::endpoint;

impl Machine {
    pub(super) fn greet(&mut self, now: Instant) {
        if self.engine_greets(now) {
            return;
        }
        match self.brief.first_message().map(str::to_owned) {
            Some(text) => {
                self.say(now, &text, Then::Listen);
                if !self.brief.agent.turn().first_message_interruptible {
                    self.protect();
                }
            }
            None => {
                let hint = "The call has just been answered. Greet the other side and say how you can help.";
                self.ask(now, Some(hint));
            }
        }
    }

    /// Says a scripted text if nothing else is being said.
    pub(super) fn say(&mut self, now: Instant, text: &str, then: Then) {
        self.discard_ahead();
        if self.engine_says(now, text, then) {
            return;
        }
        self.generation += 1;
        let generation = self.generation;
        let (reply, pieces) = Reply::canned(generation, text, then, self.brief.style());
        self.reply = Some(reply);
        self.timers.clear(Timer::Silence);
        if matches!(then, Then::HangUp(_)) {
            self.timers.set(Timer::Goodbye, now + GOODBYE_MAX);
        }
        self.speak(pieces);
    }

    /// Says a scripted text in place of the current response.
    pub(super) fn say_instead(&mut self, now: Instant, text: &str, then: Then) {
        self.drop_reply(now);
        self.say(now, text, then);
    }

    /// Cancels the current response; what was heard of it stays in the history.
    pub(super) fn drop_reply(&mut self, now: Instant) {
        self.held = None;
        let Some(reply) = self.reply.take() else { return };
        let generation = reply.generation;
        self.output(Output::CancelModel);
        self.output(Output::Silence { generation });
        self.engine_cut(&reply, &[]);
        if reply.turn.is_some() && !reply.is_filler {
            self.history.assistant(&reply.said(), Vec::new());
        }
        let at_ms = self.ms(now);
        self.reply = Some(reply);
        self.record_reply(at_ms, true, None);
        self.reply = None;
    }

    pub(super) fn speak(&mut self, pieces: Vec<(u32, String)>) {
        let generation = self.generation;
        for (index, text) in pieces {
            self.output(Output::Speak { piece: PieceId { generation, index }, text });
        }
    }

    /// The caller has finished a turn.
    pub(super) fn handle_turn(&mut self, now: Instant, turn: endpoint::Turn) {
        self.timers.clear(Timer::Silence);
        self.timers.clear(Timer::Resume);
        self.timers.clear(Timer::SttStall);
        self.unsaid = None;
        if self.mailbox.is_some() || self.is_transferring() {
            // An announcement needs no answer.
            self.record_user(&turn);
            return self.history.user(&turn.text);
        }
        if self.engine.is_some() {
            return self.tell_engine(&turn);
        }
        if self.is_listening(&turn.text, turn.confidence) {
            // A backchannel is recorded but interrupts nothing.
            self.record_user(&turn);
            return self.go_on();
        }
        if let Some(reply) = &self.reply {
            let (generation, heard) = (reply.generation, reply.turn.is_some());
            if reply.protected {
                return self.wait_with(turn);
            }
            if reply.canned && !heard {
                // "Hello?" before our greeting is audible: the greeting answers it.
                self.record_user(&turn);
                self.history.user(&turn.text);
                return;
            }
            self.output(Output::CancelModel);
            self.output(Output::Silence { generation });
            if heard {
                // The history needs what was heard of the response first: wait for the report.
                return self.wait_with(turn);
            }
            self.reply = None;
        }
        self.answer_turn(now, &turn);
    }

    fn answer_turn(&mut self, now: Instant, turn: &endpoint::Turn) {
        self.record_user(turn);
        if std::mem::take(&mut self.was_cut) {
            self.history.interrupted();
        }
        self.history.user(&turn.text);
        self.rounds = 0;
        self.last_turn = Some(turn.ended);
        let (ended_ms, now_ms) = (self.ms(turn.ended), self.ms(now));
        let final_ms = turn.final_at.map(|at| self.ms(at));
        if self.take_ahead(now, turn) {
            return;
        }
        self.metrics.turn(self.generation + 1, ended_ms, final_ms, now_ms);
        self.ask(now, None);
    }

    /// Queues a turn until the current response has ended or was cut.
    fn wait_with(&mut self, turn: endpoint::Turn) {
        self.waiting_turn = Some(match self.waiting_turn.take() {
            Some(first) => endpoint::Turn { text: format!("{} {}", first.text, turn.text), ..turn },
            None => turn,
        });
    }

    /// Requests an LLM response to everything said so far.
    pub(super) fn ask(&mut self, now: Instant, hint: Option<&str>) {
        if self.engine_asked(now, hint) {
            return;
        }
        self.discard_ahead();
        self.generation += 1;
        let generation = self.generation;
        self.reply = Some(Reply::from_model(generation, self.brief.style()));
        self.arm_filler(now);
        let mut messages = self.history.messages();
        messages.extend(hint.map(|hint| ChatMessage::System(hint.to_owned())));
        self.tools.told();
        self.output(Output::AskModel { generation, messages, tools: self.offers() });
    }

    pub fn handle_model(&mut self, now: Instant, generation: u32, event: LlmEvent) {
        let at_ms = self.ms(now);
        if self.ahead_hears(now, generation, &event) {
            return;
        }
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == generation) else { return };
        match event {
            LlmEvent::Text(text) => {
                let pieces = reply.text(&text);
                if !pieces.is_empty() {
                    self.timers.clear(Timer::Filler);
                    self.metrics.first_piece(generation, at_ms);
                }
                self.metrics.first_token(generation, at_ms);
                self.model_failures = 0;
                self.speak(pieces);
            }
            LlmEvent::Tools(calls) => reply.tool_calls = calls,
            LlmEvent::Switched(switch) => {
                if switch.why != "slow" {
                    self.metrics.provider_error("llm", switch.why);
                }
                self.note_switch(now, &switch);
            }
            LlmEvent::Done(usage) => {
                let last = reply.finish();
                self.metrics.used(generation, &usage);
                self.speak(last.into_iter().collect());
                self.model_finished(now);
            }
            LlmEvent::Failed(failure) => self.model_failed(now, &failure),
        }
    }

    pub(super) fn model_finished(&mut self, now: Instant) {
        let Some(reply) = &mut self.reply else { return };
        if reply.has_words() {
            self.model_failures = 0;
            return self.advance(now);
        }
        if reply.tool_calls.is_empty() {
            return self.model_failed(now, &Failure::Garbage("empty answer".to_owned()));
        }
        self.model_failures = 0;
        self.advance(now);
    }

    fn model_failed(&mut self, now: Instant, failure: &Failure) {
        tracing::warn!(%failure, "LLM failed");
        self.metrics.provider_error("llm", failure.kind());
        let Some(reply) = &mut self.reply else { return };
        reply.tool_calls.clear();
        if reply.has_words() {
            // Part of a response was spoken already: it ends there.
            let last = reply.finish();
            self.speak(last.into_iter().collect());
            return self.advance(now);
        }
        self.reply = None;
        self.model_failures += 1;
        if self.model_failures >= FAILURES_MAX || *failure == Failure::NotConfigured {
            return self.give_up(now);
        }
        let text = self.phrases.repeat;
        self.say(now, text, Then::Listen);
    }

    pub fn handle_voice_audio(&mut self, now: Instant, piece: PieceId) {
        let at_ms = self.ms(now);
        self.metrics.first_audio(piece.generation, at_ms);
    }

    /// The voice has finished a piece of this many samples.
    pub fn handle_voice_done(&mut self, piece: PieceId, samples: u64) {
        if let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == piece.generation) {
            reply.voice_done(piece.index, samples);
        }
    }

    /// The voice says where the words of a piece are: samples, and characters spoken by then.
    pub fn handle_voice_marks(&mut self, piece: PieceId, marks: &[(u64, u32)]) {
        if let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == piece.generation) {
            reply.voice_marks(piece.index, marks);
        }
    }

    /// Neither the agent's TTS nor the local one could speak the segment.
    pub fn handle_voice_failed(&mut self, now: Instant, piece: PieceId, failure: &Failure) {
        self.metrics.provider_error("tts", failure.kind());
        if let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == piece.generation) {
            reply.voice_failed(piece.index);
            self.advance(now);
        }
    }

    /// Records text that was sent to TTS.
    pub fn note_spoken(&mut self, voice: &str, characters: u64) {
        self.metrics.spoken(voice, characters);
    }

    /// Records a TTS failure; a failover is recorded separately.
    pub fn note_voice_failure(&mut self, failure: &Failure) {
        self.metrics.provider_error("tts", failure.kind());
    }

    /// Goes on when everything of the reply was heard.
    pub(super) fn advance(&mut self, now: Instant) {
        let Some(reply) = self.reply.take_if(|reply| reply.is_over()) else { return };
        self.held = None;
        self.timers.clear(Timer::Filler);
        if let Phase::Ending { reason, .. } = self.phase {
            return self.finish(now, reason);
        }
        if reply.was_mute() {
            self.voice_failures += 1;
            if self.voice_failures >= FAILURES_MAX {
                return self.handle_command(now, EndReason::ProviderError);
            }
        }
        let said = reply.said();
        let calls = reply.tool_calls.clone();
        if !reply.is_filler {
            self.history.assistant(&said, calls.clone());
        }
        match reply.then {
            Then::HangUp(reason) => self.handle_command(now, reason),
            Then::Transfer => self.start_transfer(now),
            Then::Listen => {
                self.timers.clear(Timer::Goodbye);
                // A realtime model that broke off: its last audio was heard to the end before playback was flushed.
                if self.go_on_after_engine(now) {
                    return;
                }
                if !calls.is_empty() {
                    return self.run_tools(now, &calls, !said.is_empty());
                }
                if let Some(turn) = self.waiting_turn.take() {
                    return self.answer_turn(now, &turn);
                }
                self.arm_silence(now);
                self.read_results(now);
            }
        }
    }

    /// After a response was cut: `rest` is what was not heard.
    pub(super) fn after_cut(&mut self, now: Instant, then: Then, rest: Option<String>) {
        if let Phase::Ending { reason, until } = self.phase {
            // The final transcript of a caller who hung up may still come; without pending words the call is over.
            if until.saturating_duration_since(now) <= Duration::from_millis(100)
                || self.endpoint.words().is_empty() && !self.endpoint.is_speaking()
            {
                self.finish(now, reason);
            }
            return;
        }
        self.timers.clear(Timer::Goodbye);
        match then {
            Then::HangUp(reason @ (EndReason::MaxDuration | EndReason::ProviderError)) => {
                return self.handle_command(now, reason);
            }
            Then::Transfer => return self.start_transfer(now),
            // A caller who speaks during the goodbye wants to continue.
            Then::HangUp(_) | Then::Listen => {}
        }
        if let Some(turn) = self.waiting_turn.take() {
            return self.answer_turn(now, &turn);
        }
        if self.go_on_after_engine(now) {
            return;
        }
        // A realtime model that cannot say given texts continues by itself, or not at all.
        let resumable = self.engine.as_ref().is_none_or(super::engine::State::can_say);
        self.unsaid = rest.filter(|rest| !rest.is_empty() && resumable);
        if self.endpoint.is_speaking() {
            return;
        }
        if self.unsaid.is_some() {
            self.timers.set(Timer::Resume, now + super::RESUME_AFTER);
        } else {
            self.arm_silence(now);
            self.read_results(now);
        }
    }

    /// A required provider failed: says so and ends the call.
    pub(super) fn give_up(&mut self, now: Instant) {
        if !self.is_talking() {
            return;
        }
        let ending = self.reply.as_ref().is_some_and(|reply| matches!(reply.then, Then::HangUp(_)));
        if !ending {
            let text = self.phrases.give_up;
            self.say_instead(now, text, Then::HangUp(EndReason::ProviderError));
        }
    }

    /// Interim results without final ones: replays the audio to the fallback STT.
    pub(super) fn recogniser_late(&mut self) {
        let owed = self.endpoint.is_waiting_for_final() || self.endpoint.is_owed_final();
        if self.is_talking() && owed && !self.endpoint.is_speaking() {
            self.metrics.provider_error("stt", "late");
            self.output(Output::RestartStt);
        }
    }

    pub(super) fn recogniser_stalled(&mut self, now: Instant) {
        if self.reply.is_some() || !self.is_talking() || self.mailbox.is_some() || self.is_transferring() {
            return;
        }
        self.stt_stalls += 1;
        self.metrics.provider_error("stt", "stalled");
        if self.stt_stalls > FAILURES_MAX {
            return self.give_up(now);
        }
        self.output(Output::RestartStt);
        let text = self.phrases.repeat;
        self.say(now, text, Then::Listen);
    }
}
