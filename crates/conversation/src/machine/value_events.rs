//! A value that the model has asked for, from the first question to the confirmed value.

use super::call_machine::CallMachine;
use super::collecting::{Collecting, ValueEntry};
use super::mode::Mode;
use super::talk::Talk;
use crate::dialogue::response::AfterResponse;
use crate::dialogue::spoken::value::{ValueContext, ValueKind};
use crate::dialogue::value_collection::{ValueCollection, ValueRequest, ValueStep};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trunkline_domain::chat::ToolCall;
use trunkline_media::turn::end_of_turn::CallerTurn;

/// A value that a round of tools begins to ask for.
#[derive(Debug)]
pub(super) struct WantedValue {
    pub(super) call: ToolCall,
    pub(super) kind: ValueKind,
    /// Said first.
    pub(super) prompt: Option<String>,
    /// What the caller has said already.
    pub(super) heard: Option<String>,
}

impl CallMachine {
    /// Begins to ask for a value.
    pub(super) fn begin_value(&mut self, now: Instant, wanted: WantedValue) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let WantedValue { call, kind, prompt, heard } = wanted;
        let request = conversing.talk.value_request(kind, prompt, heard);
        let (collection, step) = ValueCollection::begin(request);
        conversing.collecting = Collecting::Value(ValueEntry { call, collection });
        conversing.talk.timers.filler = None;
        self.take_value_step(now, step);
    }

    /// The same round of tools ends or transfers the call: nothing is asked.
    pub(super) fn refuse_value(&mut self, now: Instant, wanted: &WantedValue) {
        let result = json!({"status": "gave_up", "value": null, "heard": ""}).to_string();
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_own_result(now, &wanted.call.id, &result, &result);
        }
    }

    /// A turn of the caller is about the value.
    pub(super) fn take_value_turn(&mut self, now: Instant, turn: &CallerTurn) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let Collecting::Value(entry) = &mut conversing.collecting else { return };
        let step = entry.collection.handle_words(&turn.text);
        conversing.talk.stop_for_key(now);
        conversing.talk.note_turn(turn);
        conversing.talk.tools.start_over();
        conversing.talk.fillers.start_over(now, turn.ended);
        self.take_value_step(now, step);
    }

    /// The caller has said nothing.
    pub(super) fn handle_value_timeout(&mut self, now: Instant) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let Collecting::Value(entry) = &mut conversing.collecting else { return };
        if conversing.talk.line.playout.response.is_some() || !conversing.talk.line.caller.is_quiet() {
            // The time begins again when both have spoken.
            return entry.collection.handle_speech();
        }
        let step = entry.collection.handle_timeout();
        conversing.talk.fillers.start_over(now, now);
        self.take_value_step(now, step);
    }

    fn take_value_step(&mut self, now: Instant, step: ValueStep) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        match step {
            ValueStep::Wait => self.arm_silence(now),
            ValueStep::Say(text) => conversing.talk.say(now, &text, AfterResponse::AwaitCaller),
            ValueStep::Done(result) => {
                self.end_value(now, &result);
                self.go_on_after_entry(now);
            }
        }
    }

    fn end_value(&mut self, now: Instant, result: &Value) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        if let Some(entry) = conversing.collecting.end_value() {
            conversing.silence_prompts = 0;
            let result = result.to_string();
            let told = conversing.talk.told_words(&result);
            conversing.talk.handle_own_result(now, &entry.call.id, &told, &result);
        }
    }

    /// Something else begins.
    pub(super) fn cancel_value(&mut self, now: Instant) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let Collecting::Value(entry) = &conversing.collecting else { return };
        let result = entry.collection.cancelled();
        self.end_value(now, &result);
    }
}

impl Talk {
    fn value_request(&self, kind: ValueKind, prompt: Option<String>, heard: Option<String>) -> ValueRequest {
        let spec = &self.line.facts.spec;
        let settings = spec.agent.built_in_tools.as_ref().and_then(|tools| tools.collect_value.clone());
        let settings = settings.unwrap_or_default();
        ValueRequest {
            kind,
            prompt: prompt.map(|prompt| self.filled_in(&prompt)),
            heard,
            attempts_max: settings.max_attempts,
            timeout: Duration::from_millis(settings.timeout_ms),
            context: ValueContext {
                language: spec.stt_language().to_owned(),
                spoken_language: spec.language().to_owned(),
                country: settings.country,
                currency: settings.currency,
                spelling: settings.spelling,
                today: spec.today,
            },
        }
    }
}
