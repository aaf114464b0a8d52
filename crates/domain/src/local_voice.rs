//! The voices of this machine that are known by name.

use super::provider::TtsProvider;

/// How a `voice_id` of a neural voice begins.
const PIPER: &str = "piper:";
/// The neural voices.
pub const PIPER_VOICES: [&str; 1] = ["joe"];

/// What is wrong with a voice of the local provider, if anything is. Programs have more voices than are known here.
pub fn voice_fault(voice_id: &str) -> Option<String> {
    let name = voice_id.strip_prefix(PIPER)?;
    let known = || PIPER_VOICES.map(|voice| format!("{PIPER}{voice}")).join(" or ");
    (!PIPER_VOICES.contains(&name)).then(|| format!("must be {}, or a voice without {PIPER}", known()))
}

/// The rule of `voice_id`.
pub(super) fn voice_id<C>(provider: TtsProvider) -> impl FnOnce(&str, &C) -> garde::Result {
    move |value, _| match provider {
        TtsProvider::Local => voice_fault(value).map_or(Ok(()), |fault| Err(garde::Error::new(fault))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::provider_config::TtsConfig;
    use serde_json::json;

    #[test]
    fn a_neural_voice_that_there_is_not_is_refused_when_it_is_saved() {
        let faults = |provider: &str, voice: &str| -> Vec<String> {
            let config = json!({"provider": provider, "voice_id": voice, "language": "en"});
            let config: TtsConfig = serde_json::from_value(config).unwrap();
            crate::faults(&config).into_iter().map(|fault| format!("{} {}", fault.field, fault.message)).collect()
        };
        let none: Vec<String> = Vec::new();
        for voice in ["piper:joe", "en-us+f3", "flite:slt", "nl"] {
            assert_eq!(faults("local", voice), none, "{voice}");
        }
        for voice in ["piper:nobody", "piper:", "piper:Joe"] {
            assert_eq!(faults("local", voice), ["voice_id must be piper:joe, or a voice without piper:"], "{voice}");
        }
        assert_eq!(faults("elevenlabs", "piper:nobody"), none, "another vendor's names are its own");
    }
}
