//! Drives the endpoint: one task that owns it, its UDP socket, its TCP connections and its timers.

use super::tcp::{self, Outbound, TcpEvent};
use crate::limits;
use crate::sip::endpoint::{
    CallId, Config, Counters, Endpoint, Event, Incoming, Invite, Refusal, Target, Transmit, Transport, TrunkRule,
};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot};

/// How long a resolved name is used.
const NAME_LIFETIME: Duration = Duration::from_secs(60);
const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

/// A call that came in, with the events of its life.
#[derive(Debug)]
pub struct IncomingCall {
    pub incoming: Incoming,
    pub events: mpsc::Receiver<Event>,
}

/// Figures of the running endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    pub counters: Counters,
    pub calls: usize,
    pub sessions: usize,
    pub server_transactions: usize,
    pub client_transactions: usize,
}

#[derive(Debug)]
enum Command {
    Invite { invite: Box<Invite>, reply: oneshot::Sender<Result<(CallId, mpsc::Receiver<Event>), Refusal>> },
    Options { probe: Box<Invite>, reply: oneshot::Sender<mpsc::Receiver<Event>> },
    Progress { call: CallId, status: u16, sdp: Option<Vec<u8>> },
    Answer { call: CallId, sdp: Vec<u8> },
    Reject { call: CallId, status: u16, retry_after_s: Option<u32> },
    HangUp { call: CallId },
    AnswerReoffer { call: CallId, sdp: Option<Vec<u8>> },
    Info { call: CallId, content_type: &'static str, body: Vec<u8> },
    Refer { call: CallId, target: String },
    SetTrunks { trunks: Vec<TrunkRule>, done: oneshot::Sender<()> },
    SetCallsMax { calls_max: usize, done: oneshot::Sender<()> },
    Snapshot { reply: oneshot::Sender<Snapshot> },
}

/// Sends commands to the endpoint. Commands that no longer fit the state of their call are dropped:
/// the call's owner learns its state from the events.
#[derive(Clone, Debug)]
pub struct SipHandle {
    commands: mpsc::Sender<Command>,
    local_udp: SocketAddr,
    local_tcp: SocketAddr,
}

impl SipHandle {
    pub fn local_udp(&self) -> SocketAddr {
        self.local_udp
    }

    pub fn local_tcp(&self) -> SocketAddr {
        self.local_tcp
    }

    pub async fn invite(&self, invite: Invite) -> Result<(CallId, mpsc::Receiver<Event>), Refusal> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Invite { invite: Box::new(invite), reply };
        self.commands.try_send(command).map_err(|_| Refusal::Overload)?;
        answer.await.unwrap_or(Err(Refusal::Overload))
    }

    /// Asks whether somebody is there: the status of the answer, none without one (after 32 seconds at most).
    pub async fn options(&self, probe: Invite) -> Option<u16> {
        let (reply, events) = oneshot::channel();
        self.commands.try_send(Command::Options { probe: Box::new(probe), reply }).ok()?;
        match events.await.ok()?.recv().await {
            Some(Event::Probed { status, .. }) => status,
            _ => None,
        }
    }

    pub async fn progress(&self, call: CallId, status: u16, sdp: Option<Vec<u8>>) {
        self.send(Command::Progress { call, status, sdp }).await;
    }

    pub async fn answer(&self, call: CallId, sdp: Vec<u8>) {
        self.send(Command::Answer { call, sdp }).await;
    }

    pub async fn reject(&self, call: CallId, status: u16, retry_after_s: Option<u32>) {
        self.send(Command::Reject { call, status, retry_after_s }).await;
    }

    pub async fn hang_up(&self, call: CallId) {
        self.send(Command::HangUp { call }).await;
    }

    pub async fn answer_reoffer(&self, call: CallId, sdp: Option<Vec<u8>>) {
        self.send(Command::AnswerReoffer { call, sdp }).await;
    }

    pub async fn info(&self, call: CallId, content_type: &'static str, body: Vec<u8>) {
        self.send(Command::Info { call, content_type, body }).await;
    }

    /// Asks the peer to call somebody else; the outcome comes as events.
    pub async fn refer(&self, call: CallId, target: String) {
        self.send(Command::Refer { call, target }).await;
    }

    /// Calls over this number are answered 503; 0 while the server drains.
    pub async fn set_calls_max(&self, calls_max: usize) {
        let (done, applied) = oneshot::channel();
        self.send(Command::SetCallsMax { calls_max, done }).await;
        let _ = applied.await;
    }

    /// Who may call in; holds for every request read after this returns.
    pub async fn set_trunks(&self, trunks: Vec<TrunkRule>) {
        let (done, applied) = oneshot::channel();
        self.send(Command::SetTrunks { trunks, done }).await;
        let _ = applied.await;
    }

    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Snapshot { reply }).await;
        answer.await.ok()
    }

    async fn send(&self, command: Command) {
        // The driver ends only with the process; a closed queue means that we are shutting down.
        let _ = self.commands.send(command).await;
    }
}

struct Driver {
    endpoint: Endpoint,
    udp: Arc<UdpSocket>,
    connections: HashMap<SocketAddr, mpsc::Sender<Outbound>>,
    tcp_events: mpsc::Sender<TcpEvent>,
    calls: HashMap<CallId, mpsc::Sender<Event>>,
    incoming: mpsc::Sender<IncomingCall>,
    names: HashMap<(String, u16), (SocketAddr, Instant)>,
    resolved: mpsc::Sender<Resolved>,
}

type Resolved = (Transmit, (String, u16), Result<SocketAddr, String>);

/// Binds both transports and starts the driver. The ports in `config` are replaced by those bound.
/// `calls_waiting_max` bounds the calls that wait for their owner; more are answered 503.
pub async fn start(
    bind: SocketAddr, mut config: Config, seed: [u8; 32], calls_waiting_max: usize,
) -> io::Result<(SipHandle, mpsc::Receiver<IncomingCall>)> {
    let (udp, listener) = bind_both(bind).await?;
    let local_udp = udp.local_addr()?;
    let local_tcp = listener.local_addr()?;
    config.udp_port = local_udp.port();
    config.tcp_port = local_tcp.port();
    let (commands, command_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (incoming, incoming_queue) = mpsc::channel(calls_waiting_max);
    let (tcp_events, tcp_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (resolved, resolved_queue) = mpsc::channel(limits::COMMANDS_MAX);
    let driver = Driver {
        endpoint: Endpoint::new(Instant::now(), config, seed),
        udp: Arc::new(udp),
        connections: HashMap::new(),
        tcp_events: tcp_events.clone(),
        calls: HashMap::new(),
        incoming,
        names: HashMap::new(),
        resolved,
    };
    tokio::spawn(tcp::accept_loop(listener, tcp_events));
    tokio::spawn(driver.run(command_queue, tcp_queue, resolved_queue));
    Ok((SipHandle { commands, local_udp, local_tcp }, incoming_queue))
}

/// One port for both transports, so that one URI works for both. With port 0 a port is looked for that is
/// free for both: the one UDP gets may be taken for TCP.
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
    // A burst of a thousand INVITEs a second must fit between two turns of the driver.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.set_nonblocking(true)?;
    socket.bind(&bind.into())?;
    UdpSocket::from_std(socket.into())
}

impl Driver {
    async fn run(
        mut self, mut commands: mpsc::Receiver<Command>, mut tcp: mpsc::Receiver<TcpEvent>,
        mut resolved: mpsc::Receiver<Resolved>,
    ) {
        let mut buffer = vec![0; limits::MESSAGE_BYTES_MAX];
        let udp = self.udp.clone();
        loop {
            let deadline = self.endpoint.poll_timeout();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => self.endpoint.handle_timeout(Instant::now()),
                _ = udp.readable() => self.receive(&mut buffer),
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some(event) = tcp.recv() => self.tcp_event(event),
                Some((transmit, name, result)) = resolved.recv() => self.name_resolved(transmit, name, result),
            }
            self.flush();
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        for _ in 0..limits::RECEIVE_BATCH_MAX {
            match self.udp.try_recv_from(buffer) {
                Ok((len, source)) => self.endpoint.handle_datagram(now, source, &buffer[..len]),
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
            Command::Options { probe, reply } => endpoint.options(now, *probe).map(|call| {
                let (events, queue) = mpsc::channel(limits::CALL_EVENTS_MAX);
                self.calls.insert(call, events);
                let _ = reply.send(queue);
            }),
            Command::Progress { call, status, sdp } => endpoint.progress(now, call, status, sdp),
            Command::Answer { call, sdp } => endpoint.answer(now, call, sdp),
            Command::Reject { call, status, retry_after_s } => endpoint.reject(now, call, status, retry_after_s),
            Command::HangUp { call } => endpoint.hang_up(now, call),
            Command::AnswerReoffer { call, sdp } => endpoint.answer_reoffer(now, call, sdp),
            Command::Info { call, content_type, body } => endpoint.info(now, call, content_type, body),
            Command::Refer { call, target } => endpoint.refer(now, call, &target),
            Command::SetCallsMax { calls_max, done } => {
                endpoint.set_calls_max(calls_max);
                let _ = done.send(());
                Ok(())
            }
            Command::SetTrunks { trunks, done } => {
                endpoint.set_trunks(trunks);
                let _ = done.send(());
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
            tracing::debug!(?refusal, "command came too late for its call");
        }
    }

    fn tcp_event(&mut self, event: TcpEvent) {
        let now = Instant::now();
        match event {
            TcpEvent::Opened { peer, queue } => {
                if self.connections.len() < limits::TCP_CONNECTIONS_MAX {
                    self.connections.insert(peer, queue);
                } // else the queue is dropped, which closes the connection
            }
            TcpEvent::Received { peer, parsed } => self.endpoint.handle_parsed(now, Transport::Tcp, peer, parsed),
            TcpEvent::Closed { peer } => {
                if self.connections.get(&peer).is_some_and(mpsc::Sender::is_closed) {
                    self.connections.remove(&peer);
                }
            }
            TcpEvent::Unreachable { transaction, why } => self.endpoint.handle_unreachable(&transaction, &why),
        }
    }

    /// Carries everything the endpoint wants out.
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
            if idle {
                return;
            }
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match &transmit.target {
            Target::Addr(addr) => {
                let addr = *addr;
                self.send_to(transmit, addr);
            }
            Target::Name { host, port } => {
                let name = (host.clone(), *port);
                match self.names.get(&name) {
                    Some((addr, until)) if *until > Instant::now() => {
                        let addr = *addr;
                        self.send_to(transmit, addr);
                    }
                    _ => {
                        tokio::spawn(resolve(transmit, name, self.resolved.clone()));
                    }
                }
            }
        }
    }

    fn name_resolved(&mut self, transmit: Transmit, name: (String, u16), result: Result<SocketAddr, String>) {
        match result {
            Ok(addr) => {
                self.names.insert(name, (addr, Instant::now() + NAME_LIFETIME));
                self.send_to(transmit, addr);
            }
            Err(why) => self.unreachable(transmit, &why),
        }
    }

    fn unreachable(&mut self, transmit: Transmit, why: &str) {
        if let Some(transaction) = transmit.transaction {
            self.endpoint.handle_unreachable(&transaction, why);
        }
    }

    fn send_to(&mut self, transmit: Transmit, addr: SocketAddr) {
        match transmit.transport {
            Transport::Udp => match self.udp.try_send_to(&transmit.bytes, addr) {
                Ok(_) => {}
                // A full socket buffer is packet loss, which the transaction timers repair.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => self.unreachable(transmit, &format!("send: {error}")),
            },
            Transport::Tcp => self.send_tcp(transmit, addr),
        }
    }

    fn send_tcp(&mut self, transmit: Transmit, addr: SocketAddr) {
        let item = (transmit.bytes.clone(), transmit.transaction.clone());
        let item = match self.connections.get(&addr).map(|queue| queue.try_send(item.clone())) {
            Some(Ok(())) => return,
            Some(Err(mpsc::error::TrySendError::Full(_))) => {
                self.connections.remove(&addr); // closes it: a peer that does not read is gone
                return self.unreachable(transmit, "connection does not drain");
            }
            Some(Err(mpsc::error::TrySendError::Closed(item))) => item,
            None => item,
        };
        let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
        let _ = queue.try_send(item);
        self.connections.insert(addr, queue);
        tokio::spawn(tcp::connect(addr, outbound, self.tcp_events.clone()));
    }

    fn event(&mut self, event: Event) {
        let call = match event {
            Event::Incoming(incoming) => return self.announce(*incoming),
            Event::Progress { call, .. }
            | Event::Answered { call, .. }
            | Event::Confirmed { call, .. }
            | Event::Reoffer { call, .. }
            | Event::Info { call, .. }
            | Event::Referral { call, .. }
            | Event::Probed { call, .. }
            | Event::Ended { call, .. } => call,
        };
        let ended = matches!(event, Event::Ended { .. } | Event::Probed { .. });
        let delivered = self.calls.get(&call).is_none_or(|queue| queue.try_send(event).is_ok());
        if ended {
            self.calls.remove(&call);
        } else if !delivered {
            // The owner is gone or does not read: the call must not stay up without it.
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

async fn resolve(transmit: Transmit, name: (String, u16), resolved: mpsc::Sender<Resolved>) {
    let lookup = tokio::net::lookup_host((name.0.as_str(), name.1));
    let result = match tokio::time::timeout(RESOLVE_DEADLINE, lookup).await {
        Ok(Ok(mut addrs)) => addrs.next().ok_or_else(|| "resolve: no address".to_owned()),
        Ok(Err(error)) => Err(format!("resolve: {error}")),
        Err(_) => Err("resolve: deadline passed".to_owned()),
    };
    let _ = resolved.send((transmit, name, result)).await;
}
