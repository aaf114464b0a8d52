//! Transport of a leg: its own RTP/RTCP sockets, plain or SRTP, or a WebRTC peer.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::ports::PortLease;
use crate::leg::{Leg, Port, Stream};
use crate::rtp::packet::{Packet, is_rtcp};
use crate::transport::dtls::{Handshake, Identity, Progress};
use crate::transport::ice::{Check, Lite};
use crate::transport::srtp::Srtp;
use crate::transport::webrtc::{Out, Peer};
use mio::net::UdpSocket;
use std::net::SocketAddr;
use std::time::Instant;

pub(super) enum Carrier {
    Plain(Box<Plain>),
    Web(Box<Web>),
}

/// A pair of ports.
pub(super) struct Plain {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    srtp: Option<Srtp>,
    handshake: Option<Shaking>,
    /// SDP requires SRTP: nothing is sent or accepted before the keys are known.
    is_secret: bool,
    /// Keeps the port numbers taken until after the sockets are closed: fields drop in order.
    _lease: PortLease,
}

/// Failed handshakes from other sources than the described peer that are tolerated.
const SPOILT_MAX: u32 = 3;

/// A DTLS handshake and the address of its remote side: the source of the last datagram.
struct Shaking {
    handshake: Handshake,
    to: Option<SocketAddr>,
    /// Rank of that address; an address with a higher rank replaces it.
    claim: Option<u8>,
    spoilt: u32,
}

/// A peer with its next deadline; `own` when it does not share the port.
pub(super) struct Web {
    pub(super) peer: Peer,
    pub(super) ufrag: String,
    pub(super) due: Instant,
    pub(super) own: Option<(UdpSocket, SocketAddr)>,
}

impl Carrier {
    /// True if packets can be sent: no keys or path are needed, or they are available.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Plain(plain) => !plain.is_secret || plain.srtp.is_some(),
            Self::Web(web) => web.peer.is_connected(),
        }
    }

    /// Next timeout of the transport itself.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Plain(plain) => plain.handshake.as_ref().and_then(|shaking| shaking.handshake.due()),
            Self::Web(web) => Some(web.due),
        }
    }

    pub(super) fn tick_leg(&mut self, now: Instant, due: Instant, leg: &mut Leg) {
        match self {
            Self::Plain(plain) => leg.tick(now, due, &mut |port, to, bytes| plain.send(port, to, bytes)),
            Self::Web(web) => leg.tick(now, due, &mut |port, _, bytes| {
                // The WebRTC peer sends RTCP itself.
                if let (Port::Rtp, Some(packet)) = (port, Packet::parse(bytes)) {
                    web.peer.send(now, &packet);
                }
            }),
        }
    }
}

impl Plain {
    pub(super) fn new(
        now: Instant, rtp: UdpSocket, rtcp: UdpSocket, lease: PortLease, leg: &Leg, identity: Option<&Identity>,
    ) -> Self {
        let srtp = leg.srtp().and_then(Srtp::new);
        let mut plain = Self { rtp, rtcp, srtp, handshake: None, is_secret: wants_keys(leg), _lease: lease };
        plain.shake(now, leg, identity);
        plain
    }

    /// Begins the handshake that the description asks for.
    fn shake(&mut self, now: Instant, leg: &Leg, identity: Option<&Identity>) {
        let spoilt = self.handshake.take().map_or(0, |shaking| shaking.spoilt);
        let handshake = leg.dtls().zip(identity).and_then(|(terms, identity)| Handshake::new(now, identity, terms));
        self.handshake = handshake.map(|handshake| Shaking { handshake, to: leg.target(), claim: None, spoilt });
        if let Some(shaking) = &mut self.handshake {
            let to = shaking.to;
            shaking.handshake.handle_timeout(now, &mut |bytes| send_to(&self.rtp, bytes, to));
        }
    }

    /// Handles a changed description, which `leg` already has. Keys that stay keep their counters.
    pub(super) fn renegotiated(&mut self, now: Instant, before: Stream, leg: &mut Leg, identity: Option<&Identity>) {
        self.is_secret = wants_keys(leg);
        if leg.dtls() != before.dtls {
            (self.srtp, self.handshake) = (None, None);
            self.shake(now, leg, identity);
        }
        let Some(keys) = leg.srtp().filter(|_| leg.dtls().is_none()) else { return };
        let goes_on = self.srtp.as_mut().is_some_and(|srtp| srtp.rekey(keys));
        if !goes_on {
            self.srtp = Srtp::new(keys);
        }
    }

    pub(super) fn received(
        &mut self, at: Instant, source: SocketAddr, bytes: &[u8], is_rtp: bool, leg: &mut Leg,
        identity: Option<&Identity>,
    ) {
        if Lite::is_check(bytes) {
            // Without ICE such packets only keep a NAT binding alive and need no answer.
            return leg.stream().ice.map_or((), |lite| self.checked(lite, source, bytes, is_rtp, leg));
        }
        if is_rtp && Handshake::is_ours(bytes) && self.handshake.is_some() {
            return self.shook(at, source, bytes, leg, identity);
        }
        match self.srtp.as_mut().filter(|_| self.is_secret) {
            Some(srtp) => {
                if !srtp.open(bytes, is_rtcp(bytes), |inside| leg.handle_authentic(at, source, inside)) {
                    leg.handle_unauthentic();
                }
            }
            None if self.is_secret => leg.handle_unauthentic(), // no SRTP keys yet
            None if is_rtp => leg.handle_rtp(at, source, bytes),
            None => leg.handle_rtcp(at, source, bytes),
        }
    }

    /// Handles a handshake datagram if its source may take part.
    fn shook(&mut self, at: Instant, source: SocketAddr, bytes: &[u8], leg: &mut Leg, identity: Option<&Identity>) {
        let Some(shaking) = &mut self.handshake else { return };
        let claim = leg.claim(source);
        if claim.is_none() || claim < shaking.claim {
            return leg.handle_unauthentic();
        }
        (shaking.to, shaking.claim) = (Some(source), claim);
        self.shaken(leg, |handshake, send| handshake.handle(at, bytes, send));
        let failed = self.handshake.as_ref().is_some_and(|shaking| shaking.handshake.progress() == Progress::Failed);
        if !failed {
            return;
        }
        // Another source may have presented its own certificate; start a new handshake for the peer.
        let described = source.ip().to_canonical() == leg.stream().remote.ip().to_canonical()
            && source.port() == leg.stream().remote.port();
        match &mut self.handshake {
            Some(shaking) if !described && shaking.spoilt < SPOILT_MAX => {
                shaking.spoilt += 1;
                self.shake(at, leg, identity);
            }
            _ => leg.handle_disconnected(),
        }
    }

    /// Answers a connectivity check on the path it came from.
    fn checked(&mut self, lite: Lite, source: SocketAddr, bytes: &[u8], is_rtp: bool, leg: &mut Leg) {
        let (socket, port) = if is_rtp { (&self.rtp, Port::Rtp) } else { (&self.rtcp, Port::Rtcp) };
        match lite.check(source, bytes, |answer| drop(socket.send_to(answer, source))) {
            Some(Check::Chosen) => leg.handle_chosen(port, source),
            Some(Check::Path) => leg.handle_path_proven(source),
            None => leg.handle_unauthentic(),
        }
    }

    /// The handshake's own deadline.
    pub(super) fn tick(&mut self, now: Instant, leg: &mut Leg) {
        if self.handshake.as_ref().and_then(|shaking| shaking.handshake.due()).is_some_and(|due| due <= now) {
            self.shaken(leg, |handshake, send| handshake.handle_timeout(now, send));
            if self.handshake.as_ref().is_some_and(|shaking| shaking.handshake.progress() == Progress::Failed) {
                leg.handle_disconnected();
            }
        }
    }

    fn shaken(&mut self, leg: &Leg, act: impl FnOnce(&mut Handshake, &mut dyn FnMut(&[u8]))) {
        let Some(shaking) = &mut self.handshake else { return };
        let to = shaking.to.or(leg.target());
        act(&mut shaking.handshake, &mut |bytes| send_to(&self.rtp, bytes, to));
        if let (Progress::Done(keys), None) = (shaking.handshake.progress(), &self.srtp) {
            self.srtp = Srtp::new(keys);
        }
    }

    pub(super) fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        let socket = match port {
            Port::Rtp => &self.rtp,
            Port::Rtcp => &self.rtcp,
        };
        match self.srtp.as_mut().filter(|_| self.is_secret) {
            Some(srtp) => srtp.seal(bytes, is_rtcp(bytes), |sealed| send_to(socket, sealed, Some(to))),
            None if !self.is_secret => send_to(socket, bytes, Some(to)),
            None => {}
        }
    }

    pub(super) fn close(&mut self, now: Instant, leg: &mut Leg) {
        leg.close(now, &mut |port, to, bytes| self.send(port, to, bytes));
        if let Some(shaking) = &mut self.handshake {
            let to = shaking.to;
            shaking.handshake.close(now, &mut |bytes| send_to(&self.rtp, bytes, to));
        }
    }
}

/// A full buffer or an ICMP error counts as a lost packet. A silent peer is detected by the network timeout.
fn send_to(socket: &UdpSocket, bytes: &[u8], to: Option<SocketAddr>) {
    if let Some(to) = to {
        let _ = socket.send_to(bytes, to);
    }
}

fn wants_keys(leg: &Leg) -> bool {
    leg.srtp().is_some() || leg.dtls().is_some()
}

/// Drains all output of a peer that has its own socket.
pub(super) fn drain_own(now: Instant, web: &mut Web, leg: &mut Leg) {
    let Web { peer, due, own, .. } = web;
    *due = peer.poll(now, &mut |out| match (out, &own) {
        (Out::Send { to, bytes, .. }, Some((socket, _))) => {
            let _ = socket.send_to(bytes, to);
        }
        (out, _) => heard(now, leg, &out),
    });
}

/// Passes output of the peer to its leg.
pub(super) fn heard(now: Instant, leg: &mut Leg, out: &Out<'_>) {
    match out {
        Out::Packet(packet) => leg.handle_packet(now, packet),
        Out::Connected => leg.handle_connected(now),
        Out::Closed => leg.handle_closed(),
        Out::Lost => leg.handle_disconnected(),
        Out::Path { loss, round_trip } => leg.handle_path(*loss, *round_trip),
        Out::Send { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::ports::{PortPair, PortPool};
    use super::*;
    use crate::leg::Config;
    use crate::transport::dtls::Terms;

    fn carrier(stream: Stream) -> (Plain, Leg) {
        let now = Instant::now();
        let PortPair { rtp, rtcp, lease } = PortPool::new([127, 0, 0, 1].into(), 33_000, 33_999).take().unwrap();
        let leg = Leg::new(now, Config::plain(now, stream));
        (Plain::new(now, UdpSocket::from_std(rtp), UdpSocket::from_std(rtcp), lease, &leg, None), leg)
    }

    #[test]
    fn what_was_to_be_encrypted_never_leaves_in_the_clear() {
        let peer = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        peer.set_nonblocking(true).unwrap();
        let (to, mut buffer) = (peer.local_addr().unwrap(), [0; 32]);
        let packet = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 9, 8, 7, 6];
        // No DTLS identity, so no handshake takes place.
        let dtls = Some(Terms { theirs: [0; 32], active: false, association: 0 });
        let (mut secret, mut leg) = carrier(Stream { dtls, ..Stream::pcmu(to) });
        secret.send(Port::Rtp, to, &packet);
        assert!(peer.recv(&mut buffer).is_err());
        secret.received(Instant::now(), to, &packet, true, &mut leg, None);
        assert_eq!((leg.stats().packets_unauthentic, leg.stats().packets_received), (1, 0));
        let (mut plain, _) = carrier(Stream::pcmu(to));
        plain.send(Port::Rtp, to, &packet);
        assert_eq!(peer.recv(&mut buffer).unwrap(), packet.len());
    }
}
