//! What the events of an answered call mean: what goes to its machine, and what is carried on from them.
//!
//! Pure: the driver receives, and carries out the action.

use super::machine::{CallMachine, ConsultationEvent};
use super::tts_queue::TtsPipelineEvent;
use crate::domain::end_reason::EndReason;
use crate::providers::realtime::RealtimeEvent;
use crate::providers::stt::SttInput;
use crate::providers::{LlmEvent, ProviderError, SttEvent};
use std::time::Instant;
use trunkline_media::audio::AudioFrame;
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::stats::LegStats;

/// What is carried on from an event of the leg.
#[derive(Debug)]
pub enum LegAction {
    /// The caller's audio goes to whoever listens.
    CarryAudio(AudioFrame),
    /// STT is told.
    TellStt(SttInput),
    /// TTS is told that a segment was heard to its end.
    SegmentPlayed(SegmentId),
    /// TTS stops speaking this response and earlier ones.
    SpeechCancelled(u32),
    /// The statistics of the leg, its last event.
    Closed(LegStats),
    /// Nothing.
    Nothing,
}

/// Takes an event of the leg; `None` is a leg that is gone.
pub fn on_leg_event(machine: &mut CallMachine, now: Instant, event: Option<LegEvent>) -> LegAction {
    let Some(event) = event else {
        machine.handle_network_lost(now);
        return LegAction::Nothing;
    };
    let action = match &event {
        LegEvent::Audio { frame, .. } => LegAction::CarryAudio(*frame),
        LegEvent::SpeechStarted { .. } => LegAction::TellStt(SttInput::SpeechStarted),
        LegEvent::SpeechEnded { .. } => LegAction::TellStt(SttInput::SpeechEnded),
        LegEvent::SegmentFinished { heard, .. } => LegAction::SegmentPlayed(heard.segment),
        LegEvent::PlayoutFlushed { response_id, .. } => LegAction::SpeechCancelled(*response_id),
        LegEvent::Closed { stats } => LegAction::Closed(*stats),
        _ => LegAction::Nothing,
    };
    machine.handle_leg_event(now, event);
    action
}

/// What is carried on from an event of TTS.
#[derive(Debug, PartialEq)]
pub enum TtsAction {
    /// The leg plays samples.
    Play {
        /// The segment.
        segment: SegmentId,
        /// At 8 kHz.
        samples: Vec<i16>,
        /// The segment ends with them.
        is_last: bool,
    },
    /// A voice failed.
    Failed(ProviderError),
    /// Nothing.
    Nothing,
}

/// Takes an event of TTS.
pub fn on_tts_event(machine: &mut CallMachine, now: Instant, event: TtsPipelineEvent) -> TtsAction {
    match event {
        TtsPipelineEvent::Audio { segment, samples } => {
            machine.handle_tts_audio(now, segment);
            TtsAction::Play { segment, samples, is_last: false }
        }
        TtsPipelineEvent::Done { segment, samples, total } => {
            machine.handle_tts_done(segment, total);
            TtsAction::Play { segment, samples, is_last: true }
        }
        TtsPipelineEvent::WordTimestamps { segment, marks } => {
            machine.handle_tts_word_timestamps(segment, &marks);
            TtsAction::Nothing
        }
        TtsPipelineEvent::Requested { tts, characters } => {
            machine.record_tts_request(&tts, characters);
            TtsAction::Nothing
        }
        TtsPipelineEvent::AskedAgain { failure } => {
            machine.record_tts_failure(&failure);
            TtsAction::Failed(failure)
        }
        TtsPipelineEvent::FailedOver { switch, failure } => {
            machine.record_tts_failure(&failure);
            machine.record_failover(now, &switch);
            TtsAction::Failed(failure)
        }
        TtsPipelineEvent::Failed { segment, failure } => {
            machine.handle_tts_failed(now, segment, &failure);
            TtsAction::Failed(failure)
        }
    }
}

/// An event of a session or a stream, and whether it was the last.
#[derive(Debug, PartialEq)]
pub enum SessionEvent<E> {
    /// More may follow.
    More(E),
    /// Nothing follows: the session is dropped.
    Last(E),
}

fn ended(what: &str) -> ProviderError {
    ProviderError::Disconnected(format!("{what} ended"))
}

/// An event of an LLM request; `None` when its task has ended.
pub fn llm_event(event: Option<LlmEvent>) -> SessionEvent<LlmEvent> {
    match event {
        Some(event @ (LlmEvent::Done(_) | LlmEvent::Failed(_))) => SessionEvent::Last(event),
        Some(event) => SessionEvent::More(event),
        None => SessionEvent::Last(LlmEvent::Failed(ended("LLM stream"))),
    }
}

/// An event of STT; `None` when its task has ended.
pub fn stt_event(event: Option<SttEvent>) -> SessionEvent<SttEvent> {
    match event {
        Some(event @ SttEvent::Failed(_)) => SessionEvent::Last(event),
        Some(event) => SessionEvent::More(event),
        None => SessionEvent::Last(SttEvent::Failed(ended("STT session"))),
    }
}

/// An event of a realtime session; `None` when its task has ended. The machine decides when it is left.
pub fn realtime_event(event: Option<RealtimeEvent>) -> RealtimeEvent {
    event.unwrap_or_else(|| RealtimeEvent::Failed(ended("realtime session")))
}

/// An event of the consultation call; `None` when its task has ended.
pub fn consultation_event(event: Option<ConsultationEvent>) -> SessionEvent<ConsultationEvent> {
    event.map_or(SessionEvent::Last(ConsultationEvent::Failed(EndReason::TrunkError)), SessionEvent::More)
}

/// Words that listeners see at once: interim results with text in them.
pub fn interim_of_stt(event: &SttEvent) -> Option<&str> {
    match event {
        SttEvent::Interim(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The same of a realtime model.
pub fn interim_of_realtime(event: &RealtimeEvent) -> Option<&str> {
    match event {
        RealtimeEvent::UserInterim(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Lines that a call holds, for its row: its own, that of a consultation call, and that of a call the peer asked for.
pub fn lines(is_consulting: bool, is_referred: bool) -> u32 {
    1 + u32::from(is_consulting) + u32::from(is_referred)
}

#[cfg(test)]
mod tests;
