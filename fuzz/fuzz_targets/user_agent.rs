//! Random events at an endpoint, and hostile messages at calls in every state; the tests replay the corpus and run the
//! same generator over all of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../signaling/tests/common"]
mod common {
    pub mod message_mutator;
    pub mod mutation_world;
    pub mod random_events;
}

fuzz_target!(|bytes: &[u8]| {
    common::random_events::run(bytes);
    common::mutation_world::run(bytes);
});
