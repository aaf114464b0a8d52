//! Components that run as long as the process: restarted after a panic with backoff; one that keeps panicking is given
//! up, and the process ends.
//!
//! What a part works through has its own containment ([`contain`], [`crate::spawn`]): a call, a connection, a delivery. A
//! panic that reaches a supervisor is one of the part itself.

use crate::contain;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The wait before the first new start; doubled with each further one.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Restarts within [`WINDOW`] before a component is given up: transient faults pass by then.
const STARTS_MAX: usize = 8;
const WINDOW: Duration = Duration::from_secs(600);

/// A part that does not work any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartFailedError {
    /// Name of the part, as in logs and health: `sip`, `media`, `api_listener`.
    pub part: &'static str,
    /// What happened, such as `it panicked again and again`.
    pub why: String,
}

/// New starts of one part.
#[derive(Debug, Default)]
struct RestartBackoff(VecDeque<Instant>);

impl RestartBackoff {
    /// How long to wait before the part is started again; `None` when it is given up.
    fn next(&mut self, now: Instant) -> Option<Duration> {
        while self.0.front().is_some_and(|first| now.saturating_duration_since(*first) > WINDOW) {
            self.0.pop_front();
        }
        if self.0.len() >= STARTS_MAX {
            return None;
        }
        let doublings = self.0.len() as u32;
        self.0.push_back(now);
        Some(WAIT_MIN.saturating_mul(1 << doublings).min(WAIT_MAX))
    }
}

/// Watches over the parts of one process.
#[derive(Clone, Debug)]
pub struct Supervisor {
    given_up: Arc<watch::Sender<Option<PartFailedError>>>,
    stopping: Arc<AtomicBool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { given_up: Arc::new(watch::Sender::new(None)), stopping: Arc::default() }
    }
}

impl Supervisor {
    /// From here on the process only finishes what it has.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Returns whether the process drains: it takes no new calls, and readiness fails.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The first part that was given up.
    pub fn given_up(&self) -> Option<PartFailedError> {
        self.given_up.borrow().clone()
    }

    /// Returns when a part is given up: the process has to end then.
    pub async fn wait_for_failure(&self) -> PartFailedError {
        let mut given_up = self.given_up.subscribe();
        loop {
            if let Some(given_up) = given_up.borrow_and_update().clone() {
                return given_up;
            }
            if given_up.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A part cannot go on, whatever is tried.
    pub fn give_up(&self, part: &'static str, why: &str) {
        tracing::error!(part, reason = why, "a component failed permanently; the process ends");
        self.given_up.send_if_modified(|given_up| {
            let first = given_up.is_none();
            given_up.get_or_insert_with(|| PartFailedError { part, why: why.to_owned() });
            first
        });
    }

    /// Runs a part as a separate task until it returns. Its state must hold everything that it keeps after a panic.
    pub fn supervise<S: Send + 'static>(
        &self, part: &'static str, mut state: S, run: impl for<'a> Fn(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let supervisor = self.clone();
        #[expect(clippy::disallowed_methods, reason = "its panics are contained where it runs")]
        tokio::spawn(async move {
            let mut restarts = RestartBackoff::default();
            while contain(part, run(&mut state)).await.is_err() {
                let Some(wait) = restarts.next(now()) else {
                    return supervisor.give_up(part, "it panicked again and again");
                };
                tracing::error!(part, wait_ms = wait.as_millis() as u64, "restarting a component");
                #[expect(clippy::disallowed_methods, reason = "a part is not started again at once")]
                tokio::time::sleep(wait).await;
            }
        })
    }

    /// The same for a part that keeps nothing.
    pub fn start<F>(&self, part: &'static str, run: impl Fn() -> F + Send + 'static) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.supervise(part, (), move |()| Box::pin(run()))
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "supervisors are at the edge of the world")]
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_part_is_started_again_a_little_later_each_time_and_then_given_up() {
        let (mut restarts, start) = (RestartBackoff::default(), now());
        let waits: Vec<_> = (0..=STARTS_MAX as u64).map(|n| restarts.next(start + Duration::from_secs(n))).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        let expected = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000].map(ms);
        assert_eq!(waits, [expected.as_slice(), &[None]].concat());
        // Long after, they are forgotten.
        assert_eq!(restarts.next(start + WINDOW * 2), ms(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_a_part_is_passed_and_too_many_end_it() {
        let supervisor = Supervisor::default();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let kept = supervisor.supervise("test_part", counted, |counted| {
            Box::pin(async { assert!(counted.fetch_add(1, Ordering::Relaxed) >= 3) })
        });
        kept.await.unwrap();
        assert_eq!((runs.load(Ordering::Relaxed), supervisor.given_up()), (4, None));

        let kept = supervisor.start("test_hopeless", || async { panic!("each time") });
        assert_eq!(supervisor.wait_for_failure().await.part, "test_hopeless");
        kept.await.unwrap();
        // The first one is the reason, whatever follows from it.
        supervisor.give_up("test_other", "because of the first");
        assert_eq!(supervisor.given_up().unwrap().part, "test_hopeless");
    }
}
