//! Analysis of received frames: echo, DTMF, tones, voice activity and barge-in.

use crate::detect::echo::{EchoDetector, EchoJudgement};
use crate::detect::{dtmf, tone};
use crate::frame::{FRAME_SAMPLES, Frame, level_dbfs};
use crate::turn::barge_in::{self, BargeInDecision, BargeInDetector};
use crate::vad::{self, SpeechChange, VoiceActivityDetector};
use std::time::{Duration, Instant};

/// A caller must be louder than the background by this much to interrupt.
const OVER_BACKGROUND_DB: f32 = 3.0;
/// Steps per frame by which the background level rises and falls.
const BACKGROUND_UP_DB: f32 = 0.6;
const BACKGROUND_DOWN_DB: f32 = 0.07;
/// Frames at the beginning that are taken over at once.
const BACKGROUND_FIRST_FRAMES: u32 = 15;

/// Background level while the caller listens: a high quantile in dBFS.
#[derive(Clone, Copy, Debug)]
struct BackgroundLevel {
    dbfs: f32,
    frames: u32,
    /// Level over the last frames.
    smooth: f32,
}

impl BackgroundLevel {
    /// Whether a frame stands out. `settled`: the caller is not being listened to as an interruption, so that
    /// what is heard is background.
    fn update_and_compare(&mut self, dbfs: f32, settled: bool) -> bool {
        self.smooth += (dbfs - self.smooth) * 0.4;
        let stands_out = self.smooth > self.dbfs + OVER_BACKGROUND_DB;
        if settled {
            self.frames = self.frames.saturating_add(1);
            self.dbfs = match self.smooth > self.dbfs {
                true if self.frames <= BACKGROUND_FIRST_FRAMES => self.smooth.min(-30.0),
                true => self.dbfs + BACKGROUND_UP_DB,
                false => self.dbfs - BACKGROUND_DOWN_DB,
            };
        }
        stands_out
    }
}

pub(super) struct AudioAnalysis {
    detector: Option<VoiceActivityDetector>,
    barge_in: BargeInDetector,
    ambient: BackgroundLevel,
    pub(super) echo: EchoDetector,
    echo_known: bool,
    dtmf: dtmf::DtmfDetector,
    tones: Option<tone::ToneDetector>,
}

/// What one frame was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameAnalysis {
    /// Echo or DTMF: STT gets silence instead.
    pub is_muted: bool,
    /// An echo path was found in this frame.
    pub echo_path_found: bool,
    pub speech_change: Option<SpeechChange>,
    pub barge_in: Option<BargeInDecision>,
    pub digit: Option<char>,
    pub tone: Option<tone::Tone>,
}

impl AudioAnalysis {
    pub(super) fn new(vad: Option<vad::VadConfig>, barge_in: barge_in::BargeInConfig, detect_tones: bool) -> Self {
        Self {
            detector: vad.map(VoiceActivityDetector::new),
            barge_in: BargeInDetector::new(barge_in),
            ambient: BackgroundLevel { dbfs: -70.0, frames: 0, smooth: -70.0 },
            echo: EchoDetector::default(),
            echo_known: false,
            dtmf: dtmf::DtmfDetector::default(),
            tones: detect_tones.then(tone::ToneDetector::default),
        }
    }

    pub(super) fn set_barge_in(&mut self, config: barge_in::BargeInConfig) {
        self.barge_in = BargeInDetector::new(config);
    }

    pub(super) fn release(&mut self) {
        self.barge_in.resume();
    }

    /// True if the caller is speaking loudly enough right now; marks the playout as paused.
    pub(super) fn pause_if_speaking(&mut self) -> bool {
        let loud = self.ambient.smooth > self.ambient.dbfs + OVER_BACKGROUND_DB;
        loud && self.detector.as_ref().is_some_and(VoiceActivityDetector::is_speaking) && self.barge_in.pause()
    }

    /// `playing`: the agent is speaking and can be interrupted.
    pub(super) fn handle_frame(&mut self, now: Instant, frame: &Frame, playing: bool) -> FrameAnalysis {
        let mut heard = FrameAnalysis::default();
        let Some(detector) = &mut self.detector else { return heard };
        let judgement = self.echo.classify(frame);
        if !self.echo_known && self.echo.path().is_some() {
            (self.echo_known, heard.echo_path_found) = (true, true);
        }
        heard.digit = self.dtmf.handle_frame(frame);
        heard.tone = self.tones.as_mut().and_then(|tones| tones.handle_frame(frame));
        let silent = judgement == EchoJudgement::Echo || self.dtmf.is_key_down();
        heard.is_muted = silent;
        let before = detector.voiced();
        heard.speech_change = detector.handle_frame(now, if silent { &[0; FRAME_SAMPLES] } else { frame });
        let (after, speaking) = (detector.voiced(), detector.is_speaking());
        let new = after.saturating_sub(if heard.speech_change.is_some() { Duration::ZERO } else { before });
        let stands_out = self.ambient.update_and_compare(level_dbfs(frame), playing && !self.barge_in.is_paused());
        let counts = speaking && stands_out && !silent && judgement == EchoJudgement::NotEcho;
        heard.barge_in = self.barge_in.handle_frame(if counts { new } else { Duration::ZERO }, speaking, playing);
        heard
    }
}
