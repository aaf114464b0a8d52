//! A tenant, and what it may use at once.

use super::FieldFault;
use super::ids::OrganizationId;
use super::time::UnixMs;
use serde::{Deserialize, Serialize};

/// Characters of a name that people read.
const NAME_MAX: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Calls at once, of every direction; tasks wait beyond it.
    pub max_concurrent_calls: Option<u32>,
    /// Outbound calls started in a second; below one, a call every so many seconds.
    pub calls_per_second: Option<f64>,
    /// Minutes of answered calls in a UTC day, of every direction; no call is made beyond them.
    pub max_minutes_per_day: Option<u32>,
    /// Money in a UTC day, in the price table's currency; no call is made beyond it.
    pub max_spend_per_day: Option<f64>,
}

/// What an organization has used of a UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub seconds: i64,
    /// Millionths.
    pub micros: i64,
}

impl Limits {
    pub fn validate(&self) -> Result<(), FieldFault> {
        if self.max_concurrent_calls.is_some_and(|max| !(1..=100_000).contains(&max)) {
            return Err(FieldFault::new("max_concurrent_calls", "must be between 1 and 100000"));
        }
        if self.calls_per_second.is_some_and(|cps| !(0.01..=1_000.0).contains(&cps)) {
            return Err(FieldFault::new("calls_per_second", "must be between 0.01 and 1000"));
        }
        if self.max_minutes_per_day.is_some_and(|max| !(1..=10_000_000).contains(&max)) {
            return Err(FieldFault::new("max_minutes_per_day", "must be between 1 and 10000000"));
        }
        if self.max_spend_per_day.is_some_and(|max| !(0.01..=10_000_000.0).contains(&max)) {
            return Err(FieldFault::new("max_spend_per_day", "must be between 0.01 and 10000000"));
        }
        Ok(())
    }

    /// The day has a limit.
    pub fn is_capped(&self) -> bool {
        self.max_minutes_per_day.is_some() || self.max_spend_per_day.is_some()
    }

    /// Another call may be made after so much has been used of the day.
    pub fn allows(&self, spent: Spent) -> bool {
        let minutes = self.max_minutes_per_day.is_none_or(|max| spent.seconds < i64::from(max) * 60);
        minutes && self.max_spend_per_day.is_none_or(|max| (spent.micros as f64) < max * 1e6)
    }

    /// How many calls may start in a window of how many milliseconds.
    pub fn rate_window(&self) -> Option<(i64, i64)> {
        let cps = self.calls_per_second?;
        Some(if cps >= 1.0 { (cps as i64, 1_000) } else { (1, (1_000.0 / cps) as i64) })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    pub id: OrganizationId,
    pub parent: Option<OrganizationId>,
    /// Itself, or the root of its parents.
    pub billed_to: OrganizationId,
    pub name: String,
    pub limits: Limits,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// A name of 1 to 200 characters.
pub fn check_name(name: &str) -> Result<(), FieldFault> {
    if name.trim().is_empty() || name.chars().count() > NAME_MAX || name.contains('\0') {
        return Err(FieldFault::new("name", "must have 1 to 200 characters, none of them U+0000"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_minutes_and_its_money() {
        let limits = Limits { max_minutes_per_day: Some(10), max_spend_per_day: Some(2.5), ..Limits::default() };
        let allows = |seconds, micros| limits.allows(Spent { seconds, micros });
        assert!(allows(599, 2_499_999) && !allows(600, 0) && !allows(0, 2_500_000));
        assert!(Limits::default().allows(Spent { seconds: i64::MAX, micros: i64::MAX }));
    }

    #[test]
    fn a_rate_below_one_is_a_longer_window() {
        let window = |cps| Limits { calls_per_second: Some(cps), ..Limits::default() }.rate_window();
        assert_eq!(window(5.0), Some((5, 1_000)));
        assert_eq!(window(0.5), Some((1, 2_000)));
        assert_eq!(Limits::default().rate_window(), None);
    }
}
