//! Dispatches received messages to transactions, dialogs or authentication (RFC 3261 sections 8.2, 17, 18).

use super::inbound_auth::{InboundAuth, push_challenges};
use super::replaces::ReplacesError;
use super::transaction_table::{ServerEntry, ServerTransactionKind, client_key};
use super::via_and_contact::add_received;
use super::{ALLOW, SUPPORTED, TransmitTarget, Transport, UserAgent, dialog_key, increment};
use crate::sip::message::parse::{self, ParsedMessage};
use crate::sip::message::peek::HeaderPeek;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response, SipMessage, Via, print};
use crate::sip::rate_limit::{MessageKind, SourceTransport, SourceTrust, WRONG_CREDENTIALS_RETRY_AFTER_S};
use crate::sip::session_timer::{MIN_SE_S, SessionExpires};
use crate::sip::transaction::ResponseAction;
use crate::sip::transaction::invite_server::InviteServer;
use crate::sip::transaction::non_invite_server::NonInviteServer;
use crate::sip::transaction::timers::{OWNER_TIMEOUT, OWNER_TIMEOUT_INVITE};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use trunkline_connections::SourceAddress;

impl UserAgent {
    /// A UDP datagram.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let kind = MessageKind::classify_datagram(bytes);
        if self.admit_message(now, source.ip(), SourceTransport::Datagram, kind, || HeaderPeek::of_datagram(bytes)) {
            self.handle_parsed(now, Transport::Udp, source, parse::datagram(bytes));
        }
    }

    /// A message of a connection.
    pub fn handle_stream(&mut self, now: Instant, transport: Transport, source: SocketAddr, parsed: ParsedMessage) {
        self.admitted_trunk = None;
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
        let heard = self.rate_limit.admit(now, source, path, kind, self.trunks.is_preferred_source(ip))
            || (peek().is_some_and(|peek| self.is_known_traffic(now, source, &peek))
                && self.rate_limit.admit_known_traffic(now, source, path));
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
                let reply_to = add_received(&mut headers, transport, source);
                self.reject_stateless(transport, reply_to, &headers, status, |response| {
                    response.reason = reason.into_owned()
                });
            }
            // RFC 5626 section 3.5.1: a double CRLF on a stream is answered by one CRLF.
            ParsedMessage::KeepAlive { ping: true } if transport.is_reliable() => {
                self.send(transport, TransmitTarget::Addr(source), Arc::from(&b"\r\n"[..]));
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
        let Some(tx) = self.clients.get_mut(&key) else {
            // A response without a transaction, such as a late 2xx, is ignored.
            increment(&mut self.counters.unparseable);
            return;
        };
        let verdict = tx.handle_response(now, response.status);
        self.arm_client(&key);
        match verdict {
            ResponseAction::Deliver => self.handle_client_response(now, &key, response),
            ResponseAction::ResendAck => {
                if let Some(ack) = self.clients.get(&key).and_then(|tx| tx.ack.clone()) {
                    self.send_in_transaction(&key, ack, false);
                }
            }
            ResponseAction::Absorb => {}
        }
    }

    fn handle_request(&mut self, now: Instant, transport: Transport, source: SocketAddr, mut request: Request) {
        let reply_to = add_received(&mut request.headers, transport, source);
        let Some(key) = server_key(&request) else {
            increment(&mut self.counters.unparseable);
            return;
        };
        if let Some(tx) = self.servers.get_mut(&key) {
            let call = tx.call;
            let again = match (&mut tx.machine, &request.method) {
                // Some peers send the ACK of a 200 with the branch of the INVITE, or without one.
                (ServerTransactionKind::Invite(machine), Method::Ack) if machine.is_accepted() => {
                    return self.handle_dialog_ack(now, source, &request, call);
                }
                (ServerTransactionKind::Invite(machine), Method::Ack) => {
                    machine.handle_ack(now);
                    self.arm_server(&key);
                    return;
                }
                (ServerTransactionKind::Invite(machine), _) => machine.handle_retransmission(),
                (ServerTransactionKind::NonInvite(machine), _) => machine.handle_retransmission(),
            };
            if let Some(bytes) = again {
                increment(&mut self.counters.retransmitted);
                self.send(transport, TransmitTarget::Addr(reply_to), bytes);
            }
            return;
        }
        match request.method {
            Method::Ack => return self.handle_dialog_ack(now, source, &request, None),
            Method::Cancel => return self.handle_cancel(now, transport, reply_to, &key, &request),
            _ => {}
        }
        if self.is_transaction_table_full() {
            increment(&mut self.counters.overload);
            self.reject_stateless(transport, reply_to, &request.headers, 503, |_| {});
            return;
        }
        if let Some(tag) = request.headers.to_tag() {
            let call = self.dialogs.get(&dialog_key(request.headers.call_id(), tag)).copied();
            return match call {
                Some(call) if request.method != Method::Bye && self.is_call_at_transactions_max(call) => {
                    self.reject_overloaded(transport, reply_to, &request.headers);
                }
                Some(call) => {
                    self.open_server(now, &key, transport, reply_to, &request, None);
                    self.count_transaction(&key, call);
                    self.handle_dialog_request(now, transport, source, &key, call, request);
                    self.arm_owner_timeout(&key);
                }
                None => self.reject_stateless(transport, reply_to, &request.headers, 481, |_| {}),
            };
        }
        self.handle_initial(now, transport, source, reply_to, key, request);
    }

    fn handle_initial(
        &mut self, now: Instant, transport: Transport, source: SocketAddr, reply_to: SocketAddr, key: Arc<str>,
        request: Request,
    ) {
        match &request.method {
            Method::Invite => {}
            // Answered without state.
            Method::Options => {
                return self.respond_stateless(transport, reply_to, &request.headers, 200, add_capabilities);
            }
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => {
                return self.reject_stateless(transport, reply_to, &request.headers, 481, |_| {});
            }
            Method::Unknown(_) => return self.reject_stateless(transport, reply_to, &request.headers, 501, add_allow),
            _ => return self.reject_stateless(transport, reply_to, &request.headers, 405, add_allow),
        }
        let path = if transport.is_reliable() { SourceTransport::Stream } else { SourceTransport::Datagram };
        let candidates = match self.admit(now, source.ip(), path, &request) {
            InboundAuth::Admitted { candidates, has_received } => {
                // Otherwise a permitted caller could fill the trust table with forged sources.
                if has_received {
                    self.rate_limit.record_trust(now, source.ip().into(), SourceTrust::Authenticated);
                }
                self.admitted_trunk = candidates.iter().next().map(|(trunk, _)| trunk.clone());
                candidates
            }
            InboundAuth::Forbidden => {
                increment(&mut self.counters.forbidden);
                return self.reject_stateless(transport, reply_to, &request.headers, 403, |_| {});
            }
            // No answer to datagrams, because the source may be forged.
            InboundAuth::TooManyWrongCredentials if path == SourceTransport::Datagram => return,
            InboundAuth::TooManyWrongCredentials => {
                return self.reject_stateless(transport, reply_to, &request.headers, 403, |response| {
                    response.reason = "Too Many Wrong Credentials".to_owned();
                    response.headers.push(HeaderName::RetryAfter, WRONG_CREDENTIALS_RETRY_AFTER_S.to_string());
                });
            }
            InboundAuth::Challenge(challenges) => {
                return self.reject_stateless(transport, reply_to, &request.headers, 401, |response| {
                    push_challenges(&mut response.headers, challenges);
                });
            }
        };
        if self.is_at_calls_max() || self.must_shed_load(now) {
            return self.reject_overloaded(transport, reply_to, &request.headers);
        }
        let merge_key = merge_key(&request.headers);
        // Merged request (section 8.2.2.2), or our own request looped back.
        if self.initial_invites.contains(&merge_key) || self.is_own_loop(&request.headers) {
            return self.reject_stateless(transport, reply_to, &request.headers, 482, |_| {});
        }
        if let Some((status, extra)) = check_invite(&request) {
            return self.reject_stateless(transport, reply_to, &request.headers, status, |response| {
                if let Some((name, value)) = extra {
                    response.headers.push(name, value);
                }
            });
        }
        let replaces = match self.find_replaced_call(&request, &candidates) {
            Ok(replaces) => replaces,
            Err(ReplacesError::Rejected(status)) => {
                return self.reject_stateless(transport, reply_to, &request.headers, status, |response| {
                    if status == 400 {
                        response.reason = "Malformed Replaces".to_owned();
                    }
                });
            }
            Err(ReplacesError::NotAuthenticated) => {
                let challenges = self.new_challenges(now, source.ip(), candidates.stale);
                return self.reject_stateless(transport, reply_to, &request.headers, 401, |response| {
                    push_challenges(&mut response.headers, challenges);
                });
            }
        };
        self.initial_invites.insert(merge_key.clone());
        self.open_server(now, &key, transport, reply_to, &request, Some(merge_key));
        self.handle_initial_invite(now, transport, source, key.clone(), request, candidates, replaces);
        self.arm_owner_timeout(&key);
    }

    pub(super) fn open_server(
        &mut self, now: Instant, key: &Arc<str>, transport: Transport, reply_to: SocketAddr, request: &Request,
        merge_key: Option<Arc<str>>,
    ) {
        let reliable = transport.is_reliable();
        let machine = match (&request.method, &merge_key) {
            (Method::Invite, Some(_)) => {
                ServerTransactionKind::Invite(InviteServer::new(now, reliable, OWNER_TIMEOUT_INVITE))
            }
            (Method::Invite, None) => ServerTransactionKind::Invite(InviteServer::new(now, reliable, OWNER_TIMEOUT)),
            _ => ServerTransactionKind::NonInvite(NonInviteServer::new(now, reliable, OWNER_TIMEOUT)),
        };
        let headers = response_headers(&request.headers);
        self.insert_server(key, ServerEntry::new(machine, transport, reply_to, headers, merge_key));
    }

    /// Responds inside a server transaction with the headers every response of ours has.
    pub(super) fn reply(&mut self, now: Instant, key: &Arc<str>, status: u16, add: impl FnOnce(&mut Response)) -> bool {
        let Some(tx) = self.servers.get(key) else { return false };
        let tag = tx
            .call
            .and_then(|call| self.sessions.get(&call))
            .map_or_else(|| self.tokens.keyed(key.as_bytes()), |session| session.local_tag.clone());
        let tag = (status > 100).then_some(tag.as_str());
        let mut response = Response::to_request(&tx.headers, status, tag);
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        add(&mut response);
        self.respond(now, key, &response)
    }

    /// A final answer without any state (RFC 3261 section 8.2.7).
    pub(super) fn reject_stateless(
        &mut self, transport: Transport, reply_to: SocketAddr, headers: &Headers, status: u16,
        add: impl FnOnce(&mut Response),
    ) {
        increment(&mut self.counters.refused);
        self.respond_stateless(transport, reply_to, headers, status, add);
    }

    /// Rejects a request with 503 and Retry-After.
    fn reject_overloaded(&mut self, transport: Transport, reply_to: SocketAddr, headers: &Headers) {
        increment(&mut self.counters.overload);
        let after = self.config.retry_after_s;
        self.reject_stateless(transport, reply_to, headers, 503, |response| {
            response.headers.push(HeaderName::RetryAfter, after.to_string());
        });
    }

    fn respond_stateless(
        &mut self, transport: Transport, reply_to: SocketAddr, headers: &Headers, status: u16,
        add: impl FnOnce(&mut Response),
    ) {
        let via = headers.get(&HeaderName::Via).unwrap_or("");
        let tag = self.tokens.keyed(format!("{via}{}", headers.call_id()).as_bytes());
        let mut response = Response::to_request(headers, status, Some(&tag));
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        add(&mut response);
        self.send(transport, TransmitTarget::Addr(reply_to), print::response(&response).into());
    }
}

pub(super) fn add_allow(response: &mut Response) {
    response.headers.push(HeaderName::Allow, ALLOW);
}

pub(super) fn add_capabilities(response: &mut Response) {
    add_allow(response);
    response.headers.push(HeaderName::Supported, SUPPORTED);
    response.headers.push(HeaderName::Accept, "application/sdp");
    response.headers.push(HeaderName::AcceptEncoding, "identity");
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
    if !request.body.is_empty() {
        let media_type = headers.get(&HeaderName::ContentType).unwrap_or("application/sdp");
        let media_type = media_type.split(';').next().unwrap_or("").trim();
        let identity = headers.get(&HeaderName::ContentEncoding).is_none_or(|e| e.eq_ignore_ascii_case("identity"));
        if !media_type.eq_ignore_ascii_case("application/sdp") || !identity {
            return Some((415, Some((HeaderName::Accept, "application/sdp".to_owned()))));
        }
    }
    None
}

/// Options that are required and that we do not know.
pub(super) fn unsupported(headers: &Headers) -> Option<String> {
    let known = |option: &&str| SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(option));
    let unknown: Vec<&str> = headers.list(&HeaderName::Require).filter(|option| !known(option)).collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
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

fn merge_key(headers: &Headers) -> Arc<str> {
    format!(
        "{}\n{}\n{}",
        headers.from_tag().unwrap_or(""),
        headers.call_id(),
        headers.get(&HeaderName::CSeq).unwrap_or("")
    )
    .into()
}

/// Key of a server transaction (RFC 3261 section 17.2.3): branch, sent-by and method, ACK counted as
/// its INVITE. Without the magic cookie the headers that RFC 2543 matched on.
pub(super) fn server_key(request: &Request) -> Option<Arc<str>> {
    let via = request.headers.top_via()?;
    let method = match request.method {
        Method::Ack => "INVITE",
        ref method => method.as_str(),
    };
    if let Some(key) = server_key_from_via(&via, method) {
        return Some(key);
    }
    let (headers, port) = (&request.headers, via.port.unwrap_or(0));
    let cseq = headers.cseq()?.number;
    let from = headers.from_tag().unwrap_or("");
    Some(format!("2543|{}|{from}|{cseq}|{}:{port}|{method}", headers.call_id(), via.host).into())
}

/// The same of its Via alone, where that has the magic cookie.
pub(super) fn server_key_from_via(via: &Via, method: &str) -> Option<Arc<str>> {
    let branch = via.branch().filter(|branch| branch.starts_with("z9hG4bK"))?;
    Some(format!("{branch}|{}:{}|{method}", via.host, via.port.unwrap_or(0)).into())
}
