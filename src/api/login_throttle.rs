//! Throttles password guesses. Each guess is counted before it is tried, so parallel guesses cannot exceed a limit; a
//! right password is uncounted. Pure: time is an argument.
//!
//! Guesses are counted by source, so that strangers cannot lock a user out:
//! - one source has few guesses at an account;
//! - while many sources guess at an account, each new one has a single guess, and above a bound none;
//! - sources that an account was logged in from before are never shut out by others' guesses: they keep their few, for
//!   the accounts they have opened.
//!
//! Addresses without an account are counted the same way.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash};
use std::net::{IpAddr, Ipv6Addr};

/// Wrong guesses of one source at one account in [`PAIR_WINDOW_S`]: as many as people need who mistype.
const PAIR_GUESSES_MAX: u32 = 5;
const PAIR_WINDOW_S: u64 = 300;
/// Wrong guesses at one account, from everywhere, in [`ACCOUNT_WINDOW_S`]: above the first each new source has one
/// guess, above the second none. With passwords of ten characters and more, 200 an hour find nothing.
const ACCOUNT_GUESSES_FREE: u32 = 20;
const ACCOUNT_GUESSES_MAX: u32 = 200;
const ACCOUNT_WINDOW_S: u64 = 3_600;
/// Wrong guesses of one IPv6 network of 48 bits at one account in [`PAIR_WINDOW_S`]: anybody is given such a network, with
/// 65,536 sources in it. One alone does not reach [`ACCOUNT_GUESSES_MAX`].
const NETWORK_GUESSES_MAX: u32 = 10;
/// Entries of each table. Every entry costs a guesser one hash, of which a server computes some 60 a second: 18,000 in five
/// minutes, 216,000 in an hour. At the bound the oldest entry is forgotten.
const PAIRS_MAX: usize = 65_536;
const ACCOUNTS_MAX: usize = 131_072;

/// Counts for each key, over a window that begins with its first count.
#[derive(Debug)]
struct GuessWindows<K> {
    length_s: u64,
    entries_max: usize,
    counts: HashMap<K, GuessWindow>,
    /// The beginning of each window, the oldest first.
    order: VecDeque<(u64, K)>,
}

#[derive(Clone, Copy, Debug)]
struct GuessWindow {
    since_s: u64,
    count: u32,
}

impl<K: Copy + Eq + Hash> GuessWindows<K> {
    fn new(length_s: u64, entries_max: usize) -> Self {
        Self { length_s, entries_max, counts: HashMap::new(), order: VecDeque::new() }
    }

    fn is_over(&self, since_s: u64, now_s: u64) -> bool {
        since_s.saturating_add(self.length_s) <= now_s
    }

    fn count(&self, key: K, now_s: u64) -> u32 {
        self.counts.get(&key).filter(|window| !self.is_over(window.since_s, now_s)).map_or(0, |window| window.count)
    }

    /// Seconds until the key's window is over, one at least.
    fn wait_s(&self, key: K, now_s: u64) -> u64 {
        let since_s = self.counts.get(&key).map_or(now_s, |window| window.since_s);
        since_s.saturating_add(self.length_s).saturating_sub(now_s).clamp(1, self.length_s)
    }

    fn forget_oldest(&mut self) {
        let Some((since_s, key)) = self.order.pop_front() else { return };
        // A key whose window has started again has a newer entry in the order.
        if self.counts.get(&key).is_some_and(|window| window.since_s == since_s) {
            self.counts.remove(&key);
        }
    }

    fn add(&mut self, key: K, now_s: u64) {
        while self.order.front().is_some_and(|(since_s, _)| self.is_over(*since_s, now_s)) {
            self.forget_oldest();
        }
        match self.counts.get_mut(&key) {
            Some(window) if window.since_s.saturating_add(self.length_s) > now_s => {
                window.count = window.count.saturating_add(1);
            }
            _ => {
                while self.order.len() >= self.entries_max {
                    self.forget_oldest();
                }
                self.counts.insert(key, GuessWindow { since_s: now_s, count: 1 });
                self.order.push_back((now_s, key));
            }
        }
    }

    fn take_back(&mut self, key: K) {
        if let Some(window) = self.counts.get_mut(&key) {
            window.count = window.count.saturating_sub(1);
        }
    }
}

/// A login attempt that is in progress.
#[derive(Debug)]
#[must_use]
pub(super) struct LoginAttempt {
    account: u64,
    source: IpAddr,
    counts_for_all: bool,
    /// Seconds to report in Retry-After.
    pub wait_s: u64,
}

/// What may be done with a guess.
#[derive(Debug)]
pub(super) enum ThrottleDecision {
    Try(LoginAttempt),
    /// Only at accounts that were logged in from this source before.
    TryIfFamiliar(LoginAttempt),
    Refuse {
        wait_s: u64,
    },
}

/// The guesses of this process.
#[derive(Debug)]
pub(super) struct LoginThrottle {
    /// Hashes account names with a random seed, so that clients cannot choose collisions.
    hasher: RandomState,
    pairs: GuessWindows<(u64, IpAddr)>,
    networks: GuessWindows<(u64, Ipv6Addr)>,
    accounts: GuessWindows<u64>,
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            pairs: GuessWindows::new(PAIR_WINDOW_S, PAIRS_MAX),
            networks: GuessWindows::new(PAIR_WINDOW_S, PAIRS_MAX),
            accounts: GuessWindows::new(ACCOUNT_WINDOW_S, ACCOUNTS_MAX),
        }
    }
}

/// The IPv6 network of 48 bits around a source.
fn network(source: IpAddr) -> Option<Ipv6Addr> {
    match source {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

impl LoginThrottle {
    /// Counts a guess at an account, by its name, from a source (an IPv4 address or the first of an IPv6 /64).
    pub(super) fn begin(&mut self, account: &str, source: IpAddr, now_s: u64) -> ThrottleDecision {
        let account = self.hasher.hash_one(account);
        let pair = (account, source);
        let own = self.pairs.count(pair, now_s);
        if own >= PAIR_GUESSES_MAX {
            return ThrottleDecision::Refuse { wait_s: self.pairs.wait_s(pair, now_s) };
        }
        self.pairs.add(pair, now_s);
        let everybodys = self.accounts.count(account, now_s);
        let of_network = network(source).map_or(0, |network| self.networks.count((account, network), now_s));
        let wait_s = if everybodys >= ACCOUNT_GUESSES_MAX {
            self.accounts.wait_s(account, now_s)
        } else {
            self.pairs.wait_s(pair, now_s)
        };
        let is_spent = everybodys >= ACCOUNT_GUESSES_MAX
            || (everybodys >= ACCOUNT_GUESSES_FREE && own > 0)
            || of_network >= NETWORK_GUESSES_MAX;
        if is_spent {
            return ThrottleDecision::TryIfFamiliar(LoginAttempt { account, source, counts_for_all: false, wait_s });
        }
        self.accounts.add(account, now_s);
        if let Some(network) = network(source) {
            self.networks.add((account, network), now_s);
        }
        ThrottleDecision::Try(LoginAttempt { account, source, counts_for_all: true, wait_s })
    }

    /// Uncounts a guess that was right or was never tried.
    pub(super) fn take_back(&mut self, guess: &LoginAttempt) {
        self.pairs.take_back((guess.account, guess.source));
        if guess.counts_for_all {
            self.accounts.take_back(guess.account);
            if let Some(network) = network(guess.source) {
                self.networks.take_back((guess.account, network));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "owner@example.com";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn v4(n: u32) -> IpAddr {
        IpAddr::from((0x0A00_0000 + n).to_be_bytes())
    }

    /// How many wrong guesses are tried of those that one source makes at one moment.
    fn tried(throttle: &mut LoginThrottle, account: &str, source: IpAddr, guesses: u32, now_s: u64) -> usize {
        (0..guesses).filter(|_| matches!(throttle.begin(account, source, now_s), ThrottleDecision::Try(_))).count()
    }

    fn may_try(throttle: &mut LoginThrottle, account: &str, source: IpAddr, now_s: u64) -> bool {
        match throttle.begin(account, source, now_s) {
            ThrottleDecision::Try(guess) => {
                throttle.take_back(&guess);
                true
            }
            ThrottleDecision::TryIfFamiliar(guess) => {
                throttle.take_back(&guess);
                false
            }
            ThrottleDecision::Refuse { .. } => false,
        }
    }

    #[test]
    fn of_sixty_guesses_at_one_moment_five_are_tried() {
        let mut throttle = LoginThrottle::default();
        assert_eq!(tried(&mut throttle, OWNER, v4(1), 60, 1_000), 5);
        assert_eq!(tried(&mut throttle, OWNER, v4(1), 60, 1_299), 0);
        assert_eq!(tried(&mut throttle, OWNER, v4(1), 60, 1_300), 5);
    }

    #[test]
    fn guesses_of_one_source_do_not_lock_out_others() {
        let mut throttle = LoginThrottle::default();
        tried(&mut throttle, OWNER, v4(1), 60, 1_000);
        assert!(may_try(&mut throttle, OWNER, v4(2), 1_000));
        assert!(may_try(&mut throttle, "other@example.com", v4(1), 1_000));
        let ThrottleDecision::Refuse { wait_s } = throttle.begin(OWNER, v4(1), 1_100) else { panic!("is tried") };
        assert_eq!(wait_s, 200);
    }

    #[test]
    fn right_passwords_use_nothing_up_and_give_nothing_back_of_others() {
        let mut throttle = LoginThrottle::default();
        for _ in 0..100 {
            assert!(may_try(&mut throttle, OWNER, v4(1), 1_000));
        }
        // A guesser with an account of the same name elsewhere logs in between guesses: the guesses stay counted.
        let mut wrong = 0;
        for _ in 0..20 {
            wrong += tried(&mut throttle, OWNER, v4(1), 1, 1_000);
            may_try(&mut throttle, OWNER, v4(1), 1_000);
        }
        assert_eq!(wrong, 5);
    }

    #[test]
    fn under_guesses_from_many_sources_each_new_one_has_one_and_familiar_ones_keep_theirs() {
        let mut throttle = LoginThrottle::default();
        let all: usize = (0..20).map(|n| tried(&mut throttle, OWNER, v4(n), 5, 1_000)).sum();
        // Four sources had five each; of the others each had one.
        assert_eq!(all, 4 * 5 + 16);
        assert!(may_try(&mut throttle, OWNER, v4(500), 1_000), "a new source has one guess");
        let all: usize = (1_000..2_000).map(|n| tried(&mut throttle, OWNER, v4(n), 5, 1_000)).sum();
        assert_eq!(all, 200 - 36);
        for n in 0..5 {
            let verdict = throttle.begin(OWNER, v4(501), 1_000 + n);
            assert!(matches!(verdict, ThrottleDecision::TryIfFamiliar(_)), "{verdict:?}");
        }
        assert!(matches!(throttle.begin(OWNER, v4(501), 1_005), ThrottleDecision::Refuse { .. }), "five from anywhere");
        assert!(may_try(&mut throttle, OWNER, v4(500), 1_000 + ACCOUNT_WINDOW_S));
        assert!(may_try(&mut throttle, "other@example.com", v4(502), 1_000));
    }

    #[test]
    fn sources_of_one_ipv6_network_count_together() {
        let mut throttle = LoginThrottle::default();
        let source = |n: u16| IpAddr::from([0x2001, 0xdb8, 1, n, 0, 0, 0, 0]);
        let all: usize = (0..100).map(|n| tried(&mut throttle, OWNER, source(n), 1, 1_000)).sum();
        assert_eq!(all, 10);
        assert!(may_try(&mut throttle, OWNER, ip("2001:db8:2::"), 1_000));
    }

    #[test]
    fn a_clock_that_steps_back_allows_nothing_more() {
        let mut throttle = LoginThrottle::default();
        tried(&mut throttle, OWNER, v4(1), 5, 1_000);
        assert_eq!(tried(&mut throttle, OWNER, v4(1), 5, 10), 0);
        let ThrottleDecision::Refuse { wait_s } = throttle.begin(OWNER, v4(1), 10) else { panic!("is tried") };
        assert_eq!(wait_s, PAIR_WINDOW_S);
    }

    #[test]
    fn tables_are_bounded_and_forget_the_oldest() {
        let mut windows = GuessWindows::new(100, 10);
        for n in 0..1_000_u64 {
            windows.add(n, n / 100);
            assert!(windows.counts.len() <= 10 && windows.order.len() <= 10);
        }
        assert_eq!((windows.count(989, 9), windows.count(999, 9)), (0, 1));
        // What is over is forgotten without being asked for.
        windows.add(5_000, 1_000);
        assert_eq!((windows.counts.len(), windows.order.len()), (1, 1));
        windows.take_back(5_000);
        windows.take_back(5_000);
        assert_eq!(windows.count(5_000, 1_000), 0);
    }

    #[test]
    fn a_window_that_begins_anew_is_not_ended_by_the_one_before() {
        let mut windows = GuessWindows::new(100, 3);
        // The clock has stepped back: the second key's first window is over, and stands behind one that is not.
        for (key, now_s) in [(1, 2_000), (2, 100), (2, 300), (3, 310), (4, 310)] {
            windows.add(key, now_s);
        }
        assert_eq!((windows.count(1, 310), windows.count(2, 310)), (0, 1));
    }
}
