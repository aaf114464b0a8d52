//! From the LLM's events over TTS to the playback reports, and what follows a response that was heard or cut.

use super::barge_in::RESUME_AFTER;
use super::call_machine::CallMachine;
use super::mode::Mode;
use super::output::CallOutput;
use super::talk::FAILURES_MAX;
use crate::dialogue::response::AfterResponse;
use std::time::Instant;
use trunkline_domain::end_reason::EndReason;
use trunkline_media::playout::queue::{SegmentId, SegmentPlayed};
use trunkline_providers::{LlmEvent, ProviderError};

impl CallMachine {
    /// Handles an event of an LLM request; events of earlier responses are ignored.
    pub fn handle_llm_event(&mut self, now: Instant, response_id: u32, event: LlmEvent) {
        if let Some(talk) = self.mode.talk_mut()
            && talk.handle_llm_event(now, response_id, event)
        {
            self.advance(now);
        }
    }

    /// Records that the first audio of a segment has arrived, for the figures of the turn.
    pub fn handle_tts_audio(&mut self, now: Instant, segment: SegmentId) {
        if let Some(line) = self.mode.line_mut() {
            let at_ms = line.ms(now);
            line.metrics().record_first_audio(segment.response_id, at_ms);
        }
    }

    /// TTS has finished a segment of this many samples.
    pub fn handle_tts_done(&mut self, segment: SegmentId, samples: u64) {
        let line = self.mode.line_mut();
        if let Some(response) = line.and_then(|line| line.playout.current(segment.response_id)) {
            response.record_tts_done(segment.index, samples);
        }
    }

    /// TTS reports the positions of a segment's words: samples, and characters spoken by then.
    pub fn handle_tts_word_timestamps(&mut self, segment: SegmentId, marks: &[(u64, u32)]) {
        let line = self.mode.line_mut();
        if let Some(response) = line.and_then(|line| line.playout.current(segment.response_id)) {
            response.add_word_timestamps(segment.index, marks);
        }
    }

    /// Neither the agent's TTS nor the local one could speak the segment.
    pub fn handle_tts_failed(&mut self, now: Instant, segment: SegmentId, failure: &ProviderError) {
        self.record_tts_failure(failure);
        let line = self.mode.line_mut();
        if let Some(response) = line.and_then(|line| line.playout.current(segment.response_id)) {
            response.record_tts_failed(segment.index);
            self.advance(now);
        }
    }

    /// Records text that was sent to TTS.
    pub fn record_tts_request(&mut self, voice: &str, characters: u64) {
        self.mode.log_mut().metrics.record_spoken_characters(voice, characters);
    }

    /// Records a TTS failure; a failover is recorded separately.
    pub fn record_tts_failure(&mut self, failure: &ProviderError) {
        self.mode.log_mut().metrics.record_provider_error("tts", failure.kind());
    }

    /// Records that the first packet of a segment was sent at this instant.
    pub fn handle_segment_started(&mut self, segment: SegmentId, at: Instant) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.timers.silence = None;
            talk.fillers.handle_sound();
        }
        let begun = self.mode.line_mut().is_some_and(|line| line.handle_segment_started(segment, at));
        if begun && let Some(amd) = self.mode.amd_mut() {
            amd.handle_agent_speaking();
        }
    }

    /// Records that a segment was played to its end; other responses than the current one are ignored.
    pub fn handle_segment_finished(&mut self, heard: SegmentPlayed, at: Instant) {
        if let Some(line) = self.mode.line_mut()
            && line.handle_segment_finished(&heard, at)
        {
            if let Some(talk) = self.mode.talk_mut() {
                talk.fillers.begin_silence(at);
            }
            self.advance(at);
            if let Some(talk) = self.mode.talk_mut() {
                talk.arm_filler_in_answer(at);
            }
        }
    }

    /// Goes on when everything of the response was heard.
    pub(super) fn advance(&mut self, now: Instant) {
        let response = self.mode.line_mut().and_then(|line| line.take_finished_response());
        let Some(response) = response else { return };
        let is_handing_over = matches!(self.mode, Mode::HandingOver(_));
        let talk = match &mut self.mode {
            Mode::Conversing(conversing) => &mut conversing.talk,
            Mode::Voicemail(voicemail) => &mut voicemail.talk,
            Mode::Held(held) => &mut held.talk,
            Mode::Transferring(transferring) => &mut transferring.talk,
            Mode::HandingOver(handover) => &mut handover.talk,
            Mode::Ending(ending) if !ending.is_working() => return self.finish(now),
            Mode::Ending(_) | Mode::Bridged(_) | Mode::Over(_) => return,
        };
        talk.timers.filler = None;
        if response.was_silent() {
            talk.line.playout.silent_responses += 1;
            if talk.line.playout.silent_responses >= FAILURES_MAX {
                return self.handle_command(now, EndReason::ProviderError);
            }
        }
        let said = response.said();
        if !response.is_filler {
            talk.history.push_assistant(&said, response.tool_calls.clone());
        }
        match response.after {
            AfterResponse::HangUp(reason) => self.handle_command(now, reason),
            AfterResponse::Transfer => self.start_transfer(now),
            AfterResponse::HandOver => self.handle_handover_announced(now),
            AfterResponse::AwaitCaller if is_handing_over => self.handle_handover_announced(now),
            AfterResponse::AwaitCaller => {
                talk.timers.goodbye = None;
                // A realtime model that broke off: its last audio was heard to the end before playback was flushed.
                if talk.continue_unfinished_response(now) {
                    return;
                }
                if !response.tool_calls.is_empty() {
                    return self.run_tools(now, &response.tool_calls, !said.is_empty());
                }
                // Before the turn that waits for the end of the response: the words are older.
                if matches!(self.mode, Mode::Conversing(_))
                    && self.mode.talk_mut().is_some_and(|talk| talk.try_operator_text(now))
                {
                    return;
                }
                let is_collecting = self.is_collecting();
                if !self.answer_waiting_turn(now) {
                    self.arm_silence(now);
                    self.request_response_to_results(now);
                    if let Some(talk) = self.mode.talk_mut().filter(|_| !is_collecting) {
                        talk.arm_filler_for_tools(now);
                    }
                }
            }
        }
    }

    /// Answers the turn that has waited for the end of a response; false if there is none.
    pub(super) fn answer_waiting_turn(&mut self, now: Instant) -> bool {
        let Some(talk) = self.mode.talk_mut() else { return false };
        let Some(turn) = talk.line.caller.take_waiting_turn() else { return false };
        let Some(turn) = self.collect_turn(now, turn) else { return true };
        if self.mode.talk_mut().is_some_and(|talk| talk.answer_turn(now, &turn)) {
            self.advance(now);
        }
        true
    }

    /// Playback was flushed; `heard` says how far each segment got.
    pub fn handle_flushed(&mut self, now: Instant, barge_in: bool, silenced: u32, heard: &[SegmentPlayed]) {
        let Some(line) = self.mode.line_mut() else { return };
        // A report of an older response that was cancelled unheard does not concern this one.
        let cut = line.playout.response.take_if(|response| response.response_id <= silenced);
        let Some(mut response) = cut else { return };
        let response_id = response.response_id;
        let reports: Vec<_> = heard.iter().filter(|one| one.segment.response_id == response_id).collect();
        for one in reports.iter().filter(|one| one.complete) {
            response.mark_played(one.segment.index);
        }
        let sent: Vec<(u32, u64)> = reports.iter().map(|one| (one.segment.index, one.sent_samples)).collect();
        let (said, rest) = response.truncate_at(&sent);
        line.output(CallOutput::CancelLlm);
        if barge_in {
            line.record_stop(now);
            line.output(CallOutput::CancelSpeech { response_id });
        }
        line.playout.end_pause();
        if let Mode::Ending(ending) = &mut self.mode {
            ending.handle_response_cut(&response, &sent);
        } else if let Some(talk) = self.mode.talk_mut() {
            talk.handle_response_cut(now, &response, &said, &rest, &sent);
        }
        if let Some(line) = self.mode.line_mut() {
            line.record_response(&response, line.ms(now), true, said);
        }
        self.handle_response_truncated(now, response.after, barge_in.then_some(rest));
    }

    /// After a response was truncated: `rest` is the part that was not heard.
    fn handle_response_truncated(&mut self, now: Instant, then: AfterResponse, rest: Option<String>) {
        let is_handing_over = matches!(self.mode, Mode::HandingOver(_));
        let talk = match &mut self.mode {
            Mode::Conversing(conversing) => &mut conversing.talk,
            Mode::Voicemail(voicemail) => &mut voicemail.talk,
            Mode::Held(held) => &mut held.talk,
            Mode::Transferring(transferring) => &mut transferring.talk,
            Mode::HandingOver(handover) => &mut handover.talk,
            Mode::Ending(ending) if ending.is_over_after_playback(now) => return self.finish(now),
            Mode::Ending(_) | Mode::Bridged(_) | Mode::Over(_) => return,
        };
        talk.timers.goodbye = None;
        match then {
            AfterResponse::HangUp(reason) if then.is_final() => return self.handle_command(now, reason),
            AfterResponse::Transfer => return self.start_transfer(now),
            AfterResponse::HandOver => return self.handle_handover_announced(now),
            // Of what the caller says the next owner of the call takes care.
            _ if is_handing_over => return self.handle_handover_announced(now),
            // A caller who speaks during the goodbye wants to continue.
            AfterResponse::HangUp(_) | AfterResponse::AwaitCaller => {}
        }
        if self.answer_waiting_turn(now) {
            return;
        }
        let Some(talk) = self.mode.talk_mut() else { return };
        if talk.continue_unfinished_response(now) {
            return;
        }
        talk.keep_remainder(rest);
        talk.arm_filler_for_tools(now);
        if talk.line.caller.end_of_turn.is_speaking() {
            return;
        }
        if talk.interruption.remainder.is_some() {
            talk.timers.resume = Some(now + RESUME_AFTER);
        } else {
            self.arm_silence(now);
            self.request_response_to_results(now);
        }
    }
}
