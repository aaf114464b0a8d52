//! Any bytes as a datagram and as a stream: no panics, and parsed messages survive printing and parsing again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::peek::Glance;
use trunkline_signaling::sip::message::parse::{self, Parsed};
use trunkline_signaling::sip::message::{Message, print};

fuzz_target!(|bytes: &[u8]| {
    for piece in [1, 64, 4_096] {
        let mut framer = Framer::default();
        for part in bytes.chunks(piece) {
            framer.push(part);
            while framer.next().is_some_and(|framed| matches!(framed, Framed::Complete(_))) {}
        }
    }
    let _ = Glance::of_datagram(bytes);
    if let Parsed::Message(Message::Request(request)) = parse::datagram(bytes) {
        let again = parse::datagram(&print::request(&request));
        assert!(matches!(again, Parsed::Message(_)), "{again:?}");
    }
});
