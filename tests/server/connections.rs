//! Connections of SIP on real sockets: who is reached over which one, what is tried when it is gone, and keep-alives.

use super::support::{NUMBER, Server, until};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use trunkline_signaling::sip::message::SipMessage;
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::ParsedMessage;

/// Longer than anything here may take.
const NEVER: Duration = Duration::from_secs(20);

/// One end of a stream of SIP messages.
struct SipStream {
    stream: TcpStream,
    framer: Framer,
}

impl SipStream {
    fn new(stream: TcpStream) -> Self {
        Self { stream, framer: Framer::default() }
    }

    async fn open(server: &Server) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", server.sip_port())).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next message for which this is true.
    async fn hear(&mut self, what: &str, is_wanted: impl Fn(&SipMessage) -> bool) -> SipMessage {
        let heard = timeout(NEVER, async {
            let mut buffer = [0; 4_096];
            loop {
                while let Some(framed) = self.framer.next() {
                    if let Framed::Complete(ParsedMessage::Message(message)) = framed
                        && is_wanted(&message)
                    {
                        return message;
                    }
                }
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert_ne!(count, 0, "closed before {what}");
                self.framer.push(&buffer[..count]);
            }
        });
        heard.await.unwrap_or_else(|_| panic!("no {what}"))
    }

    async fn request(&mut self, method: &str) -> SipMessage {
        self.hear(method, |message| matches!(message, SipMessage::Request(one) if one.method.as_str() == method)).await
    }

    async fn response(&mut self, status: u16) -> SipMessage {
        let wanted = |message: &SipMessage| matches!(message, SipMessage::Response(one) if one.status == status);
        self.hear(&status.to_string(), wanted).await
    }
}

/// A caller that says where it is, truly or not.
struct TestCaller {
    transport: &'static str,
    sent_by: String,
    contact: String,
    call_id: &'static str,
    start_end: &'static str,
    media: UdpSocket,
}

impl TestCaller {
    async fn new(transport: &'static str, sent_by: String, contact: String, call_id: &'static str) -> Self {
        let media = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self { transport, sent_by, contact, call_id, start_end: "", media }
    }

    fn message(&self, method: &str, to: &str) -> String {
        let port = self.media.local_addr().unwrap().port();
        let body = if method == "INVITE" {
            format!(
                "v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
                 a=rtpmap:101 telephone-event/8000\r\n"
            )
        } else {
            String::new()
        };
        format!(
            "{method} sip:{NUMBER}@127.0.0.1 SIP/2.0{}\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{}{method};alias;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@127.0.0.1>;tag=x\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: 1 {method}\r\n\
             Contact: {}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            self.start_end,
            self.transport,
            self.sent_by,
            self.call_id,
            self.call_id,
            self.contact,
            body.len()
        )
    }

    fn invite(&self) -> String {
        self.message("INVITE", &format!("<sip:{NUMBER}@127.0.0.1>"))
    }

    fn ack(&self, answer: &SipMessage) -> String {
        let SipMessage::Response(answer) = answer else { panic!("no answer") };
        let to = answer.headers.to().unwrap().unwrap();
        self.message("ACK", &format!("<{}>{}", to.uri, to.params))
    }
}

async fn hang_up(server: &Server) {
    let id = server.live_call().await;
    server.post(&format!("/calls/{id}/end"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_contact_is_closed_hears_the_end_over_its_connection() {
    let server = Server::start().await;
    let mut stream = SipStream::open(&server).await;
    let nobody = super::support::free_port();
    let contact = format!("<sip:x@127.0.0.1:{nobody};transport=tcp>");
    let caller = TestCaller::new("TCP", format!("127.0.0.1:{nobody}"), contact, "closed").await;
    stream.send(&caller.invite()).await;
    let answer = stream.response(200).await;
    stream.send(&caller.ack(&answer)).await;
    hang_up(&server).await;
    stream.request("BYE").await;
}

/// RFC 3261 section 18.2.2; freeswitch/sofia-sip#283.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_finds_a_caller_that_has_disconnected() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ringing = json!({"ringing": {"ring_ms": 1_500}});
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(ringing)).await;
    assert_eq!(status, 200, "{body}");
    let contact = format!("<sip:x@127.0.0.1:{port};transport=tcp>");
    let caller = TestCaller::new("TCP", format!("127.0.0.1:{port}"), contact, "gone").await;
    let mut stream = SipStream::open(&server).await;
    stream.send(&caller.invite()).await;
    stream.response(100).await;
    drop(stream);
    let (stream, from) = timeout(NEVER, listener.accept()).await.expect("no connection").unwrap();
    assert_eq!(from.ip(), SocketAddr::from(([127, 0, 0, 1], 0)).ip());
    let mut stream = SipStream::new(stream);
    let answer = stream.response(200).await;
    stream.send(&caller.ack(&answer)).await;
    hang_up(&server).await;
    stream.request("BYE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_with_a_useless_contact_hears_the_end() {
    let server = Server::start().await;
    for (call_id, contact) in [("private", "<sip:x@10.255.255.1:5060>"), ("zero", "<sip:x@0.0.0.0:5060>")] {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", server.sip_port())).await.unwrap();
        let local = socket.local_addr().unwrap();
        let caller = TestCaller::new("UDP", local.to_string(), contact.into(), call_id).await;
        udp_call(&server, &socket, &caller).await;
    }
}

/// espressif/esp-adf#732.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_with_spaces_behind_its_start_lines() {
    let server = Server::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.1", server.sip_port())).await.unwrap();
    let local = socket.local_addr().unwrap();
    let mut caller = TestCaller::new("UDP", local.to_string(), format!("<sip:x@{local}>"), "spaces").await;
    caller.start_end = " ";
    udp_call(&server, &socket, &caller).await;
}

/// Calls, is answered, is heard out of the ACK's retransmissions, and hears the agent hang up.
async fn udp_call(server: &Server, socket: &UdpSocket, caller: &TestCaller) {
    let hear = async |what: &str| {
        let mut buffer = vec![0; 65_536];
        loop {
            let count = timeout(NEVER, socket.recv(&mut buffer)).await.unwrap_or_else(|_| panic!("no {what}")).unwrap();
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.starts_with(what) && text.contains(&format!("Call-ID: {}\r\n", caller.call_id)) {
                return text;
            }
        }
    };
    socket.send(caller.invite().as_bytes()).await.unwrap();
    let answer = hear("SIP/2.0 200 ").await;
    let to = answer.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
    socket.send(caller.message("ACK", to).as_bytes()).await.unwrap();
    hang_up(server).await;
    let bye = hear("BYE ").await;
    let headers =
        bye.lines().filter(|line| ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|name| line.starts_with(name)));
    let headers: Vec<&str> = headers.collect();
    let ok = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"));
    socket.send(ok.as_bytes()).await.unwrap();
    until("the session is gone", || async {
        let snapshot = server.app.services.sip.snapshot().await.unwrap();
        (snapshot.sessions == 0).then_some(())
    })
    .await;
}

/// pjsip/pjproject#5062.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_in_two_segments_is_answered() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.sip_port())).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for questions in 0..4 {
        stream.write_all(b"\r\n").await.unwrap();
        // The first half is read while the server has other things to do.
        for _ in 0..questions {
            server.get("/trunks").await;
        }
        stream.write_all(b"\r\n").await.unwrap();
        let mut pong = [0; 2];
        timeout(NEVER, stream.read_exact(&mut pong)).await.expect("no pong").unwrap();
        assert_eq!(&pong, b"\r\n", "after {questions} questions");
    }
}

/// pjsip/pjproject#1044.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_comes_back_over_a_new_connection() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let fields = json!({"name": "account", "host": "127.0.0.1", "port": port, "transport": "tcp", "register": true,
        "username": "account", "password": "s3cret"});
    server.post("/trunks", fields).await;
    for _ in 0..2 {
        let (stream, _) = timeout(NEVER, listener.accept()).await.expect("no connection").unwrap();
        let mut stream = SipStream::new(stream);
        let SipMessage::Request(register) = stream.request("REGISTER").await else { panic!("a response") };
        let header = |name: &str| {
            let found = register.headers.iter().find(|header| header.name.as_str() == name);
            found.map_or("", |header| header.value.as_str())
        };
        let ok = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=r\r\nCall-ID: {}\r\nCSeq: {}\r\nExpires: 600\r\n\
             Content-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq")
        );
        stream.send(&ok).await;
    }
}
