//! Another agent of the organization takes the call over: one owner at any time, and no word of the caller is lost.

use super::*;
use serde_json::{Value, json};
use trunkline_domain::chat::ToolOffer;
use trunkline_domain::ids::AgentId;

const OLD: &str = "0194a8a6-1111-7000-8000-000000000001";
const NEXT: &str = "0194a8a6-1111-7000-8000-000000000002";

fn spec(id: &str, more: Value) -> CallSpec {
    let mut all = json!({"name": "Reception", "is_active": true, "first_message": "Good morning.",
        "system_prompt": "You are the reception."});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    CallSpec {
        agent_id: AgentId::parse(id),
        agent: serde_json::from_value(all).unwrap(),
        task: None,
        fixed_texts: Default::default(),
        known: Default::default(),
        spoken: None,
        is_web: false,
        today: jiff::civil::date(2026, 11, 28),
    }
}

/// The reception, which can hand calls to billing.
pub(super) fn reception(target: Value) -> CallSpec {
    let mut billing = json!({"agent_id": NEXT, "name": "billing", "description": "Invoices"});
    billing.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    let find = json!({"function": {"name": "find"}, "url": "https://crm.example/find"});
    spec(
        OLD,
        json!({"handover_config": {"agents": [billing]},
            "llm_config": {"provider": "openai", "model": "m", "tools": [find]}}),
    )
}

pub(super) fn billing(more: Value) -> Box<CallSpec> {
    let mut all = json!({"name": "Billing", "system_prompt": "You know invoices.", "first_message": "Billing here."});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Box::new(spec(NEXT, all))
}

impl CallHarness {
    pub(super) fn at_reception(target: Value) -> Self {
        let mut harness = Self::briefed(reception(target), None);
        harness.play_everything();
        harness.caller_says("I have a question about my invoice");
        harness
    }

    pub(super) fn wants(&mut self, words: &str, calls: &[(&str, Value)]) {
        let response_id = self.machine.response_id();
        let calls = calls.iter().zip(1..).map(|((name, arguments), id)| ToolCall {
            id: format!("call-{id}"),
            name: (*name).to_owned(),
            arguments: arguments.to_string(),
            ..ToolCall::default()
        });
        if !words.is_empty() {
            self.machine.handle_llm_event(self.now, response_id, LlmEvent::Text(words.into()));
        }
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::ToolCalls(calls.collect()));
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(TokenUsage::default()));
        self.drain();
    }

    pub(super) fn wants_billing(&mut self) {
        self.wants("", &[("transfer_agent", json!({"agent": "billing", "summary": "Jan asks about invoice 7."}))]);
    }

    pub(super) fn prepared(&mut self, spec: Box<CallSpec>) {
        self.machine.handle_agent_prepared(self.now, Ok(spec));
        self.drain();
    }

    pub(super) fn times(&self, wanted: &CallOutput) -> usize {
        self.seen.iter().filter(|output| *output == wanted).count()
    }

    /// All messages of the last request, as role and text.
    pub(super) fn asked(&self) -> Vec<String> {
        let last = self.seen.iter().rev().find_map(|output| match output {
            CallOutput::RequestLlm { messages, .. } => Some(messages.clone()),
            _ => None,
        });
        let told = |message: ChatMessage| match message {
            ChatMessage::System(text) => format!("system: {text}"),
            ChatMessage::User(text) => format!("user: {text}"),
            ChatMessage::Assistant { content, tool_calls } => format!("assistant: {content} +{}", tool_calls.len()),
            ChatMessage::Tool { content, .. } => format!("tool: {content}"),
        };
        last.unwrap().into_iter().map(told).collect()
    }

    fn offered(&self) -> Vec<ToolOffer> {
        let last = self.seen.iter().rev().find_map(|output| match output {
            CallOutput::RequestLlm { tools, .. } => Some(tools.clone()),
            _ => None,
        });
        last.unwrap()
    }

    fn speakers(&self) -> Vec<(String, Option<AgentId>)> {
        let mut turns = std::collections::BTreeMap::new();
        for output in &self.seen {
            if let CallOutput::Turn { position, turn } = output {
                turns.insert(*position, (turn.content.clone(), turn.agent_id));
            }
        }
        turns.into_values().collect()
    }
}

pub(super) fn change() -> CallOutput {
    CallOutput::ChangeAgent
}

#[test]
fn the_next_agent_goes_on_at_once_with_what_was_said() {
    let mut harness = CallHarness::at_reception(json!({}));
    assert!(
        harness.offered().iter().any(|tool| tool.name == "transfer_agent" && tool.description.contains("Invoices"))
    );
    harness.wants_billing();
    let prepare = CallOutput::PrepareAgent { agent: AgentId::parse(NEXT).unwrap() };
    assert_eq!(
        (harness.times(&prepare), harness.times(&change())),
        (1, 0),
        "the present agent keeps the call until then"
    );
    let before = harness.llm_requests();
    harness.prepared(billing(json!({})));
    assert_eq!((harness.times(&change()), harness.llm_requests()), (1, before + 1));
    let asked = harness.asked();
    assert!(asked[0].starts_with("system: You know invoices."), "{asked:?}");
    assert!(asked.iter().all(|message| !message.contains("reception.")), "the other agent's prompt is gone: {asked:?}");
    assert!(asked.contains(&"user: I have a question about my invoice".to_owned()), "{asked:?}");
    let note = "system: You have taken over this call from Reception. What is known: Jan asks about invoice 7.";
    assert!(asked.contains(&note.to_owned()), "{asked:?}");
    assert!(asked.last().unwrap().contains("Do not greet"), "{asked:?}");
    assert!(asked.iter().all(|message| !message.starts_with("tool:") && !message.ends_with("+1")), "{asked:?}");
    assert!(harness.offered().iter().all(|tool| tool.name != "transfer_agent" && tool.name != "find"));
    harness.model_says("Invoice seven is paid.");
    harness.play_everything();
    let (old, next) = (AgentId::parse(OLD), AgentId::parse(NEXT));
    let wanted = [
        ("Good morning.", old),
        ("I have a question about my invoice", None),
        ("transfer_agent: handed over to billing", old),
        ("Invoice seven is paid.", next),
    ];
    assert_eq!(harness.speakers(), wanted.map(|(text, agent)| (text.to_owned(), agent)));
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn what_the_next_agent_learns_is_configured() {
    let mut summary = CallHarness::at_reception(json!({"history": "summary"}));
    summary.wants("", &[("transfer_agent", json!({"agent": "billing"}))]);
    assert!(summary.asked().last().unwrap().contains("billing needs a summary"), "{:?}", summary.asked());
    summary.wants_billing();
    summary.prepared(billing(json!({})));
    let asked = summary.asked();
    assert!(asked.iter().all(|message| !message.starts_with("user:")), "{asked:?}");
    assert!(asked.iter().any(|message| message.contains("invoice 7")), "{asked:?}");

    let mut nothing = CallHarness::at_reception(json!({"history": "none"}));
    nothing.wants_billing();
    nothing.prepared(billing(json!({})));
    let asked = nothing.asked();
    assert!(asked.iter().all(|message| !message.contains("invoice 7") && !message.starts_with("user:")), "{asked:?}");
}

#[test]
fn the_announcement_is_heard_first_and_the_next_agent_greets_once() {
    let mut harness = CallHarness::at_reception(json!({"announcement": "One moment.", "opening": "greet"}));
    harness.wants_billing();
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 0, "the announcement is still being said");
    assert_eq!(harness.play_everything(), "One moment. Billing here.");
    assert_eq!(harness.times(&change()), 1);
    let greetings = harness.transcript().iter().filter(|line| line.contains("Billing here.")).count();
    assert_eq!(greetings, 1);
    // What the LLM has said itself is not said again.
    let mut told = CallHarness::at_reception(json!({"announcement": "One moment.", "opening": "greet"}));
    told.wants("I will ask billing.", &[("transfer_agent", json!({"agent": "billing"}))]);
    assert_eq!(told.play_everything(), "I will ask billing.");
    told.prepared(billing(json!({})));
    assert_eq!(told.play_everything(), "Billing here.");
}

#[test]
fn words_during_the_switch_are_answered_by_the_next_agent_instead_of_a_greeting() {
    let mut harness = CallHarness::at_reception(json!({"announcement": "One moment.", "opening": "greet"}));
    harness.wants_billing();
    harness.play_everything();
    let before = harness.llm_requests();
    harness.caller_says("it is number seven");
    harness.pass_ms(1_000);
    assert_eq!(harness.play_everything(), "One moment, please.");
    assert_eq!(harness.llm_requests(), before, "nobody answers before it is clear who");
    harness.prepared(billing(json!({})));
    assert_eq!(harness.llm_requests(), before + 1);
    assert_eq!(harness.asked().last().unwrap(), "user: it is number seven");
    harness.model_says("Seven is paid.");
    assert_eq!(harness.play_everything(), "Seven is paid.", "no greeting");
}

#[test]
fn a_caller_who_interrupts_the_announcement_is_heard_out() {
    let mut harness = CallHarness::at_reception(json!({"announcement": "One moment, I ask.", "opening": "greet"}));
    harness.wants_billing();
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.machine.handle_speech_started(harness.now);
    let heard = [SegmentPlayed { segment, sent_samples: 800, complete: false }];
    harness.machine.handle_flushed(harness.now, true, segment.response_id, &heard);
    harness.drain();
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 1);
    assert!(harness.waiting.is_empty(), "nobody talks over the caller");
    harness.caller_says("wait, number seven");
    assert_eq!(harness.asked().last().unwrap(), "user: wait, number seven");
    // The same, but it was only a cough: the next agent begins after it.
    let mut cough = CallHarness::at_reception(json!({"opening": "greet"}));
    cough.wants_billing();
    cough.machine.handle_speech_started(cough.now);
    cough.prepared(billing(json!({})));
    let before = cough.llm_requests();
    cough.machine.handle_speech_ended(cough.now, cough.now);
    cough.pass_ms(3_000);
    assert_eq!(cough.llm_requests(), before + 1);
}

#[test]
fn words_that_are_no_turn_yet_survive_the_switch() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.wants_billing();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(500);
    let event = SttEvent::Final { text: "my number".into(), confidence: Some(0.9), speech_final: false };
    harness.machine.handle_stt(harness.now, event);
    harness.prepared(billing(json!({})));
    harness.pass_ms(300);
    harness.machine.handle_speech_ended(harness.now, harness.now);
    let event = SttEvent::Final { text: "is seven please".into(), confidence: Some(0.9), speech_final: true };
    harness.machine.handle_stt(harness.now, event);
    harness.pass_ms(3_000);
    assert_eq!(harness.asked().last().unwrap(), "user: my number is seven please");
}

#[test]
fn keys_pressed_during_the_switch_reach_the_next_agent() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.wants_billing();
    harness.machine.handle_digit(harness.now, '7');
    harness.machine.handle_digit(harness.now, '#');
    harness.prepared(billing(json!({})));
    assert_eq!(harness.asked().last().unwrap(), "user: [DTMF 7]");
}

#[test]
fn an_agent_that_cannot_take_over_leaves_the_call_with_the_present_one() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.wants_billing();
    harness.caller_says("hello?");
    let before = harness.llm_requests();
    harness.machine.handle_agent_prepared(harness.now, Err("the agent is switched off".into()));
    harness.drain();
    assert_eq!((harness.times(&change()), harness.llm_requests()), (0, before + 1));
    let asked = harness.asked();
    assert!(asked[0].starts_with("system: You are the reception."), "{asked:?}");
    let error = "tool: error: the call was not handed over to billing: the agent is switched off";
    assert!(asked.contains(&error.to_owned()), "{asked:?}");
    assert_eq!(asked.last().unwrap(), "user: hello?");
    // A late answer of the preparation changes nothing.
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 0);
    // The next attempt may work.
    harness.wants_billing();
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 1);
    assert!(harness.asked().iter().all(|message| !message.contains("switched off")), "{:?}", harness.asked());
}

#[test]
fn a_preparation_that_takes_too_long_is_given_up() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.wants_billing();
    harness.pass_ms(3_000);
    harness.play_everything();
    harness.pass_ms(2_600);
    assert_eq!(harness.times(&CallOutput::CancelPreparation), 1);
    assert!(
        harness.asked().iter().any(|message| message.contains("it was not ready in time")),
        "{:?}",
        harness.asked()
    );
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 0);
}

#[test]
fn a_caller_who_hangs_up_during_the_switch_ends_the_call_once() {
    for announcement in [json!({}), json!({"announcement": "One moment."})] {
        let mut harness = CallHarness::at_reception(announcement);
        harness.wants_billing();
        harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
        harness.drain();
        harness.prepared(billing(json!({})));
        harness.pass_ms(2_000);
        assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
        assert_eq!(harness.times(&change()), 0);
    }
}

#[test]
fn a_tool_that_still_runs_is_told_to_the_next_agent() {
    let calls = [("find", json!({})), ("transfer_agent", json!({"agent": "billing", "summary": "Seven."}))];
    let mut harness = CallHarness::at_reception(json!({}));
    harness.wants("", &calls);
    harness.prepared(billing(json!({})));
    assert!(harness.asked().iter().all(|message| !message.contains("still being worked on")), "{:?}", harness.asked());
    harness.model_says("Let me see.");
    harness.play_everything();
    let before = harness.llm_requests();
    harness.machine.handle_tool_result(harness.now, "call-1", "paid");
    harness.drain();
    assert_eq!(harness.llm_requests(), before + 1, "nobody waited for it, and it is news");
    assert!(harness.asked().contains(&"system: The tool find answered: paid".to_owned()), "{:?}", harness.asked());
    // An agent that learns nothing of the conversation does not learn this either; the transcript has it.
    let mut blind = CallHarness::at_reception(json!({"history": "none"}));
    blind.wants("", &calls);
    blind.prepared(billing(json!({})));
    blind.model_says("Hello.");
    blind.play_everything();
    let before = blind.llm_requests();
    blind.machine.handle_tool_result(blind.now, "call-1", "paid");
    blind.drain();
    assert_eq!(blind.llm_requests(), before);
    assert!(blind.transcript().contains(&"tool: find: paid".to_owned()), "{:?}", blind.transcript());
}

#[test]
fn a_caller_goes_to_one_agent_only() {
    let mut harness = CallHarness::at_reception(json!({}));
    let billing_call = ("transfer_agent", json!({"agent": "billing"}));
    harness.wants("", &[billing_call.clone(), billing_call]);
    let prepares = harness.seen.iter().filter(|output| matches!(output, CallOutput::PrepareAgent { .. })).count();
    assert_eq!(prepares, 1);
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 1);
}

#[test]
fn agents_cannot_send_a_caller_to_and_fro_forever() {
    let mut harness = CallHarness::at_reception(json!({}));
    let back = json!({"agents": [{"agent_id": OLD, "name": "reception"}]});
    for handover in 1..=11 {
        let to_billing = handover % 2 == 1;
        let name = if to_billing { "billing" } else { "reception" };
        harness.wants("", &[("transfer_agent", json!({"agent": name}))]);
        let next = if to_billing { billing(json!({"handover_config": back})) } else { Box::new(reception(json!({}))) };
        harness.prepared(next);
    }
    assert_eq!(harness.times(&change()), 10);
    assert!(harness.asked().iter().any(|message| message.contains("handed over too often")), "{:?}", harness.asked());
    // An agent is not handed the call that it has.
    let mut own = reception(json!({}));
    own.agent_id = AgentId::parse(NEXT);
    let mut harness = CallHarness::briefed(own, None);
    harness.play_everything();
    harness.caller_says("my invoice");
    harness.wants_billing();
    assert!(harness.asked().iter().any(|message| message.contains("you are this agent")), "{:?}", harness.asked());
}

#[test]
fn silence_phrases_and_fillers_are_the_next_agents() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.wants_billing();
    let silence = json!({"prompt": "Bent u er nog?", "prompt_after_ms": 3_000, "fillers": ["Momentje."],
        "filler_after_ms": 500});
    let tts = json!({"provider": "elevenlabs", "voice_id": "v", "language": "nl"});
    harness.prepared(billing(json!({"silence_config": silence, "tts_config": tts})));
    harness.pass_ms(600);
    assert_eq!(harness.play_everything(), "Momentje.", "the LLM is slow");
    harness.model_says("Wat is het nummer?");
    harness.play_everything();
    harness.pass_ms(3_100);
    assert_eq!(harness.play_everything(), "Bent u er nog?");
    harness.caller_says("zeven");
    harness.model_fails();
    assert_eq!(harness.play_everything(), "Sorry, er ging iets mis. Kunt u dat herhalen?");
}

#[test]
fn the_figures_say_what_each_agent_has_used() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.machine.record_tts_request("elevenlabs/x", 100);
    harness.wants_billing();
    let stt = json!({"stt_config": {"provider": "openai", "model": "whisper-1", "language": "nl"}});
    harness.prepared(billing(stt));
    harness.machine.record_tts_request("elevenlabs/y", 30);
    let agents = harness.machine.metrics().to_json()["agents"].clone();
    let of = |index: usize, field: &str| agents[index][field].clone();
    assert_eq!((of(0, "agent_id"), of(1, "agent_id")), (json!(OLD), json!(NEXT)), "{agents}");
    assert_eq!((of(0, "characters_spoken"), of(1, "characters_spoken")), (json!(100), json!(30)));
    assert_eq!((of(0, "stt"), of(1, "stt")), (json!("deepgram/nova-3-general"), json!("openai/whisper-1")));
    assert_eq!((of(0, "until_ms"), of(1, "until_ms")), (of(1, "from_ms"), Value::Null));
    // A call of one agent has no such list.
    assert_eq!(CallHarness::greeted().machine.metrics().to_json().get("agents"), None);
}

#[test]
fn nobody_waits_in_silence_for_an_agent_that_is_slow_to_be_ready() {
    for target in [json!({"opening": "greet"}), json!({"opening": "greet", "announcement": "I put you through."})] {
        let mut harness = CallHarness::at_reception(target.clone());
        harness.wants_billing();
        harness.play_everything();
        let waited = harness.silence_ms();
        assert!((2_000..=3_000).contains(&waited), "{target}: {waited} ms");
        harness.play_everything();
        harness.machine.handle_agent_prepared(harness.now, Ok(billing(json!({}))));
        harness.drain();
        assert_eq!(harness.play_everything(), "Billing here.", "{target}");
    }
}
