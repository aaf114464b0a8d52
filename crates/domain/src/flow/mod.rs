//! A dialogue by rules: states with slots, intents and documents. It is what the provider `local` answers from, without a
//! model.

mod check;
mod document;
mod schema;

pub use check::FlowContext;
pub use document::*;

#[cfg(test)]
mod tests;
