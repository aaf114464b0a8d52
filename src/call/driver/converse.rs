//! The event loop of an answered call: handles one event at a time.

mod tool_calls;

use super::consult::{Consultation, Party, trunk_of};
use super::figures::{media_json, trace, turn_histograms};
use super::line::{Line, News};
use super::schemas::{self, ToolSchemas};
use super::voice::{Voice, VoiceEvent};
use super::{Hearing, Media, Record, Shared, backdrop, engine, plan, web};
use crate::call::live::Update;
use crate::call::machine::{Brief, Consult, Machine, Output, Referral};
use crate::call::registry::{Command, Seat};
use crate::call::voicemail::Detection;
use crate::domain::call::Direction;
use crate::domain::chat::{ChatMessage, ToolCall, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::domain::phone_number::Destination;
use crate::domain::transfer::Target;
use crate::providers::engine::Event as EngineEvent;
use crate::providers::listen::{Input, Session as SttSession};
use crate::providers::{ChatRequest, Failure, LlmEvent, Stream, SttEvent, chat};
use crate::supervision::{self, PanicError, contain};
use crate::webhooks::mcp::ToolServer;
use crate::webhooks::sender;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use trunkline_media::frame::SAMPLES;
use trunkline_media::io::worker::{LegHandle, Overloaded, Relay};
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::backdrop::{Backdrop, Scene};
use trunkline_media::stats::LegStats;
use trunkline_media::turn::barge_in;

/// How long to wait for the statistics of a removed leg.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Everything an answered call holds.
pub(super) struct Conversation {
    pub context: Shared,
    pub brief: Brief,
    pub record: Record,
    pub seat: Seat,
    pub line: Line,
    pub media: Media,
}

/// A connected tool server and how many of its tools are unusable, or why it was not reached.
type Reached = Result<(ToolServer, usize), sender::Failure>;

/// One event of the loop.
enum Happened {
    Leg(Option<LegEvent>),
    Stt(Option<SttEvent>),
    Engine(Option<EngineEvent>),
    Model(Option<LlmEvent>),
    Voice(VoiceEvent),
    Line(News),
    Command(Option<Command>),
    /// A tool result; its tool call was made before.
    Tool(Option<(String, String)>),
    /// None if the connection task panicked.
    Server(Option<Reached>),
    Consult(Option<(Consult, Option<Relay>)>),
    Timeout,
}

impl Happened {
    /// Tools that a model wants called.
    fn tool_calls(&mut self) -> Option<&mut [ToolCall]> {
        match self {
            Self::Model(Some(LlmEvent::Tools(calls))) | Self::Engine(Some(EngineEvent::Tools(calls))) => Some(calls),
            _ => None,
        }
    }
}

struct Running {
    c: Conversation,
    machine: Machine,
    voice: Voice,
    model: Option<(u32, Stream<LlmEvent>)>,
    /// STT or realtime session while it works. Taken out when it ends, because a closed channel would be ready forever.
    stt: Option<SttSession>,
    engine: Option<engine::Side>,
    leg_alive: bool,
    tools: JoinSet<(String, String)>,
    /// Servers of the agent that offer tools: being reached, and there.
    reaching: JoinSet<Result<Reached, PanicError>>,
    servers: Vec<Arc<ToolServer>>,
    schemas: ToolSchemas,
    /// The consultation call of a transfer.
    consult: Option<Consultation>,
    /// The caller is bridged to the transfer target.
    connected: bool,
    hang_up: Option<EndReason>,
    stats: Option<LegStats>,
}

/// Runs the conversation to its end and records the final state.
pub(super) async fn converse(mut conversation: Conversation, hearing: Hearing, early: Option<Detection>) {
    conversation.record.answered().await;
    let (stt, engine) = match hearing {
        Hearing::Stt(stt) => (Some(stt), None),
        Hearing::Engine(side) => (None, Some(side)),
    };
    let (now, brief) = (Instant::now(), conversation.brief.clone());
    let mut machine = match &engine {
        Some(side) => Machine::with_engine(now, brief, side.traits.clone()),
        None => Machine::new(now, brief),
    };
    if let Some(early) = early {
        machine.handle_early(now, early);
    }
    let voice = Voice::new(conversation.context.providers.clone(), conversation.brief.clone(), engine.is_none());
    let mut running = Running {
        c: conversation,
        machine,
        voice,
        model: None,
        stt,
        engine,
        leg_alive: true,
        tools: JoinSet::new(),
        reaching: JoinSet::new(),
        servers: Vec::new(),
        schemas: ToolSchemas::default(),
        consult: None,
        connected: false,
        hang_up: None,
        stats: None,
    };
    running.reach_servers();
    let (workers, scope) = (&running.c.context.schemas, running.c.record.scope);
    running.schemas.judge_keys(workers, scope, &mut running.machine, &running.c.brief.agent).await;
    let reason = running.run().await;
    running.close(reason).await;
}

impl Running {
    async fn run(&mut self) -> EndReason {
        loop {
            self.carry_out().await;
            if let Some(reason) = self.hang_up {
                return reason;
            }
            self.c.record.holds(self.lines()).await;
            let happened = self.next().await;
            self.handle(happened).await;
        }
    }

    /// Lines the call holds, for its row.
    fn lines(&self) -> u32 {
        let handover = matches!(&self.c.line, Line::Sip(line) if line.handover.is_some());
        1 + u32::from(self.consult.is_some()) + u32::from(handover)
    }

    async fn next(&mut self) -> Happened {
        let deadline = self.machine.poll_timeout();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let model = async {
            match &mut self.model {
                Some((_, stream)) => stream.events.recv().await,
                None => std::future::pending().await,
            }
        };
        let stt = async {
            match &mut self.stt {
                Some(stt) => stt.stream.events.recv().await,
                None => std::future::pending().await,
            }
        };
        let engine = async {
            match &mut self.engine {
                Some(side) => side.next().await,
                None => std::future::pending().await,
            }
        };
        let consult = async {
            match &mut self.consult {
                Some(consult) => consult.news.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = self.c.line.next() => Happened::Line(news),
            command = self.c.seat.commands.recv() => Happened::Command(command),
            event = self.c.media.events.recv(), if self.leg_alive => Happened::Leg(event),
            event = stt => Happened::Stt(event),
            event = engine => Happened::Engine(event),
            event = model => Happened::Model(event),
            event = self.voice.next() => Happened::Voice(event),
            news = consult => Happened::Consult(news),
            Some(server) = self.reaching.join_next() => Happened::Server(server.ok().and_then(Result::ok)),
            Some(result) = self.tools.join_next() => Happened::Tool(result.ok()),
            () = timer => Happened::Timeout,
        }
    }

    async fn handle(&mut self, mut happened: Happened) {
        if let Some(calls) = happened.tool_calls() {
            self.schemas.judge(&self.c.context.schemas, self.c.record.scope, &self.machine, calls).await;
        }
        let now = Instant::now();
        match happened {
            Happened::Leg(Some(event)) => self.leg_event(now, event),
            Happened::Leg(None) => {
                self.leg_alive = false;
                self.machine.handle_network_lost(now);
            }
            Happened::Stt(Some(event)) => {
                if matches!(event, SttEvent::Failed(_)) {
                    self.stt = None;
                }
                if let SttEvent::Interim(text) = &event
                    && !text.is_empty()
                {
                    self.c.seat.live.send(Update::Interim { text: text.clone() });
                }
                self.machine.handle_stt(now, event);
            }
            Happened::Stt(None) => {
                self.stt = None;
                self.machine.handle_stt(now, SttEvent::Failed(Failure::Dropped("STT session ended".to_owned())));
            }
            Happened::Engine(event) => {
                let ended = || EngineEvent::Failed(Failure::Dropped("realtime session ended".to_owned()));
                self.engine_event(now, event.unwrap_or_else(ended));
            }
            Happened::Model(event) => {
                let Some((generation, _)) = &self.model else { return };
                let generation = *generation;
                let event = event.unwrap_or_else(|| LlmEvent::Failed(Failure::Dropped("LLM stream ended".to_owned())));
                if matches!(event, LlmEvent::Done(_) | LlmEvent::Failed(_)) {
                    self.model = None;
                }
                self.machine.handle_model(now, generation, event);
            }
            Happened::Voice(event) => self.voice_event(now, event),
            Happened::Line(news) => self.c.signalled(now, &mut self.machine, news).await,
            Happened::Command(Some(Command::End(reason))) => self.machine.handle_command(now, reason),
            Happened::Command(Some(command)) => web::carry_out(&self.c.media, command),
            Happened::Command(None) => self.machine.handle_command(now, EndReason::ServerShutdown),
            Happened::Tool(Some((id, result))) => self.machine.handle_tool_result(now, &id, &result),
            Happened::Tool(None) => tracing::error!("the task of a tool panicked"),
            Happened::Server(Some(Ok((server, left_out)))) => {
                self.machine.add_tools(server.tools.clone(), left_out);
                self.servers.push(Arc::new(server));
            }
            Happened::Server(None) => self.machine.note_tool_server_failure(),
            Happened::Server(Some(Err(failure))) => {
                tracing::warn!(%failure, "cannot connect to tool server");
                self.machine.note_tool_server_failure();
            }
            Happened::Consult(Some((news, relay))) => {
                if let (Some(consult), Some(relay)) = (&mut self.consult, relay) {
                    consult.relay = Some(relay);
                }
                self.machine.handle_consult(now, news);
            }
            Happened::Consult(None) => {
                self.consult = None;
                self.machine.handle_consult(now, Consult::Ended(EndReason::TrunkError));
            }
            Happened::Timeout => self.machine.handle_timeout(now),
        }
    }

    fn leg_event(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Audio { codes, .. } => {
                // If STT does not keep up, audio is lost here rather than delaying the call.
                if self.connected {
                    return self.pass_on(&codes);
                }
                let codes = Bytes::copy_from_slice(&codes);
                if let Some(side) = &self.engine {
                    side.hear(codes);
                } else if !self.tell_stt(Input::Audio(codes)) {
                    metrics::counter!("trunkline_queue_overflows_total", "queue" => "stt_audio").increment(1);
                }
            }
            LegEvent::SpeechStarted { at } => {
                self.tell_stt(Input::Speaking);
                self.machine.handle_speech_started(at);
            }
            LegEvent::SpeechEnded { last_sound } => {
                self.tell_stt(Input::Quiet);
                self.machine.handle_speech_ended(now, last_sound);
            }
            LegEvent::PieceStarted { piece, at } => self.machine.handle_piece_started(piece, at),
            LegEvent::PieceFinished { heard, at } => {
                self.voice.heard(heard.piece);
                self.machine.handle_piece_finished(heard, at);
            }
            LegEvent::Flushed { barge_in, generation, heard, at } => {
                self.voice.silence(generation);
                self.machine.handle_flushed(at, barge_in, generation, &heard);
            }
            LegEvent::Held { generation, at } => self.machine.handle_held(at, generation),
            LegEvent::Echo { .. } => self.machine.handle_echo(),
            LegEvent::Digit { digit } => self.machine.handle_digit(now, digit),
            // Without media the call is over, whatever the cause.
            LegEvent::NetworkLost | LegEvent::InternalError => self.machine.handle_network_lost(now),
            LegEvent::PeerClosed => self.machine.handle_peer_gone(now, EndReason::CustomerHungUp),
            LegEvent::Closed { stats } => self.stats = Some(stats),
            LegEvent::Tone { tone, at } => self.machine.handle_tone(at, &tone),
            LegEvent::DigitsSent
            | LegEvent::TalkSpurt { .. }
            | LegEvent::Connected { .. }
            | LegEvent::MediaStarted { .. }
            | LegEvent::Recorded { .. } => {}
        }
    }

    /// Relays the caller's audio to the transfer target.
    fn pass_on(&self, codes: &[u8; SAMPLES]) {
        if let Some(relay) = self.consult.as_ref().and_then(|consult| consult.relay.as_ref()) {
            let mut frame = [0; SAMPLES];
            self.c.media.law.decode_into(codes, &mut frame);
            relay.send(frame);
        }
    }

    /// False when the input was lost: STT does not keep up, or there is none.
    fn tell_stt(&self, input: Input) -> bool {
        self.stt.as_ref().is_none_or(|stt| stt.input.try_send(input).is_ok())
    }

    fn engine_event(&mut self, now: Instant, event: EngineEvent) {
        let Some(side) = &mut self.engine else { return };
        if let EngineEvent::UserInterim(text) = &event
            && !text.is_empty()
        {
            self.c.seat.live.send(Update::Interim { text: text.clone() });
        }
        let played = side.event(now, event, &mut self.machine, &self.c.media.leg);
        if let Some(id) = side.conversation.take() {
            let metadata = self.c.record.call.metadata.get_or_insert_with(|| serde_json::json!({}));
            metadata["elevenlabs_conversation_id"] = serde_json::json!(id);
        }
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }

    /// STT, LLM and TTS take over, if the agent has a fallback LLM.
    fn leave_engine(&mut self) {
        let Some(mut side) = self.engine.take() else { return };
        let _ = side.end(None, &mut self.machine, &self.c.media.leg);
        if side.traits.stand_in.is_some() {
            self.stt = Some(self.c.context.start_stt(&self.c.brief, self.c.media.law));
        }
    }

    fn voice_event(&mut self, now: Instant, event: VoiceEvent) {
        let played = match event {
            VoiceEvent::Audio { piece, samples } => {
                self.machine.handle_voice_audio(now, piece);
                self.c.media.leg.play(piece, samples, false)
            }
            VoiceEvent::Marks { piece, marks } => {
                self.machine.handle_voice_marks(piece, &marks);
                Ok(())
            }
            VoiceEvent::Done { piece, samples, total } => {
                self.machine.handle_voice_done(piece, total);
                self.c.media.leg.play(piece, samples, true)
            }
            VoiceEvent::Asked { voice, characters } => {
                self.machine.note_spoken(&voice, characters);
                Ok(())
            }
            VoiceEvent::Switched { switch, failure } => {
                tracing::warn!(%failure, "TTS failed");
                self.machine.note_voice_failure(&failure);
                self.machine.note_switch(now, &switch);
                Ok(())
            }
            VoiceEvent::Failed { piece, failure } => {
                tracing::warn!(%failure, "TTS failed");
                self.machine.handle_voice_failed(now, piece, &failure);
                Ok(())
            }
        };
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }

    /// Executes the outputs of the machine.
    async fn carry_out(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::AskModel { generation, messages, tools } => {
                    self.model = Some((generation, self.ask(messages, tools)));
                }
                Output::CancelModel => self.model = None,
                Output::Speak { piece, text } => self.voice.speak(piece, text),
                Output::Silence { generation } => {
                    self.voice.silence(generation);
                    self.told(|leg| leg.flush(generation, false));
                }
                Output::Interrupt { generation } => self.told(|leg| leg.flush(generation, true)),
                Output::Resume => self.told(LegHandle::resume),
                Output::Protect { generation } => self.told(|leg| leg.protect(generation)),
                Output::Turn { position, turn } => {
                    self.c.seat.live.send(Update::Turn { position, turn: turn.clone() });
                    self.c.context.journal.turn(self.c.record.call.id, position, turn).await;
                }
                Output::SendDigits(digits) => {
                    let _ = self.c.media.leg.send_digits(digits);
                }
                Output::CallTool { call, is_async } => self.call_tool(call, is_async),
                Output::Refer { target } => self.refer(target),
                Output::Consult { target } => self.call_them(target),
                Output::Hold { music } => {
                    let scene = if music { Scene::Music } else { Scene::Room };
                    self.told(|leg| leg.set_backdrop(Some(Backdrop::new(scene, 0.0))));
                }
                Output::Brief { text } => {
                    if let Some(consult) = &self.consult {
                        consult.brief(text);
                    }
                }
                Output::Connect => self.connect(),
                Output::EndConsult => {
                    self.consult = None;
                    let ambience = backdrop(&self.c.brief.agent);
                    self.told(|leg| leg.set_backdrop(ambience));
                }
                Output::FinalizeStt => drop(self.tell_stt(Input::Finalize)),
                Output::RestartStt => drop(self.tell_stt(Input::Restart)),
                Output::Engine(input) => {
                    if let Some(side) = &self.engine {
                        side.tell(input);
                    }
                }
                Output::LeaveEngine => self.leave_engine(),
                Output::HangUp { reason } => self.hang_up = Some(reason),
            }
        }
    }

    /// Connects to the agent's tool servers in the background.
    fn reach_servers(&mut self) {
        let tools = self.c.brief.agent.llm_config.iter().flat_map(|config| &config.tools);
        for tool in tools.filter(|tool| tool.server().is_some()) {
            let tool = tool.clone();
            let (context, scope) = (self.c.context.clone(), self.c.record.scope);
            self.reaching.spawn(contain("tool_server", async move {
                let mut server = context.webhooks.tool_server(&tool).await?;
                let (tools, left_out) = schemas::usable(&context, scope, std::mem::take(&mut server.tools)).await;
                server.tools = tools;
                Ok((server, left_out))
            }));
        }
    }

    /// A leg that cannot take commands is lost.
    fn told(&mut self, tell: impl FnOnce(&LegHandle) -> Result<(), Overloaded>) {
        if tell(&self.c.media.leg).is_err() {
            self.machine.handle_command(Instant::now(), EndReason::Overload);
        }
    }

    /// Sends REFER for the target; a bare number becomes a URI at the trunk.
    fn refer(&mut self, target: Target) {
        let Line::Sip(line) = &self.c.line else {
            // A browser has no trunk to send REFER to: we dial the target ourselves.
            let refused = Referral::Refused { status: 501 };
            return self.machine.handle_referral(Instant::now(), refused);
        };
        let (context, call) = (self.c.context.clone(), line.call);
        let (scope, trunk) = (self.c.record.scope, self.c.record.call.trunk);
        supervision::spawn("refer", async move {
            let uri = match (target.uri(), target.destination()) {
                (None, Some(Destination::Number(number))) => {
                    let trunk = trunk_of(&context, scope, trunk).await.map(|trunk| trunk.fields);
                    let host = trunk.as_ref().and_then(|trunk| Some((trunk, trunk.host.as_deref()?)));
                    host.map_or(format!("tel:{number}"), |(trunk, host)| {
                        let port = trunk.port.map_or(String::new(), |port| format!(":{port}"));
                        format!("sip:{}@{host}{port}", trunk.dial(&number))
                    })
                }
                (uri, _) => uri.unwrap_or(target.as_str()).to_owned(),
            };
            context.sip.refer(call, uri).await;
        });
    }

    fn call_them(&mut self, target: Target) {
        let call = &self.c.record.call;
        let from_number = match call.direction {
            Direction::Inbound => call.to_number.clone(),
            Direction::Outbound => call.from_number.clone(),
            // Caller id: the trunk's own user, or none.
            Direction::Web => String::new(),
        };
        let party =
            Party { scope: self.c.record.scope, trunk: call.trunk, from_number, target, brief: self.c.brief.clone() };
        self.consult = Some(Consultation::start(self.c.context.clone(), party));
    }

    /// Takes the agent out of the call: STT, LLM and TTS stop.
    fn connect(&mut self) {
        let caller = self.c.media.leg.relay();
        if let Some(consult) = &self.consult {
            consult.connect(caller);
        }
        self.connected = true;
        (self.stt, self.engine, self.model) = (None, None, None);
        self.told(|leg| leg.set_backdrop(None));
        let quiet = barge_in::Config { enabled: false, ..barge_in::Config::default() };
        self.told(|leg| leg.set_barge_in(quiet));
    }

    fn ask(&self, messages: Vec<ChatMessage>, tools: Vec<ToolOffer>) -> Stream<LlmEvent> {
        let providers = &self.c.context.providers;
        let plan = plan::models(providers, &self.c.brief.agent);
        let cache_key = self.c.record.call.agent.map(|agent| agent.to_string());
        chat::ask(providers, plan, ChatRequest { messages, tools, cache_key, ..ChatRequest::default() })
    }

    /// Releases everything and records the final state of the call.
    async fn close(mut self, reason: EndReason) {
        self.model = None;
        if let Line::Sip(line) = &self.c.line {
            self.c.context.sip.hang_up(line.call).await;
        }
        self.consult = None;
        self.c.record.call.legs = 1;
        self.c.seat.release();
        let (journal, scope, id) = (self.c.context.journal.clone(), self.c.record.scope, self.c.record.call.id);
        let recorded = self.c.media.recording.clone().map(|path| {
            let done: trunkline_media::io::recorder::Done = Box::new(move |result| match result {
                Ok(samples) if samples > 0 => journal.recording(scope, id, path),
                Ok(_) => {}
                Err(error) => tracing::error!(call = %id, %error, "recording failed"),
            });
            done
        });
        self.c.media.leg.remove(recorded);
        let deadline = tokio::time::Instant::now() + CLOSE_DEADLINE;
        while self.stats.is_none() {
            match tokio::time::timeout_at(deadline, self.c.media.events.recv()).await {
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
        self.machine.metrics().turns.iter().for_each(turn_histograms);
        if let Some(serde_json::Value::Object(before)) = self.c.record.call.metrics.take() {
            for (name, value) in before {
                figures[name] = value;
            }
        }
        self.c.record.call.metrics = Some(figures);
        self.c.record.ended(reason).await;
        if let Some(trace) = trace(&self.c.record.call, &self.machine.metrics().turns) {
            self.c.context.spans.export(trace);
        }
        tracing::info!(reason = reason.name(), "call ended");
    }
}
