//! When turns end, by silence, words and what STT says.

use super::*;

mod learning;

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
    assert_eq!(e.poll_timeout(), Some(t + 1_215 * MS), "it was silent for long enough by then");
    let turn = e.poll_turn(t + 1_300 * MS).unwrap();
    assert_eq!((turn.text.as_str(), turn.confidence, turn.ended), ("yes please", Some(0.9), t + 1_000 * MS));
    assert_eq!(e.poll_turn(t + 9_000 * MS), None);
}

#[test]
fn a_turn_does_not_end_while_a_word_may_begin() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 1_000 * MS);
    e.handle_final(t + 1_100 * MS, "I would like to know where my order is", None, true);
    let due = e.poll_timeout().unwrap();
    e.handle_speech_suspected(due - 10 * MS);
    assert_eq!(e.poll_timeout(), Some(due + 70 * MS), "until it is known");
    e.handle_speech_started(due - 10 * MS);
    assert_eq!(e.poll_turn(due + 80 * MS), None, "the caller speaks");
    e.handle_speech_ended(due + 500 * MS);
    for click in 0..100 {
        e.handle_speech_suspected(due + (600 + 20 * click) * MS);
    }
    assert!(e.poll_turn(due + 1_800 * MS).is_some(), "clicks do not keep it open");
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
    assert_eq!(e.poll_turn(t + 3_350 * MS).unwrap().text, "my address is Elm Street.");
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
    e.handle_utterance_end(t + 2_100 * MS);
    assert_eq!(e.poll_timeout(), Some(t + 1_700 * MS), "from its last words on");
}

#[test]
fn what_stt_says_of_a_pause_does_not_end_a_turn_that_goes_on() {
    for is_final in [false, true] {
        let (t, mut e) = start();
        e.handle_interim(t + 700 * MS, "I would like to cancel my order");
        e.handle_speech_ended(t + 1_000 * MS);
        e.handle_final(t + 1_100 * MS, "I would like to cancel my order", None, false);
        // Too short a pause for the policy, and the events about it come when the caller speaks again.
        e.handle_speech_started(t + 1_250 * MS);
        match is_final {
            true => e.handle_final(t + 1_400 * MS, "", None, true),
            false => e.handle_utterance_end(t + 2_100 * MS),
        }
        assert_eq!(e.poll_turn(t + 2_200 * MS), None, "the caller speaks");
    }
}

#[test]
fn a_line_that_sounds_like_voice_without_words_ends_the_turn_all_the_same() {
    let (t, mut e) = start();
    e.handle_interim(t + 700 * MS, "I would like to cancel my order");
    e.handle_final(t + 1_000 * MS, "I would like to cancel my order", None, false);
    assert_eq!(e.poll_turn(t + 2_800 * MS), None, "a long word is still a word");
    assert!(e.poll_turn(t + 3_000 * MS).is_some());
}

#[test]
fn words_of_the_last_sound_are_asked_for_and_waited_for() {
    let (t, mut e) = start();
    e.handle_interim(t + 500 * MS, "yes");
    e.handle_final(t + 600 * MS, "yes", None, true);
    e.handle_speech_ended(t + 650 * MS);
    assert!(!e.wants_final(), "all of it is there");
    e.handle_speech_started(t + 700 * MS);
    e.handle_speech_ended(t + 1_400 * MS);
    assert!(e.wants_final(), "STT has sent nothing of the second sound");
    e.handle_finalize_asked(t + 1_550 * MS);
    assert!(!e.wants_final(), "once a silence");
    assert_eq!(e.poll_turn(t + 1_640 * MS), None, "yes is complete, but something was said after it");
    e.handle_final(t + 1_650 * MS, "but not today", None, true);
    assert_eq!(e.words(), "yes but not today");
}

#[test]
fn a_cough_after_the_words_does_not_keep_the_turn_open() {
    let (t, mut e) = start();
    e.handle_interim(t + 400 * MS, "yes");
    e.handle_final(t + 600 * MS, "yes please", None, true);
    e.handle_speech_ended(t + 650 * MS);
    e.handle_speech_started(t + 700 * MS);
    e.handle_speech_ended(t + 800 * MS);
    e.handle_finalize_asked(t + 950 * MS);
    e.handle_final(t + 1_050 * MS, "", None, true);
    assert!(e.poll_turn(t + 1_050 * MS).is_some(), "STT has heard no words in it");
}

#[test]
fn turn_ends_without_vad_speech() {
    let (t, _) = start();
    let mut e = EndOfTurnDetector::new(EndOfTurnConfig::default());
    e.handle_final(t, "whisper", None, true);
    assert_eq!(e.poll_turn(t + 1_400 * MS).unwrap().text, "whisper");
}

#[test]
fn a_turn_model_ends_the_turn_without_waiting_for_silence() {
    let (t, mut e) = start();
    e.handle_interim(t + 500 * MS, "my number");
    e.handle_utterance_end(t + 600 * MS);
    e.handle_turn_resumed(t + 700 * MS);
    e.handle_speech_ended(t + 900 * MS);
    e.handle_interim(t + 950 * MS, "my number is seven");
    assert_eq!(e.poll_turn(t + 1_000 * MS), None);
    e.handle_end_of_turn(t + 1_050 * MS, "my number is seven", Some(0.8));
    assert_eq!(e.poll_turn(t + 1_050 * MS), None, "a turn model is evidence, and one digit is no number");
    assert_eq!(e.poll_turn(t + 1_800 * MS).unwrap().text, "my number is seven");
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
    assert_eq!(e.poll_timeout(), Some(t + 680 * MS), "sooner than `complete_silence`, for it is a whole answer");
}

#[test]
fn interim_words_are_used_once() {
    let (t, mut e) = start();
    e.handle_interim(t + 400 * MS, "Yes, that is");
    e.handle_speech_ended(t + 500 * MS);
    assert!(e.poll_timeout() >= Some(t + 2_500 * MS), "the last words may be missing");
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
    assert!(e.poll_timeout() >= Some(t + 2_700 * MS), "its pauses of 600 ms, and a margin");
    assert!(e.poll_turn(t + 3_000 * MS).is_some());
    e.handle_speech_started(t + 3_100 * MS);
    e.handle_speech_ended(t + 4_000 * MS);
    e.handle_final(t + 4_200 * MS, "Goodbye.", None, true);
    assert!(e.poll_turn(t + 4_220 * MS).is_some(), "a complete answer is one whatever the rhythm");
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
fn a_late_final_that_says_more_is_more_of_the_turn() {
    for (interim, last, more) in [
        (["and when", "and when does it"], "And when does it arrive?", "arrive?"),
        (
            ["change the", "change the delivery add"],
            "Change the delivery address to my office.",
            "address to my office.",
        ),
        (["number is", "number is two one six"], "Number is 216 4.", "4."),
    ] {
        let (t, mut e) = taken_from_interim(&interim);
        e.handle_final(t + 200 * MS, last, Some(0.9), true);
        assert_eq!((e.words().as_str(), e.goes_on_with_last_turn(), e.take_correction()), (more, true, None));
        assert_eq!(e.poll_turn(t + 3_500 * MS).map(|turn| turn.text).as_deref(), Some(more));
        assert!(!e.goes_on_with_last_turn());
        // What is said after a new sound is another turn.
        let (t, mut e) = taken_from_interim(&interim);
        e.handle_speech_started(t + 100 * MS);
        e.handle_final(t + 900 * MS, last, Some(0.9), true);
        assert!(!e.goes_on_with_last_turn());
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
    e.handle_corrected(t + 1_400 * MS, "my name is and", "My name is Ann", true);
    let turn = e.poll_turn(t + 2_500 * MS).unwrap();
    assert_eq!((turn.text.as_str(), e.take_correction()), ("My name is Ann smith", None));
    e.handle_corrected(t + 2_600 * MS, "My name is Ann smith", "My name is Ann Smith.", true);
    let correction = TurnCorrection { was: "My name is Ann smith".into(), is: "My name is Ann Smith.".into() };
    assert_eq!((e.poll_turn(t + 9_000 * MS), e.take_correction()), (None, Some(correction)), "no new turn");
}

/// A detector of a silent caller whose words are final because we asked for them, and the wait that follows.
fn wait_after_finalize(text: &str, question: &str) -> Duration {
    let (t, mut e) = start();
    e.set_asked(question, "en");
    e.handle_interim(t + 900 * MS, text);
    e.handle_speech_ended(t + 1_000 * MS);
    assert!(e.wants_final(), "{text}: words may be missing");
    e.handle_finalize_asked(t + 1_120 * MS);
    assert!(!e.wants_final(), "asked once");
    e.handle_final(t + 1_200 * MS, text, None, true);
    e.poll_timeout().unwrap() - (t + 1_000 * MS)
}

#[test]
fn open_words_wait_for_long_whatever_stt_says() {
    for text in ["The party you are trying to reach", "You have entered", "My order number is", "I want to"] {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 1_000 * MS);
        e.handle_final(t + 1_400 * MS, text, None, true);
        assert!(e.poll_timeout() >= Some(t + 2_400 * MS), "{text}: speech_final is no verdict");
        e.handle_utterance_end(t + 2_100 * MS);
        assert!(e.poll_timeout() >= Some(t + 2_400 * MS), "{text}: nor is UtteranceEnd");
    }
}

#[test]
fn our_own_request_is_no_sign_of_the_end() {
    let (asked, by_itself) = (wait_after_finalize("I would like a pizza", ""), {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 1_000 * MS);
        e.handle_final(t + 1_400 * MS, "I would like a pizza", None, true);
        e.poll_timeout().unwrap() - (t + 1_000 * MS)
    });
    assert!(asked > by_itself, "{asked:?} {by_itself:?}");
    assert!(wait_after_finalize("One moment, please.", "How can I help you?") >= 1_400 * MS);
}

#[test]
fn digits_and_letters_are_waited_for_until_the_number_is_full() {
    for (text, question) in [
        ("four", "What is your order number?"),
        ("four two", "What is your order number?"),
        ("M", "Could you spell your name?"),
        ("alpha tango", "Could you spell your name?"),
        ("212 555", "What is your phone number?"),
    ] {
        assert!(wait_after_finalize(text, question) >= 1_400 * MS, "{text}");
    }
    assert!(wait_after_finalize("212 555 0147", "What is your phone number?") <= 400 * MS);
    assert!(wait_after_finalize("At 11:30 AM.", "What time?") <= 350 * MS);
}

#[test]
fn a_short_answer_needs_no_words_after_its_sound() {
    let (t, mut e) = start();
    e.handle_interim(t + 250 * MS, "Yes.");
    e.handle_speech_ended(t + 400 * MS);
    assert_eq!(e.poll_timeout(), Some(t + 750 * MS), "STT would have sent more by then");
    let (t, mut e) = start();
    e.handle_interim(t + 250 * MS, "I would like");
    e.handle_speech_ended(t + 400 * MS);
    assert!(e.poll_timeout() >= Some(t + 3_000 * MS), "words are missing");
}

#[test]
fn a_cut_off_teaches_this_caller_s_pauses_at_once() {
    let (t, mut e) = start();
    let say = |e: &mut EndOfTurnDetector, at: Instant, text: &str| {
        e.handle_speech_started(at);
        e.handle_speech_ended(at + 1_000 * MS);
        e.handle_final(at + 1_200 * MS, text, None, true);
        e.poll_timeout().unwrap() - (at + 1_000 * MS)
    };
    let before = say(&mut e, t, "I would like to book a flight.");
    assert!(e.poll_turn(t + 1_000 * MS + before).is_some());
    e.record_cut_off(700 * MS);
    let after = say(&mut e, t + 2_000 * MS, "It is for two people.");
    assert!(before < 400 * MS && after == 800 * MS, "{before:?} {after:?}");
    assert!(e.poll_turn(t + 3_000 * MS + after).is_some());
    for index in 2..6u32 {
        let at = t + index * 5_000 * MS;
        let wait = say(&mut e, at, "It is for two people.");
        assert!(e.poll_turn(at + 1_000 * MS + wait).is_some());
    }
    assert!(say(&mut e, t + 60_000 * MS, "It is for two people.") < 400 * MS, "forgotten after turns that were whole");
}

#[test]
fn a_decision_tells_what_was_known_when() {
    let (t, mut e) = start();
    e.set_asked("Is that right?", "en");
    e.handle_interim(t + 300 * MS, "Yes");
    e.handle_speech_ended(t + 400 * MS);
    e.handle_final(t + 650 * MS, "Yes.", None, true);
    let decision = e.poll_turn(t + 700 * MS).unwrap().decision.unwrap();
    assert_eq!(decision.asked, Some("yes_or_no"));
    assert!(decision.probability > 0.9 && decision.wait < 300 * MS, "{decision:?}");
    assert_eq!(decision.reasons[0].0.name(), "whole_answer");
    assert_eq!(decision.steps.iter().map(|step| step.cause).collect::<Vec<_>>(), ["interim", "silence", "final"]);
    assert!(decision.steps.is_sorted_by(|one, next| one.at <= next.at));
    e.handle_speech_started(t + 5_000 * MS);
    for index in 0..100u32 {
        e.handle_interim(t + 5_000 * MS + index * 100 * MS, &"no ".repeat(index as usize + 1));
    }
    assert!(e.verdict.steps().len() <= verdict::STEPS_MAX);
}

#[test]
fn a_cut_off_of_a_complete_question_is_waited_for_the_next_time() {
    let (t, mut e) = start();
    let mut waits = vec![];
    for at in [t, t + 10_000 * MS] {
        e.handle_speech_started(at);
        e.handle_speech_ended(at + 1_000 * MS);
        e.handle_final(at + 1_200 * MS, "Where is my order?", None, true);
        waits.push(e.poll_timeout().unwrap() - (at + 1_000 * MS));
        assert!(e.poll_turn(at + 2_000 * MS).is_some());
        e.record_cut_off(700 * MS);
    }
    assert!(waits[0] <= 200 * MS && waits[1] >= 500 * MS, "{waits:?}");
}
