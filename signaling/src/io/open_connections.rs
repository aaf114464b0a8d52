//! The open SIP connections, by remote address. One address may have several: a TLS connection that we open belongs to
//! the name that its certificate was checked for (RFC 5922 section 4). A tenant that gives the address another name can
//! neither use nor break that connection.

use super::connection::OutboundMessage;
use crate::sip::user_agent::TransportAddress;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use trunkline_connections::ConnectionGuard;

/// An open connection, or one that is being opened.
#[derive(Debug)]
pub(super) struct SipConnection {
    pub(super) queue: mpsc::Sender<OutboundMessage>,
    pub(super) place: Arc<ConnectionGuard>,
    /// The name in the certificate of the server, for a TLS connection that we open.
    pub(super) server_name: Option<Arc<str>>,
    /// Messages without a name may use it. A TLS connection of ours is not open before its certificate was checked.
    pub(super) is_open: bool,
}

/// Every connection, by the other end.
#[derive(Debug, Default)]
pub(super) struct OpenConnections(HashMap<TransportAddress, Vec<SipConnection>>);

impl OpenConnections {
    pub(super) fn insert(&mut self, peer: TransportAddress, stream: SipConnection) {
        self.0.entry(peer).or_default().push(stream);
    }

    /// The connection for a message to this address. With a name: the one for that name. Without: any open one.
    pub(super) fn get(&self, peer: &TransportAddress, server_name: Option<&str>) -> Option<&SipConnection> {
        let mut all = self.0.get(peer)?.iter().filter(|stream| !stream.queue.is_closed());
        match server_name {
            Some(name) => all.find(|stream| stream.server_name.as_deref() == Some(name)),
            None => all.find(|stream| stream.is_open),
        }
    }

    /// Every connection with this other end.
    pub(super) fn all(&self, peer: &TransportAddress) -> impl Iterator<Item = &SipConnection> {
        self.0.get(peer).into_iter().flatten()
    }

    /// The certificate of the connection was checked.
    pub(super) fn set_open(&mut self, peer: &TransportAddress, place: &Arc<ConnectionGuard>) {
        let mut all = self.0.get_mut(peer).into_iter().flatten();
        if let Some(stream) = all.find(|stream| Arc::ptr_eq(&stream.place, place)) {
            stream.is_open = true;
        }
    }

    /// Takes a connection out, which closes it.
    pub(super) fn close(&mut self, peer: &TransportAddress, place: &Arc<ConnectionGuard>) {
        self.retain_at(peer, |stream| !Arc::ptr_eq(&stream.place, place));
    }

    /// Takes every connection with this other end out, which closes them.
    pub(super) fn close_all(&mut self, peer: &TransportAddress) {
        self.0.remove(peer);
    }

    /// Forgets those of one end that are closed.
    pub(super) fn forget_closed(&mut self, peer: &TransportAddress) {
        self.retain_at(peer, |stream| !stream.queue.is_closed());
    }

    /// Forgets all that are closed.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|_, streams| {
            streams.retain(|stream| !stream.queue.is_closed());
            !streams.is_empty()
        });
    }

    fn retain_at(&mut self, peer: &TransportAddress, keep: impl FnMut(&SipConnection) -> bool) {
        let Some(streams) = self.0.get_mut(peer) else { return };
        streams.retain(keep);
        if streams.is_empty() {
            self.0.remove(peer);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::user_agent::Transport;
    use trunkline_connections::{ConnectionCaps, ConnectionPool, PeerClass};

    #[test]
    fn tls_connections_are_separate_per_server_name() {
        let connections =
            ConnectionPool::new(ConnectionCaps { total: 8, ..crate::io::SipConnectionLimits::default().caps });
        let peer = TransportAddress { transport: Transport::Tls, addr: ([192, 0, 2, 7], 5_061).into() };
        let mut streams = OpenConnections::default();
        let mut queues = Vec::new();
        let mut add = |streams: &mut OpenConnections, name: &str| {
            let (place, eviction) = connections.open(peer.addr.ip(), PeerClass::Exempt, &Arc::default()).unwrap();
            let (place, (queue, outbound)) = (Arc::new(place), mpsc::channel(1));
            let server_name = Some(Arc::from(name));
            streams.insert(peer, SipConnection { queue, place: place.clone(), server_name, is_open: false });
            queues.push((outbound, eviction));
            place
        };
        let named =
            |streams: &OpenConnections, name| streams.get(&peer, name).and_then(|stream| stream.server_name.clone());
        let foreign = add(&mut streams, "foreign.example");
        assert_eq!(named(&streams, Some("carrier.example")), None);
        assert_eq!(named(&streams, None), None, "the certificate is not verified yet");
        let carrier = add(&mut streams, "carrier.example");
        streams.set_open(&peer, &carrier);
        for name in [Some("carrier.example"), None] {
            assert_eq!(named(&streams, name).as_deref(), Some("carrier.example"));
        }
        assert_eq!(named(&streams, Some("foreign.example")).as_deref(), Some("foreign.example"));
        // One goes, the other one stays.
        streams.close(&peer, &foreign);
        assert_eq!(streams.all(&peer).count(), 1);
        assert_eq!(named(&streams, None).as_deref(), Some("carrier.example"));
        queues.clear();
        assert_eq!(named(&streams, Some("carrier.example")), None, "its task is gone");
        streams.forget_closed(&peer);
        assert_eq!((streams.len(), streams.0.len()), (0, 0));
    }
}
