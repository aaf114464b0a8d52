//! RTP ports: pairs of an even RTP and the next odd RTCP port (RFC 3550 section 11) from a range.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// Hands out port pairs, least recently used first, so that stray packets of an old call stop before its port is
/// reused.
#[derive(Clone, Debug)]
pub struct PortPool {
    bind: IpAddr,
    free: Arc<Mutex<VecDeque<u16>>>,
}

/// A bound port pair and its lease.
#[derive(Debug)]
pub struct PortPair {
    /// Non-blocking socket at the even port.
    pub rtp: UdpSocket,
    /// Non-blocking socket at the odd port above it. Unused by peers that multiplex RTCP (RFC 5761).
    pub rtcp: UdpSocket,
    /// Returns both ports to the pool when dropped. Drop the sockets first.
    pub lease: PortLease,
}

/// The ports return to the pool when this is dropped, which must be after the sockets.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    free: Arc<Mutex<VecDeque<u16>>>,
}

impl PortPool {
    /// Pairs inside `first..=last`.
    pub fn new(bind: IpAddr, first: u16, last: u16) -> Self {
        let first = first.saturating_add(first % 2);
        let free = (first..last).step_by(2).collect();
        Self { bind, free: Arc::new(Mutex::new(free)) }
    }

    /// Port pairs that no call holds. Other processes may still use some of them.
    pub fn available(&self) -> usize {
        self.lock().len()
    }

    /// Binds the next free pair. A port in use by another process moves to the end of the queue and the next one is
    /// tried.
    pub fn take(&self) -> io::Result<PortPair> {
        let attempts = self.available();
        for _ in 0..attempts {
            let Some(port) = self.lock().pop_front() else { break };
            match (self.bind(port), self.bind(port + 1)) {
                (Ok(rtp), Ok(rtcp)) => {
                    return Ok(PortPair { rtp, rtcp, lease: PortLease { port, free: self.free.clone() } });
                }
                _ => self.lock().push_back(port),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no free RTP port pair"))
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(SocketAddr::new(self.bind, port))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u16>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PortPair {
    /// The even RTP port; RTCP has the next one.
    pub fn port(&self) -> u16 {
        self.lease.port
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.port);
    }
}
