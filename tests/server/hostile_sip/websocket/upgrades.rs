//! Requests that do not become a WebSocket, and those that do with odd headers.

use super::{TEXT, WebSocketSetup, frame, upgrade, upgraded};
use crate::hostile_sip::message_mutator::mutation;
use crate::hostile_sip::*;

/// Requests that are no upgrade to SIP.
fn no_upgrades() -> Vec<(String, Vec<u8>)> {
    let good = upgrade();
    let mut all: Vec<(String, Vec<u8>)> = vec![];
    for (header, values) in [
        ("Upgrade", vec!["", "h2c", "websocket2"]),
        ("Connection", vec!["", "close", "keep-alive"]),
        ("Sec-WebSocket-Version", vec!["", "12", "14", "0", "-13", "13, 8"]),
        ("Sec-WebSocket-Key", vec![]),
        ("Sec-WebSocket-Protocol", vec!["", "sip2", "xsip", "msrp, chat", ",", "\u{e9}"]),
    ] {
        all.push((format!("no {header}"), good.with(header, &vec![]).bytes()));
        for value in values {
            let bad = good.with(header, &vec![value.as_bytes().to_vec()]);
            all.push((format!("{header}: {value:?}"), bad.bytes()));
        }
    }
    let long = format!("GET /{} HTTP/1.1", "x".repeat(70_000));
    for start in [
        "POST / HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET / HTTP/2.0",
        "GET  HTTP/1.1",
        "GET",
        "",
        "GET /\0 HTTP/1.1",
        "GET / SIP/2.0",
        "OPTIONS sip:a@h SIP/2.0",
        "PRI * HTTP/2.0",
        long.as_str(),
    ] {
        all.push((format!("{start:.40}"), MessageDraft { start: start.into(), ..good.clone() }.bytes()));
    }
    let many = |count, value: &str| good.with("Cookie", &vec![value.as_bytes().to_vec(); count]).bytes();
    all.push(("a thousand headers".into(), many(1_000, "a")));
    all.push(("a header of 70,000 bytes".into(), many(1, &"a".repeat(70_000))));
    all.push(("headers of 200,000 bytes".into(), many(100, &"a".repeat(2_000))));
    all.push(("something behind the request".into(), [good.bytes(), frame(TEXT, b"hello")].concat()));
    all.push(("SIP".into(), b"OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/WS h;branch=z9hG4bK1\r\n\r\n".to_vec()));
    all.push(("TLS".into(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20)));
    all.push(("zeros".into(), vec![0; 1_000]));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_that_are_none_end() {
    for secure in [false, true] {
        let mut site = WebSocketSetup::start(secure).await;
        let opener = site.opener();
        let (call_id, options) = site.options();
        all(32, no_upgrades(), async |(what, bytes)| {
            for way in [0, 2] {
                let mut stream = opener.open(LISTED).await;
                let head = upgraded(&what, &mut stream, &chunks(&bytes, way)).await;
                // In pieces, the server may have read all of the request and nothing of what follows: a good upgrade.
                if way == 2 && what == "something behind the request" && head.starts_with("HTTP/1.1 101") {
                    let status = exchange(&what, &mut stream, &[frame(TEXT, &options)], &call_id).await;
                    assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "{what}");
                    continue;
                }
                assert!(head.is_empty() || head.starts_with("HTTP/1.1 4"), "{what}: {head}");
                assert_ends(&what, &mut stream, &[]).await;
            }
        })
        .await;
        site.assert_unharmed().await;
        // Cut, then silence or the end.
        let good = upgrade().bytes();
        all(100, (0..good.len() - 1).step_by(5), async |at| {
            let what = format!("an upgrade cut at {at}");
            let mut silent = opener.open(LISTED).await;
            assert_ends(&what, &mut silent, &[good[..at].to_vec()]).await;
            let mut ended = opener.open(LISTED).await;
            let _ = ended.write_all(&good[..at]).await;
            let _ = ended.shutdown().await;
            assert_ends(&what, &mut ended, &[]).await;
        })
        .await;
        site.assert_unharmed().await;
        for why in [Closed::HandshakeFailed, Closed::HandshakeTimeout] {
            assert!(site.report().closed_for(why) > 0, "{} is not counted", why.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_with_every_header_wrong_are_refused_or_serve() {
    for secure in [false, true] {
        let mut site = WebSocketSetup::start(secure).await;
        let opener = site.opener();
        let mut upgrades = vec![];
        let headers = [
            ("Host", ""),
            ("Upgrade", ""),
            ("Connection", ""),
            ("Sec-WebSocket-Version", ""),
            ("Sec-WebSocket-Key", ""),
            ("Sec-WebSocket-Protocol", ""),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=15"),
            ("Origin", "https://phone.example"),
            ("Content-Length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Expect", "100-continue"),
        ];
        for (at, (name, usual)) in headers.iter().enumerate() {
            for way in (at..450).step_by(11) {
                let (what, values) = mutation(&upgrade().good(name, usual), way);
                let (call_id, options) = site.options();
                let bytes = upgrade().with(name, &values).bytes();
                upgrades.push((format!("{name}: {what}"), bytes, call_id, frame(TEXT, &options)));
            }
        }
        let served = AtomicU32::new(0);
        all(100, upgrades, async |(what, bytes, call_id, options)| {
            let mut stream = opener.open(LISTED).await;
            let head = upgraded(&what, &mut stream, &[bytes]).await;
            if head.starts_with("HTTP/1.1 101 ") {
                let status = exchange(&what, &mut stream, &[options], &call_id).await;
                assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "{what}");
                served.fetch_add(1, Ordering::Relaxed);
            } else {
                assert_ends(&what, &mut stream, &[]).await;
            }
        })
        .await;
        assert!(served.into_inner() > 50);
        site.assert_unharmed().await;
    }
}
