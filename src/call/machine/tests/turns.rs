//! Who speaks when: interruptions that are and that are not, answers begun early, silences that are filled.

use super::*;

impl CallHarness {
    /// The agent is being heard: one second of its first sentence, of two.
    fn talking() -> (Self, SegmentId) {
        let mut line = Self::greeted();
        line.caller_says("tell me");
        line.model_says("The first thing to know is this. The second thing is that.");
        let piece = line.begin();
        (line, piece)
    }

    /// The next piece begins to sound; it takes two seconds.
    fn begin(&mut self) -> SegmentId {
        let (piece, _) = self.waiting.remove(0);
        self.machine.handle_tts_done(piece, 16_000);
        self.machine.handle_segment_started(piece, self.now);
        self.pass_ms(1_000);
        self.sounding = vec![SegmentPlayed { segment: piece, sent_samples: 8_000, complete: false }];
        piece
    }

    /// The caller makes a sound over the agent, who is held back.
    fn caller_makes_sound(&mut self, piece: SegmentId, ms: u32) {
        self.machine.handle_speech_started(self.now);
        self.machine.handle_paused(self.now + 60 * MS, piece.response_id);
        self.pass_ms(ms);
        let now = self.now;
        self.pass_ms(200);
        self.machine.handle_speech_ended(self.now, now);
        self.drain();
    }

    fn stt_event(&mut self, event: SttEvent) {
        self.machine.handle_stt(self.now, event);
        self.drain();
    }

    fn count(&self, wanted: &CallOutput) -> usize {
        self.seen.iter().filter(|output| *output == wanted).count()
    }

    fn interrupts(&self) -> usize {
        self.seen.iter().filter(|output| matches!(output, CallOutput::Interrupt { .. })).count()
    }
}

fn interim(text: &str) -> SttEvent {
    SttEvent::Interim(text.into())
}

fn last_words(text: &str) -> SttEvent {
    SttEvent::Final { text: text.into(), confidence: Some(0.9), speech_final: true }
}

fn with_turns(config: serde_json::Value) -> AgentFields {
    AgentFields { turn_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

#[test]
fn caller_coughs_and_the_agent_goes_on() {
    let (mut line, piece) = CallHarness::talking();
    line.caller_makes_sound(piece, 250);
    assert_eq!((line.count(&CallOutput::Resume), line.interrupts()), (0, 0));
    line.pass_ms(400);
    assert_eq!((line.count(&CallOutput::Resume), line.interrupts()), (1, 0));
    let metrics = line.machine.metrics();
    assert_eq!((metrics.pauses, metrics.resumes, metrics.barge_ins), (1, 1, 0));
}

#[test]
fn caller_says_mhm_and_the_agent_goes_on_at_once() {
    let (mut line, piece) = CallHarness::talking();
    line.caller_makes_sound(piece, 300);
    line.stt_event(last_words("Mhm."));
    line.pass_ms(120);
    assert_eq!((line.count(&CallOutput::Resume), line.interrupts(), line.llm_requests()), (1, 0, 1));
    line.machine
        .handle_segment_finished(SegmentPlayed { segment: piece, sent_samples: 16_000, complete: true }, line.now);
    line.drain();
    assert_eq!(line.play_everything(), "The second thing is that.");
    assert!(line.transcript().contains(&"user: Mhm.".to_owned()), "{:?}", line.transcript());
    assert!(!line.transcript().iter().any(|turn| turn.ends_with('/')));
}

#[test]
fn caller_says_wait_and_the_model_learns_that_it_was_interrupted() {
    let (mut line, piece) = CallHarness::talking();
    line.machine.handle_speech_started(line.now);
    line.machine.handle_paused(line.now + 60 * MS, piece.response_id);
    line.pass_ms(300);
    line.stt_event(interim("wait"));
    assert_eq!(line.interrupts(), 1, "words need no time");
    line.pass_ms(300);
    line.machine.handle_speech_ended(line.now + 200 * MS, line.now);
    line.pass_ms(300);
    line.stt_event(last_words("Wait, what?"));
    let question = line.last_question();
    assert_eq!(question[1..3], ["user: tell me", "assistant: The first thing +0"]);
    assert!(question[3].starts_with("system: The caller interrupted you"), "{question:?}");
    assert_eq!(question[4], "user: Wait, what?");
    assert_eq!(line.transcript()[2], "assistant: The first thing /");
}

#[test]
fn yes_to_a_question_is_an_answer_and_yes_to_a_story_is_none() {
    for (said, wanted) in [("Shall I book it for you now then?", 1), ("I will book it for you now then.", 0)] {
        let mut line = CallHarness::greeted();
        line.caller_says("tell me");
        line.model_says(said);
        let piece = line.begin();
        line.caller_makes_sound(piece, 300);
        line.stt_event(last_words("Yes."));
        line.pass_ms(120);
        assert_eq!(line.interrupts(), wanted, "{said}");
        assert_eq!(line.llm_requests(), 1 + wanted, "{said}");
    }
}

#[test]
fn callee_says_hello_into_the_greeting_and_hears_it_to_its_end() {
    let mut line = CallHarness::new(agent());
    let piece = line.begin();
    line.caller_makes_sound(piece, 300);
    line.stt_event(last_words("Hello?"));
    line.pass_ms(120);
    assert_eq!((line.count(&CallOutput::Resume), line.interrupts(), line.llm_requests()), (1, 0, 0));
}

#[test]
fn caller_goes_on_before_the_reply_has_begun_and_it_is_never_heard() {
    let mut line = CallHarness::greeted();
    line.caller_says("I want to go");
    line.model_says("Where to?");
    let (piece, _) = line.waiting.remove(0);
    line.machine.handle_speech_started(line.now);
    line.machine.handle_paused(line.now, piece.response_id);
    line.pass_ms(500);
    let unheard = [SegmentPlayed { segment: piece, sent_samples: 0, complete: false }];
    line.machine.handle_flushed(line.now, true, piece.response_id, &unheard);
    line.drain();
    line.machine.handle_speech_ended(line.now + 200 * MS, line.now);
    line.pass_ms(300);
    line.stt_event(last_words("somewhere warm."));
    line.pass_ms(900);
    assert_eq!(line.last_messages()[1..], [user("I want to go"), user("somewhere warm.")]);
    assert_eq!(line.machine.metrics().premature_ends_of_turn, 1);
}

#[test]
fn a_long_noise_without_words_does_not_keep_the_agent_silent() {
    let (mut line, piece) = CallHarness::talking();
    line.machine.handle_speech_started(line.now);
    line.machine.handle_paused(line.now, piece.response_id);
    line.pass_ms(2_400);
    assert_eq!(line.count(&CallOutput::Resume), 0);
    line.pass_ms(200);
    assert_eq!(line.count(&CallOutput::Resume), 1);
}

#[test]
fn first_message_is_heard_to_its_end_and_then_the_caller_is_answered() {
    let mut line = CallHarness::new(with_turns(serde_json::json!({"first_message_interruptible": false})));
    assert!(matches!(line.seen[0], CallOutput::MakeUninterruptible { .. }), "before the first piece");
    let piece = line.begin();
    line.machine.handle_speech_started(line.now);
    line.pass_ms(900);
    line.machine.handle_speech_ended(line.now + 200 * MS, line.now);
    line.pass_ms(300);
    line.stt_event(last_words("I want to cancel."));
    line.pass_ms(500);
    assert_eq!(line.llm_requests(), 0);
    line.machine
        .handle_segment_finished(SegmentPlayed { segment: piece, sent_samples: 16_000, complete: true }, line.now);
    line.drain();
    assert_eq!(line.last_messages(), [assistant("Good morning."), user("I want to cancel.")]);
}

#[test]
fn words_of_our_own_echo_are_nobodys() {
    let (mut line, _) = CallHarness::talking();
    line.machine.handle_echo();
    line.stt_event(last_words("first thing to know"));
    line.pass_ms(3_000);
    assert_eq!(line.llm_requests(), 1);
    assert!(!line.transcript().iter().any(|turn| turn.contains("user: first")));
}

#[test]
fn a_complete_answer_asks_the_recogniser_for_its_last_word() {
    let mut line = CallHarness::greeted();
    line.machine.handle_speech_started(line.now);
    line.pass_ms(700);
    line.stt_event(interim("Yes, please."));
    line.machine.handle_speech_ended(line.now + 200 * MS, line.now);
    line.drain();
    assert_eq!(line.count(&CallOutput::FinalizeStt), 1);
    line.pass_ms(220);
    line.stt_event(SttEvent::Final { text: "Yes, please.".into(), confidence: None, speech_final: false });
    line.pass_ms(80);
    assert_eq!(line.llm_requests(), 1, "300 ms after the last sound");
}

#[test]
fn model_begins_early_and_its_answer_is_said_when_the_turn_is_over() {
    let mut line = CallHarness::new(with_turns(serde_json::json!({"eager": true})));
    line.play_everything();
    line.machine.handle_speech_started(line.now);
    line.pass_ms(700);
    line.stt_event(interim("where is my order"));
    line.stt_event(SttEvent::EagerEndOfTurn);
    assert_eq!(line.llm_requests(), 1);
    line.model_says("It comes on Monday. Anything else?");
    assert!(line.waiting.is_empty(), "nothing is said yet");
    line.stt_event(SttEvent::EndOfTurn { text: "Where is my order?".into(), confidence: None });
    assert_eq!(line.llm_requests(), 1, "and nothing is asked twice");
    assert_eq!(line.play_everything(), "It comes on Monday. Anything else?");
    assert_eq!(line.transcript()[1..], ["user: Where is my order?", "assistant: It comes on Monday. Anything else?"]);
    assert_eq!((line.machine.metrics().preemptive_used, line.machine.metrics().preemptive_discarded), (1, 0));
}

#[test]
fn model_began_early_and_the_caller_goes_on() {
    for resumed in [true, false] {
        let mut line = CallHarness::new(with_turns(serde_json::json!({"eager": true})));
        line.play_everything();
        line.machine.handle_speech_started(line.now);
        line.stt_event(interim("my number is"));
        line.stt_event(SttEvent::EagerEndOfTurn);
        line.model_says("Thank you.");
        if resumed {
            line.stt_event(SttEvent::TurnResumed);
        }
        line.stt_event(SttEvent::EndOfTurn { text: "my number is seven".into(), confidence: None });
        assert_eq!(line.llm_requests(), 2);
        assert_eq!((line.machine.metrics().preemptive_used, line.machine.metrics().preemptive_discarded), (0, 1));
        line.model_says("Seven.");
        assert_eq!(line.play_everything(), "Seven.");
    }
}

#[test]
fn a_slow_model_is_bridged_and_never_twice_with_the_same_words() {
    let silence = serde_json::json!({"fillers": ["One moment.", "Let me look."], "filler_after_ms": 1_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..agent() };
    let mut line = CallHarness::new(agent);
    line.play_everything();
    for wanted in ["One moment. Here.", "Let me look. Here.", "One moment. Here."] {
        line.caller_says("Look again.");
        line.pass_ms(1_100);
        let filler = line.play_everything();
        line.model_says("Here.");
        assert_eq!(format!("{filler} {}", line.play_everything()), wanted);
    }
    line.caller_says("Look again.");
    line.model_says("Here.");
    line.pass_ms(5_000);
    assert_eq!(line.play_everything(), "Here.", "a fast one is not");
}

#[test]
fn a_slow_tool_is_bridged() {
    let silence = serde_json::json!({"fillers": ["One moment."], "filler_after_ms": 1_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..with_tool(None) };
    let mut line = CallHarness::new(agent);
    line.play_everything();
    line.caller_says("Where is it?");
    line.wants_tool();
    line.pass_ms(900);
    assert!(line.waiting.is_empty());
    line.pass_ms(200);
    assert_eq!(line.play_everything(), "One moment.");
    line.pass_ms(20_000);
    assert!(line.waiting.is_empty(), "the caller waits for us, not the other way round");
    line.result("here");
    line.model_says("It is here.");
    assert_eq!(line.play_everything(), "It is here.");
}

#[test]
fn a_silent_caller_is_asked_in_other_words_each_time() {
    let silence = serde_json::json!({"prompts": ["Hello?", "Anybody?"], "max_prompts": 3, "prompt_after_ms": 5_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..agent() };
    let mut line = CallHarness::new(agent);
    line.play_everything();
    let mut asked = vec![];
    for _ in 0..3 {
        line.pass_ms(5_100);
        asked.push(line.play_everything());
    }
    assert_eq!(asked, ["Are you still there?", "Hello?", "Anybody?"]);
}

#[test]
fn the_model_words_the_question_to_a_silent_caller() {
    let silence = serde_json::json!({"generate_prompts": true, "prompt_after_ms": 5_000, "max_prompts": 1});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..agent() };
    let mut line = CallHarness::new(agent);
    line.play_everything();
    line.pass_ms(5_100);
    assert!(line.last_question().last().unwrap().starts_with("system: The caller has said nothing"));
    line.model_says("Do you need a moment?");
    assert_eq!(line.play_everything(), "Do you need a moment?");
    line.pass_ms(5_100);
    assert!(line.play_everything().ends_with("Goodbye."));
    assert_eq!(line.hang_up_reasons(), [EndReason::Silence]);
}
