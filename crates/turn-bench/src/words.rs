//! A simulated STT in virtual time: it knows the words of a row, and sends them as Deepgram does, with settable delays.

use super::row::TimedWord;
use std::collections::VecDeque;
use std::time::Duration;
use trunkline_providers::SttEvent;

/// A word that ends this little after a request is a word of it.
const SLACK: Duration = Duration::from_millis(40);
/// How sure it is of its words.
const CONFIDENCE: f32 = 0.95;

/// Where the words come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WordSource {
    /// From `words` of the rows.
    Rows,
    /// Nobody hears words: what the policy does with the sound alone.
    None,
}

/// What the simulated STT writes at the ends of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Punctuation {
    /// What is in the rows.
    Rows,
    /// None at all.
    None,
    /// A full stop after each utterance and none elsewhere, as if each pause ended a sentence.
    Stops,
}

/// When results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SttDelays {
    /// Time from one interim result to the next.
    pub interim_every: Duration,
    /// How far interim results are behind the voice.
    pub interim_delay: Duration,
    /// Silence that ends an utterance (`endpointing`).
    pub endpointing: Duration,
    /// From that silence to the final result.
    pub final_delay: Duration,
    /// From `Finalize` to the final result.
    pub finalize_delay: Duration,
    /// Time without a word after which `UtteranceEnd` comes.
    pub utterance_end: Duration,
}

/// What the words are taken from: the words, the silences of 100 ms and more, and how they are written.
#[derive(Clone, Copy, Debug)]
pub struct SpokenWords<'a> {
    /// In order of time.
    pub words: &'a [TimedWord],
    /// Start and end of each silence; the last one does not end.
    pub silences: &'a [(Duration, Duration)],
    /// How the ends of words are written.
    pub punctuation: Punctuation,
}

/// One session. Times are those of the audio.
#[derive(Debug)]
pub struct SimulatedStt<'a> {
    spoken: SpokenWords<'a>,
    delays: SttDelays,
    /// Words that are final, or on their way as such.
    settled: usize,
    next_interim: Duration,
    next_silence: usize,
    next_gap: usize,
    /// Results on their way, in order.
    results: VecDeque<(Duration, SttEvent)>,
}

impl<'a> SimulatedStt<'a> {
    /// A session that hears the audio from its start.
    pub fn new(spoken: SpokenWords<'a>, delays: SttDelays) -> Self {
        let next_interim = delays.interim_every;
        Self { spoken, delays, settled: 0, next_interim, next_silence: 0, next_gap: 0, results: VecDeque::new() }
    }

    /// When something comes next; `None` after the last words.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let interim = (self.settled < self.spoken.words.len()).then_some(self.next_interim);
        let result = self.results.front().map(|(due, _)| *due);
        [interim, result, self.endpoint(), self.gap_end()].into_iter().flatten().min()
    }

    /// When the next silence is long enough to end an utterance.
    fn endpoint(&self) -> Option<Duration> {
        let due = |(start, end): &(Duration, Duration)| {
            let due = *start + self.delays.endpointing;
            (due <= *end).then_some(due)
        };
        self.spoken.silences.get(self.next_silence..)?.iter().find_map(due)
    }

    /// When the next `UtteranceEnd` comes.
    fn gap_end(&self) -> Option<Duration> {
        let words = self.spoken.words;
        let is_last = |index: &usize| {
            let end = words.get(*index).map_or(Duration::ZERO, |word| word.end);
            words.get(index + 1).is_none_or(|next| next.start >= end + self.delays.utterance_end)
        };
        let last = (self.next_gap..words.len()).find(is_last)?;
        Some(words.get(last)?.end + self.delays.utterance_end + self.delays.final_delay)
    }

    /// What comes now, if anything does.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<SttEvent> {
        if self.results.front().is_some_and(|(due, _)| *due <= now) {
            return self.results.pop_front().map(|(_, event)| event);
        }
        if self.endpoint().is_some_and(|due| due <= now) {
            self.handle_silence(now);
            return None;
        }
        if self.gap_end().is_some_and(|due| due <= now) {
            let since = now.saturating_sub(self.delays.utterance_end + self.delays.final_delay);
            let ended = self.spoken.words.iter().take_while(|word| word.end <= since).count();
            self.next_gap = ended.max(self.next_gap + 1);
            return Some(SttEvent::UtteranceEnd);
        }
        if self.next_interim <= now {
            self.next_interim += self.delays.interim_every.max(Duration::from_millis(20));
            // One stream: what is older comes first.
            return self.interim(now).filter(|_| self.results.is_empty());
        }
        None
    }

    fn interim(&self, now: Duration) -> Option<SttEvent> {
        let until = now.saturating_sub(self.delays.interim_delay);
        let heard = self.spoken.words.iter().take_while(|word| word.end <= until).count();
        (heard > self.settled).then(|| SttEvent::Interim(self.text(heard, false)))
    }

    /// A silence has lasted long enough: the words before it are final.
    fn handle_silence(&mut self, now: Duration) {
        let silences = self.spoken.silences;
        let Some((start, index)) = (self.next_silence..silences.len()).find_map(|index| {
            let (start, end) = *silences.get(index)?;
            (start + self.delays.endpointing <= end).then_some((start, index))
        }) else {
            return;
        };
        self.next_silence = index + 1;
        let before = |word: &&TimedWord| word.start + (word.end - word.start) / 2 < start;
        let heard = self.spoken.words.iter().take_while(before).count();
        if heard > self.settled {
            self.settle(heard, now + self.delays.final_delay);
        }
    }

    /// It is asked for what it has (`Finalize`): the words so far, or an empty result.
    pub fn finalize(&mut self, now: Duration) {
        let heard = self.spoken.words.iter().take_while(|word| word.end <= now + SLACK).count();
        self.settle(heard.max(self.settled), now + self.delays.finalize_delay);
    }

    fn settle(&mut self, heard: usize, due: Duration) {
        let text = self.text(heard, true);
        let confidence = (!text.is_empty()).then_some(CONFIDENCE);
        self.settled = heard;
        let due = self.results.back().map_or(due, |(last, _)| due.max(*last));
        self.results.push_back((due, SttEvent::Final { text, confidence, speech_final: true }));
    }

    /// The words that are not final yet, up to this one.
    fn text(&self, until: usize, is_final: bool) -> String {
        let words = self.spoken.words.get(self.settled..until).unwrap_or_default();
        let plain = |word: &'a TimedWord| word.word.trim_end_matches(['.', ',', '?', '!', ';', ':', '…']);
        let as_written = |word: &'a TimedWord| match self.spoken.punctuation {
            Punctuation::Rows => word.word.as_str(),
            Punctuation::None | Punctuation::Stops => plain(word),
        };
        let mut text = words.iter().map(as_written).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if is_final && self.spoken.punctuation == Punctuation::Stops && !text.is_empty() {
            text.push('.');
        }
        text
    }
}
