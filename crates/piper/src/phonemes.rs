//! From phonemes as text to the ids that a model reads.

use crate::config::{END, PAD, START, VoiceConfig};
use crate::error::{PHONEMES_MAX, VoiceError};
use unicode_normalization::UnicodeNormalization as _;

/// The ids of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PhonemeIds {
    pub ids: Vec<i32>,
    /// How many ids have been read when a word (phonemes between blanks) is over.
    pub word_ends: Vec<usize>,
}

/// Start, each phoneme followed by the pad, end. What the voice does not know is left out, as Piper does.
pub(crate) fn phoneme_ids(config: &VoiceConfig, phonemes: &str) -> Result<PhonemeIds, VoiceError> {
    let count = phonemes.chars().count();
    if count > PHONEMES_MAX {
        return Err(VoiceError::TooLong { phonemes: count });
    }
    let mut ids = [config.ids(START), config.ids(PAD)].concat();
    let mut word_ends = Vec::new();
    let mut is_word = false;
    let mut is_known = false;
    // Accents are phonemes of their own: a voice knows the sign and the accent, not both as one.
    for phoneme in phonemes.nfd() {
        if phoneme == ' ' && std::mem::take(&mut is_word) {
            word_ends.push(ids.len());
        }
        is_word |= phoneme != ' ';
        let of = config.ids(phoneme);
        if !of.is_empty() && ![START, END, PAD].contains(&phoneme) {
            // Stress and length are letters to Unicode, and no sounds.
            is_known |= phoneme.is_alphabetic() && !('\u{2b0}'..='\u{2ff}').contains(&phoneme);
            ids.extend_from_slice(of);
            ids.extend_from_slice(config.ids(PAD));
        }
    }
    if is_word {
        word_ends.push(ids.len());
    }
    if !is_known {
        return Err(VoiceError::NothingToSay);
    }
    ids.extend_from_slice(config.ids(END));
    Ok(PhonemeIds { ids, word_ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VoiceConfig {
        let json = serde_json::json!({
            "audio": {"sample_rate": 22_050}, "espeak": {"voice": "en-us"}, "num_symbols": 200,
            "phoneme_id_map": {"_": [0], "^": [1], "$": [2], " ": [3], ".": [10], "a": [14], "c": [16], "ˈ": [120], "\u{327}": [140]},
        });
        VoiceConfig::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn phonemes_become_ids_with_pads_between() {
        let made = phoneme_ids(&config(), "ˈa c.").unwrap();
        assert_eq!(made.ids, [1, 0, 120, 0, 14, 0, 3, 0, 16, 0, 10, 0, 2]);
        assert_eq!(made.word_ends, [6, 12]);
    }

    #[test]
    fn accents_are_phonemes_of_their_own_and_unknown_signs_are_left_out() {
        assert_eq!(phoneme_ids(&config(), "çɬ").unwrap().ids, [1, 0, 16, 0, 140, 0, 2]);
        let blanks = phoneme_ids(&config(), "  a   a ").unwrap();
        assert_eq!(blanks.word_ends.len(), 2);
    }

    /// Marks of the format in a text would end it early.
    #[test]
    fn marks_of_the_format_are_no_phonemes_of_a_text() {
        assert_eq!(phoneme_ids(&config(), "a$^_a").unwrap().ids, [1, 0, 14, 0, 14, 0, 2]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(matches!(phoneme_ids(&config(), ""), Err(VoiceError::NothingToSay)));
        assert!(matches!(phoneme_ids(&config(), " ˈ. "), Err(VoiceError::NothingToSay)));
        assert!(phoneme_ids(&config(), &"a".repeat(PHONEMES_MAX)).is_ok());
        let refused = phoneme_ids(&config(), &"a".repeat(PHONEMES_MAX + 1)).unwrap_err();
        assert!(refused.to_string().starts_with("601 phonemes"));
    }
}
