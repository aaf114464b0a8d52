//! Inbound REFER: the peer asks us to call somebody else, and the conversation continues with them. A task of its own
//! until they answer.

use super::consult::{SecondLineError, second_line};
use super::ringing::decline;
use super::trunks::{self, Errand};
use super::{Context, Permit, Shared};
use crate::call::negotiate::Negotiation;
use crate::domain::ids::TrunkId;
use crate::domain::phone_number::{Destination, PhoneNumber};
use crate::domain::trunk::{Target, TrunkFields};
use crate::store::OrgScope;
use crate::supervision;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline_media::leg::Stream;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event, Referred};
use trunkline_signaling::sip::failure::Cause;
use trunkline_signaling::sip::message::{HeaderName, Headers, Scheme, Uri};

/// Progress and result: never more than a handful.
const QUEUE_MAX: usize = 8;

#[derive(Debug)]
pub(super) enum HandoverNews {
    /// Status of a provisional response.
    Progress(u16),
    /// They have answered.
    Answered { call: SipCall, events: mpsc::Receiver<Event>, negotiation: Negotiation, stream: Stream, permit: Permit },
    /// They did not answer; the SIP status.
    Failed(u16),
}

/// The call being made; dropping it cancels the call.
#[derive(Debug)]
pub(super) struct Handover {
    news: mpsc::Receiver<HandoverNews>,
    is_over: bool,
}

impl Handover {
    pub(super) async fn next(&mut self) -> HandoverNews {
        if self.is_over {
            return std::future::pending().await;
        }
        let news = self.news.recv().await.unwrap_or(HandoverNews::Failed(500));
        self.is_over = !matches!(news, HandoverNews::Progress(_));
        news
    }

    pub(super) fn start(
        context: Shared, scope: OrgScope, trunk: Option<TrunkId>, from_number: String, referred: Referred,
        negotiation: Negotiation,
    ) -> Self {
        let (tell, news) = mpsc::channel(QUEUE_MAX);
        supervision::spawn("handover", async move {
            let last = call(&context, scope, trunk, &from_number, &referred, negotiation, &tell).await;
            if let Err(mpsc::error::SendError(HandoverNews::Answered { call, .. })) = tell.send(last).await {
                context.sip.hang_up(call).await;
            }
        });
        Self { news, is_over: false }
    }
}

/// The destination of a REFER, if the trunk may call it: a number it can dial, or a URI where allowed.
pub(super) fn destination(trunk: &TrunkFields, uri: &Uri) -> Option<Destination> {
    let number = uri.user_plain().map(|user| trunk.e164(&user)).and_then(|number| PhoneNumber::parse(&number));
    let port = |port: Option<u16>| port.unwrap_or(5_060);
    let same = |target: &Target| target.host.eq_ignore_ascii_case(&uri.host) && port(target.port) == port(uri.port);
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
    context: &Context, scope: OrgScope, trunk: Option<TrunkId>, from_number: &str, referred: &Referred,
    mut negotiation: Negotiation, tell: &mpsc::Sender<HandoverNews>,
) -> HandoverNews {
    let (trunk, permit) = match second_line(context, scope, trunk).await {
        Ok(line) => line,
        Err(SecondLineError::NoTrunk) => return HandoverNews::Failed(500),
        Err(SecondLineError::Denied(denied)) => return HandoverNews::Failed(denied.sip_status()),
    };
    let Some(destination) = destination(&trunk.fields, &referred.target) else { return HandoverNews::Failed(403) };
    let mut headers = Headers::default();
    if let Some(replaces) = &referred.replaces {
        headers.push(HeaderName::Replaces, replaces.as_str());
    }
    if let Some(by) = &referred.referred_by {
        headers.push(HeaderName::ReferredBy, by.as_str());
    }
    let from_number = Some(from_number).filter(|number| !number.is_empty());
    let errand = Errand { from_number, destination: &destination, sdp: negotiation.offer(), headers };
    let Some(mut invite) = trunks::invite(context, &trunk, errand) else { return HandoverNews::Failed(403) };
    if invite.sdp.is_none() {
        invite.sdp = Some(negotiation.offer()); // an offer is needed because the stream moves
    }
    let Ok((call, mut events)) = context.sip.invite(invite).await else { return HandoverNews::Failed(503) };
    let give_up = tokio::time::Instant::now() + context.limits.ring_timeout + Duration::from_secs(1);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Progress { status, .. }) => drop(tell.try_send(HandoverNews::Progress(status))),
                Some(Event::Answered { sdp: Some(sdp), peer, .. }) => {
                    negotiation.set_signalling(peer.ip());
                    match negotiation.accept(&sdp) {
                        Ok(stream) => return HandoverNews::Answered { call, events, negotiation, stream, permit },
                        Err(_) => break,
                    }
                }
                Some(Event::Ended { cause: Cause::Refused { status, .. }, .. }) => return HandoverNews::Failed(status),
                Some(Event::Answered { .. }) => break,
                Some(Event::Ended { .. }) | None => return HandoverNews::Failed(503),
                Some(event) => decline(&context.sip, event).await,
            },
            // The referrer hung up, or nobody answers.
            () = tell.closed() => break,
            () = tokio::time::sleep_until(give_up) => break,
        }
    }
    context.sip.hang_up(call).await;
    HandoverNews::Failed(480)
}
