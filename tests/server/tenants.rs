//! Two organizations on one server, one of them hostile: which of them a call belongs to depends on the called number
//! and on who calls, together. What the other does with its trunks changes nothing.

mod callers;
mod dialogs;
mod resources;

use super::support::{PASSWORD, Server, agent, until};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use trunkline_signaling::sip::digest::{DigestChallenge, DigestClientSession, DigestCredentials};

/// Registrations at a registrar: contact user by account.
type Accounts = Arc<Mutex<HashMap<String, String>>>;

/// A carrier, phone or registrar at one address, with scripted messages.
struct SipPeer {
    socket: Arc<UdpSocket>,
    server: SocketAddr,
    answers: mpsc::Receiver<String>,
    accounts: Accounts,
}

static MADE: AtomicU32 = AtomicU32::new(1);

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A call of a peer: what its further requests carry.
struct TestDialog {
    headers: String,
    target: String,
    cseq: u32,
    status: u16,
}

impl TestDialog {
    /// Value of a Replaces header that names it.
    fn replaces(&self) -> String {
        let tag = |name: &str| line(&self.headers, name).split(";tag=").nth(1).unwrap().to_owned();
        let call_id = line(&self.headers, "Call-ID: ").trim_start_matches("Call-ID: ");
        format!("{call_id};to-tag={};from-tag={}", tag("To: "), tag("From: "))
    }
}

#[derive(Clone, Default)]
struct TestInvite<'a> {
    /// User part of the Request-URI.
    user: &'a str,
    /// That of To, where it is another.
    to: Option<&'a str>,
    account: Option<(&'a str, &'a str)>,
    more: &'a str,
}

impl SipPeer {
    async fn at(server: &Server, ip: &str) -> Self {
        let socket = Arc::new(UdpSocket::bind((ip, 0)).await.unwrap());
        let (tell, answers) = mpsc::channel(256);
        let accounts = Accounts::default();
        let (heard, known) = (socket.clone(), accounts.clone());
        tokio::spawn(async move {
            let mut bytes = vec![0; 65_535];
            while let Ok((len, from)) = heard.recv_from(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
                if text.starts_with("SIP/2.0 ") {
                    if tell.send(text).await.is_err() {
                        return;
                    }
                    continue;
                }
                if text.starts_with("ACK ") {
                    continue;
                }
                if text.starts_with("REGISTER ") {
                    let user = |name: &str| {
                        line(&text, name).split("sip:").nth(1).unwrap().split('@').next().unwrap().to_owned()
                    };
                    known.lock().unwrap().insert(user("From: "), user("Contact: "));
                }
                let copied = ["Via: ", "From: ", "Call-ID: ", "CSeq: "].map(|name| line(&text, name)).join("\r\n");
                let to = line(&text, "To: ");
                let tag = if to.contains(";tag=") { "" } else { ";tag=r" };
                let status = if text.starts_with("INVITE ") { "486 Busy Here" } else { "200 OK" };
                let answer =
                    format!("SIP/2.0 {status}\r\n{copied}\r\n{to}{tag}\r\nExpires: 300\r\nContent-Length: 0\r\n\r\n");
                let _ = heard.send_to(answer.as_bytes(), from).await;
            }
        });
        let port = server.sip_port();
        Self { socket, server: SocketAddr::from(([127, 0, 0, 1], port)), answers, accounts }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).await.unwrap();
    }

    /// The final answer to the request of a CSeq in a call.
    async fn answer(&mut self, cseq: &str, call_id: &str) -> String {
        let wanted = async {
            loop {
                let text = self.answers.recv().await.expect("the peer has gone");
                if status(&text) >= 200 && line(&text, "CSeq: ").ends_with(cseq) && text.contains(call_id) {
                    return text;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wanted).await.unwrap_or_else(|_| panic!("no answer to {cseq}"))
    }

    /// Sends an INVITE and, where it is asked for them, its credentials; the call, or how it was refused.
    async fn invite(&mut self, ask: &TestInvite<'_>) -> (TestDialog, String) {
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let (call_id, to) = (format!("tenants-{made}"), ask.to.unwrap_or(ask.user));
        let (addr, mut authorization) = (self.addr(), String::new());
        let ip = addr.ip();
        let sdp = format!(
            "v=0\r\no=t 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        );
        for cseq in 1..=2_u32 {
            let target = format!("sip:{}@{}", ask.user, self.server);
            let from = format!("From: <sip:+15550100@{ip}>;tag=f{made}");
            let text = format!(
                "INVITE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{made}-{cseq};rport\r\nMax-Forwards: 70\r\n\
                 {from}\r\nTo: <sip:{to}@{}>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} INVITE\r\nContact: <sip:x@{addr}>\r\n\
                 {authorization}{}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
                self.server,
                ask.more,
                sdp.len()
            );
            self.send(&text).await;
            let answer = self.answer(&format!("{cseq} INVITE"), &call_id).await;
            let headers = format!("{from}\r\n{}\r\nCall-ID: {call_id}\r\n", line(&answer, "To: "));
            let mut dialog = TestDialog { headers, target: target.clone(), cseq, status: status(&answer) };
            // The ACK of a refusal belongs to its transaction, that of a 2xx is a separate one.
            let branch = if dialog.status < 300 { "-ack" } else { "" };
            if dialog.status < 300 {
                dialog.target =
                    line(&answer, "Contact: ").trim_start_matches("Contact: <").trim_end_matches('>').to_owned();
            }
            self.send(&format!(
                "ACK {} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{made}-{cseq}{branch};rport\r\nMax-Forwards: 70\r\n{}CSeq: {cseq} ACK\r\n\
                 Content-Length: 0\r\n\r\n",
                dialog.target, dialog.headers
            ))
            .await;
            let account = ask.account.filter(|_| dialog.status == 401 && cseq == 1);
            let Some((username, password)) = account else { return (dialog, answer) };
            let challenge =
                DigestChallenge::parse(line(&answer, "WWW-Authenticate: ").trim_start_matches("WWW-Authenticate: "));
            let mut session = DigestClientSession::new(challenge.unwrap(), "c".into());
            let credentials = DigestCredentials { username: username.into(), password: password.into() };
            authorization = format!("Authorization: {}\r\n", session.authorize(&credentials, "INVITE", &target));
        }
        unreachable!("the second answer is final");
    }

    /// A request in the call: the status of its answer.
    async fn request(&mut self, dialog: &mut TestDialog, method: &str, more: &str) -> u16 {
        dialog.cseq += 1;
        let (addr, made) = (self.addr(), MADE.fetch_add(1, Ordering::Relaxed));
        self.send(&format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKr{made};rport\r\nMax-Forwards: 70\r\n{}CSeq: {} {method}\r\n\
             Contact: <sip:x@{addr}>\r\n{more}Content-Length: 0\r\n\r\n",
            dialog.target, dialog.headers, dialog.cseq
        ))
        .await;
        let call_id = line(&dialog.headers, "Call-ID: ").to_owned();
        status(&self.answer(&format!("{} {method}", dialog.cseq), &call_id).await)
    }

    async fn contact_of(&self, account: &str) -> String {
        until("a registration", || async { self.accounts.lock().unwrap().get(account).cloned() }).await
    }
}

/// An organization with an agent.
struct TestTenant<'a> {
    server: &'a Server,
    key: String,
    agent: String,
}

impl<'a> TestTenant<'a> {
    async fn new(server: &'a Server, name: &str) -> Self {
        let hash = trunkline::domain::password::hash(PASSWORD).unwrap();
        let made = server.app.services.store.bootstrap(name, &format!("{name}@example.com"), &hash).await.unwrap();
        let mut tenant = Self { server, key: made.key.text.expose().to_owned(), agent: String::new() };
        tenant.agent = tenant.made("/agents", agent()).await;
        tenant
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let http = &self.server.http;
        let mut request = http.request(method.parse().unwrap(), self.server.url(path)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Makes something; its id.
    async fn made(&self, path: &str, body: Value) -> String {
        let (status, body) = self.send("POST", path, Some(body)).await;
        assert_eq!(status, 201, "{path}: {body}");
        let object = body["data"].as_object().unwrap().values().find_map(|value| value["id"].as_str());
        object.unwrap().to_owned()
    }

    async fn trunk(&self, mut fields: Value) -> String {
        fields["name"] = json!("T");
        self.made("/trunks", fields).await
    }

    async fn number(&self, number: &str, trunk: Option<&str>) -> String {
        self.made("/phone-numbers", json!({"number": number, "agent_id": self.agent, "trunk_id": trunk})).await
    }

    async fn calls(&self) -> i64 {
        let (_, body) = self.send("GET", "/calls?limit=1", None).await;
        body["data"]["total"].as_i64().unwrap()
    }

    async fn delete(&self, path: &str) {
        assert_eq!(self.send("DELETE", path, None).await.0, 200);
    }
}

/// The ways a caller of the first tenant comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CallerIdentification {
    Address,
    Digest,
    /// The number in the Request-URI.
    Registration,
    /// The registered Contact in the Request-URI, the number in To.
    Contact,
    /// The account in the Request-URI, the number in To.
    ProviderAccount,
}

const MINE: [CallerIdentification; 5] = [
    CallerIdentification::Address,
    CallerIdentification::Digest,
    CallerIdentification::Registration,
    CallerIdentification::Contact,
    CallerIdentification::ProviderAccount,
];

/// What the second tenant has beside, to get at those calls.
const FOREIGN: [&str; 10] = [
    "nothing",
    "the same address",
    "a network around it",
    "all of the internet",
    "the same user",
    "the same user and password",
    "the same registrar",
    "other number rules",
    "leave to refer",
    "all of it",
];

const CALLER: &str = "127.0.0.21";
const REGISTRAR: &str = "127.0.0.31";
const ELSEWHERE: &str = "127.0.0.41";
const NUMBER_A: &str = "+31209990001";
const NUMBER_B: &str = "+49209990001";

impl CallerIdentification {
    fn place(self) -> &'static str {
        if matches!(self, Self::Address | Self::Digest) { CALLER } else { REGISTRAR }
    }

    fn trunk(self, peer: &SipPeer) -> Value {
        match self {
            Self::Address => json!({"allowed_addresses": [CALLER], "country_code": "31", "national_prefix": "0"}),
            Self::Digest => {
                json!({"inbound_username": "alice7", "inbound_password": "s3cret", "country_code": "31", "national_prefix": "0"})
            }
            _ => {
                json!({"host": REGISTRAR, "port": peer.addr().port(), "register": true, "username": "acct-a", "password": "pa",
                "country_code": "31"})
            }
        }
    }
}

/// Trunks of the second tenant, and whether there is anything that makes it more than a bystander.
async fn foreign(tenant: &TestTenant<'_>, what: &str, mine: CallerIdentification, peer: &SipPeer) -> Vec<String> {
    let place = mine.place();
    let around = format!("{}.0/24", place.rsplit_once('.').unwrap().0);
    let registers = json!({"host": REGISTRAR, "port": peer.addr().port(), "register": true, "username": "acct-b", "password": "pb"});
    let all: Vec<(&str, Value)> = vec![
        ("the same address", json!({"allowed_addresses": [place]})),
        ("a network around it", json!({"allowed_addresses": [around]})),
        ("all of the internet", json!({"allowed_addresses": ["0.0.0.0/0", "::/0"]})),
        (
            "the same user",
            json!({"inbound_username": "alice7", "inbound_password": "guess", "allowed_addresses": [place]}),
        ),
        ("the same user and password", json!({"inbound_username": "alice7", "inbound_password": "s3cret"})),
        ("the same registrar", registers),
        ("other number rules", json!({"allowed_addresses": [place], "country_code": "49", "national_prefix": "0"})),
        ("other number rules", json!({"allowed_addresses": [place], "country_code": "49", "strip_prefix": "+31"})),
        ("leave to refer", json!({"allowed_addresses": [place], "accept_refer": true})),
    ];
    let mut made = Vec::new();
    for (name, fields) in all {
        if what == name || what == "all of it" {
            made.push(tenant.trunk(fields).await);
        }
    }
    if matches!(what, "the same registrar" | "all of it") && place == REGISTRAR {
        peer.contact_of("acct-b").await;
    }
    made
}

async fn matrix_server() -> Server {
    Server::start_with(|config| {
        config.sip.wide_networks_allowed = vec!["0.0.0.0/0".into(), "::/0".into()];
        config.quotas.trunk_changes_per_minute = 100_000;
    })
    .await
}
