//! Which segment is synthesized next and by which voice: sentences in order, the next one requested while the current
//! one streams. If a voice fails, the next one speaks the rest of the sentence, and the first one comes back with the
//! sentence after it; a voice that fails again rests for longer.
//!
//! Pure: `F` is what delivers the audio of a request. The driver opens it and says what it delivered.

use super::utterance;
use super::voice_text::{TtsVoice, VoiceText};
use crate::dialogue::response::spoken;
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
/// Sentences for which a voice rests after a timeout or its second failure in a row; each further one doubles them.
const REST_SENTENCES: u32 = 2;
const REST_SENTENCES_MAX: u32 = 16;
/// Failures in a row after which a voice is asked again with the usual patience.
const BRIEF_FAILURES_MAX: u32 = 2;
/// How long the caller waits for a sound, from the end of a turn on, whatever has stalled until then.
const ANSWER_MAX: Duration = Duration::from_millis(2_600);
/// What a voice gets in any case.
const FIRST_AUDIO_MIN: Duration = Duration::from_millis(250);
/// How long a voice that has failed more often than [`BRIEF_FAILURES_MAX`] may be silent when it is asked again, and any voice
/// that goes on with a sentence.
const RETRY_PATIENCE: Duration = Duration::from_millis(700);
/// How long before the sound of earlier sentences has been heard a voice that owes the next one is given up: another one
/// has begun by then.
const TAKE_OVER: Duration = Duration::from_secs(1);
/// How long the caller may hear nothing in the middle of a sentence.
const STALL_MAX: Duration = Duration::from_secs(2);
/// The same once a sentence is as long as this voice says it: its end was not told.
const UNTOLD_END_MAX: Duration = Duration::from_millis(800);
/// Share of its usual length, in percent, with which a sentence counts as whole then.
const WHOLE_PERCENT: u64 = 95;
/// What a voice owes that has said a sentence as long as it is.
pub const END_OF_AUDIO: &str = "end of audio";
/// Samples up to this size are digital silence: zero, and the smallest step of A-law.
const SILENCE_MAX: u16 = 8;
/// Samples of digital silence with which nothing has been said.
const SILENT_START_MAX: usize = 3 * SAMPLE_RATE_HZ as usize;
/// What a voice owes that has ended a sentence long before it can be over.
const REST_OF_SENTENCE: &str = "a sentence was cut off (too_short)";

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
    /// A voice has lost words of a sentence, and is asked for them once more.
    AskedAgain {
        /// What it said.
        failure: ProviderError,
    },
    /// No voice could speak a segment, or speak it to its end.
    Failed {
        /// The segment.
        segment: SegmentId,
        /// What the last voice said.
        failure: ProviderError,
    },
}

/// Text that a voice is to speak now. The driver opens its feed and hands both to [`TtsQueue::handle_started`].
#[derive(Debug, PartialEq, Eq)]
pub struct TtsRequest {
    /// The place of the voice in the order.
    pub tts: usize,
    /// What it speaks.
    pub text: VoiceText,
    /// The text for voices that it was made from.
    source: String,
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
    text: VoiceText,
    /// What it was made from.
    source: String,
    /// The place of its voice in the order.
    tts: usize,
    feed: F,
    began: Instant,
    /// Samples and characters spoken by the previous provider.
    before: (u64, u32),
    /// It speaks what a voice, perhaps the same, has lost.
    is_rest: bool,
    total: u64,
    /// The silence with which it begins: nobody hears it before a sound follows.
    silent_start: Vec<i16>,
    marks: Vec<(u64, u32)>,
}

/// The segments of a call on their way from text to audio.
#[derive(Debug)]
pub struct TtsQueue<F> {
    voices: Vec<VoiceState>,
    queued: VecDeque<(SegmentId, String)>,
    /// The rest of a sentence whose voice failed.
    rest: Option<TtsRequest>,
    active: VecDeque<ActiveSynthesis<F>>,
    /// Synthesised and not yet heard to the end.
    unplayed: VecDeque<SegmentId>,
    /// When everything that was delivered has been played, if nothing holds it up.
    played_until: Option<Instant>,
    /// When the last sentence was delivered: a voice that speaks one after the other begins the next one then.
    delivered_at: Option<Instant>,
    /// The end of the turn after which the caller has heard nothing.
    caller_waits_since: Option<Instant>,
    /// The newest response that has a segment here.
    last_response: u32,
    events: VecDeque<TtsPipelineEvent>,
}

impl<F> ActiveSynthesis<F> {
    /// Its text has more than a pause.
    fn is_to_be_heard(&self) -> bool {
        !self.text.sent.contains("<break")
    }
}

fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() <= SILENCE_MAX)
}

/// The failure of a voice that sends nothing but silence.
fn mute() -> ProviderError {
    ProviderError::Disconnected("no audio but digital silence (no_audio)".to_owned())
}

/// A voice, and how it has done so far.
#[derive(Debug)]
struct VoiceState {
    voice: TtsVoice,
    health: VoiceHealth,
    /// Samples and characters of its finished sentences: its speech rate.
    speech_rate: (u64, u64),
}

/// Whether a voice is asked for the next sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VoiceHealth {
    Well,
    /// It failed so often in a row, the last time at `at`, and is passed over for so many sentences.
    Failed {
        times: u32,
        at: Instant,
        rest: u32,
    },
    /// Its key is refused: asking again is no use in this call.
    Refused,
}

impl VoiceHealth {
    fn is_asked(self) -> bool {
        match self {
            Self::Well | Self::Failed { rest: 0, .. } => true,
            Self::Failed { .. } | Self::Refused => false,
        }
    }

    /// What is left of it after a failure. After the first one the voice is asked for the next sentence again, unless
    /// the caller has waited for it.
    fn after(self, failure: &ProviderError, now: Instant) -> Self {
        let before = match self {
            Self::Well => 0,
            Self::Failed { times, .. } => times,
            Self::Refused => return Self::Refused,
        };
        match failure {
            ProviderError::Timeout(_) => {}
            failure if failure.is_final() => return Self::Refused,
            _ if before == 0 => return Self::Failed { times: 1, at: now, rest: 0 },
            _ => {}
        }
        let times = before + 1;
        Self::Failed { times, at: now, rest: (REST_SENTENCES << times.min(4)).min(REST_SENTENCES_MAX) }
    }

    /// The agent begins to say something else: a voice that is back speaks it.
    fn begin_response(&mut self) {
        if let Self::Failed { rest, .. } = self {
            *rest = 0;
        }
    }

    /// How long it may be silent at first, of what it usually may.
    fn patience(self, usual: Duration) -> Duration {
        match self {
            Self::Failed { times, .. } if times > BRIEF_FAILURES_MAX => usual.min(RETRY_PATIENCE),
            Self::Well | Self::Failed { .. } | Self::Refused => usual,
        }
    }

    /// A sentence begins.
    fn pass_sentence(&mut self) {
        if let Self::Failed { rest, .. } = self {
            *rest = rest.saturating_sub(1);
        }
    }
}

impl<F> TtsQueue<F> {
    /// Creates a queue for voices in order of preference.
    pub fn new(voices: Vec<TtsVoice>) -> Self {
        let well = |voice| VoiceState { voice, health: VoiceHealth::Well, speech_rate: (0, 0) };
        Self {
            voices: voices.into_iter().map(well).collect(),
            queued: VecDeque::new(),
            rest: None,
            active: VecDeque::new(),
            unplayed: VecDeque::new(),
            played_until: None,
            delivered_at: None,
            caller_waits_since: None,
            last_response: 0,
            events: VecDeque::new(),
        }
    }

    /// The place of the voice that speaks now, or speaks next.
    pub fn current(&self) -> usize {
        self.active.front().map_or_else(|| self.next_voice(0), |active| active.tts)
    }

    /// The first voice from a place on that is asked; the last one always is.
    fn next_voice(&self, from: usize) -> usize {
        let found = self.voices.iter().skip(from).position(|voice| voice.health.is_asked());
        found.map_or(self.voices.len().saturating_sub(1), |place| from + place)
    }

    /// The voice that would speak a text now, and what it would be sent; `None` while others are to be spoken.
    pub fn text_of_next(&self, text: &str) -> Option<(usize, String)> {
        let is_idle = self.active.is_empty() && self.queued.is_empty() && self.rest.is_none();
        let place = self.next_voice(0);
        let voice = &self.voices.get(place).filter(|_| is_idle)?.voice;
        Some((place, voice.text(text).sent))
    }

    /// When everything that was delivered has been played, if nothing holds it up.
    pub fn played_until(&self) -> Option<Instant> {
        self.played_until
    }

    /// Since when the caller has waited for a sound.
    pub fn set_caller_waits_since(&mut self, since: Option<Instant>) {
        self.caller_waits_since = since;
    }

    /// Queues a segment. With a new response the chosen voice is asked again; one that has failed again and again gets less
    /// time for it.
    pub fn speak(&mut self, segment: SegmentId, text: String) {
        if segment.response_id > self.last_response {
            self.last_response = segment.response_id;
            self.voices.iter_mut().for_each(|voice| voice.health.begin_response());
        }
        self.queued.push_back((segment, text));
    }

    /// Cancels everything of this response and earlier ones.
    pub fn cancel_response(&mut self, response_id: u32) {
        self.queued.retain(|(segment, _)| segment.response_id > response_id);
        self.active.retain(|active| active.segment.response_id > response_id);
        self.unplayed.retain(|segment| segment.response_id > response_id);
        self.rest.take_if(|rest| rest.segment.response_id <= response_id);
        self.played_until = None;
        self.delivered_at = None;
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
            let request = self.request(self.next_voice(0), segment, text, (0, 0), false);
            self.voices.iter_mut().for_each(|voice| voice.health.pass_sentence());
            if request.is_some() {
                return request;
            }
        }
        None
    }

    fn request(
        &self, tts: usize, segment: SegmentId, text: String, before: (u64, u32), is_rest: bool,
    ) -> Option<TtsRequest> {
        let is_alone = tts + 2 >= self.voices.len();
        let source = text;
        let text = self.voices.get(tts)?.voice.text(&source);
        Some(TtsRequest { tts, text, source, is_alone, segment, before, is_rest })
    }

    /// A request was sent; its audio comes from the feed.
    pub fn handle_started(&mut self, request: TtsRequest, feed: F, now: Instant) {
        let TtsRequest { tts, text, source, segment, before, is_rest, .. } = request;
        let name = self.voices.get(tts).map(|state| state.voice.name.clone()).unwrap_or_default();
        let characters = text.sent.chars().count() as u64;
        self.events.push_back(TtsPipelineEvent::Requested { tts: name, characters });
        let active = ActiveSynthesis {
            segment,
            text,
            source,
            tts,
            feed,
            began: now,
            before,
            is_rest,
            total: 0,
            silent_start: Vec::new(),
            marks: Vec::new(),
        };
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

    /// When that segment's voice has kept silent for too long, and what it owes then: its first sound, within `patience` and
    /// not before the sound of earlier sentences runs out, or the next one, before the caller has heard nothing for
    /// [`STALL_MAX`].
    pub fn audio_deadline(&self, patience: Option<Duration>) -> Option<(Instant, &'static str)> {
        let active = self.active.front()?;
        if active.total == 0 {
            let health = self.voices.get(active.tts).map_or(VoiceHealth::Well, |voice| voice.health);
            let patience = health.patience(patience?);
            // The caller has heard nothing since the sentence broke off.
            let patience = if active.before.0 > 0 { patience.min(RETRY_PATIENCE) } else { patience };
            let its_turn = self.delivered_at.map(|at| at + RETRY_PATIENCE);
            let unheard = self.played_until.and_then(|until| until.checked_sub(TAKE_OVER));
            let usual = [its_turn, unheard].into_iter().flatten().fold(active.began + patience, Instant::max);
            let due = self.caller_waits_since.map(|since| (since + ANSWER_MAX).max(active.began + FIRST_AUDIO_MIN));
            return Some((due.map_or(usual, |due| due.min(usual)), "first audio"));
        }
        let has_others = active.tts + 1 < self.voices.len();
        if let Some(until) = self.played_until.filter(|_| self.is_whole(active)) {
            return Some((until + UNTOLD_END_MAX, END_OF_AUDIO));
        }
        self.played_until.filter(|_| has_others).map(|until| (until + STALL_MAX, "next audio"))
    }

    /// A sentence is about as long as its voice says it, by the sentences before.
    fn is_whole(&self, active: &ActiveSynthesis<F>) -> bool {
        let is_known = self.voices.get(active.tts).is_some_and(|state| state.speech_rate.1 > 0);
        let usual = self.estimated_samples(active.tts, &active.text.plain);
        is_known && active.total * 100 >= usual * WHOLE_PERCENT
    }

    /// Samples that its feed has delivered. Digital silence at the start is held back until a sound follows.
    pub fn handle_audio(&mut self, samples: Vec<i16>, now: Instant) -> Option<TtsPipelineEvent> {
        let active = self.active.front_mut()?;
        let samples = if active.total == 0 && active.is_to_be_heard() {
            if is_silent(&samples) {
                active.silent_start.extend(samples);
                let is_mute = active.silent_start.len() >= SILENT_START_MAX;
                return is_mute.then(|| self.handle_failed(mute(), now)).flatten();
            }
            let mut start = std::mem::take(&mut active.silent_start);
            start.extend(samples);
            start
        } else {
            samples
        };
        active.total += samples.len() as u64;
        if !samples.is_empty() {
            self.caller_waits_since = None;
        }
        let segment = active.segment;
        let length = Duration::from_millis(samples.len() as u64 * 1_000 / u64::from(SAMPLE_RATE_HZ));
        self.played_until = Some(self.played_until.map_or(now, |until| until.max(now)) + length);
        (!samples.is_empty()).then_some(TtsPipelineEvent::Audio { segment, samples })
    }

    /// When it speaks which words, counted from the start of the request.
    pub fn handle_word_timestamps(&mut self, marks: &[WordTimestamp]) -> Option<TtsPipelineEvent> {
        let active = self.active.front_mut()?;
        let (samples, chars) = active.before;
        let at = |mark: &WordTimestamp| {
            let at = samples + u64::from(mark.at_ms) * u64::from(SAMPLE_RATE_HZ) / 1_000;
            (at, chars + active.text.chars_said(mark.chars))
        };
        let marks: Vec<_> = marks.iter().map(at).collect();
        active.marks.extend_from_slice(&marks);
        Some(TtsPipelineEvent::WordTimestamps { segment: active.segment, marks })
    }

    /// It has delivered everything; `samples` are the last. A sentence that cannot be over yet is one that was cut off: the
    /// same voice is asked for the rest of it, once.
    pub fn handle_done(&mut self, mut samples: Vec<i16>, now: Instant) -> Option<TtsPipelineEvent> {
        let active = self.active.front_mut()?;
        if !active.silent_start.is_empty() {
            let start = std::mem::take(&mut active.silent_start);
            if is_silent(&samples) {
                let is_rest = active.is_rest;
                return if is_rest { self.handle_failed(mute(), now) } else { self.ask_for_rest(mute()) };
            }
            samples.splice(0..0, start);
        }
        active.total += samples.len() as u64;
        if self.active.front().is_some_and(|active| self.is_cut_off(active)) {
            let segment = self.active.front()?.segment;
            let failure = ProviderError::Disconnected(REST_OF_SENTENCE.to_owned());
            let end = self.ask_for_rest(failure);
            let audio = (!samples.is_empty()).then_some(TtsPipelineEvent::Audio { segment, samples });
            if let (Some(_), Some(end)) = (&audio, end) {
                self.events.push_back(end);
            }
            return audio;
        }
        let active = self.active.pop_front()?;
        self.delivered_at = Some(now);
        if let Some(state) = self.voices.get_mut(active.tts) {
            state.health = VoiceHealth::Well;
        }
        if let Some(state) =
            self.voices.get_mut(active.tts).filter(|_| utterance::is_speech(active.total, &active.text.plain))
        {
            state.speech_rate.0 += active.total;
            state.speech_rate.1 += active.text.plain.chars().count() as u64;
        }
        Some(self.done(active.segment, samples, active.before.0 + active.total))
    }

    /// Whether a sentence has ended long before its voice can have said it: by its own rate, or the usual one, and by what
    /// any voice can do.
    fn is_cut_off(&self, active: &ActiveSynthesis<F>) -> bool {
        let plain = active.text.plain.as_str();
        let weight = utterance::weight(plain);
        if active.is_rest || active.before != (0, 0) || weight < utterance::WEIGHT_MIN {
            return false;
        }
        let whole = plain.chars().count() as u64;
        if active.marks.last().is_some_and(|(at, chars)| u64::from(*chars) + 2 >= whole && *at <= active.total) {
            return false;
        }
        let is_known = self.voices.get(active.tts).is_some_and(|state| state.speech_rate.1 > utterance::WEIGHT_MIN);
        let usual = if is_known { self.estimated_samples(active.tts, plain) } else { utterance::usual_samples(weight) };
        utterance::is_cut_off(active.total, usual, weight)
    }

    /// The same voice speaks what it has lost.
    fn ask_for_rest(&mut self, failure: ProviderError) -> Option<TtsPipelineEvent> {
        let active = self.active.pop_front()?;
        let tts = active.tts;
        self.events.push_back(TtsPipelineEvent::AskedAgain { failure });
        self.request_rest(active, tts)
    }

    fn done(&mut self, segment: SegmentId, samples: Vec<i16>, total: u64) -> TtsPipelineEvent {
        self.unplayed.push_back(segment);
        TtsPipelineEvent::Done { segment, samples, total }
    }

    /// Its voice failed: the next one speaks the rest. Returns what is to be told at once.
    pub fn handle_failed(&mut self, failure: ProviderError, now: Instant) -> Option<TtsPipelineEvent> {
        let active = self.active.pop_front()?;
        let next = self.replacement(&active, &failure, now);
        let (segment, tts, heard) = (active.segment, active.tts, active.before.0 + active.total);
        let Some(next) = next else {
            if heard > 0 {
                // Half the sentence was heard: it ends there.
                self.events.push_back(TtsPipelineEvent::Failed { segment, failure });
                return Some(self.done(segment, Vec::new(), heard));
            }
            return Some(TtsPipelineEvent::Failed { segment, failure });
        };
        if next == tts {
            self.events.push_back(TtsPipelineEvent::AskedAgain { failure });
        } else {
            let switch = Failover {
                stage: PipelineStage::Tts,
                from: self.voices[tts].voice.name.clone(),
                to: self.voices[next].voice.name.clone(),
                reason: failure.kind(),
                after: now.saturating_duration_since(active.began),
            };
            self.events.push_back(TtsPipelineEvent::FailedOver { switch, failure });
        }
        self.request_rest(active, next)
    }

    /// A voice is asked for what was not heard of a sentence; if nothing is left, it is done.
    fn request_rest(&mut self, active: ActiveSynthesis<F>, next: usize) -> Option<TtsPipelineEvent> {
        let said = self.estimated_samples(active.tts, &active.text.plain);
        let ActiveSynthesis { segment, text, source, total, before: (samples, chars), marks, .. } = active;
        let own: Vec<(u64, u32)> = marks.iter().map(|(at, count)| (at - samples, count - chars)).collect();
        let (heard, rest) =
            if total == 0 { ("", source.as_str()) } else { spoken(&text.plain, total, Some(said), &own) };
        if rest.is_empty() {
            return Some(self.done(segment, Vec::new(), samples + total));
        }
        let skipped = (heard.chars().count() + usize::from(!heard.is_empty())) as u32;
        self.rest = self.request(next, segment, rest.to_owned(), (samples + total, chars + skipped), true);
        None
    }

    /// Who speaks what a voice has not: the next one that is asked, if there is one. A sentence that was under way when
    /// its voice failed another one belongs to the same failure: whoever is asked now is asked for it.
    fn replacement(&mut self, active: &ActiveSynthesis<F>, failure: &ProviderError, now: Instant) -> Option<usize> {
        let state = self.voices.get_mut(active.tts)?;
        if matches!(state.health, VoiceHealth::Failed { at, .. } if active.began <= at) {
            return Some(self.next_voice(0));
        }
        let breaks_off = active.total > 0 && failure.is_retryable();
        let is_first = state.health == VoiceHealth::Well && active.before == (0, 0);
        state.health = state.health.after(failure, now);
        // In the middle of a sentence another voice is worse than a gap.
        if breaks_off && is_first {
            return Some(active.tts);
        }
        let next = active.tts + 1;
        (next < self.voices.len()).then(|| self.next_voice(next))
    }

    /// Estimated samples of a text at the speech rate of a voice.
    fn estimated_samples(&self, tts: usize, text: &str) -> u64 {
        let chars = text.chars().count() as u64;
        match self.voices.get(tts).map_or((0, 0), |state| state.speech_rate) {
            (samples, said) if said > 0 => chars * samples / said,
            _ => chars * u64::from(SAMPLE_RATE_HZ) / CHARACTERS_PER_SECOND,
        }
    }
}

#[cfg(test)]
mod tests;
