//! Somebody of the organization listens to a call: a leg of their own carries both sides to their browser. Nothing leads
//! from it to the call, so the caller hears nothing of them.

use super::concurrency::ConcurrencyPermit;
use super::consultation;
use super::leg_events::leg_event_queue;
use super::listen_request::{ListenError, ListenRequest};
use super::services::{CallServices, SharedServices};
use crate::domain::ids::CallId;
use crate::registry::CallCommand;
use crate::store::OrgScope;
use crate::supervision;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::io::worker::TransportSetup;
use trunkline_media::leg::{self, LegEvent, StreamConfig};
use trunkline_media::transport::webrtc::{AnsweredOffer, WebRtcPeer};

/// How long the call may take to answer: it does so at once.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// From the answer to a path.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
/// Codecs in order of preference.
const CODECS: &[Codec] = &[Codec::Opus, Codec::G711(Companding::MuLaw), Codec::G711(Companding::ALaw)];

/// Answers a listener's offer. They hear the call until it is over or they go.
pub(super) async fn listen_in(
    context: &SharedServices, scope: OrgScope, call: CallId, offer: &str, permit: ConcurrencyPermit,
) -> Result<String, ListenError> {
    let reach = context.media.workers.host_candidates().ok_or(ListenError::Disabled)?;
    let AnsweredOffer { peer, sdp, stream } =
        WebRtcPeer::answer(Instant::now(), offer, reach, CODECS).map_err(|error| ListenError::Offer(error.0))?;
    let (sink, events) = leg_event_queue();
    let wire = TransportSetup::WebRtcSharedPort(Box::new(peer));
    let leg = context.media.workers.add(leg_config(context, stream), wire, None, sink);
    let leg = leg.map_err(|_| ListenError::Overloaded)?;
    let (line, over) = oneshot::channel();
    let (reply, answer) = oneshot::channel();
    let request = ListenRequest { relay: leg.relay_sender(), line, reply };
    if !context.registry.command(scope, call, CallCommand::Listen(Box::new(request))) {
        return Err(ListenError::NotHere);
    }
    match tokio::time::timeout(ANSWER_DEADLINE, answer).await {
        Ok(Ok(taken)) => taken?,
        // A call that is not answered drops what it is asked.
        _ => return Err(ListenError::NotAnswered),
    }
    supervision::spawn("listen_in", async move {
        wait_until_gone(events, over).await;
        leg.remove(None);
        drop(permit);
    });
    Ok(sdp)
}

/// A leg that records nothing, looks for nothing in what it receives and hands nothing on.
fn leg_config(context: &CallServices, stream: StreamConfig) -> leg::LegConfig {
    leg::LegConfig {
        // A browser that only listens sends nothing; ICE tells when it has gone.
        network_timeout: Duration::from_secs(86_400),
        audio: leg::AudioDelivery::Off,
        ..consultation::leg_config(context, stream)
    }
}

/// Until the call is over, or the listener's path is lost or never opened.
async fn wait_until_gone(mut events: mpsc::Receiver<LegEvent>, mut over: oneshot::Receiver<()>) {
    let mut is_connected = false;
    let connect_by = tokio::time::sleep(CONNECT_DEADLINE);
    tokio::pin!(connect_by);
    loop {
        tokio::select! {
            _ = &mut over => return,
            event = events.recv() => match event {
                Some(LegEvent::Connected { .. }) => is_connected = true,
                Some(LegEvent::NetworkLost | LegEvent::InternalError | LegEvent::PeerClosed) | None => return,
                Some(_) => {}
            },
            () = &mut connect_by, if !is_connected => return,
        }
    }
}
