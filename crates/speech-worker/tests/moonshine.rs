//! The real model on recorded people through G.711. Without its files (`trunkline models fetch --folder target/models`)
//! it says so and passes. `MEASURE=1` hears many prompts and prints what it measured.
#![expect(clippy::print_stderr, clippy::disallowed_methods, reason = "measures, and says what it skips")]

use std::path::{Path, PathBuf};
use std::time::Instant;
use trunkline_local_speech::models::MOONSHINE_TINY_EN;
use trunkline_media::codec::Companding;
use trunkline_media::codec::resample::PcmResampler;
use trunkline_speech_worker::engine::{Cancellation, Transcriber as _};
use trunkline_speech_worker::moonshine::Moonshine;

const PROMPTS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
const TEXTS: &str = "/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of models, if the model is there.
fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("TRUNKLINE_TEST_MODELS").map_or_else(|| root().join("target/models"), PathBuf::from);
    match MOONSHINE_TINY_EN.glance(&folder).advice(&MOONSHINE_TINY_EN) {
        None => Some(folder),
        Some(advice) => {
            eprintln!("skipped: {advice} (with --folder {})", folder.display());
            None
        }
    }
}

/// A recording at 8 kHz as a caller's voice arrives: through mu-law, and then at 16 kHz.
fn as_called(path: &Path) -> Option<Vec<i16>> {
    let bytes = std::fs::read(path).ok()?;
    let (pairs, _) = bytes.get(44..)?.as_chunks::<2>();
    let companding = Companding::MuLaw;
    let narrow = pairs.iter().map(|pair| companding.decode(companding.encode(i16::from_le_bytes(*pair))));
    let mut wide = Vec::new();
    let mut resampler = PcmResampler::new(8_000, 16_000)?;
    resampler.push(narrow.chain([0; 1_600]), &mut wide);
    Some(wide)
}

fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('-', " ");
    let kept: String = text.chars().map(|c| if c.is_alphanumeric() || c == '\'' { c } else { ' ' }).collect();
    kept.split_whitespace().map(str::to_owned).collect()
}

/// Words that are wrong, missing or too many.
fn errors(said: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let before = row.clone();
        row[0] = i + 1;
        for (j, other) in heard.iter().enumerate() {
            row[j + 1] = (before[j + 1] + 1).min(row[j] + 1).min(before[j] + usize::from(word != other));
        }
    }
    row[heard.len()]
}

/// Every third prompt of 5 to 24 words, from the second on.
fn prompts() -> Vec<(PathBuf, String)> {
    let Ok(output) =
        std::process::Command::new("zcat").arg(std::env::var("TRUNKLINE_TEST_TEXTS").unwrap_or(TEXTS.into())).output()
    else {
        return Vec::new();
    };
    let texts = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = texts.lines().filter_map(|line| {
        let (name, text) = line.split_once(": ")?;
        let path = Path::new(PROMPTS).join(format!("{name}.wav"));
        let fits = (5..=24).contains(&text.split_whitespace().count()) && !text.contains('[') && path.exists();
        fits.then(|| (path, text.to_owned()))
    });
    all.skip(1).step_by(3).collect()
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1_024
}

#[test]
fn recorded_people_are_understood_through_a_telephone_line() {
    let Some(models) = models() else { return };
    let measure = std::env::var_os("MEASURE").is_some();
    let mut model = Moonshine::load(&models).unwrap();
    let hear = &mut |samples: &[i16]| model.transcribe(samples, &Cancellation::default()).unwrap();
    let phrases = std::fs::read_to_string(root().join("fixtures/audio/phrases.tsv")).unwrap();
    let own = phrases.lines().filter_map(|line| {
        let (name, text) = (line.split('\t').next()?, line.split('\t').nth(2)?);
        Some((root().join(format!("fixtures/audio/{name}.wav")), text.to_owned()))
    });
    let own = own.filter(|(path, _)| !path.ends_with("pakket_nl.wav"));
    let prompts: Vec<(PathBuf, String)> = prompts().into_iter().take(if measure { 60 } else { 8 }).collect();
    for (name, list) in [("fixtures", own.collect::<Vec<_>>()), ("prompts", prompts)] {
        let (mut said, mut wrong, mut seconds, mut took) = (0, 0, 0.0, 0.0);
        let mut latencies = Vec::new();
        for (path, text) in &list {
            let Some(samples) = as_called(path) else { continue };
            let began = Instant::now();
            let heard = hear(&samples);
            let ms = began.elapsed().as_secs_f64() * 1_000.0;
            let words_said = words(text);
            let faults = errors(&words_said, &words(&heard.text));
            (said, wrong) = (said + words_said.len(), wrong + faults);
            (seconds, took) = (seconds + samples.len() as f64 / 16_000.0, took + ms / 1_000.0);
            latencies.push(ms);
            if measure {
                eprintln!(
                    "{faults}/{} {:.1} s {ms:.0} ms {:.2} | {text} | {}",
                    words_said.len(),
                    samples.len() as f64 / 16_000.0,
                    heard.confidence,
                    heard.text
                );
            }
        }
        if said == 0 {
            eprintln!("skipped: no {name} (Debian package asterisk-core-sounds-en-wav)");
            continue;
        }
        latencies.sort_by(f64::total_cmp);
        let rate = wrong as f64 / f64::from(said as u32);
        eprintln!(
            "{name}: {} recordings, {said} words, WER {:.1} %, median {:.0} ms, real-time factor {:.3}, RSS {} MB",
            latencies.len(),
            100.0 * rate,
            latencies[latencies.len() / 2],
            took / seconds,
            rss_mb()
        );
        assert!(rate < 0.5, "{name}: {wrong} of {said} words are wrong");
    }
    assert!(rss_mb() < 350, "{} MB", rss_mb());
}
