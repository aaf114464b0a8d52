//! Session timers (RFC 4028), our offers inside the dialog, and glare (RFC 3261 section 14.1).

use super::{CallId, Endpoint, Event, Refusal, SUPPORTED, SessionState};
use crate::limits;
use crate::sip::failure::Cause;
use crate::sip::message::{HeaderName, Headers, Method, Response};
use crate::sip::reason;
use crate::sip::session_timer::{Due, Expires, MIN_SE_S, Refresher, SessionTimer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Delay of our offer while the peer's offer is open.
const PEER_FIRST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing changes; the session lives on.
    Refresh,
    /// The owner changes the media.
    Offer,
}

/// Our re-INVITE or UPDATE.
#[derive(Debug)]
pub(crate) struct Ours {
    /// Its transaction; none while it waits for its turn.
    pub(super) key: Option<Arc<str>>,
    pub(super) retry_at: Option<Instant>,
    kind: Kind,
    sdp: Vec<u8>,
    /// How often it has crossed one of the peer's.
    crossed: u8,
}

impl Endpoint {
    /// Offers the peer other media (re-INVITE). The outcome comes as [`Event::Reanswered`] or
    /// [`Event::ReofferRefused`].
    pub fn reoffer(&mut self, now: Instant, call: CallId, sdp: Vec<u8>) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        let SessionState::Established { .. } = &session.state else { return Err(Refusal::WrongState) };
        if session.ours.is_some() || session.unacknowledged.is_some() {
            return Err(Refusal::WrongState);
        }
        let retry_at = session.their_offer.is_some().then_some(now + PEER_FIRST);
        session.ours = Some(Ours { key: None, retry_at, kind: Kind::Offer, sdp, crossed: 0 });
        match retry_at {
            Some(_) => self.arm_session(call),
            None => self.send_ours(now, call),
        }
        Ok(())
    }

    pub(super) fn is_reoffer(&self, call: CallId, key: &Arc<str>) -> bool {
        let ours = self.sessions.get(&call).and_then(|session| session.ours.as_ref());
        ours.is_some_and(|ours| ours.key.as_ref() == Some(key))
    }

    /// Whether an offer of the peer would cross one of ours.
    pub(super) fn is_offering(&self, call: CallId) -> bool {
        let ours = self.sessions.get(&call).and_then(|session| session.ours.as_ref());
        ours.is_some_and(|ours| ours.key.is_some())
    }

    fn send_ours(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let (timer, updates) = (session.timer, session.peer_updates);
        let SessionState::Established { dialog, .. } = &mut session.state else { return };
        let Some(ours) = &mut session.ours else { return };
        if session.their_offer.is_some() {
            ours.retry_at = Some(now + PEER_FIRST);
            return self.arm_session(call);
        }
        ours.retry_at = None;
        // A refresh by UPDATE needs no description (RFC 4028 section 7.4).
        let bare = ours.kind == Kind::Refresh && updates;
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
            let sdp = if ours.kind == Kind::Refresh { session.local_sdp.clone() } else { ours.sdp.clone() };
            if !sdp.is_empty() {
                headers.push(HeaderName::ContentType, "application/sdp");
            }
            outgoing.request.body = sdp;
        }
        self.send_in_dialog(now, call, outgoing);
    }

    pub(super) fn reoffer_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        if response.status < 200 {
            return;
        }
        let is_invite = key.ends_with(" INVITE");
        if response.status >= 300 {
            if is_invite {
                self.acknowledge_refusal(key, &response);
            }
            return self.reoffer_refused(now, key, call, &response);
        }
        let cseq = self.clients.get(key).and_then(|tx| tx.request.headers.cseq().map(|cseq| cseq.number));
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SessionState::Established { dialog, .. } = &mut session.state else { return };
        dialog.refresh_target(&response.headers);
        session.timer = match Expires::of(&response.headers) {
            Some(expires) => {
                Some(SessionTimer::start(now, expires.interval_s, expires.refresher != Some(Refresher::Uas)))
            }
            // The answer does not mention the session timer: keep ours.
            None => session.timer.map(|timer| SessionTimer::start(now, timer.interval_s(), timer.we_refresh)),
        };
        if let Some(ours) = session.ours.take().filter(|ours| ours.kind == Kind::Offer) {
            session.local_sdp = ours.sdp;
        }
        if let (true, Some(cseq)) = (is_invite, cseq) {
            let (dialog, transport, source) = (dialog.clone(), session.transport, session.source);
            let sent = self.send_ack(&dialog, cseq, key, transport, source, Vec::new());
            if let Some(SessionState::Established { ack, .. }) = self.sessions.get_mut(&call).map(|s| &mut s.state) {
                *ack = Some(sent);
            }
        }
        self.arm_session(call);
        let sdp = (!response.body.is_empty()).then_some(response.body);
        self.events.push_back(Event::Reanswered { call, sdp });
    }

    fn reoffer_refused(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let wait = self.glare_wait(call);
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let Some(ours) = &mut session.ours else { return };
        let is_refresh = ours.kind == Kind::Refresh;
        let repeats = self.clients.get(key).map_or(0, |tx| tx.repeats);
        match response.status {
            491 if ours.crossed < limits::REPEATS_MAX => {
                ours.crossed = ours.crossed.saturating_add(1);
                (ours.key, ours.retry_at) = (None, Some(now + wait));
                return self.arm_session(call);
            }
            408 | 481 => {
                self.end(now, call, Cause::DialogLost);
                return self.send_bye(now, call, "SIP;cause=481");
            }
            422 if repeats < limits::REPEATS_MAX => {
                let wanted = response.headers.number(&HeaderName::MinSe);
                let wanted = wanted.filter(|s| (MIN_SE_S..=limits::INTERVAL_S_MAX).contains(s));
                let raised = session.timer.zip(wanted).filter(|(timer, wanted)| *wanted > timer.interval_s());
                if let Some((timer, wanted)) = raised {
                    let refresher = if timer.we_refresh { "uac" } else { "uas" };
                    session.timer = Some(SessionTimer::start(now, wanted, timer.we_refresh));
                    return self.again(now, key, call, 0, |request| {
                        request.headers.set(HeaderName::SessionExpires, format!("{wanted};refresher={refresher}"));
                        request.headers.set(HeaderName::MinSe, wanted.to_string());
                    });
                }
            }
            405 | 501 if is_refresh && session.peer_updates => {
                session.peer_updates = false;
                ours.key = None;
                return self.send_ours(now, call);
            }
            _ => {}
        }
        session.ours = None;
        if !is_refresh {
            self.events.push_back(Event::ReofferRefused { call, status: response.status });
        }
    }

    /// The owner of the Call-ID waits longer (RFC 3261 section 14.1), in steps of 10 ms.
    fn glare_wait(&mut self, call: CallId) -> Duration {
        let caller = self.sessions.get(&call).is_some_and(|session| session.caller);
        let dice = u64::from(self.tokens.number());
        let steps = if caller { (dice % 190).saturating_add(210) } else { dice % 200 };
        Duration::from_millis(steps.saturating_mul(10))
    }

    /// A timer of the session has come.
    pub(super) fn wake_session(&mut self, now: Instant, call: CallId) {
        let gone_by = self.sessions.get(&call).and_then(|session| session.gone_by);
        if gone_by.is_some_and(|at| at <= now) {
            return self.forget(now, call);
        }
        self.wake_reliable(now, call);
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let retry = session.ours.as_ref().and_then(|ours| ours.retry_at).is_some_and(|at| at <= now);
        if let Some(timer) = session.timer.as_mut().filter(|timer| timer.at <= now) {
            match timer.handle_timeout(now) {
                Due::Expired => {
                    self.end(now, call, Cause::SessionExpired);
                    return self.send_bye(now, call, "SIP;cause=408;text=\"Session timer expired\"");
                }
                Due::Refresh if session.ours.is_none() => {
                    session.ours =
                        Some(Ours { key: None, retry_at: None, kind: Kind::Refresh, sdp: Vec::new(), crossed: 0 });
                    return self.send_ours(now, call);
                }
                // Our open offer refreshes the session too.
                Due::Refresh => {}
            }
        }
        if retry {
            self.send_ours(now, call);
        }
    }

    /// Starts the session timer that a request asks for: what our 2xx says about it.
    pub(super) fn agree_on_timer(&mut self, now: Instant, call: CallId, request: &Headers) -> Headers {
        let mut agreed = Headers::default();
        let supported = request.list(&HeaderName::Supported).any(|option| option.eq_ignore_ascii_case("timer"));
        let asked = Expires::of(request);
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
    fn forget(&mut self, now: Instant, call: CallId) {
        if self.sessions.get(&call).is_some_and(super::Session::is_probe) {
            return self.stop_probe(now, call);
        }
        self.waiting.retain(|_, outbound| outbound.call != Some(call));
        self.remove_session(now, call);
    }

    /// Ends a call whose dialog is lost.
    pub(super) fn dialog_lost(&mut self, now: Instant, call: CallId) {
        self.end(now, call, Cause::DialogLost);
        match self.sessions.get(&call).map(|session| &session.state) {
            Some(SessionState::Established { .. }) => self.send_bye(now, call, reason::NORMAL),
            _ => self.remove_session(now, call),
        }
    }
}
