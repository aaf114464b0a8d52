//! Words of STT while the line is silent and the agent speaks.

use super::turns::{interim, last_words};
use super::*;
use trunkline_media::turn::overlap::OverlapSource;

impl CallHarness {
    /// The agent speaks, and the caller's last sound was this long ago.
    fn silent_for(ms: u32) -> (Self, SegmentId) {
        let (mut harness, segment) = Self::talking();
        harness.pass_ms(ms);
        (harness, segment)
    }

    fn by(&self) -> Vec<String> {
        let all = self.machine.metrics().to_json()["interruptions"]["decisions"].clone();
        all.as_array().unwrap().iter().map(|one| one["by"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the agent was stopped, by words or by a turn.
    fn is_cut(&self) -> bool {
        let cut = |output: &CallOutput| {
            matches!(output, CallOutput::Interrupt { .. } | CallOutput::CancelSpeech { .. } | CallOutput::CancelLlm)
        };
        self.output_seen(cut)
    }

    /// The segment that sounds, and the rest of the answer, are heard to their end.
    fn hear_out(&mut self, segment: SegmentId) -> String {
        let heard = SegmentPlayed { segment, sent_samples: 16_000, complete: true };
        self.machine.handle_segment_finished(heard, self.now);
        self.drain();
        self.play_everything()
    }
}

#[test]
fn words_on_a_silent_line_wait_for_the_agents_end() {
    let kinds: [(&str, &[SttEvent]); 4] = [
        ("final words", &[last_words("What about my bill?")]),
        ("partial words", &[interim("What about my bill?")]),
        ("partial and final words", &[interim("What about my"), last_words("What about my bill?")]),
        ("a model of turns", &[SttEvent::EndOfTurn { text: "What about my bill?".into(), confidence: Some(0.9) }]),
    ];
    for silence_ms in [3_100, 60_000] {
        for (kind, events) in &kinds {
            let (mut harness, segment) = CallHarness::silent_for(silence_ms);
            for event in *events {
                harness.stt_event(event.clone());
                harness.pass_ms(300);
            }
            harness.pass_ms(4_000);
            assert_eq!((harness.is_cut(), harness.llm_requests()), (false, 1), "{kind} after {silence_ms} ms");
            // Words that STT sends later of the same turn are decided by themselves, and go with those that wait.
            assert!(harness.by().iter().all(|by| by == "no_voice") && !harness.by().is_empty(), "{kind}");
            assert_eq!(harness.hear_out(segment), "The second thing is that.", "{kind}");
            assert_eq!(harness.llm_requests(), 2, "{kind}: answered when the agent has finished");
            assert_eq!(harness.last_messages().last(), Some(&user("What about my bill?")), "{kind}");
        }
    }
}

#[test]
fn what_stt_makes_of_silence_is_dropped() {
    for text in ["Thank you.", "you", "Thanks for watching!", "[Music]", "Ondertiteld door de Amara.org gemeenschap"] {
        let (mut harness, segment) = CallHarness::silent_for(5_000);
        harness.stt_event(interim(text));
        harness.stt_event(last_words(text));
        harness.pass_ms(4_000);
        harness.hear_out(segment);
        harness.pass_ms(1_000);
        assert_eq!((harness.is_cut(), harness.llm_requests()), (false, 1), "{text}");
        assert_eq!(harness.by(), ["hallucination"], "{text}");
        assert!(!harness.transcript().iter().any(|turn| turn.contains(text)), "{:?}", harness.transcript());
    }
}

#[test]
fn a_greeting_to_somebody_who_has_made_no_sound_is_said_to_its_end() {
    let mut harness = CallHarness::new(agent());
    let segment = harness.begin();
    harness.stt_event(last_words("Thanks for watching."));
    harness.stt_event(last_words("I will see you there"));
    harness.pass_ms(4_000);
    assert_eq!((harness.is_cut(), harness.llm_requests()), (false, 0));
    harness.hear_out(segment);
    assert_eq!(harness.llm_requests(), 1);
}

#[test]
fn words_of_a_slow_stt_stop_the_agent() {
    // The caller spoke over the agent, who went on; the words come two seconds after the sound.
    for late in [300, 2_000, 2_700] {
        let (mut harness, segment) = CallHarness::silent_for(8_000);
        harness.hears(OverlapSource::Caller);
        harness.caller_makes_sound(segment, 300);
        harness.pass_ms(late);
        harness.stt_event(interim("Which address"));
        harness.stt_event(last_words("Which address do you mean?"));
        assert_eq!(harness.interrupts(), 1, "{late} ms late");
    }
    // Without a level that is known, the turn stops the agent.
    let (mut harness, _) = CallHarness::silent_for(8_000);
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(300);
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(2_000);
    harness.stt_event(last_words("Which address do you mean?"));
    harness.pass_ms(4_000);
    assert_eq!((harness.is_cut(), harness.llm_requests(), harness.by()), (true, 2, vec!["turn".to_owned()]));
}

#[test]
fn a_turn_counts_from_its_first_word_with_a_sound() {
    // A long turn whose last words come late.
    let (mut harness, _) = CallHarness::silent_for(8_000);
    harness.machine.handle_speech_started(harness.now);
    harness.stt_event(interim("Which address"));
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(3_500);
    harness.stt_event(last_words("Which address do you mean?"));
    harness.pass_ms(4_000);
    assert!(harness.is_cut());
}

#[test]
fn a_voice_of_long_ago_makes_no_words_the_callers() {
    let (mut harness, segment) = CallHarness::silent_for(0);
    harness.hears(OverlapSource::Caller);
    harness.caller_makes_sound(segment, 300);
    harness.pass_ms(10_000);
    harness.stt_event(interim("I would like to"));
    harness.pass_ms(4_000);
    assert!(!harness.is_cut(), "the caller was heard over this answer, but not with these words");
}

#[test]
fn words_without_a_sound_go_with_the_callers_next_ones() {
    let (mut harness, segment) = CallHarness::silent_for(6_000);
    harness.stt_event(last_words("About my bill."));
    harness.pass_ms(3_000);
    harness.caller_makes_sound(segment, 300);
    harness.stt_event(last_words("Which address do you mean?"));
    harness.pass_ms(3_000);
    assert!(harness.is_cut());
    let said = harness.transcript().join("\n");
    let at = |words: &str| said.find(words).unwrap();
    assert!(at("About my bill.") < at("Which address do you mean?"), "{said}");
    assert!(
        harness
            .last_messages()
            .last()
            .is_some_and(|last| matches!(last, ChatMessage::User(text) if text.ends_with("mean?")))
    );
}

#[test]
fn a_caller_whom_voice_detection_misses_is_taken_at_their_word() {
    let mut harness = CallHarness::greeted();
    for text in ["I am calling about an order", "It is the one of last week"] {
        harness.stt_event(last_words(text));
        harness.pass_ms(4_000);
        harness.model_says("The first thing to know is this. The second thing is that.");
        harness.play_everything();
    }
    harness.stt_event(last_words("Tell me more of it"));
    harness.pass_ms(4_000);
    harness.model_says("There is a lot to tell here. It is all of this.");
    harness.begin();
    harness.stt_event(last_words("No, the other one please"));
    harness.pass_ms(4_000);
    assert_eq!(harness.by(), ["turn"]);
}

#[test]
fn words_without_a_sound_do_not_keep_a_call_that_ends() {
    let (mut harness, segment) = CallHarness::silent_for(6_000);
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    let _ = segment;
    let (mut harness, _) = CallHarness::silent_for(6_000);
    harness.stt_event(last_words("About my bill."));
    harness.pass_ms(2_000);
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(5_000);
    assert!(harness.transcript().contains(&"user: About my bill.".to_owned()), "{:?}", harness.transcript());
}

#[test]
fn a_realtime_model_hears_the_caller_by_itself() {
    let mut harness = CallHarness::on_realtime(None);
    let greeting = harness.realtime_says(0, "Good morning.", 80_000);
    harness.pass_ms(6_000);
    harness.realtime_event(RealtimeEvent::Interrupted);
    harness.realtime_event(RealtimeEvent::UserFinal("About my bill.".into()));
    let cancelled = |output: &CallOutput| match output {
        CallOutput::CancelSpeech { response_id } | CallOutput::Interrupt { response_id } => {
            *response_id == greeting.response_id
        }
        _ => false,
    };
    assert!(harness.output_seen(cancelled), "no voice detection of ours is asked");
}

#[test]
fn a_backchannel_without_a_sound_asks_for_nothing() {
    let (mut harness, segment) = CallHarness::silent_for(5_000);
    harness.stt_event(last_words("Mhm."));
    harness.pass_ms(4_000);
    harness.hear_out(segment);
    harness.pass_ms(1_000);
    assert_eq!((harness.is_cut(), harness.llm_requests()), (false, 1));
}

#[test]
fn what_stt_makes_of_silence_does_not_show_that_voice_detection_misses_the_caller() {
    let mut harness = CallHarness::greeted();
    for text in ["Thank you.", "Thank you."] {
        harness.stt_event(last_words(text));
        harness.pass_ms(4_000);
        harness.model_says("The first thing to know is this. The second thing is that.");
        if harness.llm_requests() == 1 {
            harness.play_everything();
        }
    }
    harness.begin();
    harness.stt_event(last_words("No, the other one please"));
    harness.pass_ms(3_000);
    assert_eq!(harness.by(), ["no_voice"]);
}

#[test]
fn a_caller_who_is_heard_again_is_not_taken_at_their_word_for_ever() {
    let mut harness = CallHarness::greeted();
    for text in ["I am calling about an order", "It is the one of last week"] {
        harness.stt_event(last_words(text));
        harness.pass_ms(4_000);
        harness.model_says("Go on.");
        harness.play_everything();
    }
    harness.caller_says("tell me");
    harness.model_says("The first thing to know is this. The second thing is that.");
    harness.begin();
    harness.pass_ms(5_000);
    harness.stt_event(last_words("No, the other one please"));
    harness.pass_ms(3_000);
    assert_eq!(harness.by(), ["no_voice"]);
}

#[test]
fn words_without_a_sound_that_wait_are_bounded() {
    let (mut harness, segment) = CallHarness::silent_for(5_000);
    for number in 0..100 {
        harness.stt_event(last_words(&format!("And number {number} is one more thing to say")));
        harness.pass_ms(4_000);
    }
    harness.hear_out(segment);
    let Some(ChatMessage::User(text)) = harness.last_messages().pop() else { panic!("they are a turn") };
    assert!((900..=1_100).contains(&text.len()), "{}", text.len());
}
