//! What the tests of the real model share: the model, a session that asks it at once, memory.

use std::path::{Path, PathBuf};
use std::time::Instant;
use trunkline_local_speech::message::Urgency;
use trunkline_local_speech::models::MOONSHINE_TINY_EN;
use trunkline_local_speech::segmenter::{HeardWords, Segmenter, SegmenterOutput};
use trunkline_media::codec::resample::PcmResampler;
use trunkline_media::vad::{VadConfig, VoiceActivityDetector};
use trunkline_speech_worker::engine::{Cancellation, Transcriber as _};
use trunkline_speech_worker::moonshine::Moonshine;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of models, if the model is there.
pub fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("TRUNKLINE_TEST_MODELS").map_or_else(|| root().join("target/models"), PathBuf::from);
    match MOONSHINE_TINY_EN.glance(&folder).advice(&MOONSHINE_TINY_EN) {
        None => Some(folder),
        Some(advice) => {
            eprintln!("skipped: {advice} (with --folder {})", folder.display());
            None
        }
    }
}

/// What a session tells of audio at 16 kHz, asked of the model at once, with the seconds of audio that it asked for.
pub fn stream(model: &mut Moonshine, wide: &[i16]) -> (String, f64, Vec<f64>) {
    let mut detector = VoiceActivityDetector::new(VadConfig { onset_ms: 48, hangover_ms: 60 });
    let mut narrow = PcmResampler::new(16_000, 8_000).unwrap();
    let mut segmenter = Segmenter::new(150);
    let (mut now, mut waiting, mut text, mut asked, mut finals) =
        (Instant::now(), Vec::new(), String::new(), 0.0, Vec::new());
    for frame in wide.chunks_exact(320) {
        narrow.push(frame.iter().copied(), &mut waiting);
        while let Some((first, _)) = waiting.split_first_chunk::<160>() {
            now += std::time::Duration::from_millis(20);
            detector.handle_frame(now, first);
            waiting.drain(..160);
        }
        segmenter.push(frame, detector.is_speaking());
        while let Some(output) = segmenter.poll_output() {
            match output {
                SegmenterOutput::Transcribe { ticket, urgency, samples } => {
                    asked += samples.len() as f64 / 16_000.0;
                    let began = Instant::now();
                    let heard = model.transcribe(&samples, &Cancellation::default()).unwrap();
                    if urgency == Urgency::Final {
                        finals.push(began.elapsed().as_secs_f64() * 1_000.0);
                    }
                    if std::env::var_os("MEASURE").is_some_and(|what| what == "2") {
                        eprintln!("  {:?} {:.2} {:.1} s", heard.text, heard.confidence, samples.len() as f64 / 16e3);
                    }
                    let words = HeardWords { text: heard.text, confidence: heard.confidence };
                    segmenter.handle_transcript(ticket, Some(words));
                }
                SegmenterOutput::Interim(_) => {}
                SegmenterOutput::Final { text: words, .. } => {
                    if !words.is_empty() {
                        text += &format!(" {words}");
                    }
                }
            }
        }
    }
    (text, asked, finals)
}

pub fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1_024
}
