//! The audio that media and its callers hand each other: frames and streams, each with its format and sample rate.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

pub mod convert;
mod frame;

pub use frame::{AudioFormat, AudioFrame, FrameTooLongError};
