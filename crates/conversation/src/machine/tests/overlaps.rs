//! Sounds and words over the agent: whose they are, and what they mean.

use super::turns::{interim, last_words, with_turns};
use super::*;
use trunkline_media::turn::overlap::OverlapSource;

impl CallHarness {
    fn decisions(&self) -> Vec<String> {
        let all = self.machine.metrics().to_json()["interruptions"]["decisions"].clone();
        all.as_array().unwrap().iter().map(|one| one["by"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) fn hears(&mut self, source: OverlapSource) {
        self.machine.handle_overlap(source);
    }

    fn finish(&mut self, segment: SegmentId) {
        let heard = SegmentPlayed { segment, sent_samples: 16_000, complete: true };
        self.machine.handle_segment_finished(heard, self.now);
        self.drain();
    }

    fn held(&mut self, segment: SegmentId) {
        self.machine.handle_speech_started(self.now);
        self.machine.handle_paused(self.now + 60 * MS, segment.response_id);
        self.pass_ms(200);
    }
}

#[test]
fn words_of_a_person_behind_the_caller_are_ignored() {
    let (mut harness, _) = CallHarness::talking();
    harness.hears(OverlapSource::Background);
    harness.stt_event(interim("please hold the line"));
    harness.stt_event(last_words("Please hold the line while we connect you."));
    harness.pass_ms(4_000);
    assert_eq!((harness.interrupts(), harness.llm_requests()), (0, 1));
    assert!(!harness.transcript().iter().any(|turn| turn.contains("hold the line")), "{:?}", harness.transcript());
    assert_eq!(harness.decisions(), ["background"], "once for all results of the same words");
}

#[test]
fn a_model_of_turns_hears_nobody_behind_the_caller_either() {
    let (mut harness, _) = CallHarness::talking();
    harness.hears(OverlapSource::Background);
    harness.stt_event(SttEvent::EndOfTurn { text: "Dinner is ready, come down.".into(), confidence: None });
    harness.pass_ms(2_000);
    assert_eq!(harness.llm_requests(), 1);
}

#[test]
fn the_caller_is_heard_over_a_person_behind() {
    let (mut harness, _) = CallHarness::talking();
    harness.hears(OverlapSource::Background);
    harness.stt_event(interim("dinner is ready"));
    harness.hears(OverlapSource::Caller);
    harness.stt_event(interim("I want to change it"));
    assert_eq!(harness.interrupts(), 1, "although the agent was not held");
    assert_eq!(harness.decisions(), ["background", "words"]);
}

#[test]
fn words_that_ask_to_stop_need_no_sound() {
    for (source, wanted) in [(None, 1), (Some(OverlapSource::Background), 1)] {
        let (mut harness, _) = CallHarness::talking();
        if let Some(source) = source {
            harness.hears(source);
        }
        harness.stt_event(interim("Wait, wait."));
        assert_eq!(harness.interrupts(), wanted, "{source:?}");
        assert_eq!(harness.decisions(), ["command"]);
    }
    let (mut harness, _) = CallHarness::talking();
    harness.stt_event(interim("I would like"));
    assert_eq!(harness.interrupts(), 0, "other words of nobody who was heard wait for the end of the turn");
}

#[test]
fn words_that_ask_to_stop_do_not_stop_what_cannot_be_interrupted() {
    let mut harness = CallHarness::new(with_turns(serde_json::json!({"first_message_interruptible": false})));
    harness.begin();
    harness.stt_event(interim("stop"));
    assert_eq!(harness.interrupts(), 0);
    let mut harness = CallHarness::new(with_turns(serde_json::json!({"barge_in": false})));
    harness.begin();
    harness.stt_event(interim("stop"));
    assert_eq!(harness.interrupts(), 0, "the agent is set not to be interrupted");
}

#[test]
fn late_words_stop_an_agent_who_goes_on_already() {
    let (mut harness, segment) = CallHarness::talking();
    harness.hears(OverlapSource::Caller);
    harness.caller_makes_sound(segment, 300);
    harness.pass_ms(500);
    assert_eq!(harness.decisions(), ["no_words"]);
    harness.stt_event(last_words("Which address do you mean?"));
    assert_eq!(harness.interrupts(), 1);
    assert_eq!(harness.decisions()[..2], ["no_words", "words"]);
}

#[test]
fn a_final_part_of_a_backchannel_is_waited_for() {
    let (mut harness, segment) = CallHarness::talking();
    harness.held(segment);
    harness.stt_event(last_words("I"));
    assert_eq!(harness.interrupts(), 0, "it may become \"I see\"");
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.stt_event(last_words("see."));
    harness.pass_ms(100);
    assert_eq!((harness.interrupts(), harness.count(&CallOutput::Resume)), (0, 1));
    let (mut harness, segment) = CallHarness::talking();
    harness.held(segment);
    harness.stt_event(last_words("No."));
    assert_eq!(harness.interrupts(), 1);
}

#[test]
fn a_known_backchannel_ends_the_pause_with_its_sound() {
    let (mut harness, segment) = CallHarness::talking();
    harness.held(segment);
    harness.stt_event(interim("okay"));
    assert_eq!(harness.count(&CallOutput::Resume), 0, "the caller still makes a sound");
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(220);
    assert_eq!(harness.count(&CallOutput::Resume), 1);
    assert_eq!(harness.decisions(), ["backchannel"]);
}

#[test]
fn the_agents_own_words_are_ignored_before_an_echo_is_known() {
    let (mut harness, _) = CallHarness::talking();
    harness.stt_event(last_words("The first thing to know"));
    harness.pass_ms(3_000);
    assert_eq!((harness.llm_requests(), harness.decisions()), (1, vec!["echo".to_owned()]));
    // A caller at the caller's level may repeat them.
    let (mut harness, segment) = CallHarness::talking();
    harness.hears(OverlapSource::Caller);
    harness.held(segment);
    harness.stt_event(interim("the first thing to know is what"));
    assert_eq!(harness.interrupts(), 1);
}

#[test]
fn an_echo_that_is_recognized_after_the_agents_end_is_no_turn() {
    let (mut harness, segment) = CallHarness::talking();
    harness.hears(OverlapSource::Background);
    harness.finish(segment);
    harness.play_everything();
    harness.hears(OverlapSource::Background);
    harness.stt_event(last_words("The second thing is that"));
    harness.pass_ms(3_000);
    assert_eq!(harness.llm_requests(), 1);
}

#[test]
fn listeners_of_each_language_say_go_on() {
    for (language, text) in [("es", "Vale, vale."), ("it", "Ho capito."), ("pt-BR", "Tá bom."), ("fr", "D'accord.")] {
        let stt = serde_json::json!({"provider": "deepgram", "model": "nova-3", "language": language});
        let agent = AgentFields { stt_config: Some(serde_json::from_value(stt).unwrap()), ..agent() };
        let mut harness = CallHarness::new(agent);
        harness.play_everything();
        harness.caller_says("una cosa");
        harness.model_says("The first thing to know is this. The second thing is that.");
        let segment = harness.begin();
        harness.caller_makes_sound(segment, 300);
        harness.stt_event(last_words(text));
        harness.pass_ms(120);
        assert_eq!((harness.interrupts(), harness.count(&CallOutput::Resume)), (0, 1), "{text}");
    }
}

#[test]
fn backchannels_one_after_the_other_do_not_add_up() {
    let (mut harness, segment) = CallHarness::talking();
    for text in ["Okay.", "Mhm.", "Yes.", "Right.", "Sure.", "Okay."] {
        harness.caller_makes_sound(segment, 250);
        harness.stt_event(last_words(text));
        harness.pass_ms(900);
    }
    assert_eq!((harness.interrupts(), harness.llm_requests()), (0, 1));
    assert_eq!(harness.machine.metrics().interruptions.resumed, 6);
}

/// The caller's voice goes on without new words, and the answer to the words so far is held before it is heard.
fn answered_over_a_voice_that_goes_on() -> (CallHarness, SegmentId) {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(800);
    harness.stt_event(interim("where is my order"));
    harness.pass_ms(4_000);
    assert_eq!(harness.llm_requests(), 1, "the turn is over without its silence");
    harness.model_says("It comes on Monday.");
    let (segment, _) = harness.waiting[0].clone();
    harness.machine.handle_paused(harness.now, segment.response_id);
    (harness, segment)
}

#[test]
fn final_words_of_an_answered_turn_do_not_take_the_answer_away() {
    // The voice stops the answer before its first packet; the final words are those that were answered.
    let (mut harness, segment) = answered_over_a_voice_that_goes_on();
    harness.waiting.clear();
    harness.machine.handle_flushed(harness.now, true, segment.response_id, &[]);
    harness.pass_ms(700);
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(200);
    harness.stt_event(last_words("Where is my order?"));
    harness.pass_ms(100);
    assert_eq!(harness.play_everything(), "It comes on Monday.");
    assert_eq!(harness.llm_requests(), 1);
}

#[test]
fn final_words_of_an_answered_turn_let_the_held_answer_go_on() {
    for final_first in [false, true] {
        let (mut harness, _) = answered_over_a_voice_that_goes_on();
        let end = |harness: &mut CallHarness| {
            harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
            harness.drain();
        };
        if final_first {
            harness.stt_event(last_words("Where is my order?"));
            end(&mut harness);
        } else {
            end(&mut harness);
            harness.stt_event(last_words("Where is my order?"));
        }
        harness.pass_ms(600);
        assert_eq!(harness.count(&CallOutput::Resume), 1, "final words first: {final_first}");
        assert_eq!(harness.play_everything(), "It comes on Monday.");
    }
}

#[test]
fn new_words_take_an_unheard_answer_back() {
    let (mut harness, _) = answered_over_a_voice_that_goes_on();
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.stt_event(last_words("Where is my order? And what does it cost?"));
    harness.stay_silent();
    assert_eq!(harness.llm_requests(), 2, "{:?}", harness.transcript());
    harness.model_says("It costs ten euros.");
    assert_eq!(harness.play_everything(), "It costs ten euros.");
}

#[test]
fn who_speaks_before_a_prompt_is_heard_is_answered() {
    let mut harness = CallHarness::greeted();
    harness.pass_ms(30_000);
    let (segment, prompt) = harness.waiting[0].clone();
    assert!(prompt.contains('?'), "{prompt}");
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now, segment.response_id);
    harness.caller_says("where is my order");
    assert_eq!(harness.llm_requests(), 1, "{:?}", harness.transcript());
    harness.model_says("It comes on Monday.");
    assert_eq!(harness.play_everything(), "It comes on Monday.");
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn a_greeting_that_was_held_is_said_to_who_has_said_hello() {
    let mut harness = CallHarness::new(agent());
    let (segment, _) = harness.waiting[0].clone();
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_paused(harness.now, segment.response_id);
    harness.caller_says("hello?");
    assert_eq!(harness.count(&CallOutput::Resume), 1);
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (0, "Good morning."));
}

#[test]
fn held_speech_goes_on_whatever_becomes_of_the_words() {
    let (mut harness, _) = answered_over_a_voice_that_goes_on();
    // Words that never become final, and a voice that goes on.
    harness.stt_event(interim("mhm"));
    harness.pass_ms(4_000);
    assert!(harness.count(&CallOutput::Resume) == 1 || harness.llm_requests() == 2);
}
