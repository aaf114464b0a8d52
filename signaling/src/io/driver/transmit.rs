//! Sends messages, opens connections for them, and looks up the names they go to.

use super::state::SipDriver;
use crate::io::connection::{self, ConnectionPeer};
use crate::io::dns::{self, Lookup, LookupPurpose, LookupResult};
use crate::io::listener::ListenerContext;
use crate::io::open_connections::SipConnection;
use crate::io::self_checks::CHECK_ADDR;
use crate::limits;
use crate::sip::message_log::MessageDirection;
use crate::sip::transport::{ConnectionChoice, Transmit, TransmitTarget, Transport, TransportAddress};
use crate::sip::user_agent::{DnsQuery, NextHop};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use trunkline_connections::PeerClass;
use trunkline_supervision::spawn;

/// What became of a message for a connection that is open.
enum OpenConnectionUse {
    /// It waits in the connection's queue.
    Queued,
    /// The peer does not read; its connection is closed.
    Full,
    NoneOpen,
}

impl SipDriver {
    pub(super) fn transmit(&mut self, transmit: Transmit) {
        match &transmit.target {
            // The answer to a self-check is not sent.
            TransmitTarget::Addr(CHECK_ADDR) => self.self_checks.handle_check_answer(&transmit.bytes),
            TransmitTarget::Addr(addr) => {
                let addr = *addr;
                self.send_to(transmit, addr);
            }
            TransmitTarget::Name { host, port } => {
                let next_hop = NextHop { host: host.clone(), port: *port, transport: Some(transmit.transport) };
                let transport = transmit.transport;
                self.start_lookup(Lookup { next_hop, transport, purpose: LookupPurpose::Message(transmit) });
            }
        }
    }

    pub(super) fn handle_dns_query(&mut self, query: DnsQuery) {
        let DnsQuery { id, next_hop, transport } = query;
        self.start_lookup(Lookup { next_hop, transport, purpose: LookupPurpose::Query(id) });
    }

    fn start_lookup(&mut self, asked: Lookup) {
        if let Some(addresses) = self.names.get(Instant::now(), &asked.next_hop) {
            return self.handle_lookup_result(LookupResult { asked, result: Ok(addresses) });
        }
        // Queries are limited by the user agent itself.
        let permit = match &asked.purpose {
            LookupPurpose::Query(_) => None,
            LookupPurpose::Message(_) => match self.ack_lookups.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return, // the peer retransmits its 200 and we try again
            },
        };
        let (resolver, resolved) = (self.names.resolver(), self.resolved.clone());
        spawn("sip_names", async move {
            dns::resolve(asked, resolver, resolved).await;
            drop(permit);
        });
    }

    pub(super) fn handle_lookup_result(&mut self, LookupResult { asked, result }: LookupResult) {
        let now = Instant::now();
        if let Ok(addresses) = &result {
            self.names.insert(now, &asked.next_hop, addresses);
        }
        match (asked.purpose, result) {
            (LookupPurpose::Query(id), result) => self.user_agent.handle_resolved(now, id, result),
            (LookupPurpose::Message(mut transmit), Ok(addresses)) => {
                let permitted = |address: &&TransportAddress| self.user_agent.check_destination(address.addr).is_ok();
                if let Some(address) = addresses.iter().find(permitted) {
                    // Prefer the call's known server name for this address, else the name looked up.
                    let before = transmit.server_name.take();
                    let is_there =
                        before.as_deref().is_some_and(|name| self.streams.get(address, Some(name)).is_some());
                    transmit.server_name = if is_there { before } else { Some(asked.next_hop.host.as_str().into()) };
                    self.send_to(transmit, address.addr);
                }
            }
            // An ACK that cannot be sent: the peer retransmits its 200 and we try again.
            (LookupPurpose::Message(_), Err(_)) => {}
        }
    }

    fn report_unreachable(&mut self, transmit: Transmit, why: &str) {
        if let Some(transaction) = transmit.transaction {
            self.user_agent.handle_unreachable(Instant::now(), &transaction, why);
        }
    }

    fn send_to(&mut self, transmit: Transmit, addr: SocketAddr) {
        let peer = TransportAddress { transport: transmit.transport, addr };
        if transmit.transport != Transport::Udp {
            self.messages.record(MessageDirection::Sent, peer, &transmit.bytes, transmit.bytes.len());
            return self.send_on_stream(transmit, addr);
        }
        let both = self.udp.local_addr().is_ok_and(|local| local.is_ipv6());
        let to = match addr.ip() {
            IpAddr::V4(ip) if both => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
            _ => addr,
        };
        let sent = self.udp.try_send_to(&transmit.bytes, to);
        // The peer does not wait for the recording.
        self.messages.record(MessageDirection::Sent, peer, &transmit.bytes, transmit.bytes.len());
        match sent {
            Ok(_) => {}
            // A full socket buffer is packet loss, which the transaction timers repair.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.report_unreachable(transmit, &format!("send: {error}")),
        }
    }

    fn send_on_stream(&mut self, transmit: Transmit, addr: SocketAddr) {
        let peer = TransportAddress { transport: transmit.transport, addr };
        let server_name = transmit.server_name.clone().filter(|_| transmit.transport == Transport::Tls);
        // A response belongs to the connection of its request, whoever opened that.
        let name = match transmit.connection {
            ConnectionChoice::OpenElse(_) => None,
            ConnectionChoice::Any | ConnectionChoice::OpenOnly => server_name.clone(),
        };
        match self.send_on_open(&transmit, &peer, name.as_deref()) {
            OpenConnectionUse::Queued => return,
            OpenConnectionUse::Full => return self.report_unreachable(transmit, "connection does not drain"),
            OpenConnectionUse::NoneOpen => {}
        }
        if matches!(transmit.transport, Transport::Ws | Transport::Wss) {
            return self.report_unreachable(transmit, "the WebSocket is closed");
        }
        match transmit.connection {
            ConnectionChoice::OpenOnly => self.report_unreachable(transmit, "the connection is closed"),
            ConnectionChoice::OpenElse(other) => self.reopen_for_response(transmit, other, server_name),
            // It may evict connections of unknown peers.
            ConnectionChoice::Any => self.open_connection(transmit, peer, server_name, PeerClass::Exempt),
        }
    }

    /// Sends a response whose connection is gone. The new connection has the standing of its peer, so that nobody makes us
    /// evict others, and goes nowhere where requests may not go.
    fn reopen_for_response(&mut self, transmit: Transmit, addr: SocketAddr, server_name: Option<Arc<str>>) {
        let peer = TransportAddress { transport: transmit.transport, addr };
        let name = server_name.clone().filter(|_| self.streams.get(&peer, server_name.as_deref()).is_some());
        let is_done = !matches!(self.send_on_open(&transmit, &peer, name.as_deref()), OpenConnectionUse::NoneOpen);
        if is_done || self.user_agent.check_destination(addr).is_err() {
            return;
        }
        let standing = self.admission.lists.standing(addr.ip());
        self.open_connection(transmit, peer, server_name, standing);
    }

    /// Puts a message into the queue of an open connection.
    fn send_on_open(&mut self, transmit: &Transmit, peer: &TransportAddress, name: Option<&str>) -> OpenConnectionUse {
        let found = self.streams.get(peer, name);
        // Without a name, use a connection to the bare address that is being opened.
        let found = match name {
            None => found.or_else(|| self.streams.get(peer, Some(&peer.addr.ip().to_string()))),
            Some(_) => found,
        };
        let Some(stream) = found else { return OpenConnectionUse::NoneOpen };
        match stream.queue.try_send((transmit.bytes.clone(), transmit.transaction.clone())) {
            Ok(()) => OpenConnectionUse::Queued,
            Err(mpsc::error::TrySendError::Closed(_)) => OpenConnectionUse::NoneOpen,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let place = stream.place.clone();
                self.streams.close(peer, &place); // a peer that does not read is disconnected
                OpenConnectionUse::Full
            }
        }
    }

    /// Opens a connection; the message waits for it.
    fn open_connection(
        &mut self, transmit: Transmit, peer: TransportAddress, server_name: Option<Arc<str>>, standing: PeerClass,
    ) {
        let addr = peer.addr;
        let ListenerContext { connections, reports, limits, events, .. } = &self.admission;
        let Ok((place, eviction)) = connections.open(addr.ip(), standing, &reports.outbound) else {
            return self.report_unreachable(transmit, "too many connections");
        };
        let (place, limits) = (Arc::new(place), *limits);
        let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
        let _ = queue.try_send((transmit.bytes, transmit.transaction));
        let is_secure = transmit.transport == Transport::Tls;
        let server_name = is_secure.then(|| server_name.unwrap_or_else(|| addr.ip().to_string().into()));
        let secure = server_name.as_ref().map(|name| (self.certificates.connector.clone(), name.to_string()));
        self.streams.insert(peer, SipConnection { queue, place: place.clone(), server_name, is_open: !is_secure });
        let address = peer;
        let peer = ConnectionPeer { address, place: place.clone(), limits, is_ours: true };
        let serving = connection::connect(peer, secure, outbound, events.clone());
        spawn("sip_connection", connection::until_evicted(place, eviction, events.clone(), address, serving));
    }
}
