//! How long an utterance takes at least, by its letters.

use trunkline_media::frame::SAMPLE_RATE_HZ;
use trunkline_media::turn::script::has_no_blanks;

/// Letters that a voice speaks in a second, until its own rate is known.
const LETTERS_PER_SECOND: u64 = 13;
/// Letters of a second that no ordinary voice reaches; one that does is known by its rate.
const LETTERS_PER_SECOND_MAX: u64 = 22;
/// The same of the fastest setting of any voice.
const LETTERS_PER_SECOND_FASTEST: u64 = 70;
/// Share of its usual length, in percent, below which an utterance was cut off.
const CUT_OFF_PERCENT: u64 = 40;
/// The letters from which on that can be told.
pub(super) const WEIGHT_MIN: u64 = 10;

/// The letters and digits of a text; a character of a script without blanks takes as long as three.
pub(super) fn weight(text: &str) -> u64 {
    text.chars().filter(|c| c.is_alphanumeric()).map(|c| if has_no_blanks(c) { 3 } else { 1 }).sum()
}

/// The samples that a voice usually needs for so many letters.
pub(super) fn usual_samples(weight: u64) -> u64 {
    weight * u64::from(SAMPLE_RATE_HZ) / LETTERS_PER_SECOND
}

/// Whether a voice, however fast, can have said a text in so many samples: its rate is learnt from that.
pub(super) fn is_speech(samples: u64, text: &str) -> bool {
    let weight = weight(text);
    weight < WEIGHT_MIN || samples >= weight * u64::from(SAMPLE_RATE_HZ) / LETTERS_PER_SECOND_FASTEST
}

/// Whether so many samples cannot be the whole utterance, which usually has `usual`.
pub(super) fn is_cut_off(samples: u64, usual: u64, weight: u64) -> bool {
    let least = weight * u64::from(SAMPLE_RATE_HZ) / LETTERS_PER_SECOND_MAX;
    samples * 100 < usual * CUT_OFF_PERCENT && samples < least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_utterance_is_cut_off_when_no_voice_can_have_said_it() {
        let weight = weight("It comes tomorrow morning.");
        assert_eq!(weight, 22);
        let usual = usual_samples(weight);
        for (samples, cut) in [(800, true), (usual / 4, true), (usual / 2, false), (usual, false)] {
            assert_eq!(is_cut_off(samples, usual, weight), cut, "{samples}");
        }
        // The usual length of a voice that speaks slowly is no measure for one sentence that it says fast.
        assert!(!is_cut_off(usual, 3 * usual, weight));
        assert!(!is_cut_off(usual / 4, usual / 3, weight), "a fast voice");
        assert_eq!(super::weight("明天早上到。"), 15);
        assert!(is_speech(usual / 4, "It comes tomorrow morning.") && !is_speech(800, "It comes tomorrow morning."));
    }
}
