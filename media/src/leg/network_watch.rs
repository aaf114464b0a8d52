//! Whether the network still carries the peer's packets.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
enum NetworkState {
    /// Packets come, or are waited for since this instant.
    Up { since: Instant },
    /// The loss is known to the call, or the peer has closed the media. Only a new call ends this state.
    Down,
}

/// Watches for the network timeout of a leg, which is reported once.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetworkWatch {
    timeout: Duration,
    state: NetworkState,
}

impl NetworkWatch {
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        Self { timeout, state: NetworkState::Up { since: now } }
    }

    /// A packet came, or the timeout begins anew.
    pub(super) fn touch(&mut self, now: Instant) {
        if let NetworkState::Up { since } = &mut self.state {
            *since = now;
        }
    }

    /// The answered call begins: an earlier loss does not count.
    pub(super) fn restart(&mut self, now: Instant) {
        self.state = NetworkState::Up { since: now };
    }

    /// True once, when the timeout has passed.
    pub(super) fn has_timed_out(&mut self, now: Instant) -> bool {
        match self.state {
            NetworkState::Up { since } if now.saturating_duration_since(since) >= self.timeout => self.take_down(),
            NetworkState::Up { .. } | NetworkState::Down => false,
        }
    }

    /// The path is lost or closed. True if that is news.
    pub(super) fn take_down(&mut self) -> bool {
        let before = std::mem::replace(&mut self.state, NetworkState::Down);
        matches!(before, NetworkState::Up { .. })
    }
}
