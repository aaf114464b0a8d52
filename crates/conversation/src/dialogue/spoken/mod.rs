//! What STT writes of spelled and spoken values, and how they are read back: digits, phone numbers, addresses, dates,
//! amounts, names, codes, yes and no. Plain functions of a text and a language.

mod answer_words;
pub mod answers;
pub mod asides;
mod calendar;
mod date_words;
pub mod dates;
pub mod digits;
pub mod email;
mod fractions;
pub mod letters;
pub mod money;
pub mod names;
pub mod numbers;
pub mod phone;
pub mod read_back;
mod sign_names;
pub mod value;
mod weeks;
pub mod words;
