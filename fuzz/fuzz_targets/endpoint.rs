//! Random events at an endpoint; the tests replay the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../signaling/tests/common/random_events.rs"]
mod random_events;

fuzz_target!(|bytes: &[u8]| random_events::run(bytes));
