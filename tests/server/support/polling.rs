//! Waiting in tests. Nothing else of them sleeps: what is waited for has a deadline, and what is left over is a defect.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// What a test waits for happens within this time, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(25);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until something holds.
pub async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    poll(PATIENCE, what, async || check().await.ok_or_else(String::new)).await
}

/// Waits until something holds, for so long; fails with what was seen last.
pub async fn poll<T>(patience: Duration, what: &str, mut check: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        match check().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "{what} does not happen: {seen}"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Proves that something does not change for so long: it is looked at again and again.
pub async fn stays(what: &str, duration: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + duration;
    poll(duration + PATIENCE, what, async || {
        assert!(holds().await, "no longer so: {what}");
        if Instant::now() >= end { Ok(()) } else { Err(String::new()) }
    })
    .await;
}

/// What the other side of a conversation takes before it goes on: nothing is expected of it meanwhile.
pub async fn peer_takes(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// Waits until a process has ended.
pub async fn exited(what: &str, process: &mut Child) -> ExitStatus {
    until(&format!("the end of {what}"), async || process.try_wait().unwrap()).await
}
