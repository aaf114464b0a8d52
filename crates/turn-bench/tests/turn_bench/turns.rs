//! Turns played through the leg and the call machine.

use serde_json::json;
use std::time::{Duration, Instant};
use trunkline_domain::turn_config::TurnConfig;
use trunkline_providers::SttEvent;
use trunkline_turn_bench::data::Turn;
use trunkline_turn_bench::heard_words::{HeardEvent, HeardStt};
use trunkline_turn_bench::line::{CallerAudio, RecordedLine};
use trunkline_turn_bench::measuring::{Conditions, measure, silences};
use trunkline_turn_bench::playing::{PlayedTurn, Surroundings, answered, lead_segments};
use trunkline_turn_bench::policy::settings;
use trunkline_turn_bench::row::TurnRow;
use trunkline_turn_bench::score::LATENCY_MAX;
use trunkline_turn_bench::stt_source::SttSource;
use trunkline_turn_bench::timers;
use trunkline_turn_bench::words::{Punctuation, SimulatedStt, SpokenWords, SttDelays, WordSource};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn delays() -> SttDelays {
    SttDelays {
        interim_every: ms(500),
        interim_delay: ms(200),
        endpointing: ms(300),
        final_delay: ms(100),
        finalize_delay: ms(100),
        utterance_end: ms(1_000),
    }
}

fn conditions() -> Conditions {
    Conditions { response: ms(500), stt: delays(), words: WordSource::Rows, punctuation: Punctuation::Rows }
}

/// The sounding part of a phrase of the fixtures.
pub fn phrase(name: &str) -> Vec<i16> {
    let path = format!("{}/../../fixtures/audio/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let samples: Vec<i16> = hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect();
    let loud = |frame: &&[i16]| frame.iter().any(|sample| sample.unsigned_abs() > 600);
    let frames: Vec<&[i16]> = samples.chunks(160).collect();
    let first = frames.iter().position(&loud).unwrap();
    let last = frames.iter().rposition(loud).unwrap();
    frames[first..=last].concat()
}

/// Phrases with their words, and the pauses after them; the words of a phrase are spread over its length.
fn turn(parts: &[(&str, &str, u64)]) -> Turn {
    let mut samples = vec![0i16; 4_000];
    let (mut spans, mut words) = (Vec::new(), Vec::new());
    for (name, text, pause_ms) in parts {
        let said = phrase(name);
        let start = samples.len() as f64 / 8_000.0;
        samples.extend(&said);
        let end = samples.len() as f64 / 8_000.0;
        let all: Vec<&str> = text.split(' ').collect();
        let one = (end - start) / all.len() as f64;
        for (index, word) in all.iter().enumerate() {
            let from = start + one * index as f64;
            words.push(json!({"word": word, "start": from, "end": from + one}));
        }
        samples.resize(samples.len() + *pause_ms as usize * 8, 0);
        spans.push(json!({"start": end, "end": samples.len() as f64 / 8_000.0}));
    }
    let row = json!({
        "id": "played", "language": "en", "audio": "a.wav", "silence_spans": spans, "words": words,
        "messages": [{"role": "assistant", "content": "How can I help you? I am here for you."}],
    });
    Turn { row: TurnRow::parse(&row.to_string()).unwrap(), samples }
}

fn paused(pause_ms: u64) -> Turn {
    turn(&[("order_number", "My order number is", pause_ms), ("yes_correct", "four two seven one.", 1_500)])
}

fn own(turn: TurnConfig) -> Vec<trunkline_turn_bench::policy::Setting> {
    settings(&turn, &[]).unwrap()
}

#[test]
fn a_whole_sentence_is_answered_and_nothing_is_cut() {
    let turns = [turn(&[("where_is_my_order", "I would like to know where my order is.", 1_500)])];
    let results = measure(&turns, &own(TurnConfig::default()), conditions(), None);
    let outcome = &results[0].outcomes[0];
    let latency = outcome.latency.unwrap();
    assert!((ms(100)..ms(700)).contains(&latency), "{latency:?}");
    assert_eq!((outcome.cuts.len(), outcome.outside), (0, 0));
    let [decision] = &results[0].decisions[..] else { panic!("{:?}", results[0].decisions) };
    assert_eq!(decision.text, "I would like to know where my order is.");
    assert_eq!(decision.heard.unwrap() - decision.at, ms(500), "the time of the agent's answer");
}

#[test]
fn a_patient_policy_keeps_out_of_a_pause_and_a_hasty_one_does_not() {
    let hasty = TurnConfig {
        endpointing_ms: 100,
        complete_silence_ms: 100,
        silence_ms: 100,
        unfinished_silence_ms: 150,
        max_silence_ms: 200,
        ..TurnConfig::default()
    };
    let patient = TurnConfig { min_silence_ms: 1_400, silence_ms: 1_400, max_silence_ms: 2_000, ..hasty.clone() };
    let turns = [paused(900)];
    let play = |turn: &TurnConfig| measure(&turns, &own(turn.clone()), conditions(), None).remove(0);
    let (hasty, patient) = (play(&hasty), play(&patient));
    let (cut, heard) = hasty.outcomes[0].cuts[0].unwrap();
    let pause = turns[0].row.spans[0].start;
    assert!(cut - pause < ms(800), "{:?}", cut - pause);
    let heard = heard.unwrap() - cut;
    assert!((ms(500)..ms(520)).contains(&heard), "with the next packet, before the caller went on: {heard:?}");
    assert!(hasty.decisions[0].text.starts_with("My order number"), "{:?}", hasty.decisions[0]);
    assert!(hasty.outcomes[0].latency.is_some(), "the rest is another turn");
    assert_eq!(patient.outcomes[0].cuts, [None]);
    assert_eq!(patient.decisions.len(), 1);
    assert_eq!(patient.decisions[0].text, "My order number is four two seven one.");
    assert!(patient.outcomes[0].latency.unwrap() >= ms(1_350), "{:?}", patient.outcomes[0].latency);
}

#[test]
fn an_answer_that_is_taken_back_unheard_is_no_cut_that_is_heard() {
    let hasty = TurnConfig {
        endpointing_ms: 100,
        silence_ms: 100,
        unfinished_silence_ms: 200,
        max_silence_ms: 200,
        ..TurnConfig::default()
    };
    let turns = [paused(700)];
    let slow = Conditions { response: ms(1_500), ..conditions() };
    let outcome = &measure(&turns, &own(hasty), slow, None)[0].outcomes[0];
    let (_, heard) = outcome.cuts[0].expect("it is decided in the pause");
    assert_eq!(heard, None, "the caller went on before the answer was audible");
}

#[test]
fn a_recorded_line_and_a_leg_of_its_own_say_the_same() {
    let hasty =
        TurnConfig { endpointing_ms: 100, silence_ms: 100, unfinished_silence_ms: 200, ..TurnConfig::default() };
    let origin = Instant::now();
    for (turn, config, response) in [
        (paused(1_000), TurnConfig::default(), 500),
        (paused(1_000), hasty.clone(), 0),
        (paused(600), hasty.clone(), 700),
        (turn(&[("opening_hours", "What are your opening hours?", 1_500)]), hasty, 300),
    ] {
        let around = Surroundings { origin, response: ms(response), patience: LATENCY_MAX + ms(response) };
        let audio = CallerAudio::new(&turn.samples, turn.row.end(), turn.row.end() + around.patience);
        let lead = lead_segments(&mut answered(origin, &turn.row, &config));
        assert_eq!(lead.len(), 2, "one for each sentence of the question");
        let line = RecordedLine::record(origin, &audio, &config, &lead);
        let silences = silences(&turn);
        let words = turn.row.words.as_deref().unwrap();
        let spoken = SpokenWords { words, silences: &silences, punctuation: Punctuation::Rows };
        let play = || {
            let stt = SttSource::Simulated(SimulatedStt::new(spoken, delays()));
            PlayedTurn::new(around, &turn.row, &config, (&audio, &line), &lead, stt)
        };
        let (recorded, live) = (play().play(), play().live().play());
        let at = |decisions: &[trunkline_turn_bench::playing::Decision]| {
            decisions.iter().map(|one| (one.at, one.text.clone())).collect::<Vec<_>>()
        };
        assert_eq!(at(&recorded), at(&live));
        for (one, other) in recorded.iter().zip(&live) {
            let apart = one.heard.zip(other.heard).map(|(one, other)| one.abs_diff(other));
            assert_eq!(one.heard.is_some(), other.heard.is_some());
            assert!(apart.is_none_or(|apart| apart <= ms(20)), "{apart:?}");
        }
    }
}

#[test]
fn a_timer_on_detected_silences_is_late_by_the_detection() {
    let turns = [paused(1_000)];
    let result = measure(&turns, &own(TurnConfig::default()), conditions(), None).remove(0);
    let at = |delay: u64| timers::delays().position(|one| one == ms(delay)).unwrap();
    for (delay, cuts) in [(300, true), (600, true), (1_500, false)] {
        let outcome = &result.detected[at(delay)];
        assert_eq!(outcome.cuts[0].is_some(), cuts, "{delay} ms");
        let latency = outcome.latency.unwrap();
        assert!((ms(delay)..ms(delay + 180)).contains(&latency), "{delay} ms: {latency:?}");
    }
}

fn events(stt: &mut SimulatedStt<'_>, until: u64) -> Vec<(u64, SttEvent)> {
    let mut events = Vec::new();
    while let Some(due) = stt.poll_timeout().filter(|due| *due <= ms(until)) {
        events.extend(stt.handle_timeout(due).map(|event| (due.as_millis() as u64, event)));
    }
    events
}

fn final_words(text: &str) -> SttEvent {
    let confidence = (!text.is_empty()).then_some(0.95);
    SttEvent::Final { text: text.to_owned(), confidence, speech_final: true }
}

#[test]
fn the_simulated_stt_sends_what_deepgram_would() {
    let row = super::with_holds("a", &[600]);
    // Words from 0 to 0.5 and 1.1 to 1.6 s; a pause from 0.5 to 1.1 s.
    let word = |word: &str, start: u64, end: u64| trunkline_turn_bench::row::TimedWord {
        word: word.to_owned(),
        start: ms(start),
        end: ms(end),
    };
    let words = [word("my", 0, 200), word("name", 200, 500), word("is", 1_100, 1_300), word("Jo.", 1_300, 1_600)];
    let turn = Turn { row, samples: Vec::new() };
    let silences = silences(&turn);
    let session =
        |punctuation| SimulatedStt::new(SpokenWords { words: &words, silences: &silences, punctuation }, delays());
    let interim = |text: &str| SttEvent::Interim(text.to_owned());
    let mut stt = session(Punctuation::Rows);
    assert_eq!(
        events(&mut stt, 5_000),
        [
            (500, interim("my")),
            (900, final_words("my name")),
            (1_500, interim("is")),
            (2_000, final_words("is Jo.")),
            (2_700, SttEvent::UtteranceEnd),
        ]
    );
    assert_eq!(stt.poll_timeout(), None);
    let mut asked = session(Punctuation::Stops);
    assert_eq!(events(&mut asked, 500), [(500, interim("my"))]);
    asked.finalize(ms(520));
    assert_eq!(events(&mut asked, 1_000), [(620, final_words("my name."))], "and nothing at the end of the pause");
    asked.finalize(ms(1_000));
    assert_eq!(events(&mut asked, 1_200), [(1_100, final_words(""))], "there is nothing left");
    assert_eq!(events(&mut asked, 2_050).pop(), Some((2_000, final_words("is Jo."))));
    let mut nobody =
        SimulatedStt::new(SpokenWords { words: &[], silences: &silences, punctuation: Punctuation::None }, delays());
    assert_eq!(events(&mut nobody, 9_000), []);
}

#[test]
fn what_a_service_said_is_played_again() {
    let at = |at: u64, event| HeardEvent { at: ms(at), event };
    let interim = |text: &str| SttEvent::Interim(text.to_owned());
    let events = [
        at(500, interim("my")),
        at(900, interim("my name")),
        at(1_000, final_words("My name")),
        at(1_500, interim("is")),
        at(2_000, final_words("is Jo.")),
        at(2_700, SttEvent::UtteranceEnd),
    ];
    let written: Vec<_> = events.iter().map(|event| event.to_json().unwrap()).collect();
    let read: Vec<_> = written.iter().map(|value| HeardEvent::of_json(value).unwrap()).collect();
    assert_eq!(read, events);
    let play = |stt: &mut HeardStt<'_>, until: u64| {
        let mut played = Vec::new();
        while let Some(due) = stt.poll_timeout().filter(|due| *due <= ms(until)) {
            played.extend(stt.handle_timeout(due).map(|event| at(due.as_millis() as u64, event)));
        }
        played
    };
    assert_eq!(play(&mut HeardStt::new(&events, ms(100)), 9_000), events);
    // Asked early, it says what would have come, and not again.
    let mut asked = HeardStt::new(&events, ms(100));
    assert_eq!(play(&mut asked, 600), events[..1]);
    asked.finalize(ms(600));
    assert_eq!(play(&mut asked, 1_400), [at(700, final_words("My name"))]);
    assert_eq!(play(&mut asked, 1_550), [at(1_500, interim("is"))]);
    asked.finalize(ms(1_600));
    assert_eq!(play(&mut asked, 2_500), [at(1_700, final_words("is Jo."))]);
}

#[test]
fn without_words_nothing_is_decided() {
    let turns = [paused(1_000)];
    let deaf = Conditions { words: WordSource::None, ..conditions() };
    let outcome = &measure(&turns, &own(TurnConfig::default()), deaf, None)[0].outcomes[0];
    assert_eq!((outcome.latency, outcome.cuts[0]), (None, None));
}
