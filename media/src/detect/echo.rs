//! Detects acoustic and hybrid echo of the agent's voice. Received audio is compared with sent audio: if its loudness
//! in four bands follows ours at one delay, that delay and the level per band are the echo path. A frame that is no
//! louder than the path predicts is echo.
//!
//! No echo is cancelled. Until a path is found, a caller must be louder than the assumed echo to interrupt.

use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ, level_dbfs};
use std::f32::consts::PI;

const BANDS: usize = 4;
/// Middle of each band: where speech has its energy on a phone.
const CENTRES_HZ: [f32; BANDS] = [350.0, 800.0, 1_500.0, 2_600.0];
/// Delays searched, in frames: 800 ms. A satellite round trip takes 550 ms.
const LAGS: usize = 40;
/// Frames kept: a power of two above the longest delay plus the averaging window.
const HISTORY: usize = 64;
/// Levels below this count as silence in both directions.
const FLOOR_DBFS: f32 = -60.0;
/// Frames from which the level of a new path is measured. Together with the longest delay they fit into the history.
const GAIN_FRAMES: usize = 20;
/// Decay of the correlation sums per frame: a window of about 1.3 s.
const DECAY: f32 = 0.985;
/// Audible frames before a path is accepted: half a second.
const EVIDENCE_FRAMES: f32 = 22.0;
/// Minimum correlation of the loudness for a path. Unrelated speech reaches 0.5 by chance.
const CORRELATION_MIN: f32 = 0.7;
/// Minimum variance of the received level for a comparison, in dB squared. Steady line noise stays below it.
const VARIANCE_MIN: f32 = 9.0;
/// A band louder than the predicted echo by this margin contains other sound.
const MARGIN_DB: f32 = 7.0;
/// Additional margin while the path is new, because its level was measured from few frames.
const MARGIN_NEW_PATH_DB: f32 = 6.0;
const NEW_PATH_FRAMES: f32 = 50.0;
/// Reverberation decay per frame.
const TAIL_DB: f32 = 1.5;
/// Assumed maximum level of an unknown echo, relative to the loudest sent frame.
const ASSUMED_ECHO_DB: f32 = -11.0;
/// Sent voice frames after which any echo would have arrived.
const ECHO_DELAY_FRAMES_MAX: u32 = 60;
/// After this many received silent frames the comparison stops, because most lines have no echo.
const INAUDIBLE_FRAMES: u32 = 50;
/// A path that fails to explain most of the received audio for this many frames is dropped.
const LOST_FRAMES: f32 = 100.0;

/// One band's filter (the cookbook's band-pass with a peak of 0 dB).
#[derive(Clone, Copy, Debug, Default)]
struct BandFilter {
    b0: f32,
    a1: f32,
    a2: f32,
    x: [f32; 2],
    y: [f32; 2],
}

impl BandFilter {
    fn new(centre_hz: f32) -> Self {
        let w = 2.0 * PI * centre_hz / SAMPLE_RATE_HZ as f32;
        let alpha = w.sin() / 2.0; // a quality of one
        let a0 = 1.0 + alpha;
        Self { b0: alpha / a0, a1: -2.0 * w.cos() / a0, a2: (1.0 - alpha) / a0, ..Self::default() }
    }

    fn energy(&mut self, frame: &Frame) -> f32 {
        let mut energy = 0.0;
        for sample in frame {
            let x = f32::from(*sample);
            let y = self.b0 * (x - self.x[1]) - self.a1 * self.y[0] - self.a2 * self.y[1];
            self.x = [x, self.x[0]];
            self.y = [y, self.y[0]];
            energy += y * y;
        }
        energy / (FRAME_SAMPLES as f32 * 32_768.0 * 32_768.0)
    }
}

type BandLevels = [f32; BANDS];

const QUIET: BandLevels = [FLOOR_DBFS; BANDS];

fn bands() -> [BandFilter; BANDS] {
    CENTRES_HZ.map(BandFilter::new)
}

fn decibels(energy: f32) -> f32 {
    (10.0 * energy.max(1e-10).log10()).max(FLOOR_DBFS)
}

/// Averages a frame with its neighbours, because sent and received frames are not aligned.
fn smooth(before: &BandLevels, this: &BandLevels, after: &BandLevels) -> BandLevels {
    std::array::from_fn(|b| {
        let mean = (10f32.powf(before[b] / 10.0) + 10f32.powf(this[b] / 10.0) + 10f32.powf(after[b] / 10.0)) / 3.0;
        decibels(mean)
    })
}

/// Sums of one delay's comparison.
#[derive(Clone, Copy, Debug, Default)]
struct LagSums {
    sent: BandLevels,
    sent_squared: BandLevels,
    product: BandLevels,
}

/// An echo that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EchoPath {
    /// Time from a sent frame to its echo: 0 to 780 ms in steps of 20 ms.
    pub delay_ms: u32,
    /// Level relative to the sent audio, over all bands.
    pub level_db: f32,
}

#[derive(Clone, Copy, Debug)]
struct LearnedPath {
    lag: usize,
    gain: BandLevels,
    /// Maximum echo level predicted by the path; decays with the reverberation.
    expected: BandLevels,
    unexplained: f32,
    /// Audible frames it has explained.
    age: f32,
}

/// Classification of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoJudgement {
    /// Not echo.
    NotEcho,
    /// May be echo; too little is known to treat it as an interruption.
    Uncertain,
    /// Only echo of the agent's voice.
    Echo,
}

/// Echo detector of one leg. Takes each sent and each received frame in the order of their time.
pub struct EchoDetector {
    out: [BandFilter; BANDS],
    incoming: [BandFilter; BANDS],
    sent: [BandLevels; HISTORY],
    /// Each with its neighbours.
    smeared: [BandLevels; HISTORY],
    sent_dbfs: [f32; HISTORY],
    head: usize,
    received: [BandLevels; 3],
    /// Received levels that were compared, newest at the head.
    heard: [BandLevels; HISTORY],
    heard_head: usize,
    lags: Box<[LagSums; LAGS]>,
    weight: f32,
    /// How much of what arrived was audible.
    audible: f32,
    sum: BandLevels,
    squares: BandLevels,
    known: Option<LearnedPath>,
    bound_db: f32,
    /// Sent voice frames so far, and silent frames since the last one.
    spoken: u32,
    silent: u32,
    /// Frames since something audible arrived.
    inaudible: u32,
    /// Frames classified as echo.
    pub echo_frames: u64,
}

impl std::fmt::Debug for EchoDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EchoDetector")
            .field("known", &self.known)
            .field("bound_db", &self.bound_db)
            .finish_non_exhaustive()
    }
}

impl Default for EchoDetector {
    fn default() -> Self {
        Self {
            out: bands(),
            incoming: bands(),
            sent: [QUIET; HISTORY],
            smeared: [QUIET; HISTORY],
            inaudible: 0,
            sent_dbfs: [-96.0; HISTORY],
            head: 0,
            received: [QUIET; 3],
            heard: [QUIET; HISTORY],
            heard_head: 0,
            lags: Box::new([LagSums::default(); LAGS]),
            weight: 0.0,
            audible: 0.0,
            sum: [0.0; BANDS],
            squares: [0.0; BANDS],
            known: None,
            bound_db: ASSUMED_ECHO_DB,
            spoken: 0,
            silent: HISTORY as u32,
            echo_frames: 0,
        }
    }
}

impl EchoDetector {
    /// Records a sent frame; `voice` if it contained more than silence.
    pub fn handle_sent(&mut self, frame: &Frame, voice: bool) {
        self.head = (self.head + 1) % HISTORY;
        if voice {
            self.silent = 0;
            self.spoken = self.spoken.saturating_add(1);
            // Without any received sound the band levels are not needed.
            let asked = self.known.is_some() || self.inaudible <= INAUDIBLE_FRAMES;
            self.sent[self.head] =
                if asked { std::array::from_fn(|b| decibels(self.out[b].energy(frame))) } else { QUIET };
            self.sent_dbfs[self.head] = level_dbfs(frame);
        } else {
            self.sent[self.head] = QUIET;
            self.sent_dbfs[self.head] = -96.0;
            self.silent = self.silent.saturating_add(1);
            if self.silent > 3 {
                self.smeared[self.head] = QUIET;
                return;
            }
        }
        let [before, this] = [2, 1].map(|back| (self.head + HISTORY - back) % HISTORY);
        self.smeared[this] = smooth(&self.sent[before], &self.sent[this], &self.sent[self.head]);
        self.smeared[self.head] = self.smeared[this];
    }

    /// The echo path, once about half a second of audible frames has shown one. `None` before, and after it was lost.
    pub fn path(&self) -> Option<EchoPath> {
        self.known.map(|known| EchoPath {
            delay_ms: known.lag as u32 * 20,
            level_db: known.gain.iter().sum::<f32>() / BANDS as f32,
        })
    }

    fn sent_before(&self, frames: usize) -> &BandLevels {
        &self.sent[(self.head + HISTORY - frames) % HISTORY]
    }

    fn smeared(&self, lag: usize) -> &BandLevels {
        &self.smeared[(self.head + HISTORY - lag) % HISTORY]
    }

    /// Judges a frame that arrived now.
    pub fn classify(&mut self, frame: &Frame) -> EchoJudgement {
        if self.silent as usize >= HISTORY {
            return EchoJudgement::NotEcho; // no echo of ours can still arrive
        }
        let dbfs = level_dbfs(frame);
        self.inaudible = if dbfs > FLOOR_DBFS { 0 } else { self.inaudible.saturating_add(1) };
        if self.inaudible > INAUDIBLE_FRAMES {
            // Nothing comes back; silence gives no more information.
            self.received = [QUIET; 3];
            return self.classify_without_path(dbfs);
        }
        let levels: BandLevels = std::array::from_fn(|b| decibels(self.incoming[b].energy(frame)));
        self.received = [self.received[1], self.received[2], levels];
        let judgement = match self.is_explained_by_path(&levels) {
            Some(true) => EchoJudgement::Echo,
            Some(false) => EchoJudgement::NotEcho,
            None => self.classify_without_path(dbfs),
        };
        if self.known.is_none() || judgement == EchoJudgement::Echo {
            self.update_correlation();
        }
        self.echo_frames += u64::from(judgement == EchoJudgement::Echo && dbfs > FLOOR_DBFS);
        judgement
    }

    /// Classifies a frame while no path is known: is it louder than the assumed echo?
    fn classify_without_path(&mut self, dbfs: f32) -> EchoJudgement {
        let loudest = (0..LAGS + 2).map(|back| self.sent_dbfs[(self.head + HISTORY - back) % HISTORY]);
        let loudest = loudest.fold(-96.0, f32::max);
        if loudest < FLOOR_DBFS {
            return EchoJudgement::NotEcho;
        }
        let relative = dbfs - loudest;
        if relative > self.bound_db {
            return EchoJudgement::NotEcho;
        }
        if self.spoken >= ECHO_DELAY_FRAMES_MAX {
            // An echo would have arrived by now, so the assumed level is lowered to the measured one.
            self.bound_db = (relative + MARGIN_DB).max(self.bound_db - 0.3).min(ASSUMED_ECHO_DB);
        }
        EchoJudgement::Uncertain
    }

    /// Whether the path explains the whole frame; `None` without a path.
    fn is_explained_by_path(&mut self, levels: &BandLevels) -> Option<bool> {
        let lag = self.known?.lag;
        let near = [lag.saturating_sub(1), lag, lag + 1].map(|lag| *self.sent_before(lag));
        let known = self.known.as_mut()?;
        let mut explained = true;
        let young = (1.0 - known.age / NEW_PATH_FRAMES).max(0.0);
        let margin = MARGIN_DB + MARGIN_NEW_PATH_DB * young;
        for b in 0..BANDS {
            let loudest = near.iter().map(|levels| levels[b]).fold(FLOOR_DBFS, f32::max);
            known.expected[b] = (loudest + known.gain[b]).max(known.expected[b] - TAIL_DB);
            explained &= levels[b] <= known.expected[b].max(FLOOR_DBFS + 3.0) + margin;
            if loudest > -45.0 && levels[b] > FLOOR_DBFS {
                let off = levels[b] - (near[1][b] + known.gain[b]);
                known.gain[b] += off.clamp(-6.0, if explained { 6.0 } else { 0.0 }) * (0.01 + 0.05 * young);
            }
        }
        let audible = levels.iter().any(|level| *level > FLOOR_DBFS + 6.0);
        if audible {
            known.age += f32::from(u8::from(explained));
            known.unexplained = (known.unexplained + if explained { -2.0 } else { 1.0 }).max(0.0);
        }
        if known.unexplained > LOST_FRAMES {
            self.reset_path();
            return None;
        }
        Some(explained)
    }

    fn reset_path(&mut self) {
        self.known = None;
        (self.weight, self.audible) = (0.0, 0.0);
        self.lags.fill(LagSums::default());
        (self.sum, self.squares) = ([0.0; BANDS], [0.0; BANDS]);
        self.bound_db = ASSUMED_ECHO_DB;
    }

    fn update_correlation(&mut self) {
        let heard = smooth(&self.received[0], &self.received[1], &self.received[2]);
        self.heard_head = (self.heard_head + 1) % HISTORY;
        self.heard[self.heard_head] = heard;
        self.weight = self.weight * DECAY + 1.0;
        let is_audible = heard.iter().any(|level| *level > FLOOR_DBFS + 6.0);
        self.audible = self.audible * DECAY + f32::from(u8::from(is_audible));
        for (b, level) in heard.iter().enumerate() {
            self.sum[b] = self.sum[b] * DECAY + level;
            self.squares[b] = self.squares[b] * DECAY + level * level;
        }
        // `heard` lies a frame back, by its later neighbour.
        for lag in 0..LAGS {
            let sent = *self.smeared(lag + 1);
            let sums = &mut self.lags[lag];
            for b in 0..BANDS {
                sums.sent[b] = sums.sent[b] * DECAY + sent[b];
                sums.sent_squared[b] = sums.sent_squared[b] * DECAY + sent[b] * sent[b];
                sums.product[b] = sums.product[b] * DECAY + sent[b] * heard[b];
            }
        }
        if self.known.is_none() && self.spoken as f32 >= EVIDENCE_FRAMES && self.audible >= EVIDENCE_FRAMES {
            self.find_path();
        }
    }

    fn find_path(&mut self) {
        let n = self.weight;
        let variance = |sum: f32, squares: f32| (squares / n - (sum / n) * (sum / n)).max(0.0);
        let heard: f32 = (0..BANDS).map(|b| variance(self.sum[b], self.squares[b])).sum();
        if heard < VARIANCE_MIN * BANDS as f32 {
            return;
        }
        let mut best = (0, 0.0);
        for (lag, sums) in self.lags.iter().enumerate() {
            let sent: f32 = (0..BANDS).map(|b| variance(sums.sent[b], sums.sent_squared[b])).sum();
            let both: f32 = (0..BANDS).map(|b| sums.product[b] / n - (sums.sent[b] / n) * (self.sum[b] / n)).sum();
            let likeness = both / (sent * heard).sqrt().max(1.0);
            if likeness > best.1 {
                best = (lag, likeness);
            }
        }
        if best.1 < CORRELATION_MIN {
            return;
        }
        let gain = std::array::from_fn(|b| self.gain(best.0, b));
        self.known = Some(LearnedPath { lag: best.0, gain, expected: QUIET, unexplained: 0.0, age: 0.0 });
    }

    /// Mean level difference of a band over the last frames in which both directions had sound.
    fn gain(&self, lag: usize, band: usize) -> f32 {
        let pairs = (0..GAIN_FRAMES).map(|back| {
            let heard = self.heard[(self.heard_head + HISTORY - back) % HISTORY][band];
            (self.smeared(lag + 1 + back)[band], heard)
        });
        let loudest = pairs.clone().map(|(sent, _)| sent).fold(FLOOR_DBFS, f32::max);
        let both = pairs.filter(|(sent, heard)| *sent > loudest - 15.0 && *heard > FLOOR_DBFS);
        let (sum, count) = both.fold((0.0, 0.0), |(sum, count), (sent, heard)| (sum + heard - sent, count + 1.0));
        if count < 3.0 { FLOOR_DBFS - loudest } else { (sum / count).min(0.0) }
    }
}

#[cfg(test)]
mod tests;
