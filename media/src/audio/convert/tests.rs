//! What comes out of each conversion, measured without the code that converts.

use super::*;
use crate::frame::level_dbfs;

const MULAW: AudioFormat = AudioFormat::G711(Companding::MuLaw);
const ALAW: AudioFormat = AudioFormat::G711(Companding::ALaw);

/// A tone of 1 kHz at -12 dBFS. Its phase keeps the samples away from zero, so that crossings can be counted.
fn tone(rate_hz: u32, count: usize) -> Vec<i16> {
    let step = 1_000.0 * std::f32::consts::TAU / rate_hz as f32;
    (0..count).map(|n| ((n as f32 * step + 0.3).sin() * 11_600.0) as i16).collect()
}

fn pcm_octets(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

#[test]
fn g711_of_the_same_variant_passes_through_untouched() {
    // All octets, the negative zero of mu-law among them, which no encoder would return.
    for companding in [Companding::MuLaw, Companding::ALaw] {
        let mut encoder = FrameEncoder::new(AudioFormat::G711(companding));
        for octets in (0..=255).collect::<Vec<u8>>().chunks(128) {
            let frame = AudioFrame::g711(companding, octets).unwrap();
            assert_eq!(encoder.encode(&frame), octets);
        }
    }
}

#[test]
fn variants_of_g711_are_transcoded_by_value() {
    // Silence, a middle value and full scale, from the tables of the recommendation.
    let frame = AudioFrame::g711(Companding::MuLaw, &[0xFF, 0x80, 0x00, 0xB0]).unwrap();
    assert_eq!(FrameEncoder::new(ALAW).encode(&frame), [0xD5, 0xAA, 0x2A, 0x9B]);
    let linear: Vec<u8> = pcm_octets(&[0, 32_124, -32_124, 3_900]);
    assert_eq!(FrameEncoder::new(AudioFormat::Pcm { rate_hz: 8_000 }).encode(&frame), linear);
}

#[test]
fn a_tone_keeps_level_and_length_between_all_rates() {
    for from_hz in [8_000u32, 16_000, 24_000, 48_000] {
        for to_hz in [8_000, 16_000, 24_000, 48_000] {
            let mut decoder = FrameDecoder::new(to_hz);
            let mut out = Vec::new();
            for samples in tone(from_hz, from_hz as usize).chunks(80) {
                decoder.push(&AudioFrame::pcm(from_hz, samples).unwrap(), &mut out).unwrap();
            }
            assert_eq!(out.len(), to_hz as usize, "{from_hz} to {to_hz}");
            // Without the start, where the filter settles.
            let settled = &out[out.len() / 4..];
            let level = level_dbfs(settled);
            assert!((level + 12.0).abs() < 0.3, "{from_hz} to {to_hz}: {level} dBFS");
            let crossings = settled.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!(crossings.abs_diff(750) <= 1, "{from_hz} to {to_hz}: {crossings} in 750 ms");
        }
    }
}

#[test]
fn a_stream_that_changes_its_rate_goes_on() {
    let (mut decoder, mut out) = (FrameDecoder::new(8_000), Vec::new());
    for rate_hz in [8_000u32, 16_000, 8_000] {
        for samples in tone(rate_hz, rate_hz as usize / 5).chunks(80) {
            decoder.push(&AudioFrame::pcm(rate_hz, samples).unwrap(), &mut out).unwrap();
        }
    }
    assert_eq!(out.len(), 3 * 1_600);
    let odd = AudioFrame::pcm(11_025, &[1; 80]).unwrap();
    let refused = UnsupportedRateError { from_hz: 11_025, to_hz: 8_000 };
    assert_eq!(decoder.push(&odd, &mut out), Err(refused));
    assert!(FrameEncoder::new(MULAW).encode(&odd).is_empty());
}

#[test]
fn samples_split_over_chunks_are_put_together() {
    let octets = pcm_octets(&(0..2_400i16).map(|n| n % 50 * 100).collect::<Vec<i16>>());
    let convert = |chunk: usize| {
        let mut decoder = StreamDecoder::new(AudioFormat::Pcm { rate_hz: 24_000 }, 8_000).unwrap();
        let mut out = vec![];
        octets.chunks(chunk).for_each(|octets| decoder.push(octets, &mut out));
        decoder.finish(&mut out);
        out
    };
    assert_eq!(convert(4_800), convert(7));
    assert_eq!(convert(1).len(), 800);
}

#[test]
fn g711_of_a_provider_is_decoded_as_it_comes() {
    let mut decoder = StreamDecoder::new(MULAW, 8_000).unwrap();
    let mut out = vec![];
    decoder.push(&[0xFF, 0x80], &mut out);
    decoder.push(&[0x00], &mut out);
    decoder.finish(&mut out);
    assert_eq!(out, [0, 32_124, -32_124]);
    assert!(StreamDecoder::new(AudioFormat::Pcm { rate_hz: 0 }, 8_000).is_err());
}
