//! The TTS pipeline of a call: sentences in order, the next one synthesised while the current one streams. If the TTS
//! provider fails, the next one speaks the rest of the sentence and everything after it.

use super::provider_plan;
use crate::call::machine::{CallSpec, acts_on_tags};
use crate::dialogue::response::spoken;
use crate::dialogue::text_normalization::without_tags;
use crate::domain::provider::PipelineStage;
use crate::domain::provider_config::TtsConfig;
use crate::providers::{
    AudioFormat, Failover, ProviderError, ProviderRegistry, TtsEvent, TtsStream, WordTimestamp, tts, vendors,
};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use trunkline_media::audio::{self, convert::StreamDecoder};
use trunkline_media::codec::Companding;
use trunkline_media::frame::SAMPLE_RATE_HZ;
use trunkline_media::playout::queue::SegmentId;

/// Segments synthesised ahead of playback, the current one included: enough that speech never waits, few enough that a
/// barge-in wastes little.
const SEGMENTS_AHEAD_MAX: usize = 3;
/// Requests at once: the sentence streaming in and the one after it.
const REQUESTS_MAX: usize = 2;

#[derive(Debug, PartialEq)]
pub(super) enum TtsPipelineEvent {
    Audio {
        segment: SegmentId,
        samples: Vec<i16>,
    },
    /// Samples, and characters spoken by then.
    WordTimestamps {
        segment: SegmentId,
        marks: Vec<(u64, u32)>,
    },
    Done {
        segment: SegmentId,
        samples: Vec<i16>,
        total: u64,
    },
    /// A provider failed and the next one took over.
    FailedOver {
        switch: Failover,
        failure: ProviderError,
    },
    /// Text was sent to a provider: its name and the number of characters.
    Requested {
        tts: String,
        characters: u64,
    },
    Failed {
        segment: SegmentId,
        failure: ProviderError,
    },
}

struct ActiveSynthesis {
    segment: SegmentId,
    /// The text in progress; after a failover, the rest of the sentence.
    text: String,
    /// The place of its voice among the candidates.
    tts: usize,
    speech: TtsStream,
    /// `None` for a rate that can't be converted: such audio is dropped.
    decoder: Option<StreamDecoder>,
    began: Instant,
    /// Samples and characters spoken by the previous provider.
    before: (u64, u32),
    total: u64,
    marks: Vec<(u64, u32)>,
}

struct TtsCandidate {
    config: TtsConfig,
    name: String,
    tts: Option<Box<dyn tts::TtsSession>>,
}

pub(super) struct TtsPipeline {
    providers: ProviderRegistry,
    spec: CallSpec,
    candidates: Vec<TtsCandidate>,
    /// The current candidate; never goes back, so the caller hears at most one change of voice per failure.
    current: usize,
    queued: VecDeque<(SegmentId, String)>,
    active: VecDeque<ActiveSynthesis>,
    /// Synthesised and not yet heard to the end.
    unplayed: VecDeque<SegmentId>,
    /// Events to be returned first.
    pending_events: VecDeque<TtsPipelineEvent>,
    /// Samples and characters of finished sentences of the current voice: its speech rate.
    speech_rate: (u64, u64),
}

impl TtsPipeline {
    /// `at_once`: connect the socket now, because TTS will be needed.
    pub(super) fn new(providers: ProviderRegistry, spec: CallSpec, at_once: bool) -> Self {
        let candidates = provider_plan::tts_configs(&spec).into_iter().map(|config| TtsCandidate {
            name: provider_plan::tts_name(&config),
            config,
            tts: None,
        });
        let mut tts = Self {
            candidates: candidates.collect(),
            providers,
            spec,
            current: 0,
            queued: VecDeque::new(),
            active: VecDeque::new(),
            unplayed: VecDeque::new(),
            pending_events: VecDeque::new(),
            speech_rate: (0, 0),
        };
        if at_once {
            tts.open();
        }
        tts
    }

    /// The present voice, opened: one with a socket connects now.
    fn open(&mut self) -> Option<&mut Box<dyn tts::TtsSession>> {
        let settings = self.spec.agent.voice_settings.clone().unwrap_or_default();
        let candidate = self.candidates.get_mut(self.current)?;
        Some(candidate.tts.get_or_insert_with(|| vendors::tts_session(&self.providers, &candidate.config, &settings)))
    }

    pub(super) fn speak(&mut self, segment: SegmentId, text: String) {
        let standing_by = self.candidates.iter().skip(self.current);
        let endpoints: Vec<_> = standing_by
            .map(|c| self.providers.endpoint(c.config.provider.account(), c.config.base_url.as_deref()))
            .collect();
        self.providers.keep_warm_connections(endpoints.iter(), PipelineStage::Tts);
        self.queued.push_back((segment, text));
        self.start_waiting();
    }

    /// Cancels everything of this response and earlier ones.
    pub(super) fn cancel_response(&mut self, response_id: u32) {
        self.queued.retain(|(segment, _)| segment.response_id > response_id);
        self.active.retain(|active| active.segment.response_id > response_id);
        self.unplayed.retain(|segment| segment.response_id > response_id);
        self.start_waiting();
    }

    /// A sentence was heard to its end.
    pub(super) fn handle_segment_played(&mut self, segment: SegmentId) {
        self.unplayed.retain(|unheard| *unheard != segment);
        self.start_waiting();
    }

    fn start_waiting(&mut self) {
        while self.active.len() < REQUESTS_MAX
            && self.active.len() + self.unplayed.len() < SEGMENTS_AHEAD_MAX
            && let Some((segment, text)) = self.queued.pop_front()
        {
            if let Some(active) = self.synthesize(segment, text, (0, 0)) {
                self.active.push_back(active);
            }
        }
    }

    fn synthesize(&mut self, segment: SegmentId, text: String, before: (u64, u32)) -> Option<ActiveSynthesis> {
        let (tts, alone) = (self.current, self.current + 2 >= self.candidates.len());
        // Fallback voices would read audio tags aloud.
        let acts = acts_on_tags(self.candidates.get(tts)?.config.model.as_deref());
        let text = if acts || !text.contains('[') { text } else { without_tags(&text) };
        let speech = self.open()?.speak(&text, alone);
        let characters = text.chars().count() as u64;
        self.pending_events
            .push_back(TtsPipelineEvent::Requested { tts: self.candidates[tts].name.clone(), characters });
        let decoder = speech_decoder(speech.format);
        let (began, marks) = (Instant::now(), Vec::new());
        Some(ActiveSynthesis { segment, text, tts, speech, decoder, began, before, total: 0, marks })
    }

    /// The next event; cancel safe. Pending while nothing is being synthesised.
    pub(super) async fn next(&mut self) -> TtsPipelineEvent {
        loop {
            if let Some(news) = self.pending_events.pop_front() {
                return news;
            }
            let patience = self.first_audio_timeout();
            let Some(active) = self.active.front_mut() else { return std::future::pending().await };
            let received = active.speech.stream.events.recv();
            let received = match patience.filter(|_| active.total == 0) {
                Some(patience) => tokio::time::timeout_at((active.began + patience).into(), received).await,
                None => Ok(received.await),
            };
            let event = received.unwrap_or_else(|_| self.slow_timeout());
            let Some(active) = self.active.front_mut() else { continue };
            let segment = active.segment;
            match event {
                Some(TtsEvent::Audio(bytes)) => {
                    let mut samples = Vec::new();
                    active.decoder.iter_mut().for_each(|decoder| decoder.push(&bytes, &mut samples));
                    active.total += samples.len() as u64;
                    if !samples.is_empty() {
                        return TtsPipelineEvent::Audio { segment, samples };
                    }
                }
                Some(TtsEvent::WordTimestamps(marks)) => {
                    let (samples, chars) = active.before;
                    let at = |mark: &WordTimestamp| {
                        (samples + u64::from(mark.at_ms) * u64::from(SAMPLE_RATE_HZ) / 1_000, chars + mark.chars)
                    };
                    let marks: Vec<_> = marks.iter().map(at).collect();
                    active.marks.extend_from_slice(&marks);
                    return TtsPipelineEvent::WordTimestamps { segment, marks };
                }
                Some(TtsEvent::Done) => {
                    let mut samples = Vec::new();
                    active.decoder.iter_mut().for_each(|decoder| decoder.finish(&mut samples));
                    let total = active.total + samples.len() as u64;
                    if active.tts == self.current {
                        self.speech_rate.0 += total;
                        self.speech_rate.1 += active.text.chars().count() as u64;
                    }
                    let total = active.before.0 + total;
                    self.active.pop_front();
                    return self.done(segment, samples, total);
                }
                failed => {
                    let failure = match failed {
                        Some(TtsEvent::Failed(failure)) => failure,
                        _ => ProviderError::Disconnected("TTS stream ended".to_owned()),
                    };
                    if let Some(event) = self.failed(failure) {
                        return event;
                    }
                }
            }
        }
    }

    /// How long to wait for the first audio when a fallback exists; the last candidate has the stage's own deadline.
    fn first_audio_timeout(&self) -> Option<Duration> {
        let fallbacks = self.spec.agent.fallbacks.as_ref()?;
        let hedge_ms = fallbacks.hedge_after_ms();
        (hedge_ms > 0 && self.current < fallbacks.tts.len()).then(|| Duration::from_millis(hedge_ms))
    }

    fn slow_timeout(&self) -> Option<TtsEvent> {
        let config = &self.candidates.get(self.current)?.config;
        let endpoint = self.providers.endpoint(config.provider.account(), config.base_url.as_deref());
        self.providers.record_slow_response(&endpoint, PipelineStage::Tts);
        Some(TtsEvent::Failed(ProviderError::Timeout("first audio")))
    }

    fn done(&mut self, segment: SegmentId, samples: Vec<i16>, total: u64) -> TtsPipelineEvent {
        self.unplayed.push_back(segment);
        self.start_waiting();
        TtsPipelineEvent::Done { segment, samples, total }
    }

    fn failed(&mut self, failure: ProviderError) -> Option<TtsPipelineEvent> {
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
        let Some(next) = self.candidates.get(self.current) else {
            if samples + total > 0 {
                // Half the sentence was heard: it ends there.
                self.pending_events.push_back(TtsPipelineEvent::Failed { segment, failure });
                return Some(self.done(segment, Vec::new(), samples + total));
            }
            self.current = self.candidates.len().saturating_sub(1);
            self.start_waiting();
            return Some(TtsPipelineEvent::Failed { segment, failure });
        };
        let switch = Failover {
            stage: PipelineStage::Tts,
            from: self.candidates[tts].name.clone(),
            to: next.name.clone(),
            reason: failure.kind(),
            after: began.elapsed(),
        };
        let own: Vec<(u64, u32)> = marks.iter().map(|(at, count)| (at - samples, count - chars)).collect();
        let said = self.estimated_samples(&text);
        let (heard, rest) = if total == 0 { ("", text.as_str()) } else { spoken(&text, total, Some(said), &own) };
        self.pending_events.push_back(TtsPipelineEvent::FailedOver { switch, failure });
        if rest.is_empty() {
            return Some(self.done(segment, Vec::new(), samples + total));
        }
        let skipped = (heard.chars().count() + usize::from(!heard.is_empty())) as u32;
        let (rest, before) = (rest.to_owned(), (samples + total, chars + skipped));
        if let Some(active) = self.synthesize(segment, rest, before) {
            self.active.push_front(active);
        }
        self.start_waiting();
        None
    }

    /// Estimated samples of a text at the current speech rate.
    fn estimated_samples(&self, text: &str) -> u64 {
        let chars = text.chars().count() as u64;
        match self.speech_rate {
            (samples, said) if said > 0 => chars * samples / said,
            _ => chars * u64::from(SAMPLE_RATE_HZ) / 15,
        }
    }
}

/// From a provider's octets to the leg's samples.
fn speech_decoder(format: AudioFormat) -> Option<StreamDecoder> {
    let format = match format {
        AudioFormat::Pcm16 { rate_hz } => audio::AudioFormat::Pcm { rate_hz },
        AudioFormat::Mulaw => audio::AudioFormat::G711(Companding::MuLaw),
    };
    StreamDecoder::new(format, SAMPLE_RATE_HZ).ok()
}
