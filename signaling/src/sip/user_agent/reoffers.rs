//! Offers inside a dialog, theirs and ours: re-INVITE, UPDATE and glare (RFC 3261 section 14, RFC 3311).

use super::agent::UserAgent;
use super::config::{ALLOW, SUPPORTED};
use super::event::{CallId, SipCommandError, SipEvent};
use super::respond::{add_allow, attach_sdp, unsupported};
use super::session::{CallOrigin, Confirmed, InviteAck, OfferConflict, OfferContent, OfferStart, PendingRequest};
use super::session_body::{UnsupportedBody, keep_description};
use super::session_refresh::negotiate_session_timer;
use super::sips::demands_sips;
use crate::limits;
use crate::sdp::print;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response};
use crate::sip::session_timer::{MIN_SE_S, Refresher, SessionExpires, SessionTimer};
use crate::sip::transport::TransportAddress;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a refresh is repeated first, where the peer does not say it.
const REFRESH_REPEAT_WAIT: Duration = Duration::from_secs(10);
/// Longest wait of another description, whose owner waits for the outcome.
const MEDIA_CHANGE_WAIT_MAX: Duration = Duration::from_secs(64);

impl UserAgent {
    pub(super) fn handle_reoffer(
        &mut self, now: Instant, call: CallId, key: Arc<str>, from: TransportAddress, mut request: Request,
    ) {
        let is_invite = request.method == Method::Invite;
        if let Some(unknown) = unsupported(&request.headers) {
            self.reply(now, &key, 420, |response| response.headers.push(HeaderName::Unsupported, unknown));
            return;
        }
        if keep_description(&mut request) == Err(UnsupportedBody) {
            return self.reject_body(now, &key);
        }
        if !is_invite && request.body.is_empty() {
            return self.handle_update_without_offer(now, call, &key, from, &request);
        }
        let Some(session) = self.sessions.get(call) else { return };
        match session.check_remote_offer(&request) {
            Err(OfferConflict::Glare) => {
                self.reply(now, &key, 491, |_| {});
            }
            Err(OfferConflict::Busy) => self.reject_overlapping_offer(now, &key),
            Ok(()) => {
                if is_invite {
                    self.reply(now, &key, 100, |_| {});
                }
                let Some(session) = self.sessions.get_mut(call) else { return };
                session.receive_remote_offer(key, &request);
                let remote_tag = request.headers.from_tag().unwrap_or("").to_owned();
                let sdp = (!request.body.is_empty()).then_some(request.body);
                self.events.push_back(SipEvent::ReofferReceived { call, sdp, remote_tag });
            }
        }
    }

    /// An UPDATE without an offer only refreshes (RFC 3311 section 5.2).
    fn handle_update_without_offer(
        &mut self, now: Instant, call: CallId, key: &Arc<str>, from: TransportAddress, request: &Request,
    ) {
        let contact = self.contact(from, self.contact_user(call), demands_sips(request));
        let Some(session) = self.sessions.get_mut(call) else { return };
        if let Some(established) = session.dialog_for_requests() {
            established.dialog.refresh_target(&request.headers);
            self.accept_reoffer(now, call, key, &request.headers, contact, None);
        } else {
            self.reply(now, key, 200, |response| response.headers.push(HeaderName::Contact, contact));
        }
    }

    fn accept_reoffer(
        &mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Headers, contact: String, sdp: Option<Vec<u8>>,
    ) {
        let agreed = self.update_session_timer(now, call, request);
        self.reply(now, key, 200, |response| {
            response.headers.push(HeaderName::Contact, contact);
            add_allow(response);
            response.headers.push(HeaderName::Supported, SUPPORTED);
            response.headers.extend(agreed);
            attach_sdp(response, sdp);
        });
    }

    /// Starts the session timer that a request asks for: what our 2xx says about it. An early dialog has none: the 2xx
    /// of the INVITE starts it.
    fn update_session_timer(&mut self, now: Instant, call: CallId, request: &Headers) -> Headers {
        let ours_s = self.config.session_expires_s;
        let Some(established) = self.sessions.get_mut(call).and_then(|session| session.established()) else {
            return Headers::default();
        };
        let (timer, agreed) = negotiate_session_timer(now, request, established.timer, ours_s);
        established.timer = timer;
        self.arm_session(call);
        agreed
    }

    /// Answers a re-INVITE or UPDATE; `None` refuses it with 488 and leaves the media as it was.
    pub fn answer_reoffer(&mut self, now: Instant, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(call).ok_or(SipCommandError::UnknownCall)?;
        let (offer, path) = session.answer_remote_offer(sdp.is_some()).ok_or(SipCommandError::WrongState)?;
        let Some(sdp) = sdp else {
            self.reply(now, &offer.key, 488, |_| {});
            return Ok(());
        };
        session.set_local_sdp(&sdp);
        let contact = self.contact_for(&path, self.contact_user(call));
        self.accept_reoffer(now, call, &offer.key, &offer.headers, contact, Some(sdp));
        Ok(())
    }

    /// Offers the peer other media (re-INVITE). The outcome comes as [`SipEvent::ReofferAccepted`] or
    /// [`SipEvent::ReofferRejected`].
    pub fn send_reoffer(&mut self, now: Instant, call: CallId, sdp: Vec<u8>) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(call).ok_or(SipCommandError::UnknownCall)?;
        let confirmed = session.confirmed().ok_or(SipCommandError::WrongState)?;
        let start = confirmed.offer_answer.offer(now, OfferContent::MediaChange(sdp));
        self.start_local_offer(now, call, start.ok_or(SipCommandError::WrongState)?);
        Ok(())
    }

    pub(super) fn start_local_offer(&mut self, now: Instant, call: CallId, start: OfferStart) {
        match start {
            OfferStart::Send => self.send_local_offer(now, call),
            OfferStart::Queued => self.arm_session(call),
        }
    }

    pub(super) fn is_reoffer(&mut self, call: CallId, key: &Arc<str>) -> bool {
        let confirmed = self.sessions.get_mut(call).and_then(|session| session.confirmed());
        confirmed.is_some_and(|confirmed| confirmed.offer_answer.is_local_request(key))
    }

    /// An offer of ours is on its way or waits.
    pub(super) fn has_local_offer(&mut self, call: CallId) -> bool {
        let confirmed = self.sessions.get_mut(call).and_then(|session| session.confirmed());
        confirmed.is_some_and(|confirmed| confirmed.offer_answer.has_local())
    }

    fn send_local_offer(&mut self, now: Instant, call: CallId) {
        let Some(confirmed) = self.sessions.get_mut(call).and_then(|session| session.confirmed()) else { return };
        let Some(ours) = confirmed.offer_answer.local() else { return };
        let established = &mut confirmed.established;
        // A refresh by UPDATE needs no description (RFC 4028 section 7.4).
        let sdp = match &ours.content {
            OfferContent::Refresh if established.peer_updates => None,
            OfferContent::Refresh => Some(print::as_offer(&established.local_sdp)),
            OfferContent::MediaChange(sdp) => Some(sdp.clone()),
        };
        let path = established.path;
        let mut outgoing = established.dialog.request(if sdp.is_none() { Method::Update } else { Method::Invite });
        let headers = &mut outgoing.request.headers;
        headers.push(HeaderName::Supported, SUPPORTED);
        if let Some(timer) = established.timer {
            let refresher = if timer.we_refresh { Refresher::Uac } else { Refresher::Uas };
            headers.push(HeaderName::SessionExpires, format!("{};refresher={}", timer.interval_s(), refresher.name()));
            headers.push(HeaderName::MinSe, MIN_SE_S.to_string());
        }
        if let Some(sdp) = sdp {
            headers.push(HeaderName::Allow, ALLOW);
            if !sdp.is_empty() {
                headers.push(HeaderName::ContentType, "application/sdp");
            }
            outgoing.request.body = sdp;
        }
        self.send_in_dialog(now, call, outgoing, &path);
    }

    pub(super) fn handle_reoffer_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let (is_invite, cseq) = (tx.request.method == Method::Invite, tx.cseq());
        match response.status {
            ..200 => {}
            200..300 => self.handle_reoffer_accepted(now, key, call, response, cseq.filter(|_| is_invite)),
            _ => {
                if is_invite {
                    self.ack_rejection(key, &response);
                }
                self.handle_reoffer_rejected(now, key, call, &response);
            }
        }
    }

    /// `cseq` is the number of a re-INVITE, which has to be acknowledged.
    fn handle_reoffer_accepted(
        &mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response, cseq: Option<u32>,
    ) {
        let Some(confirmed) = self.sessions.get_mut(call).and_then(|session| session.confirmed()) else { return };
        let content = confirmed.offer_answer.finish_local();
        let established = &mut confirmed.established;
        established.dialog.refresh_target(&response.headers);
        established.timer = match SessionExpires::from_headers(&response.headers) {
            Some(expires) => {
                Some(SessionTimer::start(now, expires.interval_s, expires.refresher != Some(Refresher::Uas)))
            }
            // The answer does not mention the session timer: keep ours.
            None => established.timer.map(|timer| SessionTimer::start(now, timer.interval_s(), timer.we_refresh)),
        };
        if let Some(OfferContent::MediaChange(sdp)) = content {
            established.local_sdp = sdp;
        }
        if let Some(cseq) = cseq {
            let (dialog, path) = (established.dialog.clone(), established.path);
            let sent = self.send_ack(&dialog, cseq, key, &path, Vec::new());
            if let Some(confirmed) = self.sessions.get_mut(call).and_then(|session| session.confirmed()) {
                confirmed.ack = InviteAck::Ours(sent);
            }
        }
        self.arm_session(call);
        let sdp = (!response.body.is_empty()).then_some(response.body);
        self.events.push_back(SipEvent::ReofferAccepted { call, sdp });
    }

    fn handle_reoffer_rejected(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let random = self.tokens.number();
        let repeats = self.clients.get(key).map_or(0, |tx| tx.repeats);
        let Some(confirmed) = self.sessions.get_mut(call).and_then(|session| session.confirmed()) else { return };
        let is_refresh = confirmed.offer_answer.local().is_some_and(|ours| ours.content == OfferContent::Refresh);
        let established = &mut confirmed.established;
        match response.status {
            491 if confirmed.offer_answer.queue_again(now + glare_wait(&established.origin, random)) => {
                return self.arm_session(call);
            }
            408 | 481 => return self.send_bye(now, call, EndCause::DialogLost, "SIP;cause=481"),
            422 if repeats < limits::REQUEST_RETRIES_MAX => {
                let wanted = response.headers.number(&HeaderName::MinSe);
                let wanted = wanted.filter(|s| (MIN_SE_S..=limits::INTERVAL_S_MAX).contains(s));
                let raised = established.timer.zip(wanted).filter(|(timer, wanted)| *wanted > timer.interval_s());
                if let Some((timer, wanted)) = raised {
                    let refresher = if timer.we_refresh { "uac" } else { "uas" };
                    established.timer = Some(SessionTimer::start(now, wanted, timer.we_refresh));
                    return self.resend_request(now, key, call, |request| {
                        request.headers.set(HeaderName::SessionExpires, format!("{wanted};refresher={refresher}"));
                        request.headers.set(HeaderName::MinSe, wanted.to_string());
                    });
                }
            }
            status if is_refresh && established.peer_updates && refuses_update(status) => {
                established.peer_updates = false;
                confirmed.offer_answer.set_local_request(PendingRequest::Resolving);
                return self.send_local_offer(now, call);
            }
            _ => {}
        }
        if let Some(at) = confirmed.repeat_refused_at(now, response)
            && confirmed.offer_answer.queue_again(at)
        {
            return self.arm_session(call);
        }
        if let Some(OfferContent::MediaChange(_)) = confirmed.offer_answer.finish_local() {
            // It would have refreshed the session too.
            if let Some(timer) = &mut confirmed.established.timer {
                timer.refresh_again(now);
            }
            self.events.push_back(SipEvent::ReofferRejected { call, status: response.status });
            self.arm_session(call);
        }
    }
}

impl Confirmed {
    /// When our offer, which was refused, is to be sent once more (RFC 3261 sections 14.1 and 21.5, RFC 4028 section 10).
    /// A peer that is out of order for now says so by 5xx, or when it wants the request again; waits double, so that the
    /// repeats reach far.
    fn repeat_refused_at(&self, now: Instant, response: &Response) -> Option<Instant> {
        let ours = self.offer_answer.local()?;
        let asked = response.headers.number(&HeaderName::RetryAfter).map(|s| Duration::from_secs(s.max(1).into()));
        let is_refresh = ours.content == OfferContent::Refresh;
        let is_transient = is_refresh && matches!(response.status, 500 | 502 | 503 | 504);
        let first = asked.or(is_transient.then_some(REFRESH_REPEAT_WAIT))?;
        let wait = first.saturating_mul(1u32.checked_shl(ours.repeats.into()).unwrap_or(u32::MAX));
        match &ours.content {
            OfferContent::Refresh => self.established.timer.and_then(|timer| timer.repeat_at(now, wait)),
            OfferContent::MediaChange(_) => (wait <= MEDIA_CHANGE_WAIT_MAX).then(|| now + wait),
        }
    }
}

/// Whether a refusal of UPDATE may be about the method or its lack of a description: a re-INVITE shows.
fn refuses_update(status: u16) -> bool {
    matches!(status, 400 | 405 | 406 | 415 | 420 | 421 | 488 | 501 | 606)
}

/// The owner of the Call-ID waits longer (RFC 3261 section 14.1), in steps of 10 ms.
fn glare_wait(origin: &CallOrigin, random: u32) -> Duration {
    let random = u64::from(random);
    let steps = match origin {
        CallOrigin::Ours { .. } => (random % 190).saturating_add(210),
        CallOrigin::Peers { .. } => random % 200,
    };
    Duration::from_millis(steps.saturating_mul(10))
}
