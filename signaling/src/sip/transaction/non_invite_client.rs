//! Non-INVITE client transaction (RFC 3261 section 17.1.2).

use super::timers::{RetransmitTimer, T2, T4, Timer};
use super::{MessageBytes, ResponseAction, TimeoutAction};
use std::time::{Duration, Instant};

#[derive(Debug)]
enum State {
    /// Trying and Proceeding differ only in the retransmission interval.
    Waiting {
        request: MessageBytes,
        retransmit: Option<RetransmitTimer>,
        give_up: Instant,
    },
    Completed {
        until: Instant,
    },
    Terminated,
}

/// State machine of a request that we send, other than INVITE and ACK.
#[derive(Debug)]
pub struct NonInviteClient {
    state: State,
    reliable: bool,
}

impl NonInviteClient {
    /// `patience` is [`TIMEOUT`](super::timers::TIMEOUT), or less if failover is possible.
    pub fn new(now: Instant, request: MessageBytes, reliable: bool, timeout: Duration) -> Self {
        let retransmit = (!reliable).then(|| RetransmitTimer::start(now, T2));
        Self { state: State::Waiting { request, retransmit, give_up: now + timeout }, reliable }
    }

    /// Takes a response: everything up to the first final one is delivered, the rest absorbed.
    pub fn handle_response(&mut self, now: Instant, status: u16) -> ResponseAction {
        match (&self.state, status) {
            (State::Waiting { .. }, 100..200) => ResponseAction::Deliver,
            (State::Waiting { .. }, _) => {
                let linger = if self.reliable { Duration::ZERO } else { T4 };
                self.state = State::Completed { until: now + linger };
                ResponseAction::Deliver
            }
            _ => ResponseAction::Absorb,
        }
    }

    /// Returns whether a final response is still awaited.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// Returns whether the transaction is over and can be removed.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Returns the next timer and when it fires; `None` after the end.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Waiting { retransmit: Some(e), give_up, .. } if e.at < *give_up => Some((e.at, Timer::E)),
            State::Waiting { give_up, .. } => Some((*give_up, Timer::F)),
            State::Completed { until } => Some((*until, Timer::K)),
            State::Terminated => None,
        }
    }

    /// Runs the timers that are due; `TimedOut` means that no final response came.
    pub fn handle_timeout(&mut self, now: Instant) -> TimeoutAction {
        match &mut self.state {
            State::Waiting { give_up, .. } if now >= *give_up => {
                self.state = State::Terminated;
                TimeoutAction::TimedOut
            }
            State::Waiting { request, retransmit: Some(e), .. } if now >= e.at => {
                e.advance(now);
                TimeoutAction::Retransmit(request.clone())
            }
            State::Completed { until } if now >= *until => {
                self.state = State::Terminated;
                TimeoutAction::Nothing
            }
            _ => TimeoutAction::Nothing,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::super::timers::TIMEOUT;
    use super::*;

    #[test]
    fn a_request_is_sent_eleven_times_with_at_most_four_seconds_between() {
        let start = Instant::now();
        let mut tx = NonInviteClient::new(start, MessageBytes::from(&b"x"[..]), false, TIMEOUT);
        let mut sent = 1;
        let mut timed_out = false;
        while let Some((at, _)) = tx.next_timeout() {
            let woken = tx.handle_timeout(at);
            sent += u32::from(matches!(woken, TimeoutAction::Retransmit(_)));
            timed_out |= woken == TimeoutAction::TimedOut;
        }
        assert_eq!((sent, timed_out), (11, true));
    }
}
