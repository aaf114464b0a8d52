//! Runs the SIP user agent: one task owns it, its UDP socket, connections and timers.

use super::connection::{self, ConnectionEvent, ConnectionPeer};
use super::dns::{self, DnsCache, Lookup, LookupPurpose, LookupResult};
use super::handle::{ListenAddresses, SipCommand, SipHandle};
use super::listener::{
    self, ListenerContext, ListenerKind, SipConnectionLimits, SipConnectionReports, TrunkAllowLists,
};
use super::open_connections::{OpenConnections, SipConnection};
use super::panic_containment::{CHECK_ADDR, CHECK_TRANSPORT, InternalWork, SWEEP_INTERVAL, SelfChecks};
use super::tls::TlsCertificates;
use crate::limits;
use crate::sip::message::parse;
use crate::sip::user_agent::{
    CallId, DnsQuery, IncomingInvite, NextHop, RegistrationEvent, SipCounters, SipEvent, Transmit, TransmitTarget,
    Transport, TransportAddress, UserAgent, UserAgentConfig,
};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use trunkline_connections::{ConnectionPool, PeerClass};
use trunkline_supervision::spawn;

/// An incoming call and its event queue.
#[derive(Debug)]
pub struct IncomingCall {
    /// The admitted INVITE with its trunk candidates, not answered yet.
    pub incoming: IncomingInvite,
    /// Events of this call, at most 64 waiting; the call is ended when its owner does not read them.
    pub events: mpsc::Receiver<SipEvent>,
}

/// Statistics of the running user agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SipSnapshot {
    /// Messages counted since the start.
    pub counters: SipCounters,
    /// Calls whose end has not been reported to their owner, ringing ones included.
    pub calls: usize,
    /// Sessions held: calls, ended calls with an open transaction, registrations and OPTIONS probes.
    pub sessions: usize,
    /// Server transactions held, for requests received (at most 320,000).
    pub server_transactions: usize,
    /// Client transactions held, for requests sent.
    pub client_transactions: usize,
}

/// Where to listen, and with which certificates.
#[derive(Debug)]
pub struct ListenConfig {
    /// UDP and TCP; with an unspecified IPv6 address both families.
    pub sip: SocketAddr,
    /// Where to listen for TLS; `None` for no TLS. Without a certificate the start fails.
    pub tls: Option<SocketAddr>,
    /// WebSockets (RFC 7118).
    pub ws: Option<SocketAddr>,
    /// WebSockets use TLS (WSS).
    pub ws_is_secure: bool,
    /// Origins that may open a WebSocket; all when empty.
    pub ws_origins: Vec<String>,
    /// Our certificate for inbound TLS, and the roots that verify the peers' certificates.
    pub certificates: TlsCertificates,
    /// DNS server to use instead of the system's servers.
    pub dns_server: Option<SocketAddr>,
    /// Limits of inbound and outbound connections.
    pub streams: SipConnectionLimits,
}

impl ListenConfig {
    /// UDP and TCP alone.
    pub fn plain(sip: SocketAddr) -> Self {
        let certificates = TlsCertificates::none();
        Self {
            sip,
            tls: None,
            ws: None,
            ws_is_secure: false,
            ws_origins: Vec::new(),
            certificates,
            dns_server: None,
            streams: SipConnectionLimits::default(),
        }
    }
}

/// A running SIP service.
#[derive(Debug)]
pub struct SipService {
    /// Sends commands to the SIP task; clones share its queue.
    pub handle: SipHandle,
    /// Inbound calls in order of arrival; when the queue is full, further calls are answered 503.
    pub incoming: mpsc::Receiver<IncomingCall>,
    /// Registration events, by trunk.
    pub registrations: mpsc::Receiver<(Arc<str>, RegistrationEvent)>,
}

pub(super) struct SipDriver {
    pub(super) user_agent: UserAgent,
    udp: Arc<UdpSocket>,
    pub(super) streams: OpenConnections,
    admission: ListenerContext,
    certificates: TlsCertificates,
    pub(super) calls: HashMap<CallId, mpsc::Sender<SipEvent>>,
    /// Event queues of calls that replace another call, until the owner takes them.
    unclaimed_events: HashMap<CallId, mpsc::Receiver<SipEvent>>,
    incoming: mpsc::Sender<IncomingCall>,
    registrations: mpsc::Sender<(Arc<str>, RegistrationEvent)>,
    names: DnsCache,
    resolved: mpsc::Sender<LookupResult>,
    /// Limits DNS lookups for ACKs.
    ack_lookups: Arc<Semaphore>,
    pub(super) self_checks: SelfChecks,
}

/// Starts the user agent. The ports in `config` are replaced by those bound. `calls_waiting_max` bounds the calls that
/// wait for their owner; more are answered 503.
pub async fn start(
    listen: ListenConfig, mut config: UserAgentConfig, seed: [u8; 32], calls_waiting_max: usize,
) -> io::Result<SipService> {
    let (udp, tcp) = bind_both(listen.sip).await?;
    let (events, stream_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let reports = SipConnectionReports::default();
    let admission = ListenerContext {
        connections: ConnectionPool::new(listen.streams.caps),
        reports: reports.clone(),
        lists: TrunkAllowLists::default(),
        limits: listen.streams,
        events,
    };
    let mut local = ListenAddresses { udp: udp.local_addr()?, tcp: tcp.local_addr()?, tls: None, ws: None };
    let TlsCertificates { acceptor, .. } = &listen.certificates;
    if let Some(addr) = listen.tls {
        let acceptor = acceptor.clone().ok_or_else(|| io::Error::other("TLS without a certificate"))?;
        let listener = TcpListener::bind(addr).await?;
        local.tls = Some(listener.local_addr()?);
        spawn("sip_listener", listener::listen(listener, ListenerKind::Tls(acceptor), admission.clone()));
    }
    if let Some(addr) = listen.ws {
        let acceptor = acceptor.clone().filter(|_| listen.ws_is_secure);
        let listener = TcpListener::bind(addr).await?;
        local.ws = Some(listener.local_addr()?);
        let door = ListenerKind::Ws { acceptor, origins: listen.ws_origins.into() };
        spawn("sip_listener", listener::listen(listener, door, admission.clone()));
    }
    (config.udp_port, config.tcp_port) = (local.udp.port(), local.tcp.port());
    (config.tls_port, config.ws_port) = (local.tls.map(|addr| addr.port()), local.ws.map(|addr| addr.port()));
    spawn("sip_listener", listener::listen(tcp, ListenerKind::Tcp, admission.clone()));
    let (commands, command_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (incoming, incoming_queue) = mpsc::channel(calls_waiting_max);
    let (resolved, resolved_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (registrations, registration_events) = mpsc::channel(limits::COMMANDS_MAX);
    let driver = SipDriver {
        user_agent: UserAgent::new(Instant::now(), config, seed),
        udp: Arc::new(udp),
        streams: OpenConnections::default(),
        admission,
        certificates: listen.certificates,
        calls: HashMap::new(),
        unclaimed_events: HashMap::new(),
        incoming,
        registrations,
        names: DnsCache::new(listen.dns_server),
        resolved,
        ack_lookups: Arc::new(Semaphore::new(limits::ACK_LOOKUPS_MAX)),
        self_checks: SelfChecks::default(),
    };
    spawn("sip", driver.run(command_queue, stream_queue, resolved_queue));
    let handle = SipHandle { commands, local, reports };
    Ok(SipService { handle, incoming: incoming_queue, registrations: registration_events })
}

/// One port for both transports, so that one URI works for both. With port 0, tries until a port is free for both UDP
/// and TCP.
async fn bind_both(bind: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let attempts = if bind.port() == 0 { 50 } else { 1 };
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..attempts {
        let udp = bind_udp(bind)?;
        match TcpListener::bind(SocketAddr::new(bind.ip(), udp.local_addr()?.port())).await {
            Ok(listener) => return Ok((udp, listener)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_udp(bind: SocketAddr) -> io::Result<UdpSocket> {
    let domain = if bind.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if bind.is_ipv6() {
        socket.set_only_v6(!bind.ip().is_unspecified())?;
    }
    // A burst of a thousand INVITEs a second must fit between two turns of the driver.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    UdpSocket::from_std(socket.into())
}

/// Converts IPv4-mapped addresses of a dual-stack socket.
fn to_canonical_addr(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

impl SipDriver {
    async fn run(
        mut self, mut commands: mpsc::Receiver<SipCommand>, mut streams: mpsc::Receiver<ConnectionEvent>,
        mut resolved: mpsc::Receiver<LookupResult>,
    ) {
        let mut buffer = vec![0; limits::MESSAGE_BYTES_MAX];
        let udp = self.udp.clone();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = self.user_agent.poll_timeout();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => self.run_internal(InternalWork::Timer, |driver| driver.user_agent.handle_timeout(Instant::now())),
                _ = udp.readable() => self.receive(&mut buffer),
                command = commands.recv() => match command {
                    Some(command) => {
                        self.self_checks.commands += 1;
                        self.run_contained(command.call(), |driver| driver.handle_command(command));
                    }
                    None => return,
                },
                Some(event) = streams.recv() => self.handle_connection_event(event),
                Some(resolved) = resolved.recv() => self.run_contained(None, |driver| driver.handle_lookup_result(resolved)),
                _ = sweep.tick() => {
                    let waiting = commands.len() as u64;
                    self.run_internal(InternalWork::Sweep, |driver| driver.sweep(waiting));
                }
            }
            self.run_internal(InternalWork::Output, Self::flush);
            if self.self_checks.must_stop() {
                tracing::error!("SIP stops: its internal work panicked repeatedly");
                return;
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        for _ in 0..limits::RECEIVE_BATCH_MAX {
            match self.udp.try_recv_from(buffer) {
                Ok((len, source)) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    self.handle_datagram_contained(now, bytes, |driver| {
                        driver.user_agent.handle_datagram(now, to_canonical_addr(source), bytes)
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends surface here; the transaction timers deal with the peer.
                Err(_) => {}
            }
        }
    }

    fn handle_command(&mut self, command: SipCommand) {
        let now = Instant::now();
        let user_agent = &mut self.user_agent;
        let refused = match command {
            SipCommand::SendInvite { invite, reply } => {
                let result = user_agent.send_invite(now, *invite).map(|call| {
                    let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
                    self.calls.insert(call, events);
                    (call, queue)
                });
                if let Err(Ok((call, _))) = reply.send(result) {
                    let _ = user_agent.hang_up(now, call);
                }
                Ok(())
            }
            SipCommand::SendOptions { probe, reply } => {
                let result = user_agent.send_options(now, *probe).map(|call| {
                    let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
                    self.calls.insert(call, events);
                    queue
                });
                let _ = reply.send(result);
                Ok(())
            }
            SipCommand::MarkAttended { call } => user_agent.mark_attended(call),
            SipCommand::SendProvisional { call, status, sdp } => user_agent.send_provisional(now, call, status, sdp),
            SipCommand::Answer { call, sdp } => user_agent.answer(now, call, sdp),
            SipCommand::Reject { call, status, retry_after_s } => user_agent.reject(now, call, status, retry_after_s),
            SipCommand::RejectUnknownNumber { call } => user_agent.reject_unknown_number(now, call),
            SipCommand::AssignTrunk { call, id } => user_agent.assign_trunk(call, &id),
            SipCommand::HangUp { call } => user_agent.hang_up(now, call),
            SipCommand::AnswerReoffer { call, sdp } => user_agent.answer_reoffer(now, call, sdp),
            SipCommand::SendInfo { call, content_type, body } => user_agent.send_info(now, call, content_type, body),
            SipCommand::SendRefer { call, target } => user_agent.send_refer(now, call, &target),
            SipCommand::AnswerRefer { call, accept } => user_agent.answer_refer(now, call, accept),
            SipCommand::SendReferNotify { call, status } => user_agent.send_refer_notify(now, call, status),
            SipCommand::SendReoffer { call, sdp } => user_agent.send_reoffer(now, call, sdp),
            SipCommand::Acknowledge { call, sdp } => user_agent.acknowledge(call, sdp),
            SipCommand::TakeEvents { call, reply } => {
                let _ = reply.send(self.unclaimed_events.remove(&call));
                Ok(())
            }
            SipCommand::SetRegistrations { rules } => {
                user_agent.set_registrations(now, rules);
                Ok(())
            }
            SipCommand::SetCallsMax { calls_max, done } => {
                user_agent.set_calls_max(calls_max);
                let _ = done.send(());
                Ok(())
            }
            SipCommand::SetTrunks { trunks, done } => {
                self.admission.lists.set(trunks.clone());
                user_agent.set_trunks(trunks);
                let _ = done.send(());
                Ok(())
            }
            SipCommand::SelfCheck { reply } => {
                let probe = self.self_checks.start_check(reply);
                user_agent.handle_parsed(now, CHECK_TRANSPORT, CHECK_ADDR, parse::datagram(probe.as_bytes()));
                Ok(())
            }
            SipCommand::Snapshot { reply } => {
                let (sessions, server_transactions, client_transactions) = user_agent.held_counts();
                let (counters, calls) = (user_agent.counters(), user_agent.calls());
                let _ = reply.send(SipSnapshot { counters, calls, sessions, server_transactions, client_transactions });
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            tracing::debug!(?refusal, "command does not fit the state of its call");
        }
    }

    fn handle_connection_event(&mut self, event: ConnectionEvent) {
        let now = Instant::now();
        match event {
            ConnectionEvent::Opened { peer, queue, place } => {
                self.streams.insert(peer, SipConnection { queue, place, server_name: None, is_open: true });
            }
            ConnectionEvent::Verified { peer, place } => self.streams.set_open(&peer, &place),
            ConnectionEvent::Received { peer, parsed } => {
                self.handle_stream_contained(now, peer, parsed);
            }
            ConnectionEvent::Closed { peer } => self.streams.forget_closed(&peer),
            ConnectionEvent::Unreachable { transaction, why } => {
                self.user_agent.handle_unreachable(now, &transaction, &why);
            }
        }
    }

    /// Sends and delivers all pending output of the user agent.
    fn flush(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.user_agent.poll_transmit() {
                idle = false;
                self.transmit(transmit);
            }
            while let Some(event) = self.user_agent.poll_event() {
                idle = false;
                self.deliver_event(event);
            }
            while let Some(query) = self.user_agent.poll_query() {
                idle = false;
                self.handle_dns_query(query);
            }
            if idle {
                return;
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
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

    fn handle_dns_query(&mut self, query: DnsQuery) {
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

    fn handle_lookup_result(&mut self, LookupResult { asked, result }: LookupResult) {
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
        if transmit.transport != Transport::Udp {
            return self.send_on_stream(transmit, addr);
        }
        let both = self.udp.local_addr().is_ok_and(|local| local.is_ipv6());
        let to = match addr.ip() {
            IpAddr::V4(ip) if both => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
            _ => addr,
        };
        match self.udp.try_send_to(&transmit.bytes, to) {
            Ok(_) => {}
            // A full socket buffer is packet loss, which the transaction timers repair.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.report_unreachable(transmit, &format!("send: {error}")),
        }
    }

    fn send_on_stream(&mut self, transmit: Transmit, addr: SocketAddr) {
        let peer = TransportAddress { transport: transmit.transport, addr };
        let item = (transmit.bytes.clone(), transmit.transaction.clone());
        let server_name = transmit.server_name.clone().filter(|_| transmit.transport == Transport::Tls);
        let found = self.streams.get(&peer, server_name.as_deref());
        // Without a name, use a connection to the bare address that is being opened.
        let found = match &server_name {
            None => found.or_else(|| self.streams.get(&peer, Some(&addr.ip().to_string()))),
            Some(_) => found,
        };
        let item = match found.map(|stream| (stream.queue.try_send(item.clone()), stream.place.clone())) {
            Some((Ok(()), _)) => return,
            Some((Err(mpsc::error::TrySendError::Full(_)), place)) => {
                self.streams.close(&peer, &place); // a peer that does not read is disconnected
                return self.report_unreachable(transmit, "connection does not drain");
            }
            Some((Err(mpsc::error::TrySendError::Closed(item)), _)) => item,
            None => item,
        };
        if matches!(transmit.transport, Transport::Ws | Transport::Wss) {
            return self.report_unreachable(transmit, "the WebSocket is closed");
        }
        // Never open a connection for a reply; otherwise a peer could make us open connections that evict others.
        if transmit.is_reply() {
            return;
        }
        let ListenerContext { connections, reports, limits, events, .. } = &self.admission;
        // Outbound connections may evict those of unknown peers.
        let Ok((place, eviction)) = connections.open(addr.ip(), PeerClass::Exempt, &reports.outbound) else {
            return self.report_unreachable(transmit, "too many connections");
        };
        let (place, limits) = (Arc::new(place), *limits);
        let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
        let _ = queue.try_send(item);
        let is_secure = transmit.transport == Transport::Tls;
        let server_name = is_secure.then(|| server_name.unwrap_or_else(|| addr.ip().to_string().into()));
        let secure = server_name.as_ref().map(|name| (self.certificates.connector.clone(), name.to_string()));
        self.streams.insert(peer, SipConnection { queue, place: place.clone(), server_name, is_open: !is_secure });
        let address = peer;
        let peer = ConnectionPeer { address, place: place.clone(), limits, is_ours: true };
        let serving = connection::connect(peer, secure, outbound, events.clone());
        spawn("sip_connection", connection::until_evicted(place, eviction, events.clone(), address, serving));
    }

    fn deliver_event(&mut self, event: SipEvent) {
        let call = match event {
            SipEvent::Incoming(incoming) => return self.deliver_incoming(*incoming),
            SipEvent::Registration { id, event } => {
                // A lost event is superseded by the next one.
                let _ = self.registrations.try_send((id, event));
                return;
            }
            SipEvent::ProvisionalResponse { call, .. }
            | SipEvent::Answered { call, .. }
            | SipEvent::Acknowledged { call, .. }
            | SipEvent::ReofferReceived { call, .. }
            | SipEvent::ReofferAccepted { call, .. }
            | SipEvent::ReofferRejected { call, .. }
            | SipEvent::ReferReceived { call, .. }
            | SipEvent::ReplacesReceived { call, .. }
            | SipEvent::InfoReceived { call, .. }
            | SipEvent::ReferProgress { call, .. }
            | SipEvent::OptionsAnswered { call, .. }
            | SipEvent::Ended { call, .. } => call,
        };
        let ended = matches!(event, SipEvent::Ended { .. } | SipEvent::OptionsAnswered { .. });
        let newcomer = match &event {
            SipEvent::ReplacesReceived { by, .. } => Some(by.call),
            _ => None,
        };
        if let Some(newcomer) = newcomer {
            let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
            self.calls.insert(newcomer, events);
            self.unclaimed_events.insert(newcomer, queue);
        }
        let delivered = self.calls.get(&call).is_none_or(|queue| queue.try_send(event).is_ok());
        if let Some(newcomer) = newcomer.filter(|_| !delivered) {
            let _ = self.user_agent.reject(Instant::now(), newcomer, 481, None);
        }
        if ended {
            self.unclaimed_events.remove(&call);
            self.calls.remove(&call);
        } else if !delivered {
            // The owner is gone or does not read, so the call is ended.
            self.calls.remove(&call);
            let _ = self.user_agent.hang_up(Instant::now(), call);
        }
    }

    fn deliver_incoming(&mut self, incoming: IncomingInvite) {
        let call = incoming.call;
        let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
        match self.incoming.try_send(IncomingCall { incoming, events: queue }) {
            Ok(()) => {
                self.calls.insert(call, events);
            }
            Err(_) => {
                let _ = self.user_agent.reject(Instant::now(), call, 503, Some(5));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::end_cause::EndCause;
    use crate::sip::user_agent::{DestinationPolicy, InboundTrunk};
    use tokio::sync::oneshot;

    const SOURCE: ([u8; 4], u16) = ([192, 0, 2, 7], 5_060);

    struct DriverTest {
        driver: SipDriver,
        incoming: mpsc::Receiver<IncomingCall>,
    }

    async fn running() -> DriverTest {
        let (stream_events, _) = mpsc::channel(8);
        let (incoming, calls) = mpsc::channel(8);
        let (registrations, _) = mpsc::channel(8);
        let (resolved, _) = mpsc::channel(8);
        let allow = vec![IpAddr::from([192, 0, 2, 7]).into()];
        let config = UserAgentConfig {
            advertised: IpAddr::from([127, 0, 0, 1]),
            advertised_other: None,
            udp_port: 5_060,
            tcp_port: 5_060,
            tls_port: None,
            ws_port: None,
            user_agent: "test".into(),
            realm: "test".into(),
            calls_max: 10,
            retry_after_s: 1,
            session_expires_s: 0,
            destinations: DestinationPolicy::allow_all(),
            trunks: vec![InboundTrunk { id: "t".into(), allow, credentials: None, accept_refer: false }],
        };
        let driver = SipDriver {
            user_agent: UserAgent::new(Instant::now(), config, [7; 32]),
            udp: Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
            streams: OpenConnections::default(),
            admission: ListenerContext {
                connections: ConnectionPool::new(SipConnectionLimits::default().caps),
                reports: SipConnectionReports::default(),
                lists: TrunkAllowLists::default(),
                limits: SipConnectionLimits::default(),
                events: stream_events,
            },
            certificates: TlsCertificates::none(),
            calls: HashMap::new(),
            unclaimed_events: HashMap::new(),
            incoming,
            registrations,
            names: DnsCache::new(None),
            resolved,
            ack_lookups: Arc::new(Semaphore::new(limits::ACK_LOOKUPS_MAX)),
            self_checks: SelfChecks::default(),
        };
        DriverTest { driver, incoming: calls }
    }

    fn message(method: &str, call: &str) -> String {
        format!(
            "{method} sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{method}{call}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:2@192.0.2.7>;tag={call}\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: {call}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:2@192.0.2.7:5060>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    impl DriverTest {
        fn hear(&mut self, text: &str) {
            let (now, bytes) = (Instant::now(), text.as_bytes());
            self.driver.handle_datagram_contained(now, bytes, |driver| {
                driver.user_agent.handle_datagram(now, SOURCE.into(), bytes)
            });
            self.driver.run_internal(InternalWork::Output, SipDriver::flush);
        }

        fn call(&mut self, id: &str) -> IncomingCall {
            self.hear(&message("INVITE", id));
            self.incoming.try_recv().unwrap()
        }

        fn check(&mut self) -> Option<u16> {
            let (reply, mut answer) = oneshot::channel();
            self.driver.run_contained(None, |driver| driver.handle_command(SipCommand::SelfCheck { reply }));
            self.driver.run_internal(InternalWork::Output, SipDriver::flush);
            answer.try_recv().ok()
        }
    }

    #[tokio::test]
    async fn panicking_message_ends_only_its_call() {
        let mut running = running().await;
        let (mut first, mut second) = (running.call("first"), running.call("second"));
        let bytes = message("INFO", "first");
        running.driver.handle_datagram_contained(Instant::now(), bytes.as_bytes(), |_| panic!("on purpose"));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        let ended = first.events.try_recv();
        assert!(matches!(ended, Ok(SipEvent::Ended { cause: EndCause::InternalError, .. })), "{ended:?}");
        assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
        assert_eq!((running.driver.user_agent.calls(), running.check()), (1, Some(200)));
        // The same for a command of a call's owner.
        let call = second.incoming.call;
        running.driver.run_contained(Some(call), |_| panic!("on purpose"));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        assert!(matches!(second.events.try_recv(), Ok(SipEvent::Ended { cause: EndCause::InternalError, .. })));
        // A panic on garbage ends no call.
        running.driver.handle_datagram_contained(Instant::now(), b"\xff\xfe", |_| panic!("on purpose"));
        assert_eq!((running.driver.user_agent.calls(), running.check()), (0, Some(200)));
        assert!(!running.driver.self_checks.must_stop());
    }

    #[tokio::test]
    async fn repeated_internal_panics_stop_the_task() {
        let mut running = running().await;
        for round in 0..20 {
            running.driver.run_internal(InternalWork::Timer, |_| assert!(round % 7 == 6, "on purpose"));
            running.driver.run_internal(InternalWork::Output, SipDriver::flush);
            assert!(!running.driver.self_checks.must_stop(), "{round}");
        }
        for _ in 0..8 {
            running.driver.run_internal(InternalWork::Timer, |_| panic!("on purpose"));
            running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        }
        assert!(running.driver.self_checks.must_stop(), "successful sending does not reset the count of timer panics");
    }

    #[tokio::test]
    async fn call_without_owner_is_rejected() {
        let mut running = running().await;
        let (first, mut second) = (running.call("first"), running.call("second"));
        drop(first); // its task has panicked
        // A command that is waiting may be its last, which ends the call in its own way.
        running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(1));
        running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(9));
        assert_eq!(running.driver.user_agent.calls(), 2);
        running.driver.self_checks.commands += 1;
        running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(9));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        assert_eq!((running.driver.user_agent.calls(), running.driver.calls.len()), (1, 1));
        assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
        // A panic has destroyed the session: the owner of the call is notified.
        let call = second.incoming.call;
        running.driver.run_contained(None, |driver| {
            driver.user_agent.forget_call(call);
            panic!("on purpose");
        });
        running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(0));
        assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }

    fn to_name(host: &str) -> Transmit {
        let target = TransmitTarget::Name { host: host.to_owned(), port: Some(5_060) };
        let bytes = Arc::from(&b"ACK"[..]);
        Transmit { transport: Transport::Udp, target, bytes, transaction: None, server_name: None }
    }

    #[tokio::test]
    async fn ack_lookups_are_bounded() {
        let mut running = running().await;
        let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        for n in 0..5_000 {
            running.driver.transmit(to_name(&format!("host{n}.invalid")));
        }
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() - before;
        assert_eq!((tasks, running.driver.ack_lookups.available_permits()), (limits::ACK_LOOKUPS_MAX, 0));
    }

    #[tokio::test]
    async fn reply_never_opens_a_connection() {
        let mut running = running().await;
        for port in 1..200 {
            let peer = TransportAddress { transport: Transport::Tcp, addr: ([192, 0, 2, 8], port).into() };
            let text = message("OPTIONS", &format!("gone{port}")).replace("/UDP", "/TCP");
            running.driver.handle_stream_contained(Instant::now(), peer, parse::datagram(text.as_bytes()));
            running.driver.handle_stream_contained(Instant::now(), peer, parse::datagram(b"\r\n\r\n"));
            running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        }
        assert_eq!(running.driver.streams.len(), 0);
        // A request of ours does.
        let bytes = Arc::from(message("OPTIONS", "ours").as_bytes());
        let target = TransmitTarget::Addr(([127, 0, 0, 1], 9).into());
        let transport = Transport::Tcp;
        running.driver.transmit(Transmit { transport, target, bytes, transaction: None, server_name: None });
        assert_eq!(running.driver.streams.len(), 1);
    }

    #[tokio::test]
    async fn other_messages_to_check_address_are_ignored() {
        let mut running = running().await;
        let (reply, mut answer) = oneshot::channel();
        let probe = running.driver.self_checks.start_check(reply);
        for text in [
            message("OPTIONS", "x"),
            message("OPTIONS", "x").replace("OPTIONS sip:1@127.0.0.1 SIP/2.0", "SIP/2.0 404 No"),
        ] {
            let (target, bytes) = (TransmitTarget::Addr(CHECK_ADDR), Arc::from(text.as_bytes()));
            let (transport, server_name) = (CHECK_TRANSPORT, None);
            running.driver.transmit(Transmit { transport, target, bytes, transaction: None, server_name });
        }
        assert!(answer.try_recv().is_err());
        let now = Instant::now();
        running.driver.user_agent.handle_parsed(now, CHECK_TRANSPORT, CHECK_ADDR, parse::datagram(probe.as_bytes()));
        running.driver.run_internal(InternalWork::Output, SipDriver::flush);
        assert_eq!(answer.try_recv(), Ok(200));
    }

    #[tokio::test]
    async fn state_is_repaired_after_panic() {
        let mut running = running().await;
        // The second one so soon behind the first that the next sweep has to do it.
        for (round, by_sweep) in [false, true].into_iter().enumerate() {
            let mut call = running.call(&format!("call{round}"));
            let now = Instant::now();
            running.driver.handle_datagram_contained(now, b"garbage", |driver| {
                driver.user_agent.forget_transactions();
                panic!("on purpose");
            });
            running.driver.run_internal(InternalWork::Output, SipDriver::flush);
            if by_sweep {
                assert!(matches!(call.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
                running.driver.run_internal(InternalWork::Sweep, |driver| driver.sweep(0));
                running.driver.run_internal(InternalWork::Output, SipDriver::flush);
            }
            let ended = call.events.try_recv();
            assert!(matches!(ended, Ok(SipEvent::Ended { cause: EndCause::InternalError, .. })), "{ended:?}");
            assert_eq!((running.driver.user_agent.held_counts(), running.check()), ((0, 0, 0), Some(200)));
        }
    }

    #[tokio::test]
    async fn self_checks_leave_no_state() {
        let mut running = running().await;
        for _ in 0..1_000 {
            assert_eq!(running.check(), Some(200));
        }
        let later = Instant::now() + std::time::Duration::from_secs(1);
        running.driver.user_agent.handle_timeout(later);
        assert_eq!(running.driver.user_agent.held_counts(), (0, 0, 0));
    }
}
