//! Answers with nothing in them, that break off, or that turn out to be thoughts.

use super::*;
use trunkline_providers::Stall;

impl CallHarness {
    /// One event of the LLM, for the request that was made last.
    fn model_event(&mut self, request_id: u32, event: LlmEvent) {
        self.machine.handle_llm_event(self.now, request_id, event);
        self.drain();
    }

    fn model_says_nothing(&mut self) {
        self.model_event(self.machine.response_id(), LlmEvent::Done(TokenUsage::default()));
    }

    fn provider_errors(&self) -> serde_json::Value {
        self.machine.metrics().to_json()["provider_errors"].clone()
    }
}

#[test]
fn words_without_a_pause_are_said_when_the_model_breaks_off() {
    let sorry = " Sorry, something went wrong. Could you say that again?";
    // Half a sentence is not left at that: the model was asked to go on by then.
    for (words, rest) in [("Your order is on its way.", ""), ("Your order is on its way", sorry), ("Ja", sorry)] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("hello");
        harness.model_event(harness.machine.response_id(), LlmEvent::Text(words.into()));
        harness.model_fails();
        let said = format!("{words}{rest}");
        assert_eq!(harness.play_everything(), said);
        harness.caller_says("thanks");
        assert_eq!(harness.last_messages()[2], assistant(&said));
        assert_eq!(harness.hang_up_reasons(), []);
    }
}

#[test]
fn an_answer_with_nothing_in_it_is_a_finished_turn() {
    let mut harness = CallHarness::greeted();
    for _ in 0..3 {
        harness.caller_says("hold on a second");
        harness.model_says_nothing();
        harness.pass_ms(3_000);
        assert!(harness.waiting.is_empty());
    }
    harness.pass_ms(4_900);
    assert!(harness.waiting.is_empty(), "the silence timer runs from there");
    harness.pass_ms(200);
    assert_eq!(harness.play_everything(), "Are you still there?");
    assert_eq!((harness.hang_up_reasons(), harness.provider_errors()), (vec![], serde_json::json!({})));
    harness.caller_says("yes");
    assert_eq!(
        harness.last_messages()[1..],
        [
            user("hold on a second"),
            user("hold on a second"),
            user("hold on a second"),
            assistant("Are you still there?"),
            user("yes"),
        ]
    );
}

#[test]
fn nobody_waits_in_silence_for_an_answer_to_a_question() {
    let mut harness = CallHarness::greeted();
    let questions = [
        "Where is my order?",
        "Hold on a second. Where is my order please?",
        "hold on where is my order",
        "How long is the wait?",
    ];
    for (round, words) in (1..).zip(questions) {
        harness.caller_says(words);
        harness.model_says_nothing();
        assert_eq!(harness.llm_requests(), round, "what reads the stream has asked a second time");
        assert_eq!(harness.play_everything(), "Sorry, something went wrong. Could you say that again?");
    }
    assert_eq!((harness.hang_up_reasons(), harness.provider_errors()), (vec![], serde_json::json!({})));
}

#[test]
fn a_filler_is_not_all_that_is_heard() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("Where is my order?");
    harness.pass_ms(2_600);
    let filler = harness.play_everything();
    assert!(!filler.is_empty());
    harness.model_says_nothing();
    let asked = harness.play_everything();
    assert_eq!(asked, "Sorry, something went wrong. Could you say that again?");
    assert_eq!(harness.transcript()[2..], [format!("assistant: {filler}"), format!("assistant: {asked}")]);
}

#[test]
fn white_space_and_marks_alone_are_nothing() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hold on");
    for nothing in [" \n… ", "(silence)", "(no response).", "(Pause)", "[no response]"] {
        harness.model_says(nothing);
        assert_eq!((harness.play_everything().as_str(), harness.hang_up_reasons()), ("", vec![]), "{nothing}");
        harness.caller_says("hold on");
    }
    assert_eq!(harness.provider_errors(), serde_json::json!({}));
}

#[test]
fn nothing_after_a_tool_is_a_finished_turn() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Note that down.");
    harness.wants_tool();
    harness.result("noted");
    harness.model_says_nothing();
    assert!(harness.waiting.is_empty());
    let asked = harness.llm_requests();
    harness.pass_ms(8_100);
    assert_eq!((harness.play_everything().as_str(), harness.llm_requests()), ("Are you still there?", asked));
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn an_empty_answer_after_a_failure_ends_no_call() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hello");
    harness.model_fails();
    harness.play_everything();
    harness.caller_says("hello");
    harness.model_says_nothing();
    harness.caller_says("hello");
    harness.model_fails();
    assert!(harness.play_everything().starts_with("Sorry, something went wrong"), "the first failure in a row");
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn thoughts_that_were_passed_on_are_withdrawn() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("where is my order");
    let request_id = harness.machine.response_id();
    harness.model_event(request_id, LlmEvent::Text("The caller wants an order. Keep it short.\n".into()));
    assert_eq!(harness.waiting.len(), 2);
    harness.model_event(request_id, LlmEvent::Retracted);
    assert!(harness.waiting.is_empty(), "the voice is told to stop");
    harness.model_event(request_id, LlmEvent::Text("It is on its way.".into()));
    harness.model_event(request_id, LlmEvent::Done(TokenUsage::default()));
    assert_eq!(harness.play_everything(), "It is on its way.");
    harness.caller_says("thanks");
    assert_eq!(
        harness.last_messages()[1..],
        [user("where is my order"), assistant("It is on its way."), user("thanks")]
    );
    assert_eq!(harness.transcript()[2..], ["assistant: It is on its way.", "user: thanks"]);
    assert_eq!(harness.machine.metrics().turns.len(), 2, "one figure for each turn of the caller");
}

#[test]
fn withdrawn_thoughts_before_a_tool_leave_the_tool() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("where is my order");
    let request_id = harness.machine.response_id();
    harness.model_event(request_id, LlmEvent::Text("I should look.\n".into()));
    harness.model_event(request_id, LlmEvent::Retracted);
    let call = ToolCall { id: "1".into(), name: "find".into(), arguments: "{}".into(), ..ToolCall::default() };
    harness.model_event(request_id, LlmEvent::ToolCalls(vec![call]));
    harness.model_event(request_id, LlmEvent::Done(TokenUsage::default()));
    assert!(harness.seen.iter().any(|output| matches!(output, CallOutput::CallTool { .. })));
    assert!(harness.waiting.is_empty());
}

#[test]
fn a_realtime_answer_with_nothing_in_it_ends_no_call() {
    let mut harness = CallHarness::on_realtime(None);
    harness.realtime_says(0, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    let greeting = SegmentId { response_id: harness.machine.response_id(), index: 0 };
    let heard = SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true };
    harness.machine.handle_segment_finished(heard, harness.now);
    for _ in 0..3 {
        harness.realtime_event(RealtimeEvent::SpeechStopped);
        harness.realtime_event(RealtimeEvent::UserFinal("hold on".into()));
        harness.realtime_event(RealtimeEvent::ResponseStarted);
        harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    }
    assert!(!harness.seen.contains(&CallOutput::LeaveRealtime));
    assert_eq!((harness.waiting.len(), harness.provider_errors()), (0, serde_json::json!({})));
}

#[test]
fn a_realtime_model_that_never_speaks_is_replaced() {
    let mut harness = CallHarness::on_realtime(None);
    for _ in 0..2 {
        harness.realtime_event(RealtimeEvent::ResponseStarted);
        harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    }
    assert!(harness.seen.contains(&CallOutput::LeaveRealtime));
}

#[test]
fn a_realtime_answer_that_failed_is_a_failure() {
    let mut harness = CallHarness::on_realtime(None);
    for _ in 0..2 {
        harness.realtime_event(RealtimeEvent::ResponseStarted);
        let failure = ProviderError::Timeout("answer");
        harness.realtime_event(RealtimeEvent::ResponseFailed { failure, usage: TokenUsage::default() });
    }
    assert!(harness.seen.contains(&CallOutput::LeaveRealtime));
    assert_eq!(harness.provider_errors()["engine_deadline"], serde_json::json!(3));
}

#[test]
fn a_cut_answer_is_said_up_to_its_last_whole_sentence() {
    for (words, said) in [
        ("Your order was shipped. It will arrive on Mon", "Your order was shipped."),
        ("Your order was shipped. It will arrive on Monday.", "Your order was shipped. It will arrive on Monday."),
        ("Your order was shipped. \"It will arrive.\"", "Your order was shipped. \"It will arrive.\""),
        ("It will arrive on Mon", "It will arrive on Mon"),
        ("Ihre Bestellung kommt am Montag, wenn alles gut", "Ihre Bestellung kommt am Montag,"),
    ] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("hello");
        let request = harness.machine.response_id();
        harness.model_event(request, LlmEvent::Text(words.into()));
        harness.model_event(request, LlmEvent::Cut);
        harness.model_event(request, LlmEvent::Done(TokenUsage::default()));
        assert_eq!(harness.play_everything(), said);
        assert_eq!(harness.provider_errors(), serde_json::json!({"llm_cut": 1}));
        harness.caller_says("thanks");
        assert_eq!(harness.last_messages()[2], assistant(said));
    }
}

#[test]
fn words_before_a_tool_call_are_said_while_its_arguments_come() {
    for words in ["One moment, I write the mail.", "One moment", "I look at 12."] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("hello");
        let request = harness.machine.response_id();
        harness.model_event(request, LlmEvent::Text(words.into()));
        assert!(harness.waiting.is_empty());
        harness.model_event(request, LlmEvent::ToolCallBegan);
        assert_eq!(harness.waiting.first().map(|(_, text)| text.as_str()), Some(words));
        harness.model_event(request, LlmEvent::Text(" And more.".into()));
        harness.model_event(request, LlmEvent::Done(TokenUsage::default()));
        assert_eq!(harness.play_everything(), format!("{words} And more."));
    }
}

#[test]
fn a_whole_sentence_is_said_when_the_model_stands_still() {
    for (words, brief, long) in [("It is here.", 1, 1), ("It is", 0, 0), ("It costs 12.", 0, 1), ("It is here. ", 1, 1)]
    {
        let mut harness = CallHarness::greeted();
        harness.caller_says("hello");
        let request = harness.machine.response_id();
        harness.model_event(request, LlmEvent::Text(words.into()));
        for (stall, said) in [(Stall::Brief, brief), (Stall::Long, long)] {
            harness.model_event(request, LlmEvent::Stalled(stall));
            assert_eq!(harness.waiting.len(), said, "{words}");
        }
        harness.model_event(request, LlmEvent::Text(" It is on its way".into()));
        harness.model_event(request, LlmEvent::Done(TokenUsage::default()));
        assert_eq!(harness.play_everything(), format!("{} It is on its way", words.trim_end()));
    }
}

#[test]
fn an_answer_without_a_word_to_a_question_is_none() {
    for answer in ["👍", "…", "**", "  \n"] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("hello there can you help me please");
        harness.model_says(answer);
        assert_eq!(harness.play_everything(), "Sorry, something went wrong. Could you say that again?", "{answer:?}");
        assert!(harness.transcript().iter().all(|line| !line.contains(answer.trim()) || answer.trim().is_empty()));
    }
}
