//! Who may cost us work: decided by the source's address before a message is parsed. Scanners and floods are dropped
//! for the price of a look into a table; who is known has a limit too, one that no carrier reaches.

use crate::limits;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Messages a second and at once of an address nobody has vouched for.
const STRANGER: Rate = Rate { per_s: 50.0, burst: 200.0 };
/// The same of all of them together.
const STRANGERS: Rate = Rate { per_s: 2_000.0, burst: 4_000.0 };
/// A carrier's busiest gateway: 3,000 set-ups a second and everything that belongs to them.
const KNOWN: Rate = Rate { per_s: 40_000.0, burst: 80_000.0 };
/// Refusals in a row that make a stranger a scanner.
const STRIKES_MAX: u8 = 20;
/// How long a scanner is not heard; doubled each time.
const BAN_MIN: Duration = Duration::from_secs(60);
const BAN_MAX: Duration = Duration::from_secs(3_600);
/// How long somebody who proved who they are, or whom we called, stays known.
const TRUST: Duration = Duration::from_secs(600);
/// A source that was not heard for this long is forgotten.
const FORGET: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug)]
struct Rate {
    per_s: f32,
    burst: f32,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f32,
    at: Instant,
}

impl Bucket {
    fn full(now: Instant, rate: Rate) -> Self {
        Self { level: rate.burst, at: now }
    }

    fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f32();
        self.level = (self.level + passed * rate.per_s).min(rate.burst);
        self.at = now;
        let enough = self.level >= 1.0;
        if enough {
            self.level -= 1.0;
        }
        enough
    }
}

#[derive(Clone, Copy, Debug)]
struct Source {
    bucket: Bucket,
    known_until: Option<Instant>,
    strikes: u8,
    banned_until: Option<Instant>,
    ban: Duration,
}

#[derive(Debug)]
pub struct Shield {
    sources: HashMap<IpAddr, Source>,
    strangers: Bucket,
    /// Strangers for whom there was no place in the table.
    others: Bucket,
}

impl Shield {
    pub fn new(now: Instant) -> Self {
        Self { sources: HashMap::new(), strangers: Bucket::full(now, STRANGERS), others: Bucket::full(now, STRANGER) }
    }

    /// Whether a message from there is worth reading. `is_listed`: the address is on a trunk's list.
    pub fn admit(&mut self, now: Instant, ip: IpAddr, is_listed: impl FnOnce() -> bool) -> bool {
        let Some(source) = self.source(now, ip) else {
            return self.others.take(now, STRANGER) && self.strangers.take(now, STRANGERS);
        };
        if source.banned_until.is_some_and(|until| until > now) {
            return false;
        }
        let known = match source.known_until {
            Some(until) if until > now => true,
            _ if is_listed() => {
                source.known_until = Some(now + TRUST);
                true
            }
            _ => false,
        };
        if known {
            return source.bucket.take(now, KNOWN);
        }
        // What is not used of a known source's bucket is not a stranger's.
        source.bucket.level = source.bucket.level.min(STRANGER.burst);
        source.bucket.take(now, STRANGER) && self.strangers.take(now, STRANGERS)
    }

    /// Somebody proved who they are, or we asked them something: they are heard.
    pub fn trust(&mut self, now: Instant, ip: IpAddr) {
        if let Some(source) = self.source(now, ip) {
            source.known_until = Some(now + TRUST);
            source.strikes = 0;
            source.banned_until = None;
        }
    }

    /// A request that was nobody's business of ours, or unreadable.
    pub fn strike(&mut self, now: Instant, ip: IpAddr) {
        let Some(source) = self.source(now, ip) else { return };
        if source.known_until.is_some_and(|until| until > now) {
            return;
        }
        source.strikes += 1;
        if source.strikes >= STRIKES_MAX {
            source.strikes = 0;
            source.banned_until = Some(now + source.ban);
            source.ban = (source.ban * 2).min(BAN_MAX);
        }
    }

    /// Lists have changed: who was known by them has to be on them again.
    pub fn forget(&mut self) {
        for source in self.sources.values_mut() {
            source.known_until = None;
        }
    }

    fn source(&mut self, now: Instant, ip: IpAddr) -> Option<&mut Source> {
        let ip = ip.to_canonical();
        if !self.sources.contains_key(&ip) && self.sources.len() >= limits::SOURCES_MAX {
            self.sources.retain(|_, source| {
                let holds = |until: Option<Instant>| until.is_some_and(|until| until > now);
                holds(source.banned_until) || holds(source.known_until) || source.bucket.at + FORGET > now
            });
            if self.sources.len() >= limits::SOURCES_MAX {
                return None;
            }
        }
        Some(self.sources.entry(ip).or_insert_with(|| Source {
            bucket: Bucket::full(now, KNOWN),
            known_until: None,
            strikes: 0,
            banned_until: None,
            ban: BAN_MIN,
        }))
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u32) -> IpAddr {
        IpAddr::from((0x0A00_0000 + last).to_be_bytes())
    }

    #[test]
    fn strangers_are_limited_and_the_known_are_not() {
        let start = Instant::now();
        let mut shield = Shield::new(start);
        let heard =
            |shield: &mut Shield, who, listed| (0..10_000).filter(|_| shield.admit(start, who, || listed)).count();
        assert_eq!(heard(&mut shield, ip(1), false), 200);
        assert_eq!(heard(&mut shield, ip(2), true), 10_000);
        shield.trust(start, ip(1));
        assert!(heard(&mut shield, ip(1), false) < 10, "the bucket fills again, at the speed of the known");
        let all = (100..200).map(|last| heard(&mut shield, ip(last), false)).sum::<usize>();
        assert!(all <= 4_000, "{all} of all strangers together");
        assert_eq!(heard(&mut shield, ip(2), true), 10_000, "which takes nothing from the known");
    }

    #[test]
    fn a_scanner_is_not_heard_for_longer_each_time() {
        let mut now = Instant::now();
        let mut shield = Shield::new(now);
        for wait_s in [60, 120, 240] {
            for _ in 0..STRIKES_MAX {
                assert!(shield.admit(now, ip(1), || false));
                shield.strike(now, ip(1));
            }
            now += Duration::from_secs(wait_s - 1);
            assert!(!shield.admit(now, ip(1), || false), "{wait_s}");
            now += Duration::from_secs(2);
        }
        shield.trust(now, ip(2));
        (0..100).for_each(|_| shield.strike(now, ip(2)));
        assert!(shield.admit(now, ip(2), || false), "who is known may err");
    }

    #[test]
    fn a_flood_of_addresses_does_not_fill_the_memory() {
        let now = Instant::now();
        let mut shield = Shield::new(now);
        for last in 0..limits::SOURCES_MAX as u32 + 1_000 {
            shield.admit(now, ip(last), || false);
        }
        assert_eq!(shield.sources.len(), limits::SOURCES_MAX);
        let later = now + FORGET + FORGET;
        assert!(shield.admit(later, ip(9_000_000), || false));
        assert_eq!(shield.sources.len(), 1);
    }
}
