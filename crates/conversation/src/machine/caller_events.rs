//! What the caller does: sounds, words, and keys.

use super::call_machine::CallMachine;
use super::conversing::Conversing;
use super::mode::Mode;
use super::output::CallOutput;
use super::transfer::TransferRequest;
use super::unclear_cause::UnclearSpeech;
use crate::dialogue::response::AfterResponse;
use crate::dtmf::{DtmfCommand, DtmfInput};
use std::time::Instant;
use trunkline_domain::end_reason::EndReason;
use trunkline_media::turn::end_of_turn::{CallerTurn, EndOfTurnDetector};
use trunkline_media::turn::overlap::OverlapSource;
use trunkline_providers::{ProviderError, SttEvent};

impl CallMachine {
    /// Records that voice activity of the caller began at this instant.
    pub fn handle_speech_started(&mut self, at: Instant) {
        if let Some(line) = self.mode.line_mut() {
            line.handle_speech_started(at);
        }
        if let Some(amd) = self.mode.amd_mut() {
            amd.handle_speech_started(at);
        }
        if let Mode::Voicemail(voicemail) = &mut self.mode {
            voicemail.handle_speech(at, true);
        }
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_speech_started(at);
        }
    }

    /// The caller, who was silent, may have begun to speak at `at`.
    pub(super) fn handle_speech_suspected(&mut self, at: Instant) {
        if let Some(line) = self.mode.line_mut() {
            line.caller.end_of_turn.handle_speech_suspected(at);
        }
    }

    /// Records that the caller's voice activity ended; `last_sound` is the instant of the last sound, earlier than
    /// `now`.
    pub fn handle_speech_ended(&mut self, now: Instant, last_sound: Instant) {
        self.update_end_of_turn(|end_of_turn| end_of_turn.handle_speech_ended(last_sound));
        if let Some(amd) = self.mode.amd_mut() {
            amd.handle_speech_ended(last_sound);
        }
        if let Mode::Voicemail(voicemail) = &mut self.mode {
            voicemail.handle_speech(now, false);
        }
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_speech_ended(now, last_sound);
        }
        self.arm_silence(now);
        self.check_turn(now);
    }

    /// The line echoes the agent's voice.
    pub fn handle_echo(&mut self) {
        if let Some(line) = self.mode.line_mut() {
            line.caller.has_echo = true;
        }
    }

    /// Somebody else than before is heard over the agent.
    pub fn handle_overlap(&mut self, source: OverlapSource) {
        if let Some(line) = self.mode.line_mut() {
            line.caller.overlap = Some(source);
        }
    }

    /// Playback was paused because the caller made a sound.
    pub fn handle_paused(&mut self, now: Instant, response_id: u32) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_paused(now, response_id);
        }
    }

    /// Handles an event of STT: words, ends of turns, failovers and failures.
    pub fn handle_stt(&mut self, now: Instant, event: SttEvent) {
        let event = without_marks_alone(event);
        let is_identifying = self.mode.amd().is_some();
        let Some(line) = self.mode.line_mut() else { return };
        // Whoever has answered is still to be found out: all words count.
        let event = if is_identifying { event } else { line.remove_foreign_words(now, event) };
        match event {
            SttEvent::Ready => {}
            SttEvent::Languages(heard) => return self.handle_languages(now, &heard),
            SttEvent::Interim(text) => {
                self.handle_words(now, &text, false, |end_of_turn| end_of_turn.handle_interim(now, &text));
                self.handle_likely_end_of_turn(now);
            }
            SttEvent::Final { text, confidence, speech_final } => {
                self.handle_words(now, &text, true, |end_of_turn| {
                    end_of_turn.handle_final(now, &text, confidence, speech_final);
                });
                self.correct_turn();
                self.handle_likely_end_of_turn(now);
                self.handle_wordless_end(now, &text, speech_final);
                if let Mode::Ending(ending) = &self.mode
                    && ending.is_silent()
                    && !ending.is_working()
                {
                    return self.finish(now);
                }
            }
            SttEvent::Corrected { was, is, speech_final } => {
                self.update_end_of_turn(|end_of_turn| end_of_turn.handle_corrected(now, &was, &is, speech_final));
                self.correct_turn();
            }
            SttEvent::NotUnderstood => self.in_conversation(|conversing| conversing.handle_unclear_speech(now)),
            SttEvent::Lost => self.in_conversation(|conversing| conversing.handle_lost_speech(now)),
            SttEvent::UtteranceEnd => self.update_end_of_turn(|end_of_turn| end_of_turn.handle_utterance_end(now)),
            SttEvent::EndOfTurn { text, confidence } => {
                self.handle_words(now, &text, true, |end_of_turn| {
                    end_of_turn.handle_end_of_turn(now, &text, confidence);
                });
                self.correct_turn();
                self.handle_wordless_end(now, &text, true);
            }
            SttEvent::EagerEndOfTurn => {
                if let Some(talk) = self.mode.talk_mut() {
                    talk.start_preemptive_generation(now);
                }
            }
            SttEvent::TurnResumed => {
                if let Some(talk) = self.mode.talk_mut() {
                    talk.discard_preemptive_generation();
                }
                self.update_end_of_turn(|end_of_turn| end_of_turn.handle_turn_resumed(now));
            }
            SttEvent::StartOfTurn => self.update_end_of_turn(EndOfTurnDetector::set_turn_model),
            SttEvent::Reconnecting(failure) => {
                self.mode.log_mut().metrics.record_provider_error("stt", failure.kind());
            }
            SttEvent::FailedOver(switch) => self.record_failover(now, &switch),
            SttEvent::Failed(failure) => self.handle_stt_failed(now, &failure),
        }
        self.check_turn(now);
    }

    /// STT holds an utterance for over, of which it has perhaps no words.
    fn handle_wordless_end(&mut self, now: Instant, text: &str, is_over: bool) {
        if is_over && text.trim().is_empty() {
            self.in_conversation(|conversing| conversing.handle_wordless_speech(now));
        }
    }

    fn in_conversation(&mut self, act: impl FnOnce(&mut Conversing)) {
        if let Mode::Conversing(conversing) = &mut self.mode {
            act(conversing);
        }
    }

    /// No STT is left.
    fn handle_stt_failed(&mut self, now: Instant, failure: &ProviderError) {
        self.mode.log_mut().metrics.record_provider_error("stt", failure.kind());
        if let Some(talk) = self.mode.talk_mut() {
            talk.end_with_apology(now);
        }
    }

    /// The final words of a turn that is being answered already are the same turn: they replace its words.
    fn correct_turn(&mut self) {
        let Some(line) = self.mode.line_mut() else { return };
        if let Some(correction) = line.caller.end_of_turn.take_correction()
            && line.correct_user(&correction)
            && let Some(talk) = self.mode.talk_mut()
        {
            talk.history.replace_user(&correction.was, &correction.is);
        }
    }

    /// Words of the caller, in the order of those who need them: end of turn, AMD, barge-in.
    fn handle_words(&mut self, now: Instant, text: &str, is_final: bool, update: impl FnOnce(&mut EndOfTurnDetector)) {
        if is_final && let Some(talk) = self.mode.talk_mut() {
            talk.handle_final_words();
        }
        self.update_end_of_turn(update);
        // Words of a turn that was taken already, which come once more as final ones, are nothing new.
        let is_new = self.mode.line_mut().is_none_or(|line| !line.caller.end_of_turn.words().is_empty());
        if is_new {
            self.handle_caller_words(now, text);
            if let Some(talk) = self.mode.talk_mut() {
                talk.take_half_answer_back(now);
            }
        } else if is_final && let Some(talk) = self.mode.talk_mut() {
            talk.handle_no_new_words(now);
        }
        self.run_amd(now, |amd| amd.handle_words(now, text, is_final));
        if let Some(talk) = self.mode.talk_mut() {
            talk.evaluate_barge_in(now, is_final);
        }
    }

    /// The caller has said something, so a silent caller is prompted from the beginning.
    pub(super) fn handle_caller_words(&mut self, now: Instant, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Mode::Conversing(conversing) = &mut self.mode {
            conversing.silence_prompts = 0;
            conversing.unclear = UnclearSpeech::default();
            conversing.talk.timers.unclear = None;
        }
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_caller_words(now);
        }
    }

    fn update_end_of_turn(&mut self, update: impl FnOnce(&mut EndOfTurnDetector)) {
        if let Some(line) = self.mode.line_mut() {
            update(&mut line.caller.end_of_turn);
        }
    }

    fn handle_likely_end_of_turn(&mut self, now: Instant) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_likely_end_of_turn(now);
        }
    }

    /// Starts the silence timer if it is the caller's turn; only in a conversation does the agent wait for one.
    pub(super) fn arm_silence(&mut self, now: Instant) {
        if let Mode::Conversing(conversing) = &mut self.mode {
            conversing.arm_silence(now);
        }
    }

    pub(super) fn check_turn(&mut self, now: Instant) {
        if let Some(turn) = self.mode.poll_turn(now) {
            self.handle_turn(now, turn);
        }
    }

    /// The caller has finished a turn. Only a conversation answers it.
    pub(super) fn handle_turn(&mut self, now: Instant, turn: CallerTurn) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.clear_before_turn(now);
        }
        let Some(turn) = self.hold_unvoiced_turn(now, turn) else { return };
        let Some(turn) = self.collect_turn(now, turn) else { return };
        match &mut self.mode {
            Mode::Conversing(conversing) => {
                if conversing.handle_turn(now, turn) {
                    self.advance(now);
                }
            }
            Mode::Voicemail(voicemail) => voicemail.talk.note_turn(&turn),
            Mode::Held(held) => held.talk.note_turn(&turn),
            Mode::Transferring(transferring) => transferring.talk.note_turn(&turn),
            Mode::HandingOver(handover) => handover.handle_turn(now, turn),
            Mode::Bridged(bridged) => bridged.line.record_user(&turn),
            Mode::Ending(_) | Mode::Over(_) => {}
        }
    }

    /// Handles a DTMF digit of the caller: `0` to `9`, `*`, `#` or `A` to `D`.
    pub fn handle_digit(&mut self, now: Instant, digit: char) {
        if let Mode::Bridged(bridged) = &mut self.mode {
            return bridged.line.output(CallOutput::RelayDigit(digit));
        }
        if self.collect_digit(now, digit) {
            return;
        }
        let Some(talk) = self.mode.talk_mut() else { return };
        if talk.line.is_saying_last_words() {
            return;
        }
        talk.timers.silence = None;
        talk.fillers.handle_key(now);
        if let Some(input) = talk.dtmf.handle_digit(now, digit) {
            self.handle_dtmf_input(now, input);
        }
    }

    /// Digits are complete. Only an agent who listens acts on them.
    pub(super) fn handle_dtmf_input(&mut self, now: Instant, input: DtmfInput) {
        let talk = match &mut self.mode {
            Mode::Conversing(conversing) => &mut conversing.talk,
            Mode::Voicemail(voicemail) => &mut voicemail.talk,
            // The next agent reads them: the rules of the present one may not be its own.
            Mode::HandingOver(handover) => return handover.handle_turn(now, dtmf_turn(now, input.digits())),
            Mode::Held(_) | Mode::Transferring(_) | Mode::Bridged(_) | Mode::Ending(_) | Mode::Over(_) => return,
        };
        let (digits, command) = match input {
            DtmfInput::Rule { digits, command } => (digits, command),
            DtmfInput::Digits(digits) => (digits, DtmfCommand::SendToLlm),
        };
        match command {
            DtmfCommand::Say(text) => talk.say_instead(now, &text, AfterResponse::AwaitCaller),
            DtmfCommand::EndCall => {
                let goodbye = talk.line.facts.phrases.goodbye;
                talk.say_instead(now, goodbye, AfterResponse::HangUp(EndReason::AgentHungUp));
            }
            DtmfCommand::Transfer(target) => {
                let request = TransferRequest::by_dtmf(&talk.line.facts, target);
                self.transfer(now, request, false);
            }
            DtmfCommand::CallTool(name) => self.call_tool_by_dtmf(now, &digits, name),
            DtmfCommand::SendToLlm => self.handle_turn(now, dtmf_turn(now, &digits)),
        }
    }
}

/// Punctuation alone is no word, whatever the service writes it for: a breath, a click, the end of a sentence that it has
/// sent already.
fn without_marks_alone(event: SttEvent) -> SttEvent {
    let words = |text: String| if has_words(&text) { text } else { String::new() };
    match event {
        SttEvent::Interim(text) => SttEvent::Interim(words(text)),
        SttEvent::Final { text, confidence, speech_final } => {
            SttEvent::Final { text: words(text), confidence, speech_final }
        }
        SttEvent::EndOfTurn { text, confidence } => SttEvent::EndOfTurn { text: words(text), confidence },
        event => event,
    }
}

/// Whether a text has a letter or a digit.
pub(super) fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Pressed keys as a turn of the caller.
pub(super) fn dtmf_turn(now: Instant, digits: &str) -> CallerTurn {
    CallerTurn {
        text: format!("[DTMF {digits}]"),
        confidence: None,
        started: now,
        ended: now,
        final_at: None,
        is_voiced: true,
        decision: None,
    }
}
