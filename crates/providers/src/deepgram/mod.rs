//! Deepgram: Nova over `/v1/listen`, and Flux, whose turns are its own, over `/v2/listen`.
//! <https://developers.deepgram.com/reference>

pub mod flux;
mod languages;
pub mod nova;
pub(crate) mod session_errors;

use super::stt::{SttProtocol, SttSessionConfig, SttVendor};

/// The STT client that the registry hands out.
pub static STT: DeepgramStt = DeepgramStt;

/// Opens Flux for models whose names begin with `flux`, and Nova for all others.
#[derive(Debug)]
pub struct DeepgramStt;

impl SttVendor for DeepgramStt {
    fn open(&self, setup: &SttSessionConfig) -> Box<dyn SttProtocol> {
        if setup.model.starts_with("flux") {
            Box::new(flux::FluxProtocol::new(setup.clone()))
        } else {
            Box::new(nova::NovaProtocol::new(setup.clone()))
        }
    }
}
