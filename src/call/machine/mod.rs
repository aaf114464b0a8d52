//! The call machine: from the answer to the end, who speaks, what is asked of whom, when to hang up.
//!
//! A plain value. Events go in with their instant; [`Machine::poll_output`] says what to do,
//! [`Machine::poll_timeout`] when to come back. Every path ends in exactly one [`Output::HangUp`].

mod ahead;
mod engine;
mod interrupt;
mod mailbox;
mod metrics;
mod output;
mod talk;
mod timers;
mod tools;
mod transcript;
mod transfer;

pub use engine::EngineTraits;
pub use metrics::{Metrics, TurnFigures};
pub use output::Output;
pub use timers::Timer;
pub use transfer::{Consult, Referral};

use super::dtmf::{Keys, Pressed};
use super::voicemail::Detection;
use crate::dialogue::history::History;
use crate::dialogue::phrases::{Phrases, phrases};
use crate::dialogue::prompt;
use crate::dialogue::reply::Reply;
use crate::dialogue::speakable::Style;
use crate::domain::agent::AgentFields;
use crate::domain::chat::ToolOffer;
use crate::domain::dtmf_rules::Action;
use crate::domain::end_reason::EndReason;
use crate::domain::task::TaskFields;
use crate::domain::transfer::{Target, TransferMode};
use crate::domain::turn_config::SilenceConfig;
use crate::providers::{SttEvent, Switch};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use trunkline_media::playout::queue::{Heard, PieceId};
use trunkline_media::turn::endpoint::{self, Endpoint};

/// Default maximum duration: long enough for ordinary calls, short enough to stop runaway ones.
const MAX_DURATION_DEFAULT: Duration = Duration::from_secs(1_800);
/// How long to wait for the final transcript after the caller hung up.
const LAST_WORDS: Duration = Duration::from_millis(700);
/// Maximum duration of a goodbye before hanging up anyway.
const GOODBYE_MAX: Duration = Duration::from_secs(20);
/// Speech without any STT result for this long means STT has stalled.
const STT_STALL: Duration = Duration::from_secs(4);
/// Silence without a final STT result after which the fallback STT is asked, if there is one: well before the interim
/// result has to do.
const STT_LATE: Duration = Duration::from_millis(1_200);
/// If a barge-in was only noise, the agent resumes after this.
const RESUME_AFTER: Duration = Duration::from_millis(1_500);
/// Consecutive failures of one kind that end a call.
const FAILURES_MAX: u32 = 2;

/// What the call is about: agent, task and kind of peer.
#[derive(Clone, Debug)]
pub struct Brief {
    pub agent: AgentFields,
    pub task: Option<TaskFields>,
    /// The other side is a browser, so a person has just clicked.
    pub is_web: bool,
}

impl Brief {
    /// The task's starting message takes precedence over the agent's.
    pub fn first_message(&self) -> Option<&str> {
        let task = self.task.as_ref().and_then(|task| task.starting_message.as_deref());
        task.or(self.agent.first_message.as_deref()).filter(|text| !text.trim().is_empty())
    }

    /// Whether to run AMD: on outbound calls, if the agent wants it.
    pub fn detects_answerer(&self) -> bool {
        self.task.is_some() && !self.is_web && self.agent.voicemail_detection.unwrap_or(false)
    }

    /// How text is normalized for TTS. Only one TTS model understands audio tags.
    pub fn style(&self) -> Style {
        let tags = self.agent.tts_config.as_ref().is_some_and(|tts| acts_on_tags(tts.model.as_deref()));
        Style::new(self.language(), tags)
    }

    /// Language of the caller (STT).
    pub fn heard_language(&self) -> &str {
        let stt = self.agent.stt_config.as_ref().map(|stt| stt.language.as_str());
        stt.filter(|language| *language != "multi").unwrap_or(self.language())
    }

    /// Language of the scripted phrases (TTS).
    pub fn language(&self) -> &str {
        let tts = self.agent.tts_config.as_ref().map(|tts| tts.language.as_str());
        tts.or(self.agent.stt_config.as_ref().map(|stt| stt.language.as_str())).unwrap_or("en")
    }
}

/// ElevenLabs documents audio tags for its third generation.
pub fn acts_on_tags(model: Option<&str>) -> bool {
    model.is_some_and(|model| model.starts_with("eleven_v3"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Talking,
    /// Waiting for the final transcript and the playback report.
    Ending {
        reason: EndReason,
        until: Instant,
    },
    Over,
}

pub struct Machine {
    brief: Brief,
    phrases: &'static Phrases,
    silence: Option<SilenceConfig>,
    answered: Instant,
    phase: Phase,
    endpoint: Endpoint,
    history: History,
    reply: Option<Reply>,
    /// A finished turn that waits for the playback report of the response it interrupted.
    waiting_turn: Option<endpoint::Turn>,
    generation: u32,
    transcript: transcript::Transcript,
    rounds: u32,
    keys: Keys,
    /// The unplayed rest of an interrupted response, to be resumed if the barge-in was noise.
    unsaid: Option<String>,
    /// The response whose playback is paused until the barge-in is decided.
    held: Option<u32>,
    /// The last response was interrupted and the LLM has not been told.
    was_cut: bool,
    /// The agent's own voice is echoed on this line.
    has_echo: bool,
    /// When the caller's last turn ended.
    last_turn: Option<Instant>,
    /// The preemptive generation for a likely end of turn.
    ahead: Option<ahead::Ahead>,
    last_filler: Option<String>,
    /// AMD while it is running, and what follows from its result.
    detection: Option<Detection>,
    mailbox: Option<mailbox::Mailbox>,
    mailbox_message: Option<String>,
    /// The transfer in progress.
    transfer: Option<transfer::Transfer>,

    silence_prompts: u32,
    model_failures: u32,
    voice_failures: u32,
    stt_stalls: u32,
    /// State of the realtime model while it is in charge.
    engine: Option<engine::State>,
    /// The realtime model broke off in the middle of a response: the LLM continues it.
    cut_off: bool,
    tools: tools::Pending,
    /// Tools that servers offer.
    remote_tools: Vec<ToolOffer>,
    /// Tools that DTMF cannot call, and why.
    key_misfits: HashMap<String, String>,
    timers: timers::Timers,
    metrics: Metrics,
    outputs: VecDeque<Output>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("phase", &self.phase)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// The call was just answered.
    pub fn new(now: Instant, brief: Brief) -> Self {
        Self::with(now, brief, None)
    }

    /// A call on a realtime model.
    pub fn with_engine(now: Instant, brief: Brief, traits: EngineTraits) -> Self {
        Self::with(now, brief, Some(engine::State::new(traits)))
    }

    fn with(now: Instant, brief: Brief, engine: Option<engine::State>) -> Self {
        let turn = brief.agent.turn();
        let ms = Duration::from_millis;
        let config = endpoint::Config {
            min_silence: ms(turn.min_silence_ms),
            complete_silence: ms(turn.complete_silence_ms),
            unfinished_silence: ms(turn.unfinished_silence_ms),
            language: brief.heard_language().to_owned(),
            silence: ms(turn.silence_ms.max(turn.min_silence_ms)),
            max_silence: ms(turn.max_silence_ms.max(turn.silence_ms).max(turn.min_silence_ms)),
        };
        let longest =
            brief.agent.max_duration_seconds.map_or(MAX_DURATION_DEFAULT, |s| Duration::from_secs(u64::from(s)));
        let detects = brief.detects_answerer();
        let mut machine = Self {
            phrases: phrases(brief.language()),
            silence: brief.agent.silence(),
            answered: now,
            phase: Phase::Talking,
            endpoint: Endpoint::new(config),
            history: History::new(prompt::system_messages(&brief.agent, brief.task.as_ref())),
            reply: None,
            waiting_turn: None,
            generation: 0,
            transcript: transcript::Transcript::default(),
            rounds: 0,
            keys: Keys::new(brief.agent.dtmf_rules.clone()),
            unsaid: None,
            held: None,
            was_cut: false,
            has_echo: false,
            last_turn: None,
            ahead: None,
            last_filler: None,
            detection: detects.then(|| Detection::new(now)),
            mailbox: None,
            mailbox_message: None,
            transfer: None,

            silence_prompts: 0,
            model_failures: 0,
            voice_failures: 0,
            stt_stalls: 0,
            engine,
            cut_off: false,
            tools: tools::Pending::default(),
            remote_tools: Vec::new(),
            key_misfits: HashMap::new(),
            timers: timers::Timers::default(),
            metrics: Metrics::default(),
            outputs: VecDeque::new(),
            brief,
        };
        machine.timers.set(Timer::MaxDuration, now + longest);
        machine.greet(now);
        machine
    }

    /// Takes over AMD results from early media.
    pub fn handle_early(&mut self, now: Instant, mut early: Detection) {
        if self.detection.is_some() {
            early.handle_answered(now);
            let found = early.verdict();
            self.detection = Some(early);
            self.answered_by(now, found);
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub fn answered_at(&self) -> Instant {
        self.answered
    }

    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn is_talking(&self) -> bool {
        self.phase == Phase::Talking
    }

    fn ms(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.answered).as_millis() as u64
    }

    fn output(&mut self, output: Output) {
        if self.phase != Phase::Over {
            self.outputs.push_back(output);
        }
    }

    pub fn handle_speech_started(&mut self, at: Instant) {
        self.endpoint.handle_speech_started(at);
        if let Some(detection) = &mut self.detection {
            detection.handle_speech_started(at);
        }
        self.mailbox_speaks(at, true);
        self.caller_goes_on(at);
        self.timers.clear(Timer::Silence);
        if self.held.is_none() {
            self.timers.clear(Timer::Resume);
        }
        self.timers.clear(Timer::SttStall);
        self.timers.clear(Timer::SttLate);
    }

    pub fn handle_speech_ended(&mut self, now: Instant, last_sound: Instant) {
        self.endpoint.handle_speech_ended(last_sound);
        if let Some(detection) = &mut self.detection {
            detection.handle_speech_ended(last_sound);
        }
        self.mailbox_speaks(now, false);
        if self.engine.is_none() {
            self.timers.set(Timer::SttStall, now + STT_STALL);
            if self.brief.agent.fallbacks.as_ref().is_some_and(|fallbacks| !fallbacks.stt.is_empty()) {
                self.timers.set(Timer::SttLate, last_sound + STT_LATE);
            }
        }
        if self.held.is_some() {
            self.timers.set(Timer::Resume, now + interrupt::VERDICT_AFTER);
        } else if self.unsaid.is_some() {
            self.timers.set(Timer::Resume, now + RESUME_AFTER);
        }
        self.likely_over(now);
        if self.tools.has_news() {
            self.timers.set(Timer::ToolResult, now + RESUME_AFTER);
        }
        self.arm_silence(now);
        self.check_turn(now);
    }

    pub fn handle_stt(&mut self, now: Instant, event: SttEvent) {
        match self.without_echo(event) {
            SttEvent::Ready => {}
            SttEvent::Interim(text) => {
                self.words_heard(&text);
                self.endpoint.handle_interim(now, &text);
                self.judge_answerer(now, &text, false);
                self.judge_words(now, false);
                self.likely_over(now);
            }
            SttEvent::Final { text, confidence, speech_final } => {
                self.timers.clear(Timer::SttStall);
                self.timers.clear(Timer::SttLate);
                self.words_heard(&text);
                self.endpoint.handle_final(now, &text, confidence, speech_final);
                self.judge_answerer(now, &text, true);
                self.judge_words(now, true);
                self.likely_over(now);
                if let Phase::Ending { reason, .. } = self.phase
                    && self.reply.is_none()
                {
                    return self.finish(now, reason);
                }
            }
            SttEvent::UtteranceEnd => self.endpoint.handle_utterance_end(),
            SttEvent::EndOfTurn { text, confidence } => {
                self.timers.clear(Timer::SttStall);
                self.timers.clear(Timer::SttLate);
                self.words_heard(&text);
                self.endpoint.handle_end_of_turn(now, &text, confidence);
                self.judge_answerer(now, &text, true);
                self.judge_words(now, true);
            }
            SttEvent::EagerEndOfTurn => self.think_ahead(now),
            SttEvent::TurnResumed => {
                self.discard_ahead();
                self.endpoint.handle_turn_resumed();
            }
            SttEvent::StartOfTurn => self.endpoint.handle_turn_model(),
            SttEvent::Reconnecting(failure) => self.metrics.provider_error("stt", failure.kind()),
            SttEvent::Switched(switch) => self.note_switch(now, &switch),
            SttEvent::Failed(failure) => {
                self.metrics.provider_error("stt", failure.kind());
                self.give_up(now);
            }
        }
        self.check_turn(now);
    }

    /// Records that a fallback provider took over.
    pub fn note_switch(&mut self, now: Instant, switch: &Switch) {
        tracing::warn!(
            stage = switch.stage.name(),
            from = switch.from,
            to = switch.to,
            why = switch.why,
            "provider replaced"
        );
        let at_ms = self.ms(now);
        self.metrics.switched(at_ms, switch);
    }

    fn judge_answerer(&mut self, now: Instant, text: &str, is_final: bool) {
        let found = self.detection.as_mut().and_then(|detection| detection.handle_words(now, text, is_final));
        self.answered_by(now, found);
    }

    fn words_heard(&mut self, text: &str) {
        if !text.is_empty() {
            self.unsaid = None;
            self.silence_prompts = 0;
            self.stt_stalls = 0;
            self.timers.clear(Timer::SttStall);
            self.timers.clear(Timer::Resume);
        }
    }

    fn check_turn(&mut self, now: Instant) {
        if self.is_talking()
            && let Some(turn) = self.endpoint.poll_turn(now)
        {
            self.handle_turn(now, turn);
        }
    }

    pub fn handle_digit(&mut self, now: Instant, digit: char) {
        self.timers.clear(Timer::Silence);
        if let Some(pressed) = self.keys.handle_digit(now, digit) {
            self.pressed(now, pressed);
        }
    }

    fn pressed(&mut self, now: Instant, pressed: Pressed) {
        if !self.is_talking() || self.is_transferring() {
            return;
        }
        let digits = match pressed {
            Pressed::Rule(rule) if rule.action == Action::Say => {
                let text = rule.text.unwrap_or_default();
                self.say_instead(now, &text, crate::dialogue::reply::Then::Listen);
                return;
            }
            Pressed::Rule(rule) if rule.action == Action::EndCall => {
                let goodbye = self.phrases.goodbye;
                self.say_instead(now, goodbye, crate::dialogue::reply::Then::HangUp(EndReason::AgentHungUp));
                return;
            }
            Pressed::Rule(rule) if rule.action == Action::Transfer => {
                if let Some(target) = rule.target.as_deref().and_then(Target::parse) {
                    let config = self.brief.agent.transfers();
                    let known = config.destinations.iter().find(|one| one.target == target.as_str());
                    let mode = known.and_then(|one| one.mode).unwrap_or(config.mode);
                    let name = known.map_or(target.as_str(), |one| &one.name).to_owned();
                    let briefing = (mode == TransferMode::Attended).then(|| self.phrases.caller_waits.to_owned());
                    self.transfer(now, transfer::Transfer::new(name, target, mode, briefing, None), false);
                }
                return;
            }
            Pressed::Rule(rule) if rule.action == Action::Tool => {
                return self.press_tool(now, &rule.digits, rule.tool.unwrap_or_default());
            }
            Pressed::Rule(rule) => rule.digits,
            Pressed::Digits(digits) => digits,
        };
        let text = format!("[DTMF {digits}]");
        self.handle_turn(now, endpoint::Turn { text, confidence: None, started: now, ended: now, final_at: None });
    }

    pub fn handle_piece_started(&mut self, piece: PieceId, at: Instant) {
        self.timers.clear(Timer::Silence);
        let at_ms = self.ms(at);
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == piece.generation) else { return };
        reply.playing(piece.index);
        if reply.started_at_ms.is_none() {
            reply.started_at_ms = Some(at_ms);
            reply.turn = Some(self.transcript.open());
            self.metrics.first_sound(piece.generation, at_ms);
        }
        self.voice_failures = 0;
        self.record_reply(at_ms, false, None);
    }

    pub fn handle_piece_finished(&mut self, heard: Heard, at: Instant) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == heard.piece.generation) else {
            return;
        };
        reply.played(heard.piece.index);
        let at_ms = self.ms(at);
        self.record_reply(at_ms, false, None);
        self.advance(at);
    }

    /// Playback was flushed; `heard` says how far each segment got.
    pub fn handle_flushed(&mut self, now: Instant, barge_in: bool, silenced: u32, heard: &[Heard]) {
        // A report of an older response that was cancelled unheard does not concern this one.
        let Some(mut reply) = self.reply.take_if(|reply| reply.generation <= silenced) else { return };
        let generation = reply.generation;
        let reports: Vec<_> = heard.iter().filter(|one| one.piece.generation == generation).collect();
        for one in reports.iter().filter(|one| one.complete) {
            reply.played(one.piece.index);
        }
        let sent: Vec<(u32, u64)> = reports.iter().map(|one| (one.piece.index, one.sent_samples)).collect();
        let (said, rest) = reply.cut(&sent);
        self.output(Output::CancelModel);
        if barge_in {
            self.metrics.barge_ins += 1;
            self.output(Output::Silence { generation });
        }
        let at_ms = self.ms(now);
        if reply.turn.is_some() && !reply.is_filler {
            self.history.assistant(&said, Vec::new());
        }
        let then = reply.then;
        self.held = None;
        self.was_cut = reply.turn.is_some() && !rest.is_empty();
        self.engine_cut(&reply, &sent);
        self.reply = Some(reply);
        self.record_reply(at_ms, true, Some(said));
        self.reply = None;
        self.after_cut(now, then, barge_in.then_some(rest));
    }

    /// Ends the call on request: `POST /calls/:id/end` and `/cancel`, shutdown, overload.
    pub fn handle_command(&mut self, now: Instant, reason: EndReason) {
        self.begin_end(now, reason, Duration::from_millis(100));
    }

    /// The peer hung up: its final transcript may still arrive.
    pub fn handle_peer_gone(&mut self, now: Instant, reason: EndReason) {
        let reason = self.gone_after_transfer(reason);
        let pending =
            self.endpoint.is_speaking() || !self.endpoint.words().is_empty() || self.timers.is_set(Timer::SttStall);
        if self.is_talking() && pending && self.engine.is_none() {
            self.output(Output::FinalizeStt);
        }
        self.begin_end(now, reason, if pending { LAST_WORDS } else { Duration::from_millis(60) });
    }

    pub fn handle_network_lost(&mut self, now: Instant) {
        self.begin_end(now, EndReason::NetworkLost, Duration::from_millis(100));
    }

    fn begin_end(&mut self, now: Instant, reason: EndReason, wait: Duration) {
        if !self.is_talking() {
            return;
        }
        self.phase = Phase::Ending { reason, until: now + wait };
        self.timers.clear_all();
        self.timers.set(Timer::LastWords, now + wait);
        self.output(Output::CancelModel);
        match &self.reply {
            Some(reply) => {
                let generation = reply.generation;
                self.output(Output::Silence { generation });
            }
            None if wait < LAST_WORDS => self.finish(now, reason),
            None => {}
        }
    }

    /// Ends the machine: records what is left and hangs up.
    fn finish(&mut self, now: Instant, reason: EndReason) {
        if self.phase == Phase::Over {
            return;
        }
        if self.reply.is_some() {
            // Without a playback report, what was playing counts as heard up to its last finished segment.
            let said = self.reply.as_ref().map(Reply::said).unwrap_or_default();
            let at_ms = self.ms(now);
            self.record_reply(at_ms, true, Some(said));
            self.reply = None;
        }
        for turn in [self.waiting_turn.take(), self.endpoint.take(now)].into_iter().flatten() {
            self.record_user(&turn);
        }
        self.transcript.close();
        self.tell_turns();
        self.outputs.push_back(Output::HangUp { reason });
        self.phase = Phase::Over;
        self.timers.clear_all();
    }
}

#[cfg(test)]
mod tests;
