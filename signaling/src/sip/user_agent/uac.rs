//! Calls we make: INVITE, its answers, CANCEL and the forks of a proxy.

use super::authentication::ClientAuthenticator;
use super::client_responses::{CancelState, PendingInvite};
use super::failover::{NextHop, OutboundRequest, RequestRoute};
use super::reliable_provisional::is_reliable;
use super::transaction_table::ClientTransactionKind;
use super::{
    ALLOW, CallId, InviteRequest, SUPPORTED, SipCommandError, SipEvent, SipSession, SipSessionState, UserAgent,
    dialog_key,
};
use crate::limits;
use crate::sip::dialog::Dialog;
use crate::sip::end_cause::EndCause;
use crate::sip::message::scan::param;
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Request, Response};
use crate::sip::reason::{self, Reason};
use crate::sip::session_timer::{self, Refresher, SessionExpires, SessionTimer};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// Starts an outgoing call. Its end, including rejections, comes as an event.
    pub fn send_invite(&mut self, now: Instant, invite: InviteRequest) -> Result<CallId, SipCommandError> {
        if self.is_at_calls_max() {
            return Err(SipCommandError::Overloaded);
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
        let hops = if invite.hops.is_empty() { vec![NextHop::of(&invite.request_uri)] } else { invite.hops };
        let bound = invite.credentials.filter(|bound| bound.cover(&invite.request_uri, &hops));
        let request = Request { method: Method::Invite, uri: invite.request_uri, headers, body: sdp.clone() };
        self.dialogs.insert(dialog_key(&call_id, &local_tag), call);
        let may_authenticate = bound.is_some();
        let state =
            SipSessionState::OutgoingPending(Box::new(PendingInvite { key: None, cancel: CancelState::NotRequested }));
        let session = SipSession {
            authenticator: ClientAuthenticator::new(bound),
            is_caller: true,
            trunk: invite.trunk,
            accept_refer: invite.accept_refer,
            local_sdp: sdp,
            ..SipSession::new(state, call_id, local_tag, invite.transport)
        };
        self.add_session(call, session);
        let route = RequestRoute::to(hops, invite.transport).with_authentication(may_authenticate);
        self.send_request(
            now,
            OutboundRequest {
                request,
                call: Some(call),
                auth_attempts: 0,
                repeats: 0,
                contact: Some(user),
                route,
                failure: None,
            },
        );
        Ok(call)
    }

    pub(super) fn new_call_id(&mut self) -> String {
        format!("{}@{}", self.tokens.token(), self.config.advertised)
    }

    pub(super) fn handle_invite_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        match response.status {
            100..200 => self.handle_invite_provisional(now, key, call, response),
            200..300 => self.handle_invite_accepted(now, key, call, &response),
            status => {
                self.ack_rejection(key, &response);
                let Some(session) = self.sessions.get(&call) else { return };
                // A challenge we answered or an older transaction of the same call is not its end.
                let SipSessionState::OutgoingPending(calling) = &session.state else { return };
                if calling.key.as_ref() != Some(key) {
                    return;
                }
                if status == 422
                    && calling.cancel == CancelState::NotRequested
                    && self.retry_with_min_se(now, key, call, &response)
                {
                    return;
                }
                self.record_end(now, call, rejection_cause(response));
                self.remove_session(now, call);
            }
        }
    }

    /// 422: the peer's network wants longer sessions (RFC 4028 section 7.4).
    fn retry_with_min_se(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) -> bool {
        let asked = self.clients.get(key).and_then(|tx| tx.request.headers.number(&HeaderName::SessionExpires));
        let wanted = response.headers.number(&HeaderName::MinSe);
        let (Some(asked), Some(wanted)) = (asked, wanted) else { return false };
        let (attempts, repeats) = self.clients.get(key).map_or((0, 0), |tx| (tx.auth_attempts, tx.repeats));
        if wanted <= asked || wanted > limits::INTERVAL_S_MAX || repeats >= limits::REQUEST_RETRIES_MAX {
            return false;
        }
        self.resend_request(now, key, call, attempts, |request| {
            request.headers.set(HeaderName::SessionExpires, wanted.to_string());
            request.headers.set(HeaderName::MinSe, wanted.to_string());
        });
        true
    }

    fn handle_invite_provisional(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SipSessionState::OutgoingPending(calling) = &mut session.state else { return };
        if calling.cancel == CancelState::Pending {
            return self.send_cancel(now, call);
        }
        if calling.cancel != CancelState::NotRequested || response.status == 100 || session.end_reported {
            return;
        }
        if !self.handle_provisional(now, key, call, &response) {
            return; // a retransmission
        }
        let Some(peer) = self.clients.get(key).map(|tx| tx.address.addr) else { return };
        let is_reliable = is_reliable(&response.headers);
        let remote_tag = response.headers.to_tag().unwrap_or("").to_owned();
        let sdp = (!response.body.is_empty()).then_some(response.body);
        let status = response.status;
        self.events.push_back(SipEvent::ProvisionalResponse { call, status, sdp, peer, remote_tag, is_reliable });
    }

    fn handle_invite_accepted(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(mut dialog) = Dialog::from_response(&tx.request, response) else { return };
        let Some(cseq) = tx.request.headers.cseq().map(|c| c.number) else { return };
        let (offered, transport, peer) = (!tx.request.body.is_empty(), tx.address.transport, tx.address.addr);
        let Some(session) = self.sessions.get_mut(&call) else {
            return self.end_unwanted_dialog(now, dialog, cseq, key, transport);
        };
        match &mut session.state {
            SipSessionState::OutgoingPending(calling) => {
                let canceled = calling.cancel != CancelState::NotRequested || session.end_reported;
                if let Some(early) =
                    session.early_dialogs.iter().find(|early| early.dialog.remote_tag == dialog.remote_tag)
                {
                    dialog.adopt_cseqs(&early.dialog);
                }
                session.early_dialogs = Vec::new();
                session.peer_updates = allows_update(&response.headers);
                session.timer = SessionExpires::from_headers(&response.headers).map(|expires| {
                    SessionTimer::start(now, expires.interval_s, expires.refresher != Some(Refresher::Uas))
                });
                let (transport, source) = (session.transport, session.source);
                let sdp = (!response.body.is_empty()).then(|| response.body.clone());
                // The peer's offer is answered in the ACK, which waits for the owner.
                let waits = !offered && sdp.is_some() && !canceled;
                let ack = (!waits).then(|| self.send_ack(&dialog, cseq, key, transport, source, Vec::new()));
                let Some(session) = self.sessions.get_mut(&call) else { return };
                session.state = SipSessionState::Established { dialog: Box::new(dialog), ack };
                session.unacknowledged = waits.then(|| (cseq, key.clone()));
                self.arm_session(call);
                if canceled {
                    // The 200 crossed our CANCEL: the call exists and has to be ended (section 15).
                    let _ = self.hang_up(now, call);
                } else {
                    let sip_call_id = response.headers.call_id().to_owned();
                    let remote_tag = response.headers.to_tag().unwrap_or("").to_owned();
                    self.events.push_back(SipEvent::Answered { call, sdp, sip_call_id, peer, remote_tag });
                }
            }
            SipSessionState::Established { dialog: first, ack, .. } if first.remote_tag == dialog.remote_tag => {
                let again = ack.as_mut().and_then(|ack| ack.resend_request(key));
                self.transmits.extend(again);
            }
            // A second fork answered too.
            _ => self.end_unwanted_dialog(now, dialog, cseq, key, transport),
        }
    }

    /// Our answer to the offer that came with the 200; `None` if there is no answer; the owner then hangs up.
    pub fn acknowledge(&mut self, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?;
        let (cseq, key) = session.unacknowledged.take().ok_or(SipCommandError::WrongState)?;
        let SipSessionState::Established { dialog, .. } = &session.state else {
            return Err(SipCommandError::WrongState);
        };
        let (dialog, transport, source) = (dialog.clone(), session.transport, session.source);
        let sdp = sdp.unwrap_or_default();
        session.local_sdp.clone_from(&sdp);
        let sent = self.send_ack(&dialog, cseq, &key, transport, source, sdp);
        if let Some(SipSessionState::Established { ack, .. }) = self.sessions.get_mut(&call).map(|s| &mut s.state) {
            *ack = Some(sent);
        }
        Ok(())
    }

    /// Ends a call in whatever state it is: refusal, CANCEL or BYE. The end is reported at once.
    pub fn hang_up(&mut self, now: Instant, call: CallId) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?;
        match &mut session.state {
            SipSessionState::IncomingRinging { .. } => return self.reject(now, call, 480, None),
            SipSessionState::AwaitingAck { hang_up, .. } => {
                // A UAS must not send BYE before the ACK or its timeout (section 15).
                *hang_up = true;
                self.record_end(now, call, EndCause::LocalHangUp);
            }
            SipSessionState::OutgoingPending(calling) => {
                if calling.cancel != CancelState::NotRequested {
                    return Ok(());
                }
                calling.cancel = CancelState::Pending;
                let key = calling.key.clone();
                self.record_end(now, call, EndCause::LocalHangUp);
                let Some(key) = key.filter(|key| self.clients.contains_key(key)) else {
                    // Nothing was sent yet: DNS lookup is pending.
                    self.awaiting_dns.retain(|_, outbound| outbound.call != Some(call));
                    self.remove_session(now, call);
                    return Ok(());
                };
                let calling = matches!(
                    self.clients.get(&key).map(|tx| &tx.machine),
                    Some(ClientTransactionKind::Invite(machine)) if machine.is_calling()
                );
                if !calling {
                    self.send_cancel(now, call);
                }
            }
            SipSessionState::Established { .. } => {
                if session.unacknowledged.is_some() {
                    let _ = self.acknowledge(call, None);
                }
                self.record_end(now, call, EndCause::LocalHangUp);
                self.send_bye(now, call, reason::NORMAL_CLEARING);
            }
            SipSessionState::OptionsPending(_) => self.stop_probe(now, call),
            SipSessionState::ByeSent | SipSessionState::Registering(_) => {}
        }
        Ok(())
    }

    pub(super) fn send_bye(&mut self, now: Instant, call: CallId, why: &str) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SipSessionState::Established { dialog, .. } = &mut session.state else { return };
        let mut outgoing = dialog.request(Method::Bye);
        outgoing.request.headers.push(HeaderName::Reason, why);
        session.state = SipSessionState::ByeSent;
        session.timer = None;
        session.drop_at.get_or_insert(now + super::LINGER);
        self.answer_pending_requests(now, call);
        self.arm_session(call);
        self.send_in_dialog(now, call, outgoing);
    }

    fn send_cancel(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SipSessionState::OutgoingPending(calling) = &mut session.state else { return };
        calling.cancel = CancelState::Sent;
        if let Some(key) = calling.key.clone() {
            self.cancel_transaction(now, &key, Some(call));
        }
    }
}

pub(super) fn allows_update(headers: &Headers) -> bool {
    headers.list(&HeaderName::Allow).any(|method| method == "UPDATE")
}

fn rejection_cause(response: Response) -> EndCause {
    let headers = &response.headers;
    if (300..400).contains(&response.status) {
        return EndCause::Redirected { status: response.status, contacts: redirect_targets(headers) };
    }
    let retry_after_s = headers.number(&HeaderName::RetryAfter).map(|s| s.min(limits::INTERVAL_S_MAX));
    let why = Reason::from_headers(headers);
    EndCause::Rejected { status: response.status, reason: response.reason, retry_after_s, reason_header: why }
}

/// Where a redirection points to, by preference (RFC 3261 section 8.1.3.4).
fn redirect_targets(headers: &Headers) -> Vec<String> {
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
