//! Receive time of a datagram: the worker cycle that read it, or the kernel's timestamp.

use nix::cmsg_space;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Source of the receive time of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveTimestamping {
    /// One clock read per worker cycle, up to one cycle late. Used by the server.
    PerCycle,
    /// The kernel's stamp (`SO_TIMESTAMPNS`), not affected by scheduling of this process. Used by the measuring test
    /// caller.
    Kernel,
}

/// Both clocks read at the same time, to convert kernel wall-clock timestamps to the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockPair {
    monotonic: Instant,
    wall: Duration,
}

impl ClockPair {
    pub(super) fn new(monotonic: Instant) -> Self {
        Self { monotonic, wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// Never later than the moment itself.
    fn at(&self, stamp: Duration) -> Instant {
        let ago = self.wall.saturating_sub(stamp);
        self.monotonic.checked_sub(ago).unwrap_or(self.monotonic)
    }
}

/// Asks the kernel to stamp what this socket receives.
pub(super) fn enable_timestamps(socket: &impl AsFd) -> io::Result<()> {
    setsockopt(socket, ReceiveTimestampns, &true).map_err(io::Error::from)
}

/// Control-message buffer for one timestamp.
pub(super) fn control_buffer() -> Vec<u8> {
    cmsg_space!(TimeSpec)
}

/// One datagram with the kernel's stamp.
pub(super) fn receive(
    socket: &impl AsRawFd, buffer: &mut [u8], control: &mut [u8], moment: &ClockPair,
) -> io::Result<(usize, SocketAddr, Instant)> {
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(control), MsgFlags::MSG_DONTWAIT)
        .map_err(io::Error::from)?;
    let stamp = message.cmsgs().ok().into_iter().flatten().find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    let source = message.address.as_ref().and_then(source_of).ok_or(io::ErrorKind::InvalidData)?;
    Ok((message.bytes, source, stamp.map_or(moment.monotonic, |stamp| moment.at(stamp))))
}

fn source_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::new(IpAddr::V6(v6.ip()), v6.port()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the clock is what is tested")]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn kernel_timestamp_is_the_arrival_time() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        enable_timestamps(&receiver).unwrap();
        let mut buffer = [0; 100];
        // The kernel begins to stamp a moment after the first socket asked for it (a deferred static key);
        // until then a datagram is stamped when it is read.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let before = Instant::now();
            sender.send_to(b"one", receiver.local_addr().unwrap()).unwrap();
            // Reading late does not change the timestamp.
            while before.elapsed() < Duration::from_millis(30) {
                std::hint::spin_loop();
            }
            let moment = ClockPair::new(Instant::now());
            let (len, source, at) = receive(&receiver, &mut buffer, &mut control_buffer(), &moment).unwrap();
            assert_eq!((len, source), (3, sender.local_addr().unwrap()));
            assert!(at + Duration::from_millis(10) > before && at <= moment.monotonic);
            if at < before + Duration::from_millis(10) {
                break;
            }
            assert!(Instant::now() < deadline, "the kernel stamps nothing");
        }
        let moment = ClockPair::new(Instant::now());
        let empty = receive(&receiver, &mut buffer, &mut control_buffer(), &moment).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }
}
