//! Whose words count while a service is on trial, and when it is tried.

use super::*;
use crate::SttEvent;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn last(text: &str, speech_final: bool) -> SttUpdate {
    SttUpdate::one(SttEvent::Final { text: text.into(), confidence: None, speech_final })
}

fn so_far(text: &str) -> SttUpdate {
    SttUpdate::one(SttEvent::Interim(text.into()))
}

fn nothing() -> Verdict {
    Verdict::Tell(Vec::new())
}

#[test]
fn the_first_final_words_of_the_service_take_the_place_of_the_fallbacks() {
    let t = Instant::now();
    let mut trial = SttTrial::new(t);
    assert!(trial.handle_speech_started(t));
    assert_eq!(trial.handle_fallback(t, so_far("where")), Verdict::Tell(vec![so_far("where")]));
    assert_eq!(trial.handle_service(so_far("Where is")), Verdict::Tell(vec![so_far("Where is")]));
    assert_eq!(trial.handle_fallback(t, so_far("where his")), nothing(), "the service's are told");
    trial.handle_speech_ended(t + SECOND);
    // Long speech that the fallback commits piece by piece is in the service's words too.
    assert_eq!(trial.handle_fallback(t + SECOND, last("where his", false)), nothing());
    assert_eq!(trial.next_timeout(), None, "the caller has not finished");
    assert_eq!(trial.handle_fallback(t + SECOND, last("my order", true)), nothing());
    assert_eq!(trial.next_timeout(), Some(t + SECOND + GRACE));
    let words = last("Where is my order?", true);
    assert_eq!(trial.handle_service(words.clone()), Verdict::Passed(vec![words]));
}

#[test]
fn a_turn_that_the_vendor_marks_is_told_whole() {
    let mut trial = SttTrial::new(Instant::now());
    let start = SttUpdate::one(SttEvent::StartOfTurn);
    assert_eq!(trial.handle_service(start.clone()), nothing(), "not while the fallback listens");
    let turn = SttUpdate::one(SttEvent::EndOfTurn { text: "Hello.".into(), confidence: None });
    assert_eq!(trial.handle_service(turn.clone()), Verdict::Passed(vec![start, turn]));
}

#[test]
fn a_service_that_never_says_anything_costs_no_time() {
    let t = Instant::now();
    let mut trial = SttTrial::new(t);
    trial.handle_speech_ended(t + SECOND);
    let words = last("Hello.", true);
    assert_eq!(trial.handle_fallback(t + SECOND, words.clone()), Verdict::Failed(vec![words], TryCost::Nothing));
}

#[test]
fn a_service_that_lives_and_has_no_words_costs_a_moment_and_no_word() {
    let t = Instant::now();
    let mut trial = SttTrial::new(t);
    trial.handle_service(SttUpdate::default());
    assert_eq!(trial.handle_fallback(t, last("One,", false)), nothing());
    trial.handle_speech_ended(t + SECOND);
    assert_eq!(trial.handle_fallback(t + SECOND + 100 * MS, last("two.", true)), nothing());
    assert_eq!(trial.handle_timeout(t + SECOND + 700 * MS), nothing());
    let both = vec![last("One,", false), last("two.", true)];
    assert_eq!(trial.handle_timeout(t + SECOND + GRACE), Verdict::Failed(both, TryCost::Delay));
    // Where it breaks off meanwhile, nothing is waited for.
    let mut trial = SttTrial::new(t);
    trial.handle_service(so_far("One"));
    trial.handle_fallback(t, last("One.", true));
    assert_eq!(trial.handle_lost(), Verdict::Failed(vec![last("One.", true)], TryCost::Delay));
}

#[test]
fn noise_decides_nothing() {
    let t = Instant::now();
    let mut trial = SttTrial::new(t);
    assert_eq!(trial.handle_fallback(t, last("", true)), Verdict::Tell(vec![last("", true)]));
    trial.handle_service(last("", true));
    assert_eq!(trial.handle_fallback(t, last("", true)), nothing());
    assert_eq!(trial.handle_timeout(t + GRACE_OF_WORDS), Verdict::Tell(vec![last("", true)]));
    assert_eq!(trial.next_timeout(), None);
    // What is held has a bound.
    for _ in 0..HELD_MAX {
        assert_eq!(trial.handle_fallback(t, last("on and on", false)), nothing());
    }
    let Verdict::Failed(words, TryCost::Nothing) = trial.handle_fallback(t, last("on", false)) else { panic!() };
    assert_eq!(words.len(), HELD_MAX + 1);
}

#[test]
fn a_connection_that_was_mute_for_long_does_not_hear_the_next_words() {
    let t = Instant::now();
    let mut trial = SttTrial::new(t);
    assert!(trial.handle_speech_started(t + 900 * MS), "it is new");
    assert!(!trial.handle_speech_started(t + SECOND), "it may be one of the outage");
    trial.handle_service(SttUpdate::default());
    assert!(trial.handle_speech_started(t + 9 * SECOND), "it lives");
}

#[test]
fn tries_come_less_often_and_again_when_the_caller_speaks() {
    let t = Instant::now();
    let mut schedule = FailbackSchedule::new(t);
    let mut now = t;
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push((schedule.next() - now).as_secs());
        now = schedule.next();
        schedule.handle_try(now);
        schedule.handle_failed(now, TryCost::Nothing, None);
    }
    assert_eq!(waits, [2, 2, 4, 8, 16, 16]);
    schedule.handle_speech_started(now + 300 * MS);
    assert_eq!(schedule.next(), now + SECOND, "a second after the last try");
    schedule.handle_try(now + SECOND);
    schedule.handle_failed(now + SECOND, TryCost::Delay, None);
    schedule.handle_speech_started(now + 5 * SECOND);
    assert_eq!(schedule.next(), now + 17 * SECOND, "the caller has waited for this one");
    schedule.handle_failed(now, TryCost::Nothing, Some(30 * SECOND));
    schedule.handle_speech_started(now + 5 * SECOND);
    assert_eq!(schedule.next(), now + 30 * SECOND, "an ordered wait is kept");
}
