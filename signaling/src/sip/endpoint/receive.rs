//! From received bytes to the transaction, dialog or guard they belong to (RFC 3261 sections 8.2, 17, 18).

use super::guard::Admission;
use super::routing::stamp_via;
use super::transactions::{ServerMachine, ServerTx, client_key};
use super::{ALLOW, Endpoint, SUPPORTED, Target, Transport, dialog_key};
use crate::limits;
use crate::sip::message::parse::{self, Parsed};
use crate::sip::message::{HeaderName, Headers, Message, Method, Request, Response, print};
use crate::sip::session_timer::{Expires, MIN_SE_S};
use crate::sip::transaction::Verdict;
use crate::sip::transaction::server::Server;
use crate::sip::transaction::server_invite::ServerInvite;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

impl Endpoint {
    /// A UDP datagram.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if self.hears(now, source.ip()) {
            self.handle_parsed(now, Transport::Udp, source, parse::datagram(bytes));
        }
    }

    /// Whether a message from there is worth parsing.
    pub fn hears(&mut self, now: Instant, source: IpAddr) -> bool {
        let trunks = &self.config.trunks;
        let is_listed = || trunks.iter().any(|trunk| trunk.allow.iter().any(|net| net.contains(source)));
        let heard = self.shield.admit(now, source, is_listed);
        self.counters.shed += u64::from(!heard);
        heard
    }

    /// A datagram or framed stream message, already parsed.
    pub fn handle_parsed(&mut self, now: Instant, transport: Transport, source: SocketAddr, parsed: Parsed) {
        self.counters.received += 1;
        match parsed {
            Parsed::Message(Message::Request(request)) => self.handle_request(now, transport, source, request),
            Parsed::Message(Message::Response(response)) => self.handle_response(now, response),
            Parsed::Refused { mut headers, status, reason, .. } => {
                self.shield.strike(now, source.ip());
                let reply_to = stamp_via(&mut headers, transport, source);
                self.refuse(transport, reply_to, &headers, status, |response| response.reason = reason.to_owned());
            }
            // RFC 5626 section 3.5.1: a double CRLF on a stream is answered by one CRLF.
            Parsed::KeepAlive { ping: true } if transport.is_reliable() => {
                self.send(transport, Target::Addr(source), Arc::from(&b"\r\n"[..]), None);
            }
            Parsed::KeepAlive { .. } => {}
            Parsed::Garbage(_) => {
                self.counters.garbage += 1;
                self.shield.strike(now, source.ip());
            }
        }
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        let (Some(via), Some(cseq)) = (response.headers.top_via(), response.headers.cseq()) else {
            self.counters.garbage += 1;
            return;
        };
        let key = client_key(via.branch().unwrap_or(""), cseq.method);
        let Some(tx) = self.clients.get_mut(&key) else {
            // A 2xx whose INVITE transaction is gone: nothing to acknowledge any more.
            self.counters.garbage += 1;
            return;
        };
        let verdict = tx.handle_response(now, response.status);
        self.arm_client(&key);
        match verdict {
            Verdict::Deliver => self.client_response(now, &key, response),
            Verdict::Acknowledge => {
                if let Some(tx) = self.clients.get(&key)
                    && let Some(ack) = tx.ack.clone()
                {
                    let address = tx.address;
                    self.send(address.transport, Target::Addr(address.addr), ack, None);
                }
            }
            Verdict::Absorb => {}
        }
    }

    fn handle_request(&mut self, now: Instant, transport: Transport, source: SocketAddr, mut request: Request) {
        let reply_to = stamp_via(&mut request.headers, transport, source);
        let Some(key) = server_key(&request) else {
            self.counters.garbage += 1;
            return;
        };
        if let Some(tx) = self.servers.get_mut(&key) {
            let again = match (&mut tx.machine, &request.method) {
                (ServerMachine::Invite(machine), Method::Ack) => {
                    machine.handle_ack(now);
                    self.arm_server(&key);
                    return;
                }
                (ServerMachine::Invite(machine), _) => machine.handle_retransmission(),
                (ServerMachine::Other(machine), _) => machine.handle_retransmission(),
            };
            if let Some(bytes) = again {
                self.counters.retransmitted += 1;
                self.send(transport, Target::Addr(reply_to), bytes, None);
            }
            return;
        }
        match request.method {
            Method::Ack => return self.handle_dialog_ack(now, &request),
            Method::Cancel => return self.handle_cancel(now, transport, reply_to, &key, &request),
            _ => {}
        }
        if self.servers.len() >= limits::SERVER_TRANSACTIONS_MAX {
            self.counters.overload += 1;
            self.refuse(transport, reply_to, &request.headers, 503, |_| {});
            return;
        }
        if let Some(tag) = request.headers.to_tag() {
            let call = self.dialogs.get(&dialog_key(request.headers.call_id(), tag)).copied();
            return match call {
                Some(call) => self.handle_dialog_request(now, transport, source, reply_to, key, call, request),
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
            Method::Options => return self.answer_options(now, transport, reply_to, key, &request),
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => {
                return self.refuse(transport, reply_to, &request.headers, 481, |_| {});
            }
            Method::Unknown(_) => return self.refuse(transport, reply_to, &request.headers, 501, allow),
            _ => {
                self.shield.strike(now, source.ip());
                return self.refuse(transport, reply_to, &request.headers, 405, allow);
            }
        }
        let trunks = match self.admit(now, source.ip(), &request) {
            Admission::Trunks(trunks) => {
                self.shield.trust(now, source.ip());
                trunks
            }
            Admission::Forbidden => {
                self.counters.forbidden += 1;
                self.shield.strike(now, source.ip());
                return self.refuse(transport, reply_to, &request.headers, 403, |_| {});
            }
            Admission::Challenge(challenges) => {
                // Everybody is challenged once; who comes back without the password is guessing.
                self.shield.strike(now, source.ip());
                return self.refuse(transport, reply_to, &request.headers, 401, |response| {
                    for challenge in challenges {
                        response.headers.push(HeaderName::WwwAuthenticate, challenge);
                    }
                });
            }
        };
        if self.is_full() || self.is_behind(now) {
            self.counters.overload += 1;
            let after = self.config.retry_after_s;
            return self.refuse(transport, reply_to, &request.headers, 503, |response| {
                response.headers.push(HeaderName::RetryAfter, after.to_string());
            });
        }
        let merge_key = merge_key(&request.headers);
        // Merged (section 8.2.2.2), or it was ours and came round.
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
        let replaces = match self.replaced_call(&request) {
            Ok(replaces) => replaces,
            Err(status) => return self.refuse(transport, reply_to, &request.headers, status, |_| {}),
        };
        self.initial.insert(merge_key.clone());
        self.open_server(&key, transport, reply_to, &request, Some(merge_key));
        self.incoming(now, transport, source, key, request, trunks, replaces);
    }

    fn answer_options(
        &mut self, now: Instant, transport: Transport, reply_to: SocketAddr, key: Arc<str>, request: &Request,
    ) {
        self.open_server(&key, transport, reply_to, request, None);
        self.reply(now, &key, 200, capabilities);
    }

    pub(super) fn open_server(
        &mut self, key: &Arc<str>, transport: Transport, reply_to: SocketAddr, request: &Request,
        merge_key: Option<Arc<str>>,
    ) {
        let reliable = transport.is_reliable();
        let machine = if request.method == Method::Invite {
            ServerMachine::Invite(ServerInvite::new(reliable))
        } else {
            ServerMachine::Other(Server::new(reliable))
        };
        let headers = response_headers(&request.headers);
        let tx = ServerTx { machine, transport, reply_to, headers, call: None, offer: None, merge_key };
        self.servers.insert(key.clone(), tx);
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
        self.counters.refused += 1;
        let via = headers.get(&HeaderName::Via).unwrap_or("");
        let tag = self.tokens.keyed(format!("{via}{}", headers.call_id()).as_bytes());
        let mut response = Response::to_request(headers, status, Some(&tag));
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        add(&mut response);
        self.send(transport, Target::Addr(reply_to), print::response(&response).into(), None);
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

/// What an initial INVITE of an admitted caller may still be refused for.
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
    // RFC 4028 section 9: only who knows timers can be told that its own is too short.
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
    if headers.contact().is_none() {
        return Some((400, None));
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
    let port = via.port.unwrap_or(0);
    Some(match via.branch().filter(|branch| branch.starts_with("z9hG4bK")) {
        Some(branch) => format!("{branch}|{}:{port}|{method}", via.host).into(),
        None => {
            let headers = &request.headers;
            let cseq = headers.cseq()?.number;
            let from = headers.from_tag().unwrap_or("");
            format!("2543|{}|{from}|{cseq}|{}:{port}|{method}", headers.call_id(), via.host).into()
        }
    })
}
