//! Dispatches received messages to transactions, dialogs or authentication (RFC 3261 sections 8.2, 17, 18).

use super::admission::{InboundAuth, push_challenges};
use super::agent::{UserAgent, increment};
use super::inbound_trunks::TrunkCandidates;
use super::known_traffic::KnownTraffic;
use super::replaces::ReplacesError;
use super::respond::{add_allow, add_capabilities, unsupported};
use super::server_transactions::RepeatedRequest;
use super::session_body::{UnsupportedBody, keep_description, push_accepted_bodies};
use super::transaction_keys::{client_key, merge_key, server_key};
use super::via_and_contact::add_received;
use crate::sip::message::parse::{self, ParsedMessage};
use crate::sip::message::peek::HeaderPeek;
use crate::sip::message::{HeaderName, Method, Request, Response, SipMessage};
use crate::sip::rate_limit::{MessageKind, SourceTransport, SourceTrust, WRONG_CREDENTIALS_RETRY_AFTER_S};
use crate::sip::session_timer::{MIN_SE_S, SessionExpires};
use crate::sip::transaction::ResponseAction;
use crate::sip::transport::{ResponsePath, Transport, TransportAddress};
use crate::stun;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use trunkline_connections::SourceAddress;

/// A request that began no transaction yet, and where it came from.
struct ReceivedRequest {
    request: Request,
    /// Key of its server transaction.
    key: Arc<str>,
    from: TransportAddress,
    /// Where its responses go.
    reply_to: (Transport, SocketAddr),
}

impl UserAgent {
    /// A UDP datagram.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let kind = MessageKind::classify_datagram(bytes);
        if self.admit_message(now, source.ip(), SourceTransport::Datagram, kind, || HeaderPeek::of_datagram(bytes)) {
            if stun::is_message(bytes) {
                return self.handle_stun(now, source, bytes);
            }
            self.handle_parsed(now, Transport::Udp, source, parse::datagram(bytes));
        }
    }

    /// A message of a connection.
    pub fn handle_stream(&mut self, now: Instant, transport: Transport, source: SocketAddr, parsed: ParsedMessage) {
        self.admission.set_admitted_trunk(None);
        // A connection that says nothing else is closed by its own task.
        let kind = match &parsed {
            ParsedMessage::Message(SipMessage::Request(request)) if request.method == Method::Invite => {
                MessageKind::Invite
            }
            _ => MessageKind::Other,
        };
        let peek = || match &parsed {
            ParsedMessage::Message(message) => Some(HeaderPeek::of_message(message)),
            ParsedMessage::Invalid { .. } | ParsedMessage::KeepAlive { .. } | ParsedMessage::Unparseable(_) => None,
        };
        if self.admit_message(now, source.ip(), SourceTransport::Stream, kind, peek) {
            self.handle_parsed(now, transport, source, parsed);
        }
    }

    /// Whether a message is parsed: checks the rate limits.
    fn admit_message<'a>(
        &mut self, now: Instant, ip: IpAddr, path: SourceTransport, kind: MessageKind,
        peek: impl FnOnce() -> Option<HeaderPeek<'a>>,
    ) -> bool {
        let source = SourceAddress::of(ip);
        let (admission, clients, servers) = (&mut self.admission, &self.clients, &self.servers);
        let known = KnownTraffic { clients, servers, sessions: &self.sessions, tokens: &self.tokens };
        let heard = admission.may_read(now, ip, path, kind, |admission| {
            peek().is_some_and(|peek| known.contains(now, source, &peek, admission))
        });
        match kind {
            _ if heard => {}
            MessageKind::NotSip => increment(&mut self.counters.unparseable),
            MessageKind::Invite | MessageKind::Other => increment(&mut self.counters.rate_limited),
        }
        heard
    }

    /// A datagram or framed stream message, already parsed.
    pub fn handle_parsed(&mut self, now: Instant, transport: Transport, source: SocketAddr, parsed: ParsedMessage) {
        increment(&mut self.counters.received);
        match parsed {
            ParsedMessage::Message(SipMessage::Request(request)) => {
                self.handle_request(now, transport, source, request)
            }
            ParsedMessage::Message(SipMessage::Response(response)) => self.handle_response(now, response),
            ParsedMessage::Invalid { mut headers, status, reason, .. } => {
                let reply_to = (transport, add_received(&mut headers, transport, source));
                self.reject_stateless(reply_to, &headers, status, |response| response.reason = reason.into_owned());
            }
            // RFC 5626 section 3.5.1: a double CRLF on a stream is answered by one CRLF.
            ParsedMessage::KeepAlive { ping: true } if transport.is_reliable() => {
                self.send(ResponsePath::open_only((transport, source)), Arc::from(&b"\r\n"[..]));
            }
            ParsedMessage::KeepAlive { .. } => {}
            ParsedMessage::Unparseable(_) => increment(&mut self.counters.unparseable),
        }
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        let (Some(via), Some(cseq)) = (response.headers.top_via(), response.headers.cseq()) else {
            increment(&mut self.counters.unparseable);
            return;
        };
        let key = client_key(via.branch().unwrap_or(""), cseq.method);
        let Some(verdict) = self.clients.handle_response(now, &key, response.status) else {
            // A response without a transaction, such as a late 2xx, is ignored.
            increment(&mut self.counters.unparseable);
            return;
        };
        self.arm_client(&key);
        match verdict {
            ResponseAction::Deliver => self.handle_client_response(now, &key, response),
            ResponseAction::ResendAck => {
                if let Some(ack) = self.clients.get(&key).and_then(|tx| tx.ack.clone()) {
                    self.send_in_transaction(&key, ack, None);
                }
            }
            ResponseAction::EndDialog => self.handle_late_response(now, &key, &response),
            ResponseAction::Absorb => {}
        }
    }

    fn handle_request(&mut self, now: Instant, transport: Transport, source: SocketAddr, mut request: Request) {
        let from = TransportAddress { transport, addr: source };
        let reply_to = (transport, add_received(&mut request.headers, transport, source));
        let Some(key) = server_key(&request) else {
            // An ACK is found by its dialog if its Via cannot be read.
            match request.method {
                Method::Ack => self.handle_dialog_ack(now, from, &request, None),
                _ => increment(&mut self.counters.unparseable),
            }
            return;
        };
        match self.servers.handle_repeated(now, &key, &request.method) {
            Some(RepeatedRequest::DialogAck(call)) => return self.handle_dialog_ack(now, from, &request, call),
            Some(RepeatedRequest::AckTaken) => return self.arm_server(&key),
            Some(RepeatedRequest::Retransmission(again)) => {
                if let Some(bytes) = again {
                    increment(&mut self.counters.retransmitted);
                    self.send(ResponsePath::of_transaction(reply_to, request.headers.top_via()), bytes);
                }
                return;
            }
            None => {}
        }
        match request.method {
            Method::Ack => return self.handle_dialog_ack(now, from, &request, None),
            Method::Cancel => return self.handle_cancel(now, reply_to, &key, &request),
            _ => {}
        }
        if self.servers.is_full() {
            return self.reject_overloaded(reply_to, &request.headers);
        }
        let Some(tag) = request.headers.to_tag() else {
            return self.handle_initial(now, ReceivedRequest { request, key, from, reply_to });
        };
        match self.sessions.find_dialog(request.headers.call_id(), tag) {
            Some(call) if request.method != Method::Bye && self.servers.is_call_full(call) => {
                self.reject_overloaded(reply_to, &request.headers);
            }
            Some(call) => {
                self.servers.open(now, &key, reply_to, &request, None);
                self.servers.set_dialog(&key, call);
                self.handle_dialog_request(now, from, &key, call, request);
                self.arm_owner_timeout(&key);
            }
            None => self.reject_stateless(reply_to, &request.headers, 481, |_| {}),
        }
    }

    /// A request outside of any dialog.
    fn handle_initial(&mut self, now: Instant, received: ReceivedRequest) {
        let (reply_to, headers) = (received.reply_to, &received.request.headers);
        match &received.request.method {
            Method::Invite => self.handle_new_invite(now, received),
            // Answered without state.
            Method::Options => self.respond_stateless(reply_to, headers, 200, add_capabilities),
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => {
                self.reject_stateless(reply_to, headers, 481, |_| {});
            }
            Method::Unknown(_) => self.reject_stateless(reply_to, headers, 501, add_allow),
            _ => self.reject_stateless(reply_to, headers, 405, add_allow),
        }
    }

    /// An INVITE that begins a call, if its caller is known and it can be served.
    fn handle_new_invite(&mut self, now: Instant, received: ReceivedRequest) {
        let Some(candidates) = self.admit_caller(now, &received) else { return };
        let ReceivedRequest { mut request, key, from, reply_to } = received;
        if self.is_at_calls_max() || self.sessions.must_shed_load(now) {
            return self.reject_overloaded(reply_to, &request.headers);
        }
        let merge_key = merge_key(&request.headers);
        // Merged request (section 8.2.2.2), or our own request looped back.
        if self.servers.is_merged(&merge_key) || self.is_own_loop(&request.headers) {
            return self.reject_stateless(reply_to, &request.headers, 482, |_| {});
        }
        if let Some((status, extra)) = check_invite(&request) {
            return self.reject_stateless(reply_to, &request.headers, status, |response| {
                if let Some((name, value)) = extra {
                    response.headers.push(name, value);
                }
            });
        }
        if keep_description(&mut request) == Err(UnsupportedBody) {
            return self.reject_stateless(reply_to, &request.headers, 415, |response| {
                push_accepted_bodies(&mut response.headers);
            });
        }
        let replaces = match self.find_replaced_call(&request, &candidates) {
            Ok(replaces) => replaces,
            Err(ReplacesError::Rejected(status)) => {
                return self.reject_stateless(reply_to, &request.headers, status, |response| {
                    if status == 400 {
                        response.reason = "Malformed Replaces".to_owned();
                    }
                });
            }
            Err(ReplacesError::NotAuthenticated) => {
                let ip = from.addr.ip();
                let (headers, stale) = (&request.headers, candidates.stale);
                let challenges = self.admission.new_challenges(now, ip, headers, stale, &mut self.tokens);
                return self.reject_stateless(reply_to, &request.headers, 401, |response| {
                    push_challenges(&mut response.headers, challenges);
                });
            }
        };
        self.servers.open(now, &key, reply_to, &request, Some(merge_key));
        self.begin_incoming_call(now, from, key.clone(), request, candidates, replaces);
        self.arm_owner_timeout(&key);
    }

    /// The trunks that the caller of a new call may be on; `None` if it was refused or challenged.
    fn admit_caller(&mut self, now: Instant, received: &ReceivedRequest) -> Option<TrunkCandidates> {
        let ReceivedRequest { request, from, reply_to, .. } = received;
        let (reply_to, source) = (*reply_to, from.addr.ip());
        let path = if from.transport.is_reliable() { SourceTransport::Stream } else { SourceTransport::Datagram };
        let registered = self.registrations.registered();
        match self.admission.identify(now, source, path, request, registered, &mut self.tokens) {
            InboundAuth::Admitted { candidates, has_received } => {
                // Otherwise a permitted caller could fill the trust table with forged sources.
                if has_received {
                    self.admission.record_trust(now, source, SourceTrust::Authenticated);
                }
                let strongest = candidates.iter().next().map(|(trunk, _)| trunk.clone());
                self.admission.set_admitted_trunk(strongest);
                return Some(candidates);
            }
            InboundAuth::Forbidden => {
                increment(&mut self.counters.forbidden);
                self.reject_stateless(reply_to, &request.headers, 403, |_| {});
            }
            // No answer to datagrams, because the source may be forged.
            InboundAuth::TooManyWrongCredentials if path == SourceTransport::Datagram => {}
            InboundAuth::TooManyWrongCredentials => {
                self.reject_stateless(reply_to, &request.headers, 403, |response| {
                    response.reason = "Too Many Wrong Credentials".to_owned();
                    response.headers.push(HeaderName::RetryAfter, WRONG_CREDENTIALS_RETRY_AFTER_S.to_string());
                });
            }
            InboundAuth::Challenge(challenges) => {
                self.reject_stateless(reply_to, &request.headers, 401, |response| {
                    push_challenges(&mut response.headers, challenges);
                });
            }
        }
        None
    }
}

/// Checks an initial INVITE of an admitted caller; returns the rejection.
fn check_invite(request: &Request) -> Option<(u16, Option<(HeaderName, String)>)> {
    let headers = &request.headers;
    // A user agent would process a request that arrives with zero hops left; ours ends SIP paths like a
    // gateway, and a call that went through seventy hops is a loop (docs/sip-deviations.md).
    if headers.number(&HeaderName::MaxForwards) == Some(0) {
        return Some((483, None));
    }
    if let Some(unknown) = unsupported(headers) {
        return Some((420, Some((HeaderName::Unsupported, unknown))));
    }
    // RFC 4028 section 9: 422 is only sent to peers that support session timers.
    let knows_timers = headers.list(&HeaderName::Supported).any(|option| option.eq_ignore_ascii_case("timer"));
    if knows_timers && SessionExpires::from_headers(headers).is_some_and(|expires| expires.interval_s < MIN_SE_S) {
        return Some((422, Some((HeaderName::MinSe, MIN_SE_S.to_string()))));
    }
    None
}
