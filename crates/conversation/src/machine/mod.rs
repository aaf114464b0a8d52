//! The call machine: decides from the answer to the end who speaks, which service gets a request, and when to hang up.
//!
//! A plain value. Events go in with their instant; [`CallMachine::poll_output`] says what to do,
//! [`CallMachine::poll_timeout`] when to come back. Every path ends in exactly one [`CallOutput::HangUp`].

mod barge_in;
mod call_metrics;
mod output;
mod preemptive_generation;
mod realtime;
mod response;
mod timers;
mod tools;
mod transcript;
mod transfer;
mod voicemail;

pub use call_metrics::{CallMetrics, TurnMetrics};
pub use output::CallOutput;
pub use realtime::RealtimeCapabilities;
pub use timers::CallTimer;
pub use transfer::{ConsultationEvent, ReferProgress};

use super::amd::AmdDetector;
use super::dtmf::{DtmfCollector, DtmfInput};
use crate::dialogue::history::History;
use crate::dialogue::phrases::{ScriptedPhrases, phrases};
use crate::dialogue::prompt;
use crate::dialogue::response::AgentResponse;
use crate::dialogue::text_normalization::SpeechStyle;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use trunkline_domain::agent::AgentFields;
use trunkline_domain::chat::ToolOffer;
use trunkline_domain::dtmf_rules::DtmfAction;
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::task::TaskFields;
use trunkline_domain::transfer::{TransferMode, TransferTarget};
use trunkline_domain::turn_config::SilenceConfig;
use trunkline_media::playout::queue::{SegmentId, SegmentPlayed};
use trunkline_media::turn::end_of_turn::{self, EndOfTurnDetector};
use trunkline_providers::{Failover, SttEvent};

/// Default maximum duration: long enough for ordinary calls, short enough to stop runaway ones.
const MAX_DURATION_DEFAULT: Duration = Duration::from_secs(1_800);
/// How long to wait for the final transcript after the caller hung up.
const FINAL_TRANSCRIPT_TIMEOUT: Duration = Duration::from_millis(700);
/// Maximum duration of a goodbye before hanging up anyway.
const GOODBYE_MAX: Duration = Duration::from_secs(20);
/// Speech without any STT result for this long means STT has stalled.
const STT_STALL_TIMEOUT: Duration = Duration::from_secs(4);
/// Silence without a final STT result after which the fallback STT is asked, if there is one: well before the interim
/// result has to do.
const STT_FINAL_TIMEOUT: Duration = Duration::from_millis(1_200);
/// If a barge-in was only noise, the agent resumes after this.
const RESUME_AFTER: Duration = Duration::from_millis(1_500);
/// Consecutive failures of one kind that end a call.
const FAILURES_MAX: u32 = 2;

/// What the call is about: agent, task and kind of peer.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// The agent's configuration as it holds for this call.
    pub agent: AgentFields,
    /// The task of an outbound call, or the parameters of a web call; `None` for an inbound call.
    pub task: Option<TaskFields>,
    /// The other side is a browser, so a person has just clicked.
    pub is_web: bool,
}

impl CallSpec {
    /// The task's starting message takes precedence over the agent's.
    pub fn first_message(&self) -> Option<&str> {
        let task = self.task.as_ref().and_then(|task| task.starting_message.as_deref());
        task.or(self.agent.first_message.as_deref()).filter(|text| !text.trim().is_empty())
    }

    /// Whether to run AMD: on outbound calls, if the agent wants it.
    pub fn runs_amd(&self) -> bool {
        self.task.is_some() && !self.is_web && self.agent.voicemail_detection.unwrap_or(false)
    }

    /// How text is normalized for TTS. Only one TTS model understands audio tags.
    pub fn style(&self) -> SpeechStyle {
        let tags = self.agent.tts_config.as_ref().is_some_and(|tts| acts_on_tags(tts.model.as_deref()));
        SpeechStyle::new(self.language(), tags)
    }

    /// Language of the caller (STT).
    pub fn stt_language(&self) -> &str {
        let stt = self.agent.stt_config.as_ref().map(|stt| stt.language.as_str());
        stt.filter(|language| *language != "multi").unwrap_or(self.language())
    }

    /// Language of the scripted phrases (TTS).
    pub fn language(&self) -> &str {
        let tts = self.agent.tts_config.as_ref().map(|tts| tts.language.as_str());
        tts.or(self.agent.stt_config.as_ref().map(|stt| stt.language.as_str())).unwrap_or("en")
    }
}

/// ElevenLabs documents audio tags for its version 3 models.
pub fn acts_on_tags(model: Option<&str>) -> bool {
    model.is_some_and(|model| model.starts_with("eleven_v3"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallPhase {
    Talking,
    /// Waiting for the final transcript and the playback report.
    Ending {
        reason: EndReason,
        until: Instant,
    },
    Over,
}

/// Decides what happens in one answered call: events go in, outputs and a deadline come out.
pub struct CallMachine {
    spec: CallSpec,
    phrases: &'static ScriptedPhrases,
    silence: Option<SilenceConfig>,
    answered: Instant,
    phase: CallPhase,
    end_of_turn: EndOfTurnDetector,
    history: History,
    response: Option<AgentResponse>,
    /// A finished turn that waits for the playback report of the response it interrupted.
    waiting_turn: Option<end_of_turn::CallerTurn>,
    response_id: u32,
    transcript: transcript::TranscriptOrder,
    tool_rounds: u32,
    dtmf: DtmfCollector,
    /// The unplayed rest of an interrupted response, to be resumed if the barge-in was noise.
    remainder: Option<String>,
    /// The response whose playback is paused until the barge-in is decided.
    paused_response: Option<u32>,
    /// The last response was interrupted and the LLM has not been told.
    was_interrupted: bool,
    /// The line echoes the agent's voice.
    has_echo: bool,
    /// When the caller's last turn ended.
    last_turn: Option<Instant>,
    /// The preemptive generation for a likely end of turn.
    preemptive: Option<preemptive_generation::PreemptiveGeneration>,
    last_filler: Option<String>,
    /// AMD while it is running, and what follows from its result.
    amd: Option<AmdDetector>,
    voicemail: Option<voicemail::VoicemailState>,
    voicemail_message: Option<String>,
    /// The transfer in progress.
    transfer: Option<transfer::PendingTransfer>,

    silence_prompts: u32,
    llm_failures: u32,
    tts_failures: u32,
    stt_stalls: u32,
    /// State of the realtime model while it is in charge.
    realtime: Option<realtime::RealtimeState>,
    /// The realtime model broke off in the middle of a response: the LLM continues it.
    realtime_broke_off: bool,
    tools: tools::PendingToolCalls,
    /// Tools that servers offer.
    remote_tools: Vec<ToolOffer>,
    /// Tools that DTMF cannot call, and why.
    dtmf_tool_errors: HashMap<String, String>,
    timers: timers::CallTimers,
    metrics: CallMetrics,
    outputs: VecDeque<CallOutput>,
}

impl std::fmt::Debug for CallMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallMachine")
            .field("phase", &self.phase)
            .field("generation", &self.response_id)
            .finish_non_exhaustive()
    }
}

impl CallMachine {
    /// The call was just answered.
    pub fn new(now: Instant, spec: CallSpec) -> Self {
        Self::with(now, spec, None)
    }

    /// A call on a realtime model.
    pub fn with_realtime(now: Instant, spec: CallSpec, capabilities: RealtimeCapabilities) -> Self {
        Self::with(now, spec, Some(realtime::RealtimeState::new(capabilities)))
    }

    fn with(now: Instant, spec: CallSpec, realtime: Option<realtime::RealtimeState>) -> Self {
        let turn = spec.agent.turn();
        let ms = Duration::from_millis;
        let config = end_of_turn::EndOfTurnConfig {
            min_silence: ms(turn.min_silence_ms),
            complete_silence: ms(turn.complete_silence_ms),
            unfinished_silence: ms(turn.unfinished_silence_ms),
            language: spec.stt_language().to_owned(),
            silence: ms(turn.silence_ms.max(turn.min_silence_ms)),
            max_silence: ms(turn.max_silence_ms.max(turn.silence_ms).max(turn.min_silence_ms)),
        };
        let longest =
            spec.agent.max_duration_seconds.map_or(MAX_DURATION_DEFAULT, |s| Duration::from_secs(u64::from(s)));
        let detects = spec.runs_amd();
        let mut machine = Self {
            phrases: phrases(spec.language()),
            silence: spec.agent.silence(),
            answered: now,
            phase: CallPhase::Talking,
            end_of_turn: EndOfTurnDetector::new(config),
            history: History::new(prompt::system_messages(&spec.agent, spec.task.as_ref())),
            response: None,
            waiting_turn: None,
            response_id: 0,
            transcript: transcript::TranscriptOrder::default(),
            tool_rounds: 0,
            dtmf: DtmfCollector::new(spec.agent.dtmf_rules.clone()),
            remainder: None,
            paused_response: None,
            was_interrupted: false,
            has_echo: false,
            last_turn: None,
            preemptive: None,
            last_filler: None,
            amd: detects.then(|| AmdDetector::new(now)),
            voicemail: None,
            voicemail_message: None,
            transfer: None,

            silence_prompts: 0,
            llm_failures: 0,
            tts_failures: 0,
            stt_stalls: 0,
            realtime,
            realtime_broke_off: false,
            tools: tools::PendingToolCalls::default(),
            remote_tools: Vec::new(),
            dtmf_tool_errors: HashMap::new(),
            timers: timers::CallTimers::default(),
            metrics: CallMetrics::default(),
            outputs: VecDeque::new(),
            spec,
        };
        machine.timers.set(CallTimer::MaxDuration, now + longest);
        machine.greet(now);
        machine
    }

    /// Takes over AMD results from early media.
    pub fn handle_early_media(&mut self, now: Instant, mut early: AmdDetector) {
        if self.amd.is_some() {
            early.handle_answered(now);
            let found = early.result();
            self.amd = Some(early);
            self.handle_amd_result(now, found);
        }
    }

    /// Returns the next thing for the driver to do; `None` when all are done.
    pub fn poll_output(&mut self) -> Option<CallOutput> {
        self.outputs.pop_front()
    }

    /// Returns the figures collected so far.
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }

    /// Returns the instant from which the milliseconds of the call are counted.
    pub fn answered_at(&self) -> Instant {
        self.answered
    }

    /// Returns whether the call has ended; no output follows then.
    pub fn is_over(&self) -> bool {
        self.phase == CallPhase::Over
    }

    fn is_talking(&self) -> bool {
        self.phase == CallPhase::Talking
    }

    fn ms(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.answered).as_millis() as u64
    }

    fn output(&mut self, output: CallOutput) {
        if self.phase != CallPhase::Over {
            self.outputs.push_back(output);
        }
    }

    /// Records that voice activity of the caller began at this instant.
    pub fn handle_speech_started(&mut self, at: Instant) {
        self.end_of_turn.handle_speech_started(at);
        if let Some(detection) = &mut self.amd {
            detection.handle_speech_started(at);
        }
        self.handle_voicemail_speech(at, true);
        self.handle_caller_continues(at);
        self.timers.clear(CallTimer::Silence);
        if self.paused_response.is_none() {
            self.timers.clear(CallTimer::Resume);
        }
        self.timers.clear(CallTimer::SttStall);
        self.timers.clear(CallTimer::SttLate);
    }

    /// Records that the caller's voice activity ended; `last_sound` is the instant of the last sound, earlier than
    /// `now`.
    pub fn handle_speech_ended(&mut self, now: Instant, last_sound: Instant) {
        self.end_of_turn.handle_speech_ended(last_sound);
        if let Some(detection) = &mut self.amd {
            detection.handle_speech_ended(last_sound);
        }
        self.handle_voicemail_speech(now, false);
        if self.realtime.is_none() {
            self.timers.set(CallTimer::SttStall, now + STT_STALL_TIMEOUT);
            if self.spec.agent.fallbacks.as_ref().is_some_and(|fallbacks| !fallbacks.stt.is_empty()) {
                self.timers.set(CallTimer::SttLate, last_sound + STT_FINAL_TIMEOUT);
            }
        }
        if self.paused_response.is_some() {
            self.timers.set(CallTimer::Resume, now + barge_in::BARGE_IN_DECISION_AFTER);
        } else if self.remainder.is_some() {
            self.timers.set(CallTimer::Resume, now + RESUME_AFTER);
        }
        self.handle_likely_end_of_turn(now);
        if self.tools.has_unread_results() {
            self.timers.set(CallTimer::ToolResult, now + RESUME_AFTER);
        }
        self.arm_silence(now);
        self.check_turn(now);
    }

    /// Handles an event of STT: words, ends of turns, failovers and failures.
    pub fn handle_stt(&mut self, now: Instant, event: SttEvent) {
        match self.remove_echo(event) {
            SttEvent::Ready => {}
            SttEvent::Interim(text) => {
                self.handle_caller_words(&text);
                self.end_of_turn.handle_interim(now, &text);
                self.run_amd(now, &text, false);
                self.evaluate_barge_in(now, false);
                self.handle_likely_end_of_turn(now);
            }
            SttEvent::Final { text, confidence, speech_final } => {
                self.timers.clear(CallTimer::SttStall);
                self.timers.clear(CallTimer::SttLate);
                self.handle_caller_words(&text);
                self.end_of_turn.handle_final(now, &text, confidence, speech_final);
                self.run_amd(now, &text, true);
                self.evaluate_barge_in(now, true);
                self.handle_likely_end_of_turn(now);
                if let CallPhase::Ending { reason, .. } = self.phase
                    && self.response.is_none()
                {
                    return self.finish(now, reason);
                }
            }
            SttEvent::UtteranceEnd => self.end_of_turn.handle_utterance_end(),
            SttEvent::EndOfTurn { text, confidence } => {
                self.timers.clear(CallTimer::SttStall);
                self.timers.clear(CallTimer::SttLate);
                self.handle_caller_words(&text);
                self.end_of_turn.handle_end_of_turn(now, &text, confidence);
                self.run_amd(now, &text, true);
                self.evaluate_barge_in(now, true);
            }
            SttEvent::EagerEndOfTurn => self.start_preemptive_generation(now),
            SttEvent::TurnResumed => {
                self.discard_preemptive_generation();
                self.end_of_turn.handle_turn_resumed();
            }
            SttEvent::StartOfTurn => self.end_of_turn.set_turn_model(),
            SttEvent::Reconnecting(failure) => self.metrics.record_provider_error("stt", failure.kind()),
            SttEvent::FailedOver(switch) => self.record_failover(now, &switch),
            SttEvent::Failed(failure) => {
                self.metrics.record_provider_error("stt", failure.kind());
                self.end_with_apology(now);
            }
        }
        self.check_turn(now);
    }

    /// Records that a fallback provider took over.
    pub fn record_failover(&mut self, now: Instant, switch: &Failover) {
        tracing::warn!(
            stage = switch.stage.name(),
            from = switch.from,
            to = switch.to,
            reason = switch.reason,
            "failover to another provider"
        );
        let at_ms = self.ms(now);
        self.metrics.record_failover(at_ms, switch);
    }

    fn run_amd(&mut self, now: Instant, text: &str, is_final: bool) {
        let found = self.amd.as_mut().and_then(|detection| detection.handle_words(now, text, is_final));
        self.handle_amd_result(now, found);
    }

    fn handle_caller_words(&mut self, text: &str) {
        if !text.is_empty() {
            self.remainder = None;
            self.silence_prompts = 0;
            self.stt_stalls = 0;
            self.timers.clear(CallTimer::SttStall);
            self.timers.clear(CallTimer::Resume);
        }
    }

    fn check_turn(&mut self, now: Instant) {
        if self.is_talking()
            && let Some(turn) = self.end_of_turn.poll_turn(now)
        {
            self.handle_turn(now, turn);
        }
    }

    /// Handles a DTMF digit of the caller: `0` to `9`, `*`, `#` or `A` to `D`.
    pub fn handle_digit(&mut self, now: Instant, digit: char) {
        self.timers.clear(CallTimer::Silence);
        if let Some(pressed) = self.dtmf.handle_digit(now, digit) {
            self.handle_dtmf_input(now, pressed);
        }
    }

    fn handle_dtmf_input(&mut self, now: Instant, pressed: DtmfInput) {
        if !self.is_talking() || self.is_transferring() {
            return;
        }
        let digits = match pressed {
            DtmfInput::Rule(rule) if rule.action == DtmfAction::Say => {
                let text = rule.text.unwrap_or_default();
                self.say_instead(now, &text, crate::dialogue::response::AfterResponse::AwaitCaller);
                return;
            }
            DtmfInput::Rule(rule) if rule.action == DtmfAction::EndCall => {
                let goodbye = self.phrases.goodbye;
                self.say_instead(
                    now,
                    goodbye,
                    crate::dialogue::response::AfterResponse::HangUp(EndReason::AgentHungUp),
                );
                return;
            }
            DtmfInput::Rule(rule) if rule.action == DtmfAction::Transfer => {
                if let Some(target) = rule.target.as_deref().and_then(TransferTarget::parse) {
                    let config = self.spec.agent.transfers();
                    let known = config.destinations.iter().find(|one| one.target == target.as_str());
                    let mode = known.and_then(|one| one.mode).unwrap_or(config.mode);
                    let name = known.map_or(target.as_str(), |one| &one.name).to_owned();
                    let briefing = (mode == TransferMode::Attended).then(|| self.phrases.caller_waits.to_owned());
                    self.transfer(now, transfer::PendingTransfer::new(name, target, mode, briefing, None), false);
                }
                return;
            }
            DtmfInput::Rule(rule) if rule.action == DtmfAction::Tool => {
                return self.call_tool_by_dtmf(now, &rule.digits, rule.tool.unwrap_or_default());
            }
            DtmfInput::Rule(rule) => rule.digits,
            DtmfInput::Digits(digits) => digits,
        };
        let text = format!("[DTMF {digits}]");
        self.handle_turn(
            now,
            end_of_turn::CallerTurn { text, confidence: None, started: now, ended: now, final_at: None },
        );
    }

    /// Records that the first packet of a segment was sent at this instant.
    pub fn handle_segment_started(&mut self, segment: SegmentId, at: Instant) {
        self.timers.clear(CallTimer::Silence);
        let at_ms = self.ms(at);
        let Some(response) = self.response.as_mut().filter(|response| response.response_id == segment.response_id)
        else {
            return;
        };
        response.mark_playing(segment.index);
        if response.started_at_ms.is_none() {
            response.started_at_ms = Some(at_ms);
            response.transcript_turn = Some(self.transcript.open());
            self.metrics.record_first_packet(segment.response_id, at_ms);
        }
        self.tts_failures = 0;
        self.record_response(at_ms, false, None);
    }

    /// Records that a segment was played to its end; other responses than the current one are ignored.
    pub fn handle_segment_finished(&mut self, heard: SegmentPlayed, at: Instant) {
        let Some(response) =
            self.response.as_mut().filter(|response| response.response_id == heard.segment.response_id)
        else {
            return;
        };
        response.mark_played(heard.segment.index);
        let at_ms = self.ms(at);
        self.record_response(at_ms, false, None);
        self.advance(at);
    }

    /// Playback was flushed; `heard` says how far each segment got.
    pub fn handle_flushed(&mut self, now: Instant, barge_in: bool, silenced: u32, heard: &[SegmentPlayed]) {
        // A report of an older response that was cancelled unheard does not concern this one.
        let Some(mut response) = self.response.take_if(|response| response.response_id <= silenced) else { return };
        let response_id = response.response_id;
        let reports: Vec<_> = heard.iter().filter(|one| one.segment.response_id == response_id).collect();
        for one in reports.iter().filter(|one| one.complete) {
            response.mark_played(one.segment.index);
        }
        let sent: Vec<(u32, u64)> = reports.iter().map(|one| (one.segment.index, one.sent_samples)).collect();
        let (said, rest) = response.truncate_at(&sent);
        self.output(CallOutput::CancelLlm);
        if barge_in {
            self.metrics.barge_ins += 1;
            self.output(CallOutput::CancelSpeech { response_id });
        }
        let at_ms = self.ms(now);
        if response.transcript_turn.is_some() && !response.is_filler {
            self.history.push_assistant(&said, Vec::new());
        }
        let then = response.after;
        self.paused_response = None;
        self.was_interrupted = response.transcript_turn.is_some() && !rest.is_empty();
        self.truncate_realtime_response(&response, &sent);
        self.response = Some(response);
        self.record_response(at_ms, true, Some(said));
        self.response = None;
        self.handle_response_truncated(now, then, barge_in.then_some(rest));
    }

    /// Ends the call on request: `POST /calls/:id/end` and `/cancel`, shutdown, overload.
    pub fn handle_command(&mut self, now: Instant, reason: EndReason) {
        self.begin_hang_up(now, reason, Duration::from_millis(100));
    }

    /// The peer hung up: its final transcript may still arrive.
    pub fn handle_peer_hung_up(&mut self, now: Instant, reason: EndReason) {
        let reason = self.end_reason_after_transfer(reason);
        let pending = self.end_of_turn.is_speaking()
            || !self.end_of_turn.words().is_empty()
            || self.timers.is_set(CallTimer::SttStall);
        if self.is_talking() && pending && self.realtime.is_none() {
            self.output(CallOutput::FinalizeStt);
        }
        self.begin_hang_up(now, reason, if pending { FINAL_TRANSCRIPT_TIMEOUT } else { Duration::from_millis(60) });
    }

    /// Ends the call because no packet of the peer has come for the network timeout.
    pub fn handle_network_lost(&mut self, now: Instant) {
        self.begin_hang_up(now, EndReason::NetworkLost, Duration::from_millis(100));
    }

    fn begin_hang_up(&mut self, now: Instant, reason: EndReason, wait: Duration) {
        if !self.is_talking() {
            return;
        }
        self.phase = CallPhase::Ending { reason, until: now + wait };
        self.timers.clear_all();
        self.timers.set(CallTimer::FinalTranscript, now + wait);
        self.output(CallOutput::CancelLlm);
        match &self.response {
            Some(response) => {
                let response_id = response.response_id;
                self.output(CallOutput::CancelSpeech { response_id });
            }
            None if wait < FINAL_TRANSCRIPT_TIMEOUT => self.finish(now, reason),
            None => {}
        }
    }

    /// Ends the machine: records what is left and hangs up.
    fn finish(&mut self, now: Instant, reason: EndReason) {
        if self.phase == CallPhase::Over {
            return;
        }
        if self.response.is_some() {
            // Without a playback report, the current response counts as heard up to its last finished segment.
            let said = self.response.as_ref().map(AgentResponse::said).unwrap_or_default();
            let at_ms = self.ms(now);
            self.record_response(at_ms, true, Some(said));
            self.response = None;
        }
        for turn in [self.waiting_turn.take(), self.end_of_turn.take_turn(now)].into_iter().flatten() {
            self.record_user(&turn);
        }
        self.transcript.close();
        self.emit_turns();
        self.outputs.push_back(CallOutput::HangUp { reason });
        self.phase = CallPhase::Over;
        self.timers.clear_all();
    }
}

#[cfg(test)]
mod tests;
