//! A dialogue by rules: the answer to a conversation, from an agent's flow, without a model. Plain functions of the
//! conversation: where it stands in the flow is read from what was said and heard, so that nothing has to
//! be kept, except where it stood before messages that a long conversation has lost.

mod caller_words;
mod calls;
mod context;
mod faq;
mod matching;
mod memory;
mod passages;
mod position;
mod prepared;
mod replay;
mod results;
mod run;
mod stand_in;
mod texts;
mod turns;
mod values;

pub use context::value_context;
pub use faq::{FaqFound, FaqSearch};
pub use memory::FlowMemory;
pub use passages::FaqPassage;
pub use prepared::{FlowAnswer, FlowDialogue, FlowRole, MESSAGE_SLOTS};
pub use stand_in::stand_in;

#[cfg(test)]
mod tests;
