//! Deepgram: Nova over `/v1/listen`, and Flux, whose turns are its own, over `/v2/listen`.
//! <https://developers.deepgram.com/reference>

pub mod flux;
pub mod message;

use super::listen::{Recogniser, Setup, Wire};

pub static LISTEN: Listen = Listen;

#[derive(Debug)]
pub struct Listen;

impl Recogniser for Listen {
    fn open(&self, setup: &Setup) -> Box<dyn Wire> {
        if setup.model.starts_with("flux") {
            Box::new(flux::Flux::new(setup.clone()))
        } else {
            Box::new(message::Nova::new(setup.clone()))
        }
    }
}
