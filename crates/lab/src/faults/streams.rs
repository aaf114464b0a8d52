//! Calls over connections that break: Contacts that nobody listens at, closed connections, registrations, WebSockets, pings.

use super::message::{Message, response, sdp, with_body};
use super::target::{FaultTarget, number};
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

type Outcome = Result<(), String>;

const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a connection.
struct Stream {
    socket: TcpStream,
    received: String,
}

impl Stream {
    async fn open(target: &FaultTarget) -> Result<Self, String> {
        let socket = TcpStream::connect(target.server.sip).await.map_err(|error| error.to_string())?;
        Ok(Self { socket, received: String::new() })
    }

    async fn accept(listener: &TcpListener) -> Result<Self, String> {
        let came = timeout(PATIENCE, listener.accept()).await.map_err(|_| "no connection".to_owned())?;
        let (socket, _) = came.map_err(|error| error.to_string())?;
        Ok(Self { socket, received: String::new() })
    }

    async fn send(&mut self, text: &str) -> Outcome {
        self.socket.write_all(text.as_bytes()).await.map_err(|error| error.to_string())
    }

    async fn read(&mut self) -> Outcome {
        let mut buffer = [0; 4_096];
        let came = timeout(PATIENCE, self.socket.read(&mut buffer)).await.map_err(|_| "nothing came".to_owned())?;
        match came.map_err(|error| error.to_string())? {
            0 => Err("closed".to_owned()),
            len => {
                self.received.push_str(&String::from_utf8_lossy(&buffer[..len]));
                Ok(())
            }
        }
    }

    /// The next message that is wanted: a status, or a method.
    async fn next(&mut self, wanted: &str) -> Result<Message, String> {
        loop {
            while let Some(end) = self.received.find("\r\n\r\n") {
                let head = Message(self.received[..end + 4].to_owned());
                let len = end + 4 + head.header("Content-Length").parse::<usize>().unwrap_or(0);
                if self.received.len() < len {
                    break;
                }
                let message = Message(self.received[..len].trim_start_matches("\r\n").to_owned());
                self.received.drain(..len);
                if message.method() == wanted || message.status().to_string() == wanted {
                    return Ok(message);
                }
            }
            self.read().await.map_err(|error| format!("{error} instead of {wanted}"))?;
        }
    }
}

/// Headers of a call over a stream.
struct Dialog {
    transport: &'static str,
    /// Where we say that we listen.
    sent_by: String,
    number: &'static str,
    call_id: String,
}

impl Dialog {
    fn new(target: &FaultTarget, transport: &'static str, sent_by: String, number: &'static str) -> Self {
        Self { transport, sent_by, number, call_id: format!("{}-{:x}@streams", target.unique(), rand::random::<u64>()) }
    }

    fn request(&self, method: &str, cseq: u32, to_tag: &str, lines: &[&str], body: &str) -> String {
        let Self { transport, sent_by, number, call_id } = self;
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let head = format!(
            "{method} sip:{number}@127.0.0.1 SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {sent_by};branch=z9hG4bK{cseq}{method}{};alias;rport\r\nMax-Forwards: 70\r\n\
             From: <sip:+15550142@127.0.0.1>;tag=s\r\nTo: <sip:{number}@127.0.0.1>{tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:x@{sent_by};transport={}>\r\n",
            call_id.replace(['@', '-'], ""),
            transport.to_lowercase()
        );
        with_body(head, lines, body)
    }

    fn invite(&self) -> String {
        self.request("INVITE", 1, "", &[], &sdp("127.0.0.1", 9_998, "RTP/AVP 0", &[]))
    }
}

const INFO: [&str; 1] = ["Content-Type: application/dtmf-relay"];

/// Nobody listens at the Contact; the agent's BYE comes over the connection of the call.
pub(super) async fn contact_that_nobody_listens_at(target: Arc<FaultTarget>) -> Outcome {
    let mut stream = Stream::open(&target).await?;
    let dialog = Dialog::new(&target, "TCP", "127.0.0.1:9".to_owned(), number::PLAIN);
    stream.send(&dialog.invite()).await?;
    let answer = stream.next("200").await?;
    stream.send(&dialog.request("ACK", 1, &answer.to_tag(), &[], "")).await?;
    stream.send(&dialog.request("INFO", 2, &answer.to_tag(), &INFO, "Signal=0\r\nDuration=160\r\n")).await?;
    let bye = stream.next("BYE").await?;
    stream.send(&response(&bye, "200 OK", "", &[], "")).await
}

/// The connection closes while it rings, and nobody listens at the port that Via names.
pub(super) async fn connection_lost_while_ringing(target: Arc<FaultTarget>) -> Outcome {
    let mut stream = Stream::open(&target).await?;
    let dialog = Dialog::new(&target, "TCP", "127.0.0.1:9".to_owned(), number::RINGS);
    stream.send(&dialog.invite()).await?;
    stream.next("100").await.map(drop)
}

/// The same, and the answer is fetched at the port that Via names.
pub(super) async fn answer_over_a_new_connection(target: Arc<FaultTarget>) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let sent_by = listener.local_addr().map_err(|error| error.to_string())?.to_string();
    let dialog = Dialog::new(&target, "TCP", sent_by, number::RINGS);
    let mut stream = Stream::open(&target).await?;
    stream.send(&dialog.invite()).await?;
    stream.next("100").await?;
    drop(stream);
    let mut stream = Stream::accept(&listener).await?;
    let answer = stream.next("200").await?;
    stream.send(&dialog.request("ACK", 1, &answer.to_tag(), &[], "")).await?;
    stream.send(&dialog.request("BYE", 2, &answer.to_tag(), &[], "")).await?;
    stream.next("200").await.map(drop)
}

/// The connection breaks in the call, with half a message on it; the call is hung up from elsewhere.
pub(super) async fn connection_lost_in_the_call(target: Arc<FaultTarget>) -> Outcome {
    let mut stream = Stream::open(&target).await?;
    let dialog = Dialog::new(&target, "TCP", "127.0.0.1:9".to_owned(), number::PLAIN);
    stream.send(&dialog.invite()).await?;
    let answer = stream.next("200").await?;
    stream.send(&dialog.request("ACK", 1, &answer.to_tag(), &[], "")).await?;
    stream.send("BYE sip:x@127.0.0.1 SIP/2.0\r\nContent-Le").await?;
    drop(stream);
    let mut stream = Stream::open(&target).await?;
    stream.send(&dialog.request("BYE", 2, &answer.to_tag(), &[], "")).await?;
    stream.next("200").await.map(drop)
}

/// A ping in two segments, before and between messages.
pub(super) async fn ping_in_two_segments(target: Arc<FaultTarget>) -> Outcome {
    let mut stream = Stream::open(&target).await?;
    let dialog = Dialog::new(&target, "TCP", "127.0.0.1:9".to_owned(), number::PLAIN);
    for half in ["\r\n", "\r\n"] {
        stream.send(half).await?;
        sleep(Duration::from_millis(30)).await;
    }
    while stream.received.is_empty() {
        stream.read().await?;
    }
    stream.received.clear();
    stream.send(&dialog.invite()).await?;
    let answer = stream.next("200").await?;
    stream.send(&format!("\r\n\r\n{}", dialog.request("ACK", 1, &answer.to_tag(), &[], ""))).await?;
    stream.send(&dialog.request("BYE", 2, &answer.to_tag(), &[], "")).await?;
    stream.next("200").await.map(drop)
}

/// A registrar closes its connection; the trunk registers again over a new one, and gives its registration back.
pub(super) async fn registration_whose_connection_is_lost(target: Arc<FaultTarget>) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let trunk = target.registering_trunk(port).await?;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.clear(); // closed by us
        let mut stream = Stream::accept(&listener).await?;
        grant(&mut stream).await?;
        held.push(stream);
    }
    target.delete_trunk(&trunk).await?;
    match held.last_mut() {
        Some(stream) => grant(stream).await,
        None => Ok(()),
    }
}

async fn grant(stream: &mut Stream) -> Outcome {
    let register = stream.next("REGISTER").await?;
    let contact = format!("Contact: {};expires=600", register.header("Contact"));
    stream.send(&response(&register, "200 OK", "r", &[&contact], "")).await
}

/// A WebSocket that calls, is idle until it is pinged, and breaks without a word.
pub(super) async fn websocket_that_breaks(target: Arc<FaultTarget>) -> Outcome {
    let Some(addr) = target.server.websocket else { return Ok(()) };
    let mut request = format!("ws://{addr}/").into_client_request().map_err(|error| error.to_string())?;
    request.headers_mut().insert("sec-websocket-protocol", axum::http::HeaderValue::from_static("sip"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.map_err(|error| error.to_string())?;
    let dialog = Dialog::new(&target, "WS", "page.invalid".to_owned(), number::RINGS);
    socket.send(dialog.invite().into()).await.map_err(|error| error.to_string())?;
    let patience = Duration::from_secs(40);
    loop {
        let came = timeout(patience, socket.next()).await.map_err(|_| "no ping".to_owned())?;
        match came {
            Some(Ok(message)) if message.is_ping() => return Ok(()),
            Some(Ok(message)) => {
                let message = Message(message.into_text().map(|text| text.to_string()).unwrap_or_default());
                if message.status() == 200 && message.header("CSeq").ends_with("INVITE") {
                    let ack = dialog.request("ACK", 1, &message.to_tag(), &[], "");
                    let bye = dialog.request("BYE", 2, &message.to_tag(), &[], "");
                    for text in [ack, bye] {
                        socket.send(text.into()).await.map_err(|error| error.to_string())?;
                    }
                }
            }
            _ => return Err("closed before a ping".to_owned()),
        }
    }
}
