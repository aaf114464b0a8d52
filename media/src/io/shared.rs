//! The port shared by all WebRTC peers: UDP, and TCP for networks that block UDP. A datagram is assigned to a leg by
//! the ufrag in its connectivity check, later by its validated source address.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::carrier::{Carrier, Web, heard};
use super::seat::{PART_LEG, Seat};
use super::streams::Streams;
use super::worker::WebPort;
use crate::leg::Leg;
use crate::limits;
use crate::transport::webrtc::{Credentials, Out, Reach, Way, checked_ufrag};
use mio::{Interest, Poll, Token};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;
use trunkline_supervision::contain_sync;

const UDP: Token = Token(usize::MAX - 1);
const LISTENER: Token = Token(usize::MAX - 2);
/// Datagrams from unknown addresses that are matched against all calls per read. Limits the cost of a flood.
const STRANGERS_MAX: usize = 16;
pub(super) struct SharedPort {
    wires: Wires,
    reach: Reach,
    by_ufrag: HashMap<String, usize>,
    by_addr: HashMap<(Way, SocketAddr), usize>,
    strangers: usize,
    /// Seats whose turn panicked.
    broken: Vec<usize>,
}

/// Sockets of the port.
struct Wires {
    udp: mio::net::UdpSocket,
    streams: Streams,
}

impl SharedPort {
    pub(super) fn new(poll: &Poll, port: WebPort) -> std::io::Result<Self> {
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
            wires: Wires { udp, streams: Streams::new(listener, port.limits, port.report) },
            reach: port.reach,
            by_ufrag: HashMap::new(),
            by_addr: HashMap::new(),
            strangers: 0,
            broken: Vec::new(),
        })
    }

    /// Next slot whose cycle panicked.
    pub(super) fn poll_broken(&mut self) -> Option<usize> {
        self.broken.pop()
    }

    pub(super) fn enter(&mut self, index: usize, ufrag: &str) {
        self.by_ufrag.insert(ufrag.to_owned(), index);
    }

    /// Forgets a seat; its connections are closed.
    pub(super) fn leave(&mut self, index: usize, ufrag: &str, poll: &Poll) {
        self.by_ufrag.remove(ufrag);
        let wires = &mut self.wires;
        self.by_addr.retain(|(way, addr), seat| {
            if *seat == index && *way == Way::Tcp {
                wires.streams.close_of(*addr, poll);
            }
            *seat != index
        });
    }

    /// A new description may have changed the ufrag.
    pub(super) fn renamed(&mut self, index: usize, web: &mut Web) {
        let name = web.peer.ufrag();
        if name != web.ufrag {
            self.by_ufrag.remove(&web.ufrag);
            self.by_ufrag.insert(name.clone(), index);
            web.ufrag = name;
        }
    }

    pub(super) fn restart(&mut self, index: usize, web: &mut Web, theirs: Credentials) -> Credentials {
        let ours = web.peer.restart(theirs, &self.reach);
        self.by_ufrag.remove(&web.ufrag);
        self.by_ufrag.insert(ours.ufrag.clone(), index);
        web.ufrag.clone_from(&ours.ufrag);
        ours
    }

    /// Drains all output of a peer.
    pub(super) fn drain(&mut self, now: Instant, web: &mut Web, leg: &mut Leg) {
        let wires = &mut self.wires;
        web.due = web.peer.poll(now, &mut |out| match out {
            Out::Send { way, to, bytes } => wires.send(now, way, to, bytes),
            out => heard(now, leg, &out),
        });
    }

    /// Reads the socket of a token; true if more data is waiting.
    pub(super) fn receive(
        &mut self, now: Instant, poll: &Poll, token: Token, buffer: &mut [u8], seats: &mut [Option<Box<Seat>>],
        mut touched: impl FnMut(&mut Seat),
    ) -> bool {
        match token {
            UDP => {
                self.strangers = STRANGERS_MAX;
                for _ in 0..limits::SHARED_BATCH_MAX {
                    match self.wires.udp.recv_from(buffer) {
                        Ok((len, source)) => {
                            let datagram = buffer.get(..len).unwrap_or_default();
                            self.arrived(now, Way::Udp, source, datagram, seats, &mut touched);
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                        Err(_) => {} // ICMP of an earlier send
                    }
                }
                true
            }
            LISTENER => self.wires.streams.accept(now, poll),
            Token(index) => {
                self.strangers = STRANGERS_MAX;
                self.read(now, poll, index, buffer, seats, &mut touched)
            }
        }
    }

    /// When deadlines of connections have to be looked at.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.wires.streams.next_sweep()
    }

    pub(super) fn sweep(&mut self, now: Instant, poll: &Poll) {
        self.wires.streams.sweep(now, poll);
    }

    fn read(
        &mut self, now: Instant, poll: &Poll, index: usize, buffer: &mut [u8], seats: &mut [Option<Box<Seat>>],
        touched: &mut impl FnMut(&mut Seat),
    ) -> bool {
        let Some((remote, packets, more)) = self.wires.streams.read(now, poll, index, buffer) else { return false };
        for packet in packets {
            self.arrived(now, Way::Tcp, remote, &packet, seats, touched);
            // The first packet must assign the connection to a call; otherwise the connection is closed.
            if self.wires.streams.close_unproven(remote, poll) {
                return false;
            }
        }
        more
    }

    fn arrived(
        &mut self, now: Instant, way: Way, source: SocketAddr, bytes: &[u8], seats: &mut [Option<Box<Seat>>],
        touched: &mut impl FnMut(&mut Seat),
    ) {
        // Our advertised address; str0m identifies its local candidates by it.
        let own = if way == Way::Udp { self.reach.udp.first() } else { self.reach.tcp.first() };
        let to = own.copied().unwrap_or(SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), 9)));
        let Some(index) = self.whose(now, way, source, to, bytes, seats) else { return };
        let Some(Some(seat)) = seats.get_mut(index) else { return };
        let handled = contain_sync(PART_LEG, || {
            let Seat { leg, carrier: Carrier::Web(web), .. } = seat.as_mut() else { return };
            web.peer.handle(now, way, source, to, bytes);
            self.drain(now, web, leg);
            touched(seat);
        });
        if handled.is_err() {
            self.broken.push(index);
        }
    }

    /// The seat that a datagram is for.
    fn whose(
        &mut self, now: Instant, way: Way, source: SocketAddr, to: SocketAddr, bytes: &[u8],
        seats: &[Option<Box<Seat>>],
    ) -> Option<usize> {
        if let Some(ufrag) = checked_ufrag(bytes) {
            let index = self.by_ufrag.get(ufrag).copied()?;
            if way == Way::Tcp {
                self.wires.streams.prove(source, index);
            }
            return Some(index);
        }
        let accepts = |index: usize| {
            let Some(Some(seat)) = seats.get(index) else { return false };
            matches!(&seat.carrier, Carrier::Web(web) if web.peer.accepts(now, way, source, to, bytes))
        };
        if let Some(index) = self.by_addr.get(&(way, source)).copied().filter(|index| accepts(*index)) {
            return Some(index);
        }
        self.strangers = self.strangers.checked_sub(1)?;
        let index = self.by_ufrag.values().copied().find(|index| accepts(*index))?;
        self.by_addr.insert((way, source), index);
        Some(index)
    }
}

impl Wires {
    fn send(&mut self, now: Instant, way: Way, to: SocketAddr, bytes: &[u8]) {
        match way {
            Way::Udp => {
                // A full buffer or an ICMP error is a lost packet.
                let _ = self.udp.send_to(bytes, to);
            }
            Way::Tcp => self.streams.send(now, to, bytes),
        }
    }
}
