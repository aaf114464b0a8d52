//! What STT writes of spelled and spoken values: digits and numbers in words, and what they mean.

pub mod digits;
pub mod numbers;
pub mod words;
