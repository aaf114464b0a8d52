//! Queue for work on large documents. A large body, or a change of a large document, takes CPU for milliseconds. Each
//! family does one such task at a time, and all families together leave part of the CPU to calls. The work
//! itself runs outside of the async threads ([`crate::supervision::in_place`]).

use crate::domain::ids::OrganizationId;
use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bodies up to this size need only microseconds.
pub(super) const LARGE_BYTES: usize = 16 * 1_024;
/// Requests of one family that wait. A person's clicks and a deployment's script are far below.
const WAITING_MAX: usize = 64;
/// How long a request waits.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Families that are remembered before those without work are forgotten.
const FAMILIES_MAX: usize = 256;

#[derive(Debug)]
struct FamilyQueue {
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Limits concurrent work on large documents.
#[derive(Clone, Debug)]
pub(super) struct LargeBodyQueue {
    /// Of all families.
    all: Arc<Semaphore>,
    families: Arc<Mutex<HashMap<OrganizationId, Weak<FamilyQueue>>>>,
}

/// The permit: work may be done until it is dropped.
#[derive(Debug)]
pub(super) struct LargeBodyPermit {
    _family: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    /// Remembered while it works.
    _of: Arc<FamilyQueue>,
}

/// Counts one that waits.
struct WaitingCount<'a>(&'a AtomicUsize);

impl Drop for WaitingCount<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for LargeBodyQueue {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { all: Arc::new(Semaphore::new((cores / 2).max(1))), families: Arc::default() }
    }
}

impl LargeBodyQueue {
    fn family(&self, root: OrganizationId) -> Arc<FamilyQueue> {
        let mut all = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= FAMILIES_MAX {
            all.retain(|_, family| family.strong_count() > 0);
        }
        if let Some(family) = all.get(&root).and_then(Weak::upgrade) {
            return family;
        }
        let family = Arc::new(FamilyQueue { turn: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0) });
        all.insert(root, Arc::downgrade(&family));
        family
    }

    /// The next turn of a family; `None` when too many wait, or it does not come in time.
    pub(super) async fn take(&self, root: OrganizationId) -> Option<LargeBodyPermit> {
        let family = self.family(root);
        if family.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            family.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let _waiting = WaitingCount(&family.waiting);
        let both = async {
            let own = family.turn.clone().acquire_owned().await.ok()?;
            Some((own, self.all.clone().acquire_owned().await.ok()?))
        };
        let (own, all) = timeout(WAIT_MAX, both).await.ok().flatten()?;
        Some(LargeBodyPermit { _family: own, _all: all, _of: family.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(in_all: usize) -> LargeBodyQueue {
        LargeBodyQueue { all: Arc::new(Semaphore::new(in_all)), families: Arc::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_a_family_is_serial_and_does_not_delay_others() {
        let turns = turns(2);
        let (busy, other) = (OrganizationId::new(), OrganizationId::new());
        let working = turns.take(busy).await.unwrap();
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let turns = turns.clone();
            crowd.spawn(async move { turns.take(busy).await.is_some() });
        }
        // Those over the bound are refused at once.
        let mut refused = 0;
        while refused < 1_000 - WAITING_MAX {
            assert!(!crowd.join_next().await.unwrap().unwrap(), "its turn is taken");
            refused += 1;
        }
        assert!(turns.take(other).await.is_some());
        drop(working);
        let mut served = 0;
        while let Some(got) = crowd.join_next().await {
            served += usize::from(got.unwrap());
        }
        assert_eq!(served, WAITING_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_request_times_out_without_a_trace() {
        let turns = turns(1);
        let (one, other) = (OrganizationId::new(), OrganizationId::new());
        let working = turns.take(one).await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(turns.take(other).await.is_none());
        assert_eq!(began.elapsed(), WAIT_MAX);
        drop(working);
        assert!(turns.take(other).await.is_some() && turns.take(one).await.is_some());
        assert_eq!(turns.family(other).waiting.load(Ordering::Relaxed), 0);
    }
}
