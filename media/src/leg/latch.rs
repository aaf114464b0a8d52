//! Which source addresses are accepted as the peer's, and where our packets go (RFC 7362, latching). Plain RTP is not
//! authenticated, so the address in SDP comes first and other addresses are accepted only by rule.
//!
//! Addresses have ranks. The address in SDP ranks highest and takes the stream back with its first packet. Behind a NAT
//! the description names an address that only the peer itself can reach: then the address that the signalling came from
//! stands in for it. A lower-ranked source must send a few packets of one stream before it is accepted. An equally
//! ranked source must wait until the current source is silent. Unknown sources are never accepted.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::media_addr::{canonical, is_private, is_sendable};
use super::media_path::{MediaPath, PathDiscovery};
use super::stream_config::RtcpRoute;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Packets in sequence that a source other than the described one must send before it is accepted.
pub const PROBATION_PACKETS: u32 = 3;
/// After this much silence the same stream may continue from another port, or from another address that is known.
pub const SILENT_AFTER: Duration = Duration::from_secs(1);
/// For this long after a new description the source may change even if the stream does not continue.
const AFTER_DESCRIPTION: Duration = Duration::from_secs(5);
/// During that time a source counts as silent after five missing packets.
const AFTER_DESCRIPTION_SILENT: Duration = Duration::from_millis(100);
/// For this long after the description named another address, late packets of the former source prove nothing.
const FORMER_SOURCE_WINDOW: Duration = Duration::from_secs(2);
/// The same stream goes on (RFC 3550 appendix A.1, `MAX_DROPOUT`): a minute of packets of 20 ms.
const SEQUENCE_AHEAD_MAX: u16 = 3_000;
/// Sources on probation at once. Limits the memory a flood from many ports can take.
const PROBATION_SOURCES_MAX: usize = 4;
/// A source on probation starts over after a pause this long.
const PROBATION_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Streams that are told apart at one address.
const STREAMS_MAX: usize = 2;
/// After this long without a report from the described address, reports may come from another port.
const RTCP_SILENT_AFTER: Duration = Duration::from_secs(15);

/// Which sources a leg may follow beside the one that the description names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latching {
    /// None.
    Off,
    /// Other ports of the described address.
    SameAddress,
    /// Those, and any port of the address that the peer's signalling came from: phones behind a NAT.
    #[default]
    SignallingAddress,
    /// Any address, until a higher-ranked source sends. Only for trusted networks.
    Any,
}

impl Latching {
    /// All rules, strictest first.
    pub const ALL: [Self; 4] = [Self::Off, Self::SameAddress, Self::SignallingAddress, Self::Any];

    /// As the settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::SameAddress => "same_address",
            Self::SignallingAddress => "signalling_address",
            Self::Any => "any",
        }
    }

    /// Reads a rule by its name in the settings. `None` for any other text; case matters.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == text)
    }
}

/// What the signalling says about the peer's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignalledMedia {
    /// Address and port of the description.
    pub media: SocketAddr,
    /// Where RTCP is expected.
    pub rtcp: RtcpRoute,
    /// Where the signalling came from.
    pub signalling: Option<IpAddr>,
    /// How the peer's path is found.
    pub path: PathDiscovery,
}

/// Stream identity of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamPosition {
    pub ssrc: u32,
    pub sequence: u16,
}

/// How far the streams from one address are: its audio, and digits or comfort noise with SSRCs of their own. The one
/// heard last comes first.
#[derive(Clone, Copy, Debug)]
struct StreamPositions([Option<StreamPosition>; STREAMS_MAX]);

impl StreamPositions {
    fn new(mark: StreamPosition) -> Self {
        let mut marks = [None; STREAMS_MAX];
        marks.iter_mut().take(1).for_each(|first| *first = Some(mark));
        Self(marks)
    }

    fn note(&mut self, mark: StreamPosition) {
        let known = self.0.iter().position(|one| one.is_some_and(|one| one.ssrc == mark.ssrc));
        let place = known.unwrap_or(STREAMS_MAX - 1);
        if let Some(newer) = self.0.get_mut(..=place) {
            newer.rotate_right(1);
        }
        self.0.iter_mut().take(1).for_each(|first| *first = Some(mark));
    }

    /// One of the streams goes on.
    fn continue_with(&self, mark: StreamPosition) -> bool {
        self.0.iter().flatten().any(|one| is_same_stream(*one, mark))
    }
}

/// Rank of a source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SourceRank {
    /// Allowed by [`Latching::Any`] alone.
    AnyAddress,
    /// Of an address that signalling knows.
    KnownAddress,
    /// Of the signalling's address, with the port of the description: a NAT that keeps ports.
    KnownPort,
    /// What the description names, or an ICE peer has chosen.
    Described,
}

#[derive(Clone, Copy, Debug)]
struct MediaSource {
    addr: SocketAddr,
    rank: SourceRank,
    heard: Instant,
    marks: StreamPositions,
}

#[derive(Clone, Copy, Debug)]
struct ProbationSource {
    addr: SocketAddr,
    mark: StreamPosition,
    heard: Instant,
    seen: u32,
}

#[derive(Debug)]
pub(super) struct Latch {
    rule: Latching,
    signalled: SignalledMedia,
    path: MediaPath,
    source: Option<MediaSource>,
    candidates: [Option<ProbationSource>; PROBATION_SOURCES_MAX],
    described_at: Option<Instant>,
    /// What the description named before, and when it stopped to.
    former: Option<(SocketAddr, Instant)>,
    /// Where the peer's reports last came from, and when.
    rtcp_source: Option<(SocketAddr, Instant)>,
}

impl Latch {
    pub(super) fn new(rule: Latching, named: SignalledMedia) -> Self {
        Self {
            rule,
            signalled: named.canonical(),
            path: MediaPath::new(named.path),
            source: None,
            candidates: [None; PROBATION_SOURCES_MAX],
            described_at: None,
            former: None,
            rtcp_source: None,
        }
    }

    /// Another description from the peer, or the same one again. `keeps_path`: an ICE peer keeps the path it has
    /// chosen until it chooses another.
    pub(super) fn handle_description(&mut self, now: Instant, named: SignalledMedia, keeps_path: bool) {
        let named = named.canonical();
        let before = self.signalled;
        match (keeps_path, named.path) {
            (true, _) => {}
            (false, PathDiscovery::Ice) => self.path.restart(),
            (false, PathDiscovery::Latching) => self.path = MediaPath::Latching,
        }
        // Address 0.0.0.0 means hold (RFC 2543), not that the peer has moved.
        let held = named.media.ip().is_unspecified();
        let kept = if held { before.media } else { named.media };
        let rtcp = match (named.rtcp, before.rtcp) {
            (RtcpRoute::Separate(_), RtcpRoute::Separate(before)) if held => RtcpRoute::Separate(before),
            (RtcpRoute::Separate(now), RtcpRoute::Muxed) if held => {
                RtcpRoute::Separate(SocketAddr::new(kept.ip(), now.port()))
            }
            (named, _) => named,
        };
        self.signalled = SignalledMedia { media: kept, rtcp, ..named };
        self.described_at = Some(now);
        self.candidates = [None; PROBATION_SOURCES_MAX];
        if self.is_nominated() {
            return;
        }
        if kept != before.media || named.path != before.path {
            self.former = self.source.take().map(|source| (source.addr, now));
            self.rtcp_source = None;
        }
        // Drop the source if the new description does not allow it.
        self.source = self.source.filter(|source| self.rank(source.addr).is_some());
    }

    /// Decides whether an unauthenticated packet is the peer's, and updates the source.
    pub(super) fn accept_packet(&mut self, now: Instant, addr: SocketAddr, mark: StreamPosition) -> bool {
        let addr = canonical(addr);
        let Some(rank) = self.rank(addr) else { return false };
        if let Some(source) = self.source.as_mut().filter(|source| source.addr == addr) {
            (source.rank, source.heard) = (rank, now);
            source.marks.note(mark);
            return true;
        }
        let late = self
            .former
            .is_some_and(|(former, at)| former == addr && now.saturating_duration_since(at) < FORMER_SOURCE_WINDOW);
        if rank < SourceRank::Described && (late || !self.may_replace(now, addr, rank, mark)) {
            return false;
        }
        let goes_on = self.source.is_some_and(|source| source.marks.continue_with(mark));
        if rank == SourceRank::Described || goes_on || self.count_probation_packet(now, addr, mark) {
            self.set_source(now, addr, rank, mark);
            return true;
        }
        false
    }

    /// Handles a packet authenticated by SRTP, from any address. Our packets follow once the source is stable.
    pub(super) fn handle_authentic_packet(&mut self, now: Instant, addr: SocketAddr, mark: StreamPosition) {
        let addr = canonical(addr);
        let rank = self.rank(addr);
        match &mut self.source {
            Some(source) if source.addr == addr => {
                source.heard = now;
                source.marks.note(mark);
            }
            _ if self.path.nominated().is_some() && rank.is_none()
                || self.rule == Latching::Off && rank != Some(SourceRank::Described) => {}
            None => self.set_source(now, addr, rank.unwrap_or(SourceRank::AnyAddress), mark),
            Some(_) => {
                if rank == Some(SourceRank::Described) || self.count_probation_packet(now, addr, mark) {
                    self.set_source(now, addr, rank.unwrap_or(SourceRank::AnyAddress), mark);
                }
            }
        }
    }

    /// Whether a report is the peer's. `on_media_port`: it came where RTP comes. `ssrc`: whose it says it is;
    /// `known`: that of the stream.
    pub(super) fn accept_rtcp(
        &mut self, now: Instant, addr: SocketAddr, on_media_port: bool, ssrc: Option<u32>, known: Option<u32>,
    ) -> bool {
        let addr = canonical(addr);
        let source = self.source.map(|source| source.addr);
        let described = match self.signalled.rtcp {
            RtcpRoute::Separate(described) if !on_media_port => described,
            RtcpRoute::Separate(_) | RtcpRoute::Muxed => {
                return Some(addr) == source || self.rank(addr) == Some(SourceRank::Described);
            }
        };
        if let Some(chosen) = self.path.rtcp_nominated() {
            return addr == chosen;
        }
        if addr == described {
            self.rtcp_source = Some((addr, now));
            return true;
        }
        let goes_with = self.rule != Latching::Off && source.is_some_and(|source| source.ip() == addr.ip());
        let is_held = self
            .rtcp_source
            .is_some_and(|(one, at)| one == described && now.saturating_duration_since(at) < RTCP_SILENT_AFTER);
        let fits = goes_with && ssrc.is_some() && ssrc == known && !is_held;
        if fits {
            self.rtcp_source = Some((addr, now));
        }
        fits
    }

    /// A report that SRTCP has proven.
    pub(super) fn handle_authentic_rtcp(&mut self, now: Instant, addr: SocketAddr) {
        let addr = canonical(addr);
        let is_described = self.signalled.rtcp == RtcpRoute::Separate(addr);
        if self.path.rtcp_nominated().is_none() && (self.rule != Latching::Off || is_described) {
            self.rtcp_source = Some((addr, now));
        }
    }

    /// Rank of an address for the DTLS handshake; `None` if it may not take part.
    pub(super) fn source_rank(&self, addr: SocketAddr) -> Option<u8> {
        self.rank(canonical(addr)).map(|rank| rank as u8)
    }

    /// A connectivity check from this address was valid.
    pub(super) fn add_valid_path(&mut self, addr: SocketAddr) {
        self.path.add_valid(canonical(addr));
    }

    /// An ICE peer has chosen this path.
    pub(super) fn nominate(&mut self, addr: SocketAddr) {
        self.path.nominate(canonical(addr));
        let chosen = self.path.nominated();
        self.source = self.source.filter(|source| chosen.is_none_or(|chosen| source.addr == chosen));
    }

    pub(super) fn is_nominated(&self) -> bool {
        self.path.nominated().is_some()
    }

    pub(super) fn nominate_rtcp(&mut self, addr: SocketAddr) {
        self.path.nominate_rtcp(canonical(addr));
    }

    /// Destination of our packets; `None` while it is unknown.
    pub(super) fn target(&self) -> Option<SocketAddr> {
        let described = || match self.nat_address() {
            Some(outside) => SocketAddr::new(outside, self.signalled.media.port()),
            None => self.signalled.media,
        };
        let to = self.path.chosen().or(self.source.map(|source| source.addr)).unwrap_or_else(described);
        is_sendable(to).then_some(to)
    }

    /// Where our reports go.
    pub(super) fn rtcp_target(&self) -> Option<SocketAddr> {
        let RtcpRoute::Separate(described) = self.signalled.rtcp else { return self.target() };
        // Behind a NAT the RTCP port is only known from the peer's reports.
        let media = self.source.map(|source| source.addr.ip());
        let is_reachable = self.nat_address().is_none() && media.is_none_or(|media| media == self.signalled.media.ip());
        let described = is_reachable.then_some(described);
        self.path
            .rtcp_nominated()
            .or(self.rtcp_source.map(|(addr, _)| addr))
            .or(described)
            .filter(|to| is_sendable(*to))
    }

    fn rank(&self, addr: SocketAddr) -> Option<SourceRank> {
        let SignalledMedia { media, signalling, .. } = self.signalled;
        match &self.path {
            MediaPath::IceNominated { media: chosen, .. } => {
                return (addr == *chosen).then_some(SourceRank::Described);
            }
            _ if addr == media || self.path.chosen() == Some(addr) => return Some(SourceRank::Described),
            MediaPath::IceChecking { valid_paths, .. } | MediaPath::IceRestarting { valid_paths, .. } => {
                return valid_paths.contains(&addr).then_some(SourceRank::KnownAddress);
            }
            MediaPath::Latching => {}
        }
        let is_signalling = signalling == Some(addr.ip());
        match self.rule {
            Latching::Off => None,
            Latching::SignallingAddress | Latching::Any
                if self.nat_address() == Some(addr.ip()) && addr.port() == media.port() =>
            {
                Some(SourceRank::KnownPort)
            }
            Latching::SignallingAddress | Latching::Any if is_signalling => Some(SourceRank::KnownAddress),
            _ if addr.ip() == media.ip() => Some(SourceRank::KnownAddress),
            Latching::Any => Some(SourceRank::AnyAddress),
            _ => None,
        }
    }

    /// Public address of the NAT the peer is behind, if its description names a private address.
    fn nat_address(&self) -> Option<IpAddr> {
        let SignalledMedia { media, signalling, path, .. } = self.signalled;
        let follows =
            matches!(self.rule, Latching::SignallingAddress | Latching::Any) && path == PathDiscovery::Latching;
        signalling.filter(|outside| follows && !is_private(*outside) && is_private(media.ip()))
    }

    /// Whether a source other than the described one may replace the current source after probation.
    fn may_replace(&self, now: Instant, addr: SocketAddr, rank: SourceRank, mark: StreamPosition) -> bool {
        let Some(source) = self.source else { return true };
        if rank > source.rank {
            return true;
        }
        let silent = now.saturating_duration_since(source.heard);
        if self.is_reopened(now)
            && silent >= AFTER_DESCRIPTION_SILENT
            && (rank == source.rank || addr.ip() == source.addr.ip())
        {
            return true;
        }
        silent >= SILENT_AFTER && source.marks.continue_with(mark)
    }

    fn is_reopened(&self, now: Instant) -> bool {
        self.described_at.is_some_and(|at| now.saturating_duration_since(at) < AFTER_DESCRIPTION)
    }

    /// Counts a packet of a source on probation; true when it was the last that was wanted.
    fn count_probation_packet(&mut self, now: Instant, addr: SocketAddr, mark: StreamPosition) -> bool {
        let fresh = ProbationSource { addr, mark, heard: now, seen: 1 };
        if let Some(one) = self.candidates.iter_mut().flatten().find(|one| one.addr == addr) {
            let ahead = mark.sequence.wrapping_sub(one.mark.sequence);
            let goes_on = one.mark.ssrc == mark.ssrc && (1..=SEQUENCE_AHEAD_MAX).contains(&ahead);
            let paused = now.saturating_duration_since(one.heard) > PROBATION_PAUSE_MAX;
            *one =
                if goes_on && !paused { ProbationSource { seen: one.seen.saturating_add(1), ..fresh } } else { fresh };
            return one.seen >= PROBATION_PACKETS;
        }
        // Evicts the source with the fewest packets, and among those the one silent longest.
        let far = |one: &Option<ProbationSource>| one.map(|one| (one.seen, one.heard));
        if let Some(place) = self.candidates.iter_mut().min_by_key(|one| far(one)) {
            *place = Some(fresh);
        }
        false
    }

    fn set_source(&mut self, now: Instant, addr: SocketAddr, rank: SourceRank, mark: StreamPosition) {
        let before = self.source.replace(MediaSource { addr, rank, heard: now, marks: StreamPositions::new(mark) });
        self.candidates = [None; PROBATION_SOURCES_MAX];
        // The peer's new source is known; close the window.
        self.described_at = None;
        // The RTCP address changes with the source address.
        let has_moved = before.is_some_and(|before| before.addr != addr);
        if has_moved || self.rtcp_source.is_some_and(|(rtcp, _)| rtcp.ip() != addr.ip()) {
            self.rtcp_source = None;
        }
    }
}

impl SignalledMedia {
    fn canonical(self) -> Self {
        Self {
            media: canonical(self.media),
            rtcp: match self.rtcp {
                RtcpRoute::Muxed => RtcpRoute::Muxed,
                RtcpRoute::Separate(addr) => RtcpRoute::Separate(canonical(addr)),
            },
            signalling: self.signalling.map(|ip| ip.to_canonical()),
            ..self
        }
    }
}

fn is_same_stream(before: StreamPosition, after: StreamPosition) -> bool {
    let ahead = after.sequence.wrapping_sub(before.sequence);
    before.ssrc == after.ssrc && (1..=SEQUENCE_AHEAD_MAX).contains(&ahead)
}

#[cfg(test)]
mod tests;
