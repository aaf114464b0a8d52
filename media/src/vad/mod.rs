//! Is somebody speaking? A small neural detector behind a level normaliser, with a threshold that
//! follows its own floor and a hangover.

mod level;
mod model;

pub use model::{Config, Detector, Voice};
