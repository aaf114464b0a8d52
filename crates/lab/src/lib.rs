//! What develops and measures Trunkline without accounts: emulated providers, scripted callers, an unpleasant carrier,
//! benches and the demo. And the check of trunks.
//! Production code cannot see this crate.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tools print")]
#![expect(clippy::disallowed_methods, reason = "tools are programs: they read clocks, wait and start tasks")]

pub mod bench;
pub mod call;
pub mod caller;
pub mod caller_voice;
pub mod carrier;
pub mod demo;
pub mod emulator;
pub mod faults;
pub mod recorder;
pub mod trunk_check;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
