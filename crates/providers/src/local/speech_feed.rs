//! A caller's audio as the segmenter takes it: 20 ms at 16 kHz, resampled once, with what the voice detector says.

use std::time::{Duration, Instant};
use trunkline_local_speech::limits::STT_RATE_HZ;
use trunkline_media::audio::AudioFormat;
use trunkline_media::audio::convert::{StreamDecoder, UnsupportedRateError};
use trunkline_media::frame::{FRAME_DURATION, FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};
use trunkline_media::vad::{VadConfig, VoiceActivityDetector};

/// Voice ends sooner here than for turns: the segmenter waits by itself.
const DETECTION: VadConfig = VadConfig { onset_ms: 48, hangover_ms: 60 };
/// How long the detector takes to see that voice has ended, its hangover included.
pub(super) const DETECTION_DELAY_MS: u64 = 150;
/// Samples of a frame for the model.
const WIDE_SAMPLES: usize = FRAME_SAMPLES * (STT_RATE_HZ / SAMPLE_RATE_HZ) as usize;

/// Audio of one session.
pub(super) struct SpeechFeed {
    wide: StreamDecoder,
    narrow: StreamDecoder,
    wide_samples: Vec<i16>,
    narrow_samples: Vec<i16>,
    detector: VoiceActivityDetector,
    /// The detector's clock: it runs with the audio.
    now: Instant,
}

impl SpeechFeed {
    pub(super) fn new(format: AudioFormat, start: Instant) -> Result<Self, UnsupportedRateError> {
        Ok(Self {
            wide: StreamDecoder::new(format, STT_RATE_HZ)?,
            narrow: StreamDecoder::new(format, SAMPLE_RATE_HZ)?,
            wide_samples: Vec::new(),
            narrow_samples: Vec::new(),
            detector: VoiceActivityDetector::new(DETECTION),
            now: start,
        })
    }

    /// Takes octets, and hands on whole frames.
    pub(super) fn push(&mut self, octets: &[u8], mut hand_on: impl FnMut(&[i16], bool)) {
        self.wide.push(octets, &mut self.wide_samples);
        self.narrow.push(octets, &mut self.narrow_samples);
        while let (Some((wide, _)), Some((narrow, _))) =
            (self.wide_samples.split_at_checked(WIDE_SAMPLES), self.narrow_samples.split_first_chunk::<FRAME_SAMPLES>())
        {
            let narrow: &Frame = narrow;
            self.now += FRAME_DURATION;
            self.detector.handle_frame(self.now, narrow);
            hand_on(wide, self.detector.is_speaking());
            self.wide_samples.drain(..WIDE_SAMPLES);
            self.narrow_samples.drain(..FRAME_SAMPLES);
        }
    }
}

/// Silence for which a session's utterance goes on, as the segmenter counts it.
pub(super) fn silence_after_detection(endpointing_ms: u64) -> u64 {
    endpointing_ms.saturating_sub(DETECTION_DELAY_MS)
}

const _: () = assert!(FRAME_DURATION.as_millis() == 20 && Duration::from_millis(20).as_millis() == 20);

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_media::codec::Companding;

    /// A recorded caller, G.711 at 8 kHz and PCM at 16 kHz.
    fn recording() -> Vec<i16> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/audio/where_is_my_order.wav");
        let bytes = std::fs::read(path).unwrap();
        bytes[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
    }

    fn hear(format: AudioFormat, octets: &[u8], piece: usize) -> (usize, usize, usize) {
        let mut feed = SpeechFeed::new(format, Instant::now()).unwrap();
        let (mut frames, mut voiced, mut first) = (0, 0, usize::MAX);
        for octets in octets.chunks(piece) {
            feed.push(octets, |samples, is_voiced| {
                assert_eq!(samples.len(), WIDE_SAMPLES);
                frames += 1;
                voiced += usize::from(is_voiced);
                if is_voiced {
                    first = first.min(frames);
                }
            });
        }
        (frames, voiced, first)
    }

    #[test]
    fn voice_is_found_in_narrow_and_wide_audio_in_pieces_of_any_size() {
        let mut samples = vec![0_i16; 8_000];
        samples.extend(recording());
        samples.extend([0; 8_000]);
        let companding = Companding::MuLaw;
        let octets: Vec<u8> = samples.iter().map(|sample| companding.encode(*sample)).collect();
        let narrow = hear(AudioFormat::G711(companding), &octets, 160);
        assert_eq!(narrow, hear(AudioFormat::G711(companding), &octets, 37), "in odd pieces");
        let (frames, voiced, first) = narrow;
        assert!(frames + 2 >= samples.len() / FRAME_SAMPLES, "{frames}");
        assert!((50..=frames - 70).contains(&voiced) && (48..=75).contains(&first), "{voiced} from {first} on");
        let mut wide = Vec::new();
        let mut decoder = StreamDecoder::new(AudioFormat::G711(companding), 16_000).unwrap();
        decoder.push(&octets, &mut wide);
        let pcm: Vec<u8> = wide.iter().flat_map(|sample: &i16| sample.to_le_bytes()).collect();
        let (wide_frames, wide_voiced, _) = hear(AudioFormat::Pcm { rate_hz: 16_000 }, &pcm, 640);
        assert!(wide_frames + 3 >= frames && wide_voiced.abs_diff(voiced) < 10, "{wide_frames} {wide_voiced} {voiced}");
    }
}
