//! Non-INVITE server transaction (RFC 3261 section 17.2.2).

use super::timers::{T1, TIMEOUT, Timer};
use super::{MessageBytes, TimeoutAction};
use std::time::{Duration, Instant};

#[derive(Debug)]
enum State {
    /// Trying and Proceeding: no final response yet.
    Open {
        give_up: Instant,
    },
    Completed {
        response: MessageBytes,
        until: Instant,
    },
    Terminated,
}

/// State machine of a request that we receive, other than INVITE and ACK.
#[derive(Debug)]
pub struct NonInviteServer {
    state: State,
    reliable: bool,
}

impl NonInviteServer {
    /// `patience`: how long an answer of ours may take.
    pub fn new(now: Instant, reliable: bool, timeout: Duration) -> Self {
        Self { state: State::Open { give_up: now + timeout }, reliable }
    }

    /// A retransmitted request gets the same response again.
    pub fn handle_retransmission(&self) -> Option<MessageBytes> {
        match &self.state {
            State::Completed { response, .. } => Some(response.clone()),
            _ => None,
        }
    }

    /// Takes the final response; false when one was already given.
    pub fn respond(&mut self, now: Instant, response: MessageBytes) -> bool {
        if !matches!(self.state, State::Open { .. }) {
            return false;
        }
        let linger = if self.reliable { Duration::ZERO } else { TIMEOUT };
        self.state = State::Completed { response, until: now + linger };
        true
    }

    /// Returns whether no final response was sent yet.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Returns whether the transaction is over and can be removed.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Returns the next timer and when it fires; `None` after the end.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Open { give_up } => Some((*give_up, Timer::OwnerTimeout)),
            State::Completed { until, .. } => Some((*until, Timer::J)),
            State::Terminated => None,
        }
    }

    /// After `unanswered` the caller must respond; otherwise it is reported again after T1.
    pub fn handle_timeout(&mut self, now: Instant) -> TimeoutAction {
        match &mut self.state {
            State::Open { give_up } if now >= *give_up => {
                *give_up = now + T1;
                return TimeoutAction::OwnerTimedOut;
            }
            State::Completed { until, .. } if now >= *until => self.state = State::Terminated,
            _ => {}
        }
        TimeoutAction::Nothing
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::super::timers::OWNER_TIMEOUT;
    use super::*;

    #[test]
    fn unanswered_request_is_reported_until_answered() {
        let start = Instant::now();
        let mut tx = NonInviteServer::new(start, false, OWNER_TIMEOUT);
        assert_eq!(tx.next_timeout(), Some((start + OWNER_TIMEOUT, Timer::OwnerTimeout)));
        for _ in 0..3 {
            let (at, _) = tx.next_timeout().unwrap();
            assert_eq!(tx.handle_timeout(at), TimeoutAction::OwnerTimedOut);
        }
        assert!(tx.respond(start, MessageBytes::from(&b"x"[..])));
        assert!(!tx.respond(start, MessageBytes::from(&b"y"[..])), "one final answer");
        assert_eq!(tx.handle_timeout(start + TIMEOUT), TimeoutAction::Nothing);
        assert!(tx.is_terminated());
    }
}
