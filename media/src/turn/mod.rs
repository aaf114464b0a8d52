//! Turn-taking: barge-in and end-of-turn detection.

pub mod barge_in;
pub mod completeness;
pub mod end_of_turn;
mod lexicon;
pub mod script;
pub mod taken_words;
