//! What the caller hears: a queue of spoken pieces and the pace at which it leaves.

pub mod backdrop;
pub mod pacer;
pub mod queue;
pub mod relay;
