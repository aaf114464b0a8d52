//! The dialogue: prompt, history, responses, tools. Plain values without audio, sockets or providers.

pub mod answerer;
pub mod backchannel;
pub mod history;
pub mod phrases;
pub mod prompt;
pub mod reply;
pub mod report;
pub mod sentences;
pub mod speakable;
pub mod tools;
