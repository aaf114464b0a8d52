//! What a turn learns from those before: cut-offs, and where the stops of STT have stood.

use super::*;

#[test]
fn what_was_asked_before_a_cut_off_is_still_to_be_answered() {
    let wait = |is_cut: bool| {
        let (t, mut e) = start();
        e.set_asked("What happened?", "en");
        e.handle_speech_ended(t + 1_000 * MS);
        e.handle_final(t + 1_200 * MS, "I have a caller waiting", None, true);
        assert!(e.poll_turn(t + 1_900 * MS).is_some());
        e.set_asked("I see.", "en");
        e.handle_speech_started(t + 2_100 * MS);
        if is_cut {
            e.record_cut_off(1_100 * MS);
        }
        e.handle_speech_ended(t + 3_000 * MS);
        e.handle_final(t + 3_200 * MS, "who is in a hurry now", None, true);
        assert_eq!(e.poll_turn(t + 9_000 * MS).unwrap().decision.unwrap().asked, is_cut.then_some("story"));
    };
    wait(true);
    wait(false);
}

#[test]
fn stops_that_stt_writes_at_every_pause_are_not_trusted() {
    let (t, mut e) = start();
    let mut at = t;
    for text in ["The number.", "I was calling yesterday."] {
        e.handle_speech_ended(at + 1_000 * MS);
        e.handle_final(at + 1_200 * MS, text, None, true);
        at += 1_500 * MS;
        e.handle_speech_started(at);
    }
    assert_eq!(e.words.judged(), "The number I was calling yesterday.", "one sentence");
    e.handle_speech_ended(at + 1_000 * MS);
    e.handle_final(at + 1_200 * MS, "It is always busy.", None, true);
    let wary = e.verdict.probability();
    let (t, mut trusting) = start();
    trusting.handle_final(t, "It is always busy.", None, true);
    assert!(wary < trusting.verdict.probability() - 0.05, "{wary}");
}

#[test]
fn stops_that_stood_at_the_ends_of_turns_are_believed_sooner() {
    let (t, mut e) = start();
    let mut waits = vec![];
    for at in [t, t + 10_000 * MS] {
        e.set_asked("How can I help you?", "en");
        e.handle_speech_started(at);
        e.handle_speech_ended(at + 1_000 * MS);
        e.handle_final(at + 1_100 * MS, "I would like to know where my order is.", None, true);
        waits.push(e.poll_timeout().unwrap() - (at + 1_000 * MS));
        assert!(e.poll_turn(at + 3_000 * MS).is_some());
    }
    assert!(waits[0] > 250 * MS && waits[1] < 220 * MS, "{waits:?}");
}

#[test]
fn a_number_that_was_cut_off_is_counted_from_its_beginning() {
    let (t, mut e) = start();
    e.set_asked("What is your phone number?", "en");
    e.handle_speech_ended(t + 1_000 * MS);
    e.handle_final(t + 1_200 * MS, "212 555", None, true);
    assert!(e.take_turn(t + 2_900 * MS).is_some());
    e.record_cut_off(1_950 * MS);
    e.handle_speech_started(t + 2_950 * MS);
    e.handle_speech_ended(t + 4_000 * MS);
    e.handle_final(t + 4_200 * MS, "0147", None, true);
    assert!(e.verdict.probability() > 0.8, "{:?}", e.verdict.judgement());
}

/// The silence that a question without a mark is given, after turns whose last words were written so.
fn wait_after(turns: &[&str]) -> Duration {
    let (t, mut e) = start();
    let mut at = t;
    for text in turns {
        e.handle_speech_started(at);
        e.handle_speech_ended(at + 1_000 * MS);
        e.handle_final(at + 1_100 * MS, text, None, true);
        assert!(e.poll_turn(at + 5_000 * MS).is_some());
        at += 10_000 * MS;
    }
    e.set_asked("How can I help you?", "en");
    e.handle_speech_started(at);
    e.handle_speech_ended(at + 1_000 * MS);
    e.handle_final(at + 1_100 * MS, "I would like to know where my order is", None, true);
    e.poll_timeout().unwrap() - (at + 1_000 * MS)
}

#[test]
fn a_missing_mark_counts_against_the_end_only_where_marks_are_usual() {
    let (never, seldom) =
        (wait_after(&["yes please", "it is in Leiden"]), wait_after(&["Yes please.", "it is in Leiden"]));
    assert_eq!(never, seldom, "an STT that writes one now and then");
    let usual = wait_after(&["Yes please.", "It is in Leiden.", "Where is it?"]);
    assert!(usual > never + 150 * MS, "{usual:?} {never:?}");
}

#[test]
fn a_turn_that_was_cut_off_says_nothing_of_marks() {
    let (t, mut e) = start();
    e.handle_speech_ended(t + 1_000 * MS);
    e.handle_final(t + 1_100 * MS, "I am calling about", None, true);
    assert!(e.poll_turn(t + 4_000 * MS).is_some());
    assert_eq!(e.words.marks().missing_mark_counts(true), 0.0);
    e.record_cut_off(3_000 * MS);
    assert_eq!(e.words.marks().missing_mark_counts(true), 0.5);
}
