//! Starts the SIP task: its sockets, listeners and queues.

use super::state::{IncomingCall, SipDriver};
use crate::io::connection_limits::{SipConnectionLimits, SipConnectionReports};
use crate::io::dns::DnsCache;
use crate::io::handle::{ListenAddresses, SipHandle};
use crate::io::listener::{self, ListenerContext, ListenerKind, TrunkAllowLists};
use crate::io::message_recorder::MessageRecorder;
use crate::io::open_connections::OpenConnections;
use crate::io::self_checks::SelfChecks;
use crate::io::tls::TlsCertificates;
use crate::limits;
use crate::sip::user_agent::{RegistrationEvent, UserAgent, UserAgentConfig};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use trunkline_connections::ConnectionPool;
use trunkline_supervision::spawn;

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
    let messages = MessageRecorder::new(&config);
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
        messages,
    };
    let host_resolver = driver.names.host_resolver();
    spawn("sip", driver.run(command_queue, stream_queue, resolved_queue));
    let handle = SipHandle { commands, local, reports, host_resolver };
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
