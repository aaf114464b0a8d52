//! Frames that are none, unusual ones, and messages in many of them.

use super::{
    BINARY, CLOSE, FINAL, MESSAGE_BYTES_MAX, PING, PONG, TEXT, WebSocketSetup, declared, fragments, frame, upgrade,
};
use crate::hostile_sip::*;

/// Where a frame comes that must not.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FramePosition {
    First,
    AfterMessage,
    InsideMessage,
}

/// Frames that end the connection.
fn violations() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("unmasked".into(), b"\x81\x05hello".to_vec()),
        ("an unmasked ping".into(), b"\x89\x00".to_vec()),
        ("an unmasked close".into(), b"\x88\x02\x03\xe8".to_vec()),
        ("no UTF-8".into(), frame(TEXT, b"OPTIONS \xff\xfe")),
        ("half a character".into(), frame(TEXT, b"OPTIONS \xf0\x9f\x92")),
        ("surrogates".into(), frame(TEXT, b"\xed\xa0\x80\xed\xb0\x80")),
        ("no UTF-8 in fragments".into(), fragments(TEXT, &[b"a\xc3".to_vec(), b"(".to_vec()], b"")),
        ("a byte too many".into(), frame(BINARY, &[b'x'; MESSAGE_BYTES_MAX + 1])),
        ("a byte too many in fragments".into(), {
            fragments(BINARY, &[vec![b'x'; MESSAGE_BYTES_MAX], vec![b'x']], b"")
        }),
        ("a thousand fragments".into(), fragments(BINARY, &vec![vec![b'x'; 100]; 1_000], &frame(PING, b""))),
        ("a message inside a message".into(), [frame(0x01, b"OPT"), frame(TEXT, b"IONS")].concat()),
        ("the beginning of another one".into(), [frame(0x01, b"OPT"), frame(0x02, b"IONS")].concat()),
        ("HTTP".into(), upgrade().bytes()),
        ("zeros".into(), vec![0; 400]),
        ("ones".into(), vec![0xff; 400]),
    ];
    for bits in [0x40, 0x20, 0x10, 0x70] {
        for first in [TEXT, BINARY, PING, PONG, CLOSE, 0x01] {
            all.push((format!("reserved bits {bits:#x} of {first:#x}"), frame(first | bits, b"")));
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for ending in [FINAL, 0] {
            all.push((format!("opcode {opcode}, last: {}", ending > 0), frame(opcode | ending, b"x")));
        }
    }
    for control in [CLOSE, PING, PONG] {
        all.push((format!("{control:#x} in fragments"), frame(control & !FINAL, b"ab")));
        for len in [126, 127, 1_000, 65_535, 65_536] {
            all.push((format!("{control:#x} of {len} bytes"), frame(control, &vec![b'a'; len])));
        }
    }
    for len in [1 << 16, 1 << 20, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 5, u64::MAX - 13, u64::MAX] {
        for first in [TEXT, BINARY, 0x01, PING, CLOSE, FINAL] {
            let long = [&[0xff][..], &u64::to_be_bytes(len)].concat();
            all.push((format!("{first:#x} of {len:#x} bytes"), declared(first, &long, b"OPTIONS")));
        }
    }
    // Closing, rightly or not, is the end of it.
    for code in [0, 1, 999, 1_000, 1_001, 1_004, 1_005, 1_006, 1_012, 1_015, 1_016, 2_999, 3_000, 4_999, 5_000, 65_535]
    {
        all.push((format!("closed with {code}"), frame(CLOSE, &u16::to_be_bytes(code))));
        all.push((format!("closed with {code}, twice"), frame(CLOSE, &u16::to_be_bytes(code)).repeat(2)));
    }
    all.push(("closed".into(), frame(CLOSE, b"")));
    all.push(("closed with half a code".into(), frame(CLOSE, b"\x03")));
    all.push(("closed with no text".into(), frame(CLOSE, b"\x03\xe8\xff\xfe")));
    all.push(("closed with a long reason".into(), frame(CLOSE, &[&b"\x03\xe8"[..], &[b'x'; 123]].concat())));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_none_end_the_connection() {
    for secure in [false, true] {
        let mut site = WebSocketSetup::start(secure).await;
        let opener = site.opener();
        for moment in [FramePosition::First, FramePosition::AfterMessage, FramePosition::InsideMessage] {
            let mut faults = violations();
            if moment != FramePosition::InsideMessage {
                faults.push(("a continuation of nothing".into(), frame(FINAL, b"x")));
                faults.push(("the first part of a continuation of nothing".into(), frame(0, b"x")));
            }
            let faults =
                faults.into_iter().enumerate().map(|(at, fault)| (at, fault, [site.options(), site.options()]));
            let faults: Vec<_> = faults.collect();
            all(32, faults, async |(at, (what, bytes), [(call_id, options), (never, unheard)])| {
                let what = format!("{moment:?}: {what}");
                let mut stream = opener.websocket(LISTED).await;
                match moment {
                    FramePosition::First => {}
                    FramePosition::AfterMessage => {
                        let status = exchange(&what, &mut stream, &[frame(TEXT, &options)], &call_id).await;
                        assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "{what}");
                    }
                    FramePosition::InsideMessage => stream.write_all(&frame(0x02, &options[..20])).await.unwrap(),
                }
                // A server that overlooks the fault answers the request after it.
                let mut pieces = chunks(&bytes, if bytes.len() < 1_000 { at % 3 } else { 0 });
                pieces.push(frame(TEXT, &unheard));
                assert_eq!(exchange(&what, &mut stream, &pieces, &never).await, None, "{what}");
            })
            .await;
            site.assert_unharmed().await;
        }
        assert!(site.report().closed_for(Closed::Malformed) > 100);
    }
}

/// Frames that are unusual and right, around a request that is answered.
fn unusual(options: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = frame(TEXT, options);
    let bytes = chunks(options, 1);
    let pings = frame(PING, &[b'p'; 125]);
    let plain: Vec<u8> =
        [&[TEXT, 0xfe][..], &u16::try_from(options.len()).unwrap().to_be_bytes(), &[0; 4], options].concat();
    vec![
        ("binary", frame(BINARY, options)),
        ("a mask of zeros", plain),
        ("empty texts before it", [frame(TEXT, b"").repeat(20), text.clone()].concat()),
        ("empty binary messages before it", [frame(BINARY, b"").repeat(20), text.clone()].concat()),
        ("an empty message in fragments", [fragments(TEXT, &[vec![], vec![], vec![]], b""), text.clone()].concat()),
        ("keep-alives", [frame(TEXT, b"\r\n\r\n").repeat(20), text.clone()].concat()),
        ("unsolicited pongs", [frame(PONG, b"x").repeat(200), text.clone()].concat()),
        ("pings", [pings.repeat(200), text.clone()].concat()),
        ("a fragment of each byte", fragments(TEXT, &bytes, b"")),
        ("control frames between its fragments", fragments(BINARY, &chunks(options, 2), &pings)),
        ("its fragments empty", fragments(TEXT, &[vec![], options.to_vec(), vec![]], &frame(PONG, b""))),
        ("two messages in one frame", frame(TEXT, &options.repeat(2))),
        ("half a message in a separate frame", [frame(TEXT, &options[..40]), text.clone()].concat()),
        ("a message in two frames", [frame(TEXT, &options[..90]), frame(TEXT, &options[90..]), text.clone()].concat()),
        ("something that is no SIP", [frame(TEXT, b"hello"), text.clone()].concat()),
        ("zeros", [frame(BINARY, &[0; MESSAGE_BYTES_MAX]), text.clone()].concat()),
        ("the largest message", {
            let body = vec![b'x'; MESSAGE_BYTES_MAX - options.len() - 4];
            let head = String::from_utf8(options.to_vec()).unwrap();
            let head = head.replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
            assert_eq!(head.len() + body.len(), MESSAGE_BYTES_MAX);
            frame(TEXT, &[head.as_bytes(), &body].concat())
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_frames_are_answered() {
    for secure in [false, true] {
        let mut site = WebSocketSetup::start(secure).await;
        let opener = site.opener();
        let count = unusual(&site.options().1).len();
        let mut cases = vec![];
        for nth in 0..count {
            for way in [0, 1, 2] {
                for own in [LISTED, stranger()] {
                    let (call_id, options) = site.options();
                    let (what, bytes) = unusual(&options).swap_remove(nth);
                    cases.push((what, bytes, call_id, way, own));
                }
            }
        }
        all(16, cases, async |(what, bytes, call_id, way, own)| {
            let mut stream = opener.websocket(own).await;
            let pieces = chunks(&bytes, if bytes.len() < 2_000 { way } else { 0 });
            let status = exchange(what, &mut stream, &pieces, &call_id).await;
            assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "{what}, {own}");
        })
        .await;
        site.assert_unharmed().await;
    }
}

/// In one frame or several, as text where it is one.
fn in_frames(message: &[u8], way: usize) -> Vec<u8> {
    let message = &message[..message.len().min(65_000)];
    let first = if std::str::from_utf8(message).is_ok() && !way.is_multiple_of(3) { TEXT } else { BINARY };
    match way % 4 {
        0 if message.len() < 4_000 => fragments(first, &chunks(message, way % 3 + 1), &frame(PING, b"x")),
        _ => frame(first, message),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_wrong_over_websockets() {
    for secure in [false, true] {
        let mut site = WebSocketSetup::start(secure).await;
        let (opener, transport) = (site.opener(), site.transport);
        for (at, (header, ..)) in HEADERS.iter().enumerate() {
            for (own, step) in [(LISTED, 11), (stranger(), 41)] {
                let mut pieces = vec![];
                for way in (at % step..450).step_by(step) {
                    let method = ["OPTIONS", "INVITE", "BYE", "REGISTER", "ACK"][way % 5];
                    let good = site.peer.request(method, transport, &format!("w{at}.{way}"), "", 1);
                    pieces.push(in_frames(&spoiled(&good, at, way).1.bytes(), way));
                }
                let (call_id, options) = site.options();
                pieces.push(frame(TEXT, &options));
                let mut stream = opener.websocket(own).await;
                let status = exchange(header, &mut stream, &pieces, &call_id).await;
                // A stranger that says only nonsense is sent away.
                assert!(
                    status.as_deref() == Some("SIP/2.0 200 OK") || (status.is_none() && own != LISTED),
                    "{status:?}"
                );
            }
            site.peer.assert_served().await;
        }
        let good = site.peer.request("OPTIONS", transport, "start", "", 1);
        let starts = message_mutator::start_lines("OPTIONS")
            .into_iter()
            .map(|start| MessageDraft { start, ..good.clone() }.bytes());
        let mut pieces: Vec<_> = starts.enumerate().map(|(way, bytes)| in_frames(&bytes, way)).collect();
        let (call_id, options) = site.options();
        pieces.push(frame(TEXT, &options));
        let mut stream = opener.websocket(LISTED).await;
        let status = exchange("start lines", &mut stream, &pieces, &call_id).await;
        assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"));
        drop(stream);
        site.assert_unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_that_stop_half_way_end() {
    for secure in [false, true] {
        let mut site = WebSocketSetup::start(secure).await;
        let opener = site.opener();
        let whole = frame(TEXT, &site.options().1);
        let cuts = (0..whole.len() - 1).step_by(13);
        all(32, cuts, async |at| {
            let part = &whole[..at];
            let what = format!("a frame cut at {at}");
            let mut silent = opener.websocket(stranger()).await;
            assert_ends(&what, &mut silent, &[part.to_vec()]).await;
            let mut ended = opener.websocket(LISTED).await;
            ended.write_all(part).await.unwrap();
            ended.shutdown().await.unwrap();
            assert_ends(&what, &mut ended, &[]).await;
            let mut gone = opener.websocket(LISTED).await;
            gone.write_all(part).await.unwrap();
            gone.flush().await.unwrap();
        })
        .await;
        site.assert_unharmed().await;
    }
}
