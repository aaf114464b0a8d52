//! Responses to our INVITE: provisional ones with their early dialogs, the answer, forks and refusals.

use super::agent::UserAgent;
use super::event::{CallId, SipCommandError, SipEvent};
use super::session::{
    AnswerDue, CallOrigin, CancelStage, Confirmed, DialogPath, EarlyDialog, EarlyOfferAnswer, Established, InviteAck,
    Inviting, LastRequest, OfferAnswer, PeerRefer, ProvisionalAction, Referral, RemoteOffer, SentAck, SessionMode,
    Terminating, is_reliable,
};
use crate::limits;
use crate::sdp::negotiate::offers_security;
use crate::sip::dialog::Dialog;
use crate::sip::early_media::EarlyMediaAuthorization;
use crate::sip::end_cause::EndCause;
use crate::sip::message::scan::param;
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Response};
use crate::sip::reason::{self, Reason};
use crate::sip::session_timer::{Refresher, SessionExpires, SessionTimer};
use std::sync::Arc;
use std::time::Instant;

/// The 2xx of an INVITE of ours.
struct AcceptedInvite {
    dialog: Dialog,
    path: DialogPath,
    /// CSeq number and transaction of the INVITE.
    cseq: u32,
    key: Arc<str>,
    /// Our INVITE had an offer: then the body is the answer, else it is the peer's offer.
    is_offered: bool,
    body: Option<Vec<u8>>,
    peer_updates: bool,
    timer: Option<SessionTimer>,
}

impl AcceptedInvite {
    /// The established dialog; with the description that answers our offer or makes one, and with transactions of forks
    /// whose offers came to nothing.
    fn establish(self, inviting: Inviting) -> EstablishedInvite {
        let completed = inviting.complete(&self.dialog.remote_tag);
        let (mut dialog, mut sdp, mut remote_offer) = (self.dialog, self.body, None);
        if let Some(early) = completed.early {
            dialog.adopt_cseqs(&early.dialog);
            match early.into_offer_answer() {
                // The answer came reliably before, so the 2xx need not repeat it (RFC 6337 section 2.1).
                EarlyOfferAnswer::Answered(answer) if self.is_offered => sdp = sdp.or(Some(answer)),
                EarlyOfferAnswer::RemoteOffer(offer) => remote_offer = Some(offer),
                // Gateways change their tag with the answer, and think that they have described their media.
                EarlyOfferAnswer::AwaitingAnswer if self.is_offered => sdp = sdp.or(completed.other_answer),
                EarlyOfferAnswer::Answered(_) | EarlyOfferAnswer::AwaitingAnswer | EarlyOfferAnswer::Renegotiated => {}
            }
        } else if self.is_offered {
            sdp = sdp.or(completed.other_answer);
        }
        let established = Established {
            dialog,
            path: self.path,
            origin: CallOrigin::Ours { authenticator: completed.authenticator },
            rights: completed.rights,
            peer_updates: self.peer_updates,
            timer: self.timer,
            local_sdp: completed.local_sdp,
        };
        EstablishedInvite { established, sdp, remote_offer, unanswered: completed.unanswered }
    }
}

struct EstablishedInvite {
    established: Established,
    sdp: Option<Vec<u8>>,
    /// An offer of the early dialog that has no answer yet.
    remote_offer: Option<RemoteOffer>,
    unanswered: Vec<Arc<str>>,
}

impl UserAgent {
    pub(super) fn handle_invite_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        match response.status {
            100..200 => self.handle_invite_provisional(now, key, call, response),
            200..300 => self.handle_invite_accepted(now, key, call, &response),
            status => {
                self.ack_rejection(key, &response);
                let Some(session) = self.sessions.get(call) else { return };
                // A challenge we answered or an older transaction of the same call is not its end.
                let is_newest = match session.mode() {
                    SessionMode::Inviting(inviting) => inviting.request.is(key),
                    SessionMode::Terminating(over) => {
                        matches!(&over.last, LastRequest::Cancel(canceling) if canceling.invite == *key)
                    }
                    _ => false,
                };
                let is_retried = match status {
                    _ if !is_newest => return,
                    422 => self.retry_with_min_se(now, key, call, &response),
                    415 | 420 | 488 => self.retry_without_extensions(now, key, call, status),
                    _ => false,
                };
                if is_retried {
                    return;
                }
                self.end_call(now, call, rejection_cause(response));
            }
        }
    }

    /// 422: the peer's network wants longer sessions (RFC 4028 section 7.4).
    fn retry_with_min_se(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) -> bool {
        let is_wanted = self.sessions.get_mut(call).is_some_and(|session| session.inviting().is_some());
        let Some(tx) = self.clients.get(key).filter(|_| is_wanted) else { return false };
        let asked = tx.request.headers.number(&HeaderName::SessionExpires);
        let wanted = response.headers.number(&HeaderName::MinSe);
        let (Some(asked), Some(wanted)) = (asked, wanted) else { return false };
        if wanted <= asked || wanted > limits::INTERVAL_S_MAX || tx.repeats >= limits::REQUEST_RETRIES_MAX {
            return false;
        }
        self.resend_request(now, key, call, |request| {
            request.headers.set(HeaderName::SessionExpires, wanted.to_string());
            request.headers.set(HeaderName::MinSe, wanted.to_string());
        });
        true
    }

    /// 415, 420 and 488 may be about what our first INVITE has beyond RFC 3261: it goes out once more without. A 488 to an
    /// offer with keys is left to the owner, who may offer none.
    fn retry_without_extensions(&mut self, now: Instant, key: &Arc<str>, call: CallId, status: u16) -> bool {
        let is_wanted = self.sessions.get_mut(call).is_some_and(|session| session.inviting().is_some());
        let Some(tx) = self.clients.get(key).filter(|_| is_wanted) else { return false };
        let request = &tx.request;
        let is_plain = request.headers.get(&HeaderName::Supported).is_none();
        let has_keys = status != 420 && offers_security(&request.body);
        if is_plain || has_keys || tx.repeats >= limits::REQUEST_RETRIES_MAX {
            return false;
        }
        self.resend_request(now, key, call, |request| {
            for name in [HeaderName::Supported, HeaderName::SessionExpires, HeaderName::MinSe, HeaderName::PEarlyMedia]
            {
                request.headers.remove(&name);
            }
        });
        true
    }

    fn handle_invite_provisional(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        let Some(session) = self.sessions.get_mut(call) else { return };
        if let Some(canceling) = session.canceling() {
            if canceling.stage == CancelStage::AwaitingProvisional {
                self.send_cancel(now, call);
            }
            return;
        }
        if session.inviting().is_none() || response.status == 100 {
            return;
        }
        if !self.update_early_dialog(now, key, call, &response) {
            return; // a retransmission
        }
        let Some(peer) = self.clients.get(key).map(|tx| tx.address().addr) else { return };
        let is_reliable = is_reliable(&response.headers);
        let early_media = EarlyMediaAuthorization::from_headers(&response.headers);
        let remote_tag = response.headers.to_tag().unwrap_or("").to_owned();
        let (status, sdp) = (response.status, (!response.body.is_empty()).then_some(response.body));
        self.events.push_back(SipEvent::ProvisionalResponse {
            call,
            status,
            sdp,
            peer,
            remote_tag,
            is_reliable,
            early_media,
        });
    }

    /// Takes a provisional response into the early dialog of its tag and acknowledges a reliable one: false for a
    /// retransmission or one out of order.
    fn update_early_dialog(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) -> bool {
        // Without a tag there is no dialog; a description counts all the same.
        let is_described = !response.body.is_empty() && !is_reliable(&response.headers);
        let Some(tag) = response.headers.to_tag().or(is_described.then_some("")) else { return true };
        let Some(tx) = self.clients.get_mut(key) else { return false };
        let Some(dialog) = Dialog::from_response(&tx.request, response) else { return true };
        let Some(inviting) = self.sessions.get_mut(call).and_then(|session| session.inviting()) else { return false };
        let path = DialogPath::of_invite(&tx.request, tx.address());
        let Some(early) = inviting.early_dialog_or(tag, || EarlyDialog::new(dialog, path)) else { return true };
        let rseq = match early.receive(response) {
            ProvisionalAction::Deliver => return true,
            ProvisionalAction::Ignore => return false,
            ProvisionalAction::Acknowledge { .. } if !tx.claim_prack() => return false,
            ProvisionalAction::Acknowledge { rseq } => rseq,
        };
        early.record_acknowledged(rseq);
        let path = early.path;
        let mut outgoing = early.dialog.request(Method::Prack);
        outgoing.request.headers.push(HeaderName::RAck, format!("{rseq} {} INVITE", tx.cseq().unwrap_or(1)));
        self.send_in_dialog(now, call, outgoing, &path);
        true
    }

    fn handle_invite_accepted(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(dialog) = Dialog::from_response(&tx.request, response) else { return };
        let Some(cseq) = tx.cseq() else { return };
        let Some(session) = self.sessions.get_mut(call) else { return self.end_unwanted_dialog(now, dialog, key) };
        if let Some(confirmed) = session.confirmed()
            && confirmed.established.dialog.remote_tag == dialog.remote_tag
        {
            if let InviteAck::Ours(ack) = &mut confirmed.ack {
                self.transmits.extend(ack.resend(key));
            }
            return;
        }
        let early_path = match session.mode() {
            SessionMode::Inviting(inviting) => inviting.early_dialog(&dialog.remote_tag).map(|early| early.path),
            SessionMode::Terminating(over) if matches!(over.last, LastRequest::Cancel(_)) => None,
            // The ACK of the first 200 waits for the owner.
            SessionMode::AnswerDue(due) if due.established.dialog.remote_tag == dialog.remote_tag => return,
            // A second fork answered too.
            _ => return self.end_unwanted_dialog(now, dialog, key),
        };
        let of_invite = DialogPath::of_invite(&tx.request, tx.address());
        let accepted = AcceptedInvite {
            dialog,
            path: early_path.map_or(of_invite, |early| DialogPath { peer: early.peer, ..of_invite }),
            cseq,
            key: key.clone(),
            is_offered: !tx.request.body.is_empty(),
            body: (!response.body.is_empty()).then(|| response.body.clone()),
            peer_updates: allows_update(&response.headers),
            timer: SessionExpires::from_headers(&response.headers)
                .map(|expires| SessionTimer::start(now, expires.interval_s, expires.refresher != Some(Refresher::Uas))),
        };
        if session.inviting().is_none() {
            return self.end_crossed_call(now, call, accepted);
        }
        let (peer, sip_call_id) = (tx.address().addr, response.headers.call_id().to_owned());
        let remote_tag = response.headers.to_tag().unwrap_or("").to_owned();
        let sdp = self.complete_invite(now, call, accepted);
        self.events.push_back(SipEvent::Answered { call, sdp, sip_call_id, peer, remote_tag });
    }

    /// The call is answered: the description for its owner.
    fn complete_invite(&mut self, now: Instant, call: CallId, accepted: AcceptedInvite) -> Option<Vec<u8>> {
        let (key, cseq) = (accepted.key.clone(), accepted.cseq);
        // The peer's offer is answered in the ACK, which waits for the owner.
        let waits = !accepted.is_offered && accepted.body.is_some();
        let ack = (!waits).then(|| self.send_ack(&accepted.dialog, cseq, &key, &accepted.path, Vec::new()));
        let (sdp, unanswered) = self.sessions.transition(call, |mode| match mode {
            SessionMode::Inviting(inviting) => {
                let EstablishedInvite { established, sdp, remote_offer, mut unanswered } =
                    accepted.establish(*inviting);
                let mode = match ack {
                    Some(ack) => {
                        let (offer_answer, ack) = (OfferAnswer::from(remote_offer), InviteAck::Ours(ack));
                        SessionMode::Confirmed(Box::new(Confirmed {
                            established,
                            offer_answer,
                            open_refer: None,
                            peer_refer: PeerRefer::None,
                            referral: Referral::None,
                            ack,
                        }))
                    }
                    None => {
                        unanswered.extend(remote_offer.map(|offer| offer.key));
                        SessionMode::AnswerDue(Box::new(AnswerDue { invite: key, cseq, established }))
                    }
                };
                (mode, (sdp, unanswered))
            }
            same => (same, (None, Vec::new())),
        })?;
        for key in unanswered {
            self.reply(now, &key, 487, |_| {});
        }
        self.arm_session(call);
        sdp
    }

    /// The 200 crossed our CANCEL: the call exists and has to be ended (section 15).
    fn end_crossed_call(&mut self, now: Instant, call: CallId, accepted: AcceptedInvite) {
        let (cseq, key, path) = (accepted.cseq, accepted.key.clone(), accepted.path);
        self.send_ack(&accepted.dialog, cseq, &key, &path, Vec::new());
        let bye = self.sessions.transition(call, |mode| match mode {
            SessionMode::Terminating(over) => match *over {
                Terminating { last: LastRequest::Cancel(canceling), drop_at } => {
                    let mut established = accepted.establish(*canceling.inviting).established;
                    let outgoing = established.dialog.request(Method::Bye);
                    let over = Terminating { last: LastRequest::bye(established), drop_at };
                    (SessionMode::Terminating(Box::new(over)), Some(outgoing))
                }
                same => (SessionMode::Terminating(Box::new(same)), None),
            },
            same => (same, None),
        });
        if let Some(mut outgoing) = bye.flatten() {
            outgoing.request.headers.push(HeaderName::Reason, reason::NORMAL_CLEARING);
            self.send_in_dialog(now, call, outgoing, &path);
        }
    }

    /// Our answer to the offer that came with the 200; `None` if there is no answer; the owner then hangs up.
    pub fn acknowledge(&mut self, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), SipCommandError> {
        let session = self.sessions.get(call).ok_or(SipCommandError::UnknownCall)?;
        let SessionMode::AnswerDue(due) = session.mode() else { return Err(SipCommandError::WrongState) };
        let (dialog, path) = (due.established.dialog.clone(), due.established.path);
        let (cseq, invite, sdp) = (due.cseq, due.invite.clone(), sdp.unwrap_or_default());
        let sent: SentAck = self.send_ack(&dialog, cseq, &invite, &path, sdp.clone());
        self.sessions.transition(call, |mode| match mode {
            SessionMode::AnswerDue(due) => {
                let established = Established { local_sdp: sdp, ..due.established };
                let (offer_answer, ack) = (OfferAnswer::Idle, InviteAck::Ours(sent));
                let (open_refer, peer_refer, referral) = (None, PeerRefer::None, Referral::None);
                let confirmed = Confirmed { established, offer_answer, open_refer, peer_refer, referral, ack };
                (SessionMode::Confirmed(Box::new(confirmed)), ())
            }
            same => (same, ()),
        });
        Ok(())
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
