//! Media workers: one thread per worker, many legs, a cycle of 2 ms.
//!
//! Every turn reads the sockets that have something (one clock read), runs the legs that are due and sends. Deadlines
//! are kept in a dense array. Scanning it costs about a nanosecond per leg, so a talk spurt can start in the next
//! cycle. Late cycles are caught up, never skipped.

use super::arrival::Arrival;
use super::ports::PortPair;
use super::recorder::{Done, Recorder};
use super::shared::SharedPort;
pub use super::streams::StreamLimits;
use super::turns::{Queues, Worker};
use crate::frame::Frame;
use crate::leg::{Config, Leg, LegEvent, Stream};
use crate::limits;
use crate::playout::backdrop::Backdrop;
use crate::playout::queue::PieceId;
use crate::stats::{Heartbeat, Liveness, WorkerStats};
use crate::transport::dtls::{Fingerprint, Identity};
use crate::transport::webrtc::{Credentials, Peer, Reach, Refused};
use crate::turn::barge_in;
use crossbeam_channel::{Sender, TrySendError, bounded};
use mio::{Poll, Token, Waker};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Instant;
use trunkline_connections::Report;

pub(super) const WAKE: Token = Token(usize::MAX);

/// Takes a leg's events on the worker's thread; must not block. Returns false if the receiver is gone.
pub type Sink = Box<dyn FnMut(LegEvent) -> bool + Send>;

/// Transport of a new leg.
#[derive(Debug)]
pub enum Wire {
    /// Plain RTP on a pair of ports of its own.
    Plain(PortPair),
    /// WebRTC over the port that all browsers share.
    Shared(Box<Peer>),
    /// The same, negotiated in a SIP dialog: the leg does not run until the path is open.
    Dialog(Box<Peer>),
    /// WebRTC over its own socket; used by the test caller.
    Own(Box<Peer>, UdpSocket),
}

/// The port that all browsers share.
#[derive(Debug)]
pub struct WebPort {
    pub udp: UdpSocket,
    /// For browsers whose network blocks UDP.
    pub tcp: Option<TcpListener>,
    /// Host candidates advertised to browsers.
    pub reach: Reach,
    /// Limits of its TCP connections.
    pub limits: StreamLimits,
    /// Counters of its TCP connections.
    pub report: Arc<Report>,
}

/// Takes the answer to a restart of ICE.
pub type Restarted = Box<dyn FnOnce(Credentials) + Send>;

/// Takes the answer to another offer.
pub type Reanswered = Box<dyn FnOnce(Result<String, Refused>) + Send>;

pub(super) enum Command {
    Add {
        number: u64,
        leg: Box<Leg>,
        wire: Wire,
        recording: Option<PathBuf>,
        sink: Sink,
    },
    Play {
        leg: u64,
        piece: PieceId,
        samples: Vec<i16>,
        ended: bool,
    },
    Flush {
        leg: u64,
        generation: u32,
        barge_in: bool,
    },
    Resume {
        leg: u64,
    },
    Answered {
        leg: u64,
        record: bool,
    },
    Backdrop {
        leg: u64,
        backdrop: Option<Box<Backdrop>>,
    },
    Relay {
        leg: u64,
        frame: Box<Frame>,
    },
    Protect {
        leg: u64,
        generation: u32,
    },
    BargeIn {
        leg: u64,
        config: barge_in::Config,
    },
    Digits {
        leg: u64,
        digits: String,
    },
    Renegotiate {
        leg: u64,
        stream: Stream,
    },
    Reoffer {
        leg: u64,
        offer: String,
        done: Reanswered,
    },
    Candidates {
        leg: u64,
        lines: Vec<String>,
    },
    RestartIce {
        leg: u64,
        theirs: Credentials,
        done: Restarted,
    },
    Remove {
        leg: u64,
        recorded: Option<Done>,
    },
    /// Panics in the worker itself.
    #[cfg(test)]
    Break,
}

impl Command {
    /// The leg it is about.
    pub(super) fn leg(&self) -> u64 {
        match self {
            Self::Add { number: leg, .. }
            | Self::Play { leg, .. }
            | Self::Flush { leg, .. }
            | Self::Resume { leg }
            | Self::Answered { leg, .. }
            | Self::Backdrop { leg, .. }
            | Self::Relay { leg, .. }
            | Self::Protect { leg, .. }
            | Self::BargeIn { leg, .. }
            | Self::Digits { leg, .. }
            | Self::Renegotiate { leg, .. }
            | Self::Reoffer { leg, .. }
            | Self::Candidates { leg, .. }
            | Self::RestartIce { leg, .. }
            | Self::Remove { leg, .. } => *leg,
            #[cfg(test)]
            Self::Break => 0,
        }
    }
}

/// All workers of the process.
#[derive(Clone)]
pub struct Workers {
    workers: Vec<WorkerHandle>,
    /// The one that owns the browsers' port, and where that is.
    web: Option<(WorkerHandle, Arc<Reach>)>,
    web_streams: Arc<Report>,
    next_leg: Arc<AtomicU64>,
    stats: Arc<WorkerStats>,
    identity: Option<Arc<Identity>>,
    /// Of every thread of media: workers and recorders.
    heartbeats: Vec<Arc<Heartbeat>>,
}

#[derive(Clone)]
struct WorkerHandle {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    legs: Arc<AtomicU64>,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// The worker's queue is full: the machine is overloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Workers {
    pub fn start(count: usize, arrival: Arrival) -> io::Result<Self> {
        let stats = Arc::new(WorkerStats::default());
        let recorder = Recorder::start("recorder", stats.clone())?;
        let identity = Identity::new().map(Arc::new);
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
    pub fn start_web(&mut self, port: WebPort) -> io::Result<()> {
        let reach = Arc::new(port.reach.clone());
        self.web_streams = port.report.clone();
        let recorder = Recorder::start("recorder-web", self.stats.clone())?;
        let heartbeat = Arc::new(Heartbeat::new("media-web", Instant::now()));
        self.heartbeats.extend([heartbeat.clone(), recorder.heartbeat().clone()]);
        let handle = start_worker(heartbeat, Arrival::Turn, &self.stats, &recorder, &self.identity, Some(port))?;
        self.web = Some((handle, reach));
        Ok(())
    }

    /// Host candidates for browsers; `None` without a WebRTC port.
    pub fn reach(&self) -> Option<&Reach> {
        self.web.as_ref().map(|(_, reach)| &**reach)
    }

    /// What becomes of the browsers' TCP connections.
    pub fn web_streams(&self) -> &Report {
        &self.web_streams
    }

    /// Of the certificate that DTLS handshakes show.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.identity.as_ref().map(|identity| identity.fingerprint())
    }

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
        &self, config: Config, wire: Wire, recording: Option<PathBuf>, sink: Sink,
    ) -> Result<LegHandle, Overloaded> {
        let leg = self.next_leg.fetch_add(1, Ordering::Relaxed);
        let worker = match (&wire, &self.web) {
            (Wire::Shared(_) | Wire::Dialog(_), Some((web, _))) => web.clone(),
            (Wire::Shared(_) | Wire::Dialog(_), None) => return Err(Overloaded),
            _ => self.workers[(leg % self.workers.len() as u64) as usize].clone(),
        };
        if worker.legs.load(Ordering::Relaxed) >= limits::LEGS_PER_WORKER_MAX as u64 {
            return Err(Overloaded);
        }
        let handle = LegHandle { leg, worker, stats: self.stats.clone(), removed: false };
        // Built here, so that allocating a new leg does not delay the worker thread.
        let built = Box::new(Leg::new(Instant::now(), config));
        handle.send(Command::Add { number: leg, leg: built, wire, recording, sink })?;
        Ok(handle)
    }
}

/// Commands one leg. Dropping it removes the leg.
pub struct LegHandle {
    leg: u64,
    worker: WorkerHandle,
    stats: Arc<WorkerStats>,
    removed: bool,
}

impl std::fmt::Debug for LegHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegHandle").field("leg", &self.leg).finish_non_exhaustive()
    }
}

impl LegHandle {
    pub fn play(&self, piece: PieceId, samples: Vec<i16>, ended: bool) -> Result<(), Overloaded> {
        self.send(Command::Play { leg: self.leg, piece, samples, ended })
    }

    pub fn flush(&self, generation: u32, barge_in: bool) -> Result<(), Overloaded> {
        self.send(Command::Flush { leg: self.leg, generation, barge_in })
    }

    pub fn resume(&self) -> Result<(), Overloaded> {
        self.send(Command::Resume { leg: self.leg })
    }

    pub fn set_backdrop(&self, backdrop: Option<Backdrop>) -> Result<(), Overloaded> {
        self.send(Command::Backdrop { leg: self.leg, backdrop: backdrop.map(Box::new) })
    }

    /// Sender for frames of the party that this leg is bridged with.
    pub fn relay(&self) -> Relay {
        Relay { worker: self.worker.clone(), leg: self.leg }
    }

    /// Marks a leg that was started for early media as answered.
    pub fn answered(&self, record: bool) -> Result<(), Overloaded> {
        self.send(Command::Answered { leg: self.leg, record })
    }

    pub fn protect(&self, generation: u32) -> Result<(), Overloaded> {
        self.send(Command::Protect { leg: self.leg, generation })
    }

    pub fn set_barge_in(&self, config: barge_in::Config) -> Result<(), Overloaded> {
        self.send(Command::BargeIn { leg: self.leg, config })
    }

    pub fn send_digits(&self, digits: String) -> Result<(), Overloaded> {
        self.send(Command::Digits { leg: self.leg, digits })
    }

    pub fn renegotiate(&self, stream: Stream) -> Result<(), Overloaded> {
        self.send(Command::Renegotiate { leg: self.leg, stream })
    }

    /// Another offer for a WebRTC leg. `done` takes the answer, on the worker's thread.
    pub fn reoffer(&self, offer: String, done: Reanswered) -> Result<(), Overloaded> {
        self.send(Command::Reoffer { leg: self.leg, offer, done })
    }

    /// Candidates of the other side that became known later.
    pub fn add_candidates(&self, lines: Vec<String>) -> Result<(), Overloaded> {
        self.send(Command::Candidates { leg: self.leg, lines })
    }

    /// The other side begins ICE anew. `done` takes our new credentials, on the worker's thread.
    pub fn restart_ice(&self, theirs: Credentials, done: Restarted) -> Result<(), Overloaded> {
        self.send(Command::RestartIce { leg: self.leg, theirs, done })
    }

    /// Ends the leg; its last event is [`LegEvent::Closed`], and `recorded` is called when the
    /// recording is complete on disk.
    pub fn remove(mut self, recorded: Option<Done>) {
        self.removed = true;
        let _ = self.send(Command::Remove { leg: self.leg, recorded });
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        match self.worker.commands.try_send(command) {
            Ok(()) => {
                // Only a worker without legs sleeps longer than a cycle. The fence pairs with the one in `count`:
                // either we see zero legs or the worker sees our command.
                fence(Ordering::SeqCst);
                if self.worker.legs.load(Ordering::SeqCst) == 0 {
                    let _ = self.worker.waker.wake();
                }
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.stats.commands_refused.fetch_add(1, Ordering::Relaxed);
                Err(Overloaded)
            }
        }
    }
}

/// Sends frames of the bridged party to a leg. Does not keep the leg alive.
#[derive(Clone)]
pub struct Relay {
    leg: u64,
    worker: WorkerHandle,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("leg", &self.leg).finish_non_exhaustive()
    }
}

impl Relay {
    /// Drops the frame if the queue is full.
    pub fn send(&self, frame: Frame) {
        let _ = self.worker.commands.try_send(Command::Relay { leg: self.leg, frame: Box::new(frame) });
    }
}

impl Drop for LegHandle {
    fn drop(&mut self) {
        if !self.removed {
            let _ = self.send(Command::Remove { leg: self.leg, recorded: None });
        }
    }
}

fn start_worker(
    heartbeat: Arc<Heartbeat>, arrival: Arrival, stats: &Arc<WorkerStats>, recorder: &Recorder,
    identity: &Option<Arc<Identity>>, port: Option<WebPort>,
) -> io::Result<WorkerHandle> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (commands, queue) = bounded(limits::WORKER_COMMANDS_MAX);
    let legs = Arc::new(AtomicU64::new(0));
    let shared = port.map(|port| SharedPort::new(&poll, port)).transpose()?;
    let queues = Queues {
        commands: queue,
        recorder: recorder.clone(),
        stats: stats.clone(),
        legs: legs.clone(),
        identity: identity.clone(),
        heartbeat: heartbeat.clone(),
    };
    let worker = Worker::new(poll, arrival, queues, shared);
    std::thread::Builder::new().name(heartbeat.name().to_owned()).spawn(move || worker.run())?;
    Ok(WorkerHandle { commands, waker, legs })
}

#[cfg(test)]
mod tests;
