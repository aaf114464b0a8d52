//! The TTS pipeline of a call: opens what the queue of segments asks for, and carries its audio.

use crate::domain::provider::PipelineStage;
use crate::domain::provider_config::TtsConfig;
use crate::fixed_phrases::fixed_phrases;
use crate::machine::CallSpec;
use crate::provider_plan;
use crate::providers::{AudioFormat, ProviderError, ProviderRegistry, TtsEvent, TtsStream, tts, vendors};
use crate::tts_queue::{END_OF_AUDIO, TtsQueue};
use crate::voice_text::TtsVoice;
use std::time::{Duration, Instant};
use trunkline_media::audio::{self, convert::StreamDecoder};
use trunkline_media::codec::Companding;
use trunkline_media::frame::SAMPLE_RATE_HZ;
use trunkline_media::playout::queue::SegmentId;

pub(super) use crate::tts_queue::TtsPipelineEvent;

/// How long a text that is prepared lets others pass who hear nothing.
const UNDECIDED: Duration = Duration::from_millis(400);

/// The audio of one request.
struct TtsFeed {
    speech: TtsStream,
    /// `None` for a rate that can't be converted: such audio is dropped.
    decoder: Option<StreamDecoder>,
}

/// The sound of a text that is not to be played yet.
struct PreparedSpeech {
    tts: usize,
    text: String,
    speech: TtsStream,
}

struct TtsCandidate {
    config: TtsConfig,
    tts: Option<Box<dyn tts::TtsSession>>,
}

pub(super) struct TtsPipeline {
    providers: ProviderRegistry,
    spec: CallSpec,
    candidates: Vec<TtsCandidate>,
    queue: TtsQueue<TtsFeed>,
    prepared: Option<PreparedSpeech>,
}

impl TtsPipeline {
    /// `at_once`: connect the socket now, because TTS will be needed.
    pub(super) fn new(providers: ProviderRegistry, spec: CallSpec, at_once: bool) -> Self {
        let configs = provider_plan::tts_configs(&spec);
        let voice = |config: &TtsConfig| TtsVoice::new(&spec, config);
        let queue = TtsQueue::new(configs.iter().map(voice).collect());
        let candidates = configs.into_iter().map(|config| TtsCandidate { config, tts: None }).collect();
        let mut tts = Self { providers, spec, candidates, queue, prepared: None };
        if at_once {
            tts.session(tts.queue.current());
        }
        tts
    }

    /// The same voices speak for another agent.
    pub(super) fn set_spec(&mut self, spec: CallSpec) {
        self.spec = spec;
    }

    /// The session of a voice, opened: one with a socket connects now.
    fn session(&mut self, place: usize) -> Option<&mut Box<dyn tts::TtsSession>> {
        let settings = self.spec.agent.voice_settings.clone().unwrap_or_default();
        let has_tags = self.spec.has_speech_tags();
        let candidate = self.candidates.get_mut(place)?;
        let open = || {
            let mut session = vendors::tts_session(&self.providers, &candidate.config, &settings, has_tags);
            session.keep_phrases(&fixed_phrases(&self.spec, &candidate.config));
            session
        };
        Some(candidate.tts.get_or_insert_with(open))
    }

    /// `waits_since`: the end of the turn after which the caller has heard nothing.
    pub(super) fn speak(&mut self, segment: SegmentId, text: String, waits_since: Option<Instant>) {
        self.queue.set_caller_waits_since(waits_since);
        let standing_by = self.candidates.iter().skip(self.queue.current());
        let endpoints: Vec<_> = standing_by
            .map(|c| self.providers.endpoint(c.config.provider.account(), c.config.base_url.as_deref()))
            .collect();
        self.providers.keep_warm_connections(endpoints.iter(), PipelineStage::Tts);
        self.queue.speak(segment, text);
        self.send_requests();
    }

    /// Cancels everything of this response and earlier ones.
    pub(super) fn cancel_response(&mut self, response_id: u32) {
        self.queue.cancel_response(response_id);
        self.send_requests();
    }

    /// A sentence was heard to its end.
    pub(super) fn handle_segment_played(&mut self, segment: SegmentId) {
        self.queue.handle_played(segment);
        self.send_requests();
    }

    /// Makes the sound of a text that will probably be spoken next, if that costs nothing. Who waits for sound comes first.
    pub(super) fn prepare(&mut self, text: &str) {
        let Some((tts, text)) = self.queue.text_of_next(text) else { return };
        if self.prepared.as_ref().is_some_and(|prepared| prepared.tts == tts && prepared.text == text) {
            return;
        }
        // The voice speaks one text after the other.
        self.prepared = None;
        if let Some(session) = self.session(tts).filter(|session| session.costs_nothing()) {
            session.set_sound_until(Some(Instant::now() + UNDECIDED));
            let speech = session.speak(&text, false);
            self.prepared = Some(PreparedSpeech { tts, text, speech });
        }
    }

    /// What was prepared is not spoken.
    pub(super) fn discard_prepared(&mut self) {
        self.prepared = None;
    }

    fn send_requests(&mut self) {
        while let Some(request) = self.queue.poll_request() {
            let sound_until = self.queue.played_until();
            let prepared = self.prepared.take();
            let is_it = |it: &PreparedSpeech| it.tts == request.tts && it.text == request.text.sent;
            let prepared = prepared.filter(is_it).map(|prepared| prepared.speech);
            let Some(session) = self.session(request.tts) else { continue };
            session.set_sound_until(sound_until);
            let speech = prepared.unwrap_or_else(|| session.speak(&request.text.sent, request.is_alone));
            let decoder = speech_decoder(speech.format);
            self.queue.handle_started(request, TtsFeed { speech, decoder }, Instant::now());
        }
    }

    /// The next event; cancel safe. Pending while nothing is being synthesised.
    pub(super) async fn next(&mut self) -> TtsPipelineEvent {
        loop {
            if let Some(event) = self.queue.poll_event() {
                return event;
            }
            let patience =
                provider_plan::first_audio_timeout(&self.spec.agent, self.queue.current(), self.candidates.len() - 1);
            let deadline = self.queue.audio_deadline(patience);
            let Some(feed) = self.queue.feed() else { return std::future::pending().await };
            let received = feed.speech.stream.events.recv();
            let received = match deadline {
                Some((at, owed)) => tokio::time::timeout_at(at.into(), received).await.map_err(|_| owed),
                None => Ok(received.await),
            };
            let received = received.unwrap_or_else(|owed| self.slow_timeout(owed));
            let event = self.handle(received);
            self.send_requests();
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// What the current feed has delivered; `None` when its task has ended.
    fn handle(&mut self, event: Option<TtsEvent>) -> Option<TtsPipelineEvent> {
        let mut samples = Vec::new();
        match event {
            Some(TtsEvent::Audio(bytes)) => {
                self.queue.feed()?.decoder.iter_mut().for_each(|decoder| decoder.push(&bytes, &mut samples));
                self.queue.handle_audio(samples, Instant::now())
            }
            Some(TtsEvent::WordTimestamps(marks)) => self.queue.handle_word_timestamps(&marks),
            Some(TtsEvent::Done) => {
                self.queue.feed()?.decoder.iter_mut().for_each(|decoder| decoder.finish(&mut samples));
                self.queue.handle_done(samples, Instant::now())
            }
            Some(TtsEvent::Failed(failure)) => self.queue.handle_failed(failure, Instant::now()),
            None => {
                let failure = ProviderError::Disconnected("TTS stream ended".to_owned());
                self.queue.handle_failed(failure, Instant::now())
            }
        }
    }

    /// The voice was too slow. Its connection may be one that the other side has forgotten, so the next text gets another.
    fn slow_timeout(&mut self, owed: &'static str) -> Option<TtsEvent> {
        if owed == END_OF_AUDIO {
            return Some(TtsEvent::Done);
        }
        let candidate = self.candidates.get_mut(self.queue.current())?;
        candidate.tts = None;
        let config = &candidate.config;
        let endpoint = self.providers.endpoint(config.provider.account(), config.base_url.as_deref());
        self.providers.record_slow_response(&endpoint, PipelineStage::Tts);
        Some(TtsEvent::Failed(ProviderError::Timeout(owed)))
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
