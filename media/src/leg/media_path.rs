//! The path of a leg's packets as its peer chooses it: by its packets, or with ICE.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use std::net::SocketAddr;

/// Paths of an ICE peer that have been proven by a check, before it has chosen one.
const PATHS_MAX: usize = 8;

/// How the path of the media is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathDiscovery {
    /// From the addresses of the signalling and the sources of packets.
    Latching,
    /// The peer looks for its path with checks, and chooses it.
    Ice,
}

/// What is known of the path besides the source of the packets.
#[derive(Debug)]
pub(super) enum MediaPath {
    /// Only the rules count.
    Latching,
    /// An ICE peer checks its paths and has not chosen one for RTP.
    IceChecking { valid_paths: Vec<SocketAddr>, rtcp: RtcpPath },
    /// An ICE peer has chosen: this path overrides everything else.
    IceNominated { media: SocketAddr, rtcp: RtcpPath },
    /// It checks anew (ICE restart). The path that it had chosen carries the media until it chooses another (RFC 8445
    /// section 9).
    IceRestarting { former: Box<SocketAddr>, valid_paths: Vec<SocketAddr>, rtcp: RtcpPath },
}

/// The path of RTCP with an ICE peer.
#[derive(Clone, Copy, Debug)]
pub(super) enum RtcpPath {
    Unchosen,
    Nominated(SocketAddr),
}

impl MediaPath {
    pub(super) fn new(discovery: PathDiscovery) -> Self {
        match discovery {
            PathDiscovery::Latching => Self::Latching,
            PathDiscovery::Ice => Self::IceChecking { valid_paths: Vec::new(), rtcp: RtcpPath::Unchosen },
        }
    }

    pub(super) fn nominated(&self) -> Option<SocketAddr> {
        match self {
            Self::IceNominated { media, .. } => Some(*media),
            Self::IceChecking { .. } | Self::IceRestarting { .. } | Self::Latching => None,
        }
    }

    /// Where the media goes, whatever its source is.
    pub(super) fn chosen(&self) -> Option<SocketAddr> {
        match self {
            Self::IceNominated { media, .. } => Some(*media),
            Self::IceRestarting { former, .. } => Some(**former),
            Self::IceChecking { .. } | Self::Latching => None,
        }
    }

    /// The peer has new ICE credentials, or begins with ICE.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Latching => *self = Self::new(PathDiscovery::Ice),
            Self::IceNominated { media: former, rtcp } => {
                *self = Self::IceRestarting { former: Box::new(*former), valid_paths: Vec::new(), rtcp: *rtcp };
            }
            Self::IceChecking { .. } | Self::IceRestarting { .. } => {}
        }
    }

    pub(super) fn rtcp_nominated(&self) -> Option<SocketAddr> {
        match self {
            Self::IceChecking { rtcp: RtcpPath::Nominated(addr), .. }
            | Self::IceRestarting { rtcp: RtcpPath::Nominated(addr), .. }
            | Self::IceNominated { rtcp: RtcpPath::Nominated(addr), .. } => Some(*addr),
            Self::IceChecking { .. } | Self::IceNominated { .. } | Self::IceRestarting { .. } | Self::Latching => None,
        }
    }

    /// A check proved a path. The oldest are forgotten.
    pub(super) fn add_valid(&mut self, addr: SocketAddr) {
        if let Self::IceChecking { valid_paths, .. } | Self::IceRestarting { valid_paths, .. } = self
            && !valid_paths.contains(&addr)
        {
            if valid_paths.len() == PATHS_MAX {
                valid_paths.remove(0);
            }
            valid_paths.push(addr);
        }
    }

    /// The peer has chosen the path of RTP.
    pub(super) fn nominate(&mut self, media: SocketAddr) {
        if let Self::IceChecking { rtcp, .. } | Self::IceNominated { rtcp, .. } | Self::IceRestarting { rtcp, .. } =
            self
        {
            *self = Self::IceNominated { media, rtcp: *rtcp };
        }
    }

    /// The peer has chosen the path of RTCP.
    pub(super) fn nominate_rtcp(&mut self, addr: SocketAddr) {
        if let Self::IceChecking { rtcp, .. } | Self::IceNominated { rtcp, .. } | Self::IceRestarting { rtcp, .. } =
            self
        {
            *rtcp = RtcpPath::Nominated(addr);
        }
    }
}
