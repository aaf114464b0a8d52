//! An endpoint with calls on it, anything that arrives, and everything its owner may do, in any order: no panics, every
//! call ends at most once, and no state remains after a quiet period. What the fuzzer runs and the tests replay.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, ChallengeAlgorithms, DestinationPolicy, InboundTrunk, InviteRequest, SipEvent, Transport, TransportAddress,
    UserAgent, UserAgentConfig,
};

fn config() -> UserAgentConfig {
    UserAgentConfig {
        advertised: [127, 0, 0, 1].into(),
        advertised_other: None,
        udp_port: 5_060,
        tcp_port: 5_060,
        tls_port: None,
        ws_port: None,
        user_agent: "fuzz".into(),
        realm: "fuzz".into(),
        calls_max: 8,
        retry_after_s: 1,
        session_expires_s: 90,
        destinations: DestinationPolicy::allow_all(),
        trunks: vec![InboundTrunk {
            id: "t".into(),
            allow: "0.0.0.0/0".parse().into_iter().collect(),
            credentials: None,
            algorithms: ChallengeAlgorithms::Automatic,
            accept_refer: true,
        }],
    }
}

fn name(user: &str) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(user), "127.0.0.9", None), params: String::new() }
}

/// Where everything comes from.
const SOURCE: ([u8; 4], u16) = ([127, 0, 0, 9], 5_060);

fn sdp() -> Vec<u8> {
    b"v=0\r\n".to_vec()
}

/// The endpoint, what it was told and what it has said.
struct RandomEvents {
    now: Instant,
    user_agent: UserAgent,
    calls: Vec<CallId>,
    ended: HashMap<CallId, u32>,
    sent: Vec<Vec<u8>>,
}

impl RandomEvents {
    fn hear(&mut self, datagram: &[u8]) {
        self.user_agent.handle_datagram(self.now, SOURCE.into(), datagram);
    }

    fn call_out(&mut self, which: u8) {
        let invite = InviteRequest {
            request_uri: name("callee").uri,
            from: name("us"),
            to: name("callee"),
            hops: vec![],
            transport: Transport::Udp,
            credentials: None,
            sdp: which.is_multiple_of(2).then(sdp),
            headers: Headers::default(),
            trunk: None,
            accept_refer: true,
            extensions: Default::default(),
        };
        self.calls.extend(self.user_agent.send_invite(self.now, invite));
    }

    /// What it sent comes back as an answer.
    fn answer_sent(&mut self, which: u8) {
        let text = String::from_utf8_lossy(&self.sent[usize::from(which) % self.sent.len()]).into_owned();
        let status = ["100 Trying", "183 Early", "200 OK", "401 No", "422 Small", "491 Glare", "302 Moved"];
        let line = format!("SIP/2.0 {}", status[usize::from(which) % status.len()]);
        let (_, headers) = text.split_once("\r\n").unwrap_or(("", ""));
        let headers = headers.replace("To: <sip:callee@127.0.0.9>\r\n", "To: <sip:callee@127.0.0.9>;tag=x\r\n");
        self.hear(format!("{line}\r\n{headers}").as_bytes());
    }

    /// One thing that happens; what is left of the bytes.
    fn step<'a>(&mut self, what: u8, which: u8, rest: &'a [u8]) -> &'a [u8] {
        self.now += Duration::from_millis(u64::from(which) * 7);
        let call = self.calls.get(usize::from(which) % self.calls.len().max(1)).copied().unwrap_or(CallId(1));
        let (now, user_agent) = (self.now, &mut self.user_agent);
        match what % 16 {
            0 => self.call_out(which),
            1 => drop(user_agent.answer(now, call, sdp())),
            2 => drop(user_agent.send_provisional(now, call, 183, Some(sdp()))),
            3 => drop(user_agent.reject(now, call, 486, None)),
            4 => drop(user_agent.hang_up(now, call)),
            5 => drop(user_agent.send_reoffer(now, call, sdp())),
            6 => drop(user_agent.answer_reoffer(now, call, which.is_multiple_of(2).then(sdp))),
            7 => drop(user_agent.answer_refer(now, call, which.is_multiple_of(2))),
            8 => drop(user_agent.acknowledge(call, None)),
            9 => drop(user_agent.send_refer_notify(now, call, 200)),
            // What it sent comes back as if from the other side, whole or as an answer.
            10 | 11 if !self.sent.is_empty() => {
                let echo = self.sent[usize::from(which) % self.sent.len()].clone();
                self.hear(&echo);
            }
            12 if !self.sent.is_empty() => self.answer_sent(which),
            13 => user_agent.handle_timeout(now),
            _ => {
                let (datagram, next) = rest.split_at(rest.len().min(usize::from(which) * 4));
                self.hear(datagram);
                return next;
            }
        }
        rest
    }

    fn take_output(&mut self, which: u8) {
        while let Some(query) = self.user_agent.poll_query() {
            let found = vec![TransportAddress { transport: Transport::Udp, addr: SocketAddr::from(SOURCE) }];
            let result = if which.is_multiple_of(3) { Err("none".into()) } else { Ok(found) };
            self.user_agent.handle_resolved(self.now, query.id, result);
        }
        while let Some(transmit) = self.user_agent.poll_transmit() {
            if self.sent.len() < 64 {
                self.sent.push(transmit.bytes.to_vec());
            }
        }
        while let Some(event) = self.user_agent.poll_event() {
            match event {
                SipEvent::Incoming(incoming) => self.calls.push(incoming.call),
                SipEvent::ReplacesReceived { by, .. } => self.calls.push(by.call),
                SipEvent::Ended { call, .. } => *self.ended.entry(call).or_default() += 1,
                _ => {}
            }
        }
    }

    /// Every call is hung up: after a while nothing is held, and each has ended once.
    fn assert_comes_to_rest(mut self) {
        for call in std::mem::take(&mut self.calls) {
            let _ = self.user_agent.hang_up(self.now, call);
        }
        let end = self.now + Duration::from_secs(1_800);
        for _ in 0..20_000 {
            let Some(at) = self.user_agent.poll_timeout().filter(|at| *at < end) else { break };
            self.user_agent.handle_timeout(at);
            while self.user_agent.poll_transmit().is_some() {}
        }
        self.take_output(0);
        assert!(self.ended.values().all(|times| *times == 1), "{:?}", self.ended);
        assert_eq!(self.user_agent.held_counts(), (0, 0, 0), "{:?}", self.user_agent);
    }
}

pub fn run(bytes: &[u8]) {
    let now = Instant::now();
    let user_agent = UserAgent::new(now, config(), [7; 32]);
    let mut world = RandomEvents { now, user_agent, calls: vec![], ended: HashMap::new(), sent: vec![] };
    let mut rest = bytes;
    while let [what, which, after @ ..] = rest {
        rest = world.step(*what, *which, after);
        world.take_output(*which);
    }
    world.assert_comes_to_rest();
}
