//! Waits that end when they should. tokio's timer counts in milliseconds and rounds up; a delay that is
//! taken off a measured latency must not hide such a rounding.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// One thread that sleeps to the microsecond for all waits of the emulator.
#[derive(Clone)]
pub(super) struct PreciseTimer(Arc<TimerState>);

struct TimerState {
    waits: Mutex<PendingWaits>,
    changed: Condvar,
}

#[derive(Default)]
struct PendingWaits {
    by_deadline: BinaryHeap<Reverse<Wait>>,
    stopped: bool,
}

struct Wait {
    deadline: Instant,
    over: oneshot::Sender<()>,
}

impl PartialEq for Wait {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}
impl Eq for Wait {}
impl PartialOrd for Wait {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Wait {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.deadline.cmp(&other.deadline)
    }
}

/// Ends the clock's thread with the emulator.
pub(super) struct TimerStopGuard(PreciseTimer);

impl Drop for TimerStopGuard {
    fn drop(&mut self) {
        self.0.0.waits.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.0.0.changed.notify_one();
    }
}

impl PreciseTimer {
    pub(super) fn start() -> std::io::Result<(Self, TimerStopGuard)> {
        let shared = Arc::new(TimerState { waits: Mutex::default(), changed: Condvar::new() });
        let clock = Self(shared.clone());
        std::thread::Builder::new().name("emulator-clock".into()).spawn(move || run(&shared))?;
        Ok((clock.clone(), TimerStopGuard(clock)))
    }

    /// Until `from` lies `ms` back. The time since `from` is part of the wait, as a provider's
    /// work is part of its latency.
    pub(super) async fn wait_ms(&self, from: Instant, ms: u64) {
        let deadline = from + Duration::from_millis(ms);
        if deadline <= Instant::now() {
            return;
        }
        let (over, waited) = oneshot::channel();
        {
            let mut waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
            let first = waits.by_deadline.peek().is_none_or(|Reverse(wait)| deadline < wait.deadline);
            waits.by_deadline.push(Reverse(Wait { deadline, over }));
            if first {
                self.0.changed.notify_one();
            }
        }
        let _ = waited.await;
    }
}

fn run(shared: &TimerState) {
    let mut waits = shared.waits.lock().unwrap_or_else(PoisonError::into_inner);
    while !waits.stopped {
        let now = Instant::now();
        let next = waits.by_deadline.peek().map(|Reverse(wait)| wait.deadline);
        match next {
            Some(deadline) if deadline <= now => {
                if let Some(Reverse(wait)) = waits.by_deadline.pop() {
                    let _ = wait.over.send(());
                }
            }
            Some(deadline) => {
                let (guard, _) =
                    shared.changed.wait_timeout(waits, deadline - now).unwrap_or_else(PoisonError::into_inner);
                waits = guard;
            }
            None => waits = shared.changed.wait(waits).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_end_in_the_order_of_their_deadlines_and_not_early() {
        let (clock, _stop) = PreciseTimer::start().unwrap();
        let from = Instant::now();
        let (long, short) = (clock.wait_ms(from, 30), clock.wait_ms(from, 10));
        tokio::pin!(long, short);
        tokio::select! {
            biased;
            () = &mut long => panic!("the longer wait ended first"),
            () = &mut short => assert!(from.elapsed() >= Duration::from_millis(10)),
        }
        long.await;
        assert!(from.elapsed() >= Duration::from_millis(30));
        clock.wait_ms(from, 5).await; // already over
    }
}
