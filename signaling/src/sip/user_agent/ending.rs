//! How calls end: by us in every mode, by a lost dialog, by an internal error.

use super::agent::UserAgent;
use super::event::{CallId, SipCommandError, SipEvent};
use super::session::{CancelStage, Canceling, LastRequest, OpenRequests, SessionMode, Terminating};
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Method};
use crate::sip::reason;
use std::time::Instant;

impl UserAgent {
    /// Ends a call in whatever state it is: refusal, CANCEL or BYE. The end is reported at once.
    pub fn hang_up(&mut self, now: Instant, call: CallId) -> Result<(), SipCommandError> {
        self.hang_up_as(now, call, EndCause::LocalHangUp)
    }

    /// Ends an answered call because the media that the peer described cannot be used; its BYE says so.
    pub fn hang_up_without_media(&mut self, now: Instant, call: CallId) -> Result<(), SipCommandError> {
        self.hang_up_as(now, call, EndCause::UnusableMedia)
    }

    /// Ends a call after an internal error: reports it to the owner and, if the state permits, rejects or ends it
    /// towards the peer.
    pub fn end_failed_call(&mut self, now: Instant, call: CallId) {
        if self.reject_as(now, call, 500, None, EndCause::InternalError).is_err() {
            let _ = self.hang_up_as(now, call, EndCause::InternalError); // it may be over already
        }
    }

    fn hang_up_as(&mut self, now: Instant, call: CallId, cause: EndCause) -> Result<(), SipCommandError> {
        let session = self.sessions.get(call).ok_or(SipCommandError::UnknownCall)?;
        let why = match cause {
            EndCause::UnusableMedia => reason::UNUSABLE_MEDIA,
            _ => reason::NORMAL_CLEARING,
        };
        match session.mode() {
            SessionMode::Ringing(_) => return self.reject_as(now, call, 480, None, cause),
            SessionMode::Inviting(_) => self.cancel_call(now, call, cause),
            SessionMode::AwaitingAck(_) => self.end_after_ack(now, call, cause),
            SessionMode::AnswerDue(_) => {
                let _ = self.acknowledge(call, None);
                self.send_bye(now, call, cause, why);
            }
            SessionMode::Confirmed(_) => self.send_bye(now, call, cause, why),
            SessionMode::Probing { .. } => self.stop_probe(now, call),
            SessionMode::Terminating(_) | SessionMode::Registering { .. } => {}
        }
        Ok(())
    }

    /// A UAS must not send BYE before the ACK or its timeout (section 15).
    fn end_after_ack(&mut self, now: Instant, call: CallId, cause: EndCause) {
        self.sessions.transition(call, |mode| match mode {
            SessionMode::AwaitingAck(waiting) => {
                let over = Terminating::new(now, LastRequest::AwaitingAck(waiting));
                (SessionMode::Terminating(Box::new(over)), ())
            }
            same => (same, ()),
        });
        self.report_end(now, call, cause);
    }

    /// Cancels our INVITE: at once, with its first provisional response, or by not sending it.
    fn cancel_call(&mut self, now: Instant, call: CallId, cause: EndCause) {
        let Some(inviting) = self.sessions.get_mut(call).and_then(|session| session.inviting()) else { return };
        let sent = inviting.request.key().cloned().filter(|key| self.clients.contains(key));
        let Some(invite) = sent else {
            // The address is still looked up.
            self.lookups.remove_calls(|other| other == call);
            return self.end_call(now, call, cause);
        };
        let unanswered: Vec<_> = inviting.open_offers().cloned().collect();
        for key in unanswered {
            self.reply(now, &key, 487, |_| {});
        }
        let is_calling = self.clients.get(&invite).is_some_and(|tx| tx.is_calling());
        self.sessions.transition(call, |mode| match mode {
            SessionMode::Inviting(inviting) => {
                let canceling = Canceling { invite, stage: CancelStage::AwaitingProvisional, inviting };
                (SessionMode::Terminating(Box::new(Terminating::new(now, LastRequest::Cancel(canceling)))), ())
            }
            same => (same, ()),
        });
        self.report_end(now, call, cause);
        if !is_calling {
            self.send_cancel(now, call);
        }
    }

    pub(super) fn send_cancel(&mut self, now: Instant, call: CallId) {
        let Some(canceling) = self.sessions.get_mut(call).and_then(|session| session.canceling()) else { return };
        canceling.stage = CancelStage::Sent;
        let invite = canceling.invite.clone();
        self.cancel_transaction(now, &invite, Some(call));
    }

    /// Ends an answered call with BYE, whose Reason header is `why`. The end is reported if it is news.
    pub(super) fn send_bye(&mut self, now: Instant, call: CallId, cause: EndCause, why: &str) {
        let is_news = self.sessions.get(call).is_some_and(|session| session.mode().is_open_call());
        self.close_open_requests(now, call);
        let bye = self.sessions.transition(call, |mode| match mode.into_established() {
            Ok(mut established) => {
                let (outgoing, path) = (established.dialog.request(Method::Bye), established.path);
                let over = Terminating::new(now, LastRequest::bye(established));
                (SessionMode::Terminating(Box::new(over)), Some((outgoing, path)))
            }
            Err(same) => (*same, None),
        });
        let Some((mut outgoing, path)) = bye.flatten() else { return };
        if is_news {
            self.report_end(now, call, cause);
        } else {
            self.arm_session(call);
        }
        outgoing.request.headers.push(HeaderName::Reason, why);
        self.send_in_dialog(now, call, outgoing, &path);
    }

    /// Ends a call whose dialog is lost.
    pub(super) fn handle_dialog_lost(&mut self, now: Instant, call: CallId) {
        match self.sessions.get(call).map(|session| session.mode()) {
            Some(SessionMode::Confirmed(_) | SessionMode::AnswerDue(_)) => {
                self.send_bye(now, call, EndCause::DialogLost, reason::NORMAL_CLEARING);
            }
            _ => self.end_call(now, call, EndCause::DialogLost),
        }
    }

    /// The end of a call whose session lives on until its last request ends. Called once for each call.
    pub(super) fn report_end(&mut self, now: Instant, call: CallId, cause: EndCause) {
        self.events.push_back(SipEvent::Ended { call, cause });
        self.arm_session(call);
        let gone = self.sessions.record_lingering(call);
        if gone.is_empty() {
            return;
        }
        for call in &gone {
            self.remove_session(now, *call);
        }
        self.clients.remove_calls(|call| gone.contains(&call));
        self.lookups.remove_calls(|call| gone.contains(&call));
    }

    /// The end of a call and of its session; of one that has ended for its owner, only the latter.
    pub(super) fn end_call(&mut self, now: Instant, call: CallId, cause: EndCause) {
        if self.sessions.get(call).is_some_and(|session| session.mode().is_open_call()) {
            self.events.push_back(SipEvent::Ended { call, cause });
        }
        self.remove_session(now, call);
    }

    pub(super) fn remove_session(&mut self, now: Instant, call: CallId) {
        self.close_open_requests(now, call);
        self.sessions.remove(call);
    }

    /// Answers all pending requests of an ended call (RFC 3261 section 15.1.2), and no longer waits for ours.
    fn close_open_requests(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get(call) else { return };
        let OpenRequests { unanswered, ours } = session.open_requests();
        if let Some(key) = ours {
            self.clients.abandon(now, &key);
            self.arm_client(&key);
        }
        for key in unanswered {
            self.reply(now, &key, 487, |_| {});
        }
    }
}
