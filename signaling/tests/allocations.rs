//! What a message costs the allocator: a bound on the shape of the code, not a measurement of speed.

use allocation_counter::measure;
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{SipMessage, print};

/// An INVITE as carriers send it: 16 headers and a session description.
const INVITE: &str = "../fixtures/sip/corpus/carrier";

#[test]
fn an_invite_is_parsed_and_printed_with_few_allocations() {
    let bytes = std::fs::read(format!("{}/{INVITE}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut request = None;
    let parsing = measure(|| {
        if let ParsedMessage::Message(SipMessage::Request(parsed)) = parse::datagram(&bytes) {
            request = Some(parsed);
        }
    });
    let request = request.expect("the INVITE parses");
    let mut printed = Vec::new();
    let printing = measure(|| printed = print::request(&request));
    assert!(!printed.is_empty());
    // The best kept stack of the field needs 20 and 25.
    assert!(parsing.count_total < 20, "{} allocations to parse", parsing.count_total);
    assert!(printing.count_total < 25, "{} allocations to print", printing.count_total);
}
