//! How long the silences are while a caller waits, whatever is waited for.

use super::handover::{billing, reception};
use super::*;
use serde_json::{Value, json};

/// No silence is longer, once the first phrase was said.
const SILENCE_MAX_MS: u32 = 5_000;
/// The first phrase, from the end of the caller's turn on.
const FIRST_MAX_MS: u32 = 2_600;

/// Listens to a call, and knows its silences.
struct Listener {
    harness: CallHarness,
    silent_ms: u32,
    silences: Vec<u32>,
    heard: Vec<String>,
}

impl Listener {
    fn new(harness: CallHarness) -> Self {
        Self { harness, silent_ms: 0, silences: Vec::new(), heard: Vec::new() }
    }

    fn hear(&mut self) {
        while !self.harness.waiting.is_empty() {
            self.silences.push(std::mem::take(&mut self.silent_ms));
            let words = self.harness.play_everything();
            self.heard.push(words);
        }
    }

    fn pass_ms(&mut self, ms: u32) {
        for _ in 0..ms / 50 {
            self.hear();
            self.harness.pass_ms(50);
            self.silent_ms += 50;
        }
        self.hear();
    }

    /// The silences so far, the present one too.
    fn check(mut self, what: &str) {
        self.silences.push(self.silent_ms);
        let first = self.silences.first().copied().unwrap_or_default();
        assert!(first <= FIRST_MAX_MS, "{what}: {:?} {:?}", self.silences, self.heard);
        let longest = self.silences.iter().max().copied().unwrap_or_default();
        assert!(longest <= SILENCE_MAX_MS, "{what}: {:?} {:?}", self.silences, self.heard);
        assert!(self.heard.windows(2).all(|two| two[0] != two[1]), "{what}: {:?}", self.heard);
    }
}

fn with_tools(more: Value) -> AgentFields {
    let mut all = json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"collect_value": {"country": "NL"}, "collect_digits": {}},
        "llm_config": {"provider": "openai", "model": "m", "tools": [{"function": {"name": "find"}, "timeout_ms": 120_000}]}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn asked(agent: AgentFields) -> Listener {
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("Where is my order?");
    Listener::new(harness)
}

#[test]
fn a_model_that_thinks_for_half_a_minute_and_a_tool_that_works_for_two() {
    let mut listener = asked(with_tools(json!({})));
    listener.pass_ms(31_000);
    listener.check("model");
    let mut listener = asked(with_tools(json!({})));
    listener.harness.wants_tool();
    listener.pass_ms(119_000);
    listener.check("tool");
    let own = json!({"silence_config": {"fillers": ["Bear with me."], "filler_after_ms": 1_500}});
    let mut listener = asked(with_tools(own));
    listener.harness.wants_tool();
    listener.pass_ms(60_000);
    listener.check("one phrase of the agent's own");
    let progress = json!({"llm_config": {"provider": "openai", "model": "m", "tools": [
        {"function": {"name": "find"}, "timeout_ms": 120_000, "progress": {}}]}});
    let mut listener = asked(with_tools(progress));
    listener.harness.wants_tool();
    listener.pass_ms(119_000);
    listener.check("words of the tool");
}

#[test]
fn rounds_of_model_and_tool_that_each_end_just_before_a_phrase_is_due() {
    for each in [900, 1_900, 2_400, 3_400, 3_450, 4_900] {
        let mut listener = asked(with_tools(json!({})));
        for _ in 0..5 {
            listener.pass_ms(each);
            listener.harness.wants_tool();
            listener.pass_ms(each);
            listener.harness.result("found");
        }
        listener.pass_ms(3_000);
        listener.check(&format!("{each} ms each"));
    }
}

#[test]
fn another_agent_that_is_slow_to_take_over_and_slow_to_answer() {
    for (ready_ms, words) in [(2_400, ""), (4_900, ""), (2_400, "I put you through.")] {
        let mut harness = CallHarness::briefed(reception(json!({})), None);
        harness.play_everything();
        harness.caller_says("I have a question about my invoice");
        harness.wants(words, &[("transfer_agent", json!({"agent": "billing", "summary": "Invoice 7."}))]);
        let mut listener = Listener::new(harness);
        listener.pass_ms(ready_ms);
        listener.harness.prepared(billing(json!({})));
        listener.pass_ms(7_000);
        listener.check(&format!("ready after {ready_ms} ms, {words:?}"));
    }
}

#[test]
fn a_value_that_was_confirmed_and_a_model_or_another_tool_that_is_slow() {
    for has_other in [false, true] {
        let mut harness = CallHarness::new(with_tools(json!({})));
        harness.play_everything();
        harness.caller_says("I have a question");
        let code = ("collect_value", json!({"type": "code", "prompt": "Which code?"}));
        let calls = if has_other { vec![("find", json!({})), code] } else { vec![code] };
        harness.wants("", &calls);
        assert_eq!(harness.play_everything(), "Which code?");
        harness.pass_ms(2_000);
        harness.caller_says("b as in bravo seven");
        assert!(harness.play_everything().starts_with("I have Bravo, 7."));
        harness.pass_ms(2_000);
        harness.caller_says("yes, correct");
        let mut listener = Listener::new(harness);
        listener.pass_ms(500);
        assert_eq!(listener.heard, Vec::<String>::new(), "no phrase comes at once");
        listener.pass_ms(28_000);
        listener.check(&format!("another tool: {has_other}"));
    }
}

#[test]
fn digits_that_were_pressed_and_a_model_or_another_tool_that_is_slow() {
    for has_other in [false, true] {
        let mut harness = CallHarness::new(with_tools(json!({})));
        harness.play_everything();
        harness.caller_says("I have a question");
        let digits = ("collect_digits", json!({"min_digits": 4, "max_digits": 4, "prompt": "Your number?"}));
        let calls = if has_other { vec![("find", json!({})), digits] } else { vec![digits] };
        harness.wants("", &calls);
        assert_eq!(harness.play_everything(), "Your number?");
        harness.pass_ms(3_000);
        for key in "1234".chars() {
            harness.machine.handle_digit(harness.now, key);
        }
        harness.drain();
        let mut listener = Listener::new(harness);
        listener.pass_ms(30_000);
        listener.check(&format!("another tool: {has_other}"));
    }
}

#[test]
fn between_the_phrases_and_the_apology_of_a_model_that_fails_late() {
    for fails_ms in [2_600, 4_000, 7_900, 8_000, 8_100, 30_000] {
        let mut listener = asked(with_tools(json!({})));
        listener.pass_ms(fails_ms);
        listener.harness.model_fails();
        listener.pass_ms(500);
        let apology = listener.heard.last().cloned().unwrap_or_default();
        assert!(apology.contains("say that again"), "{fails_ms}: {:?}", listener.heard);
        listener.check(&format!("it fails after {fails_ms} ms"));
    }
}

#[test]
fn a_tool_that_a_realtime_model_waits_for() {
    let mut harness = CallHarness::on_realtime(None);
    let greeting = harness.realtime_says(0, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    let heard = SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true };
    harness.machine.handle_segment_finished(heard, harness.now);
    harness.drain();
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.pass_ms(900);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::ResponseStarted);
    let call = ToolCall { id: "1".into(), name: "find".into(), arguments: "{}".into(), ..ToolCall::default() };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    let words = |harness: &CallHarness| {
        harness.sent_to_realtime().iter().filter(|input| matches!(input, RealtimeInput::Say(_))).count()
    };
    let before = words(&harness);
    harness.pass_ms(4_000);
    assert!(harness.machine.poll_timeout().is_some());
    assert!(words(&harness) > before || !harness.waiting.is_empty(), "{:?}", harness.sent_to_realtime());
}

#[test]
fn phrases_come_to_an_end() {
    let mut listener = asked(with_tools(json!({})));
    listener.pass_ms(600_000);
    assert_eq!(listener.heard.len(), 60);
}
