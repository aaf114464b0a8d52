//! Any bytes as a datagram and as a stream: no panics, and parsed messages survive printing and parsing again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sip::message::body::SessionBody;
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::peek::HeaderPeek;
use trunkline_signaling::sip::message::{SipMessage, print};

fuzz_target!(|bytes: &[u8]| {
    for piece in [1, 64, 4_096] {
        let mut framer = Framer::default();
        for part in bytes.chunks(piece) {
            framer.push(part);
            while framer.next().is_some_and(|framed| matches!(framed, Framed::Complete(_))) {}
        }
    }
    let _ = HeaderPeek::of_datagram(bytes);
    if let ParsedMessage::Message(SipMessage::Request(request)) = parse::datagram(bytes) {
        let _ = SessionBody::find(&request.headers, &request.body);
        let again = parse::datagram(&print::request(&request));
        assert!(matches!(again, ParsedMessage::Message(_)), "{again:?}");
    }
});
