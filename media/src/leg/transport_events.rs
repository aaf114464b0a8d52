//! Interface between a leg and its transport: destination, keys, path events.

use super::Leg;
use super::config::PortKind;
use super::events::LegEvent;
use super::stream_config::StreamConfig;
use std::net::SocketAddr;
use std::time::Instant;

impl Leg {
    /// A connectivity check was valid (ICE).
    pub fn handle_valid_path(&mut self, source: SocketAddr) {
        self.latch.add_valid_path(source);
    }

    /// The peer has nominated a path (ICE).
    pub fn handle_nominated(&mut self, port: PortKind, source: SocketAddr) {
        match port {
            PortKind::Rtp => self.latch.nominate(source),
            PortKind::Rtcp => self.latch.nominate_rtcp(source),
        }
    }

    /// Rank of a source for the DTLS handshake, higher is better; `None` for unknown sources.
    pub fn source_rank(&self, source: SocketAddr) -> Option<u8> {
        self.latch.source_rank(source)
    }

    /// The parameters in force: the last negotiated ones, with the G.711 variant that the peer really sends.
    pub fn stream(&self) -> StreamConfig {
        self.stream
    }

    /// The target of its packets; `None` while no peer address is known.
    pub fn target(&self) -> Option<SocketAddr> {
        self.latch.target()
    }

    /// Restarts the network timeout, because there was no path before.
    pub fn restart_network_timeout(&mut self, now: Instant) {
        self.network.touch(now);
    }

    /// The path to the other side is open (WebRTC: after ICE and DTLS), or is gone for good.
    pub fn handle_connected(&mut self, now: Instant) {
        self.network.touch(now);
        self.events.push(LegEvent::Connected { at: now });
    }

    /// The remote side closed the session.
    pub fn handle_closed(&mut self) {
        self.network.take_down(); // its silence means nothing any more
        self.events.push(LegEvent::PeerClosed);
    }

    /// Reports a lost path as a lost network. Reports nothing if one was reported since the call started.
    pub fn handle_disconnected(&mut self) {
        if self.network.take_down() {
            self.events.push(LegEvent::NetworkLost);
        }
    }

    /// Counts a packet that failed authentication.
    pub fn count_unauthentic(&mut self) {
        self.stats.packets_unauthentic += 1;
    }
}
