//! Analysis of received frames: echo, DTMF, tones, voice activity and barge-in.

use super::config::AnalysisConfig;
use crate::detect::echo::{EchoDetector, EchoJudgement, EchoPath};
use crate::detect::{dtmf, tone};
use crate::frame::{FRAME_SAMPLES, Frame, level_dbfs};
use crate::turn::barge_in::{self, BargeInDecision, BargeInDetector};
use crate::turn::overlap::{FrameSound, OverlapDetector, OverlapSource};
use crate::vad::{SpeechChange, VoiceActivityDetector};
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

/// Analysis of a leg that listens; a leg that does not has none of its detectors.
pub(super) enum AudioAnalysis {
    Off,
    /// Only the keys of a party that a person listens to.
    Keys(Box<dtmf::DtmfDetector>),
    Voice(Box<VoiceAnalysis>),
}

/// Whether the call knows of the echo path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EchoNews {
    Unreported,
    Reported,
}

pub(super) struct VoiceAnalysis {
    detector: VoiceActivityDetector,
    barge_in: BargeInDetector,
    ambient: BackgroundLevel,
    overlap: OverlapDetector,
    echo: EchoDetector,
    echo_news: EchoNews,
    dtmf: dtmf::DtmfDetector,
    /// Only where single tones were asked for.
    tones: Option<tone::ToneDetector>,
}

/// What one frame was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FrameAnalysis {
    /// Echo or DTMF: STT gets silence instead.
    pub is_muted: bool,
    /// Tones of a key: a person whom the key reaches as an event gets silence instead.
    pub has_key_tones: bool,
    /// An echo path that was found in this frame, the first of the leg.
    pub new_echo_path: Option<EchoPath>,
    pub speech_change: Option<SpeechChange>,
    /// The caller may have begun to speak in this frame.
    pub may_begin: bool,
    pub barge_in: Option<BargeInDecision>,
    /// Somebody else is heard over the agent than before.
    pub overlap_change: Option<OverlapSource>,
    pub digit: Option<char>,
    pub tone: Option<tone::Tone>,
}

impl AudioAnalysis {
    pub(super) fn new(config: AnalysisConfig) -> Self {
        match config {
            AnalysisConfig::Off => Self::Off,
            AnalysisConfig::Voice { vad, barge_in, tones } => Self::Voice(Box::new(VoiceAnalysis {
                detector: VoiceActivityDetector::new(vad),
                barge_in: BargeInDetector::new(barge_in),
                ambient: BackgroundLevel { dbfs: -70.0, frames: 0, smooth: -70.0 },
                overlap: OverlapDetector::default(),
                echo: EchoDetector::default(),
                echo_news: EchoNews::Unreported,
                dtmf: dtmf::DtmfDetector::default(),
                tones: tones.then(tone::ToneDetector::default),
            })),
        }
    }

    fn voice(&mut self) -> Option<&mut VoiceAnalysis> {
        match self {
            Self::Off | Self::Keys(_) => None,
            Self::Voice(voice) => Some(voice),
        }
    }

    pub(super) fn set_barge_in(&mut self, config: barge_in::BargeInConfig) {
        if let Some(voice) = self.voice() {
            voice.barge_in = BargeInDetector::new(config);
        }
    }

    /// A person listens from now on: nobody is interrupted any more.
    pub(super) fn start_bridge(&mut self) {
        match self {
            Self::Off => *self = Self::Keys(Box::default()),
            Self::Keys(_) => {}
            Self::Voice(_) => {
                self.set_barge_in(barge_in::BargeInConfig { enabled: false, ..barge_in::BargeInConfig::default() });
            }
        }
    }

    pub(super) fn release(&mut self) {
        if let Some(voice) = self.voice() {
            voice.barge_in.resume();
        }
    }

    /// Notes a frame that we send, whose echo may come back. `voice`: it holds more than silence.
    pub(super) fn handle_sent(&mut self, frame: &Frame, voice: bool) {
        if let Some(analysis) = self.voice() {
            analysis.echo.handle_sent(frame, voice);
        }
    }

    /// Path and total of the echo that was found.
    pub(super) fn echo(&self) -> (Option<EchoPath>, u64) {
        match self {
            Self::Off | Self::Keys(_) => (None, 0),
            Self::Voice(voice) => (voice.echo.path(), voice.echo.echo_frames * 20),
        }
    }

    /// True if the caller is speaking loudly enough right now; marks the playout as paused.
    pub(super) fn pause_if_speaking(&mut self) -> bool {
        self.voice().is_some_and(VoiceAnalysis::pause_if_speaking)
    }

    /// `playing`: the agent is speaking and can be interrupted.
    pub(super) fn handle_frame(&mut self, now: Instant, frame: &Frame, playing: bool) -> FrameAnalysis {
        match self {
            Self::Off => FrameAnalysis::default(),
            Self::Keys(keys) => {
                let digit = keys.handle_frame(frame);
                let has_key_tones = keys.is_key_down();
                FrameAnalysis { is_muted: has_key_tones, has_key_tones, digit, ..FrameAnalysis::default() }
            }
            Self::Voice(voice) => voice.handle_frame(now, frame, playing),
        }
    }
}

impl VoiceAnalysis {
    fn pause_if_speaking(&mut self) -> bool {
        let loud = self.ambient.smooth > self.ambient.dbfs + OVER_BACKGROUND_DB;
        loud && self.overlap.may_be_speaking() && self.detector.is_speaking() && self.barge_in.pause()
    }

    /// The echo path, in the frame that shows the first one.
    fn find_echo_path(&mut self) -> Option<EchoPath> {
        let path = self.echo.path().filter(|_| self.echo_news == EchoNews::Unreported)?;
        self.echo_news = EchoNews::Reported;
        Some(path)
    }

    fn handle_frame(&mut self, now: Instant, frame: &Frame, playing: bool) -> FrameAnalysis {
        let judgement = self.echo.classify(frame);
        let new_echo_path = self.find_echo_path();
        let digit = self.dtmf.handle_frame(frame);
        let tone = self.tones.as_mut().and_then(|tones| tones.handle_frame(frame));
        let has_key_tones = self.dtmf.is_key_down();
        let is_muted = judgement == EchoJudgement::Echo || has_key_tones;
        let before = self.detector.voiced();
        let speech_change = self.detector.handle_frame(now, if is_muted { &[0; FRAME_SAMPLES] } else { frame });
        let (after, speaking) = (self.detector.voiced(), self.detector.is_speaking());
        let new = after.saturating_sub(if speech_change.is_some() { Duration::ZERO } else { before });
        let dbfs = level_dbfs(frame);
        let voiced = if speaking { new } else { Duration::ZERO };
        let overlap = self.overlap.handle_frame(FrameSound { dbfs, voiced, is_ours: is_muted }, playing);
        let stands_out = self.ambient.update_and_compare(dbfs, playing && !self.barge_in.is_paused());
        let is_heard = speaking && stands_out && overlap.is_caller;
        let counts = is_heard && !is_muted && judgement == EchoJudgement::NotEcho;
        let barge_in = self.barge_in.handle_frame(if counts { new } else { Duration::ZERO }, speaking, playing);
        let overlap_change = overlap.change;
        let may_begin = self.detector.may_begin() && speech_change.is_none();
        FrameAnalysis {
            is_muted,
            has_key_tones,
            new_echo_path,
            speech_change,
            may_begin,
            barge_in,
            overlap_change,
            digit,
            tone,
        }
    }
}
