//! Sessions in virtual time: words are pieces of sound of different levels, and the model hears those that it gets whole.

use super::*;

const FRAME: usize = samples(20);

/// A session with a model that answers after some frames.
struct Session {
    segmenter: Segmenter,
    /// Requests without an answer, and when it comes, in frames.
    asked: VecDeque<(u64, Ticket, String)>,
    frame: u64,
    /// How many frames the model takes.
    delay: u64,
    answers: bool,
    requests: Vec<(Urgency, usize)>,
    told: Vec<String>,
    told_at: Vec<u64>,
}

/// A word of this length; its number is its level.
fn word(number: i16, ms: usize) -> Vec<i16> {
    vec![1_000 + number; samples(ms)]
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; samples(ms)]
}

/// The words that are in the audio, each with its length in milliseconds.
fn heard(audio: &[i16]) -> String {
    let parts = audio.chunk_by(|one, other| one == other).filter(|part| part[0] >= 1_000);
    let words = parts.map(|part| format!("w{}:{}", part[0] - 1_000, part.len() / samples(1)));
    words.collect::<Vec<_>>().join(" ")
}

impl Session {
    fn new(delay: u64) -> Self {
        Self {
            segmenter: Segmenter::new(300),
            asked: VecDeque::new(),
            frame: 0,
            delay,
            answers: true,
            requests: Vec::new(),
            told: Vec::new(),
            told_at: Vec::new(),
        }
    }

    fn hear(&mut self, audio: &[i16]) {
        for frame in audio.chunks(FRAME) {
            self.segmenter.push(frame, frame.iter().any(|sample| *sample >= 1_000));
            self.frame += 1;
            self.advance();
        }
    }

    fn advance(&mut self) {
        loop {
            while let Some(output) = self.segmenter.poll_output() {
                match output {
                    SegmenterOutput::Transcribe { ticket, urgency, samples } => {
                        assert!(samples.len() <= TRANSCRIBE_SAMPLES_MAX);
                        self.requests.push((urgency, samples.len()));
                        self.asked.push_back((self.frame + self.delay, ticket, heard(&samples)));
                    }
                    SegmenterOutput::Interim(text) => {
                        self.told.push(format!("({text})"));
                        self.told_at.push(self.frame);
                    }
                    SegmenterOutput::Final { text, is_end, .. } => {
                        self.told.push(format!("{text}{}", if is_end { "." } else { ">" }));
                        self.told_at.push(self.frame);
                    }
                }
            }
            let Some((at, ticket, text)) = self.asked.front().cloned() else { return };
            if at > self.frame {
                return;
            }
            self.asked.pop_front();
            let words = HeardWords { text, confidence: 0.9 };
            self.segmenter.handle_transcript(ticket, self.answers.then_some(words));
        }
    }

    /// The words that are final.
    fn finals(&self) -> Vec<String> {
        self.told.iter().filter(|told| !told.starts_with('(')).cloned().collect()
    }
}

#[test]
fn words_so_far_come_while_the_caller_speaks_and_final_ones_at_the_end() {
    let mut session = Session::new(2);
    session.hear(&silence(1_000));
    assert!(session.requests.is_empty(), "silence costs nothing");
    for number in 1..=5 {
        session.hear(&word(number, 400));
    }
    let interims = session.told.len();
    assert!((3..=4).contains(&interims), "one for each 480 ms: {:?}", session.told);
    let gaps: Vec<u64> = session.told_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (15..=25).contains(gap)), "every 300 to 500 ms: {gaps:?}");
    let end = session.frame;
    session.hear(&silence(1_000));
    assert_eq!(session.finals(), ["w1:400 w2:400 w3:400 w4:400 w5:400."]);
    let after = session.told_at.last().unwrap() - end;
    assert_eq!(after, 15, "with the end of the utterance, 300 ms after the last word: the answer was there");
    let finals = session.requests.iter().filter(|(urgency, _)| *urgency == Urgency::Final).count();
    assert_eq!(finals, 1, "the guess is the final answer");
}

#[test]
fn a_slow_answer_is_waited_for_and_words_after_a_pause_are_the_next_segment() {
    let mut session = Session::new(30);
    session.hear(&word(1, 300));
    session.hear(&silence(400));
    assert!(session.told.is_empty());
    session.hear(&word(2, 300));
    session.hear(&silence(1_500));
    assert_eq!(session.finals(), ["w1:300.", "w2:300."], "in order");
}

#[test]
fn a_pause_that_is_no_end_is_within_the_segment() {
    let mut session = Session::new(1);
    session.hear(&word(1, 500));
    session.hear(&silence(200));
    session.hear(&word(2, 500));
    session.hear(&silence(500));
    assert_eq!(session.finals(), ["w1:500 w2:500."]);
    assert!(session.told.contains(&"(w1:500)".to_owned()), "the guess was shown: {:?}", session.told);
}

#[test]
fn long_speech_is_committed_without_losing_or_doubling_a_word() {
    for delay in [1, 5, 40] {
        let mut session = Session::new(delay);
        let mut said = Vec::new();
        for number in 1..=100 {
            let ms = 140 + 20 * usize::from(number as u16 % 11);
            session.hear(&word(number, ms));
            session.hear(&silence(80 + 20 * usize::from(number as u16 % 4)));
            said.push(format!("w{number}:{ms}"));
        }
        session.hear(&silence(2_000));
        let finals = session.finals();
        let text = finals.iter().map(|part| part.trim_end_matches(['>', '.'])).collect::<Vec<_>>().join(" ");
        assert_eq!(text, said.join(" "), "delay {delay}: {finals:?}");
        assert!(finals.len() >= 4 && finals.iter().filter(|part| part.ends_with('.')).count() == 1, "{finals:?}");
    }
}

#[test]
fn speech_without_any_pause_is_cut_too() {
    let mut session = Session::new(1);
    session.hear(&word(1, 30_000));
    session.hear(&silence(1_000));
    let longest = session.requests.iter().map(|(_, length)| *length).max().unwrap();
    assert!(longest <= CUT_AT + FRAME, "{longest}");
    let total: usize = session
        .finals()
        .iter()
        .map(|part| part.trim_start_matches("w1:").trim_end_matches(['>', '.']).parse::<usize>().unwrap())
        .sum();
    assert_eq!(total, 30_000, "nothing is lost between two segments");
}

#[test]
fn words_so_far_cost_a_bounded_share() {
    let mut session = Session::new(1);
    for number in 1..=120 {
        session.hear(&word(number, 400));
        session.hear(&silence(100));
    }
    let seconds: f64 = 60.0;
    let asked: usize = session.requests.iter().map(|(_, length)| *length).sum();
    let share = asked as f64 / f64::from(STT_RATE_HZ) / seconds;
    assert!(share < 18.0, "{share:.1} seconds are transcribed for each second of speech");
    let per_second = session.requests.len() as f64 / seconds;
    assert!((1.8..=4.5).contains(&per_second), "{per_second:.1} requests a second");
}

#[test]
fn an_hour_of_noise_costs_little_and_yields_no_words() {
    let mut session = Session::new(1);
    // The detector takes it for voice half of the time, and the model hears something that it is not sure of.
    let noise = [word(1, 2_000), silence(1_000), word(2, 12_000), silence(500)].concat();
    let rounds = 3_600_000 / 15_500;
    for _ in 0..rounds {
        for frame in noise.chunks(FRAME) {
            session.segmenter.push(frame, frame[0] > 0);
            while let Some(output) = session.segmenter.poll_output() {
                match output {
                    SegmenterOutput::Transcribe { ticket, urgency, samples } => {
                        session.requests.push((urgency, samples.len()));
                        let words = HeardWords { text: "Thank you.".into(), confidence: 0.49 };
                        session.segmenter.handle_transcript(ticket, Some(words));
                    }
                    SegmenterOutput::Interim(text) => panic!("{text}"),
                    SegmenterOutput::Final { text, .. } => assert_eq!(text, ""),
                }
            }
        }
    }
    assert!(session.requests.len() < rounds * 5 + 20, "{} requests", session.requests.len());
    let asked: usize = session.requests.iter().map(|(_, length)| *length).sum();
    assert!(asked < samples(3_600_000) + samples(300_000), "each second is transcribed about once");
    // Then somebody speaks: final words at the end, and from then on words so far.
    session.hear(&word(7, 1_000));
    session.hear(&silence(500));
    session.hear(&word(8, 1_000));
    assert_eq!(session.finals(), ["w7:1000."]);
    assert!(session.told.last().unwrap().starts_with("(w8"), "{:?}", session.told);
}

#[test]
fn a_click_is_no_speech_and_costs_nothing() {
    let mut session = Session::new(1);
    session.hear(&word(1, 60));
    session.hear(&silence(500));
    assert_eq!((session.finals(), session.requests.len()), (vec![".".to_owned()], 0));
}

#[test]
fn final_words_are_told_when_they_are_wanted() {
    let mut session = Session::new(1);
    session.hear(&word(1, 1_000));
    session.segmenter.finalize();
    session.hear(&word(2, 200));
    assert!(session.finals()[0].starts_with("w1:1000"), "{:?}", session.told);
    session.hear(&silence(500));
    session.segmenter.finalize();
    session.advance();
    assert_eq!(session.finals().last().unwrap(), ".", "nothing more was said, and that is told too");
    // An answer is on its way: it is the one that is wanted.
    session.delay = 20;
    session.hear(&word(3, 300));
    session.hear(&silence(320));
    let told = session.finals().len();
    session.segmenter.finalize();
    session.hear(&silence(1_000));
    assert_eq!(session.finals().len(), told + 1);
}

#[test]
fn a_lost_answer_costs_one_sentence() {
    let mut session = Session::new(1);
    session.answers = false;
    session.hear(&word(1, 600));
    session.hear(&silence(500));
    assert_eq!(session.finals(), ["."]);
    session.answers = true;
    session.hear(&word(2, 600));
    session.hear(&silence(500));
    assert_eq!(session.finals(), [".", "w2:600."]);
}

#[test]
fn what_the_model_is_not_sure_of_is_no_speech() {
    let words = |text: &str, confidence| HeardWords { text: text.into(), confidence };
    let second = samples(1_000);
    assert!(is_speech(&words("Yes.", 0.5), second));
    for (text, confidence) in [("Yes.", 0.2), ("...", 0.9), ("♪♪", 0.9), ("", 1.0)] {
        assert!(!is_speech(&words(text, confidence), second), "{text}");
    }
    assert!(!is_speech(&words("You", 0.9), samples(300)), "what it writes for a click");
    // Another language: several words in speech of some length. A noise is none.
    let long = samples(2_000);
    assert!(is_unclear(&words("Hello, eek speak a lane.", 0.4), long));
    assert!(!is_unclear(&words("Hello, eek speak a lane.", 0.9), long), "understood");
    assert!(!is_unclear(&words("Thank you.", 0.4), long) && !is_unclear(&words("", 0.1), long));
    assert!(!is_unclear(&words("I see it", 0.4), samples(1_000)), "short");
    assert!(is_speech(&words("You", 0.9), second) && is_speech(&words("Yes", 0.9), samples(300)));
}
