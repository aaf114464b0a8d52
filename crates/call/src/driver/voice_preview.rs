//! A voice that is heard before it is chosen: one sentence, as the provider speaks it, outside of any call.

use crate::domain::provider_config::{TtsConfig, VoiceSettings};
use crate::providers::tts::TtsSession;
use crate::providers::vendors::tts_session;
use crate::providers::{AudioFormat, ProviderError, ProviderRegistry, TtsEvent, TtsStream};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use trunkline_media::codec::Companding;

/// The user waits for the first sound.
const FIRST_SOUND: Duration = Duration::from_secs(10);
/// Between two parts of the sound.
const NEXT_SOUND: Duration = Duration::from_secs(5);
/// The whole sentence: who sends it drop by drop keeps neither the user nor one of the places for long.
const WHOLE: Duration = Duration::from_secs(60);
/// Seconds of sound: a sentence takes less.
const SECONDS_MAX: usize = 60;
/// Bytes of a WAV file's header behind the length of the whole, up to the sound.
const HEADER_REST: u32 = 36;
/// The length of the sound, which is not known when it begins: as long as a file can be, in whole samples.
const UNKNOWN_LENGTH: u32 = (u32::MAX - HEADER_REST) & !1;

/// A sentence that is being spoken. Dropping it ends the provider's request.
pub struct VoicePreview {
    stream: TtsStream,
    /// Sockets of vendors speak as long as their session is there.
    _session: Box<dyn TtsSession>,
    /// The header and the first sound.
    first: Option<Bytes>,
    /// Bytes of sound that may still come.
    left: usize,
    /// When it has to be over.
    ends: Instant,
}

impl std::fmt::Debug for VoicePreview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoicePreview").field("format", &self.stream.format).finish_non_exhaustive()
    }
}

impl VoicePreview {
    /// Speaks a text, and waits for the first sound. Fails if there is none.
    pub async fn start(
        providers: &ProviderRegistry, config: &TtsConfig, settings: &VoiceSettings, text: &str,
    ) -> Result<Self, ProviderError> {
        let ends = Instant::now() + WHOLE;
        let mut session = tts_session(providers, config, settings, false);
        let mut stream = session.speak(text, true);
        let rate_hz = match stream.format {
            AudioFormat::Pcm16 { rate_hz } => rate_hz,
            AudioFormat::Mulaw => 8_000,
        };
        let first =
            timeout(FIRST_SOUND, next_sound(&mut stream)).await.unwrap_or(Err(ProviderError::Timeout("sound")))?;
        let sound = first.ok_or_else(|| ProviderError::Disconnected("no audio at all".to_owned()))?;
        let mut begin = BytesMut::from(&wav_header(rate_hz)[..]);
        begin.extend_from_slice(&sound);
        let left = (rate_hz as usize * 2 * SECONDS_MAX).saturating_sub(sound.len());
        Ok(Self { stream, _session: session, first: Some(begin.freeze()), left, ends })
    }

    /// The next part of the WAV file; `None` at its end.
    pub async fn next(&mut self) -> Option<Result<Bytes, ProviderError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let by = self.ends.min(Instant::now() + NEXT_SOUND);
        let next = timeout_at(by, next_sound(&mut self.stream)).await;
        let sound = match next.unwrap_or(Err(ProviderError::Timeout("next audio"))) {
            Ok(sound) => sound?,
            Err(error) => return Some(Err(error)),
        };
        let sound = sound.slice(..sound.len().min(self.left));
        self.left -= sound.len();
        (!sound.is_empty()).then_some(Ok(sound))
    }
}

/// The next sound as little-endian 16-bit samples; `None` when all was spoken.
async fn next_sound(stream: &mut TtsStream) -> Result<Option<Bytes>, ProviderError> {
    let is_mulaw = stream.format == AudioFormat::Mulaw;
    while let Some(event) = stream.stream.events.recv().await {
        match event {
            TtsEvent::Audio(sound) if sound.is_empty() => {}
            TtsEvent::Audio(sound) if is_mulaw => return Ok(Some(decoded(&sound))),
            TtsEvent::Audio(sound) => return Ok(Some(sound)),
            TtsEvent::WordTimestamps(_) => {}
            TtsEvent::Done => return Ok(None),
            TtsEvent::Failed(error) => return Err(error),
        }
    }
    Err(ProviderError::Disconnected("the voice stopped".to_owned()))
}

fn decoded(codes: &[u8]) -> Bytes {
    let mut samples = BytesMut::with_capacity(codes.len() * 2);
    codes.iter().for_each(|code| samples.put_i16_le(Companding::MuLaw.decode(*code)));
    samples.freeze()
}

/// The header of a mono WAV file with 16-bit samples, whose length is not known yet.
fn wav_header(rate_hz: u32) -> [u8; 44] {
    let mut header = [0; 44];
    let mut rest = &mut header[..];
    rest.put_slice(b"RIFF");
    rest.put_u32_le(UNKNOWN_LENGTH + HEADER_REST);
    rest.put_slice(b"WAVEfmt ");
    rest.put_u32_le(16);
    rest.put_u16_le(1);
    rest.put_u16_le(1);
    rest.put_u32_le(rate_hz);
    rest.put_u32_le(rate_hz.saturating_mul(2));
    rest.put_u16_le(2);
    rest.put_u16_le(16);
    rest.put_slice(b"data");
    rest.put_u32_le(UNKNOWN_LENGTH);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::EventStream;

    /// Its sound is made elsewhere.
    struct Mute;

    impl TtsSession for Mute {
        fn speak(&mut self, _: &str, _: bool) -> TtsStream {
            TtsStream { format: AudioFormat::Mulaw, stream: EventStream::channel().1 }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_voice_that_drips_is_left_after_a_minute() {
        let (sound, stream) = EventStream::channel();
        let drips = crate::supervision::spawn("drips", async move {
            let mut ticks = tokio::time::interval(NEXT_SOUND / 2);
            while sound.send(TtsEvent::Audio(Bytes::from_static(&[0; 2]))).await.is_ok() {
                ticks.tick().await;
            }
        });
        let begun = Instant::now();
        let stream = TtsStream { format: AudioFormat::Pcm16 { rate_hz: 8_000 }, stream };
        let mut preview =
            VoicePreview { stream, _session: Box::new(Mute), first: None, left: 1_000_000, ends: begun + WHOLE };
        let mut heard = 0;
        while let Some(Ok(sound)) = preview.next().await {
            heard += sound.len();
        }
        assert!(heard >= 2 * 20, "{heard} octets");
        assert_eq!(begun.elapsed(), WHOLE);
        drop(preview);
        drips.await.unwrap().unwrap();
    }

    #[test]
    fn a_header_names_rate_and_width() {
        let header = wav_header(24_000);
        let reader = hound::WavReader::new(std::io::Cursor::new([&header[..], &[1, 0, 2, 0]].concat())).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.sample_rate, spec.bits_per_sample, spec.channels), (24_000, 16, 1));
        assert_eq!(decoded(&[0xff, 0x00]).len(), 4);
    }
}
