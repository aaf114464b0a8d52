//! Session timers (RFC 4028): how long a session lives without being refreshed, and who refreshes it.

use super::message::scan::param;
use super::message::{HeaderName, Headers};
use crate::limits;
use std::time::{Duration, Instant};

/// No interval below this is agreed to (section 5).
pub const MIN_SE_S: u32 = 90;
/// Time before expiry at which the non-refreshing side sends BYE: this or a third of the interval, whichever is smaller
/// (section 10).
const EXPIRY_MARGIN: Duration = Duration::from_secs(32);

/// What an answer to a repeated refresh may take.
const ANSWER_TIME: Duration = Duration::from_secs(4);

/// Which side refreshes the session, relative to one request (RFC 4028 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request that carried it.
    Uac,
    /// Who answered that request.
    Uas,
}

impl Refresher {
    /// Returns the value of the `refresher` parameter: `uac` or `uas`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        }
    }
}

/// A Session-Expires header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// Session interval in seconds, at most 86,400 (larger values are clamped).
    pub interval_s: u32,
    /// Side that refreshes; `None` if the header leaves it open.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Parses Session-Expires; `None` if it is missing or does not begin with a number.
    pub fn from_headers(headers: &Headers) -> Option<Self> {
        let value = headers.get(&HeaderName::SessionExpires)?;
        let interval_s = headers.number(&HeaderName::SessionExpires)?.min(limits::INTERVAL_S_MAX);
        let refresher = match param(value, "refresher") {
            Some(name) if name.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(name) if name.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some(Self { interval_s, refresher })
    }
}

/// What a running session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    interval: Duration,
    /// We refresh the session; otherwise we end it when the peer does not.
    pub we_refresh: bool,
    /// When we refresh, or when we give the session up.
    pub at: Instant,
    ends: Instant,
}

/// Action when the timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTimerAction {
    /// A refresh by UPDATE or re-INVITE is due.
    Refresh,
    /// Neither side refreshed the session in time: send BYE.
    Expired,
}

impl SessionTimer {
    /// Starts an interval, clamped to 90 to 86,400 seconds. Fires at half of it if we refresh, else up to 32 s before
    /// its end.
    pub fn start(now: Instant, interval_s: u32, we_refresh: bool) -> Self {
        let interval = Duration::from_secs(interval_s.clamp(MIN_SE_S, limits::INTERVAL_S_MAX).into());
        let half = interval.checked_div(2).unwrap_or(interval);
        let margin = interval.checked_div(3).unwrap_or_default().min(EXPIRY_MARGIN);
        let ends = now + interval.saturating_sub(margin);
        let at = if we_refresh { now + half } else { ends };
        Self { interval, we_refresh, at, ends }
    }

    /// Returns the agreed interval in seconds.
    pub fn interval_s(&self) -> u32 {
        u32::try_from(self.interval.as_secs()).unwrap_or(limits::INTERVAL_S_MAX)
    }

    /// When a refused refresh is repeated: after this long, but in time for an answer before the session ends; `None` when
    /// it is too late.
    pub fn repeat_at(&self, now: Instant, after: Duration) -> Option<Instant> {
        let last = self.ends.checked_sub(ANSWER_TIME)?;
        Some(last.min(now + after)).filter(|at| *at > now)
    }

    /// What was to refresh the session has not: a refresh that was due is due again.
    pub fn refresh_again(&mut self, now: Instant) {
        if self.we_refresh && self.at == self.ends && now < self.ends {
            self.at = now;
        }
    }

    /// After a refresh was requested, waits until the session expires.
    pub fn handle_timeout(&mut self, now: Instant) -> SessionTimerAction {
        if now >= self.ends {
            return SessionTimerAction::Expired;
        }
        self.at = self.ends;
        SessionTimerAction::Refresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
    #[test]
    fn refreshed_at_half_and_given_up_before_the_end() {
        let start = Instant::now();
        let s = |at: Instant| (at - start).as_secs();
        let mut ours = SessionTimer::start(start, 1_800, true);
        assert_eq!(s(ours.at), 900);
        assert_eq!(ours.handle_timeout(ours.at), SessionTimerAction::Refresh);
        assert_eq!(s(ours.at), 1_768);
        assert_eq!(ours.handle_timeout(ours.at), SessionTimerAction::Expired);
        let mut theirs = SessionTimer::start(start, 90, false);
        assert_eq!(s(theirs.at), 60);
        assert_eq!(theirs.handle_timeout(theirs.at), SessionTimerAction::Expired);
    }

    #[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
    #[test]
    fn a_refused_refresh_is_repeated_before_the_session_ends() {
        let start = Instant::now();
        let s = |s: u64| Duration::from_secs(s);
        let mut timer = SessionTimer::start(start, 90, true);
        assert_eq!(timer.handle_timeout(timer.at), SessionTimerAction::Refresh);
        assert_eq!(timer.repeat_at(start + s(45), s(5)), Some(start + s(50)));
        assert_eq!(timer.repeat_at(start + s(45), s(86_400)), Some(start + s(56)), "not after the end");
        assert_eq!(timer.repeat_at(start + s(56), s(1)), None);
        timer.refresh_again(start + s(50));
        assert_eq!(timer.handle_timeout(start + s(50)), SessionTimerAction::Refresh);
        let mut theirs = SessionTimer::start(start, 90, false);
        theirs.refresh_again(start);
        assert_eq!(theirs.at, start + s(60), "the peer's refresh is not ours");
    }

    #[test]
    fn headers_are_read() {
        let read = |value: &str| {
            let mut headers = Headers::default();
            headers.push(HeaderName::SessionExpires, value);
            SessionExpires::from_headers(&headers)
        };
        assert_eq!(
            read("1800;refresher=UAS"),
            Some(SessionExpires { interval_s: 1_800, refresher: Some(Refresher::Uas) })
        );
        assert_eq!(
            read(" 90 ; refresher = uac"),
            Some(SessionExpires { interval_s: 90, refresher: Some(Refresher::Uac) })
        );
        assert_eq!(read("90"), Some(SessionExpires { interval_s: 90, refresher: None }));
        assert_eq!(read("4294967296;refresher=é"), Some(SessionExpires { interval_s: 86_400, refresher: None }));
        for unreadable in ["soon", "", "-1", "é;refresher=uac", ";refresher=uac"] {
            assert_eq!(read(unreadable), None, "{unreadable}");
        }
    }
}
