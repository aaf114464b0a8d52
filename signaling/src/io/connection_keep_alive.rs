//! Keep-alives on one connection (RFC 5626 section 4.4.1, RFC 6455 section 5.5.2): when a ping is due, and when the peer is
//! gone.

use std::time::{Duration, Instant};

/// Time between two pings. Proxies and NATs cut connections that are silent for a minute.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time for the answer (RFC 5626 section 4.4.1).
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// A CRLF that comes later than this is one of the peer's own.
const PONG_SOON: Duration = Duration::from_secs(2);

/// Whether the peer must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PongDemand {
    /// Every WebSocket answers pings.
    Always,
    /// Peers that do not know RFC 5626 do not answer a double CRLF. Who has answered once goes on to.
    OnceSeen,
}

#[derive(Clone, Copy, Debug)]
enum KeepAlivePhase {
    /// The next ping is due then.
    Quiet { ping_at: Instant },
    /// A ping was sent, which nothing followed yet.
    Pinged { until: Instant },
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepAliveAction {
    Ping,
    Wait,
    /// The peer is gone.
    Close,
}

/// Keep-alives of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionKeepAlive {
    demand: PongDemand,
    phase: KeepAlivePhase,
}

impl ConnectionKeepAlive {
    pub(super) fn new(now: Instant, demand: PongDemand) -> Self {
        Self { demand, phase: KeepAlivePhase::Quiet { ping_at: now + PING_INTERVAL } }
    }

    pub(super) fn next_timeout(&self) -> Instant {
        match self.phase {
            KeepAlivePhase::Quiet { ping_at } => ping_at,
            KeepAlivePhase::Pinged { until } => until,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> KeepAliveAction {
        match self.phase {
            KeepAlivePhase::Quiet { ping_at } if ping_at <= now => {
                self.phase = KeepAlivePhase::Pinged { until: now + PONG_TIMEOUT };
                KeepAliveAction::Ping
            }
            KeepAlivePhase::Pinged { until } if until <= now => {
                if self.demand == PongDemand::Always {
                    return KeepAliveAction::Close;
                }
                self.phase = KeepAlivePhase::Quiet { ping_at: now + PING_INTERVAL.saturating_sub(PONG_TIMEOUT) };
                KeepAliveAction::Wait
            }
            KeepAlivePhase::Quiet { .. } | KeepAlivePhase::Pinged { .. } => KeepAliveAction::Wait,
        }
    }

    /// Whatever the peer says shows that it is there.
    pub(super) fn record_received(&mut self, now: Instant) {
        if let KeepAlivePhase::Pinged { until } = self.phase {
            let pinged = until.checked_sub(PONG_TIMEOUT).unwrap_or(now);
            self.phase = KeepAlivePhase::Quiet { ping_at: pinged + PING_INTERVAL };
        }
    }

    /// A CRLF came. Soon after a ping it is the answer, and from then on the peer has to answer.
    pub(super) fn record_line_end(&mut self, now: Instant) {
        if let KeepAlivePhase::Pinged { until } = self.phase {
            if now + PONG_TIMEOUT <= until + PONG_SOON {
                self.demand = PongDemand::Always;
            }
            self.record_received(now);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;

    fn pings(keep_alive: &mut ConnectionKeepAlive, answers: impl Fn(usize) -> bool) -> (usize, bool) {
        let mut pings = 0;
        for _ in 0..40 {
            let now = keep_alive.next_timeout();
            match keep_alive.handle_timeout(now) {
                KeepAliveAction::Close => return (pings, true),
                KeepAliveAction::Wait => {}
                KeepAliveAction::Ping => {
                    pings += 1;
                    if answers(pings) {
                        keep_alive.record_line_end(now + Duration::from_secs(1));
                    }
                }
            }
        }
        (pings, false)
    }

    #[test]
    fn a_peer_that_answers_stays_and_one_that_stops_is_given_up() {
        let now = Instant::now();
        for demand in [PongDemand::Always, PongDemand::OnceSeen] {
            let keep_alive = || ConnectionKeepAlive::new(now, demand);
            assert_eq!(keep_alive().next_timeout(), now + PING_INTERVAL);
            assert!(!pings(&mut keep_alive(), |_| true).1);
            assert_eq!(pings(&mut keep_alive(), |ping| ping < 4), (4, true));
        }
        assert_eq!(pings(&mut ConnectionKeepAlive::new(now, PongDemand::Always), |_| false), (1, true));
        assert!(!pings(&mut ConnectionKeepAlive::new(now, PongDemand::OnceSeen), |_| false).1, "it knows no pings");
    }

    #[test]
    fn messages_and_the_peers_own_line_ends_are_no_answers() {
        let now = Instant::now();
        let mut keep_alive = ConnectionKeepAlive::new(now, PongDemand::OnceSeen);
        for after_s in [1, 5] {
            let now = keep_alive.next_timeout();
            assert_eq!(keep_alive.handle_timeout(now), KeepAliveAction::Ping);
            let later = now + Duration::from_secs(after_s);
            if after_s == 1 { keep_alive.record_received(later) } else { keep_alive.record_line_end(later) }
        }
        assert!(!pings(&mut keep_alive, |_| false).1);
    }

    #[test]
    fn pings_keep_their_interval_whether_they_are_answered_or_not() {
        let start = Instant::now();
        for answers in [false, true] {
            let mut keep_alive = ConnectionKeepAlive::new(start, PongDemand::OnceSeen);
            let mut sent = Vec::new();
            while sent.len() < 4 {
                let now = keep_alive.next_timeout();
                if keep_alive.handle_timeout(now) == KeepAliveAction::Ping {
                    sent.push((now - start).as_secs());
                    if answers {
                        keep_alive.record_received(now + Duration::from_millis(20));
                    }
                }
            }
            assert_eq!(sent, [25, 50, 75, 100], "{answers}");
        }
    }
}
