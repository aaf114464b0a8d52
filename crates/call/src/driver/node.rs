//! This process among those that share the database.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Settings of a process.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Name, the same after a restart; empty: a random one.
    pub name: String,
    /// Time between two heartbeats.
    pub heartbeat_interval: Duration,
}

/// A process.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name among the processes that share the database.
    pub name: String,
    /// Heartbeat interval.
    pub heartbeat_interval: Duration,
    /// Time of the last heartbeat.
    pub heartbeat: LastHeartbeat,
}

impl Node {
    /// Returns a process without a heartbeat so far.
    pub fn build(config: NodeConfig) -> Self {
        let name = match config.name.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            name => name.to_owned(),
        };
        Self { name, heartbeat_interval: config.heartbeat_interval, heartbeat: LastHeartbeat::default() }
    }
}

/// When this process last wrote its heartbeat.
#[derive(Clone, Debug, Default)]
pub struct LastHeartbeat(Arc<Mutex<Option<Instant>>>);

impl LastHeartbeat {
    /// It has just said so.
    pub fn record_heartbeat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Time since the last heartbeat; none before the first.
    pub fn since_last_heartbeat(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}
