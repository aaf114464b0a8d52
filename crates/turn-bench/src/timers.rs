//! Silence alone: a timer on the labelled silences, as eot-bench has it, and a timer on what our voice detection hears.

use super::line::{CallerAudio, RecordedLine};
use super::row::TurnRow;
use super::score::{RowOutcome, holds};
use std::time::Duration;
use trunkline_media::leg::LegEvent;

/// Delays of the timers: every 10 ms up to the longest pause that counts.
pub fn delays() -> impl Iterator<Item = Duration> {
    (10..=500).map(|step| Duration::from_millis(10 * step))
}

/// A timer that starts with each labelled silence: a hold that is longer is cut, and each end waits for the delay.
pub fn silence_alone(row: &TurnRow, delay: Duration) -> RowOutcome {
    let cut = holds(row).map(|span| (span.length() > delay).then_some((span.start + delay, Some(span.start + delay))));
    RowOutcome { cuts: cut.collect(), outside: 0, latency: Some(delay) }
}

/// The same timer on the silences that voice detection finds: it is late, and misses or splits some.
pub fn detected_silence_alone(
    row: &TurnRow, line: &RecordedLine, origin: std::time::Instant, delay: Duration,
) -> RowOutcome {
    let begins = CallerAudio::begins();
    let mut fired = Vec::new();
    let mut running: Option<Duration> = None;
    for (at, event) in &line.events {
        if let Some(due) = running.filter(|due| due < at) {
            fired.push(due);
            running = None;
        }
        match event {
            LegEvent::SpeechStarted { .. } => running = None,
            LegEvent::SpeechEnded { last_sound } => {
                let last_sound = last_sound.saturating_duration_since(origin);
                running = Some((last_sound + delay).max(*at));
            }
            _ => {}
        }
    }
    fired.extend(running);
    let fired: Vec<(Duration, Option<Duration>)> =
        fired.into_iter().filter(|at| *at >= begins).map(|at| (at - begins, Some(at - begins))).collect();
    RowOutcome::of_decisions(row, &fired, Duration::ZERO)
}
