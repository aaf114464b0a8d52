//! The legs of one worker: each in a slot, with the instant of its next turn.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::slot::LegSlot;
use crate::stats::WorkerStats;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

/// An empty slot is never due.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// Slots with their deadlines in a dense array, which is scanned in every cycle.
pub(super) struct LegSlots {
    slots: Vec<Option<Box<LegSlot>>>,
    /// Next turn of each slot; far in the future for an empty one.
    due: Vec<Instant>,
    free: Vec<usize>,
    by_leg: HashMap<u64, usize>,
    /// Legs of this worker, for those who send it commands.
    count: Arc<AtomicU64>,
    stats: Arc<WorkerStats>,
}

impl LegSlots {
    pub(super) fn new(count: Arc<AtomicU64>, stats: Arc<WorkerStats>) -> Self {
        let (slots, due, free, by_leg) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Self { slots, due, free, by_leg, count, stats }
    }

    /// No leg is here.
    pub(super) fn is_empty(&self) -> bool {
        self.by_leg.is_empty()
    }

    /// Slots, empty ones included.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All slots, and when their next turns are.
    pub(super) fn all_mut(&mut self) -> (&mut [Option<Box<LegSlot>>], &mut [Instant]) {
        (&mut self.slots, &mut self.due)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut LegSlot> {
        self.slots.get_mut(index)?.as_deref_mut()
    }

    pub(super) fn index_of(&self, leg: u64) -> Option<usize> {
        self.by_leg.get(&leg).copied()
    }

    pub(super) fn of_leg_mut(&mut self, leg: u64) -> Option<&mut LegSlot> {
        self.get_mut(self.index_of(leg)?)
    }

    /// An empty slot for a new leg.
    pub(super) fn reserve(&mut self, now: Instant) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.due.push(now + NEVER);
            self.slots.len() - 1
        })
    }

    /// Gives a reserved slot back.
    pub(super) fn cancel(&mut self, index: usize) {
        self.free.push(index);
    }

    /// Puts a new leg in its reserved slot.
    pub(super) fn occupy(&mut self, index: usize, due: Instant, slot: Box<LegSlot>) {
        self.by_leg.insert(slot.number, index);
        self.put_back(index, due, slot);
        self.publish_count();
    }

    /// Takes a leg that is due for its turn; it must be put back.
    pub(super) fn take_due(&mut self, index: usize, at: Instant) -> Option<Box<LegSlot>> {
        self.due.get(index).filter(|due| **due <= at)?;
        self.slots.get_mut(index)?.take()
    }

    pub(super) fn put_back(&mut self, index: usize, due: Instant, slot: Box<LegSlot>) {
        if let (Some(place), Some(before)) = (self.slots.get_mut(index), self.due.get_mut(index)) {
            (*place, *before) = (Some(slot), due);
        }
    }

    /// The next turn of a slot is not later than this.
    pub(super) fn advance_due(&mut self, index: usize, due: Instant) {
        if let Some(before) = self.due.get_mut(index) {
            *before = due.min(*before);
        }
    }

    /// Asks a leg anew when it is due.
    pub(super) fn reschedule(&mut self, cycle_at: Instant, leg: u64) {
        if let Some(index) = self.index_of(leg)
            && let (Some(Some(slot)), Some(due)) = (self.slots.get(index), self.due.get_mut(index))
        {
            *due = slot.due(cycle_at);
        }
    }

    /// Takes a leg out of its slot, which is free from now on.
    pub(super) fn remove(&mut self, now: Instant, index: usize) -> Option<Box<LegSlot>> {
        let slot = self.slots.get_mut(index)?.take()?;
        self.by_leg.remove(&slot.number);
        self.free.push(index);
        if let Some(due) = self.due.get_mut(index) {
            *due = now + NEVER;
        }
        self.publish_count();
        Some(slot)
    }

    fn publish_count(&self) {
        let count = self.by_leg.len() as u64;
        let before = self.count.swap(count, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.stats.legs.fetch_add(count, Ordering::Relaxed);
        self.stats.legs.fetch_sub(before, Ordering::Relaxed);
    }
}
