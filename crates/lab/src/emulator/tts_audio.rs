//! The emulated voices: espeak-ng where it is installed, a buzz of the right length where not. Texts are
//! kept once spoken, because scripted replies repeat.

use bytes::Bytes;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use trunkline_media::codec::Companding;
use trunkline_media::codec::resample::PcmResampler;

/// Spoken texts kept; a scripted emulator has a few dozen.
const KEPT_MAX: u64 = 500;
const ESPEAK_RATE_HZ: u32 = 22_050;

type SpeechCache = moka::sync::Cache<(String, u32), Bytes>;

#[derive(Clone)]
pub(super) struct EmulatedVoice {
    espeak: Option<String>,
    kept: SpeechCache,
}

impl EmulatedVoice {
    pub(super) fn new(espeak: Option<String>) -> Self {
        Self { espeak, kept: SpeechCache::new(KEPT_MAX) }
    }

    /// Little-endian 16-bit samples.
    pub(super) async fn pcm(&self, text: &str, rate_hz: u32) -> Bytes {
        let key = (text.to_owned(), rate_hz);
        if let Some(bytes) = self.kept.get(&key) {
            return bytes;
        }
        let (espeak, text) = (self.espeak.clone(), text.to_owned());
        let samples = tokio::task::spawn_blocking(move || {
            let spoken = espeak.and_then(|program| speak(&program, &text)).unwrap_or_else(|| vowel_pulses(&text));
            let mut out = Vec::new();
            if let Some(mut resampler) = PcmResampler::new(ESPEAK_RATE_HZ, rate_hz) {
                resampler.push(spoken.into_iter(), &mut out);
                resampler.finish(&mut out);
            }
            out
        })
        .await
        .unwrap_or_default();
        let bytes: Bytes = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.kept.insert(key, bytes.clone());
        bytes
    }

    pub(super) async fn g711(&self, text: &str, companding: Companding) -> Bytes {
        let pcm = self.pcm(text, 8_000).await;
        pcm.chunks_exact(2).map(|pair| companding.encode(i16::from_le_bytes([pair[0], pair[1]]))).collect()
    }
}

fn speak(program: &str, text: &str) -> Option<Vec<i16>> {
    let mut child = Command::new(program)
        .args(["--stdin", "--stdout", "-v", "en-gb"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let mut wav = Vec::new();
    child.stdout.take()?.read_to_end(&mut wav).ok()?;
    let _ = child.wait();
    let body = wav.get(44..)?;
    // espeak-ng begins with a little silence of varying length, which would count as latency.
    let loud = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 500;
    let start = body.chunks_exact(2).position(loud).unwrap_or(0) * 2;
    let body = &body[start..];
    (!body.is_empty()).then(|| body.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

/// A pulse train at 120 Hz with the rhythm of syllables: sound where there would be speech.
fn vowel_pulses(text: &str) -> Vec<i16> {
    let count = text.chars().count().max(3) * ESPEAK_RATE_HZ as usize / 15;
    (0..count)
        .map(|n| {
            let at = n as f32 / ESPEAK_RATE_HZ as f32;
            let syllable = ((at * 4.0 * std::f32::consts::TAU).sin() * 0.4 + 0.6).max(0.1);
            let voice: f32 = (1..12).map(|k| (at * 120.0 * k as f32 * std::f32::consts::TAU).sin() / k as f32).sum();
            (voice * syllable * 6_000.0) as i16
        })
        .collect()
}
