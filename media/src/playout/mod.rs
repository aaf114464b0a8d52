//! Playout: the queue of speech segments, pacing, ambience and bridged audio.

pub mod ambience;
pub mod pacer;
pub mod queue;
pub mod relay;
