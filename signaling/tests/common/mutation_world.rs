//! A user agent with many peers in virtual time, each with a call in some state, each sending one malformed message.
//! What must hold afterwards is asserted here, for the tests and the fuzzer alike.
#![allow(dead_code, reason = "each user of it takes a part")]

use super::message_mutator::{HEADERS, MessageDraft, mutation};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{Headers, NameAddr, SipMessage, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, DestinationPolicy, HostCredentials, InboundTrunk, InviteRequest, NextHop, RegistrationConfig, SipEvent,
    TransmitTarget, Transport, UserAgent, UserAgentConfig,
};

pub const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// How far a call has come when the hostile message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStage {
    /// There is none.
    Idle,
    Ringing,
    /// A 183 with an answer was sent reliably, and is not acknowledged.
    EarlyUnacknowledged,
    EarlyAnswered,
    AwaitingAck,
    Established,
    /// The peer has made an offer that its owner has not answered.
    TheirOffer,
    HungUp,
    /// We call, and nothing was heard.
    Calling,
    CallingEarly,
    Called,
    /// We have made an offer.
    OurOffer,
    CalledHungUp,
    Canceled,
    Registering,
    Probing,
}

pub const CALL_STAGES: [CallStage; 16] = [
    CallStage::Idle,
    CallStage::Ringing,
    CallStage::EarlyUnacknowledged,
    CallStage::EarlyAnswered,
    CallStage::AwaitingAck,
    CallStage::Established,
    CallStage::TheirOffer,
    CallStage::HungUp,
    CallStage::Calling,
    CallStage::CallingEarly,
    CallStage::Called,
    CallStage::OurOffer,
    CallStage::CalledHungUp,
    CallStage::Canceled,
    CallStage::Registering,
    CallStage::Probing,
];

pub const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "INFO",
    "UPDATE",
    "PRACK",
    "REFER",
    "NOTIFY",
    "MESSAGE",
    "SUBSCRIBE",
    "REGISTER",
    "PUBLISH",
    "ODD",
];

pub const STATUSES: [&str; 16] = [
    "100 Trying",
    "180 Ringing",
    "183 Progress",
    "200 OK",
    "202 Accepted",
    "302 Moved",
    "401 Unauthorized",
    "407 Proxy",
    "408 Timeout",
    "422 Small",
    "423 Brief",
    "481 Gone",
    "486 Busy",
    "491 Glare",
    "503 Unavailable",
    "699 é",
];

struct TestPeer {
    addr: SocketAddr,
    /// What the endpoint has sent here.
    heard: Vec<String>,
    call: Option<CallId>,
    /// The peer's tag and the endpoint's.
    tag: &'static str,
    their_tag: String,
    call_id: String,
    cseq: u32,
    invite_branch: String,
    /// Parsed hostile requests that want an answer: branch and method.
    wanted: Vec<ExpectedAnswer>,
    /// Those, and the ones that are refused unread.
    asked: Vec<ExpectedAnswer>,
    /// Final answers: to what, and their bytes.
    finals: Vec<(ExpectedAnswer, Vec<u8>)>,
}

/// Branch and method of a request.
type ExpectedAnswer = (String, String);

pub struct TestWorld {
    pub user_agent: UserAgent,
    pub now: Instant,
    peers: Vec<TestPeer>,
    by_ip: HashMap<IpAddr, usize>,
    begun: HashMap<CallId, u32>,
    registered: Vec<RegistrationConfig>,
    /// Owners answer offers and transfers they are asked about.
    pub owners_answer: bool,
    /// What owners were told, and when.
    pub events: Vec<(Instant, SipEvent)>,
}

fn config() -> UserAgentConfig {
    UserAgentConfig {
        advertised: [10, 9, 9, 9].into(),
        advertised_other: None,
        udp_port: 5_060,
        tcp_port: 5_060,
        tls_port: None,
        ws_port: None,
        user_agent: "test".into(),
        realm: "r".into(),
        calls_max: 100_000,
        retry_after_s: 1,
        session_expires_s: 1_800,
        destinations: DestinationPolicy::allow_all(),
        trunks: vec![InboundTrunk {
            id: "t".into(),
            allow: "10.0.0.0/8".parse().into_iter().collect(),
            credentials: None,
            accept_refer: true,
        }],
    }
}

fn name(user: &str, host: &str) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(user), host, None), params: String::new() }
}

/// First value of a header in a message of the endpoint's.
fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|network| network.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("")
}

fn tag(text: &str, name: &str) -> String {
    header(text, name).rsplit_once(";tag=").map_or("", |(_, tag)| tag).to_owned()
}

impl TestWorld {
    pub fn new(now: Instant) -> Self {
        Self {
            user_agent: UserAgent::new(now, config(), [9; 32]),
            now,
            peers: vec![],
            by_ip: HashMap::new(),
            begun: HashMap::new(),
            registered: vec![],
            owners_answer: false,
            events: vec![],
        }
    }

    /// A further peer whose call has come so far; its number.
    pub fn peer(&mut self, scene: CallStage) -> usize {
        let at = self.peers.len();
        let [.., high, low] = (at as u32).to_be_bytes();
        let addr = SocketAddr::from(([10, 1, high, low], 5_060));
        let invite_branch = format!("z9hG4bKinvite{at}");
        self.by_ip.insert(addr.ip(), at);
        self.peers.push(TestPeer {
            addr,
            heard: vec![],
            call: None,
            tag: "peer",
            their_tag: String::new(),
            call_id: format!("call{at}@10.1"),
            cseq: 1,
            invite_branch,
            wanted: vec![],
            asked: vec![],
            finals: vec![],
        });
        self.prepare(at, scene);
        at
    }

    fn prepare(&mut self, at: usize, scene: CallStage) {
        use CallStage::*;
        let now = self.now;
        match scene {
            Idle => {}
            Ringing | EarlyUnacknowledged | EarlyAnswered | AwaitingAck | Established | TheirOffer | HungUp => {
                self.hear(at, &self.initial(at).bytes());
                let call = self.peers[at].call.expect("the INVITE was taken");
                if scene == Ringing {
                    let _ = self.user_agent.send_provisional(now, call, 180, None);
                    self.pump();
                    self.learn_tag(at);
                    return;
                }
                if matches!(scene, EarlyUnacknowledged | EarlyAnswered) {
                    let _ = self.user_agent.send_provisional(now, call, 183, Some(SDP.to_vec()));
                    self.pump();
                    self.learn_tag(at);
                    if scene == EarlyAnswered {
                        let prack = self.request(at, "PRACK");
                        self.hear(at, &prack.bytes());
                    }
                    return;
                }
                let _ = self.user_agent.answer(now, call, SDP.to_vec());
                self.pump();
                self.learn_tag(at);
                if scene != AwaitingAck {
                    let ack = self.request(at, "ACK");
                    self.hear(at, &ack.bytes());
                }
                if scene == TheirOffer {
                    let before = std::mem::replace(&mut self.owners_answer, false);
                    let offer = self.request(at, "UPDATE");
                    self.hear(at, &offer.bytes());
                    self.owners_answer = before;
                }
                if scene == HungUp {
                    let _ = self.user_agent.hang_up(now, call);
                    self.pump();
                }
            }
            Calling | CallingEarly | Called | OurOffer | CalledHungUp | Canceled => {
                self.call_out(at, false);
                if matches!(scene, CallingEarly | Canceled) {
                    self.hear(at, &self.response(at, "180 Ringing").bytes());
                }
                if matches!(scene, Called | OurOffer | CalledHungUp) {
                    self.hear(at, &self.response(at, "200 OK").bytes());
                }
                let call = self.peers[at].call.expect("we called");
                match scene {
                    OurOffer => drop(self.user_agent.send_reoffer(now, call, SDP.to_vec())),
                    CalledHungUp | Canceled => drop(self.user_agent.hang_up(now, call)),
                    _ => {}
                }
                self.pump();
            }
            Registering => {
                let ip = self.peers[at].addr.ip().to_string();
                self.registered.push(RegistrationConfig {
                    id: ip.as_str().into(),
                    aor: Uri::sip(Some("us"), &ip, None),
                    registrar: Uri::sip(None, &ip, None),
                    hops: vec![],
                    transport: Transport::Udp,
                    contact_user: format!("contact{at}"),
                    credentials: Some(DigestCredentials { username: "u".into(), password: "p".into() }),
                    expires_s: 300,
                });
                self.user_agent.set_registrations(now, self.registered.clone());
                self.pump();
            }
            Probing => self.call_out(at, true),
        }
    }

    fn call_out(&mut self, at: usize, probe: bool) {
        let host = self.peers[at].addr.ip().to_string();
        let next_hop = NextHop { host: host.clone(), port: Some(5_060), transport: Some(Transport::Udp) };
        let credentials = DigestCredentials { username: "u".into(), password: "p".into() };
        let hosts = vec![next_hop.clone(), NextHop { port: None, transport: None, ..next_hop.clone() }];
        let invite = InviteRequest {
            request_uri: Uri::sip(Some("callee"), &host, None),
            from: name("us", "10.9.9.9"),
            to: name("callee", &host),
            hops: vec![next_hop],
            transport: Transport::Udp,
            credentials: Some(HostCredentials { credentials, hosts }),
            sdp: Some(SDP.to_vec()),
            headers: Headers::default(),
            trunk: None,
            accept_refer: true,
        };
        let made = if probe {
            self.user_agent.send_options(self.now, invite)
        } else {
            self.user_agent.send_invite(self.now, invite)
        };
        let call = made.expect("there is room");
        self.peers[at].call = Some(call);
        self.begun.insert(call, 0);
        self.pump();
        let peer = &mut self.peers[at];
        let sent = peer.heard.last().cloned().unwrap_or_default();
        (peer.their_tag, peer.call_id) = (tag(&sent, "From"), header(&sent, "Call-ID").to_owned());
        peer.cseq = 0;
    }

    fn learn_tag(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        peer.their_tag = peer.heard.last().map(|text| tag(text, "To")).unwrap_or_default();
    }

    pub fn initial(&self, at: usize) -> MessageDraft {
        let peer = &self.peers[at];
        let (ip, branch) = (peer.addr.ip(), &peer.invite_branch);
        MessageDraft::new(
            "INVITE sip:+31201234567@10.9.9.9 SIP/2.0",
            &[
                ("Via", &format!("SIP/2.0/UDP {ip}:5060;branch={branch};rport")),
                ("Max-Forwards", "70"),
                ("From", &format!("\"A\" <sip:a@{ip}>;tag={}", peer.tag)),
                ("To", "<sip:+31201234567@10.9.9.9>"),
                ("Call-ID", &peer.call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", &format!("<sip:a@{ip}:5060>")),
                ("Supported", "100rel, timer"),
                ("Allow", "INVITE, UPDATE"),
                ("Content-Type", "application/sdp"),
            ],
            SDP,
        )
    }

    /// A good request of the peer's, inside its dialog where there is one.
    pub fn request(&mut self, at: usize, method: &str) -> MessageDraft {
        let rseq =
            self.peers[at].heard.iter().rev().map(|text| header(text, "RSeq").to_owned()).find(|v| !v.is_empty());
        let peer = &mut self.peers[at];
        let is_first = matches!(method, "ACK" | "CANCEL");
        if !is_first {
            peer.cseq += 1;
        }
        let number = if is_first { 1 } else { peer.cseq };
        let ip = peer.addr.ip();
        let branch = match method {
            "CANCEL" => peer.invite_branch.clone(),
            _ => format!("z9hG4bK{method}{at}.{number}"),
        };
        let to = if peer.their_tag.is_empty() || method == "CANCEL" {
            "<sip:+31201234567@10.9.9.9>".to_owned()
        } else {
            format!("<sip:+31201234567@10.9.9.9>;tag={}", peer.their_tag)
        };
        let rack = format!("{} 1 INVITE", rseq.unwrap_or_else(|| "1".to_owned()));
        let mut headers = vec![
            ("Via", format!("SIP/2.0/UDP {ip}:5060;branch={branch};rport")),
            ("Max-Forwards", "70".to_owned()),
            ("From", format!("\"A\" <sip:a@{ip}>;tag={}", peer.tag)),
            ("To", to),
            ("Call-ID", peer.call_id.clone()),
            ("CSeq", format!("{number} {method}")),
            ("Contact", format!("<sip:a@{ip}:5060>")),
        ];
        match method {
            "PRACK" => headers.push(("RAck", rack)),
            "REFER" => headers.push(("Refer-To", "<sip:b@10.0.0.7>".to_owned())),
            "NOTIFY" => headers.extend([
                ("Event", "refer".to_owned()),
                ("Subscription-State", "active".to_owned()),
                ("Content-Type", "message/sipfrag".to_owned()),
            ]),
            "INFO" => headers.push(("Content-Type", "application/dtmf-relay".to_owned())),
            "INVITE" | "UPDATE" => headers.push(("Content-Type", "application/sdp".to_owned())),
            _ => {}
        }
        let body: &[u8] = match method {
            "INVITE" | "UPDATE" => SDP,
            "INFO" => b"Signal=5\r\n",
            "NOTIFY" => b"SIP/2.0 180 Ringing\r\n",
            _ => b"",
        };
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        MessageDraft::new(&format!("{method} sip:+31201234567@10.9.9.9 SIP/2.0"), &headers, body)
    }

    /// A good answer to the last request that the endpoint sent to the peer.
    pub fn response(&self, at: usize, status: &str) -> MessageDraft {
        let peer = &self.peers[at];
        let sent = peer.heard.iter().rev().find(|text| !text.starts_with("SIP/2.0")).map_or("", String::as_str);
        let to = match header(sent, "To") {
            to if to.contains(";tag=") => to.to_owned(),
            to => format!("{to};tag={}", peer.tag),
        };
        let (ip, method) = (peer.addr.ip(), header(sent, "CSeq").split(' ').nth(1).unwrap_or(""));
        let with_sdp = method == "INVITE" && (status.starts_with('2') || status.starts_with("183"));
        let mut headers = vec![
            ("Via", header(sent, "Via").to_owned()),
            ("From", header(sent, "From").to_owned()),
            ("To", to),
            ("Call-ID", header(sent, "Call-ID").to_owned()),
            ("CSeq", header(sent, "CSeq").to_owned()),
            ("Contact", format!("<sip:callee@{ip}:5060>;expires=600")),
        ];
        match status.get(..3) {
            Some("183") => headers.extend([("Require", "100rel".to_owned()), ("RSeq", "1".to_owned())]),
            Some("401") => headers.push(("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"".to_owned())),
            Some("407") => headers.push(("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n\"".to_owned())),
            Some("422") => headers.push(("Min-SE", "2000".to_owned())),
            Some("423") => headers.push(("Min-Expires", "2000".to_owned())),
            _ => {}
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        MessageDraft::new(&format!("SIP/2.0 {status}"), &headers, if with_sdp { SDP } else { b"" })
    }

    /// One message of a peer's; a panic names the message.
    pub fn hear(&mut self, at: usize, bytes: &[u8]) {
        let (now, source) = (self.now, self.peers[at].addr);
        let user_agent = &mut self.user_agent;
        let handled = catch_unwind(AssertUnwindSafe(|| user_agent.handle_datagram(now, source, bytes)));
        assert!(handled.is_ok(), "a panic (above) at: {}", bytes.escape_ascii());
        self.pump();
    }

    /// A hostile one: if it is a request that can be read, it has to get its answer.
    pub fn hear_hostile(&mut self, at: usize, bytes: &[u8]) {
        let (method, headers, is_readable) = match parse::datagram(bytes) {
            ParsedMessage::Message(SipMessage::Request(request)) => (request.method, request.headers, true),
            ParsedMessage::Invalid { method, headers, .. } => (method, headers, false),
            _ => return self.hear(at, bytes),
        };
        let branch = headers.branch().filter(|branch| branch.starts_with("z9hG4bK") && method.as_str() != "ACK");
        if let Some(branch) = branch {
            let asked = (branch.to_owned(), method.as_str().to_owned());
            if is_readable {
                self.peers[at].wanted.push(asked.clone());
            }
            self.peers[at].asked.push(asked);
        }
        self.hear(at, bytes);
    }

    /// Delivers the endpoint's messages to their peers.
    fn pump(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.user_agent.poll_transmit() {
                idle = false;
                let TransmitTarget::Addr(addr) = transmit.target else { continue };
                if let Some(at) = self.by_ip.get(&addr.ip()) {
                    let peer = &mut self.peers[*at];
                    peer.heard.push(String::from_utf8_lossy(&transmit.bytes).into_owned());
                    if let ParsedMessage::Message(SipMessage::Response(response)) = parse::datagram(&transmit.bytes)
                        && let (Some(branch), Some(cseq)) = (response.headers.branch(), response.headers.cseq())
                        && response.status >= 200
                    {
                        peer.finals.push(((branch.to_owned(), cseq.method.to_owned()), transmit.bytes.to_vec()));
                    }
                }
            }
            while let Some(query) = self.user_agent.poll_query() {
                idle = false;
                self.user_agent.handle_resolved(self.now, query.id, Err("no such name".into()));
            }
            while let Some(event) = self.user_agent.poll_event() {
                idle = false;
                self.event(event);
            }
            if idle {
                return;
            }
        }
    }

    fn event(&mut self, event: SipEvent) {
        let now = self.now;
        self.events.push((now, event.clone()));
        match event {
            SipEvent::Incoming(incoming) | SipEvent::ReplacesReceived { by: incoming, .. } => {
                if let Some(at) = self.by_ip.get(&incoming.source.ip()) {
                    self.peers[*at].call = Some(incoming.call);
                }
                let _ = self.user_agent.assign_trunk(incoming.call, &"t".into());
                self.begun.insert(incoming.call, 0);
                let text = format!("{} {} {}", incoming.from, incoming.to, incoming.request_uri);
                let texts = incoming.headers.iter().map(|header| header.value.as_str()).chain([text.as_str()]);
                assert!(texts.into_iter().all(|text| !text.contains(['\0', '\r', '\n', '\x1B'])), "{text:?}");
            }
            SipEvent::ReofferReceived { call, sdp, .. } if self.owners_answer => {
                let answer = (call.0 % 3 != 0).then(|| sdp.unwrap_or(SDP.to_vec()));
                let _ = self.user_agent.answer_reoffer(now, call, answer);
            }
            SipEvent::ReferReceived { call, .. } if self.owners_answer => {
                let _ = self.user_agent.answer_refer(now, call, call.0 % 2 == 0);
            }
            SipEvent::Ended { call, .. } => *self.begun.entry(call).or_default() += 1,
            SipEvent::OptionsAnswered { call, .. } => *self.begun.entry(call).or_default() += 1,
            _ => {}
        }
    }

    pub fn call(&self, at: usize) -> CallId {
        self.peers[at].call.expect("a call")
    }

    /// What the peer has been sent since it was last asked.
    pub fn take_heard(&mut self, at: usize) -> Vec<String> {
        std::mem::take(&mut self.peers[at].heard)
    }

    /// Lets virtual time pass.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.pump();
        // 48 peers with a few transactions each, a dozen sendings a transaction.
        for _ in 0..20_000 {
            let Some(at) = self.user_agent.poll_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.user_agent.handle_timeout(self.now);
            self.pump();
        }
        let talkative = self.peers.iter().max_by_key(|peer| peer.heard.len());
        panic!(
            "its timers do not come to rest: {:#?}",
            talkative.map(|peer| (peer.addr, peer.heard.iter().rev().take(4).collect::<Vec<_>>(), peer.heard.len()))
        );
    }

    /// Asserts that a well-behaved caller is still served.
    pub fn assert_serves(&mut self) {
        let at = self.peer(CallStage::Idle);
        let options = self.request(at, "OPTIONS");
        self.hear(at, &options.bytes());
        let answer = self.peers[at].heard.last().cloned().unwrap_or_default();
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer:?}");
    }

    /// All calls are hung up and no peer sends any more: after a while nothing is held, every call has ended
    /// once, and every request that could be read has its one final answer.
    pub fn assert_comes_to_rest(&mut self, label: &dyn Fn(usize) -> String) {
        self.assert_serves();
        // Longer than any answer of ours may take (10 s).
        self.pass(Duration::from_secs(12));
        let is_open =
            |peer: &TestPeer| peer.wanted.iter().any(|wanted| wanted.1 != "INVITE" && !peer.is_content(wanted));
        let open: Vec<String> = (0..self.peers.len()).filter(|at| is_open(&self.peers[*at])).map(label).collect();
        assert!(open.is_empty(), "not answered in time: {open:#?}");
        let calls: Vec<CallId> = self.begun.keys().copied().collect();
        for call in calls {
            let _ = self.user_agent.hang_up(self.now, call);
        }
        self.registered.clear();
        self.user_agent.set_registrations(self.now, vec![]);
        self.pump();
        self.pass(Duration::from_secs(250));
        let mut odd = vec![];
        for (at, peer) in self.peers.iter().enumerate() {
            for wanted in peer.wanted.iter().filter(|wanted| !peer.is_content(wanted)) {
                odd.push(format!("{}: {wanted:?}: {:#?}", label(at), peer.heard));
            }
        }
        assert!(odd.is_empty(), "{odd:#?}");
        assert!(self.begun.values().all(|ends| *ends == 1), "{:?}", self.begun);
        self.assert_serves();
        assert_eq!(
            self.user_agent.held_counts(),
            (0, 0, 0),
            "{:?}",
            (0..self.peers.len()).map(label).collect::<Vec<_>>()
        );
    }
}

impl TestPeer {
    /// Whether a hostile request has its one final answer. Two variants of the same request may each have one.
    fn is_content(&self, wanted: &ExpectedAnswer) -> bool {
        let asked = self.asked.iter().filter(|other| *other == wanted).count();
        let answers: HashSet<_> = self.finals.iter().filter(|(answered, _)| answered == wanted).collect();
        (1..=asked).contains(&answers.len())
    }
}

/// What a fuzzer makes of bytes: peers with calls in some state, messages put wrong in the known ways and with bytes of
/// its own, time that passes; and then everything has to come to rest.
pub fn run(bytes: &[u8]) {
    let mut world = TestWorld::new(Instant::now());
    let (mut rest, mut labels, mut at) = (bytes, vec![], 0);
    while let [scene, what, header, way_high, way_low, raw, after @ ..] = rest {
        let (raw, after) = after.split_at(after.len().min(usize::from(*raw % 32)));
        rest = after;
        if labels.is_empty() || *scene < 0x80 {
            at = world.peer(CALL_STAGES[usize::from(*scene) % CALL_STAGES.len()]);
            labels.push(String::new());
        }
        if labels.len() > 32 {
            break;
        }
        world.owners_answer = scene % 2 == 0;
        let good = match what {
            0..0x60 => world.request(at, METHODS[usize::from(*what) % METHODS.len()]),
            0x60..0xE0 => world.response(at, STATUSES[usize::from(*what) % STATUSES.len()]),
            _ => {
                world.pass(Duration::from_millis(u64::from(*way_low) * 40));
                continue;
            }
        };
        let (name, usual) = HEADERS[usize::from(*header) % HEADERS.len()];
        let way = usize::from(u16::from_be_bytes([*way_high, *way_low]));
        let (label, mut values) = mutation(&good.good(name, usual), way);
        if let Some(value) = values.last_mut() {
            value.extend(raw.iter().filter(|byte| **byte != b'\n'));
        }
        world.hear_hostile(at, &good.with(name, &values).bytes());
        if let Some(labels) = labels.last_mut() {
            labels.push_str(&format!("{name}: {label}; "));
        }
    }
    world.assert_comes_to_rest(&|at| labels.get(at).cloned().unwrap_or_default());
}
