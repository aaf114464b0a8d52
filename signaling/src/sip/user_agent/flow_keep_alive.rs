//! Keeps the flow of a registration open (RFC 5626 sections 4.4 and 4.5): how often something is sent over it, and whether
//! the registrar is still there. Connections are pinged by their own task as well.

use crate::sip::message::{HeaderName, Headers};
use crate::sip::transport::{Transport, TransportAddress};
use crate::stun;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Interval over UDP where the registrar names none (RFC 5626 section 4.4.2: 24 to 29 s).
const DATAGRAM_INTERVAL: Duration = Duration::from_secs(29);
/// Shortest and longest Flow-Timer that is honoured.
const INTERVAL_MIN_S: u32 = 5;
const INTERVAL_MAX_S: u32 = 3_600;
/// First wait for the answer to a STUN request, which doubles (RFC 8489 section 6.2.1).
const STUN_WAIT: Duration = Duration::from_millis(500);
/// STUN requests without an answer after which the flow is lost.
const STUN_ATTEMPTS_MAX: u32 = 6;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlowProbe {
    /// A double CRLF on a connection.
    Ping,
    /// A CRLF over UDP, which nobody answers: for registrars that say nothing of RFC 5626.
    LineEnd,
    /// A STUN request over UDP. `mapped`: where the registrar saw us before.
    Stun { mapped: Option<SocketAddr> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlowPhase {
    /// The next probe is due then.
    Quiet { at: Instant },
    /// A STUN request waits for its answer, and is repeated then.
    Asked { transaction: [u8; 12], attempts: u32, at: Instant },
}

/// What is due on a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FlowAction {
    /// These bytes go to the registrar.
    Send(Vec<u8>),
    /// The registrar does not answer, or sees us at another address.
    Lost,
}

/// The flow of one registration.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowKeepAlive {
    peer: TransportAddress,
    probe: FlowProbe,
    interval: Duration,
    phase: FlowPhase,
}

impl FlowKeepAlive {
    /// Of a registration that was granted over this flow; `None` where nothing has to be sent. `random` spreads the
    /// intervals of many.
    pub(super) fn of_grant(now: Instant, peer: TransportAddress, granted: &Headers, random: u32) -> Option<Self> {
        let flow_timer = HeaderName::Other("Flow-Timer".into());
        let named = granted.iter().find(|header| header.name.as_str().eq_ignore_ascii_case(flow_timer.as_str()));
        let named_s = named.and_then(|header| header.value.trim().parse::<u32>().ok()).filter(|seconds| *seconds > 0);
        let has_outbound = |name: HeaderName| granted.list(&name).any(|tag| tag.eq_ignore_ascii_case("outbound"));
        let knows_outbound = named_s.is_some() || has_outbound(HeaderName::Require);
        let longest = named_s.map(|s| Duration::from_secs(s.clamp(INTERVAL_MIN_S, INTERVAL_MAX_S).into()));
        let (probe, longest) = match (peer.transport, longest) {
            (Transport::Udp, longest) if knows_outbound => {
                (FlowProbe::Stun { mapped: None }, longest.unwrap_or(DATAGRAM_INTERVAL))
            }
            (Transport::Udp, _) => (FlowProbe::LineEnd, DATAGRAM_INTERVAL),
            (_, Some(longest)) => (FlowProbe::Ping, longest),
            (_, None) => return None,
        };
        // Between 80 and 100 % of it (RFC 5626 section 4.4.1).
        let interval = longest.saturating_mul(800_u32.saturating_add(random % 200)).checked_div(1_000)?;
        Some(Self { peer, probe, interval, phase: FlowPhase::Quiet { at: now + interval } })
    }

    /// The same flow as before, whose registration was refreshed.
    pub(super) fn continuing(self, before: Option<Self>) -> Self {
        match before {
            Some(before) if before.peer == self.peer => match (before.probe, self.probe) {
                (FlowProbe::Stun { .. }, FlowProbe::Stun { .. }) => Self { probe: before.probe, ..self },
                _ => self,
            },
            _ => self,
        }
    }

    pub(super) fn peer(&self) -> TransportAddress {
        self.peer
    }

    pub(super) fn next_timeout(&self) -> Instant {
        match self.phase {
            FlowPhase::Quiet { at } | FlowPhase::Asked { at, .. } => at,
        }
    }

    /// What is due. `transaction`: for a new STUN request; it must not be guessable.
    pub(super) fn handle_timeout(&mut self, now: Instant, transaction: [u8; 12]) -> Option<FlowAction> {
        if self.next_timeout() > now {
            return None;
        }
        let (transaction, attempts) = match (self.phase, self.probe) {
            (FlowPhase::Asked { attempts, .. }, _) if attempts >= STUN_ATTEMPTS_MAX => return Some(FlowAction::Lost),
            (FlowPhase::Asked { transaction, attempts, .. }, _) => (transaction, attempts),
            (FlowPhase::Quiet { .. }, FlowProbe::Stun { .. }) => (transaction, 0),
            (FlowPhase::Quiet { .. }, FlowProbe::Ping | FlowProbe::LineEnd) => {
                self.phase = FlowPhase::Quiet { at: now + self.interval };
                let bytes: &[u8] = if self.probe == FlowProbe::Ping { b"\r\n\r\n" } else { b"\r\n" };
                return Some(FlowAction::Send(bytes.to_vec()));
            }
        };
        let wait = STUN_WAIT.saturating_mul(1 << attempts.min(8));
        self.phase = FlowPhase::Asked { transaction, attempts: attempts.saturating_add(1), at: now + wait };
        Some(FlowAction::Send(stun::binding_request(transaction).to_vec()))
    }

    /// Takes a datagram from the registrar that may answer our STUN request.
    pub(super) fn handle_stun(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) -> Option<FlowAction> {
        let FlowPhase::Asked { transaction, .. } = self.phase else { return None };
        let FlowProbe::Stun { mapped: before } = self.probe else { return None };
        if source != self.peer.addr {
            return None;
        }
        let mapped = stun::mapped_address(bytes, transaction)?;
        self.probe = FlowProbe::Stun { mapped: Some(mapped) };
        self.phase = FlowPhase::Quiet { at: now + self.interval };
        before.is_some_and(|before| before != mapped).then_some(FlowAction::Lost)
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;

    fn headers(flow_timer: &str) -> Headers {
        let mut headers = Headers::default();
        if !flow_timer.is_empty() {
            headers.push(HeaderName::Other("flow-timer".into()), flow_timer);
        }
        headers
    }

    fn peer(transport: Transport) -> TransportAddress {
        TransportAddress { transport, addr: "192.0.2.1:5060".parse().unwrap() }
    }

    /// A success response that names this port (RFC 8489 section 14.2).
    fn answer(transaction: [u8; 12], port: u16) -> Vec<u8> {
        let mut bytes = vec![1, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42];
        bytes.extend(transaction);
        bytes.extend([0, 0x20, 0, 8, 0, 1]);
        bytes.extend((port ^ 0x2112).to_be_bytes());
        bytes.extend([192 ^ 0x21, 0x12, 2 ^ 0xA4, 9 ^ 0x42]);
        bytes
    }

    #[test]
    fn intervals_are_those_of_the_registrar() {
        let now = Instant::now();
        let waits = |transport, flow_timer: &str| {
            let of = |random| FlowKeepAlive::of_grant(now, peer(transport), &headers(flow_timer), random);
            let wait = |random| of(random).map(|flow| (flow.next_timeout() - now).as_millis());
            (wait(0), wait(199))
        };
        assert_eq!(waits(Transport::Tcp, "100"), (Some(80_000), Some(99_900)));
        assert_eq!(waits(Transport::Udp, "20"), (Some(16_000), Some(19_980)));
        assert_eq!(waits(Transport::Udp, ""), (Some(23_200), Some(28_971)));
        assert_eq!(waits(Transport::Udp, "1"), (Some(4_000), Some(4_995)), "not more often than that");
        for nonsense in ["", "0", "-1", "x"] {
            assert_eq!(waits(Transport::Tcp, nonsense), (None, None), "its connection is pinged anyway");
        }
    }

    #[test]
    fn a_stun_request_is_repeated_and_the_flow_is_lost_without_an_answer() {
        let start = Instant::now();
        let mut flow = FlowKeepAlive::of_grant(start, peer(Transport::Udp), &headers("20"), 0).unwrap();
        let first = start + Duration::from_secs(16);
        assert_eq!(flow.handle_timeout(start, [1; 12]), None);
        let mut sent = Vec::new();
        let lost = loop {
            let now = flow.next_timeout();
            match flow.handle_timeout(now, [2; 12]) {
                Some(FlowAction::Send(bytes)) => {
                    assert_eq!(bytes, stun::binding_request([2; 12]));
                    sent.push((now - first).as_millis());
                }
                Some(FlowAction::Lost) => break now - first,
                None => panic!("due"),
            }
        };
        assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 15_500]);
        assert_eq!(lost.as_millis(), 31_500);
    }

    #[test]
    fn a_flow_whose_address_changes_is_lost() {
        let start = Instant::now();
        let (registrar, stranger) = (peer(Transport::Udp).addr, "192.0.2.2:5060".parse().unwrap());
        let mut flow = FlowKeepAlive::of_grant(start, peer(Transport::Udp), &headers("20"), 0).unwrap();
        for (port, wanted) in [(4_000, None), (4_000, None), (4_001, Some(FlowAction::Lost))] {
            let now = flow.next_timeout();
            assert!(matches!(flow.handle_timeout(now, [3; 12]), Some(FlowAction::Send(_))));
            assert_eq!(flow.handle_stun(now, stranger, &answer([3; 12], 1)), None);
            assert_eq!(flow.handle_stun(now, registrar, &answer([4; 12], 1)), None);
            assert_eq!(flow.handle_stun(now, registrar, b"x"), None);
            assert_eq!(flow.handle_stun(now, registrar, &answer([3; 12], port)), wanted);
            let refreshed = FlowKeepAlive::of_grant(now, peer(Transport::Udp), &headers("20"), 0).unwrap();
            flow = refreshed.continuing(Some(flow));
        }
    }
}
