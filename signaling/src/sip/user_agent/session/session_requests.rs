//! Requests of a session, theirs and ours: which are taken in which mode, and which are open.

use super::early_dialog::EarlyDialog;
use super::established::{DialogPath, SentDescription};
use super::offer_answer::{OfferConflict, RemoteOffer};
use super::pending_request::PendingRequest;
use super::session_mode::{SessionMode, SipSession};
use super::terminating::LastRequest;
use crate::sip::message::{Method, Request};
use crate::sip::transport::TransportAddress;
use std::sync::Arc;

/// Transactions of a session that end with it.
#[derive(Debug, Default)]
pub(crate) struct OpenRequests {
    /// The peer's requests without an answer.
    pub(crate) unanswered: Vec<Arc<str>>,
    /// Our INVITE or re-INVITE without an answer.
    pub(crate) ours: Option<Arc<str>>,
}

impl SipSession {
    /// Takes a request of the peer inside this dialog, from this address: an error is the status of its answer.
    pub(crate) fn accept_request(&mut self, request: &Request, from: TransportAddress) -> Result<(), u16> {
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let tag = request.headers.from_tag().unwrap_or("");
        // Another fork of the same call, or a guessed tag. Peers without a tag predate RFC 3261.
        let is_stranger = |theirs: &str| !theirs.is_empty() && tag != theirs;
        let (in_order, path) = match &mut self.mode {
            SessionMode::Ringing(ringing) => {
                if is_stranger(ringing.request.headers.from_tag().unwrap_or("")) {
                    return Err(481);
                }
                let in_order = number > ringing.remote_cseq;
                ringing.remote_cseq = number.max(ringing.remote_cseq);
                (in_order, &mut ringing.path)
            }
            SessionMode::Inviting(inviting) => {
                let EarlyDialog { dialog, path, .. } = inviting.early_dialog_mut(tag).ok_or(481_u16)?;
                (dialog.accept_cseq(number), path)
            }
            mode => {
                let Some(established) = mode.dialog_of_peer() else {
                    // Only a crossing BYE is accepted; otherwise the dialog is gone.
                    let is_crossing = mode.is_bye_sent() && request.method == Method::Bye;
                    return if is_crossing { Ok(()) } else { Err(481) };
                };
                if is_stranger(&established.dialog.remote_tag) {
                    return Err(481);
                }
                (established.dialog.accept_cseq(number), &mut established.path)
            }
        };
        if !in_order {
            return Err(500);
        }
        path.meet(request, from);
        Ok(())
    }

    /// Whether an offer of the peer can be taken now (RFC 3261 section 14.2, RFC 3311 section 5.2, RFC 6337 section
    /// 2.2).
    pub(crate) fn check_remote_offer(&self, request: &Request) -> Result<(), OfferConflict> {
        match &self.mode {
            SessionMode::Confirmed(confirmed) => confirmed.offer_answer.check_remote(),
            SessionMode::Ringing(ringing) => ringing.check_remote(&request.method),
            SessionMode::AwaitingAck(waiting) if waiting.sent == SentDescription::Offer => Err(OfferConflict::Glare),
            SessionMode::Inviting(inviting) if inviting.has_remote_offer() => Err(OfferConflict::Busy),
            SessionMode::Inviting(inviting) => {
                let early = inviting.early_dialog(request.headers.from_tag().unwrap_or(""));
                early.ok_or(OfferConflict::Glare)?.check_remote(&request.method)
            }
            _ => Err(OfferConflict::Busy),
        }
    }

    /// Takes an offer of the peer, for which [`Self::check_remote_offer`] found room.
    pub(crate) fn receive_remote_offer(&mut self, key: Arc<str>, request: &Request) {
        let offer = RemoteOffer::of(key, request);
        match &mut self.mode {
            SessionMode::Confirmed(confirmed) => {
                confirmed.established.dialog.refresh_target(&request.headers);
                confirmed.offer_answer.receive_remote(offer);
            }
            SessionMode::Ringing(ringing) => ringing.remote_offer = Some(offer),
            SessionMode::Inviting(inviting) => {
                if let Some(early) = inviting.early_dialog_mut(request.headers.from_tag().unwrap_or("")) {
                    early.receive_remote(offer);
                }
            }
            _ => {}
        }
    }

    /// Takes the peer's open offer to answer it, with the path on which the answer's Contact depends.
    pub(crate) fn answer_remote_offer(&mut self, is_accepted: bool) -> Option<(RemoteOffer, DialogPath)> {
        match &mut self.mode {
            SessionMode::Confirmed(confirmed) => {
                Some((confirmed.offer_answer.answer_remote(is_accepted)?, confirmed.established.path))
            }
            SessionMode::AwaitingAck(waiting) => Some((waiting.remote_offer.take()?, waiting.established.path)),
            SessionMode::Ringing(ringing) => Some((ringing.remote_offer.take()?, ringing.path)),
            SessionMode::Inviting(inviting) => {
                let fork = inviting.offering_fork()?;
                Some((fork.answer_remote()?, fork.path))
            }
            _ => None,
        }
    }

    /// The peer's request with this transaction is over: cancelled, or answered for its owner.
    pub(crate) fn forget_remote_request(&mut self, tx: &str) {
        match &mut self.mode {
            SessionMode::Confirmed(confirmed) => {
                confirmed.offer_answer.forget_remote(tx);
                confirmed.open_refer.take_if(|key| **key == *tx);
            }
            SessionMode::AwaitingAck(waiting) => drop(waiting.remote_offer.take_if(|offer| *offer.key == *tx)),
            SessionMode::Ringing(ringing) => drop(ringing.remote_offer.take_if(|offer| *offer.key == *tx)),
            SessionMode::Inviting(inviting) => {
                if let Some(fork) =
                    inviting.offering_fork().filter(|fork| fork.remote_key().is_some_and(|k| **k == *tx))
                {
                    fork.answer_remote();
                }
            }
            _ => {}
        }
    }

    /// The newest transaction of the request that the session waits for, or that it is looked up again.
    pub(crate) fn set_pending_request(&mut self, method: &Method, newest: PendingRequest) {
        match (&mut self.mode, method) {
            (SessionMode::Inviting(inviting), Method::Invite) => inviting.request = newest,
            (SessionMode::Confirmed(confirmed), Method::Invite | Method::Update) => {
                confirmed.offer_answer.set_local_request(newest);
            }
            (SessionMode::Probing { request, .. }, Method::Options) => *request = newest,
            _ => {}
        }
    }

    /// Number of a repeated request: the next one of its dialog, else the next after its own.
    pub(crate) fn renumber(&mut self, request: &Request) -> u32 {
        let dialog = match &mut self.mode {
            SessionMode::Inviting(inviting) => {
                let tag = request.headers.to_tag().unwrap_or("");
                inviting.early_dialog_mut(tag).map(|early| &mut early.dialog)
            }
            _ => self.dialog_for_requests().map(|established| &mut established.dialog),
        };
        match dialog {
            Some(dialog) => dialog.next_cseq(),
            None => request.headers.cseq().map_or(1, |cseq| cseq.number.saturating_add(1)),
        }
    }

    /// A request whose transaction came to nothing is still wanted, so that it may be tried elsewhere.
    pub(crate) fn wants_again(&self, key: &str, method: &Method) -> bool {
        match &self.mode {
            SessionMode::Inviting(inviting) if *method == Method::Invite => inviting.request.is(key),
            SessionMode::Inviting(_) => *method != Method::Invite,
            // A re-INVITE, as long as the session waits for it.
            SessionMode::Confirmed(confirmed) if *method == Method::Invite => {
                confirmed.offer_answer.is_local_request(key)
            }
            SessionMode::Terminating(over) => match &over.last {
                LastRequest::Bye { .. } => *method == Method::Bye,
                LastRequest::AwaitingAck(_) => *method != Method::Invite,
                LastRequest::Cancel(_) | LastRequest::Unregister { .. } => false,
            },
            _ => *method != Method::Invite,
        }
    }

    /// The peer may transfer the call (REFER).
    pub(crate) fn accept_refer(&mut self) -> bool {
        match &self.mode {
            SessionMode::Inviting(inviting) => inviting.rights.accept_refer,
            SessionMode::Ringing(ringing) => ringing.membership.rights().accept_refer,
            _ => self.established().is_some_and(|established| established.rights.accept_refer),
        }
    }

    /// Our description, as of now.
    pub(crate) fn set_local_sdp(&mut self, sdp: &[u8]) {
        if let Some(established) = self.established() {
            established.local_sdp = sdp.to_vec();
        } else if let Some(inviting) = self.inviting() {
            inviting.local_sdp = sdp.to_vec();
        }
    }

    /// Transactions that end with the session (RFC 3261 section 15.1.2).
    pub(crate) fn open_requests(&self) -> OpenRequests {
        let mut open = OpenRequests::default();
        match &self.mode {
            SessionMode::Inviting(inviting) => {
                open.ours = inviting.request.key().cloned();
                open.unanswered.extend(inviting.open_offers().cloned());
            }
            SessionMode::Ringing(ringing) => {
                open.unanswered.push(ringing.tx.clone());
                open.unanswered.extend(ringing.remote_offer.as_ref().map(|offer| offer.key.clone()));
            }
            SessionMode::AwaitingAck(waiting) => {
                open.unanswered.extend(waiting.remote_offer.as_ref().map(|offer| offer.key.clone()));
            }
            SessionMode::Confirmed(confirmed) => {
                open.ours = confirmed.offer_answer.local().and_then(|ours| ours.request.key().cloned());
                open.unanswered.extend(confirmed.offer_answer.remote_key().cloned());
                open.unanswered.extend(confirmed.open_refer.clone());
            }
            SessionMode::Terminating(over) => match &over.last {
                LastRequest::Cancel(canceling) => open.ours = Some(canceling.invite.clone()),
                LastRequest::AwaitingAck(waiting) => {
                    open.unanswered.extend(waiting.remote_offer.as_ref().map(|offer| offer.key.clone()));
                }
                LastRequest::Bye { .. } | LastRequest::Unregister { .. } => {}
            },
            SessionMode::AnswerDue(_) | SessionMode::Registering { .. } | SessionMode::Probing { .. } => {}
        }
        open
    }
}
