//! WebSockets whose handshake or frames are wrong, with TLS and without.

use super::message_mutator::mutation;
use super::tls::{client, secured, with_tls};
use super::*;
use crate::support::{TlsFiles, loopback, tls_files};
use futures_util::SinkExt as _;
use std::sync::Arc;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::version::TLS13;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// Of the largest message (`limits::MESSAGE_BYTES_MAX`).
const MESSAGE_BYTES_MAX: usize = 65_535;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// Of the first byte: the last frame of a message.
const FINAL: u8 = 0x80;

/// The length as it has to be written, masked.
fn length(len: usize) -> Vec<u8> {
    let bytes = (len as u64).to_be_bytes();
    match len {
        0..=125 => vec![0x80 | bytes[7]],
        126..=65_535 => [&[0xfe][..], &bytes[6..]].concat(),
        _ => [&[0xff][..], &bytes].concat(),
    }
}

/// A frame that says it is as long as this.
fn declared(first: u8, length: &[u8], payload: &[u8]) -> Vec<u8> {
    let mask = [0x21, 0x43, 0x65, 0x87];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [&[first][..], length, &mask].concat().into_iter().chain(masked).collect()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    declared(first, &length(payload.len()), payload)
}

/// A message in as many frames as there are parts.
fn fragments(first: u8, parts: &[Vec<u8>], between: &[u8]) -> Vec<u8> {
    let last = parts.len() - 1;
    let frames = parts.iter().enumerate().map(|(at, part)| {
        let kind = if at == 0 { first & !FINAL } else { 0 };
        let ending = if at == last { FINAL } else { 0 };
        [frame(kind | ending, part), if at == last { vec![] } else { between.to_vec() }].concat()
    });
    frames.collect::<Vec<_>>().concat()
}

fn upgrade() -> MessageDraft {
    let headers = [
        ("Host", "127.0.0.1"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "sip"),
    ];
    MessageDraft::new("GET / HTTP/1.1", &headers, b"")
}

struct WebSocketSetup {
    server: Server,
    peer: HostilePeer,
    to: SocketAddr,
    client: Option<Arc<ClientConfig>>,
    transport: &'static str,
    _files: TlsFiles,
}

impl WebSocketSetup {
    async fn start(secure: bool) -> Self {
        let files = tls_files();
        let server = Server::start_with(|config| {
            impatient(config);
            with_tls(config, &files);
            config.sip.websocket.listen = Some(loopback(0));
            config.sip.websocket.secure = secure;
        })
        .await;
        let (peer, to) = (HostilePeer::new(&server).await, server.app.services.sip.local().ws.unwrap());
        let client = secure.then(|| client(&files, &TLS13));
        Self { server, peer, to, client, transport: if secure { "WSS" } else { "WS" }, _files: files }
    }

    fn options(&mut self) -> (String, Vec<u8>) {
        self.peer.options(self.transport)
    }

    fn report(&self) -> &ConnectionCounters {
        &self.server.app.services.sip.connection_reports().websocket
    }

    fn opener(&self) -> WebSocketConnector {
        WebSocketConnector { to: self.to, client: self.client.clone() }
    }

    /// An honest client at the same port, with another WebSocket implementation.
    async fn assert_good_peer(&mut self, own: Ipv4Addr) {
        let (call_id, options) = self.options();
        let mut request = format!("ws://{}/", self.to).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "sip".parse().unwrap());
        let stream = self.opener().open(own).await;
        let talk = async {
            let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
            socket.send(Frame::text(String::from_utf8(options).unwrap())).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap().into_data();
            assert_eq!(status_of(&answer, &call_id).as_deref(), Some("SIP/2.0 200 OK"));
            socket.close(None).await.unwrap();
        };
        timeout(NEVER, talk).await.expect("a good peer is not answered");
    }

    async fn assert_unharmed(&mut self) {
        self.peer.assert_unharmed(&self.server).await;
        self.assert_good_peer(LISTED).await;
        self.assert_good_peer(stranger()).await;
        assert_all_gone(self.report()).await;
    }
}

#[derive(Clone)]
struct WebSocketConnector {
    to: SocketAddr,
    client: Option<Arc<ClientConfig>>,
}

impl WebSocketConnector {
    /// A connection, without the WebSocket's handshake.
    async fn open(&self, own: Ipv4Addr) -> Box<dyn Io> {
        let stream = from(own, self.to).await;
        match &self.client {
            None => Box::new(stream),
            Some(client) => Box::new(secured(stream, client).await.unwrap()),
        }
    }

    async fn websocket(&self, own: Ipv4Addr) -> Box<dyn Io> {
        let mut stream = self.open(own).await;
        let head = upgraded("a good upgrade", &mut stream, &[upgrade().bytes()]).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        stream
    }
}

/// The head of the answer to an upgrade; what there was of it when the other end closed.
async fn upgraded(what: &str, stream: &mut Box<dyn Io>, request: &[Vec<u8>]) -> String {
    for piece in request {
        if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
            break; // the server closed it because of the content
        }
    }
    let mut head = vec![];
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    };
    timeout(NEVER, reading).await.unwrap_or_else(|_| panic!("{what}: neither answered nor closed"));
    String::from_utf8_lossy(&head).into_owned()
}

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
        all(32, no_upgrades(), async |(what, bytes)| {
            for way in [0, 2] {
                let mut stream = opener.open(LISTED).await;
                let head = upgraded(&what, &mut stream, &chunks(&bytes, way)).await;
                // Byte by byte, the request is complete before anything follows it.
                let is_upgrade = way == 2 && what == "something behind the request";
                let is_accepted = head.is_empty() || head.starts_with("HTTP/1.1 4");
                assert!(is_accepted || is_upgrade && head.starts_with("HTTP/1.1 101"), "{what}: {head}");
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
