//! A call that we make, from the first INVITE to the answer: early media, forks, redirects, offers inside the early dialog,
//! delayed offers, the ring timeout. The outbound call, the consultation call of a transfer, the call for an inbound REFER
//! and the scripted caller use this one machine. It sends nothing and knows no media leg: a driver carries its actions.
//!
//! After every `handle_*` or `give_up`, drain [`OutgoingCall::poll_action`] and [`OutgoingCall::poll_update`].

mod early_forks;
mod error;
mod redirect;
mod second_leg;

pub use early_forks::EarlyForks;
pub use error::OutgoingCallError;
pub use redirect::{REDIRECTS_MAX, RedirectPolicy, destination_within_trunk};
pub use second_leg::{SecondLegError, transfer_destination};

use crate::domain::end_reason::EndReason;
use crate::domain::phone_number::Destination;
use crate::domain::trunk::TrunkFields;
use crate::negotiate::{Negotiation, NegotiationError};
use early_forks::EarlyFork;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use trunkline_media::leg::StreamConfig;
use trunkline_signaling::sip::early_media::EarlyMediaAuthorization;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, InviteExtensions, SipEvent};

/// Digits that are kept until the answer; later ones are forgotten.
pub const EARLY_DIGITS_MAX: usize = 64;

/// Who makes the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferMode {
    /// We do, in the INVITE.
    Early,
    /// The callee does, in its 200; our answer goes with the ACK. A description in a provisional response is a preview
    /// of that offer and is not used, because our INVITE then does not support 100rel.
    Delayed,
}

impl OfferMode {
    /// Who makes the offer on a trunk (`delayed_offer`).
    pub fn of_trunk(trunk: &TrunkFields) -> Self {
        if trunk.delayed_offer { Self::Delayed } else { Self::Early }
    }
}

/// What an outgoing call begins with.
#[derive(Clone, Debug)]
pub struct OutgoingCallParams {
    /// Who is called first.
    pub destination: Destination,
    /// Our side of the media, without any offer so far.
    pub negotiation: Negotiation,
    /// Who makes the offer.
    pub offer_mode: OfferMode,
    /// Which redirections are followed.
    pub redirects: RedirectPolicy,
    /// How long each INVITE may go unanswered.
    pub ring_timeout: Duration,
}

/// An INVITE that is not answered yet.
#[derive(Clone, Debug)]
pub struct DialAttempt {
    destination: Destination,
    /// Our side of the media as it was offered: what each new fork starts from.
    negotiation: Negotiation,
    offer_mode: OfferMode,
    extensions: InviteExtensions,
    redirects: RedirectPolicy,
    redirects_left: u8,
    ring_timeout: Duration,
    give_up_at: Instant,
}

/// What was agreed with the callee.
#[derive(Clone, Debug)]
pub struct AnsweredCall {
    /// Our side of the dialog, for later offers.
    pub negotiation: Negotiation,
    /// The stream of the media leg.
    pub stream: StreamConfig,
    /// Value of the Call-ID header.
    pub sip_call_id: String,
    /// Digits that were pressed before the answer, in their order.
    pub early_digits: String,
}

/// How far an outgoing call is.
#[derive(Clone, Debug)]
pub enum OutgoingCallState {
    /// The INVITE is on its way; the callee may ring.
    Dialing(DialAttempt),
    /// A fork has agreed on media before the answer: announcements, ringing tones, voicemail.
    EarlyMedia(DialAttempt, EarlyForks),
    /// The callee has answered. Its dialog belongs to the owner of the call now.
    Answered(AnsweredCall),
    /// The call is over, and was not answered.
    Failed(OutgoingCallError),
}

/// A command for the SIP user agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingCallAction {
    /// Sends an INVITE; its events are those of the call from now on.
    SendInvite {
        /// Who is called.
        destination: Destination,
        /// Our offer; `None` for a delayed offer.
        offer: Option<Vec<u8>>,
        /// Left out of a second INVITE, as the keys are: one refusal is answered by one plain call.
        extensions: InviteExtensions,
    },
    /// Ends the call: CANCEL, or ACK and BYE.
    HangUp,
    /// Ends a call whose 200 has no description that can be used: ACK, and a BYE that says so.
    HangUpWithoutMedia,
    /// ACK of a 200 that brought the offer: our answer, `None` if the offer cannot be used.
    Acknowledge {
        /// The description for the ACK.
        answer: Option<Vec<u8>>,
    },
    /// Answers an UPDATE of the early dialog; `None` refuses it with 488.
    AnswerReoffer {
        /// The description for the 200.
        answer: Option<Vec<u8>>,
    },
    /// Refuses a REFER: nothing can be transferred before the answer.
    RefuseRefer,
    /// Refuses a call that wants to replace this one before the answer.
    RefuseReplaces {
        /// The call that wants it.
        by: SipCall,
    },
}

/// News for the owner of the call.
#[derive(Clone, Debug, PartialEq)]
pub enum OutgoingCallUpdate {
    /// The media to be heard before the answer: of the fork that described itself last. Inactive once the network stops them
    /// (P-Early-Media).
    EarlyMedia(StreamConfig),
    /// A provisional response came. If it described media, `EarlyMedia` came before this.
    Ringing {
        /// SIP status, from 101 to 199.
        status: u16,
    },
    /// A redirection is followed.
    Redirected(EndCause),
}

/// A call that we make, until it is answered or over.
#[derive(Debug)]
pub struct OutgoingCall {
    state: OutgoingCallState,
    /// Drained after each event, which adds two at most.
    actions: VecDeque<OutgoingCallAction>,
    /// Drained after each event, which adds two at most.
    updates: VecDeque<OutgoingCallUpdate>,
    /// Digits of the present attempt.
    early_digits: String,
}

impl DialAttempt {
    /// Makes the next offer a plain one, without what the callee need not understand; false if this one was.
    fn makes_plain(&mut self) -> bool {
        let is_plain = self.offer_mode == OfferMode::Early && self.negotiation.fall_back_to_plain();
        if is_plain {
            self.extensions = InviteExtensions::Omitted;
        }
        is_plain
    }
}

impl OutgoingCallState {
    /// In place of a state that is being left.
    const LEAVING: Self = Self::Failed(OutgoingCallError::SignalingLost);

    fn attempt(&mut self) -> Option<&mut DialAttempt> {
        match self {
            Self::Dialing(attempt) | Self::EarlyMedia(attempt, _) => Some(attempt),
            Self::Answered(_) | Self::Failed(_) => None,
        }
    }

    /// The attempt with its early forks; none once the call is answered or over.
    fn take_unanswered(&mut self) -> Option<(DialAttempt, Option<EarlyForks>)> {
        match std::mem::replace(self, Self::LEAVING) {
            Self::Dialing(attempt) => Some((attempt, None)),
            Self::EarlyMedia(attempt, forks) => Some((attempt, Some(forks))),
            settled => {
                *self = settled;
                None
            }
        }
    }

    /// Adds a fork that has agreed on media. False if there are too many forks.
    fn add_fork(&mut self, fork: EarlyFork) -> bool {
        match std::mem::replace(self, Self::LEAVING) {
            Self::Dialing(attempt) => {
                *self = Self::EarlyMedia(attempt, EarlyForks::of(fork));
                true
            }
            Self::EarlyMedia(attempt, mut forks) => {
                let is_added = forks.add(fork);
                *self = Self::EarlyMedia(attempt, forks);
                is_added
            }
            settled => {
                *self = settled;
                false
            }
        }
    }

    fn fork(&mut self, remote_tag: &str) -> Option<&mut EarlyFork> {
        match self {
            Self::EarlyMedia(_, forks) => forks.find(remote_tag),
            Self::Dialing(_) | Self::Answered(_) | Self::Failed(_) => None,
        }
    }
}

impl OutgoingCall {
    /// Begins the call: the first action is its INVITE.
    pub fn new(now: Instant, params: OutgoingCallParams) -> Self {
        let attempt = DialAttempt {
            destination: params.destination,
            negotiation: params.negotiation,
            offer_mode: params.offer_mode,
            extensions: InviteExtensions::Offered,
            redirects: params.redirects,
            redirects_left: REDIRECTS_MAX,
            ring_timeout: params.ring_timeout,
            give_up_at: now,
        };
        let mut call = Self {
            state: OutgoingCallState::LEAVING,
            actions: VecDeque::new(),
            updates: VecDeque::new(),
            early_digits: String::new(),
        };
        call.dial(now, attempt);
        call
    }

    /// How far the call is.
    pub fn state(&self) -> &OutgoingCallState {
        &self.state
    }

    /// What became of the call; `None` while it is not answered.
    pub fn result(&self) -> Option<Result<AnsweredCall, OutgoingCallError>> {
        match &self.state {
            OutgoingCallState::Dialing(_) | OutgoingCallState::EarlyMedia(..) => None,
            OutgoingCallState::Answered(answered) => Some(Ok(answered.clone())),
            OutgoingCallState::Failed(error) => Some(Err(error.clone())),
        }
    }

    /// Where the callee's signalling comes from, once it has responded.
    pub fn signalling(&self) -> Option<IpAddr> {
        match &self.state {
            OutgoingCallState::Dialing(attempt) | OutgoingCallState::EarlyMedia(attempt, _) => {
                attempt.negotiation.signalling()
            }
            OutgoingCallState::Answered(answered) => answered.negotiation.signalling(),
            OutgoingCallState::Failed(_) => None,
        }
    }

    /// Takes the next command for the user agent.
    pub fn poll_action(&mut self) -> Option<OutgoingCallAction> {
        self.actions.pop_front()
    }

    /// Takes the next news for the owner.
    pub fn poll_update(&mut self) -> Option<OutgoingCallUpdate> {
        self.updates.pop_front()
    }

    /// When [`OutgoingCall::handle_timeout`] is due; `None` once the call is answered or over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            OutgoingCallState::Dialing(attempt) | OutgoingCallState::EarlyMedia(attempt, _) => Some(attempt.give_up_at),
            OutgoingCallState::Answered(_) | OutgoingCallState::Failed(_) => None,
        }
    }

    /// The ring timeout may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.hang_up(OutgoingCallError::NoAnswer);
        }
    }

    /// The owner wants the call no more; nothing once it is answered.
    pub fn give_up(&mut self, reason: EndReason) {
        if self.state.attempt().is_some() {
            self.hang_up(OutgoingCallError::GivenUp(reason));
        }
    }

    /// The INVITE could not be sent, or the user agent has ended.
    pub fn handle_signaling_error(&mut self, error: OutgoingCallError) {
        if self.state.attempt().is_some() {
            self.state = OutgoingCallState::Failed(error);
        }
    }

    /// Handles an event of the call's INVITE or of its early dialogs.
    pub fn handle_sip_event(&mut self, now: Instant, event: SipEvent) {
        match event {
            SipEvent::ProvisionalResponse { status, sdp, peer, remote_tag, is_reliable, early_media, .. } => {
                let Some(attempt) = self.state.attempt() else { return };
                attempt.negotiation.set_signalling(peer.ip());
                let answer = sdp.filter(|_| attempt.offer_mode == OfferMode::Early);
                self.handle_early_response(&remote_tag, answer.as_deref(), is_reliable, early_media);
                self.updates.push_back(OutgoingCallUpdate::Ringing { status });
            }
            SipEvent::Answered { sdp, sip_call_id, peer, remote_tag, .. } => {
                if let Some(attempt) = self.state.attempt() {
                    attempt.negotiation.set_signalling(peer.ip());
                }
                self.handle_answered(now, sdp, sip_call_id, &remote_tag);
            }
            SipEvent::Ended { cause, .. } => self.handle_ended(now, cause),
            SipEvent::ReofferReceived { sdp, remote_tag, .. } => self.handle_update(sdp, remote_tag),
            SipEvent::DigitReceived { digit, .. } => self.handle_early_digit(digit),
            SipEvent::ReferReceived { .. } => self.actions.push_back(OutgoingCallAction::RefuseRefer),
            SipEvent::ReplacesReceived { by, .. } => {
                self.actions.push_back(OutgoingCallAction::RefuseReplaces { by: by.call });
            }
            _ => {}
        }
    }

    /// A digit before the answer, in the signalling or in the early media. It is kept for the owner of the answered call.
    pub fn handle_early_digit(&mut self, digit: char) {
        if self.state.attempt().is_some() && self.early_digits.len() < EARLY_DIGITS_MAX {
            self.early_digits.push(digit);
        }
    }

    fn dial(&mut self, now: Instant, mut attempt: DialAttempt) {
        self.early_digits.clear(); // somebody else's
        attempt.give_up_at = now + attempt.ring_timeout;
        let offer = (attempt.offer_mode == OfferMode::Early).then(|| attempt.negotiation.offer());
        let (destination, extensions) = (attempt.destination.clone(), attempt.extensions);
        self.actions.push_back(OutgoingCallAction::SendInvite { destination, offer, extensions });
        self.state = OutgoingCallState::Dialing(attempt);
    }

    fn hang_up(&mut self, error: OutgoingCallError) {
        self.actions.push_back(OutgoingCallAction::HangUp);
        self.state = OutgoingCallState::Failed(error);
    }

    /// A fork describes its media in a provisional response. The newest is heard if the network lets its media through; a
    /// description that cannot be used changes nothing.
    fn handle_early_response(
        &mut self, remote_tag: &str, answer: Option<&[u8]>, is_reliable: bool, authorization: EarlyMediaAuthorization,
    ) {
        let is_described = answer.is_some_and(|answer| self.handle_early_answer(remote_tag, answer, is_reliable));
        let OutgoingCallState::EarlyMedia(_, forks) = &mut self.state else { return };
        let change = forks.authorize(remote_tag, authorization, is_described);
        self.updates.extend(change.map(OutgoingCallUpdate::EarlyMedia));
    }

    /// False if the description cannot be used, or an answer stands already.
    fn handle_early_answer(&mut self, remote_tag: &str, answer: &[u8], is_reliable: bool) -> bool {
        match self.state.fork(remote_tag) {
            Some(fork) => fork.handle_answer(answer, is_reliable),
            None => self.new_negotiation().is_some_and(|negotiation| {
                EarlyFork::from_answer(remote_tag.to_owned(), negotiation, answer, is_reliable)
                    .is_ok_and(|fork| self.state.add_fork(fork))
            }),
        }
    }

    /// A fork changes its media before it answers, for example when announcements move to another server.
    fn handle_update(&mut self, offer: Option<Vec<u8>>, remote_tag: String) {
        let answer = offer.and_then(|offer| match self.state.fork(&remote_tag) {
            Some(fork) => fork.handle_offer(&offer),
            None => {
                let (fork, text) = EarlyFork::from_offer(remote_tag.clone(), self.new_negotiation()?, &offer).ok()?;
                self.state.add_fork(fork).then_some(text)
            }
        });
        if let (Some(_), OutgoingCallState::EarlyMedia(_, forks)) = (&answer, &mut self.state) {
            let change = forks.authorize(&remote_tag, EarlyMediaAuthorization::Unspecified, true);
            self.updates.extend(change.map(OutgoingCallUpdate::EarlyMedia));
        }
        self.actions.push_back(OutgoingCallAction::AnswerReoffer { answer });
    }

    /// Our side of the media for a fork that is heard of for the first time.
    fn new_negotiation(&mut self) -> Option<Negotiation> {
        self.state.attempt().map(|attempt| attempt.negotiation.clone())
    }

    fn handle_answered(&mut self, now: Instant, sdp: Option<Vec<u8>>, sip_call_id: String, remote_tag: &str) {
        let Some((mut attempt, forks)) = self.state.take_unanswered() else { return };
        let fork = forks.and_then(|forks| forks.take(remote_tag)).map(|fork| fork.into_dialog(sdp.as_ref()));
        let (mut negotiation, given) = fork.unwrap_or_else(|| (attempt.negotiation.clone(), None));
        let stream = match (attempt.offer_mode, given, sdp) {
            (OfferMode::Early, Some(stream), _) => Ok(stream),
            (_, _, None) => Err(OutgoingCallError::NoDescription),
            (OfferMode::Early, None, Some(answer)) => {
                negotiation.accept(&answer).map_err(OutgoingCallError::UnusableDescription)
            }
            (OfferMode::Delayed, _, Some(offer)) => {
                let answered = negotiation.answer(&offer);
                let answer = answered.as_ref().ok().map(|(_, text)| text.clone());
                self.actions.push_back(OutgoingCallAction::Acknowledge { answer });
                answered.map(|(stream, _)| stream).map_err(OutgoingCallError::UnusableDescription)
            }
        };
        match stream {
            Ok(stream) => {
                let early_digits = std::mem::take(&mut self.early_digits);
                self.state =
                    OutgoingCallState::Answered(AnsweredCall { negotiation, stream, sip_call_id, early_digits });
            }
            // It answers, but not with the audio that we have offered, or with keys that are none of ours.
            Err(OutgoingCallError::UnusableDescription(NegotiationError::STREAM_OFF | NegotiationError::NO_KEY))
                if attempt.makes_plain() =>
            {
                self.actions.push_back(OutgoingCallAction::HangUpWithoutMedia);
                self.dial(now, attempt);
            }
            Err(error) => {
                self.actions.push_back(OutgoingCallAction::HangUpWithoutMedia);
                self.state = OutgoingCallState::Failed(error);
            }
        }
    }

    /// The INVITE was refused or redirected, or failed.
    fn handle_ended(&mut self, now: Instant, cause: EndCause) {
        let Some((mut attempt, _)) = self.state.take_unanswered() else { return };
        // Best effort (RFC 8643): whoever refuses keys may take the same call without.
        if matches!(cause, EndCause::Rejected { status: 415 | 421 | 488 | 606, .. }) && attempt.makes_plain() {
            return self.dial(now, attempt);
        }
        let destination = attempt.redirects.destination(&cause).filter(|_| attempt.redirects_left > 0);
        let Some(destination) = destination else {
            self.state = OutgoingCallState::Failed(OutgoingCallError::Ended(cause));
            return;
        };
        attempt.redirects_left -= 1;
        attempt.destination = destination;
        // Keys offered to a previous target are not reused.
        attempt.negotiation = attempt.negotiation.fork();
        self.updates.push_back(OutgoingCallUpdate::Redirected(cause));
        self.dial(now, attempt);
    }
}

#[cfg(test)]
mod tests;
