//! From the transport that a call asks for to sockets of a worker.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::leg_transport::{LegTransport, RtpTransport, WebRtcTransport};
use super::ports::PortPair;
use super::receive_timestamp::{self, ReceiveTimestamping};
use super::webrtc_port::WebRtcPort;
use crate::leg::Leg;
use crate::transport::dtls::{self, DtlsIdentity};
use crate::transport::ice::IceLiteAgent;
use crate::transport::webrtc::WebRtcPeer;
use mio::{Interest, Poll, Token};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

/// Transport of a new leg.
#[derive(Debug)]
pub enum TransportSetup {
    /// Plain RTP on a separate pair of ports.
    Rtp(PortPair),
    /// WebRTC over the port that all browsers share.
    WebRtcSharedPort(Box<WebRtcPeer>),
    /// The same, negotiated in a SIP dialog: the leg does not run until the path is open.
    WebRtcInSipDialog(Box<WebRtcPeer>),
    /// WebRTC over its own socket; used by the test caller.
    WebRtcOwnSocket(Box<WebRtcPeer>, UdpSocket),
}

/// What a worker lends to a transport that is set up.
pub(super) struct WorkerSockets<'a> {
    pub(super) poll: &'a Poll,
    pub(super) arrival: ReceiveTimestamping,
    pub(super) identity: Option<&'a DtlsIdentity>,
    pub(super) shared: Option<&'a mut WebRtcPort>,
    pub(super) buffer: &'a mut [u8],
}

impl TransportSetup {
    /// The leg does not run until the path is open, so that no audio is lost.
    pub(super) fn waits_for_path(&self) -> bool {
        matches!(self, Self::WebRtcInSipDialog(_))
    }

    /// Registers the sockets of the leg in a slot.
    pub(super) fn open(
        self, now: Instant, index: usize, leg: &mut Leg, worker: WorkerSockets<'_>,
    ) -> io::Result<LegTransport> {
        let WorkerSockets { poll, arrival, identity, shared, buffer } = worker;
        Ok(match self {
            Self::Rtp(PortPair { rtp, rtcp, lease }) => {
                if arrival == ReceiveTimestamping::Kernel && receive_timestamp::enable_timestamps(&rtp).is_err() {
                    tracing::debug!("no kernel timestamps: receive times are those of the worker cycle");
                }
                let rtp = register(poll, rtp, Token(index * 2))?;
                let rtcp = register(poll, rtcp, Token(index * 2 + 1))?;
                let mut early = Vec::new();
                for (socket, is_rtp) in [(&rtp, true), (&rtcp, false)] {
                    take_early_negotiation(socket, is_rtp, buffer, &mut early);
                }
                let mut transport = Box::new(RtpTransport::new(now, rtp, rtcp, lease, leg, identity));
                for EarlyDatagram { source, is_rtp, bytes } in early {
                    transport.handle_datagram(now, source, &bytes, is_rtp, leg, identity);
                }
                LegTransport::Rtp(transport)
            }
            Self::WebRtcSharedPort(peer) | Self::WebRtcInSipDialog(peer) => {
                let web = webrtc_transport(now, peer, None);
                if let Some(shared) = shared {
                    shared.register_slot(index, &web.ufrag);
                }
                LegTransport::WebRtc(web)
            }
            Self::WebRtcOwnSocket(peer, socket) => {
                let addr = socket.local_addr()?;
                let socket = register(poll, socket, Token(index * 2))?;
                LegTransport::WebRtc(webrtc_transport(now, peer, Some((socket, addr))))
            }
        })
    }
}

/// Datagrams that are kept from before the leg.
const EARLY_DATAGRAMS_MAX: usize = 32;
/// Datagrams that are read before the leg; more than a socket's buffer holds (200 kB).
const EARLY_READS_MAX: usize = 4_096;

/// A check or a part of a handshake that came before the leg.
struct EarlyDatagram {
    source: SocketAddr,
    is_rtp: bool,
    bytes: Vec<u8>,
}

/// Empties a socket before its leg starts. Sound in it is a stray of an earlier call. A handshake and checks begin with
/// our answer, before the ACK lets the leg start: without them the peer would wait a second to repeat itself.
fn take_early_negotiation(
    socket: &mio::net::UdpSocket, is_rtp: bool, buffer: &mut [u8], early: &mut Vec<EarlyDatagram>,
) {
    // A flood must not hold the worker here: what is left is read by the leg.
    for _ in 0..EARLY_READS_MAX {
        let Ok((len, source)) = socket.recv_from(buffer) else { break };
        let bytes = buffer.get(..len).unwrap_or_default();
        let negotiates = IceLiteAgent::is_check(bytes) || is_rtp && dtls::is_dtls(bytes);
        if negotiates && early.len() < EARLY_DATAGRAMS_MAX {
            early.push(EarlyDatagram { source, is_rtp, bytes: bytes.to_vec() });
        }
    }
}

fn webrtc_transport(
    now: Instant, mut peer: Box<WebRtcPeer>, own_socket: Option<(mio::net::UdpSocket, SocketAddr)>,
) -> Box<WebRtcTransport> {
    let ufrag = peer.ufrag();
    Box::new(WebRtcTransport { peer: *peer, ufrag, due: now, own_socket })
}

fn register(poll: &Poll, socket: UdpSocket, token: Token) -> io::Result<mio::net::UdpSocket> {
    socket.set_nonblocking(true)?;
    let mut socket = mio::net::UdpSocket::from_std(socket);
    poll.registry().register(&mut socket, token, Interest::READABLE)?;
    Ok(socket)
}
