//! However a call fails, it gives its room back: with room for three calls, three failed ones never refuse the fourth.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::message::parse;
use trunkline_signaling::sip::user_agent::{CallId, SipEvent, Transport, TransportAddress, UserAgent};

const SDP: &[u8] = b"v=0\r\n";
/// A BYE that is tried at each place of its dialog and never answered.
const BYE_S: u64 = 4 + 4 + 32 + 1;

/// What the peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    NeverAcknowledges,
    AcknowledgesWithTheBranchOfTheInvite,
    /// The whole call: RFC 2543.
    KnowsNoBranches,
    AcknowledgesFromElsewhere,
    AcknowledgesAnotherInvite,
    CancelsInTime,
    CancelsTooLate,
    HangsUpBeforeItAcknowledges,
    LosesItsConnection,
}

const PEERS: [Peer; 9] = [
    Peer::NeverAcknowledges,
    Peer::AcknowledgesWithTheBranchOfTheInvite,
    Peer::KnowsNoBranches,
    Peer::AcknowledgesFromElsewhere,
    Peer::AcknowledgesAnotherInvite,
    Peer::CancelsInTime,
    Peer::CancelsTooLate,
    Peer::HangsUpBeforeItAcknowledges,
    Peer::LosesItsConnection,
];

struct EndsTest {
    user_agent: UserAgent,
    now: Instant,
    transport: Transport,
    source: SocketAddr,
}

impl EndsTest {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        let mut config = config(CALLEE, vec![trunk("127.0.0.1", None)]);
        config.calls_max = 3;
        let source = "127.0.0.1:41000".parse().unwrap();
        Self { user_agent: UserAgent::new(now, config, [3; 32]), now, transport, source }
    }

    /// What was sent: bytes as text.
    fn sent(&mut self) -> Vec<String> {
        let all = std::iter::from_fn(|| self.user_agent.poll_transmit());
        all.map(|sent| String::from_utf8_lossy(&sent.bytes).into_owned()).collect()
    }

    fn hear(&mut self, text: &str) -> Vec<String> {
        self.user_agent.handle_parsed(self.now, self.transport, self.source, parse::datagram(text.as_bytes()));
        self.sent()
    }

    fn events(&mut self) -> Vec<SipEvent> {
        std::iter::from_fn(|| self.user_agent.poll_event()).collect()
    }

    fn pass(&mut self, seconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        while let Some(at) = self.user_agent.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.user_agent.handle_timeout(self.now);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }

    /// An INVITE and the call that it began.
    fn invite(&mut self, name: &str, peer: Peer) -> (String, CallId) {
        let branch = match peer {
            Peer::KnowsNoBranches => String::new(),
            _ => format!(";branch=z9hG4bK{name}"),
        };
        let text = RAW_INVITE
            .replace("SIP/2.0/UDP", &format!("SIP/2.0/{}", self.transport.name()))
            .replace(";branch=z9hG4bKx", &branch)
            .replace("CALLID", name);
        let sent = self.hear(&text);
        assert!(sent.iter().any(|text| text.starts_with("SIP/2.0 100 ")), "{peer:?}: {sent:?}");
        let call = self.events().into_iter().find_map(|event| match event {
            SipEvent::Incoming(incoming) => Some(incoming.call),
            _ => None,
        });
        (text, call.unwrap())
    }

    fn answer(&mut self, call: CallId) -> String {
        self.user_agent.answer(self.now, call, SDP.to_vec()).unwrap();
        let answer = self.sent().pop().unwrap();
        answer.split("\r\nTo: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned()
    }

    /// A call that fails as this peer lets it.
    fn fail(&mut self, name: &str, peer: Peer) {
        let (invite, call) = self.invite(name, peer);
        let request = |method: &str, number: u32, to: &str| {
            let text = invite.replace("INVITE", method).replace("CSeq: 1 ", &format!("CSeq: {number} "));
            let line = text.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned();
            if to.is_empty() { text } else { text.replace(&line, &format!("To: {to}")) }
        };
        if peer == Peer::CancelsInTime {
            self.hear(&request("CANCEL", 1, ""));
            self.hear(&request("ACK", 1, ""));
            return;
        }
        let to = self.answer(call);
        let other_branch = |text: String| text.replace("z9hG4bK", "z9hG4bKother");
        match peer {
            Peer::NeverAcknowledges | Peer::LosesItsConnection | Peer::CancelsInTime => {}
            Peer::AcknowledgesWithTheBranchOfTheInvite | Peer::KnowsNoBranches => {
                self.hear(&request("ACK", 1, &to));
            }
            Peer::AcknowledgesFromElsewhere => {
                self.source.set_port(42_000);
                self.hear(&other_branch(request("ACK", 1, &to)));
            }
            Peer::AcknowledgesAnotherInvite => {
                self.hear(&other_branch(request("ACK", 7, &to)));
            }
            Peer::CancelsTooLate => {
                self.hear(&request("CANCEL", 1, ""));
            }
            Peer::HangsUpBeforeItAcknowledges => {
                self.hear(&other_branch(request("BYE", 2, &to)));
            }
        }
        if peer == Peer::LosesItsConnection {
            let lost = TransportAddress { transport: self.transport, addr: self.source };
            self.user_agent.handle_last_connection_lost(self.now, lost);
        }
        let is_acknowledged = self.events().iter().any(|event| matches!(event, SipEvent::Acknowledged { .. }));
        let acknowledges = matches!(
            peer,
            Peer::AcknowledgesWithTheBranchOfTheInvite | Peer::KnowsNoBranches | Peer::AcknowledgesFromElsewhere
        );
        assert_eq!(is_acknowledged, acknowledges, "{peer:?}");
        if is_acknowledged {
            let sent = self.pass(40);
            let is_repeated = sent.iter().any(|text| text.starts_with("SIP/2.0 200 "));
            assert!(!is_repeated && self.events().is_empty(), "{peer:?}: the call goes on");
            self.user_agent.hang_up(self.now, call).unwrap();
            assert!(self.sent().iter().any(|text| text.starts_with("BYE ")), "{peer:?}");
        }
    }
}

#[test]
fn a_failed_call_gives_its_room_back_and_leaves_no_session() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for peer in PEERS {
            let mut test = EndsTest::new(transport);
            for call in 0..3 {
                test.fail(&format!("call{call}"), peer);
            }
            // Those without an ACK are given up after 64 T1, and hung up.
            let sent = test.pass(33);
            let byes = sent.iter().filter(|text| text.starts_with("BYE ")).count();
            let waits = matches!(
                peer,
                Peer::NeverAcknowledges
                    | Peer::AcknowledgesAnotherInvite
                    | Peer::CancelsTooLate
                    | Peer::LosesItsConnection
            );
            assert!(!waits || byes >= 3, "{transport:?} {peer:?}: {byes}");
            assert_eq!(test.user_agent.calls(), 0, "{transport:?} {peer:?}");
            test.invite("fourth", peer);
            let (_, call) = test.invite("fifth", peer);
            test.user_agent.reject(test.now, call, 486, None).unwrap();
            test.sent();
            test.pass(BYE_S);
            // The fourth still rings.
            assert_eq!((test.user_agent.calls(), test.user_agent.held_counts().0), (1, 1), "{transport:?} {peer:?}");
        }
    }
}
