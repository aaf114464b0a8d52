//! Analysis of received frames: echo, DTMF, tones, voice activity and barge-in.

use crate::detect::echo::{EchoGuard, Judgement};
use crate::detect::{dtmf, tone};
use crate::frame::{Frame, SAMPLES, level_dbfs};
use crate::turn::barge_in::{self, BargeIn, Verdict};
use crate::vad::{self, Detector, Voice};
use std::time::{Duration, Instant};

/// A caller must be louder than the background by this much to interrupt.
const OVER_AMBIENT_DB: f32 = 3.0;
/// Steps per frame by which the background level rises and falls.
const AMBIENT_UP_DB: f32 = 0.6;
const AMBIENT_DOWN_DB: f32 = 0.07;
/// Frames at the beginning that are taken over at once.
const AMBIENT_FIRST_FRAMES: u32 = 15;

/// Background level while the caller listens: a high quantile in dBFS.
#[derive(Clone, Copy, Debug)]
struct Ambient {
    dbfs: f32,
    frames: u32,
    /// Level over the last frames.
    smooth: f32,
}

impl Ambient {
    /// Whether a frame stands out. `settled`: the caller is not being listened to as an interruption, so that
    /// what is heard is background.
    fn stands_out(&mut self, dbfs: f32, settled: bool) -> bool {
        self.smooth += (dbfs - self.smooth) * 0.4;
        let stands_out = self.smooth > self.dbfs + OVER_AMBIENT_DB;
        if settled {
            self.frames = self.frames.saturating_add(1);
            self.dbfs = match self.smooth > self.dbfs {
                true if self.frames <= AMBIENT_FIRST_FRAMES => self.smooth.min(-30.0),
                true => self.dbfs + AMBIENT_UP_DB,
                false => self.dbfs - AMBIENT_DOWN_DB,
            };
        }
        stands_out
    }
}

pub(super) struct Ears {
    detector: Option<Detector>,
    barge_in: BargeIn,
    ambient: Ambient,
    pub(super) echo: EchoGuard,
    echo_known: bool,
    keys: dtmf::Receiver,
    tones: Option<tone::Receiver>,
}

/// What one frame was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    /// Echo or DTMF: STT gets silence instead.
    pub mute: bool,
    /// An echo path was found in this frame.
    pub path_found: bool,
    pub voice: Option<Voice>,
    pub verdict: Option<Verdict>,
    pub key: Option<char>,
    pub tone: Option<tone::Tone>,
}

impl Ears {
    pub(super) fn new(vad: Option<vad::Config>, barge_in: barge_in::Config, detect_tones: bool) -> Self {
        Self {
            detector: vad.map(Detector::new),
            barge_in: BargeIn::new(barge_in),
            ambient: Ambient { dbfs: -70.0, frames: 0, smooth: -70.0 },
            echo: EchoGuard::default(),
            echo_known: false,
            keys: dtmf::Receiver::default(),
            tones: detect_tones.then(tone::Receiver::default),
        }
    }

    pub(super) fn set_barge_in(&mut self, config: barge_in::Config) {
        self.barge_in = BargeIn::new(config);
    }

    pub(super) fn release(&mut self) {
        self.barge_in.release();
    }

    /// True if the caller is speaking loudly enough right now; marks the playout as paused.
    pub(super) fn would_hold(&mut self) -> bool {
        let loud = self.ambient.smooth > self.ambient.dbfs + OVER_AMBIENT_DB;
        loud && self.detector.as_ref().is_some_and(Detector::is_speaking) && self.barge_in.hold()
    }

    /// `playing`: the agent is speaking and can be interrupted.
    pub(super) fn handle_frame(&mut self, now: Instant, frame: &Frame, playing: bool) -> Heard {
        let mut heard = Heard::default();
        let Some(detector) = &mut self.detector else { return heard };
        let judgement = self.echo.judge(frame);
        if !self.echo_known && self.echo.path().is_some() {
            (self.echo_known, heard.path_found) = (true, true);
        }
        heard.key = self.keys.handle_frame(frame);
        heard.tone = self.tones.as_mut().and_then(|tones| tones.handle_frame(frame));
        let silent = judgement == Judgement::Echo || self.keys.is_tone();
        heard.mute = silent;
        let before = detector.voiced();
        heard.voice = detector.handle_frame(now, if silent { &[0; SAMPLES] } else { frame });
        let (after, speaking) = (detector.voiced(), detector.is_speaking());
        let new = after.saturating_sub(if heard.voice.is_some() { Duration::ZERO } else { before });
        let stands_out = self.ambient.stands_out(level_dbfs(frame), playing && !self.barge_in.is_held());
        let counts = speaking && stands_out && !silent && judgement == Judgement::Foreign;
        heard.verdict = self.barge_in.handle_frame(if counts { new } else { Duration::ZERO }, speaking, playing);
        heard
    }
}
