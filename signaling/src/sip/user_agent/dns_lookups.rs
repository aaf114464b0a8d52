//! Requests whose next hop is being looked up.

use super::event::CallId;
use super::next_hop::{DnsQuery, NextHop};
use super::outbound_request::OutboundRequest;
use crate::limits;
use crate::sip::transport::Transport;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A request, and the name that is being looked up for it.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    pub(super) host: Arc<str>,
    pub(super) outbound: OutboundRequest,
}

/// The lookups under way, and the queries that the driver has not taken yet.
#[derive(Debug, Default)]
pub(super) struct DnsLookups {
    waiting: HashMap<u64, WaitingRequest>,
    queries: VecDeque<DnsQuery>,
    last_id: u64,
}

impl DnsLookups {
    /// No room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= limits::LOOKUPS_MAX
    }

    /// No request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Asks for the addresses of a hop; the request waits for them.
    pub(super) fn start(&mut self, next_hop: NextHop, transport: Transport, outbound: OutboundRequest) {
        self.last_id = self.last_id.wrapping_add(1); // 2^64 names later
        let host = next_hop.host.as_str().into();
        self.queries.push_back(DnsQuery { id: self.last_id, next_hop, transport });
        self.waiting.insert(self.last_id, WaitingRequest { host, outbound });
    }

    /// The next query for the driver.
    pub(super) fn poll_query(&mut self) -> Option<DnsQuery> {
        self.queries.pop_front()
    }

    /// Takes the request that waited for this query.
    pub(super) fn finish(&mut self, id: u64) -> Option<WaitingRequest> {
        self.waiting.remove(&id)
    }

    /// The requests of these calls are no longer needed.
    pub(super) fn remove_calls(&mut self, is_gone: impl Fn(CallId) -> bool) {
        self.waiting.retain(|_, waiting| !waiting.outbound.call.is_some_and(&is_gone));
    }
}

#[cfg(test)]
mod tests {
    use super::super::outbound_request::OwnContact;
    use super::super::request_route::RequestRoute;
    use super::*;
    use crate::sip::message::{Headers, Method, Request, Uri};

    fn outbound(call: u64) -> OutboundRequest {
        let uri = Uri::sip(None, "carrier.example", None);
        let request = Request { method: Method::Invite, uri, headers: Headers::default(), body: Vec::new() };
        OutboundRequest::new(request, Some(CallId(call)), OwnContact::Absent, RequestRoute::to([], Transport::Udp))
    }

    #[test]
    fn lookups_are_bounded_and_end_with_their_call() {
        let mut lookups = DnsLookups::default();
        let hop = NextHop { host: "carrier.example".into(), port: None, transport: None };
        for call in 0..limits::LOOKUPS_MAX as u64 {
            assert!(!lookups.is_full());
            lookups.start(hop.clone(), Transport::Udp, outbound(call));
        }
        assert!(lookups.is_full());
        let query = lookups.poll_query().unwrap();
        let waited = lookups.finish(query.id).unwrap();
        assert_eq!(&*waited.host, "carrier.example");
        assert!(lookups.finish(query.id).is_none() && !lookups.is_full());
        lookups.remove_calls(|call| call != CallId(7));
        assert!(!lookups.is_empty());
        lookups.remove_calls(|call| call == CallId(7));
        assert!(lookups.is_empty());
    }
}
