//! Decides whether another call may begin: one place for all directions, asked before a call costs anything. Pure rules
//! over numbers; the driver supplies the numbers and acts on the answer.
//!
//! The unit is a line: a call holds one, a transferred call two. Each line counts for its trunk, its organization and
//! all organizations above. Lines of this process are counted exactly, even when a hundred ask at once. Lines of other
//! processes are known as of a second ago, so each process may exceed a limit by what the others began within that
//! second. Outbound calls are also claimed in the database, which is exact.

use crate::domain::ids::{OrganizationId, TrunkId};
use crate::domain::organization::{DailyUsage, Lineage, OrganizationLimits};
use crate::domain::time::UnixMs;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// One line in so many is reserved for organizations that hold less than their share.
const RESERVED_FRACTION: usize = 10;
/// Windows of rates remembered; those that are over are dropped when there are more.
const WINDOWS_MAX: usize = 10_000;

/// A call that wants to begin, or a second line of one.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest<'a> {
    /// The organization that the line counts for, with all organizations above it.
    pub lineage: &'a Lineage,
    /// The trunk of the line and its own limits; `None` for a call without a trunk, such as a web call.
    pub trunk: Option<(TrunkId, &'a OrganizationLimits)>,
    /// What each organization of the lineage with a daily limit has used of it.
    pub spent: &'a [(OrganizationId, DailyUsage)],
}

/// Why it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitExceededError {
    /// `max_concurrent_calls`; with a trunk only that one is full.
    Concurrent {
        /// The trunk that is full; `None` when an organization's limit is reached.
        trunk: Option<TrunkId>,
    },
    /// `calls_per_second`.
    Rate {
        /// The trunk whose rate is reached; `None` for an organization's rate.
        trunk: Option<TrunkId>,
        /// Time until the rate allows another call.
        retry_after: Duration,
    },
    /// `max_minutes_per_day` or `max_spend_per_day`.
    DailyLimit,
    /// The server is nearly full, and the remaining lines are reserved for others.
    FairShare,
}

impl LimitExceededError {
    /// The limit, as in settings and refusals.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Concurrent { .. } => "max_concurrent_calls",
            Self::Rate { .. } => "calls_per_second",
            Self::DailyLimit => "max_per_day",
            Self::FairShare => "calls_max",
        }
    }
}

/// Milliseconds of a UTC day.
const DAY_MS: i64 = 86_400_000;

impl LimitExceededError {
    /// SIP status for the caller of an inbound call. A limit of one organization must never be 503: carriers would
    /// treat the whole server as out of order.
    pub fn sip_status(self) -> u16 {
        match self {
            Self::Concurrent { .. } => 486,
            Self::Rate { .. } | Self::DailyLimit => 480,
            Self::FairShare => 503,
        }
    }

    /// Seconds until another attempt may succeed, if known.
    pub fn retry_after_s(self, now: UnixMs) -> Option<u32> {
        let seconds = |ms: i64| u32::try_from((ms + 999) / 1_000).ok();
        match self {
            Self::Concurrent { .. } => None,
            Self::Rate { retry_after, .. } => seconds(i64::try_from(retry_after.as_millis()).ok()?.max(1)),
            Self::DailyLimit => seconds(DAY_MS - now.0.rem_euclid(DAY_MS)),
            Self::FairShare => Some(10),
        }
    }
}

/// Whether an organization and all above it are within their daily limits. `spent` is what those with a limit have used.
pub fn is_within_daily_limits(lineage: &Lineage, spent: &[(OrganizationId, DailyUsage)]) -> bool {
    let within = |id: OrganizationId, limits: &OrganizationLimits| {
        spent.iter().all(|(spender, used)| *spender != id || limits.allows(*used))
    };
    lineage.all().iter().all(|one| within(one.id, &one.limits))
}

/// What an admitted line counts against until it is released.
#[derive(Clone, Debug)]
pub struct AdmittedLine {
    lineage: Lineage,
    trunk: Option<TrunkId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LineOwner {
    Organization(OrganizationId),
    Trunk(TrunkId),
}

/// The lines of this process and what is known of others.
#[derive(Debug, Default)]
pub struct LineCounts {
    /// Lines this process may hold.
    lines_max: usize,
    held: usize,
    /// Of trunks and organizations; an organization's with those below it.
    lines: HashMap<LineOwner, u32>,
    elsewhere: HashMap<LineOwner, u32>,
    /// Roots that hold lines.
    roots: HashMap<OrganizationId, usize>,
    /// Number of root organizations: a single one needs no share.
    tenants: usize,
    /// When the last lines began, of those with a rate.
    begun: HashMap<LineOwner, VecDeque<Instant>>,
}

impl LineCounts {
    /// Returns an empty ledger for a process that may hold `lines_max` lines.
    pub fn new(lines_max: usize) -> Self {
        Self { lines_max, ..Self::default() }
    }

    /// What other processes hold, and how many organizations without a parent there are.
    pub fn update_other_nodes(
        &mut self, organizations: HashMap<OrganizationId, u32>, trunks: HashMap<TrunkId, u32>, tenants: usize,
    ) {
        let organizations = organizations.into_iter().map(|(id, lines)| (LineOwner::Organization(id), lines));
        let trunks = trunks.into_iter().map(|(id, lines)| (LineOwner::Trunk(id), lines));
        self.elsewhere = organizations.chain(trunks).collect();
        self.tenants = tenants;
    }

    /// Lines that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Counts another line, if every rule allows it; nothing is counted otherwise.
    pub fn admit(&mut self, now: Instant, request: &AdmissionRequest<'_>) -> Result<AdmittedLine, LimitExceededError> {
        let AdmissionRequest { lineage, trunk, spent } = *request;
        let organizations = lineage.all().iter().map(|one| (LineOwner::Organization(one.id), &one.limits));
        let mut all: Vec<(LineOwner, &OrganizationLimits)> = organizations.collect();
        all.extend(trunk.map(|(id, limits)| (LineOwner::Trunk(id), limits)));
        let of_trunk = |owner: LineOwner| match owner {
            LineOwner::Trunk(id) => Some(id),
            LineOwner::Organization(_) => None,
        };
        for (owner, limits) in &all {
            if limits.max_concurrent_calls.is_some_and(|max| self.lines_of(*owner) >= max) {
                return Err(LimitExceededError::Concurrent { trunk: of_trunk(*owner) });
            }
        }
        if !is_within_daily_limits(lineage, spent) {
            return Err(LimitExceededError::DailyLimit);
        }
        if !self.has_share(lineage.root()) {
            return Err(LimitExceededError::FairShare);
        }
        for (owner, limits) in &all {
            if let Some(retry_after) = self.rate_wait(now, *owner, limits) {
                return Err(LimitExceededError::Rate { trunk: of_trunk(*owner), retry_after });
            }
        }
        for (owner, limits) in &all {
            *self.lines.entry(*owner).or_default() += 1;
            if limits.calls_per_second.is_some() {
                self.begun.entry(*owner).or_default().push_back(now);
            }
        }
        self.held += 1;
        *self.roots.entry(lineage.root()).or_default() += 1;
        Ok(AdmittedLine { lineage: lineage.clone(), trunk: trunk.map(|(id, _)| id) })
    }

    /// A line is over.
    pub fn release(&mut self, line: &AdmittedLine) {
        self.held = self.held.saturating_sub(1);
        let organizations = line.lineage.all().iter().map(|one| LineOwner::Organization(one.id));
        for owner in organizations.chain(line.trunk.map(LineOwner::Trunk)) {
            if let Some(lines) = self.lines.get_mut(&owner) {
                *lines = lines.saturating_sub(1);
                if *lines == 0 {
                    self.lines.remove(&owner);
                }
            }
        }
        if let Some(lines) = self.roots.get_mut(&line.lineage.root()) {
            *lines = lines.saturating_sub(1);
            if *lines == 0 {
                self.roots.remove(&line.lineage.root());
            }
        }
    }

    fn lines_of(&self, owner: LineOwner) -> u32 {
        let of = |lines: &HashMap<LineOwner, u32>| lines.get(&owner).copied().unwrap_or(0);
        of(&self.lines).saturating_add(of(&self.elsewhere))
    }

    /// The last lines of a nearly full server go to roots that hold less than an equal share.
    fn has_share(&self, root: OrganizationId) -> bool {
        if self.tenants < 2 || self.held < self.lines_max - self.lines_max / RESERVED_FRACTION {
            return true;
        }
        let own = self.roots.get(&root).copied().unwrap_or(0);
        let present = self.roots.len() + usize::from(own == 0);
        // Keep room for one more root.
        let sharing = if present < self.tenants { present + 1 } else { present };
        own < (self.lines_max / sharing.max(1)).max(1)
    }

    /// How long an owner waits for its next line.
    fn rate_wait(&mut self, now: Instant, owner: LineOwner, limits: &OrganizationLimits) -> Option<Duration> {
        let (max, window_ms) = limits.rate_window()?;
        let (max, window) = (usize::try_from(max).unwrap_or(1), Duration::from_millis(window_ms.unsigned_abs()));
        if self.begun.len() > WINDOWS_MAX {
            // The longest window there can be is that of 0.01 a second.
            let is_open = |begun: &Instant| now.saturating_duration_since(*begun) < Duration::from_secs(100);
            self.begun.retain(|_, begun| begun.back().is_some_and(is_open));
        }
        let begun = self.begun.get_mut(&owner)?;
        while begun.front().is_some_and(|at| now.saturating_duration_since(*at) >= window) {
            begun.pop_front();
        }
        let first = begun.len().checked_sub(max).and_then(|at| begun.get(at))?;
        Some(window.saturating_sub(now.saturating_duration_since(*first)))
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::organization::Ancestor;

    fn ancestor(limits: OrganizationLimits) -> Ancestor {
        Ancestor { id: OrganizationId::new(), limits }
    }

    fn calls(max: u32) -> OrganizationLimits {
        OrganizationLimits { max_concurrent_calls: Some(max), ..OrganizationLimits::default() }
    }

    fn ask(lineage: &Lineage) -> AdmissionRequest<'_> {
        AdmissionRequest { lineage, trunk: None, spent: &[] }
    }

    #[test]
    fn children_and_grandchildren_count_for_everybody_above() {
        let (now, mut ledger) = (Instant::now(), LineCounts::new(100));
        let (root, child) = (ancestor(calls(3)), ancestor(calls(2)));
        let grandchild =
            Lineage::new(vec![ancestor(OrganizationLimits::default()), child.clone(), root.clone()]).unwrap();
        let child = Lineage::new(vec![child, root.clone()]).unwrap();
        let root = Lineage::new(vec![root]).unwrap();
        let busy = LimitExceededError::Concurrent { trunk: None };
        let one = ledger.admit(now, &ask(&grandchild)).unwrap();
        let _two = ledger.admit(now, &ask(&child)).unwrap();
        assert_eq!(ledger.admit(now, &ask(&grandchild)).unwrap_err(), busy, "the child's two are taken");
        let _three = ledger.admit(now, &ask(&root)).unwrap();
        assert_eq!(ledger.admit(now, &ask(&root)).unwrap_err(), busy, "of the root's three its child has two");
        ledger.release(&one);
        assert!(ledger.admit(now, &ask(&grandchild)).is_ok());
    }

    #[test]
    fn a_refused_line_is_counted_nowhere() {
        let (now, mut ledger) = (Instant::now(), LineCounts::new(100));
        let organization = Lineage::new(vec![ancestor(OrganizationLimits::default())]).unwrap();
        let (full, free) = (TrunkId::new(), TrunkId::new());
        let (one, none) = (calls(1), OrganizationLimits::default());
        let over = |trunk, limits| AdmissionRequest { trunk: Some((trunk, limits)), ..ask(&organization) };
        let line = ledger.admit(now, &over(full, &one)).unwrap();
        for _ in 0..10 {
            assert_eq!(
                ledger.admit(now, &over(full, &one)).unwrap_err(),
                LimitExceededError::Concurrent { trunk: Some(full) }
            );
        }
        assert!(ledger.admit(now, &over(free, &none)).is_ok());
        assert_eq!(ledger.held(), 2);
        ledger.release(&line);
        assert!(ledger.admit(now, &over(full, &one)).is_ok());
        assert_eq!((ledger.held(), ledger.lines.len()), (2, 3));
    }

    #[test]
    fn lines_of_other_processes_count_until_they_are_gone() {
        let (now, mut ledger) = (Instant::now(), LineCounts::new(100));
        let (own, trunk) = (ancestor(calls(5)), TrunkId::new());
        let (id, two) = (own.id, calls(2));
        let lineage = Lineage::new(vec![own]).unwrap();
        let request = AdmissionRequest { trunk: Some((trunk, &two)), ..ask(&lineage) };
        ledger.update_other_nodes(HashMap::from([(id, 4)]), HashMap::from([(trunk, 1)]), 1);
        let _one = ledger.admit(now, &request).unwrap();
        assert_eq!(ledger.admit(now, &request).unwrap_err(), LimitExceededError::Concurrent { trunk: None });
        ledger.update_other_nodes(HashMap::from([(id, 3)]), HashMap::from([(trunk, 1)]), 1);
        assert_eq!(ledger.admit(now, &request).unwrap_err(), LimitExceededError::Concurrent { trunk: Some(trunk) });
        ledger.update_other_nodes(HashMap::new(), HashMap::new(), 1);
        assert!(ledger.admit(now, &request).is_ok());
    }

    #[test]
    fn used_up_daily_limit_refuses_the_whole_family() {
        let (now, mut ledger) = (Instant::now(), LineCounts::new(100));
        let capped = ancestor(OrganizationLimits { max_minutes_per_day: Some(1), ..OrganizationLimits::default() });
        let root = capped.id;
        let child = Lineage::new(vec![ancestor(OrganizationLimits::default()), capped]).unwrap();
        let used = |seconds| [(root, DailyUsage { seconds, micros: 0 })];
        let request = |spent| AdmissionRequest { lineage: &child, trunk: None, spent };
        let (left, spent) = (used(59), used(60));
        assert!(ledger.admit(now, &request(&left)).is_ok());
        assert_eq!(ledger.admit(now, &request(&spent)).unwrap_err(), LimitExceededError::DailyLimit);
    }

    #[test]
    fn a_rate_holds_for_every_window_and_says_when_to_come_back() {
        let (start, mut ledger) = (Instant::now(), LineCounts::new(1_000));
        let limits = OrganizationLimits { calls_per_second: Some(2.0), ..OrganizationLimits::default() };
        let lineage = Lineage::new(vec![ancestor(limits)]).unwrap();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(ledger.admit(at(0), &ask(&lineage)).is_ok() && ledger.admit(at(600), &ask(&lineage)).is_ok());
        let refused = ledger.admit(at(900), &ask(&lineage)).unwrap_err();
        assert_eq!(refused, LimitExceededError::Rate { trunk: None, retry_after: Duration::from_millis(100) });
        assert!(ledger.admit(at(1_000), &ask(&lineage)).is_ok());
        assert!(ledger.admit(at(1_500), &ask(&lineage)).is_err() && ledger.admit(at(1_600), &ask(&lineage)).is_ok());
        let slow = OrganizationLimits { calls_per_second: Some(0.5), ..OrganizationLimits::default() };
        let slow = Lineage::new(vec![ancestor(slow)]).unwrap();
        assert!(ledger.admit(at(0), &ask(&slow)).is_ok() && ledger.admit(at(1_999), &ask(&slow)).is_err());
        assert!(ledger.admit(at(2_000), &ask(&slow)).is_ok());
    }

    #[test]
    fn last_lines_are_reserved_for_tenants_below_their_share() {
        let (now, mut ledger) = (Instant::now(), LineCounts::new(100));
        let [greedy, second, third] =
            [(); 3].map(|()| Lineage::new(vec![ancestor(OrganizationLimits::default())]).unwrap());
        ledger.update_other_nodes(HashMap::new(), HashMap::new(), 3);
        let admitted = (0..200).filter(|_| ledger.admit(now, &ask(&greedy)).is_ok()).count();
        assert_eq!(admitted, 90);
        assert_eq!(ledger.admit(now, &ask(&greedy)).unwrap_err(), LimitExceededError::FairShare);
        for lineage in [&second, &third].into_iter().cycle().take(10) {
            assert!(ledger.admit(now, &ask(lineage)).is_ok());
        }
        // One that is alone on its server has all of it.
        let mut ledger = LineCounts::new(100);
        ledger.update_other_nodes(HashMap::new(), HashMap::new(), 1);
        assert_eq!((0..150).filter(|_| ledger.admit(now, &ask(&greedy)).is_ok()).count(), 150);
    }

    #[test]
    fn a_limit_of_one_organization_does_not_look_like_a_server_out_of_order() {
        let rate = LimitExceededError::Rate { trunk: None, retry_after: Duration::from_millis(1_200) };
        let said =
            |denied: LimitExceededError| (denied.sip_status(), denied.retry_after_s(UnixMs(DAY_MS * 20_000 - 1_500)));
        assert_eq!(said(LimitExceededError::Concurrent { trunk: None }), (486, None));
        assert_eq!(said(rate), (480, Some(2)));
        assert_eq!(said(LimitExceededError::DailyLimit), (480, Some(2)), "until midnight");
        assert_eq!(said(LimitExceededError::FairShare).0, 503);
    }

    #[test]
    fn children_share_their_roots_part_of_the_server() {
        let (now, mut ledger) = (Instant::now(), LineCounts::new(100));
        let root = ancestor(OrganizationLimits::default());
        ledger.update_other_nodes(HashMap::new(), HashMap::new(), 2);
        let mut admitted = 0;
        for _ in 0..200 {
            let child = Lineage::new(vec![ancestor(OrganizationLimits::default()), root.clone()]).unwrap();
            admitted += usize::from(ledger.admit(now, &ask(&child)).is_ok());
        }
        assert_eq!(admitted, 90, "a hundred children are one tenant");
    }
}
