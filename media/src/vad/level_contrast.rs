//! How a sound stands between the noise of the line and the caller's own level. In an office, a street or a crowd the model
//! hears voice all the time; what is far closer to the noise than to the caller's voice is a pause all the same.

/// Frames of one block, of which the lowest level is kept: 160 ms.
const BLOCK_FRAMES: u8 = 10;
/// Blocks whose lowest level is the noise: with the present one about a second, in which most speech has a gap.
const BLOCKS: usize = 6;
/// Blocks that must be known before a pause is told from noise.
const BLOCKS_MIN: u32 = 2;
/// Blocks in the beginning in which the noise is what was lowest; later it rises slowly, or soft speech without a gap would be
/// noise.
const FIRST_BLOCKS: u32 = 12;
/// How fast the noise may rise: 3 dB a second.
const NOISE_RISE_DB: f32 = 0.05;
/// Digital silence, muted echo, and what a gateway sends between talk spurts are no noise.
const NOISE_DBFS_MIN: f32 = -75.0;
/// Share of the way from the noise to the voice below which a sound is noise.
const NOISE_SHARE: f32 = 0.4;
/// Bounds of that way above the noise, and the least distance below the voice.
const ABOVE_NOISE_DB_MIN: f32 = 5.0;
const ABOVE_NOISE_DB_MAX: f32 = 12.0;
const BELOW_VOICE_DB: f32 = 10.0;
/// What a voice must have in addition to begin, so that noise around the limit does not.
const ONSET_DB: f32 = 2.0;
/// Assumed before any voice was heard.
const FIRST_VOICE_DBFS: f32 = -25.0;
/// A voice that is softer than before is believed slowly: this much a frame.
const SOFTER_DB: f32 = 0.03;
/// Voice within this distance of the level is the same speaker's.
const SAME_VOICE_DB: f32 = 12.0;

/// Noise and voice of one line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelContrast {
    smooth_dbfs: f32,
    voice_dbfs: f32,
    /// Lowest levels of the last blocks, the oldest first to be replaced.
    lowest: [f32; BLOCKS],
    next: usize,
    /// Blocks so far.
    blocks: u32,
    /// The noise, as far as it is known.
    noise_dbfs: f32,
    block_lowest: f32,
    block_frames: u8,
}

impl Default for LevelContrast {
    fn default() -> Self {
        Self {
            smooth_dbfs: -70.0,
            voice_dbfs: FIRST_VOICE_DBFS,
            lowest: [0.0; BLOCKS],
            next: 0,
            blocks: 0,
            noise_dbfs: 0.0,
            block_lowest: 0.0,
            block_frames: 0,
        }
    }
}

impl LevelContrast {
    /// One frame of the model, at the level of the audio around it. `is_voiced`: by the model.
    pub(super) fn handle_frame(&mut self, dbfs: f32, is_voiced: bool) {
        let rate = if dbfs > self.smooth_dbfs { 0.5 } else { 0.2 };
        self.smooth_dbfs += (dbfs - self.smooth_dbfs) * rate;
        if dbfs > NOISE_DBFS_MIN {
            self.update_noise();
        }
        if is_voiced {
            self.update_voice();
        }
    }

    fn update_noise(&mut self) {
        let is_first = self.block_frames == 0;
        self.block_lowest = if is_first { self.smooth_dbfs } else { self.block_lowest.min(self.smooth_dbfs) };
        self.block_frames += 1;
        if self.block_frames == BLOCK_FRAMES {
            self.block_frames = 0;
            if let Some(slot) = self.lowest.get_mut(self.next) {
                *slot = self.block_lowest;
            }
            self.next = (self.next + 1) % BLOCKS;
            self.blocks = self.blocks.saturating_add(1);
        }
        let known = self.lowest.iter().take(self.blocks as usize).copied();
        let lowest = known.fold(self.block_lowest, f32::min);
        let is_settled = self.blocks >= FIRST_BLOCKS;
        self.noise_dbfs = if is_settled { lowest.min(self.noise_dbfs + NOISE_RISE_DB) } else { lowest };
    }

    fn update_voice(&mut self) {
        if self.smooth_dbfs > self.voice_dbfs {
            self.voice_dbfs += (self.smooth_dbfs - self.voice_dbfs) * 0.2;
        } else if self.smooth_dbfs > self.voice_dbfs - SAME_VOICE_DB {
            self.voice_dbfs += (self.smooth_dbfs - self.voice_dbfs) * 0.01;
        } else if self.noise_dbfs().is_some_and(|noise| self.smooth_dbfs > noise + ABOVE_NOISE_DB_MIN) {
            self.voice_dbfs -= SOFTER_DB;
        }
    }

    /// Level of the noise; `None` as long as too little was heard.
    fn noise_dbfs(&self) -> Option<f32> {
        (self.blocks >= BLOCKS_MIN).then_some(self.noise_dbfs)
    }

    /// The present frame is noise, whatever the model says. `speaking`: the caller speaks so far.
    pub(super) fn is_noise(&self, speaking: bool) -> bool {
        let Some(noise) = self.noise_dbfs() else { return false };
        let above = ((self.voice_dbfs - noise) * NOISE_SHARE).clamp(ABOVE_NOISE_DB_MIN, ABOVE_NOISE_DB_MAX);
        let limit = (noise + above).min(self.voice_dbfs - BELOW_VOICE_DB);
        self.smooth_dbfs < if speaking { limit } else { limit + ONSET_DB }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears frames at levels that the model takes for voice; whether the last of them is noise.
    fn is_noise_after(parts: &[(f32, usize)]) -> bool {
        let mut contrast = LevelContrast::default();
        for (dbfs, frames) in parts {
            (0..*frames).for_each(|_| contrast.handle_frame(*dbfs, true));
        }
        contrast.is_noise(true)
    }

    /// Syllables of a voice with gaps between them, over a noise.
    fn syllables(voice_dbfs: f32, noise_dbfs: f32) -> Vec<(f32, usize)> {
        [(voice_dbfs, 14), (noise_dbfs + 2.0, 4)].repeat(8)
    }

    #[test]
    fn a_fall_to_the_noise_is_a_pause_though_the_model_hears_voice() {
        for noise_dbfs in [-55.0, -45.0, -40.0] {
            let mut heard = vec![(noise_dbfs, 60)];
            heard.extend(syllables(-22.0, noise_dbfs));
            assert!(!is_noise_after(&heard[..heard.len() - 1]), "speech over {noise_dbfs}");
            heard.push((noise_dbfs, 15));
            assert!(is_noise_after(&heard), "a pause over {noise_dbfs}");
        }
    }

    #[test]
    fn soft_sounds_of_a_clean_line_are_voice() {
        let mut heard = vec![(-66.0, 60)];
        heard.extend(syllables(-24.0, -66.0));
        heard.push((-47.0, 15));
        assert!(!is_noise_after(&heard));
    }

    #[test]
    fn digital_silence_is_no_noise() {
        let mut heard = vec![(-100.0, 200), (-45.0, 30)];
        heard.extend(syllables(-22.0, -45.0));
        heard.push((-45.0, 15));
        assert!(is_noise_after(&heard), "the noise began with the caller's audio");
    }

    #[test]
    fn a_softer_speaker_is_heard_after_some_seconds() {
        let mut heard = vec![(-47.0, 60)];
        heard.extend(syllables(-18.0, -47.0));
        let softer = |times| syllables(-36.0, -47.0).repeat(times);
        heard.extend(softer(6));
        assert!(!is_noise_after(&heard[..heard.len() - 1]));
    }
}
