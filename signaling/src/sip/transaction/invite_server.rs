//! INVITE server transaction (RFC 3261 section 17.2.1, RFC 6026 section 7.1).
//!
//! The retransmission of a 2xx, which the RFC gives to the user of the transaction, lives here too: it uses the same
//! back-off and timeout, so that all response retransmissions are in one place.

use super::timers::{RetransmitTimer, T1, T2, T4, TIMEOUT, Timer};
use super::{MessageBytes, TimeoutAction};
use std::time::{Duration, Instant};

#[derive(Debug)]
enum State {
    Proceeding {
        last: Option<MessageBytes>,
        give_up: Instant,
    },
    /// Final non-2xx sent, ACK not seen.
    Completed {
        response: MessageBytes,
        retransmit: Option<RetransmitTimer>,
        give_up: Instant,
    },
    /// ACK of a non-2xx seen.
    Confirmed {
        until: Instant,
    },
    /// 2xx sent, ACK not seen.
    Accepted {
        response: MessageBytes,
        retransmit: RetransmitTimer,
        until: Instant,
    },
    /// ACK of a 2xx seen.
    Acknowledged {
        until: Instant,
    },
    Terminated,
}

/// State machine of an INVITE that we receive.
#[derive(Debug)]
pub struct InviteServer {
    state: State,
    reliable: bool,
}

impl InviteServer {
    /// `patience`: how long a final answer of ours may take.
    pub fn new(now: Instant, reliable: bool, timeout: Duration) -> Self {
        Self { state: State::Proceeding { last: None, give_up: now + timeout }, reliable }
    }

    /// A retransmitted INVITE gets the latest response again.
    pub fn handle_retransmission(&self) -> Option<MessageBytes> {
        match &self.state {
            State::Proceeding { last, .. } => last.clone(),
            State::Completed { response, .. } => Some(response.clone()),
            State::Accepted { response, .. } => Some(response.clone()),
            _ => None,
        }
    }

    /// Takes a response to send; false when a final one was already given.
    pub fn respond(&mut self, now: Instant, status: u16, response: MessageBytes) -> bool {
        let State::Proceeding { last, .. } = &mut self.state else { return false };
        match status {
            100..200 => *last = Some(response),
            200..300 => {
                // The 2xx is retransmitted on every transport, end to end (RFC 3261 section 13.3.1.4).
                let retransmit = RetransmitTimer::start(now, T2);
                self.state = State::Accepted { response, retransmit, until: now + TIMEOUT };
            }
            _ => {
                let retransmit = (!self.reliable).then(|| RetransmitTimer::start(now, T2));
                self.state = State::Completed { response, retransmit, give_up: now + TIMEOUT };
            }
        }
        true
    }

    /// Records the ACK: stops the retransmission of the final response. Ignored before a final response.
    pub fn handle_ack(&mut self, now: Instant) {
        match &mut self.state {
            State::Completed { .. } => {
                let linger = if self.reliable { Duration::ZERO } else { T4 };
                self.state = State::Confirmed { until: now + linger };
            }
            State::Accepted { until, .. } => self.state = State::Acknowledged { until: *until },
            _ => {}
        }
    }

    /// Returns whether no final response was sent yet.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// A 2xx was sent: its ACK is the user's, whatever branch it carries (RFC 6026 section 7.1).
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted { .. } | State::Acknowledged { .. })
    }

    /// Returns whether the transaction is over and can be removed.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Returns the next timer and when it fires; `None` after the end.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.state {
            State::Completed { retransmit: Some(g), give_up, .. } if g.at < *give_up => Some((g.at, Timer::G)),
            State::Completed { give_up, .. } => Some((*give_up, Timer::H)),
            State::Confirmed { until } => Some((*until, Timer::I)),
            State::Accepted { retransmit: g, until, .. } if g.at < *until => Some((g.at, Timer::G)),
            State::Accepted { until, .. } | State::Acknowledged { until } => Some((*until, Timer::L)),
            State::Proceeding { give_up, .. } => Some((*give_up, Timer::OwnerTimeout)),
            State::Terminated => None,
        }
    }

    /// Runs the timers that are due; `TimedOut` means that the ACK never came.
    pub fn handle_timeout(&mut self, now: Instant) -> TimeoutAction {
        match &mut self.state {
            State::Proceeding { give_up, .. } if now >= *give_up => {
                *give_up = now + T1;
                TimeoutAction::OwnerTimedOut
            }
            State::Completed { give_up: end, .. } | State::Accepted { until: end, .. } if now >= *end => {
                self.state = State::Terminated;
                TimeoutAction::TimedOut
            }
            State::Completed { response, retransmit: Some(g), .. }
            | State::Accepted { response, retransmit: g, .. }
                if now >= g.at =>
            {
                g.advance(now);
                TimeoutAction::Retransmit(response.clone())
            }
            State::Confirmed { until } | State::Acknowledged { until } if now >= *until => {
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
    use super::super::timers::OWNER_TIMEOUT;
    use super::*;

    fn wire(text: &str) -> MessageBytes {
        MessageBytes::from(text.as_bytes())
    }

    #[test]
    fn a_2xx_is_resent_until_the_ack_and_given_up_after_64_t1() {
        let start = Instant::now();
        let mut tx = InviteServer::new(start, true, OWNER_TIMEOUT);
        assert!(tx.respond(start, 200, wire("ok")));
        let mut sent = Vec::new();
        let mut lost = false;
        while let Some((at, _)) = tx.next_timeout() {
            let woken = tx.handle_timeout(at);
            if matches!(woken, TimeoutAction::Retransmit(_)) {
                sent.push((at - start).as_millis());
            }
            lost |= woken == TimeoutAction::TimedOut;
        }
        assert_eq!(&sent[..5], [500, 1_500, 3_500, 7_500, 11_500]);
        assert!(lost);
    }

    #[test]
    fn an_acknowledged_2xx_is_quiet_and_absorbs_retransmissions() {
        let start = Instant::now();
        let mut tx = InviteServer::new(start, false, OWNER_TIMEOUT);
        tx.respond(start, 180, wire("ringing"));
        assert_eq!(tx.handle_retransmission(), Some(wire("ringing")));
        tx.respond(start, 200, wire("ok"));
        assert!(!tx.respond(start, 486, wire("late")), "one final response");
        tx.handle_ack(start);
        assert_eq!(tx.handle_retransmission(), None);
        assert_eq!(tx.next_timeout(), Some((start + TIMEOUT, Timer::L)));
        assert_eq!(tx.handle_timeout(start + TIMEOUT), TimeoutAction::Nothing);
        assert!(tx.is_terminated());
    }

    #[test]
    fn a_refusal_is_resent_on_udp_only() {
        let start = Instant::now();
        for (reliable, timer) in [(false, Timer::G), (true, Timer::H)] {
            let mut tx = InviteServer::new(start, reliable, OWNER_TIMEOUT);
            tx.respond(start, 486, wire("busy"));
            assert_eq!(tx.next_timeout().map(|t| t.1), Some(timer));
            tx.handle_ack(start);
            assert_eq!(tx.next_timeout().map(|t| t.1), Some(Timer::I));
        }
    }
}
