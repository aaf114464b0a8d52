//! Deadlines of everything the user agent holds, the earliest first.

use super::event::CallId;
use crate::sip::transaction::timers::Timer;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

/// Capacity that is never released.
const CAPACITY_KEPT: usize = 256;
/// Entries for each owner that is held, before those of the ended ones are taken out.
const TIMERS_PER_OWNER: usize = 4;

/// Whose deadline it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimerOwner {
    Server(Arc<str>),
    Client(Arc<str>),
    Session(CallId),
    Registration(Arc<str>),
}

/// When something is due, and the timer's name for traces.
pub(super) type Deadline = (Instant, Timer);

/// An entry of the heap. Entries are not removed when a timer stops; stale wake-ups are ignored.
#[derive(Debug, PartialEq, Eq)]
struct TimerEntry {
    at: Instant,
    timer: Timer,
    owner: TimerOwner,
}

impl Ord for TimerEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at) // earliest first
    }
}

impl PartialOrd for TimerEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The deadlines. Owners that have ended are asked once more and then forgotten.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    heap: BinaryHeap<TimerEntry>,
}

impl TimerQueue {
    /// Adds the present deadline of an owner, if it has one.
    pub(super) fn arm(&mut self, owner: TimerOwner, deadline: Option<Deadline>) {
        if let Some((at, timer)) = deadline {
            self.heap.push(TimerEntry { at, timer, owner });
        }
    }

    /// The earliest entry: whose it is, and when it was due as it was armed.
    pub(super) fn head(&self) -> Option<(Instant, &TimerOwner)> {
        self.heap.peek().map(|head| (head.at, &head.owner))
    }

    /// Takes the earliest entry.
    pub(super) fn pop(&mut self) -> Option<TimerOwner> {
        self.heap.pop().map(|head| head.owner)
    }

    /// Takes the earliest entry that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerOwner> {
        if self.heap.peek()?.at > now { None } else { self.pop() }
    }

    /// Begins anew with one entry for each owner that has a deadline.
    pub(super) fn rebuild(&mut self, deadlines: impl Iterator<Item = (TimerOwner, Option<Deadline>)>) {
        let entry = |(owner, deadline): (TimerOwner, Option<Deadline>)| {
            deadline.map(|(at, timer)| TimerEntry { at, timer, owner })
        };
        self.heap = deadlines.filter_map(entry).collect::<Vec<_>>().into();
    }

    /// Stale entries, mostly of sessions, would accumulate.
    pub(super) fn has_many_stale(&self, owners: usize) -> bool {
        self.heap.len() > owners.saturating_mul(TIMERS_PER_OWNER).saturating_add(CAPACITY_KEPT)
    }

    /// Returns memory after a peak.
    pub(super) fn shrink(&mut self) {
        if is_roomy(self.heap.len(), self.heap.capacity()) {
            self.heap.shrink_to(CAPACITY_KEPT);
        }
    }

    #[cfg(test)]
    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }
}

/// A table is far larger than what it holds.
fn is_roomy(len: usize, capacity: usize) -> bool {
    capacity > CAPACITY_KEPT && len.saturating_mul(8) < capacity
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_deadline_comes_first_and_stale_entries_are_noticed() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut timers = TimerQueue::default();
        for s in [3, 1, 2] {
            timers.arm(TimerOwner::Session(CallId(s)), Some((at(s), Timer::Session)));
        }
        timers.arm(TimerOwner::Client("ended".into()), None);
        assert_eq!(timers.head(), Some((at(1), &TimerOwner::Session(CallId(1)))));
        assert_eq!(timers.pop_due(start), None, "not due yet");
        assert_eq!(timers.pop_due(at(2)), Some(TimerOwner::Session(CallId(1))));
        assert_eq!(timers.pop_due(at(2)), Some(TimerOwner::Session(CallId(2))));
        assert_eq!(timers.pop_due(at(2)), None);
        for _ in 0..CAPACITY_KEPT + TIMERS_PER_OWNER {
            timers.arm(TimerOwner::Session(CallId(3)), Some((at(3), Timer::Session)));
        }
        assert!(timers.has_many_stale(1));
        timers.rebuild([(TimerOwner::Session(CallId(3)), Some((at(3), Timer::Session)))].into_iter());
        assert!(!timers.has_many_stale(1));
        assert_eq!((timers.pop(), timers.pop()), (Some(TimerOwner::Session(CallId(3))), None));
    }
}
