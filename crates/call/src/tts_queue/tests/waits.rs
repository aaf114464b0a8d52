//! How long a voice is waited for, by what it did before and by how long the caller has waited.

use super::*;

#[test]
fn a_voice_that_failed_for_long_is_asked_with_each_answer_and_gets_less_time() {
    let mut tts = pipeline(&["main", "local"]);
    let (patience, silent) = (Some(Duration::from_secs(2)), ProviderError::Timeout("first audio"));
    let mut waits = Vec::new();
    for response in 1..=6 {
        tts.speak(segment(response, 0), "one");
        assert_eq!(tts.requests.last().unwrap().0, 0, "the chosen voice may be back");
        let wait = tts.queue.audio_deadline(patience).unwrap().0 - tts.start;
        waits.push(wait.as_millis());
        tts.failed_with(silent.clone(), wait);
        tts.done(seconds(1));
        tts.queue.handle_played(segment(response, 0));
        tts.speak(segment(response, 1), "two");
        assert_eq!(tts.requests.last().unwrap().0, 1, "not twice in one answer");
        tts.done(seconds(1));
        tts.queue.handle_played(segment(response, 1));
    }
    assert_eq!(waits, [2_000, 2_000, 2_000, 700, 700, 700]);
    tts.speak(segment(7, 0), "one");
    tts.done(seconds(1));
    assert_eq!(tts.requests.last().unwrap().0, 0, "it is back, and all is forgotten");
    tts.speak(segment(8, 0), "one");
    assert_eq!(tts.queue.audio_deadline(patience), Some((tts.start + Duration::from_secs(2), "first audio")));
}

#[test]
fn a_caller_who_has_waited_for_others_does_not_wait_for_the_voice_as_well() {
    let mut tts = pipeline(&["main", "local"]);
    let (ms, patience) = (Duration::from_millis, Some(Duration::from_secs(2)));
    let turn = tts.start;
    for (after, due) in [(500, 2_500), (1_000, 2_600), (2_300, 2_600), (2_500, 2_750), (6_000, 6_250)] {
        tts.start = turn + ms(after);
        tts.queue.set_caller_waits_since(Some(turn));
        tts.speak(segment(1, 0), "one moment");
        assert_eq!(tts.queue.audio_deadline(patience), Some((turn + ms(due), "first audio")), "asked after {after} ms");
        assert_eq!(tts.queue.audio_deadline(None), None);
        tts.queue.handle_audio(vec![100; 80], tts.start);
        tts.done(seconds(1));
        tts.queue.handle_played(segment(1, 0));
    }
    tts.speak(segment(1, 1), "more");
    let usual = tts.start + ms(2_000);
    assert_eq!(tts.queue.audio_deadline(patience), Some((usual, "first audio")), "the caller has heard something");
}

#[test]
fn a_sentence_that_stalls_goes_on_within_three_seconds() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one two three four");
    tts.queue.handle_audio(seconds(1), tts.start);
    let patience = Some(Duration::from_secs(2));
    let heard_until = tts.start + Duration::from_secs(1);
    let (stalled, _) = tts.queue.audio_deadline(patience).unwrap();
    tts.failed_with(ProviderError::Timeout("next audio"), stalled - tts.start);
    let (given_up, _) = tts.queue.audio_deadline(patience).unwrap();
    assert!(given_up - heard_until <= Duration::from_millis(2_750), "{:?}", given_up - heard_until);
    tts.failed_with(ProviderError::Timeout("first audio"), given_up - tts.start);
    assert_eq!(tts.requests.last().unwrap().0, 1);
}

#[test]
fn a_sentence_is_due_when_its_turn_has_come_and_earlier_sound_runs_out() {
    let mut tts = pipeline(&["main", "local"]);
    let (second, patience) = (Duration::from_secs(1), Some(Duration::from_secs(2)));
    tts.speak(segment(1, 0), "one two three four");
    tts.speak(segment(1, 1), "five six seven eight");
    // A slow voice has just said the first sentence, which the caller has nearly heard.
    let told = tts.start + 3 * second;
    tts.queue.handle_audio(seconds(2), tts.start + second);
    tts.queue.handle_done(vec![70; 80], told);
    let due = tts.queue.audio_deadline(patience);
    assert_eq!(due, Some((told + RETRY_PATIENCE, "first audio")), "it has had no time for the second one");
    tts.queue.cancel_response(1);

    // A fast one has, and the caller still listens to the first.
    tts.speak(segment(2, 0), "one two three four");
    tts.speak(segment(2, 1), "five six seven eight");
    tts.queue.handle_audio(seconds(9), tts.start);
    tts.queue.handle_done(Vec::new(), tts.start);
    let due = tts.queue.audio_deadline(patience);
    assert_eq!(due, Some((tts.start + 9 * second - TAKE_OVER, "first audio")), "the other voice has time to begin");
}
