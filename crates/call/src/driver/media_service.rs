//! The media of calls: worker threads, RTP ports, our addresses, and the port for browsers.

use crate::domain::trunk::Trunk;
use crate::negotiate::Negotiation;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use trunkline_media::io::ports::PortPool;
use trunkline_media::io::receive_timestamp::ReceiveTimestamping;
use trunkline_media::io::worker::{IceTcpLimits, MediaWorkers, WebRtcPortConfig};
use trunkline_media::leg::Latching;
use trunkline_media::transport::webrtc::HostCandidates;

/// Attempts to bind UDP and TCP to the same port when the system chooses it.
const BIND_ATTEMPTS_MAX: usize = 20;
/// Buffer of the browsers' socket in bytes. A thousand browsers send 50 packets a second each; the default buffer holds
/// less than one turn of them.
const WEB_BUFFER_BYTES: usize = 4 << 20;

/// Settings of the media of calls.
#[derive(Debug)]
pub struct MediaConfig {
    /// Worker threads; 0: one fewer than cores.
    pub workers: usize,
    /// The port for browsers; `None`: no calls from browsers.
    pub webrtc: Option<WebRtcConfig>,
    /// Address that RTP sockets are bound to.
    pub bind: IpAddr,
    /// First and last RTP port.
    pub ports: (u16, u16),
    /// The advertised address that session descriptions name for RTP.
    pub addr: IpAddr,
    /// The same for peers of the other family.
    pub addr_other: Option<IpAddr>,
    /// Whose RTP is the peer's, beside the address that its description names.
    pub latching: Latching,
    /// A call without a packet from its peer for this long has lost its network (`media.network_timeout_ms`, default 30
    /// s).
    pub network_timeout: Duration,
}

/// Settings of the port for browsers.
#[derive(Debug)]
pub struct WebRtcConfig {
    /// Address and port of UDP, and of TCP if it is used; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Whether ICE over TCP (RFC 6544) is offered too.
    pub with_tcp: bool,
    /// Our addresses as browsers reach them.
    pub addresses: Vec<IpAddr>,
    /// Limits of TCP connections.
    pub limits: IceTcpLimits,
}

/// Why the media cannot start; the text names the setting or the part.
#[derive(Debug, thiserror::Error)]
pub enum MediaBuildError {
    /// The system refuses a thread.
    #[error("media workers")]
    Workers(#[source] std::io::Error),
    /// The system refuses the port for browsers.
    #[error("webrtc.listen {0}")]
    WebRtc(SocketAddr, #[source] std::io::Error),
}

/// Carries the audio of all calls.
#[derive(Clone, Debug)]
pub struct MediaService {
    /// Threads that carry the audio.
    pub workers: MediaWorkers,
    /// UDP port pairs for RTP and RTCP.
    pub ports: PortPool,
    /// The advertised address that session descriptions name for RTP.
    pub addr: IpAddr,
    /// Whose RTP is the peer's, beside the address that its description names.
    pub latching: Latching,
    /// A call without a packet from its peer for this long has lost its network.
    pub network_timeout: Duration,
    addr_other: Option<IpAddr>,
}

impl MediaService {
    /// Starts the worker threads and binds the port for browsers.
    pub fn build(config: MediaConfig) -> Result<Self, MediaBuildError> {
        let count = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            count => count,
        };
        let mut workers =
            MediaWorkers::start(count, ReceiveTimestamping::PerCycle).map_err(MediaBuildError::Workers)?;
        if let Some(webrtc) = config.webrtc {
            let listen = webrtc.listen;
            let started = webrtc_port(webrtc).and_then(|port| workers.start_webrtc(port));
            started.map_err(|error| MediaBuildError::WebRtc(listen, error))?;
        }
        Ok(Self {
            workers,
            ports: PortPool::new(config.bind, config.ports.0, config.ports.1),
            addr: config.addr,
            addr_other: config.addr_other,
            latching: config.latching,
            network_timeout: config.network_timeout,
        })
    }

    /// Our address for the media of a peer.
    pub(super) fn addr_for(&self, peer: IpAddr) -> IpAddr {
        let fits = |ours: &IpAddr| ours.is_ipv4() == peer.to_canonical().is_ipv4();
        self.addr_other.filter(fits).unwrap_or(self.addr)
    }

    /// Our side of the media of a call that we make.
    pub(super) fn negotiation(&self, port: u16, trunk: &Trunk) -> Negotiation {
        let (media, fingerprint) = (trunk.fields.media(), self.workers.fingerprint());
        Negotiation::new(self.addr, port, &media, fingerprint, rand::random::<u32>().into())
    }
}

/// The WebRTC port and the addresses that we send to browsers.
fn webrtc_port(config: WebRtcConfig) -> std::io::Result<WebRtcPortConfig> {
    let (udp, tcp) = bind_webrtc(config.listen, config.with_tcp)?;
    let port = udp.local_addr()?.port();
    let socket = socket2::SockRef::from(&udp);
    let _ = socket.set_recv_buffer_size(WEB_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(WEB_BUFFER_BYTES);
    let at: Vec<SocketAddr> = config.addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let host_candidates = HostCandidates { tcp: if tcp.is_some() { at.clone() } else { Vec::new() }, udp: at };
    Ok(WebRtcPortConfig { udp, tcp, host_candidates, limits: config.limits, report: Arc::default() })
}

/// Binds UDP and TCP to the same port; for port 0 tries another when TCP's is taken.
fn bind_webrtc(listen: SocketAddr, with_tcp: bool) -> std::io::Result<(UdpSocket, Option<TcpListener>)> {
    let mut attempts = if listen.port() == 0 { BIND_ATTEMPTS_MAX } else { 1 };
    loop {
        attempts -= 1;
        let udp = UdpSocket::bind(listen)?;
        if !with_tcp {
            return Ok((udp, None));
        }
        match TcpListener::bind((listen.ip(), udp.local_addr()?.port())) {
            Ok(tcp) => return Ok((udp, Some(tcp))),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}
