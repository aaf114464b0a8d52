//! The local voice: espeak-ng as a child process, so that its licence stays outside of our binary.

pub mod client;
