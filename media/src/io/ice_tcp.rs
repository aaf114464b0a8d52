//! ICE-TCP connections at the shared port, with limits and timeouts. The first packet, a connectivity check, assigns a
//! connection to a call. When a limit is reached, the oldest unassigned connection is closed.

use crate::limits;
use crate::transport::tcp_framing::{self, TcpDeframer};
use mio::{Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_connections::{
    Closed, ConnectionCaps, ConnectionCounters, ConnectionId, EvictionTable, PeerClass, SourceAddress,
};

/// How many connections browsers may hold, and how long they may take.
#[derive(Clone, Copy, Debug)]
pub struct IceTcpLimits {
    /// `per_tenant` is of one call: a browser opens one for each of its networks.
    pub caps: ConnectionCaps,
    /// Time until a connection must be assigned to a call.
    pub first_packet: Duration,
    /// From the first byte of a packet to its last.
    pub packet: Duration,
    /// Without a packet: browsers check their paths every few seconds (RFC 7675).
    pub idle: Duration,
    /// Time in which a blocked connection must accept some bytes.
    pub write: Duration,
}

impl Default for IceTcpLimits {
    fn default() -> Self {
        Self {
            // Many browsers may come from one address, by a TURN server or a company's.
            caps: ConnectionCaps { total: 1_024, reserved: 0, per_source: 128, per_listed_source: 128, per_tenant: 8 },
            first_packet: Duration::from_secs(10),
            packet: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(5),
        }
    }
}

/// How often the deadlines are looked at.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// Whether a connection has a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assignment {
    Unassigned,
    Assigned,
    /// Its call has reached the connection limit.
    Refused,
}

struct IceTcpConnection {
    socket: mio::net::TcpStream,
    remote: SocketAddr,
    id: ConnectionId,
    deframer: TcpDeframer,
    unsent: Vec<u8>,
    /// Of the last packet.
    heard: Instant,
    /// Since when a packet is incomplete.
    begun: Option<Instant>,
    /// Since when no queued byte was accepted.
    blocked: Option<Instant>,
    assignment: Assignment,
}

/// All connections. The index of a connection is also its poll token.
pub(super) struct IceTcpConnections {
    listener: Option<mio::net::TcpListener>,
    connections: Vec<Option<Box<IceTcpConnection>>>,
    free: Vec<usize>,
    by_remote: HashMap<SocketAddr, usize>,
    table: EvictionTable<usize>,
    limits: IceTcpLimits,
    report: Arc<ConnectionCounters>,
    swept: Option<Instant>,
}

impl IceTcpConnections {
    pub(super) fn new(
        listener: Option<mio::net::TcpListener>, limits: IceTcpLimits, report: Arc<ConnectionCounters>,
    ) -> Self {
        Self {
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            by_remote: HashMap::new(),
            table: EvictionTable::new(limits.caps),
            limits,
            report,
            swept: None,
        }
    }

    /// Takes a batch of connections; true when there may be more.
    pub(super) fn accept(&mut self, now: Instant, poll: &Poll) -> bool {
        for _ in 0..limits::ACCEPT_BATCH_MAX {
            let accepted = self.listener.as_ref().map(mio::net::TcpListener::accept);
            match accepted {
                Some(Ok((socket, remote))) => self.open(now, poll, socket, remote),
                // Nothing left to accept, or no file descriptor available; the next connection wakes us again.
                Some(Err(_)) | None => return false,
            }
        }
        true
    }

    fn open(&mut self, now: Instant, poll: &Poll, mut socket: mio::net::TcpStream, remote: SocketAddr) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let opened = self.table.open(SourceAddress::of(remote.ip()), PeerClass::Stranger, index);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.free.push(index);
                return self.report.record_close_reason(error.into()); // dropped, and thereby closed
            }
        };
        if let Some(evicted) = opened.evicted {
            self.close(evicted, poll, Some(Closed::Evicted));
        }
        let _ = socket.set_nodelay(true);
        if poll.registry().register(&mut socket, Token(index), Interest::READABLE | Interest::WRITABLE).is_err() {
            self.table.close(opened.id);
            self.free.push(index);
            return;
        }
        let stream = IceTcpConnection {
            socket,
            remote,
            id: opened.id,
            deframer: TcpDeframer::default(),
            unsent: Vec::new(),
            heard: now,
            begun: None,
            blocked: None,
            assignment: Assignment::Unassigned,
        };
        if let Some(place) = self.connections.get_mut(index) {
            *place = Some(Box::new(stream));
        }
        self.by_remote.insert(remote, index);
        self.report.record_opened();
    }

    /// Reads a batch: the other end, its packets, and whether there is more. A stream that cannot be read any further
    /// is closed after its packets.
    pub(super) fn read(
        &mut self, now: Instant, poll: &Poll, index: usize, buffer: &mut [u8],
    ) -> Option<(SocketAddr, Vec<Vec<u8>>, bool)> {
        let stream = self.connections.get_mut(index)?.as_deref_mut()?;
        let (remote, mut packets) = (stream.remote, Vec::new());
        let mut ended = if stream.flush(now) { None } else { Some(None) };
        let mut more = true;
        for _ in 0..limits::RECEIVE_BATCH_MAX {
            if ended.is_some() || !more || packets.len() >= limits::RECEIVE_BATCH_MAX {
                break;
            }
            match stream.socket.read(buffer) {
                Ok(0) => ended = Some(None),
                Ok(len) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    if stream.deframer.push(bytes, |packet| packets.push(packet.to_vec())).is_err() {
                        ended = Some(Some(Closed::Malformed));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => more = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => ended = Some(None),
            }
        }
        if !packets.is_empty() {
            (stream.heard, stream.begun) = (now, None);
        }
        stream.begun = if stream.deframer.is_empty() { None } else { stream.begun.or(Some(now)) };
        if let Some(why) = ended {
            self.close(index, poll, why);
        }
        Some((remote, packets, more && ended.is_none()))
    }

    /// Assigns the connection to the call in this slot.
    pub(super) fn assign_to_slot(&mut self, remote: SocketAddr, slot: usize) {
        let Some(index) = self.by_remote.get(&remote) else { return };
        let Some(stream) = self.connections.get_mut(*index).and_then(Option::as_deref_mut) else { return };
        if stream.assignment == Assignment::Assigned {
            return;
        }
        if self.table.assign_tenant(stream.id, slot as u64) {
            self.table.make_busy(stream.id);
            stream.assignment = Assignment::Assigned;
        } else {
            stream.assignment = Assignment::Refused;
        }
    }

    /// Closes a connection whose packets have not named its call; true when it is closed.
    pub(super) fn close_unassigned(&mut self, remote: SocketAddr, poll: &Poll) -> bool {
        let Some(index) = self.by_remote.get(&remote).copied() else { return true };
        let Some(stream) = self.connections.get(index).and_then(Option::as_deref) else { return true };
        let why = match stream.assignment {
            Assignment::Assigned => return false,
            Assignment::Refused => Closed::RefusedTenant,
            Assignment::Unassigned => Closed::Malformed,
        };
        self.close(index, poll, Some(why));
        true
    }

    pub(super) fn send(&mut self, now: Instant, to: SocketAddr, bytes: &[u8]) {
        let stream = self.by_remote.get(&to).and_then(|index| self.connections.get_mut(*index)?.as_deref_mut());
        let Some(stream) = stream else { return };
        // Late audio is useless, so packets that do not fit are dropped.
        if stream.unsent.len().saturating_add(bytes.len()) <= limits::UNSENT_BYTES_MAX {
            tcp_framing::write_framed(bytes, &mut stream.unsent);
        }
        stream.flush(now);
    }

    /// Its call is over.
    pub(super) fn close_by_remote(&mut self, remote: SocketAddr, poll: &Poll) {
        if let Some(index) = self.by_remote.get(&remote).copied() {
            self.close(index, poll, None);
        }
    }

    fn close(&mut self, index: usize, poll: &Poll, why: Option<Closed>) {
        let Some(mut stream) = self.connections.get_mut(index).and_then(Option::take) else { return };
        self.by_remote.remove(&stream.remote);
        self.table.close(stream.id);
        self.free.push(index);
        self.report.record_closed();
        if let Some(why) = why {
            self.report.record_close_reason(why);
        }
        let _ = poll.registry().deregister(&mut stream.socket);
    }

    /// When the deadlines have to be looked at again; not at all without connections.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        (!self.by_remote.is_empty()).then_some(self.swept? + SWEEP_EVERY)
    }

    /// Closes connections that exceeded a deadline.
    pub(super) fn sweep(&mut self, now: Instant, poll: &Poll) {
        if self.swept.is_some_and(|swept| now < swept + SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        for index in 0..self.connections.len() {
            let stream = self.connections.get(index).and_then(Option::as_deref);
            if let Some(why) = stream.and_then(|stream| stream.exceeded_deadline(now, &self.limits)) {
                self.close(index, poll, Some(why));
            }
        }
    }
}

impl IceTcpConnection {
    /// Writes what waits; false when the connection is gone.
    fn flush(&mut self, now: Instant) -> bool {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(0) => return false,
                Ok(len) => {
                    self.unsent.drain(..len);
                    self.blocked = None;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked.get_or_insert(now);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.blocked = None;
        true
    }

    fn exceeded_deadline(&self, now: Instant, limits: &IceTcpLimits) -> Option<Closed> {
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.assignment != Assignment::Assigned && since(self.heard) > limits.first_packet {
            return Some(Closed::FirstMessageTimeout);
        }
        if self.begun.is_some_and(|begun| since(begun) > limits.packet) {
            return Some(Closed::MessageTimeout);
        }
        if self.blocked.is_some_and(|blocked| since(blocked) > limits.write) {
            return Some(Closed::WriteTimeout);
        }
        (since(self.heard) > limits.idle).then_some(Closed::IdleTimeout)
    }
}

#[cfg(test)]
mod tests;
