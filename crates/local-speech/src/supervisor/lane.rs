//! Requests of one kind: what waits, in order, and the one that the worker does.

use crate::limits::WAITING_MAX;
use crate::message::{RequestId, ServerMessage, SessionId, Urgency};
use crate::request::{SpeechError, SpeechRequest};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the worker may take to end a request that was given up; one step of a model takes a fraction of it.
const END_MAX: Duration = Duration::from_secs(5);
/// How often a request is sent to a worker.
const ATTEMPTS_MAX: u8 = 2;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Work {
    id: RequestId,
    request: SpeechRequest,
    deadline: Instant,
    attempts: u8,
}

impl Work {
    pub(super) fn new(id: RequestId, request: SpeechRequest, deadline: Instant) -> Self {
        Self { id, request, deadline, attempts: 0 }
    }

    fn is_partial(&self) -> bool {
        matches!(self.request, SpeechRequest::Transcribe { urgency: Urgency::Partial, .. })
    }

    fn session(&self) -> Option<SessionId> {
        match &self.request {
            SpeechRequest::Transcribe { session, .. } => Some(*session),
            SpeechRequest::Synthesize { .. } => None,
        }
    }

    fn message(&self) -> ServerMessage {
        let id = self.id;
        match self.request.clone() {
            SpeechRequest::Transcribe { session, urgency, samples } => {
                ServerMessage::Transcribe { id, session, urgency, samples }
            }
            SpeechRequest::Synthesize { voice, speed_permille, text } => {
                ServerMessage::Synthesize { id, voice, speed_permille, text }
            }
        }
    }
}

/// What the worker does.
#[derive(Debug)]
enum InFlight {
    Nothing,
    /// Somebody waits for the answer.
    Wanted {
        work: Work,
        /// A part of the answer has come, so it cannot be asked for again.
        is_begun: bool,
    },
    /// Nobody waits any more; the worker has to end it until then.
    GivenUp {
        id: RequestId,
        until: Instant,
    },
}

/// A request that was lost in a crash.
#[derive(Debug)]
pub(super) struct Lost(pub(super) RequestId);

/// What has taken too long.
#[derive(Debug)]
pub(super) enum Expired {
    /// It was not sent yet.
    Waiting(RequestId),
    /// The worker did not answer; it is told that nobody waits.
    InFlight(RequestId),
    /// The worker did not end what was given up.
    Hanging,
}

/// Requests of one kind.
#[derive(Debug)]
pub(super) struct Lane {
    /// Final ones first, each kind in the order in which they came.
    waiting: VecDeque<Work>,
    in_flight: InFlight,
}

impl Default for Lane {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), in_flight: InFlight::Nothing }
    }
}

impl Lane {
    /// Takes a request. Returns the requests that it takes the place of.
    pub(super) fn push(&mut self, work: Work) -> Result<Vec<RequestId>, SpeechError> {
        let mut replaced = Vec::new();
        if work.is_partial() {
            // Words so far are only of interest while they are the latest.
            let older = self.waiting.iter().position(|other| other.is_partial() && other.session() == work.session());
            replaced.extend(older.and_then(|place| self.waiting.remove(place)).map(|older| older.id));
        }
        if self.waiting.len() >= WAITING_MAX {
            match self.waiting.back() {
                Some(last) if last.is_partial() && !work.is_partial() => {
                    replaced.extend(self.waiting.pop_back().map(|last| last.id));
                }
                _ => return Err(SpeechError::QueueFull),
            }
        }
        let place = if work.is_partial() {
            self.waiting.len()
        } else {
            self.waiting.iter().position(Work::is_partial).unwrap_or(self.waiting.len())
        };
        self.waiting.insert(place, work);
        Ok(replaced)
    }

    /// The next request for the worker, if it has nothing to do.
    pub(super) fn next(&mut self) -> Option<ServerMessage> {
        if !matches!(self.in_flight, InFlight::Nothing) {
            return None;
        }
        let mut work = self.waiting.pop_front()?;
        work.attempts += 1;
        let message = work.message();
        self.in_flight = InFlight::Wanted { work, is_begun: false };
        Some(message)
    }

    /// Gives up a partial transcription while a final one waits.
    pub(super) fn preempt(&mut self, now: Instant) -> Option<RequestId> {
        let InFlight::Wanted { work, .. } = &self.in_flight else { return None };
        let final_waits = self.waiting.front().is_some_and(|first| !first.is_partial());
        if !work.is_partial() || !final_waits {
            return None;
        }
        let id = work.id;
        self.in_flight = InFlight::GivenUp { id, until: now + END_MAX };
        Some(id)
    }

    /// Nobody waits for it. True if the worker has to be told.
    pub(super) fn cancel(&mut self, now: Instant, id: RequestId) -> bool {
        self.waiting.retain(|work| work.id != id);
        match &self.in_flight {
            InFlight::Wanted { work, .. } if work.id == id => {
                self.in_flight = InFlight::GivenUp { id, until: now + END_MAX };
                true
            }
            _ => false,
        }
    }

    /// The worker has answered. True if somebody waits for it.
    pub(super) fn answer(&mut self, answered: RequestId, is_last: bool) -> bool {
        match &mut self.in_flight {
            InFlight::Wanted { work, is_begun } if work.id == answered => {
                *is_begun = true;
                if is_last {
                    self.in_flight = InFlight::Nothing;
                }
                true
            }
            InFlight::GivenUp { id, .. } if *id == answered => {
                if is_last {
                    self.in_flight = InFlight::Nothing;
                }
                false
            }
            _ => false,
        }
    }

    /// The worker has ended: what it did is tried once more, or is lost.
    pub(super) fn handle_exit(&mut self, now: Instant) -> Option<Lost> {
        match std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            InFlight::Wanted { work, is_begun: false } if work.attempts < ATTEMPTS_MAX && work.deadline > now => {
                self.waiting.push_front(work);
                None
            }
            InFlight::Wanted { work, .. } => Some(Lost(work.id)),
            InFlight::GivenUp { .. } | InFlight::Nothing => None,
        }
    }

    /// What has taken too long by now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Expired> {
        let late = self.waiting.iter().filter(|work| work.deadline <= now);
        let mut expired: Vec<Expired> = late.map(|work| Expired::Waiting(work.id)).collect();
        self.waiting.retain(|work| work.deadline > now);
        match &self.in_flight {
            InFlight::Wanted { work, .. } if work.deadline <= now => {
                let id = work.id;
                expired.push(Expired::InFlight(id));
                self.in_flight = InFlight::GivenUp { id, until: now + END_MAX };
            }
            InFlight::GivenUp { until, .. } if *until <= now => {
                expired.push(Expired::Hanging);
                self.in_flight = InFlight::Nothing;
            }
            _ => {}
        }
        expired
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let in_flight = match &self.in_flight {
            InFlight::Nothing => None,
            InFlight::Wanted { work, .. } => Some(work.deadline),
            InFlight::GivenUp { until, .. } => Some(*until),
        };
        self.waiting.iter().map(|work| work.deadline).chain(in_flight).min()
    }

    /// Takes out everything that somebody waits for.
    pub(super) fn clear(&mut self) -> Vec<RequestId> {
        let mut ids: Vec<RequestId> = self.waiting.drain(..).map(|work| work.id).collect();
        if let InFlight::Wanted { work, .. } = std::mem::replace(&mut self.in_flight, InFlight::Nothing) {
            ids.push(work.id);
        }
        ids
    }
}
