//! Audio that a session has not settled yet: it is sent again to the next one.

use bytes::Bytes;
use std::collections::VecDeque;

/// G.711: codes in a millisecond.
pub(super) const SAMPLES_PER_MS: usize = 8;
/// Audio kept while the caller speaks without a final result.
const REPLAY_MAX_MS: usize = 15_000;
/// Audio kept during silence, because speech onset is detected late.
const REPLAY_LEAD_MS: usize = 1_000;

/// Audio without final text.
#[derive(Debug, Default)]
pub(super) struct ReplayBuffer {
    pub(super) pieces: VecDeque<Bytes>,
    codes: usize,
    /// Codes that were here before and are gone.
    pub(super) gone: u64,
    /// Someone speaks, or may: nobody listens at the moment.
    pub(super) speaking: bool,
}

impl ReplayBuffer {
    /// Nobody listens yet: whatever is said is kept.
    pub(super) fn of_speech() -> Self {
        Self { speaking: true, ..Self::default() }
    }

    pub(super) fn push(&mut self, codes: Bytes) {
        self.codes += codes.len();
        self.pieces.push_back(codes);
        self.trim();
    }

    fn trim(&mut self) {
        let keep_ms = if self.speaking { REPLAY_MAX_MS } else { REPLAY_LEAD_MS };
        while self.codes > keep_ms * SAMPLES_PER_MS {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.pieces.pop_front() {
            self.codes -= first.len();
            self.gone += first.len() as u64;
        }
    }

    /// Drops audio before a point; outside of speech that is all of the utterance.
    pub(super) fn settle(&mut self, until_codes: u64, utterance_over: bool) {
        while self.pieces.front().is_some_and(|first| self.gone + first.len() as u64 <= until_codes) {
            self.drop_first();
        }
        if utterance_over {
            self.speaking = false;
            self.trim();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(replay_buffer: &mut ReplayBuffer) {
        for _ in 0..50 {
            replay_buffer.push(Bytes::from_static(&[0; 160]));
        }
    }

    #[test]
    fn replay_buffer_keeps_audio_without_final_words() {
        let mut replay_buffer = ReplayBuffer::default();
        for _ in 0..5 {
            second(&mut replay_buffer);
        }
        assert_eq!((replay_buffer.codes, replay_buffer.gone), (8_000, 32_000), "silence is kept for a second");
        replay_buffer.speaking = true;
        for _ in 0..3 {
            second(&mut replay_buffer);
        }
        assert_eq!(replay_buffer.codes, 32_000);
        // Words are final up to 6.5 s of the call, and more is being said.
        replay_buffer.settle(52_000, false);
        assert_eq!((replay_buffer.codes, replay_buffer.speaking), (12_000, true));
        replay_buffer.settle(60_000, true);
        assert_eq!((replay_buffer.codes, replay_buffer.speaking), (4_000, false));
        replay_buffer.speaking = true;
        for _ in 0..30 {
            second(&mut replay_buffer);
        }
        assert_eq!(replay_buffer.codes, 120_000, "speech without an end is kept only for a while");
    }
}
