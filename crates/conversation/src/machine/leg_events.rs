//! What the media leg reports.

use super::call_machine::CallMachine;
use std::time::Instant;
use trunkline_domain::end_reason::EndReason;
use trunkline_media::leg::LegEvent;

impl CallMachine {
    /// Handles an event of the leg. Audio and statistics are for others.
    pub fn handle_leg_event(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::SpeechStarted { at } => self.handle_speech_started(at),
            LegEvent::SpeechSuspected { at } => self.handle_speech_suspected(at),
            LegEvent::SpeechEnded { last_sound } => self.handle_speech_ended(now, last_sound),
            LegEvent::SegmentStarted { segment, at } => self.handle_segment_started(segment, at),
            LegEvent::SegmentFinished { heard, at } => self.handle_segment_finished(heard, at),
            LegEvent::PlayoutPaused { response_id, at } => self.handle_paused(at, response_id),
            LegEvent::PlayoutFlushed { barge_in, response_id, heard, at } => {
                self.handle_flushed(at, barge_in, response_id, &heard);
            }
            LegEvent::OverlapHeard { source, .. } => self.handle_overlap(source),
            LegEvent::EchoPathFound { .. } => self.handle_echo(),
            LegEvent::DtmfReceived { digit } => self.handle_digit(now, digit),
            LegEvent::Tone { tone, at } => self.handle_tone(at, &tone),
            // Without media the call is over, whatever the cause.
            LegEvent::NetworkLost | LegEvent::InternalError => self.handle_network_lost(now),
            LegEvent::PeerClosed => self.handle_peer_hung_up(now, EndReason::CustomerHungUp),
            LegEvent::Audio { .. }
            | LegEvent::BothSides { .. }
            | LegEvent::Closed { .. }
            | LegEvent::DtmfSent
            | LegEvent::TalkSpurtStarted { .. }
            | LegEvent::Connected { .. }
            | LegEvent::MediaStarted { .. }
            | LegEvent::RecordingBlock { .. } => {}
        }
    }
}
