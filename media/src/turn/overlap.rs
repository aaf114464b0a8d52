//! Who makes a sound while the agent speaks, by its level: the caller, or somebody or something behind the caller.
//!
//! The caller's level is learnt from the caller's own turns. Before it is known nothing is held for background, and only
//! steady noise is told from a voice.

use std::time::Duration;

/// What the levels are compared with. All in dB, or frames of 20 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverlapConfig {
    /// A sound this much below the caller's level is not the caller.
    pub below_caller_db: f32,
    /// A sound must be this much above the steady noise of the line.
    pub over_noise_db: f32,
    /// Voice of the caller after which the level is known.
    pub learnt_after: Duration,
    /// Share of the difference by which a louder frame raises the caller's level.
    pub rise: f32,
    /// The same for a quieter frame.
    pub fall: f32,
    /// Audible frames without the caller after which they are background.
    pub background_frames: u32,
    /// Frames for which the caller counts as speaking after a frame at the caller's level.
    pub caller_frames: u32,
}

impl Default for OverlapConfig {
    fn default() -> Self {
        Self {
            below_caller_db: 11.0,
            over_noise_db: 6.0,
            learnt_after: Duration::from_millis(500),
            rise: 0.05,
            fall: 0.005,
            background_frames: 8,
            caller_frames: 40,
        }
    }
}

/// Who is heard over the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlapSource {
    /// A sound at the caller's level.
    Caller,
    /// Only sounds that are far quieter than the caller: other people, a television, an echo.
    Background,
}

/// A frame as it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameSound {
    /// Its level.
    pub dbfs: f32,
    /// Voice in it, as voice detection heard it.
    pub voiced: Duration,
    /// It is an echo of the agent or a key: no sound of the caller's side.
    pub is_ours: bool,
}

/// What a frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOverlap {
    /// It may be the caller: loud enough, and above the noise.
    pub is_caller: bool,
    /// Who is heard now, where it was somebody else or nobody before.
    pub change: Option<OverlapSource>,
}

/// The level of the caller's voice.
#[derive(Clone, Copy, Debug)]
struct CallerLevel {
    dbfs: f32,
    heard: Duration,
}

/// Blocks of the noise floor, and frames of each: two seconds in all, so that a caller who speaks on is no noise.
const FLOOR_BLOCKS: usize = 4;
const FLOOR_BLOCK_FRAMES: u32 = 25;
/// Below this a line is silent, and nothing has to stand out.
const SILENT_DBFS: f32 = -60.0;

/// Frames of a pause between two words.
const PAUSE_FRAMES: u32 = 15;

/// The lowest level of the last two seconds.
#[derive(Clone, Copy, Debug)]
struct NoiseFloor {
    blocks: [f32; FLOOR_BLOCKS],
    frames: u32,
    smooth: f32,
}

impl NoiseFloor {
    fn handle_frame(&mut self, dbfs: f32) {
        self.smooth += (dbfs - self.smooth) * 0.3;
        self.frames += 1;
        if self.frames >= FLOOR_BLOCK_FRAMES {
            self.frames = 0;
            self.blocks.rotate_right(1);
            self.blocks[0] = self.smooth;
        }
        self.blocks[0] = self.blocks[0].min(self.smooth);
    }

    fn dbfs(&self) -> f32 {
        self.blocks.iter().copied().fold(0.0, f32::min).max(SILENT_DBFS)
    }
}

/// Watches the sounds from the caller's side.
#[derive(Clone, Copy, Debug)]
pub struct OverlapDetector {
    config: OverlapConfig,
    caller: CallerLevel,
    floor: NoiseFloor,
    /// The loudest of the last frames: the first sound of a word is soft.
    recent: [f32; 3],
    /// Audible frames since the caller was heard.
    background: u32,
    /// Frames since the caller was heard.
    since_caller: u32,
    /// Frames since one that may be the caller's.
    since_loud: u32,
    source: Option<OverlapSource>,
    was_playing: bool,
}

impl Default for OverlapDetector {
    fn default() -> Self {
        Self::new(OverlapConfig::default())
    }
}

impl OverlapDetector {
    /// A detector that has heard nothing.
    pub fn new(config: OverlapConfig) -> Self {
        Self {
            config,
            caller: CallerLevel { dbfs: -96.0, heard: Duration::ZERO },
            floor: NoiseFloor { blocks: [SILENT_DBFS; FLOOR_BLOCKS], frames: 0, smooth: SILENT_DBFS },
            recent: [-96.0; 3],
            background: 0,
            since_caller: u32::MAX,
            since_loud: u32::MAX,
            source: None,
            was_playing: false,
        }
    }

    /// The level of the caller's voice in dBFS, once it is known.
    pub fn caller_dbfs(&self) -> Option<f32> {
        (self.caller.heard >= self.config.learnt_after).then_some(self.caller.dbfs)
    }

    /// Whether the caller may be speaking, in a pause between two words too.
    pub fn may_be_speaking(&self) -> bool {
        self.since_loud <= PAUSE_FRAMES
    }

    /// Whether the last frames may be the caller: loud enough, and above the noise.
    fn is_caller(&self) -> bool {
        let loudest = self.recent.iter().copied().fold(-96.0, f32::max);
        let is_loud = self.caller_dbfs().is_none_or(|caller| loudest > caller - self.config.below_caller_db);
        is_loud && loudest > self.floor.dbfs() + self.config.over_noise_db
    }

    /// Judges a frame; `playing` if the agent speaks.
    pub fn handle_frame(&mut self, sound: FrameSound, playing: bool) -> FrameOverlap {
        if !sound.is_ours {
            self.floor.handle_frame(sound.dbfs);
        }
        self.recent.rotate_right(1);
        self.recent[0] = if sound.is_ours { -96.0 } else { sound.dbfs };
        let is_audible = self.recent[0] > self.floor.dbfs() + self.config.over_noise_db;
        if playing && !self.was_playing {
            (self.background, self.since_caller, self.source) = (0, u32::MAX, None);
        }
        self.was_playing = playing;
        let is_caller = self.is_caller();
        self.since_loud = if is_caller { 0 } else { self.since_loud.saturating_add(1) };
        let is_voiced = is_caller && !sound.voiced.is_zero();
        if playing {
            return FrameOverlap { is_caller, change: self.update_source(is_voiced, is_audible) };
        }
        if is_audible && !sound.voiced.is_zero() {
            self.learn(sound);
        }
        // A caller who answers while somebody behind goes on talking.
        let is_new = is_voiced && self.source == Some(OverlapSource::Background);
        if is_new {
            self.source = Some(OverlapSource::Caller);
        }
        FrameOverlap { is_caller, change: self.source.filter(|_| is_new) }
    }

    fn learn(&mut self, sound: FrameSound) {
        let caller = &mut self.caller;
        if caller.heard.is_zero() {
            caller.dbfs = sound.dbfs;
        }
        let rate = if sound.dbfs > caller.dbfs { self.config.rise } else { self.config.fall };
        // The first frames count more: until then it is anything.
        let rate = if caller.heard < self.config.learnt_after { 4.0 * rate } else { rate };
        caller.dbfs += (sound.dbfs - caller.dbfs) * rate;
        caller.heard += sound.voiced;
    }

    fn update_source(&mut self, is_caller: bool, is_audible: bool) -> Option<OverlapSource> {
        self.caller_dbfs()?;
        let source = if is_caller {
            (self.since_caller, self.background) = (0, 0);
            Some(OverlapSource::Caller)
        } else {
            self.since_caller = self.since_caller.saturating_add(1);
            self.background += u32::from(is_audible);
            let is_background =
                self.background >= self.config.background_frames && self.since_caller > self.config.caller_frames;
            if is_background { Some(OverlapSource::Background) } else { self.source }
        };
        let is_new = source != self.source;
        self.source = source;
        source.filter(|_| is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICED: Duration = Duration::from_millis(20);

    fn sound(dbfs: f32) -> FrameSound {
        FrameSound { dbfs, voiced: VOICED, is_ours: false }
    }

    /// A detector that has heard a caller at this level, and then a quiet line.
    fn knows(caller_dbfs: f32) -> OverlapDetector {
        let mut detector = OverlapDetector::default();
        for _ in 0..50 {
            detector.handle_frame(sound(caller_dbfs), false);
        }
        for _ in 0..100 {
            detector.handle_frame(FrameSound { dbfs: -65.0, voiced: Duration::ZERO, is_ours: false }, false);
        }
        detector
    }

    /// Frames that may be the caller, and the changes that were told.
    fn hear(detector: &mut OverlapDetector, frames: &[FrameSound]) -> (usize, Vec<OverlapSource>) {
        let judged: Vec<FrameOverlap> = frames.iter().map(|frame| detector.handle_frame(*frame, true)).collect();
        let count = judged.iter().filter(|frame| frame.is_caller).count();
        (count, judged.into_iter().filter_map(|frame| frame.change).collect())
    }

    #[test]
    fn a_voice_far_below_the_caller_is_background() {
        let mut detector = knows(-22.0);
        assert!((detector.caller_dbfs().unwrap() + 22.0).abs() < 0.5);
        assert_eq!(hear(&mut detector, &[sound(-38.0); 30]), (0, vec![OverlapSource::Background]));
        assert_eq!(hear(&mut detector, &[sound(-27.0); 10]), (10, vec![OverlapSource::Caller]));
        let (_, changes) = hear(&mut detector, &[sound(-38.0); 60]);
        assert_eq!(changes, [OverlapSource::Background], "the caller has stopped, the other one has not");
        let mut detector = knows(-22.0);
        hear(&mut detector, &[sound(-27.0); 10]);
        assert_eq!(hear(&mut detector, &[sound(-38.0); 30]).1, [], "words of the caller may still be on their way");
    }

    #[test]
    fn a_caller_answers_while_somebody_behind_goes_on_talking() {
        let mut detector = knows(-22.0);
        hear(&mut detector, &[sound(-38.0); 30]);
        assert_eq!(detector.handle_frame(sound(-38.0), false).change, None, "the agent has finished");
        assert_eq!(detector.handle_frame(sound(-24.0), false).change, Some(OverlapSource::Caller));
        assert_eq!(detector.handle_frame(sound(-24.0), false).change, None);
    }

    #[test]
    fn a_quiet_caller_is_a_caller() {
        let mut detector = knows(-40.0);
        assert_eq!(hear(&mut detector, &[sound(-45.0); 20]), (20, vec![OverlapSource::Caller]));
    }

    #[test]
    fn nobody_is_background_before_the_caller_is_known() {
        let mut detector = OverlapDetector::default();
        for _ in 0..100 {
            detector.handle_frame(FrameSound { dbfs: -65.0, voiced: Duration::ZERO, is_ours: false }, true);
        }
        assert_eq!(hear(&mut detector, &[sound(-42.0); 30]), (30, vec![]));
    }

    #[test]
    fn steady_noise_is_nobody() {
        let mut detector = knows(-22.0);
        let noise: Vec<FrameSound> = (0..200).map(|n| sound(-30.0 - (n % 3) as f32)).collect();
        hear(&mut detector, &noise);
        assert_eq!(hear(&mut detector, &noise).0, 0, "a street that began while the agent spoke");
        assert_eq!(hear(&mut detector, &[sound(-20.0); 10]).0, 10, "a caller above it");
    }

    #[test]
    fn an_echo_of_ours_is_nobody() {
        let mut detector = knows(-22.0);
        let echo = FrameSound { dbfs: -20.0, voiced: Duration::ZERO, is_ours: true };
        assert_eq!(hear(&mut detector, &[echo; 200]), (0, vec![]));
        assert_eq!(hear(&mut detector, &[sound(-22.0); 5]).0, 5, "an echo is no noise that the caller has to exceed");
    }

    #[test]
    fn a_caller_who_steps_back_is_learnt_within_some_turns() {
        let mut detector = knows(-20.0);
        assert_eq!(hear(&mut detector, &[sound(-34.0); 5]).0, 0);
        for _ in 0..200 {
            detector.handle_frame(sound(-34.0), false);
            detector.handle_frame(FrameSound { dbfs: -65.0, voiced: Duration::ZERO, is_ours: false }, false);
        }
        assert_eq!(hear(&mut detector, &[sound(-34.0); 5]).0, 5);
    }
}
