//! The events of a realtime model, for the mode that the call is in.

use super::call_machine::CallMachine;
use super::caller_events::has_words;
use super::mode::Mode;
use super::realtime::Realtime;
use super::realtime_response::WantedResponses;
use super::talk::Speaker;
use std::time::Instant;
use trunkline_domain::chat::ToolCall;
use trunkline_media::playout::queue::SegmentId;
use trunkline_providers::realtime::RealtimeEvent;

impl CallMachine {
    /// Handles an event of the realtime model; ignored once STT, LLM and TTS have taken over.
    pub fn handle_realtime_event(&mut self, now: Instant, event: RealtimeEvent) {
        match &mut self.mode {
            Mode::Conversing(_) => self.handle_speaker_event(now, event, WantedResponses::All),
            Mode::Voicemail(_) | Mode::Held(_) | Mode::Transferring(_) | Mode::HandingOver(_) => {
                self.handle_speaker_event(now, event, WantedResponses::Ordered);
            }
            Mode::Ending(ending) => {
                if ending.handle_realtime_event(now, event) && !ending.is_working() {
                    self.finish(now);
                }
            }
            Mode::Bridged(_) | Mode::Over(_) => {}
        }
    }

    /// The segment that audio of an item belongs to; `None` for audio that must not be played.
    pub fn handle_realtime_audio(&mut self, now: Instant, item: u32) -> Option<SegmentId> {
        self.mode.talk_mut()?.handle_realtime_audio(now, item)
    }

    /// An event of the model that speaks in this call.
    fn handle_speaker_event(&mut self, now: Instant, event: RealtimeEvent, wanted: WantedResponses) {
        let Some(talk) = self.mode.talk_mut() else { return };
        let (line, Speaker::Realtime(realtime)) = (&mut talk.line, &mut talk.speaker) else { return };
        match event {
            RealtimeEvent::Conversation(_) | RealtimeEvent::Audio { .. } | RealtimeEvent::ItemDone { .. } => {}
            RealtimeEvent::Ready => {
                if realtime.regain_session() {
                    talk.ask_for_owed(now);
                }
            }
            RealtimeEvent::Reconnecting(failure) => {
                if talk.handle_session_lost(now, &failure) {
                    self.advance(now);
                }
            }
            RealtimeEvent::SpeechStarted => {
                realtime.speech_started = Some(now);
                realtime.forget_rest();
                talk.timers.silence = None;
                Realtime::handle_interrupted(line);
            }
            RealtimeEvent::Interrupted => {
                talk.timers.silence = None;
                Realtime::handle_interrupted(line);
            }
            RealtimeEvent::SpeechStopped => realtime.handle_caller_turn_ended(line, now),
            RealtimeEvent::UserInterim(text) => self.handle_caller_words(now, &text),
            RealtimeEvent::UserFinal(text) => {
                let text = if has_words(&text) { text } else { String::new() };
                self.handle_caller_words(now, &text);
                let shown = self.shown_words(&text);
                if let Some(talk) = self.mode.talk_mut() {
                    talk.handle_caller_transcript(now, &shown);
                }
                self.collect_transcript(now, &text);
            }
            RealtimeEvent::ResponseStarted => talk.handle_response_started(now, wanted),
            RealtimeEvent::Text { item, text } => realtime.add_text(line, item, &text, false),
            RealtimeEvent::FinalText { item, text } => realtime.add_text(line, item, &text, true),
            RealtimeEvent::ToolCalls(calls) => self.handle_realtime_tool_calls(now, calls),
            RealtimeEvent::ResponseDone(usage) => {
                if talk.handle_response_done(now, usage) {
                    self.advance(now);
                }
            }
            RealtimeEvent::ResponseFailed { failure, usage } => {
                if talk.handle_response_failed(now, &failure, usage) {
                    self.advance(now);
                }
            }
            RealtimeEvent::Failed(failure) => talk.handle_realtime_failed(now, &failure),
        }
    }

    /// Tools run after the text before them was heard.
    fn handle_realtime_tool_calls(&mut self, now: Instant, mut calls: Vec<ToolCall>) {
        let Some(talk) = self.mode.talk_mut() else { return };
        talk.tools.ids.make_unique_for_realtime(&mut calls, talk.line.playout.last_id);
        match talk.line.playout.response.as_mut().filter(|response| !response.is_scripted) {
            Some(response) => response.tool_calls.extend(calls),
            None => {
                talk.history.push_assistant("", calls.clone());
                self.run_tools(now, &calls, false);
            }
        }
    }
}
