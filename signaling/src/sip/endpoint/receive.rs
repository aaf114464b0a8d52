//! Dispatches received messages to transactions, dialogs or authentication (RFC 3261 sections 8.2, 17, 18).

use super::guard::{Admission, push_challenges};
use super::replaces::NotReplaced;
use super::routing::stamp_via;
use super::transactions::{ServerMachine, ServerTx, client_key};
use super::{ALLOW, Endpoint, SUPPORTED, Target, Transport, count, dialog_key};
use crate::sip::message::glance::Glance;
use crate::sip::message::parse::{self, Parsed};
use crate::sip::message::{HeaderName, Headers, Message, Method, Request, Response, Via, print};
use crate::sip::rate_limit::{GUESS_AGAIN_S, Kind, Path, Trust};
use crate::sip::session_timer::{Expires, MIN_SE_S};
use crate::sip::transaction::Verdict;
use crate::sip::transaction::server::Server;
use crate::sip::transaction::server_invite::ServerInvite;
use crate::sip::transaction::timers::{ANSWER, ANSWER_INVITE};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use trunkline_connections::Source;

impl Endpoint {
    /// A UDP datagram.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let kind = Kind::of_datagram(bytes);
        if self.hears(now, source.ip(), Path::Datagram, kind, || Glance::of_datagram(bytes)) {
            self.handle_parsed(now, Transport::Udp, source, parse::datagram(bytes));
        }
    }

    /// A message of a connection.
    pub fn handle_stream(&mut self, now: Instant, transport: Transport, source: SocketAddr, parsed: Parsed) {
        self.vouched = None;
        // A connection that says nothing else is closed by its own task.
        let kind = match &parsed {
            Parsed::Message(Message::Request(request)) if request.method == Method::Invite => Kind::Invite,
            _ => Kind::Other,
        };
        let glance = || match &parsed {
            Parsed::Message(message) => Some(Glance::of_message(message)),
            Parsed::Refused { .. } | Parsed::KeepAlive { .. } | Parsed::Garbage(_) => None,
        };
        if self.hears(now, source.ip(), Path::Stream, kind, glance) {
            self.handle_parsed(now, transport, source, parsed);
        }
    }

    /// Whether a message is parsed: checks the rate limits.
    fn hears<'a>(
        &mut self, now: Instant, ip: IpAddr, path: Path, kind: Kind, glance: impl FnOnce() -> Option<Glance<'a>>,
    ) -> bool {
        let source = Source::of(ip);
        let heard = self.rate_limit.admit(now, source, path, kind, self.trunks.prefers(ip))
            || (glance().is_some_and(|glance| self.belongs(now, source, &glance))
                && self.rate_limit.admit_belonging(now, source, path));
        match kind {
            _ if heard => {}
            Kind::Noise => count(&mut self.counters.garbage),
            Kind::Invite | Kind::Other => count(&mut self.counters.shed),
        }
        heard
    }

    /// A datagram or framed stream message, already parsed.
    pub fn handle_parsed(&mut self, now: Instant, transport: Transport, source: SocketAddr, parsed: Parsed) {
        count(&mut self.counters.received);
        match parsed {
            Parsed::Message(Message::Request(request)) => self.handle_request(now, transport, source, request),
            Parsed::Message(Message::Response(response)) => self.handle_response(now, response),
            Parsed::Refused { mut headers, status, reason, .. } => {
                let reply_to = stamp_via(&mut headers, transport, source);
                self.refuse(transport, reply_to, &headers, status, |response| response.reason = reason.into_owned());
            }
            // RFC 5626 section 3.5.1: a double CRLF on a stream is answered by one CRLF.
            Parsed::KeepAlive { ping: true } if transport.is_reliable() => {
                self.send(transport, Target::Addr(source), Arc::from(&b"\r\n"[..]));
            }
            Parsed::KeepAlive { .. } => {}
            Parsed::Garbage(_) => count(&mut self.counters.garbage),
        }
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        let (Some(via), Some(cseq)) = (response.headers.top_via(), response.headers.cseq()) else {
            count(&mut self.counters.garbage);
            return;
        };
        let key = client_key(via.branch().unwrap_or(""), cseq.method);
        let Some(tx) = self.clients.get_mut(&key) else {
            // A response without a transaction, such as a late 2xx, is ignored.
            count(&mut self.counters.garbage);
            return;
        };
        let verdict = tx.handle_response(now, response.status);
        self.arm_client(&key);
        match verdict {
            Verdict::Deliver => self.client_response(now, &key, response),
            Verdict::Acknowledge => {
                if let Some(ack) = self.clients.get(&key).and_then(|tx| tx.ack.clone()) {
                    self.send_in_transaction(&key, ack, false);
                }
            }
            Verdict::Absorb => {}
        }
    }

    fn handle_request(&mut self, now: Instant, transport: Transport, source: SocketAddr, mut request: Request) {
        let reply_to = stamp_via(&mut request.headers, transport, source);
        let Some(key) = server_key(&request) else {
            count(&mut self.counters.garbage);
            return;
        };
        if let Some(tx) = self.servers.get_mut(&key) {
            let call = tx.call;
            let again = match (&mut tx.machine, &request.method) {
                // Some peers send the ACK of a 200 with the branch of the INVITE, or without one.
                (ServerMachine::Invite(machine), Method::Ack) if machine.is_accepted() => {
                    return self.handle_dialog_ack(now, source, &request, call);
                }
                (ServerMachine::Invite(machine), Method::Ack) => {
                    machine.handle_ack(now);
                    self.arm_server(&key);
                    return;
                }
                (ServerMachine::Invite(machine), _) => machine.handle_retransmission(),
                (ServerMachine::Other(machine), _) => machine.handle_retransmission(),
            };
            if let Some(bytes) = again {
                count(&mut self.counters.retransmitted);
                self.send(transport, Target::Addr(reply_to), bytes);
            }
            return;
        }
        match request.method {
            Method::Ack => return self.handle_dialog_ack(now, source, &request, None),
            Method::Cancel => return self.handle_cancel(now, transport, reply_to, &key, &request),
            _ => {}
        }
        if self.is_crowded() {
            count(&mut self.counters.overload);
            self.refuse(transport, reply_to, &request.headers, 503, |_| {});
            return;
        }
        if let Some(tag) = request.headers.to_tag() {
            let call = self.dialogs.get(&dialog_key(request.headers.call_id(), tag)).copied();
            return match call {
                Some(call) if request.method != Method::Bye && self.has_many_transactions(call) => {
                    self.refuse_for_now(transport, reply_to, &request.headers);
                }
                Some(call) => {
                    self.open_server(now, &key, transport, reply_to, &request, None);
                    self.count_transaction(&key, call);
                    self.handle_dialog_request(now, transport, source, &key, call, request);
                    self.arm_unanswered(&key);
                }
                None => self.refuse(transport, reply_to, &request.headers, 481, |_| {}),
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
                return self.respond_stateless(transport, reply_to, &request.headers, 200, capabilities);
            }
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => {
                return self.refuse(transport, reply_to, &request.headers, 481, |_| {});
            }
            Method::Unknown(_) => return self.refuse(transport, reply_to, &request.headers, 501, allow),
            _ => return self.refuse(transport, reply_to, &request.headers, 405, allow),
        }
        let path = if transport.is_reliable() { Path::Stream } else { Path::Datagram };
        let candidates = match self.admit(now, source.ip(), path, &request) {
            Admission::Candidates { candidates, has_received } => {
                // Otherwise a permitted caller could fill the trust table with forged sources.
                if has_received {
                    self.rate_limit.trust(now, source.ip().into(), Trust::Proven);
                }
                self.vouched = candidates.iter().next().map(|(trunk, _)| trunk.clone());
                candidates
            }
            Admission::Forbidden => {
                count(&mut self.counters.forbidden);
                return self.refuse(transport, reply_to, &request.headers, 403, |_| {});
            }
            // No answer to datagrams, because the source may be forged.
            Admission::TooManyGuesses if path == Path::Datagram => return,
            Admission::TooManyGuesses => {
                return self.refuse(transport, reply_to, &request.headers, 403, |response| {
                    response.reason = "Too Many Wrong Credentials".to_owned();
                    response.headers.push(HeaderName::RetryAfter, GUESS_AGAIN_S.to_string());
                });
            }
            Admission::Challenge(challenges) => {
                return self.refuse(transport, reply_to, &request.headers, 401, |response| {
                    push_challenges(&mut response.headers, challenges);
                });
            }
        };
        if self.is_full() || self.is_behind(now) {
            return self.refuse_for_now(transport, reply_to, &request.headers);
        }
        let merge_key = merge_key(&request.headers);
        // Merged request (section 8.2.2.2), or our own request looped back.
        if self.initial.contains(&merge_key) || self.came_round(&request.headers) {
            return self.refuse(transport, reply_to, &request.headers, 482, |_| {});
        }
        if let Some((status, extra)) = check_invite(&request) {
            return self.refuse(transport, reply_to, &request.headers, status, |response| {
                if let Some((name, value)) = extra {
                    response.headers.push(name, value);
                }
            });
        }
        let replaces = match self.replaced_call(&request, &candidates) {
            Ok(replaces) => replaces,
            Err(NotReplaced::Refused(status)) => {
                return self.refuse(transport, reply_to, &request.headers, status, |response| {
                    if status == 400 {
                        response.reason = "Malformed Replaces".to_owned();
                    }
                });
            }
            Err(NotReplaced::Unproven) => {
                let challenges = self.challenges(now, source.ip(), candidates.stale);
                return self.refuse(transport, reply_to, &request.headers, 401, |response| {
                    push_challenges(&mut response.headers, challenges);
                });
            }
        };
        self.initial.insert(merge_key.clone());
        self.open_server(now, &key, transport, reply_to, &request, Some(merge_key));
        self.incoming(now, transport, source, key.clone(), request, candidates, replaces);
        self.arm_unanswered(&key);
    }

    pub(super) fn open_server(
        &mut self, now: Instant, key: &Arc<str>, transport: Transport, reply_to: SocketAddr, request: &Request,
        merge_key: Option<Arc<str>>,
    ) {
        let reliable = transport.is_reliable();
        let machine = match (&request.method, &merge_key) {
            (Method::Invite, Some(_)) => ServerMachine::Invite(ServerInvite::new(now, reliable, ANSWER_INVITE)),
            (Method::Invite, None) => ServerMachine::Invite(ServerInvite::new(now, reliable, ANSWER)),
            _ => ServerMachine::Other(Server::new(now, reliable, ANSWER)),
        };
        let headers = response_headers(&request.headers);
        self.insert_server(key, ServerTx::new(machine, transport, reply_to, headers, merge_key));
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
    pub(super) fn refuse(
        &mut self, transport: Transport, reply_to: SocketAddr, headers: &Headers, status: u16,
        add: impl FnOnce(&mut Response),
    ) {
        count(&mut self.counters.refused);
        self.respond_stateless(transport, reply_to, headers, status, add);
    }

    /// Rejects a request with 503 and Retry-After.
    fn refuse_for_now(&mut self, transport: Transport, reply_to: SocketAddr, headers: &Headers) {
        count(&mut self.counters.overload);
        let after = self.config.retry_after_s;
        self.refuse(transport, reply_to, headers, 503, |response| {
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
        self.send(transport, Target::Addr(reply_to), print::response(&response).into());
    }
}

pub(super) fn allow(response: &mut Response) {
    response.headers.push(HeaderName::Allow, ALLOW);
}

pub(super) fn capabilities(response: &mut Response) {
    allow(response);
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
    if knows_timers && Expires::of(headers).is_some_and(|expires| expires.interval_s < MIN_SE_S) {
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
    if let Some(key) = server_key_of(&via, method) {
        return Some(key);
    }
    let (headers, port) = (&request.headers, via.port.unwrap_or(0));
    let cseq = headers.cseq()?.number;
    let from = headers.from_tag().unwrap_or("");
    Some(format!("2543|{}|{from}|{cseq}|{}:{port}|{method}", headers.call_id(), via.host).into())
}

/// The same of its Via alone, where that has the magic cookie.
pub(super) fn server_key_of(via: &Via, method: &str) -> Option<Arc<str>> {
    let branch = via.branch().filter(|branch| branch.starts_with("z9hG4bK"))?;
    Some(format!("{branch}|{}:{}|{method}", via.host, via.port.unwrap_or(0)).into())
}
