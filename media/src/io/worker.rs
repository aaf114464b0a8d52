//! Media workers: one thread per worker, many legs, a cycle of 2 ms.
//!
//! Every turn reads the sockets that have something (one clock read), runs the legs that are due and sends. Deadlines
//! are kept in a dense array. Scanning it costs about a nanosecond per leg, so a talk spurt can start in the next
//! cycle. Late cycles are caught up, never skipped.

pub use super::command::{IceRestartDone, ReofferDone};
use super::command::{WAKE, WorkerCommand};
use super::event_loop::{Worker, WorkerContext};
pub use super::ice_tcp::IceTcpLimits;
use super::receive_timestamp::ReceiveTimestamping;
use super::recorder::{Recorder, RecordingDone};
pub use super::slot::LegEventSink;
pub use super::transport_setup::TransportSetup;
use super::webrtc_port::WebRtcPort;
pub use super::webrtc_port::WebRtcPortConfig;
use crate::audio::AudioFrame;
use crate::leg::{Leg, LegConfig, StreamConfig};
use crate::limits;
use crate::playout::ambience::AmbienceMixer;
use crate::playout::queue::SegmentId;
use crate::stats::{Heartbeat, Liveness, WorkerStats};
use crate::transport::dtls::{DtlsFingerprint, DtlsIdentity};
use crate::transport::webrtc::{HostCandidates, IceCredentials};
use crate::turn::barge_in;
use crossbeam_channel::{Sender, TrySendError, bounded};
use mio::{Poll, Waker};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Instant;
use trunkline_connections::ConnectionCounters;

/// All workers of the process.
#[derive(Clone)]
pub struct MediaWorkers {
    workers: Vec<WorkerHandle>,
    /// The one that owns the browsers' port, and where that is.
    web: Option<(WorkerHandle, Arc<HostCandidates>)>,
    web_streams: Arc<ConnectionCounters>,
    next_leg: Arc<AtomicU64>,
    stats: Arc<WorkerStats>,
    identity: Option<Arc<DtlsIdentity>>,
    /// Of every thread of media: workers and recorders.
    heartbeats: Vec<Arc<Heartbeat>>,
}

#[derive(Clone)]
struct WorkerHandle {
    commands: Sender<WorkerCommand>,
    waker: Arc<Waker>,
    legs: Arc<AtomicU64>,
}

impl std::fmt::Debug for MediaWorkers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaWorkers").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// The worker's queue is full: the machine is overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadedError;

impl MediaWorkers {
    /// Starts `count` workers, at least one, and the recorder. Fails if a thread or an event poll cannot be created.
    pub fn start(count: usize, arrival: ReceiveTimestamping) -> io::Result<Self> {
        let stats = Arc::new(WorkerStats::default());
        let recorder = Recorder::start("recorder", stats.clone())?;
        let identity = DtlsIdentity::new().map(Arc::new);
        let mut heartbeats = vec![recorder.heartbeat().clone()];
        let workers = (0..count.max(1))
            .map(|index| {
                let heartbeat = Arc::new(Heartbeat::new(&format!("media-{index}"), Instant::now()));
                heartbeats.push(heartbeat.clone());
                start_worker(heartbeat, arrival, &stats, &recorder, &identity, None)
            })
            .collect::<io::Result<_>>()?;
        let next_leg = Arc::new(AtomicU64::new(1));
        Ok(Self { workers, web: None, web_streams: Arc::default(), next_leg, stats, identity, heartbeats })
    }

    /// Starts the worker of the browsers: one thread owns their port and all their legs.
    pub fn start_webrtc(&mut self, port: WebRtcPortConfig) -> io::Result<()> {
        let host_candidates = Arc::new(port.host_candidates.clone());
        self.web_streams = port.report.clone();
        let recorder = Recorder::start("recorder-web", self.stats.clone())?;
        let heartbeat = Arc::new(Heartbeat::new("media-web", Instant::now()));
        self.heartbeats.extend([heartbeat.clone(), recorder.heartbeat().clone()]);
        let handle =
            start_worker(heartbeat, ReceiveTimestamping::PerCycle, &self.stats, &recorder, &self.identity, Some(port))?;
        self.web = Some((handle, host_candidates));
        Ok(())
    }

    /// Host candidates for browsers; `None` without a WebRTC port.
    pub fn host_candidates(&self) -> Option<&HostCandidates> {
        self.web.as_ref().map(|(_, host_candidates)| &**host_candidates)
    }

    /// What becomes of the browsers' TCP connections.
    pub fn webrtc_tcp_report(&self) -> &ConnectionCounters {
        &self.web_streams
    }

    /// Of the certificate that DTLS handshakes show.
    pub fn fingerprint(&self) -> Option<DtlsFingerprint> {
        self.identity.as_ref().map(|identity| identity.fingerprint())
    }

    /// Counters of all workers together, live while the process runs.
    pub fn stats(&self) -> &Arc<WorkerStats> {
        &self.stats
    }

    /// When each thread of media last did a turn: one entry a worker and a recorder, of which none should be
    /// [`Liveness::is_stuck`] while media is processed. Reads atomics only.
    pub fn liveness(&self) -> Vec<Liveness> {
        let now = Instant::now();
        self.heartbeats.iter().map(|heartbeat| heartbeat.liveness(now)).collect()
    }

    /// Starts a leg on the worker its number hashes to.
    pub fn add(
        &self, config: LegConfig, wire: TransportSetup, recording: Option<PathBuf>, sink: LegEventSink,
    ) -> Result<LegHandle, OverloadedError> {
        let leg = self.next_leg.fetch_add(1, Ordering::Relaxed);
        let worker = match (&wire, &self.web) {
            (TransportSetup::WebRtcSharedPort(_) | TransportSetup::WebRtcInSipDialog(_), Some((web, _))) => web.clone(),
            (TransportSetup::WebRtcSharedPort(_) | TransportSetup::WebRtcInSipDialog(_), None) => {
                return Err(OverloadedError);
            }
            _ => self.workers[(leg % self.workers.len() as u64) as usize].clone(),
        };
        if worker.legs.load(Ordering::Relaxed) >= limits::LEGS_PER_WORKER_MAX as u64 {
            return Err(OverloadedError);
        }
        let handle = LegHandle { leg, worker: Some(worker), stats: self.stats.clone(), removed: false };
        // Built here, so that allocating a new leg does not delay the worker thread.
        let built = Box::new(Leg::new(Instant::now(), config));
        handle.send(WorkerCommand::Add { number: leg, leg: built, wire, recording, sink })?;
        Ok(handle)
    }

    /// The handle of a call without sound: there is no leg, and commands change nothing.
    pub fn soundless_leg(&self) -> LegHandle {
        LegHandle { leg: 0, worker: None, stats: self.stats.clone(), removed: true }
    }
}

/// Commands one leg. Dropping it removes the leg.
pub struct LegHandle {
    leg: u64,
    /// `None` for a call without sound: commands change nothing.
    worker: Option<WorkerHandle>,
    stats: Arc<WorkerStats>,
    removed: bool,
}

impl std::fmt::Debug for LegHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegHandle").field("leg", &self.leg).finish_non_exhaustive()
    }
}

impl LegHandle {
    /// Queues samples (8 kHz) of a segment; `ended` with its last ones. Fails when the worker's queue is full.
    pub fn play(&self, segment: SegmentId, samples: Vec<i16>, ended: bool) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::Play { leg: self.leg, segment, samples, ended })
    }

    /// Drops the audio of this and older responses, also what comes later. Fails when the worker's queue is full.
    pub fn flush(&self, response_id: u32, barge_in: bool) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::Flush { leg: self.leg, response_id, barge_in })
    }

    /// Continues paused playout without loss. Fails when the worker's queue is full.
    pub fn resume(&self) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::Resume { leg: self.leg })
    }

    /// Replaces the background sound; `None` turns it off. Fails when the worker's queue is full.
    pub fn set_ambience(&self, ambience: Option<AmbienceMixer>) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::SetAmbience { leg: self.leg, ambience: ambience.map(Box::new) })
    }

    /// Sender for frames of the party that this leg is bridged with.
    pub fn relay_sender(&self) -> RelaySender {
        RelaySender { worker: self.worker.clone(), leg: self.leg }
    }

    /// The party of another leg listens to this one from now on, no longer the agent. Fails when the worker's queue is
    /// full.
    pub fn start_bridge(&self) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::StartBridge { leg: self.leg })
    }

    /// Whether somebody hears both sides from now on. Fails when the worker's queue is full.
    pub fn set_listen_in(&self, on: bool) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::SetListenIn { leg: self.leg, on })
    }

    /// A key of the peer was reported by signalling: tones of keys in its audio are copies. Fails when the worker's
    /// queue is full.
    pub fn note_signalled_digit(&self) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::NoteSignalledDigit { leg: self.leg })
    }

    /// Marks a leg that was started for early media as answered.
    pub fn start_call(&self, record: bool) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::StartCall { leg: self.leg, record })
    }

    /// Makes a response uninterruptible, and resumes it if it is paused. Fails when the worker's queue is full.
    pub fn set_uninterruptible(&self, response_id: u32) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::SetUninterruptible { leg: self.leg, response_id })
    }

    /// Replaces the barge-in settings and resumes paused playout. Fails when the worker's queue is full.
    pub fn set_barge_in(&self, config: barge_in::BargeInConfig) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::SetBargeIn { leg: self.leg, config })
    }

    /// Queues DTMF digits (0-9, *, #, A-D; 64 at most, others are skipped). Fails when the worker's queue is full.
    pub fn send_dtmf(&self, digits: String) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::SendDtmf { leg: self.leg, digits })
    }

    /// Applies a renegotiated description to the running leg. Fails when the worker's queue is full.
    pub fn renegotiate(&self, stream: StreamConfig) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::Renegotiate { leg: self.leg, stream })
    }

    /// Another offer for a WebRTC leg. `done` takes the answer, on the worker's thread.
    pub fn reoffer(&self, offer: String, done: ReofferDone) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::AnswerReoffer { leg: self.leg, offer, done })
    }

    /// Candidates of the other side that became known later.
    pub fn add_candidates(&self, lines: Vec<String>) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::AddCandidates { leg: self.leg, lines })
    }

    /// The peer restarts ICE. `done` takes our new credentials, on the worker's thread.
    pub fn restart_ice(&self, theirs: IceCredentials, done: IceRestartDone) -> Result<(), OverloadedError> {
        self.send(WorkerCommand::RestartIce { leg: self.leg, theirs, done })
    }

    /// Ends the leg; its last event is [`LegEvent::Closed`](crate::leg::LegEvent::Closed), and `recorded` is called when the
    /// recording is complete on disk.
    pub fn remove(mut self, recorded: Option<RecordingDone>) {
        self.removed = true;
        let _ = self.send(WorkerCommand::Remove { leg: self.leg, recorded });
    }

    fn send(&self, command: WorkerCommand) -> Result<(), OverloadedError> {
        let Some(worker) = &self.worker else { return Ok(()) };
        match worker.commands.try_send(command) {
            Ok(()) => {
                // Only a worker without legs sleeps longer than a cycle. The fence pairs with the one in `count`:
                // either we see zero legs or the worker sees our command.
                fence(Ordering::SeqCst);
                if worker.legs.load(Ordering::SeqCst) == 0 {
                    let _ = worker.waker.wake();
                }
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.stats.commands_refused.fetch_add(1, Ordering::Relaxed);
                Err(OverloadedError)
            }
        }
    }
}

/// Sends frames and keys of the bridged party to a leg. Does not keep the leg alive.
#[derive(Clone)]
pub struct RelaySender {
    leg: u64,
    worker: Option<WorkerHandle>,
}

impl std::fmt::Debug for RelaySender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelaySender").field("leg", &self.leg).finish_non_exhaustive()
    }
}

impl RelaySender {
    /// Drops the frame if the queue is full.
    pub fn send(&self, frame: AudioFrame) {
        self.send_command(WorkerCommand::RelayFrame { leg: self.leg, frame: Box::new(frame) });
    }

    /// Sends a key that the bridged party pressed (0-9, *, #, A-D), as the leg's peer takes it: an event, or tones. Lost
    /// if the queue is full.
    pub fn send_digit(&self, digit: char) {
        self.send_command(WorkerCommand::SendDtmf { leg: self.leg, digits: digit.to_string() });
    }

    fn send_command(&self, command: WorkerCommand) {
        if let Some(worker) = &self.worker {
            let _ = worker.commands.try_send(command); // a frame that has no room is lost
        }
    }
}

impl Drop for LegHandle {
    fn drop(&mut self) {
        if !self.removed {
            let _ = self.send(WorkerCommand::Remove { leg: self.leg, recorded: None });
        }
    }
}

fn start_worker(
    heartbeat: Arc<Heartbeat>, arrival: ReceiveTimestamping, stats: &Arc<WorkerStats>, recorder: &Recorder,
    identity: &Option<Arc<DtlsIdentity>>, port: Option<WebRtcPortConfig>,
) -> io::Result<WorkerHandle> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (commands, queue) = bounded(limits::WORKER_COMMANDS_MAX);
    let legs = Arc::new(AtomicU64::new(0));
    let shared = port.map(|port| WebRtcPort::new(&poll, port)).transpose()?;
    let queues = WorkerContext {
        commands: queue,
        recorder: recorder.clone(),
        stats: stats.clone(),
        legs: legs.clone(),
        identity: identity.clone(),
        heartbeat: heartbeat.clone(),
    };
    let worker = Worker::new(poll, arrival, queues, shared);
    let run = move || {
        raise_priority();
        worker.run();
    };
    std::thread::Builder::new().name(heartbeat.name().to_owned()).spawn(run)?;
    Ok(WorkerHandle { commands, waker, legs })
}

/// Requests real-time priority where the system permits it.
fn raise_priority() {
    use thread_priority::{
        RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = ThreadPriority::from_posix(thread_priority::ScheduleParams { sched_priority: 1 });
    if set_thread_priority_and_policy(thread_native_id(), priority, policy).is_err() {
        tracing::debug!("media thread runs at normal priority");
    }
}

#[cfg(test)]
mod dtls_start;
#[cfg(test)]
mod tests;
