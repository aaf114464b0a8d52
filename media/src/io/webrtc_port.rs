//! The port shared by all WebRTC peers: UDP, and TCP for networks that block UDP. A datagram is assigned to a leg by
//! the ufrag in its connectivity check, later by its validated source address.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::ice_tcp::{IceTcpConnections, IceTcpLimits};
use super::leg_transport::{LegTransport, WebRtcTransport, handle_peer_output};
use super::slot::{LegSlot, PART_LEG};
use crate::leg::Leg;
use crate::limits;
use crate::transport::webrtc::{HostCandidates, IceCredentials, IceTransport, PeerOutput, ufrag_of_check};
use mio::{Interest, Poll, Token};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Instant;
use trunkline_connections::ConnectionCounters;
use trunkline_supervision::contain_sync;

const UDP: Token = Token(usize::MAX - 1);
const LISTENER: Token = Token(usize::MAX - 2);
/// Datagrams from unknown addresses that are matched against all calls per read. Limits the cost of a flood.
const UNKNOWN_SOURCES_MAX: usize = 16;

/// The port that all browsers share.
#[derive(Debug)]
pub struct WebRtcPortConfig {
    /// Bound socket that carries ICE, DTLS and SRTP of all browsers.
    pub udp: UdpSocket,
    /// For browsers whose network blocks UDP.
    pub tcp: Option<TcpListener>,
    /// Host candidates advertised to browsers.
    pub host_candidates: HostCandidates,
    /// Limits of its TCP connections.
    pub limits: IceTcpLimits,
    /// Counters of its TCP connections.
    pub report: Arc<ConnectionCounters>,
}

/// The port with its legs.
pub(super) struct WebRtcPort {
    sockets: WebRtcSockets,
    host_candidates: HostCandidates,
    by_ufrag: HashMap<String, usize>,
    by_addr: HashMap<(IceTransport, SocketAddr), usize>,
    unknown_sources_left: usize,
    /// Slots whose turn panicked.
    panicked: Vec<usize>,
}

/// Sockets of the port.
struct WebRtcSockets {
    udp: mio::net::UdpSocket,
    streams: IceTcpConnections,
}

impl WebRtcPort {
    pub(super) fn new(poll: &Poll, port: WebRtcPortConfig) -> std::io::Result<Self> {
        port.udp.set_nonblocking(true)?;
        let mut udp = mio::net::UdpSocket::from_std(port.udp);
        poll.registry().register(&mut udp, UDP, Interest::READABLE)?;
        let listener = match port.tcp {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                let mut listener = mio::net::TcpListener::from_std(listener);
                poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
                Some(listener)
            }
            None => None,
        };
        Ok(Self {
            sockets: WebRtcSockets { udp, streams: IceTcpConnections::new(listener, port.limits, port.report) },
            host_candidates: port.host_candidates,
            by_ufrag: HashMap::new(),
            by_addr: HashMap::new(),
            unknown_sources_left: 0,
            panicked: Vec::new(),
        })
    }

    /// Next slot whose cycle panicked.
    pub(super) fn poll_panicked(&mut self) -> Option<usize> {
        self.panicked.pop()
    }

    pub(super) fn register_slot(&mut self, index: usize, ufrag: &str) {
        self.by_ufrag.insert(ufrag.to_owned(), index);
    }

    /// Forgets a slot; its connections are closed.
    pub(super) fn remove_slot(&mut self, index: usize, ufrag: &str, poll: &Poll) {
        self.by_ufrag.remove(ufrag);
        let wires = &mut self.sockets;
        self.by_addr.retain(|(transport, addr), slot| {
            if *slot == index && *transport == IceTransport::Tcp {
                wires.streams.close_by_remote(*addr, poll);
            }
            *slot != index
        });
    }

    /// A new description may have changed the ufrag.
    pub(super) fn update_ufrag(&mut self, index: usize, web: &mut WebRtcTransport) {
        let name = web.peer.ufrag();
        if name != web.ufrag {
            self.by_ufrag.remove(&web.ufrag);
            self.by_ufrag.insert(name.clone(), index);
            web.ufrag = name;
        }
    }

    pub(super) fn restart_ice(
        &mut self, index: usize, web: &mut WebRtcTransport, theirs: IceCredentials,
    ) -> IceCredentials {
        let ours = web.peer.restart_ice(theirs, &self.host_candidates);
        self.by_ufrag.remove(&web.ufrag);
        self.by_ufrag.insert(ours.ufrag.clone(), index);
        web.ufrag.clone_from(&ours.ufrag);
        ours
    }

    /// Drains all output of a peer.
    pub(super) fn drain(&mut self, now: Instant, web: &mut WebRtcTransport, leg: &mut Leg) {
        let wires = &mut self.sockets;
        web.due = web.peer.poll(now, &mut |out| match out {
            PeerOutput::Send { transport, to, bytes } => wires.send(now, transport, to, bytes),
            out => handle_peer_output(now, leg, &out),
        });
    }

    /// Reads the socket of a token; true if more data is waiting.
    pub(super) fn receive(
        &mut self, now: Instant, poll: &Poll, token: Token, buffer: &mut [u8], slots: &mut [Option<Box<LegSlot>>],
        mut touched: impl FnMut(usize, &mut LegSlot),
    ) -> bool {
        match token {
            UDP => {
                self.unknown_sources_left = UNKNOWN_SOURCES_MAX;
                for _ in 0..limits::WEBRTC_BATCH_MAX {
                    match self.sockets.udp.recv_from(buffer) {
                        Ok((len, source)) => {
                            let datagram = buffer.get(..len).unwrap_or_default();
                            self.handle_datagram(now, IceTransport::Udp, source, datagram, slots, &mut touched);
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                        Err(_) => {} // ICMP of an earlier send
                    }
                }
                true
            }
            LISTENER => self.sockets.streams.accept(now, poll),
            Token(index) => {
                self.unknown_sources_left = UNKNOWN_SOURCES_MAX;
                self.read(now, poll, index, buffer, slots, &mut touched)
            }
        }
    }

    /// When deadlines of connections have to be looked at.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.sockets.streams.next_sweep()
    }

    pub(super) fn sweep(&mut self, now: Instant, poll: &Poll) {
        self.sockets.streams.sweep(now, poll);
    }

    fn read(
        &mut self, now: Instant, poll: &Poll, index: usize, buffer: &mut [u8], slots: &mut [Option<Box<LegSlot>>],
        touched: &mut impl FnMut(usize, &mut LegSlot),
    ) -> bool {
        let Some((remote, packets, more)) = self.sockets.streams.read(now, poll, index, buffer) else { return false };
        for packet in packets {
            self.handle_datagram(now, IceTransport::Tcp, remote, &packet, slots, touched);
            // The first packet must assign the connection to a call; otherwise the connection is closed.
            if self.sockets.streams.close_unassigned(remote, poll) {
                return false;
            }
        }
        more
    }

    fn handle_datagram(
        &mut self, now: Instant, transport: IceTransport, source: SocketAddr, bytes: &[u8],
        slots: &mut [Option<Box<LegSlot>>], touched: &mut impl FnMut(usize, &mut LegSlot),
    ) {
        // Our advertised address; str0m identifies its local candidates by it.
        let own = if transport == IceTransport::Udp {
            self.host_candidates.udp.first()
        } else {
            self.host_candidates.tcp.first()
        };
        let to = own.copied().unwrap_or(SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), 9)));
        let Some(index) = self.find_slot(now, transport, source, to, bytes, slots) else { return };
        let Some(Some(slot)) = slots.get_mut(index) else { return };
        let handled = contain_sync(PART_LEG, || {
            let LegSlot { leg, transport: LegTransport::WebRtc(web), .. } = slot.as_mut() else { return };
            web.peer.handle(now, transport, source, to, bytes);
            self.drain(now, web, leg);
            touched(index, slot);
        });
        if handled.is_err() {
            self.panicked.push(index);
        }
    }

    /// The slot that a datagram is for.
    fn find_slot(
        &mut self, now: Instant, transport: IceTransport, source: SocketAddr, to: SocketAddr, bytes: &[u8],
        slots: &[Option<Box<LegSlot>>],
    ) -> Option<usize> {
        if let Some(ufrag) = ufrag_of_check(bytes) {
            let index = self.by_ufrag.get(ufrag).copied()?;
            if transport == IceTransport::Tcp {
                self.sockets.streams.assign_to_slot(source, index);
            }
            return Some(index);
        }
        let accepts = |index: usize| {
            let Some(Some(slot)) = slots.get(index) else { return false };
            matches!(&slot.transport, LegTransport::WebRtc(web) if web.peer.accepts(now, transport, source, to, bytes))
        };
        if let Some(index) = self.by_addr.get(&(transport, source)).copied().filter(|index| accepts(*index)) {
            return Some(index);
        }
        self.unknown_sources_left = self.unknown_sources_left.checked_sub(1)?;
        let index = self.by_ufrag.values().copied().find(|index| accepts(*index))?;
        self.by_addr.insert((transport, source), index);
        Some(index)
    }
}

impl WebRtcSockets {
    fn send(&mut self, now: Instant, transport: IceTransport, to: SocketAddr, bytes: &[u8]) {
        match transport {
            IceTransport::Udp => {
                // A full buffer or an ICMP error is a lost packet.
                let _ = self.udp.send_to(bytes, to);
            }
            IceTransport::Tcp => self.streams.send(now, to, bytes),
        }
    }
}
