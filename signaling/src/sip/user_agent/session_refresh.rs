//! Session timers (RFC 4028) and the other timers of a session.

use super::agent::UserAgent;
use super::event::CallId;
use super::session::{OfferContent, SessionMode};
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers};
use crate::sip::session_timer::{MIN_SE_S, Refresher, SessionExpires, SessionTimer, SessionTimerAction};
use std::time::Instant;

impl UserAgent {
    /// A timer of the session has come.
    pub(super) fn handle_session_timeout(&mut self, now: Instant, call: CallId) {
        match self.sessions.get(call).map(|session| session.mode()) {
            Some(SessionMode::Probing { .. }) => self.stop_probe(now, call),
            // A session that outlived its call.
            Some(SessionMode::Terminating(_)) => {
                self.lookups.remove_calls(|other| other == call);
                self.remove_session(now, call);
            }
            Some(SessionMode::Ringing(_)) => self.handle_reliable_timeout(now, call),
            Some(SessionMode::AnswerDue(_) | SessionMode::Confirmed(_)) => self.handle_refresh_timeout(now, call),
            Some(SessionMode::Inviting(_) | SessionMode::AwaitingAck(_) | SessionMode::Registering { .. }) | None => {}
        }
    }

    /// The session timer of an answered call, or the turn of our offer that waited.
    fn handle_refresh_timeout(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(call) else { return };
        let timer = session.dialog_for_requests().and_then(|established| established.timer.as_mut());
        let action = timer.filter(|timer| timer.at <= now).map(|timer| timer.handle_timeout(now));
        if action == Some(SessionTimerAction::Expired) {
            let why = "SIP;cause=408;text=\"Session timer expired\"";
            return self.send_bye(now, call, EndCause::SessionExpired, why);
        }
        let Some(confirmed) = session.confirmed() else { return };
        let offer_answer = &mut confirmed.offer_answer;
        let start = match action {
            // Our open offer refreshes the session too.
            Some(_) if !offer_answer.has_local() => offer_answer.offer(now, OfferContent::Refresh),
            _ => offer_answer.handle_timeout(now),
        };
        if let Some(start) = start {
            self.start_local_offer(now, call, start);
        }
    }
}

/// The session timer that a request asks for, and what our 2xx says about it. `running` is the present one, `ours_s` the
/// interval that we ask for, 0 for none.
pub(super) fn negotiate_session_timer(
    now: Instant, request: &Headers, running: Option<SessionTimer>, ours_s: u32,
) -> (Option<SessionTimer>, Headers) {
    let mut agreed = Headers::default();
    let supported = request.list(&HeaderName::Supported).any(|option| option.eq_ignore_ascii_case("timer"));
    let (interval_s, refresher) = match (SessionExpires::from_headers(request), running) {
        (Some(asked), _) => (asked.interval_s.max(MIN_SE_S), asked.refresher.unwrap_or(Refresher::Uas)),
        (None, Some(running)) if supported => (running.interval_s(), Refresher::Uas),
        (None, _) if supported && ours_s > 0 => (ours_s.max(MIN_SE_S), Refresher::Uas),
        _ => return (None, agreed),
    };
    // A peer that does not know timers cannot be the one who refreshes.
    let refresher = if supported { refresher } else { Refresher::Uas };
    if refresher == Refresher::Uac {
        agreed.push(HeaderName::Require, "timer");
    }
    agreed.push(HeaderName::SessionExpires, format!("{interval_s};refresher={}", refresher.name()));
    (Some(SessionTimer::start(now, interval_s, refresher == Refresher::Uas)), agreed)
}
