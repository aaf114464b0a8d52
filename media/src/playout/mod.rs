//! Playout: the queue of speech segments, pacing, ambience and bridged audio.

pub mod backdrop;
pub mod pacer;
pub mod queue;
pub mod relay;
