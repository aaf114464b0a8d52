//! Bodies as gateways, location services and session border controllers write them.

use super::*;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n";

fn find(headers: &[(HeaderName, &str)], body: &str) -> (bool, Option<String>) {
    let mut all = Headers::default();
    headers.iter().for_each(|(name, value)| all.push(name.clone(), *value));
    let found = SessionBody::find(&all, body.as_bytes());
    let text = |text: Cow<'_, [u8]>| String::from_utf8(text.into_owned()).unwrap();
    (!matches!(found, SessionBody::NotUnderstood(_)), found.description().map(text))
}

fn mixed(body: &str) -> (bool, Option<String>) {
    find(&[(HeaderName::ContentType, "multipart/mixed;boundary=b1")], body)
}

fn sdp() -> Option<String> {
    Some(SDP.to_owned())
}

#[test]
fn a_plain_description_is_itself() {
    assert_eq!(find(&[], ""), (true, None));
    assert_eq!(find(&[], SDP), (true, sdp()), "without a type");
    assert_eq!(find(&[(HeaderName::ContentType, "Application/SDP ; charset=utf-8")], SDP), (true, sdp()));
    let deflated = [(HeaderName::ContentType, "application/sdp"), (HeaderName::ContentEncoding, "deflate")];
    assert_eq!(find(&deflated, SDP), (false, None));
    assert_eq!(find(&[(HeaderName::ContentType, "text/plain")], "hello"), (false, None));
}

#[test]
fn a_body_that_may_be_skipped_is_no_description() {
    let kind = (HeaderName::ContentType, "application/pidf+xml");
    for (disposition, understood) in [
        ("render;handling=optional", true),
        ("render; Handling = \"OPTIONAL\"", true),
        ("render;handling=required", false),
        ("render", false),
    ] {
        let headers = [kind.clone(), (HeaderName::ContentDisposition, disposition)];
        assert_eq!(find(&headers, "<presence/>"), (understood, None), "{disposition}");
    }
    let early = [(HeaderName::ContentDisposition, "early-session"), (HeaderName::ContentType, "application/sdp")];
    assert_eq!(find(&early, SDP), (true, None));
}

#[test]
fn the_description_of_a_multipart_body_is_found_wherever_it_stands() {
    let isup = "Content-Type: application/isup;version=itu-t92+\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x02\n--b2\r\n";
    let part = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
    for body in [
        format!("--b1\r\n{part}\r\n--b1\r\n{isup}\r\n--b1--\r\n"),
        format!("--b1\r\n{isup}\r\n--b1 \r\n{part}\r\n--b1--"),
        format!("preamble\r\n--b1\r\n{isup}\r\n--b1\r\n{part}\r\n--b1--\r\nepilogue"),
        // A delimiter at the end is missing.
        format!("--b1\r\n{isup}\r\n--b1\r\n{part}"),
        // Without headers a part of this type would be text: it is taken for a description, as a body is.
        format!("--b1\r\n\r\n{SDP}\r\n--b1--"),
        format!(
            "--b1\r\nc:\r\n application/sdp\r\nContent-Disposition:\r\n\tsession;\r\n handling=required\r\n\r\n{SDP}\r\n--b1--"
        ),
        format!("--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<p/>\r\n--b1\r\n{part}\r\n--b1--\r\n"),
    ] {
        assert_eq!(mixed(&body), (true, sdp()), "{body}");
    }
    let with_line_feeds = format!("--b1\r\n{isup}\r\n--b1\r\n{part}\r\n--b1--\r\n").replace("\r\n", "\n");
    assert_eq!(mixed(&with_line_feeds), (true, Some(SDP.replace("\r\n", "\n"))));
    let quoted = find(
        &[(HeaderName::ContentType, "multipart/mixed; charset=x; Boundary=\"a b;c=1\"")],
        &format!("--a b;c=1\r\n{part}\r\n--a b;c=1--\r\n"),
    );
    assert_eq!(quoted, (true, sdp()));
}

#[test]
fn a_part_that_has_to_be_understood_is_named_whatever_stands_beside_it() {
    let required = "Content-Type: application/isup\r\nContent-Disposition: signal;handling=required\r\n\r\nx";
    let part = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
    let body = format!("--b1\r\n{part}\r\n--b1\r\n{required}\r\n--b1--");
    assert_eq!(mixed(&body), (false, sdp()), "a response with it is read all the same");
    let whole = [
        (HeaderName::ContentType, "multipart/mixed;boundary=b1"),
        (HeaderName::ContentDisposition, "session;handling=optional"),
    ];
    assert_eq!(find(&whole, &body), (true, sdp()));
    assert_eq!(mixed(&format!("--b1\r\n{required}\r\n--b1--")), (false, None));
    let unstated = "--b1\r\nContent-Type: application/rs-metadata+xml\r\n\r\n<r/>\r\n--b1--";
    assert_eq!(mixed(unstated), (false, None), "nothing but what is not understood");
    assert_eq!(mixed("no delimiter at all"), (false, None));
    assert_eq!(find(&[(HeaderName::ContentType, "multipart/mixed")], &body), (false, None), "no boundary");
}

#[test]
fn the_last_alternative_that_is_understood_counts_at_any_depth() {
    let part = |sdp: &str| format!("Content-Type: application/sdp\r\n\r\n{sdp}");
    let body = format!(
        "--a\r\n{}\r\n--a\r\n{}\r\n--a\r\nContent-Type: application/x\r\nContent-Disposition: session;handling=required\
         \r\n\r\n?\r\n--a--",
        part("v=0 old"),
        part(SDP)
    );
    let kind = "multipart/alternative;boundary=a";
    assert_eq!(find(&[(HeaderName::ContentType, kind)], &body), (true, sdp()));
    let nested = format!(
        "--b1\r\nContent-Type: {kind}\r\n\r\n{body}\r\n--b1\r\nContent-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n\r\nhi\r\n--b1--"
    );
    assert_eq!(mixed(&nested), (true, sdp()));
    let mut deep = part(SDP);
    for level in 0..=limits::BODY_DEPTH_MAX {
        deep = format!("Content-Type: multipart/mixed;boundary=l{level}\r\n\r\n--l{level}\r\n{deep}\r\n--l{level}--");
    }
    assert_eq!(mixed(&format!("--b1\r\n{deep}\r\n--b1--")), (false, None), "deeper than is read");
}

#[test]
fn any_bytes_are_read_without_harm() {
    let pieces = ["--b1", "\r\n", "\n", "--", " ", "Content-Type: application/sdp", ":", "v=0", "\u{e9}", "--b1--"];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                for d in pieces {
                    mixed(&[a, b, c, d].concat());
                }
            }
        }
    }
    let many = format!("{}--b1\r\n\r\n{SDP}", "--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(5_000));
    assert_eq!(mixed(&many), (false, None), "more parts than are read");
}

#[test]
fn a_part_without_a_type_is_text_unless_it_can_only_be_a_description() {
    let part = format!("Content-Type: application/sdp\r\n\r\n{SDP}");
    for untyped in ["\r\nPlease call back.", "Content-Disposition: render\r\n\r\nv = 0", "Subject: hello\r\n\r\n"] {
        let body = format!("--b1\r\n{untyped}\r\n--b1\r\n{part}\r\n--b1--");
        assert_eq!(mixed(&body), (true, sdp()), "{untyped}");
        assert_eq!(mixed(&format!("--b1\r\n{untyped}\r\n--b1--")), (false, None), "{untyped}");
    }
    assert_eq!(mixed(&format!("--b1\r\n\r\n{SDP}\r\n--b1--")), (true, sdp()));
}

#[test]
fn an_encoded_description_is_decoded() {
    let wrapped = |encoding: &str, text: &str| {
        let body = format!(
            "--b1\r\nContent-Type: application/sdp\r\nContent-transfer-encoding: {encoding}\r\n\r\n{text}\r\n--b1--"
        );
        mixed(&body)
    };
    // v=0, o=- 1 1 IN IP4 192.0.2.1
    let encoded = "dj0wDQpvPS0gMSAxIElO\r\nIElQNCAxOTIuMC4yLjENCg==";
    for encoding in ["base64", "BASE64 "] {
        assert_eq!(wrapped(encoding, encoded), (true, sdp()));
    }
    assert_eq!(wrapped("base64", encoded.trim_end_matches('=')), (true, sdp()), "without padding");
    for encoding in ["binary", "8bit", "7bit"] {
        assert_eq!(wrapped(encoding, SDP), (true, sdp()), "{encoding}");
    }
    assert_eq!(wrapped("base64", "no base64!"), (false, None));
    assert_eq!(wrapped("quoted-printable", SDP), (false, None));
    let whole = [
        (HeaderName::ContentType, "application/sdp"),
        (HeaderName::Other("Content-Transfer-Encoding".into()), "base64"),
    ];
    assert_eq!(find(&whole, encoded), (true, sdp()));
    // Another part is chosen in place of what is not read.
    let body = format!(
        "--b1\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: uuencode\r\n\r\nbegin\r\n\
         --b1\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b1--"
    );
    assert_eq!(mixed(&body), (true, sdp()));
}
