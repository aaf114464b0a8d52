//! What a call has as long as somebody is on the line, also when the agent has left: the caller's turns, the playback
//! of the agent's last response, and the transcript.

use super::call_metrics::CallMetrics;
use super::decision_record::DecisionRecord;
use super::output::CallOutput;
use super::spec::{CallFacts, CallSpec};
use super::transcript::{TranscriptOrder, TurnNumber};
use super::unvoiced_words::{UnvoicedWords, joined};
use crate::dialogue::response::{AgentResponse, ResponseStart};
use crate::dialogue::secret_words::{hidden, hidden_entry};
use crate::dialogue::spoken::digits::{SpokenDigits, spoken_digits};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use trunkline_domain::collected::CollectedValues;
use trunkline_domain::ids::AgentId;
use trunkline_domain::provider::SttProvider;
use trunkline_domain::transcript::{Turn, TurnRole};
use trunkline_media::playout::queue::{SegmentId, SegmentPlayed};
use trunkline_media::turn::decision::WaitCurve;
use trunkline_media::turn::end_of_turn::{CallerTurn, EndOfTurnConfig, EndOfTurnDetector};
use trunkline_media::turn::overlap::OverlapSource;
use trunkline_media::turn::taken_words::TurnCorrection;
use trunkline_providers::Failover;

/// If the caller speaks again within this time after the decision, the turn had not ended.
const CONTINUATION_WINDOW: Duration = Duration::from_millis(1_500);
/// A caller who speaks again this soon after the agent's first sound has not answered it, but goes on.
const REACTION_MIN: Duration = Duration::from_millis(700);

/// What is left of a call when it is over: its figures, and the outputs that the driver has not taken yet.
#[derive(Debug, Default)]
pub(super) struct CallLog {
    pub(super) metrics: CallMetrics,
    /// As many as one event causes: the driver takes them before the next event.
    pub(super) outputs: VecDeque<CallOutput>,
}

/// When a turn ended, and when that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnsweredTurn {
    pub(super) ended: Instant,
    pub(super) decided: Instant,
}

/// The caller's side: words until they are a turn, and what is known of the last one.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) end_of_turn: EndOfTurnDetector,
    /// A finished turn that waits for the playback report of the response it interrupted.
    pub(super) waiting_turn: Option<CallerTurn>,
    /// Words without a sound, and how often they came.
    pub(super) unvoiced: UnvoicedWords,
    /// The last turn in the transcript: its final words may still be written differently.
    pub(super) last_recorded: Option<(TurnNumber, CallerTurn)>,
    /// The last answered turn, until the caller speaks again.
    pub(super) last_turn: Option<AnsweredTurn>,
    /// The last turn was taken before STT had sent all of it, and its answer was taken back.
    pub(super) has_half_turn: bool,
    /// The pause after which the caller spoke again into the agent's first words: a cut-off, once there are words.
    pub(super) possible_cut_off: Option<Duration>,
    /// The line echoes the agent's voice.
    pub(super) has_echo: bool,
    /// Who is heard over the agent, as far as the leg can tell.
    pub(super) overlap: Option<OverlapSource>,
    /// What the agent said last, and when it ended.
    pub(super) last_said: Option<(Instant, String)>,
}

impl Caller {
    fn new(spec: &CallSpec) -> Self {
        let end_of_turn = EndOfTurnDetector::new(end_of_turn_config(spec));
        Self {
            end_of_turn,
            waiting_turn: None,
            unvoiced: UnvoicedWords::default(),
            last_recorded: None,
            last_turn: None,
            has_half_turn: false,
            possible_cut_off: None,
            has_echo: false,
            overlap: None,
            last_said: None,
        }
    }

    /// Neither a sound nor words that are not a turn yet.
    pub(super) fn is_quiet(&self) -> bool {
        !self.end_of_turn.is_speaking() && self.end_of_turn.words().is_empty()
    }

    /// Queues a turn until the current response has ended or was cut.
    pub(super) fn queue_turn(&mut self, turn: CallerTurn) {
        self.waiting_turn = Some(joined(self.waiting_turn.take(), turn));
    }

    /// Takes the turn that has waited for the end of a response. Words without a sound wait on while others are on their
    /// way.
    pub(super) fn take_waiting_turn(&mut self) -> Option<CallerTurn> {
        match self.waiting_turn.take() {
            Some(turn) => Some(joined(self.unvoiced.take(), turn)),
            None if self.is_quiet() => self.unvoiced.take(),
            None => None,
        }
    }
}

/// When turns end, as the agent is configured.
fn end_of_turn_config(spec: &CallSpec) -> EndOfTurnConfig {
    let turn = spec.agent.turn();
    let ms = Duration::from_millis;
    EndOfTurnConfig {
        waits: WaitCurve {
            min_silence: ms(turn.min_silence_ms),
            complete_silence: ms(turn.complete_silence_ms),
            silence: ms(turn.silence_ms),
            unfinished_silence: ms(turn.unfinished_silence_ms),
            max_silence: ms(turn.max_silence_ms),
        },
        language: spec.stt_language().to_owned(),
        is_streaming: spec.agent.stt_config.as_ref().is_none_or(|stt| stt.provider == SttProvider::Deepgram),
    }
}

/// Whether the media leg plays the agent's speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlayoutState {
    Running,
    /// Until a barge-in is decided. The response may be gone by then; the leg still waits.
    Paused {
        response_id: u32,
    },
}

/// The agent's side: the response being generated or played.
#[derive(Debug)]
pub(super) struct Playout {
    pub(super) response: Option<AgentResponse>,
    /// Number of the last response; 0 before the first.
    pub(super) last_id: u32,
    pub(super) state: PlayoutState,
    /// Consecutive responses of which TTS spoke nothing.
    pub(super) silent_responses: u32,
}

impl Playout {
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    /// The current response, if it has this number.
    pub(super) fn current(&mut self, response_id: u32) -> Option<&mut AgentResponse> {
        self.response.as_mut().filter(|response| response.response_id == response_id)
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, PlayoutState::Paused { .. })
    }

    /// Ends a pause; true if there was one.
    pub(super) fn end_pause(&mut self) -> bool {
        std::mem::replace(&mut self.state, PlayoutState::Running) != PlayoutState::Running
    }

    /// Whether the caller has heard the beginning of the current response.
    pub(super) fn has_begun(&self) -> bool {
        self.response.as_ref().is_some_and(|response| response.begun.is_some())
    }
}

/// A call with somebody on the line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) facts: CallFacts,
    pub(super) log: CallLog,
    pub(super) transcript: TranscriptOrder,
    pub(super) caller: Caller,
    pub(super) playout: Playout,
    /// What the caller has entered: secret digits are in no turn.
    pub(super) collected: CollectedValues,
    /// When the last secret entry ended: words that began before may be a part of it.
    pub(super) secret_until: Option<Instant>,
}

impl Line {
    pub(super) fn new(now: Instant, spec: CallSpec) -> Self {
        Self {
            caller: Caller::new(&spec),
            facts: CallFacts::new(now, spec),
            log: CallLog::default(),
            transcript: TranscriptOrder::default(),
            playout: Playout { response: None, last_id: 0, state: PlayoutState::Running, silent_responses: 0 },
            collected: CollectedValues::default(),
            secret_until: None,
        }
    }

    pub(super) fn ms(&self, at: Instant) -> u64 {
        self.facts.ms(at)
    }

    /// Another agent has the call from here on. Words that are no turn yet stay.
    pub(super) fn change_agent(&mut self, now: Instant, spec: CallSpec) {
        let at_ms = self.ms(now);
        self.log.metrics.record_agent_change(at_ms, &self.facts.spec, &spec);
        self.caller.end_of_turn.set_config(end_of_turn_config(&spec));
        self.facts.change_spec(spec);
        self.output(CallOutput::ChangeAgent);
    }

    /// The same agent goes on in another language.
    pub(super) fn change_language(&mut self, spec: CallSpec) {
        self.caller.end_of_turn.set_config(end_of_turn_config(&spec));
        self.facts.change_spec(spec);
        self.output(CallOutput::ChangeLanguage);
    }

    /// Whether a secret entry was in progress at this time, and is over.
    pub(super) fn was_secret_at(&self, at: Instant) -> bool {
        self.secret_until.is_some_and(|until| at <= until)
    }

    /// Digits that were said in place of the keys of a secret entry are secret, if they may be the entry.
    pub(super) fn hide_said(&mut self, text: &str, wanted: Option<RangeInclusive<usize>>) {
        let said = spoken_digits(text, self.facts.spec.stt_language());
        if let SpokenDigits::Only(digits) | SpokenDigits::Among(digits) = said
            && wanted.is_none_or(|wanted| wanted.contains(&digits.len()))
        {
            self.collected.hide(digits.into());
        }
    }

    /// The agent that speaks or calls a tool.
    fn agent_id(&self) -> Option<AgentId> {
        self.facts.spec.agent_id
    }

    pub(super) fn output(&mut self, output: CallOutput) {
        self.log.outputs.push_back(output);
    }

    /// The caller has interrupted; unless words did it, the voice was enough.
    pub(super) fn record_stop(&mut self, now: Instant) {
        let at_ms = self.ms(now);
        self.metrics().interruptions.record_stop(at_ms);
    }

    pub(super) fn metrics(&mut self) -> &mut CallMetrics {
        &mut self.log.metrics
    }

    /// The caller makes a sound: a turn considered finished may not have been.
    pub(super) fn handle_speech_started(&mut self, at: Instant) {
        self.caller.end_of_turn.handle_speech_started(at);
        if self.playout.response.is_none() {
            // The agent is silent: it is the caller's turn.
            (self.caller.overlap, self.caller.last_said) = (None, None);
        }
        let Some(turn) = self.caller.last_turn.take() else { return };
        if at.saturating_duration_since(turn.decided) > CONTINUATION_WINDOW {
            return;
        }
        let pause = at.saturating_duration_since(turn.ended);
        let begun_ms = self.playout.response.as_ref().and_then(|response| response.begun).map(|begun| begun.at_ms);
        match begun_ms {
            None => self.record_cut_off(pause),
            Some(begun_ms) if u128::from(self.ms(at).saturating_sub(begun_ms)) < REACTION_MIN.as_millis() => {
                self.caller.possible_cut_off = Some(pause);
            }
            Some(_) => {}
        }
    }

    /// The last turn was not over: the caller goes on after this pause.
    fn record_cut_off(&mut self, pause: Duration) {
        self.metrics().premature_ends_of_turn += 1;
        self.caller.end_of_turn.record_cut_off(pause);
    }

    /// The caller's words into the agent's first ones are no backchannel: that was a cut-off.
    pub(super) fn confirm_cut_off(&mut self) {
        if let Some(pause) = self.caller.possible_cut_off.take() {
            self.record_cut_off(pause);
        }
    }

    /// Why a turn was held for over, in the call's time.
    pub(super) fn decision_record(&self, turn: &CallerTurn) -> Option<DecisionRecord> {
        let decision = turn.decision.as_ref()?;
        Some(DecisionRecord::new(decision, |at| self.ms(at)))
    }

    /// What the agent has said so far tells what the caller answers.
    fn note_asked(&mut self) {
        if let Some(response) = self.playout.response.as_ref().filter(|response| !response.is_filler) {
            let said = response.said();
            self.caller.end_of_turn.set_asked(&said, self.facts.spec.language());
        }
    }

    pub(super) fn speak(&mut self, segments: Vec<(u32, String)>) {
        let response_id = self.playout.last_id;
        for (index, text) in segments {
            self.output(CallOutput::Speak { segment: SegmentId { response_id, index }, text });
        }
    }

    /// Stops the playback of the current response; its report says how much was heard.
    pub(super) fn cancel_playback(&mut self) {
        if let Some(response) = &self.playout.response {
            let response_id = response.response_id;
            self.output(CallOutput::CancelSpeech { response_id });
        }
    }

    /// The response after which the call ends in any case is being said.
    pub(super) fn is_saying_last_words(&self) -> bool {
        self.playout.response.as_ref().is_some_and(|response| response.after.is_final())
    }

    /// Makes the current response uninterruptible.
    pub(super) fn make_uninterruptible(&mut self) {
        if let Some(response) = &mut self.playout.response {
            response.is_uninterruptible = true;
            let response_id = response.response_id;
            // Before its first segment.
            self.log.outputs.push_front(CallOutput::MakeUninterruptible { response_id });
        }
    }

    /// The first packet of a segment was sent; false if the segment is not of the current response.
    pub(super) fn handle_segment_started(&mut self, segment: SegmentId, at: Instant) -> bool {
        let at_ms = self.ms(at);
        let Some(response) = self.playout.current(segment.response_id) else { return false };
        response.mark_playing(segment.index);
        if response.begun.is_none() {
            response.begun = Some(ResponseStart { at_ms, transcript_turn: self.transcript.open() });
            (self.caller.overlap, self.caller.last_said) = (None, None);
            self.log.metrics.record_first_packet(segment.response_id, at_ms);
        }
        self.playout.silent_responses = 0;
        self.record_current_response(at_ms);
        self.note_asked();
        true
    }

    /// A segment was played to its end; false if it is not of the current response.
    pub(super) fn handle_segment_finished(&mut self, heard: &SegmentPlayed, at: Instant) -> bool {
        let Some(response) = self.playout.current(heard.segment.response_id) else { return false };
        response.mark_played(heard.segment.index);
        self.caller.last_said = self.playout.response.as_ref().map(|response| (at, response.said()));
        self.record_current_response(self.ms(at));
        true
    }

    /// Takes the current response if all of it was heard or nothing more of it will be.
    pub(super) fn take_finished_response(&mut self) -> Option<AgentResponse> {
        let response = self.playout.response.take_if(|response| response.is_over())?;
        if response.begun.is_some() {
            // The caller has heard the answer: what follows answers it.
            self.caller.last_turn = None;
        }
        self.playout.state = PlayoutState::Running;
        Some(response)
    }
}

/// The transcript.
impl Line {
    pub(super) fn record_user(&mut self, turn: &CallerTurn) {
        let number = self.transcript.open();
        self.record_user_as(number, turn);
        self.caller.last_recorded = Some((number, turn.clone()));
    }

    /// STT has written a turn differently in the end: true if it was the last one that was recorded.
    pub(super) fn correct_user(&mut self, correction: &TurnCorrection) -> bool {
        let TurnCorrection { was, is } = correction;
        let mut waiting = self.caller.waiting_turn.iter_mut().chain(self.caller.unvoiced.turn_mut());
        if let Some(waiting) = waiting.find(|waiting| waiting.text.contains(was.as_str())) {
            waiting.text = waiting.text.replacen(was.as_str(), is, 1);
            return false;
        }
        let Some((number, mut turn)) = self.caller.last_recorded.take().filter(|(_, turn)| turn.text == *was) else {
            return false;
        };
        turn.text.clone_from(is);
        self.record_user_as(number, &turn);
        self.caller.last_recorded = Some((number, turn));
        true
    }

    fn record_user_as(&mut self, number: TurnNumber, turn: &CallerTurn) {
        let turn = Turn {
            role: TurnRole::User,
            content: turn.text.clone(),
            started_at_ms: self.ms(turn.started),
            ended_at_ms: self.ms(turn.ended),
            interrupted: false,
            confidence: turn.confidence,
            agent_id: None,
            said_by: None,
        };
        self.record(number, turn);
    }

    pub(super) fn record_tool(&mut self, now: Instant, name: &str, result: &str) {
        let (number, at_ms) = (self.transcript.open(), self.ms(now));
        let turn = Turn {
            role: TurnRole::Tool,
            content: format!("{name}: {result}"),
            started_at_ms: at_ms,
            ended_at_ms: at_ms,
            interrupted: false,
            confidence: None,
            agent_id: self.agent_id(),
            said_by: None,
        };
        self.record(number, turn);
    }

    /// Writes a turn down, and those that have waited for it.
    pub(super) fn record(&mut self, number: TurnNumber, mut turn: Turn) {
        turn.content = match turn.role {
            TurnRole::User => self.shown_user(&turn),
            TurnRole::Assistant => hidden(&turn.content, self.facts.spec.language(), &self.collected),
            TurnRole::Tool | TurnRole::System => self.collected.masked(&turn.content),
        };
        self.transcript.put(number, turn);
        self.emit_turns();
    }

    /// What is written down of the caller's words; digits that were said during a secret entry are secret from here on.
    fn shown_user(&mut self, turn: &Turn) -> String {
        let is_entry = self.secret_until.is_some_and(|until| turn.started_at_ms <= self.ms(until));
        let shown = match is_entry {
            true => hidden_entry(&turn.content, self.facts.spec.stt_language()),
            false => turn.content.clone(),
        };
        if shown != turn.content {
            self.hide_said(&turn.content, None);
        }
        hidden(&shown, self.facts.spec.stt_language(), &self.collected)
    }

    pub(super) fn emit_turns(&mut self) {
        for (position, turn) in self.transcript.poll() {
            self.output(CallOutput::Turn { position, turn });
        }
    }

    /// Writes down what was heard of the current response so far.
    fn record_current_response(&mut self, at_ms: u64) {
        if let Some(response) = self.playout.response.take() {
            self.record_response(&response, at_ms, false, response.said());
            self.playout.response = Some(response);
        }
    }

    /// Records a response as far as it was heard; nothing for a response without audio.
    pub(super) fn record_response(&mut self, response: &AgentResponse, at_ms: u64, interrupted: bool, said: String) {
        let Some(start) = response.begun else { return };
        let turn = Turn {
            role: TurnRole::Assistant,
            content: said,
            started_at_ms: start.at_ms,
            ended_at_ms: at_ms,
            interrupted,
            confidence: None,
            agent_id: self.agent_id(),
            said_by: response.said_by,
        };
        self.record(start.transcript_turn, turn);
    }

    /// Logs and counts that a fallback provider took over.
    pub(super) fn record_failover(&mut self, now: Instant, switch: &Failover) {
        tracing::warn!(
            stage = switch.stage.name(),
            from = switch.from,
            to = switch.to,
            reason = switch.reason,
            "failover to another provider"
        );
        let at_ms = self.ms(now);
        self.metrics().record_failover(at_ms, switch);
    }
}
