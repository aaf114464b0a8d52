//! What carries a leg's packets tells it, and asks of it: where they go, which keys they have, whether there is a path.

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

    /// The peer has proven that it is there (ICE).
    pub fn handle_path_proven(&mut self, source: SocketAddr) {
        self.latch.proven(source);
    }

    /// The peer has chosen a path, and proven that it is there (ICE).
    pub fn handle_chosen(&mut self, port: Port, source: SocketAddr) {
        match port {
            Port::Rtp => self.latch.choose(source),
            Port::Rtcp => self.latch.choose_rtcp(source),
        }
    }

    /// Whether somebody there may take part in the handshake for the stream's keys: the higher, the better their
    /// claim; `None` for strangers.
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

    /// Silence counts from now on: there was no path before.
    pub fn restart_silence(&mut self, now: Instant) {
        self.last_packet = now;
    }

    /// The path to the other side is open (WebRTC: after ICE and DTLS), or is gone for good.
    pub fn handle_connected(&mut self, now: Instant) {
        self.last_packet = now;
        self.event(LegEvent::Connected { at: now });
    }

    /// The other side said goodbye.
    pub fn handle_closed(&mut self) {
        self.network_lost = true; // its silence means nothing any more
        self.event(LegEvent::PeerClosed);
    }

    pub fn handle_disconnected(&mut self) {
        if !std::mem::replace(&mut self.network_lost, true) {
            self.event(LegEvent::NetworkLost);
        }
    }

    /// A packet that was not what it had to be: not the peer's.
    pub fn handle_unauthentic(&mut self) {
        self.stats.packets_unauthentic += 1;
    }
}
