//! The call machine: decides from the answer to the end who speaks, which service gets a request, and when to hang up.
//!
//! A plain value. Events go in with their instant; [`CallMachine::poll_output`] says what to do,
//! [`CallMachine::poll_timeout`] when to come back. Every path ends in exactly one [`CallOutput::HangUp`].
//!
//! The call is in one [`mode`] at a time. `line`, `talk` and the modes hold what there is; the files of `impl CallMachine`
//! (`*_events`, `amd_results`, `playback`, `tools`, `timeouts`) pass each event to the mode and change it.

mod agent_shares;
mod amd_results;
mod barge_in;
mod bridged;
mod call_ids;
mod call_machine;
mod call_metrics;
mod caller_events;
mod collect_events;
mod collecting;
mod control_events;
mod conversing;
mod decision_record;
mod ending;
mod fillers;
mod foreign_words;
mod handover;
mod handover_events;
mod held;
mod hold_events;
mod interruption_counts;
mod language;
mod language_change;
mod leg_events;
mod line;
pub mod mode;
mod operator_talk;
mod operator_words;
mod output;
mod pipeline;
mod playback;
mod preemptive_generation;
mod realtime;
mod realtime_events;
mod realtime_response;
mod response;
mod said_fillers;
mod secrets;
mod spec;
mod spoken_language;
mod talk;
mod timeouts;
mod timers;
mod toolbox;
mod tools;
mod transcript;
mod transfer;
mod transfer_events;
mod unclear_cause;
mod unclear_speech;
mod unvoiced_words;
mod value_events;
mod voicemail;
mod written;

#[cfg(test)]
mod tests;

pub use call_machine::CallMachine;
pub use call_metrics::{CallMetrics, TurnMetrics};
pub use interruption_counts::InterruptionCounts;
pub use output::CallOutput;
pub use realtime::RealtimeCapabilities;
pub use spec::{CallSpec, acts_on_tags};
pub use spoken_language::voice_in_language;
pub use timers::CallTimer;
pub use transfer::{ConsultationEvent, ReferProgress};
