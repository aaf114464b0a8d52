//! The loop of the SIP task: whatever comes first is handled, then all output is sent.

use super::state::SipDriver;
use crate::io::connection::{ConnectionEvent, ConnectionOpener};
use crate::io::dns::LookupResult;
use crate::io::handle::SipCommand;
use crate::io::open_connections::SipConnection;
use crate::io::self_checks::{InternalWork, SWEEP_INTERVAL};
use crate::limits;
use crate::sip::message_log::MessageDirection;
use crate::sip::transport::{Transport, TransportAddress};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::sync::mpsc;

/// Converts IPv4-mapped addresses of a dual-stack socket.
fn to_canonical_addr(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

impl SipDriver {
    pub(super) async fn run(
        mut self, mut commands: mpsc::Receiver<SipCommand>, mut streams: mpsc::Receiver<ConnectionEvent>,
        mut resolved: mpsc::Receiver<LookupResult>,
    ) {
        let mut buffer = vec![0; limits::MESSAGE_BYTES_MAX];
        let udp = self.udp.clone();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = self.user_agent.poll_timeout();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => self.run_internal(InternalWork::Timer, |driver| driver.user_agent.handle_timeout(Instant::now())),
                _ = udp.readable() => self.receive(&mut buffer),
                command = commands.recv() => match command {
                    Some(command) => {
                        self.self_checks.commands += 1;
                        self.run_contained(command.call(), |driver| driver.handle_command(command));
                    }
                    None => return,
                },
                Some(event) = streams.recv() => self.handle_connection_event(event),
                Some(resolved) = resolved.recv() => self.run_contained(None, |driver| driver.handle_lookup_result(resolved)),
                _ = sweep.tick() => {
                    let waiting = commands.len() as u64;
                    self.run_internal(InternalWork::Sweep, |driver| driver.sweep(waiting));
                }
            }
            self.run_internal(InternalWork::Output, Self::flush);
            if self.self_checks.must_stop() {
                tracing::error!("SIP stops: its internal work panicked repeatedly");
                return;
            }
        }
    }

    /// Takes what has come by datagram, as much as one turn of the loop may.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) {
        let now = Instant::now();
        for _ in 0..limits::RECEIVE_BATCH_MAX {
            match self.udp.try_recv_from(buffer) {
                Ok((len, source)) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    let peer = TransportAddress { transport: Transport::Udp, addr: to_canonical_addr(source) };
                    let read_before = self.user_agent.counters().received;
                    self.handle_datagram_contained(now, bytes, |driver| {
                        driver.user_agent.handle_datagram(now, peer.addr, bytes)
                    });
                    // What the rate limiter dropped costs nothing more.
                    if self.user_agent.counters().received != read_before {
                        self.messages.record(MessageDirection::Received, peer, bytes, len);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // ICMP errors of earlier sends surface here; the transaction timers deal with the peer.
                Err(_) => {}
            }
        }
    }

    fn handle_connection_event(&mut self, event: ConnectionEvent) {
        let now = Instant::now();
        match event {
            ConnectionEvent::Opened { peer, queue, place } => {
                self.streams.insert(peer, SipConnection { queue, place, server_name: None, is_open: true });
            }
            ConnectionEvent::Verified { peer, place } => self.streams.set_open(&peer, &place),
            ConnectionEvent::Received { peer, parsed, excerpt } => {
                let read_before = self.user_agent.counters().received;
                self.handle_stream_contained(now, peer, parsed);
                if self.user_agent.counters().received != read_before {
                    self.messages.record_excerpt(peer, &excerpt);
                }
            }
            ConnectionEvent::Closed { peer, opener } => {
                self.streams.forget_closed(&peer);
                if opener == ConnectionOpener::We {
                    self.user_agent.handle_connection_lost(now, peer);
                    if self.streams.all(&peer).next().is_none() {
                        self.user_agent.handle_last_connection_lost(now, peer);
                    }
                }
            }
            ConnectionEvent::Unreachable { transaction, why } => {
                self.user_agent.handle_unreachable(now, &transaction, &why);
            }
        }
    }

    /// Sends and delivers all pending output of the user agent.
    pub(super) fn flush(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.user_agent.poll_transmit() {
                idle = false;
                self.transmit(transmit);
            }
            while let Some(peer) = self.user_agent.poll_dead_connection() {
                self.streams.close_all(&peer);
            }
            while let Some(event) = self.user_agent.poll_event() {
                idle = false;
                self.deliver_event(event);
            }
            while let Some(query) = self.user_agent.poll_query() {
                idle = false;
                self.handle_dns_query(query);
            }
            if idle {
                return;
            }
        }
    }
}
