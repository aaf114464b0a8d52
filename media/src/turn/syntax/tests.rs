//! Signs in the words, by themselves.

use super::super::asked::asked;
use super::super::evidence::{MarkHabit, StopTrust, SttSign};
use super::super::language::table;
use super::*;

fn cues(text: &str, question: &str) -> Vec<Cue> {
    let evidence = Evidence {
        words: text,
        language: "en",
        is_interim: false,
        words_after_sound: None,
        marks: MarkHabit::default(),
        stops: StopTrust::Unknown,
        stt: SttSign::None,
        asked: asked(question, "en"),
        prosody: None,
    };
    signs(table("en"), &evidence).into_iter().map(|(cue, _)| cue).collect()
}

fn check(text: &str, question: &str, wanted: Cue) {
    let found = cues(text, question);
    assert!(found.contains(&wanted), "{text}: {found:?}");
}

#[test]
fn what_is_open_is_known_by_its_sign() {
    for (text, wanted) in [
        ("my order number is", Cue::OpenLabel),
        ("You have entered", Cue::NeedsObject),
        ("I would like to order", Cue::NeedsObject),
        ("the party you are trying to reach", Cue::NoVerb),
        ("If you want a table", Cue::OpenClause),
        ("either Monday", Cue::OpenPair),
        ("milk, bread", Cue::OpenList),
        ("Monday Tuesday", Cue::OpenList),
        ("I want to, um", Cue::Filler),
        ("just a second", Cue::CourtesyHold),
        ("Yes, one moment please.", Cue::CourtesyHold),
        ("I have a", Cue::NeverLast),
        ("Well,", Cue::OpenMark),
        ("john at example dot", Cue::AddressOpen),
        ("john@example", Cue::AddressOpen),
    ] {
        check(text, "", wanted);
    }
}

#[test]
fn what_is_complete_is_known_by_its_sign() {
    for (text, wanted) in [
        ("Yes.", Cue::WholeAnswer),
        ("no, that's all", Cue::WholeAnswer),
        ("I want that please", Cue::AnswerAtEnd),
        ("At 11:30 AM.", Cue::DateFull),
        ("at half past three p.m.", Cue::DateFull),
        ("milk, bread and butter", Cue::ClosedList),
        ("Monday and Tuesday", Cue::ClosedList),
        ("The line is busy", Cue::Sentence),
        ("where is my order", Cue::QuestionForm),
        ("john@example.com", Cue::AddressFull),
    ] {
        check(text, "", wanted);
    }
    for open in ["and when does it", "where can I", "why did you", "how long will they"] {
        let found = cues(open, "");
        assert!(found.contains(&Cue::NoVerb) && !found.contains(&Cue::QuestionForm), "{open}: {found:?}");
    }
    for whole in ["when does it arrive", "where is it", "and how are you"] {
        assert!(cues(whole, "").contains(&Cue::QuestionForm), "{whole}");
    }
    assert!(!cues("I cannot wait.", "").contains(&Cue::CourtesyHold));
    assert!(!cues("That is my last order", "").contains(&Cue::NeedsObject), "a noun");
}

#[test]
fn the_question_tells_what_is_complete() {
    for (question, text, wanted) in [
        ("What is your phone number?", "555 1234", Cue::NumberShort),
        ("What is your phone number?", "212 555 1234", Cue::NumberFull),
        ("Please say your six-digit code.", "4 2 7", Cue::NumberShort),
        ("Please say your six-digit code.", "4 2 7 9 1 1", Cue::NumberFull),
        ("Could I have your order number?", "four", Cue::NumberShort),
        ("Could you spell that for me?", "B", Cue::NumberShort),
        ("What is your zip code?", "nine four one one zero", Cue::NumberFull),
        ("How many people?", "two", Cue::Answered),
        ("What is your name?", "Ann Smith", Cue::Answered),
        ("Is that right?", "for me, yes", Cue::AnswerAtEnd),
        ("Can I help you with anything else?", "Yes", Cue::Announced),
        ("What is your order number?", "Okay", Cue::Announced),
        ("What is your date of birth?", "March third", Cue::DateOpen),
        ("What is your date of birth?", "March 3rd 1980", Cue::DateFull),
        ("What is your e-mail address?", "john at example", Cue::AddressOpen),
        ("What is your e-mail address?", "john at example dot com", Cue::AddressFull),
        ("Which days would suit you?", "Monday", Cue::OpenList),
        ("How can I help you?", "The line is busy", Cue::StoryAsked),
    ] {
        check(text, question, wanted);
    }
}

#[test]
fn digits_are_counted_as_they_are_written() {
    let count = |text: &str| {
        let tail = number_tail(&Sentence::last_of(text, |_| false), table("en").unwrap());
        (tail.digits, tail.letters)
    };
    assert_eq!(count("my number is 0 6 1 2"), (4, 0));
    assert_eq!(count("twenty one thirty four"), (4, 0));
    assert_eq!(count("double five nineteen"), (4, 0));
    assert_eq!(count("J O H N"), (0, 4));
    assert_eq!(count("M as in Mike, A, alpha"), (0, 3));
    assert_eq!(count("A4B7"), (0, 4));
    assert_eq!(count("press 0 for help"), (0, 0));
}
