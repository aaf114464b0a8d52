//! Runs the SIP user agent: one task owns it, its UDP socket, connections and timers.

use super::containment::{CHECK_ADDR, CHECK_TRANSPORT, Checks, OwnWork, SWEEP_INTERVAL};
use super::handle::{Command, Local, SipHandle};
use super::listener::{self, Admission, Door, Lists, StreamLimits, StreamReports};
use super::names::{self, Asked, Names, Purpose, Resolved};
use super::stream::{self, Peer, StreamEvent};
use super::streams::{Stream, Streams};
use super::tls::Certificates;
use crate::limits;
use crate::sip::endpoint::{
    Address, CallId, Config, Counters, Endpoint, Event, Hop, Incoming, Query, RegistrationNews, Target, Transmit,
    Transport,
};
use crate::sip::message::parse;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use trunkline_connections::{Connections, Standing};
use trunkline_supervision::spawn;

/// An incoming call and its event queue.
#[derive(Debug)]
pub struct IncomingCall {
    pub incoming: Incoming,
    pub events: mpsc::Receiver<Event>,
}

/// Statistics of the running user agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    pub counters: Counters,
    pub calls: usize,
    pub sessions: usize,
    pub server_transactions: usize,
    pub client_transactions: usize,
}

/// Where to listen, and with which certificates.
#[derive(Debug)]
pub struct Listen {
    /// UDP and TCP; with an unspecified IPv6 address both families.
    pub sip: SocketAddr,
    pub tls: Option<SocketAddr>,
    /// WebSockets (RFC 7118).
    pub ws: Option<SocketAddr>,
    /// WebSockets use TLS (WSS).
    pub ws_is_secure: bool,
    /// Origins that may open a WebSocket; all when empty.
    pub ws_origins: Vec<String>,
    pub certificates: Certificates,
    /// DNS server to use instead of the system's servers.
    pub dns_server: Option<SocketAddr>,
    /// Limits of inbound and outbound connections.
    pub streams: StreamLimits,
}

impl Listen {
    /// UDP and TCP alone.
    pub fn plain(sip: SocketAddr) -> Self {
        let certificates = Certificates::none();
        Self {
            sip,
            tls: None,
            ws: None,
            ws_is_secure: false,
            ws_origins: Vec::new(),
            certificates,
            dns_server: None,
            streams: StreamLimits::default(),
        }
    }
}

/// A running SIP service.
#[derive(Debug)]
pub struct Started {
    pub handle: SipHandle,
    pub incoming: mpsc::Receiver<IncomingCall>,
    /// Registration events, by trunk.
    pub registrations: mpsc::Receiver<(Arc<str>, RegistrationNews)>,
}

pub(super) struct Driver {
    pub(super) endpoint: Endpoint,
    udp: Arc<UdpSocket>,
    pub(super) streams: Streams,
    admission: Admission,
    certificates: Certificates,
    pub(super) calls: HashMap<CallId, mpsc::Sender<Event>>,
    /// Event queues of calls that replace another call, until the owner takes them.
    unclaimed: HashMap<CallId, mpsc::Receiver<Event>>,
    incoming: mpsc::Sender<IncomingCall>,
    registrations: mpsc::Sender<(Arc<str>, RegistrationNews)>,
    names: Names,
    resolved: mpsc::Sender<Resolved>,
    /// Limits DNS lookups for ACKs.
    ack_lookups: Arc<Semaphore>,
    pub(super) checks: Checks,
}

/// Starts the endpoint. The ports in `config` are replaced by those bound. `calls_waiting_max` bounds the calls that
/// wait for their owner; more are answered 503.
pub async fn start(
    listen: Listen, mut config: Config, seed: [u8; 32], calls_waiting_max: usize,
) -> io::Result<Started> {
    let (udp, tcp) = bind_both(listen.sip).await?;
    let (events, stream_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let reports = StreamReports::default();
    let admission = Admission {
        connections: Connections::new(listen.streams.caps),
        reports: reports.clone(),
        lists: Lists::default(),
        limits: listen.streams,
        events,
    };
    let mut local = Local { udp: udp.local_addr()?, tcp: tcp.local_addr()?, tls: None, ws: None };
    let Certificates { acceptor, .. } = &listen.certificates;
    if let Some(addr) = listen.tls {
        let acceptor = acceptor.clone().ok_or_else(|| io::Error::other("TLS without a certificate"))?;
        let listener = TcpListener::bind(addr).await?;
        local.tls = Some(listener.local_addr()?);
        spawn("sip_listener", listener::listen(listener, Door::Tls(acceptor), admission.clone()));
    }
    if let Some(addr) = listen.ws {
        let acceptor = acceptor.clone().filter(|_| listen.ws_is_secure);
        let listener = TcpListener::bind(addr).await?;
        local.ws = Some(listener.local_addr()?);
        let door = Door::Ws { acceptor, origins: listen.ws_origins.into() };
        spawn("sip_listener", listener::listen(listener, door, admission.clone()));
    }
    (config.udp_port, config.tcp_port) = (local.udp.port(), local.tcp.port());
    (config.tls_port, config.ws_port) = (local.tls.map(|addr| addr.port()), local.ws.map(|addr| addr.port()));
    spawn("sip_listener", listener::listen(tcp, Door::Tcp, admission.clone()));
    let (commands, command_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (incoming, incoming_queue) = mpsc::channel(calls_waiting_max);
    let (resolved, resolved_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (registrations, news) = mpsc::channel(limits::COMMANDS_MAX);
    let driver = Driver {
        endpoint: Endpoint::new(Instant::now(), config, seed),
        udp: Arc::new(udp),
        streams: Streams::default(),
        admission,
        certificates: listen.certificates,
        calls: HashMap::new(),
        unclaimed: HashMap::new(),
        incoming,
        registrations,
        names: Names::new(listen.dns_server),
        resolved,
        ack_lookups: Arc::new(Semaphore::new(limits::ACK_LOOKUPS_MAX)),
        checks: Checks::default(),
    };
    spawn("sip", driver.run(command_queue, stream_queue, resolved_queue));
    let handle = SipHandle { commands, local, reports };
    Ok(Started { handle, incoming: incoming_queue, registrations: news })
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
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

impl Driver {
    async fn run(
        mut self, mut commands: mpsc::Receiver<Command>, mut streams: mpsc::Receiver<StreamEvent>,
        mut resolved: mpsc::Receiver<Resolved>,
    ) {
        let mut buffer = vec![0; limits::MESSAGE_BYTES_MAX];
        let udp = self.udp.clone();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = self.endpoint.poll_timeout();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => self.own_work(OwnWork::Timer, |driver| driver.endpoint.handle_timeout(Instant::now())),
                _ = udp.readable() => self.receive(&mut buffer),
                command = commands.recv() => match command {
                    Some(command) => {
                        self.checks.commands += 1;
                        self.contained(command.call(), |driver| driver.command(command));
                    }
                    None => return,
                },
                Some(event) = streams.recv() => self.stream_event(event),
                Some(resolved) = resolved.recv() => self.contained(None, |driver| driver.resolved(resolved)),
                _ = sweep.tick() => {
                    let waiting = commands.len() as u64;
                    self.own_work(OwnWork::Sweep, |driver| driver.sweep(waiting));
                }
            }
            self.own_work(OwnWork::Output, Self::flush);
            if self.checks.is_hopeless() {
                tracing::error!("SIP stops: internal work panics repeatedly");
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
                    self.heard(now, bytes, |driver| driver.endpoint.handle_datagram(now, canonical(source), bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends surface here; the transaction timers deal with the peer.
                Err(_) => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        let endpoint = &mut self.endpoint;
        let refused = match command {
            Command::Invite { invite, reply } => {
                let result = endpoint.invite(now, *invite).map(|call| {
                    let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
                    self.calls.insert(call, events);
                    (call, queue)
                });
                if let Err(Ok((call, _))) = reply.send(result) {
                    let _ = endpoint.hang_up(now, call);
                }
                Ok(())
            }
            Command::Options { probe, reply } => {
                let result = endpoint.options(now, *probe).map(|call| {
                    let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
                    self.calls.insert(call, events);
                    queue
                });
                let _ = reply.send(result);
                Ok(())
            }
            Command::Attend { call } => endpoint.attend(call),
            Command::Progress { call, status, sdp } => endpoint.progress(now, call, status, sdp),
            Command::Answer { call, sdp } => endpoint.answer(now, call, sdp),
            Command::Reject { call, status, retry_after_s } => endpoint.reject(now, call, status, retry_after_s),
            Command::RejectNumber { call } => endpoint.reject_number(now, call),
            Command::ChooseTrunk { call, id } => endpoint.choose_trunk(call, &id),
            Command::HangUp { call } => endpoint.hang_up(now, call),
            Command::AnswerReoffer { call, sdp } => endpoint.answer_reoffer(now, call, sdp),
            Command::Info { call, content_type, body } => endpoint.info(now, call, content_type, body),
            Command::Refer { call, target } => endpoint.refer(now, call, &target),
            Command::AnswerRefer { call, accept } => endpoint.answer_refer(now, call, accept),
            Command::NotifyRefer { call, status } => endpoint.notify_refer(now, call, status),
            Command::Reoffer { call, sdp } => endpoint.reoffer(now, call, sdp),
            Command::Acknowledge { call, sdp } => endpoint.acknowledge(call, sdp),
            Command::Take { call, reply } => {
                let _ = reply.send(self.unclaimed.remove(&call));
                Ok(())
            }
            Command::SetRegistrations { rules } => {
                endpoint.set_registrations(now, rules);
                Ok(())
            }
            Command::SetCallsMax { calls_max, done } => {
                endpoint.set_calls_max(calls_max);
                let _ = done.send(());
                Ok(())
            }
            Command::SetTrunks { trunks, done } => {
                self.admission.lists.set(trunks.clone());
                endpoint.set_trunks(trunks);
                let _ = done.send(());
                Ok(())
            }
            Command::Check { reply } => {
                let probe = self.checks.begin(reply);
                endpoint.handle_parsed(now, CHECK_TRANSPORT, CHECK_ADDR, parse::datagram(probe.as_bytes()));
                Ok(())
            }
            Command::Snapshot { reply } => {
                let (sessions, server_transactions, client_transactions) = endpoint.held();
                let (counters, calls) = (endpoint.counters(), endpoint.calls());
                let _ = reply.send(Snapshot { counters, calls, sessions, server_transactions, client_transactions });
                Ok(())
            }
        };
        if let Err(refusal) = refused {
            tracing::debug!(?refusal, "command does not fit the state of its call");
        }
    }

    fn stream_event(&mut self, event: StreamEvent) {
        let now = Instant::now();
        match event {
            StreamEvent::Opened { peer, queue, place } => {
                self.streams.insert(peer, Stream { queue, place, server_name: None, is_open: true });
            }
            StreamEvent::Verified { peer, place } => self.streams.set_open(&peer, &place),
            StreamEvent::Received { peer, parsed } => {
                self.heard_on_stream(now, peer, parsed);
            }
            StreamEvent::Closed { peer } => self.streams.forget_closed(&peer),
            StreamEvent::Unreachable { transaction, why } => {
                self.endpoint.handle_unreachable(now, &transaction, &why);
            }
        }
    }

    /// Sends and delivers all pending output of the user agent.
    fn flush(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.endpoint.poll_transmit() {
                idle = false;
                self.transmit(transmit);
            }
            while let Some(event) = self.endpoint.poll_event() {
                idle = false;
                self.event(event);
            }
            while let Some(query) = self.endpoint.poll_query() {
                idle = false;
                self.look_up(query);
            }
            if idle {
                return;
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match &transmit.target {
            // The answer to a self-check is not sent.
            Target::Addr(CHECK_ADDR) => self.checks.answered(&transmit.bytes),
            Target::Addr(addr) => {
                let addr = *addr;
                self.send_to(transmit, addr);
            }
            Target::Name { host, port } => {
                let hop = Hop { host: host.clone(), port: *port, transport: Some(transmit.transport) };
                let transport = transmit.transport;
                self.ask(Asked { hop, transport, purpose: Purpose::Message(transmit) });
            }
        }
    }

    fn look_up(&mut self, query: Query) {
        let Query { id, hop, transport } = query;
        self.ask(Asked { hop, transport, purpose: Purpose::Query(id) });
    }

    fn ask(&mut self, asked: Asked) {
        if let Some(addresses) = self.names.known(Instant::now(), &asked.hop) {
            return self.resolved(Resolved { asked, result: Ok(addresses) });
        }
        // Queries are limited by the user agent itself.
        let permit = match &asked.purpose {
            Purpose::Query(_) => None,
            Purpose::Message(_) => match self.ack_lookups.clone().try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return, // the peer retransmits its 200 and we try again
            },
        };
        let (resolver, resolved) = (self.names.resolver(), self.resolved.clone());
        spawn("sip_names", async move {
            names::resolve(asked, resolver, resolved).await;
            drop(permit);
        });
    }

    fn resolved(&mut self, Resolved { asked, result }: Resolved) {
        let now = Instant::now();
        if let Ok(addresses) = &result {
            self.names.learn(now, &asked.hop, addresses);
        }
        match (asked.purpose, result) {
            (Purpose::Query(id), result) => self.endpoint.handle_resolved(now, id, result),
            (Purpose::Message(mut transmit), Ok(addresses)) => {
                let permitted = |address: &&Address| self.endpoint.check_destination(address.addr).is_ok();
                if let Some(address) = addresses.iter().find(permitted) {
                    // Prefer the call's known server name for this address, else the name looked up.
                    let before = transmit.server_name.take();
                    let is_there =
                        before.as_deref().is_some_and(|name| self.streams.get(address, Some(name)).is_some());
                    transmit.server_name = if is_there { before } else { Some(asked.hop.host.as_str().into()) };
                    self.send_to(transmit, address.addr);
                }
            }
            // An ACK that cannot be sent: the peer retransmits its 200 and we try again.
            (Purpose::Message(_), Err(_)) => {}
        }
    }

    fn unreachable(&mut self, transmit: Transmit, why: &str) {
        if let Some(transaction) = transmit.transaction {
            self.endpoint.handle_unreachable(Instant::now(), &transaction, why);
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
            Err(error) => self.unreachable(transmit, &format!("send: {error}")),
        }
    }

    fn send_on_stream(&mut self, transmit: Transmit, addr: SocketAddr) {
        let peer = Address { transport: transmit.transport, addr };
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
                return self.unreachable(transmit, "connection does not drain");
            }
            Some((Err(mpsc::error::TrySendError::Closed(item)), _)) => item,
            None => item,
        };
        if matches!(transmit.transport, Transport::Ws | Transport::Wss) {
            return self.unreachable(transmit, "the WebSocket is closed");
        }
        // Never open a connection for a reply; otherwise a peer could make us open connections that evict others.
        if transmit.is_reply() {
            return;
        }
        let Admission { connections, reports, limits, events, .. } = &self.admission;
        // Outbound connections may evict those of unknown peers.
        let Ok((place, eviction)) = connections.open(addr.ip(), Standing::Exempt, &reports.outbound) else {
            return self.unreachable(transmit, "too many connections");
        };
        let (place, limits) = (Arc::new(place), *limits);
        let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
        let _ = queue.try_send(item);
        let is_secure = transmit.transport == Transport::Tls;
        let server_name = is_secure.then(|| server_name.unwrap_or_else(|| addr.ip().to_string().into()));
        let secure = server_name.as_ref().map(|name| (self.certificates.connector.clone(), name.to_string()));
        self.streams.insert(peer, Stream { queue, place: place.clone(), server_name, is_open: !is_secure });
        let address = peer;
        let peer = Peer { address, place: place.clone(), limits, is_ours: true };
        let serving = stream::connect(peer, secure, outbound, events.clone());
        spawn("sip_connection", stream::until_evicted(place, eviction, events.clone(), address, serving));
    }

    fn event(&mut self, event: Event) {
        let call = match event {
            Event::Incoming(incoming) => return self.announce(*incoming),
            Event::Registration { id, news } => {
                // A lost event is superseded by the next one.
                let _ = self.registrations.try_send((id, news));
                return;
            }
            Event::Progress { call, .. }
            | Event::Answered { call, .. }
            | Event::Confirmed { call, .. }
            | Event::Reoffer { call, .. }
            | Event::Reanswered { call, .. }
            | Event::ReofferRefused { call, .. }
            | Event::Referred { call, .. }
            | Event::Replaced { call, .. }
            | Event::Info { call, .. }
            | Event::Referral { call, .. }
            | Event::Probed { call, .. }
            | Event::Ended { call, .. } => call,
        };
        let ended = matches!(event, Event::Ended { .. } | Event::Probed { .. });
        let newcomer = match &event {
            Event::Replaced { by, .. } => Some(by.call),
            _ => None,
        };
        if let Some(newcomer) = newcomer {
            let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
            self.calls.insert(newcomer, events);
            self.unclaimed.insert(newcomer, queue);
        }
        let delivered = self.calls.get(&call).is_none_or(|queue| queue.try_send(event).is_ok());
        if let Some(newcomer) = newcomer.filter(|_| !delivered) {
            let _ = self.endpoint.reject(Instant::now(), newcomer, 481, None);
        }
        if ended {
            self.unclaimed.remove(&call);
            self.calls.remove(&call);
        } else if !delivered {
            // The owner is gone or does not read, so the call is ended.
            self.calls.remove(&call);
            let _ = self.endpoint.hang_up(Instant::now(), call);
        }
    }

    fn announce(&mut self, incoming: Incoming) {
        let call = incoming.call;
        let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
        match self.incoming.try_send(IncomingCall { incoming, events: queue }) {
            Ok(()) => {
                self.calls.insert(call, events);
            }
            Err(_) => {
                let _ = self.endpoint.reject(Instant::now(), call, 503, Some(5));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::endpoint::{DestinationGuard, TrunkRule};
    use crate::sip::failure::Cause;
    use tokio::sync::oneshot;

    const SOURCE: ([u8; 4], u16) = ([192, 0, 2, 7], 5_060);

    struct Running {
        driver: Driver,
        incoming: mpsc::Receiver<IncomingCall>,
    }

    async fn running() -> Running {
        let (stream_events, _) = mpsc::channel(8);
        let (incoming, calls) = mpsc::channel(8);
        let (registrations, _) = mpsc::channel(8);
        let (resolved, _) = mpsc::channel(8);
        let allow = vec![IpAddr::from([192, 0, 2, 7]).into()];
        let config = Config {
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
            destinations: DestinationGuard::open(),
            trunks: vec![TrunkRule { id: "t".into(), allow, credentials: None, accept_refer: false }],
        };
        let driver = Driver {
            endpoint: Endpoint::new(Instant::now(), config, [7; 32]),
            udp: Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap()),
            streams: Streams::default(),
            admission: Admission {
                connections: Connections::new(StreamLimits::default().caps),
                reports: StreamReports::default(),
                lists: Lists::default(),
                limits: StreamLimits::default(),
                events: stream_events,
            },
            certificates: Certificates::none(),
            calls: HashMap::new(),
            unclaimed: HashMap::new(),
            incoming,
            registrations,
            names: Names::new(None),
            resolved,
            ack_lookups: Arc::new(Semaphore::new(limits::ACK_LOOKUPS_MAX)),
            checks: Checks::default(),
        };
        Running { driver, incoming: calls }
    }

    fn message(method: &str, call: &str) -> String {
        format!(
            "{method} sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{method}{call}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:2@192.0.2.7>;tag={call}\r\nTo: <sip:1@127.0.0.1>\r\nCall-ID: {call}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:2@192.0.2.7:5060>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    impl Running {
        fn hear(&mut self, text: &str) {
            let (now, bytes) = (Instant::now(), text.as_bytes());
            self.driver.heard(now, bytes, |driver| driver.endpoint.handle_datagram(now, SOURCE.into(), bytes));
            self.driver.own_work(OwnWork::Output, Driver::flush);
        }

        fn call(&mut self, id: &str) -> IncomingCall {
            self.hear(&message("INVITE", id));
            self.incoming.try_recv().unwrap()
        }

        fn check(&mut self) -> Option<u16> {
            let (reply, mut answer) = oneshot::channel();
            self.driver.contained(None, |driver| driver.command(Command::Check { reply }));
            self.driver.own_work(OwnWork::Output, Driver::flush);
            answer.try_recv().ok()
        }
    }

    #[tokio::test]
    async fn a_message_that_panics_ends_the_call_it_was_for_and_no_other() {
        let mut running = running().await;
        let (mut first, mut second) = (running.call("first"), running.call("second"));
        let bytes = message("INFO", "first");
        running.driver.heard(Instant::now(), bytes.as_bytes(), |_| panic!("on purpose"));
        running.driver.own_work(OwnWork::Output, Driver::flush);
        let ended = first.events.try_recv();
        assert!(matches!(ended, Ok(Event::Ended { cause: Cause::Defect, .. })), "{ended:?}");
        assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
        assert_eq!((running.driver.endpoint.calls(), running.check()), (1, Some(200)));
        // A command of an owner, the same.
        let call = second.incoming.call;
        running.driver.contained(Some(call), |_| panic!("on purpose"));
        running.driver.own_work(OwnWork::Output, Driver::flush);
        assert!(matches!(second.events.try_recv(), Ok(Event::Ended { cause: Cause::Defect, .. })));
        // A panic on garbage ends no call.
        running.driver.heard(Instant::now(), b"\xff\xfe", |_| panic!("on purpose"));
        assert_eq!((running.driver.endpoint.calls(), running.check()), (0, Some(200)));
        assert!(!running.driver.checks.is_hopeless());
    }

    #[tokio::test]
    async fn own_work_that_panics_again_and_again_is_given_up_and_once_is_not() {
        let mut running = running().await;
        for round in 0..20 {
            running.driver.own_work(OwnWork::Timer, |_| assert!(round % 7 == 6, "on purpose"));
            running.driver.own_work(OwnWork::Output, Driver::flush);
            assert!(!running.driver.checks.is_hopeless(), "{round}");
        }
        for _ in 0..8 {
            running.driver.own_work(OwnWork::Timer, |_| panic!("on purpose"));
            running.driver.own_work(OwnWork::Output, Driver::flush);
        }
        assert!(running.driver.checks.is_hopeless(), "successful sending does not reset the count of timer panics");
    }

    #[tokio::test]
    async fn a_call_whose_owner_is_gone_is_refused_and_its_queue_forgotten() {
        let mut running = running().await;
        let (first, mut second) = (running.call("first"), running.call("second"));
        drop(first); // its task has panicked
        // A command that is waiting may be its last, which ends the call in its own way.
        running.driver.own_work(OwnWork::Sweep, |driver| driver.sweep(1));
        running.driver.own_work(OwnWork::Sweep, |driver| driver.sweep(9));
        assert_eq!(running.driver.endpoint.calls(), 2);
        running.driver.checks.commands += 1;
        running.driver.own_work(OwnWork::Sweep, |driver| driver.sweep(9));
        running.driver.own_work(OwnWork::Output, Driver::flush);
        assert_eq!((running.driver.endpoint.calls(), running.driver.calls.len()), (1, 1));
        assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
        // A session that a panic took along: whoever owns the call learns it.
        let call = second.incoming.call;
        running.driver.contained(None, |driver| {
            driver.endpoint.forget_call(call);
            panic!("on purpose");
        });
        running.driver.own_work(OwnWork::Sweep, |driver| driver.sweep(0));
        assert!(matches!(second.events.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }

    fn to_name(host: &str) -> Transmit {
        let target = Target::Name { host: host.to_owned(), port: Some(5_060) };
        let bytes = Arc::from(&b"ACK"[..]);
        Transmit { transport: Transport::Udp, target, bytes, transaction: None, server_name: None }
    }

    #[tokio::test]
    async fn messages_to_names_are_looked_up_so_many_at_once_and_no_more() {
        let mut running = running().await;
        let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        for n in 0..5_000 {
            running.driver.transmit(to_name(&format!("host{n}.invalid")));
        }
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks() - before;
        assert_eq!((tasks, running.driver.ack_lookups.available_permits()), (limits::ACK_LOOKUPS_MAX, 0));
    }

    #[tokio::test]
    async fn an_answer_opens_no_connection_to_whoever_has_gone() {
        let mut running = running().await;
        for port in 1..200 {
            let peer = Address { transport: Transport::Tcp, addr: ([192, 0, 2, 8], port).into() };
            let text = message("OPTIONS", &format!("gone{port}")).replace("/UDP", "/TCP");
            running.driver.heard_on_stream(Instant::now(), peer, parse::datagram(text.as_bytes()));
            running.driver.heard_on_stream(Instant::now(), peer, parse::datagram(b"\r\n\r\n"));
            running.driver.own_work(OwnWork::Output, Driver::flush);
        }
        assert_eq!(running.driver.streams.len(), 0);
        // A request of ours does.
        let bytes = Arc::from(message("OPTIONS", "ours").as_bytes());
        let target = Target::Addr(([127, 0, 0, 1], 9).into());
        let transport = Transport::Tcp;
        running.driver.transmit(Transmit { transport, target, bytes, transaction: None, server_name: None });
        assert_eq!(running.driver.streams.len(), 1);
    }

    #[tokio::test]
    async fn what_is_sent_to_nobody_is_not_taken_for_our_answer() {
        let mut running = running().await;
        let (reply, mut answer) = oneshot::channel();
        let probe = running.driver.checks.begin(reply);
        for text in [
            message("OPTIONS", "x"),
            message("OPTIONS", "x").replace("OPTIONS sip:1@127.0.0.1 SIP/2.0", "SIP/2.0 404 No"),
        ] {
            let (target, bytes) = (Target::Addr(CHECK_ADDR), Arc::from(text.as_bytes()));
            let (transport, server_name) = (CHECK_TRANSPORT, None);
            running.driver.transmit(Transmit { transport, target, bytes, transaction: None, server_name });
        }
        assert!(answer.try_recv().is_err());
        let now = Instant::now();
        running.driver.endpoint.handle_parsed(now, CHECK_TRANSPORT, CHECK_ADDR, parse::datagram(probe.as_bytes()));
        running.driver.own_work(OwnWork::Output, Driver::flush);
        assert_eq!(answer.try_recv(), Ok(200));
    }

    #[tokio::test]
    async fn what_a_panic_leaves_half_done_is_put_right() {
        let mut running = running().await;
        // The second one so soon behind the first that the next sweep has to do it.
        for (round, by_sweep) in [false, true].into_iter().enumerate() {
            let mut call = running.call(&format!("call{round}"));
            let now = Instant::now();
            running.driver.heard(now, b"garbage", |driver| {
                driver.endpoint.forget_transactions();
                panic!("on purpose");
            });
            running.driver.own_work(OwnWork::Output, Driver::flush);
            if by_sweep {
                assert!(matches!(call.events.try_recv(), Err(mpsc::error::TryRecvError::Empty)));
                running.driver.own_work(OwnWork::Sweep, |driver| driver.sweep(0));
                running.driver.own_work(OwnWork::Output, Driver::flush);
            }
            let ended = call.events.try_recv();
            assert!(matches!(ended, Ok(Event::Ended { cause: Cause::Defect, .. })), "{ended:?}");
            assert_eq!((running.driver.endpoint.held(), running.check()), ((0, 0, 0), Some(200)));
        }
    }

    #[tokio::test]
    async fn questions_to_ourselves_leave_nothing_behind() {
        let mut running = running().await;
        for _ in 0..1_000 {
            assert_eq!(running.check(), Some(200));
        }
        let later = Instant::now() + std::time::Duration::from_secs(1);
        running.driver.endpoint.handle_timeout(later);
        assert_eq!(running.driver.endpoint.held(), (0, 0, 0));
    }
}
