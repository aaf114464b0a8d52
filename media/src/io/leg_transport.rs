//! Transport of a leg: its own RTP/RTCP sockets, plain or SRTP, or a WebRTC peer.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::ports::PortLease;
use crate::leg::{Leg, PortKind, StreamConfig};
use crate::rtp::packet::{RtpPacket, is_rtcp};
use crate::transport::dtls::{DtlsHandshake, DtlsIdentity, HandshakeProgress};
use crate::transport::ice::{ConnectivityCheck, IceLiteAgent};
use crate::transport::srtp::SrtpSession;
use crate::transport::webrtc::{PeerOutput, WebRtcPeer};
use mio::net::UdpSocket;
use std::net::SocketAddr;
use std::time::Instant;

pub(super) enum LegTransport {
    Rtp(Box<RtpTransport>),
    WebRtc(Box<WebRtcTransport>),
}

/// A pair of ports.
pub(super) struct RtpTransport {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    srtp: Option<SrtpSession>,
    handshake: Option<DtlsNegotiation>,
    /// SDP requires SRTP: nothing is sent or accepted before the keys are known.
    requires_encryption: bool,
    /// Keeps the port numbers taken until after the sockets are closed: fields drop in order.
    _lease: PortLease,
}

/// Failed handshakes from other sources than the described peer that are tolerated.
const FAILED_HANDSHAKES_MAX: u32 = 3;

/// A DTLS handshake and the address of its remote side: the source of the last datagram.
struct DtlsNegotiation {
    handshake: DtlsHandshake,
    to: Option<SocketAddr>,
    /// Rank of that address; an address with a higher rank replaces it.
    claim: Option<u8>,
    failed_handshakes: u32,
}

/// A peer with its next deadline; `own` when it does not share the port.
pub(super) struct WebRtcTransport {
    pub(super) peer: WebRtcPeer,
    pub(super) ufrag: String,
    pub(super) due: Instant,
    pub(super) own_socket: Option<(UdpSocket, SocketAddr)>,
}

impl LegTransport {
    /// True if packets can be sent: no keys or path are needed, or they are available.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Rtp(plain) => !plain.requires_encryption || plain.srtp.is_some(),
            Self::WebRtc(web) => web.peer.is_connected(),
        }
    }

    /// Next timeout of the transport itself.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Rtp(plain) => plain.handshake.as_ref().and_then(|shaking| shaking.handshake.due()),
            Self::WebRtc(web) => Some(web.due),
        }
    }

    pub(super) fn tick_leg(&mut self, now: Instant, due: Instant, leg: &mut Leg) {
        match self {
            Self::Rtp(plain) => leg.tick(now, due, &mut |port, to, bytes| plain.send(port, to, bytes)),
            Self::WebRtc(web) => leg.tick(now, due, &mut |port, _, bytes| {
                // The WebRTC peer sends RTCP itself.
                if let (PortKind::Rtp, Some(packet)) = (port, RtpPacket::parse(bytes)) {
                    web.peer.send(now, &packet);
                }
            }),
        }
    }
}

impl RtpTransport {
    pub(super) fn new(
        now: Instant, rtp: UdpSocket, rtcp: UdpSocket, lease: PortLease, leg: &Leg, identity: Option<&DtlsIdentity>,
    ) -> Self {
        let srtp = leg.srtp().and_then(SrtpSession::new);
        let mut plain =
            Self { rtp, rtcp, srtp, handshake: None, requires_encryption: requires_srtp(leg), _lease: lease };
        plain.start_handshake(now, leg, identity);
        plain
    }

    /// Begins the handshake that the description asks for.
    fn start_handshake(&mut self, now: Instant, leg: &Leg, identity: Option<&DtlsIdentity>) {
        let spoilt = self.handshake.take().map_or(0, |shaking| shaking.failed_handshakes);
        let handshake = leg.dtls().zip(identity).and_then(|(terms, identity)| DtlsHandshake::new(now, identity, terms));
        self.handshake = handshake.map(|handshake| DtlsNegotiation {
            handshake,
            to: leg.target(),
            claim: None,
            failed_handshakes: spoilt,
        });
        if let Some(shaking) = &mut self.handshake {
            let to = shaking.to;
            shaking.handshake.handle_timeout(now, &mut |bytes| send_to(&self.rtp, bytes, to));
        }
    }

    /// Handles a changed description, which `leg` already has. Keys that stay keep their counters.
    pub(super) fn handle_renegotiation(
        &mut self, now: Instant, before: StreamConfig, leg: &mut Leg, identity: Option<&DtlsIdentity>,
    ) {
        self.requires_encryption = requires_srtp(leg);
        if leg.dtls() != before.dtls {
            (self.srtp, self.handshake) = (None, None);
            self.start_handshake(now, leg, identity);
        }
        let Some(keys) = leg.srtp().filter(|_| leg.dtls().is_none()) else { return };
        let goes_on = self.srtp.as_mut().is_some_and(|srtp| srtp.rekey(keys));
        if !goes_on {
            self.srtp = SrtpSession::new(keys);
        }
    }

    pub(super) fn handle_datagram(
        &mut self, at: Instant, source: SocketAddr, bytes: &[u8], is_rtp: bool, leg: &mut Leg,
        identity: Option<&DtlsIdentity>,
    ) {
        if IceLiteAgent::is_check(bytes) {
            // Without ICE such packets only keep a NAT binding alive and need no answer.
            return leg
                .stream()
                .ice
                .map_or((), |lite| self.handle_connectivity_check(lite, source, bytes, is_rtp, leg));
        }
        if is_rtp && DtlsHandshake::is_dtls(bytes) && self.handshake.is_some() {
            return self.handle_handshake_datagram(at, source, bytes, leg, identity);
        }
        match self.srtp.as_mut().filter(|_| self.requires_encryption) {
            Some(srtp) => {
                if !srtp.unprotect(bytes, is_rtcp(bytes), |inside| leg.handle_authentic(at, source, inside)) {
                    leg.count_unauthentic();
                }
            }
            None if self.requires_encryption => leg.count_unauthentic(), // no SRTP keys yet
            None if is_rtp => leg.handle_rtp(at, source, bytes),
            None => leg.handle_rtcp(at, source, bytes),
        }
    }

    /// Handles a handshake datagram if its source may take part.
    fn handle_handshake_datagram(
        &mut self, at: Instant, source: SocketAddr, bytes: &[u8], leg: &mut Leg, identity: Option<&DtlsIdentity>,
    ) {
        let Some(shaking) = &mut self.handshake else { return };
        let claim = leg.source_rank(source);
        if claim.is_none() || claim < shaking.claim {
            return leg.count_unauthentic();
        }
        (shaking.to, shaking.claim) = (Some(source), claim);
        self.drive_handshake(leg, |handshake, send| handshake.handle(at, bytes, send));
        let failed =
            self.handshake.as_ref().is_some_and(|shaking| shaking.handshake.progress() == HandshakeProgress::Failed);
        if !failed {
            return;
        }
        // Another source may have presented its own certificate; start a new handshake for the peer.
        let described = source.ip().to_canonical() == leg.stream().remote.ip().to_canonical()
            && source.port() == leg.stream().remote.port();
        match &mut self.handshake {
            Some(shaking) if !described && shaking.failed_handshakes < FAILED_HANDSHAKES_MAX => {
                shaking.failed_handshakes += 1;
                self.start_handshake(at, leg, identity);
            }
            _ => leg.handle_disconnected(),
        }
    }

    /// Answers a connectivity check on the path it came from.
    fn handle_connectivity_check(
        &mut self, lite: IceLiteAgent, source: SocketAddr, bytes: &[u8], is_rtp: bool, leg: &mut Leg,
    ) {
        let (socket, port) = if is_rtp { (&self.rtp, PortKind::Rtp) } else { (&self.rtcp, PortKind::Rtcp) };
        match lite.handle_check(source, bytes, |answer| drop(socket.send_to(answer, source))) {
            Some(ConnectivityCheck::Nominated) => leg.handle_nominated(port, source),
            Some(ConnectivityCheck::Plain) => leg.handle_valid_path(source),
            None => leg.count_unauthentic(),
        }
    }

    /// Handles the deadline of the handshake.
    pub(super) fn tick(&mut self, now: Instant, leg: &mut Leg) {
        if self.handshake.as_ref().and_then(|shaking| shaking.handshake.due()).is_some_and(|due| due <= now) {
            self.drive_handshake(leg, |handshake, send| handshake.handle_timeout(now, send));
            if self.handshake.as_ref().is_some_and(|shaking| shaking.handshake.progress() == HandshakeProgress::Failed)
            {
                leg.handle_disconnected();
            }
        }
    }

    fn drive_handshake(&mut self, leg: &Leg, act: impl FnOnce(&mut DtlsHandshake, &mut dyn FnMut(&[u8]))) {
        let Some(shaking) = &mut self.handshake else { return };
        let to = shaking.to.or(leg.target());
        act(&mut shaking.handshake, &mut |bytes| send_to(&self.rtp, bytes, to));
        if let (HandshakeProgress::Done(keys), None) = (shaking.handshake.progress(), &self.srtp) {
            self.srtp = SrtpSession::new(keys);
        }
    }

    pub(super) fn send(&mut self, port: PortKind, to: SocketAddr, bytes: &[u8]) {
        let socket = match port {
            PortKind::Rtp => &self.rtp,
            PortKind::Rtcp => &self.rtcp,
        };
        match self.srtp.as_mut().filter(|_| self.requires_encryption) {
            Some(srtp) => srtp.protect(bytes, is_rtcp(bytes), |sealed| send_to(socket, sealed, Some(to))),
            None if !self.requires_encryption => send_to(socket, bytes, Some(to)),
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

fn requires_srtp(leg: &Leg) -> bool {
    leg.srtp().is_some() || leg.dtls().is_some()
}

/// Drains all output of a peer that has its own socket.
pub(super) fn drain_own_socket(now: Instant, web: &mut WebRtcTransport, leg: &mut Leg) {
    let WebRtcTransport { peer, due, own_socket: own, .. } = web;
    *due = peer.poll(now, &mut |out| match (out, &own) {
        (PeerOutput::Send { to, bytes, .. }, Some((socket, _))) => {
            let _ = socket.send_to(bytes, to);
        }
        (out, _) => handle_peer_output(now, leg, &out),
    });
}

/// Passes output of the peer to its leg.
pub(super) fn handle_peer_output(now: Instant, leg: &mut Leg, out: &PeerOutput<'_>) {
    match out {
        PeerOutput::Packet(packet) => leg.handle_packet(now, packet),
        PeerOutput::Connected => leg.handle_connected(now),
        PeerOutput::Closed => leg.handle_closed(),
        PeerOutput::Lost => leg.handle_disconnected(),
        PeerOutput::PathStats { loss, round_trip } => leg.handle_path_stats(*loss, *round_trip),
        PeerOutput::Send { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::ports::{PortPair, PortPool};
    use super::*;
    use crate::leg::LegConfig;
    use crate::transport::dtls::DtlsParams;

    fn transport(stream: StreamConfig) -> (RtpTransport, Leg) {
        let now = Instant::now();
        let PortPair { rtp, rtcp, lease } = PortPool::new([127, 0, 0, 1].into(), 33_000, 33_999).take().unwrap();
        let leg = Leg::new(now, LegConfig::basic(now, stream));
        (RtpTransport::new(now, UdpSocket::from_std(rtp), UdpSocket::from_std(rtcp), lease, &leg, None), leg)
    }

    #[test]
    fn srtp_leg_never_sends_plain_rtp() {
        let peer = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        peer.set_nonblocking(true).unwrap();
        let (to, mut buffer) = (peer.local_addr().unwrap(), [0; 32]);
        let packet = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 9, 8, 7, 6];
        // No DTLS identity, so no handshake takes place.
        let dtls = Some(DtlsParams { peer_fingerprint: [0; 32], is_dtls_client: false, association: 0 });
        let (mut secret, mut leg) = transport(StreamConfig { dtls, ..StreamConfig::pcmu(to) });
        secret.send(PortKind::Rtp, to, &packet);
        assert!(peer.recv(&mut buffer).is_err());
        secret.handle_datagram(Instant::now(), to, &packet, true, &mut leg, None);
        assert_eq!((leg.stats().packets_unauthentic, leg.stats().packets_received), (1, 0));
        let (mut plain, _) = transport(StreamConfig::pcmu(to));
        plain.send(PortKind::Rtp, to, &packet);
        assert_eq!(peer.recv(&mut buffer).unwrap(), packet.len());
    }
}
