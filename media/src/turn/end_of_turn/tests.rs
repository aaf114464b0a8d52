//! When turns end, by silence, words and what STT says.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn start() -> (Instant, EndOfTurnDetector) {
    #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
    let now = Instant::now();
    let mut detector = EndOfTurnDetector::new(EndOfTurnConfig::default());
    detector.handle_speech_started(now);
    (now, detector)
}

#[test]
fn turn_ends_when_stt_agrees() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 1_000 * MS);
    assert_eq!(e.poll_timeout(), None, "no words yet");
    e.handle_final(t + 1_300 * MS, "yes please", Some(0.9), true);
    let turn = e.poll_turn(t + 1_300 * MS).unwrap();
    assert_eq!((turn.text.as_str(), turn.confidence, turn.ended), ("yes please", Some(0.9), t + 1_000 * MS));
    assert_eq!(e.poll_turn(t + 9_000 * MS), None);
}

#[test]
fn pause_inside_a_sentence_does_not_end_turn() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 500 * MS);
    e.handle_final(t + 800 * MS, "my address is", None, false);
    assert_eq!(e.poll_turn(t + 1_300 * MS), None);
    e.handle_speech_started(t + 1_350 * MS);
    assert_eq!(e.poll_turn(t + 3_000 * MS), None);
    e.handle_speech_ended(t + 3_000 * MS);
    e.handle_final(t + 3_200 * MS, "Elm Street.", None, true);
    assert_eq!(e.poll_turn(t + 3_200 * MS).unwrap().text, "my address is Elm Street.");
}

#[test]
fn interim_words_end_turn_when_stt_is_stuck() {
    let (t, mut e) = start();
    e.handle_interim(t + 300 * MS, "hello there");
    e.handle_speech_ended(t + 500 * MS);
    assert_eq!(e.poll_turn(t + 2_499 * MS), None);
    assert_eq!(e.poll_turn(t + 2_500 * MS).unwrap().text, "hello there");
}

#[test]
fn stt_end_overrides_noisy_line() {
    let (t, mut e) = start();
    e.handle_final(t + 1_000 * MS, "can you hear me", None, false);
    e.handle_utterance_end();
    assert_eq!(e.poll_timeout(), Some(t + 1_900 * MS));
}

#[test]
fn turn_ends_without_vad_speech() {
    let (t, _) = start();
    let mut e = EndOfTurnDetector::new(EndOfTurnConfig::default());
    e.handle_final(t, "whisper", None, true);
    assert_eq!(e.poll_turn(t + 200 * MS).unwrap().text, "whisper");
}

#[test]
fn a_turn_model_ends_the_turn_without_waiting_for_silence() {
    let (t, mut e) = start();
    e.handle_interim(t + 500 * MS, "my number");
    e.handle_utterance_end();
    e.handle_turn_resumed();
    e.handle_speech_ended(t + 900 * MS);
    e.handle_interim(t + 950 * MS, "my number is seven");
    assert_eq!(e.poll_turn(t + 1_000 * MS), None);
    e.handle_end_of_turn(t + 1_050 * MS, "my number is seven", Some(0.8));
    assert_eq!(e.poll_turn(t + 1_050 * MS).unwrap().text, "my number is seven");
}

#[test]
fn caller_dictates_a_number_and_pauses_between_its_parts() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 900 * MS);
    e.handle_final(t + 1_200 * MS, "zero six one two", None, true);
    assert_eq!(e.poll_turn(t + 1_850 * MS), None, "more digits may come");
    e.handle_speech_started(t + 1_890 * MS);
    e.handle_speech_ended(t + 3_000 * MS);
    e.handle_final(t + 3_300 * MS, "three four. That's all.", None, true);
    assert_eq!(e.poll_turn(t + 3_300 * MS).unwrap().text, "zero six one two three four. That's all.");
}

#[test]
fn complete_answer_does_not_wait_for_stt() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 500 * MS);
    e.handle_final(t + 600 * MS, "Yes, please.", None, false);
    assert_eq!(e.poll_timeout(), Some(t + 800 * MS));
}

#[test]
fn interim_words_are_used_once() {
    let (t, mut e) = start();
    e.handle_interim(t + 400 * MS, "Yes, that is");
    e.handle_speech_ended(t + 500 * MS);
    assert_eq!(e.poll_timeout(), Some(t + 2_500 * MS), "the last words may be missing");
    e.handle_interim(t + 700 * MS, "Yes, that is correct.");
    assert_eq!(e.poll_turn(t + 800 * MS).unwrap().text, "Yes, that is correct.");
    e.handle_interim(t + 850 * MS, "Yes, that is correct.");
    e.handle_final(t + 900 * MS, "Yes, that's correct.", None, true);
    assert_eq!(e.poll_turn(t + 9_000 * MS), None, "they come again as final ones");
    e.handle_final(t + 9_100 * MS, "Goodbye.", None, true);
    assert_eq!(e.poll_turn(t + 9_200 * MS).unwrap().text, "Goodbye.");
}

#[test]
fn empty_final_is_not_the_outstanding_final() {
    let (t, mut e) = start();
    e.handle_interim(t + 400 * MS, "Hello, good morning.");
    e.handle_speech_ended(t + 500 * MS);
    assert_eq!(e.take_turn(t + 700 * MS).unwrap().text, "Hello, good morning.");
    assert_eq!(e.take_turn(t + 701 * MS), None, "taken once");
    e.handle_final(t + 702 * MS, "", None, false);
    e.handle_final(t + 704 * MS, "Hello, good morning.", None, true);
    assert_eq!(e.poll_turn(t + 9_000 * MS), None);
}

#[test]
fn replayed_words_are_not_new() {
    let (t, mut e) = start();
    e.handle_interim(t + 400 * MS, "Hello, good morning.");
    e.handle_speech_ended(t + 500 * MS);
    assert!(e.take_turn(t + 700 * MS).is_some());
    for (at, text) in [(800, "Hello,"), (900, "Hello, good"), (1_000, "Hello, good morning.")] {
        e.handle_interim(t + at * MS, text);
        assert_eq!((e.words(), e.poll_timeout()), (String::new(), None), "{text}");
    }
    e.handle_final(t + 1_100 * MS, "Hello, good morning.", None, true);
    assert_eq!(e.poll_turn(t + 9_000 * MS), None);
    e.handle_interim(t + 9_100 * MS, "Hello?");
    assert_eq!(e.words(), "Hello?", "and once they are final, they may be said again");
}

#[test]
fn words_beyond_used_ones_are_kept() {
    let (t, mut e) = start();
    e.handle_interim(t + 300 * MS, "Yes");
    e.handle_speech_ended(t + 500 * MS);
    e.handle_interim(t + 700 * MS, "Yes, please.");
    assert!(e.poll_turn(t + 800 * MS).is_some());
    e.handle_final(t + 1_500 * MS, "Yes, please, but tomorrow.", None, true);
    assert_eq!(e.poll_turn(t + 1_600 * MS).unwrap().text, "but tomorrow.");
}

#[test]
fn a_caller_who_thinks_slowly_is_waited_for() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 500 * MS);
    e.handle_final(t + 800 * MS, "I want to go", None, false);
    e.handle_speech_started(t + 1_100 * MS);
    e.handle_speech_ended(t + 2_000 * MS);
    e.handle_final(t + 2_300 * MS, "somewhere warm", None, true);
    assert_eq!(e.poll_timeout(), Some(t + 2_700 * MS), "its pause of 600 ms, and a margin");
    assert!(e.poll_turn(t + 2_700 * MS).is_some());
    e.handle_speech_started(t + 3_000 * MS);
    e.handle_speech_ended(t + 4_000 * MS);
    e.handle_final(t + 4_200 * MS, "Goodbye.", None, true);
    assert!(e.poll_turn(t + 4_200 * MS).is_some(), "a complete answer is one whatever the rhythm");
}

#[test]
fn noise_without_words_is_no_turn() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 100 * MS);
    e.handle_final(t + 400 * MS, "", None, true);
    assert_eq!(e.poll_timeout(), None);
}

#[test]
fn late_partial_finals_are_no_new_turn() {
    for pieces in [&["Hello,", "good", "morning."][..], &["Hello, good", "morning."], &["Hello,", "", "good morning."]]
    {
        let (now, mut detector) = start();
        detector.handle_interim(now, "Hello, good morning.");
        detector.handle_speech_ended(now + 500 * MS);
        let turn = detector.take_turn(now + 2_000 * MS).unwrap();
        assert_eq!(turn.text, "Hello, good morning.");
        for segment in pieces {
            detector.handle_final(now + 2_100 * MS, segment, None, false);
            assert_eq!(detector.words(), "", "{pieces:?}");
        }
        assert!(!detector.is_final_outstanding(), "{pieces:?}");
        // What is said afterwards counts, whatever it begins with.
        detector.handle_final(now + 3_000 * MS, "Hello again.", None, true);
        assert_eq!(detector.words(), "Hello again.", "{pieces:?}");
    }
}

/// A turn that was taken from interim words, because the final ones are late.
fn taken_from_interim(words: &[&str]) -> (Instant, EndOfTurnDetector) {
    let (t, mut e) = start();
    for (index, words) in (1u32..).zip(words) {
        e.handle_interim(t + index * 200 * MS, words);
    }
    e.handle_speech_ended(t + 500 * MS);
    assert_eq!(e.take_turn(t + 2_600 * MS).map(|turn| turn.text).as_deref(), words.last().copied());
    (t + 2_600 * MS, e)
}

#[test]
fn a_late_final_is_the_same_turn_however_it_is_written() {
    for (interim, last) in [
        (["my number is two one six", "my number is two one six four"], "My number is 2164."),
        (["two one", "two one six"], "216."),
        (["it is twelve", "it is twelve euros fifty"], "It's €12.50."),
        (["my name is", "my name is jon smith"], "My name is John Smyth."),
    ] {
        let (t, mut e) = taken_from_interim(&interim);
        e.handle_interim(t + 100 * MS, last);
        e.handle_final(t + 200 * MS, last, Some(0.9), true);
        assert_eq!((e.words().as_str(), e.take_turn(t + 3_000 * MS)), ("", None), "{last}");
        let correction = TurnCorrection { was: interim[1].to_owned(), is: last.to_owned() };
        assert_eq!(e.take_correction(), Some(correction));
        assert_eq!(e.take_correction(), None, "told once");
    }
}

#[test]
fn a_late_final_that_only_adds_punctuation_corrects_nothing() {
    let (t, mut e) = taken_from_interim(&["where is", "where is my order"]);
    e.handle_final(t + 200 * MS, "Where is my order?", None, true);
    assert_eq!((e.words().as_str(), e.take_correction()), ("", None));
}

#[test]
fn words_after_new_speech_are_a_new_turn_and_spelled_numbers_are_still_known() {
    let (t, mut e) = taken_from_interim(&["two one", "two one six"]);
    e.handle_speech_started(t + 100 * MS);
    e.handle_final(t + 900 * MS, "216 and a zip code", None, true);
    assert_eq!(e.words(), "and a zip code");
    let (t, mut e) = taken_from_interim(&["yes", "yes please"]);
    e.handle_speech_started(t + 100 * MS);
    e.handle_final(t + 900 * MS, "Where is it?", None, true);
    assert_eq!(e.words(), "Where is it?");
    let (t, mut e) = taken_from_interim(&["yes", "yes please"]);
    e.handle_final(t + 900 * MS, "I want to know where my order is and when it will come.", None, true);
    assert!(!e.words().is_empty(), "far more than was taken is not another writing of it");
}

#[test]
fn final_words_that_come_in_another_version_take_the_place_of_the_first() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 1_000 * MS);
    e.handle_final(t + 1_300 * MS, "my name is and", None, false);
    e.handle_final(t + 1_310 * MS, "smith", None, false);
    e.handle_corrected("my name is and", "My name is Ann", true);
    let turn = e.poll_turn(t + 2_500 * MS).unwrap();
    assert_eq!((turn.text.as_str(), e.take_correction()), ("My name is Ann smith", None));
    e.handle_corrected("My name is Ann smith", "My name is Ann Smith.", true);
    let correction = TurnCorrection { was: "My name is Ann smith".into(), is: "My name is Ann Smith.".into() };
    assert_eq!((e.poll_turn(t + 9_000 * MS), e.take_correction()), (None, Some(correction)), "no new turn");
}
