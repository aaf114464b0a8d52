//! The speech worker as the server sees it: whether it runs, what it does, what waits for it. A machine: messages, ends
//! of the process and the time go in; what is to be started, sent, killed and delivered comes out.
//!
//! The worker is started for the first request. It does one transcription at a time, and speaks some texts by turns. After a
//! crash it is started again with back-off; what it was doing is tried once more, because somebody may have killed it, and is then
//! lost. An answer that does not come in time is given up; if the worker does not even end the request, it hangs and is
//! killed.

mod backoff;
mod fair_queue;
mod lane;
mod work;

use super::limits::SPOKEN_AT_ONCE_MAX;
use super::message::{FailureKind, Hello, RequestId, ServerMessage, VERSION, WorkerMessage};
use super::request::{SpeechAnswer, SpeechError, SpeechRequest, Tenant};
use backoff::Backoff;
use lane::{Displaced, Expired, Lane, Lost};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use work::Work;

/// How long the worker may take to load its models: a cold disk gives 50 MB in some seconds.
pub const START_MAX: Duration = Duration::from_secs(20);
/// How long a worker that cannot work is left alone: files do not come by themselves.
pub const UNAVAILABLE_FOR: Duration = Duration::from_secs(15);
/// A worker that nobody has asked for this long ends, and its memory is free.
pub const IDLE_MAX: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum SupervisorOutput {
    /// Start the process, and send it [`Hello::of_server`].
    Start,
    /// Send a message to the process.
    Send(ServerMessage),
    /// End the process; its end is not reported.
    Kill,
    /// Hand an answer to whoever asked.
    Deliver(RequestId, SpeechAnswer),
}

/// Whether the worker can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It has loaded its models.
    Ready,
    /// It starts, is started again after a crash, or nobody wants it to.
    Pending,
    /// It cannot work, or crashes before it can.
    Failed(SpeechError),
}

/// Whether the worker runs.
#[derive(Debug)]
enum WorkerState {
    /// Nobody has asked for it yet, or not for long.
    Stopped,
    /// It loads its models.
    Starting { until: Instant },
    /// It works.
    Ready { since: Instant, last_used: Instant, hello: Hello },
    /// It crashed, and is started again at this time. `has_worked`: it had loaded its models, so it is expected back.
    BackingOff { until: Instant, why: String, has_worked: bool },
    /// It cannot work; requests are refused until this time.
    Unavailable { until: Instant, why: String },
}

/// The machine.
#[derive(Debug)]
pub struct WorkerSupervisor {
    state: WorkerState,
    stt: Lane,
    tts: Lane,
    next_id: u64,
    backoff: Backoff,
    outputs: VecDeque<SupervisorOutput>,
}

impl Default for WorkerSupervisor {
    fn default() -> Self {
        Self {
            state: WorkerState::Stopped,
            stt: Lane::new(1),
            tts: Lane::new(SPOKEN_AT_ONCE_MAX),
            next_id: 1,
            backoff: Backoff::default(),
            outputs: VecDeque::new(),
        }
    }
}

impl WorkerSupervisor {
    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<SupervisorOutput> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        let own = match &self.state {
            WorkerState::Stopped => None,
            WorkerState::Starting { until } | WorkerState::BackingOff { until, .. } => Some(*until),
            WorkerState::Unavailable { until, .. } => Some(*until),
            WorkerState::Ready { last_used, .. } => Some(*last_used + IDLE_MAX),
        };
        let lanes = [&self.stt, &self.tts].map(Lane::next_timeout);
        lanes.into_iter().chain([own]).flatten().min()
    }

    /// What the worker can do; `None` while it does not run.
    pub fn hello(&self) -> Option<&Hello> {
        match &self.state {
            WorkerState::Ready { hello, .. } => Some(hello),
            _ => None,
        }
    }

    /// Whether it can be asked now.
    pub fn readiness(&self) -> Readiness {
        match &self.state {
            WorkerState::Ready { .. } => Readiness::Ready,
            WorkerState::Stopped | WorkerState::Starting { .. } => Readiness::Pending,
            // Whoever comes now waits a moment: refused, a call without a fallback would end.
            WorkerState::BackingOff { has_worked: true, .. } => Readiness::Pending,
            WorkerState::BackingOff { why, .. } => Readiness::Failed(SpeechError::Crashed(why.clone())),
            WorkerState::Unavailable { why, .. } => Readiness::Failed(SpeechError::Unavailable(why.clone())),
        }
    }

    /// How many requests wait, to transcribe and to synthesize.
    pub fn waiting(&self) -> (usize, usize) {
        (self.stt.waiting(), self.tts.waiting())
    }

    /// Starts the worker, so that the first request does not wait for it. Fails where it cannot work.
    pub fn warm_up(&mut self, now: Instant) -> Result<(), SpeechError> {
        if let WorkerState::Unavailable { until, why } = &self.state {
            if now < *until {
                return Err(SpeechError::Unavailable(why.clone()));
            }
            self.state = WorkerState::Stopped;
        }
        match &mut self.state {
            WorkerState::Stopped => self.start(now),
            WorkerState::Ready { last_used, .. } => *last_used = now,
            _ => {}
        }
        Ok(())
    }

    /// Takes a request; its answers come as [`SupervisorOutput::Deliver`], the last one at `deadline` at the latest.
    pub fn request(
        &mut self, now: Instant, tenant: Tenant, request: SpeechRequest, deadline: Instant,
    ) -> Result<RequestId, SpeechError> {
        self.warm_up(now)?;
        let id = RequestId(self.next_id);
        let lane = match &request {
            SpeechRequest::Transcribe { .. } => &mut self.stt,
            SpeechRequest::Synthesize { .. } => &mut self.tts,
        };
        let displaced = lane.push(Work::new(id, tenant, request, deadline))?;
        self.next_id += 1;
        for Displaced(id, error) in displaced {
            self.deliver(id, SpeechAnswer::Failed(error));
        }
        self.dispatch(now);
        Ok(id)
    }

    /// Nobody waits for the answer any more.
    pub fn cancel(&mut self, now: Instant, id: RequestId) {
        for lane in [&mut self.stt, &mut self.tts] {
            if lane.cancel(now, id) {
                self.outputs.push_back(SupervisorOutput::Send(ServerMessage::Cancel { id }));
            }
        }
    }

    /// The worker has sent a message.
    pub fn handle_message(&mut self, now: Instant, message: WorkerMessage) {
        match message {
            WorkerMessage::Hello(hello) => self.handle_hello(now, hello),
            WorkerMessage::Failed { id: RequestId(0), message, .. } => self.unavailable(now, message),
            WorkerMessage::Transcript { id, text, confidence_permille, compute_us } => {
                let confidence = f32::from(confidence_permille) / 1_000.0;
                let compute = Duration::from_micros(u64::from(compute_us));
                self.answer(now, id, SpeechAnswer::Transcript { text, confidence, compute });
            }
            WorkerMessage::Audio { id, rate_hz, samples } => {
                self.answer(now, id, SpeechAnswer::Audio { rate_hz, samples });
            }
            WorkerMessage::WordEnds { id, samples } => self.answer(now, id, SpeechAnswer::WordEnds(samples)),
            WorkerMessage::Done { id } => self.answer(now, id, SpeechAnswer::Done),
            WorkerMessage::Failed { id, kind, message } => {
                let error = match kind {
                    FailureKind::Cancelled => SpeechError::Superseded,
                    FailureKind::Unsupported => SpeechError::Unsupported(message),
                    FailureKind::Model | FailureKind::FilesMissing => SpeechError::Model(message),
                };
                self.answer(now, id, SpeechAnswer::Failed(error));
            }
        }
    }

    /// The process has ended or could not be started, or what it writes is no message; it does not run any more.
    pub fn handle_exit(&mut self, now: Instant, why: &str) {
        let worked_for = match &self.state {
            WorkerState::Ready { since, .. } => Some(now.saturating_duration_since(*since)),
            WorkerState::Starting { .. } => None,
            // It was killed.
            WorkerState::Stopped | WorkerState::BackingOff { .. } | WorkerState::Unavailable { .. } => return,
        };
        let until = now + self.backoff.next(worked_for);
        self.state = WorkerState::BackingOff { until, why: why.to_owned(), has_worked: worked_for.is_some() };
        for lane in [&mut self.stt, &mut self.tts] {
            for Lost(id) in lane.handle_exit(now) {
                let crashed = SpeechAnswer::Failed(SpeechError::Crashed(why.to_owned()));
                self.outputs.push_back(SupervisorOutput::Deliver(id, crashed));
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut hangs = false;
        for lane in [&mut self.stt, &mut self.tts] {
            for expired in lane.handle_timeout(now) {
                match expired {
                    Expired::Waiting(id) => {
                        let error = match &self.state {
                            WorkerState::BackingOff { why, .. } => SpeechError::Crashed(why.clone()),
                            _ => SpeechError::Deadline,
                        };
                        self.outputs.push_back(SupervisorOutput::Deliver(id, SpeechAnswer::Failed(error)));
                    }
                    Expired::InFlight(id) => {
                        self.outputs.push_back(SupervisorOutput::Send(ServerMessage::Cancel { id }));
                        let late = SpeechAnswer::Failed(SpeechError::Deadline);
                        self.outputs.push_back(SupervisorOutput::Deliver(id, late));
                    }
                    Expired::Hanging => hangs = true,
                }
            }
        }
        match &self.state {
            _ if hangs => self.kill(now, "it hung"),
            WorkerState::Starting { until } if now >= *until => self.kill(now, "it did not start in time"),
            WorkerState::BackingOff { until, .. } if now >= *until => self.start(now),
            WorkerState::Unavailable { until, .. } if now >= *until => self.state = WorkerState::Stopped,
            WorkerState::Ready { last_used, .. } if now >= *last_used + IDLE_MAX => {
                self.state = WorkerState::Stopped;
                self.outputs.push_back(SupervisorOutput::Kill);
            }
            _ => {}
        }
        self.dispatch(now);
    }

    fn handle_hello(&mut self, now: Instant, hello: Hello) {
        match self.state {
            WorkerState::Starting { .. } if hello.version == VERSION => {
                self.state = WorkerState::Ready { since: now, last_used: now, hello };
                self.dispatch(now);
            }
            WorkerState::Starting { .. } => {
                let why = format!(
                    "the speech worker speaks version {} of the protocol and the server {VERSION}: use the worker of the \
                     same release (providers.local.speech_worker)",
                    hello.version
                );
                self.unavailable(now, why);
            }
            WorkerState::Ready { .. } => self.kill(now, "it sent a second hello"),
            _ => {}
        }
    }

    fn start(&mut self, now: Instant) {
        self.state = WorkerState::Starting { until: now + START_MAX };
        self.outputs.push_back(SupervisorOutput::Start);
    }

    fn kill(&mut self, now: Instant, why: &str) {
        self.outputs.push_back(SupervisorOutput::Kill);
        self.handle_exit(now, why);
    }

    /// It cannot work, and whatever waits for it is refused.
    fn unavailable(&mut self, now: Instant, why: String) {
        self.outputs.push_back(SupervisorOutput::Kill);
        for lane in [&mut self.stt, &mut self.tts] {
            for id in lane.clear() {
                let error = SpeechAnswer::Failed(SpeechError::Unavailable(why.clone()));
                self.outputs.push_back(SupervisorOutput::Deliver(id, error));
            }
        }
        self.state = WorkerState::Unavailable { until: now + UNAVAILABLE_FOR, why };
    }

    fn answer(&mut self, now: Instant, id: RequestId, answer: SpeechAnswer) {
        let WorkerState::Ready { last_used, .. } = &mut self.state else { return };
        *last_used = now;
        let is_wanted = [&mut self.stt, &mut self.tts].into_iter().any(|lane| lane.answer(id, answer.is_last()));
        if is_wanted {
            self.deliver(id, answer);
        }
        self.dispatch(now);
    }

    fn deliver(&mut self, id: RequestId, answer: SpeechAnswer) {
        self.outputs.push_back(SupervisorOutput::Deliver(id, answer));
    }

    fn dispatch(&mut self, now: Instant) {
        if !matches!(self.state, WorkerState::Ready { .. }) {
            return;
        }
        for lane in [&mut self.stt, &mut self.tts] {
            // Words that are final are not kept waiting by words that may change.
            if let Some(partial) = lane.preempt(now) {
                self.outputs.push_back(SupervisorOutput::Send(ServerMessage::Cancel { id: partial }));
                let superseded = SpeechAnswer::Failed(SpeechError::Superseded);
                self.outputs.push_back(SupervisorOutput::Deliver(partial, superseded));
            }
            while let Some(message) = lane.next() {
                self.outputs.push_back(SupervisorOutput::Send(message));
            }
        }
    }
}

#[cfg(test)]
mod tests;
