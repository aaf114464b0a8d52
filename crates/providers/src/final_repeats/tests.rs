//! Finals that come again, with and without times.

use super::*;

fn last(text: &str, speech_final: bool) -> SttEvent {
    SttEvent::Final { text: text.into(), confidence: Some(0.9), speech_final }
}

fn span(start_ms: u64, end_ms: u64) -> Option<AudioSpan> {
    Some(AudioSpan { start_ms, end_ms })
}

#[test]
fn words_of_the_same_audio_are_said_once() {
    let (now, mut repeats) = (Instant::now(), FinalRepeats::new());
    let words = last("can you help me", true);
    repeats.handle_speech_started();
    repeats.handle_speech_ended();
    assert_eq!(repeats.filter(now, words.clone(), span(1_000, 2_400)), Some(words.clone()));
    for (at_ms, end_ms) in [(0, 2_400), (0, 2_400), (600, 3_000), (5_000, 2_300)] {
        let now = now + Duration::from_millis(at_ms);
        assert_eq!(repeats.filter(now, words.clone(), span(1_000, end_ms)), None, "{at_ms} {end_ms}");
    }
    let late = SttEvent::Interim("can you".into());
    assert_eq!(repeats.filter(now, late, span(1_000, 2_000)), None);
    // The caller who speaks again meanwhile does not make them new.
    repeats.handle_speech_started();
    assert_eq!(repeats.filter(now, words.clone(), span(1_000, 2_500)), None);
    assert_eq!(repeats.filter(now, words.clone(), span(4_000, 5_400)), Some(words), "said again");
}

#[test]
fn a_caller_who_repeats_himself_is_heard_twice() {
    let (now, mut repeats) = (Instant::now(), FinalRepeats::new());
    let no = last("No.", true);
    assert_eq!(repeats.filter(now, no.clone(), span(1_000, 1_500)), Some(no.clone()));
    assert_eq!(repeats.filter(now, no.clone(), span(1_500, 2_000)), Some(no.clone()));
    // Without times: two sounds, and then both finals.
    let mut repeats = FinalRepeats::new();
    for _ in 0..2 {
        repeats.handle_speech_started();
        repeats.handle_speech_ended();
    }
    assert_eq!(repeats.filter(now, no.clone(), None), Some(no.clone()));
    assert_eq!(repeats.filter(now, no.clone(), None), Some(no.clone()));
    assert_eq!(repeats.filter(now, no.clone(), None), None, "a third time nothing was said");
    repeats.handle_speech_started();
    assert_eq!(repeats.filter(now, no.clone(), None), Some(no), "in the middle of it");
}

#[test]
fn without_times_the_same_words_without_a_sound_are_a_repetition_for_a_while() {
    let (now, mut repeats) = (Instant::now(), FinalRepeats::new());
    repeats.handle_speech_started();
    repeats.handle_speech_ended();
    let turn = SttEvent::EndOfTurn { text: "where is my order please".into(), confidence: None };
    assert_eq!(repeats.filter(now, turn.clone(), None), Some(turn.clone()));
    let soon = now + Duration::from_millis(600);
    assert_eq!(repeats.filter(soon, last("Where is my order, please?", true), None), None);
    assert_eq!(repeats.filter(soon, last("and my invoice", true), None), Some(last("and my invoice", true)));
    assert_eq!(repeats.filter(now + Duration::from_secs(4), turn.clone(), None), Some(turn));
}

#[test]
fn the_last_version_of_words_ends_the_utterance_and_corrects_it() {
    let (now, mut repeats) = (Instant::now(), FinalRepeats::new());
    let open = last("hello can you help", false);
    assert_eq!(repeats.filter(now, open.clone(), span(0, 1_000)), Some(open.clone()));
    assert_eq!(repeats.filter(now, last("hello can you help", true), span(0, 1_000)), Some(SttEvent::UtteranceEnd));
    let corrected =
        |was: &str, is: &str, speech_final| SttEvent::Corrected { was: was.into(), is: is.into(), speech_final };
    let better = last("hello can you help me", true);
    let wanted = corrected("hello can you help", "hello can you help me", false);
    assert_eq!(repeats.filter(now, better.clone(), span(0, 1_100)), Some(wanted));
    assert_eq!(repeats.filter(now, better, span(0, 1_100)), None);
    let mut repeats = FinalRepeats::new();
    let _ = repeats.filter(now, open, span(0, 1_000));
    let wanted = corrected("hello can you help", "Hello, can you help?", true);
    assert_eq!(repeats.filter(now, last("Hello, can you help?", true), span(0, 1_000)), Some(wanted));
    let other = last("thank you that is all", true);
    assert_eq!(repeats.filter(now, other.clone(), span(0, 1_000)), Some(other), "wrong times lose no words");
}

#[test]
fn another_connection_counts_its_audio_anew() {
    let (now, mut repeats) = (Instant::now(), FinalRepeats::new());
    let words = last("can you help me", true);
    assert!(repeats.filter(now, words.clone(), span(100, 900)).is_some());
    repeats.handle_connected();
    assert_eq!(repeats.filter(now, words.clone(), span(20, 800)), None, "replayed");
    repeats.handle_speech_started();
    repeats.handle_speech_ended();
    assert!(repeats.filter(now, words, span(100, 900)).is_some());
}

#[test]
fn odd_times_are_times_or_none() {
    for (start, duration) in [(0.0, 1e300), (1e300, 1e300), (-5.0, 1e12), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        let spans = [AudioSpan::of_seconds(start, duration), AudioSpan::of_seconds(0.0, 1e300), span(0, u64::MAX)];
        for (one, other) in spans.into_iter().flatten().zip(spans.into_iter().flatten().skip(1)) {
            let _ = one.is_same_audio(other);
        }
    }
    assert_eq!(AudioSpan::of_seconds(2.0, -1.0), None);
    assert!(span(0, u64::MAX).unwrap().is_same_audio(span(0, u64::MAX).unwrap()));
}
