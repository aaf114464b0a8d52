//! Inbound REFER: the peer asks us to call a third party, and the conversation continues with them. Runs in a separate
//! task until they answer.

use super::consultation::{SecondLegError, admit_second_leg};
use super::early_media::reject_early_request;
use super::trunk_calls::{self, InviteParams};
use super::{AdmissionPermit, CallServices, SharedServices};
use crate::call::negotiate::Negotiation;
use crate::domain::ids::TrunkId;
use crate::domain::phone_number::{Destination, PhoneNumber};
use crate::domain::trunk::{TrunkFields, TrunkTarget};
use crate::store::OrgScope;
use crate::supervision;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline_media::leg::StreamConfig;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{HeaderName, Headers, Scheme, Uri};
use trunkline_signaling::sip::user_agent::{CallId as SipCall, ReferRequest, SipEvent};

/// Progress and result: never more than a handful.
const QUEUE_MAX: usize = 8;

#[derive(Debug)]
pub(super) enum InboundReferEvent {
    /// Status of a provisional response.
    Progress(u16),
    /// They have answered.
    Answered {
        call: SipCall,
        events: mpsc::Receiver<SipEvent>,
        negotiation: Negotiation,
        stream: StreamConfig,
        permit: AdmissionPermit,
    },
    /// They did not answer; the SIP status.
    Failed(u16),
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
        context: SharedServices, scope: OrgScope, trunk: Option<TrunkId>, from_number: String, referred: ReferRequest,
        negotiation: Negotiation,
    ) -> Self {
        let (update_sender, updates) = mpsc::channel(QUEUE_MAX);
        supervision::spawn("handover", async move {
            let last = call(&context, scope, trunk, &from_number, &referred, negotiation, &update_sender).await;
            if let Err(mpsc::error::SendError(InboundReferEvent::Answered { call, .. })) =
                update_sender.send(last).await
            {
                context.sip.hang_up(call).await;
            }
        });
        Self { updates, is_over: false }
    }
}

/// The destination of a REFER, if the trunk may call it: a number it can dial, or a URI where allowed.
pub(super) fn destination(trunk: &TrunkFields, uri: &Uri) -> Option<Destination> {
    let number = uri.user_plain().map(|user| trunk.e164(&user)).and_then(|number| PhoneNumber::parse(&number));
    let port = |port: Option<u16>| port.unwrap_or(5_060);
    let same =
        |target: &TrunkTarget| target.host.eq_ignore_ascii_case(&uri.host) && port(target.port) == port(uri.port);
    let is_trunks = trunk.all_targets().iter().any(same);
    match number {
        Some(number) if uri.scheme == Scheme::Tel || is_trunks || !trunk.allow_sip_uri => {
            trunk.may_call(&number).then_some(Destination::Number(number))
        }
        _ if trunk.allow_sip_uri && uri.scheme == Scheme::Sip => Destination::parse(&uri.to_string()),
        _ => None,
    }
}

async fn call(
    context: &CallServices, scope: OrgScope, trunk: Option<TrunkId>, from_number: &str, referred: &ReferRequest,
    mut negotiation: Negotiation, update_sender: &mpsc::Sender<InboundReferEvent>,
) -> InboundReferEvent {
    let (trunk, permit) = match admit_second_leg(context, scope, trunk).await {
        Ok(line) => line,
        Err(SecondLegError::NoTrunk) => return InboundReferEvent::Failed(500),
        Err(SecondLegError::Denied(denied)) => return InboundReferEvent::Failed(denied.sip_status()),
    };
    let Some(destination) = destination(&trunk.fields, &referred.target) else { return InboundReferEvent::Failed(403) };
    let mut headers = Headers::default();
    if let Some(replaces) = &referred.replaces {
        headers.push(HeaderName::Replaces, replaces.as_str());
    }
    if let Some(by) = &referred.referred_by {
        headers.push(HeaderName::ReferredBy, by.as_str());
    }
    let from_number = Some(from_number).filter(|number| !number.is_empty());
    let params = InviteParams { from_number, destination: &destination, sdp: negotiation.offer(), headers };
    let Some(mut invite) = trunk_calls::invite(&context.trunks, &trunk, params) else {
        return InboundReferEvent::Failed(403);
    };
    if invite.sdp.is_none() {
        invite.sdp = Some(negotiation.offer()); // an offer is needed because the stream moves
    }
    let Ok((call, mut events)) = context.sip.send_invite(invite).await else { return InboundReferEvent::Failed(503) };
    let give_up = tokio::time::Instant::now() + context.trunks.ring_timeout + Duration::from_secs(1);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(SipEvent::ProvisionalResponse { status, .. }) => drop(update_sender.try_send(InboundReferEvent::Progress(status))),
                Some(SipEvent::Answered { sdp: Some(sdp), peer, .. }) => {
                    negotiation.set_signalling(peer.ip());
                    match negotiation.accept(&sdp) {
                        Ok(stream) => return InboundReferEvent::Answered { call, events, negotiation, stream, permit },
                        Err(_) => break,
                    }
                }
                Some(SipEvent::Ended { cause: EndCause::Rejected { status, .. }, .. }) => return InboundReferEvent::Failed(status),
                Some(SipEvent::Answered { .. }) => break,
                Some(SipEvent::Ended { .. }) | None => return InboundReferEvent::Failed(503),
                Some(event) => reject_early_request(&context.sip, event).await,
            },
            // The referrer hung up, or nobody answers.
            () = update_sender.closed() => break,
            () = tokio::time::sleep_until(give_up) => break,
        }
    }
    context.sip.hang_up(call).await;
    InboundReferEvent::Failed(480)
}
