//! Calls on a realtime model, which listens, thinks and speaks by itself. What was heard, hang-up and tools are still
//! decided here.

use super::transcript::TurnNumber;
use super::{Machine, Output, Phase, Timer};
use crate::dialogue::reply::{Reply, Then};
use crate::domain::chat::GO_ON;
use crate::domain::transcript::{Role, Turn};
use crate::providers::engine::{Event, Input};
use crate::providers::{Failure, Switch};
use std::time::{Duration, Instant};
use trunkline_media::playout::queue::PieceId;
use trunkline_media::turn::endpoint;

/// A realtime model that does not respond for this long is considered failed.
const STALL: Duration = Duration::from_secs(6);
/// The shorter timeout in the middle of a response.
const STALL_MID_ANSWER: Duration = Duration::from_secs(3);
/// How long the caller's transcript, and the turns after it, wait: providers send it within a second or two, or never.
const WORDS_MAX: Duration = Duration::from_secs(4);
/// Samples in a millisecond.
const SAMPLES_A_MS: u64 = 8;

/// What an engine can do, and who stands in for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineTraits {
    /// `provider/model`.
    pub name: String,
    /// It can be made to say a given text.
    pub can_say: bool,
    /// It says the first message without being told.
    pub greets: bool,
    /// `provider/model` of the text model that takes over when it fails.
    pub stand_in: Option<String>,
}

/// The caller's turn whose transcript is outstanding.
#[derive(Clone, Copy, Debug)]
struct Spoken {
    /// Its place in the transcript, until the words are not waited for any more.
    turn: Option<TurnNumber>,
    started: Instant,
    ended: Instant,
}

#[derive(Debug)]
pub(super) struct State {
    traits: EngineTraits,
    /// The generation of the answer that is coming in.
    answering: Option<u32>,
    /// Items of the response by segment, and whether any audio came for them.
    items: Vec<(u32, bool)>,
    /// What happens after the next response.
    then: Option<Then>,
    spoken: Option<Spoken>,
    speech_started: Option<Instant>,
    /// End of the caller's speech and of the turn, for the figures of the next answer.
    turn: Option<(Instant, Instant)>,
}

impl State {
    pub(super) fn can_say(&self) -> bool {
        self.traits.can_say
    }

    pub(super) fn new(traits: EngineTraits) -> Self {
        Self { traits, answering: None, items: Vec::new(), then: None, spoken: None, speech_started: None, turn: None }
    }
}

impl Machine {
    pub fn handle_engine(&mut self, now: Instant, event: Event) {
        if self.engine.is_none() {
            return;
        }
        match event {
            Event::Ready | Event::Conversation(_) | Event::Audio { .. } | Event::ItemDone { .. } => {}
            Event::SpeechStarted => {
                if let Some(state) = &mut self.engine {
                    state.speech_started = Some(now);
                }
                self.engine_interrupted();
            }
            Event::Interrupted => self.engine_interrupted(),
            Event::SpeechStopped => self.engine_turn_over(now),
            Event::UserInterim(text) => self.words_heard(&text),
            Event::UserFinal(text) => self.engine_heard(now, &text),
            Event::ResponseStarted => self.engine_answers(now),
            Event::Text { item, text } => self.engine_words(item, &text, false),
            Event::WholeText { item, text } => self.engine_words(item, &text, true),
            // Tools run after the text before them was heard.
            Event::Tools(calls) => match self.reply.as_mut().filter(|reply| !reply.canned) {
                Some(reply) => reply.tool_calls.extend(calls),
                None => {
                    self.history.assistant("", calls.clone());
                    self.run_tools(now, &calls, false);
                }
            },
            Event::ResponseDone(mut usage) => {
                if let Some(state) = &self.engine {
                    usage.model.clone_from(&state.traits.name);
                }
                let generation = self.engine.as_ref().and_then(|state| state.answering).unwrap_or_default();
                self.metrics.used(generation, &usage);
                self.engine_done(now);
            }
            Event::Failed(failure) => self.engine_failed(now, &failure),
        }
    }

    /// The segment that audio of an item belongs to; `None` for audio that must not be played.
    pub fn handle_engine_audio(&mut self, now: Instant, item: u32) -> Option<PieceId> {
        let generation = self.engine.as_ref()?.answering?;
        let index = self.engine_item(item)?;
        if let Some(state) = &mut self.engine {
            state.items[index as usize].1 = true;
        }
        let at_ms = self.ms(now);
        self.metrics.first_token(generation, at_ms);
        self.metrics.first_audio(generation, at_ms);
        self.timers.set(Timer::EngineStall, now + STALL_MID_ANSWER);
        self.model_failures = 0;
        Some(PieceId { generation, index })
    }

    /// The answer that is coming in, as long as it is wanted.
    fn engine_reply(&mut self) -> Option<&mut Reply> {
        let generation = self.engine.as_ref()?.answering?;
        self.reply.as_mut().filter(|reply| reply.generation == generation)
    }

    /// The piece of an item; a new one where it has none.
    fn engine_item(&mut self, item: u32) -> Option<u32> {
        let known = self.engine.as_ref()?.items.iter().position(|(known, _)| *known == item);
        if let Some(index) = known {
            return Some(index as u32);
        }
        let index = self.engine_reply()?.open();
        self.engine.as_mut()?.items.push((item, false));
        Some(index)
    }

    fn engine_words(&mut self, item: u32, text: &str, whole: bool) {
        if let Some(index) = self.engine_item(item)
            && let Some(reply) = self.engine_reply()
        {
            reply.words(index, text, whole);
        }
    }

    fn engine_answers(&mut self, now: Instant) {
        let ending = self.reply.as_ref().is_some_and(|reply| reply.canned && matches!(reply.then, Then::HangUp(_)));
        let announced = self.engine.as_ref().is_some_and(|state| state.then.is_some());
        // Responses to an announcement are dropped; our message is the next response.
        let announcement = self.mailbox.is_some() && self.engine.as_ref().is_none_or(|state| state.then.is_none());
        if !self.is_talking() || ending || announcement || self.is_transferring() && !announced {
            return self.output(Output::Engine(Input::Interrupted { item: None }));
        }
        if let Some(reply) = self.reply.take() {
            // Barge-in at its end, or a second response: the older one is over.
            let generation = reply.generation;
            self.output(Output::Silence { generation });
            let (said, at_ms) = (reply.said(), self.ms(now));
            if reply.turn.is_some() {
                self.history.assistant(&said, Vec::new());
                self.reply = Some(reply);
                self.record_reply(at_ms, true, Some(said));
                self.reply = None;
            }
        }
        self.generation += 1;
        let generation = self.generation;
        let mut reply = Reply::from_model(generation, self.brief.style());
        let Some(state) = &mut self.engine else { return };
        state.answering = Some(generation);
        state.items.clear();
        reply.then = state.then.take().unwrap_or(Then::Listen);
        let turn = state.turn.take();
        self.reply = Some(reply);
        if let Some((speech_ended, decided)) = turn {
            let (speech_ended, decided) = (self.ms(speech_ended), self.ms(decided));
            self.metrics.turn(generation, speech_ended, None, decided);
        }
        self.timers.clear(Timer::Silence);
        self.timers.set(Timer::EngineStall, now + STALL);
    }

    fn engine_done(&mut self, now: Instant) {
        self.timers.clear(Timer::EngineStall);
        let Some(state) = &mut self.engine else { return };
        let Some(generation) = state.answering.take() else { return };
        let items = std::mem::take(&mut state.items);
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.generation == generation) else { return };
        for (index, _) in items.iter().enumerate().filter(|(_, (_, sounded))| !sounded) {
            reply.voice_failed(index as u32);
        }
        let _ = reply.finish();
        let said_something = items.iter().any(|(_, sounded)| *sounded);
        if said_something || !reply.tool_calls.is_empty() {
            return self.advance(now);
        }
        self.reply = None;
        self.metrics.provider_error("engine", "garbage");
        self.model_failures += 1;
        if self.model_failures >= super::FAILURES_MAX {
            return self.engine_failed(now, &Failure::Garbage("empty answer".to_owned()));
        }
        let text = self.phrases.repeat;
        self.say(now, text, Then::Listen);
    }

    /// The realtime model detected the caller's speech: stop playing its response.
    fn engine_interrupted(&mut self) {
        self.timers.clear(Timer::Silence);
        if !self.brief.agent.turn().barge_in {
            return;
        }
        if let Some(reply) = &self.reply {
            let generation = reply.generation;
            self.output(Output::Silence { generation });
        }
    }

    fn engine_turn_over(&mut self, now: Instant) {
        let Some(state) = &mut self.engine else { return };
        state.turn = Some((now, now));
        if state.spoken.is_none() {
            let started = state.speech_started.take().unwrap_or(now);
            state.spoken = Some(Spoken { turn: Some(self.transcript.open()), started, ended: now });
            self.timers.set(Timer::CallerWords, now + WORDS_MAX);
        }
    }

    /// The caller's transcript timed out: later turns are published without it.
    pub(super) fn caller_words_late(&mut self) {
        let late = self.engine.as_mut().and_then(|state| state.spoken.as_mut()?.turn.take());
        if let Some(number) = late {
            self.transcript.drop(number);
            self.tell_turns();
        }
    }

    fn engine_heard(&mut self, now: Instant, text: &str) {
        self.words_heard(text);
        let spoken = self.engine.as_mut().and_then(|state| state.spoken.take());
        self.timers.clear(Timer::CallerWords);
        if !text.is_empty() {
            let spoken = spoken.unwrap_or(Spoken { turn: None, started: now, ended: now });
            let number = spoken.turn.unwrap_or_else(|| self.transcript.open());
            let turn = Turn {
                role: Role::User,
                content: text.to_owned(),
                started_at_ms: self.ms(spoken.started),
                ended_at_ms: self.ms(spoken.ended),
                interrupted: false,
                confidence: None,
            };
            self.record(number, turn);
            self.history.user(text);
            self.rounds = 0;
            if self.is_talking() && self.engine.as_ref().is_some_and(|state| state.answering.is_none()) {
                self.timers.set(Timer::EngineStall, now + STALL);
            }
        } else if let Some(number) = spoken.and_then(|spoken| spoken.turn) {
            self.transcript.drop(number);
            self.tell_turns();
        }
        if let Phase::Ending { reason, .. } = self.phase
            && self.reply.is_none()
        {
            self.finish(now, reason);
        }
    }

    /// Lets the LLM continue a response that the realtime model left unfinished.
    pub(super) fn go_on_after_engine(&mut self, now: Instant) -> bool {
        let cut_off = std::mem::take(&mut self.cut_off);
        if cut_off {
            self.ask(now, Some(GO_ON));
        }
        cut_off
    }

    /// Sends user input that is not speech: DTMF.
    pub(super) fn tell_engine(&mut self, turn: &endpoint::Turn) {
        if let Some(reply) = &self.reply {
            let generation = reply.generation;
            self.output(Output::Silence { generation });
        }
        self.record_user(turn);
        self.history.user(&turn.text);
        self.output(Output::Engine(Input::User(turn.text.clone())));
    }

    /// True when an engine says the first words.
    pub(super) fn engine_greets(&mut self, now: Instant) -> bool {
        let greets = self.engine.as_ref().is_some_and(|state| state.traits.greets);
        if greets {
            self.timers.set(Timer::EngineStall, now + STALL);
        }
        greets
    }

    /// Says a scripted text with the realtime voice, if it can.
    pub(super) fn engine_says(&mut self, now: Instant, text: &str, then: Then) -> bool {
        let Some(state) = self.engine.as_mut().filter(|state| state.traits.can_say) else { return false };
        state.then = Some(then);
        self.timers.clear(Timer::Silence);
        self.timers.set(Timer::EngineStall, now + STALL);
        if matches!(then, Then::HangUp(_)) {
            self.timers.set(Timer::Goodbye, now + super::GOODBYE_MAX);
        }
        self.output(Output::Engine(Input::Say(text.to_owned())));
        true
    }

    pub(super) fn engine_asked(&mut self, now: Instant, hint: Option<&str>) -> bool {
        if self.engine.is_none() {
            return false;
        }
        self.tools.told();
        self.timers.set(Timer::EngineStall, now + STALL);
        self.output(Output::Engine(Input::Ask(hint.map(str::to_owned))));
        true
    }

    pub(super) fn engine_result(&mut self, id: &str, result: &str) {
        if self.engine.is_some() {
            self.output(Output::Engine(Input::ToolResult { id: id.to_owned(), result: result.to_owned() }));
        }
    }

    /// A response was cut: tells the realtime model how much of which item was heard.
    pub(super) fn engine_cut(&mut self, reply: &Reply, sent: &[(u32, u64)]) {
        let Some(state) = &mut self.engine else { return };
        if reply.canned {
            return;
        }
        let cut = reply.unfinished().and_then(|index| {
            let (item, _) = *state.items.get(index as usize)?;
            let samples = sent.iter().find(|(of, _)| *of == index).map_or(0, |(_, samples)| *samples);
            Some((item, samples / SAMPLES_A_MS))
        });
        if state.answering == Some(reply.generation) {
            state.answering = None;
        }
        self.timers.clear(Timer::EngineStall);
        self.output(Output::Engine(Input::Interrupted { item: cut }));
    }

    /// The realtime model failed: the fallback takes over, or the call ends with an apology.
    pub(super) fn engine_failed(&mut self, now: Instant, failure: &Failure) {
        self.caller_words_late();
        let Some(state) = self.engine.take() else { return };
        tracing::warn!(%failure, "realtime model failed");
        self.metrics.provider_error("engine", failure.kind());
        self.timers.clear(Timer::EngineStall);
        self.output(Output::LeaveEngine);
        if !self.is_talking() {
            return;
        }
        let sounding = self.reply.as_mut().is_some_and(|reply| {
            let _ = reply.finish();
            reply.turn.is_some()
        });
        if !sounding {
            self.reply = None;
        }
        let Some(to) = state.traits.stand_in else { return self.give_up(now) };
        let after = state.turn.map_or(Duration::ZERO, |(_, decided)| now.saturating_duration_since(decided));
        let from = state.traits.name;
        let switch = Switch { stage: crate::domain::provider::Stage::Engine, from, to, why: failure.kind(), after };
        self.note_switch(now, &switch);
        if let Some(reply) = self.reply.as_ref().filter(|_| sounding) {
            // First the report of what was heard, then the LLM continues.
            let generation = reply.generation;
            self.cut_off = true;
            return self.output(Output::Silence { generation });
        }
        if self.history.is_empty() {
            self.greet(now);
        } else if self.history.ends_with_user() {
            self.ask(now, None);
        } else {
            let text = self.phrases.repeat;
            self.say(now, text, Then::Listen);
        }
    }
}
