//! A leg in its worker slot, with its transport, event sink and next deadline.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::leg_transport::{LegTransport, drain_own_socket};
use super::receive_timestamp::{self, ClockPair};
use super::recorder::Recorder;
use crate::leg::{Leg, LegEvent};
use crate::limits;
use crate::transport::dtls::DtlsIdentity;
use crate::transport::webrtc::IceTransport;
use std::io::ErrorKind;
use std::time::Instant;

/// Takes a leg's events on the worker's thread; must not block. Returns false if the receiver is gone.
pub type LegEventSink = Box<dyn FnMut(LegEvent) -> bool + Send>;

/// What contains the panic of a leg's turn, as metrics name it.
pub(super) const PART_LEG: &str = "media_leg";

/// Room of a worker for what it reads.
pub(super) struct ReceiveBuffers {
    pub(super) datagram: Vec<u8>,
    /// For the kernel's stamp.
    control: Vec<u8>,
}

impl Default for ReceiveBuffers {
    fn default() -> Self {
        Self { datagram: vec![0; limits::PACKET_BYTES_MAX + 500], control: receive_timestamp::control_buffer() }
    }
}

/// A leg with what carries it and who listens.
pub(super) struct LegSlot {
    pub(super) leg: Box<Leg>,
    pub(super) number: u64,
    pub(super) transport: LegTransport,
    pub(super) sink: LegEventSink,
    pub(super) recording: bool,
    /// Deadline for the media path. Until the path is open the leg does not run, so that no audio is lost.
    pub(super) path_deadline: Option<Instant>,
}

impl LegSlot {
    /// Starts the leg once its path is open; reports a lost network when the deadline passes.
    pub(super) fn check_path_deadline(&mut self, now: Instant, cycle_at: Instant) {
        let Some(give_up) = self.path_deadline else { return };
        if self.transport.is_open() {
            self.path_deadline = None;
            self.leg.restart_pacing(cycle_at);
            self.leg.restart_network_timeout(now);
        } else if now >= give_up {
            self.leg.handle_disconnected();
            self.path_deadline = Some(now + limits::PATH_DEADLINE);
        }
    }

    /// Reads a socket of the leg until it is empty or the batch is full: it is edge triggered. A flood on one leg then
    /// costs the others little. True if more is waiting.
    pub(super) fn receive(
        &mut self, now: Instant, stamped: Option<&ClockPair>, is_rtp: bool, buffers: &mut ReceiveBuffers,
        identity: Option<&DtlsIdentity>,
    ) -> bool {
        let Self { leg, transport, .. } = self;
        for _ in 0..limits::RECEIVE_BATCH_MAX {
            let socket = match transport {
                LegTransport::Rtp(plain) if is_rtp => &plain.rtp,
                LegTransport::Rtp(plain) => &plain.rtcp,
                LegTransport::WebRtc(web) => match &web.own_socket {
                    Some((socket, _)) => socket,
                    None => return false,
                },
            };
            let received = match stamped {
                None => socket.recv_from(&mut buffers.datagram).map(|(len, source)| (len, source, now)),
                Some(moment) => receive_timestamp::receive(socket, &mut buffers.datagram, &mut buffers.control, moment),
            };
            let (len, source, at) = match received {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => continue, // ICMP of an earlier send
            };
            let datagram = buffers.datagram.get(..len).unwrap_or_default();
            match transport {
                LegTransport::WebRtc(web) => {
                    let to = web.own_socket.as_ref().map_or(source, |(_, addr)| *addr);
                    web.peer.handle(at, IceTransport::Udp, source, to, datagram);
                    drain_own_socket(at, web, leg);
                }
                LegTransport::Rtp(plain) => plain.handle_datagram(at, source, datagram, is_rtp, leg, identity),
            }
        }
        true
    }

    /// Next deadline.
    pub(super) fn due(&self, cycle_at: Instant) -> Instant {
        let own = self.transport.due();
        match self.path_deadline {
            // The path is open: the leg starts in the next cycle.
            Some(_) if self.transport.is_open() => cycle_at,
            Some(give_up) => own.map_or(give_up, |own| own.min(give_up)),
            None => own.map_or(self.leg.due(cycle_at), |own| own.min(self.leg.due(cycle_at))),
        }
    }

    /// Delivers the leg's events. Recording blocks go to the recorder, not to the call.
    pub(super) fn deliver(&mut self, recorder: &Recorder) {
        while let Some(event) = self.leg.poll_event() {
            match event {
                LegEvent::RecordingBlock { block } if self.recording => recorder.block(self.number, block),
                event => {
                    (self.sink)(event);
                }
            }
        }
    }
}
