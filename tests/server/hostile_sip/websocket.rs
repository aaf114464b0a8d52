//! WebSockets whose handshake or frames are wrong, with TLS and without.

mod frames;
mod upgrades;

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
