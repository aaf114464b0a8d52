//! The loop of an answered call: everything that can happen, one at a time, into the machine.

use super::voice::{Voice, VoiceEvent};
use super::{Hearing, Media, Record, Shared, engine, plan, tools};
use crate::call::live::Update;
use crate::call::machine::{Brief, Machine, Output, TurnFigures};
use crate::call::negotiate::Negotiation;
use crate::call::registry::{Command, Seat};
use crate::domain::chat::{ChatMessage, ToolCall, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::providers::engine::Event as EngineEvent;
use crate::providers::listen::{Input, Session as SttSession};
use crate::providers::{ChatRequest, Failure, LlmEvent, Stream, SttEvent, chat};
use bytes::Bytes;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use trunkline_media::io::worker::{LegHandle, Overloaded};
use trunkline_media::leg::LegEvent;
use trunkline_media::stats::LegStats;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event};
use trunkline_signaling::sip::failure::Cause;

/// How long the figures of a removed leg are waited for.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Everything an answered call holds.
pub(super) struct Conversation {
    pub context: Shared,
    pub brief: Brief,
    pub record: Record,
    pub seat: Seat,
    pub sip_call: SipCall,
    pub sip_events: mpsc::Receiver<Event>,
    pub negotiation: Negotiation,
    pub media: Media,
}

/// What one turn of the loop brought.
enum Happened {
    Leg(Option<LegEvent>),
    Stt(Option<SttEvent>),
    Engine(Option<EngineEvent>),
    Model(Option<LlmEvent>),
    Voice(VoiceEvent),
    Sip(Option<Event>),
    Command(Option<Command>),
    /// A tool answered; never before its call was made.
    Tool(Option<(String, String)>),
    Timeout,
}

struct Running {
    c: Conversation,
    machine: Machine,
    voice: Voice,
    model: Option<(u32, Stream<LlmEvent>)>,
    /// The recogniser or the engine, while it works. A closed channel would answer at once, for ever.
    stt: Option<SttSession>,
    engine: Option<engine::Side>,
    sip_alive: bool,
    leg_alive: bool,
    tools: JoinSet<(String, String)>,
    hang_up: Option<EndReason>,
    stats: Option<LegStats>,
}

/// Runs the conversation to its end and writes the call's last state.
pub(super) async fn converse(mut conversation: Conversation, hearing: Hearing) {
    conversation.record.answered().await;
    let (stt, engine) = match hearing {
        Hearing::Stt(stt) => (Some(stt), None),
        Hearing::Engine(side) => (None, Some(side)),
    };
    let (now, brief) = (Instant::now(), conversation.brief.clone());
    let machine = match &engine {
        Some(side) => Machine::with_engine(now, brief, side.traits.clone()),
        None => Machine::new(now, brief),
    };
    let voice = Voice::new(conversation.context.providers.clone(), conversation.brief.clone(), engine.is_none());
    let mut running = Running {
        c: conversation,
        machine,
        voice,
        model: None,
        stt,
        engine,
        sip_alive: true,
        leg_alive: true,
        tools: JoinSet::new(),
        hang_up: None,
        stats: None,
    };
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
            let happened = self.next().await;
            self.handle(happened).await;
        }
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
        tokio::select! {
            biased;
            event = self.c.sip_events.recv(), if self.sip_alive => Happened::Sip(event),
            command = self.c.seat.commands.recv() => Happened::Command(command),
            event = self.c.media.events.recv(), if self.leg_alive => Happened::Leg(event),
            event = stt => Happened::Stt(event),
            event = engine => Happened::Engine(event),
            event = model => Happened::Model(event),
            event = self.voice.next() => Happened::Voice(event),
            Some(result) = self.tools.join_next() => Happened::Tool(result.ok()),
            () = timer => Happened::Timeout,
        }
    }

    async fn handle(&mut self, happened: Happened) {
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
                    let _ = self.c.seat.live.send(Update::Interim { text: text.clone() });
                }
                self.machine.handle_stt(now, event);
            }
            Happened::Stt(None) => {
                self.stt = None;
                self.machine.handle_stt(now, SttEvent::Failed(Failure::Dropped("recogniser ended".to_owned())));
            }
            Happened::Engine(event) => {
                let ended = || EngineEvent::Failed(Failure::Dropped("engine ended".to_owned()));
                self.engine_event(now, event.unwrap_or_else(ended));
            }
            Happened::Model(event) => {
                let Some((generation, _)) = &self.model else { return };
                let generation = *generation;
                let event = event.unwrap_or_else(|| LlmEvent::Failed(Failure::Dropped("model ended".to_owned())));
                if matches!(event, LlmEvent::Done(_) | LlmEvent::Failed(_)) {
                    self.model = None;
                }
                self.machine.handle_model(now, generation, event);
            }
            Happened::Voice(event) => self.voice_event(now, event),
            Happened::Sip(event) => self.sip_event(now, event).await,
            Happened::Command(Some(Command::End(reason))) => self.machine.handle_command(now, reason),
            Happened::Command(None) => self.machine.handle_command(now, EndReason::ServerShutdown),
            Happened::Tool(Some((id, result))) => self.machine.handle_tool_result(now, &id, &result),
            Happened::Tool(None) => tracing::error!("a tool's task broke"),
            Happened::Timeout => self.machine.handle_timeout(now),
        }
    }

    fn leg_event(&mut self, now: Instant, event: LegEvent) {
        match event {
            LegEvent::Audio { codes, .. } => {
                // A recogniser that does not keep up loses audio here rather than delaying the call.
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
            LegEvent::NetworkLost => self.machine.handle_network_lost(now),
            LegEvent::Closed { stats } => self.stats = Some(stats),
            LegEvent::Tone { tone, at } => self.machine.handle_tone(at, &tone),
            LegEvent::DigitsSent
            | LegEvent::TalkSpurt { .. }
            | LegEvent::MediaStarted { .. }
            | LegEvent::Recorded { .. } => {}
        }
    }

    /// False when it was lost: a recogniser that does not keep up, or none.
    fn tell_stt(&self, input: Input) -> bool {
        self.stt.as_ref().is_none_or(|stt| stt.input.try_send(input).is_ok())
    }

    fn engine_event(&mut self, now: Instant, event: EngineEvent) {
        let Some(side) = &mut self.engine else { return };
        if let EngineEvent::UserInterim(text) = &event
            && !text.is_empty()
        {
            let _ = self.c.seat.live.send(Update::Interim { text: text.clone() });
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

    /// Recogniser, model and voice take over, where the agent has a model to stand in.
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
                tracing::warn!(%failure, "voice failed");
                self.machine.note_voice_failure(&failure);
                self.machine.note_switch(now, &switch);
                Ok(())
            }
            VoiceEvent::Failed { piece, failure } => {
                tracing::warn!(%failure, "voice failed");
                self.machine.handle_voice_failed(now, piece, &failure);
                Ok(())
            }
        };
        if played.is_err() {
            self.machine.handle_command(now, EndReason::Overload);
        }
    }

    async fn sip_event(&mut self, now: Instant, event: Option<Event>) {
        self.sip_alive = !matches!(event, Some(Event::Ended { .. }) | None);
        match event {
            Some(Event::Ended { cause, .. }) => self.machine.handle_peer_gone(now, ended_by(&cause)),
            None => self.machine.handle_peer_gone(now, EndReason::NetworkLost),
            Some(Event::Reoffer { call, sdp }) => self.reoffered(call, sdp).await,
            Some(Event::Confirmed { sdp: Some(answer), .. }) => {
                if let Ok(stream) = self.c.negotiation.accept(&answer) {
                    let _ = self.c.media.leg.renegotiate(stream);
                }
            }
            Some(Event::Info { content_type, body, .. }) => {
                if let Some(digit) = info_digit(&content_type, &body) {
                    self.machine.handle_digit(now, digit);
                }
            }
            Some(_) => {}
        }
    }

    async fn reoffered(&mut self, call: SipCall, sdp: Option<Vec<u8>>) {
        let answer = match sdp {
            Some(offer) => match self.c.negotiation.answer(&offer) {
                Ok((stream, text)) => {
                    let _ = self.c.media.leg.renegotiate(stream);
                    Some(text)
                }
                Err(_) => None,
            },
            None => Some(self.c.negotiation.offer()),
        };
        self.c.context.sip.answer_reoffer(call, answer).await;
    }

    /// Does what the machine wants done.
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
                    let _ = self.c.seat.live.send(Update::Turn { position, turn: turn.clone() });
                    self.c.context.journal.turn(self.c.record.call.id, position, turn).await;
                }
                Output::SendDigits(digits) => {
                    let _ = self.c.media.leg.send_digits(digits);
                }
                Output::CallTool { call, is_async } => self.call_tool(call, is_async),
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

    /// A leg that cannot be told anything is lost.
    fn told(&mut self, tell: impl FnOnce(&LegHandle) -> Result<(), Overloaded>) {
        if tell(&self.c.media.leg).is_err() {
            self.machine.handle_command(Instant::now(), EndReason::Overload);
        }
    }

    /// A tool that is waited for ends with the call; one that is not runs on by itself.
    fn call_tool(&mut self, call: ToolCall, is_async: bool) {
        let tools = self.c.brief.agent.llm_config.as_ref().map_or(&[][..], |config| &config.tools);
        let Some(tool) = tools.iter().find(|tool| tool.function.name == call.name).cloned() else { return };
        let (id, record) = (call.id.clone(), &self.c.record);
        let run = tools::run(self.c.context.clone(), record.hooks.clone(), record.call.clone(), tool, call);
        if is_async {
            tokio::spawn(run);
        } else {
            // A tool that panics is one that failed: the conversation must not wait for it.
            let run = AssertUnwindSafe(run).catch_unwind();
            self.tools.spawn(async move { (id, run.await.unwrap_or_else(|_| "error: the tool broke".to_owned())) });
        }
    }

    fn ask(&self, messages: Vec<ChatMessage>, tools: Vec<ToolOffer>) -> Stream<LlmEvent> {
        let providers = &self.c.context.providers;
        let plan = plan::models(providers, &self.c.brief.agent);
        let cache_key = self.c.record.call.agent.map(|agent| agent.to_string());
        chat::ask(providers, plan, ChatRequest { messages, tools, cache_key, ..ChatRequest::default() })
    }

    /// The end of everything the call holds, and the call's last state.
    async fn close(mut self, reason: EndReason) {
        self.model = None;
        self.c.context.sip.hang_up(self.c.sip_call).await;
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
        tracing::info!(reason = reason.name(), "call ended");
    }
}

/// The stages of one turn; those it did not reach are left out.
fn turn_histograms(turn: &TurnFigures) {
    let stage = |name: &'static str, from: Option<u64>, to: Option<u64>| {
        if let (Some(from), Some(to)) = (from, to) {
            let seconds = to.saturating_sub(from) as f64 / 1_000.0;
            metrics::histogram!("trunkline_turn_seconds", "stage" => name).record(seconds);
        }
    };
    stage("end_of_turn", Some(turn.speech_ended_ms), Some(turn.decided_ms));
    stage("model", Some(turn.decided_ms), turn.first_token_ms);
    stage("voice", turn.first_token_ms, turn.first_audio_ms);
    stage("response", Some(turn.speech_ended_ms), turn.first_sound_ms);
}

fn media_json(stats: &LegStats) -> serde_json::Value {
    serde_json::json!({
        "packets_received": stats.packets_received,
        "packets_lost": stats.packets_lost,
        "packets_late": stats.packets_late,
        "packets_ignored": stats.packets_ignored,
        "packets_sent": stats.packets_sent,
        "jitter_ms": stats.jitter_ms,
        "round_trip_ms": stats.round_trip_ms,
        "remote_loss": stats.remote_loss,
        "concealed_ms": stats.concealed_ms,
        "underruns": stats.underruns,
        "playout_overflow_ms": stats.playout_overflow_ms,
        "echo": stats.echo.map(|path| serde_json::json!({
            "delay_ms": path.delay_ms, "level_db": path.level_db.round(), "heard_ms": stats.echo_ms,
        })),
    })
}

/// Why an answered call is over, as the endpoint saw it.
fn ended_by(cause: &Cause) -> EndReason {
    match cause {
        Cause::RemoteBye | Cause::RemoteCancel => EndReason::CustomerHungUp,
        Cause::NotAcknowledged | Cause::NoResponse | Cause::DialogLost => EndReason::NetworkLost,
        Cause::Unreachable(_) | Cause::Refused { .. } => EndReason::TrunkError,
        Cause::Local => EndReason::AgentHungUp,
    }
}

/// A digit of `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).
fn info_digit(content_type: &str, body: &[u8]) -> Option<char> {
    let kind = content_type.split(';').next()?.trim().to_ascii_lowercase();
    let text = std::str::from_utf8(body).ok()?;
    let signal = match kind.as_str() {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => signal.chars().next().filter(|c| signal.len() == 1 && "0123456789*#ABCD".contains(*c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_info_bodies() {
        assert_eq!(info_digit("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(info_digit("application/dtmf-relay; x", b"signal= *\n"), Some('*'));
        assert_eq!(info_digit("application/dtmf", b"11"), Some('#'));
        assert_eq!(info_digit("text/plain", b"5"), None);
        assert_eq!(info_digit("application/dtmf", b"55"), None);
    }
}
