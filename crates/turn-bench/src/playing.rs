//! One turn played through a call: the real leg and the real call machine in virtual time, with a simulated STT and an
//! agent whose answers are audible after a set time.

use super::line::{ANSWER_SAMPLES, CallerAudio, LiveLine, RecordedLine, agent_voice};
use super::row::TurnRow;
use super::stt_source::SttSource;
use std::time::{Duration, Instant};
use trunkline_conversation::machine::{CallMachine, CallOutput, CallSpec};
use trunkline_domain::agent::AgentFields;
use trunkline_domain::transcript::TurnRole;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::queue::SegmentId;
use trunkline_providers::{LlmEvent, TokenUsage};

/// What the agent said before the turn, if the row does not say.
const ASKED: &str = "Good morning.";
/// What the agent answers.
const ANSWER: &str = "Yes, let me have a look at that for you right now.";
/// Steps of a call at most: more would be a loop without progress.
const STEPS_MAX: usize = 1_000_000;

/// When the agent held a turn for over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// From the first sample of the row; negative times do not occur.
    pub at: Duration,
    /// When its answer was audible; `None` if it was taken back before.
    pub heard: Option<Duration>,
    /// The words that it answers.
    pub text: String,
    response_id: u32,
}

/// What happens around a turn that is played.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Origin of virtual time.
    pub origin: Instant,
    /// From the decision to the agent's first sound: LLM and TTS.
    pub response: Duration,
    /// A turn that is not decided this long after its end never is.
    pub patience: Duration,
}

/// A turn that is played with a policy.
#[derive(Debug)]
pub struct PlayedTurn<'a> {
    around: Surroundings,
    row: &'a TurnRow,
    turn: &'a TurnConfig,
    audio: &'a CallerAudio,
    line: Line<'a>,
    stt: SttSource<'a>,
    machine: CallMachine,
    now: Instant,
    /// Segments that TTS speaks, and when their sound is there.
    voices: Vec<(Instant, SegmentId)>,
    /// Segments before the turn.
    lead: &'a [SegmentId],
    decisions: Vec<Decision>,
}

/// Where the reports of the leg come from.
#[derive(Debug)]
enum Line<'a> {
    /// The agent is silent: they are known.
    Recorded { line: &'a RecordedLine, next: usize },
    /// The agent has spoken into the turn.
    Live(Box<LiveLine<'a>>),
}

/// A call with an agent of this policy, which has just been answered.
pub fn answered(origin: Instant, row: &TurnRow, turn: &TurnConfig) -> CallMachine {
    let agent = AgentFields {
        name: "turns".to_owned(),
        is_active: true,
        first_message: Some(row.asked.clone().unwrap_or_else(|| ASKED.to_owned())),
        turn_config: Some(turn.clone()),
        autonomous_silence_handling: Some(false),
        ..AgentFields::default()
    };
    let spec = CallSpec {
        agent_id: None,
        agent,
        task: None,
        fixed_texts: std::sync::Arc::default(),
        spoken: Some(row.language.clone()),
        is_web: false,
        known: Default::default(),
        today: jiff::civil::date(2026, 11, 28),
    };
    CallMachine::new(origin, spec)
}

/// The segments that an agent says before the turn.
pub fn lead_segments(machine: &mut CallMachine) -> Vec<SegmentId> {
    let mut lead = Vec::new();
    while let Some(output) = machine.poll_output() {
        if let CallOutput::Speak { segment, .. } = output {
            lead.push(segment);
        }
    }
    lead
}

impl<'a> PlayedTurn<'a> {
    /// A call that was just answered. The recording is of the same audio and the same segments.
    pub fn new(
        around: Surroundings, row: &'a TurnRow, turn: &'a TurnConfig, heard: (&'a CallerAudio, &'a RecordedLine),
        lead: &'a [SegmentId], stt: SttSource<'a>,
    ) -> Self {
        let mut machine = answered(around.origin, row, turn);
        for segment in lead_segments(&mut machine) {
            machine.handle_tts_audio(around.origin, segment);
            machine.handle_tts_done(segment, 2_400);
        }
        let (audio, line) = heard;
        Self {
            around,
            row,
            turn,
            audio,
            line: Line::Recorded { line, next: 0 },
            stt,
            machine,
            now: around.origin,
            voices: Vec::new(),
            lead,
            decisions: Vec::new(),
        }
    }

    /// The same, with a leg of its own from the start. It takes longer and says the same.
    #[must_use]
    pub fn live(mut self) -> Self {
        let line = LiveLine::new(self.around.origin, self.audio, self.turn, self.lead);
        self.line = Line::Live(Box::new(line));
        self
    }

    /// Plays the turn until its answer is heard, or the patience is over. Returns all decisions in order.
    pub fn play(mut self) -> Vec<Decision> {
        let last = self.instant(self.row.end() + self.around.patience);
        for _ in 0..STEPS_MAX {
            let Some(due) = self.poll_timeout().filter(|due| *due <= last) else { break };
            self.now = self.now.max(due);
            self.step(due);
            self.execute_outputs();
            if self.is_answered() {
                break;
            }
        }
        self.decisions
    }

    /// An instant of the row's time.
    fn instant(&self, at: Duration) -> Instant {
        self.around.origin + CallerAudio::begins() + at
    }

    fn row_time(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.around.origin + CallerAudio::begins())
    }

    fn is_answered(&self) -> bool {
        let end = self.row.end();
        self.decisions.iter().any(|decision| decision.heard.is_some_and(|heard| heard >= end))
    }

    fn line_due(&self) -> Option<Instant> {
        match &self.line {
            Line::Recorded { line, next } => line.events.get(*next).map(|(at, _)| self.around.origin + *at),
            Line::Live(line) => line.poll_timeout(self.now),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let voice = self.voices.iter().map(|(due, _)| *due).min();
        let stt = self.stt.poll_timeout().map(|at| self.instant(at));
        [self.line_due(), stt, voice, self.machine.poll_timeout()].into_iter().flatten().min()
    }

    /// One thing that is due: the leg before STT, STT before the voice, and the machine's own deadlines last.
    fn step(&mut self, due: Instant) {
        if self.line_due().is_some_and(|at| at <= due) {
            return self.step_line();
        }
        if self.stt.poll_timeout().is_some_and(|at| self.instant(at) <= due) {
            if let Some(event) = self.stt.handle_timeout(self.row_time(self.now)) {
                self.machine.handle_stt(self.now, event);
            }
            return;
        }
        if let Some(index) = self.voices.iter().position(|(at, _)| *at <= due) {
            let (_, segment) = self.voices.remove(index);
            return self.play_segment(segment);
        }
        self.machine.handle_timeout(self.now);
    }

    fn step_line(&mut self) {
        match &mut self.line {
            Line::Recorded { line, next } => {
                let event = line.events.get(*next).map(|(_, event)| event.clone());
                *next += 1;
                if let Some(event) = event {
                    self.handle_leg_event(event);
                }
            }
            Line::Live(line) => {
                let mut events = Vec::new();
                line.handle_timeout(self.now, |event| events.push(event));
                for event in events {
                    self.handle_leg_event(event);
                }
            }
        }
    }

    fn handle_leg_event(&mut self, event: LegEvent) {
        if let LegEvent::SegmentStarted { segment, at } = &event {
            self.record_heard(segment.response_id, *at);
        }
        self.machine.handle_leg_event(self.now, event);
    }

    fn record_heard(&mut self, response_id: u32, at: Instant) {
        let at = self.row_time(at);
        let of_it = |decision: &&mut Decision| decision.response_id == response_id;
        if let Some(decision) = self.decisions.iter_mut().rev().find(of_it) {
            decision.heard.get_or_insert(at);
        }
    }

    /// The sound of a segment is there.
    fn play_segment(&mut self, segment: SegmentId) {
        self.machine.handle_tts_audio(self.now, segment);
        self.machine.handle_tts_done(segment, ANSWER_SAMPLES as u64);
        if let Line::Recorded { line, next } = &self.line {
            // After the caller's last word nothing takes the answer back: it is heard.
            let is_over = self.now >= self.instant(self.row.end())
                && line.quiet_at().is_some_and(|at| self.around.origin + at <= self.now)
                && *next > 0;
            if is_over {
                return self.record_heard(segment.response_id, self.now);
            }
            let (origin, now) = (self.around.origin, self.now);
            let line = LiveLine::resumed(origin, self.audio, self.turn, self.lead, now);
            self.line = Line::Live(Box::new(line));
        }
        if let Line::Live(line) = &mut self.line {
            line.leg().play(segment, agent_voice(ANSWER_SAMPLES), true);
        }
    }

    /// Carries out what the machine wants, as the driver of a call does.
    fn execute_outputs(&mut self) {
        self.record_decisions();
        while let Some(output) = self.machine.poll_output() {
            match output {
                CallOutput::RequestLlm { response_id, .. } => {
                    self.machine.handle_llm_event(self.now, response_id, LlmEvent::Text(ANSWER.to_owned()));
                    let usage = TokenUsage::default();
                    self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(usage));
                }
                CallOutput::Speak { segment, .. } => self.voices.push((self.now + self.around.response, segment)),
                CallOutput::CancelSpeech { response_id } => self.flush(response_id, false),
                CallOutput::Interrupt { response_id } => self.flush(response_id, true),
                CallOutput::Resume => {
                    if let Line::Live(line) = &mut self.line {
                        line.leg().resume();
                    }
                }
                CallOutput::FinalizeStt => self.stt.finalize(self.row_time(self.now)),
                CallOutput::Turn { turn, .. } if turn.role == TurnRole::User => self.record_words(turn.content),
                _ => {}
            }
            self.record_decisions();
        }
    }

    /// The machine has taken turns: each is a decision.
    fn record_decisions(&mut self) {
        let turns = &self.machine.metrics().turns;
        for turn in turns.get(self.decisions.len()..).unwrap_or_default() {
            let at = self.now.saturating_duration_since(self.around.origin + CallerAudio::begins());
            let (response_id, text) = (turn.response_id, String::new());
            self.decisions.push(Decision { at, heard: None, text, response_id });
        }
    }

    /// The words of the turn that was decided last.
    fn record_words(&mut self, words: String) {
        if let Some(last) = self.decisions.last_mut().filter(|last| last.text.is_empty()) {
            last.text = words;
        }
    }

    fn flush(&mut self, response_id: u32, barge_in: bool) {
        self.voices.retain(|(_, segment)| segment.response_id > response_id);
        if let Line::Live(line) = &mut self.line {
            line.leg().flush(self.now, response_id, barge_in);
            let mut events = Vec::new();
            line.reports(&mut |event| events.push(event));
            for event in events {
                self.handle_leg_event(event);
            }
        } else {
            // Nothing was played: the leg reports an empty queue.
            let heard = Vec::new();
            self.handle_leg_event(LegEvent::PlayoutFlushed { barge_in, response_id, heard, at: self.now });
        }
    }
}
