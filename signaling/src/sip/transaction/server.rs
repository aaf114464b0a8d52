//! Non-INVITE server transaction (RFC 3261 section 17.2.2).

use super::timers::{TIMEOUT, Timer};
use super::{Wire, Woken};
use std::time::{Duration, Instant};

#[derive(Debug)]
enum State {
    /// Trying and Proceeding: no final response yet.
    Open,
    Completed {
        response: Wire,
        until: Instant,
    },
    Terminated,
}

#[derive(Debug)]
pub struct Server {
    state: State,
    reliable: bool,
}

impl Server {
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Open, reliable }
    }

    /// A retransmitted request gets the same response again.
    pub fn handle_retransmission(&self) -> Option<Wire> {
        match &self.state {
            State::Completed { response, .. } => Some(response.clone()),
            _ => None,
        }
    }

    /// Takes the final response; false when one was already given.
    pub fn respond(&mut self, now: Instant, response: Wire) -> bool {
        if !matches!(self.state, State::Open) {
            return false;
        }
        let linger = if self.reliable { Duration::ZERO } else { TIMEOUT };
        self.state = State::Completed { response, until: now + linger };
        true
    }

    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Completed { until, .. } => Some((*until, Timer::J)),
            _ => None,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Woken {
        if matches!(&self.state, State::Completed { until, .. } if now >= *until) {
            self.state = State::Terminated;
        }
        Woken::default()
    }
}
