//! What is refused is refused in words that name the header.

use super::*;

/// Header, value (`-` for none) and reason phrase.
const REFUSED: &[(&str, &str, &str)] = &[
    ("From", "", "Malformed From"),
    ("From", "-", "Missing From"),
    ("From", "\"open <sip:a@h>;tag=1", "Malformed From"),
    ("From", "<sip:a\0@h>;tag=1", "Malformed From"),
    ("From", "<sip:a@h>;tag=a\x01b", "Malformed From"),
    ("To", "<sip:a@h", "Malformed To"),
    ("Call-ID", "a b", "Malformed Call-ID"),
    ("Call-ID", "a\0b", "Malformed Call-ID"),
    ("CSeq", "2147483648 INVITE", "Malformed CSeq"),
    ("CSeq", "é INVITE", "Malformed CSeq"),
    ("Max-Forwards", "256", "Malformed Max-Forwards"),
    ("Max-Forwards", "+7", "Malformed Max-Forwards"),
    ("Contact", "-", "Missing Contact"),
    ("Contact", "*", "Malformed Contact"),
    ("Contact", "<tel:+1>", "Malformed Contact"),
    ("Contact", "<http://h>", "Malformed Contact"),
    ("Contact", "<sip:a@h:65536>", "Malformed Contact"),
    ("Record-Route", "é", "Malformed Record-Route"),
    ("Route", "<sip:a@h:65536;lr>", "Malformed Route"),
    ("Via", "SIP/2.0/UDP 10.1.0.0;branch=z9hG4bK1, é", "Malformed Via"),
    ("Replaces", "nothing", "Malformed Replaces"),
    ("Content-Length", "é", "Content-Length does not fit the message"),
    ("Content-Length", "18446744073709551615", "Content-Length does not fit the message"),
];

fn assert_refused(name: &str, value: &str, phrase: &str) {
    let mut world = TestWorld::new(Instant::now());
    let at = world.peer(CallStage::Idle);
    let values = if value == "-" { vec![] } else { vec![value.as_bytes().to_vec()] };
    let bytes = world.initial(at).with(name, &values).bytes();
    let parsed = parse::datagram(&bytes);
    let ParsedMessage::Invalid { status: 400, reason, .. } = parsed else {
        assert_eq!(name, "Replaces", "{name}: {value}: {parsed:?}"); // refused with the call it is for
        return world.hear(at, &bytes);
    };
    assert_eq!(reason, phrase, "{name}: {value}");
}

#[test]
fn a_refusal_names_the_header() {
    let long = "x".repeat(limits::HEADER_BYTES_MAX + 1);
    let many = |count: usize, element: &str| vec![element; count].join(",");
    for (name, value, phrase) in REFUSED {
        assert_refused(name, value, phrase);
    }
    for (name, value, phrase) in [
        ("From", &format!("<sip:a@h>{};tag=1", ";p=1".repeat(100)), "Malformed From"),
        ("From", &format!("\"{long}\" <sip:a@h>;tag=1"), "From is too long"),
        ("Contact", &many(65, "<sip:a@h>"), "Too many elements in Contact"),
        ("Record-Route", &many(17, "<sip:p;lr>"), "Too many elements in Record-Route"),
        (
            "Via",
            &format!("SIP/2.0/UDP 10.1.0.0;branch=z9hG4bK1,{}", many(100, "SIP/2.0/UDP h")),
            "Too many elements in Via",
        ),
        ("Supported", &many(65, "x"), "Too many elements in Supported"),
        ("X-Long", &long, "X-Long is too long"),
    ] {
        assert_refused(name, value, phrase);
    }
}

#[test]
fn a_refusal_inside_a_call_names_the_header() {
    for (method, name, value, phrase) in [
        ("PRACK", "RAck", "-", "Missing RAck"),
        ("PRACK", "RAck", "1 1", "Malformed RAck"),
        ("PRACK", "RAck", "4294967296 1 INVITE", "Malformed RAck"),
        ("REFER", "Refer-To", "-", "Missing Refer-To"),
        ("REFER", "Refer-To", "<sip:é", "Malformed Refer-To"),
        ("UPDATE", "Contact", "é", "Malformed Contact"),
    ] {
        let mut world = TestWorld::new(Instant::now());
        let at = world.peer(CallStage::Established);
        let values = if value == "-" { vec![] } else { vec![value.as_bytes().to_vec()] };
        let draft = world.request(at, method).with(name, &values);
        let ParsedMessage::Invalid { status: 400, reason, .. } = parse::datagram(&draft.bytes()) else {
            panic!("{name}: {value}")
        };
        assert_eq!(reason, phrase, "{name}: {value}");
    }
}

#[test]
fn a_refusal_names_the_header_that_comes_twice() {
    for (name, value) in
        [("CSeq", "1 INVITE"), ("Session-Expires", "90"), ("Replaces", "x"), ("Expires", "1"), ("Min-SE", "1")]
    {
        let mut world = TestWorld::new(Instant::now());
        let at = world.peer(CallStage::Idle);
        let twice = world.initial(at).with(name, &vec![value.as_bytes().to_vec(); 2]);
        let ParsedMessage::Invalid { status: 400, reason, .. } = parse::datagram(&twice.bytes()) else {
            panic!("{name}")
        };
        assert_eq!(reason, format!("More than one {name}"));
    }
}
