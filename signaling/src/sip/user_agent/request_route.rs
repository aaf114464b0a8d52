//! Where one request may go: the next hops and addresses that are left to be tried.

use super::next_hop::NextHop;
use super::server_names::ServerNames;
use crate::limits;
use crate::sip::transport::{ConnectionChoice, TransmitTarget, Transport, TransportAddress};
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
}

/// How an address of a route is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressOrigin {
    /// From a URI or a name: it is checked before anything is sent there.
    Named,
    /// The peer has sent from there, or was found there before.
    Met,
    /// The same, and only a connection that is open may be used.
    Connection,
}

/// An address that a request may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteAddress {
    pub(super) address: TransportAddress,
    pub(super) origin: AddressOrigin,
}

impl RouteAddress {
    /// Which connection may carry a request there.
    pub(super) fn connection(&self) -> ConnectionChoice {
        match self.origin {
            AddressOrigin::Named | AddressOrigin::Met => ConnectionChoice::Any,
            AddressOrigin::Connection => ConnectionChoice::OpenOnly,
        }
    }
}

/// Remaining next hops and addresses of a request: the addresses are tried first, then the hops, then where the peer was
/// met.
#[derive(Clone, Debug)]
pub(crate) struct RequestRoute {
    pub(super) hops: VecDeque<NextHop>,
    pub(super) addrs: VecDeque<RouteAddress>,
    /// Where the peer of a dialog was met, if nothing else leads to it.
    pub(super) last: Option<TransportAddress>,
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
        let origin = RouteOrigin::Configured;
        Self { hops, addrs, last: None, transport, may_authenticate: false, origin, names }
    }

    /// To a hop that the peer named in a dialog. Where the call has been at that address before, under the name it used
    /// then: a Contact often has an address, or the name of one machine of many. An address that is new to the call has
    /// no name, and any connection to it will do.
    pub(super) fn in_dialog(next_hop: NextHop, transport: Transport) -> Self {
        Self { names: ServerNames::default(), origin: RouteOrigin::Dialog, ..Self::to([next_hop], transport) }
    }

    /// Route to an address where the peer was met.
    pub(super) fn at(address: TransportAddress) -> Self {
        let addrs = VecDeque::from([RouteAddress { address, origin: AddressOrigin::Met }]);
        Self { addrs, origin: RouteOrigin::Dialog, ..Self::to([], address.transport) }
    }

    /// And then to this hop.
    pub(super) fn then(mut self, next_hop: NextHop) -> Self {
        self.hops.push_back(next_hop);
        self
    }

    /// Over this connection first, as long as it is open.
    pub(super) fn over(mut self, address: TransportAddress) -> Self {
        self.addrs.push_front(RouteAddress { address, origin: AddressOrigin::Connection });
        self
    }

    /// If nothing else leads to the peer, where it was met.
    pub(super) fn or_at(mut self, address: TransportAddress) -> Self {
        self.last = Some(address);
        self
    }

    /// Every place of it, the first first, with the connection that may be used there.
    pub(super) fn places(&self) -> impl Iterator<Item = (Transport, TransmitTarget, ConnectionChoice)> {
        let addrs = self.addrs.iter().map(|one| (one.address, one.connection()));
        let addr = |address: TransportAddress, choice| (address.transport, TransmitTarget::Addr(address.addr), choice);
        let hops = self.hops.iter().map(move |next_hop| {
            let transport = next_hop.transport.unwrap_or(self.transport);
            match next_hop.as_address(transport) {
                Some(address) => addr(address, ConnectionChoice::Any),
                None => {
                    let target = TransmitTarget::Name { host: next_hop.host.clone(), port: next_hop.port };
                    (transport, target, ConnectionChoice::Any)
                }
            }
        });
        let last = self.last.map(|address| addr(address, ConnectionChoice::Any));
        addrs.map(move |(address, choice)| addr(address, choice)).chain(hops).chain(last)
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
        self.hops.is_empty() && self.addrs.is_empty() && self.last.is_none()
    }
}

/// Destination address and the server name its certificate must match.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) to: RouteAddress,
    pub(super) server_name: Option<Arc<str>>,
    /// It is a place that the call's credentials are for.
    pub(super) may_authenticate: bool,
}
