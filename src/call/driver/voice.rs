//! The voice of a call: sentences in order, the next one synthesised while the present one streams, and
//! the local voice where the agent's own fails.

use crate::call::machine::Brief;
use crate::domain::speech::TtsProvider;
use crate::providers::{AudioFormat, Failure, Providers, Speech, Stream, TtsEvent, elevenlabs, local, openai};
use std::collections::VecDeque;
use trunkline_media::codec::Law;
use trunkline_media::codec::resample::PcmResampler;
use trunkline_media::frame::RATE_HZ;
use trunkline_media::playout::queue::PieceId;

/// Sentences ahead of the caller's ear, the one being heard included: enough that speech never waits
/// for its next sentence, few enough that an interruption wastes little and memory stays small.
const AHEAD: usize = 3;
/// Requests at once: the sentence streaming in and the one after it.
const REQUESTS: usize = 2;
/// Model and voice of OpenAI where the agent names none.
const OPENAI_MODEL: &str = "gpt-4o-mini-tts";

#[derive(Debug, PartialEq)]
pub(super) enum VoiceEvent {
    Audio {
        piece: PieceId,
        samples: Vec<i16>,
    },
    /// `failure` when the voice broke off after its first sound.
    Done {
        piece: PieceId,
        samples: Vec<i16>,
        total: u64,
        failure: Option<Failure>,
    },
    /// The agent's voice failed and the local one took over.
    Fallback {
        failure: Failure,
    },
    Failed {
        piece: PieceId,
        failure: Failure,
    },
}

struct Active {
    piece: PieceId,
    text: String,
    speech: Speech,
    converter: Converter,
    total: u64,
    is_fallback: bool,
}

pub(super) struct Voice {
    providers: Providers,
    brief: Brief,
    waiting: VecDeque<(PieceId, String)>,
    active: VecDeque<Active>,
    /// Synthesised and not yet heard to the end.
    unheard: VecDeque<PieceId>,
}

impl Voice {
    pub(super) fn new(providers: Providers, brief: Brief) -> Self {
        Self { providers, brief, waiting: VecDeque::new(), active: VecDeque::new(), unheard: VecDeque::new() }
    }

    pub(super) fn speak(&mut self, piece: PieceId, text: String) {
        self.waiting.push_back((piece, text));
        self.start_waiting();
    }

    /// Cancels everything of a generation and before.
    pub(super) fn silence(&mut self, generation: u32) {
        self.waiting.retain(|(piece, _)| piece.generation > generation);
        self.active.retain(|active| active.piece.generation > generation);
        self.unheard.retain(|piece| piece.generation > generation);
        self.start_waiting();
    }

    /// A sentence was heard to its end.
    pub(super) fn heard(&mut self, piece: PieceId) {
        self.unheard.retain(|unheard| *unheard != piece);
        self.start_waiting();
    }

    fn start_waiting(&mut self) {
        while self.active.len() < REQUESTS
            && self.active.len() + self.unheard.len() < AHEAD
            && let Some((piece, text)) = self.waiting.pop_front()
        {
            let speech = self.synthesize(&text);
            self.activate(piece, text, speech, false);
        }
    }

    fn activate(&mut self, piece: PieceId, text: String, speech: Speech, front: bool) {
        let converter = Converter::new(speech.format);
        let active = Active { piece, text, speech, converter, total: 0, is_fallback: front };
        if front { self.active.push_front(active) } else { self.active.push_back(active) }
    }

    fn synthesize(&self, text: &str) -> Speech {
        let agent = &self.brief.agent;
        match &agent.tts_config {
            Some(config) => match config.provider {
                TtsProvider::Elevenlabs => {
                    elevenlabs::client::speech(&self.providers, config, agent.voice_settings.as_ref(), text)
                }
                TtsProvider::Openai => {
                    let model = config.model.as_deref().unwrap_or(OPENAI_MODEL);
                    openai::client::speech(&self.providers, model, &config.voice_id, config.speed, text)
                }
                // Refused at execute; a caller is spoken to by the local voice, and the record says why.
                TtsProvider::Cartesia => Speech {
                    format: AudioFormat::Mulaw,
                    stream: Stream::spawn(|events| async move {
                        let _ = events.send(TtsEvent::Failed(Failure::NotConfigured)).await;
                    }),
                },
                TtsProvider::Local => {
                    local::client::speech(&self.providers, &config.voice_id, &config.language, config.speed, text)
                }
            },
            None => self.synthesize_locally(text),
        }
    }

    fn synthesize_locally(&self, text: &str) -> Speech {
        local::client::speech(&self.providers, "", self.brief.language(), None, text)
    }

    /// The next thing that happens; cancel safe. Pends while nothing is being synthesised.
    pub(super) async fn next(&mut self) -> VoiceEvent {
        loop {
            let Some(active) = self.active.front_mut() else { return std::future::pending().await };
            let event = active.speech.stream.events.recv().await;
            let piece = active.piece;
            match event {
                Some(TtsEvent::Audio(bytes)) => {
                    let mut samples = Vec::new();
                    active.converter.push(&bytes, &mut samples);
                    active.total += samples.len() as u64;
                    if !samples.is_empty() {
                        return VoiceEvent::Audio { piece, samples };
                    }
                }
                Some(TtsEvent::Done) => {
                    let mut samples = Vec::new();
                    active.converter.finish(&mut samples);
                    let total = active.total + samples.len() as u64;
                    self.active.pop_front();
                    self.unheard.push_back(piece);
                    self.start_waiting();
                    return VoiceEvent::Done { piece, samples, total, failure: None };
                }
                failed => {
                    let failure = match failed {
                        Some(TtsEvent::Failed(failure)) => failure,
                        _ => Failure::Dropped("voice ended".to_owned()),
                    };
                    return self.failed(failure);
                }
            }
        }
    }

    fn failed(&mut self, failure: Failure) -> VoiceEvent {
        let Some(active) = self.active.pop_front() else {
            return VoiceEvent::Fallback { failure };
        };
        let Active { piece, text, total, is_fallback, .. } = active;
        if total > 0 {
            // Half a sentence was heard: it is over as it stands rather than said twice.
            self.unheard.push_back(piece);
            self.start_waiting();
            return VoiceEvent::Done { piece, samples: Vec::new(), total, failure: Some(failure) };
        }
        let local = self.brief.agent.tts_config.as_ref().is_none_or(|c| c.provider == TtsProvider::Local);
        if is_fallback || local {
            self.start_waiting();
            return VoiceEvent::Failed { piece, failure };
        }
        let speech = self.synthesize_locally(&text);
        self.activate(piece, text, speech, true);
        VoiceEvent::Fallback { failure }
    }
}

/// From a provider's bytes to telephone samples.
struct Converter {
    format: AudioFormat,
    resampler: Option<PcmResampler>,
    /// Half a sample that came at the end of a chunk.
    odd: Option<u8>,
}

impl Converter {
    fn new(format: AudioFormat) -> Self {
        let resampler = match format {
            AudioFormat::Pcm16 { rate_hz } => PcmResampler::new(rate_hz, RATE_HZ),
            AudioFormat::Mulaw => None,
        };
        Self { format, resampler, odd: None }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        if self.format == AudioFormat::Mulaw {
            out.extend(bytes.iter().map(|code| Law::Mu.decode(*code)));
            return;
        }
        let mut bytes = bytes.iter().copied();
        let odd = &mut self.odd;
        let samples = std::iter::from_fn(|| {
            let low = match odd.take() {
                Some(low) => low,
                None => bytes.next()?,
            };
            match bytes.next() {
                Some(high) => Some(i16::from_le_bytes([low, high])),
                None => {
                    *odd = Some(low);
                    None
                }
            }
        });
        if let Some(resampler) = &mut self.resampler {
            resampler.push(samples, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<i16>) {
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_split_over_chunks_are_put_together() {
        let pcm: Vec<u8> = (0..2_400i16).flat_map(|n| (n % 50 * 100).to_le_bytes()).collect();
        let convert = |chunk: usize| {
            let mut converter = Converter::new(AudioFormat::Pcm16 { rate_hz: 24_000 });
            let mut out = vec![];
            for bytes in pcm.chunks(chunk) {
                converter.push(bytes, &mut out);
            }
            converter.finish(&mut out);
            out
        };
        assert_eq!(convert(4_800), convert(7));
        assert_eq!(convert(1).len(), 800);
    }
}
