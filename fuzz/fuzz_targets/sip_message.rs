//! Any bytes as a datagram and as a stream: never a panic, and what parses prints and parses again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sip::message::parse::{self, Parsed};
use trunkline_signaling::sip::message::{Message, print};

fuzz_target!(|bytes: &[u8]| {
    let _ = parse::stream(bytes);
    if let Parsed::Message(Message::Request(request)) = parse::datagram(bytes) {
        let again = parse::datagram(&print::request(&request));
        assert!(matches!(again, Parsed::Message(_)), "{again:?}");
    }
});
