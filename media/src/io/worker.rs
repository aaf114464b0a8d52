//! Media workers: one thread each, many legs, a wheel of 2 ms.
//!
//! Every turn reads the sockets that have something (one clock read), runs the legs that are due and
//! sends. A leg waits in a dense array of due instants; scanning it costs a nanosecond a leg and lets a
//! talk spurt start in the very next turn. Late turns are caught up, never skipped.

use super::arrival::{self, Arrival, Moment};
use super::ports::{PortLease, PortPair};
use super::recorder::{Done, Recorder};
use crate::frame::Frame;
use crate::leg::{Config, Leg, LegEvent, Port, Stream};
use crate::limits;
use crate::playout::backdrop::Backdrop;
use crate::playout::queue::PieceId;
use crate::stats::WorkerStats;
use crate::turn::barge_in;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use mio::{Events, Interest, Poll, Token, Waker};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

const TURN: Duration = Duration::from_millis(2);
const WAKE: Token = Token(usize::MAX);

/// Takes a leg's events on the worker's thread; must not block. False means that nobody listens.
pub type Sink = Box<dyn FnMut(LegEvent) -> bool + Send>;

enum Command {
    Add { number: u64, leg: Box<Leg>, ports: PortPair, recording: Option<PathBuf>, sink: Sink },
    Play { leg: u64, piece: PieceId, samples: Vec<i16>, ended: bool },
    Flush { leg: u64, generation: u32, barge_in: bool },
    Resume { leg: u64 },
    Answered { leg: u64, record: bool },
    Backdrop { leg: u64, backdrop: Option<Box<Backdrop>> },
    Relay { leg: u64, frame: Box<Frame> },
    Protect { leg: u64, generation: u32 },
    BargeIn { leg: u64, config: barge_in::Config },
    Digits { leg: u64, digits: String },
    Renegotiate { leg: u64, stream: Stream },
    Remove { leg: u64, recorded: Option<Done> },
}

/// All workers of the process.
#[derive(Clone)]
pub struct Workers {
    workers: Vec<WorkerHandle>,
    next_leg: Arc<AtomicU64>,
    stats: Arc<WorkerStats>,
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

/// The worker's queue is full: the machine is overloaded beyond what a call can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Workers {
    pub fn start(count: usize, arrival: Arrival) -> io::Result<Self> {
        let stats = Arc::new(WorkerStats::default());
        let recorder = Recorder::start(stats.clone())?;
        let workers = (0..count.max(1))
            .map(|index| start_worker(index, arrival, stats.clone(), recorder.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Self { workers, next_leg: Arc::new(AtomicU64::new(1)), stats })
    }

    pub fn stats(&self) -> &Arc<WorkerStats> {
        &self.stats
    }

    /// Starts a leg on the worker its number hashes to.
    pub fn add(
        &self, config: Config, ports: PortPair, recording: Option<PathBuf>, sink: Sink,
    ) -> Result<LegHandle, Overloaded> {
        let leg = self.next_leg.fetch_add(1, Ordering::Relaxed);
        let worker = self.workers[(leg % self.workers.len() as u64) as usize].clone();
        if worker.legs.load(Ordering::Relaxed) >= limits::LEGS_PER_WORKER_MAX as u64 {
            return Err(Overloaded);
        }
        let handle = LegHandle { leg, worker, stats: self.stats.clone(), removed: false };
        // Built here: tables and buffers of a new leg are no work for the thread that others speak through.
        let built = Box::new(Leg::new(Instant::now(), config));
        handle.send(Command::Add { number: leg, leg: built, ports, recording, sink })?;
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

    /// A door to the leg's other side, for the party it is bridged with.
    pub fn relay(&self) -> Relay {
        Relay { worker: self.worker.clone(), leg: self.leg }
    }

    /// A leg that was started in early media goes on as that of the call.
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

    /// Ends the leg; its last event is [`LegEvent::Closed`], and `recorded` is called when the
    /// recording is complete on disk.
    pub fn remove(mut self, recorded: Option<Done>) {
        self.removed = true;
        let _ = self.send(Command::Remove { leg: self.leg, recorded });
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        match self.worker.commands.try_send(command) {
            Ok(()) => {
                // Only a worker without legs sleeps longer than a turn. The fence pairs with the one in
                // `count`: either we see its zero or it sees our command.
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

/// Hands the frames of another party to a leg; holds nothing of it.
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
    /// A frame that finds no room is lost: conversations do not wait.
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
    index: usize, arrival: Arrival, stats: Arc<WorkerStats>, recorder: Recorder,
) -> io::Result<WorkerHandle> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (commands, queue) = bounded(limits::WORKER_COMMANDS_MAX);
    let legs = Arc::new(AtomicU64::new(0));
    let worker = Worker {
        poll,
        arrival,
        queue,
        seats: Vec::new(),
        due: Vec::new(),
        free: Vec::new(),
        by_leg: std::collections::HashMap::new(),
        recorder,
        stats,
        legs: legs.clone(),
        buffer: vec![0; limits::PACKET_BYTES_MAX],
        control: arrival::control(),
        unread: Vec::new(),
        gone: false,
    };
    std::thread::Builder::new().name(format!("media-{index}")).spawn(move || worker.run())?;
    Ok(WorkerHandle { commands, waker, legs })
}

/// A leg with its sockets and listener.
struct Seat {
    leg: Box<Leg>,
    number: u64,
    rtp: mio::net::UdpSocket,
    rtcp: mio::net::UdpSocket,
    sink: Sink,
    recording: bool,
    /// Keeps the port numbers taken until after the sockets are closed: fields drop in order.
    _lease: PortLease,
}

struct Worker {
    poll: Poll,
    arrival: Arrival,
    queue: Receiver<Command>,
    seats: Vec<Option<Box<Seat>>>,
    /// Next tick of each seat; far in the future for an empty one.
    due: Vec<Instant>,
    free: Vec<usize>,
    by_leg: std::collections::HashMap<u64, usize>,
    recorder: Recorder,
    stats: Arc<WorkerStats>,
    legs: Arc<AtomicU64>,
    buffer: Vec<u8>,
    /// Room for the kernel's stamp.
    control: Vec<u8>,
    /// Sockets with more than a batch.
    unread: Vec<Token>,
    /// Every handle is gone.
    gone: bool,
}

/// An empty seat is never due.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

impl Worker {
    fn run(mut self) {
        raise_priority();
        let mut events = Events::with_capacity(1_024);
        let mut turn_at = Instant::now();
        loop {
            if self.by_leg.is_empty() {
                if self.poll.poll(&mut events, None).is_err() {
                    continue;
                }
                turn_at = Instant::now();
            } else {
                turn_at += TURN;
                let now = Instant::now();
                if let Some(wait) = turn_at.checked_duration_since(now) {
                    std::thread::sleep(wait);
                } else if now - turn_at > limits::CATCH_UP_MAX {
                    turn_at = now;
                }
                if self.poll.poll(&mut events, Some(Duration::ZERO)).is_err() {
                    events.clear();
                }
            }
            // What goes out comes first. What is due is judged by the turn's nominal instant: a leg keeps its
            // turn, however late the thread woke, instead of slipping to the next one now and then.
            let mut now = Instant::now();
            self.tick(now, turn_at);
            let mut ready = std::mem::take(&mut self.unread);
            ready.extend(events.iter().map(mio::event::Event::token).filter(|token| *token != WAKE));
            for batch in ready.chunks(limits::SOCKETS_BATCH) {
                now = self.keep_time(&mut turn_at);
                let stamped = (self.arrival == Arrival::Kernel).then(|| Moment::new(now));
                for token in batch {
                    self.receive(now, stamped.as_ref(), *token);
                }
            }
            ready.clear();
            if self.unread.is_empty() {
                self.unread = ready; // keeps its room
            }
            while self.commands(now, turn_at) {
                now = self.keep_time(&mut turn_at);
            }
            if self.gone {
                return;
            }
            // Speech that came with the commands.
            self.tick(now, turn_at);
        }
    }

    /// A batch of work may take longer than a turn: the packets of the turns that began meanwhile leave
    /// before the next batch.
    fn keep_time(&mut self, turn_at: &mut Instant) -> Instant {
        let now = Instant::now();
        while *turn_at + TURN <= now && now - *turn_at <= limits::CATCH_UP_MAX {
            *turn_at += TURN;
            self.tick(now, *turn_at);
        }
        now
    }

    fn receive(&mut self, now: Instant, stamped: Option<&Moment>, token: Token) {
        let (index, is_rtp) = (token.0 / 2, token.0.is_multiple_of(2));
        let Some(Some(seat)) = self.seats.get_mut(index) else { return };
        let socket = if is_rtp { &seat.rtp } else { &seat.rtcp };
        let mut left = limits::RECEIVE_BATCH_MAX;
        // Edge triggered: read until there is nothing more, or next turn again, so that a flood at one
        // leg costs the others little.
        loop {
            if left == 0 {
                self.unread.push(token);
                break;
            }
            left -= 1;
            let received = match stamped {
                None => socket.recv_from(&mut self.buffer).map(|(len, source)| (len, source, now)),
                Some(moment) => arrival::receive(socket, &mut self.buffer, &mut self.control, moment),
            };
            match received {
                Ok((len, source, at)) if is_rtp => {
                    seat.leg.handle_rtp(at, source, &self.buffer[..len]);
                }
                Ok((len, _, at)) => seat.leg.handle_rtcp(at, &self.buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {} // ICMP of an earlier send
            }
        }
        deliver(seat, &self.recorder);
    }

    /// Carries out a batch; true when there may be more.
    fn commands(&mut self, now: Instant, turn_at: Instant) -> bool {
        for _ in 0..limits::COMMANDS_BATCH {
            let command = match self.queue.try_recv() {
                Ok(command) => command,
                Err(crossbeam_channel::TryRecvError::Empty) => return false,
                Err(crossbeam_channel::TryRecvError::Disconnected) => {
                    self.gone = true;
                    return false;
                }
            };
            match command {
                Command::Add { number, leg, ports, recording, sink } => {
                    self.add(turn_at, number, leg, ports, recording, sink)
                }
                Command::Play { leg, piece, samples, ended } => {
                    self.with(leg, |seat| seat.leg.play(piece, samples, ended));
                    self.reschedule(turn_at, leg);
                }
                Command::Flush { leg, generation, barge_in } => {
                    self.with(leg, |seat| seat.leg.flush(now, generation, barge_in));
                }
                Command::Resume { leg } => {
                    self.with(leg, |seat| seat.leg.resume());
                    self.reschedule(turn_at, leg);
                }
                Command::Backdrop { leg, backdrop } => {
                    self.with(leg, |seat| seat.leg.set_backdrop(backdrop.map(|backdrop| *backdrop)));
                }
                Command::Relay { leg, frame } => self.with(leg, |seat| seat.leg.relay(&frame)),
                Command::Answered { leg, record } => self.with(leg, |seat| seat.leg.answered(now, record)),
                Command::Protect { leg, generation } => {
                    self.with(leg, |seat| seat.leg.protect(generation));
                    self.reschedule(turn_at, leg);
                }
                Command::BargeIn { leg, config } => self.with(leg, |seat| seat.leg.set_barge_in(config)),
                Command::Digits { leg, digits } => self.with(leg, |seat| seat.leg.send_digits(&digits)),
                Command::Renegotiate { leg, stream } => self.with(leg, |seat| seat.leg.renegotiate(now, stream)),
                Command::Remove { leg, recorded } => self.remove(now, leg, recorded),
            }
        }
        true
    }

    fn with(&mut self, leg: u64, act: impl FnOnce(&mut Seat)) {
        let Some(index) = self.by_leg.get(&leg) else { return };
        if let Some(seat) = &mut self.seats[*index] {
            act(seat);
            deliver(seat, &self.recorder);
        }
    }

    fn reschedule(&mut self, turn_at: Instant, leg: u64) {
        if let Some(index) = self.by_leg.get(&leg)
            && let Some(seat) = &self.seats[*index]
        {
            self.due[*index] = seat.leg.due(turn_at);
        }
    }

    fn add(
        &mut self, turn_at: Instant, number: u64, mut leg: Box<Leg>, ports: PortPair, recording: Option<PathBuf>,
        mut sink: Sink,
    ) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.seats.push(None);
            self.due.push(turn_at + NEVER);
            self.seats.len() - 1
        });
        let PortPair { rtp, rtcp, lease } = ports;
        if self.arrival == Arrival::Kernel && arrival::stamp(&rtp).is_err() {
            tracing::debug!("the kernel stamps nothing: arrivals count from their turn");
        }
        let sockets = register(&self.poll, rtp, rtcp, index);
        let Ok((rtp, rtcp)) = sockets else {
            self.free.push(index);
            sink(LegEvent::NetworkLost);
            return;
        };
        // Whatever strays in from an earlier call of this port is read and forgotten.
        for socket in [&rtp, &rtcp] {
            while socket.recv_from(&mut self.buffer).is_ok() {}
        }
        if let Some(path) = &recording {
            self.recorder.open(number, path.clone());
        }
        leg.restart_clock(turn_at);
        self.due[index] = leg.due(turn_at);
        let seat = Seat { leg, number, rtp, rtcp, sink, recording: recording.is_some(), _lease: lease };
        self.seats[index] = Some(Box::new(seat));
        self.by_leg.insert(number, index);
        self.count();
    }

    fn count(&self) {
        let count = self.by_leg.len() as u64;
        let before = self.legs.swap(count, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.stats.legs.fetch_add(count, Ordering::Relaxed);
        self.stats.legs.fetch_sub(before, Ordering::Relaxed);
    }

    fn remove(&mut self, now: Instant, leg: u64, recorded: Option<Done>) {
        let seat = self.by_leg.remove(&leg).and_then(|index| {
            self.free.push(index);
            self.due[index] = now + NEVER;
            self.seats[index].take()
        });
        let Some(mut seat) = seat else {
            if let Some(recorded) = recorded {
                recorded(Err("no such leg".into()));
            }
            return;
        };
        let (rtp, rtcp) = (&seat.rtp, &seat.rtcp);
        seat.leg.close(now, &mut |port, to, bytes| send(rtp, rtcp, port, to, bytes));
        deliver(&mut seat, &self.recorder);
        let _ = self.poll.registry().deregister(&mut seat.rtp);
        let _ = self.poll.registry().deregister(&mut seat.rtcp);
        if seat.recording {
            self.recorder.close(leg, recorded.unwrap_or_else(|| Box::new(|_| {})));
        } else if let Some(recorded) = recorded {
            recorded(Err("not recorded".into()));
        }
        self.count();
    }

    fn tick(&mut self, now: Instant, turn_at: Instant) {
        for index in 0..self.due.len() {
            if self.due[index] > turn_at {
                continue;
            }
            let Some(seat) = &mut self.seats[index] else { continue };
            while self.due[index] <= turn_at {
                let due = self.due[index];
                let late = now - due;
                self.stats.late_by(late);
                if late > limits::CATCH_UP_MAX {
                    seat.leg.restart_clock(turn_at);
                }
                let Seat { leg, rtp, rtcp, .. } = seat.as_mut();
                leg.tick(now, due.max(now.checked_sub(limits::CATCH_UP_MAX).unwrap_or(due)), &mut |port, to, bytes| {
                    send(rtp, rtcp, port, to, bytes);
                });
                self.due[index] = leg.due(turn_at);
            }
            deliver(seat, &self.recorder);
        }
    }
}

/// Audio does not wait for anything else on the machine, where the system lets us say so.
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

fn register(
    poll: &Poll, rtp: UdpSocket, rtcp: UdpSocket, index: usize,
) -> io::Result<(mio::net::UdpSocket, mio::net::UdpSocket)> {
    let mut rtp = mio::net::UdpSocket::from_std(rtp);
    let mut rtcp = mio::net::UdpSocket::from_std(rtcp);
    poll.registry().register(&mut rtp, Token(index * 2), Interest::READABLE)?;
    poll.registry().register(&mut rtcp, Token(index * 2 + 1), Interest::READABLE)?;
    Ok((rtp, rtcp))
}

fn send(rtp: &mio::net::UdpSocket, rtcp: &mio::net::UdpSocket, port: Port, to: SocketAddr, bytes: &[u8]) {
    let socket = match port {
        Port::Rtp => rtp,
        Port::Rtcp => rtcp,
    };
    // A full buffer or an ICMP error is a lost packet; the peer's silence is noticed elsewhere.
    let _ = socket.send_to(bytes, to);
}

/// Hands the leg's events on; recording blocks go to the recorder and never to the call.
fn deliver(seat: &mut Seat, recorder: &Recorder) {
    while let Some(event) = seat.leg.poll_event() {
        match event {
            LegEvent::Recorded { block } if seat.recording => recorder.block(seat.number, block),
            event => {
                (seat.sink)(event);
            }
        }
    }
}
