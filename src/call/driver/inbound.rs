//! A call that comes in: who answers it, with which media, and then the conversation.

use super::converse::{Conversation, converse};
use super::{Record, Shared, trunk_codecs};
use crate::call::machine::Brief;
use crate::call::negotiate::Negotiation;
use crate::domain::call::{Call, CallStatus, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TrunkId};
use crate::store::{Route, StoreError, now};
use std::time::{Duration, Instant};
use tracing::Instrument as _;
use trunkline_media::codec::Law;
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::endpoint::{Event, Incoming};

/// A database that does not answer in this time refuses the call.
const ROUTE_DEADLINE: Duration = Duration::from_secs(2);
/// How long the peer has to acknowledge our 200 before the endpoint gives up (64 T1, plus a second).
const CONFIRM_DEADLINE: Duration = Duration::from_secs(33);

/// Answers or refuses a call that passed the guard of the endpoint.
pub async fn inbound(context: Shared, call: IncomingCall) {
    let started = Instant::now();
    let IncomingCall { incoming, events } = call;
    let route = match tokio::time::timeout(ROUTE_DEADLINE, route(&context, &incoming)).await {
        Ok(Ok(Some(route))) => route,
        Ok(Ok(None)) => return context.sip.reject(incoming.call, 404, None).await,
        Ok(Err(error)) => {
            tracing::error!(%error, "call cannot be routed");
            return context.sip.reject(incoming.call, 503, Some(10)).await;
        }
        Err(_) => return context.sip.reject(incoming.call, 503, Some(10)).await,
    };
    let id = CallId::new();
    let span =
        tracing::info_span!("call", call = %id, organization = %route.scope.organization(), direction = "inbound");
    answer(context, route, id, incoming, events, started).instrument(span).await;
}

async fn route(context: &Shared, incoming: &Incoming) -> Result<Option<Route>, StoreError> {
    let trunks = trunk_ids(incoming);
    let dialled = incoming.request_uri.user_plain().or(incoming.to.uri.user_plain()).unwrap_or_default();
    context.store.route(&dialled, &trunks).await
}

fn trunk_ids(incoming: &Incoming) -> Vec<TrunkId> {
    incoming.trunks.iter().filter_map(|id| TrunkId::parse(id)).collect()
}

async fn answer(
    context: Shared, route: Route, id: CallId, incoming: Incoming, mut events: tokio::sync::mpsc::Receiver<Event>,
    started: Instant,
) {
    let Route { scope, agent } = route;
    let sip_call = incoming.call;
    let codecs = trunk_codecs(&context.store, scope, trunk_ids(&incoming).first().copied()).await;
    let Ok(ports) = context.ports.take() else {
        tracing::error!("no RTP port is free");
        return context.sip.reject(sip_call, 503, Some(5)).await;
    };
    let mut negotiation = Negotiation::new(context.media_addr, ports.port(), &codecs, sip_call.0);
    let (stream, sdp) = match &incoming.sdp {
        Some(offer) => match negotiation.answer(offer) {
            Ok((stream, text)) => (Some(stream), text),
            Err(refusal) => {
                tracing::info!(why = refusal.why, status = refusal.sip_status, "offer refused");
                return context.sip.reject(sip_call, refusal.sip_status, None).await;
            }
        },
        // Delayed offer: ours goes out with the 200, the answer comes with the ACK.
        None => (None, negotiation.offer()),
    };
    let seat = context.registry.enter(scope, id, None);
    let brief = Brief { agent: agent.fields, task: None };
    context.open_connections(&brief);
    let call = Call {
        id,
        organization: scope.organization(),
        agent: Some(agent.id),
        task: None,
        direction: Direction::Inbound,
        from_number: incoming.from.uri.user_plain().unwrap_or_else(|| "anonymous".to_owned()),
        to_number: incoming.request_uri.user_plain().unwrap_or_default(),
        status: CallStatus::Initiated,
        end_reason: None,
        started_at: now(),
        answered_at: None,
        ended_at: None,
        sip_call_id: Some(incoming.sip_call_id.clone()),
        recording: None,
        metrics: None,
        metadata: brief.agent.metadata.clone().map(serde_json::Value::Object),
    };
    let mut record = Record::new(&context, scope, call, &seat).await;
    let stt = context.start_stt(&brief, stream.map_or(Law::Mu, |stream| stream.law));
    context.sip.answer(sip_call, sdp).await;
    metrics::histogram!("trunkline_setup_seconds").record(started.elapsed().as_secs_f64());
    metrics::counter!("trunkline_calls_started_total", "direction" => "inbound").increment(1);
    let confirmed = match confirmed(&mut events).await {
        Ok(sdp) => sdp,
        Err(reason) => {
            context.sip.hang_up(sip_call).await;
            return record.ended(reason).await;
        }
    };
    let stream = match (stream, confirmed) {
        (Some(stream), _) => Some(stream),
        (None, Some(answer)) => negotiation.accept(&answer).ok(),
        (None, None) => None,
    };
    let media = stream.and_then(|stream| context.start_leg(&brief, &record, stream, ports));
    let Some(media) = media else {
        context.sip.hang_up(sip_call).await;
        return record.ended(EndReason::TrunkError).await;
    };
    tracing::info!("call answered");
    let sip_events = events;
    converse(Conversation { context, brief, record, seat, sip_call, sip_events, negotiation, media, stt }).await;
}

/// Waits for the ACK; its body when there is one.
async fn confirmed(events: &mut tokio::sync::mpsc::Receiver<Event>) -> Result<Option<Vec<u8>>, EndReason> {
    loop {
        match tokio::time::timeout(CONFIRM_DEADLINE, events.recv()).await {
            Ok(Some(Event::Confirmed { sdp, .. })) => return Ok(sdp),
            Ok(Some(Event::Ended { cause, .. })) => {
                use trunkline_signaling::sip::failure::Cause;
                return Err(match cause {
                    Cause::RemoteCancel => EndReason::Canceled,
                    Cause::RemoteBye => EndReason::CustomerHungUp,
                    _ => EndReason::NetworkLost,
                });
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(EndReason::NetworkLost),
        }
    }
}
