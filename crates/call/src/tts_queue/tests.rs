//! Segments, failovers and cancellations in virtual time; a feed is the number of its request.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use super::*;

mod cut_off;
mod waits;

struct Pipeline {
    queue: TtsQueue<usize>,
    start: Instant,
    /// Every request: the voice and the text.
    requests: Vec<(usize, String)>,
}

fn pipeline(voices: &[&str]) -> Pipeline {
    let voice =
        |name: &&str| TtsVoice { name: (*name).to_owned(), acts_on_tags: *name == "acting", ..TtsVoice::default() };
    Pipeline { queue: TtsQueue::new(voices.iter().map(voice).collect()), start: Instant::now(), requests: Vec::new() }
}

fn segment(response_id: u32, index: u32) -> SegmentId {
    SegmentId { response_id, index }
}

fn seconds(count: u64) -> Vec<i16> {
    vec![100; (count * u64::from(SAMPLE_RATE_HZ)) as usize]
}

fn refused() -> ProviderError {
    ProviderError::Refused { status: 401, message: "no such key".to_owned(), retry_after: None }
}

fn status(status: u16) -> ProviderError {
    ProviderError::Refused { status, message: "no".to_owned(), retry_after: None }
}

fn broken() -> ProviderError {
    ProviderError::Disconnected("gone".to_owned())
}

impl Pipeline {
    /// Opens what is to be requested, as the driver does after every change.
    fn open(&mut self) {
        while let Some(request) = self.queue.poll_request() {
            self.requests.push((request.tts, request.text.sent.clone()));
            self.queue.handle_started(request, self.requests.len(), self.start);
        }
    }

    fn speak(&mut self, segment: SegmentId, text: &str) {
        self.queue.speak(segment, text.to_owned());
        self.open();
    }

    fn done(&mut self, samples: Vec<i16>) -> Option<TtsPipelineEvent> {
        let event = self.queue.handle_done(samples, self.start);
        self.open();
        event
    }

    fn failed(&mut self, after: Duration) -> Option<TtsPipelineEvent> {
        self.failed_with(broken(), after)
    }

    fn failed_with(&mut self, failure: ProviderError, after: Duration) -> Option<TtsPipelineEvent> {
        let event = self.queue.handle_failed(failure, self.start + after);
        self.start += after + Duration::from_millis(1);
        self.open();
        event
    }

    /// Speaks a sentence, hears it to its end, and returns the voice that was asked.
    fn heard(&mut self, index: u32) -> usize {
        self.speak(segment(1, index), "sentence");
        self.done(seconds(1));
        self.queue.handle_played(segment(1, index));
        self.requests.last().unwrap().0
    }

    fn events(&mut self) -> Vec<TtsPipelineEvent> {
        std::iter::from_fn(|| self.queue.poll_event()).collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.requests.iter().map(|(_, text)| text.as_str()).collect()
    }
}

#[test]
fn two_sentences_are_requested_at_once_and_three_wait_for_the_caller_at_most() {
    let mut tts = pipeline(&["main", "local"]);
    for index in 0..5 {
        tts.speak(segment(1, index), &format!("s{index}"));
    }
    assert_eq!(tts.texts(), ["s0", "s1"]);
    tts.done(seconds(1));
    assert_eq!(tts.texts(), ["s0", "s1", "s2"], "one is synthesised, two are on their way");
    tts.done(seconds(1));
    tts.done(seconds(1));
    assert_eq!(tts.texts().len(), 3, "three are unheard");
    tts.queue.handle_played(segment(1, 0));
    tts.open();
    assert_eq!(tts.texts(), ["s0", "s1", "s2", "s3"]);
    let requested = tts.events();
    assert_eq!(requested[0], TtsPipelineEvent::Requested { tts: "main".into(), characters: 2 });
    assert_eq!(requested.len(), 4);
}

#[test]
fn audio_and_its_total_belong_to_the_first_segment_in_order() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    tts.speak(segment(1, 1), "two");
    assert_eq!(tts.queue.handle_audio(Vec::new(), tts.start), None);
    let audio = tts.queue.handle_audio(vec![70; 10], tts.start);
    assert_eq!(audio, Some(TtsPipelineEvent::Audio { segment: segment(1, 0), samples: vec![70; 10] }));
    assert_eq!(tts.queue.feed().copied(), Some(1));
    let done = tts.done(vec![70; 5]);
    assert_eq!(done, Some(TtsPipelineEvent::Done { segment: segment(1, 0), samples: vec![70; 5], total: 15 }));
    assert_eq!(tts.queue.feed().copied(), Some(2));
}

#[test]
fn a_cancelled_response_is_neither_requested_nor_counted() {
    let mut tts = pipeline(&["main", "local"]);
    for index in 0..4 {
        tts.speak(segment(1, index), "old");
    }
    tts.speak(segment(2, 0), "new");
    tts.queue.cancel_response(1);
    tts.open();
    assert_eq!(tts.texts(), ["old", "old", "new"]);
    assert_eq!(tts.queue.feed().copied(), Some(3));
    tts.queue.cancel_response(2);
    assert!(tts.queue.feed().is_none() && tts.done(Vec::new()).is_none() && tts.failed(Duration::ZERO).is_none());
}

#[test]
fn a_silent_voice_hands_over_with_the_sentences_that_wait() {
    let mut tts = pipeline(&["main", "second", "local"]);
    tts.speak(segment(1, 0), "one");
    tts.speak(segment(1, 1), "two");
    let patience = Some(Duration::from_millis(700));
    assert_eq!(tts.queue.audio_deadline(patience), Some((tts.start + Duration::from_millis(700), "first audio")));
    assert_eq!(tts.queue.audio_deadline(None), None);
    tts.events();
    let silent = ProviderError::Timeout("first audio");
    assert_eq!(tts.failed_with(silent.clone(), Duration::from_millis(700)), None);
    assert_eq!(tts.requests[2..], [(1, "one".to_owned())], "the other one may still come");
    let switch = Failover {
        stage: PipelineStage::Tts,
        from: "main".into(),
        to: "second".into(),
        reason: silent.kind(),
        after: Duration::from_millis(700),
    };
    assert_eq!(tts.events()[0], TtsPipelineEvent::FailedOver { switch, failure: silent.clone() });
    tts.queue.handle_audio(vec![100; 10], tts.start);
    assert_eq!(tts.queue.audio_deadline(patience).map(|(_, owed)| owed), Some("next audio"), "it speaks");
    assert_eq!(tts.queue.current(), 1);
    tts.done(seconds(1));
    assert_eq!(tts.failed_with(silent, Duration::from_millis(700)), None);
    assert_eq!(tts.requests[3..], [(1, "two".to_owned())], "the same silence");
}

#[test]
fn one_lost_sentence_changes_the_voice_for_that_sentence_only() {
    let refusals = [400, 404, 405, 413, 422, 429, 500, 503].map(status);
    let others = [broken(), ProviderError::InvalidResponse("<html>".to_owned()), ProviderError::CircuitOpen("full")];
    for failure in refusals.into_iter().chain(others) {
        let mut tts = pipeline(&["main", "local"]);
        tts.speak(segment(1, 0), "one");
        tts.failed_with(failure.clone(), Duration::from_millis(50));
        assert_eq!(tts.requests[1], (1, "one".to_owned()));
        tts.done(seconds(1));
        tts.queue.handle_played(segment(1, 0));
        assert_eq!((1..6).map(|index| tts.heard(index)).collect::<Vec<_>>(), [0, 0, 0, 0, 0], "{failure:?}");
    }
}

#[test]
fn a_voice_that_keeps_failing_rests_for_longer_and_comes_back() {
    let mut tts = pipeline(&["main", "local"]);
    let mut rests = Vec::new();
    for round in 0..4 {
        tts.speak(segment(1, 100 * round), "one");
        assert_eq!(tts.requests.last().unwrap().0, 0);
        tts.failed(Duration::from_millis(50));
        tts.done(seconds(1));
        tts.queue.handle_played(segment(1, 100 * round));
        let mut rest = 0;
        while tts.queue.next_voice(0) == 1 {
            rest += 1;
            assert_eq!(tts.heard(100 * round + rest), 1);
        }
        rests.push(rest);
    }
    assert_eq!(rests, [0, 8, 16, 16]);
    assert_eq!((tts.heard(900), tts.heard(901)), (0, 0));
    tts.speak(segment(1, 902), "one");
    tts.failed(Duration::from_millis(50));
    assert_eq!(tts.queue.next_voice(0), 0, "what it spoke in between counts");
}

#[test]
fn a_voice_whose_key_is_refused_is_not_asked_again() {
    for failure in [refused(), status(402), status(403)] {
        let mut tts = pipeline(&["main", "second", "local"]);
        tts.speak(segment(1, 0), "one");
        tts.failed_with(failure, Duration::ZERO);
        tts.done(seconds(1));
        tts.queue.handle_played(segment(1, 0));
        assert_eq!((1..30).map(|index| tts.heard(index)).collect::<Vec<_>>(), [1; 29]);
    }
}

#[test]
fn a_voice_that_refuses_two_sentences_in_a_row_rests_and_comes_back() {
    for code in [400, 404] {
        let mut tts = pipeline(&["main", "local"]);
        for index in 0..2 {
            tts.speak(segment(1, index), "one");
            assert_eq!(tts.requests.last().unwrap().0, 0);
            tts.failed_with(status(code), Duration::from_millis(50));
            tts.done(seconds(1));
            tts.queue.handle_played(segment(1, index));
        }
        let voices: Vec<usize> = (2..12).map(|index| tts.heard(index)).collect();
        assert_eq!(voices, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0], "{code}");
    }
}

#[test]
fn sentences_that_fail_together_are_one_failure() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    tts.speak(segment(1, 1), "two");
    tts.failed(Duration::from_millis(50));
    tts.done(seconds(1));
    tts.failed(Duration::ZERO);
    assert_eq!(tts.requests[2..], [(1, "one".to_owned()), (0, "two".to_owned())]);
    tts.failed(Duration::from_millis(50));
    assert_eq!(tts.requests[4], (1, "two".to_owned()), "no third time");
}

#[test]
fn the_next_voice_speaks_the_rest_of_the_sentence() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one two three four");
    let marks = [WordTimestamp { at_ms: 500, chars: 3 }, WordTimestamp { at_ms: 1_000, chars: 7 }];
    let told = tts.queue.handle_word_timestamps(&marks);
    assert_eq!(
        told,
        Some(TtsPipelineEvent::WordTimestamps { segment: segment(1, 0), marks: vec![(4_000, 3), (8_000, 7)] })
    );
    tts.queue.handle_audio(seconds(1), tts.start);
    assert_eq!(tts.failed_with(refused(), Duration::from_secs(1)), None);
    assert_eq!(tts.requests[1], (1, "three four".to_owned()));
    let told = tts.queue.handle_word_timestamps(&[WordTimestamp { at_ms: 500, chars: 5 }]);
    assert_eq!(told, Some(TtsPipelineEvent::WordTimestamps { segment: segment(1, 0), marks: vec![(12_000, 13)] }));
    let done = tts.done(seconds(1));
    assert_eq!(done, Some(TtsPipelineEvent::Done { segment: segment(1, 0), samples: seconds(1), total: 16_000 }));
}

#[test]
fn a_voice_that_breaks_off_speaks_the_rest_itself_once() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one two three four");
    tts.queue.handle_word_timestamps(&[WordTimestamp { at_ms: 1_000, chars: 7 }]);
    tts.queue.handle_audio(seconds(1), tts.start);
    assert_eq!(tts.failed(Duration::from_millis(50)), None);
    assert_eq!(tts.requests[1], (0, "three four".to_owned()), "the same voice");
    assert!(!tts.events().iter().any(|event| matches!(event, TtsPipelineEvent::FailedOver { .. })));
    tts.queue.handle_audio(vec![100; 2_000], tts.start);
    tts.failed(Duration::from_millis(50));
    assert_eq!(tts.requests.last().unwrap().0, 1, "not a third time");
}

#[test]
fn the_chosen_voice_comes_back_with_the_next_response() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    tts.failed_with(ProviderError::Timeout("first audio"), Duration::from_millis(700));
    tts.done(seconds(1));
    tts.queue.handle_played(segment(1, 0));
    assert_eq!(tts.heard(1), 1, "within the answer the voice stays");
    tts.speak(segment(2, 0), "two");
    assert_eq!(tts.requests.last().unwrap().0, 0, "the next answer begins with the chosen one");
    tts.done(seconds(1));
    tts.queue.handle_played(segment(2, 0));
    // One that fails in every answer is not waited for so long in every answer.
    for response_id in 3..6 {
        tts.speak(segment(response_id, 0), "more");
        tts.failed_with(ProviderError::Timeout("first audio"), Duration::from_millis(700));
        tts.done(seconds(1));
        tts.queue.handle_played(segment(response_id, 0));
    }
    tts.speak(segment(6, 0), "late");
    assert_eq!(tts.requests.last().unwrap().0, 0, "it may be back");
    let patience = Some(Duration::from_secs(2));
    assert_eq!(tts.queue.audio_deadline(patience), Some((tts.start + RETRY_PATIENCE, "first audio")));
}

#[test]
fn a_sentence_that_was_heard_to_its_end_is_not_repeated() {
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "done");
    tts.queue.handle_word_timestamps(&[WordTimestamp { at_ms: 900, chars: 4 }]);
    tts.queue.handle_audio(seconds(1), tts.start);
    let event = tts.failed_with(refused(), Duration::from_secs(1));
    assert_eq!(event, Some(TtsPipelineEvent::Done { segment: segment(1, 0), samples: Vec::new(), total: 8_000 }));
    assert_eq!(tts.requests.len(), 1);
    assert!(matches!(tts.events()[1], TtsPipelineEvent::FailedOver { .. }));
}

#[test]
fn when_the_last_voice_fails_the_segment_fails_and_the_voice_is_tried_again() {
    let mut tts = pipeline(&["local"]);
    tts.speak(segment(1, 0), "one");
    assert_eq!(
        tts.failed(Duration::ZERO),
        Some(TtsPipelineEvent::Failed { segment: segment(1, 0), failure: broken() })
    );
    tts.speak(segment(1, 1), "two");
    assert_eq!(tts.requests[1], (0, "two".to_owned()));
    tts.queue.handle_audio(seconds(1), tts.start);
    tts.events();
    let event = tts.failed(Duration::ZERO);
    assert_eq!(event, Some(TtsPipelineEvent::Done { segment: segment(1, 1), samples: Vec::new(), total: 8_000 }));
    assert_eq!(tts.events(), [TtsPipelineEvent::Failed { segment: segment(1, 1), failure: broken() }]);
    tts.speak(segment(1, 2), "three");
    assert_eq!(tts.requests[2], (0, "three".to_owned()), "nobody waits in silence after half a sentence");
}

#[test]
fn only_a_voice_that_acts_on_tags_gets_them() {
    let mut tts = pipeline(&["acting", "plain", "local"]);
    tts.speak(segment(1, 0), "[laughs] Hello");
    assert_eq!(tts.texts(), ["[laughs] Hello"]);
    tts.failed(Duration::ZERO);
    assert!(!tts.texts()[1].contains('['), "{:?}", tts.texts());
}

#[test]
fn the_last_voice_before_the_local_one_is_alone() {
    let alone = |voices: &[&str], fail: usize| {
        let mut tts = pipeline(voices);
        for _ in 0..fail {
            tts.speak(segment(1, 0), "one");
            tts.failed_with(refused(), Duration::ZERO);
        }
        tts.queue.cancel_response(1);
        tts.queue.speak(segment(2, 0), "two".to_owned());
        tts.queue.poll_request().unwrap().is_alone
    };
    assert!(!alone(&["main", "second", "local"], 0));
    assert!(alone(&["main", "second", "local"], 1) && alone(&["main", "local"], 0) && alone(&["local"], 0));
}

#[test]
fn a_voices_own_rate_tells_how_much_of_a_sentence_was_heard() {
    let mut tts = pipeline(&["main", "local"]);
    assert_eq!(tts.queue.estimated_samples(0, "fifteen letters"), 8_000);
    tts.speak(segment(1, 0), "0123456789");
    tts.done(seconds(2));
    assert_eq!(tts.queue.estimated_samples(0, "01234"), 8_000);
}

#[test]
fn a_voice_that_needs_words_gets_them_and_its_timestamps_count_in_the_text() {
    use crate::dialogue::text_normalization::SpeechStyle;
    let voice = |name: &str, normalized| TtsVoice { name: name.to_owned(), normalized, ..TtsVoice::default() };
    let voices = vec![voice("main", None), voice("local", Some(SpeechStyle::new("en", false)))];
    let mut tts = Pipeline { queue: TtsQueue::new(voices), start: Instant::now(), requests: Vec::new() };
    tts.speak(segment(1, 0), "It costs $5 a month.");
    tts.failed(Duration::ZERO);
    assert_eq!(tts.texts(), ["It costs $5 a month.", "It costs 5 dollars a month."]);
    let mark = |chars| WordTimestamp { at_ms: 1_000, chars };
    let marks = [mark(2), mark(8), mark(18), mark(20), mark(27)];
    let Some(TtsPipelineEvent::WordTimestamps { marks, .. }) = tts.queue.handle_word_timestamps(&marks) else {
        unreachable!()
    };
    let chars: Vec<u32> = marks.into_iter().map(|(_, chars)| chars).collect();
    assert_eq!(chars, [2, 8, 11, 13, 20], "in the text that the caller reads");
}

#[test]
fn what_was_not_heard_at_all_keeps_its_tags_for_the_next_voice() {
    use crate::providers::tts::TextAbilities;
    let pausing = TextAbilities { takes_breaks: true, ..TextAbilities::default() };
    let voice = |name: &str, abilities| TtsVoice { name: name.to_owned(), abilities, ..TtsVoice::default() };
    let voices = vec![voice("plain", TextAbilities::default()), voice("pausing", pausing)];
    let mut tts = Pipeline { queue: TtsQueue::new(voices), start: Instant::now(), requests: Vec::new() };
    tts.speak(segment(1, 0), "One,<break time=\"1s\" /> two three four.");
    tts.failed(Duration::ZERO);
    assert_eq!(tts.texts(), ["One, two three four.", "One,<break time=\"1s\" /> two three four."]);
}

#[test]
fn a_voice_that_stalls_in_mid_sentence_is_taken_over_two_seconds_after_it_was_last_heard() {
    let mut tts = pipeline(&["main", "local"]);
    let second = Duration::from_secs(1);
    tts.speak(segment(1, 0), "one two three four");
    tts.queue.handle_word_timestamps(&[WordTimestamp { at_ms: 1_000, chars: 7 }]);
    tts.queue.handle_audio(seconds(1), tts.start);
    tts.queue.handle_audio(vec![100; 80], tts.start + second / 10);
    let due = tts.start + 3 * second + second / 100;
    assert_eq!(tts.queue.audio_deadline(None), Some((due, "next audio")), "what is to be played counts");
    assert_eq!(tts.failed_with(ProviderError::Timeout("next audio"), 4 * second), None);
    assert_eq!(tts.requests[1].0, 0, "the same voice is asked for the rest");
    let patience = Some(2 * second);
    assert_eq!(tts.queue.audio_deadline(patience).map(|(_, owed)| owed), Some("first audio"));
    tts.queue.handle_audio(vec![100; 80], tts.start);
    let due = tts.start + 2 * second + second / 100;
    assert_eq!(tts.queue.audio_deadline(patience), Some((due, "next audio")), "nothing of before is left");
    tts.failed_with(ProviderError::Timeout("next audio"), 2 * second);
    assert_eq!(tts.requests.last().unwrap().0, 1, "not a third time");
    tts.queue.handle_audio(seconds(1), tts.start);
    assert_eq!(tts.queue.audio_deadline(patience), None, "nobody is left after the local voice");
    tts.queue.cancel_response(1);
    tts.speak(segment(2, 0), "new");
    assert_eq!(tts.queue.audio_deadline(patience).map(|(_, owed)| owed), Some("first audio"));
}

#[test]
fn a_sentence_as_long_as_its_voice_says_it_is_whole_without_its_end() {
    let mut tts = pipeline(&["main", "local"]);
    let (second, ms) = (Duration::from_secs(1), Duration::from_millis(1));
    tts.speak(segment(1, 0), "one two three four");
    tts.queue.handle_audio(seconds(2), tts.start);
    assert_eq!(tts.queue.audio_deadline(None).map(|(_, owed)| owed), Some("next audio"), "its rate is not known");
    tts.done(Vec::new());
    // The same number of characters.
    tts.speak(segment(1, 1), "six two three four");
    let start = tts.start + 2 * second;
    tts.queue.handle_audio(seconds(1), start);
    assert_eq!(tts.queue.audio_deadline(None), Some((start + 3 * second, "next audio")), "half of it is missing");
    tts.queue.handle_audio(vec![100; 7_200], start);
    assert_eq!(tts.queue.audio_deadline(None), Some((start + 2_700 * ms, END_OF_AUDIO)));
    let whole = Some(TtsPipelineEvent::Done { segment: segment(1, 1), samples: vec![], total: 15_200 });
    assert_eq!(tts.done(Vec::new()), whole);
    assert_eq!(tts.requests.len(), 2, "nobody says it again");
}

#[test]
fn a_voice_that_sends_digital_silence_alone_has_failed() {
    let second = usize::try_from(SAMPLE_RATE_HZ).unwrap();
    let silence = |samples: usize| vec![0i16; samples];
    // A whole sentence of it.
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    assert_eq!(tts.queue.handle_audio(silence(second), tts.start), None, "nobody hears it");
    assert_eq!(tts.done(vec![-8; 80]), None);
    assert_eq!(tts.requests[1], (0, "one".to_owned()), "the same voice is asked once more");
    tts.queue.handle_audio(silence(second), tts.start);
    assert_eq!(tts.done(vec![-8; 80]), None);
    assert_eq!(tts.requests[2], (1, "one".to_owned()));
    let failed = |event: &TtsPipelineEvent| matches!(event, TtsPipelineEvent::FailedOver { failure, .. } if failure.to_string().contains("no_audio"));
    assert!(tts.events().iter().any(failed));
    // A stream of it that does not end.
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    assert_eq!(tts.queue.handle_audio(silence(2 * second), tts.start), None);
    assert_eq!(tts.requests.len(), 1);
    tts.queue.handle_audio(silence(second), tts.start);
    tts.open();
    assert_eq!(tts.requests[1].0, 1);
    // A pause before the first sound is a part of it.
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    tts.queue.handle_audio(silence(second), tts.start);
    let heard = tts.queue.handle_audio(vec![100; 80], tts.start);
    let Some(TtsPipelineEvent::Audio { samples, .. }) = heard else { panic!("{heard:?}") };
    assert_eq!(samples.len(), second + 80);
    assert!(matches!(tts.done(silence(second)), Some(TtsPipelineEvent::Done { total: 16_080, .. })));
    // A sound that is almost none.
    let mut tts = pipeline(&["main", "local"]);
    tts.speak(segment(1, 0), "one");
    tts.queue.handle_audio(silence(80), tts.start);
    assert_eq!(tts.done(silence(80)), None);
    assert_eq!(tts.requests[1], (0, "one".to_owned()), "silence of any length is no word");
}
