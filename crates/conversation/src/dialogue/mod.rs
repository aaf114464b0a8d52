//! The dialogue: prompt, history, responses, tools. Plain values without audio, sockets or providers.

pub mod amd_phrases;
pub mod backchannel;
pub mod built_in_tools;
pub mod digit_collection;
pub mod flow;
pub mod hallucination;
pub mod history;
pub mod interruption;
pub mod language_tracker;
pub mod phrases;
pub mod placeholders;
pub mod prompt;
pub mod report;
pub mod response;
pub mod secret_words;
pub mod sentence_splitter;
pub mod spoken;
pub mod text_normalization;
pub mod tools;
pub mod value_collection;
