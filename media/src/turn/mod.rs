//! Whose turn it is: the verdict that a caller interrupts, and the verdict that a caller has finished.

pub mod barge_in;
pub mod endpoint;
pub mod evidence;
