//! Voices that end a sentence before it can be over.

use super::*;

const SENTENCE: &str = "It comes tomorrow morning.";

fn samples(ms: u64) -> Vec<i16> {
    vec![100; (ms * u64::from(SAMPLE_RATE_HZ) / 1_000) as usize]
}

fn asked_again(events: &[TtsPipelineEvent]) -> usize {
    events.iter().filter(|event| matches!(event, TtsPipelineEvent::AskedAgain { .. })).count()
}

#[test]
fn a_sentence_that_is_cut_off_is_asked_for_once_more_of_the_same_voice() {
    for (ms, rest) in [(100, "comes tomorrow morning."), (400, "tomorrow morning.")] {
        let mut tts = pipeline(&["main", "local"]);
        tts.speak(segment(1, 0), SENTENCE);
        tts.queue.handle_audio(samples(ms - 20), tts.start);
        let audio = tts.done(samples(20));
        assert_eq!(audio, Some(TtsPipelineEvent::Audio { segment: segment(1, 0), samples: samples(20) }));
        assert_eq!(tts.requests[1..], [(0, rest.to_owned())], "after {ms} ms");
        assert_eq!(asked_again(&tts.events()), 1, "an error is counted");
        let done = tts.done(samples(1_700));
        assert!(matches!(done, Some(TtsPipelineEvent::Done { total, .. }) if total == (ms + 1_700) * 8), "{done:?}");
        tts.queue.handle_played(segment(1, 0));
        assert_eq!(tts.heard(1), 0, "the voice stays");
    }
    // Cut off again: that is all of it.
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), SENTENCE);
    tts.done(samples(100));
    let done = tts.done(samples(100));
    assert!(matches!(done, Some(TtsPipelineEvent::Done { total: 1_600, .. })), "{done:?}");
    assert_eq!(tts.requests.len(), 2);
}

#[test]
fn a_fast_voice_and_short_words_are_not_asked_for_again() {
    let mut tts = pipeline(&["main", "local"]);
    for (index, (text, ms)) in
        [("Ok.", 100), ("One moment.", 400), (SENTENCE, 800), ("...", 100)].into_iter().enumerate()
    {
        tts.speak(segment(1, index as u32), text);
        assert!(matches!(tts.done(samples(ms)), Some(TtsPipelineEvent::Done { .. })), "{text}");
        tts.queue.handle_played(segment(1, index as u32));
    }
    // Four times as fast as others: asked again until its rate is known.
    let mut tts = pipeline(&["fast", "local"]);
    for index in 0..4 {
        tts.speak(segment(1, index), SENTENCE);
        tts.done(samples(430));
        if tts.queue.feed().is_some() {
            tts.done(samples(430));
        }
        tts.queue.handle_played(segment(1, index));
    }
    assert_eq!(asked_again(&tts.events()), 1);
    // Its timestamps say that all of it was said.
    let mut tts = pipeline(&["fast", "local"]);
    tts.speak(segment(1, 0), SENTENCE);
    tts.queue.handle_word_timestamps(&[WordTimestamp { at_ms: 390, chars: 26 }]);
    assert!(matches!(tts.done(samples(400)), Some(TtsPipelineEvent::Done { .. })));
}

#[test]
fn a_word_that_is_digital_silence_is_asked_for_again_and_then_of_the_next_voice() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "Ok.");
    assert_eq!(tts.queue.handle_audio(vec![0; 800], tts.start), None);
    assert_eq!(tts.done(Vec::new()), None);
    assert_eq!(tts.requests[1..], [(0, "Ok.".to_owned())]);
    let done = tts.done(samples(300));
    assert!(matches!(done, Some(TtsPipelineEvent::Done { total: 2_400, .. })), "{done:?}");
    let mut tts = pipeline(&["main"]);
    tts.speak(segment(1, 0), "Ok.");
    for _ in 0..2 {
        tts.queue.handle_audio(vec![0; 800], tts.start);
        let last = tts.done(Vec::new());
        assert!(matches!(last, None | Some(TtsPipelineEvent::Failed { .. })), "{last:?}");
    }
    assert_eq!(tts.requests.len(), 2, "not for ever");
}
