//! An endpoint with calls on it, anything that arrives, and everything its owner may do, in any order: no panics, every
//! call ends at most once, and no state remains after a quiet period. What the fuzzer runs and the tests replay.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, DestinationPolicy, InboundTrunk, InviteRequest, SipEvent, Transport, TransportAddress, UserAgent,
    UserAgentConfig,
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
            accept_refer: true,
        }],
    }
}

fn name(user: &str) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(user), "127.0.0.9", None), params: String::new() }
}

pub fn run(bytes: &[u8]) {
    let start = Instant::now();
    let mut now = start;
    let mut user_agent = UserAgent::new(now, config(), [7; 32]);
    let mut calls: Vec<CallId> = vec![];
    let mut ended: HashMap<CallId, u32> = HashMap::new();
    let mut sent: Vec<Vec<u8>> = vec![];
    let source = SocketAddr::from(([127, 0, 0, 9], 5_060));
    let mut rest = bytes;
    while let [what, which, after @ ..] = rest {
        rest = after;
        now += Duration::from_millis(u64::from(*which) * 7);
        let call = calls.get(usize::from(*which) % calls.len().max(1)).copied().unwrap_or(CallId(1));
        match what % 16 {
            0 => {
                let invite = InviteRequest {
                    request_uri: name("callee").uri,
                    from: name("us"),
                    to: name("callee"),
                    hops: vec![],
                    transport: Transport::Udp,
                    credentials: None,
                    sdp: (which % 2 == 0).then(|| b"v=0\r\n".to_vec()),
                    headers: Headers::default(),
                    trunk: None,
                    accept_refer: true,
                };
                calls.extend(user_agent.send_invite(now, invite));
            }
            1 => drop(user_agent.answer(now, call, b"v=0\r\n".to_vec())),
            2 => drop(user_agent.send_provisional(now, call, 183, Some(b"v=0\r\n".to_vec()))),
            3 => drop(user_agent.reject(now, call, 486, None)),
            4 => drop(user_agent.hang_up(now, call)),
            5 => drop(user_agent.send_reoffer(now, call, b"v=0\r\n".to_vec())),
            6 => drop(user_agent.answer_reoffer(now, call, (which % 2 == 0).then(|| b"v=0\r\n".to_vec()))),
            7 => drop(user_agent.answer_refer(now, call, which % 2 == 0)),
            8 => drop(user_agent.acknowledge(call, None)),
            9 => drop(user_agent.send_refer_notify(now, call, 200)),
            // What it sent comes back as if from the other side, whole or as an answer.
            10 | 11 if !sent.is_empty() => {
                let echo = sent[usize::from(*which) % sent.len()].clone();
                user_agent.handle_datagram(now, source, &echo);
            }
            12 if !sent.is_empty() => {
                let text = String::from_utf8_lossy(&sent[usize::from(*which) % sent.len()]).into_owned();
                let status = ["100 Trying", "183 Early", "200 OK", "401 No", "422 Small", "491 Glare", "302 Moved"];
                let network = format!("SIP/2.0 {}", status[usize::from(*which) % status.len()]);
                let (_, headers) = text.split_once("\r\n").unwrap_or(("", ""));
                let answer = format!(
                    "{network}\r\n{}",
                    headers.replace("To: <sip:callee@127.0.0.9>\r\n", "To: <sip:callee@127.0.0.9>;tag=x\r\n")
                );
                user_agent.handle_datagram(now, source, answer.as_bytes());
            }
            13 => user_agent.handle_timeout(now),
            _ => {
                let (datagram, next) = rest.split_at(rest.len().min(usize::from(*which) * 4));
                rest = next;
                user_agent.handle_datagram(now, source, datagram);
            }
        }
        while let Some(query) = user_agent.poll_query() {
            let found = vec![TransportAddress { transport: Transport::Udp, addr: source }];
            user_agent.handle_resolved(now, query.id, if which % 3 == 0 { Err("none".into()) } else { Ok(found) });
        }
        while let Some(transmit) = user_agent.poll_transmit() {
            if sent.len() < 64 {
                sent.push(transmit.bytes.to_vec());
            }
        }
        while let Some(event) = user_agent.poll_event() {
            match event {
                SipEvent::Incoming(incoming) => calls.push(incoming.call),
                SipEvent::ReplacesReceived { by, .. } => calls.push(by.call),
                SipEvent::Ended { call, .. } => *ended.entry(call).or_default() += 1,
                _ => {}
            }
        }
    }
    for call in &calls {
        let _ = user_agent.hang_up(now, *call);
    }
    for _ in 0..20_000 {
        let Some(at) = user_agent.poll_timeout().filter(|at| *at < now + Duration::from_secs(1_800)) else { break };
        user_agent.handle_timeout(at);
        while user_agent.poll_transmit().is_some() {}
    }
    while let Some(event) = user_agent.poll_event() {
        if let SipEvent::Ended { call, .. } = event {
            *ended.entry(call).or_default() += 1;
        }
    }
    assert!(ended.values().all(|times| *times == 1), "{ended:?}");
    assert_eq!(user_agent.held_counts(), (0, 0, 0), "{user_agent:?}");
}
