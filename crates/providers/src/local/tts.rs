//! Which voice of this machine speaks.

use super::espeak::LocalTtsSession;
use super::piper::session;
use crate::tts::{TextAbilities, TtsSession, TtsSetup, TtsVendor};

/// Opens local voices: Piper's for voice ids that begin with `piper:`, flite for those that begin with `flite`, espeak-ng for
/// all others.
#[derive(Debug)]
pub struct LocalTts;

impl TtsVendor for LocalTts {
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession> {
        match setup.config.voice_id.strip_prefix("piper:").map(str::to_owned) {
            Some(name) => session::open(setup, &name),
            None => Box::new(LocalTtsSession(setup)),
        }
    }

    /// Its reading of numbers is that of the program: words are said alike by all.
    fn abilities(&self, _: Option<&str>) -> TextAbilities {
        TextAbilities::default()
    }
}
