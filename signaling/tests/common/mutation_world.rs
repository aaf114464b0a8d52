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
    CallId, ChallengeAlgorithms, DestinationPolicy, HostCredentials, InboundTrunk, InviteRequest, NextHop,
    RegistrationConfig, SipEvent, TransmitTarget, Transport, UserAgent, UserAgentConfig,
};

// The fuzzer includes this file by its path, so its parts have theirs.
#[path = "mutation_world/drafts.rs"]
mod drafts;
#[path = "mutation_world/stages.rs"]
mod stages;

pub use stages::{CALL_STAGES, CallStage};

pub const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

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
            algorithms: ChallengeAlgorithms::Automatic,
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
