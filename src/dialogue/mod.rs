//! The conversation: prompt, history, replies in speakable pieces, tools. Plain values; they refuse to
//! know audio, sockets and providers.

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
