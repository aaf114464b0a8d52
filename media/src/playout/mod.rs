//! What the caller hears: a queue of spoken pieces and the pace at which it leaves.

pub mod pacer;
pub mod queue;
