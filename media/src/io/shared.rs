//! The port that all browsers share: UDP, and TCP for those that UDP does not get out of. Whom a datagram
//! is for is told by the name in its connectivity check, and later by the address that a check has proven.

use super::carrier::{Carrier, Web, heard};
use super::turns::Seat;
use super::worker::WebPort;
use crate::leg::Leg;
use crate::limits;
use crate::transport::stream::{self, Deframer};
use crate::transport::webrtc::{Credentials, Out, Reach, Way, checked_ufrag};
use mio::{Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const UDP: Token = Token(usize::MAX - 1);
const LISTENER: Token = Token(usize::MAX - 2);
/// A connection must have proven whom it is for in this time.
const PROOF_DEADLINE: Duration = Duration::from_secs(10);
/// Datagrams of unknown addresses that are looked into in one read; a flood is not compared with every call.
const STRANGERS_MAX: usize = 16;
/// What waits for a slow connection; beyond it the connection is given up: sound that late is of no use.
const UNSENT_BYTES_MAX: usize = 32 * 1_024;

struct Connection {
    socket: mio::net::TcpStream,
    remote: SocketAddr,
    deframer: Deframer,
    unsent: Vec<u8>,
    since: Instant,
    proven: bool,
}

pub(super) struct SharedPort {
    wires: Wires,
    reach: Reach,
    listener: Option<mio::net::TcpListener>,
    by_ufrag: HashMap<String, usize>,
    by_addr: HashMap<(Way, SocketAddr), usize>,
    strangers: usize,
}

/// What bytes leave by.
struct Wires {
    udp: mio::net::UdpSocket,
    connections: Vec<Option<Box<Connection>>>,
    by_remote: HashMap<SocketAddr, usize>,
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
            wires: Wires { udp, connections: Vec::new(), by_remote: HashMap::new() },
            reach: port.reach,
            listener,
            by_ufrag: HashMap::new(),
            by_addr: HashMap::new(),
            strangers: 0,
        })
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
                wires.close(wires.by_remote.get(addr).copied(), poll);
            }
            *seat != index
        });
    }

    /// A new description may have brought a new name.
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

    /// Lets a peer say everything it has to say.
    pub(super) fn drain(&mut self, now: Instant, web: &mut Web, leg: &mut Leg) {
        let wires = &mut self.wires;
        web.due = web.peer.poll(now, &mut |out| match out {
            Out::Send { way, to, bytes } => wires.send(way, to, bytes),
            out => heard(now, leg, &out),
        });
    }

    /// Reads what a token stands for; true when there is more.
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
                            self.arrived(now, Way::Udp, source, &buffer[..len], seats, &mut touched);
                        }
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                        Err(_) => {} // ICMP of an earlier send
                    }
                }
                true
            }
            LISTENER => {
                self.accept(now, poll);
                false
            }
            Token(index) => {
                self.strangers = STRANGERS_MAX;
                self.read(now, poll, index, buffer, seats, &mut touched)
            }
        }
    }

    fn accept(&mut self, now: Instant, poll: &Poll) {
        self.sweep(now, poll);
        let Some(listener) = &self.listener else { return };
        while let Ok((mut socket, remote)) = listener.accept() {
            let open = self.wires.by_remote.len();
            let same = self.wires.by_remote.keys().filter(|other| other.ip() == remote.ip()).count();
            if open >= limits::STREAMS_MAX || same >= limits::STREAMS_PER_ADDRESS_MAX {
                continue; // dropped, and thereby closed
            }
            let _ = socket.set_nodelay(true);
            let free = self.wires.connections.iter().position(Option::is_none);
            let index = free.unwrap_or_else(|| {
                self.wires.connections.push(None);
                self.wires.connections.len() - 1
            });
            if poll.registry().register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE).is_ok() {
                let deframer = Deframer::default();
                self.wires.connections[index] =
                    Some(Box::new(Connection { socket, remote, deframer, unsent: vec![], since: now, proven: false }));
                self.wires.by_remote.insert(remote, index);
            }
        }
    }

    /// Connections that never said whom they are for.
    fn sweep(&mut self, now: Instant, poll: &Poll) {
        for index in 0..self.wires.connections.len() {
            let late = self.wires.connections[index]
                .as_ref()
                .is_some_and(|one| !one.proven && now.saturating_duration_since(one.since) > PROOF_DEADLINE);
            if late {
                self.wires.close(Some(index), poll);
            }
        }
    }

    fn read(
        &mut self, now: Instant, poll: &Poll, index: usize, buffer: &mut [u8], seats: &mut [Option<Box<Seat>>],
        touched: &mut impl FnMut(&mut Seat),
    ) -> bool {
        let Some(mut connection) = self.wires.connections.get_mut(index).and_then(Option::take) else { return false };
        let remote = connection.remote;
        let (mut open, mut more) = (connection.flush(), true);
        // What it carries may have to be answered over it, so it is put back for each packet.
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for _ in 0..limits::RECEIVE_BATCH_MAX {
            match connection.socket.read(buffer) {
                Ok(0) => open = false,
                Ok(len) => {
                    let sound = connection.deframer.push(&buffer[..len], |packet| packets.push(packet.to_vec()));
                    open &= sound.is_ok();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => more = false,
                Err(_) => open = false,
            }
            if !open || !more {
                break;
            }
        }
        self.wires.connections[index] = Some(connection);
        for packet in packets {
            self.arrived(now, Way::Tcp, remote, &packet, seats, touched);
        }
        if !open {
            self.wires.close(Some(index), poll);
        }
        open && more
    }

    fn arrived(
        &mut self, now: Instant, way: Way, source: SocketAddr, bytes: &[u8], seats: &mut [Option<Box<Seat>>],
        touched: &mut impl FnMut(&mut Seat),
    ) {
        // The address a browser was told of; str0m knows its candidates by it.
        let own = if way == Way::Udp { self.reach.udp.first() } else { self.reach.tcp.first() };
        let to = own.copied().unwrap_or(SocketAddr::from((IpAddr::V4(Ipv4Addr::LOCALHOST), 9)));
        let Some(index) = self.whose(now, way, source, to, bytes, seats) else { return };
        let Some(Some(seat)) = seats.get_mut(index) else { return };
        let Seat { leg, carrier: Carrier::Web(web), .. } = seat.as_mut() else { return };
        web.peer.handle(now, way, source, to, bytes);
        self.drain(now, web, leg);
        touched(seat);
    }

    /// The seat that a datagram is for.
    fn whose(
        &mut self, now: Instant, way: Way, source: SocketAddr, to: SocketAddr, bytes: &[u8],
        seats: &[Option<Box<Seat>>],
    ) -> Option<usize> {
        if let Some(ufrag) = checked_ufrag(bytes) {
            let index = self.by_ufrag.get(ufrag).copied()?;
            if let Some(connection) = self.wires.by_remote.get(&source).copied().filter(|_| way == Way::Tcp) {
                self.wires.connections[connection].iter_mut().for_each(|one| one.proven = true);
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
    fn send(&mut self, way: Way, to: SocketAddr, bytes: &[u8]) {
        match way {
            Way::Udp => {
                // A full buffer or an ICMP error is a lost packet.
                let _ = self.udp.send_to(bytes, to);
            }
            Way::Tcp => {
                let Some(Some(connection)) = self.by_remote.get(&to).map(|index| &mut self.connections[*index]) else {
                    return;
                };
                if connection.unsent.len() + bytes.len() <= UNSENT_BYTES_MAX {
                    stream::frame(bytes, &mut connection.unsent);
                }
                connection.flush();
            }
        }
    }

    fn close(&mut self, index: Option<usize>, poll: &Poll) {
        let Some(mut connection) = index.and_then(|index| self.connections.get_mut(index)?.take()) else { return };
        self.by_remote.remove(&connection.remote);
        let _ = poll.registry().deregister(&mut connection.socket);
    }
}

impl Connection {
    /// Writes what waits; false when the connection is gone.
    fn flush(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(0) => return false,
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }
}
