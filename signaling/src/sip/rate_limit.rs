//! Rate limits before parsing, at constant cost. The source of a datagram can be forged, so a datagram only uses the
//! budget of its own kind. Messages of known dialogs, transactions and challenges have a separate budget, and so have
//! connections, whose source is verified. No source is banned.

use crate::limits;
use hashlink::LruCache;
use std::collections::hash_map::RandomState;
use std::time::{Duration, Instant};
use trunkline_connections::{Bucket, Buckets, Rate, Site, Source};

/// Rate of a listed address and of one we call: a busy carrier gateway with 3,000 call set-ups per second.
const LISTED: Rate = Rate { per_s: 40_000.0, burst: 80_000.0 };
/// Of a source that has proven credentials: a hundred set-ups a second.
const PROVEN: Rate = Rate { per_s: 2_000.0, burst: 8_000.0 };
/// Rate per message kind of an unknown source: a PBX that starts 200 calls at once, with their ACKs.
const STRANGER: Rate = Rate { per_s: 50.0, burst: 400.0 };
/// Of the strangers of one network (IPv4 /24, IPv6 /48), so that many addresses of one attacker do not multiply the
/// limit.
const SITE: Rate = Rate { per_s: 200.0, burst: 1_600.0 };
/// Of all strangers together: answering them takes some 5 % of a core.
const STRANGERS: Rate = Rate { per_s: 2_000.0, burst: 4_000.0 };
/// Of messages of one source that belong to something of ours, where the source has used up everything else.
const BELONGING: Rate = Rate { per_s: 500.0, burst: 1_000.0 };
/// Lifetime of trust in a source: longer than a registration interval.
const TRUST: Duration = Duration::from_secs(2 * 3_600);
/// Time after which a formerly trusted source falls under the limits of all unknown sources.
const FAMILIAR: Duration = Duration::from_secs(24 * 3_600);
/// Wrong credentials of one source for one user name, by datagram: a phone retransmits an INVITE six times, and correct
/// credentials pass one second after the last wrong ones.
const GUESSES_DATAGRAM: Rate = Rate { per_s: 1.0, burst: 40.0 };
/// The same over connections, whose source is certain.
const GUESSES_STREAM: Rate = Rate { per_s: 0.1, burst: 20.0 };

/// Retry-After for a limited source, in seconds.
pub const GUESS_AGAIN_S: u32 = 10;

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// The source may be forged.
    Datagram,
    /// Over a connection.
    Stream,
}

/// Kind of a message before parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// INVITE.
    Invite,
    /// Every other SIP message.
    Other,
    /// Keep-alives, non-SIP data and messages without Via, which cannot be answered.
    Noise,
}

impl Kind {
    /// Looks at the lines of a datagram up to its first Via.
    pub fn of_datagram(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let is_empty = |line: &&[u8]| line.iter().all(|byte| matches!(byte, b'\r' | 0));
        let kind = match lines.find(|line| !is_empty(line)) {
            Some(line) if line.ends_with(b" SIP/2.0") && line.starts_with(b"INVITE ") => Self::Invite,
            // Other versions are answered as well.
            Some(line) if line.starts_with(b"SIP/") || line.windows(5).any(|part| part == b" SIP/") => Self::Other,
            _ => return Self::Noise,
        };
        let is_answerable = lines.take_while(|line| !line.is_empty()).any(is_via);
        if is_answerable { kind } else { Self::Noise }
    }
}

/// A header line that may hold a Via: its value may begin on the next line.
fn is_via(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let name = parts.next().unwrap_or_default().trim_ascii_end();
    let Some(value) = parts.next() else { return false };
    // Skips all white space the parser may skip.
    let mut start = value.iter().skip_while(|byte| !byte.is_ascii_graphic() || **byte == b',');
    let is_sip = b"SIP".iter().all(|wanted| start.next().is_some_and(|byte| byte.eq_ignore_ascii_case(wanted)));
    let is_blank = || value.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b',');
    (name.eq_ignore_ascii_case(b"via") || name.eq_ignore_ascii_case(b"v")) && (is_sip || is_blank())
}

/// Proof of the source of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guesser {
    /// Nothing: the source may be forged.
    Unproven,
    /// It answered a challenge sent to this source.
    Receives,
    /// It is connected.
    Connected,
}

/// Why a source is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It proved credentials, or is a trunk's caller.
    Proven,
    /// We sent it a request and expect responses.
    Called,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    bucket: Bucket,
    trust: Trust,
    since: Instant,
}

/// State per source. Every table is bounded, and a flood of addresses evicts only unknown sources.
#[derive(Debug)]
pub struct RateLimiter {
    listed: Buckets<Source>,
    known: LruCache<Source, Known, RandomState>,
    strangers: Buckets<(Source, Path, Kind)>,
    sites: Buckets<(Site, Path)>,
    all_datagrams: Bucket,
    all_streams: Bucket,
    belonging: Buckets<(Source, Path)>,
    guesses: Buckets<(Source, Guesser, u64)>,
    hasher: RandomState,
}

impl RateLimiter {
    pub fn new(now: Instant) -> Self {
        Self {
            listed: Buckets::new(limits::SOURCES_MAX),
            known: LruCache::with_hasher(limits::SOURCES_MAX, RandomState::new()),
            strangers: Buckets::new(limits::SOURCES_MAX),
            sites: Buckets::new(limits::SOURCES_MAX),
            all_datagrams: Bucket::full(now, STRANGERS),
            all_streams: Bucket::full(now, STRANGERS),
            belonging: Buckets::new(limits::SOURCES_MAX),
            guesses: Buckets::new(limits::SOURCES_MAX),
            hasher: RandomState::new(),
        }
    }

    /// Whether a message is read. `is_listed`: its source is on a trunk's list. Non-SIP data of unknown sources is
    /// dropped without using any budget.
    pub fn admit(&mut self, now: Instant, source: Source, path: Path, kind: Kind, is_listed: bool) -> bool {
        if is_listed {
            return self.listed.take(now, source, LISTED);
        }
        if let Some(known) = self.known.get_mut(&source) {
            let age = now.saturating_duration_since(known.since);
            let rate = match known.trust {
                Trust::Called => LISTED,
                Trust::Proven => PROVEN,
            };
            if age < TRUST {
                return known.bucket.take(now, rate);
            }
            if age < FAMILIAR {
                return kind != Kind::Noise && self.strangers.take(now, (source, path, kind), STRANGER);
            }
        }
        let all = match path {
            Path::Datagram => &mut self.all_datagrams,
            Path::Stream => &mut self.all_streams,
        };
        kind != Kind::Noise
            && self.strangers.take(now, (source, path, kind), STRANGER)
            && self.sites.take(now, (source.site(), path), SITE)
            && all.take(now, STRANGERS)
    }

    /// Whether a message is read that belongs to something of ours, where the source has no room left otherwise.
    pub fn admit_belonging(&mut self, now: Instant, source: Source, path: Path) -> bool {
        self.belonging.take(now, (source, path), BELONGING)
    }

    /// The source is no stranger from now on.
    pub fn trust(&mut self, now: Instant, source: Source, trust: Trust) {
        let rate = match trust {
            Trust::Called => LISTED,
            Trust::Proven => PROVEN,
        };
        match self.known.get_mut(&source) {
            Some(known) => {
                let holds = now.saturating_duration_since(known.since) < TRUST;
                if !(holds && known.trust == Trust::Called) {
                    known.trust = trust;
                }
                known.since = now;
            }
            None => {
                self.known.insert(source, Known { bucket: Bucket::full(now, rate), trust, since: now });
            }
        }
    }

    /// Whether further credentials for that user name are looked at.
    pub fn may_guess(&mut self, now: Instant, source: Source, guesser: Guesser, username: &str) -> bool {
        let key = (source, guesser, self.hash(username));
        self.guesses.holds(now, key, guesses(guesser))
    }

    /// Credentials were wrong.
    pub fn guessed_wrong(&mut self, now: Instant, source: Source, guesser: Guesser, username: &str) {
        let key = (source, guesser, self.hash(username));
        self.guesses.take(now, key, guesses(guesser));
    }

    fn hash(&self, username: &str) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, username)
    }
}

fn guesses(guesser: Guesser) -> Rate {
    match guesser {
        Guesser::Unproven | Guesser::Receives => GUESSES_DATAGRAM,
        Guesser::Connected => GUESSES_STREAM,
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use Path::{Datagram, Stream};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v4(n: u32) -> Source {
        Source::of(Ipv4Addr::from(0x0A00_0000 + n).into())
    }

    fn v6(network: u64, host: u64) -> Source {
        Source::of(Ipv6Addr::from((0x2001_0DB8_u128 << 96) + (u128::from(network) << 64) + u128::from(host)).into())
    }

    fn heard(limiter: &mut RateLimiter, now: Instant, source: Source, path: Path, listed: bool) -> usize {
        (0..10_000).filter(|_| limiter.admit(now, source, path, Kind::Invite, listed)).count()
    }

    #[test]
    fn strangers_are_limited_and_the_known_are_not() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        assert_eq!(heard(&mut limiter, now, v4(1), Datagram, false), 400);
        assert_eq!(heard(&mut limiter, now, v4(2), Datagram, true), 10_000);
        limiter.trust(now, v4(1), Trust::Called);
        assert_eq!(heard(&mut limiter, now, v4(1), Datagram, false), 10_000);
        let all: usize = (1..200).map(|n| heard(&mut limiter, now, v4(n << 8), Datagram, false)).sum();
        assert_eq!(all, 3_600, "of all strangers together, with the first one");
        assert_eq!(heard(&mut limiter, now, v4(3), Datagram, true), 10_000, "which takes nothing from the listed");
        assert_eq!(heard(&mut limiter, now, v4(9 << 8), Stream, false), 400, "nor from connections");
    }

    #[test]
    fn a_flood_from_everywhere_keeps_out_neither_the_listed_nor_the_familiar() {
        let mut now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let (listed, proven, familiar) = (v4(1), v4(0xB0_00_01), v4(0xC0_00_01));
        limiter.trust(now, familiar, Trust::Proven);
        now += TRUST + Duration::from_secs(60);
        limiter.trust(now, proven, Trust::Proven);
        for n in 0..300_000_u32 {
            let source = match n % 3 {
                0 => v4(0x40_00_00 + n),
                1 => v6(u64::from(n), 1),
                _ => v6(7, u64::from(n)),
            };
            limiter.admit(now, source, Datagram, Kind::Invite, false);
            now += Duration::from_micros(10);
            if n % 1_000 == 0 {
                assert!(limiter.admit(now, listed, Datagram, Kind::Invite, true));
                assert!(limiter.admit(now, proven, Datagram, Kind::Invite, false));
            }
            if n % 20_000 == 0 {
                assert!(limiter.admit(now, familiar, Datagram, Kind::Invite, false), "after {n}");
            }
        }
        let remembered = [limiter.strangers.len(), limiter.sites.len()];
        assert!(remembered.iter().all(|count| *count <= limits::SOURCES_MAX), "{remembered:?}");
        assert_eq!(limiter.known.len(), 2);
    }

    #[test]
    fn the_addresses_of_one_network_are_one_stranger_or_one_site() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let host = (0..10_000).filter(|n| limiter.admit(now, v6(1, *n), Datagram, Kind::Invite, false)).count();
        assert_eq!(host, 400, "of a /64");
        let site =
            (0..10_000).filter(|n| limiter.admit(now, v6(0x1_0000 + n % 0x1_0000, 1), Datagram, Kind::Invite, false));
        assert_eq!(site.count(), 1_600, "of a /48");
        assert_eq!(heard(&mut limiter, now, v6(0x9_0000, 1), Datagram, false), 400, "and another one is not touched");
    }

    #[test]
    fn what_is_forged_takes_room_only_from_its_own_kind() {
        let mut now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        for _ in 0..100_000 {
            limiter.admit(now, v4(1), Datagram, Kind::Invite, false);
            now += Duration::from_micros(100);
        }
        assert!(limiter.admit_belonging(now, v4(1), Datagram), "a message of its dialog");
        assert!(limiter.admit(now, v4(1), Stream, Kind::Invite, false), "a connection from there");
        assert!(limiter.admit(now, v4(1), Datagram, Kind::Other, false), "another kind of request");
        assert!((0..10_000).all(|_| !limiter.admit(now, v4(2), Datagram, Kind::Noise, false)));
        assert!(limiter.admit(now, v4(2), Datagram, Kind::Invite, false), "noise takes nothing away");
        now += Duration::from_secs(1);
        assert!(limiter.admit(now, v4(1), Datagram, Kind::Invite, false), "and a call, as soon as the flood ends");
    }

    #[test]
    fn guesses_are_limited_by_user_and_by_what_speaks_for_the_source() {
        let mut now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let guess = |limiter: &mut RateLimiter, now, guesser, user| {
            let may = limiter.may_guess(now, v4(1), guesser, user);
            limiter.guessed_wrong(now, v4(1), guesser, user);
            may
        };
        let count =
            |limiter: &mut RateLimiter, now, guesser| (0..500).filter(|_| guess(limiter, now, guesser, "a")).count();
        assert_eq!(count(&mut limiter, now, Guesser::Connected), 20);
        assert_eq!(count(&mut limiter, now, Guesser::Unproven), 40, "forged ones are their own kind");
        assert!(limiter.may_guess(now, v4(1), Guesser::Receives, "a"));
        assert!(limiter.may_guess(now, v4(1), Guesser::Connected, "b"), "another user");
        assert!(limiter.may_guess(now, v4(2), Guesser::Connected, "a"), "another source");
        now += Duration::from_millis(1_100);
        assert!(limiter.may_guess(now, v4(1), Guesser::Unproven, "a"), "by datagram soon again");
        assert!(!limiter.may_guess(now, v4(1), Guesser::Connected, "a"));
        now += Duration::from_secs(10);
        assert!(limiter.may_guess(now, v4(1), Guesser::Connected, "a"));
        assert!((0..1_000).all(|_| limiter.may_guess(now, v4(1), Guesser::Connected, "a")), "right ones do not count");
    }

    #[test]
    fn noise_is_what_nobody_could_be_answered_for() {
        for (bytes, kind) in [
            (&b"INVITE sip:a@b SIP/2.0\r\nX: y\r\nvia : sip/2.0/UDP h"[..], Kind::Invite),
            (b"\r\n\r\nINVITE sip:a@b SIP/2.0\nv:,SIP / 2.0 / UDP h\n", Kind::Invite),
            (b"INVITE sip:a@b SIP/2.0\r\nVia:\r\n SIP/2.0/UDP h\r\n", Kind::Invite),
            (b"INVITE sip:a@b SIP/2.0\r\nVia: \r,\xC2\xA0SIP/2.0/UDP h\r\n", Kind::Invite),
            (b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;x=\xE9\r\n", Kind::Invite),
            (b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\nVia: SIP/2.0/UDP h\r\n", Kind::Other),
            (b"INVITE sip:a@b SIP/3.0\r\nVia: SIP/2.0/UDP h\r\n", Kind::Other),
            (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n", Kind::Other),
            (b"INVITE sip:a@b SIP/2.0\r\nX: y", Kind::Noise),
            (
                b"INVITE sip:a@b SIP/2.0\r\nVia\r\nVia: \xff\r\nViaduct: SIP/2.0/UDP h\r\n\r\nVia: SIP/2.0/UDP h",
                Kind::Noise,
            ),
            (b"SIP/2.0 200 OK\r\n", Kind::Noise),
            (b"", Kind::Noise),
            (b"\r\n\r\n", Kind::Noise),
            (b"\0\0\0", Kind::Noise),
            (b"jaK", Kind::Noise),
            (b"GET / HTTP/1.1\r\nX: SIP/2.0", Kind::Noise),
            (b"\x00\x01\x00\x00\x21\x12\xa4\x42", Kind::Noise),
            (b"INVITE", Kind::Noise),
        ] {
            assert_eq!(Kind::of_datagram(bytes), kind, "{bytes:?}");
        }
    }
}
