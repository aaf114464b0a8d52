//! The conversation of a call: the dialogue, and the machine that decides what happens next. No I/O, no clock: time is
//! an argument.

pub mod amd;
pub mod dialogue;
pub mod digit_collection;
pub mod dtmf;
pub mod machine;
