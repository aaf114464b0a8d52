//! Session timers (RFC 4028), our offers inside the dialog, and glare (RFC 3261 section 14.1).

use super::{CallId, SUPPORTED, SipCommandError, SipEvent, SipSessionState, UserAgent};
use crate::limits;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Method, Response};
use crate::sip::reason;
use crate::sip::session_timer::{MIN_SE_S, Refresher, SessionExpires, SessionTimer, SessionTimerAction};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Delay of our offer while the peer's offer is open.
const REMOTE_OFFER_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LocalOfferKind {
    /// Nothing changes; the session lives on.
    Refresh,
    /// The owner changes the media.
    MediaChange,
}

/// Our re-INVITE or UPDATE.
#[derive(Debug)]
pub(crate) struct LocalOffer {
    /// Its transaction; none while it waits for its turn.
    pub(super) key: Option<Arc<str>>,
    pub(super) retry_at: Option<Instant>,
    kind: LocalOfferKind,
    sdp: Vec<u8>,
    /// How often it has crossed one of the peer's.
    glare_count: u8,
}

impl UserAgent {
    /// Offers the peer other media (re-INVITE). The outcome comes as [`SipEvent::ReofferAccepted`] or
    /// [`SipEvent::ReofferRejected`].
    pub fn send_reoffer(&mut self, now: Instant, call: CallId, sdp: Vec<u8>) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?;
        let SipSessionState::Established { .. } = &session.state else { return Err(SipCommandError::WrongState) };
        if session.local_offer.is_some() || session.unacknowledged.is_some() {
            return Err(SipCommandError::WrongState);
        }
        let retry_at = session.remote_offer.is_some().then_some(now + REMOTE_OFFER_WAIT);
        session.local_offer =
            Some(LocalOffer { key: None, retry_at, kind: LocalOfferKind::MediaChange, sdp, glare_count: 0 });
        match retry_at {
            Some(_) => self.arm_session(call),
            None => self.send_local_offer(now, call),
        }
        Ok(())
    }

    pub(super) fn is_reoffer(&self, call: CallId, key: &Arc<str>) -> bool {
        let ours = self.sessions.get(&call).and_then(|session| session.local_offer.as_ref());
        ours.is_some_and(|ours| ours.key.as_ref() == Some(key))
    }

    /// Whether an offer of the peer would cross one of ours.
    pub(super) fn is_offering(&self, call: CallId) -> bool {
        let ours = self.sessions.get(&call).and_then(|session| session.local_offer.as_ref());
        ours.is_some_and(|ours| ours.key.is_some())
    }

    fn send_local_offer(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let (timer, updates) = (session.timer, session.peer_updates);
        let SipSessionState::Established { dialog, .. } = &mut session.state else { return };
        let Some(ours) = &mut session.local_offer else { return };
        if session.remote_offer.is_some() {
            ours.retry_at = Some(now + REMOTE_OFFER_WAIT);
            return self.arm_session(call);
        }
        ours.retry_at = None;
        // A refresh by UPDATE needs no description (RFC 4028 section 7.4).
        let bare = ours.kind == LocalOfferKind::Refresh && updates;
        let mut outgoing = dialog.request(if bare { Method::Update } else { Method::Invite });
        let headers = &mut outgoing.request.headers;
        headers.push(HeaderName::Supported, SUPPORTED);
        if let Some(timer) = timer {
            let refresher = if timer.we_refresh { Refresher::Uac } else { Refresher::Uas };
            headers.push(HeaderName::SessionExpires, format!("{};refresher={}", timer.interval_s(), refresher.name()));
            headers.push(HeaderName::MinSe, MIN_SE_S.to_string());
        }
        if !bare {
            headers.push(HeaderName::Allow, super::ALLOW);
            let sdp = if ours.kind == LocalOfferKind::Refresh { session.local_sdp.clone() } else { ours.sdp.clone() };
            if !sdp.is_empty() {
                headers.push(HeaderName::ContentType, "application/sdp");
            }
            outgoing.request.body = sdp;
        }
        self.send_in_dialog(now, call, outgoing);
    }

    pub(super) fn handle_reoffer_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        if response.status < 200 {
            return;
        }
        let is_invite = key.ends_with(" INVITE");
        if response.status >= 300 {
            if is_invite {
                self.ack_rejection(key, &response);
            }
            return self.handle_reoffer_rejected(now, key, call, &response);
        }
        let cseq = self.clients.get(key).and_then(|tx| tx.request.headers.cseq().map(|cseq| cseq.number));
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SipSessionState::Established { dialog, .. } = &mut session.state else { return };
        dialog.refresh_target(&response.headers);
        session.timer = match SessionExpires::from_headers(&response.headers) {
            Some(expires) => {
                Some(SessionTimer::start(now, expires.interval_s, expires.refresher != Some(Refresher::Uas)))
            }
            // The answer does not mention the session timer: keep ours.
            None => session.timer.map(|timer| SessionTimer::start(now, timer.interval_s(), timer.we_refresh)),
        };
        if let Some(ours) = session.local_offer.take().filter(|ours| ours.kind == LocalOfferKind::MediaChange) {
            session.local_sdp = ours.sdp;
        }
        if let (true, Some(cseq)) = (is_invite, cseq) {
            let (dialog, transport, source) = (dialog.clone(), session.transport, session.source);
            let sent = self.send_ack(&dialog, cseq, key, transport, source, Vec::new());
            if let Some(SipSessionState::Established { ack, .. }) = self.sessions.get_mut(&call).map(|s| &mut s.state) {
                *ack = Some(sent);
            }
        }
        self.arm_session(call);
        let sdp = (!response.body.is_empty()).then_some(response.body);
        self.events.push_back(SipEvent::ReofferAccepted { call, sdp });
    }

    fn handle_reoffer_rejected(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let wait = self.glare_wait(call);
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let Some(ours) = &mut session.local_offer else { return };
        let is_refresh = ours.kind == LocalOfferKind::Refresh;
        let repeats = self.clients.get(key).map_or(0, |tx| tx.repeats);
        match response.status {
            491 if ours.glare_count < limits::REQUEST_RETRIES_MAX => {
                ours.glare_count = ours.glare_count.saturating_add(1);
                (ours.key, ours.retry_at) = (None, Some(now + wait));
                return self.arm_session(call);
            }
            408 | 481 => {
                self.record_end(now, call, EndCause::DialogLost);
                return self.send_bye(now, call, "SIP;cause=481");
            }
            422 if repeats < limits::REQUEST_RETRIES_MAX => {
                let wanted = response.headers.number(&HeaderName::MinSe);
                let wanted = wanted.filter(|s| (MIN_SE_S..=limits::INTERVAL_S_MAX).contains(s));
                let raised = session.timer.zip(wanted).filter(|(timer, wanted)| *wanted > timer.interval_s());
                if let Some((timer, wanted)) = raised {
                    let refresher = if timer.we_refresh { "uac" } else { "uas" };
                    session.timer = Some(SessionTimer::start(now, wanted, timer.we_refresh));
                    return self.resend_request(now, key, call, 0, |request| {
                        request.headers.set(HeaderName::SessionExpires, format!("{wanted};refresher={refresher}"));
                        request.headers.set(HeaderName::MinSe, wanted.to_string());
                    });
                }
            }
            405 | 501 if is_refresh && session.peer_updates => {
                session.peer_updates = false;
                ours.key = None;
                return self.send_local_offer(now, call);
            }
            _ => {}
        }
        session.local_offer = None;
        if !is_refresh {
            self.events.push_back(SipEvent::ReofferRejected { call, status: response.status });
        }
    }

    /// The owner of the Call-ID waits longer (RFC 3261 section 14.1), in steps of 10 ms.
    fn glare_wait(&mut self, call: CallId) -> Duration {
        let caller = self.sessions.get(&call).is_some_and(|session| session.is_caller);
        let random = u64::from(self.tokens.number());
        let steps = if caller { (random % 190).saturating_add(210) } else { random % 200 };
        Duration::from_millis(steps.saturating_mul(10))
    }

    /// A timer of the session has come.
    pub(super) fn handle_session_timeout(&mut self, now: Instant, call: CallId) {
        let gone_by = self.sessions.get(&call).and_then(|session| session.drop_at);
        if gone_by.is_some_and(|at| at <= now) {
            return self.drop_session(now, call);
        }
        self.handle_reliable_timeout(now, call);
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let retry = session.local_offer.as_ref().and_then(|ours| ours.retry_at).is_some_and(|at| at <= now);
        if let Some(timer) = session.timer.as_mut().filter(|timer| timer.at <= now) {
            match timer.handle_timeout(now) {
                SessionTimerAction::Expired => {
                    self.record_end(now, call, EndCause::SessionExpired);
                    return self.send_bye(now, call, "SIP;cause=408;text=\"Session timer expired\"");
                }
                SessionTimerAction::Refresh if session.local_offer.is_none() => {
                    session.local_offer = Some(LocalOffer {
                        key: None,
                        retry_at: None,
                        kind: LocalOfferKind::Refresh,
                        sdp: Vec::new(),
                        glare_count: 0,
                    });
                    return self.send_local_offer(now, call);
                }
                // Our open offer refreshes the session too.
                SessionTimerAction::Refresh => {}
            }
        }
        if retry {
            self.send_local_offer(now, call);
        }
    }

    /// Starts the session timer that a request asks for: what our 2xx says about it.
    pub(super) fn negotiate_session_timer(&mut self, now: Instant, call: CallId, request: &Headers) -> Headers {
        let mut agreed = Headers::default();
        let supported = request.list(&HeaderName::Supported).any(|option| option.eq_ignore_ascii_case("timer"));
        let asked = SessionExpires::from_headers(request);
        let Some(session) = self.sessions.get_mut(&call) else { return agreed };
        let (interval_s, refresher) = match (asked, session.timer) {
            (Some(asked), _) => (asked.interval_s.max(MIN_SE_S), asked.refresher.unwrap_or(Refresher::Uas)),
            (None, Some(running)) if supported => (running.interval_s(), Refresher::Uas),
            (None, _) if supported && self.config.session_expires_s > 0 => {
                (self.config.session_expires_s.max(MIN_SE_S), Refresher::Uas)
            }
            _ => {
                session.timer = None;
                return agreed;
            }
        };
        // A peer that does not know timers cannot be the one who refreshes.
        let refresher = if supported { refresher } else { Refresher::Uas };
        session.timer = Some(SessionTimer::start(now, interval_s, refresher == Refresher::Uas));
        if refresher == Refresher::Uac {
            agreed.push(HeaderName::Require, "timer");
        }
        agreed.push(HeaderName::SessionExpires, format!("{interval_s};refresher={}", refresher.name()));
        self.arm_session(call);
        agreed
    }

    /// Drops a session that outlived its call.
    fn drop_session(&mut self, now: Instant, call: CallId) {
        if self.sessions.get(&call).is_some_and(super::SipSession::is_options_probe) {
            return self.stop_probe(now, call);
        }
        self.awaiting_dns.retain(|_, outbound| outbound.call != Some(call));
        self.remove_session(now, call);
    }

    /// Ends a call whose dialog is lost.
    pub(super) fn handle_dialog_lost(&mut self, now: Instant, call: CallId) {
        self.record_end(now, call, EndCause::DialogLost);
        match self.sessions.get(&call).map(|session| &session.state) {
            Some(SipSessionState::Established { .. }) => self.send_bye(now, call, reason::NORMAL_CLEARING),
            _ => self.remove_session(now, call),
        }
    }
}
