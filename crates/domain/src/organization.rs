//! A tenant, and what it may use at once.

use super::FieldError;
use super::ids::OrganizationId;
use super::rules::{between, fits, is_text};
use super::time::UnixMs;
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Characters of a name that people read.
const NAME_MAX: usize = 200;
/// Calls that an organization or a trunk may be limited to at once.
pub(super) const CALLS_AT_ONCE: RangeInclusive<u32> = 1..=100_000;
/// Calls that they may be limited to start in a second.
pub(super) const CALLS_PER_SECOND: RangeInclusive<f64> = 0.01..=1_000.0;

/// Limits of an organization or a trunk, at once and in a day. `None` in a field: no limit at this level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate)]
#[garde(allow_unvalidated)]
#[serde(default)]
pub struct OrganizationLimits {
    /// Calls at once, of every direction, both legs of a transfer counted; tasks wait beyond it.
    #[garde(inner(custom(between(CALLS_AT_ONCE))))]
    pub max_concurrent_calls: Option<u32>,
    /// Calls started in a second, of every direction; below one, a call every so many seconds.
    #[garde(inner(custom(between(CALLS_PER_SECOND))))]
    pub calls_per_second: Option<f64>,
    /// Minutes of answered calls in a UTC day, of every direction; when reached, no further call begins, calls in
    /// progress continue.
    #[garde(inner(custom(between(1..=10_000_000))))]
    pub max_minutes_per_day: Option<u32>,
    /// Spend in a UTC day in the price table's currency; when reached, no further call begins.
    #[garde(inner(custom(between(0.01..=10_000_000.0))))]
    pub max_spend_per_day: Option<f64>,
}

/// What an organization has used of a UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DailyUsage {
    /// Seconds of answered calls, those in progress included.
    pub seconds: i64,
    /// Millionths.
    pub micros: i64,
}

impl OrganizationLimits {
    /// The day has a limit.
    pub fn is_capped(&self) -> bool {
        self.max_minutes_per_day.is_some() || self.max_spend_per_day.is_some()
    }

    /// Another call may be made after so much has been used of the day.
    pub fn allows(&self, spent: DailyUsage) -> bool {
        let minutes = self.max_minutes_per_day.is_none_or(|max| spent.seconds < i64::from(max) * 60);
        minutes && self.max_spend_per_day.is_none_or(|max| (spent.micros as f64) < max * 1e6)
    }

    /// The four of them as numbers, with their names.
    fn numbers(&self) -> [(&'static str, Option<f64>); 4] {
        [
            ("max_concurrent_calls", self.max_concurrent_calls.map(f64::from)),
            ("calls_per_second", self.calls_per_second),
            ("max_minutes_per_day", self.max_minutes_per_day.map(f64::from)),
            ("max_spend_per_day", self.max_spend_per_day),
        ]
    }

    /// The first limit that differs from `before` and allows more than it: a limit that is gone allows everything.
    pub fn first_raised_limit(&self, before: &Self) -> Option<&'static str> {
        let allowed = |limit: Option<f64>| limit.unwrap_or(f64::INFINITY);
        let pairs = self.numbers().into_iter().zip(before.numbers());
        pairs.into_iter().find(|((_, now), (_, was))| allowed(*now) > allowed(*was)).map(|((name, _), _)| name)
    }

    /// The first limit that differs from `before` and is over what one of those above may: a limit that is not set
    /// is none, because theirs count what is below them.
    pub fn over(&self, before: &Self, above: &[Ancestor]) -> Option<(&'static str, f64)> {
        self.numbers().into_iter().enumerate().find_map(|(at, (name, now))| {
            let now = now.filter(|now| before.numbers()[at].1 != Some(*now))?;
            let most = above.iter().filter_map(|one| one.limits.numbers()[at].1).fold(f64::INFINITY, f64::min);
            (now > most).then_some((name, most))
        })
    }

    /// How many calls may start in a window of how many milliseconds.
    pub fn rate_window(&self) -> Option<(i64, i64)> {
        let cps = self.calls_per_second?;
        Some(if cps >= 1.0 { (cps as i64, 1_000) } else { (1, (1_000.0 / cps) as i64) })
    }
}

/// One of those whose limits hold for a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Ancestor {
    /// The organization whose limits these are.
    pub id: OrganizationId,
    /// Its own limits, which count everything below it too.
    pub limits: OrganizationLimits,
}

/// An organization and its ancestors: itself first, the root of the family last. A call counts for each of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage(Arc<[Ancestor]>);

/// Levels of a family, the root's counted: an installation's customer, a reseller of theirs, its customer, a branch.
pub const LEVELS_MAX: usize = 4;

impl Lineage {
    /// `None` without anybody.
    pub fn new(own_first: Vec<Ancestor>) -> Option<Self> {
        (!own_first.is_empty()).then(|| Self(own_first.into()))
    }

    /// Returns the organization and its ancestors, itself first; never empty.
    pub fn all(&self) -> &[Ancestor] {
        &self.0
    }

    /// The organization itself.
    pub fn own(&self) -> &Ancestor {
        &self.0[0]
    }

    /// Those above it, the nearest first.
    pub fn above(&self) -> &[Ancestor] {
        &self.0[1..]
    }

    /// The root organization, which the operator knows: fair shares are per root.
    pub fn root(&self) -> OrganizationId {
        self.0.last().unwrap_or(self.own()).id
    }

    /// Another level fits below it.
    pub fn may_have_children(&self) -> bool {
        self.0.len() < LEVELS_MAX
    }
}

/// A stored organization: a tenant with a name and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Organization {
    /// Chosen by the server when the organization is created; never changes.
    pub id: OrganizationId,
    /// The organization directly above. `None` for a root.
    pub parent: Option<OrganizationId>,
    /// Itself, or the root of its parents.
    pub billed_to: OrganizationId,
    /// What people call it: 1 to 200 characters.
    pub name: String,
    /// Its own limits; those of its ancestors hold too.
    pub limits: OrganizationLimits,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    /// When the organization was created.
    pub created_at: UnixMs,
    /// When name or limits were last changed.
    pub updated_at: UnixMs,
}

impl Organization {
    /// One without a parent and without limits, which pays for itself.
    pub fn root(name: &str, at: UnixMs) -> Self {
        let id = OrganizationId::new();
        let (name, limits) = (name.to_owned(), OrganizationLimits::default());
        Self { id, parent: None, billed_to: id, name, limits, version: 1, created_at: at, updated_at: at }
    }
}

/// A name of 1 to 200 characters, as the rule of a field.
pub(super) fn name(text: &str, _: &()) -> garde::Result {
    let is_name = |text: &str| is_text(text, NAME_MAX) && !text.contains('\0');
    fits(is_name, "must have 1 to 200 characters, none of them U+0000")(text, &())
}

/// Checks the name of a resource whose other fields have no rules here.
pub fn check_name(text: &str) -> Result<(), FieldError> {
    name(text, &()).map_err(|error| FieldError::new("name", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_minutes_and_its_money() {
        let limits = OrganizationLimits {
            max_minutes_per_day: Some(10),
            max_spend_per_day: Some(2.5),
            ..OrganizationLimits::default()
        };
        let allows = |seconds, micros| limits.allows(DailyUsage { seconds, micros });
        assert!(allows(599, 2_499_999) && !allows(600, 0) && !allows(0, 2_500_000));
        assert!(OrganizationLimits::default().allows(DailyUsage { seconds: i64::MAX, micros: i64::MAX }));
    }

    #[test]
    fn a_limit_is_lifted_by_more_and_by_null_and_not_by_less() {
        let before = OrganizationLimits {
            max_concurrent_calls: Some(5),
            max_spend_per_day: Some(1.0),
            ..OrganizationLimits::default()
        };
        let lifted = |change: fn(&mut OrganizationLimits)| {
            let mut now = before.clone();
            change(&mut now);
            now.first_raised_limit(&before)
        };
        assert_eq!(lifted(|_| {}), None);
        assert_eq!(lifted(|now| now.max_concurrent_calls = Some(4)), None);
        assert_eq!(lifted(|now| now.calls_per_second = Some(9.0)), None, "one more limit allows less");
        assert_eq!(lifted(|now| now.max_concurrent_calls = Some(6)), Some("max_concurrent_calls"));
        assert_eq!(lifted(|now| now.max_concurrent_calls = None), Some("max_concurrent_calls"));
        assert_eq!(lifted(|now| now.max_spend_per_day = Some(1.01)), Some("max_spend_per_day"));
        assert_eq!(lifted(|now| now.max_spend_per_day = None), Some("max_spend_per_day"));
    }

    #[test]
    fn a_limit_is_at_most_that_of_everybody_above() {
        let above = |max, minutes| Ancestor {
            id: OrganizationId::new(),
            limits: OrganizationLimits {
                max_concurrent_calls: max,
                max_minutes_per_day: minutes,
                ..OrganizationLimits::default()
            },
        };
        let above = [above(None, Some(100)), above(Some(10), Some(500))];
        let before = OrganizationLimits { max_minutes_per_day: Some(400), ..OrganizationLimits::default() };
        let with = |max, minutes| OrganizationLimits {
            max_concurrent_calls: max,
            max_minutes_per_day: minutes,
            ..before.clone()
        };
        assert_eq!(with(Some(10), Some(100)).over(&before, &above), None);
        assert_eq!(with(Some(11), None).over(&before, &above), Some(("max_concurrent_calls", 10.0)));
        assert_eq!(with(None, Some(101)).over(&before, &above), Some(("max_minutes_per_day", 100.0)));
        assert_eq!(with(None, Some(400)).over(&before, &above), None, "earlier violations are not reported");
        assert_eq!(with(Some(100_000), None).over(&before, &[]), None);
    }

    #[test]
    fn a_rate_below_one_is_a_longer_window() {
        let window =
            |cps| OrganizationLimits { calls_per_second: Some(cps), ..OrganizationLimits::default() }.rate_window();
        assert_eq!(window(5.0), Some((5, 1_000)));
        assert_eq!(window(0.5), Some((1, 2_000)));
        assert_eq!(OrganizationLimits::default().rate_window(), None);
    }
}
