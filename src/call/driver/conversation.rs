//! The event loop of an answered call: handles one event at a time.

mod tool_calls;

use super::call_leg::{CallLeg, SignalingEvent};
use super::call_metrics::{media_json, record_turn_histograms, trace};
use super::consultation::{ConsultationHandle, ConsultationParams, trunk_for_transfer};
use super::schema_validation::{self, ToolSchemas};
use super::stt_feed::SttFeed;
use super::tts::{TtsPipeline, TtsPipelineEvent};
use super::{CallMedia, CallRecord, SharedServices, SpeechBackend, ambience, provider_plan, realtime, web_commands};
use crate::call::amd::AmdDetector;
use crate::call::live_update::LiveUpdate;
use crate::call::machine::{CallMachine, CallOutput, CallSpec, ConsultationEvent, ReferProgress};
use crate::call::registry::{CallCommand, CallSlot};
use crate::domain::call::Direction;
use crate::domain::chat::{ChatMessage, ToolCall, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::domain::phone_number::Destination;
use crate::domain::transfer::TransferTarget;
use crate::providers::realtime::RealtimeEvent as EngineEvent;
use crate::providers::stt::SttInput;
use crate::providers::{EventStream, LlmEvent, LlmRequest, ProviderError, SttEvent, llm};
use crate::supervision::{self, PanicError, contain};
use crate::webhooks::mcp::McpServer;
use crate::webhooks::sender;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use trunkline_media::audio::AudioFrame;
use trunkline_media::io::worker::{LegHandle, OverloadedError, RelaySender};
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::ambience::{AmbienceKind, AmbienceMixer};
use trunkline_media::stats::LegStats;
use trunkline_media::turn::barge_in;

/// How long to wait for the statistics of a removed leg.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Everything an answered call holds.
pub(super) struct Conversation {
    pub context: SharedServices,
    pub spec: CallSpec,
    pub record: CallRecord,
    pub slot: CallSlot,
    pub leg: CallLeg,
    pub media: CallMedia,
}

/// A connected tool server and how many of its tools are unusable, or why it was not reached.
type ToolServerResult = Result<(McpServer, usize), sender::WebhookError>;

/// One event of the loop.
enum CallEvent {
    Leg(Option<LegEvent>),
    Stt(Option<SttEvent>),
    Realtime(Option<EngineEvent>),
    Llm(Option<LlmEvent>),
    Tts(TtsPipelineEvent),
    Signaling(SignalingEvent),
    Command(Option<CallCommand>),
    /// A tool result; its tool call was made before.
    Tool(Option<(String, String)>),
    /// None if the connection task panicked.
    ToolServer(Option<ToolServerResult>),
    Consultation(Option<(ConsultationEvent, Option<RelaySender>)>),
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

struct ConversationLoop {
    call: Conversation,
    machine: CallMachine,
    tts: TtsPipeline,
    llm: Option<(u32, EventStream<LlmEvent>)>,
    /// STT or realtime session while it works. Taken out when it ends, because a closed channel would be ready forever.
    stt: Option<SttFeed>,
    realtime: Option<realtime::RealtimeBridge>,
    leg_alive: bool,
    tools: JoinSet<(String, String)>,
    /// Servers of the agent that offer tools: being reached, and there.
    connecting_servers: JoinSet<Result<ToolServerResult, PanicError>>,
    servers: Vec<Arc<McpServer>>,
    schemas: ToolSchemas,
    /// The consultation call of a transfer.
    consultation: Option<ConsultationHandle>,
    /// The caller is bridged to the transfer target.
    is_bridged: bool,
    hang_up: Option<EndReason>,
    stats: Option<LegStats>,
}

/// Runs the conversation to its end and records the final state.
pub(super) async fn run_conversation(
    mut conversation: Conversation, speech: SpeechBackend, early: Option<AmdDetector>,
) {
    conversation.record.record_answered().await;
    let (stt, realtime) = match speech {
        SpeechBackend::Stt(stt) => (Some(stt), None),
        SpeechBackend::Realtime(side) => (None, Some(side)),
    };
    let (now, spec) = (Instant::now(), conversation.spec.clone());
    let mut machine = match &realtime {
        Some(side) => CallMachine::with_realtime(now, spec, side.capabilities.clone()),
        None => CallMachine::new(now, spec),
    };
    if let Some(early) = early {
        machine.handle_early_media(now, early);
    }
    let tts = TtsPipeline::new(conversation.context.providers.clone(), conversation.spec.clone(), realtime.is_none());
    let mut running = ConversationLoop {
        call: conversation,
        machine,
        tts,
        llm: None,
        stt,
        realtime,
        leg_alive: true,
        tools: JoinSet::new(),
        connecting_servers: JoinSet::new(),
        servers: Vec::new(),
        schemas: ToolSchemas::default(),
        consultation: None,
        is_bridged: false,
        hang_up: None,
        stats: None,
    };
    running.connect_tool_servers();
    let (workers, scope) = (&running.call.context.schemas, running.call.record.scope);
    running.schemas.check_dtmf_tools(workers, scope, &mut running.machine, &running.call.spec.agent).await;
    let reason = running.run().await;
    running.close(reason).await;
}

impl ConversationLoop {
    async fn run(&mut self) -> EndReason {
        loop {
            self.execute_outputs().await;
            if let Some(reason) = self.hang_up {
                return reason;
            }
            self.call.record.record_legs(self.lines()).await;
            let happened = self.next().await;
            self.handle(happened).await;
        }
    }

    /// Lines the call holds, for its row.
    fn lines(&self) -> u32 {
        let inbound_refer = matches!(&self.call.leg, CallLeg::Sip(line) if line.inbound_refer.is_some());
        1 + u32::from(self.consultation.is_some()) + u32::from(inbound_refer)
    }

    async fn next(&mut self) -> CallEvent {
        let deadline = self.machine.poll_timeout();
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
        let stt = async {
            match &mut self.stt {
                Some(stt) => stt.next().await,
                None => std::future::pending().await,
            }
        };
        let realtime = async {
            match &mut self.realtime {
                Some(side) => side.next().await,
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
            event = stt => CallEvent::Stt(event),
            event = realtime => CallEvent::Realtime(event),
            event = model => CallEvent::Llm(event),
            event = self.tts.next() => CallEvent::Tts(event),
            news = consultation => CallEvent::Consultation(news),
            Some(server) = self.connecting_servers.join_next() => CallEvent::ToolServer(server.ok().and_then(Result::ok)),
            Some(result) = self.tools.join_next() => CallEvent::Tool(result.ok()),
            () = timer => CallEvent::Timeout,
        }
    }

    async fn handle(&mut self, mut happened: CallEvent) {
        if let Some(calls) = happened.tool_calls() {
            self.schemas
                .validate_arguments(&self.call.context.schemas, self.call.record.scope, &self.machine, calls)
                .await;
        }
        let now = Instant::now();
        match happened {
            CallEvent::Leg(Some(event)) => self.leg_event(now, event),
            CallEvent::Leg(None) => {
                self.leg_alive = false;
                self.machine.handle_network_lost(now);
            }
            CallEvent::Stt(event) => self.handle_stt_event(now, event),
            CallEvent::Realtime(event) => {
                let ended = || EngineEvent::Failed(ProviderError::Disconnected("realtime session ended".to_owned()));
                self.handle_realtime_event(now, event.unwrap_or_else(ended));
            }
            CallEvent::Llm(event) => {
                let Some((response_id, _)) = &self.llm else { return };
                let response_id = *response_id;
                let event = event
                    .unwrap_or_else(|| LlmEvent::Failed(ProviderError::Disconnected("LLM stream ended".to_owned())));
                if matches!(event, LlmEvent::Done(_) | LlmEvent::Failed(_)) {
                    self.llm = None;
                }
                self.machine.handle_llm_event(now, response_id, event);
            }
            CallEvent::Tts(event) => self.handle_tts_event(now, event),
            CallEvent::Signaling(event) => self.call.handle_signaling_event(now, &mut self.machine, event).await,
            CallEvent::Command(Some(CallCommand::End(reason))) => self.machine.handle_command(now, reason),
            CallEvent::Command(Some(command)) => web_commands::handle_command(&self.call.media, command),
            CallEvent::Command(None) => self.machine.handle_command(now, EndReason::ServerShutdown),
            CallEvent::Tool(Some((id, result))) => self.machine.handle_tool_result(now, &id, &result),
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
            CallEvent::Consultation(Some((event, relay))) => {
                if let (Some(consultation), Some(relay)) = (&mut self.consultation, relay) {
                    consultation.relay = Some(relay);
                }
                self.machine.handle_consultation(now, event);
            }
            CallEvent::Consultation(None) => {
                self.consultation = None;
                self.machine.handle_consultation(now, ConsultationEvent::Failed(EndReason::TrunkError));
            }
            CallEvent::Timeout => self.machine.handle_timeout(now),
        }
    }

    /// `None`: the session's task has ended.
    fn handle_stt_event(&mut self, now: Instant, event: Option<SttEvent>) {
        let ended = || SttEvent::Failed(ProviderError::Disconnected("STT session ended".to_owned()));
        let event = event.unwrap_or_else(ended);
        if matches!(event, SttEvent::Failed(_)) {
            self.stt = None;
        }
        if let SttEvent::Interim(text) = &event
            && !text.is_empty()
        {
            self.call.slot.live.send(LiveUpdate::Interim { text: text.clone() });
        }
        self.machine.handle_stt(now, event);
    }

    fn leg_event(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Audio { frame, .. } => self.handle_audio(&frame),
            LegEvent::SpeechStarted { at } => {
                self.send_to_stt(SttInput::SpeechStarted);
                self.machine.handle_speech_started(at);
            }
            LegEvent::SpeechEnded { last_sound } => {
                self.send_to_stt(SttInput::SpeechEnded);
                self.machine.handle_speech_ended(now, last_sound);
            }
            LegEvent::SegmentStarted { segment, at } => self.machine.handle_segment_started(segment, at),
            LegEvent::SegmentFinished { heard, at } => {
                self.tts.handle_segment_played(heard.segment);
                self.machine.handle_segment_finished(heard, at);
            }
            LegEvent::PlayoutFlushed { barge_in, response_id, heard, at } => {
                self.tts.cancel_response(response_id);
                self.machine.handle_flushed(at, barge_in, response_id, &heard);
            }
            LegEvent::PlayoutPaused { response_id, at } => self.machine.handle_paused(at, response_id),
            LegEvent::EchoPathFound { .. } => self.machine.handle_echo(),
            LegEvent::DtmfReceived { digit } => self.machine.handle_digit(now, digit),
            // Without media the call is over, whatever the cause.
            LegEvent::NetworkLost | LegEvent::InternalError => self.machine.handle_network_lost(now),
            LegEvent::PeerClosed => self.machine.handle_peer_hung_up(now, EndReason::CustomerHungUp),
            LegEvent::Closed { stats } => self.stats = Some(stats),
            LegEvent::Tone { tone, at } => self.machine.handle_tone(at, &tone),
            LegEvent::DtmfSent
            | LegEvent::TalkSpurtStarted { .. }
            | LegEvent::Connected { .. }
            | LegEvent::MediaStarted { .. }
            | LegEvent::RecordingBlock { .. } => {}
        }
    }

    /// The caller's audio goes to the transfer target, the realtime model or STT.
    fn handle_audio(&mut self, frame: &AudioFrame) {
        if self.is_bridged {
            if let Some(relay) = self.consultation.as_ref().and_then(|consultation| consultation.relay.as_ref()) {
                relay.send(*frame);
            }
        } else if let Some(side) = &mut self.realtime {
            side.send_audio(frame);
        } else if self.stt.as_mut().is_some_and(|stt| !stt.send_audio(frame)) {
            // If STT does not keep up, audio is lost here rather than delaying the call.
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "stt_audio").increment(1);
        }
    }

    /// False when the input was lost: STT does not keep up, or there is none.
    fn send_to_stt(&self, input: SttInput) -> bool {
        self.stt.as_ref().is_none_or(|stt| stt.send(input))
    }

    fn handle_realtime_event(&mut self, now: Instant, event: EngineEvent) {
        let Some(side) = &mut self.realtime else { return };
        if let EngineEvent::UserInterim(text) = &event
            && !text.is_empty()
        {
            self.call.slot.live.send(LiveUpdate::Interim { text: text.clone() });
        }
        let played = side.event(now, event, &mut self.machine, &self.call.media.leg);
        if let Some(id) = side.conversation.take() {
            let metadata = self.call.record.call.metadata.get_or_insert_with(|| serde_json::json!({}));
            metadata["elevenlabs_conversation_id"] = serde_json::json!(id);
        }
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }

    /// STT, LLM and TTS take over, if the agent has a fallback LLM.
    fn leave_realtime(&mut self) {
        let Some(mut side) = self.realtime.take() else { return };
        let _ = side.end(None, &mut self.machine, &self.call.media.leg);
        if side.capabilities.fallback.is_some() {
            self.stt = Some(self.call.context.start_stt(&self.call.spec, self.call.media.audio_format));
        }
    }

    fn handle_tts_event(&mut self, now: Instant, event: TtsPipelineEvent) {
        let played = match event {
            TtsPipelineEvent::Audio { segment, samples } => {
                self.machine.handle_tts_audio(now, segment);
                self.call.media.leg.play(segment, samples, false)
            }
            TtsPipelineEvent::WordTimestamps { segment, marks } => {
                self.machine.handle_tts_word_timestamps(segment, &marks);
                Ok(())
            }
            TtsPipelineEvent::Done { segment, samples, total } => {
                self.machine.handle_tts_done(segment, total);
                self.call.media.leg.play(segment, samples, true)
            }
            TtsPipelineEvent::Requested { tts, characters } => {
                self.machine.record_tts_request(&tts, characters);
                Ok(())
            }
            TtsPipelineEvent::FailedOver { switch, failure } => {
                tracing::warn!(error = %failure, "TTS failed");
                self.machine.record_tts_failure(&failure);
                self.machine.record_failover(now, &switch);
                Ok(())
            }
            TtsPipelineEvent::Failed { segment, failure } => {
                tracing::warn!(error = %failure, "TTS failed");
                self.machine.handle_tts_failed(now, segment, &failure);
                Ok(())
            }
        };
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }

    /// Executes the outputs of the machine.
    async fn execute_outputs(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                CallOutput::RequestLlm { response_id, messages, tools } => {
                    self.llm = Some((response_id, self.request_llm(messages, tools)));
                }
                CallOutput::CancelLlm => self.llm = None,
                CallOutput::Speak { segment, text } => self.tts.speak(segment, text),
                CallOutput::CancelSpeech { response_id } => {
                    self.tts.cancel_response(response_id);
                    self.send_to_leg(|leg| leg.flush(response_id, false));
                }
                CallOutput::Interrupt { response_id } => self.send_to_leg(|leg| leg.flush(response_id, true)),
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
                CallOutput::CallTool { call, is_async } => self.call_tool(call, is_async),
                CallOutput::Refer { target } => self.refer(target),
                CallOutput::StartConsultation { target } => self.start_consultation(target),
                CallOutput::Hold { music } => {
                    let scene = if music { AmbienceKind::HoldMusic } else { AmbienceKind::Room };
                    self.send_to_leg(|leg| leg.set_ambience(Some(AmbienceMixer::new(scene, 0.0))));
                }
                CallOutput::BriefConsultation { text } => {
                    if let Some(consultation) = &self.consultation {
                        consultation.spec(text);
                    }
                }
                CallOutput::BridgeCalls => self.bridge_calls(),
                CallOutput::EndConsultation => {
                    self.consultation = None;
                    let ambience = ambience(&self.call.spec.agent);
                    self.send_to_leg(|leg| leg.set_ambience(ambience));
                }
                CallOutput::FinalizeStt => drop(self.send_to_stt(SttInput::Finalize)),
                CallOutput::RestartStt => drop(self.send_to_stt(SttInput::Restart)),
                CallOutput::Realtime(input) => {
                    if let Some(side) = &self.realtime {
                        side.send_input(input);
                    }
                }
                CallOutput::LeaveRealtime => self.leave_realtime(),
                CallOutput::HangUp { reason } => self.hang_up = Some(reason),
            }
        }
    }

    /// Connects to the agent's tool servers in the background.
    fn connect_tool_servers(&mut self) {
        let tools = self.call.spec.agent.llm_config.iter().flat_map(|config| &config.tools);
        for tool in tools.filter(|tool| tool.server().is_some()) {
            let tool = tool.clone();
            let (context, scope) = (self.call.context.clone(), self.call.record.scope);
            self.connecting_servers.spawn(contain("tool_server", async move {
                let mut server = context.webhooks.tool_server(&tool).await?;
                let (tools, left_out) =
                    schema_validation::usable_tools(&context.schemas, scope, std::mem::take(&mut server.tools)).await;
                server.tools = tools;
                Ok((server, left_out))
            }));
        }
    }

    /// A leg that cannot take commands is lost.
    fn send_to_leg(&mut self, tell: impl FnOnce(&LegHandle) -> Result<(), OverloadedError>) {
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
        supervision::spawn("refer", async move {
            let uri = match (target.uri(), target.destination()) {
                (None, Some(Destination::Number(number))) => {
                    let trunk = trunk_for_transfer(&context, scope, trunk).await.map(|trunk| trunk.fields);
                    let host = trunk.as_ref().and_then(|trunk| Some((trunk, trunk.host.as_deref()?)));
                    host.map_or(format!("tel:{number}"), |(trunk, host)| {
                        let port = trunk.port.map_or(String::new(), |port| format!(":{port}"));
                        format!("sip:{}@{host}{port}", trunk.dial(&number))
                    })
                }
                (uri, _) => uri.unwrap_or(target.as_str()).to_owned(),
            };
            context.sip.send_refer(call, uri).await;
        });
    }

    fn start_consultation(&mut self, target: TransferTarget) {
        let call = &self.call.record.call;
        let from_number = match call.direction {
            Direction::Inbound => call.to_number.clone(),
            Direction::Outbound => call.from_number.clone(),
            // Caller id: the user part of the trunk, or none.
            Direction::Web => String::new(),
        };
        let party = ConsultationParams {
            scope: self.call.record.scope,
            trunk: call.trunk,
            from_number,
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
        self.is_bridged = true;
        (self.stt, self.realtime, self.llm) = (None, None, None);
        self.send_to_leg(|leg| leg.set_ambience(None));
        let quiet = barge_in::BargeInConfig { enabled: false, ..barge_in::BargeInConfig::default() };
        self.send_to_leg(|leg| leg.set_barge_in(quiet));
    }

    fn request_llm(&self, messages: Vec<ChatMessage>, tools: Vec<ToolOffer>) -> EventStream<LlmEvent> {
        let providers = &self.call.context.providers;
        let plan = provider_plan::llm_plan(providers, &self.call.spec.agent);
        let cache_key = self.call.record.call.agent.map(|agent| agent.to_string());
        llm::stream_llm_response(providers, plan, LlmRequest { messages, tools, cache_key, ..LlmRequest::default() })
    }

    /// Releases everything and records the final state of the call.
    async fn close(mut self, reason: EndReason) {
        self.llm = None;
        if let CallLeg::Sip(line) = &self.call.leg {
            self.call.context.sip.hang_up(line.call).await;
        }
        self.consultation = None;
        self.call.record.call.legs = 1;
        self.call.slot.release();
        let (journal, scope, id) =
            (self.call.context.journal.clone(), self.call.record.scope, self.call.record.call.id);
        let recorded = self.call.media.recording.clone().map(|path| {
            let done: trunkline_media::io::recorder::RecordingDone = Box::new(move |result| match result {
                Ok(samples) if samples > 0 => journal.record_recording(scope, id, path),
                Ok(_) => {}
                Err(error) => tracing::error!(call = %id, %error, "recording failed"),
            });
            done
        });
        self.call.media.leg.remove(recorded);
        let deadline = tokio::time::Instant::now() + CLOSE_DEADLINE;
        while self.stats.is_none() {
            match tokio::time::timeout_at(deadline, self.call.media.events.recv()).await {
                Ok(Some(LegEvent::Closed { stats })) => self.stats = Some(stats),
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        let mut figures = self.machine.metrics().to_json();
        if let Some(stats) = self.stats {
            figures["media"] = media_json(&stats);
            metrics::histogram!("trunkline_jitter_seconds").record(f64::from(stats.jitter_ms) / 1_000.0);
            metrics::counter!("trunkline_rtp_packets_received_total").increment(stats.packets_received);
            metrics::counter!("trunkline_rtp_packets_lost_total").increment(stats.packets_lost);
        }
        self.machine.metrics().turns.iter().for_each(record_turn_histograms);
        if let Some(serde_json::Value::Object(before)) = self.call.record.call.metrics.take() {
            for (name, value) in before {
                figures[name] = value;
            }
        }
        self.call.record.call.metrics = Some(figures);
        self.call.record.record_ended(reason).await;
        if let Some(trace) = trace(&self.call.record.call, &self.machine.metrics().turns) {
            self.call.context.spans.export(trace);
        }
        tracing::info!(reason = reason.name(), "call ended");
    }
}
