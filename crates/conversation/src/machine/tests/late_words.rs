//! STT that is behind the caller's sound: words that come after their turn was taken.

use super::turns::{interim, last_words};
use super::*;

impl CallHarness {
    /// The caller says something of which STT has sent the first words, and is silent; the turn is taken from them.
    fn half_heard(first_words: &str) -> Self {
        let mut harness = Self::greeted();
        harness.machine.handle_speech_started(harness.now);
        harness.pass_ms(1_200);
        harness.stt_event(interim(first_words));
        harness.pass_ms(400);
        let last_sound = harness.now;
        harness.pass_ms(200);
        harness.machine.handle_speech_ended(harness.now, last_sound);
        harness.drain();
        harness.stay_silent();
        assert_eq!(harness.llm_requests(), 1, "{first_words}");
        harness
    }

    /// Starts the next segment without time for the caller to hear much of it.
    fn starts_to_speak(&mut self) {
        let (segment, _) = self.waiting.remove(0);
        self.machine.handle_tts_done(segment, 16_000);
        self.machine.handle_segment_started(segment, self.now);
        self.drain();
        self.pass_ms(100);
        self.sounding = vec![SegmentPlayed { segment, sent_samples: 800, complete: false }];
    }
}

/// What STT has sent when the turn is taken, and what the caller said.
const HALVES: [(&str, &str); 6] = [
    ("Can I change the delivery address", "Can I change the delivery address to my office?"),
    ("And when does it", "And when does it arrive?"),
    ("can I change the delivery add", "Can I change the delivery address to my office?"),
    (
        "My postcode is one zero one two and the house",
        "My postcode is one zero one two and the house number is fourteen.",
    ),
    ("my number is two one six", "My number is 216 4."),
    ("Waar is mijn", "Waar is mijn bestelling?"),
];

#[test]
fn words_that_come_late_complete_the_turn_before_anything_is_answered() {
    for (half, whole) in HALVES {
        let mut harness = CallHarness::half_heard(half);
        harness.model_says("You said half of it.");
        harness.stt_event(last_words(whole));
        assert!(harness.waiting.is_empty(), "{whole}: the answer to the half is gone at once");
        harness.stay_silent();
        assert_eq!(harness.llm_requests(), 2, "{whole}");
        let asked = harness.last_messages();
        assert_eq!(asked.len(), 2, "one turn: {asked:?}");
        let Some(ChatMessage::User(words)) = asked.last() else { panic!("{asked:?}") };
        let last_word = whole.rsplit(' ').next().unwrap();
        assert!(words.starts_with(half) && words.ends_with(last_word), "{words}");
        harness.model_says("You said all of it.");
        assert_eq!(harness.play_everything(), "You said all of it.", "{whole}");
        assert_eq!(harness.transcript()[1..], [format!("user: {words}"), "assistant: You said all of it.".to_owned()]);
        assert_eq!(harness.machine.metrics().premature_ends_of_turn, 1, "{whole}");
    }
}

#[test]
fn interim_words_that_come_late_take_the_answer_back_too() {
    let mut harness = CallHarness::half_heard("can I change the delivery address");
    harness.model_says("To what?");
    harness.stt_event(interim("can I change the delivery address to my"));
    assert!(harness.waiting.is_empty());
    harness.pass_ms(100);
    harness.stt_event(last_words("Can I change the delivery address to my office?"));
    harness.stay_silent();
    let messages = harness.last_messages();
    assert_eq!(messages[1..], [user("can I change the delivery address to my office?")], "{messages:?}");
}

#[test]
fn late_words_that_were_none_in_the_end_leave_nobody_in_silence() {
    for last in ["Where is my order?", ""] {
        let mut harness = CallHarness::half_heard("where is my order");
        harness.model_says("It is on its way.");
        harness.stt_event(interim("where is my order eh"));
        assert!(harness.waiting.is_empty());
        harness.stt_event(last_words(last));
        harness.stay_silent();
        assert_eq!(harness.llm_requests(), 2, "{last:?}");
        harness.model_says("It is on its way.");
        assert_eq!(harness.play_everything(), "It is on its way.", "{last:?}");
    }
}

#[test]
fn late_words_stop_an_answer_that_has_begun() {
    let mut harness = CallHarness::half_heard("can I change the delivery address");
    harness.model_says("Yes, you can change it. To what?");
    harness.starts_to_speak();
    harness.stt_event(last_words("Can I change the delivery address to my office?"));
    harness.pass_ms(200);
    let sounding = std::mem::take(&mut harness.sounding);
    let response_id = sounding[0].segment.response_id;
    harness.machine.handle_flushed(harness.now, true, response_id, &sounding);
    harness.drain();
    harness.stay_silent();
    assert_eq!(harness.llm_requests(), 2, "{:?}", harness.transcript());
    assert_eq!(harness.last_messages().last(), Some(&user("to my office?")));
}

#[test]
fn late_words_that_add_nothing_leave_the_answer_alone() {
    for (taken, last) in [
        ("where is my order", "Where is my order, please?"),
        ("my name is jon smith", "My name is John Smyth."),
        ("it is twelve euros fifty", "It's €12.50."),
        ("i cannot", "I can not."),
        ("I am gonna", "I'm going to."),
        ("at half past two", "At 2:30 PM."),
        ("my number is two one six four", "My number is 2164."),
    ] {
        let mut harness = CallHarness::half_heard(taken);
        harness.model_says("It is on its way.");
        harness.stt_event(last_words(last));
        harness.stay_silent();
        assert_eq!(harness.llm_requests(), 1, "{last}: {:?}", harness.transcript());
        assert_eq!(harness.play_everything(), "It is on its way.", "{last}");
    }
}

#[test]
fn words_of_an_unfinished_turn_are_no_stalled_stt() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(800);
    harness.stt_event(interim("I want to know where my"));
    harness.pass_ms(100);
    harness.machine.handle_speech_ended(harness.now + 200 * MS, harness.now);
    harness.pass_ms(3_200);
    let asks_again = harness.waiting.iter().any(|(_, text)| text.contains("again"));
    assert_eq!((harness.llm_requests(), asks_again), (1, false), "{:?}", harness.transcript());
    assert!(!harness.seen.contains(&CallOutput::RestartStt));
}

#[test]
fn a_mute_stt_and_a_late_final_are_answered_within_three_seconds_of_the_last_sound() {
    for final_after in [None, Some(2_200), Some(2_350), Some(2_500), Some(2_700), Some(4_000)] {
        let mut harness = CallHarness::greeted();
        harness.machine.handle_speech_started(harness.now);
        harness.pass_ms(1_600);
        let last_sound = harness.now;
        harness.pass_ms(300);
        harness.machine.handle_speech_ended(harness.now, last_sound);
        let mut first = None;
        for at in (310..4_500).step_by(10) {
            harness.pass_ms(10);
            if final_after == Some(at) {
                harness.stt_event(last_words("Where is my order please?"));
            }
            // A voice needs 200 ms for a first sound.
            if first.is_none() && !harness.waiting.is_empty() {
                first = Some(at);
            } else if harness.waiting.is_empty() {
                first = None;
            }
            if first.is_some_and(|first| at >= first + 200) {
                break;
            }
        }
        let first = first.unwrap_or_else(|| panic!("{final_after:?}: {:?}", harness.seen));
        assert!(first <= 2_800, "{final_after:?}: {first} ms");
    }
}
