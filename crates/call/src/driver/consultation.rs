//! The consultation call to a transfer target: rings, speaks the briefing, and bridges both legs. Runs in its own task
//! that ends with its handle, so that no phone keeps ringing after the caller left.

use super::leg_events::leg_event_queue;
use super::outgoing_call::{AnsweredDialog, EarlyLeg, OutgoingCallDriver, OutgoingLeg, handle_dialog_media};
use super::trunk_calls::{self, InviteParams, custom_headers, with_referrer};
use super::tts::{TtsPipeline, TtsPipelineEvent};
use super::{AdmissionError, AdmissionPermit, CallServices, SharedServices, ntp_clock};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TrunkId};
use crate::domain::phone_number::Destination;
use crate::domain::transfer::TransferTarget;
use crate::domain::trunk::Trunk;
use crate::machine::{CallSpec, ConsultationEvent};
use crate::negotiate::Negotiation;
use crate::outgoing_call::{
    OfferMode, OutgoingCallParams, OutgoingCallUpdate, RedirectPolicy, SecondLegError, transfer_destination,
};
use crate::store::{OrgScope, PageRequest, StoreError};
use crate::supervision;
use crate::task_placement::choose_trunk_of_web_call;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::{LegHandle, RelaySender, TransportSetup};
use trunkline_media::leg::{self, LegEvent, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, InviteRequest, SipEvent};

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
    /// The caller's call.
    pub call: CallId,
    /// The call's; `None` for a browser's.
    pub trunk: Option<TrunkId>,
    pub from_number: String,
    pub target: TransferTarget,
    /// What the destination is told beside the number.
    pub headers: BTreeMap<String, String>,
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
            let why = Box::pin(call(&context, party, command_queue, &update_sender)).await;
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

/// False for a number on the organization's do-not-call list, and when that cannot be read.
pub(super) async fn may_be_called(context: &CallServices, scope: OrgScope, destination: &Destination) -> bool {
    let Some(number) = destination.number() else { return true };
    match tokio::time::timeout(TRUNK_DEADLINE, context.store.is_not_to_be_called(scope, &number)).await {
        Ok(Ok(false)) => true,
        Ok(Ok(true)) => {
            tracing::warn!("the second leg's number is on the do-not-call list");
            false
        }
        _ => {
            tracing::error!("cannot read the do-not-call list");
            false
        }
    }
}

/// A browser's call came over no trunk: trunk and caller id are those of its agent's number.
async fn find_trunk(context: &CallServices, party: &mut ConsultationParams) {
    let Some(destination) = party.target.destination() else { return };
    let read = async {
        let numbers = context.store.calling_number(party.scope, None, party.spec.agent_id).await?;
        let (mut trunks, _) = context.store.trunks(party.scope, PageRequest::first(1_000)).await?;
        trunks.reverse(); // oldest first
        Ok::<_, StoreError>((numbers, trunks))
    };
    let (numbers, trunks) = match tokio::time::timeout(TRUNK_DEADLINE, read).await {
        Ok(Ok(rows)) => rows,
        _ => return tracing::error!("cannot read trunks and numbers for a transfer"),
    };
    match choose_trunk_of_web_call(party.spec.agent_id, &destination, numbers.as_slice(), &trunks) {
        Ok((trunk, from_number)) => {
            party.trunk = Some(trunk.id);
            party.from_number = from_number.unwrap_or_default();
        }
        Err(error) => tracing::warn!(%error, "no trunk for the transfer of a call from a browser"),
    }
}

/// News of the consultation call; with its answer comes where the caller's audio goes.
type ConsultationUpdates = mpsc::Sender<(ConsultationEvent, Option<RelaySender>)>;

async fn call(
    context: &SharedServices, mut party: ConsultationParams, mut command_queue: mpsc::Receiver<ConsultationCommand>,
    update_sender: &ConsultationUpdates,
) -> EndReason {
    if party.trunk.is_none() {
        find_trunk(context, &mut party).await;
    }
    // Held until the consultation call ends.
    let (trunk, _permit) = match admit_second_leg(context, party.scope, party.trunk).await {
        Ok(line) => line,
        Err(error) => return error.end_reason(),
    };
    let destination = match transfer_destination(&party.target, &trunk.fields) {
        Ok(destination) => destination,
        Err(reason) => {
            tracing::warn!(reason = reason.name(), "the trunk cannot call the destination of the transfer");
            return reason;
        }
    };
    if !may_be_called(context, party.scope, &destination).await {
        return EndReason::Rejected;
    }
    let Ok(ports) = context.media.ports.take() else { return EndReason::Overload };
    let params = OutgoingCallParams {
        destination,
        negotiation: context.media.negotiation(ports.port(), &trunk),
        offer_mode: OfferMode::of_trunk(&trunk.fields),
        redirects: RedirectPolicy::of_trunk(&trunk.fields),
        ring_timeout: Duration::from_millis(party.spec.agent.transfers().ring_timeout_ms),
    };
    let build_invite = |to: &Destination, offer| invite(context, &trunk, &party, to, offer);
    let attempted = |leg| context.sip_logs.add_leg(party.call, leg);
    let mut outgoing = OutgoingCallDriver::start(context.sip.clone(), params, build_invite, attempted).await;
    let mut leg = EarlyLeg::Waiting(ports);
    let dialog = match wait_for_answer(context, &mut outgoing, &mut leg, &mut command_queue, update_sender).await {
        Ok(dialog) => dialog,
        Err(reason) => return reason,
    };
    drop(outgoing);
    let Some(leg) =
        leg.answered(dialog.stream, |_| false, |stream, ports| ConsultationLeg::start(context, stream, ports))
    else {
        context.sip.hang_up(dialog.call).await;
        return EndReason::TrunkError;
    };
    let relay = leg.handle.relay_sender();
    let party = ConsultationCall {
        context: context.clone(),
        spec: party.spec,
        sip_call: dialog.call,
        events: dialog.events,
        negotiation: dialog.negotiation,
        leg,
        tts: None,
        unplayed: VecDeque::new(),
        relay_to_caller: None,
    };
    let _ = update_sender.send((ConsultationEvent::Answered, Some(relay))).await;
    party.run(command_queue, update_sender).await
}

fn invite(
    context: &CallServices, trunk: &Trunk, party: &ConsultationParams, to: &Destination, offer: Option<Vec<u8>>,
) -> Option<InviteRequest> {
    let from_number = Some(party.from_number.as_str()).filter(|number| !number.is_empty());
    let (headers, sdp) = (custom_headers(&party.headers), offer.unwrap_or_default());
    let params = InviteParams { from_number, destination: to, sdp, headers };
    trunk_calls::invite(&context.trunks, trunk, params).map(|invite| with_referrer(invite, &trunk.fields))
}

/// Rings until the target answers. Early media keeps the leg open and is not heard, its digits neither: the caller has music.
async fn wait_for_answer(
    context: &CallServices, outgoing: &mut OutgoingCallDriver<'_>, leg: &mut EarlyLeg<ConsultationLeg>,
    command_queue: &mut mpsc::Receiver<ConsultationCommand>, update_sender: &ConsultationUpdates,
) -> Result<AnsweredDialog, EndReason> {
    loop {
        while let Some(update) = outgoing.poll_update() {
            match update {
                OutgoingCallUpdate::EarlyMedia(stream) => {
                    leg.apply(stream, |stream, ports| ConsultationLeg::start(context, stream, ports));
                }
                OutgoingCallUpdate::Ringing { .. } => {
                    let _ = update_sender.try_send((ConsultationEvent::Ringing, None));
                }
                OutgoingCallUpdate::Redirected(_) => {}
            }
        }
        if let Some(result) = outgoing.take_result() {
            return result.map_err(|error| error.end_reason());
        }
        let heard = async {
            match leg {
                EarlyLeg::Started(leg) => leg.events.recv().await,
                EarlyLeg::Waiting(_) | EarlyLeg::Lost => std::future::pending().await,
            }
        };
        tokio::select! {
            event = outgoing.recv() => outgoing.handle(event).await,
            event = heard => if event.is_none() {
                *leg = EarlyLeg::Lost; // it failed with its worker
            },
            // The caller hung up, or the wait timed out.
            None = command_queue.recv() => outgoing.give_up(EndReason::Canceled).await,
        }
    }
}

/// The leg of the consultation call.
#[derive(Debug)]
struct ConsultationLeg {
    handle: LegHandle,
    events: mpsc::Receiver<LegEvent>,
}

impl OutgoingLeg for ConsultationLeg {
    fn handle(&self) -> &LegHandle {
        &self.handle
    }
}

impl ConsultationLeg {
    fn start(context: &CallServices, stream: StreamConfig, ports: PortPair) -> Option<Self> {
        let (sink, events) = leg_event_queue();
        let handle =
            context.media.workers.add(leg_config(context, stream), TransportSetup::Rtp(ports), None, sink).ok()?;
        Some(Self { handle, events })
    }
}

/// A leg without barge-in and without recording.
pub(super) fn leg_config(context: &CallServices, stream: StreamConfig) -> leg::LegConfig {
    leg::LegConfig {
        latching: context.media.latching,
        ssrc: rand::random(),
        first_sequence: rand::random(),
        first_timestamp: rand::random(),
        clock: ntp_clock(),
        cname: rand::random::<u64>().to_string(),
        network_timeout: context.media.network_timeout,
        record: false,
        analysis: leg::AnalysisConfig::Off,
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
    leg: ConsultationLeg,
    tts: Option<TtsPipeline>,
    /// Briefing segments that have not been played to the end.
    unplayed: VecDeque<SegmentId>,
    /// Where their sound goes.
    relay_to_caller: Option<RelaySender>,
}

impl ConsultationCall {
    async fn run(
        mut self, mut command_queue: mpsc::Receiver<ConsultationCommand>, update_sender: &ConsultationUpdates,
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
                event = self.leg.events.recv() => match event {
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
                self.leg.handle.remove(None);
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
                    tts.speak(segment, text, None);
                }
                self.tts = Some(tts);
            }
            ConsultationCommand::Bridge(caller) => {
                self.relay_to_caller = Some(caller);
                let _ = self.leg.handle.start_bridge();
                self.tts = None;
            }
        }
    }

    fn handle_tts_event(&mut self, event: TtsPipelineEvent, update_sender: &ConsultationUpdates) {
        match event {
            TtsPipelineEvent::Audio { segment, samples } => drop(self.leg.handle.play(segment, samples, false)),
            TtsPipelineEvent::Done { segment, samples, .. } => drop(self.leg.handle.play(segment, samples, true)),
            TtsPipelineEvent::Failed { segment, .. } => self.handle_segment_played(segment, update_sender),
            TtsPipelineEvent::WordTimestamps { .. }
            | TtsPipelineEvent::AskedAgain { .. }
            | TtsPipelineEvent::FailedOver { .. }
            | TtsPipelineEvent::Requested { .. } => {}
        }
    }

    fn handle_segment_played(&mut self, segment: SegmentId, update_sender: &ConsultationUpdates) {
        self.unplayed.retain(|one| *one != segment);
        if let Some(tts) = &mut self.tts {
            tts.handle_segment_played(segment);
        }
        if self.unplayed.is_empty() && self.relay_to_caller.is_none() {
            let _ = update_sender.try_send((ConsultationEvent::Briefed, None));
        }
    }

    fn leg_event(&mut self, event: LegEvent, update_sender: &ConsultationUpdates) -> Option<EndReason> {
        match event {
            LegEvent::Audio { frame, .. } => {
                if let Some(caller) = &self.relay_to_caller {
                    caller.send(frame);
                }
            }
            LegEvent::DtmfReceived { digit } => self.relay_digit(digit),
            LegEvent::SegmentFinished { heard, .. } => self.handle_segment_played(heard.segment, update_sender),
            LegEvent::NetworkLost | LegEvent::InternalError => return Some(EndReason::NetworkLost),
            _ => {}
        }
        None
    }

    /// A key of the transfer target, which the caller gets once both are bridged.
    fn relay_digit(&self, digit: char) {
        if let Some(caller) = &self.relay_to_caller {
            caller.send_digit(digit);
        }
    }

    async fn sip_event(&mut self, event: Option<SipEvent>) -> Option<EndReason> {
        let Some(event) = event else { return Some(EndReason::CustomerHungUp) };
        let (sip, leg) = (&self.context.sip, &self.leg.handle);
        match handle_dialog_media(sip, self.sip_call, &mut self.negotiation, leg, event).await? {
            // Redirects are decided by the caller's side.
            SipEvent::ReplacesReceived { by, .. } => sip.reject(by.call, 603, None).await,
            SipEvent::ReferReceived { call, .. } => sip.answer_refer(call, false).await,
            SipEvent::DigitReceived { digit, .. } => {
                let _ = self.leg.handle.note_signalled_digit();
                self.relay_digit(digit);
            }
            SipEvent::Ended { .. } => return Some(EndReason::CustomerHungUp),
            _ => {}
        }
        None
    }
}
