//! When a task may call, and when it tries again.

use super::end_reason::EndReason;
use super::rules::{between, fits, parses};
use super::time::UnixMs;
use garde::Validate;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const ATTEMPTS_MAX: u32 = 20;
const DELAY_SECONDS_MAX: u64 = 7 * 86_400;
/// Windows of a task.
pub(super) const WINDOWS_MAX: usize = 20;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Another attempt after a call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Calls in all, the first one included.
    #[schema(minimum = 1, maximum = 20)]
    #[garde(custom(between(1..=ATTEMPTS_MAX)))]
    pub max_attempts: u32,
    /// Seconds between the end of a call and the next attempt: 1 to 604,800 (a week).
    #[schema(minimum = 1, maximum = 604_800)]
    #[garde(custom(between(1..=DELAY_SECONDS_MAX)))]
    pub delay_seconds: u64,
    /// End reasons that are worth another call; without any busy and no_answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(inner(custom(retryable)))]
    pub on: Vec<String>,
}

/// Hours in which a person may be called, in that person's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct CallingWindow {
    /// Of the IANA database.
    #[schema(example = "Europe/Amsterdam", max_length = 64)]
    #[garde(custom(parses(zone, "is not a time zone of the IANA database such as Europe/Amsterdam")))]
    pub time_zone: String,
    /// mon, tue, wed, thu, fri, sat, sun; without any all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(custom(fits(are_days, "must be of mon, tue, wed, thu, fri, sat, sun")))]
    pub days: Vec<String>,
    /// When the window opens, `HH:MM` with 24 hours, in `time_zone`.
    #[schema(example = "09:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    #[garde(custom(parses(time, "must be a time such as 09:00")))]
    pub start: String,
    /// At or before `start`: on the next day.
    #[schema(example = "18:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    #[garde(custom(parses(time, "must be a time such as 09:00")))]
    pub end: String,
}

impl RetryPolicy {
    /// When the next call is due after one that ended so, if one is.
    pub fn next(&self, reason: EndReason, attempts: u32, now: UnixMs) -> Option<UnixMs> {
        let meant = match self.on.as_slice() {
            [] => matches!(reason, EndReason::Busy | EndReason::NoAnswer),
            on => on.iter().any(|name| name == reason.name()),
        };
        (meant && attempts < self.max_attempts).then(|| UnixMs(now.0 + self.delay_seconds as i64 * 1_000))
    }
}

impl CallingWindow {
    fn times(&self) -> Option<(Time, Time)> {
        Some((time(&self.start)?, time(&self.end)?))
    }

    fn is_on(&self, day: Weekday) -> bool {
        let name = DAYS[usize::from(day.to_monday_zero_offset().unsigned_abs())];
        self.days.is_empty() || self.days.iter().any(|one| one == name)
    }

    /// The first instant at or after `at` that lies in the window.
    fn next(&self, at: UnixMs) -> Option<UnixMs> {
        let (zone, (start, end)) = (zone(&self.time_zone)?, self.times()?);
        let today = Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone()).date();
        // From yesterday, whose window may reach into today, to a week ahead.
        for offset in -1..=8i64 {
            let day = today.checked_add(offset.days()).ok()?;
            if !self.is_on(day.weekday()) {
                continue;
            }
            let last = if end > start { day } else { day.tomorrow().ok()? };
            let instant = |date: jiff::civil::Date, time: Time| {
                Some(date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
            };
            let (opens, closes) = (instant(day, start)?, instant(last, end)?);
            if at.0 < closes {
                return Some(UnixMs(at.0.max(opens)));
            }
        }
        None
    }
}

/// An end reason after which a policy may call again.
fn retryable(name: &str, _: &()) -> garde::Result {
    if EndReason::parse(name).is_some_and(EndReason::is_retryable) {
        return Ok(());
    }
    let allowed: Vec<_> = EndReason::ALL.iter().filter(|r| r.is_retryable()).map(|r| r.name()).collect();
    Err(garde::Error::new(format_args!("{name} is not one of {}", allowed.join(", "))))
}

fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn are_days(days: &[String]) -> bool {
    days.iter().all(|day| DAYS.contains(&day.as_str()))
}

/// `09:00`.
fn time(text: &str) -> Option<Time> {
    (text.len() == 5).then(|| Time::strptime("%H:%M", text).ok()).flatten()
}

/// The first instant at or after `at` that any window allows; without windows, `at` itself.
pub fn next_allowed(windows: &[CallingWindow], at: UnixMs) -> UnixMs {
    windows.iter().filter_map(|window| window.next(at)).min().unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults;

    fn window(days: &[&str], start: &str, end: &str) -> CallingWindow {
        CallingWindow {
            time_zone: "Europe/Amsterdam".into(),
            days: days.iter().map(|day| (*day).to_owned()).collect(),
            start: start.into(),
            end: end.into(),
        }
    }

    fn check(windows: &[CallingWindow], at: &str, wanted: &str) {
        assert!(windows.iter().all(|window| faults(window).is_empty()), "{windows:?}");
        assert_eq!(next_allowed(windows, UnixMs::parse(at).unwrap()).rfc3339(), wanted, "{at}");
    }

    #[test]
    fn a_call_waits_for_the_callees_morning() {
        let office = [window(&["mon", "tue", "wed", "thu", "fri"], "09:00", "18:00")];
        check(&office, "2026-03-27T10:00:00Z", "2026-03-27T10:00:00.000Z"); // a Friday, 11:00 there
        check(&office, "2026-03-27T17:00:00Z", "2026-03-30T07:00:00.000Z"); // after hours; summer time begins on Sunday
        check(&office, "2026-03-27T05:00:00Z", "2026-03-27T08:00:00.000Z");
        check(&[], "2026-03-27T05:00:00Z", "2026-03-27T05:00:00.000Z");
    }

    #[test]
    fn a_window_may_reach_over_midnight() {
        let night = [window(&["fri"], "22:00", "02:00")];
        check(&night, "2026-03-28T00:30:00Z", "2026-03-28T00:30:00.000Z"); // Saturday 01:30, of Friday's window
        check(&night, "2026-03-28T01:30:00Z", "2026-04-03T20:00:00.000Z");
    }

    #[test]
    fn another_attempt_by_cause() {
        let policy = RetryPolicy { max_attempts: 3, delay_seconds: 60, on: vec![] };
        assert_eq!(policy.next(EndReason::Busy, 1, UnixMs(0)), Some(UnixMs(60_000)));
        assert_eq!(policy.next(EndReason::Busy, 3, UnixMs(0)), None);
        assert_eq!(policy.next(EndReason::Rejected, 1, UnixMs(0)), None);
        let bad = RetryPolicy { on: vec!["canceled".into()], ..policy };
        assert_eq!(faults(&bad)[0].field, "on[0]");
    }
}
