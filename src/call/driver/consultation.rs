//! The consultation call to a transfer target: rings, speaks the briefing, and bridges both legs. Runs in its own task
//! that ends with its handle, so that no phone keeps ringing after the caller left.

use super::early_media::reject_early_request;
use super::sip_causes::end_reason_of_unanswered;
use super::trunk_calls::{self, InviteParams};
use super::tts::{TtsPipeline, TtsPipelineEvent};
use super::{AdmissionError, AdmissionPermit, CALL_LEG_EVENTS_MAX, CallServices, SharedServices, ntp_clock};
use crate::call::admission::LimitExceededError;
use crate::call::machine::{CallSpec, ConsultationEvent};
use crate::call::negotiate::Negotiation;
use crate::dialogue::response::{AfterResponse, AgentResponse};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::TrunkId;
use crate::domain::phone_number::Destination;
use crate::domain::transfer::TransferTarget;
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, StoreError};
use crate::supervision;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::codec::Companding;
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::io::worker::{LegHandle, RelaySender, TransportSetup};
use trunkline_media::leg::{self, LegEvent, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::turn::barge_in;
use trunkline_media::vad;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::Headers;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, SipEvent};

/// Commands and events between the two calls: never more than a handful.
const QUEUE_MAX: usize = 8;
/// How long the trunk's settings may take to be read.
const TRUNK_DEADLINE: Duration = Duration::from_secs(2);

/// Commands to the consultation call.
enum ConsultationCommand {
    SpeakBriefing(String),
    Bridge(RelaySender),
}

/// The callee and the caller id.
pub(super) struct ConsultationParams {
    pub scope: OrgScope,
    pub trunk: Option<TrunkId>,
    pub from_number: String,
    pub target: TransferTarget,
    pub spec: CallSpec,
}

/// The caller's handle to the consultation call.
pub(super) struct ConsultationHandle {
    commands: mpsc::Sender<ConsultationCommand>,
    pub updates: mpsc::Receiver<(ConsultationEvent, Option<RelaySender>)>,
    /// Where the caller's audio goes once both are bridged.
    pub relay: Option<RelaySender>,
}

impl ConsultationHandle {
    pub(super) fn start(context: SharedServices, party: ConsultationParams) -> Self {
        let (commands, command_queue) = mpsc::channel(QUEUE_MAX);
        let (update_sender, updates) = mpsc::channel(QUEUE_MAX);
        let run = async move {
            let why = call(&context, party, command_queue, &update_sender).await;
            let _ = update_sender.send((ConsultationEvent::Failed(why), None)).await;
        };
        supervision::spawn("consult", run.instrument(tracing::info_span!("consult")));
        Self { commands, updates, relay: None }
    }

    pub(super) fn spec(&self, text: String) {
        let _ = self.commands.try_send(ConsultationCommand::SpeakBriefing(text));
    }

    pub(super) fn connect(&self, caller: RelaySender) {
        let _ = self.commands.try_send(ConsultationCommand::Bridge(caller));
    }
}

/// The trunk of a call for a second leg; none when the daily limit is used up.
pub(super) async fn trunk_for_transfer(
    context: &CallServices, scope: OrgScope, trunk: Option<TrunkId>,
) -> Option<Trunk> {
    let trunk = trunk?;
    let read = async {
        if !context.admission.is_within_daily_limits(scope).await? {
            tracing::warn!("the organization has reached its daily limit");
            return Ok::<_, StoreError>(None);
        }
        context.store.trunk(scope, trunk).await
    };
    tokio::time::timeout(TRUNK_DEADLINE, read).await.ok()?.ok()?
}

/// The same, and admits the second leg.
pub(super) async fn admit_second_leg(
    context: &CallServices, scope: OrgScope, trunk: Option<TrunkId>,
) -> Result<(Trunk, AdmissionPermit), SecondLegError> {
    let trunk = trunk.ok_or(SecondLegError::NoTrunk)?;
    let read = async {
        let trunk = context.store.trunk(scope, trunk).await.ok().flatten().ok_or(SecondLegError::NoTrunk)?;
        match context.admission.admit(scope, Some(&trunk)).await {
            Ok(permit) => Ok((trunk, permit)),
            Err(AdmissionError::Denied(denied)) => {
                tracing::warn!(limit = denied.limit(), "second leg refused");
                Err(SecondLegError::Denied(denied))
            }
            Err(AdmissionError::Store(error)) => {
                tracing::error!(%error, "cannot read limits");
                Err(SecondLegError::NoTrunk)
            }
        }
    };
    tokio::time::timeout(TRUNK_DEADLINE, read).await.unwrap_or(Err(SecondLegError::NoTrunk))
}

/// Why a second leg is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum SecondLegError {
    NoTrunk,
    Denied(LimitExceededError),
}

impl SecondLegError {
    /// How a consultation call ends that was not admitted.
    fn end_reason(self) -> EndReason {
        match self {
            Self::NoTrunk | Self::Denied(LimitExceededError::DailyLimit) => EndReason::TrunkError,
            Self::Denied(_) => EndReason::Overload,
        }
    }
}

async fn call(
    context: &SharedServices, party: ConsultationParams, mut command_queue: mpsc::Receiver<ConsultationCommand>,
    update_sender: &mpsc::Sender<(ConsultationEvent, Option<RelaySender>)>,
) -> EndReason {
    // Held until the consultation call ends.
    let (trunk, _permit) = match admit_second_leg(context, party.scope, party.trunk).await {
        Ok(line) => line,
        Err(error) => return error.end_reason(),
    };
    let Some(destination) = party.target.destination() else { return EndReason::InvalidNumber };
    // A URI names its own host: the trunk must allow SIP URIs, as for tasks.
    if matches!(destination, Destination::SipUri(_)) && !trunk.fields.allow_sip_uri {
        tracing::warn!("the trunk does not allow SIP URIs");
        return EndReason::TrunkError;
    }
    let Ok(ports) = context.media.ports.take() else { return EndReason::Overload };
    let from_number = Some(party.from_number.as_str()).filter(|number| !number.is_empty());
    let mut negotiation = context.media.negotiation(ports.port(), &trunk);
    let (sdp, headers) = (negotiation.offer(), Headers::default());
    let params = InviteParams { from_number, destination: &destination, sdp, headers };
    let Some(invite) = trunk_calls::invite(&context.trunks, &trunk, params) else { return EndReason::TrunkError };
    let delayed = invite.sdp.is_none();
    let Ok((sip_call, mut events)) = context.sip.send_invite(invite).await else { return EndReason::Overload };
    let answer = loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(SipEvent::ProvisionalResponse { .. }) => drop(update_sender.try_send((ConsultationEvent::Ringing, None))),
                Some(SipEvent::Answered { sdp: Some(sdp), peer, .. }) => {
                    negotiation.set_signalling(peer.ip());
                    break sdp;
                }
                Some(SipEvent::Ended { cause: cause @ EndCause::Rejected { .. }, .. }) => return end_reason_of_unanswered(&cause),
                Some(SipEvent::Answered { .. } | SipEvent::Ended { .. }) | None => break Vec::new(),
                Some(event) => reject_early_request(&context.sip, event).await,
            },
            // The caller hung up, or the wait timed out.
            None = command_queue.recv() => {
                context.sip.hang_up(sip_call).await;
                return EndReason::Canceled;
            }
        }
    };
    let (sender, leg_events) = mpsc::channel(CALL_LEG_EVENTS_MAX);
    let stream = agreed(context, sip_call, &mut negotiation, &answer, delayed).await;
    let leg = stream.and_then(|stream| {
        let config = leg_config(context, stream, sip_call);
        let sink = Box::new(move |event| sender.try_send(event).is_ok());
        let leg = context.media.workers.add(config, TransportSetup::Rtp(ports), None, sink).ok()?;
        Some((leg, stream.codec.companding()))
    });
    let Some((leg, companding)) = leg else {
        context.sip.hang_up(sip_call).await;
        return EndReason::TrunkError;
    };
    let relay = leg.relay_sender();
    let party = ConsultationCall {
        context: context.clone(),
        spec: party.spec,
        sip_call,
        events,
        negotiation,
        leg,
        leg_events,
        companding,
        tts: None,
        unplayed: VecDeque::new(),
        relay_to_caller: None,
    };
    let _ = update_sender.send((ConsultationEvent::Answered, Some(relay))).await;
    party.run(command_queue, update_sender).await
}

/// The stream of an answer; for a delayed offer after our answer was sent.
async fn agreed(
    context: &CallServices, call: SipCall, negotiation: &mut Negotiation, sdp: &[u8], delayed: bool,
) -> Option<StreamConfig> {
    if !delayed {
        return negotiation.accept(sdp).ok();
    }
    let answer = negotiation.answer(sdp).ok();
    context.sip.acknowledge(call, answer.as_ref().map(|(_, text)| text.clone())).await;
    answer.map(|(stream, _)| stream)
}

/// A leg without barge-in and without recording.
fn leg_config(context: &CallServices, stream: StreamConfig, call: SipCall) -> leg::LegConfig {
    leg::LegConfig {
        latching: context.media.latching,
        ssrc: rand::random(),
        first_sequence: rand::random(),
        first_timestamp: rand::random(),
        clock: ntp_clock(),
        cname: call.0.to_string(),
        barge_in: barge_in::BargeInConfig { enabled: false, ..barge_in::BargeInConfig::default() },
        vad: vad::VadConfig::default(),
        network_timeout: context.media.network_timeout,
        record: false,
        detect_voice: false,
        ..leg::LegConfig::basic(std::time::Instant::now(), stream)
    }
}

/// The transfer target has answered.
struct ConsultationCall {
    context: SharedServices,
    spec: CallSpec,
    sip_call: SipCall,
    events: mpsc::Receiver<SipEvent>,
    negotiation: Negotiation,
    leg: LegHandle,
    leg_events: mpsc::Receiver<LegEvent>,
    companding: Companding,
    tts: Option<TtsPipeline>,
    /// Briefing segments that have not been played to the end.
    unplayed: VecDeque<SegmentId>,
    /// Where their sound goes.
    relay_to_caller: Option<RelaySender>,
}

impl ConsultationCall {
    async fn run(
        mut self, mut command_queue: mpsc::Receiver<ConsultationCommand>,
        update_sender: &mpsc::Sender<(ConsultationEvent, Option<RelaySender>)>,
    ) -> EndReason {
        loop {
            let tts = async {
                match &mut self.tts {
                    Some(tts) => tts.next().await,
                    None => std::future::pending().await,
                }
            };
            let over = tokio::select! {
                ask = command_queue.recv() => match ask {
                    Some(ask) => {
                        self.handle_command(ask);
                        None
                    }
                    None => Some(EndReason::AgentHungUp),
                },
                event = self.events.recv() => self.sip_event(event).await,
                event = self.leg_events.recv() => match event {
                    Some(event) => self.leg_event(event, update_sender),
                    None => Some(EndReason::NetworkLost),
                },
                event = tts => {
                    self.handle_tts_event(event, update_sender);
                    None
                }
            };
            if let Some(why) = over {
                self.context.sip.hang_up(self.sip_call).await;
                self.leg.remove(None);
                return why;
            }
        }
    }

    fn handle_command(&mut self, ask: ConsultationCommand) {
        match ask {
            ConsultationCommand::SpeakBriefing(text) => {
                let (_, segments) = AgentResponse::scripted(1, &text, AfterResponse::AwaitCaller, self.spec.style());
                let mut tts = TtsPipeline::new(self.context.providers.clone(), self.spec.clone(), true);
                for (index, text) in segments {
                    let segment = SegmentId { response_id: 1, index };
                    self.unplayed.push_back(segment);
                    tts.speak(segment, text);
                }
                self.tts = Some(tts);
            }
            ConsultationCommand::Bridge(caller) => {
                self.relay_to_caller = Some(caller);
                self.tts = None;
            }
        }
    }

    fn handle_tts_event(
        &mut self, event: TtsPipelineEvent, update_sender: &mpsc::Sender<(ConsultationEvent, Option<RelaySender>)>,
    ) {
        match event {
            TtsPipelineEvent::Audio { segment, samples } => drop(self.leg.play(segment, samples, false)),
            TtsPipelineEvent::Done { segment, samples, .. } => drop(self.leg.play(segment, samples, true)),
            TtsPipelineEvent::Failed { segment, .. } => self.handle_segment_played(segment, update_sender),
            TtsPipelineEvent::WordTimestamps { .. }
            | TtsPipelineEvent::FailedOver { .. }
            | TtsPipelineEvent::Requested { .. } => {}
        }
    }

    fn handle_segment_played(
        &mut self, segment: SegmentId, update_sender: &mpsc::Sender<(ConsultationEvent, Option<RelaySender>)>,
    ) {
        self.unplayed.retain(|one| *one != segment);
        if let Some(tts) = &mut self.tts {
            tts.handle_segment_played(segment);
        }
        if self.unplayed.is_empty() && self.relay_to_caller.is_none() {
            let _ = update_sender.try_send((ConsultationEvent::Briefed, None));
        }
    }

    fn leg_event(
        &mut self, event: LegEvent, update_sender: &mpsc::Sender<(ConsultationEvent, Option<RelaySender>)>,
    ) -> Option<EndReason> {
        match event {
            LegEvent::Audio { codes, .. } => {
                if let Some(caller) = &self.relay_to_caller {
                    let mut frame = [0; FRAME_SAMPLES];
                    self.companding.decode_into(&codes, &mut frame);
                    caller.send(frame);
                }
            }
            LegEvent::SegmentFinished { heard, .. } => self.handle_segment_played(heard.segment, update_sender),
            LegEvent::NetworkLost | LegEvent::InternalError => return Some(EndReason::NetworkLost),
            _ => {}
        }
        None
    }

    async fn sip_event(&mut self, event: Option<SipEvent>) -> Option<EndReason> {
        match event {
            Some(SipEvent::ReofferReceived { call, sdp }) => {
                let answer = match sdp {
                    Some(offer) => self.negotiation.answer(&offer).ok().map(|(stream, text)| {
                        let _ = self.leg.renegotiate(stream);
                        text
                    }),
                    None => Some(self.negotiation.offer()),
                };
                self.context.sip.answer_reoffer(call, answer).await;
                None
            }
            Some(SipEvent::Acknowledged { sdp: Some(answer), .. }) => {
                if let Ok(stream) = self.negotiation.accept(&answer) {
                    let _ = self.leg.renegotiate(stream);
                }
                None
            }
            // Redirects are decided by the caller's side.
            Some(SipEvent::ReplacesReceived { by, .. }) => {
                self.context.sip.reject(by.call, 603, None).await;
                None
            }
            Some(SipEvent::ReferReceived { call, .. }) => {
                self.context.sip.answer_refer(call, false).await;
                None
            }
            Some(SipEvent::Ended { .. }) | None => Some(EndReason::CustomerHungUp),
            Some(_) => None,
        }
    }
}
