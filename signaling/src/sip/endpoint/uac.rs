//! Calls we make: INVITE, its answers, CANCEL and the forks of a proxy.

use super::authentication::Authenticator;
use super::client::{Calling, Cancel};
use super::launch::{Hop, Outbound, Way};
use super::transactions::ClientMachine;
use super::{ALLOW, CallId, Endpoint, Event, Invite, Refusal, SUPPORTED, Session, SessionState, dialog_key};
use crate::limits;
use crate::sip::dialog::Dialog;
use crate::sip::failure::Cause;
use crate::sip::message::scan::param;
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Request, Response};
use crate::sip::reason::{self, Reason};
use crate::sip::session_timer::{self, Expires, Refresher, SessionTimer};
use std::sync::Arc;
use std::time::Instant;

impl Endpoint {
    /// Starts an outgoing call. Its end, including rejections, comes as an event.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<CallId, Refusal> {
        if self.is_full() {
            return Err(Refusal::Overload);
        }
        let call = self.new_call();
        let (call_id, local_tag) = (self.new_call_id(), self.tokens.token());
        let user = invite.from.uri.user.clone();
        let mut headers = Headers::with_capacity(18);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{};tag={local_tag}", invite.from));
        headers.push(HeaderName::To, invite.to.to_string());
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, "1 INVITE");
        headers.push(HeaderName::Contact, "");
        headers.push(HeaderName::Allow, ALLOW);
        let sdp = invite.sdp.unwrap_or_default();
        // Without our own offer 100rel is not supported, because an offer in a provisional response would need its
        // answer in the PRACK.
        headers.push(HeaderName::Supported, if sdp.is_empty() { "timer, replaces" } else { SUPPORTED });
        if self.config.session_expires_s > 0 {
            headers.push(HeaderName::SessionExpires, self.config.session_expires_s.to_string());
            headers.push(HeaderName::MinSe, session_timer::MIN_SE_S.to_string());
        }
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        for header in invite.headers.iter() {
            headers.push(header.name.clone(), header.value.as_str());
        }
        if !sdp.is_empty() {
            headers.push(HeaderName::ContentType, "application/sdp");
        }
        let hops = if invite.hops.is_empty() { vec![Hop::of(&invite.request_uri)] } else { invite.hops };
        let bound = invite.credentials.filter(|bound| bound.are_for(&invite.request_uri, &hops));
        let request = Request { method: Method::Invite, uri: invite.request_uri, headers, body: sdp.clone() };
        self.dialogs.insert(dialog_key(&call_id, &local_tag), call);
        let may_authenticate = bound.is_some();
        let state = SessionState::Calling(Box::new(Calling { key: None, cancel: Cancel::No }));
        let session = Session {
            authenticator: Authenticator::new(bound),
            caller: true,
            trunk: invite.trunk,
            accept_refer: invite.accept_refer,
            local_sdp: sdp,
            ..Session::new(state, call_id, local_tag, invite.transport)
        };
        self.add_session(call, session);
        let way = Way::to(hops, invite.transport).authenticating(may_authenticate);
        self.launch(
            now,
            Outbound { request, call: Some(call), auth_attempts: 0, repeats: 0, contact: Some(user), way, why: None },
        );
        Ok(call)
    }

    pub(super) fn new_call_id(&mut self) -> String {
        format!("{}@{}", self.tokens.token(), self.config.advertised)
    }

    pub(super) fn invite_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        match response.status {
            100..200 => self.invite_progress(now, key, call, response),
            200..300 => self.invite_accepted(now, key, call, &response),
            status => {
                self.acknowledge_refusal(key, &response);
                let Some(session) = self.sessions.get(&call) else { return };
                // A challenge we answered or an older transaction of the same call is not its end.
                let SessionState::Calling(calling) = &session.state else { return };
                if calling.key.as_ref() != Some(key) {
                    return;
                }
                if status == 422 && calling.cancel == Cancel::No && self.ask_for_longer(now, key, call, &response) {
                    return;
                }
                self.end(now, call, refusal(response));
                self.remove_session(now, call);
            }
        }
    }

    /// 422: the peer's network wants longer sessions (RFC 4028 section 7.4).
    fn ask_for_longer(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) -> bool {
        let asked = self.clients.get(key).and_then(|tx| tx.request.headers.number(&HeaderName::SessionExpires));
        let wanted = response.headers.number(&HeaderName::MinSe);
        let (Some(asked), Some(wanted)) = (asked, wanted) else { return false };
        let (attempts, repeats) = self.clients.get(key).map_or((0, 0), |tx| (tx.auth_attempts, tx.repeats));
        if wanted <= asked || wanted > limits::INTERVAL_S_MAX || repeats >= limits::REPEATS_MAX {
            return false;
        }
        self.again(now, key, call, attempts, |request| {
            request.headers.set(HeaderName::SessionExpires, wanted.to_string());
            request.headers.set(HeaderName::MinSe, wanted.to_string());
        });
        true
    }

    fn invite_progress(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SessionState::Calling(calling) = &mut session.state else { return };
        if calling.cancel == Cancel::Wanted {
            return self.send_cancel(now, call);
        }
        if calling.cancel != Cancel::No || response.status == 100 || session.ended {
            return;
        }
        if !self.early_response(now, key, call, &response) {
            return; // a retransmission
        }
        let Some(peer) = self.clients.get(key).map(|tx| tx.address.addr) else { return };
        let sdp = (!response.body.is_empty()).then_some(response.body);
        self.events.push_back(Event::Progress { call, status: response.status, sdp, peer });
    }

    fn invite_accepted(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(mut dialog) = Dialog::from_response(&tx.request, response) else { return };
        let Some(cseq) = tx.request.headers.cseq().map(|c| c.number) else { return };
        let (offered, transport, peer) = (!tx.request.body.is_empty(), tx.address.transport, tx.address.addr);
        let Some(session) = self.sessions.get_mut(&call) else {
            return self.discard_dialog(now, dialog, cseq, key, transport);
        };
        match &mut session.state {
            SessionState::Calling(calling) => {
                let canceled = calling.cancel != Cancel::No || session.ended;
                if let Some(early) = session.early.iter().find(|early| early.dialog.remote_tag == dialog.remote_tag) {
                    dialog.follow(&early.dialog);
                }
                session.early = Vec::new();
                session.peer_updates = allows_update(&response.headers);
                session.timer = Expires::of(&response.headers).map(|expires| {
                    SessionTimer::start(now, expires.interval_s, expires.refresher != Some(Refresher::Uas))
                });
                let (transport, source) = (session.transport, session.source);
                let sdp = (!response.body.is_empty()).then(|| response.body.clone());
                // The peer's offer is answered in the ACK, which waits for the owner.
                let waits = !offered && sdp.is_some() && !canceled;
                let ack = (!waits).then(|| self.send_ack(&dialog, cseq, key, transport, source, Vec::new()));
                let Some(session) = self.sessions.get_mut(&call) else { return };
                session.state = SessionState::Established { dialog: Box::new(dialog), ack };
                session.unacknowledged = waits.then(|| (cseq, key.clone()));
                self.arm_session(call);
                if canceled {
                    // The 200 crossed our CANCEL: the call exists and has to be ended (section 15).
                    let _ = self.hang_up(now, call);
                } else {
                    let sip_call_id = response.headers.call_id().to_owned();
                    self.events.push_back(Event::Answered { call, sdp, sip_call_id, peer });
                }
            }
            SessionState::Established { dialog: first, ack, .. } if first.remote_tag == dialog.remote_tag => {
                let again = ack.as_mut().and_then(|ack| ack.again(key));
                self.transmits.extend(again);
            }
            // A second fork answered too.
            _ => self.discard_dialog(now, dialog, cseq, key, transport),
        }
    }

    /// Our answer to the offer that came with the 200; `None` if there is no answer; the owner then hangs up.
    pub fn acknowledge(&mut self, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        let (cseq, key) = session.unacknowledged.take().ok_or(Refusal::WrongState)?;
        let SessionState::Established { dialog, .. } = &session.state else { return Err(Refusal::WrongState) };
        let (dialog, transport, source) = (dialog.clone(), session.transport, session.source);
        let sdp = sdp.unwrap_or_default();
        session.local_sdp.clone_from(&sdp);
        let sent = self.send_ack(&dialog, cseq, &key, transport, source, sdp);
        if let Some(SessionState::Established { ack, .. }) = self.sessions.get_mut(&call).map(|s| &mut s.state) {
            *ack = Some(sent);
        }
        Ok(())
    }

    /// Ends a call in whatever state it is: refusal, CANCEL or BYE. The end is reported at once.
    pub fn hang_up(&mut self, now: Instant, call: CallId) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        match &mut session.state {
            SessionState::Ringing { .. } => return self.reject(now, call, 480, None),
            SessionState::AwaitingAck { hang_up, .. } => {
                // A UAS must not send BYE before the ACK or its timeout (section 15).
                *hang_up = true;
                self.end(now, call, Cause::Local);
            }
            SessionState::Calling(calling) => {
                if calling.cancel != Cancel::No {
                    return Ok(());
                }
                calling.cancel = Cancel::Wanted;
                let key = calling.key.clone();
                self.end(now, call, Cause::Local);
                let Some(key) = key.filter(|key| self.clients.contains_key(key)) else {
                    // Nothing was sent yet: DNS lookup is pending.
                    self.waiting.retain(|_, outbound| outbound.call != Some(call));
                    self.remove_session(now, call);
                    return Ok(());
                };
                let calling = matches!(
                    self.clients.get(&key).map(|tx| &tx.machine),
                    Some(ClientMachine::Invite(machine)) if machine.is_calling()
                );
                if !calling {
                    self.send_cancel(now, call);
                }
            }
            SessionState::Established { .. } => {
                if session.unacknowledged.is_some() {
                    let _ = self.acknowledge(call, None);
                }
                self.end(now, call, Cause::Local);
                self.send_bye(now, call, reason::NORMAL);
            }
            SessionState::Probing(_) => self.stop_probe(now, call),
            SessionState::Closing | SessionState::Registering(_) => {}
        }
        Ok(())
    }

    pub(super) fn send_bye(&mut self, now: Instant, call: CallId, why: &str) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SessionState::Established { dialog, .. } = &mut session.state else { return };
        let mut outgoing = dialog.request(Method::Bye);
        outgoing.request.headers.push(HeaderName::Reason, why);
        session.state = SessionState::Closing;
        session.timer = None;
        session.gone_by.get_or_insert(now + super::LINGER);
        self.settle(now, call);
        self.arm_session(call);
        self.send_in_dialog(now, call, outgoing);
    }

    fn send_cancel(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SessionState::Calling(calling) = &mut session.state else { return };
        calling.cancel = Cancel::Sent;
        if let Some(key) = calling.key.clone() {
            self.cancel_transaction(now, &key, Some(call));
        }
    }
}

pub(super) fn allows_update(headers: &Headers) -> bool {
    headers.list(&HeaderName::Allow).any(|method| method == "UPDATE")
}

fn refusal(response: Response) -> Cause {
    let headers = &response.headers;
    if (300..400).contains(&response.status) {
        return Cause::Redirected { status: response.status, contacts: contacts(headers) };
    }
    let retry_after_s = headers.number(&HeaderName::RetryAfter).map(|s| s.min(limits::INTERVAL_S_MAX));
    let why = Reason::of(headers);
    Cause::Refused { status: response.status, reason: response.reason, retry_after_s, why }
}

/// Where a redirection points to, by preference (RFC 3261 section 8.1.3.4).
fn contacts(headers: &Headers) -> Vec<String> {
    let mut found: Vec<(u32, String)> = headers
        .list(&HeaderName::Contact)
        .take(limits::CONTACTS_MAX)
        .filter_map(|contact| {
            let contact = NameAddr::parse(contact).ok()?;
            let q = param(&contact.params, "q")
                .and_then(|q| q.parse::<f32>().ok())
                .filter(|q| q.is_finite())
                .unwrap_or(1.0);
            Some(((q.clamp(0.0, 1.0) * 1_000.0) as u32, contact.uri.to_string()))
        })
        .collect();
    found.sort_by_key(|(q, _)| std::cmp::Reverse(*q)); // stable sort keeps the order of equal values
    found.into_iter().map(|(_, uri)| uri).collect()
}
