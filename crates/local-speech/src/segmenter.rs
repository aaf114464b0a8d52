//! What a listening session asks the model: it cuts speech into segments, asks for words so far while one grows, and for
//! final words at its end. The model reads a segment as a whole, so a segment is short.
//!
//! - The end of speech is guessed early: at the first silence the whole segment is asked for. If the caller stays
//!   silent, that answer is the final one, and comes without delay.
//! - Long speech is committed piece by piece, cut where it is quietest, so that no word is cut in two.
//! - Sound without words costs less and less: after a few segments of it nothing is asked before their end.
//!
//! Time is counted in samples, so there is no clock.

mod cut;

use super::limits::{STT_RATE_HZ, TRANSCRIBE_SAMPLES_MAX};
use super::message::Urgency;
use cut::quietest;
use std::collections::VecDeque;

/// Samples of a time.
const fn samples(ms: usize) -> usize {
    ms * (STT_RATE_HZ as usize / 1_000)
}

/// What is heard before voice is detected, which is a little late.
const LEAD: usize = samples(400);
/// Silence behind the last voice that belongs to the segment.
const TRAIL: usize = samples(160);
/// How much speech there is between two requests for words so far.
const PARTIAL_EVERY: usize = samples(480);
/// Silence at which the end is guessed. The detector itself sees silence some 100 ms late.
const GUESS_AFTER: usize = samples(20);
/// Speech between two guesses.
const GUESS_EVERY: usize = samples(300);
/// Less voice than this is a click.
const VOICED_MIN: usize = samples(100);
/// From this length on a segment is cut at a pause, and at this one in any case.
const CUT_FROM: usize = samples(5_000);
const CUT_AT: usize = samples(7_000);
/// How often a pause is looked for in between.
const CUT_EVERY: usize = samples(200);
/// What is left at the ends of a segment that is cut: the cut is never near them.
const CUT_MARGIN: usize = samples(2_000);
const CUT_MARGIN_END: usize = samples(400);
/// Segments without words after which only whole segments are asked for.
const WORDLESS_MAX: u32 = 3;
/// Words that the model is less sure of are noise, or another language: of 368 segments of English one in a hundred is below,
/// and those are heard wrong; of what was heard in Dutch, German, Spanish, French and Italian one half to four fifths.
const CONFIDENCE_MIN: f32 = 0.5;

const _: () = assert!(CUT_AT + LEAD + samples(5_000) <= TRANSCRIBE_SAMPLES_MAX, "every segment fits into a request");

/// What is shorter, or has fewer words, and is not sure, may be a noise.
const UNCLEAR_MIN: usize = samples(1_200);
const UNCLEAR_WORDS_MIN: usize = 3;

/// What models of this kind write for a sound that is no word, and how long such a sound is at most.
const INVENTED: &str = "you";
const INVENTED_MAX: usize = samples(500);

/// Names a request until its answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// What the model heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeardWords {
    /// The words; empty if there were none.
    pub text: String,
    /// How sure the model is, 0 to 1.
    pub confidence: f32,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmenterOutput {
    /// Ask the model; the answer goes to [`Segmenter::handle_transcript`].
    Transcribe {
        /// Names the request.
        ticket: Ticket,
        /// How soon.
        urgency: Urgency,
        /// Mono at 16 kHz.
        samples: Vec<i16>,
    },
    /// The words since the last final ones, which may still change.
    Interim(String),
    /// Words that do not change any more.
    Final {
        /// The words; empty if there were none.
        text: String,
        /// How sure the model is, 0 to 1; `None` without words. With an empty text: of speech of some length that it is not
        /// sure enough of, another language for example.
        confidence: Option<f32>,
        /// The caller has fallen silent.
        is_end: bool,
        /// Where the segment ended, in milliseconds of the session's audio.
        until_ms: u64,
    },
}

/// A guess that the segment is over, and the answer to it.
#[derive(Debug)]
struct Guess {
    ticket: Ticket,
    /// End of the voice that it was made for.
    voiced_end: usize,
    answer: Option<HeardWords>,
}

/// Speech without final words.
#[derive(Debug, Default)]
struct Segment {
    samples: Vec<i16>,
    /// Position of its first sample.
    start: u64,
    /// Where its last voice ends.
    voiced_end: usize,
    /// Samples with voice.
    voiced: usize,
    /// Its length at the last request.
    asked_at: usize,
    /// Its length at which it may be cut.
    cut_from: usize,
    /// The request for words so far that has no answer.
    partial: Option<Ticket>,
    guess: Option<Guess>,
    /// The words that were shown.
    shown: String,
}

/// A segment whose final words are awaited.
#[derive(Debug)]
struct Closed {
    ticket: Ticket,
    is_end: bool,
    until: u64,
    /// Samples that were asked for.
    length: usize,
    answer: Option<HeardWords>,
}

/// The machine of one session.
#[derive(Debug)]
pub struct Segmenter {
    endpointing: usize,
    /// Samples that were pushed.
    position: u64,
    /// The last silence.
    lead: VecDeque<i16>,
    segment: Option<Segment>,
    /// In the order of their speech, in which their words are told.
    closed: VecDeque<Closed>,
    wordless: u32,
    tickets: u64,
    outputs: VecDeque<SegmenterOutput>,
}

impl Segmenter {
    /// A session that ends an utterance after this much silence.
    pub fn new(endpointing_ms: u64) -> Self {
        Self {
            endpointing: samples(endpointing_ms.clamp(60, 5_000) as usize),
            position: 0,
            lead: VecDeque::with_capacity(LEAD),
            segment: None,
            closed: VecDeque::new(),
            wordless: 0,
            tickets: 0,
            outputs: VecDeque::new(),
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<SegmenterOutput> {
        self.outputs.pop_front()
    }

    /// Some 20 ms of audio at 16 kHz, and whether there is voice in it.
    pub fn push(&mut self, audio: &[i16], is_voiced: bool) {
        self.position += audio.len() as u64;
        let Some(segment) = &mut self.segment else {
            self.lead.extend(audio);
            if is_voiced {
                let start = self.position - self.lead.len() as u64;
                let samples: Vec<i16> = self.lead.drain(..).collect();
                let (voiced_end, voiced) = (samples.len(), audio.len());
                // The lead does not count: words so far come after enough speech.
                let asked_at = samples.len().saturating_sub(audio.len());
                self.segment = Some(Segment {
                    samples,
                    start,
                    voiced_end,
                    voiced,
                    asked_at,
                    cut_from: CUT_FROM,
                    ..Segment::default()
                });
            } else {
                let surplus = self.lead.len().saturating_sub(LEAD);
                self.lead.drain(..surplus);
            }
            return;
        };
        segment.samples.extend_from_slice(audio);
        if is_voiced {
            segment.voiced_end = segment.samples.len();
            segment.voiced += audio.len();
            self.ask_for_words_so_far();
        } else if segment.samples.len() - segment.voiced_end >= self.endpointing {
            return self.close();
        } else {
            self.guess_end();
        }
        self.cut();
    }

    /// The final words are wanted now.
    pub fn finalize(&mut self) {
        if self.segment.is_some() {
            self.close();
        } else if self.closed.is_empty() {
            let empty = SegmenterOutput::Final {
                text: String::new(),
                confidence: None,
                is_end: true,
                until_ms: milliseconds(self.position),
            };
            self.outputs.push_back(empty);
        }
    }

    /// The answer to a request; `None` if there is none.
    pub fn handle_transcript(&mut self, ticket: Ticket, words: Option<HeardWords>) {
        if let Some(closed) = self.closed.iter_mut().find(|closed| closed.ticket == ticket) {
            closed.answer = Some(words.unwrap_or_default());
            return self.tell_final_words();
        }
        let Some(segment) = &mut self.segment else { return };
        if segment.partial == Some(ticket) {
            segment.partial = None;
        } else if let Some(guess) = segment.guess.as_mut().filter(|guess| guess.ticket == ticket) {
            match &words {
                Some(words) => guess.answer = Some(words.clone()),
                // It can be asked again.
                None => segment.guess = None,
            }
        } else {
            return;
        }
        // What was said before comes first.
        if let (Some(words), true) = (words, self.closed.is_empty())
            && is_speech(&words, segment.samples.len())
            && words.text != segment.shown
        {
            segment.shown.clone_from(&words.text);
            self.outputs.push_back(SegmenterOutput::Interim(words.text));
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn ask(&mut self, urgency: Urgency, samples: Vec<i16>) -> Ticket {
        let ticket = self.ticket();
        self.outputs.push_back(SegmenterOutput::Transcribe { ticket, urgency, samples });
        ticket
    }

    /// Words so far: one request at a time, and none while earlier words are awaited.
    fn ask_for_words_so_far(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        let is_due = segment.samples.len() - segment.asked_at >= PARTIAL_EVERY;
        let is_free = segment.partial.is_none() && self.closed.is_empty();
        if is_due && is_free && segment.voiced >= VOICED_MIN && self.wordless < WORDLESS_MAX {
            segment.asked_at = segment.samples.len();
            let samples = segment.samples.clone();
            let ticket = self.ask(Urgency::Partial, samples);
            if let Some(segment) = &mut self.segment {
                segment.partial = Some(ticket);
            }
        }
    }

    /// The caller may have finished: the whole segment is asked for before that is certain.
    fn guess_end(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        let silence = segment.samples.len() - segment.voiced_end;
        let is_guessed = segment.guess.as_ref().is_some_and(|guess| guess.voiced_end == segment.voiced_end);
        // Not for each short pause of a noisy line.
        let since = segment.guess.as_ref().map_or(GUESS_EVERY, |guess| segment.voiced_end - guess.voiced_end);
        if silence < GUESS_AFTER
            || is_guessed
            || since < GUESS_EVERY
            || segment.voiced < VOICED_MIN
            || self.wordless >= WORDLESS_MAX
        {
            return;
        }
        let (samples, voiced_end) = (segment.samples.clone(), segment.voiced_end);
        segment.asked_at = samples.len();
        let ticket = self.ask(Urgency::Final, samples);
        if let Some(segment) = &mut self.segment {
            segment.guess = Some(Guess { ticket, voiced_end, answer: None });
        }
    }

    /// The segment is over.
    fn close(&mut self) {
        let Some(mut segment) = self.segment.take() else { return };
        let until = segment.start + segment.samples.len() as u64;
        let end = segment.samples.len().min(segment.voiced_end + TRAIL);
        let rest = segment.samples.split_off(end);
        self.lead.extend(rest.iter().skip(rest.len().saturating_sub(LEAD)));
        let guess = segment.guess.take().filter(|guess| guess.voiced_end == segment.voiced_end);
        let length = segment.samples.len();
        let (ticket, answer) = match guess {
            _ if segment.voiced < VOICED_MIN => (self.ticket(), Some(HeardWords::default())),
            Some(guess) => (guess.ticket, guess.answer),
            None => (self.ask(Urgency::Final, segment.samples), None),
        };
        self.closed.push_back(Closed { ticket, is_end: true, until, length, answer });
        self.tell_final_words();
    }

    /// Commits the beginning of long speech.
    fn cut(&mut self) {
        let Some(segment) = &mut self.segment else { return };
        let length = segment.samples.len();
        if length < segment.cut_from {
            return;
        }
        segment.cut_from = (length + CUT_EVERY).min(CUT_AT);
        let Some(quiet) = quietest(&segment.samples, CUT_MARGIN..length - CUT_MARGIN_END) else { return };
        if !quiet.is_pause && length < CUT_AT {
            return;
        }
        let at = quiet.at;
        let rest = segment.samples.split_off(at);
        let first = std::mem::replace(&mut segment.samples, rest);
        segment.start += at as u64;
        let until = segment.start;
        segment.voiced_end = segment.voiced_end.saturating_sub(at);
        segment.voiced = segment.voiced.min(segment.voiced_end);
        (segment.asked_at, segment.cut_from) = (0, CUT_FROM);
        (segment.partial, segment.guess) = (None, None);
        segment.shown.clear();
        let length = first.len();
        let ticket = self.ask(Urgency::Final, first);
        self.closed.push_back(Closed { ticket, is_end: false, until, length, answer: None });
    }

    /// Tells final words in the order in which they were said.
    fn tell_final_words(&mut self) {
        while let Some(Closed { is_end, until, length, answer: Some(words), .. }) =
            self.closed.pop_front_if(|closed| closed.answer.is_some())
        {
            let is_speech = is_speech(&words, length);
            self.wordless = if is_speech { 0 } else { self.wordless.saturating_add(1) };
            self.outputs.push_back(SegmenterOutput::Final {
                confidence: (is_speech || is_unclear(&words, length)).then_some(words.confidence),
                text: if is_speech { words.text } else { String::new() },
                is_end,
                until_ms: milliseconds(until),
            });
        }
    }
}

fn milliseconds(position: u64) -> u64 {
    position * 1_000 / u64::from(STT_RATE_HZ)
}

/// Several words that the model heard in speech of some length, and is not sure of.
fn is_unclear(words: &HeardWords, length: usize) -> bool {
    length >= UNCLEAR_MIN && words.text.split_whitespace().count() >= UNCLEAR_WORDS_MIN && !is_speech(words, length)
}

/// Words that the model heard in so many samples, and is sure of.
fn is_speech(words: &HeardWords, length: usize) -> bool {
    let letters = words.text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    let is_invented = length <= INVENTED_MAX && letters.clone().eq(INVENTED.chars());
    words.confidence >= CONFIDENCE_MIN && letters.clone().next().is_some() && !is_invented
}

#[cfg(test)]
mod tests;
