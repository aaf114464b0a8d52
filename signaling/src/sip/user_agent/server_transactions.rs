//! Server transactions: the requests we answer, the bytes they hold, and how many of them one call has.

use super::event::CallId;
use crate::limits;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response, print};
use crate::sip::transaction::invite_server::InviteServer;
use crate::sip::transaction::non_invite_server::NonInviteServer;
use crate::sip::transaction::timers::{OWNER_TIMEOUT, OWNER_TIMEOUT_INVITE, Timer};
use crate::sip::transaction::{MessageBytes, TimeoutAction};
use crate::sip::transport::{ResponsePath, Transport};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// Table capacity that is never released.
const CAPACITY_KEPT: usize = 256;
/// Fixed memory of a server transaction, without keys, headers and response.
const TRANSACTION_BYTES: usize = 400;

#[derive(Debug)]
pub(super) enum ServerTransactionKind {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

/// Where the request of a transaction belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ServerOwner {
    /// To no call.
    Nobody,
    /// To a call, as the INVITE that began it or the CANCEL of that.
    Call(CallId),
    /// To a dialog: it counts towards the limit per call.
    Dialog(CallId),
}

/// A request that came, and what answers it.
#[derive(Debug)]
pub(super) struct ServerEntry {
    machine: ServerTransactionKind,
    /// Where its responses go.
    reply_to: ResponsePath,
    /// Headers of the request, to make responses from.
    headers: Headers,
    owner: ServerOwner,
    /// Bytes of headers and response.
    bytes: usize,
    /// Of an initial INVITE: its key in `initial_invites`, taken out with the transaction.
    merge_key: Option<Arc<str>>,
}

impl ServerEntry {
    pub(super) fn call(&self) -> Option<CallId> {
        match self.owner {
            ServerOwner::Nobody => None,
            ServerOwner::Call(call) | ServerOwner::Dialog(call) => Some(call),
        }
    }

    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Where its responses go.
    pub(super) fn reply_to(&self) -> ResponsePath {
        self.reply_to.clone()
    }

    /// No final answer was given yet.
    fn is_open(&self) -> bool {
        match &self.machine {
            ServerTransactionKind::Invite(machine) => machine.is_proceeding(),
            ServerTransactionKind::NonInvite(machine) => machine.is_open(),
        }
    }

    /// An INVITE without a final answer.
    pub(super) fn is_open_invite(&self) -> bool {
        matches!(&self.machine, ServerTransactionKind::Invite(machine) if machine.is_proceeding())
    }

    fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.machine {
            ServerTransactionKind::Invite(machine) => machine.next_timeout(),
            ServerTransactionKind::NonInvite(machine) => machine.next_timeout(),
        }
    }
}

/// What becomes of a request that matches a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RepeatedRequest {
    /// The ACK of a 2xx with the branch of its INVITE, or without one, as some peers send it.
    DialogAck(Option<CallId>),
    /// The ACK of a refusal.
    AckTaken,
    /// A retransmission: the response is sent again, if there is one.
    Retransmission(Option<MessageBytes>),
}

/// What a server transaction wants after its timer.
#[derive(Debug)]
pub(super) struct ServerTimeout {
    pub(super) action: TimeoutAction,
    pub(super) reply_to: ResponsePath,
    pub(super) call: Option<CallId>,
    pub(super) is_terminated: bool,
}

/// All server transactions.
#[derive(Debug, Default)]
pub(super) struct ServerTransactions {
    entries: HashMap<Arc<str>, ServerEntry>,
    /// Bytes held by all of them.
    bytes: usize,
    /// From tag, Call-ID and CSeq of initial INVITEs, to find merged requests (section 8.2.2.2).
    initial_invites: HashSet<Arc<str>>,
    /// How many requests of its dialog each call holds.
    per_call: HashMap<CallId, usize>,
}

impl ServerTransactions {
    pub(super) fn get(&self, key: &str) -> Option<&ServerEntry> {
        self.entries.get(key)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.keys()
    }

    pub(super) fn next_timeout(&self, key: &str) -> Option<(Instant, Timer)> {
        self.entries.get(key).and_then(ServerEntry::next_timeout)
    }

    /// No room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= limits::SERVER_TRANSACTIONS_MAX || self.bytes >= limits::SERVER_TRANSACTION_BYTES_MAX
    }

    /// The call has as many requests of its dialog here as it may.
    pub(super) fn is_call_full(&self, call: CallId) -> bool {
        self.per_call.get(&call).is_some_and(|count| *count >= limits::CALL_TRANSACTIONS_MAX)
    }

    /// An initial INVITE with this key is held: a second one is a merged request.
    pub(super) fn is_merged(&self, merge_key: &str) -> bool {
        self.initial_invites.contains(merge_key)
    }

    /// Opens a transaction. `merge_key` of an initial INVITE, whose owner may take longer to answer.
    pub(super) fn open(
        &mut self, now: Instant, key: &Arc<str>, reply_to: (Transport, SocketAddr), request: &Request,
        merge_key: Option<Arc<str>>,
    ) {
        let reliable = reply_to.0.is_reliable();
        let reply_to = ResponsePath::of_transaction(reply_to, request.headers.top_via());
        let machine = match (&request.method, &merge_key) {
            (Method::Invite, Some(_)) => {
                ServerTransactionKind::Invite(InviteServer::new(now, reliable, OWNER_TIMEOUT_INVITE))
            }
            (Method::Invite, None) => ServerTransactionKind::Invite(InviteServer::new(now, reliable, OWNER_TIMEOUT)),
            _ => ServerTransactionKind::NonInvite(NonInviteServer::new(now, reliable, OWNER_TIMEOUT)),
        };
        self.initial_invites.extend(merge_key.clone());
        let headers = response_headers(&request.headers);
        let entry = ServerEntry { machine, reply_to, headers, owner: ServerOwner::Nobody, bytes: 0, merge_key };
        self.entries.insert(key.clone(), entry);
        self.update_bytes(key, 0);
    }

    /// The request belongs to this call, and its answers carry the call's tag.
    pub(super) fn set_call(&mut self, key: &str, call: CallId) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.owner = ServerOwner::Call(call);
        }
    }

    /// The request belongs to the dialog of this call and is counted.
    pub(super) fn set_dialog(&mut self, key: &str, call: CallId) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.owner = ServerOwner::Dialog(call);
        let count = self.per_call.entry(call).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes a request that may belong to a transaction; `None` for a new one.
    pub(super) fn handle_repeated(&mut self, now: Instant, key: &str, method: &Method) -> Option<RepeatedRequest> {
        let entry = self.entries.get_mut(key)?;
        let call = entry.call();
        Some(match (&mut entry.machine, method) {
            (ServerTransactionKind::Invite(machine), Method::Ack) if machine.is_accepted() => {
                RepeatedRequest::DialogAck(call)
            }
            (ServerTransactionKind::Invite(machine), Method::Ack) => {
                machine.handle_ack(now);
                RepeatedRequest::AckTaken
            }
            (ServerTransactionKind::Invite(machine), _) => {
                RepeatedRequest::Retransmission(machine.handle_retransmission())
            }
            (ServerTransactionKind::NonInvite(machine), _) => {
                RepeatedRequest::Retransmission(machine.handle_retransmission())
            }
        })
    }

    /// The ACK of an INVITE came: its final response is no longer retransmitted.
    pub(super) fn handle_ack(&mut self, now: Instant, key: &str) {
        if let Some(ServerEntry { machine: ServerTransactionKind::Invite(machine), .. }) = self.entries.get_mut(key) {
            machine.handle_ack(now);
        }
    }

    /// Takes a response: its bytes and where they go; `None` when a final one was already given.
    pub(super) fn respond(
        &mut self, now: Instant, key: &str, response: &Response,
    ) -> Option<(MessageBytes, ResponsePath)> {
        let entry = self.entries.get_mut(key)?;
        let wire: MessageBytes = print::response(response).into();
        let taken = match &mut entry.machine {
            ServerTransactionKind::Invite(machine) => machine.respond(now, response.status, wire.clone()),
            ServerTransactionKind::NonInvite(machine) => machine.respond(now, wire.clone()),
        };
        let reply_to = entry.reply_to();
        if taken && response.status >= 200 {
            // From here it only retransmits this response, so its headers are freed.
            entry.headers = Headers::default();
        }
        if taken {
            self.update_bytes(key, wire.len());
        }
        taken.then_some((wire, reply_to))
    }

    /// Runs the timers of one transaction and removes it when it is over.
    pub(super) fn handle_timeout(&mut self, now: Instant, key: &str) -> Option<ServerTimeout> {
        let entry = self.entries.get_mut(key)?;
        let (action, is_terminated) = match &mut entry.machine {
            ServerTransactionKind::Invite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
            ServerTransactionKind::NonInvite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
        };
        Some(ServerTimeout { action, reply_to: entry.reply_to(), call: entry.call(), is_terminated })
    }

    pub(super) fn remove(&mut self, key: &str) {
        let Some(entry) = self.entries.remove(key) else { return };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Some(merge_key) = &entry.merge_key {
            self.initial_invites.remove(merge_key);
        }
        if let ServerOwner::Dialog(call) = entry.owner
            && let Some(count) = self.per_call.get_mut(&call)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_call.remove(&call);
            }
        }
    }

    /// The transaction waits for the answer of its owner.
    pub(super) fn is_open(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(ServerEntry::is_open)
    }

    /// Updates the memory accounting of a transaction.
    fn update_bytes(&mut self, key: &str, response: usize) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let headers = entry.headers.iter().map(|header| header.value.len());
        let keys = [key.len(), entry.merge_key.as_ref().map_or(0, |key| key.len())];
        let bytes = headers.chain(keys).fold(response.saturating_add(TRANSACTION_BYTES), usize::saturating_add);
        self.bytes = self.bytes.saturating_sub(entry.bytes).saturating_add(bytes);
        entry.bytes = bytes;
    }

    /// Computes everything that follows from the entries anew, after a panic in the middle of a change.
    pub(super) fn repair(&mut self) {
        let entries = self.entries.values();
        self.initial_invites = entries.clone().filter_map(|entry| entry.merge_key.clone()).collect();
        self.bytes = entries.clone().map(|entry| entry.bytes).fold(0, usize::saturating_add);
        self.per_call.clear();
        for entry in entries {
            if let ServerOwner::Dialog(call) = entry.owner {
                let count = self.per_call.entry(call).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// Returns memory after a peak.
    pub(super) fn shrink(&mut self) {
        if self.entries.capacity() > CAPACITY_KEPT && self.entries.len().saturating_mul(8) < self.entries.capacity() {
            self.entries.shrink_to(CAPACITY_KEPT);
            self.initial_invites.shrink_to(CAPACITY_KEPT);
            self.per_call.shrink_to(CAPACITY_KEPT);
        }
    }
}

/// Only what responses copy is kept while a transaction lives.
fn response_headers(headers: &Headers) -> Headers {
    let kept = [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::RecordRoute,
    ];
    headers.iter().filter(|h| kept.contains(&h.name)).cloned().collect::<Vec<_>>().into()
}

/// For the tests of the repair: parts of the state are lost.
#[cfg(test)]
impl ServerTransactions {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn held_by_call(&self, call: CallId) -> Option<usize> {
        self.per_call.get(&call).copied()
    }

    pub(super) fn set_held_by_call(&mut self, call: CallId, count: usize) {
        self.per_call.insert(call, count);
    }

    pub(super) fn leftovers(&self) -> (usize, usize) {
        (self.initial_invites.len(), self.bytes)
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::SipMessage;
    use crate::sip::message::parse::{ParsedMessage, datagram};
    use crate::sip::transaction::timers::TIMEOUT;

    fn request(method: &str) -> Request {
        let text = format!(
            "{method} sip:us@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@h>;tag=r\r\nTo: <sip:us@h>\r\nCall-ID: c\r\nCSeq: 7 {method}\r\nContact: <sip:a@h>\r\n\r\n"
        );
        match datagram(text.as_bytes()) {
            ParsedMessage::Message(SipMessage::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_merge_keys_and_counts_go_with_the_transaction() {
        let now = Instant::now();
        let (mut servers, to) = (ServerTransactions::default(), (Transport::Udp, "192.0.2.1:5060".parse().unwrap()));
        let (invite, info): (Arc<str>, Arc<str>) = ("invite".into(), "info".into());
        servers.open(now, &invite, to, &request("INVITE"), Some("merge".into()));
        servers.set_call(&invite, CallId(1));
        servers.open(now, &info, to, &request("INFO"), None);
        servers.set_dialog(&info, CallId(1));
        assert!(servers.is_merged("merge") && servers.is_open(&info));
        assert_eq!(servers.held_by_call(CallId(1)), Some(1), "the INVITE itself is not counted");
        let response = Response::to_request(servers.get(&info).unwrap().headers(), 200, Some("l"));
        assert!(servers.respond(now, &info, &response).is_some());
        assert!(servers.respond(now, &info, &response).is_none(), "one final answer");
        assert!(servers.get(&info).unwrap().headers().is_empty(), "they are freed");
        let again = servers.handle_repeated(now, &info, &Method::Info);
        assert!(matches!(again, Some(RepeatedRequest::Retransmission(Some(_)))), "{again:?}");
        assert_eq!(servers.handle_repeated(now, "other", &Method::Info), None);
        let over = servers.handle_timeout(now + TIMEOUT, &info).unwrap();
        assert_eq!((over.is_terminated, over.call), (true, Some(CallId(1))));
        servers.remove(&info);
        servers.remove(&invite);
        assert_eq!((servers.leftovers(), servers.held_by_call(CallId(1))), ((0, 0), None));
    }

    #[test]
    fn repair_counts_everything_again() {
        let now = Instant::now();
        let (mut servers, to) = (ServerTransactions::default(), (Transport::Udp, "192.0.2.1:5060".parse().unwrap()));
        for key in ["a", "b"] {
            servers.open(now, &key.into(), to, &request("INFO"), None);
            servers.set_dialog(key, CallId(1));
        }
        let bytes = servers.leftovers().1;
        servers.set_held_by_call(CallId(1), 1_000);
        servers.bytes = 0;
        servers.initial_invites.insert("stale".into());
        servers.repair();
        assert_eq!((servers.held_by_call(CallId(1)), servers.leftovers()), (Some(2), (0, bytes)));
    }
}
