//! Where one request may go: the next hops and addresses that are left to be tried.

use super::next_hop::NextHop;
use super::server_names::ServerNames;
use crate::limits;
use crate::sip::transport::{Transport, TransportAddress};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who named the places of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteOrigin {
    /// The settings of a trunk, or whoever makes the call.
    Configured,
    /// The peer, in a dialog.
    Dialog,
    /// The address is one the peer has sent from, or that was allowed before.
    PeerAddress,
}

/// Remaining next hops and addresses of a request.
#[derive(Clone, Debug)]
pub(crate) struct RequestRoute {
    pub(super) hops: VecDeque<NextHop>,
    pub(super) addrs: VecDeque<TransportAddress>,
    pub(super) transport: Transport,
    /// All hops are hosts the call's credentials are for.
    pub(super) may_authenticate: bool,
    pub(super) origin: RouteOrigin,
    pub(super) names: ServerNames,
}

impl RequestRoute {
    pub(super) fn to(hops: impl IntoIterator<Item = NextHop>, transport: Transport) -> Self {
        let hops: VecDeque<NextHop> = hops.into_iter().take(limits::ADDRESSES_MAX).collect();
        let mut names = ServerNames::default();
        for next_hop in &hops {
            // A hop that is an address needs a certificate for that address.
            names.insert(&next_hop.host.as_str().into(), next_hop.as_address(transport).map(|address| address.addr));
        }
        let addrs = VecDeque::new();
        Self { hops, addrs, transport, may_authenticate: false, origin: RouteOrigin::Configured, names }
    }

    /// To a hop that the peer named in a dialog. Where the call has been at that address before, under the name it used
    /// then: a Contact often has an address, or the name of one machine of many. An address that is new to the call has
    /// no name, and any connection to it will do.
    pub(super) fn in_dialog(next_hop: NextHop, transport: Transport) -> Self {
        Self { names: ServerNames::default(), origin: RouteOrigin::Dialog, ..Self::to([next_hop], transport) }
    }

    /// Route to the address the peer sent from.
    pub(super) fn at(address: TransportAddress) -> Self {
        let addrs = VecDeque::from([address]);
        Self { addrs, origin: RouteOrigin::PeerAddress, ..Self::to([], address.transport) }
    }

    /// An address of it was found under this name before.
    pub(super) fn with_server_name(mut self, addr: SocketAddr, name: Option<Arc<str>>) -> Self {
        if let Some(name) = name {
            self.names.insert(&name, [addr]);
        }
        self
    }

    pub(super) fn with_authentication(mut self, may_authenticate: bool) -> Self {
        self.may_authenticate = may_authenticate;
        self
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.hops.is_empty() && self.addrs.is_empty()
    }
}

/// Destination address and the server name its certificate must match.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) address: TransportAddress,
    pub(super) server_name: Option<Arc<str>>,
}
