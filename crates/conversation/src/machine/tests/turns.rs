//! Who speaks when: interruptions that are and that are not, answers begun early, silences that are filled.

use super::*;

impl CallHarness {
    /// The agent is being heard: one second of its first sentence, of two.
    pub(super) fn talking() -> (Self, SegmentId) {
        let mut harness = Self::greeted();
        harness.caller_says("tell me");
        harness.model_says("The first thing to know is this. The second thing is that.");
        let segment = harness.begin();
        (harness, segment)
    }

    /// The next segment starts to play; it takes two seconds.
    pub(super) fn begin(&mut self) -> SegmentId {
        let (segment, _) = self.waiting.remove(0);
        self.machine.handle_tts_done(segment, 16_000);
        self.machine.handle_segment_started(segment, self.now);
        self.pass_ms(1_000);
        self.sounding = vec![SegmentPlayed { segment, sent_samples: 8_000, complete: false }];
        segment
    }

    /// The caller makes a sound over the agent, who is held back.
    pub(super) fn caller_makes_sound(&mut self, segment: SegmentId, ms: u32) {
        self.machine.handle_speech_started(self.now);
        self.machine.handle_paused(self.now + 60 * MS, segment.response_id);
        self.pass_ms(ms);
        let now = self.now;
        self.pass_ms(200);
        self.machine.handle_speech_ended(self.now, now);
        self.drain();
    }

    pub(super) fn stt_event(&mut self, event: SttEvent) {
        self.machine.handle_stt(self.now, event);
        self.drain();
    }

    pub(super) fn count(&self, wanted: &CallOutput) -> usize {
        self.seen.iter().filter(|output| *output == wanted).count()
    }

    pub(super) fn interrupts(&self) -> usize {
        self.seen.iter().filter(|output| matches!(output, CallOutput::Interrupt { .. })).count()
    }
}

pub(super) fn interim(text: &str) -> SttEvent {
    SttEvent::Interim(text.into())
}

pub(super) fn last_words(text: &str) -> SttEvent {
    SttEvent::Final { text: text.into(), confidence: Some(0.9), speech_final: true }
}

pub(super) fn with_turns(config: serde_json::Value) -> AgentFields {
    AgentFields { turn_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

#[test]
fn caller_coughs_and_the_agent_goes_on() {
    let (mut harness, segment) = CallHarness::talking();
    harness.caller_makes_sound(segment, 250);
    assert_eq!((harness.count(&CallOutput::Resume), harness.interrupts()), (0, 0));
    harness.pass_ms(400);
    assert_eq!((harness.count(&CallOutput::Resume), harness.interrupts()), (1, 0));
    let counts = &harness.machine.metrics().interruptions;
    assert_eq!((counts.held, counts.resumed, counts.stopped), (1, 1, 0));
}

#[test]
fn caller_says_mhm_and_the_agent_goes_on_at_once() {
    let (mut harness, segment) = CallHarness::talking();
    harness.caller_makes_sound(segment, 300);
    harness.stt_event(last_words("Mhm."));
    harness.pass_ms(120);
    assert_eq!((harness.count(&CallOutput::Resume), harness.interrupts(), harness.llm_requests()), (1, 0, 1));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 16_000, complete: true }, harness.now);
    harness.drain();
    assert_eq!(harness.play_everything(), "The second thing is that.");
    assert!(harness.transcript().contains(&"user: Mhm.".to_owned()), "{:?}", harness.transcript());
    assert!(!harness.transcript().iter().any(|turn| turn.ends_with('/')));
}

#[test]
fn caller_says_wait_and_the_model_learns_that_it_was_interrupted() {
    let (mut harness, segment) = CallHarness::talking();
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now + 60 * MS, segment.response_id);
    harness.pass_ms(300);
    harness.stt_event(interim("wait"));
    assert_eq!(harness.interrupts(), 1, "words need no time");
    harness.pass_ms(300);
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(300);
    harness.stt_event(last_words("Wait, what?"));
    let question = harness.last_question();
    assert_eq!(question[1..3], ["user: tell me", "assistant: The first thing +0"]);
    assert!(question[3].starts_with("system: The caller interrupted you"), "{question:?}");
    assert_eq!(question[4], "user: Wait, what?");
    assert_eq!(harness.transcript()[2], "assistant: The first thing /");
}

#[test]
fn yes_to_a_question_is_an_answer_and_yes_to_a_story_is_none() {
    for (said, wanted) in [("Shall I book it for you now then?", 1), ("I will book it for you now then.", 0)] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("tell me");
        harness.model_says(said);
        let segment = harness.begin();
        harness.caller_makes_sound(segment, 300);
        harness.stt_event(last_words("Yes."));
        harness.pass_ms(120);
        assert_eq!(harness.interrupts(), wanted, "{said}");
        assert_eq!(harness.llm_requests(), 1 + wanted, "{said}");
    }
}

#[test]
fn callee_says_hello_into_the_greeting_and_hears_it_to_its_end() {
    let mut harness = CallHarness::new(agent());
    let segment = harness.begin();
    harness.caller_makes_sound(segment, 300);
    harness.stt_event(last_words("Hello?"));
    harness.pass_ms(120);
    assert_eq!((harness.count(&CallOutput::Resume), harness.interrupts(), harness.llm_requests()), (1, 0, 0));
}

#[test]
fn caller_goes_on_before_the_reply_has_begun_and_it_is_never_heard() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("I want to go");
    harness.model_says("Where to?");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now, segment.response_id);
    harness.pass_ms(500);
    let unheard = [SegmentPlayed { segment, sent_samples: 0, complete: false }];
    harness.machine.handle_flushed(harness.now, true, segment.response_id, &unheard);
    harness.drain();
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(300);
    harness.stt_event(last_words("somewhere warm."));
    harness.pass_ms(900);
    assert_eq!(harness.last_messages()[1..], [user("I want to go"), user("somewhere warm.")]);
    assert_eq!(harness.machine.metrics().premature_ends_of_turn, 1);
}

#[test]
fn a_long_noise_without_words_does_not_keep_the_agent_silent() {
    let (mut harness, segment) = CallHarness::talking();
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now, segment.response_id);
    harness.pass_ms(2_400);
    assert_eq!(harness.count(&CallOutput::Resume), 0);
    harness.pass_ms(200);
    assert_eq!(harness.count(&CallOutput::Resume), 1);
}

#[test]
fn first_message_is_heard_to_its_end_and_then_the_caller_is_answered() {
    let mut harness = CallHarness::new(with_turns(serde_json::json!({"first_message_interruptible": false})));
    assert!(matches!(harness.seen[0], CallOutput::MakeUninterruptible { .. }), "before the first segment");
    let segment = harness.begin();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(900);
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(300);
    harness.stt_event(last_words("I want to cancel."));
    harness.pass_ms(500);
    assert_eq!(harness.llm_requests(), 0);
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 16_000, complete: true }, harness.now);
    harness.drain();
    assert_eq!(harness.last_messages(), [assistant("Good morning."), user("I want to cancel.")]);
}

#[test]
fn recognized_echo_is_ignored() {
    let (mut harness, _) = CallHarness::talking();
    harness.machine.handle_echo();
    harness.stt_event(last_words("first thing to know"));
    harness.pass_ms(3_000);
    assert_eq!(harness.llm_requests(), 1);
    assert!(!harness.transcript().iter().any(|turn| turn.contains("user: first")));
}

#[test]
fn complete_answer_finalizes_stt() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness.stt_event(interim("Yes, please."));
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.drain();
    assert_eq!(harness.count(&CallOutput::FinalizeStt), 1);
    harness.pass_ms(220);
    harness.stt_event(SttEvent::Final { text: "Yes, please.".into(), confidence: None, speech_final: false });
    harness.pass_ms(80);
    assert_eq!(harness.llm_requests(), 1, "300 ms after the last sound");
}

#[test]
fn model_begins_early_and_its_answer_is_said_when_the_turn_is_over() {
    let mut harness = CallHarness::new(with_turns(serde_json::json!({"eager": true})));
    harness.play_everything();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness.stt_event(interim("where is my order"));
    harness.stt_event(SttEvent::EagerEndOfTurn);
    assert_eq!(harness.llm_requests(), 1);
    harness.model_says("It comes on Monday. Anything else?");
    assert!(harness.waiting.is_empty(), "nothing is said yet");
    harness.stt_event(SttEvent::EndOfTurn { text: "Where is my order?".into(), confidence: None });
    harness.pass_ms(250);
    assert_eq!(harness.llm_requests(), 1, "and nothing is asked twice");
    assert_eq!(harness.play_everything(), "It comes on Monday. Anything else?");
    assert_eq!(
        harness.transcript()[1..],
        ["user: Where is my order?", "assistant: It comes on Monday. Anything else?"]
    );
    assert_eq!((harness.machine.metrics().preemptive_used, harness.machine.metrics().preemptive_discarded), (1, 0));
}

#[test]
fn model_began_early_and_the_caller_goes_on() {
    for resumed in [true, false] {
        let mut harness = CallHarness::new(with_turns(serde_json::json!({"eager": true})));
        harness.play_everything();
        harness.machine.handle_speech_started(harness.now);
        harness.stt_event(interim("my number is"));
        harness.stt_event(SttEvent::EagerEndOfTurn);
        harness.model_says("Thank you.");
        if resumed {
            harness.stt_event(SttEvent::TurnResumed);
        }
        harness.stt_event(SttEvent::EndOfTurn { text: "my number is seven".into(), confidence: None });
        harness.stay_silent();
        assert_eq!(harness.llm_requests(), 2);
        assert_eq!((harness.machine.metrics().preemptive_used, harness.machine.metrics().preemptive_discarded), (0, 1));
        harness.model_says("Seven.");
        assert_eq!(harness.play_everything(), "Seven.");
    }
}

#[test]
fn a_slow_model_is_bridged_and_never_twice_with_the_same_words() {
    let silence = serde_json::json!({"fillers": ["One moment.", "Let me look."], "filler_after_ms": 1_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..agent() };
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    for wanted in ["One moment. Here.", "Let me look. Here.", "One moment. Here."] {
        harness.caller_says("Look again.");
        harness.pass_ms(1_100);
        let filler = harness.play_everything();
        harness.model_says("Here.");
        assert_eq!(format!("{filler} {}", harness.play_everything()), wanted);
    }
    harness.caller_says("Look again.");
    harness.model_says("Here.");
    harness.pass_ms(5_000);
    assert_eq!(harness.play_everything(), "Here.", "a fast one is not");
}

#[test]
fn a_slow_tool_is_bridged() {
    let silence = serde_json::json!({"fillers": ["One moment."], "filler_after_ms": 1_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..with_tool(None) };
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness.pass_ms(900);
    assert!(harness.waiting.is_empty());
    harness.pass_ms(200);
    assert_eq!(harness.play_everything(), "One moment.");
    for _ in 0..20 {
        harness.pass_ms(1_000);
        let said = harness.play_everything();
        assert!(!said.contains("still there"), "the caller waits for us, not the other way round");
    }
    harness.result("here");
    harness.model_says("It is here.");
    assert_eq!(harness.play_everything(), "It is here.");
}

#[test]
fn a_silent_caller_is_asked_in_other_words_each_time() {
    let silence = serde_json::json!({"prompts": ["Hello?", "Anybody?"], "max_prompts": 3, "prompt_after_ms": 5_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..agent() };
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    let mut asked = vec![];
    for _ in 0..3 {
        harness.pass_ms(5_100);
        asked.push(harness.play_everything());
    }
    assert_eq!(asked, ["Are you still there?", "Hello?", "Anybody?"]);
}

#[test]
fn the_model_words_the_question_to_a_silent_caller() {
    let silence = serde_json::json!({"generate_prompts": true, "prompt_after_ms": 5_000, "max_prompts": 1});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..agent() };
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.pass_ms(5_100);
    assert!(harness.last_question().last().unwrap().starts_with("system: The caller has said nothing"));
    harness.model_says("Do you need a moment?");
    assert_eq!(harness.play_everything(), "Do you need a moment?");
    harness.pass_ms(5_100);
    assert!(harness.play_everything().ends_with("Goodbye."));
    assert_eq!(harness.hang_up_reasons(), [EndReason::Silence]);
}

#[test]
fn the_beginning_of_a_backchannel_does_not_interrupt_the_agent() {
    let (mut harness, segment) = CallHarness::talking();
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now + 60 * MS, segment.response_id);
    harness.pass_ms(200);
    harness.stt_event(interim("I"));
    assert_eq!(harness.interrupts(), 0, "it may become \"I see\"");
    harness.stt_event(interim("I want"));
    assert_eq!(harness.interrupts(), 1);
}

#[test]
fn the_late_differently_written_final_is_not_answered_again() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    for words in ["my number is two one six", "my number is two one six four"] {
        harness.pass_ms(400);
        harness.machine.handle_stt(harness.now, SttEvent::Interim(words.into()));
    }
    harness.machine.handle_speech_ended(harness.now, harness.now - 200 * MS);
    harness.drain();
    harness.pass_ms(2_200);
    assert_eq!(harness.llm_requests(), 1);
    harness.model_says("Thank you.");
    let last = SttEvent::Final { text: "My number is 2164.".into(), confidence: Some(0.9), speech_final: true };
    harness.machine.handle_stt(harness.now, last);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.llm_requests(), 1, "one turn");
    assert_eq!(harness.play_everything(), "Thank you.");
    harness.caller_says("Is it there?");
    assert_eq!(harness.last_messages()[1], user("My number is 2164."), "the final words replace it");
    assert_eq!(harness.transcript()[1..], ["user: My number is 2164.", "assistant: Thank you.", "user: Is it there?"]);
}

#[test]
fn words_that_come_in_another_version_are_the_same_turn() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("where is my order");
    let corrected = |was: &str, is: &str| SttEvent::Corrected { was: was.into(), is: is.into(), speech_final: true };
    harness.stt_event(corrected("where is my order", "Where is my border?"));
    harness.pass_ms(3_000);
    assert_eq!(harness.llm_requests(), 1);
    assert_eq!(harness.transcript().last().unwrap(), "user: Where is my border?");
    harness.model_says("Here.");
    harness.play_everything();
    harness.caller_says("thanks");
    assert!(harness.last_messages().contains(&user("Where is my border?")), "{:?}", harness.last_messages());
}

#[test]
fn a_turn_that_was_cut_off_by_an_audible_agent_is_counted_and_learnt_from() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("I would like to book a flight.");
    harness.model_says("Certainly. Where would you like to go?");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.pass_ms(300);
    // The caller has not listened to the agent, but goes on.
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now, segment.response_id);
    harness.pass_ms(300);
    assert_eq!(harness.machine.metrics().premature_ends_of_turn, 0, "a sound alone may be a cough");
    harness.stt_event(interim("to Paris"));
    assert_eq!(harness.machine.metrics().premature_ends_of_turn, 1);
}

#[test]
fn a_backchannel_into_the_first_words_and_a_later_interruption_are_no_cut_offs() {
    for (after_ms, words) in [(300, "Mhm."), (900, "Wait, to Paris.")] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("I would like to book a flight.");
        harness.model_says("Certainly. I will look for one now.");
        let (segment, _) = harness.waiting.remove(0);
        harness.machine.handle_segment_started(segment, harness.now);
        harness.pass_ms(after_ms);
        harness.machine.handle_speech_started(harness.now);
        harness.machine.handle_paused(harness.now, segment.response_id);
        harness.pass_ms(300);
        harness.stt_event(last_words(words));
        assert_eq!(harness.machine.metrics().premature_ends_of_turn, 0, "{words}");
    }
}

#[test]
fn final_words_that_were_asked_for_decide_nothing() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness.stt_event(interim("One moment"));
    let now = harness.now;
    harness.pass_ms(120);
    harness.machine.handle_speech_ended(harness.now, now);
    harness.drain();
    assert_eq!(harness.count(&CallOutput::FinalizeStt), 1);
    harness.pass_ms(80);
    harness.stt_event(last_words("One moment, please."));
    harness.pass_ms(1_200);
    assert_eq!(harness.llm_requests(), 0, "the caller goes on");
    harness.pass_ms(2_000);
    assert_eq!(harness.llm_requests(), 1);
}

#[test]
fn the_question_of_the_agent_tells_when_a_number_is_complete() {
    for (said, wanted) in [("two one two five five five", 0), ("two one two five five five one two three four", 1)] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("Call me back.");
        harness.model_says("Of course. What is your phone number?");
        harness.play_everything();
        let asked = harness.llm_requests();
        harness.machine.handle_speech_started(harness.now);
        harness.pass_ms(2_000);
        let now = harness.now;
        harness.machine.handle_speech_ended(now + 120 * MS, now);
        harness.pass_ms(400);
        harness.stt_event(last_words(said));
        harness.pass_ms(200);
        assert_eq!(harness.llm_requests() - asked, wanted, "{said}");
    }
}

#[test]
fn each_decision_is_explained_without_the_caller_s_words() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("Where is my order?");
    let figures = harness.machine.metrics().to_json();
    let decision = &figures["turns"][0]["decision"];
    assert!(decision["probability"].as_f64().unwrap() > 0.9, "{decision}");
    assert_eq!(decision["evidence"][0]["sign"], "question_mark");
    assert_eq!(decision["steps"][0]["by"], "final");
    assert!(decision["wait_ms"].as_u64().unwrap() <= 300 && decision["steps"][0]["at_ms"].is_u64(), "{decision}");
    assert!(!decision.to_string().contains("order"), "{decision}");
}
