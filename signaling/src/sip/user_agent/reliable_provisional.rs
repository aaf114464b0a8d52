//! Reliable provisional responses (RFC 3262), both roles, and early dialogs.

use super::in_dialog::RemoteOffer;
use super::{CallId, SipEvent, SipSessionState, TransmitTarget, Transport, UserAgent, increment};
use crate::limits;
use crate::sip::dialog::Dialog;
use crate::sip::end_cause::EndCause;
use crate::sip::message::headers::RAck;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response, print};
use crate::sip::transaction::MessageBytes;
use crate::sip::transaction::timers::{RetransmitTimer, TIMEOUT};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// An early dialog of our INVITE.
#[derive(Debug)]
pub(crate) struct EarlyDialog {
    pub(super) dialog: Dialog,
    /// RSeq of the last reliable response.
    rseq: Option<u32>,
    /// It has answered our offer.
    pub(super) has_answered: bool,
}

/// Our reliable provisional response, retransmitted until its PRACK, and what is queued behind it.
#[derive(Debug)]
pub(crate) struct ReliableProvisional {
    rseq: u32,
    /// CSeq number of the INVITE.
    cseq: u32,
    has_sdp: bool,
    wire: MessageBytes,
    to: (Transport, SocketAddr),
    retransmit: RetransmitTimer,
    give_up: Instant,
    /// Acknowledged: kept for its number.
    is_done: bool,
    /// Our answer went out with it or with one before, and was acknowledged.
    is_answered: bool,
    waiting: VecDeque<(u16, Option<Vec<u8>>)>,
    /// The deferred 200, which must not be sent before the PRACK (section 3).
    answer: Option<Vec<u8>>,
}

impl ReliableProvisional {
    /// The caller has acknowledged our answer and may send an offer (RFC 3311 section 5.1, RFC 6337 section 2.2).
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        (!self.is_done).then(|| self.retransmit.at.min(self.give_up))
    }
}

fn has_option(headers: &Headers, name: &HeaderName, option: &str) -> bool {
    headers.list(name).any(|tag| tag.eq_ignore_ascii_case(option))
}

/// Whether a provisional response was sent reliably, so that a PRACK has to acknowledge it.
pub(super) fn is_reliable(headers: &Headers) -> bool {
    has_option(headers, &HeaderName::Require, "100rel") && headers.number(&HeaderName::RSeq).is_some()
}

impl UserAgent {
    /// A provisional response to our INVITE: false for a retransmission or one out of order.
    pub(super) fn handle_provisional(
        &mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response,
    ) -> bool {
        let headers = &response.headers;
        let Some(tag) = headers.to_tag() else { return true };
        let Some(tx) = self.clients.get(key) else { return false };
        let cseq = tx.request.headers.cseq().map_or(1, |cseq| cseq.number);
        let Some(dialog) = Dialog::from_response(&tx.request, response) else { return true };
        let Some(session) = self.sessions.get_mut(&call) else { return false };
        session.peer_updates |= super::uac::allows_update(headers);
        if session.early_dialogs.iter().all(|early| early.dialog.remote_tag != tag) {
            if session.early_dialogs.len() >= limits::EARLY_DIALOGS_MAX {
                return true;
            }
            session.early_dialogs.push(EarlyDialog { dialog, rseq: None, has_answered: false });
        }
        let known = session.early_dialogs.iter_mut().find(|early| early.dialog.remote_tag == tag);
        let Some(early) = known else { return true };
        early.has_answered |= !response.body.is_empty();
        let Some(rseq) = headers.number(&HeaderName::RSeq).filter(|_| is_reliable(headers)) else { return true };
        if early.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return false; // seen, or one before it is still to come
        }
        let Some(acknowledged) = self.clients.get_mut(key).map(|tx| &mut tx.acknowledged) else { return false };
        if *acknowledged >= limits::PROVISIONAL_RELIABLE_MAX {
            return false;
        }
        *acknowledged = acknowledged.saturating_add(1);
        early.rseq = Some(rseq);
        let mut outgoing = early.dialog.request(Method::Prack);
        outgoing.request.headers.push(HeaderName::RAck, format!("{rseq} {cseq} INVITE"));
        self.send_in_dialog(now, call, outgoing);
        true
    }

    /// Whether a provisional response must be, or had better be, sent reliably.
    pub(super) fn must_send_reliably(request: &Request, status: u16, sdp: Option<&Vec<u8>>) -> bool {
        let headers = &request.headers;
        status > 100
            && (has_option(headers, &HeaderName::Require, "100rel")
                || sdp.is_some() && has_option(headers, &HeaderName::Supported, "100rel"))
    }

    /// Sends a provisional response reliably, after those before it.
    pub(super) fn send_reliably(
        &mut self, now: Instant, call: CallId, key: &Arc<str>, status: u16, sdp: Option<Vec<u8>>,
    ) {
        let first = (self.tokens.number() % (1 << 30)).saturating_add(1);
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SipSessionState::IncomingRinging { request, .. } = &session.state else { return };
        let cseq = request.headers.cseq().map_or(1, |cseq| cseq.number);
        let rseq = match &mut session.reliable {
            Some(before) if !before.is_done => {
                if before.waiting.len() < limits::PROVISIONAL_WAITING_MAX {
                    before.waiting.push_back((status, sdp));
                }
                return;
            }
            Some(before) => before.rseq.saturating_add(1),
            None => first,
        };
        let before = session.reliable.as_mut();
        let (waiting, is_answered) =
            before.map(|before| (std::mem::take(&mut before.waiting), before.is_answered)).unwrap_or_default();
        let Some(mut response) = self.build_provisional(call, key, status, sdp) else { return };
        response.headers.push(HeaderName::Require, "100rel");
        response.headers.push(HeaderName::RSeq, rseq.to_string());
        let has_sdp = !response.body.is_empty();
        let wire: MessageBytes = print::response(&response).into();
        let Some(tx) = self.servers.get(key) else { return };
        let to = (tx.transport, tx.reply_to);
        let reliable = ReliableProvisional {
            rseq,
            cseq,
            has_sdp,
            wire,
            to,
            retransmit: RetransmitTimer::start(now, TIMEOUT),
            give_up: now + TIMEOUT,
            is_done: false,
            is_answered,
            waiting,
            answer: None,
        };
        if let Some(session) = self.sessions.get_mut(&call) {
            session.reliable = Some(Box::new(reliable));
        }
        self.respond(now, key, &response);
        self.arm_session(call);
    }

    /// The 200 waits for a PRACK: the answer comes back when it need not.
    pub(super) fn defer_answer_for_prack(&mut self, call: CallId, sdp: Vec<u8>) -> Option<Vec<u8>> {
        let reliable = self.sessions.get_mut(&call).and_then(|session| session.reliable.as_mut());
        match reliable {
            Some(reliable) if !reliable.is_done && reliable.has_sdp => {
                reliable.answer = Some(sdp);
                None
            }
            _ => Some(sdp),
        }
    }

    pub(super) fn handle_prack(&mut self, now: Instant, call: CallId, key: Arc<str>, request: Request) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let rack = request.headers.get(&HeaderName::RAck).and_then(RAck::parse);
        let acknowledged = rack.filter(|rack| rack.cseq.method == "INVITE").map(|rack| (rack.rseq, rack.cseq.number));
        let reliable = session.reliable.as_mut().filter(|reliable| !reliable.is_done);
        let Some(reliable) = reliable.filter(|reliable| acknowledged == Some((reliable.rseq, reliable.cseq))) else {
            self.reply(now, &key, 481, |_| {});
            return;
        };
        reliable.is_done = true;
        reliable.is_answered |= reliable.has_sdp;
        let next = reliable.waiting.pop_front();
        let answer = reliable.answer.take();
        if request.body.is_empty() {
            self.reply(now, &key, 200, |_| {});
        } else if session.remote_offer.is_some() {
            self.reject_overlapping_offer(now, &key);
        } else {
            session.remote_offer = Some(RemoteOffer::of(key, &request));
            let remote_tag = request.headers.from_tag().unwrap_or("").to_owned();
            self.events.push_back(SipEvent::ReofferReceived { call, sdp: Some(request.body), remote_tag });
        }
        if let Some((status, sdp)) = next {
            let _ = self.send_provisional(now, call, status, sdp);
        }
        if let Some(sdp) = answer {
            let _ = self.answer(now, call, sdp);
        }
    }

    /// Retransmits the response, or rejects the call if it was never acknowledged (section 3).
    pub(super) fn handle_reliable_timeout(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SipSessionState::IncomingRinging { tx, .. } = &session.state else {
            session.reliable = None;
            return;
        };
        let tx = tx.clone();
        let due = |reliable: &&mut Box<ReliableProvisional>| reliable.next_timeout().is_some_and(|at| at <= now);
        let Some(reliable) = session.reliable.as_mut().filter(due) else { return };
        if now >= reliable.give_up {
            self.reply(now, &tx, 504, |_| {});
            self.record_end(now, call, EndCause::NotAcknowledged);
            return self.remove_session(now, call);
        }
        reliable.retransmit.advance(now);
        let (wire, (transport, to)) = (reliable.wire.clone(), reliable.to);
        increment(&mut self.counters.retransmitted);
        self.send(transport, TransmitTarget::Addr(to), wire);
    }
}
