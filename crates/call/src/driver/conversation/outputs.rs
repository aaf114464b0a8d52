//! What the machine of an answered call wants done.

use super::super::call_leg::CallLeg;
use super::super::consultation::{ConsultationHandle, ConsultationParams, trunk_for_transfer};
use super::super::listener::Listener;
use super::super::trunk_calls::custom_headers;
use super::super::{ambience, provider_candidates};
use super::ConversationLoop;
use crate::dialog_rules::{consultation_from, refer_needs_trunk, refer_uri};
use crate::domain::chat::{ChatMessage, ToolChoice, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::domain::transfer::TransferTarget;
use crate::live_update::LiveUpdate;
use crate::machine::{CallOutput, ConsultationEvent, ReferProgress};
use crate::providers::stt::SttInput;
use crate::providers::{EventStream, LlmEvent, LlmRequest, llm};
use crate::supervision;
use std::time::Instant;
use trunkline_media::io::worker::{LegHandle, OverloadedError};
use trunkline_media::playout::ambience::{AmbienceKind, AmbienceMixer};
use trunkline_media::playout::queue::SegmentId;

impl ConversationLoop {
    /// Executes the outputs of the machine.
    pub(super) async fn execute_outputs(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                CallOutput::RequestLlm { response_id, messages, tools, tool_choice } => {
                    self.llm = Some((response_id, self.request_llm(messages, tools, tool_choice)));
                }
                CallOutput::CancelLlm => {
                    self.llm = None;
                    self.tts.discard_prepared();
                }
                CallOutput::PrepareSpeech { text } => self.prepare_speech(&text),
                CallOutput::Speak { segment, text } => self.speak(segment, text),
                CallOutput::CancelSpeech { response_id } => {
                    self.tts.cancel_response(response_id);
                    self.flush(response_id, false);
                }
                CallOutput::Interrupt { response_id } => self.flush(response_id, true),
                CallOutput::Resume => self.send_to_leg(LegHandle::resume),
                CallOutput::MakeUninterruptible { response_id } => {
                    self.send_to_leg(|leg| leg.set_uninterruptible(response_id))
                }
                CallOutput::Turn { position, turn } => {
                    self.call.slot.live.send(LiveUpdate::Turn { position, turn: turn.clone() });
                    self.call.context.journal.record_turn(self.call.record.call.id, position, turn).await;
                }
                CallOutput::SendDtmf(digits) => {
                    let _ = self.call.media.leg.send_dtmf(digits);
                }
                CallOutput::RelayDigit(digit) => self.relay_digit(digit),
                CallOutput::CallTool { call, is_async, collected } => self.call_tool(call, is_async, collected),
                CallOutput::Refer { target } => self.refer(target),
                CallOutput::StartConsultation { target } => self.start_consultation(target),
                CallOutput::Hold { music } => self.hold(music),
                CallOutput::EndHold => self.end_hold(),
                CallOutput::BriefConsultation { text } => {
                    if let Some(consultation) = &self.consultation {
                        consultation.spec(text);
                    }
                }
                CallOutput::BridgeCalls => self.bridge_calls(),
                CallOutput::EndConsultation => {
                    self.consultation = None;
                    self.end_hold();
                }
                CallOutput::PrepareAgent { agent } => self.prepare_agent(agent),
                CallOutput::CancelPreparation => self.cancel_preparation(),
                CallOutput::ChangeAgent => self.change_agent().await,
                CallOutput::ChangeLanguage => self.change_language(),
                CallOutput::FinalizeStt => self.listener.tell_stt(Instant::now(), SttInput::Finalize),
                CallOutput::RestartStt => self.listener.tell_stt(Instant::now(), SttInput::Restart),
                CallOutput::Realtime(input) => {
                    if let Listener::Realtime(side) = &self.listener {
                        side.send_input(input);
                    }
                }
                CallOutput::LeaveRealtime => self.leave_realtime(),
                CallOutput::HangUp { reason } => self.hang_up = Some(reason),
            }
        }
    }

    /// A sentence for the voice, which gets less time where the caller has waited for long.
    fn speak(&mut self, segment: SegmentId, text: String) {
        if self.is_chat() {
            return self.show(segment);
        }
        self.tts.speak(segment, text, self.machine.caller_waits_since());
    }

    fn prepare_speech(&mut self, text: &str) {
        if !self.is_chat() {
            self.tts.prepare(text);
        }
    }

    /// The leg reports how much of the response was heard.
    fn flush(&mut self, response_id: u32, barge_in: bool) {
        match self.is_chat() {
            true => self.stop_showing(response_id, barge_in),
            false => self.send_to_leg(|leg| leg.flush(response_id, barge_in)),
        }
    }

    /// What the caller hears while another party is asked.
    fn hold(&mut self, music: bool) {
        let scene = if music { AmbienceKind::HoldMusic } else { AmbienceKind::Room };
        self.send_to_leg(|leg| leg.set_ambience(Some(AmbienceMixer::new(scene, 0.0))));
    }

    /// A key of the caller's for the transfer target.
    fn relay_digit(&self, digit: char) {
        if let Some(relay) = self.consultation.as_ref().and_then(|consultation| consultation.relay.as_ref()) {
            relay.send_digit(digit);
        }
    }

    /// The caller hears the agent's own background again.
    fn end_hold(&mut self) {
        let ambience = ambience(&self.call.spec.agent);
        self.send_to_leg(|leg| leg.set_ambience(ambience));
    }

    /// STT, LLM and TTS take over, if the agent has a fallback LLM.
    fn leave_realtime(&mut self) {
        let Listener::Realtime(side) = &mut self.listener else { return };
        let _ = side.end(None, &mut self.machine, &self.call.media.leg);
        let has_fallback = side.capabilities.fallback.is_some();
        self.listener = match has_fallback {
            true => Listener::Stt(self.call.context.start_stt(&self.call.spec, self.call.media.audio_format)),
            false => Listener::Nobody,
        };
    }

    /// A leg that cannot take commands is lost.
    pub(super) fn send_to_leg(&mut self, tell: impl FnOnce(&LegHandle) -> Result<(), OverloadedError>) {
        if tell(&self.call.media.leg).is_err() {
            self.machine.handle_command(Instant::now(), EndReason::Overload);
        }
    }

    /// Sends REFER for the target; a bare number becomes a URI at the trunk.
    fn refer(&mut self, target: TransferTarget) {
        let CallLeg::Sip(line) = &self.call.leg else {
            // A browser has no trunk to send REFER to: we dial the target ourselves.
            let refused = ReferProgress::Refused { status: 501 };
            return self.machine.handle_refer_progress(Instant::now(), refused);
        };
        let (context, call) = (self.call.context.clone(), line.call);
        let (scope, trunk) = (self.call.record.scope, self.call.record.call.trunk);
        let headers = custom_headers(&target.headers(self.call.record.user_to_user()));
        supervision::spawn("refer", async move {
            let trunk = match refer_needs_trunk(&target) {
                true => trunk_for_transfer(&context, scope, trunk).await.map(|trunk| trunk.fields),
                false => None,
            };
            context.sip.send_refer(call, refer_uri(&target, trunk.as_ref()), headers).await;
        });
    }

    fn start_consultation(&mut self, target: TransferTarget) {
        if self.is_chat() {
            // Nobody can be called for somebody who writes: the agent goes on.
            let failed = ConsultationEvent::Failed(EndReason::Rejected);
            return self.machine.handle_consultation(Instant::now(), failed);
        }
        let call = &self.call.record.call;
        let party = ConsultationParams {
            scope: self.call.record.scope,
            call: call.id,
            trunk: call.trunk,
            from_number: consultation_from(call).to_owned(),
            headers: target.headers(self.call.record.user_to_user()),
            target,
            spec: self.call.spec.clone(),
        };
        self.consultation = Some(ConsultationHandle::start(self.call.context.clone(), party));
    }

    /// Takes the agent out of the call: STT, LLM and TTS stop.
    fn bridge_calls(&mut self) {
        let caller = self.call.media.leg.relay_sender();
        if let Some(consultation) = &self.consultation {
            consultation.connect(caller);
        }
        self.listener = Listener::Bridged;
        self.llm = None;
        self.send_to_leg(|leg| leg.set_ambience(None));
        self.send_to_leg(LegHandle::start_bridge);
    }

    fn request_llm(
        &self, messages: Vec<ChatMessage>, tools: Vec<ToolOffer>, tool_choice: ToolChoice,
    ) -> EventStream<LlmEvent> {
        let providers = &self.call.context.providers;
        let index = self.call.context.store.passages();
        let plan = provider_candidates::call_llm_plan(providers, index, &self.call.spec, &self.flow_memory);
        let cache_key = self.call.record.call.agent.map(|agent| agent.to_string());
        let request = LlmRequest { messages, tools, tool_choice, cache_key, ..LlmRequest::default() };
        llm::stream_llm_response(providers, plan, request)
    }
}
