//! Turn-taking: barge-in and end-of-turn detection.

mod asked;
pub mod barge_in;
mod clause;
pub mod cues;
pub mod decision;
pub mod end_of_turn;
pub mod evidence;
pub mod explanation;
mod language;
mod numbers;
pub mod overlap;
mod question;
mod rhythm;
pub mod script;
mod syntax;
pub mod taken_words;
mod tokens;

pub use asked::Asked;
pub use asked::asked as asked_of;
pub use question::is_question;
