//! The Piper voices that are known by name.

use trunkline_local_speech::models::{PIPER_VOICES, PiperVoice};

/// The voice that a `voice_id` names after `piper:`; in words where there is none.
pub fn piper_voice(name: &str) -> Result<&'static PiperVoice, String> {
    PIPER_VOICES.iter().find(|voice| voice.name == name).ok_or_else(|| {
        let known: Vec<_> = PIPER_VOICES.iter().map(|voice| format!("piper:{}", voice.name)).collect();
        let shown: String = name.chars().take(40).collect();
        format!("voice_id \"piper:{shown}\" is no voice; there is {}", known.join(", "))
    })
}

#[cfg(test)]
#[test]
fn agents_can_be_saved_with_all_of_them() {
    let names: Vec<_> = PIPER_VOICES.iter().map(|voice| voice.name).collect();
    assert_eq!(names, trunkline_domain::local_voice::PIPER_VOICES);
}

/// `en` of `en-GB`.
pub(super) fn primary(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().to_lowercase()
}
