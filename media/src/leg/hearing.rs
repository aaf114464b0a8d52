//! What becomes of received samples: frames that are recorded, analysed and handed on.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::audio_analysis::{AudioAnalysis, FrameAnalysis};
use super::config::AudioDelivery;
use super::events::{LegEvent, LegEventQueue};
use super::listen_in::ListenIn;
use super::playout::Playout;
use super::recording::Recording;
use super::stream_config::StreamConfig;
use super::timeline::{FrameCorrection, ReceivedTimeline};
use crate::audio::AudioFrame;
use crate::codec::Companding;
use crate::frame::{FRAME_SAMPLES, Frame, level_dbfs};
use crate::turn::barge_in::BargeInDecision;
use crate::vad::SpeechChange;
use std::time::Instant;

/// The form in which frames are handed on, fixed when the leg starts.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    Off,
    G711(Companding),
}

/// Who listens to what is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AudioListener {
    /// The agent: echo of its own voice and keys are no words.
    Agent,
    /// The party that this leg is bridged with hears the line as it is. Keys that it gets as events, it does not get as
    /// tones too.
    Party,
}

/// Collects samples into frames.
#[derive(Debug)]
struct FrameAssembler {
    frame: Frame,
    filled: usize,
}

impl FrameAssembler {
    /// Takes samples off the front of `samples`. Returns a frame when one is full.
    fn take(&mut self, samples: &mut &[i16]) -> Option<Frame> {
        let room = self.frame.get_mut(self.filled..).unwrap_or_default();
        let (taken, rest) = samples.split_at(samples.len().min(room.len()));
        room.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
        self.filled = self.filled.saturating_add(taken.len());
        *samples = rest;
        if self.filled < FRAME_SAMPLES {
            return None;
        }
        self.filled = 0;
        Some(self.frame)
    }
}

/// Received audio from the codec to the events.
pub(super) struct Hearing {
    pub(super) timeline: ReceivedTimeline,
    assembler: FrameAssembler,
    pub(super) analysis: AudioAnalysis,
    delivery: Delivery,
    listener: AudioListener,
}

impl Hearing {
    pub(super) fn new(analysis: AudioAnalysis, audio: AudioDelivery, stream: &StreamConfig) -> Self {
        let delivery = match audio {
            AudioDelivery::Off => Delivery::Off,
            AudioDelivery::G711 => Delivery::G711(stream.codec.companding()),
        };
        let assembler = FrameAssembler { frame: [0; FRAME_SAMPLES], filled: 0 };
        let timeline = ReceivedTimeline::default();
        Self { timeline, assembler, analysis, delivery, listener: AudioListener::Agent }
    }

    /// The party of another leg listens from now on.
    pub(super) fn start_bridge(&mut self) {
        self.listener = AudioListener::Party;
        self.analysis.start_bridge();
    }
}

/// Where received samples go: what they reach besides [`Hearing`].
pub(super) struct SampleSink<'a> {
    pub(super) hearing: &'a mut Hearing,
    pub(super) playout: &'a mut Playout,
    pub(super) recording: &'a mut Recording,
    pub(super) listen_in: &'a mut ListenIn,
    pub(super) events: &'a mut LegEventQueue,
    /// Digits in the audio count: the peer reports none in another way.
    pub(super) reports_in_band_digits: bool,
}

impl SampleSink<'_> {
    pub(super) fn push(&mut self, now: Instant, mut samples: &[i16]) {
        while !samples.is_empty() {
            let Some(frame) = self.hearing.assembler.take(&mut samples) else { continue };
            match self.hearing.timeline.count(now, || level_dbfs(&frame)) {
                FrameCorrection::Keep => {}
                FrameCorrection::Drop => continue,
                FrameCorrection::InsertSilence => self.handle_frame(now, &[0; FRAME_SAMPLES]),
            }
            self.handle_frame(now, &frame);
        }
    }

    fn handle_frame(&mut self, now: Instant, frame: &Frame) {
        self.recording.push_caller(frame);
        self.listen_in.push_caller(frame);
        let playing = self.playout.is_interruptible();
        let heard = self.hearing.analysis.handle_frame(now, frame, playing);
        self.deliver(now, frame, self.is_muted(&heard));
        self.report(now, &heard);
        match heard.barge_in {
            Some(BargeInDecision::Pause) => self.playout.pause(now, self.events),
            Some(BargeInDecision::Stop) => self.playout.interrupt(now, self.events),
            None => {}
        }
    }

    /// Whether silence is handed on instead of a frame.
    fn is_muted(&self, heard: &FrameAnalysis) -> bool {
        match self.hearing.listener {
            AudioListener::Agent => heard.is_muted,
            AudioListener::Party => heard.has_key_tones && !self.reports_in_band_digits,
        }
    }

    /// Digits in the audio are reported to the agent; a party hears them.
    fn reports_digit(&self) -> bool {
        self.reports_in_band_digits && self.hearing.listener == AudioListener::Agent
    }

    /// Hands the frame on, in the format of the leg.
    fn deliver(&mut self, now: Instant, frame: &Frame, is_muted: bool) {
        let Delivery::G711(companding) = self.hearing.delivery else { return };
        let mut octets = [companding.silence(); FRAME_SAMPLES];
        if !is_muted {
            companding.encode_into(frame, &mut octets);
        }
        if let Ok(frame) = AudioFrame::g711(companding, &octets) {
            self.events.push(LegEvent::Audio { frame, at: now });
        }
    }

    fn report(&mut self, now: Instant, heard: &FrameAnalysis) {
        if let Some(path) = heard.new_echo_path {
            self.events.push(LegEvent::EchoPathFound { path });
        }
        if let Some(digit) = heard.digit.filter(|_| self.reports_digit()) {
            self.events.push(LegEvent::DtmfReceived { digit });
        }
        if let Some(tone) = heard.tone {
            self.events.push(LegEvent::Tone { tone, at: now });
        }
        if let Some(source) = heard.overlap_change {
            self.events.push(LegEvent::OverlapHeard { source, at: now });
        }
        match heard.speech_change {
            Some(SpeechChange::Started(at)) => self.events.push(LegEvent::SpeechStarted { at }),
            Some(SpeechChange::Ended(last_sound)) => self.events.push(LegEvent::SpeechEnded { last_sound }),
            None if heard.may_begin => self.events.push(LegEvent::SpeechSuspected { at: now }),
            None => {}
        }
    }
}

const _: () = assert!(FRAME_SAMPLES <= crate::limits::AUDIO_FRAME_BYTES_MAX);
