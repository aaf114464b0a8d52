//! Records the SIP messages of calls: gives the message log its clock and addresses, and reads it for their owners.

use super::handle::{ServiceCommand, SipCommand, SipHandle};
use crate::sip::message_log::{LegMessages, LegTag, MessageDirection, MessageExcerpt, MessageLog, WireMessage};
use crate::sip::transport::{Transport, TransportAddress};
use crate::sip::user_agent::{CallId, IncomingInvite, UserAgentConfig};
use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// The message log, and the addresses at which peers see us.
pub(super) struct MessageRecorder {
    log: MessageLog,
    advertised: [IpAddr; 2],
    udp_port: u16,
    tcp_port: u16,
    tls_port: u16,
    ws_port: u16,
}

impl MessageRecorder {
    pub(super) fn new(config: &UserAgentConfig) -> Self {
        let (own, other) = (config.advertised, config.advertised_other.unwrap_or(config.advertised));
        Self {
            log: MessageLog::default(),
            advertised: [own, other],
            udp_port: config.udp_port,
            tcp_port: config.tcp_port,
            tls_port: config.tls_port.unwrap_or(config.tcp_port),
            ws_port: config.ws_port.unwrap_or(config.tcp_port),
        }
    }

    fn local(&self, peer: TransportAddress) -> SocketAddr {
        let [own, other] = self.advertised;
        let ip = if own.is_ipv4() == peer.addr.is_ipv4() { own } else { other };
        let port = match peer.transport {
            Transport::Udp => self.udp_port,
            Transport::Tcp => self.tcp_port,
            Transport::Tls => self.tls_port,
            Transport::Ws | Transport::Wss => self.ws_port,
        };
        SocketAddr::new(ip, port)
    }

    /// A message that the peer sent, or one for it.
    pub(super) fn record(&mut self, direction: MessageDirection, peer: TransportAddress, bytes: &[u8], length: usize) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let (local, remote, transport) = (self.local(peer), peer.addr, peer.transport);
        self.log.record(WireMessage { at_ms, direction, transport, local, remote, bytes, length });
    }

    /// A message of a connection.
    pub(super) fn record_excerpt(&mut self, peer: TransportAddress, received: &MessageExcerpt) {
        self.record(MessageDirection::Received, peer, &received.bytes, received.length);
    }

    /// The peer calls.
    pub(super) fn open_inbound(&mut self, incoming: &IncomingInvite) {
        let tag = incoming.from.tag().unwrap_or("");
        self.log.open(incoming.call, &incoming.sip_call_id, LegTag::Remote(tag));
    }

    /// We call; nothing has been sent yet.
    pub(super) fn open_outbound(&mut self, call: CallId, sip_call_id: &str, local_tag: &str) {
        self.log.open(call, sip_call_id, LegTag::Local(local_tag));
    }

    /// Forgets calls that have been over for a while. `has_call` says whether the user agent still has the call.
    pub(super) fn sweep(&mut self, has_call: impl Fn(CallId) -> bool) {
        self.log.sweep(Instant::now(), has_call);
    }

    /// The messages of those of these calls that are known.
    pub(super) fn messages(&self, calls: &[CallId]) -> Vec<LegMessages> {
        calls.iter().filter_map(|call| self.log.messages(*call)).collect()
    }
}

impl SipHandle {
    /// The SIP messages of these calls. A call is known until ten seconds after its last transaction.
    pub async fn call_messages(&self, calls: Vec<CallId>) -> Vec<LegMessages> {
        let (reply, answer) = oneshot::channel();
        let command = SipCommand::Service(ServiceCommand::CallMessages { calls, reply });
        if self.commands.send(command).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::user_agent::DestinationPolicy;

    fn recorder() -> MessageRecorder {
        MessageRecorder::new(&UserAgentConfig {
            advertised: [192, 0, 2, 1].into(),
            advertised_other: Some("2001:db8::1".parse().unwrap()),
            udp_port: 5_060,
            tcp_port: 5_061,
            tls_port: Some(5_062),
            ws_port: Some(5_063),
            user_agent: "test".into(),
            realm: "test".into(),
            calls_max: 1,
            retry_after_s: 1,
            session_expires_s: 0,
            destinations: DestinationPolicy::allow_all(),
            trunks: vec![],
        })
    }

    fn peer(transport: Transport, addr: &str) -> TransportAddress {
        TransportAddress { transport, addr: addr.parse().unwrap() }
    }

    fn message(start: &str, from_tag: &str, to: &str) -> String {
        format!(
            "{start}\r\nFrom: <sip:a@h>;tag={from_tag}\r\nTo: <sip:b@h>{to}\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\r\n"
        )
    }

    #[test]
    fn our_address_is_that_of_the_transport_and_of_the_peers_family() {
        let recorder = recorder();
        for (transport, addr, local) in [
            (Transport::Udp, "192.0.2.7:5060", "192.0.2.1:5060"),
            (Transport::Tcp, "192.0.2.7:5060", "192.0.2.1:5061"),
            (Transport::Tls, "192.0.2.7:5060", "192.0.2.1:5062"),
            (Transport::Ws, "192.0.2.7:5060", "192.0.2.1:5063"),
            (Transport::Wss, "[2001:db8::7]:5060", "[2001:db8::1]:5063"),
        ] {
            assert_eq!(recorder.local(peer(transport, addr)).to_string(), local, "{transport:?} {addr}");
        }
    }

    #[test]
    fn messages_of_both_directions_are_found_by_the_tag_of_who_called() {
        let mut recorder = recorder();
        let at = peer(Transport::Tcp, "192.0.2.7:5060");
        recorder.open_outbound(CallId(1), "c1", "ours");
        let invite = message("INVITE sip:b@h SIP/2.0", "ours", "");
        recorder.record(MessageDirection::Sent, at, invite.as_bytes(), invite.len());
        // Of a long message of a connection there is the beginning.
        let answer = message("SIP/2.0 200 OK", "ours", ";tag=theirs");
        recorder.record_excerpt(at, &MessageExcerpt { bytes: answer.clone().into_bytes(), length: 70_000 });
        // With one Call-ID, the call of somebody else.
        let other = message("INVITE sip:b@h SIP/2.0", "another", "");
        recorder.record(MessageDirection::Received, at, other.as_bytes(), other.len());
        let [leg] = &recorder.messages(&[CallId(1), CallId(2)])[..] else { panic!("one leg is known") };
        let seen: Vec<_> =
            leg.messages.iter().map(|one| (one.direction, one.local.port(), one.length, one.masked().is_cut)).collect();
        let received = (MessageDirection::Received, 5_061, 70_000, true);
        assert_eq!(seen, [(MessageDirection::Sent, 5_061, invite.len(), false), received]);
        assert!(leg.messages.iter().all(|one| one.at_ms > 1_700_000_000_000), "milliseconds since 1970");
    }

    #[test]
    fn a_call_that_goes_on_is_open() {
        let mut recorder = recorder();
        recorder.open_outbound(CallId(1), "c1", "ours");
        recorder.sweep(|_| true);
        assert!(recorder.messages(&[CallId(1)])[0].is_open);
        recorder.sweep(|call| call != CallId(1));
        assert!(!recorder.messages(&[CallId(1)])[0].is_open);
    }
}
