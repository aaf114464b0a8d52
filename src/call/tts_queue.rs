//! Which segment is synthesized next and by which voice: sentences in order, the next one requested while the current
//! one streams. If a voice fails, the next one speaks the rest of the sentence and everything after it.
//!
//! Pure: `F` is what delivers the audio of a request. The driver opens it and says what it delivered.

use crate::dialogue::response::spoken;
use crate::dialogue::text_normalization::without_tags;
use crate::domain::provider::PipelineStage;
use crate::providers::{Failover, ProviderError, WordTimestamp};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use trunkline_media::frame::SAMPLE_RATE_HZ;
use trunkline_media::playout::queue::SegmentId;

/// Segments synthesised ahead of playback, the current one included: enough that speech never waits, few enough that a
/// barge-in wastes little.
const SEGMENTS_AHEAD_MAX: usize = 3;
/// Requests at once: the sentence streaming in and the one after it.
const REQUESTS_MAX: usize = 2;
/// Characters that a voice speaks in a second, until its own rate is known.
const CHARACTERS_PER_SECOND: u64 = 15;

/// What became of the text that was to be spoken.
#[derive(Debug, PartialEq)]
pub enum TtsPipelineEvent {
    /// Audio of a segment.
    Audio {
        /// The segment.
        segment: SegmentId,
        /// At 8 kHz, never empty.
        samples: Vec<i16>,
    },
    /// When words of a segment are spoken.
    WordTimestamps {
        /// The segment.
        segment: SegmentId,
        /// Samples, and characters spoken by then.
        marks: Vec<(u64, u32)>,
    },
    /// A segment is complete.
    Done {
        /// The segment.
        segment: SegmentId,
        /// Its last samples; may be empty.
        samples: Vec<i16>,
        /// Samples of the whole segment.
        total: u64,
    },
    /// A provider failed and the next one took over.
    FailedOver {
        /// From which voice to which.
        switch: Failover,
        /// Why.
        failure: ProviderError,
    },
    /// Text was sent to a provider: its name and the number of characters.
    Requested {
        /// `provider/model` of the voice.
        tts: String,
        /// Characters that were sent.
        characters: u64,
    },
    /// No voice could speak a segment, or speak it to its end.
    Failed {
        /// The segment.
        segment: SegmentId,
        /// What the last voice said.
        failure: ProviderError,
    },
}

/// A voice that may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TtsVoice {
    /// `provider/model`, as prices and records have it.
    pub name: String,
    /// It acts on audio tags; others would read them aloud.
    pub acts_on_tags: bool,
}

/// Text that a voice is to speak now. The driver opens its feed and hands both to [`TtsQueue::handle_started`].
#[derive(Debug, PartialEq, Eq)]
pub struct TtsRequest {
    /// The place of the voice in the order.
    pub tts: usize,
    /// What it speaks.
    pub text: String,
    /// Only the local voice is left after it: it is worth a second attempt.
    pub is_alone: bool,
    segment: SegmentId,
    /// Samples and characters that an earlier voice has spoken of the segment.
    before: (u64, u32),
    /// It speaks the rest of a sentence, before everything else.
    is_rest: bool,
}

#[derive(Debug)]
struct ActiveSynthesis<F> {
    segment: SegmentId,
    /// The text in progress; after a failover, the rest of the sentence.
    text: String,
    /// The place of its voice in the order.
    tts: usize,
    feed: F,
    began: Instant,
    /// Samples and characters spoken by the previous provider.
    before: (u64, u32),
    total: u64,
    marks: Vec<(u64, u32)>,
}

/// The segments of a call on their way from text to audio.
#[derive(Debug)]
pub struct TtsQueue<F> {
    voices: Vec<TtsVoice>,
    /// The current voice; never goes back, so the caller hears at most one change of voice per failure.
    current: usize,
    queued: VecDeque<(SegmentId, String)>,
    /// The rest of a sentence whose voice failed.
    rest: Option<TtsRequest>,
    active: VecDeque<ActiveSynthesis<F>>,
    /// Synthesised and not yet heard to the end.
    unplayed: VecDeque<SegmentId>,
    events: VecDeque<TtsPipelineEvent>,
    /// Samples and characters of finished sentences of the current voice: its speech rate.
    speech_rate: (u64, u64),
}

impl<F> TtsQueue<F> {
    /// Creates a queue for voices in order of preference.
    pub fn new(voices: Vec<TtsVoice>) -> Self {
        Self {
            voices,
            current: 0,
            queued: VecDeque::new(),
            rest: None,
            active: VecDeque::new(),
            unplayed: VecDeque::new(),
            events: VecDeque::new(),
            speech_rate: (0, 0),
        }
    }

    /// The place of the voice that speaks now.
    pub fn current(&self) -> usize {
        self.current
    }

    /// Queues a segment.
    pub fn speak(&mut self, segment: SegmentId, text: String) {
        self.queued.push_back((segment, text));
    }

    /// Cancels everything of this response and earlier ones.
    pub fn cancel_response(&mut self, response_id: u32) {
        self.queued.retain(|(segment, _)| segment.response_id > response_id);
        self.active.retain(|active| active.segment.response_id > response_id);
        self.unplayed.retain(|segment| segment.response_id > response_id);
        self.rest.take_if(|rest| rest.segment.response_id <= response_id);
    }

    /// A segment was heard to its end.
    pub fn handle_played(&mut self, segment: SegmentId) {
        self.unplayed.retain(|unheard| *unheard != segment);
    }

    /// What is to be requested now. To be asked after every change until nothing is.
    pub fn poll_request(&mut self) -> Option<TtsRequest> {
        if let Some(rest) = self.rest.take() {
            return Some(rest);
        }
        while self.active.len() < REQUESTS_MAX
            && self.active.len() + self.unplayed.len() < SEGMENTS_AHEAD_MAX
            && let Some((segment, text)) = self.queued.pop_front()
        {
            if let Some(request) = self.request(segment, text, (0, 0), false) {
                return Some(request);
            }
        }
        None
    }

    fn request(&self, segment: SegmentId, text: String, before: (u64, u32), is_rest: bool) -> Option<TtsRequest> {
        let (tts, is_alone) = (self.current, self.current + 2 >= self.voices.len());
        let acts = self.voices.get(tts)?.acts_on_tags;
        let text = if acts || !text.contains('[') { text } else { without_tags(&text) };
        Some(TtsRequest { tts, text, is_alone, segment, before, is_rest })
    }

    /// A request was sent; its audio comes from the feed.
    pub fn handle_started(&mut self, request: TtsRequest, feed: F, now: Instant) {
        let TtsRequest { tts, text, segment, before, is_rest, .. } = request;
        let name = self.voices.get(tts).map(|voice| voice.name.clone()).unwrap_or_default();
        let characters = text.chars().count() as u64;
        self.events.push_back(TtsPipelineEvent::Requested { tts: name, characters });
        let active = ActiveSynthesis { segment, text, tts, feed, began: now, before, total: 0, marks: Vec::new() };
        if is_rest { self.active.push_front(active) } else { self.active.push_back(active) }
    }

    /// Events that are waiting to be told.
    pub fn poll_event(&mut self) -> Option<TtsPipelineEvent> {
        self.events.pop_front()
    }

    /// The feed of the segment that is next to be heard; `None` while nothing is being synthesised.
    pub fn feed(&mut self) -> Option<&mut F> {
        self.active.front_mut().map(|active| &mut active.feed)
    }

    /// When that segment's voice has kept silent for too long.
    pub fn first_audio_deadline(&self, patience: Option<Duration>) -> Option<Instant> {
        let active = self.active.front().filter(|active| active.total == 0)?;
        Some(active.began + patience?)
    }

    /// Samples that its feed has delivered.
    pub fn handle_audio(&mut self, samples: Vec<i16>) -> Option<TtsPipelineEvent> {
        let active = self.active.front_mut()?;
        active.total += samples.len() as u64;
        let segment = active.segment;
        (!samples.is_empty()).then_some(TtsPipelineEvent::Audio { segment, samples })
    }

    /// When it speaks which words, counted from the start of the request.
    pub fn handle_word_timestamps(&mut self, marks: &[WordTimestamp]) -> Option<TtsPipelineEvent> {
        let active = self.active.front_mut()?;
        let (samples, chars) = active.before;
        let at = |mark: &WordTimestamp| {
            (samples + u64::from(mark.at_ms) * u64::from(SAMPLE_RATE_HZ) / 1_000, chars + mark.chars)
        };
        let marks: Vec<_> = marks.iter().map(at).collect();
        active.marks.extend_from_slice(&marks);
        Some(TtsPipelineEvent::WordTimestamps { segment: active.segment, marks })
    }

    /// It has delivered everything; `samples` are the last.
    pub fn handle_done(&mut self, samples: Vec<i16>) -> Option<TtsPipelineEvent> {
        let active = self.active.pop_front()?;
        let total = active.total + samples.len() as u64;
        if active.tts == self.current {
            self.speech_rate.0 += total;
            self.speech_rate.1 += active.text.chars().count() as u64;
        }
        Some(self.done(active.segment, samples, active.before.0 + total))
    }

    fn done(&mut self, segment: SegmentId, samples: Vec<i16>, total: u64) -> TtsPipelineEvent {
        self.unplayed.push_back(segment);
        TtsPipelineEvent::Done { segment, samples, total }
    }

    /// Its voice failed: the next one takes over. Returns what is to be told at once.
    pub fn handle_failed(&mut self, failure: ProviderError, now: Instant) -> Option<TtsPipelineEvent> {
        let active = self.active.pop_front()?;
        if active.tts == self.current {
            // Its other sentences would be split between two voices.
            self.current += 1;
            self.speech_rate = (0, 0);
            for later in std::mem::take(&mut self.active).into_iter().rev() {
                self.queued.push_front((later.segment, later.text));
            }
        }
        let ActiveSynthesis { segment, text, total, tts, began, before: (samples, chars), marks, .. } = active;
        let Some(next) = self.voices.get(self.current) else {
            // The last voice is tried again with the next sentence.
            self.current = self.voices.len().saturating_sub(1);
            if samples + total > 0 {
                // Half the sentence was heard: it ends there.
                self.events.push_back(TtsPipelineEvent::Failed { segment, failure });
                return Some(self.done(segment, Vec::new(), samples + total));
            }
            return Some(TtsPipelineEvent::Failed { segment, failure });
        };
        let switch = Failover {
            stage: PipelineStage::Tts,
            from: self.voices[tts].name.clone(),
            to: next.name.clone(),
            reason: failure.kind(),
            after: now.saturating_duration_since(began),
        };
        let own: Vec<(u64, u32)> = marks.iter().map(|(at, count)| (at - samples, count - chars)).collect();
        let said = self.estimated_samples(&text);
        let (heard, rest) = if total == 0 { ("", text.as_str()) } else { spoken(&text, total, Some(said), &own) };
        self.events.push_back(TtsPipelineEvent::FailedOver { switch, failure });
        if rest.is_empty() {
            return Some(self.done(segment, Vec::new(), samples + total));
        }
        let skipped = (heard.chars().count() + usize::from(!heard.is_empty())) as u32;
        self.rest = self.request(segment, rest.to_owned(), (samples + total, chars + skipped), true);
        None
    }

    /// Estimated samples of a text at the current speech rate.
    fn estimated_samples(&self, text: &str) -> u64 {
        let chars = text.chars().count() as u64;
        match self.speech_rate {
            (samples, said) if said > 0 => chars * samples / said,
            _ => chars * u64::from(SAMPLE_RATE_HZ) / CHARACTERS_PER_SECOND,
        }
    }
}

#[cfg(test)]
mod tests;
