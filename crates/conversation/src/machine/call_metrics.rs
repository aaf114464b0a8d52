//! Metrics of one call: how long each turn took and in which stage.

use super::agent_shares::{AgentShares, UsageSums};
use super::decision_record::DecisionRecord;
use super::interruption_counts::InterruptionCounts;
use super::spec::CallSpec;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trunkline_domain::call_control::CallControl;
use trunkline_providers::{Failover, TokenUsage};

/// Turns whose figures are kept: four hours of fast conversation.
const TURNS_MAX: usize = 2_000;

/// One turn of the agent, in milliseconds of the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnMetrics {
    /// Number of the response within the call, from 1.
    pub response_id: u32,
    /// End of the caller's speech.
    pub speech_ended_ms: u64,
    /// The last final STT result.
    pub final_ms: Option<u64>,
    /// The end of turn was decided.
    pub decided_ms: u64,
    /// When the first token of the LLM arrived; `None` if none did.
    pub first_token_ms: Option<u64>,
    /// The first sentence was complete.
    pub first_segment_ms: Option<u64>,
    /// When the first audio of TTS arrived; `None` if none did.
    pub first_audio_ms: Option<u64>,
    /// The first RTP packet was sent.
    pub first_packet_ms: Option<u64>,
    /// `provider/model` of who wrote and who spoke it.
    pub llm: Option<String>,
    /// `provider/model` of the voice; `None` until text was sent to TTS.
    pub tts: Option<String>,
    /// Why the end of turn was decided; `None` for turns that ended in another way.
    pub decision: Option<DecisionRecord>,
}

/// A part of a turn: its name, and from when to when.
pub type StageTiming = (&'static str, u64, u64);

impl TurnMetrics {
    /// What the caller waited for, one after the other: each stage begins where the one before it ended.
    pub fn stages(&self) -> Vec<StageTiming> {
        let heard = self.final_ms.unwrap_or(self.speech_ended_ms).clamp(self.speech_ended_ms, self.decided_ms);
        let marks = [
            ("recogniser", Some(heard)),
            ("decision", Some(self.decided_ms)),
            ("model", self.first_token_ms),
            ("sentence", self.first_segment_ms),
            ("voice", self.first_audio_ms),
            ("playout", self.first_packet_ms),
        ];
        let mut at = self.speech_ended_ms;
        let mut stages = Vec::with_capacity(marks.len());
        for (name, end) in marks {
            // A realtime model may speak before its text is complete: no stage may end before it began.
            let Some(end) = end.map(|end| end.max(at)) else { continue };
            stages.push((name, at, end));
            at = end;
        }
        stages
    }
}

/// Figures of one call, collected while it goes on.
#[derive(Clone, Debug, Default)]
pub struct CallMetrics {
    /// The agent's turns in order, at most 2,000.
    pub turns: Vec<TurnMetrics>,
    /// What became of the caller's sounds over the agent.
    pub interruptions: InterruptionCounts,
    /// When the caller was connected to the transfer target.
    pub transferred: Option<u64>,
    /// Who answered, and when in the call that was known.
    pub answered_by: Option<(&'static str, u64)>,
    /// Turns considered finished although the caller continued.
    pub premature_ends_of_turn: u32,
    /// Preemptive generations that were used.
    pub preemptive_used: u32,
    /// Preemptive generations that were discarded unused, mostly because the caller went on.
    pub preemptive_discarded: u32,
    /// Prompt tokens of all responses, those from the cache included.
    pub prompt_tokens: u64,
    /// Completion tokens of all responses.
    pub completion_tokens: u64,
    /// Prompt tokens that providers read from their caches.
    pub cached_tokens: u64,
    /// Characters sent to TTS, whether or not they were played.
    pub characters_spoken: u64,
    errors: Vec<(String, u32)>,
    /// Tokens by `provider/model`: prompt and completion.
    models: BTreeMap<String, (u64, u64)>,
    /// Characters by `provider/model` of the voice.
    voices: BTreeMap<String, u64>,
    failovers: Vec<Value>,
    agents: AgentShares,
    /// Languages that the conversation changed to.
    languages: Vec<Value>,
    /// Commands from beside the call, in order.
    controls: Vec<Value>,
}

/// Failovers that are listed individually; further ones are only counted.
const SWITCHES_MAX: usize = 50;

impl CallMetrics {
    pub(super) fn record_turn(
        &mut self, response_id: u32, speech_ended_ms: u64, final_ms: Option<u64>, decided_ms: u64,
    ) {
        if self.turns.len() < TURNS_MAX {
            self.turns.push(TurnMetrics {
                response_id,
                speech_ended_ms,
                final_ms,
                decided_ms,
                ..TurnMetrics::default()
            });
        }
    }

    /// Why the turn of a response was held for over.
    pub(super) fn record_decision(&mut self, response_id: u32, decision: Option<DecisionRecord>) {
        if let Some(turn) = self.of(response_id) {
            turn.decision = decision;
        }
    }

    /// A turn is answered by another response than the one that was begun.
    pub(super) fn continue_turn(&mut self, response_id: u32, answer_id: u32) {
        if let Some(turn) = self.of(response_id) {
            turn.response_id = answer_id;
            (turn.first_token_ms, turn.first_segment_ms, turn.first_audio_ms) = (None, None, None);
        }
    }

    fn of(&mut self, response_id: u32) -> Option<&mut TurnMetrics> {
        self.turns.last_mut().filter(|turn| turn.response_id == response_id)
    }

    pub(super) fn record_first_token(&mut self, response_id: u32, at_ms: u64) {
        if let Some(turn) = self.of(response_id) {
            turn.first_token_ms.get_or_insert(at_ms);
        }
    }

    pub(super) fn record_first_segment(&mut self, response_id: u32, at_ms: u64) {
        if let Some(turn) = self.of(response_id) {
            turn.first_segment_ms.get_or_insert(at_ms);
        }
    }

    pub(super) fn record_first_audio(&mut self, response_id: u32, at_ms: u64) {
        if let Some(turn) = self.of(response_id) {
            turn.first_audio_ms.get_or_insert(at_ms);
        }
    }

    pub(super) fn record_first_packet(&mut self, response_id: u32, at_ms: u64) {
        if let Some(turn) = self.of(response_id) {
            turn.first_packet_ms.get_or_insert(at_ms);
        }
    }

    /// Records the token usage of a response.
    pub(super) fn record_token_usage(&mut self, response_id: u32, usage: &TokenUsage) {
        if let Some(turn) = self.of(response_id) {
            turn.llm.get_or_insert_with(|| usage.model.clone());
        }
        self.prompt_tokens += usage.prompt_tokens;
        self.completion_tokens += usage.completion_tokens;
        self.cached_tokens += usage.cached_tokens;
        let of_model = self.models.entry(usage.model.clone()).or_default();
        of_model.0 += usage.prompt_tokens;
        of_model.1 += usage.completion_tokens;
    }

    /// Records text that was sent to TTS.
    pub fn record_spoken_characters(&mut self, voice: &str, characters: u64) {
        if let Some(turn) = self.turns.last_mut().filter(|turn| turn.first_audio_ms.is_none()) {
            turn.tts = Some(voice.to_owned());
        }
        self.characters_spoken += characters;
        match self.voices.get_mut(voice) {
            Some(count) => *count += characters,
            None => drop(self.voices.insert(voice.to_owned(), characters)),
        }
    }

    /// Another agent has the call from here on.
    pub(super) fn record_agent_change(&mut self, at_ms: u64, from: &CallSpec, to: &CallSpec) {
        self.agents.record(at_ms, from, to, self.sums());
    }

    /// The conversation goes on in another language.
    pub(super) fn record_language(&mut self, at_ms: u64, language: &str, source: &'static str) {
        if self.languages.len() < SWITCHES_MAX {
            self.languages.push(json!({"language": language, "by": source, "at_ms": at_ms}));
        }
    }

    /// Somebody beside the call has given a command; the machine bounds their number.
    pub(super) fn record_control(&mut self, at_ms: u64, control: &CallControl, by: &str) {
        self.controls.push(json!({"control": control.name(), "text": control.text(), "by": by, "at_ms": at_ms}));
    }

    /// The commands that were given from beside the call, as the call's `metrics` show them.
    pub fn controls(&self) -> &[Value] {
        &self.controls
    }

    fn sums(&self) -> UsageSums {
        UsageSums {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            characters: self.characters_spoken,
            turns: self.turns.len() as u64,
        }
    }

    pub(super) fn record_failover(&mut self, at_ms: u64, switch: &Failover) {
        let stage = switch.stage.name();
        metrics::counter!("trunkline_provider_failovers_total", "stage" => stage, "why" => switch.reason).increment(1);
        metrics::histogram!("trunkline_provider_failover_seconds", "stage" => stage).record(switch.after.as_secs_f64());
        if self.failovers.len() < SWITCHES_MAX {
            self.failovers.push(json!({
                "stage": stage, "from": switch.from, "to": switch.to, "why": switch.reason, "at_ms": at_ms,
                "added_ms": switch.after.as_millis() as u64,
            }));
        }
    }

    pub(super) fn record_provider_error(&mut self, stage: &'static str, kind: &'static str) {
        metrics::counter!("trunkline_provider_errors_total", "stage" => stage, "kind" => kind).increment(1);
        let name = format!("{stage}_{kind}");
        match self.errors.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => self.errors.push((name, 1)),
        }
    }

    /// As the call's `metrics` shows them.
    pub fn to_json(&self) -> Value {
        let since = |at: Option<u64>, from: u64| at.map(|at| at.saturating_sub(from));
        let turns: Vec<Value> = self
            .turns
            .iter()
            .map(|turn| {
                let stages = turn.stages();
                let cost: serde_json::Map<String, Value> =
                    stages.iter().map(|(name, from, to)| (format!("{name}_ms"), json!(to - from))).collect();
                json!({
                    "cost": cost,
                    "decision": turn.decision.as_ref().map(DecisionRecord::to_json),
                    "model": turn.llm,
                    "voice": turn.tts,
                    "timeline": {
                        "last_voice_ms": turn.speech_ended_ms,
                        "recogniser_final_ms": turn.final_ms,
                        "decided_ms": turn.decided_ms,
                        "first_token_ms": turn.first_token_ms,
                        "first_sentence_ms": turn.first_segment_ms,
                        "first_audio_ms": turn.first_audio_ms,
                        "first_packet_ms": turn.first_packet_ms,
                    },
                    "speech_ended_at_ms": turn.speech_ended_ms,
                    "end_of_turn_ms": turn.decided_ms.saturating_sub(turn.speech_ended_ms),
                    "first_token_ms": since(turn.first_token_ms, turn.decided_ms),
                    "first_audio_ms": since(turn.first_audio_ms, turn.decided_ms),
                    "response_ms": since(turn.first_packet_ms, turn.speech_ended_ms),
                })
            })
            .collect();
        let errors: serde_json::Map<String, Value> =
            self.errors.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        let models: BTreeMap<&str, Value> = self
            .models
            .iter()
            .map(|(name, (prompt, completion))| {
                (name.as_str(), json!({"prompt_tokens": prompt, "completion_tokens": completion}))
            })
            .collect();
        self.with_changes(json!({
            "turns": turns,
            "barge_ins": self.interruptions.stopped,
            "interruptions": self.interruptions.to_json(),
            "cut_offs": self.premature_ends_of_turn,
            "transferred_at_ms": self.transferred,
            "answered_by": self.answered_by.map(|(who, at_ms)| json!({"who": who, "known_at_ms": at_ms})),
            "eager": {"used": self.preemptive_used, "discarded": self.preemptive_discarded},
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cached_tokens": self.cached_tokens,
            "characters_spoken": self.characters_spoken,
            "provider_errors": errors,
            "failovers": self.failovers,
            "used": {"llm": models, "tts": self.voices},
        }))
    }

    /// The agents of the call so far, in calls that more than one had.
    pub fn agents(&self) -> Option<Value> {
        self.agents.to_json(self.sums())
    }

    /// Figures with the changes of agent and language, in calls that had any.
    fn with_changes(&self, mut figures: Value) -> Value {
        if let Some(agents) = self.agents() {
            figures["agents"] = agents;
        }
        if !self.languages.is_empty() {
            figures["languages"] = json!(self.languages);
        }
        if !self.controls.is_empty() {
            figures["controls"] = json!(self.controls);
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_belong_to_the_response_that_they_name() {
        let mut metrics = CallMetrics::default();
        metrics.record_turn(7, 1_000, Some(1_100), 1_200);
        metrics.record_first_token(6, 1_250);
        metrics.record_first_packet(6, 1_260);
        assert_eq!(metrics.turns[0].first_token_ms, None, "another response");
        metrics.record_first_token(7, 1_300);
        metrics.record_first_token(7, 1_400);
        metrics.record_first_segment(7, 1_310);
        metrics.record_first_audio(7, 1_320);
        metrics.record_first_packet(7, 1_330);
        let turn = &metrics.turns[0];
        assert_eq!((turn.first_token_ms, turn.first_segment_ms), (Some(1_300), Some(1_310)), "the first one counts");
        assert_eq!((turn.first_audio_ms, turn.first_packet_ms), (Some(1_320), Some(1_330)));
    }

    #[test]
    fn errors_are_counted_by_stage_and_kind() {
        let mut metrics = CallMetrics::default();
        for (stage, kind) in [("llm", "timeout"), ("llm", "timeout"), ("tts", "timeout"), ("llm", "rejected")] {
            metrics.record_provider_error(stage, kind);
        }
        let errors = json!({"llm_timeout": 2, "tts_timeout": 1, "llm_rejected": 1});
        assert_eq!(metrics.to_json()["provider_errors"], errors);
    }
}
