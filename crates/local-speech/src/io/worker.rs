//! The worker as calls see it: requests with deadlines. One task owns the supervisor and the process; it starts with the
//! first request and ends with the last handle.

use super::process::{ProcessEvent, WorkerProcess, WorkerProgram};
use crate::limits::ANSWERS_WAITING_MAX;
use crate::message::{Hello, RequestId, ServerMessage, SessionId, Urgency};
use crate::request::{SpeechAnswer, SpeechError, SpeechRequest, Tenant};
use crate::supervisor::{Readiness, SupervisorOutput, WorkerSupervisor};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Commands that may wait for the task.
const COMMANDS_MAX: usize = 256;
/// Events of the process that may wait for the task; the process waits then.
const EVENTS_MAX: usize = 32;

enum Command {
    WarmUp(oneshot::Sender<Result<(), SpeechError>>),
    Request {
        tenant: Tenant,
        request: SpeechRequest,
        deadline: Instant,
        answers: mpsc::Sender<SpeechAnswer>,
        id: Arc<AtomicU64>,
    },
    /// Nobody waits for this request any more.
    Cancel(Arc<AtomicU64>),
}

/// The speech worker of this server; clones share it.
#[derive(Clone, Debug)]
pub struct SpeechWorker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    program: WorkerProgram,
    commands: OnceLock<mpsc::Sender<Command>>,
    sessions: AtomicU64,
    /// Id of the process in the system; 0 if none runs.
    process_id: Arc<AtomicU32>,
}

/// A request that was sent; dropping it cancels it.
#[derive(Debug)]
pub struct PendingAnswer {
    id: Arc<AtomicU64>,
    answers: mpsc::Receiver<SpeechAnswer>,
    commands: mpsc::Sender<Command>,
    is_over: bool,
}

impl PendingAnswer {
    /// The next answer; `None` after the last one.
    pub async fn next(&mut self) -> Option<SpeechAnswer> {
        if self.is_over {
            return None;
        }
        let answer = self.answers.recv().await;
        self.is_over = answer.as_ref().is_none_or(SpeechAnswer::is_last);
        // The task keeps the sender until the last answer.
        Some(answer.unwrap_or(SpeechAnswer::Failed(SpeechError::QueueFull)))
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.commands.try_send(Command::Cancel(Arc::clone(&self.id)));
        }
    }
}

impl SpeechWorker {
    /// A worker that is not started yet.
    pub fn new(program: WorkerProgram) -> Self {
        Self(Arc::new(Shared {
            program,
            commands: OnceLock::new(),
            sessions: AtomicU64::new(1),
            process_id: Arc::default(),
        }))
    }

    /// A number for a listening session.
    pub fn new_session(&self) -> SessionId {
        SessionId(self.0.sessions.fetch_add(1, Ordering::Relaxed))
    }

    /// Id of the worker's process in the system; `None` while none runs.
    pub fn process_id(&self) -> Option<u32> {
        Some(self.0.process_id.load(Ordering::Relaxed)).filter(|id| *id > 0)
    }

    /// Starts the worker and waits until it can be asked, also after a crash; fails if it cannot work.
    pub async fn warm_up(&self) -> Result<(), SpeechError> {
        let (reply, ready) = oneshot::channel();
        self.commands().send(Command::WarmUp(reply)).await.map_err(|_| SpeechError::QueueFull)?;
        ready.await.unwrap_or(Err(SpeechError::QueueFull))
    }

    /// Sends a request; the last of its answers comes within `timeout`. Full queues answer as well.
    pub fn request(&self, tenant: Tenant, request: SpeechRequest, timeout: Duration) -> PendingAnswer {
        let (sender, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        let (id, commands) = (Arc::default(), self.commands());
        let deadline = Instant::now() + timeout;
        // The sender is dropped with a command that finds no room: the answer is then that the queue is full.
        let _ = commands.try_send(Command::Request { tenant, request, deadline, answers: sender, id: Arc::clone(&id) });
        PendingAnswer { id, answers, commands: commands.clone(), is_over: false }
    }

    fn commands(&self) -> mpsc::Sender<Command> {
        let commands = self.0.commands.get_or_init(|| {
            let (commands, queue) = mpsc::channel(COMMANDS_MAX);
            let (sender, events) = mpsc::channel(EVENTS_MAX);
            let task = WorkerTask {
                program: self.0.program.clone(),
                process_id: Arc::clone(&self.0.process_id),
                machine: WorkerSupervisor::default(),
                process: None,
                processes: 0,
                answers: HashMap::new(),
                warm_ups: Vec::new(),
                events: sender,
            };
            trunkline_supervision::spawn("speech_worker", task.run(queue, events));
            commands
        });
        commands.clone()
    }
}

/// What a request is for, as metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestKind {
    Final,
    Partial,
    Speech,
}

impl RequestKind {
    fn of(request: &SpeechRequest) -> Self {
        match request {
            SpeechRequest::Transcribe { urgency: Urgency::Final, .. } => Self::Final,
            SpeechRequest::Transcribe { urgency: Urgency::Partial, .. } => Self::Partial,
            SpeechRequest::Synthesize { .. } => Self::Speech,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Partial => "partial",
            Self::Speech => "speech",
        }
    }

    fn record_failure(self, error: &SpeechError) {
        let reason = match error {
            SpeechError::QueueFull => "full",
            SpeechError::Superseded => "superseded",
            SpeechError::Deadline => "deadline",
            SpeechError::Crashed(_) => "crashed",
            SpeechError::Unavailable(_) | SpeechError::Unsupported(_) | SpeechError::Model(_) => "failed",
        };
        let (kind, name) = (self.name(), "trunkline_speech_worker_dropped_total");
        metrics::counter!(name, "kind" => kind, "reason" => reason).increment(1);
    }
}

/// Whoever waits for the answers to a request.
struct Waiter {
    answers: mpsc::Sender<SpeechAnswer>,
    kind: RequestKind,
    since: Instant,
}

impl Waiter {
    /// False if nobody takes it.
    fn hand_over(&self, answer: SpeechAnswer) -> bool {
        match &answer {
            SpeechAnswer::Failed(error) => self.kind.record_failure(error),
            SpeechAnswer::Transcript { .. } | SpeechAnswer::Done => {
                let name = "trunkline_speech_worker_request_seconds";
                metrics::histogram!(name, "kind" => self.kind.name()).record(self.since.elapsed().as_secs_f64());
            }
            SpeechAnswer::Audio { .. } | SpeechAnswer::WordEnds(_) => {}
        }
        self.answers.try_send(answer).is_ok()
    }
}

struct WorkerTask {
    program: WorkerProgram,
    process_id: Arc<AtomicU32>,
    machine: WorkerSupervisor,
    process: Option<WorkerProcess>,
    /// How many were started.
    processes: u64,
    /// Whoever waits; bounded by the machine's queues.
    answers: HashMap<RequestId, Waiter>,
    /// Whoever waits for the start; bounded by the sessions.
    warm_ups: Vec<oneshot::Sender<Result<(), SpeechError>>>,
    events: mpsc::Sender<ProcessEvent>,
}

impl WorkerTask {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>, mut events: mpsc::Receiver<ProcessEvent>) {
        loop {
            self.carry_out();
            let next = self.machine.next_timeout().map(Instant::from_std);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                Some(event) = events.recv() => self.handle_event(event),
                () = due => self.machine.handle_timeout(now()),
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::WarmUp(reply) => match self.machine.warm_up(now()) {
                Ok(()) => self.warm_ups.push(reply),
                Err(error) => drop(reply.send(Err(error))),
            },
            Command::Request { tenant, request, deadline, answers, id } => {
                let kind = RequestKind::of(&request);
                match self.machine.request(now(), tenant, request, deadline.into_std()) {
                    Ok(given) => {
                        id.store(given.0, Ordering::Relaxed);
                        self.answers.insert(given, Waiter { answers, kind, since: Instant::now() });
                    }
                    Err(error) => {
                        kind.record_failure(&error);
                        let _ = answers.try_send(SpeechAnswer::Failed(error));
                    }
                }
            }
            Command::Cancel(id) => {
                let id = RequestId(id.load(Ordering::Relaxed));
                self.answers.remove(&id);
                self.machine.cancel(now(), id);
            }
        }
    }

    fn handle_event(&mut self, event: ProcessEvent) {
        let current = self.process.as_ref().map(|process| process.number);
        match event {
            ProcessEvent::Message(number, message) if Some(number) == current => {
                self.machine.handle_message(now(), message);
            }
            ProcessEvent::Ended(number, why) if Some(number) == current => {
                self.end_process();
                tracing::warn!(why, "the speech worker has ended");
                metrics::counter!("trunkline_speech_worker_crashes_total").increment(1);
                self.machine.handle_exit(now(), &why);
            }
            // Of a process that was killed.
            ProcessEvent::Message(..) | ProcessEvent::Ended(..) => {}
        }
    }

    /// Does what the machine wants done.
    fn carry_out(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                SupervisorOutput::Start => self.start(),
                SupervisorOutput::Kill => {
                    tracing::info!("the speech worker is ended");
                    self.end_process();
                }
                SupervisorOutput::Send(message) => self.send(&message),
                SupervisorOutput::Deliver(id, answer) => {
                    let is_last = answer.is_last();
                    let is_delivered = self.answers.get(&id).is_some_and(|waiter| waiter.hand_over(answer));
                    if is_last || !is_delivered {
                        self.answers.remove(&id);
                    }
                    if !is_last && !is_delivered {
                        self.machine.cancel(now(), id);
                    }
                }
            }
        }
        let (stt, tts) = self.machine.waiting();
        metrics::gauge!("trunkline_speech_worker_waiting", "kind" => "stt").set(stt as f64);
        metrics::gauge!("trunkline_speech_worker_waiting", "kind" => "tts").set(tts as f64);
        match self.machine.readiness() {
            Readiness::Pending => self.warm_ups.retain(|reply| !reply.is_closed()),
            Readiness::Ready => self.warm_ups.drain(..).for_each(|reply| drop(reply.send(Ok(())))),
            Readiness::Failed(error) => {
                self.warm_ups.drain(..).for_each(|reply| drop(reply.send(Err(error.clone()))));
            }
        }
    }

    fn start(&mut self) {
        self.processes += 1;
        match WorkerProcess::start(&self.program, self.processes, self.events.clone()) {
            Ok(process) => {
                self.process_id.store(process.id.unwrap_or_default(), Ordering::Relaxed);
                self.process = Some(process);
                metrics::counter!("trunkline_speech_worker_starts_total").increment(1);
                tracing::info!("the speech worker starts");
                self.send(&ServerMessage::Hello(Hello::of_server()));
            }
            Err(why) => {
                tracing::warn!(why, "the speech worker cannot be started");
                self.machine.handle_exit(now(), &why);
            }
        }
    }

    fn send(&mut self, message: &ServerMessage) {
        if self.process.as_ref().is_some_and(|process| !process.send(message)) {
            self.end_process();
            self.machine.handle_exit(now(), "it reads nothing");
        }
    }

    fn end_process(&mut self) {
        self.process = None;
        self.process_id.store(0, Ordering::Relaxed);
    }
}

/// Tests of tokio may stop this clock.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
