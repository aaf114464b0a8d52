//! Two endpoints and the network between them, in virtual time.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::reason::Reason;
use trunkline_signaling::sip::user_agent::{
    CallId, ChallengeAlgorithms, DestinationPolicy, HostCredentials, InboundTrunk, InviteRequest, SipEvent,
    TransmitTarget, Transport, TransportAddress, UserAgent, UserAgentConfig,
};

pub const CALLER: &str = "127.0.0.1:5060";
pub const CALLEE: &str = "127.0.0.2:5060";

/// xorshift: the network's dice, from a seed.
pub struct Rng(pub u64);

impl Rng {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

#[derive(Clone, Copy)]
pub struct NetworkConditions {
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub jitter_ms: u64,
    pub transport: Transport,
}

pub const PERFECT: NetworkConditions =
    NetworkConditions { loss_percent: 0, duplicate_percent: 0, jitter_ms: 0, transport: Transport::Udp };
pub const LOSSY: NetworkConditions =
    NetworkConditions { loss_percent: 30, duplicate_percent: 20, jitter_ms: 300, transport: Transport::Udp };

struct InFlight(std::cmp::Reverse<Instant>, u64, usize, Transport, Vec<u8>);

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for InFlight {}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub struct TestNetwork {
    pub start: Instant,
    pub now: Instant,
    pub sides: [UserAgent; 2],
    pub events: [Vec<SipEvent>; 2],
    flying: BinaryHeap<InFlight>,
    sent: u64,
    pub rng: Rng,
    pub weather: NetworkConditions,
    /// Messages on the wire by first word, retransmissions included.
    seen: HashMap<String, u32>,
    /// What names lead to.
    pub names: HashMap<String, Vec<TransportAddress>>,
    /// Messages sent to addresses without a listener.
    pub lost: Vec<(TransportAddress, String)>,
    /// The last request that carried credentials.
    pub last_authorized: Option<String>,
}

pub fn config(addr: &str, trunks: Vec<InboundTrunk>) -> UserAgentConfig {
    let addr: SocketAddr = addr.parse().unwrap();
    UserAgentConfig {
        advertised: addr.ip(),
        advertised_other: None,
        udp_port: addr.port(),
        tcp_port: addr.port(),
        tls_port: None,
        ws_port: None,
        user_agent: "test".into(),
        realm: "trunkline".into(),
        calls_max: 10,
        retry_after_s: 7,
        session_expires_s: 0,
        destinations: DestinationPolicy::allow_all(),
        trunks,
    }
}

pub fn trunk(allow: &str, credentials: Option<DigestCredentials>) -> InboundTrunk {
    InboundTrunk {
        id: Arc::from("carrier"),
        allow: allow.parse().or_else(|_| allow.parse().map(|ip: std::net::IpAddr| ip.into())).into_iter().collect(),
        credentials,
        algorithms: ChallengeAlgorithms::Automatic,
        accept_refer: false,
    }
}

/// What our own BYE says.
pub fn normal() -> Option<Reason> {
    Some(Reason { q850: Some(16), sip: None, text: Some("Normal call clearing".into()) })
}

pub fn secret(password: &str) -> Option<DigestCredentials> {
    Some(DigestCredentials { username: "carrier".into(), password: password.into() })
}

impl TestNetwork {
    pub fn new(seed: u64, weather: NetworkConditions, callee_trunk: InboundTrunk) -> Self {
        let start = Instant::now();
        let caller = UserAgent::new(start, config(CALLER, vec![]), [1; 32]);
        let callee = UserAgent::new(start, config(CALLEE, vec![callee_trunk]), [2; 32]);
        Self {
            start,
            now: start,
            sides: [caller, callee],
            events: [vec![], vec![]],
            flying: BinaryHeap::new(),
            sent: 0,
            rng: Rng(seed * 2 + 1),
            weather,
            seen: HashMap::new(),
            names: HashMap::new(),
            lost: vec![],
            last_authorized: None,
        }
    }

    pub fn dial(&mut self, credentials: Option<DigestCredentials>) -> CallId {
        self.dial_with(|invite| {
            invite.credentials = credentials.map(|all| HostCredentials::of(&invite.request_uri, all));
        })
    }

    pub fn dial_with(&mut self, change: impl FnOnce(&mut InviteRequest)) -> CallId {
        let callee: SocketAddr = CALLEE.parse().unwrap();
        let uri = Uri::sip(Some("+31201234567"), &callee.ip().to_string(), Some(callee.port()));
        let from = Uri::sip(Some("+31207654321"), "127.0.0.1", None);
        let mut invite = InviteRequest {
            request_uri: uri.clone(),
            from: NameAddr { display: None, uri: from, params: String::new() },
            to: NameAddr { display: None, uri, params: String::new() },
            hops: vec![],
            transport: self.weather.transport,
            credentials: None,
            sdp: Some(b"v=0\r\n".to_vec()),
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
            extensions: Default::default(),
        };
        change(&mut invite);
        let call = self.sides[0].send_invite(self.now, invite).unwrap();
        self.carry();
        call
    }

    pub fn carry(&mut self) {
        for side in 0..2 {
            while let Some(event) = self.sides[side].poll_event() {
                // Here every call is its first candidate's.
                if let SipEvent::Incoming(incoming) = &event
                    && let Some((trunk, _)) = incoming.candidates.iter().next()
                {
                    self.sides[side].assign_trunk(incoming.call, trunk).unwrap();
                }
                self.events[side].push(event);
            }
            while let Some(query) = self.sides[side].poll_query() {
                let found = self.names.get(&query.next_hop.host).cloned().ok_or_else(|| "no such name".to_owned());
                self.sides[side].handle_resolved(self.now, query.id, found);
            }
            while let Some(transmit) = self.sides[side].poll_transmit() {
                let TransmitTarget::Addr(addr) = transmit.target else { panic!("no names here") };
                // Keep-alives are no messages.
                if transmit.bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                    continue;
                }
                let text = String::from_utf8_lossy(&transmit.bytes);
                if text.contains("Authorization: ") {
                    self.last_authorized = Some(text.into_owned());
                }
                let to = match addr.ip().to_string().as_str() {
                    "127.0.0.1" => 0,
                    "127.0.0.2" => 1,
                    _ => {
                        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                        self.lost.push((TransportAddress { transport: transmit.transport, addr }, text));
                        continue;
                    }
                };
                let word = String::from_utf8_lossy(&transmit.bytes).split_once("\r\n").unwrap().0.to_owned();
                let word = word.strip_prefix("SIP/2.0 ").unwrap_or(&word).split(' ').next().unwrap().to_owned();
                *self.seen.entry(word).or_default() += 1;
                if self.rng.roll(100) < self.weather.loss_percent {
                    continue;
                }
                let copies = 1 + u64::from(self.rng.roll(100) < self.weather.duplicate_percent);
                for _ in 0..copies {
                    self.sent += 1;
                    let delay = Duration::from_millis(5 + self.rng.roll(self.weather.jitter_ms + 1));
                    let at = std::cmp::Reverse(self.now + delay);
                    let bytes = transmit.bytes.to_vec();
                    self.flying.push(InFlight(at, u64::MAX - self.sent, to, transmit.transport, bytes));
                }
            }
        }
    }

    /// Lets virtual time pass; nothing happens between its steps.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.carry();
            let arrival = self.flying.peek().map(|flying| flying.0.0);
            let timers = [self.sides[0].poll_timeout(), self.sides[1].poll_timeout()];
            let next = [arrival, timers[0], timers[1]].into_iter().flatten().min();
            match next {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => {
                    self.now = end;
                    return;
                }
            }
            while self.flying.peek().is_some_and(|flying| flying.0.0 <= self.now) {
                let InFlight(_, _, to, transport, bytes) = self.flying.pop().unwrap();
                let from: SocketAddr = [CALLEE, CALLER][to].parse().unwrap();
                let parsed = trunkline_signaling::sip::message::parse::datagram(&bytes);
                self.sides[to].handle_parsed(self.now, transport, from, parsed);
            }
            for side in &mut self.sides {
                side.handle_timeout(self.now);
            }
        }
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    pub fn incoming(&self) -> Option<CallId> {
        self.events[1].iter().find_map(|event| match event {
            SipEvent::Incoming(incoming) => Some(incoming.call),
            _ => None,
        })
    }

    pub fn incoming_all(&self) -> Vec<CallId> {
        let calls = self.events[1].iter().filter_map(|event| match event {
            SipEvent::Incoming(incoming) => Some(incoming.call),
            _ => None,
        });
        calls.collect()
    }

    pub fn ends(&self, side: usize) -> Vec<EndCause> {
        self.events[side]
            .iter()
            .filter_map(|event| match event {
                SipEvent::Ended { cause, .. } => Some(cause.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn answered(&self) -> usize {
        self.events[0].iter().filter(|event| matches!(event, SipEvent::Answered { .. })).count()
    }

    pub fn count(&self, word: &str) -> u32 {
        self.seen.get(word).copied().unwrap_or(0)
    }

    /// After five quiet minutes nothing may be left on either side.
    pub fn assert_nothing_is_held(&mut self) {
        self.pass(Duration::from_secs(300));
        assert_eq!(
            [self.sides[0].held_counts(), self.sides[1].held_counts()],
            [(0, 0, 0); 2],
            "{:?}",
            self.now - self.start
        );
    }
}

impl TestNetwork {
    pub fn assert_nothing_is_held_on(&mut self, side: usize) {
        self.pass(Duration::from_secs(300));
        assert_eq!(self.sides[side].held_counts(), (0, 0, 0));
    }
}

pub const RAW_INVITE: &str = "INVITE sip:+31201234567@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx;rport\r\n\
    Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:+31201234567@127.0.0.2>\r\nCall-ID: CALLID\r\n\
    CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:5060>\r\nContent-Length: 0\r\n\r\n";
