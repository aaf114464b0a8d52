//! Commands from beside the call: words, instructions, transfers, holds.

use super::*;
use crate::machine::talk::Talk;
use trunkline_domain::call_control::{CallControl, ControlError, InstructCommand, SayCommand, TransferCommand};
use trunkline_domain::transcript::TurnAuthor;

fn say(text: &str, interrupt: bool) -> CallControl {
    CallControl::Say(SayCommand { text: text.into(), interrupt })
}

fn instruct(text: &str) -> CallControl {
    CallControl::Instruct(InstructCommand { text: text.into() })
}

fn transfer_to(to: Option<&str>, destination: Option<&str>) -> CallControl {
    CallControl::Transfer(TransferCommand { to: to.map(str::to_owned), destination: destination.map(str::to_owned) })
}

fn with_desk() -> AgentFields {
    let config = serde_json::json!({"mode": "bridge", "hold_music": false,
        "destinations": [{"name": "desk", "target": "+31201234567", "mode": "refer"}]});
    AgentFields { transfer_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

impl CallHarness {
    fn control(&mut self, control: &CallControl) -> Result<(), ControlError> {
        let result = self.machine.handle_control(self.now, control, "ada@example.com");
        self.drain();
        result
    }

    /// Contents of the turns that an operator put into the agent's mouth.
    fn operator_turns(&self) -> Vec<String> {
        let mut turns = std::collections::BTreeMap::new();
        for output in &self.seen {
            if let CallOutput::Turn { position, turn } = output {
                turns.insert(*position, turn.clone());
            }
        }
        let of_operator = |turn: &Turn| turn.said_by == Some(TurnAuthor::Operator);
        turns.into_values().filter(of_operator).map(|turn| turn.content).collect()
    }

    fn is_held(&self) -> bool {
        let change = self.seen.iter().rev().find_map(|output| match output {
            CallOutput::Hold { .. } => Some(true),
            CallOutput::EndHold => Some(false),
            _ => None,
        });
        change.unwrap_or(false)
    }
}

#[test]
fn a_text_is_said_at_once_when_nobody_speaks_and_the_agent_knows_that_it_said_it() {
    let mut harness = CallHarness::greeted();
    assert_eq!(harness.control(&say("Your parcel has **arrived**.", false)), Ok(()));
    assert_eq!(harness.play_everything(), "Your parcel has arrived.", "without markup");
    assert_eq!(harness.transcript(), ["assistant: Good morning.", "assistant: Your parcel has arrived."]);
    assert_eq!(harness.operator_turns(), ["Your parcel has arrived."], "the greeting is the agent's own");
    harness.caller_says("Great.");
    let told = harness.last_messages();
    assert_eq!(told[1..], [assistant("Your parcel has arrived."), user("Great.")]);
    let controls = harness.machine.metrics().to_json()["controls"].clone();
    assert_eq!((&controls[0]["control"], &controls[0]["by"]), (&"say".into(), &"ada@example.com".into()));
}

#[test]
fn a_text_waits_for_the_greeting_and_for_what_the_agent_is_saying() {
    let mut harness = CallHarness::new(agent());
    assert_eq!(harness.control(&say("And welcome.", false)), Ok(()));
    assert_eq!(harness.play_everything(), "Good morning. And welcome.");
    harness.caller_says("Where is my order?");
    harness.model_says("It is on its way. It comes on Monday.");
    assert_eq!(harness.control(&say("Or on Tuesday.", false)), Ok(()));
    assert_eq!(harness.play_everything(), "It is on its way. It comes on Monday. Or on Tuesday.");
    assert_eq!(harness.operator_turns(), ["And welcome.", "Or on Tuesday."]);
    assert_eq!(harness.llm_requests(), 1, "nobody is asked anything");
}

#[test]
fn a_text_waits_for_a_caller_who_speaks_and_for_the_answer() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    assert_eq!(harness.control(&say("Before you go on.", false)), Ok(()));
    harness.pass_ms(2_000);
    assert!(harness.waiting.is_empty(), "the caller speaks");
    let now = harness.now;
    harness.machine.handle_speech_ended(now, now);
    let words = SttEvent::Final { text: "Where is my order?".into(), confidence: Some(0.9), speech_final: true };
    harness.machine.handle_stt(now, words);
    harness.drain();
    harness.stay_silent();
    assert_eq!(harness.llm_requests(), 1);
    harness.model_says("On its way.");
    assert_eq!(harness.play_everything(), "On its way. Before you go on.");
}

#[test]
fn an_interrupting_text_cuts_what_is_said_and_what_is_about_to_be_said() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("Where is my order?");
    harness.model_says("It is on its way. It comes on Monday.");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.drain();
    assert_eq!(harness.control(&say("Wait, it comes today.", true)), Ok(()));
    assert_eq!(harness.play_everything(), "Wait, it comes today.");
    let told = ["assistant: It is on its way. /", "assistant: Wait, it comes today."];
    assert_eq!(harness.transcript()[2..], told);
    harness.caller_says("And when?");
    let asked = harness.machine.response_id();
    assert_eq!(harness.control(&say("At noon.", true)), Ok(()));
    harness.machine.handle_llm_event(harness.now, asked, LlmEvent::Text("I do not know. ".into()));
    harness.drain();
    assert_eq!(harness.play_everything(), "At noon.", "the model's answer came too late");
    assert_eq!(harness.operator_turns(), ["Wait, it comes today.", "At noon."]);
}

#[test]
fn two_texts_at_the_same_moment_are_said_in_their_order_and_their_number_is_bounded() {
    let mut harness = CallHarness::new(agent());
    for number in 1..=8 {
        assert_eq!(harness.control(&say(&format!("Text {number}."), false)), Ok(()));
    }
    assert_eq!(harness.control(&say("Text 9.", false)), Err(ControlError::TextsWaiting));
    let said = harness.play_everything();
    assert!(said.starts_with("Good morning. Text 1. Text 2.") && said.ends_with("Text 8."), "{said}");
    assert_eq!(harness.operator_turns().len(), 8);
}

#[test]
fn a_text_that_no_voice_can_say_is_refused() {
    let mut harness = CallHarness::greeted();
    for text in ["🙂", "<break time=\"1s\"/>", "{{nothing_known}}"] {
        for interrupt in [false, true] {
            assert_eq!(harness.control(&say(text, interrupt)), Err(ControlError::Unsayable), "{text}");
        }
    }
    assert_eq!(harness.control(&say("<speak>Hello <b>there</b>.</speak>", false)), Ok(()));
    assert_eq!(harness.play_everything(), "Hello there.");
    assert!(harness.machine.metrics().controls().len() == 1, "what is refused is no event");
}

#[test]
fn a_goodbye_is_not_talked_over_unless_it_is_interrupted() {
    let mut harness = CallHarness::greeted();
    for _ in 0..3 {
        harness.pass_ms(8_100);
        if harness.machine.mode.talk().is_some_and(Talk::is_saying_goodbye) {
            break;
        }
        harness.play_everything();
    }
    assert_eq!(harness.control(&say("One more thing.", false)), Err(ControlError::Goodbye));
    assert_eq!(harness.control(&CallControl::Hold), Err(ControlError::Goodbye));
    assert_eq!(harness.control(&say("One more thing.", true)), Ok(()));
    assert_eq!(harness.play_everything(), "One more thing.");
    harness.pass_ms(7_000);
    assert_eq!(harness.hang_up_reasons(), [], "the call goes on");
    harness.machine.handle_command(harness.now, EndReason::EndedByApi);
    harness.drain();
    assert_eq!(harness.control(&say("Hello?", true)), Err(ControlError::Over));
    assert_eq!(harness.control(&instruct("Be kind.")), Err(ControlError::Over));
}

#[test]
fn the_last_words_of_a_failed_call_are_not_interrupted() {
    let mut harness = CallHarness::new(AgentFields { max_duration_seconds: Some(10), ..agent() });
    harness.play_everything();
    harness.pass_ms(10_000);
    assert_eq!(harness.control(&say("One more thing.", true)), Err(ControlError::Goodbye));
    assert_eq!(harness.control(&transfer_to(Some("+31201234567"), None)), Err(ControlError::Goodbye));
}

#[test]
fn an_instruction_reaches_the_next_request_and_nobody_hears_it() {
    let mut harness = CallHarness::greeted();
    assert_eq!(harness.control(&instruct("Offer 10 % discount.")), Ok(()));
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (0, ""));
    harness.caller_says("That is too expensive.");
    let asked = harness.last_question();
    let whispered = asked.iter().position(|one| one.starts_with("system: ") && one.contains("Offer 10 % discount."));
    assert!(whispered.is_some() && asked.last().unwrap() == "user: That is too expensive.", "{asked:?}");
    assert!(harness.transcript().iter().all(|turn| !turn.contains("discount")), "{:?}", harness.transcript());
    harness.model_says("I can offer you ten percent.");
    harness.play_everything();
    harness.caller_says("Fine.");
    assert!(harness.last_question().iter().any(|one| one.contains("Offer 10 % discount.")), "it stays");
}

#[test]
fn an_answer_that_was_written_ahead_does_not_miss_an_instruction() {
    let turns = serde_json::from_value(serde_json::json!({"eager": true})).unwrap();
    let mut harness = CallHarness::new(AgentFields { turn_config: Some(turns), ..agent() });
    harness.play_everything();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("where is my order".into()));
    harness.machine.handle_stt(harness.now, SttEvent::EagerEndOfTurn);
    harness.drain();
    assert_eq!(harness.llm_requests(), 1, "it is written ahead");
    harness.model_says("It comes on Monday.");
    assert_eq!(harness.control(&instruct("Say sorry first.")), Ok(()));
    let end = SttEvent::EndOfTurn { text: "Where is my order?".into(), confidence: None };
    harness.machine.handle_stt(harness.now, end);
    harness.drain();
    harness.stay_silent();
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (2, ""));
    assert!(harness.last_question().iter().any(|one| one.contains("Say sorry first.")));
}

#[test]
fn an_operator_puts_the_caller_on_hold_and_the_agent_rests() {
    let mut harness = CallHarness::new(with_desk());
    harness.play_everything();
    harness.caller_says("Where is my order?");
    harness.model_says("It is on its way. It comes on Monday.");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.drain();
    assert_eq!(harness.control(&CallControl::Hold), Ok(()));
    assert!(harness.output_seen(|output| *output == CallOutput::Hold { music: false }), "as the agent has it");
    assert!(harness.is_held() && harness.waiting.is_empty() && !harness.machine.hears_caller());
    assert_eq!(harness.control(&CallControl::Hold), Ok(()), "twice is once");
    assert_eq!(harness.control(&say("Hello?", false)), Err(ControlError::OnHold));
    assert_eq!(harness.control(&say("Hello?", true)), Err(ControlError::OnHold));
    assert_eq!(harness.control(&instruct("Be brief.")), Ok(()));
    harness.pass_ms(60_000);
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(400);
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(20_000);
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (1, ""), "no reminder, no stalled STT");
    assert_eq!(harness.control(&CallControl::Resume), Ok(()));
    assert!(!harness.is_held() && harness.machine.hears_caller());
    let asked = harness.last_question();
    assert!(asked.iter().any(|one| one.contains("Be brief.")), "{asked:?}");
    assert!(asked.last().unwrap().contains("on hold for 80 seconds"), "{asked:?}");
    harness.model_says("Thanks for waiting.");
    assert_eq!(harness.play_everything(), "Thanks for waiting.");
    assert_eq!(harness.control(&CallControl::Resume), Err(ControlError::NotOnHold));
}

#[test]
fn results_of_tools_wait_for_the_end_of_a_hold() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is my order?");
    harness.wants_tool();
    assert_eq!(harness.control(&CallControl::Hold), Ok(()));
    harness.result("on its way");
    harness.pass_ms(20_000);
    assert_eq!(harness.llm_requests(), 1, "the model rests");
    assert_eq!(harness.control(&CallControl::Resume), Ok(()));
    assert!(harness.last_question().iter().any(|one| one == "tool: on its way"), "{:?}", harness.last_question());
}

#[test]
fn a_text_that_waits_during_a_hold_of_the_agent_follows_it() {
    let hold = serde_json::json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"hold_call": {"max_seconds": 60}}});
    let mut harness = CallHarness::new(serde_json::from_value(hold).unwrap());
    harness.play_everything();
    harness.caller_says("Where is my parcel?");
    harness.calls_tool("hold_call", serde_json::json!({"seconds": 30}), Some("I put you on hold."));
    assert_eq!(harness.control(&say("We have found it.", false)), Ok(()), "while the agent announces it");
    harness.play_everything();
    assert!(harness.is_held());
    assert_eq!(harness.control(&CallControl::Hold), Err(ControlError::HeldByAgent));
    assert_eq!(harness.control(&CallControl::Resume), Ok(()));
    assert!(!harness.is_held());
    harness.model_says("I am back.");
    assert_eq!(harness.play_everything(), "I am back. We have found it.");
}

#[test]
fn a_caller_who_hangs_up_on_hold_ends_the_call_and_so_does_the_longest_time() {
    let mut harness = CallHarness::greeted();
    assert_eq!(harness.control(&CallControl::Hold), Ok(()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(2_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    let mut harness = CallHarness::new(AgentFields { max_duration_seconds: Some(60), ..agent() });
    harness.play_everything();
    assert_eq!(harness.control(&CallControl::Hold), Ok(()));
    harness.pass_ms(60_000);
    assert!(!harness.is_held() && !harness.play_everything().is_empty());
    harness.pass_ms(2_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::MaxDuration]);
}

#[test]
fn an_operator_puts_the_caller_through_to_a_number_or_a_destination() {
    let mut harness = CallHarness::new(with_desk());
    harness.play_everything();
    assert_eq!(harness.control(&transfer_to(None, Some("nobody"))), Err(ControlError::UnknownDestination));
    harness.caller_says("Where is my order?");
    harness.model_says("It is on its way.");
    assert_eq!(harness.control(&transfer_to(Some("+31207654321"), None)), Ok(()));
    assert_eq!(harness.control(&say("Hello?", true)), Err(ControlError::Transferring));
    assert_eq!(harness.control(&CallControl::Hold), Err(ControlError::Transferring));
    assert_eq!(harness.control(&transfer_to(None, Some("desk"))), Err(ControlError::Transferring));
    assert_eq!(harness.play_everything(), "One moment, I will put you through.");
    let to = |number: &'static str| move |output: &CallOutput| matches!(output, CallOutput::StartConsultation { target } if target.as_str() == number);
    assert!(harness.output_seen(to("+31207654321")));
    harness.machine.handle_consultation(harness.now, ConsultationEvent::Failed(EndReason::Busy));
    harness.drain();
    assert!(harness.last_question().last().unwrap().contains("failed: they are busy"), "{:?}", harness.last_question());
    harness.model_says("They are busy.");
    harness.play_everything();
    // From hold, and to a destination by its name.
    assert_eq!(harness.control(&CallControl::Hold), Ok(()));
    assert_eq!(harness.control(&transfer_to(None, Some("desk"))), Ok(()));
    assert_eq!(harness.play_everything(), "One moment, I will put you through.");
    let refer =
        |output: &CallOutput| matches!(output, CallOutput::Refer { target } if target.as_str() == "+31201234567");
    assert!(harness.output_seen(refer), "the destination's own way");
}

#[test]
fn two_people_who_talk_are_left_alone() {
    let mut harness = CallHarness::new(with_desk());
    harness.play_everything();
    assert_eq!(harness.control(&transfer_to(Some("+31207654321"), None)), Ok(()));
    harness.play_everything();
    harness.machine.handle_consultation(harness.now, ConsultationEvent::Answered);
    harness.drain();
    assert!(harness.transcript().last().unwrap().ends_with("transfer_call: connected with +31207654321"));
    for control in [say("Hello?", true), instruct("Be kind."), CallControl::Hold, CallControl::Resume] {
        assert_eq!(harness.control(&control), Err(ControlError::Bridged), "{control:?}");
    }
}

#[test]
fn a_call_takes_so_many_commands() {
    let mut harness = CallHarness::greeted();
    for _ in 0..200 {
        assert_eq!(harness.control(&instruct("Be kind.")), Ok(()));
    }
    assert_eq!(harness.control(&instruct("Be kind.")), Err(ControlError::TooMany));
    assert_eq!(harness.control(&CallControl::Hold), Err(ControlError::TooMany));
}

#[test]
fn a_realtime_model_says_the_text_and_reads_the_instruction() {
    let mut harness = CallHarness::on_realtime(None);
    let greeting = harness.realtime_says(0, "Good morning.", 8_000);
    assert_eq!(harness.control(&say("Your parcel has arrived.", false)), Ok(()));
    assert!(!harness.sent_to_realtime().contains(&RealtimeInput::Say("Your parcel has arrived.".into())), "not yet");
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    let heard = SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true };
    harness.machine.handle_segment_finished(heard, harness.now);
    harness.drain();
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::Say("Your parcel has arrived.".into())));
    harness.realtime_says(1, "Your parcel has arrived.", 8_000);
    assert_eq!(harness.operator_turns(), ["Your parcel has arrived."]);
    assert_eq!(harness.control(&instruct("Be brief.")), Ok(()));
    let told = harness.sent_to_realtime().pop();
    assert!(matches!(&told, Some(RealtimeInput::Instructions(text)) if text.contains("Be brief.")), "{told:?}");
    assert_eq!(harness.control(&CallControl::Hold), Ok(()));
    harness.realtime_event(RealtimeEvent::ResponseStarted);
    assert_eq!(harness.sent_to_realtime().pop(), Some(RealtimeInput::Interrupted { item: None }), "nothing is said");
    harness.pass_ms(30_000);
    assert_eq!(harness.hang_up_reasons(), [], "a model that rests has not failed");
    assert_eq!(harness.control(&CallControl::Resume), Ok(()));
    assert!(matches!(harness.sent_to_realtime().pop(), Some(RealtimeInput::RequestResponse(Some(_)))));
}
