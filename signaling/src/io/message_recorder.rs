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
