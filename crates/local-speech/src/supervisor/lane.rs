//! Requests of one kind: what waits, in order, and what the worker does.

use super::fair_queue::FairQueue;
use super::work::Work;
use crate::limits::WAITING_MAX;
use crate::message::{RequestId, ServerMessage};
use crate::request::SpeechError;
use std::time::{Duration, Instant};

/// How long the worker may take to end a request that was given up; one step of a model takes a fraction of it.
const END_MAX: Duration = Duration::from_secs(5);

/// What the worker does.
#[derive(Debug)]
enum InFlight {
    /// Somebody waits for the answer.
    Wanted {
        work: Work,
        /// A part of the answer has come, so it cannot be asked for again.
        is_begun: bool,
    },
    /// Nobody waits any more; the worker has to end it until then.
    GivenUp { id: RequestId, until: Instant },
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

/// A request that has made room for another one, and why nothing comes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Displaced(pub(super) RequestId, pub(super) SpeechError);

/// Requests of one kind.
#[derive(Debug)]
pub(super) struct Lane {
    /// Words that do not change any more, and all texts: before words so far.
    finals: FairQueue,
    partials: FairQueue,
    in_flight: Vec<InFlight>,
    in_flight_max: usize,
}

impl InFlight {
    fn id(&self) -> RequestId {
        match self {
            Self::Wanted { work, .. } => work.id(),
            Self::GivenUp { id, .. } => *id,
        }
    }
}

impl Lane {
    /// The worker does so many requests of this kind at once.
    pub(super) fn new(in_flight_max: usize) -> Self {
        let (finals, partials) = Default::default();
        Self { finals, partials, in_flight: Vec::new(), in_flight_max }
    }

    /// Takes a request. Returns the requests that it takes the place of.
    pub(super) fn push(&mut self, work: Work) -> Result<Vec<Displaced>, SpeechError> {
        let is_partial = work.is_partial();
        let work = if is_partial {
            // Words so far are only of interest while they are the latest.
            let session = work.session();
            match self.partials.replace(|other| other.session() == session, work) {
                Ok(older) => return Ok(vec![Displaced(older, SpeechError::Superseded)]),
                Err(work) => work,
            }
        } else {
            work
        };
        let displaced = if self.waiting() >= WAITING_MAX { vec![self.make_room(&work)?] } else { Vec::new() };
        if is_partial {
            self.partials.push(work)
        } else {
            self.finals.push(work)
        }
        Ok(displaced)
    }

    /// A full queue loses words so far before final ones, and those of the organization that has most here.
    fn make_room(&mut self, work: &Work) -> Result<Displaced, SpeechError> {
        let own = if work.is_partial() { &self.partials } else { &self.finals };
        let own = own.count_of(work.tenant());
        let busiest = |queue: &FairQueue, least: usize| queue.busiest().filter(|(_, count)| *count > least);
        let least = if work.is_partial() { own + 1 } else { 0 };
        if let Some((tenant, _)) = busiest(&self.partials, least)
            && let Some(id) = self.partials.drop_last(tenant)
        {
            return Ok(Displaced(id, SpeechError::Superseded));
        }
        let over = busiest(&self.finals, own + 1).filter(|_| !work.is_partial());
        let dropped = over.and_then(|(tenant, _)| self.finals.drop_last(tenant));
        dropped.map(|id| Displaced(id, SpeechError::QueueFull)).ok_or(SpeechError::QueueFull)
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.finals.len() + self.partials.len()
    }

    /// The next request for the worker, if it has room for it.
    pub(super) fn next(&mut self) -> Option<ServerMessage> {
        if self.in_flight.len() >= self.in_flight_max {
            return None;
        }
        let mut work = self.finals.pop().or_else(|| self.partials.pop())?;
        let message = work.send();
        self.in_flight.push(InFlight::Wanted { work, is_begun: false });
        Some(message)
    }

    /// Gives up a partial transcription while a final one waits.
    pub(super) fn preempt(&mut self, now: Instant) -> Option<RequestId> {
        if self.finals.len() == 0 || self.in_flight.len() < self.in_flight_max {
            return None;
        }
        let is_partial = |one: &&mut InFlight| matches!(one, InFlight::Wanted { work, .. } if work.is_partial());
        let partial = self.in_flight.iter_mut().find(is_partial)?;
        let id = partial.id();
        *partial = InFlight::GivenUp { id, until: now + END_MAX };
        Some(id)
    }

    /// Nobody waits for it. True if the worker has to be told.
    pub(super) fn cancel(&mut self, now: Instant, id: RequestId) -> bool {
        for queue in [&mut self.finals, &mut self.partials] {
            queue.take_if(|work| work.id() == id);
        }
        let is_this = |one: &&mut InFlight| matches!(one, InFlight::Wanted { work, .. } if work.id() == id);
        match self.in_flight.iter_mut().find(is_this) {
            Some(wanted) => {
                *wanted = InFlight::GivenUp { id, until: now + END_MAX };
                true
            }
            None => false,
        }
    }

    /// The worker has answered. True if somebody waits for it.
    pub(super) fn answer(&mut self, answered: RequestId, is_last: bool) -> bool {
        let Some(place) = self.in_flight.iter().position(|one| one.id() == answered) else { return false };
        let is_wanted = match self.in_flight.get_mut(place) {
            Some(InFlight::Wanted { is_begun, .. }) => {
                *is_begun = true;
                true
            }
            _ => false,
        };
        if is_last {
            self.in_flight.remove(place);
        }
        is_wanted
    }

    /// The worker has ended: what it did is tried once more, or is lost.
    pub(super) fn handle_exit(&mut self, now: Instant) -> Vec<Lost> {
        let mut lost = Vec::new();
        // The last one first: each is put before those that wait.
        for one in std::mem::take(&mut self.in_flight).into_iter().rev() {
            match one {
                InFlight::Wanted { work, is_begun: false } if work.may_be_sent_again() && work.deadline() > now => {
                    if work.is_partial() {
                        self.partials.put_back(work)
                    } else {
                        self.finals.put_back(work)
                    }
                }
                InFlight::Wanted { work, .. } => lost.push(Lost(work.id())),
                InFlight::GivenUp { .. } => {}
            }
        }
        lost
    }

    /// What has taken too long by now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Expired> {
        let late = [&mut self.finals, &mut self.partials].map(|queue| queue.take_if(|work| work.deadline() <= now));
        let mut expired: Vec<Expired> = late.into_iter().flatten().map(Expired::Waiting).collect();
        for one in &mut self.in_flight {
            if let InFlight::Wanted { work, .. } = one
                && work.deadline() <= now
            {
                let id = work.id();
                expired.push(Expired::InFlight(id));
                *one = InFlight::GivenUp { id, until: now + END_MAX };
            }
        }
        let hanging = |one: &InFlight| matches!(one, InFlight::GivenUp { until, .. } if *until <= now);
        if self.in_flight.iter().any(hanging) {
            expired.push(Expired::Hanging);
            self.in_flight.retain(|one| !hanging(one));
        }
        expired
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let in_flight = self.in_flight.iter().map(|one| match one {
            InFlight::Wanted { work, .. } => work.deadline(),
            InFlight::GivenUp { until, .. } => *until,
        });
        self.finals.iter().chain(self.partials.iter()).map(|work| work.deadline()).chain(in_flight).min()
    }

    /// Takes out everything that somebody waits for.
    pub(super) fn clear(&mut self) -> Vec<RequestId> {
        let waiting = [&mut self.finals, &mut self.partials].map(|queue| queue.take_if(|_| true));
        let mut ids: Vec<RequestId> = waiting.into_iter().flatten().collect();
        ids.extend(self.in_flight.drain(..).filter_map(|one| match one {
            InFlight::Wanted { work, .. } => Some(work.id()),
            InFlight::GivenUp { .. } => None,
        }));
        ids
    }
}
