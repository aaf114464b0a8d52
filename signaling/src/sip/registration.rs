//! State machine of one registration (RFC 3261 section 10.2): when to register, refresh and retry. The user agent sends
//! the REGISTER.

use crate::limits;
use std::time::{Duration, Instant};

/// First wait after a failure; doubled each time up to [`RETRY_MAX`] (RFC 5626 section 4.5).
const RETRY_MIN: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_secs(1_800);
/// A refresh goes out this long before the granted registration expires, or at half of a short interval.
const REFRESH_MARGIN: Duration = Duration::from_secs(32);
/// How often in a row a registrar may ask for a longer one.
const RAISED_MAX: u8 = 2;
/// A flow that held for so long is taken for stable again (RFC 5626 section 4.5).
const FLOW_STABLE_AFTER: Duration = Duration::from_secs(120);
/// Minimum refresh interval.
const REFRESH_MIN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistrationPhase {
    /// To be sent at the instant.
    Due(Instant),
    /// Sent, not answered.
    Sent,
    /// Granted; refreshed at the instant.
    Registered(Instant),
    /// Ended by us.
    Ended,
}

/// State of one registration: due, sent, granted or ended.
#[derive(Clone, Debug)]
pub struct Registration {
    phase: RegistrationPhase,
    /// Asked for; raised by 423.
    pub expires_s: u32,
    failures: u32,
    /// When its connection was lost last, and how often in a row soon after another time.
    lost: Option<(Instant, u32)>,
    /// Refusals with 423 (Interval Too Brief) since the last grant.
    raised: u8,
}

impl Registration {
    /// Creates a registration that is due at once and asks for `expires_s` seconds.
    pub fn new(now: Instant, expires_s: u32) -> Self {
        Self { phase: RegistrationPhase::Due(now), expires_s, failures: 0, lost: None, raised: 0 }
    }

    /// Returns when the next REGISTER is due; `None` while a response is awaited and after the end.
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            RegistrationPhase::Due(at) | RegistrationPhase::Registered(at) => Some(at),
            RegistrationPhase::Sent | RegistrationPhase::Ended => None,
        }
    }

    /// True when a REGISTER has to go out now.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.next_timeout().is_some_and(|at| at <= now);
        if due {
            self.phase = RegistrationPhase::Sent;
        }
        due
    }

    /// Records a grant of `expires_s` seconds, at most a day. The refresh is due 32 s before its end or at half of a
    /// short one, after 10 s at the earliest.
    pub fn handle_granted(&mut self, now: Instant, expires_s: u32) {
        (self.failures, self.raised) = (0, 0);
        let lifetime = Duration::from_secs(expires_s.min(limits::INTERVAL_S_MAX).into());
        let half = lifetime.checked_div(2).unwrap_or_default();
        let refresh = lifetime.saturating_sub(REFRESH_MARGIN.min(half)).max(REFRESH_MIN);
        self.phase = RegistrationPhase::Registered(now + refresh);
    }

    /// 423: the registrar wants a longer one. Again at once.
    pub fn handle_too_brief(&mut self, now: Instant, min_expires_s: u32) -> bool {
        if min_expires_s <= self.expires_s || min_expires_s > limits::INTERVAL_S_MAX || self.raised >= RAISED_MAX {
            return false;
        }
        self.raised = self.raised.saturating_add(1);
        self.expires_s = min_expires_s;
        self.phase = RegistrationPhase::Due(now);
        true
    }

    /// The time until the next attempt. `random` below 1,000 spreads many registrations over half of the wait.
    pub fn handle_failure(&mut self, now: Instant, retry_after_s: Option<u32>, random: u32) -> Duration {
        let doubled = RETRY_MIN.saturating_mul(1 << self.failures.min(6)).min(RETRY_MAX);
        let half = doubled.checked_div(2).unwrap_or(doubled);
        let spread = half.saturating_mul(random % 1_000).checked_div(1_000).unwrap_or_default();
        self.failures = self.failures.saturating_add(1);
        let wait = match retry_after_s {
            Some(seconds) => Duration::from_secs(seconds.clamp(1, limits::INTERVAL_S_MAX).into()),
            None => half.saturating_add(spread),
        };
        self.phase = RegistrationPhase::Due(now + wait);
        wait
    }

    /// The connection or flow of a granted registration is gone: it is due at once, within a second so that not everybody
    /// comes in the same moment. If flows break again and again, the wait doubles. False if nothing was granted.
    pub fn handle_flow_lost(&mut self, now: Instant, random: u32) -> bool {
        let RegistrationPhase::Registered(refresh_at) = self.phase else { return false };
        let again = match self.lost {
            Some((at, again)) if now.saturating_duration_since(at) < FLOW_STABLE_AFTER => again.saturating_add(1),
            _ => 0,
        };
        self.lost = Some((now, again));
        let spread = Duration::from_millis((random % 1_000).into());
        let wait = match again {
            0 => spread,
            again => Duration::from_secs(1 << again.min(10)).saturating_add(spread).min(RETRY_MAX),
        };
        self.phase = RegistrationPhase::Due(refresh_at.min(now + wait));
        true
    }

    /// No further attempt.
    pub fn end(&mut self) {
        self.phase = RegistrationPhase::Ended;
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshed_before_the_end_and_backed_off_on_failure() {
        let start = Instant::now();
        let mut registration = Registration::new(start, 300);
        assert!(registration.handle_timeout(start));
        assert!(!registration.handle_timeout(start), "one at a time");
        registration.handle_granted(start, 300);
        assert_eq!(registration.next_timeout(), Some(start + Duration::from_secs(268)));
        registration.handle_granted(start, 40);
        assert_eq!(registration.next_timeout(), Some(start + Duration::from_secs(20)));
        let waits: Vec<u64> = (0..9).map(|_| registration.handle_failure(start, None, 999).as_secs()).collect();
        assert_eq!(waits, [29, 59, 119, 239, 479, 959, 1_799, 1_799, 1_799]);
        assert_eq!(registration.handle_failure(start, None, 0).as_secs(), 900);
        assert_eq!(registration.handle_failure(start, Some(5), 0).as_secs(), 5);
        registration.handle_granted(start, 300);
        assert_eq!(registration.handle_failure(start, None, 999).as_secs(), 29, "a success forgets the failures");
    }

    #[test]
    fn a_registrar_may_ask_for_a_longer_registration_once() {
        let start = Instant::now();
        let mut registration = Registration::new(start, 60);
        registration.handle_timeout(start);
        assert!(registration.handle_too_brief(start, 3_600));
        assert!(registration.handle_timeout(start));
        assert!(!registration.handle_too_brief(start, 3_600), "an answer that would go round in a circle");
        assert!(registration.handle_too_brief(start, 3_601));
        assert!(!registration.handle_too_brief(start, 3_602), "a little more each time");
        registration.handle_granted(start, 3_601);
        assert!(registration.handle_too_brief(start, 3_602), "and again after a grant");
    }

    #[test]
    fn a_lost_connection_is_renewed_at_once_and_later_if_it_breaks_again() {
        let mut now = Instant::now();
        let mut registration = Registration::new(now, 600);
        assert!(!registration.handle_flow_lost(now, 0), "nothing was granted");
        let mut waits = Vec::new();
        for _ in 0..12 {
            registration.handle_granted(now, 6_000);
            assert!(registration.handle_flow_lost(now, 999));
            let due = registration.next_timeout().unwrap();
            waits.push((due - now).as_millis());
            now = now.max(due.min(now + Duration::from_secs(100)));
            assert!(!registration.handle_flow_lost(now, 0), "it is due already");
        }
        assert_eq!(waits[..5], [999, 2_999, 4_999, 8_999, 16_999]);
        assert_eq!(waits[11], 1_024_999);
        now += FLOW_STABLE_AFTER;
        registration.handle_granted(now, 6_000);
        assert!(registration.handle_flow_lost(now, 0));
        assert_eq!(registration.next_timeout(), Some(now), "a flow that held for a while");
        registration.handle_granted(now, 20);
        assert!(registration.handle_flow_lost(now, 0));
        assert_eq!(registration.next_timeout(), Some(now + Duration::from_secs(2)));
    }

    #[test]
    fn refresh_interval_is_bounded() {
        let start = Instant::now();
        for (granted_s, refreshed_s) in [(0, 10), (1, 10), (20, 10), (60, 30), (3_600, 3_568), (u32::MAX, 86_368)] {
            let mut registration = Registration::new(start, 300);
            registration.handle_granted(start, granted_s);
            assert_eq!(registration.next_timeout(), Some(start + Duration::from_secs(refreshed_s)), "{granted_s}");
        }
    }
}
