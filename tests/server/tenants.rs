//! Two organizations on one server, one of them hostile: which of them a call belongs to depends on the called number
//! and on who calls, together. What the other does with its trunks changes nothing.

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

/// Every way to call in, beside everything another tenant may set up: answered by the same organization, with the same
/// rights, as without the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_trunk_never_changes_the_outcome_for_mine() {
    let server = matrix_server().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let number_b = b.number(NUMBER_B, None).await;
    for mine in MINE {
        let mut peer = SipPeer::at(&server, mine.place()).await;
        for accept_refer in [false, true] {
            let mut fields = mine.trunk(&peer);
            fields["accept_refer"] = json!(accept_refer);
            let trunk = a.trunk(fields).await;
            let number = a.number(NUMBER_A, Some(&trunk)).await;
            let contact = if mine.place() == REGISTRAR { peer.contact_of("acct-a").await } else { String::new() };
            for what in FOREIGN {
                let theirs = foreign(&b, what, mine, &peer).await;
                let forms: &[&str] =
                    if mine.place() == CALLER { &[NUMBER_A, "31209990001", "0209990001"] } else { &[NUMBER_A] };
                for form in forms {
                    let ask = match mine {
                        CallerIdentification::Address | CallerIdentification::Registration => {
                            TestInvite { user: form, ..TestInvite::default() }
                        }
                        CallerIdentification::Digest => {
                            TestInvite { user: form, account: Some(("alice7", "s3cret")), ..TestInvite::default() }
                        }
                        CallerIdentification::Contact => {
                            TestInvite { user: &contact, to: Some(form), ..TestInvite::default() }
                        }
                        CallerIdentification::ProviderAccount => {
                            TestInvite { user: "acct-a", to: Some(form), ..TestInvite::default() }
                        }
                    };
                    let before = (a.calls().await, b.calls().await);
                    let (mut call, answer) = peer.invite(&ask).await;
                    let case = format!("{mine:?} {form} beside {what}");
                    assert_eq!(call.status, 200, "{case}: {answer}");
                    let refer = peer.request(&mut call, "REFER", "Refer-To: <sip:+15550777@127.0.0.1:9>\r\n").await;
                    assert_eq!(refer, if accept_refer { 202 } else { 603 }, "{case}");
                    assert_eq!(peer.request(&mut call, "BYE", "").await, 200, "{case}");
                    until(&format!("the row of {case}"), || async {
                        let now = (a.calls().await, b.calls().await);
                        assert_eq!(now.1, before.1, "{case}: the other organization's");
                        (now.0 > before.0).then_some(())
                    })
                    .await;
                }
                for id in theirs {
                    b.delete(&format!("/trunks/{id}")).await;
                }
            }
            a.delete(&format!("/phone-numbers/{number}")).await;
            a.delete(&format!("/trunks/{trunk}")).await;
            peer.accounts.lock().unwrap().clear();
        }
    }
    b.delete(&format!("/phone-numbers/{number_b}")).await;
}

/// The older claim stays where two organizations read one dialled text as their own number, and a number that is written
/// out needs no claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_readings_of_one_number_the_older_claim_stays() {
    let server = matrix_server().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let mut peer = SipPeer::at(&server, CALLER).await;
    let whose = async |peer: &mut SipPeer, user: &str| {
        let before = (a.calls().await, b.calls().await);
        let (mut call, answer) = peer.invite(&TestInvite { user, ..TestInvite::default() }).await;
        assert_eq!(call.status, 200, "{user}: {answer}");
        assert_eq!(peer.request(&mut call, "BYE", "").await, 200);
        until("the call's row", || async {
            let now = (a.calls().await, b.calls().await);
            (now != before).then_some(if now.0 > before.0 { "a" } else { "b" })
        })
        .await
    };
    // A tenant that was there before with harmless settings.
    let theirs = b.trunk(json!({"allowed_addresses": ["127.0.0.99"]})).await;
    b.number(NUMBER_B, None).await;
    let mine = a.trunk(json!({"allowed_addresses": [CALLER], "country_code": "31", "national_prefix": "0"})).await;
    a.number(NUMBER_A, None).await;
    assert_eq!(whose(&mut peer, "0209990001").await, "a");
    for change in [
        json!({"allowed_addresses": [CALLER]}),
        json!({"country_code": "49", "national_prefix": "0"}),
        json!({"national_prefix": null, "strip_prefix": "+31"}),
        json!({"strip_prefix": null, "national_prefix": "0"}),
    ] {
        let (status, body) = b.send("PATCH", &format!("/trunks/{theirs}"), Some(change)).await;
        assert_eq!(status, 200, "{body}");
        for user in ["0209990001", NUMBER_A, "31209990001"] {
            assert_eq!(whose(&mut peer, user).await, "a", "{user}");
        }
        assert_eq!(whose(&mut peer, NUMBER_B).await, "b", "its own number is still its own");
    }
    // A further gateway does not make the first tenant's claim younger.
    let more = json!({"allowed_addresses": ["127.0.0.98", CALLER], "max_concurrent_calls": 50});
    assert_eq!(a.send("PATCH", &format!("/trunks/{mine}"), Some(more)).await.0, 200);
    assert_eq!(whose(&mut peer, "0209990001").await, "a");
    // A tenant that gives up the address and claims it again is the younger one; it keeps the number.
    for addresses in [json!([]), json!([CALLER])] {
        let change = json!({"allowed_addresses": addresses});
        assert_eq!(a.send("PATCH", &format!("/trunks/{mine}"), Some(change)).await.0, 200);
    }
    assert_eq!(whose(&mut peer, "0209990001").await, "b");
    assert_eq!(whose(&mut peer, NUMBER_A).await, "a");
}

/// Two accounts at one provider, of one organization or of two, in either order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_registrations_at_one_provider_are_told_apart() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    for [one, other] in [[&a, &a], [&a, &b], [&b, &a]] {
        let mut peer = SipPeer::at(&server, REGISTRAR).await;
        let account = |name: &str| json!({"host": REGISTRAR, "port": peer.addr().port(), "register": true, "username": name, "password": "p"});
        let trunks = [one.trunk(account("one")).await, other.trunk(account("other")).await];
        let numbers = [one.number(NUMBER_A, Some(&trunks[0])).await, other.number(NUMBER_B, Some(&trunks[1])).await];
        let contacts = [peer.contact_of("one").await, peer.contact_of("other").await];
        for (tenant, number, contact, account, wrong) in
            [(one, NUMBER_A, &contacts[0], "one", NUMBER_B), (other, NUMBER_B, &contacts[1], "other", NUMBER_A)]
        {
            for ask in [
                TestInvite { user: number, ..TestInvite::default() },
                TestInvite { user: number.trim_start_matches('+'), ..TestInvite::default() },
                TestInvite { user: contact, to: Some(number), ..TestInvite::default() },
                TestInvite { user: account, to: Some(number), ..TestInvite::default() },
                // What the Request-URI says comes before the To header.
                TestInvite { user: number, to: Some(wrong), ..TestInvite::default() },
            ] {
                let before = tenant.calls().await;
                let (mut call, answer) = peer.invite(&ask).await;
                assert_eq!(call.status, 200, "{} {:?}: {answer}", ask.user, ask.to);
                peer.request(&mut call, "BYE", "").await;
                until("the call's row", || async { (tenant.calls().await > before).then_some(()) }).await;
            }
            // The Contact belongs to one trunk; the other's number is not one of its numbers.
            let (call, _) = peer.invite(&TestInvite { user: contact, to: Some(wrong), ..TestInvite::default() }).await;
            assert_eq!(call.status, 404);
        }
        for (tenant, number, trunk) in [(one, &numbers[0], &trunks[0]), (other, &numbers[1], &trunks[1])] {
            tenant.delete(&format!("/phone-numbers/{number}")).await;
            tenant.delete(&format!("/trunks/{trunk}")).await;
        }
    }
}

/// Only callers of the same trunk can replace a call (RFC 3891).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaces_cannot_take_over_another_tenants_call() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let trunk = a
        .trunk(json!({"allowed_addresses": [CALLER], "inbound_username": "alice7", "inbound_password": "s3cret"}))
        .await;
    a.number(NUMBER_A, Some(&trunk)).await;
    let theirs =
        b.trunk(json!({"allowed_addresses": [ELSEWHERE], "inbound_username": "bob", "inbound_password": "pb"})).await;
    b.number(NUMBER_B, Some(&theirs)).await;
    let (mut caller, mut stranger) = (SipPeer::at(&server, CALLER).await, SipPeer::at(&server, ELSEWHERE).await);
    let (mut call, answer) = caller.invite(&TestInvite { user: NUMBER_A, ..TestInvite::default() }).await;
    assert_eq!(call.status, 200, "{answer}");
    let more = format!("Replaces: {}\r\n", call.replaces());
    for (user, account, wanted) in [
        (NUMBER_B, None, 401),
        (NUMBER_A, None, 401),
        (NUMBER_B, Some(("bob", "pb")), 481),
        (NUMBER_A, Some(("bob", "pb")), 481),
        (NUMBER_A, Some(("alice7", "guess")), 401),
    ] {
        let (taken, answer) =
            stranger.invite(&TestInvite { user, account, more: &more, ..TestInvite::default() }).await;
        assert_eq!(taken.status, wanted, "{user} {account:?}: {answer}");
    }
    assert_eq!(caller.request(&mut call, "OPTIONS", "").await, 200, "the call goes on");
    // A carrier that both list puts through calls to either: a place of the one is not for a call to the other's number.
    let shared = b.trunk(json!({"allowed_addresses": [CALLER]})).await;
    let mut carrier = SipPeer::at(&server, CALLER).await;
    let (taken, answer) = carrier.invite(&TestInvite { user: NUMBER_B, more: &more, ..TestInvite::default() }).await;
    assert_eq!(taken.status, 481, "{answer}");
    assert_eq!(caller.request(&mut call, "OPTIONS", "").await, 200, "the call goes on");
    b.delete(&format!("/trunks/{shared}")).await;
    // Its own caller, from elsewhere and by credentials.
    let ask = TestInvite { user: NUMBER_A, account: Some(("alice7", "s3cret")), more: &more, ..TestInvite::default() };
    let (mut taken, answer) = stranger.invite(&ask).await;
    assert_eq!(taken.status, 200, "{answer}");
    assert_eq!(stranger.request(&mut taken, "BYE", "").await, 200);
    assert_eq!((a.calls().await, b.calls().await), (1, 0));
    // If a trunk requires attestation, Replaces does not bypass it.
    let (mut call, _) = caller.invite(&TestInvite { user: NUMBER_A, ..TestInvite::default() }).await;
    let required = json!({"require_attestation": "A"});
    assert_eq!(a.send("PATCH", &format!("/trunks/{trunk}"), Some(required)).await.0, 200);
    let more = format!("Replaces: {}\r\n", call.replaces());
    let (taken, _) = caller.invite(&TestInvite { user: NUMBER_A, more: &more, ..TestInvite::default() }).await;
    assert_eq!(taken.status, 403);
    assert_eq!(caller.request(&mut call, "BYE", "").await, 200);
}

/// Answers reveal the existing numbers neither to strangers nor to another tenant's callers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_do_not_reveal_other_tenants_numbers() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let by_digest = a.trunk(json!({"inbound_username": "alice7", "inbound_password": "s3cret"})).await;
    let by_address = a.trunk(json!({"allowed_addresses": ["127.0.0.77"]})).await;
    a.number("+31209990001", Some(&by_digest)).await;
    a.number("+31209990002", Some(&by_address)).await;
    a.number("+31209990003", None).await;
    b.trunk(json!({"allowed_addresses": [CALLER], "inbound_username": "bob", "inbound_password": "pb"})).await;
    for (ip, account, wanted) in [
        (CALLER, None, 401),
        (ELSEWHERE, None, 401),
        (ELSEWHERE, Some(("bob", "pb")), 404),
        (CALLER, Some(("bob", "pb")), 404),
    ] {
        let mut peer = SipPeer::at(&server, ip).await;
        let mut answers = Vec::new();
        for number in ["+31209990001", "+31209990002", "+31209990003", "+31209990009", "+0", "anonymous", "alice7"] {
            let (call, answer) = peer.invite(&TestInvite { user: number, account, ..TestInvite::default() }).await;
            assert_eq!(call.status, wanted, "{number} from {ip}");
            let names: Vec<String> = answer.lines().filter_map(|l| Some(l.split_once(": ")?.0.to_owned())).collect();
            answers.push(names);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "from {ip} they differ: {answers:?}");
    }
}

/// Wide networks are the operator's to allow, in whatever form they are written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_networks_need_the_operators_consent() {
    let server = Server::start_with(|config| config.sip.wide_networks_allowed = vec!["10.0.0.0/8".into()]).await;
    let b = TestTenant::new(&server, "second").await;
    let narrow = b.trunk(json!({"allowed_addresses": ["192.0.2.0/24"]})).await;
    for wide in [
        json!(["0.0.0.0/0"]),
        json!(["::/0"]),
        json!(["::ffff:0:0/96"]),
        json!(["127.0.0.0/8"]),
        json!(["172.16.0.0/12"]),
        json!(["128.0.0.0/1", "0.0.0.0/1"]),
        json!(["192.168.0.0/16", "192.169.0.0/16"]),
        json!(["2000::/3"]),
        json!(["8.0.0.0/7"]),
    ] {
        let fields = json!({"name": "W", "allowed_addresses": wide});
        for (method, path) in [("POST", "/trunks".to_owned()), ("PATCH", format!("/trunks/{narrow}"))] {
            let (status, body) = b.send(method, &path, Some(fields.clone())).await;
            assert_eq!(
                (status, &body["details"]["field"]),
                (400, &json!("allowed_addresses")),
                "{method} {wide}: {body}"
            );
        }
    }
    for good in [json!(["10.0.0.0/8"]), json!(["10.0.0.0/8", "192.168.0.0/16"]), json!(["2001:db8::/32"])] {
        b.trunk(json!({"allowed_addresses": good})).await;
    }
    // One that was stored before the consent was needed is not in force.
    let store = &server.app.services.store;
    let scope = store.authenticate(&b.key).await.unwrap().unwrap().scope;
    let fields =
        serde_json::from_value(json!({"name": "Old", "allowed_addresses": ["0.0.0.0/0", "127.0.0.51"]})).unwrap();
    store.create_trunk(scope, fields).await.unwrap();
    server.app.services.trunks.reload().await.unwrap();
    for (ip, wanted) in [(CALLER, 403), ("127.0.0.51", 404)] {
        let (call, _) =
            SipPeer::at(&server, ip).await.invite(&TestInvite { user: NUMBER_B, ..TestInvite::default() }).await;
        assert_eq!(call.status, wanted, "{ip}");
    }
}

/// A number belongs to one organization, even with concurrent writes; another's objects can be neither used nor seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_and_trunks_are_one_organizations() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    for round in 0..10 {
        let number = json!({"number": format!("+3120888{round:04}"), "agent_id": null});
        let (one, other) = tokio::join!(
            a.send("POST", "/phone-numbers", Some(number.clone())),
            b.send("POST", "/phone-numbers", Some(number.clone()))
        );
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 400], "{one:?} {other:?}");
        let refused = if one.0 == 400 { one.1 } else { other.1 };
        assert_eq!(refused["details"]["code"], json!("already_exists"));
    }
    let trunk = a.trunk(json!({"allowed_addresses": [CALLER]})).await;
    let unknown = uuid::Uuid::new_v4().to_string();
    let own = b.number(NUMBER_B, None).await;
    for (method, path, body) in [
        ("GET", "/trunks/ID", None),
        ("PATCH", "/trunks/ID", Some(json!({"allowed_addresses": [ELSEWHERE]}))),
        ("DELETE", "/trunks/ID", None),
        ("POST", "/trunks/ID/test", Some(json!({}))),
        ("POST", "/phone-numbers", Some(json!({"number": "+31207770001", "trunk_id": "ID"}))),
        ("PATCH", "/phone-numbers/OWN", Some(json!({"trunk_id": "ID"}))),
    ] {
        let mut answers = Vec::new();
        for id in [&trunk, &unknown] {
            let path = path.replace("ID", id).replace("OWN", &own);
            let body = body.clone().map(|body| serde_json::from_str(&body.to_string().replace("ID", id)).unwrap());
            let (status, body) = b.send(method, &path, body).await;
            assert!(matches!(status, 400 | 404), "{method} {path}: {status}");
            answers.push((status, body["error"].clone(), body["details"].clone()));
        }
        assert_eq!(answers[0], answers[1], "{method} {path}: another tenant's is as unknown as none");
    }
    assert_eq!(
        a.send("GET", &format!("/trunks/{trunk}"), None).await.1["data"]["trunk"]["allowed_addresses"],
        json!([CALLER])
    );
    for (field, value) in [
        ("allowed_addresses", json!(vec!["192.0.2.1"; 257])),
        ("targets", json!(vec![json!({"host": "h"}); 17])),
        ("allowed_destinations", json!(vec!["+31"; 501])),
        ("codecs", json!(vec!["PCMU"; 5])),
    ] {
        let (status, body) = b.send("POST", "/trunks", Some(json!({"name": "T", field: value}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
    }
}

/// Many writers at once: each sees its own change in force when its request returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_in_force_when_it_is_answered_however_many_write() {
    let server = Server::start().await;
    let (a, b) = (TestTenant::new(&server, "first").await, TestTenant::new(&server, "second").await);
    let mine = a.trunk(json!({"allowed_addresses": []})).await;
    a.number(NUMBER_A, Some(&mine)).await;
    let theirs = b.trunk(json!({})).await;
    let mut peer = SipPeer::at(&server, CALLER).await;
    let noise = async {
        for round in 0..40 {
            let body = json!({"name": format!("N{round}")});
            let path = format!("/trunks/{theirs}");
            let all = (0..4).map(|_| b.send("PATCH", &path, Some(body.clone())));
            futures_util::future::join_all(all).await;
        }
    };
    let changes = async {
        for round in 0..10 {
            let addresses = if round % 2 == 0 { json!([CALLER]) } else { json!([]) };
            let (status, body) =
                a.send("PATCH", &format!("/trunks/{mine}"), Some(json!({"allowed_addresses": addresses}))).await;
            assert_eq!(status, 200, "{body}");
            let (mut call, answer) = peer.invite(&TestInvite { user: NUMBER_A, ..TestInvite::default() }).await;
            assert_eq!(call.status, if round % 2 == 0 { 200 } else { 403 }, "{round}: {answer}");
            if call.status == 200 {
                peer.request(&mut call, "BYE", "").await;
            }
        }
    };
    tokio::join!(noise, changes);
}
