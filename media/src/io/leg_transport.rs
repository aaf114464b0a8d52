//! Transport of a leg: its own RTP/RTCP sockets, plain or SRTP, or a WebRTC peer.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::ports::PortLease;
use crate::leg::{Leg, MediaSecurity, PortKind, StreamConfig};
use crate::rtp::packet::{RtpPacket, is_rtcp};
use crate::transport::dtls::{self, DtlsHandshake, DtlsIdentity, DtlsParams, HandshakeProgress};
use crate::transport::ice::{ConnectivityCheck, IceLiteAgent};
use crate::transport::srtp::{SrtpKeys, SrtpSession};
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
    security: RtpSecurity,
    /// ICE credentials before the last restart, for checks that were under way.
    former_ice: Option<IceLiteAgent>,
    /// Keeps the port numbers taken until after the sockets are closed: fields drop in order.
    _lease: PortLease,
}

/// What protects the packets of a pair of ports.
enum RtpSecurity {
    /// Nothing. A session of an earlier description is kept: if its key returns, its counters go on.
    Plain { earlier: Option<Box<SrtpSession>> },
    /// SRTP is required and its keys cannot be had: nothing is sent or accepted.
    Unusable,
    /// The keys of the session descriptions.
    Sdes(Box<SrtpSession>),
    /// The handshake goes on: nothing is sent or accepted yet.
    Handshaking(Box<DtlsNegotiation>),
    /// The keys of a handshake, which still answers repetitions.
    Dtls { srtp: Box<SrtpSession>, negotiation: Box<DtlsNegotiation> },
}

impl RtpSecurity {
    fn new(now: Instant, socket: &UdpSocket, leg: &Leg, identity: Option<&DtlsIdentity>) -> Self {
        match leg.stream().security {
            MediaSecurity::Plain => Self::Plain { earlier: None },
            MediaSecurity::Sdes(keys) => SrtpSession::new(keys).map_or(Self::Unusable, |srtp| Self::Sdes(srtp.into())),
            MediaSecurity::Dtls(params) => {
                let negotiation = DtlsNegotiation::start(now, socket, leg, params, identity, 0);
                negotiation.map_or(Self::Unusable, |negotiation| Self::Handshaking(negotiation.into()))
            }
        }
    }

    /// Keys that stay keep their counters.
    fn rekey(self, keys: SrtpKeys) -> Self {
        let standing = match self {
            Self::Sdes(mut srtp) | Self::Plain { earlier: Some(mut srtp) } => srtp.rekey(keys).then_some(srtp),
            Self::Plain { earlier: None } | Self::Unusable | Self::Handshaking(_) | Self::Dtls { .. } => None,
        };
        standing.or_else(|| SrtpSession::new(keys).map(Box::new)).map_or(Self::Unusable, Self::Sdes)
    }

    /// The stream is plain from now on.
    fn expose(self) -> Self {
        match self {
            Self::Sdes(srtp) => Self::Plain { earlier: Some(srtp) },
            Self::Plain { earlier } => Self::Plain { earlier },
            Self::Unusable | Self::Handshaking(_) | Self::Dtls { .. } => Self::Plain { earlier: None },
        }
    }

    fn negotiation(&self) -> Option<&DtlsNegotiation> {
        match self {
            Self::Handshaking(negotiation) | Self::Dtls { negotiation, .. } => Some(negotiation),
            Self::Plain { .. } | Self::Unusable | Self::Sdes(_) => None,
        }
    }

    fn negotiation_mut(&mut self) -> Option<&mut DtlsNegotiation> {
        match self {
            Self::Handshaking(negotiation) | Self::Dtls { negotiation, .. } => Some(negotiation),
            Self::Plain { .. } | Self::Unusable | Self::Sdes(_) => None,
        }
    }

    /// The handshake has ended with these keys; keys of an earlier one stay.
    fn complete(self, keys: SrtpKeys) -> Self {
        match self {
            Self::Handshaking(negotiation) => match SrtpSession::new(keys) {
                Some(srtp) => Self::Dtls { srtp: srtp.into(), negotiation },
                None => Self::Handshaking(negotiation),
            },
            Self::Plain { .. } | Self::Unusable | Self::Sdes(_) | Self::Dtls { .. } => self,
        }
    }

    /// The handshake begins anew, or cannot; keys of an earlier one stay.
    fn with_negotiation(self, begun: Option<DtlsNegotiation>) -> Self {
        match (self, begun) {
            (Self::Dtls { srtp, .. }, Some(negotiation)) => Self::Dtls { srtp, negotiation: negotiation.into() },
            (Self::Dtls { srtp, .. }, None) => Self::Sdes(srtp),
            (_, Some(negotiation)) => Self::Handshaking(negotiation.into()),
            (_, None) => Self::Unusable,
        }
    }
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

impl DtlsNegotiation {
    /// Begins a handshake after some that failed. `None` without a certificate of ours.
    fn start(
        now: Instant, socket: &UdpSocket, leg: &Leg, params: DtlsParams, identity: Option<&DtlsIdentity>,
        failed_handshakes: u32,
    ) -> Option<Self> {
        let mut handshake = DtlsHandshake::new(now, identity?, params)?;
        let to = leg.target();
        handshake.handle_timeout(now, &mut |bytes| send_to(socket, bytes, to));
        Some(Self { handshake, to, claim: None, failed_handshakes })
    }

    fn has_failed(&self) -> bool {
        self.handshake.progress() == HandshakeProgress::Failed
    }
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
            Self::Rtp(rtp) => match rtp.security {
                RtpSecurity::Plain { .. } | RtpSecurity::Sdes(_) | RtpSecurity::Dtls { .. } => true,
                RtpSecurity::Unusable | RtpSecurity::Handshaking(_) => false,
            },
            Self::WebRtc(web) => web.peer.is_connected(),
        }
    }

    /// Next timeout of the transport itself.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Rtp(rtp) => rtp.security.negotiation().and_then(|negotiation| negotiation.handshake.due()),
            Self::WebRtc(web) => Some(web.due),
        }
    }

    /// Its sockets are read no more.
    pub(super) fn deregister(&mut self, registry: &mio::Registry) {
        let deregistered = match self {
            Self::Rtp(plain) => {
                let _ = registry.deregister(&mut plain.rtp);
                registry.deregister(&mut plain.rtcp)
            }
            Self::WebRtc(web) => match &mut web.own_socket {
                Some((socket, _)) => registry.deregister(socket),
                None => Ok(()),
            },
        };
        drop(deregistered); // only a socket that was never registered fails
    }

    pub(super) fn tick_leg(&mut self, now: Instant, due: Instant, leg: &mut Leg) {
        let is_open = self.is_open();
        match self {
            Self::Rtp(_) if !is_open => leg.tick_without_path(now, due),
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
        let security = RtpSecurity::new(now, &rtp, leg, identity);
        Self { rtp, rtcp, security, former_ice: None, _lease: lease }
    }

    /// Puts another state in the place of the present one.
    fn change_security(&mut self, change: impl FnOnce(RtpSecurity) -> RtpSecurity) {
        let before = std::mem::replace(&mut self.security, RtpSecurity::Unusable);
        self.security = change(before);
    }

    /// Handles a changed description, which `leg` already has.
    pub(super) fn handle_renegotiation(
        &mut self, now: Instant, before: StreamConfig, leg: &mut Leg, identity: Option<&DtlsIdentity>,
    ) {
        if leg.stream().ice != before.ice {
            self.former_ice = before.ice;
        }
        match leg.stream().security {
            MediaSecurity::Plain => self.change_security(RtpSecurity::expose),
            MediaSecurity::Sdes(keys) => self.change_security(|standing| standing.rekey(keys)),
            same @ MediaSecurity::Dtls(_) if same == before.security => {}
            MediaSecurity::Dtls(_) => self.security = RtpSecurity::new(now, &self.rtp, leg, identity),
        }
    }

    pub(super) fn handle_datagram(
        &mut self, at: Instant, source: SocketAddr, bytes: &[u8], is_rtp: bool, leg: &mut Leg,
        identity: Option<&DtlsIdentity>,
    ) {
        if IceLiteAgent::is_check(bytes) {
            // Without ICE such packets only keep a NAT binding alive and need no answer.
            let Some(lite) = leg.stream().ice else { return };
            let before = leg.target();
            self.handle_connectivity_check(lite, source, bytes, is_rtp, leg);
            if leg.target() != before {
                self.move_handshake(at, leg, identity);
            }
            return;
        }
        if is_rtp && dtls::is_dtls(bytes) && self.security.negotiation().is_some() {
            return self.handle_handshake_datagram(at, source, bytes, leg, identity);
        }
        match &mut self.security {
            RtpSecurity::Sdes(srtp) | RtpSecurity::Dtls { srtp, .. } => {
                if !srtp.unprotect(bytes, is_rtcp(bytes), |inside| leg.handle_authentic(at, source, inside)) {
                    leg.count_unauthentic();
                }
            }
            RtpSecurity::Unusable | RtpSecurity::Handshaking(_) => leg.count_unauthentic(),
            RtpSecurity::Plain { .. } if is_rtp => leg.handle_rtp(at, source, bytes),
            RtpSecurity::Plain { .. } => leg.handle_rtcp(at, source, bytes),
        }
    }

    /// Handles a handshake datagram if its source may take part.
    fn handle_handshake_datagram(
        &mut self, at: Instant, source: SocketAddr, bytes: &[u8], leg: &mut Leg, identity: Option<&DtlsIdentity>,
    ) {
        let Some(negotiation) = self.security.negotiation_mut() else { return };
        let claim = leg.source_rank(source);
        if claim.is_none() || claim < negotiation.claim {
            return leg.count_unauthentic();
        }
        (negotiation.to, negotiation.claim) = (Some(source), claim);
        self.drive_handshake(leg, |handshake, send| handshake.handle(at, bytes, send));
        let Some(failed) = self.security.negotiation().filter(|negotiation| negotiation.has_failed()) else { return };
        // Another source may have presented its own certificate; start a new handshake for the peer.
        let stream = leg.stream();
        let described =
            source.ip().to_canonical() == stream.remote.ip().to_canonical() && source.port() == stream.remote.port();
        match stream.security {
            MediaSecurity::Dtls(params) if !described && failed.failed_handshakes < FAILED_HANDSHAKES_MAX => {
                let begun = DtlsNegotiation::start(at, &self.rtp, leg, params, identity, failed.failed_handshakes + 1);
                self.change_security(|standing| standing.with_negotiation(begun));
            }
            _ => leg.handle_disconnected(),
        }
    }

    /// The peer is somewhere else than we thought: a handshake that it has not answered begins anew there, without
    /// waiting for its timer.
    fn move_handshake(&mut self, now: Instant, leg: &Leg, identity: Option<&DtlsIdentity>) {
        let RtpSecurity::Handshaking(negotiation) = &mut self.security else { return };
        if negotiation.claim.is_some() {
            // It has answered, and goes on where it is.
            negotiation.to = leg.target();
            return;
        }
        let (params, failed) = (negotiation.handshake.terms, negotiation.failed_handshakes);
        let begun = DtlsNegotiation::start(now, &self.rtp, leg, params, identity, failed);
        self.change_security(|standing| standing.with_negotiation(begun));
    }

    /// Answers a connectivity check on the path it came from.
    fn handle_connectivity_check(
        &mut self, lite: IceLiteAgent, source: SocketAddr, bytes: &[u8], is_rtp: bool, leg: &mut Leg,
    ) {
        let (socket, port) = if is_rtp { (&self.rtp, PortKind::Rtp) } else { (&self.rtcp, PortKind::Rtcp) };
        let send = |answer: &[u8]| drop(socket.send_to(answer, source));
        // A check from before the restart is answered, and chooses nothing any more.
        let check_former = |former: IceLiteAgent| former.handle_check(source, bytes, send);
        let former = || self.former_ice.and_then(check_former).map(|_| ConnectivityCheck::Plain);
        match lite.handle_check(source, bytes, send).or_else(former) {
            Some(ConnectivityCheck::Nominated) => leg.handle_nominated(port, source),
            Some(ConnectivityCheck::Plain) => leg.handle_valid_path(source),
            None => leg.count_unauthentic(),
        }
    }

    /// Handles the deadline of the handshake.
    pub(super) fn tick(&mut self, now: Instant, leg: &mut Leg) {
        let due = self.security.negotiation().and_then(|negotiation| negotiation.handshake.due());
        if due.is_some_and(|due| due <= now) {
            self.drive_handshake(leg, |handshake, send| handshake.handle_timeout(now, send));
            if self.security.negotiation().is_some_and(DtlsNegotiation::has_failed) {
                leg.handle_disconnected();
            }
        }
    }

    fn drive_handshake(&mut self, leg: &Leg, act: impl FnOnce(&mut DtlsHandshake, &mut dyn FnMut(&[u8]))) {
        let socket = &self.rtp;
        let Some(negotiation) = self.security.negotiation_mut() else { return };
        let to = negotiation.to.or(leg.target());
        act(&mut negotiation.handshake, &mut |bytes| send_to(socket, bytes, to));
        if let HandshakeProgress::Done(keys) = negotiation.handshake.progress() {
            self.change_security(|standing| standing.complete(keys));
        }
    }

    pub(super) fn send(&mut self, port: PortKind, to: SocketAddr, bytes: &[u8]) {
        let socket = match port {
            PortKind::Rtp => &self.rtp,
            PortKind::Rtcp => &self.rtcp,
        };
        match &mut self.security {
            RtpSecurity::Sdes(srtp) | RtpSecurity::Dtls { srtp, .. } => {
                srtp.protect(bytes, is_rtcp(bytes), |sealed| send_to(socket, sealed, Some(to)));
            }
            RtpSecurity::Plain { .. } => send_to(socket, bytes, Some(to)),
            RtpSecurity::Unusable | RtpSecurity::Handshaking(_) => {}
        }
    }

    pub(super) fn close(&mut self, now: Instant, leg: &mut Leg) {
        leg.close(now, &mut |port, to, bytes| self.send(port, to, bytes));
        let socket = &self.rtp;
        if let Some(negotiation) = self.security.negotiation_mut() {
            let to = negotiation.to;
            negotiation.handshake.close(now, &mut |bytes| send_to(socket, bytes, to));
        }
    }
}

/// A full buffer or an ICMP error counts as a lost packet. A silent peer is detected by the network timeout.
fn send_to(socket: &UdpSocket, bytes: &[u8], to: Option<SocketAddr>) {
    if let Some(to) = to {
        let _ = socket.send_to(bytes, to);
    }
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
    use str0m::crypto::from_feature_flags;
    use str0m::ice::{StunMessageBuilder, TransId};

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
        let params = DtlsParams { peer_fingerprint: [0; 32], is_dtls_client: false, association: 0 };
        let security = MediaSecurity::Dtls(params);
        let (mut secret, mut leg) = transport(StreamConfig { security, ..StreamConfig::pcmu(to) });
        secret.send(PortKind::Rtp, to, &packet);
        assert!(peer.recv(&mut buffer).is_err());
        secret.handle_datagram(Instant::now(), to, &packet, true, &mut leg, None);
        assert_eq!((leg.stats().packets_unauthentic, leg.stats().packets_received), (1, 0));
        let (mut plain, _) = transport(StreamConfig::pcmu(to));
        plain.send(PortKind::Rtp, to, &packet);
        assert_eq!(peer.recv(&mut buffer).unwrap(), packet.len());
    }

    /// A connectivity check that chooses its path.
    fn check(ours: &IceLiteAgent) -> Vec<u8> {
        let hmac = from_feature_flags().sha1_hmac_provider;
        let name = format!("{}:them", std::str::from_utf8(&ours.ufrag).unwrap());
        let builder = StunMessageBuilder::new().binding().request().username(&name).prio(1).ice_controlling(1);
        let message = builder.use_candidate().build(TransId::new());
        let mut buffer = vec![0; 256];
        let len = message.to_bytes(Some(&ours.password), &mut buffer, |key, parts| hmac.sha1_hmac(key, parts)).unwrap();
        buffer.truncate(len);
        buffer
    }

    #[test]
    fn a_check_from_before_a_restart_is_answered_and_chooses_nothing() {
        let now = Instant::now();
        let agent = |digit: u8| IceLiteAgent { ufrag: [digit; 8], password: [digit; 32] };
        let peers: Vec<_> = (0..2).map(|_| std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap()).collect();
        peers.iter().for_each(|peer| peer.set_nonblocking(true).unwrap());
        let [first, second] = [0, 1].map(|at: usize| peers[at].local_addr().unwrap());
        let is_answered = |at: usize| peers[at].recv(&mut [0; 256]).is_ok();
        let described: SocketAddr = "192.0.2.9:4000".parse().unwrap();
        let before = StreamConfig { ice: Some(agent(b'a')), ..StreamConfig::pcmu(described) };
        let (mut transport, mut leg) = transport(before);
        transport.handle_datagram(now, first, &check(&agent(b'a')), true, &mut leg, None);
        assert!(is_answered(0) && leg.target() == Some(first));
        leg.renegotiate(now, StreamConfig { ice: Some(agent(b'b')), ..before });
        transport.handle_renegotiation(now, before, &mut leg, None);
        assert_eq!(leg.target(), Some(first), "the path stays until another one is chosen");
        transport.handle_datagram(now, second, &check(&agent(b'a')), true, &mut leg, None);
        assert!(is_answered(1) && leg.target() == Some(first));
        transport.handle_datagram(now, second, &check(&agent(b'b')), true, &mut leg, None);
        assert!(is_answered(1) && leg.target() == Some(second));
        transport.handle_datagram(now, first, &check(&agent(b'c')), true, &mut leg, None);
        assert!(!is_answered(0), "never ours");
    }
}
