//! The Piper voices that are known by name, and what is said where one cannot speak.

/// A voice.
#[derive(Debug, PartialEq, Eq)]
pub struct PiperVoice {
    /// The name in `voice_id`, after `piper:`.
    pub name: &'static str,
    /// What it speaks, `en`.
    pub language: &'static str,
    /// The voice of espeak-ng that makes its phonemes.
    pub espeak_voice: &'static str,
    /// The voice of espeak-ng that speaks in its place: of the same gender.
    pub stand_in: &'static str,
    /// SHA-256 of its model, in hexadecimal digits.
    pub model_sha256: &'static str,
}

/// All voices.
pub const PIPER_VOICES: &[PiperVoice] = &[PiperVoice {
    name: "joe",
    language: "en",
    espeak_voice: "en-us",
    stand_in: "m3",
    model_sha256: "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
}];

/// The voice that a `voice_id` names after `piper:`; in words where there is none.
pub fn piper_voice(name: &str) -> Result<&'static PiperVoice, String> {
    PIPER_VOICES.iter().find(|voice| voice.name == name).ok_or_else(|| {
        let known: Vec<_> = PIPER_VOICES.iter().map(|voice| format!("piper:{}", voice.name)).collect();
        let shown: String = name.chars().take(40).collect();
        format!("voice_id \"piper:{shown}\" is no voice; there is {}", known.join(", "))
    })
}

/// `en` of `en-GB`.
pub(super) fn primary(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().to_lowercase()
}
