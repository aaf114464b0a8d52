//! INVITE client transaction (RFC 3261 section 17.1.1, RFC 6026 section 7.2).

use super::timers::{RetransmitTimer, TIMEOUT, Timer};
use super::{MessageBytes, ResponseAction, TimeoutAction};
use std::time::{Duration, Instant};

/// Time without a response after a provisional one: ten times the minute after which the peer should repeat it (RFC
/// 3261 section 13.3.1.1). The caller normally gives up earlier.
const PROCEEDING_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Debug)]
enum State {
    Calling {
        request: MessageBytes,
        retransmit: Option<RetransmitTimer>,
        give_up: Instant,
    },
    /// A provisional response came.
    Proceeding {
        give_up: Instant,
    },
    /// A CANCEL was sent, or the result is no longer needed (RFC 3261 section 9.1).
    Canceled {
        give_up: Instant,
    },
    /// Non-2xx final response received.
    Completed {
        until: Instant,
    },
    /// 2xx received; further 2xx are forks or retransmissions and go to the user.
    Accepted {
        until: Instant,
    },
    Terminated,
}

/// State machine of an INVITE that we send; the branch of its Via identifies it.
#[derive(Debug)]
pub struct InviteClient {
    state: State,
    reliable: bool,
}

impl InviteClient {
    /// `patience` is [`TIMEOUT`], or less if failover is possible.
    pub fn new(now: Instant, request: MessageBytes, reliable: bool, timeout: Duration) -> Self {
        // Timer A itself has no upper bound; timer B ends it after seven sendings.
        let retransmit = (!reliable).then(|| RetransmitTimer::start(now, TIMEOUT));
        Self { state: State::Calling { request, retransmit, give_up: now + timeout }, reliable }
    }

    /// Takes a response and says what to do with it. A 2xx keeps the transaction for 32 s, because other forks may
    /// answer too.
    pub fn handle_response(&mut self, now: Instant, status: u16) -> ResponseAction {
        match (&self.state, status) {
            (State::Calling { .. } | State::Proceeding { .. }, 100..200) => {
                self.state = State::Proceeding { give_up: now + PROCEEDING_TIMEOUT };
                ResponseAction::Deliver
            }
            (State::Canceled { .. }, 100..200) => ResponseAction::Deliver,
            (State::Calling { .. } | State::Proceeding { .. } | State::Canceled { .. }, 200..300) => {
                self.state = State::Accepted { until: now + TIMEOUT };
                ResponseAction::Deliver
            }
            (State::Calling { .. } | State::Proceeding { .. } | State::Canceled { .. }, _) => {
                let linger = if self.reliable { Duration::ZERO } else { TIMEOUT };
                self.state = State::Completed { until: now + linger };
                ResponseAction::Deliver
            }
            (State::Completed { .. }, 200..300) => ResponseAction::EndDialog,
            (State::Completed { .. }, 300..) => ResponseAction::ResendAck,
            (State::Accepted { .. }, 200..300) => ResponseAction::Deliver,
            _ => ResponseAction::Absorb,
        }
    }

    /// No provisional response yet: a CANCEL has to wait (RFC 3261 section 9.1).
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    /// A CANCEL was sent: the final response must come within 64 T1.
    pub fn cancel(&mut self, now: Instant) {
        if matches!(self.state, State::Proceeding { .. }) {
            self.linger(now);
        }
    }

    /// The result is no longer needed, but a late 2xx must still be acknowledged.
    pub fn linger(&mut self, now: Instant) {
        self.state = State::Canceled { give_up: now + TIMEOUT };
    }

    /// Returns whether a final response is still awaited.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. } | State::Canceled { .. })
    }

    /// Returns whether the transaction is over and can be removed.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Returns the next timer and when it fires; `None` after the end.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Calling { retransmit: Some(a), give_up, .. } if a.at < *give_up => Some((a.at, Timer::A)),
            State::Calling { give_up, .. } => Some((*give_up, Timer::B)),
            State::Completed { until } => Some((*until, Timer::D)),
            State::Accepted { until } => Some((*until, Timer::M)),
            State::Proceeding { give_up } | State::Canceled { give_up } => Some((*give_up, Timer::B)),
            State::Terminated => None,
        }
    }

    /// Runs the timers that are due; `TimedOut` means that no final response came.
    pub fn handle_timeout(&mut self, now: Instant) -> TimeoutAction {
        match &mut self.state {
            State::Calling { give_up, .. } | State::Proceeding { give_up } | State::Canceled { give_up }
                if now >= *give_up =>
            {
                self.state = State::Terminated;
                TimeoutAction::TimedOut
            }
            State::Calling { request, retransmit: Some(a), .. } if now >= a.at => {
                a.advance(now);
                TimeoutAction::Retransmit(request.clone())
            }
            State::Completed { until } | State::Accepted { until } if now >= *until => {
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
    use super::*;

    #[test]
    fn a_fork_that_answers_after_a_refusal_is_ended() {
        let now = Instant::now();
        let mut tx = InviteClient::new(now, MessageBytes::from(&b"x"[..]), false, TIMEOUT);
        assert_eq!(tx.handle_response(now, 487), ResponseAction::Deliver);
        assert_eq!(tx.handle_response(now, 200), ResponseAction::EndDialog);
        assert_eq!(tx.handle_response(now, 487), ResponseAction::ResendAck, "the refusal stands");
        assert_eq!(tx.handle_response(now, 180), ResponseAction::Absorb);
    }

    #[test]
    fn invite_is_sent_seven_times_and_then_times_out() {
        let start = Instant::now();
        let mut tx = InviteClient::new(start, MessageBytes::from(&b"x"[..]), false, TIMEOUT);
        let mut sent = vec![0.0];
        let mut timed_out = None;
        while let Some((at, _)) = tx.next_timeout() {
            let woken = tx.handle_timeout(at);
            if matches!(woken, TimeoutAction::Retransmit(_)) {
                sent.push((at - start).as_secs_f64());
            }
            if woken == TimeoutAction::TimedOut {
                timed_out = Some((at - start).as_secs_f64());
            }
        }
        assert_eq!(sent, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]);
        assert_eq!(timed_out, Some(32.0));
    }

    #[test]
    fn a_reliable_transport_never_retransmits() {
        let start = Instant::now();
        let tx = InviteClient::new(start, MessageBytes::from(&b"x"[..]), true, TIMEOUT);
        assert_eq!(tx.next_timeout(), Some((start + TIMEOUT, Timer::B)));
    }

    #[test]
    fn a_retransmitted_refusal_is_acknowledged_again_until_timer_d() {
        let start = Instant::now();
        let mut tx = InviteClient::new(start, MessageBytes::from(&b"x"[..]), false, TIMEOUT);
        assert_eq!(tx.handle_response(start, 180), ResponseAction::Deliver);
        assert_eq!(tx.next_timeout(), Some((start + PROCEEDING_TIMEOUT, Timer::B)));
        assert_eq!(tx.handle_response(start, 486), ResponseAction::Deliver);
        assert_eq!(tx.handle_response(start, 486), ResponseAction::ResendAck);
        assert_eq!(tx.handle_response(start, 180), ResponseAction::Absorb);
        tx.handle_timeout(start + TIMEOUT);
        assert!(tx.is_terminated());
    }
}
