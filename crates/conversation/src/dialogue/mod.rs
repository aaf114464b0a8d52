//! The dialogue: prompt, history, responses, tools. Plain values without audio, sockets or providers.

pub mod amd_phrases;
pub mod backchannel;
pub mod history;
pub mod phrases;
pub mod prompt;
pub mod report;
pub mod response;
pub mod sentence_splitter;
pub mod text_normalization;
pub mod tools;
