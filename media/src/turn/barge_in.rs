//! Does the caller interrupt? Decided frame by frame where the audio is, so that the agent falls
//! silent in the same tick.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub enabled: bool,
    /// Voiced sound of the caller that makes it an interruption; a cough or "mhm" is shorter.
    pub min_speech: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, min_speech: Duration::from_millis(160) }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct BargeIn {
    config: Config,
}

impl BargeIn {
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// `voiced` is the voiced time of the speech going on, zero when nobody speaks; `playing` whether
    /// the agent is being heard and may be interrupted.
    pub fn verdict(&self, voiced: Duration, playing: bool) -> bool {
        self.config.enabled && playing && !voiced.is_zero() && voiced >= self.config.min_speech
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_enough_speech_over_a_playing_agent_interrupts() {
        let ms = Duration::from_millis;
        let barge_in = BargeIn::new(Config::default());
        for (voiced, playing, wanted) in [(0, true, false), (144, true, false), (160, true, true), (400, false, false)]
        {
            assert_eq!(barge_in.verdict(ms(voiced), playing), wanted, "{voiced} {playing}");
        }
        assert!(!BargeIn::new(Config { enabled: false, ..Config::default() }).verdict(ms(900), true));
    }
}
