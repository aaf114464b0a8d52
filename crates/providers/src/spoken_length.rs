//! Whether a voice that does not tell the end of a text has said all of it.

use super::{AudioFormat, TtsEvent};
use std::time::Duration;
use tokio::time::Instant;

/// A letter takes a quick voice so long.
const LETTER: Duration = Duration::from_millis(50);
/// The shortest text.
const TEXT_MIN: Duration = Duration::from_millis(300);
/// Silence behind the last sound after which the text is over.
const END_AFTER: Duration = Duration::from_millis(500);

/// The sound of one text so far.
#[derive(Debug)]
pub(crate) struct SpokenLength {
    chars: usize,
    /// Characters that word timestamps have reached.
    marked: usize,
    total: Duration,
    /// Until when the sound so far lasts if it was played as it came.
    lasts_until: Option<Instant>,
}

impl SpokenLength {
    /// Nothing of the text was said.
    pub(crate) fn of(text: &str) -> Self {
        Self { chars: text.trim_end().chars().count(), marked: 0, total: Duration::ZERO, lasts_until: None }
    }

    /// Sound or word timestamps of the text have come.
    pub(crate) fn handle_event(&mut self, now: Instant, event: &TtsEvent, format: AudioFormat) {
        match event {
            TtsEvent::Audio(bytes) => {
                let bytes_a_second = match format {
                    AudioFormat::Pcm16 { rate_hz } => u64::from(rate_hz) * 2,
                    AudioFormat::Mulaw => 8_000,
                };
                let length = Duration::from_millis(bytes.len() as u64 * 1_000 / bytes_a_second.max(1));
                self.total += length;
                self.lasts_until = Some(self.lasts_until.map_or(now, |until| until.max(now)) + length);
            }
            TtsEvent::WordTimestamps(marks) => {
                let last = marks.last().map_or(0, |mark| mark.chars as usize);
                self.marked = self.marked.max(last);
            }
            TtsEvent::Done | TtsEvent::Failed(_) => {}
        }
    }

    /// When the text is over if nothing more comes of it; `None` while more of it has to come.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        let usual = (LETTER * u32::try_from(self.chars).unwrap_or(u32::MAX)).max(TEXT_MIN);
        let is_whole = self.marked >= self.chars || self.marked == 0 && self.total >= usual;
        self.lasts_until.filter(|_| is_whole).map(|until| until + END_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WordTimestamp;

    const MS: Duration = Duration::from_millis(1);

    fn sound(ms: usize) -> TtsEvent {
        TtsEvent::Audio(vec![0xFF; ms * 8].into())
    }

    #[test]
    fn a_text_is_over_where_its_sound_is_as_long_as_it_is_or_its_last_word_was_marked() {
        let now = Instant::now();
        let marks = |chars| TtsEvent::WordTimestamps(vec![WordTimestamp { at_ms: 0, chars }]);
        let text = "It came yesterday."; // 18 characters
        for (case, events, wanted) in [
            ("nothing", vec![], None),
            ("the half", vec![sound(450)], None),
            ("all", vec![sound(450), sound(550)], Some(1_500)),
            ("all of a slow voice", vec![sound(2_000)], Some(2_500)),
            ("not the last word", vec![marks(7), sound(2_000)], None),
            ("the last word", vec![marks(18), sound(600)], Some(1_100)),
            ("no sound", vec![marks(18)], None),
        ] {
            let mut length = SpokenLength::of(text);
            events.iter().for_each(|event| length.handle_event(now, event, AudioFormat::Mulaw));
            assert_eq!(length.ends_at(), wanted.map(|ms| now + ms * MS), "{case}");
        }
        let mut late = SpokenLength::of("Yes.");
        late.handle_event(now, &sound(300), AudioFormat::Mulaw);
        late.handle_event(
            now + 700 * MS,
            &TtsEvent::Audio(vec![0; 4_410].into()),
            AudioFormat::Pcm16 { rate_hz: 22_050 },
        );
        assert_eq!(late.ends_at(), Some(now + 1_300 * MS), "sound that comes late lasts longer");
    }
}
