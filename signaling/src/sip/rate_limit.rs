//! Rate limits before parsing, at constant cost. The source of a datagram can be forged, so each kind of datagram uses
//! its own budget. Messages of known dialogs, transactions and challenges have a separate budget, and so have
//! connections, whose source is verified. No source is banned.

use crate::limits;
use hashlink::LruCache;
use std::collections::hash_map::RandomState;
use std::time::{Duration, Instant};
use trunkline_connections::{KeyedTokenBuckets, SourceAddress, SourceNetwork, TokenBucket, TokenRate};

/// Rate of a listed address and of one we call: a busy carrier gateway with 3,000 call set-ups per second.
const LISTED_SOURCE_RATE: TokenRate = TokenRate { per_s: 40_000.0, burst: 80_000.0 };
/// Of a source that has proven credentials: a hundred set-ups a second.
const AUTHENTICATED_SOURCE_RATE: TokenRate = TokenRate { per_s: 2_000.0, burst: 8_000.0 };
/// Rate per message kind of an unknown source: a PBX that starts 200 calls at once, with their ACKs.
const UNKNOWN_SOURCE_RATE: TokenRate = TokenRate { per_s: 50.0, burst: 400.0 };
/// Of the strangers of one network (IPv4 /24, IPv6 /48), so that many addresses of one attacker do not multiply the
/// limit.
const UNKNOWN_NETWORK_RATE: TokenRate = TokenRate { per_s: 200.0, burst: 1_600.0 };
/// Of all strangers together: answering them takes some 5 % of a core.
const UNKNOWN_TOTAL_RATE: TokenRate = TokenRate { per_s: 2_000.0, burst: 4_000.0 };
/// Of messages of one source that belong to something of ours, where the source has used up everything else.
const KNOWN_TRAFFIC_RATE: TokenRate = TokenRate { per_s: 500.0, burst: 1_000.0 };
/// Lifetime of trust in a source: longer than a registration interval.
const TRUST_LIFETIME: Duration = Duration::from_secs(2 * 3_600);
/// Time after which a formerly trusted source falls under the limits of all unknown sources.
const FAMILIAR_LIFETIME: Duration = Duration::from_secs(24 * 3_600);
/// Wrong credentials of one source for one user name, by datagram: a phone retransmits an INVITE six times, and correct
/// credentials pass one second after the last wrong ones.
const WRONG_CREDENTIALS_DATAGRAM: TokenRate = TokenRate { per_s: 1.0, burst: 40.0 };
/// The same over connections, whose source is certain.
const WRONG_CREDENTIALS_STREAM: TokenRate = TokenRate { per_s: 0.1, burst: 20.0 };

/// Retry-After for a limited source, in seconds.
pub const WRONG_CREDENTIALS_RETRY_AFTER_S: u32 = 10;

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceTransport {
    /// The source may be forged.
    Datagram,
    /// Over a connection.
    Stream,
}

/// Kind of a message before parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// INVITE.
    Invite,
    /// Every other SIP message.
    Other,
    /// Keep-alives, non-SIP data and messages without Via, which cannot be answered.
    NotSip,
}

impl MessageKind {
    /// Looks at the lines of a datagram up to its first Via.
    pub fn classify_datagram(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let is_empty = |line: &&[u8]| line.iter().all(|byte| matches!(byte, b'\r' | 0));
        let kind = match lines.find(|line| !is_empty(line)) {
            Some(line) if is_invite(line) => Self::Invite,
            // An ACK needs no Via: nothing answers it.
            Some(line) if line.starts_with(b"ACK ") && has_version(line) => return Self::Other,
            // Other versions are answered as well.
            Some(line) if has_version(line) => Self::Other,
            _ => return Self::NotSip,
        };
        let is_answerable = lines.take_while(|line| !line.is_empty()).any(is_via);
        if is_answerable { kind } else { Self::NotSip }
    }
}

fn is_invite(line: &[u8]) -> bool {
    let has_end = |end: &[u8; 8]| end.eq_ignore_ascii_case(b" SIP/2.0");
    line.starts_with(b"INVITE ") && line.last_chunk().is_some_and(has_end)
}

/// A start line, of whatever version of SIP.
fn has_version(line: &[u8]) -> bool {
    let is_response = line.first_chunk().is_some_and(|start: &[u8; 4]| start.eq_ignore_ascii_case(b"SIP/"));
    is_response || line.windows(5).any(|part| part.eq_ignore_ascii_case(b" SIP/"))
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
pub enum SourceProof {
    /// Nothing: the source may be forged.
    Unverified,
    /// It answered a challenge sent to this source.
    ReceivedChallenge,
    /// It is connected.
    Connected,
}

/// Why a source is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceTrust {
    /// It proved credentials, or is a trunk's caller.
    Authenticated,
    /// We sent it a request and expect responses.
    CalledByUs,
}

#[derive(Clone, Copy, Debug)]
struct TrustedSource {
    bucket: TokenBucket,
    trust: SourceTrust,
    since: Instant,
}

/// State per source. Every table is bounded, and a flood of addresses evicts only unknown sources.
#[derive(Debug)]
pub struct RateLimiter {
    listed: KeyedTokenBuckets<SourceAddress>,
    trusted: LruCache<SourceAddress, TrustedSource, RandomState>,
    unknown_sources: KeyedTokenBuckets<(SourceAddress, SourceTransport, MessageKind)>,
    unknown_networks: KeyedTokenBuckets<(SourceNetwork, SourceTransport)>,
    all_datagrams: TokenBucket,
    all_streams: TokenBucket,
    known_traffic: KeyedTokenBuckets<(SourceAddress, SourceTransport)>,
    wrong_credentials: KeyedTokenBuckets<(SourceAddress, SourceProof, u64)>,
    hasher: RandomState,
}

impl RateLimiter {
    /// Creates a limiter that knows no source; all budgets are full. Each table holds 65,536 sources.
    pub fn new(now: Instant) -> Self {
        Self {
            listed: KeyedTokenBuckets::new(limits::SOURCES_MAX),
            trusted: LruCache::with_hasher(limits::SOURCES_MAX, RandomState::new()),
            unknown_sources: KeyedTokenBuckets::new(limits::SOURCES_MAX),
            unknown_networks: KeyedTokenBuckets::new(limits::SOURCES_MAX),
            all_datagrams: TokenBucket::full(now, UNKNOWN_TOTAL_RATE),
            all_streams: TokenBucket::full(now, UNKNOWN_TOTAL_RATE),
            known_traffic: KeyedTokenBuckets::new(limits::SOURCES_MAX),
            wrong_credentials: KeyedTokenBuckets::new(limits::SOURCES_MAX),
            hasher: RandomState::new(),
        }
    }

    /// Whether a message is read. `is_listed`: its source is on a trunk's list. Non-SIP data of unknown sources is
    /// dropped without using any budget.
    pub fn admit(
        &mut self, now: Instant, source: SourceAddress, path: SourceTransport, kind: MessageKind, is_listed: bool,
    ) -> bool {
        if is_listed {
            return self.listed.take_token(now, source, LISTED_SOURCE_RATE);
        }
        if let Some(known) = self.trusted.get_mut(&source) {
            let age = now.saturating_duration_since(known.since);
            let rate = match known.trust {
                SourceTrust::CalledByUs => LISTED_SOURCE_RATE,
                SourceTrust::Authenticated => AUTHENTICATED_SOURCE_RATE,
            };
            if age < TRUST_LIFETIME {
                return known.bucket.take_token(now, rate);
            }
            if age < FAMILIAR_LIFETIME {
                return kind != MessageKind::NotSip
                    && self.unknown_sources.take_token(now, (source, path, kind), UNKNOWN_SOURCE_RATE);
            }
        }
        let all = match path {
            SourceTransport::Datagram => &mut self.all_datagrams,
            SourceTransport::Stream => &mut self.all_streams,
        };
        kind != MessageKind::NotSip
            && self.unknown_sources.take_token(now, (source, path, kind), UNKNOWN_SOURCE_RATE)
            && self.unknown_networks.take_token(now, (source.network(), path), UNKNOWN_NETWORK_RATE)
            && all.take_token(now, UNKNOWN_TOTAL_RATE)
    }

    /// Whether a message is read that belongs to something of ours, where the source has no room left otherwise.
    pub fn admit_known_traffic(&mut self, now: Instant, source: SourceAddress, path: SourceTransport) -> bool {
        self.known_traffic.take_token(now, (source, path), KNOWN_TRAFFIC_RATE)
    }

    /// The source is no stranger from now on.
    pub fn record_trust(&mut self, now: Instant, source: SourceAddress, trust: SourceTrust) {
        let rate = match trust {
            SourceTrust::CalledByUs => LISTED_SOURCE_RATE,
            SourceTrust::Authenticated => AUTHENTICATED_SOURCE_RATE,
        };
        match self.trusted.get_mut(&source) {
            Some(known) => {
                let holds = now.saturating_duration_since(known.since) < TRUST_LIFETIME;
                if !(holds && known.trust == SourceTrust::CalledByUs) {
                    known.trust = trust;
                }
                known.since = now;
            }
            None => {
                self.trusted.insert(source, TrustedSource { bucket: TokenBucket::full(now, rate), trust, since: now });
            }
        }
    }

    /// Whether further credentials for that user name are looked at.
    pub fn may_check_credentials(
        &mut self, now: Instant, source: SourceAddress, source_proof: SourceProof, username: &str,
    ) -> bool {
        let key = (source, source_proof, self.hash(username));
        self.wrong_credentials.has_token(now, key, credentials_rate(source_proof))
    }

    /// Credentials were wrong.
    pub fn record_wrong_credentials(
        &mut self, now: Instant, source: SourceAddress, source_proof: SourceProof, username: &str,
    ) {
        let key = (source, source_proof, self.hash(username));
        self.wrong_credentials.take_token(now, key, credentials_rate(source_proof));
    }

    fn hash(&self, username: &str) -> u64 {
        std::hash::BuildHasher::hash_one(&self.hasher, username)
    }
}

fn credentials_rate(source_proof: SourceProof) -> TokenRate {
    match source_proof {
        SourceProof::Unverified | SourceProof::ReceivedChallenge => WRONG_CREDENTIALS_DATAGRAM,
        SourceProof::Connected => WRONG_CREDENTIALS_STREAM,
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use SourceTransport::{Datagram, Stream};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v4(n: u32) -> SourceAddress {
        SourceAddress::of(Ipv4Addr::from(0x0A00_0000 + n).into())
    }

    fn v6(network: u64, host: u64) -> SourceAddress {
        SourceAddress::of(
            Ipv6Addr::from((0x2001_0DB8_u128 << 96) + (u128::from(network) << 64) + u128::from(host)).into(),
        )
    }

    fn heard(
        limiter: &mut RateLimiter, now: Instant, source: SourceAddress, path: SourceTransport, listed: bool,
    ) -> usize {
        (0..10_000).filter(|_| limiter.admit(now, source, path, MessageKind::Invite, listed)).count()
    }

    #[test]
    fn unknown_sources_are_limited_and_trusted_are_not() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        assert_eq!(heard(&mut limiter, now, v4(1), Datagram, false), 400);
        assert_eq!(heard(&mut limiter, now, v4(2), Datagram, true), 10_000);
        limiter.record_trust(now, v4(1), SourceTrust::CalledByUs);
        assert_eq!(heard(&mut limiter, now, v4(1), Datagram, false), 10_000);
        let all: usize = (1..200).map(|n| heard(&mut limiter, now, v4(n << 8), Datagram, false)).sum();
        assert_eq!(all, 3_600, "of all strangers together, with the first one");
        assert_eq!(heard(&mut limiter, now, v4(3), Datagram, true), 10_000, "which takes nothing from the listed");
        assert_eq!(heard(&mut limiter, now, v4(9 << 8), Stream, false), 400, "nor from connections");
    }

    /// A carrier whose gateway also registers with us still answers all of our calls.
    #[test]
    fn a_source_that_we_call_keeps_its_rate_when_it_proves_credentials() {
        let now = Instant::now();
        for (first, then, admitted) in [
            (SourceTrust::CalledByUs, SourceTrust::Authenticated, 10_000),
            (SourceTrust::Authenticated, SourceTrust::Authenticated, 8_000),
        ] {
            let mut limiter = RateLimiter::new(now);
            limiter.record_trust(now, v4(1), first);
            let later = now + TRUST_LIFETIME / 2;
            limiter.record_trust(later, v4(1), then);
            assert_eq!(heard(&mut limiter, later, v4(1), Datagram, false), admitted, "{first:?}");
        }
        // It was called too long ago: its responses are over.
        let mut limiter = RateLimiter::new(now);
        limiter.record_trust(now, v4(1), SourceTrust::CalledByUs);
        let later = now + TRUST_LIFETIME;
        limiter.record_trust(later, v4(1), SourceTrust::Authenticated);
        assert_eq!(heard(&mut limiter, later, v4(1), Datagram, false), 8_000);
    }

    #[test]
    fn distributed_flood_does_not_block_listed_or_familiar_sources() {
        let mut now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let (listed, proven, familiar) = (v4(1), v4(0xB0_00_01), v4(0xC0_00_01));
        limiter.record_trust(now, familiar, SourceTrust::Authenticated);
        now += TRUST_LIFETIME + Duration::from_secs(60);
        limiter.record_trust(now, proven, SourceTrust::Authenticated);
        for n in 0..300_000_u32 {
            let source = match n % 3 {
                0 => v4(0x40_00_00 + n),
                1 => v6(u64::from(n), 1),
                _ => v6(7, u64::from(n)),
            };
            limiter.admit(now, source, Datagram, MessageKind::Invite, false);
            now += Duration::from_micros(10);
            if n % 1_000 == 0 {
                assert!(limiter.admit(now, listed, Datagram, MessageKind::Invite, true));
                assert!(limiter.admit(now, proven, Datagram, MessageKind::Invite, false));
            }
            if n % 20_000 == 0 {
                assert!(limiter.admit(now, familiar, Datagram, MessageKind::Invite, false), "after {n}");
            }
        }
        let remembered = [limiter.unknown_sources.len(), limiter.unknown_networks.len()];
        assert!(remembered.iter().all(|count| *count <= limits::SOURCES_MAX), "{remembered:?}");
        assert_eq!(limiter.trusted.len(), 2);
    }

    #[test]
    fn one_network_shares_one_limit() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let host = (0..10_000).filter(|n| limiter.admit(now, v6(1, *n), Datagram, MessageKind::Invite, false)).count();
        assert_eq!(host, 400, "of a /64");
        let site = (0..10_000)
            .filter(|n| limiter.admit(now, v6(0x1_0000 + n % 0x1_0000, 1), Datagram, MessageKind::Invite, false));
        assert_eq!(site.count(), 1_600, "of a /48");
        assert_eq!(heard(&mut limiter, now, v6(0x9_0000, 1), Datagram, false), 400, "and another one is not touched");
    }

    #[test]
    fn forged_messages_use_only_their_own_budget() {
        let mut now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        for _ in 0..100_000 {
            limiter.admit(now, v4(1), Datagram, MessageKind::Invite, false);
            now += Duration::from_micros(100);
        }
        assert!(limiter.admit_known_traffic(now, v4(1), Datagram), "a message of its dialog");
        assert!(limiter.admit(now, v4(1), Stream, MessageKind::Invite, false), "a connection from there");
        assert!(limiter.admit(now, v4(1), Datagram, MessageKind::Other, false), "another kind of request");
        assert!((0..10_000).all(|_| !limiter.admit(now, v4(2), Datagram, MessageKind::NotSip, false)));
        assert!(limiter.admit(now, v4(2), Datagram, MessageKind::Invite, false), "noise takes nothing away");
        now += Duration::from_secs(1);
        assert!(
            limiter.admit(now, v4(1), Datagram, MessageKind::Invite, false),
            "and a call, as soon as the flood ends"
        );
    }

    #[test]
    fn wrong_credentials_are_limited_per_user_and_source_proof() {
        let mut now = Instant::now();
        let mut limiter = RateLimiter::new(now);
        let guess = |limiter: &mut RateLimiter, now, source_proof, user| {
            let may = limiter.may_check_credentials(now, v4(1), source_proof, user);
            limiter.record_wrong_credentials(now, v4(1), source_proof, user);
            may
        };
        let count = |limiter: &mut RateLimiter, now, source_proof| {
            (0..500).filter(|_| guess(limiter, now, source_proof, "a")).count()
        };
        assert_eq!(count(&mut limiter, now, SourceProof::Connected), 20);
        assert_eq!(count(&mut limiter, now, SourceProof::Unverified), 40, "forged ones are their own kind");
        assert!(limiter.may_check_credentials(now, v4(1), SourceProof::ReceivedChallenge, "a"));
        assert!(limiter.may_check_credentials(now, v4(1), SourceProof::Connected, "b"), "another user");
        assert!(limiter.may_check_credentials(now, v4(2), SourceProof::Connected, "a"), "another source");
        now += Duration::from_millis(1_100);
        assert!(limiter.may_check_credentials(now, v4(1), SourceProof::Unverified, "a"), "by datagram soon again");
        assert!(!limiter.may_check_credentials(now, v4(1), SourceProof::Connected, "a"));
        now += Duration::from_secs(10);
        assert!(limiter.may_check_credentials(now, v4(1), SourceProof::Connected, "a"));
        assert!(
            (0..1_000).all(|_| limiter.may_check_credentials(now, v4(1), SourceProof::Connected, "a")),
            "right ones do not count"
        );
    }

    #[test]
    fn messages_without_via_are_not_sip() {
        for (bytes, kind) in [
            (&b"INVITE sip:a@b SIP/2.0\r\nX: y\r\nvia : sip/2.0/UDP h"[..], MessageKind::Invite),
            (b"\r\n\r\nINVITE sip:a@b SIP/2.0\nv:,SIP / 2.0 / UDP h\n", MessageKind::Invite),
            (b"INVITE sip:a@b SIP/2.0\r\nVia:\r\n SIP/2.0/UDP h\r\n", MessageKind::Invite),
            (b"INVITE sip:a@b SIP/2.0\r\nVia: \r,\xC2\xA0SIP/2.0/UDP h\r\n", MessageKind::Invite),
            (b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;x=\xE9\r\n", MessageKind::Invite),
            (b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\nVia: SIP/2.0/UDP h\r\n", MessageKind::Other),
            (b"INVITE sip:a@b SIP/3.0\r\nVia: SIP/2.0/UDP h\r\n", MessageKind::Other),
            (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n", MessageKind::Other),
            (b"INVITE sip:a@b sip/2.0\r\nVia: SIP/2.0/UDP h\r\n", MessageKind::Invite),
            (b"sip/2.0 200 OK\r\nVia: sip/2.0/udp h\r\n", MessageKind::Other),
            (b"ACK sip:a@b SIP/2.0\r\nX: y", MessageKind::Other),
            (b"ACK a\r\nX: y", MessageKind::NotSip),
            (b"INVITE sip:a@b SIP/2.0\r\nX: y", MessageKind::NotSip),
            (
                b"INVITE sip:a@b SIP/2.0\r\nVia\r\nVia: \xff\r\nViaduct: SIP/2.0/UDP h\r\n\r\nVia: SIP/2.0/UDP h",
                MessageKind::NotSip,
            ),
            (b"SIP/2.0 200 OK\r\n", MessageKind::NotSip),
            (b"", MessageKind::NotSip),
            (b"\r\n\r\n", MessageKind::NotSip),
            (b"\0\0\0", MessageKind::NotSip),
            (b"jaK", MessageKind::NotSip),
            (b"GET / HTTP/1.1\r\nX: SIP/2.0", MessageKind::NotSip),
            (b"\x00\x01\x00\x00\x21\x12\xa4\x42", MessageKind::NotSip),
            (b"INVITE", MessageKind::NotSip),
        ] {
            assert_eq!(MessageKind::classify_datagram(bytes), kind, "{bytes:?}");
        }
    }
}
