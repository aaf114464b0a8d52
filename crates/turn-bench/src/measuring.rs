//! Plays every row with every setting, on all cores.

use super::data::Turn;
use super::heard_words::{HeardEvent, HeardStt};
use super::line::{CallerAudio, RecordedLine};
use super::playing::{Decision, PlayedTurn, Surroundings, answered, lead_segments};
use super::policy::Setting;
use super::score::{DecidedAt, LATENCY_MAX, RowOutcome};
use super::stt_source::SttSource;
use super::timers;
use super::words::{Punctuation, SimulatedStt, SpokenWords, SttDelays, WordSource};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long an answer may be held back: on a noisy line the leg waits for a caller who seems to speak.
const HELD_BACK_MAX: Duration = Duration::from_secs(3);

/// How the rows are played.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// From a decision to the agent's first sound.
    pub response: Duration,
    /// Delays of STT. Its `endpointing` is that of the setting.
    pub stt: SttDelays,
    /// Where the words are from.
    pub words: WordSource,
    /// How they are written.
    pub punctuation: Punctuation,
}

/// What came of one row.
#[derive(Clone, Debug, Default)]
pub struct RowResult {
    /// With each setting, in their order.
    pub outcomes: Vec<RowOutcome>,
    /// All decisions with the first setting.
    pub decisions: Vec<Decision>,
    /// Of a timer on our voice detection, for each of [`timers::delays`].
    pub detected: Vec<RowOutcome>,
}

/// Plays all rows. The results are in the order of the rows. `heard`: what an STT service said of each of them, in place of
/// their words.
pub fn measure(
    turns: &[Turn], settings: &[Setting], conditions: Conditions, heard: Option<&[Vec<HeardEvent>]>,
) -> Vec<RowResult> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(turns.len().max(1));
    let next = AtomicUsize::new(0);
    let mut results: Vec<RowResult> = vec![RowResult::default(); turns.len()];
    let origin = Instant::now();
    let play = || {
        let mut played = Vec::new();
        while let Some((index, turn)) = take(&next, turns) {
            let heard = heard.map(|heard| heard.get(index).map_or(&[][..], Vec::as_slice));
            played.push((index, play_row(origin, turn, settings, conditions, heard)));
        }
        played
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        for (index, result) in workers.into_iter().filter_map(|worker| worker.join().ok()).flatten() {
            if let Some(place) = results.get_mut(index) {
                *place = result;
            }
        }
    });
    results
}

fn take<'a>(next: &AtomicUsize, turns: &'a [Turn]) -> Option<(usize, &'a Turn)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, turns.get(index)?))
}

fn play_row(
    origin: Instant, turn: &Turn, settings: &[Setting], conditions: Conditions, heard: Option<&[HeardEvent]>,
) -> RowResult {
    let Some(first) = settings.first() else { return RowResult::default() };
    let row = &turn.row;
    let around = Surroundings {
        origin,
        response: conditions.response,
        patience: LATENCY_MAX + conditions.response + HELD_BACK_MAX,
    };
    let audio = CallerAudio::new(&turn.samples, row.end(), row.end() + around.patience);
    let lead = lead_segments(&mut answered(origin, row, &first.turn));
    let line = RecordedLine::record(origin, &audio, &first.turn, &lead);
    let silences = silences(turn);
    let words = match conditions.words {
        WordSource::Rows => row.words.as_deref().unwrap_or_default(),
        WordSource::None => &[],
    };
    let spoken = SpokenWords { words, silences: &silences, punctuation: conditions.punctuation };
    let mut result = RowResult::default();
    for setting in settings {
        let endpointing = Duration::from_millis(setting.turn.endpointing_ms);
        let stt = match heard {
            Some(events) => SttSource::Heard(HeardStt::new(events, conditions.stt.finalize_delay)),
            None => SttSource::Simulated(SimulatedStt::new(spoken, SttDelays { endpointing, ..conditions.stt })),
        };
        let decisions = PlayedTurn::new(around, row, &setting.turn, (&audio, &line), &lead, stt).play();
        let decided: Vec<DecidedAt> = decisions.iter().map(|decision| (decision.at, decision.heard)).collect();
        if result.outcomes.is_empty() {
            result.decisions = decisions;
        }
        result.outcomes.push(RowOutcome::of_decisions(row, &decided, conditions.response));
    }
    result.detected = timers::delays().map(|delay| timers::detected_silence_alone(row, &line, origin, delay)).collect();
    result
}

/// Start and end of each silence as STT hears them; the last one goes on.
pub fn silences(turn: &Turn) -> Vec<(Duration, Duration)> {
    let mut silences: Vec<(Duration, Duration)> = turn.row.spans.iter().map(|span| (span.start, span.end)).collect();
    if let Some(last) = silences.last_mut() {
        last.1 = Duration::MAX;
    }
    silences
}
