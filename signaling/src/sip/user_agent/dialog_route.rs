//! Where the requests of a dialog go: by its route set; else, on a connection, over the one that is open; else to the
//! peer's Contact; else to where the peer was met. Each failure leads to the next of them.

use super::agent::UserAgent;
use super::next_hop::NextHop;
use super::request_route::RequestRoute;
use super::session::{DialogPath, PeerAddress};
use crate::sip::message::Uri;
use crate::sip::transport::{Transport, TransportAddress};
use std::net::IpAddr;

/// What the hop that a peer named is worth, beside the address where it was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HopUse {
    /// It is tried first.
    First,
    /// It is tried if the peer does not answer where it was met.
    Last,
    /// Nothing is sent there.
    Never,
}

impl UserAgent {
    /// The places of a request inside a dialog. `routed`: the hop is of the route set, else the remote target.
    pub(super) fn dialog_route(&self, hop: &Uri, routed: bool, path: &DialogPath) -> RequestRoute {
        let hop = NextHop::of(hop);
        let transport = hop.transport.unwrap_or(path.transport);
        let named = hop.as_address(transport);
        let is_forbidden = named.is_some_and(|address| self.check_destination(address.addr).is_err());
        let met = path.met_at();
        let is_met = named.is_some_and(|address| is_same(address, met));
        let hop_use = if is_forbidden { HopUse::Never } else { judge(&hop, routed, path) };
        let hop = NextHop { transport: Some(transport), ..hop };
        // A connection of the peer is there or not: nobody listens where it came from.
        let has_connection = met.transport.is_reliable() && !routed;
        match hop_use {
            HopUse::First if is_met => RequestRoute::in_dialog(hop, transport),
            HopUse::First if has_connection => RequestRoute::in_dialog(hop, transport).or_at(met).over(met),
            HopUse::First => RequestRoute::in_dialog(hop, transport).or_at(met),
            HopUse::Never => RequestRoute::at(met),
            HopUse::Last if is_met => RequestRoute::at(met),
            HopUse::Last if has_connection && !path.is_ours() => RequestRoute::in_dialog(hop, transport).over(met),
            HopUse::Last => RequestRoute::at(met).then(hop),
        }
    }
}

/// What the hop is worth, by its text alone.
fn judge(hop: &NextHop, routed: bool, path: &DialogPath) -> HopUse {
    let met = path.met_at();
    let met_ip = met.addr.ip().to_canonical();
    let is_websocket = |transport| matches!(transport, Transport::Ws | Transport::Wss);
    let host = hop.host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() || hop.port == Some(0) || (host.ends_with(".invalid") && !routed) {
        return HopUse::Never;
    }
    // A browser's Contact is a made-up name.
    if is_websocket(met.transport) && !routed && hop.transport.is_none_or(is_websocket) {
        return HopUse::Never;
    }
    let ip = match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical(),
        Err(_) if host == "localhost" => IpAddr::from([127, 0, 0, 1]),
        Err(_) => return HopUse::First,
    };
    let is_symmetric = match path.peer {
        PeerAddress::SentFrom { is_symmetric, .. } => is_symmetric,
        PeerAddress::InviteWentTo(_) => true,
    };
    match is_private(ip) {
        _ if ip == met_ip => HopUse::First,
        _ if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255, 255, 255, 255]) => HopUse::Never,
        // A private address behind a public one means NAT.
        true if !is_private(met_ip) => {
            if routed {
                HopUse::Last
            } else {
                HopUse::Never
            }
        }
        // Another private network may use the same addresses.
        true if is_symmetric && !routed => HopUse::Last,
        _ => HopUse::First,
    }
}

fn is_same(one: TransportAddress, other: TransportAddress) -> bool {
    let canonical =
        |address: TransportAddress| (address.transport, address.addr.ip().to_canonical(), address.addr.port());
    canonical(one) == canonical(other)
}

/// An address of a network that only its own hosts reach, carriers' NAT (RFC 6598) included.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_carriers = first == 100 && (64..128).contains(&second);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_carriers
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
