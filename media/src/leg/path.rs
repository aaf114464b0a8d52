//! Interface between a leg and its transport: destination, keys, path events.

use super::{Leg, LegEvent, Port, Stream};
use crate::transport::dtls::Terms;
use crate::transport::srtp::Keys;
use std::net::SocketAddr;
use std::time::Instant;

impl Leg {
    /// The keys of its stream.
    pub fn srtp(&self) -> Option<Keys> {
        self.stream.srtp
    }

    /// A connectivity check was valid (ICE).
    pub fn handle_path_proven(&mut self, source: SocketAddr) {
        self.latch.proven(source);
    }

    /// The peer has nominated a path (ICE).
    pub fn handle_chosen(&mut self, port: Port, source: SocketAddr) {
        match port {
            Port::Rtp => self.latch.choose(source),
            Port::Rtcp => self.latch.choose_rtcp(source),
        }
    }

    /// Rank of a source for the DTLS handshake, higher is better; `None` for unknown sources.
    pub fn claim(&self, source: SocketAddr) -> Option<u8> {
        self.latch.claim(source)
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// The handshake its keys come from.
    pub fn dtls(&self) -> Option<Terms> {
        self.stream.dtls
    }

    /// Where its packets go; `None` while nobody is known to be there.
    pub fn target(&self) -> Option<SocketAddr> {
        self.latch.target()
    }

    /// Where its reports go.
    pub(super) fn report_target(&self) -> Option<SocketAddr> {
        self.latch.report_target()
    }

    /// Restarts the network timeout, because there was no path before.
    pub fn restart_silence(&mut self, now: Instant) {
        self.last_packet = now;
    }

    /// The path to the other side is open (WebRTC: after ICE and DTLS), or is gone for good.
    pub fn handle_connected(&mut self, now: Instant) {
        self.last_packet = now;
        self.event(LegEvent::Connected { at: now });
    }

    /// The remote side closed the session.
    pub fn handle_closed(&mut self) {
        self.network_lost = true; // its silence means nothing any more
        self.event(LegEvent::PeerClosed);
    }

    pub fn handle_disconnected(&mut self) {
        if !std::mem::replace(&mut self.network_lost, true) {
            self.event(LegEvent::NetworkLost);
        }
    }

    /// Counts a packet that failed authentication.
    pub fn handle_unauthentic(&mut self) {
        self.stats.packets_unauthentic += 1;
    }
}
