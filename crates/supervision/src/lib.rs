//! Contains panics in the component where they happen, and counts them: a contained panic is still a defect.
//!
//! A part is a call, a message, a connection, a job: whatever may fail without the others. [`contain`] and
//! [`contain_sync`] run one; [`panics`] is what the metrics show and what every test holds against zero. Knows nothing
//! of what the parts do.

mod panic_hook;
#[cfg(feature = "tokio")]
mod supervisor;

pub use panic_hook::install_hook;
#[cfg(feature = "tokio")]
pub use supervisor::{PartFailedError, Supervisor};

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

/// Contained panics by part. Locked for a panic and for a look at the metrics, never on a way that matters.
static PANICS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Panics of a part that are logged one by one; after that, each thousandth is logged.
const LOGGED_MAX: u64 = 50;
const LOGGED_EACH: u64 = 1_000;

thread_local! {
    /// The part that runs on this thread.
    static PART: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// A panic ended the part. Its state was dropped; the code that started it ends its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanicError {
    /// Name of the part, as the metrics and the log show it.
    pub part: &'static str,
}

impl std::fmt::Display for PanicError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} panicked", self.part)
    }
}

impl std::error::Error for PanicError {}

/// Contained panics since the process started, by part.
pub fn panics() -> Vec<(&'static str, u64)> {
    let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    panics.iter().map(|(part, count)| (*part, *count)).collect()
}

/// Counts a panic that was contained by other means, such as the end of a thread. Returns how many there were of the part.
pub fn record_panic(part: &'static str) -> u64 {
    let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = panics.entry(part).or_default();
    *count += 1;
    *count
}

/// Whether the nth panic of a component is logged: a flood of panics must not fill the disk.
fn is_logged(count: u64) -> bool {
    count <= LOGGED_MAX || count.is_multiple_of(LOGGED_EACH)
}

/// Runs a part that does not wait. Values it shares with others must be whole between any two of its steps, or be given
/// up by the caller.
pub fn contain_sync<T>(part: &'static str, run: impl FnOnce() -> T) -> Result<T, PanicError> {
    let outer = PART.replace(Some(part));
    let result = catch_unwind(AssertUnwindSafe(run));
    PART.set(outer);
    result.map_err(|_| {
        let count = record_panic(part);
        if is_logged(count) {
            tracing::error!(part, count, "a panic was contained");
        }
        PanicError { part }
    })
}

/// Runs a part to its end.
pub async fn contain<F: Future>(part: &'static str, future: F) -> Result<F::Output, PanicError> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match contain_sync(part, || future.as_mut().poll(context)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}

/// A part that runs as a separate task.
#[cfg(feature = "tokio")]
pub type ContainedTask<T> = tokio::task::JoinHandle<Result<T, PanicError>>;

/// Starts a part as a separate task; the only way to start one.
#[cfg(feature = "tokio")]
pub fn spawn<F>(part: &'static str, future: F) -> ContainedTask<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "every task of the program starts here")]
    tokio::spawn(contain(part, future))
}

/// Starts work that holds its thread, such as hashing a password.
#[cfg(feature = "tokio")]
pub fn spawn_blocking<T: Send + 'static>(
    part: &'static str, work: impl FnOnce() -> T + Send + 'static,
) -> ContainedTask<T> {
    tokio::task::spawn_blocking(move || contain_sync(part, work))
}

/// Does work for milliseconds where it is, and lets others of this thread go on elsewhere meanwhile. In a runtime of one
/// thread, and outside of any, they wait.
#[cfg(feature = "tokio")]
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(part: &str) -> u64 {
        panics().into_iter().find(|(known, _)| *known == part).map_or(0, |(_, count)| count)
    }

    #[test]
    fn a_panic_ends_its_part_is_counted_and_leaves_the_thread_as_it_was() {
        assert_eq!(contain_sync("test_fine", || 7), Ok(7));
        let failed = contain_sync("test_broken", || {
            let inner = contain_sync("test_inner", || assert!(counted("test_inner") > 0, "the first"));
            assert_eq!((inner, PART.get()), (Err(PanicError { part: "test_inner" }), Some("test_broken")));
            panic!("the second");
        });
        assert_eq!(failed, Err(PanicError { part: "test_broken" }));
        assert_eq!((counted("test_fine"), counted("test_broken"), counted("test_inner")), (0, 1, 1));
        assert_eq!(PART.get(), None);
    }

    #[test]
    fn a_flood_of_panics_is_no_flood_of_lines() {
        assert_eq!((1..=100_000).filter(|count| is_logged(*count)).count(), 150);
    }

    /// Holds what a part holds.
    struct Held<'a>(&'a Cell<u32>);

    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn what_a_part_held_is_given_back_before_its_end_is_known() {
        let dropped = Cell::new(0);
        let run = contain("test_future", async {
            let _held = Held(&dropped);
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if dropped.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            panic!("with something in its hands");
        });
        let mut run = pin!(run);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = run.as_mut().poll(&mut context);
        assert!(matches!(polled, Poll::Ready(Err(PanicError { part: "test_future" }))), "{polled:?}");
        assert_eq!(dropped.get(), 1);
    }
}
