//! Inbound REFER: the peer asks us to call a third party, and the conversation continues with them. Runs in a separate
//! task until they answer.

use super::consultation::{admit_second_leg, may_be_called};
use super::outgoing_call::{AnsweredDialog, OutgoingCallDriver};
use super::trunk_calls::{self, InviteParams};
use super::{AdmissionPermit, CallServices, SharedServices};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TrunkId};
use crate::domain::phone_number::Destination;
use crate::domain::trunk::Trunk;
use crate::negotiate::Negotiation;
use crate::outgoing_call::{
    OfferMode, OutgoingCallParams, OutgoingCallUpdate, RedirectPolicy, destination_within_trunk,
};
use crate::store::OrgScope;
use crate::supervision;
use tokio::sync::mpsc;
use trunkline_signaling::sip::message::{HeaderName, Headers};
use trunkline_signaling::sip::user_agent::{InviteRequest, ReferRequest};

/// Progress and result: never more than a handful.
const QUEUE_MAX: usize = 8;

#[derive(Debug)]
pub(super) enum InboundReferEvent {
    /// Status of a provisional response.
    Progress(u16),
    /// They have answered.
    Answered { dialog: AnsweredDialog, permit: AdmissionPermit },
    /// They did not answer; the SIP status.
    Failed(u16),
}

/// The call whose peer sent the REFER.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReferringCall {
    pub scope: OrgScope,
    pub id: CallId,
    pub trunk: Option<TrunkId>,
}

/// The call being made; dropping it cancels the call.
#[derive(Debug)]
pub(super) struct InboundRefer {
    updates: mpsc::Receiver<InboundReferEvent>,
    is_over: bool,
}

impl InboundRefer {
    pub(super) async fn next(&mut self) -> InboundReferEvent {
        if self.is_over {
            return std::future::pending().await;
        }
        let update = self.updates.recv().await.unwrap_or(InboundReferEvent::Failed(500));
        self.is_over = !matches!(update, InboundReferEvent::Progress(_));
        update
    }

    pub(super) fn start(
        context: SharedServices, referring: ReferringCall, from_number: String, referred: ReferRequest,
        negotiation: Negotiation,
    ) -> Self {
        let (update_sender, updates) = mpsc::channel(QUEUE_MAX);
        supervision::spawn("handover", async move {
            let last = call(&context, referring, &from_number, &referred, negotiation, &update_sender).await;
            if let Err(mpsc::error::SendError(InboundReferEvent::Answered { dialog, .. })) =
                update_sender.send(last).await
            {
                context.sip.hang_up(dialog.call).await;
            }
        });
        Self { updates, is_over: false }
    }
}

async fn call(
    context: &CallServices, referring: ReferringCall, from_number: &str, referred: &ReferRequest,
    negotiation: Negotiation, update_sender: &mpsc::Sender<InboundReferEvent>,
) -> InboundReferEvent {
    let (trunk, permit) = match admit_second_leg(context, referring.scope, referring.trunk).await {
        Ok(line) => line,
        Err(error) => return InboundReferEvent::Failed(error.refer_status()),
    };
    let Some(destination) = destination_within_trunk(&trunk.fields, &referred.target) else {
        return InboundReferEvent::Failed(403);
    };
    if !may_be_called(context, referring.scope, &destination).await {
        return InboundReferEvent::Failed(403);
    }
    let params = OutgoingCallParams {
        destination,
        negotiation,
        offer_mode: OfferMode::of_trunk(&trunk.fields),
        redirects: RedirectPolicy::of_trunk(&trunk.fields),
        ring_timeout: context.trunks.ring_timeout,
    };
    let build_invite = |to: &Destination, offer| invite(context, &trunk, from_number, referred, to, offer);
    let attempted = |leg| context.sip_logs.add_leg(referring.id, leg);
    let mut call = OutgoingCallDriver::start(context.sip.clone(), params, build_invite, attempted).await;
    loop {
        while let Some(update) = call.poll_update() {
            match update {
                OutgoingCallUpdate::Ringing { status } => {
                    let _ = update_sender.try_send(InboundReferEvent::Progress(status));
                }
                // The leg serves the referrer until the answer: it can be in one call only.
                OutgoingCallUpdate::EarlyMedia(_) | OutgoingCallUpdate::Redirected(_) => {}
            }
        }
        match call.take_result() {
            Some(Ok(dialog)) => return InboundReferEvent::Answered { dialog, permit },
            Some(Err(error)) => return InboundReferEvent::Failed(error.refer_status()),
            None => {}
        }
        tokio::select! {
            event = call.recv() => call.handle(event).await,
            // The referrer hung up.
            () = update_sender.closed() => call.give_up(EndReason::Canceled).await,
        }
    }
}

/// The INVITE that a REFER asks for.
fn invite(
    context: &CallServices, trunk: &Trunk, from_number: &str, referred: &ReferRequest, to: &Destination,
    offer: Option<Vec<u8>>,
) -> Option<InviteRequest> {
    let from_number = Some(from_number).filter(|number| !number.is_empty());
    let (headers, sdp) = (headers(referred), offer.unwrap_or_default());
    trunk_calls::invite(&context.trunks, trunk, InviteParams { from_number, destination: to, sdp, headers })
}

/// What the third party is told of the REFER (RFC 3892, RFC 3891).
fn headers(referred: &ReferRequest) -> Headers {
    let mut headers = Headers::default();
    if let Some(replaces) = &referred.replaces {
        headers.push(HeaderName::Replaces, replaces.as_str());
    }
    if let Some(by) = &referred.referred_by {
        headers.push(HeaderName::ReferredBy, by.as_str());
    }
    headers
}
