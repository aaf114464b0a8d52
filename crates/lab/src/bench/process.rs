//! The server's process, and what a process holds.

use std::net::SocketAddr;
use std::process::Child;
use std::time::Instant;

/// Clock ticks a second in `/proc/PID/stat` (fixed at 100 for user space on Linux).
const TICKS: f64 = 100.0;

/// The server's process; ended with the bench.
pub(super) struct ServerProcess {
    pub(super) child: Child,
    pub(super) sip: SocketAddr,
    pub(super) folder: std::path::PathBuf,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl ServerProcess {
    pub(super) fn usage(&self) -> ProcessUsage {
        usage_of(self.child.id())
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessResources {
    pub resident_mb: f64,
    pub descriptors: usize,
    pub tasks: f64,
}

/// CPU seconds and resident bytes of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessUsage {
    pub cpu_s: f64,
    pub resident_mb: f64,
    pub at: Instant,
}

pub(super) fn usage_of(pid: u32) -> ProcessUsage {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let tick = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    let status = read("status");
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    ProcessUsage {
        cpu_s: (tick(11) + tick(12)) / TICKS,
        resident_mb: resident.unwrap_or(0.0) / 1_024.0,
        at: Instant::now(),
    }
}
