//! Turn-taking: barge-in and end-of-turn detection.

pub mod barge_in;
pub mod endpoint;
pub mod evidence;
