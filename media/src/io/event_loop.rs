//! The worker's event loop: sends what is due, reads sockets, executes commands.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::command::{IceRestartDone, ReofferDone, WAKE, WorkerCommand};
use super::leg_slots::LegSlots;
use super::leg_transport::{LegTransport, drain_own_socket};
use super::receive_timestamp::{ClockPair, ReceiveTimestamping};
use super::recorder::{Recorder, RecordingDone};
use super::slot::{LegEventSink, LegSlot, PART_LEG, ReceiveBuffers};
use super::transport_setup::{TransportSetup, WorkerSockets};
use super::webrtc_port::WebRtcPort;
use crate::leg::{Leg, LegEvent, StreamConfig};
use crate::limits;
use crate::stats::{Heartbeat, WorkerStats};
use crate::transport::dtls::DtlsIdentity;
use crate::transport::webrtc::IceCredentials;
use crossbeam_channel::Receiver;
use mio::{Events, Poll, Token};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use trunkline_supervision::contain_sync;

/// Metric label of panics outside of a leg's cycle.
const PART_WORKER: &str = "media_worker";
const CYCLE: Duration = Duration::from_millis(2);

/// What a worker shares with others.
pub(super) struct WorkerContext {
    pub(super) commands: Receiver<WorkerCommand>,
    pub(super) recorder: Recorder,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) legs: Arc<AtomicU64>,
    pub(super) identity: Option<Arc<DtlsIdentity>>,
    pub(super) heartbeat: Arc<Heartbeat>,
}

pub(super) struct Worker {
    poll: Poll,
    arrival: ReceiveTimestamping,
    queue: Receiver<WorkerCommand>,
    slots: LegSlots,
    recorder: Recorder,
    stats: Arc<WorkerStats>,
    /// DTLS certificate of this process.
    identity: Option<Arc<DtlsIdentity>>,
    heartbeat: Arc<Heartbeat>,
    buffers: ReceiveBuffers,
    /// Sockets that had more than one batch of datagrams.
    pending_sockets: Vec<Token>,
    /// Every handle is gone.
    is_stopped: bool,
    /// The port of all browsers, where this worker owns it.
    shared: Option<WebRtcPort>,
}

impl Worker {
    pub(super) fn new(
        poll: Poll, arrival: ReceiveTimestamping, queues: WorkerContext, shared: Option<WebRtcPort>,
    ) -> Self {
        let WorkerContext { commands: queue, recorder, stats, legs, identity, heartbeat } = queues;
        Self {
            poll,
            arrival,
            queue,
            slots: LegSlots::new(legs, stats.clone()),
            recorder,
            stats,
            identity,
            heartbeat,
            buffers: ReceiveBuffers::default(),
            pending_sockets: Vec::new(),
            is_stopped: false,
            shared,
        }
    }

    /// Until every handle is gone. A panic in a leg's cycle ends that leg. A panic elsewhere cannot be attributed to a
    /// leg, so all legs of this worker end and are reported; the worker continues with new legs. Calls of other workers
    /// are not affected.
    pub(super) fn run(mut self) {
        while contain_sync(PART_WORKER, || self.run_cycles()).is_err() {
            let now = Instant::now();
            for index in 0..self.slots.len() {
                self.end_panicked_leg(now, index);
            }
            self.pending_sockets.clear();
            std::thread::sleep(limits::RESTART_PAUSE);
        }
    }

    fn run_cycles(&mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut cycle_at = Instant::now();
        loop {
            if self.slots.is_empty() {
                let now = Instant::now();
                let next = self.shared.as_ref().and_then(WebRtcPort::next_sweep);
                let wait = next.map_or(limits::IDLE_CYCLE_MAX, |next| next.saturating_duration_since(now));
                let wait =
                    if self.pending_sockets.is_empty() { wait.min(limits::IDLE_CYCLE_MAX) } else { Duration::ZERO };
                if self.poll.poll(&mut events, Some(wait)).is_err() {
                    continue;
                }
                cycle_at = Instant::now();
            } else {
                cycle_at += CYCLE;
                let now = Instant::now();
                if let Some(wait) = cycle_at.checked_duration_since(now) {
                    std::thread::sleep(wait);
                } else if now - cycle_at > limits::CATCH_UP_MAX {
                    cycle_at = now;
                }
                if self.poll.poll(&mut events, Some(Duration::ZERO)).is_err() {
                    events.clear();
                }
            }
            // Sending comes first. A leg is due by the nominal time of the cycle, so a late wake-up does not move it to
            // the next cycle.
            let mut now = Instant::now();
            self.heartbeat.record_heartbeat(now);
            self.tick(now, cycle_at);
            let mut ready = std::mem::take(&mut self.pending_sockets);
            ready.extend(events.iter().map(mio::event::Event::token).filter(|token| *token != WAKE));
            for batch in ready.chunks(limits::SOCKETS_BATCH) {
                now = self.catch_up(&mut cycle_at);
                let stamped = (self.arrival == ReceiveTimestamping::Kernel).then(|| ClockPair::new(now));
                for token in batch {
                    self.receive(now, stamped.as_ref(), *token);
                }
            }
            ready.clear();
            if let Some(shared) = &mut self.shared {
                shared.sweep(now, &self.poll);
            }
            if self.pending_sockets.is_empty() {
                self.pending_sockets = ready; // keeps its room
            }
            while self.execute_commands(now, cycle_at) {
                now = self.catch_up(&mut cycle_at);
            }
            if self.is_stopped {
                return;
            }
            // Send speech that arrived with the commands.
            self.tick(now, cycle_at);
        }
    }

    /// A batch may take longer than a cycle; packets of cycles that started meanwhile are sent before the next batch.
    fn catch_up(&mut self, cycle_at: &mut Instant) -> Instant {
        let now = Instant::now();
        while *cycle_at + CYCLE <= now && now - *cycle_at <= limits::CATCH_UP_MAX {
            *cycle_at += CYCLE;
            self.tick(now, *cycle_at);
        }
        now
    }

    fn receive(&mut self, now: Instant, stamped: Option<&ClockPair>, token: Token) {
        if let Some(shared) = &mut self.shared {
            let (slots, due) = self.slots.all_mut();
            let more = shared.receive(now, &self.poll, token, &mut self.buffers.datagram, slots, |index, slot| {
                slot.deliver(&self.recorder);
                // A datagram may open the path, or bring the peer's next deadline forward.
                if let Some(before) = due.get_mut(index) {
                    *before = slot.due(now).min(*before);
                }
            });
            if more {
                self.pending_sockets.push(token);
            }
            while let Some(index) = self.shared.as_mut().and_then(WebRtcPort::poll_panicked) {
                self.end_panicked_leg(now, index);
            }
            return;
        }
        let index = token.0 / 2;
        if contain_sync(PART_LEG, || self.receive_leg(now, stamped, token)).is_err() {
            self.end_panicked_leg(now, index);
        }
    }

    /// Reads the socket of a leg.
    fn receive_leg(&mut self, now: Instant, stamped: Option<&ClockPair>, token: Token) {
        let (index, is_rtp) = (token.0 / 2, token.0.is_multiple_of(2));
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.receive(now, stamped, is_rtp, &mut self.buffers, self.identity.as_deref()) {
            self.pending_sockets.push(token);
        }
        let due = slot.due(now);
        slot.deliver(&self.recorder);
        self.slots.advance_due(index, due);
    }

    /// Carries out a batch; true when there may be more.
    fn execute_commands(&mut self, now: Instant, cycle_at: Instant) -> bool {
        for _ in 0..limits::COMMANDS_BATCH {
            let command = match self.queue.try_recv() {
                Ok(command) => command,
                Err(crossbeam_channel::TryRecvError::Empty) => return false,
                Err(crossbeam_channel::TryRecvError::Disconnected) => {
                    self.is_stopped = true;
                    return false;
                }
            };
            #[cfg(test)]
            if matches!(command, WorkerCommand::Panic) {
                panic!("asked to");
            }
            // If an Add panics after the leg is in its slot, the leg is ended below; before that, leg and sink are
            // dropped.
            let leg = command.leg();
            match (contain_sync(PART_LEG, || self.carry_out(now, cycle_at, command)), self.slots.index_of(leg)) {
                (Err(_), Some(index)) => self.end_panicked_leg(now, index),
                // Whatever was asked for may open the path or bring speech.
                (Ok(()), Some(_)) => self.slots.reschedule(cycle_at, leg),
                (_, None) => {}
            }
        }
        true
    }

    fn carry_out(&mut self, now: Instant, cycle_at: Instant, command: WorkerCommand) {
        match command {
            WorkerCommand::Add { number, leg, wire, recording, sink } => {
                self.add(cycle_at, number, leg, wire, recording, sink)
            }
            WorkerCommand::AddCandidates { leg, lines } => self.with_slot(leg, |slot| {
                if let LegTransport::WebRtc(web) = &mut slot.transport {
                    lines.iter().for_each(|line| web.peer.add_candidate(line));
                    web.due = now;
                }
            }),
            WorkerCommand::RestartIce { leg, theirs, done } => self.restart_ice(now, leg, theirs, done),
            WorkerCommand::Play { leg, segment, samples, ended } => {
                self.with_slot(leg, |slot| slot.leg.play(segment, samples, ended));
            }
            WorkerCommand::Flush { leg, response_id, barge_in } => {
                self.with_slot(leg, |slot| slot.leg.flush(now, response_id, barge_in));
            }
            WorkerCommand::Resume { leg } => self.with_slot(leg, |slot| slot.leg.resume()),
            WorkerCommand::SetAmbience { leg, ambience } => {
                self.with_slot(leg, |slot| slot.leg.set_ambience(ambience.map(|ambience| *ambience)));
            }
            WorkerCommand::RelayFrame { leg, frame } => self.with_slot(leg, |slot| slot.leg.relay_frame(&frame)),
            WorkerCommand::StartBridge { leg } => self.with_slot(leg, |slot| slot.leg.start_bridge()),
            WorkerCommand::SetListenIn { leg, on } => self.with_slot(leg, |slot| slot.leg.set_listen_in(on)),
            WorkerCommand::NoteSignalledDigit { leg } => self.with_slot(leg, |slot| slot.leg.handle_signalled_digit()),
            WorkerCommand::StartCall { leg, record } => self.with_slot(leg, |slot| slot.leg.start_call(now, record)),
            WorkerCommand::SetUninterruptible { leg, response_id } => {
                self.with_slot(leg, |slot| slot.leg.set_uninterruptible(response_id));
            }
            WorkerCommand::SetBargeIn { leg, config } => self.with_slot(leg, |slot| slot.leg.set_barge_in(config)),
            WorkerCommand::SendDtmf { leg, digits } => self.with_slot(leg, |slot| slot.leg.send_dtmf(&digits)),
            WorkerCommand::Renegotiate { leg, stream } => self.renegotiate(now, leg, stream),
            WorkerCommand::AnswerReoffer { leg, offer, done } => self.reoffer(now, leg, &offer, done),
            WorkerCommand::Remove { leg, recorded } => self.remove(now, leg, recorded),
            #[cfg(test)]
            WorkerCommand::Panic => {}
        }
    }

    fn with_slot(&mut self, leg: u64, act: impl FnOnce(&mut LegSlot)) {
        if let Some(slot) = self.slots.of_leg_mut(leg) {
            act(slot);
            slot.deliver(&self.recorder);
        }
    }

    fn renegotiate(&mut self, now: Instant, leg: u64, stream: StreamConfig) {
        let identity = self.identity.clone();
        self.with_slot(leg, |slot| {
            let before = slot.leg.stream();
            slot.leg.renegotiate(now, stream);
            if let LegTransport::Rtp(plain) = &mut slot.transport {
                plain.handle_renegotiation(now, before, &mut slot.leg, identity.as_deref());
            }
        });
    }

    /// Another description of a WebRTC peer, in a dialog.
    fn reoffer(&mut self, now: Instant, leg: u64, offer: &str, done: ReofferDone) {
        let Some(index) = self.slots.index_of(leg) else { return };
        let slot = self.slots.get_mut(index);
        let Some(LegSlot { leg, transport: LegTransport::WebRtc(web), .. }) = slot else { return };
        let answered = web.peer.answer_reoffer(offer);
        if let Ok((_, stream)) = &answered {
            leg.renegotiate(now, *stream);
        }
        web.due = now;
        if let Some(shared) = &mut self.shared {
            shared.update_ufrag(index, web);
        }
        done(answered.map(|(sdp, _)| sdp));
    }

    fn restart_ice(&mut self, now: Instant, leg: u64, theirs: IceCredentials, done: IceRestartDone) {
        let Some(index) = self.slots.index_of(leg) else { return };
        if let (Some(LegSlot { transport: LegTransport::WebRtc(web), .. }), Some(shared)) =
            (self.slots.get_mut(index), &mut self.shared)
        {
            done(shared.restart_ice(index, web, theirs));
            web.due = now;
        }
    }

    fn add(
        &mut self, cycle_at: Instant, number: u64, mut leg: Box<Leg>, wire: TransportSetup, recording: Option<PathBuf>,
        mut sink: LegEventSink,
    ) {
        let index = self.slots.reserve(cycle_at);
        let waits = wire.waits_for_path();
        let sockets = WorkerSockets {
            poll: &self.poll,
            arrival: self.arrival,
            identity: self.identity.as_deref(),
            shared: self.shared.as_mut(),
            buffer: &mut self.buffers.datagram,
        };
        let Ok(transport) = wire.open(cycle_at, index, &mut leg, sockets) else {
            self.slots.cancel(index);
            sink(LegEvent::NetworkLost);
            return;
        };
        if let Some(path) = &recording {
            self.recorder.open(number, path.clone());
        }
        leg.restart_pacing(cycle_at);
        let waits = waits || matches!(transport, LegTransport::Rtp(_)) && !transport.is_open();
        let stalled = waits.then(|| cycle_at + limits::PATH_DEADLINE);
        let slot =
            Box::new(LegSlot { leg, number, transport, sink, recording: recording.is_some(), path_deadline: stalled });
        self.slots.occupy(index, slot.due(cycle_at), slot);
    }

    /// Takes a leg out of its slot, which is free from now on.
    fn take_slot(&mut self, now: Instant, index: usize) -> Option<Box<LegSlot>> {
        let mut slot = self.slots.remove(now, index)?;
        slot.transport.deregister(self.poll.registry());
        Some(slot)
    }

    fn remove(&mut self, now: Instant, leg: u64, recorded: Option<RecordingDone>) {
        let place = self.slots.index_of(leg);
        let Some(mut slot) = place.and_then(|index| self.take_slot(now, index)) else {
            // A leg that panicked may have left a recording.
            return self.recorder.close(leg, recorded.unwrap_or_else(|| Box::new(|_| {})));
        };
        // The slot is already free. A panic here ends nothing else, and the recording is closed anyway.
        if contain_sync(PART_LEG, || self.close(now, &mut slot)).is_err() {
            let _ = contain_sync(PART_LEG, || (slot.sink)(LegEvent::InternalError));
        }
        if let (Some(index), LegTransport::WebRtc(web), Some(shared)) = (place, &slot.transport, &mut self.shared) {
            shared.remove_slot(index, &web.ufrag, &self.poll);
        }
        if slot.recording {
            self.recorder.close(leg, recorded.unwrap_or_else(|| Box::new(|_| {})));
        } else if let Some(recorded) = recorded {
            recorded(Err("not recorded".into()));
        }
    }

    /// Closes the transport.
    fn close(&mut self, now: Instant, slot: &mut LegSlot) {
        let LegSlot { leg, transport, .. } = slot;
        match transport {
            LegTransport::Rtp(plain) => plain.close(now, leg),
            LegTransport::WebRtc(web) => {
                leg.close(now, &mut |_, _, _| {});
                web.peer.close();
                self.drain(now, slot);
            }
        }
        slot.deliver(&self.recorder);
    }

    /// Ends a leg whose cycle panicked. Only its statistics are still read, and its call is notified. The recording is
    /// complete once the call removes the leg.
    fn end_panicked_leg(&mut self, now: Instant, index: usize) {
        let Some(mut slot) = self.take_slot(now, index) else { return };
        if let (LegTransport::WebRtc(web), Some(shared)) = (&slot.transport, &mut self.shared) {
            shared.remove_slot(index, &web.ufrag, &self.poll);
        }
        tracing::error!(leg = slot.number, "leg ended by an internal error");
        // Each step is contained separately, because it may panic again.
        let _ = contain_sync(PART_LEG, || (slot.sink)(LegEvent::InternalError));
        if let Ok(stats) = contain_sync(PART_LEG, || slot.leg.stats()) {
            let _ = contain_sync(PART_LEG, || (slot.sink)(LegEvent::Closed { stats }));
        }
        let _ = contain_sync(PART_LEG, || drop(slot));
    }

    /// Lets a peer say everything it has to say.
    fn drain(&mut self, now: Instant, slot: &mut LegSlot) {
        let LegSlot { leg, transport: LegTransport::WebRtc(web), .. } = slot else { return };
        match &mut self.shared {
            Some(shared) if web.own_socket.is_none() => shared.drain(now, web, leg),
            _ => drain_own_socket(now, web, leg),
        }
    }

    fn tick(&mut self, now: Instant, cycle_at: Instant) {
        for index in 0..self.slots.len() {
            let Some(mut slot) = self.slots.take_due(index, cycle_at) else { continue };
            let turned = contain_sync(PART_LEG, || self.run_slot_cycle(now, cycle_at, &mut slot));
            self.slots.put_back(index, turned.unwrap_or(now), slot);
            if turned.is_err() {
                self.end_panicked_leg(now, index);
            }
        }
    }

    /// One leg's turn; when its next is due.
    fn run_slot_cycle(&mut self, now: Instant, cycle_at: Instant, slot: &mut LegSlot) -> Instant {
        // A transport deadline may have caused the cycle; the leg's ticks follow the deadline of the leg.
        slot.check_path_deadline(now, cycle_at);
        while slot.path_deadline.is_none() && slot.leg.due(cycle_at) <= cycle_at {
            self.tick_leg(now, cycle_at, slot);
        }
        match &mut slot.transport {
            LegTransport::Rtp(plain) => plain.tick(now, &mut slot.leg),
            LegTransport::WebRtc(web) => {
                if web.due <= now {
                    web.peer.handle_timeout(now);
                }
                self.drain(now, slot);
            }
        }
        slot.deliver(&self.recorder);
        slot.due(cycle_at)
    }

    fn tick_leg(&mut self, now: Instant, cycle_at: Instant, slot: &mut LegSlot) {
        let due = slot.leg.due(cycle_at);
        let late = now.saturating_duration_since(due);
        self.stats.record_lateness(late);
        if late > limits::CATCH_UP_MAX {
            slot.leg.restart_pacing(cycle_at);
        }
        let due = due.max(now.checked_sub(limits::CATCH_UP_MAX).unwrap_or(due));
        slot.transport.tick_leg(now, due, &mut slot.leg);
    }
}
