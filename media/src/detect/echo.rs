//! Our own voice, coming back: from a speakerphone's room or a hybrid on the way. What was sent is known, so
//! what arrives is compared with it: where its loudness in four bands follows ours at one delay, that delay and
//! the level of each band are the echo's path, and a frame that is no louder than the path explains is echo.
//!
//! Nothing is subtracted. Until a path is found, whoever interrupts must be louder than an echo would be.

use crate::frame::{Frame, RATE_HZ, SAMPLES, level_dbfs};
use std::f32::consts::PI;

const BANDS: usize = 4;
/// Middle of each band: where speech has its energy on a telephone.
const CENTRES_HZ: [f32; BANDS] = [350.0, 800.0, 1_500.0, 2_600.0];
/// Delays looked at, in frames: 800 ms. A satellite hop there and back is 550.
const LAGS: usize = 40;
/// Frames remembered; a power of two above the longest delay and what is averaged around it.
const HISTORY: usize = 64;
/// Quieter than this is silence on either side.
const FLOOR_DBFS: f32 = -60.0;
/// Frames that a path's level is taken from when it is found: with the longest delay they fit into the history.
const GAIN_FRAMES: usize = 20;
/// Forgetting of the comparison for each frame: 1.3 s are looked back on.
const KEEP: f32 = 0.985;
/// Audible frames before a path is believed: half a second.
const EVIDENCE_FRAMES: f32 = 22.0;
/// Likeness of the two loudnesses that makes a path. Speech of somebody else reaches 0.5 by chance.
const LIKENESS: f32 = 0.7;
/// What arrives must vary by this much to be compared (dB squared): noise of a line does not.
const VARIANCE_MIN: f32 = 9.0;
/// Above the path's own level by this much, a band holds something else.
const MARGIN_DB: f32 = 7.0;
/// More of it while the path is young: its level was taken from little.
const MARGIN_YOUNG_DB: f32 = 6.0;
const YOUNG_FRAMES: f32 = 50.0;
/// How fast the room dies away for each frame.
const TAIL_DB: f32 = 1.5;
/// An echo of which nothing is known yet is held to be no louder than this, relative to our loudest.
const BOUND_DB: f32 = -11.0;
/// After so many frames of our voice an echo would have arrived.
const ARRIVED_FRAMES: u32 = 60;
/// After so many frames of silence nothing is compared any more: most lines have no echo.
const INAUDIBLE_FRAMES: u32 = 50;
/// A path that explains less than half of what arrives for this many frames is none.
const LOST_FRAMES: f32 = 100.0;

/// One band's filter (the cookbook's band-pass with a peak of 0 dB).
#[derive(Clone, Copy, Debug, Default)]
struct Band {
    b0: f32,
    a1: f32,
    a2: f32,
    x: [f32; 2],
    y: [f32; 2],
}

impl Band {
    fn new(centre_hz: f32) -> Self {
        let w = 2.0 * PI * centre_hz / RATE_HZ as f32;
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
        energy / (SAMPLES as f32 * 32_768.0 * 32_768.0)
    }
}

type Levels = [f32; BANDS];

const QUIET: Levels = [FLOOR_DBFS; BANDS];

fn bands() -> [Band; BANDS] {
    CENTRES_HZ.map(Band::new)
}

fn decibels(energy: f32) -> f32 {
    (10.0 * energy.max(1e-10).log10()).max(FLOOR_DBFS)
}

/// A frame and its neighbours: senders and receivers do not cut at the same place.
fn smear(before: &Levels, this: &Levels, after: &Levels) -> Levels {
    std::array::from_fn(|b| {
        let mean = (10f32.powf(before[b] / 10.0) + 10f32.powf(this[b] / 10.0) + 10f32.powf(after[b] / 10.0)) / 3.0;
        decibels(mean)
    })
}

/// Sums of one delay's comparison.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    sent: Levels,
    sent_squared: Levels,
    product: Levels,
}

/// An echo that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    pub delay_ms: u32,
    /// Level relative to what was sent, over all bands.
    pub level_db: f32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    lag: usize,
    gain: Levels,
    /// What the path explains at most, falling with the room.
    expected: Levels,
    unexplained: f32,
    /// Audible frames it has explained.
    age: f32,
}

/// What a received frame is, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Whatever it is, it is not ours.
    Foreign,
    /// Could be an echo of which too little is known: no reason to fall silent.
    Doubtful,
    /// Our own voice and nothing else.
    Echo,
}

pub struct EchoGuard {
    out: [Band; BANDS],
    incoming: [Band; BANDS],
    sent: [Levels; HISTORY],
    /// Each with its neighbours.
    smeared: [Levels; HISTORY],
    sent_dbfs: [f32; HISTORY],
    head: usize,
    received: [Levels; 3],
    /// What was compared, newest at the head.
    heard: [Levels; HISTORY],
    heard_head: usize,
    lags: Box<[Lag; LAGS]>,
    weight: f32,
    /// How much of what arrived was audible.
    audible: f32,
    sum: Levels,
    squares: Levels,
    known: Option<Known>,
    bound_db: f32,
    /// Frames of our voice so far, and since when it is silent.
    spoken: u32,
    silent: u32,
    /// Frames since something audible arrived.
    inaudible: u32,
    /// Frames that were held for echo.
    pub echo_frames: u64,
}

impl std::fmt::Debug for EchoGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EchoGuard")
            .field("known", &self.known)
            .field("bound_db", &self.bound_db)
            .finish_non_exhaustive()
    }
}

impl Default for EchoGuard {
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
            lags: Box::new([Lag::default(); LAGS]),
            weight: 0.0,
            audible: 0.0,
            sum: [0.0; BANDS],
            squares: [0.0; BANDS],
            known: None,
            bound_db: BOUND_DB,
            spoken: 0,
            silent: HISTORY as u32,
            echo_frames: 0,
        }
    }
}

impl EchoGuard {
    /// A frame left; `voice` when it held more than silence.
    pub fn handle_sent(&mut self, frame: &Frame, voice: bool) {
        self.head = (self.head + 1) % HISTORY;
        if voice {
            self.silent = 0;
            self.spoken = self.spoken.saturating_add(1);
            // On a line that gives nothing back nobody will ask for the bands.
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
        self.smeared[this] = smear(&self.sent[before], &self.sent[this], &self.sent[self.head]);
        self.smeared[self.head] = self.smeared[this];
    }

    pub fn path(&self) -> Option<Path> {
        self.known.map(|known| Path {
            delay_ms: known.lag as u32 * 20,
            level_db: known.gain.iter().sum::<f32>() / BANDS as f32,
        })
    }

    fn sent_before(&self, frames: usize) -> &Levels {
        &self.sent[(self.head + HISTORY - frames) % HISTORY]
    }

    fn smeared(&self, lag: usize) -> &Levels {
        &self.smeared[(self.head + HISTORY - lag) % HISTORY]
    }

    /// Judges a frame that arrived now.
    pub fn judge(&mut self, frame: &Frame) -> Judgement {
        if self.silent as usize >= HISTORY {
            return Judgement::Foreign; // nothing of ours can be on its way
        }
        let dbfs = level_dbfs(frame);
        self.inaudible = if dbfs > FLOOR_DBFS { 0 } else { self.inaudible.saturating_add(1) };
        if self.inaudible > INAUDIBLE_FRAMES {
            // Nothing comes back: that is all there is to learn from silence.
            self.received = [QUIET; 3];
            return self.doubt(dbfs);
        }
        let levels: Levels = std::array::from_fn(|b| decibels(self.incoming[b].energy(frame)));
        self.received = [self.received[1], self.received[2], levels];
        let judgement = match self.explained(&levels) {
            Some(true) => Judgement::Echo,
            Some(false) => Judgement::Foreign,
            None => self.doubt(dbfs),
        };
        if self.known.is_none() || judgement == Judgement::Echo {
            self.compare();
        }
        self.echo_frames += u64::from(judgement == Judgement::Echo && dbfs > FLOOR_DBFS);
        judgement
    }

    /// Without a path: louder than an echo would be?
    fn doubt(&mut self, dbfs: f32) -> Judgement {
        let loudest = (0..LAGS + 2).map(|back| self.sent_dbfs[(self.head + HISTORY - back) % HISTORY]);
        let loudest = loudest.fold(-96.0, f32::max);
        if loudest < FLOOR_DBFS {
            return Judgement::Foreign;
        }
        let relative = dbfs - loudest;
        if relative > self.bound_db {
            return Judgement::Foreign;
        }
        if self.spoken >= ARRIVED_FRAMES {
            // By now it would be here: no more is to be feared than was seen.
            self.bound_db = (relative + MARGIN_DB).max(self.bound_db - 0.3).min(BOUND_DB);
        }
        Judgement::Doubtful
    }

    /// Whether the path explains all of a frame; nothing without a path.
    fn explained(&mut self, levels: &Levels) -> Option<bool> {
        let lag = self.known?.lag;
        let near = [lag.saturating_sub(1), lag, lag + 1].map(|lag| *self.sent_before(lag));
        let known = self.known.as_mut()?;
        let mut explained = true;
        let young = (1.0 - known.age / YOUNG_FRAMES).max(0.0);
        let margin = MARGIN_DB + MARGIN_YOUNG_DB * young;
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
            self.forget();
            return None;
        }
        Some(explained)
    }

    fn forget(&mut self) {
        self.known = None;
        (self.weight, self.audible) = (0.0, 0.0);
        self.lags.fill(Lag::default());
        (self.sum, self.squares) = ([0.0; BANDS], [0.0; BANDS]);
        self.bound_db = BOUND_DB;
    }

    fn compare(&mut self) {
        let heard = smear(&self.received[0], &self.received[1], &self.received[2]);
        self.heard_head = (self.heard_head + 1) % HISTORY;
        self.heard[self.heard_head] = heard;
        self.weight = self.weight * KEEP + 1.0;
        let is_audible = heard.iter().any(|level| *level > FLOOR_DBFS + 6.0);
        self.audible = self.audible * KEEP + f32::from(u8::from(is_audible));
        for (b, level) in heard.iter().enumerate() {
            self.sum[b] = self.sum[b] * KEEP + level;
            self.squares[b] = self.squares[b] * KEEP + level * level;
        }
        // `heard` lies a frame back, by its later neighbour.
        for lag in 0..LAGS {
            let sent = *self.smeared(lag + 1);
            let sums = &mut self.lags[lag];
            for b in 0..BANDS {
                sums.sent[b] = sums.sent[b] * KEEP + sent[b];
                sums.sent_squared[b] = sums.sent_squared[b] * KEEP + sent[b] * sent[b];
                sums.product[b] = sums.product[b] * KEEP + sent[b] * heard[b];
            }
        }
        if self.known.is_none() && self.spoken as f32 >= EVIDENCE_FRAMES && self.audible >= EVIDENCE_FRAMES {
            self.search();
        }
    }

    fn search(&mut self) {
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
        if best.1 < LIKENESS {
            return;
        }
        let gain = std::array::from_fn(|b| self.gain(best.0, b));
        self.known = Some(Known { lag: best.0, gain, expected: QUIET, unexplained: 0.0, age: 0.0 });
    }

    /// The mean difference of a band over the last frames in which both sides had something in it.
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
