//! Tools that the model calls, and results that come early, late, or while somebody speaks.

use super::*;
use trunkline_domain::chat::ToolChoice;

#[test]
fn a_result_that_comes_during_the_filler_is_read_when_it_was_heard() {
    let mut harness = CallHarness::new(with_tool(Some("One moment.")));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    assert!(harness.seen.iter().any(|output| matches!(output, CallOutput::CallTool { is_async: false, .. })));
    let before = harness.llm_requests();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before, "the filler is still being said");
    assert_eq!(harness.play_everything(), "One moment.");
    assert_eq!(harness.llm_requests(), before + 1);
    assert_eq!(harness.last_question()[1..], ["user: Where is it?", "assistant: One moment. +1", "tool: here"]);
}

#[test]
fn a_result_that_comes_while_the_caller_speaks_waits_for_the_turn() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    let before = harness.llm_requests();
    harness.machine.handle_speech_started(harness.now);
    harness.result("here");
    assert_eq!(harness.llm_requests(), before);
    // It was only a cough: the result goes to the LLM after all.
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(2_000);
    assert_eq!(harness.llm_requests(), before + 1);
}

#[test]
fn a_result_that_comes_after_another_question_is_news() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness.caller_says("And are you open?");
    assert!(
        harness.last_question().iter().any(|m| m.starts_with("tool: still being worked on")),
        "{:?}",
        harness.last_question()
    );
    harness.model_says("We are.");
    let before = harness.llm_requests();
    harness.play_everything();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before + 1);
    let asked = harness.last_question();
    assert!(asked.contains(&"tool: here".to_owned()), "{asked:?}");
    assert_eq!(asked.last().unwrap(), "system: The tool find answered: here");
}

#[test]
fn the_goodbye_is_played_out_before_the_line_is_cut() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("bye");
    let response_id = harness.machine.response_id();
    let end = ToolCall { id: "1".into(), name: "end_call".into(), arguments: "{}".into(), ..ToolCall::default() };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Have a nice day!".into()));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![end]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.pass_ms(300);
    assert_eq!(harness.hang_up_reasons(), []);
    assert_eq!(harness.play_everything(), "Have a nice day!");
    assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp]);
}

#[test]
fn llm_sends_dtmf_and_continues() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("press one for sales");
    let response_id = harness.machine.response_id();
    let call = ToolCall {
        id: "1".into(),
        name: "send_dtmf".into(),
        arguments: "{\"digits\":\"1\"}".into(),
        ..ToolCall::default()
    };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    assert_eq!(harness.llm_requests(), 2);
    assert!(matches!(harness.last_messages().last(), Some(ChatMessage::Tool { .. })));
}

#[test]
fn results_of_calls_with_the_same_id_go_to_their_own_calls() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness.caller_says("And the other one?");
    harness.wants_tool();
    let asked: Vec<String> = harness
        .seen
        .iter()
        .filter_map(|output| match output {
            CallOutput::CallTool { call, .. } => Some(call.id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((asked.len(), asked[0].as_str()), (2, "1"));
    assert_ne!(asked[0], asked[1]);
    harness.machine.handle_tool_result(harness.now, &asked[1], "there");
    harness.machine.handle_tool_result(harness.now, &asked[0], "here");
    harness.drain();
    let results: Vec<String> =
        harness.last_question().into_iter().filter(|message| message.starts_with("tool: ")).collect();
    assert_eq!(results, ["tool: here", "tool: there"]);
}

/// An agent whose only tool starts as said.
fn with_start(start: &str) -> AgentFields {
    let tool = serde_json::json!({"function": {"name": "find"}, "start": start});
    let config = serde_json::json!({"provider": "openai", "model": "m", "tools": [tool]});
    AgentFields { llm_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

impl CallHarness {
    /// "One moment, I will book that." and the call of the tool, of which the caller has heard half a second.
    fn announces_tool(&mut self) -> SegmentId {
        self.caller_says("Book it.");
        let response_id = self.machine.response_id();
        let words = LlmEvent::Text("One moment, I will book that for you.".into());
        self.machine.handle_llm_event(self.now, response_id, words);
        self.wants_tool();
        let (segment, _) = self.waiting.remove(0);
        self.machine.handle_tts_done(segment, 16_000);
        self.machine.handle_segment_started(segment, self.now);
        self.pass_ms(500);
        segment
    }

    fn interrupts_with(&mut self, segment: SegmentId, words: &str) {
        self.machine.handle_speech_started(self.now);
        let heard = [SegmentPlayed { segment, sent_samples: 8_000, complete: false }];
        self.machine.handle_flushed(self.now, true, segment.response_id, &heard);
        self.drain();
        self.caller_says(words);
    }

    fn tool_calls(&self) -> usize {
        self.seen.iter().filter(|output| matches!(output, CallOutput::CallTool { .. })).count()
    }
}

#[test]
fn the_model_learns_that_an_interrupted_tool_was_not_called() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    let segment = harness.announces_tool();
    harness.interrupts_with(segment, "Thank you very much.");
    assert_eq!(harness.tool_calls(), 0);
    let asked = harness.last_question();
    assert!(asked.iter().any(|one| one.contains("were not called") && one.ends_with(": find")), "{asked:?}");
}

#[test]
fn a_tool_that_was_never_announced_aloud_is_not_called_either() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Book it.");
    let response_id = harness.machine.response_id();
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("One moment, please.".into()));
    harness.wants_tool();
    harness.caller_says("No, wait.");
    assert_eq!(harness.tool_calls(), 0);
    assert!(harness.last_question().iter().any(|one| one.ends_with(": find")), "{:?}", harness.last_question());
}

#[test]
fn a_tool_without_side_effects_starts_at_once_and_its_early_result_is_kept() {
    let mut harness = CallHarness::new(with_start("at_once"));
    harness.play_everything();
    let segment = harness.announces_tool();
    assert_eq!(harness.tool_calls(), 1, "while it is announced");
    let before = harness.llm_requests();
    harness.result("found");
    assert_eq!(harness.llm_requests(), before, "the announcement is still being said");
    harness.pass_ms(1_500);
    let heard = SegmentPlayed { segment, sent_samples: 16_000, complete: true };
    harness.machine.handle_segment_finished(heard, harness.now);
    harness.drain();
    assert_eq!((harness.tool_calls(), harness.llm_requests()), (1, before + 1));
    assert_eq!(harness.last_question().last().unwrap(), "tool: found");
}

#[test]
fn a_started_tool_whose_announcement_is_interrupted_counts_as_called() {
    let mut harness = CallHarness::new(with_start("at_once"));
    harness.play_everything();
    let segment = harness.announces_tool();
    harness.interrupts_with(segment, "And hurry.");
    harness.result("found");
    assert_eq!(harness.tool_calls(), 1);
    let asked = harness.last_question();
    assert!(asked.iter().any(|one| one.ends_with("+1")), "{asked:?}");
    assert!(!asked.iter().any(|one| one.contains("were not called")), "{asked:?}");
}

#[test]
fn by_default_a_tool_waits_for_its_announcement() {
    let mut harness = CallHarness::new(with_start("after_announcement"));
    harness.play_everything();
    harness.announces_tool();
    assert_eq!(harness.tool_calls(), 0);
}

/// An agent whose tool has these settings.
fn slow_tool(settings: serde_json::Value) -> AgentFields {
    let mut tool = serde_json::json!({"function": {"name": "find"}, "timeout_ms": 120_000});
    tool.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let config = serde_json::json!({"provider": "openai", "model": "m", "tools": [tool]});
    AgentFields { llm_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

/// The caller has asked, and the tool works.
fn waiting_for_tool(agent: AgentFields) -> CallHarness {
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness
}

impl CallHarness {
    /// What the caller hears within this time, with the second in which it began.
    fn hears_for(&mut self, seconds: u32) -> Vec<(u64, String)> {
        let (began, mut heard) = (self.now, vec![]);
        for _ in 0..seconds * 10 {
            self.pass_ms(100);
            if !self.waiting.is_empty() {
                let second = self.now.duration_since(began).as_secs();
                heard.push((second, self.play_everything()));
            }
        }
        heard
    }
}

fn words(heard: &[(u64, String)]) -> Vec<&str> {
    heard.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn nobody_waits_in_silence_for_a_tool_that_works_for_two_minutes() {
    let mut harness = waiting_for_tool(slow_tool(serde_json::json!({})));
    let heard = harness.hears_for(110);
    assert_eq!(words(&heard)[..3], ["One moment, please.", "I'm still on it.", "Just a little longer, please."]);
    assert!(heard[0].0 <= 3, "{heard:?}");
    let longest = heard.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
    assert!(longest <= Some(5) && heard.last().unwrap().0 > 90, "{heard:?}");
    let before = harness.llm_requests();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before + 1);
    harness.model_says("It is here.");
    assert_eq!(words(&harness.hears_for(7)), ["It is here."], "no more words about the tool");
}

#[test]
fn the_words_and_their_times_are_those_of_the_tool() {
    let own = serde_json::json!({"progress": {"after_ms": 1_000, "repeat_ms": 3_000, "phrases": ["A.", "B."]}});
    let mut harness = waiting_for_tool(slow_tool(own));
    let heard = harness.hears_for(120);
    assert_eq!(words(&heard)[..4], ["A.", "B.", "B.", "B."]);
    assert_eq!(heard[0].0, 1);
    assert!(heard.windows(2).all(|pair| (3..=5).contains(&(pair[1].0 - pair[0].0))), "{heard:?}");
    let filler = serde_json::json!({"filler": "Let me see.", "progress": {"repeat_ms": 5_000}});
    let heard = waiting_for_tool(slow_tool(filler)).hears_for(20);
    assert_eq!(words(&heard)[..3], ["Let me see.", "One moment, please.", "I'm still on it."]);
    let mut dutch = slow_tool(serde_json::json!({"progress": {}}));
    let voice = serde_json::json!({"provider": "openai", "voice_id": "v", "language": "nl"});
    dutch.tts_config = Some(serde_json::from_value(voice).unwrap());
    dutch.autonomous_silence_handling = Some(false);
    let heard = waiting_for_tool(dutch).hears_for(20);
    assert_eq!(words(&heard)[..3], ["Een ogenblik.", "Ik ben er nog mee bezig.", "Nog heel even."]);
}

#[test]
fn a_setting_turns_the_words_off() {
    let off = serde_json::json!({"progress": {"enabled": false}});
    let mut agent = slow_tool(off);
    let silence = serde_json::json!({"fillers": ["Hold on."], "filler_after_ms": 1_500});
    assert_eq!(waiting_for_tool(agent.clone()).hears_for(60), []);
    agent.silence_config = Some(serde_json::from_value(silence).unwrap());
    assert_eq!(waiting_for_tool(agent).hears_for(60), []);
}

#[test]
fn the_caller_talks_while_a_slow_tool_works_and_its_result_is_not_lost() {
    let mut harness = waiting_for_tool(slow_tool(serde_json::json!({})));
    harness.pass_ms(2_600);
    assert_eq!(harness.waiting[0].1, "One moment, please.");
    // The caller asks before a word of it is heard: the question is answered.
    let before = harness.llm_requests();
    harness.caller_says("And are you open?");
    assert_eq!(harness.llm_requests(), before + 1);
    harness.model_says("We are.");
    assert_eq!(harness.play_everything(), "We are.");
    assert_eq!(words(&harness.hears_for(5)), ["I'm still on it."], "after the answer too");
    harness.machine.handle_speech_started(harness.now);
    assert_eq!(harness.hears_for(30), [], "not into the caller's words");
    harness.result("here");
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(2_000);
    let asked = harness.last_question();
    assert!(asked.contains(&"tool: here".to_owned()), "{asked:?}");
}

#[test]
fn a_variable_that_a_tool_sets_is_in_the_prompt_from_then_on() {
    let request =
        serde_json::json!({"url": "https://a.example/", "request": {"response": {"variables": {"order": "$"}}}});
    let mut agent = slow_tool(request);
    agent.system_prompt = Some("Order: {{order|none}}.".into());
    let _ = trunkline_domain::agent_texts::fill_in(
        &mut agent,
        None,
        &trunkline_domain::call_facts::CallVariables::default(),
    );
    let mut harness = waiting_for_tool(agent);
    let prompt = |harness: &CallHarness| {
        let asked = harness.seen.iter().rev().find_map(|output| match output {
            CallOutput::RequestLlm { messages, .. } => Some(messages[0].clone()),
            _ => None,
        });
        asked.unwrap()
    };
    assert_eq!(prompt(&harness), ChatMessage::System("Order: none.".into()));
    let mut variables = trunkline_domain::call_facts::CallVariables::default();
    assert!(variables.take(serde_json::json!({"order": "7 {{who}}"}).as_object().unwrap().clone()));
    harness.machine.set_variables(&variables);
    harness.result("here");
    assert_eq!(prompt(&harness), ChatMessage::System("Order: 7 {{who}}.".into()));
}

/// What the model was asked with last: whether it may call tools, and the last message.
fn last_request(harness: &CallHarness) -> (ToolChoice, bool, ChatMessage) {
    let last = harness.seen.iter().rev().find_map(|output| match output {
        CallOutput::RequestLlm { messages, tools, tool_choice, .. } => {
            Some((*tool_choice, tools.is_empty(), messages.last().unwrap().clone()))
        }
        _ => None,
    });
    last.unwrap()
}

/// A model that has called the tool as often as it may.
fn after_all_rounds() -> CallHarness {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    for _ in 0..5 {
        harness.wants_tool();
        harness.result("look elsewhere");
        assert_eq!(last_request(&harness).0, ToolChoice::Auto);
    }
    harness.wants_tool();
    harness.result("look elsewhere");
    harness
}

#[test]
fn a_model_that_goes_on_calling_tools_is_asked_for_words() {
    let mut harness = after_all_rounds();
    let (choice, is_without_tools, hint) = last_request(&harness);
    assert_eq!((choice, is_without_tools), (ToolChoice::None, false));
    assert!(matches!(hint, ChatMessage::System(text) if text.contains("Call no further tool")));
    harness.model_says("I cannot find it.");
    assert_eq!(harness.play_everything(), "I cannot find it.");
    harness.caller_says("Try again.");
    assert_eq!(last_request(&harness).0, ToolChoice::Auto, "after the caller's turn it may call them again");
}

#[test]
fn a_model_that_calls_tools_even_then_leaves_no_silence() {
    let mut harness = after_all_rounds();
    let requests = harness.llm_requests();
    harness.wants_tool();
    harness.result("look elsewhere");
    assert_eq!(harness.llm_requests(), requests, "it is not asked any more");
    assert_eq!(harness.play_everything(), harness.phrase_to_repeat());
    // Nor does it hear the phrase again and again.
    harness.pass_ms(1_000);
    assert!(harness.waiting.is_empty());
    harness.caller_says("Where is it?");
    assert_eq!(harness.llm_requests(), requests + 1);
}

#[test]
fn a_model_that_has_said_something_beside_its_last_call_is_not_followed_by_a_phrase() {
    let mut harness = after_all_rounds();
    harness.calls_tool("no_such_tool", serde_json::json!({}), Some("I cannot find it."));
    assert_eq!(harness.play_everything(), "I cannot find it.");
    harness.pass_ms(500);
    assert!(harness.waiting.is_empty());
}

impl CallHarness {
    fn phrase_to_repeat(&self) -> String {
        self.machine.mode.talk().unwrap().line.facts.phrases.repeat.to_owned()
    }
}

#[test]
fn what_a_tool_has_set_is_said_where_the_model_writes_its_name() {
    let mut harness = CallHarness::greeted();
    let mut variables = trunkline_domain::call_facts::CallVariables::default();
    variables.take(serde_json::json!({"customer_name": "Ann"}).as_object().unwrap().clone());
    harness.machine.set_variables(&variables);
    harness.caller_says("hello");
    harness.model_says("Dear {{customer_name}}, it is here. Bye, {{who}}.");
    assert_eq!(harness.play_everything(), "Dear Ann, it is here. Bye.");
    harness.caller_says("bye");
    assert_eq!(harness.last_messages()[2], assistant("Dear Ann, it is here. Bye."));
}

#[test]
fn what_the_task_knows_is_said_where_a_model_writes_its_name() {
    let value = serde_json::json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"collect_digits": {}}});
    let known = serde_json::json!({"customer_name": "Ann"}).as_object().unwrap().clone();
    let spec = CallSpec {
        agent_id: None,
        agent: serde_json::from_value(value).unwrap(),
        task: None,
        fixed_texts: Default::default(),
        known: trunkline_domain::call_facts::CallVariables(known),
        spoken: None,
        is_web: true,
        today: jiff::civil::date(2026, 11, 28),
    };
    let mut harness = CallHarness::briefed(spec, None);
    harness.play_everything();
    harness.caller_says("hello");
    let request = harness.machine.response_id();
    for event in [
        LlmEvent::Text("A thought of {{customer_name}}.\n".into()),
        LlmEvent::Retracted,
        LlmEvent::Text("Dear {{customer_name}}.\n".into()),
        LlmEvent::Done(TokenUsage::default()),
    ] {
        harness.machine.handle_llm_event(harness.now, request, event);
        harness.drain();
    }
    assert_eq!(harness.play_everything(), "Dear Ann.", "after a retraction as before");
    let mut variables = trunkline_domain::call_facts::CallVariables::default();
    variables.take(serde_json::json!({"customer_name": "Bob"}).as_object().unwrap().clone());
    harness.machine.set_variables(&variables);
    harness.caller_says("hello");
    let prompt = "{{customer_name}}, your {{who}} number?";
    harness.calls_tool("collect_digits", serde_json::json!({"max_digits": 4, "prompt": prompt}), None);
    assert_eq!(harness.play_everything(), "Bob, your number?", "a tool knows better, and its words are said, too");
}
