//! One overlap played through a call: the real leg and the real call machine in virtual time, with the agent's own audio.

use super::row::{OverlapLabel, OverlapRow};
use crate::line::{CallerAudio, LiveLine};
use crate::row::TimedWord;
use crate::words::{Punctuation, SimulatedStt, SpokenWords, SttDelays};
use std::time::{Duration, Instant};
use trunkline_conversation::machine::{CallMachine, CallOutput, CallSpec};
use trunkline_domain::agent::AgentFields;
use trunkline_domain::transcript::TurnRole;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_media::frame::{FRAME_DURATION, SAMPLE_RATE_HZ};
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::queue::SegmentId;
use trunkline_providers::{LlmEvent, SttEvent, TokenUsage};

/// From the start of the call to the row: the greeting, and the caller's first turn over the noise of its line, in which
/// the leg learns the caller's level.
const BEFORE: Duration = Duration::from_millis(7_000);
/// From the start of the call to the caller's first turn.
const FIRST_TURN_AT: Duration = Duration::from_millis(800);
/// From the start of the call to its words.
const FIRST_WORDS_AT: Duration = Duration::from_millis(3_200);
/// The first turn lasts this long: two seconds, and its words follow.
const FIRST_TURN_SAMPLES: usize = 16_000;
/// How long a row is watched after its sound.
const WATCHED_AFTER: Duration = Duration::from_secs(4);
const GREETING: &str = "Good morning.";
const GREETING_SAMPLES: usize = 2_400;
const FIRST_TURN: &str = "Please tell me about my order.";
const STEPS_MAX: usize = 200_000;

/// A row with its audio at 8 kHz.
#[derive(Debug)]
pub struct Overlap {
    /// What is in the row.
    pub row: OverlapRow,
    /// What the agent says.
    pub agent: Vec<i16>,
    /// What comes from the caller.
    pub caller: Vec<i16>,
}

/// Why the agent stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// The sound alone.
    Voice,
    /// Words, while it spoke or was held.
    Words,
    /// The words were a whole turn.
    Turn,
}

impl StopCause {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Words => "words",
            Self::Turn => "turn",
        }
    }
}

/// A time in which playout is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When it begins, from the first sample of the row.
    pub from: Duration,
    /// When the agent goes on or is stopped; `None` if neither was seen.
    pub until: Option<Duration>,
}

/// What the agent did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlapOutcome {
    /// In order.
    pub holds: Vec<Hold>,
    /// When it was stopped, and why: the rest is not said, or said again later.
    pub stopped: Option<(Duration, StopCause)>,
    /// When it had said everything.
    pub finished: Option<Duration>,
    /// When words were taken as a turn that is answered, and which.
    pub answered: Option<(Duration, String)>,
    /// Whether STT got each frame of 20 ms as sound, from the first sample of the row.
    pub passed: Vec<bool>,
}

/// The caller's voice of a set: of interruptions, at their middle level, for as long as a first turn. `None` if nobody
/// interrupts in it.
pub fn first_turn(overlaps: &[Overlap]) -> Option<Vec<i16>> {
    let sound = |overlap: &Overlap| {
        let sample = |at: Duration| (at.as_secs_f64() * f64::from(SAMPLE_RATE_HZ)) as usize;
        overlap.caller.get(sample(overlap.row.onset)..sample(overlap.row.offset)).unwrap_or_default().to_vec()
    };
    let energy = |samples: &[i16]| {
        samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
    };
    let interruptions = overlaps.iter().filter(|overlap| overlap.row.label == OverlapLabel::Interruption);
    let mut voices: Vec<Vec<i16>> = interruptions.map(sound).filter(|samples| samples.len() > 4_000).collect();
    voices.sort_by(|one, other| energy(one).total_cmp(&energy(other)));
    let middle = voices.len() / 2;
    let voice = voices.get(middle..)?.iter().take(3).flatten().copied();
    let voice: Vec<i16> = voice.take(FIRST_TURN_SAMPLES).collect();
    (!voice.is_empty()).then_some(voice)
}

/// Plays an overlap. `first_turn`: what the caller says before the agent speaks.
pub fn play(
    origin: Instant, overlap: &Overlap, first_turn: &[i16], turn: &TurnConfig, delays: SttDelays,
) -> OverlapOutcome {
    let row = &overlap.row;
    let audio = caller_audio(overlap, first_turn);
    let words = match row.label {
        // What the leg lets through of an echo, STT hears as words of the agent.
        OverlapLabel::Echo => {
            let deaf = PlayedOverlap::new(origin, overlap, turn, &audio, (&[], &[]), delays).play();
            echoed_words(row, &deaf.passed)
        }
        _ => row.words.clone(),
    };
    let silences = silences(row, &words);
    PlayedOverlap::new(origin, overlap, turn, &audio, (&words, &silences), delays).play()
}

/// The caller's line: its noise with the first turn in it, the row, and its noise again.
fn caller_audio(overlap: &Overlap, first_turn: &[i16]) -> CallerAudio {
    let row = &overlap.row;
    let samples = |duration: Duration| (duration.as_secs_f64() * f64::from(SAMPLE_RATE_HZ)) as usize;
    let head = overlap.caller.get(..samples(row.agent_start)).unwrap_or_default();
    let mut all: Vec<i16> = head.iter().rev().chain(head).copied().cycle().take(samples(BEFORE)).collect();
    all.resize(samples(BEFORE), 0);
    for (sample, said) in all.iter_mut().skip(samples(FIRST_TURN_AT)).zip(first_turn) {
        *sample = sample.saturating_add(*said);
    }
    all.extend(&overlap.caller);
    let last = row.offset.max(row.agent_end);
    CallerAudio::whole(&all, BEFORE + last, BEFORE + last + WATCHED_AFTER)
}

/// Words of the agent whose echo STT gets, at the time at which it comes.
fn echoed_words(row: &OverlapRow, passed: &[bool]) -> Vec<TimedWord> {
    let late = row.onset.saturating_sub(row.agent_start);
    let frame = |at: Duration| (at.as_millis() / FRAME_DURATION.as_millis()) as usize;
    let echoed =
        row.agent_words.iter().map(|word| TimedWord { start: word.start + late, end: word.end + late, ..word.clone() });
    let is_heard = |word: &TimedWord| {
        let frames = passed.get(frame(word.start)..frame(word.end).max(frame(word.start) + 1)).unwrap_or_default();
        !frames.is_empty() && frames.iter().filter(|passed| **passed).count() * 10 >= frames.len() * 7
    };
    echoed.filter(is_heard).collect()
}

/// The silences between words, as STT hears them.
fn silences(row: &OverlapRow, words: &[TimedWord]) -> Vec<(Duration, Duration)> {
    let mut silences = Vec::new();
    let mut from = Duration::ZERO;
    for word in words {
        if word.start > from + Duration::from_millis(100) {
            silences.push((from, word.start));
        }
        from = from.max(word.end);
    }
    let end = if words.is_empty() { row.offset } else { from };
    silences.push((end, Duration::MAX));
    silences
}

struct PlayedOverlap<'a> {
    origin: Instant,
    overlap: &'a Overlap,
    line: LiveLine<'a>,
    stt: SimulatedStt<'a>,
    machine: CallMachine,
    now: Instant,
    /// The agent's segments, until its voice begins.
    waiting: Vec<(SegmentId, String)>,
    /// The caller's first turn is still to come.
    is_first_turn_due: bool,
    /// A stop that the call has asked for.
    asked: Option<StopCause>,
    /// The caller's last turn in the transcript.
    last_words: String,
    outcome: OverlapOutcome,
}

impl<'a> PlayedOverlap<'a> {
    fn new(
        origin: Instant, overlap: &'a Overlap, turn: &TurnConfig, audio: &'a CallerAudio,
        said: (&'a [TimedWord], &'a [(Duration, Duration)]), delays: SttDelays,
    ) -> Self {
        let agent = AgentFields {
            name: "overlaps".to_owned(),
            is_active: true,
            first_message: Some(GREETING.to_owned()),
            turn_config: Some(turn.clone()),
            autonomous_silence_handling: Some(false),
            ..AgentFields::default()
        };
        let spec = CallSpec {
            agent_id: None,
            agent,
            task: None,
            fixed_texts: std::sync::Arc::default(),
            spoken: Some(overlap.row.language.clone()),
            is_web: false,
            known: Default::default(),
            today: jiff::civil::date(2026, 11, 28),
        };
        let spoken = SpokenWords { words: said.0, silences: said.1, punctuation: Punctuation::Rows };
        let endpointing = Duration::from_millis(turn.endpointing_ms);
        Self {
            origin,
            overlap,
            line: LiveLine::new(origin, audio, turn, &[]),
            stt: SimulatedStt::new(spoken, SttDelays { endpointing, ..delays }),
            machine: CallMachine::new(origin, spec),
            now: origin,
            waiting: Vec::new(),
            is_first_turn_due: true,
            asked: None,
            last_words: String::new(),
            outcome: OverlapOutcome::default(),
        }
    }

    fn play(mut self) -> OverlapOutcome {
        let row = &self.overlap.row;
        let last = self.begins() + row.offset.max(row.agent_end) + WATCHED_AFTER;
        self.execute_outputs();
        for _ in 0..STEPS_MAX {
            let Some(due) = self.poll_timeout().filter(|due| *due <= last) else { break };
            self.now = self.now.max(due);
            self.step(due);
            self.execute_outputs();
        }
        let skipped = BEFORE.as_millis() / FRAME_DURATION.as_millis();
        self.outcome.passed = self.line.passed().get(skipped as usize..).unwrap_or_default().to_vec();
        self.outcome
    }

    /// The first sample of the row.
    fn begins(&self) -> Instant {
        self.origin + BEFORE
    }

    fn row_time(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.begins())
    }

    fn first_turn_at(&self) -> Option<Instant> {
        self.is_first_turn_due.then(|| self.origin + FIRST_WORDS_AT)
    }

    fn voice_at(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.begins() + self.overlap.row.agent_start)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let stt = self.stt.poll_timeout().map(|at| self.begins() + at);
        let ours = [self.first_turn_at(), self.voice_at(), stt, self.machine.poll_timeout()];
        ours.into_iter().flatten().chain(self.line.poll_timeout(self.now)).min()
    }

    fn step(&mut self, due: Instant) {
        if self.line.poll_timeout(self.now).is_some_and(|at| at <= due) {
            let mut events = Vec::new();
            self.line.handle_timeout(self.now, |event| events.push(event));
            events.into_iter().for_each(|event| self.handle_leg_event(event));
        } else if self.stt.poll_timeout().is_some_and(|at| self.begins() + at <= due) {
            if let Some(event) = self.stt.handle_timeout(self.row_time(self.now)) {
                self.machine.handle_stt(self.now, event);
            }
        } else if self.voice_at().is_some_and(|at| at <= due) {
            self.begin_voice();
        } else if self.first_turn_at().is_some_and(|at| at <= due) {
            self.is_first_turn_due = false;
            let text = FIRST_TURN.to_owned();
            self.machine.handle_stt(self.now, SttEvent::Final { text, confidence: Some(0.95), speech_final: true });
        } else {
            self.machine.handle_timeout(self.now);
        }
    }

    /// The agent speaks: each segment has the audio of its words.
    fn begin_voice(&mut self) {
        let row = &self.overlap.row;
        let sample =
            |at: Duration| ((at.as_secs_f64() * f64::from(SAMPLE_RATE_HZ)) as usize).min(self.overlap.agent.len());
        let (mut words, mut from) = (0, sample(row.agent_start));
        let last = sample(row.agent_end);
        let segments = std::mem::take(&mut self.waiting);
        let count = segments.len();
        for (index, (segment, text)) in segments.into_iter().enumerate() {
            words += text.split_whitespace().count();
            let border = row.agent_words.get(words).map_or(last, |word| sample(word.start));
            let until = if index + 1 == count { last } else { border.clamp(from, last) };
            let samples = self.overlap.agent.get(from..until).unwrap_or_default().to_vec();
            from = until;
            self.machine.handle_tts_audio(self.now, segment);
            self.machine.handle_tts_done(segment, samples.len() as u64);
            self.line.leg().play(segment, samples, true);
        }
    }

    fn is_of_row(&self) -> bool {
        self.now >= self.begins()
    }

    fn handle_leg_event(&mut self, event: LegEvent) {
        let at = self.row_time(self.now);
        match &event {
            LegEvent::PlayoutPaused { .. } if self.is_of_row() => {
                self.outcome.holds.push(Hold { from: at, until: None });
            }
            LegEvent::PlayoutFlushed { heard, .. } if self.is_of_row() && !heard.is_empty() => self.record_stop(at),
            LegEvent::SegmentFinished { .. } if self.is_of_row() => self.outcome.finished = Some(at),
            _ => {}
        }
        self.machine.handle_leg_event(self.now, event);
    }

    fn record_stop(&mut self, at: Duration) {
        self.end_hold(at);
        let cause = self.asked.take().unwrap_or(StopCause::Voice);
        if self.outcome.stopped.is_none() {
            self.outcome.stopped = Some((at, cause));
            self.outcome.finished = None;
        }
    }

    fn end_hold(&mut self, at: Duration) {
        if let Some(hold) = self.outcome.holds.last_mut() {
            hold.until.get_or_insert(at);
        }
    }

    fn execute_outputs(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                CallOutput::RequestLlm { response_id, .. } if !self.is_of_row() => {
                    let text = LlmEvent::Text(self.overlap.row.agent_text.clone());
                    self.machine.handle_llm_event(self.now, response_id, text);
                    self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(TokenUsage::default()));
                }
                CallOutput::RequestLlm { .. } => self.record_answer(),
                CallOutput::Speak { segment, text } => self.speak(segment, text),
                CallOutput::CancelSpeech { response_id } => self.flush(response_id, false, StopCause::Turn),
                CallOutput::Interrupt { response_id } => self.flush(response_id, true, StopCause::Words),
                CallOutput::Resume => {
                    self.line.leg().resume();
                    let at = self.row_time(self.now);
                    self.end_hold(at);
                }
                CallOutput::FinalizeStt if self.is_of_row() => self.stt.finalize(self.row_time(self.now)),
                CallOutput::Turn { turn, .. } if turn.role == TurnRole::User => self.last_words = turn.content,
                _ => {}
            }
        }
    }

    fn record_answer(&mut self) {
        if self.outcome.answered.is_none() {
            self.outcome.answered = Some((self.row_time(self.now), self.last_words.clone()));
        }
    }

    /// The greeting is played at once; the answer waits for its audio. What comes after the row's event is not voiced.
    fn speak(&mut self, segment: SegmentId, text: String) {
        if !self.is_first_turn_due && !self.is_of_row() {
            return self.waiting.push((segment, text));
        }
        let samples = if self.is_first_turn_due { GREETING_SAMPLES } else { 0 };
        self.machine.handle_tts_audio(self.now, segment);
        self.machine.handle_tts_done(segment, samples as u64);
        if samples > 0 {
            self.line.leg().play(segment, crate::line::agent_voice(samples), true);
        }
    }

    fn flush(&mut self, response_id: u32, barge_in: bool, cause: StopCause) {
        self.asked = Some(cause);
        self.line.leg().flush(self.now, response_id, barge_in);
        let mut events = Vec::new();
        self.line.reports(&mut |event| events.push(event));
        events.into_iter().for_each(|event| self.handle_leg_event(event));
        self.asked = None;
    }
}
