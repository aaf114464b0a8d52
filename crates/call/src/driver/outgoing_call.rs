//! Carries the outgoing call's machine: its commands to the SIP user agent, its early media to a media leg.

use crate::domain::end_reason::EndReason;
use crate::domain::phone_number::Destination;
use crate::negotiate::{DialogMediaChange, Negotiation};
use crate::outgoing_call::{
    OutgoingCall, OutgoingCallAction, OutgoingCallError, OutgoingCallParams, OutgoingCallUpdate,
};
use std::time::Instant;
use tokio::sync::mpsc;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::LegHandle;
use trunkline_media::leg::StreamConfig;
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, InviteExtensions, InviteRequest, SipEvent};

/// Makes the INVITE to a destination with an offer; `None` if it may not be called.
type BuildInvite<'a> = Box<dyn FnMut(&Destination, Option<Vec<u8>>) -> Option<InviteRequest> + Send + 'a>;

/// A call that we make, until it is answered or over. Wait with [`OutgoingCallDriver::recv`], pass what comes to
/// [`OutgoingCallDriver::handle`], then look at the updates and at the result.
pub struct OutgoingCallDriver<'a> {
    machine: OutgoingCall,
    sip: SipHandle,
    build_invite: BuildInvite<'a>,
    /// Told of each attempt.
    attempted: Box<dyn FnMut(SipCall) + Send + 'a>,
    /// The present attempt.
    dialog: Option<SipDialog>,
}

struct SipDialog {
    call: SipCall,
    events: mpsc::Receiver<SipEvent>,
}

/// Something that an outgoing call waits for.
#[derive(Debug)]
pub enum OutgoingCallEvent {
    /// An event of its INVITE; `None` when the user agent has ended.
    Sip(Option<SipEvent>),
    /// The ring timeout has passed.
    Timeout,
}

/// The dialog of an answered call.
#[derive(Debug)]
pub struct AnsweredDialog {
    /// The call at the user agent.
    pub call: SipCall,
    /// What happens to it from now on.
    pub events: mpsc::Receiver<SipEvent>,
    /// Our side of its media.
    pub negotiation: Negotiation,
    /// The stream of the media leg.
    pub stream: StreamConfig,
    /// Value of the Call-ID header.
    pub sip_call_id: String,
    /// Digits that were pressed before the answer, in their order.
    pub early_digits: String,
}

impl std::fmt::Debug for OutgoingCallDriver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingCallDriver").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl<'a> OutgoingCallDriver<'a> {
    /// Sends the first INVITE. `attempted` is told of each INVITE, the first and those of redirections.
    pub async fn start(
        sip: SipHandle, params: OutgoingCallParams,
        build_invite: impl FnMut(&Destination, Option<Vec<u8>>) -> Option<InviteRequest> + Send + 'a,
        attempted: impl FnMut(SipCall) + Send + 'a,
    ) -> Self {
        let machine = OutgoingCall::new(Instant::now(), params);
        let (build_invite, attempted) = (Box::new(build_invite), Box::new(attempted));
        let mut driver = Self { machine, sip, build_invite, attempted, dialog: None };
        driver.carry().await;
        driver
    }

    /// Waits for the next event. May be dropped while it waits: nothing is lost.
    pub async fn recv(&mut self) -> OutgoingCallEvent {
        let give_up_at = self.machine.poll_timeout();
        let event = async {
            match &mut self.dialog {
                Some(dialog) => dialog.events.recv().await,
                None => std::future::pending().await,
            }
        };
        let timeout = async {
            match give_up_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = event => OutgoingCallEvent::Sip(event),
            () = timeout => OutgoingCallEvent::Timeout,
        }
    }

    /// Handles what [`OutgoingCallDriver::recv`] returned. Must not be dropped before it is done.
    pub async fn handle(&mut self, event: OutgoingCallEvent) {
        let now = Instant::now();
        match event {
            OutgoingCallEvent::Sip(Some(event)) => {
                let event = self.sip.resolve_event(event, self.machine.signalling()).await;
                self.machine.handle_sip_event(now, event);
            }
            OutgoingCallEvent::Sip(None) => self.machine.handle_signaling_error(OutgoingCallError::SignalingLost),
            OutgoingCallEvent::Timeout => self.machine.handle_timeout(now),
        }
        self.carry().await;
    }

    /// Ends the call before it is answered, for this reason.
    pub async fn give_up(&mut self, reason: EndReason) {
        self.machine.give_up(reason);
        self.carry().await;
    }

    /// A digit in the early media, which belongs to those that come as INFO.
    pub fn handle_early_digit(&mut self, digit: char) {
        self.machine.handle_early_digit(digit);
    }

    /// Takes the next news.
    pub fn poll_update(&mut self) -> Option<OutgoingCallUpdate> {
        self.machine.poll_update()
    }

    /// What became of the call, once; `None` while it is not answered.
    pub fn take_result(&mut self) -> Option<Result<AnsweredDialog, OutgoingCallError>> {
        let answered = match self.machine.result()? {
            Ok(answered) => answered,
            Err(error) => return Some(Err(error)),
        };
        let dialog = self.dialog.take().ok_or(OutgoingCallError::SignalingLost);
        Some(dialog.map(|SipDialog { call, events }| AnsweredDialog {
            call,
            events,
            negotiation: answered.negotiation,
            stream: answered.stream,
            sip_call_id: answered.sip_call_id,
            early_digits: answered.early_digits,
        }))
    }

    async fn carry(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                OutgoingCallAction::SendInvite { destination, offer, extensions } => {
                    self.send_invite(&destination, offer, extensions).await;
                }
                action => self.command(action).await,
            }
        }
    }

    async fn send_invite(&mut self, destination: &Destination, offer: Option<Vec<u8>>, extensions: InviteExtensions) {
        self.dialog = None;
        let Some(invite) = (self.build_invite)(destination, offer) else {
            return self.machine.handle_signaling_error(OutgoingCallError::NotAllowed);
        };
        let invite = InviteRequest { extensions, ..invite };
        match self.sip.send_invite(invite).await {
            Ok((call, events)) => {
                (self.attempted)(call);
                self.dialog = Some(SipDialog { call, events });
            }
            Err(_) => self.machine.handle_signaling_error(OutgoingCallError::Overloaded),
        }
    }

    async fn command(&mut self, action: OutgoingCallAction) {
        let Some(SipDialog { call, .. }) = self.dialog else { return };
        match action {
            OutgoingCallAction::SendInvite { .. } => {}
            OutgoingCallAction::HangUp => self.sip.hang_up(call).await,
            OutgoingCallAction::HangUpWithoutMedia => self.sip.hang_up_without_media(call).await,
            OutgoingCallAction::Acknowledge { answer } => self.sip.acknowledge(call, answer).await,
            OutgoingCallAction::AnswerReoffer { answer } => self.sip.answer_reoffer(call, answer).await,
            OutgoingCallAction::RefuseRefer => self.sip.answer_refer(call, false).await,
            OutgoingCallAction::RefuseReplaces { by } => self.sip.reject(by, 481, None).await,
        }
    }
}

/// Media of an outgoing call that has its own leg.
pub trait OutgoingLeg {
    /// The leg itself.
    fn handle(&self) -> &LegHandle;
}

/// The media leg of an outgoing call: it starts with the first description of the callee, before or with the answer.
#[derive(Debug)]
pub enum EarlyLeg<L> {
    /// Nobody has described media.
    Waiting(PortPair),
    /// It runs.
    Started(L),
    /// It could not start, or failed: an answer would have no media.
    Lost,
}

impl<L: OutgoingLeg> EarlyLeg<L> {
    /// The running leg.
    pub fn started(&self) -> Option<&L> {
        match self {
            Self::Started(leg) => Some(leg),
            Self::Waiting(_) | Self::Lost => None,
        }
    }

    /// Media before the answer: starts the leg, or moves it.
    pub fn apply(&mut self, stream: StreamConfig, start: impl FnOnce(StreamConfig, PortPair) -> Option<L>) {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Waiting(ports) => start(stream, ports).map_or(Self::Lost, Self::Started),
            Self::Started(leg) => {
                let _ = leg.handle().renegotiate(stream);
                Self::Started(leg)
            }
            Self::Lost => Self::Lost,
        };
    }

    /// The leg of the answered call: recording, if wanted, and the network timeout begin. `None` without media.
    pub fn answered(
        self, stream: StreamConfig, record: impl FnOnce(&L) -> bool,
        start: impl FnOnce(StreamConfig, PortPair) -> Option<L>,
    ) -> Option<L> {
        match self {
            Self::Waiting(ports) => start(stream, ports),
            Self::Started(leg) => {
                let handle = leg.handle();
                let told = handle.renegotiate(stream).and_then(|()| handle.start_call(record(&leg)));
                told.is_ok().then_some(leg)
            }
            Self::Lost => None,
        }
    }
}

/// Handles an event of a confirmed dialog that is about its media: answers the peer's offer, moves the leg. Gives back
/// an event that is not.
pub async fn handle_dialog_media(
    sip: &SipHandle, call: SipCall, negotiation: &mut Negotiation, leg: &LegHandle, event: SipEvent,
) -> Option<SipEvent> {
    let event = sip.resolve_event(event, negotiation.signalling()).await;
    match negotiation.handle_dialog_event(&event) {
        DialogMediaChange::Unchanged => return Some(event),
        DialogMediaChange::Reoffered { text, stream } => {
            if let Some(stream) = stream {
                let _ = leg.renegotiate(stream);
            }
            sip.answer_reoffer(call, text).await;
        }
        DialogMediaChange::Answered(stream) => drop(leg.renegotiate(stream)),
        DialogMediaChange::Unanswerable => sip.hang_up_without_media(call).await,
    }
    None
}
