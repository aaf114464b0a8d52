//! Any bytes around secrets in every place that a message has for them: none is in the text that is recorded, also when the
//! message is cut anywhere, and the text can be printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sip::message_log::masking;

/// Part of it is enough to be found.
const SECRET: &str = "Qz7Qz7Qz7Qz7Qz7Qz7Qz7Qz7Qz7Qz7Qz7Qz7Qz7Q";
const FOUND: &str = "Qz7Qz7Q";

/// A message with a secret in each place. `lines` stand between its headers and before its body's lines.
fn message(method: &str, lines: &[&[u8]]) -> Vec<u8> {
    let mut message = format!("{method} sip:agent:{SECRET}@192.0.2.1 SIP/2.0\r\n").into_bytes();
    let headers = [
        format!("Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{}", lines.len()),
        format!("Authorization: Digest username=\"a\", realm=\"b, c\", response=\"{SECRET}\", cnonce={SECRET}"),
        format!("proxy-authorization :\r\n Digest username=a,\r\n\tresponse = \"{SECRET}\""),
        format!("Authentication-Info: rspauth=\"{SECRET}\", nextnonce=\"{SECRET}\""),
        format!("Authorization: Bearer {SECRET}"),
        format!("X-Account-Password: {SECRET}"),
        format!("From: \"A\" <sip:a:{SECRET}@192.0.2.7>;tag=1"),
        format!("Refer-To: <sip:b@192.0.2.7?Authorization={SECRET}&X=1>"),
        format!("Identity: e30.e30.{SECRET};info=<https://cert.example.com/a>"),
        format!("CSeq: 1 {method}"),
    ];
    let mut lines = lines.iter();
    for header in headers {
        message.extend_from_slice(header.as_bytes());
        message.extend_from_slice(b"\r\n");
        if let Some(line) = lines.next() {
            message.extend_from_slice(line);
            message.extend_from_slice(b"\r\n");
        }
    }
    message.extend_from_slice(b"\r\n");
    for secret in ["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:", "a=ice-pwd:", "a=key-mgmt:mikey ", "k=base64:"] {
        if let Some(line) = lines.next() {
            message.extend_from_slice(line);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(format!("{secret}{SECRET}\r\n").as_bytes());
    }
    message
}

fuzz_target!(|bytes: &[u8]| {
    let is_printable = |text: &str| !text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'));
    assert!(is_printable(&masking::mask(bytes)));
    let Some((&[method, cut_a, cut_b], rest)) = bytes.split_first_chunk() else { return };
    if String::from_utf8_lossy(rest).contains("Qz") {
        return;
    }
    let method = ["INVITE", "INFO", "MESSAGE", "NOTIFY"][usize::from(method % 4)];
    // An empty line would end the headers.
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').filter(|line| !matches!(*line, b"" | b"\r")).collect();
    let whole = message(method, &lines);
    let cut = usize::from(u16::from_be_bytes([cut_a, cut_b])) % whole.len();
    for text in [masking::mask(&whole), masking::mask(&whole[..cut])] {
        assert!(is_printable(&text));
        assert!(!text.contains(FOUND), "{text}");
    }
});
