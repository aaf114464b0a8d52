//! Our reliable provisional responses (RFC 3262): sent one after the other, each until its PRACK.

use super::agent::{UserAgent, increment};
use super::event::{CallId, SipEvent};
use super::session::{AcknowledgedProvisional, AwaitingPrack, ReliableTimeout};
use super::session_body::{UnsupportedBody, keep_description};
use crate::sip::end_cause::EndCause;
use crate::sip::message::headers::RAck;
use crate::sip::message::{HeaderName, Headers, Request, print};
use crate::sip::transaction::MessageBytes;
use std::sync::Arc;
use std::time::Instant;

fn has_option(headers: &Headers, name: &HeaderName, option: &str) -> bool {
    headers.list(name).any(|tag| tag.eq_ignore_ascii_case(option))
}

impl UserAgent {
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
        let Some(ringing) = self.sessions.get_mut(call).and_then(|session| session.ringing()) else { return };
        let cseq = ringing.cseq().unwrap_or(1);
        let Some(rseq) = ringing.provisionals.next_rseq(first, status, sdp.as_ref()) else { return };
        let Some(mut response) = self.build_provisional(call, key, status, sdp) else { return };
        response.headers.push(HeaderName::Require, "100rel");
        response.headers.push(HeaderName::RSeq, rseq.to_string());
        let wire: MessageBytes = print::response(&response).into();
        let Some(to) = self.servers.get(key).map(|tx| tx.reply_to()) else { return };
        let sent = AwaitingPrack::new(now, rseq, cseq, !response.body.is_empty(), wire, to);
        if let Some(ringing) = self.sessions.get_mut(call).and_then(|session| session.ringing()) {
            ringing.provisionals.record_sent(sent);
        }
        self.respond(now, key, &response);
        self.arm_session(call);
    }

    pub(super) fn handle_prack(&mut self, now: Instant, call: CallId, key: Arc<str>, mut request: Request) {
        let ringing = self.sessions.get_mut(call).and_then(|session| session.ringing());
        let rack = request.headers.get(&HeaderName::RAck).and_then(RAck::parse);
        let acknowledged = ringing.zip(rack).and_then(|(ringing, rack)| {
            let freed = ringing.provisionals.acknowledge(&rack)?;
            Some((ringing.remote_offer.is_some(), freed))
        });
        let Some((is_offer_open, AcknowledgedProvisional { waiting, answer })) = acknowledged else {
            self.reply(now, &key, 481, |_| {});
            return;
        };
        if keep_description(&mut request) == Err(UnsupportedBody) {
            self.reject_body(now, &key);
        } else if request.body.is_empty() {
            self.reply(now, &key, 200, |_| {});
        } else if is_offer_open {
            self.reject_overlapping_offer(now, &key);
        } else if let Some(session) = self.sessions.get_mut(call) {
            session.receive_remote_offer(key, &request);
            let remote_tag = request.headers.from_tag().unwrap_or("").to_owned();
            self.events.push_back(SipEvent::ReofferReceived { call, sdp: Some(request.body), remote_tag });
        }
        // The first goes out, the others queue up behind it.
        for (status, sdp) in waiting {
            let _ = self.send_provisional(now, call, status, sdp);
        }
        if let Some(sdp) = answer {
            let _ = self.answer(now, call, sdp);
        }
    }

    /// Retransmits the response, or rejects the call if it was never acknowledged (section 3).
    pub(super) fn handle_reliable_timeout(&mut self, now: Instant, call: CallId) {
        let Some(ringing) = self.sessions.get_mut(call).and_then(|session| session.ringing()) else { return };
        match ringing.provisionals.handle_timeout(now) {
            Some(ReliableTimeout::Retransmit(wire, to)) => {
                increment(&mut self.counters.retransmitted);
                self.send(to, wire);
            }
            Some(ReliableTimeout::GiveUp) => {
                let tx = ringing.tx.clone();
                self.reply(now, &tx, 504, |_| {});
                self.end_call(now, call, EndCause::NotAcknowledged);
            }
            None => {}
        }
    }
}
