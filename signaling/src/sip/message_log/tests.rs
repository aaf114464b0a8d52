//! What is recorded of calls, and what never is.

use super::masking::mask;
use super::*;

const LOCAL: ([u8; 4], u16) = ([192, 0, 2, 1], 5_060);
const REMOTE: ([u8; 4], u16) = ([192, 0, 2, 7], 5_060);

fn wire(direction: MessageDirection, at_ms: u64, bytes: &[u8]) -> WireMessage<'_> {
    let (local, remote, length) = (LOCAL.into(), REMOTE.into(), bytes.len());
    WireMessage { at_ms, direction, transport: Transport::Udp, local, remote, bytes, length }
}

fn message(start: &str, from: &str, to: &str, cseq: &str) -> String {
    format!(
        "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: c1\r\nCSeq: {cseq}\r\n\r\n"
    )
}

fn received(log: &mut MessageLog, text: &str) {
    log.record(wire(MessageDirection::Received, 5, text.as_bytes()));
}

fn sent(log: &mut MessageLog, text: &str) {
    log.record(wire(MessageDirection::Sent, 6, text.as_bytes()));
}

fn starts(log: &MessageLog, call: u64) -> Vec<String> {
    let leg = log.messages(CallId(call)).unwrap();
    leg.messages.iter().map(|one| one.masked().text.lines().next().unwrap_or("").to_owned()).collect()
}

fn info(number: usize) -> String {
    message("INFO sip:b@h SIP/2.0", "<sip:a@h>;tag=a", "<sip:b@h>;tag=b", &format!("{number} INFO"))
}

/// A log with one leg, whose INVITE the peer sent.
fn inbound() -> MessageLog {
    let mut log = MessageLog::default();
    log.open(CallId(1), "c1", LegTag::Remote("a"));
    log
}

#[test]
fn secrets_of_headers_are_masked() {
    let secrets = [
        "Authorization: Digest username=\"u\", realm=\"r\", nonce=\"SECRET\", uri=\"sip:h\", response=\"SECRET\", cnonce=\"SECRET\", opaque=\"SECRET\"",
        "proxy-authorization : DIGEST response=SECRET,\r\n username=\"u\",\r\n\tresponse=\"SECRET\"",
        "Authorization:\r\n Digest response=\"SECRET\"",
        "Authorization: Basic SECRET",
        "Authorization: Digest response=\"SECRET",
        "Authorization: Digest username=\"u\\\", response=\"SECRET\"",
        "Authentication-Info: rspauth=\"SECRET\", nc=00000001",
        "Identity: eyJhbGciOiJFUzI1NiJ9.e30.SECRET;info=<https://c.example/x.pem>;alg=ES256;ppt=shaken",
        "y: h..SECRET;info=<https://c.example/x.pem>",
        "Identity: SECRET",
        "X-Api-Key: SECRET",
        "X-Auth-Token: SECRET",
        "Refer-To: <sip:b@h?Authorization=SECRET>",
        "Contact: <sip:a:SECRET@h;transport=tcp>",
    ];
    for secret in secrets {
        let text = format!("INVITE sip:b@h SIP/2.0\r\n{secret}\r\nCall-ID: c1\r\n\r\n");
        let masked = mask(text.as_bytes());
        assert!(!masked.contains("SECRET") && masked.contains("***"), "{masked}");
        assert!(masked.contains("\r\nCall-ID: c1\r\n"), "{masked}");
        for end in 0..text.len() {
            assert!(!mask(&text.as_bytes()[..end]).contains("SECRET"), "cut at {end}: {secret}");
        }
    }
    let kept =
        mask(b"INVITE sip:b@h SIP/2.0\r\nAuthorization: Digest username=\"u\", realm=\"r\", response=\"x\"\r\n\r\n");
    assert!(kept.contains("Digest username=\"u\", realm=\"r\", response=\"***\""), "{kept}");
}

#[test]
fn keys_and_passwords_of_bodies_are_masked() {
    let bodies = [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET|2^20|1:32;inline:SECRET|2^20|2:32 UNENCRYPTED_SRTP",
        "a=CRYPTO:1 AES_CM_128_HMAC_SHA1_80 INLINE: SECRET",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 SECRET",
        "a=ice-pwd:SECRET",
        "k=base64:SECRET",
        "a=key-mgmt:mikey SECRET",
        "--b\r\nContent-Type: application/sdp\r\n\r\na=ice-pwd:SECRET\r\n--b--",
        "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\nSECRET\r\n--b--",
        "<kpml-response version=\"1.0\" digits=\"SECRET\"/>",
    ];
    for body in bodies {
        let masked =
            mask(format!("INVITE sip:b@h SIP/2.0\r\nCall-ID: c1\r\n\r\nv=0\r\n{body}\r\na=sendrecv\r\n").as_bytes());
        assert!(!masked.contains("SECRET") && masked.contains("***"), "{masked}");
        assert!(masked.contains("v=0\r\n") && masked.contains("a=sendrecv"), "{masked}");
    }
    let encoded = mask(b"INFO sip:b@h SIP/2.0\r\nContent-Encoding: gzip\r\nCSeq: 2 INFO\r\n\r\nSECRET");
    assert!(!encoded.contains("SECRET"), "{encoded}");
    let encoded = mask(b"INVITE sip:b@h SIP/2.0\r\nContent-Encoding: gzip\r\n\r\nSECRET");
    assert!(!encoded.contains("SECRET"), "{encoded}");
}

#[test]
fn pressed_digits_are_masked_whatever_the_body_is() {
    for body in ["Signal=7\r\nDuration=160\r\n", "Signal= 7\r\n", "7", "d=7\r\n", "Digit:\"7\"\r\n", "77777"] {
        for start in ["INFO sip:b@h SIP/2.0", "SIP/2.0 200 OK"] {
            let masked = mask(format!("{start}\r\nCSeq: 2 INFO\r\n\r\n{body}").as_bytes());
            assert!(!masked.contains('7'), "{masked}");
            assert_eq!(masked.contains("Duration=160"), body.contains("Duration"), "{masked}");
        }
    }
    let words = mask(b"MESSAGE sip:b@h SIP/2.0\r\nCSeq: 2 MESSAGE\r\n\r\nmy PIN");
    assert!(!words.contains("PIN"), "{words}");
}

#[test]
fn what_is_not_text_is_escaped() {
    assert_eq!(
        mask(b"\r\nINVITE \xff\x00\x1b[2J\rx \xe2\x80\xae SIP/2.0\r\n"),
        "INVITE \\xff\\x00\\x1b[2J\\x0dx \\u{202e} SIP/2.0\r\n"
    );
}

/// The INVITE comes before anybody knows that it becomes a call; so does the challenge to it.
#[test]
fn a_leg_begins_with_what_was_exchanged_before() {
    let mut log = MessageLog::default();
    let invite = message("INVITE sip:b@h SIP/2.0", "\"Caf\u{e9}\" <sip:a@h>;tag=a", "<sip:b@h>", "1 INVITE");
    let latin: Vec<u8> = invite.chars().map(|c| c as u8).collect();
    log.record(wire(MessageDirection::Received, 5, &latin));
    sent(&mut log, &message("SIP/2.0 401 Unauthorized", "<sip:a@h>;tag=a", "<sip:b@h>;tag=x", "1 INVITE"));
    received(&mut log, &message("INVITE sip:other@h SIP/2.0", "<sip:a@h>;tag=other", "<sip:b@h>", "1 INVITE"));
    received(&mut log, &message("REGISTER sip:h SIP/2.0", "<sip:a@h>;tag=a", "<sip:a@h>", "1 REGISTER"));
    log.open(CallId(1), "c1", LegTag::Remote("a"));
    received(&mut log, &message("BYE sip:b@h SIP/2.0", "<sip:a@h>;tag=a", "<sip:b@h>\r\n ;tag=b", "2 BYE"));
    let all = starts(&log, 1);
    assert_eq!(all, ["INVITE sip:b@h SIP/2.0", "SIP/2.0 401 Unauthorized", "BYE sip:b@h SIP/2.0"]);
}

/// A proxy sends our INVITE back to us: one Call-ID, one From tag, two calls, perhaps of two organizations.
#[test]
fn legs_of_a_call_that_comes_back_stay_apart() {
    let mut log = MessageLog::default();
    log.open(CallId(1), "c1", LegTag::Local("a"));
    log.open(CallId(2), "c1", LegTag::Remote("a"));
    let (from, to) = ("<sip:a@h>;tag=a", "<sip:b@h>;tag=b");
    sent(&mut log, &message("INVITE sip:out@h SIP/2.0", from, "<sip:b@h>", "1 INVITE"));
    received(&mut log, &message("INVITE sip:in@h SIP/2.0", from, "<sip:b@h>", "1 INVITE"));
    sent(&mut log, &message("SIP/2.0 200 In", from, to, "1 INVITE"));
    received(&mut log, &message("SIP/2.0 200 Out", from, to, "1 INVITE"));
    received(&mut log, &message("BYE sip:out@h SIP/2.0", to, from, "1 BYE"));
    sent(&mut log, &message("BYE sip:in@h SIP/2.0", to, from, "1 BYE"));
    assert_eq!(starts(&log, 1), ["INVITE sip:out@h SIP/2.0", "SIP/2.0 200 Out", "BYE sip:out@h SIP/2.0"]);
    assert_eq!(starts(&log, 2), ["INVITE sip:in@h SIP/2.0", "SIP/2.0 200 In", "BYE sip:in@h SIP/2.0"]);
}

#[test]
fn repetitions_are_counted_and_messages_bounded() {
    let mut log = inbound();
    for _ in 0..4 {
        received(&mut log, &info(0));
    }
    let leg = log.messages(CallId(1)).unwrap();
    assert_eq!((leg.messages.len(), leg.messages[0].repetitions), (1, 3));
    for number in 1..1_000 {
        received(&mut log, &info(number));
    }
    let leg = log.messages(CallId(1)).unwrap();
    assert_eq!((leg.messages.len(), leg.left_out), (limits::MESSAGE_LOG_MESSAGES_MAX, 800));
    assert_eq!((&*leg.messages[119].cseq, &*leg.messages[199].cseq), ("119 INFO", "999 INFO"));
}

#[test]
fn a_large_message_is_cut_and_says_so() {
    let mut log = inbound();
    let large = info(1).replace("Call-ID", &format!("X-Large: {}\r\nCall-ID", "\u{1}".repeat(8_000)));
    received(&mut log, &large);
    let leg = log.messages(CallId(1)).unwrap();
    let one = &leg.messages[0];
    let masked = one.masked();
    assert_eq!((masked.is_cut, masked.text.len(), one.length), (true, limits::MESSAGE_LOG_BYTES_MAX, large.len()));
}

#[test]
fn what_is_held_shows_no_secret_to_whoever_prints_it() {
    let mut log = inbound();
    received(&mut log, &info(1).replace("Call-ID", "Authorization: Basic aHVudGVyMg==\r\nCall-ID"));
    let leg = log.messages(CallId(1)).unwrap();
    let one = leg.messages.last().unwrap();
    assert!(one.masked().text.contains("Authorization: ***"), "{}", one.masked().text);
    let bytes = format!("{:?}", b"aHVudGVyMg==");
    let bytes = bytes.trim_matches(['[', ']']).to_owned();
    for printed in [format!("{one:?}"), format!("{leg:?}"), format!("{log:?}"), one.masked().text] {
        assert!(!printed.contains("aHVudGVyMg") && !printed.contains(&bytes), "{printed}");
    }
}

#[test]
fn no_leg_takes_the_room_of_others() {
    let mut log = MessageLog { bytes: limits::MESSAGE_LOG_ALL_BYTES_MAX / 2 + 1, ..inbound() };
    let large = "x".repeat(4_000);
    for number in 0..100 {
        received(&mut log, &info(number).replace(" INFO\r\n", &format!(" INFO\r\nX-Large: {large}\r\n")));
    }
    let leg = log.messages(CallId(1)).unwrap();
    assert!(leg.messages.len() == 3 && leg.left_out == 97, "{}", leg.messages.len());
    log.bytes = limits::MESSAGE_LOG_ALL_BYTES_MAX;
    log.open(CallId(2), "c1", LegTag::Local("b"));
    sent(&mut log, &message("INVITE sip:b@h SIP/2.0", "<sip:a@h>;tag=b", "<sip:b@h>", "1 INVITE"));
    assert_eq!(log.messages(CallId(2)).unwrap().left_out, 1);
}

#[test]
fn legs_are_forgotten_after_their_end() {
    #[expect(clippy::disallowed_methods, reason = "a test needs some time")]
    let (mut log, now) = (inbound(), Instant::now());
    received(&mut log, &info(1));
    log.sweep(now, |_| true);
    assert!(log.messages(CallId(1)).unwrap().is_open);
    log.sweep(now, |_| false);
    assert!(!log.messages(CallId(1)).unwrap().is_open);
    log.sweep(now + KEPT_AFTER_END, |_| false);
    assert!(log.messages(CallId(1)).is_none() && log.keys.is_empty() && log.bytes == 0);
}

#[test]
fn invites_that_become_no_call_are_bounded() {
    let mut log = MessageLog::default();
    for number in 0..limits::MESSAGE_LOG_RECENT_MAX + 9 {
        let from = format!("<sip:a@h>;tag={number}");
        received(&mut log, &message("INVITE sip:b@h SIP/2.0", &from, "<sip:b@h>", "1 INVITE"));
    }
    assert_eq!(log.recent.len(), limits::MESSAGE_LOG_RECENT_MAX);
}

#[test]
fn a_password_in_which_a_message_was_cut_is_masked_and_ports_stay() {
    for (text, masked) in [
        ("INVITE sip:agent:50", "INVITE sip:agent:***"),
        ("INVITE sip:agent;phone-context=x:hun", "INVITE sip:agent;phone-context=x:***"),
        ("INVITE sip:agent:hun,ter@h SIP/2.0", "INVITE sip:agent:***@h SIP/2.0"),
        ("INVITE sip:agent:hunter SIP/2.0", "INVITE sip:agent:*** SIP/2.0"),
        ("Contact: sip:a:hunter@h, sip:b:hunter@h", "Contact: sip:a:***@h, sip:b:***@h"),
        ("Route: <sip:a@h:5060>,<sip:h:5060;x=a:b>\r\n", "Route: <sip:a@h:5060>,<sip:h:5060;x=a:b>\r\n"),
        ("INVITE sip:agent:hunter", "INVITE sip:agent:***"),
        ("Contact: sip:agent:50,60", "Contact: sip:agent:***"),
        ("Contact: <sip:[::1]:5060>, sip:agent:50,6", "Contact: <sip:[::1]:5060>, sip:agent:***"),
        ("Contact: sip:h:5060, sip:agent:50\r\n", "Contact: sip:h:5060, sip:agent:50\r\n"),
        ("Call-Info: <https://agent:hunter@h/x>", "Call-Info: <https://agent:***@h/x>"),
        ("Call-Info: <https://h:8443/x>;purpose=info", "Call-Info: <https://h:8443/x>;purpose=info"),
        ("Call-Info: <https://agent:50", "Call-Info: <https://agent:***"),
        ("INVITE sip:host:5060 SIP/2.0", "INVITE sip:host:5060 SIP/2.0"),
        ("Contact: <sip:[2001:db8::1]:5060;transport=udp>", "Contact: <sip:[2001:db8::1]:5060;transport=udp>"),
    ] {
        assert_eq!(super::masking::mask(text.as_bytes()), masked);
    }
}

/// Wherever a message was cut, nothing of a secret in it is left. In this one, sevens are in secrets alone.
#[test]
fn no_cut_shows_a_part_of_a_secret() {
    let secret = "7,77$7";
    let head = format!(
        "INVITE sip:b:{secret}@h:5060;transport=tcp SIP/2.0\r\nVia: SIP/2.0/TCP h:5060;branch=z9hG4bK1\r\n\
         Route: <sip:p:777@h;lr>,<sips:u@[2001:db8::1]:5061>\r\nFrom: <sip:a@h>;tag=a\r\nTo: \"B\" <sip:b:777@h>\r\n\
         Contact: sip:a:{secret}@h, sip:h:5060, sip:a:{secret}@h;q=1\r\nCall-Info: <https://u:777@h:8443/x>\r\n\
         Refer-To: <sips:c:7,7@h?Authorization=Digest%20response%3D%22777%22&Subject=x>\r\n\
         Authorization: Digest username=\"u\", realm=\"r\", nonce=\"777\", response=\"777\", qop=auth, nc=00000001\r\n\
         Proxy-Authorization: Basic 777\r\nX-Token: 777\r\nIdentity: a.b.777;info=<https://c/x>\r\n\r\n"
    );
    let body = "v=0\r\nc=IN IP4 192.0.2.1\r\nk=base64:777\r\na=ice-pwd:777\r\na=key-mgmt:mikey 777\r\n\
                a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:777|2^20|1:32;inline:777|2^20|2:32\r\na=sendrecv\r\n";
    let text = head + body;
    for end in 0..=text.len() {
        let masked = mask(&text.as_bytes()[..end]);
        assert!(!masked.contains('7'), "cut at {end}: {masked}");
    }
    let masked = mask(text.as_bytes());
    for kept in ["h:5060;transport=tcp", "sip:h:5060,", "https://u:***@h:8443/x", "[2001:db8::1]:5061", "a=sendrecv"] {
        assert!(masked.contains(kept), "{kept}: {masked}");
    }
}
