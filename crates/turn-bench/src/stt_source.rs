//! The STT of a turn that is played: simulated from words with their times, or as a service was heard.

use super::heard_words::HeardStt;
use super::words::SimulatedStt;
use std::time::Duration;
use trunkline_providers::SttEvent;

/// Where the events of STT come from. Times are those of the row.
#[derive(Debug)]
pub enum SttSource<'a> {
    /// From the words of the row.
    Simulated(SimulatedStt<'a>),
    /// From a recording of a service.
    Heard(HeardStt<'a>),
}

impl SttSource<'_> {
    /// When something comes next.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Self::Simulated(stt) => stt.poll_timeout(),
            Self::Heard(stt) => stt.poll_timeout(),
        }
    }

    /// What comes now, if anything does.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<SttEvent> {
        match self {
            Self::Simulated(stt) => stt.handle_timeout(now),
            Self::Heard(stt) => stt.handle_timeout(now),
        }
    }

    /// It is asked for what it has.
    pub fn finalize(&mut self, now: Duration) {
        match self {
            Self::Simulated(stt) => stt.finalize(now),
            Self::Heard(stt) => stt.finalize(now),
        }
    }
}
