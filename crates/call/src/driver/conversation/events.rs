//! The events of an answered call: waits for the next one, and carries out what it means.

use super::super::call_leg::SignalingEvent;
use super::super::listener::{Carried, Heard, Listener};
use super::super::schema_validation::validate_arguments;
use super::super::tool_runner::ToolServerResult;
use super::super::tts::TtsPipelineEvent;
use super::super::web_commands;
use super::ConversationLoop;
use super::next_agent::PreparationResult;
use crate::call_events::{self, LegAction, SessionEvent, TtsAction, on_leg_event, on_tts_event};
use crate::domain::chat::ToolCall;
use crate::domain::end_reason::EndReason;
use crate::live_update::LiveUpdate;
use crate::machine::ConsultationEvent;
use crate::providers::realtime::RealtimeEvent as EngineEvent;
use crate::providers::{LlmEvent, SttEvent};
use crate::registry::CallCommand;
use crate::tool_answer::ToolOutcome;
use std::sync::Arc;
use std::time::Instant;
use trunkline_media::audio::AudioFrame;
use trunkline_media::io::worker::RelaySender;
use trunkline_media::leg::LegEvent;

/// One event of the loop.
pub(super) enum CallEvent {
    Leg(Option<LegEvent>),
    Stt(Option<SttEvent>),
    Realtime(Option<EngineEvent>),
    Llm(Option<LlmEvent>),
    Tts(TtsPipelineEvent),
    Signaling(SignalingEvent),
    Command(Option<CallCommand>),
    /// A tool result; its tool call was made before.
    Tool(Option<(String, ToolOutcome)>),
    /// None if the connection task panicked.
    ToolServer(Option<ToolServerResult>),
    Consultation(Option<(ConsultationEvent, Option<RelaySender>)>),
    /// The next agent is ready, or cannot take over.
    AgentPrepared(Option<PreparationResult>),
    Timeout,
}

impl CallEvent {
    /// Tools that a model wants called.
    fn tool_calls(&mut self) -> Option<&mut [ToolCall]> {
        match self {
            Self::Llm(Some(LlmEvent::ToolCalls(calls))) | Self::Realtime(Some(EngineEvent::ToolCalls(calls))) => {
                Some(calls)
            }
            _ => None,
        }
    }
}

impl ConversationLoop {
    pub(super) async fn next(&mut self) -> CallEvent {
        let deadline = self.machine.poll_timeout().into_iter().chain(self.idle_at).min();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let model = async {
            match &mut self.llm {
                Some((_, stream)) => stream.events.recv().await,
                None => std::future::pending().await,
            }
        };
        let consultation = async {
            match &mut self.consultation {
                Some(consultation) => consultation.updates.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = self.call.leg.next() => CallEvent::Signaling(news),
            command = self.call.slot.commands.recv() => CallEvent::Command(command),
            event = self.call.media.events.recv(), if self.leg_alive => CallEvent::Leg(event),
            heard = self.listener.next() => match heard {
                Heard::Stt(event) => CallEvent::Stt(event),
                Heard::Realtime(event) => CallEvent::Realtime(event),
            },
            event = model => CallEvent::Llm(event),
            event = self.tts.next() => CallEvent::Tts(event),
            news = consultation => CallEvent::Consultation(news),
            Some(server) = self.connecting_servers.join_next() => CallEvent::ToolServer(server.ok().and_then(Result::ok)),
            Some(prepared) = self.next_agent.preparing.join_next() => CallEvent::AgentPrepared(prepared.ok()),
            Some(result) = self.tools.join_next() => CallEvent::Tool(result.ok()),
            () = timer => CallEvent::Timeout,
        }
    }

    pub(super) async fn handle(&mut self, mut happened: CallEvent) {
        if let Some(calls) = happened.tool_calls() {
            let (workers, scope) = (&self.call.context.schemas, self.call.record.scope);
            validate_arguments(&mut self.schemas, workers, scope, &self.machine, calls).await;
        }
        let now = Instant::now();
        match happened {
            CallEvent::Leg(Some(LegEvent::BothSides { frame })) => self.carry_both_sides(frame),
            CallEvent::Leg(event) => self.handle_leg_event(now, event),
            CallEvent::Stt(event) => self.handle_stt_event(now, event),
            CallEvent::Realtime(event) => self.handle_realtime_event(now, call_events::realtime_event(event)),
            CallEvent::Llm(event) => {
                let Some((response_id, _)) = &self.llm else { return };
                let response_id = *response_id;
                let event = match call_events::llm_event(event) {
                    SessionEvent::More(event) => event,
                    SessionEvent::Last(event) => {
                        self.llm = None;
                        event
                    }
                };
                self.machine.handle_llm_event(now, response_id, event);
            }
            CallEvent::Tts(event) => self.handle_tts_event(now, event),
            CallEvent::Signaling(event) => self.call.handle_signaling_event(now, &mut self.machine, event).await,
            CallEvent::Command(Some(CallCommand::End(reason))) => self.machine.handle_command(now, reason),
            CallEvent::Command(Some(CallCommand::Control(request))) => self.handle_control(now, *request).await,
            CallEvent::Command(Some(CallCommand::Listen(request))) => self.handle_listen(*request),
            CallEvent::Command(Some(command)) => web_commands::handle_command(&self.call.media, command),
            CallEvent::Command(None) => self.machine.handle_command(now, EndReason::ServerShutdown),
            CallEvent::Tool(Some((id, outcome))) => self.handle_tool_outcome(now, &id, outcome),
            CallEvent::Tool(None) => tracing::error!("a tool's task panicked"),
            CallEvent::ToolServer(Some(Ok((server, left_out)))) => {
                self.machine.add_tools(server.tools.clone(), left_out);
                self.servers.push(Arc::new(server));
            }
            CallEvent::ToolServer(None) => self.machine.note_tool_server_failure(),
            CallEvent::ToolServer(Some(Err(failure))) => {
                tracing::warn!(error = %failure, "cannot connect to tool server");
                self.machine.note_tool_server_failure();
            }
            CallEvent::Consultation(update) => self.handle_consultation_event(now, update),
            CallEvent::AgentPrepared(result) => self.handle_agent_prepared(now, result),
            CallEvent::Timeout => {
                self.machine.handle_timeout(now);
                self.handle_idle(now);
            }
        }
    }

    fn handle_consultation_event(&mut self, now: Instant, update: Option<(ConsultationEvent, Option<RelaySender>)>) {
        let (event, relay) = update.unzip();
        match call_events::consultation_event(event) {
            SessionEvent::More(event) => {
                if let (Some(consultation), Some(relay)) = (&mut self.consultation, relay.flatten()) {
                    consultation.relay = Some(relay);
                }
                self.machine.handle_consultation(now, event);
            }
            SessionEvent::Last(event) => {
                self.consultation = None;
                self.machine.handle_consultation(now, event);
            }
        }
    }

    /// `None`: the session's task has ended.
    fn handle_stt_event(&mut self, now: Instant, event: Option<SttEvent>) {
        let event = match call_events::stt_event(event) {
            SessionEvent::More(event) => event,
            SessionEvent::Last(event) => {
                self.listener = Listener::Nobody;
                event
            }
        };
        self.show_interim(call_events::interim_of_stt(&event));
        self.machine.handle_stt(now, event);
    }

    /// Shows interim words to those who follow the call.
    fn show_interim(&self, text: Option<&str>) {
        if let Some(text) = text.and_then(|text| self.machine.shown_interim(text)) {
            self.call.slot.live.send(LiveUpdate::Interim { text });
        }
    }

    /// `None`: the leg is gone.
    fn handle_leg_event(&mut self, now: Instant, event: Option<LegEvent>) {
        self.leg_alive = event.is_some();
        match on_leg_event(&mut self.machine, now, event) {
            LegAction::CarryAudio(frame) => self.carry_audio(now, &frame),
            LegAction::TellStt(input) => {
                if self.machine.hears_caller() {
                    self.listener.tell_stt(now, input);
                }
            }
            LegAction::SegmentPlayed(segment) => self.tts.handle_segment_played(segment),
            LegAction::SpeechCancelled(response_id) => self.tts.cancel_response(response_id),
            LegAction::Closed(stats) => self.stats = Some(stats),
            LegAction::Nothing => {}
        }
    }

    /// If STT does not keep up, audio is lost here rather than delaying the call.
    fn carry_audio(&mut self, now: Instant, frame: &AudioFrame) {
        if !self.machine.hears_caller() {
            return;
        }
        let relay = self.consultation.as_ref().and_then(|consultation| consultation.relay.as_ref());
        if self.listener.hear(now, frame, relay) == Carried::Lost {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "stt_audio").increment(1);
        }
    }

    fn handle_realtime_event(&mut self, now: Instant, event: EngineEvent) {
        self.show_interim(call_events::interim_of_realtime(&event));
        let Listener::Realtime(side) = &mut self.listener else { return };
        let played = side.event(now, event, &mut self.machine, &self.call.media.leg);
        if let Some(id) = side.conversation.take() {
            let metadata = self.call.record.call.metadata.get_or_insert_with(|| serde_json::json!({}));
            metadata["elevenlabs_conversation_id"] = serde_json::json!(id);
        }
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }

    fn handle_tts_event(&mut self, now: Instant, event: TtsPipelineEvent) {
        let played = match on_tts_event(&mut self.machine, now, event) {
            TtsAction::Play { segment, samples, is_last } => self.call.media.leg.play(segment, samples, is_last),
            TtsAction::Failed(failure) => {
                tracing::warn!(error = %failure, "TTS failed");
                Ok(())
            }
            TtsAction::Nothing => Ok(()),
        };
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }
}
