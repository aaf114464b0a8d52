//! The real model on recorded people through G.711. Without its files (`trunkline models fetch --folder target/models`)
//! it says so and passes. `MEASURE=1` hears many prompts and prints what it measured; `TRUNKLINE_TEST_PROMPTS` names a list
//! of others, in each line a WAV file of 8 or 16 kHz, a tab, and what it says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, clippy::disallowed_methods, reason = "measures, and says what it skips")]

mod hearing;

use hearing::{models, root, rss_mb, stream};
use std::path::{Path, PathBuf};
use std::time::Instant;
use trunkline_media::codec::Companding;
use trunkline_media::codec::resample::PcmResampler;
use trunkline_speech_worker::engine::{Cancellation, Transcriber as _};
use trunkline_speech_worker::moonshine::Moonshine;

const PROMPTS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
const TEXTS: &str = "/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz";

/// The texts of the prompts.
fn texts() -> String {
    std::env::var("TRUNKLINE_TEST_TEXTS").unwrap_or_else(|_| TEXTS.to_owned())
}

/// A recording at 8 or 16 kHz as a caller's voice arrives: through mu-law, and then at 16 kHz.
fn as_called(path: &Path) -> Option<Vec<i16>> {
    let bytes = std::fs::read(path).ok()?;
    let (pairs, _) = bytes.get(44..)?.as_chunks::<2>();
    let companding = Companding::MuLaw;
    let mut samples: Vec<i16> = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
    if bytes.get(24..28) == Some(&16_000_u32.to_le_bytes()) {
        let wide = std::mem::take(&mut samples);
        PcmResampler::new(16_000, 8_000)?.push(wide.into_iter(), &mut samples);
    }
    let narrow = samples.into_iter().map(|sample| companding.decode(companding.encode(sample)));
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

/// Some prompts with their texts, for machines without the package's documents.
const SOME: [(&str, &str); 8] = [
    ("conf-onlyperson", "You are currently the only person in this conference."),
    ("conf-locked", "This conference is locked."),
    ("pls-hold-while-try", "Please hold while we try to connect you."),
    ("dir-nomore", "There are no more compatible entries in the directory."),
    ("vm-msgsaved", "Your message has been saved."),
    ("conf-kicked", "You have been kicked from this conference."),
    (
        "queue-periodic-announce",
        "All of our representatives are currently busy. Please stay on the line and your call will be answered by the next available representative.",
    ),
    (
        "tt-allbusy",
        "All representatives of the household are currently assisting other telemarketers. Please hold and your call will be answered in the order it was received.",
    ),
];

/// The prompts of a list.
fn listed() -> Option<Vec<(PathBuf, String)>> {
    let list = std::fs::read_to_string(std::env::var_os("TRUNKLINE_TEST_PROMPTS")?).unwrap();
    let prompt = |line: &str| line.split_once('\t').map(|(path, text)| (path.into(), text.to_owned()));
    Some(list.lines().filter_map(prompt).collect())
}

/// Every third prompt of 5 to 24 words, from the second on, or those of a list.
fn prompts() -> Vec<(PathBuf, String)> {
    if let Some(listed) = listed() {
        return listed;
    }
    if !Path::new(&texts()).exists() {
        let some = SOME.iter().map(|(name, text)| (Path::new(PROMPTS).join(format!("{name}.wav")), (*text).to_owned()));
        return some.filter(|(path, _)| path.exists()).collect();
    }
    let Ok(output) = std::process::Command::new("zcat").arg(texts()).output() else {
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
    let prompts: Vec<(PathBuf, String)> = prompts().into_iter().take(if measure { 200 } else { 8 }).collect();
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

#[test]
fn long_speech_is_heard_across_its_cuts() {
    let Some(models) = models() else { return };
    let measure = std::env::var_os("MEASURE").is_some();
    let list = prompts();
    if list.is_empty() {
        eprintln!("skipped: no texts of prompts (Debian package asterisk-core-sounds-en)");
        return;
    }
    let mut model = Moonshine::load(&models).unwrap();
    let (mut audio, mut said) = (Vec::new(), Vec::new());
    for (path, text) in list.iter().skip(if measure { 6 } else { 0 }).take(if measure { 30 } else { 4 }) {
        let Some(samples) = as_called(path) else { continue };
        // Without a pause that ends an utterance.
        audio.extend(&samples[..samples.len() - 3_200]);
        said.extend(words(text));
    }
    let seconds = audio.len() as f64 / 16_000.0;
    audio.extend([0; 16_000]);
    let began = Instant::now();
    let (text, asked, mut finals) = stream(&mut model, &audio);
    finals.sort_by(f64::total_cmp);
    let wrong = errors(&said, &words(&text));
    let rate = wrong as f64 / said.len() as f64;
    eprintln!(
        "long speech: {seconds:.0} s, {} words, WER {:.1} %, {:.1} s asked for each second, {:.3} s computed, slowest final {:.0} ms",
        said.len(),
        100.0 * rate,
        asked / seconds,
        began.elapsed().as_secs_f64() / seconds,
        finals.last().copied().unwrap_or_default()
    );
    if measure {
        eprintln!("{text}");
    }
    assert!(rate < 0.25, "{wrong} of {} words are wrong: {text}", said.len());
}

/// What a caller waits for: final words of two and of four seconds.
#[test]
fn final_words_of_a_sentence_are_there_in_time() {
    let Some(models) = models() else { return };
    let mut model = Moonshine::load(&models).unwrap();
    for (name, seconds) in [("conf-kicked", 2), ("conf-leaderhasleft", 2), ("tt-allbusy", 4)] {
        let Some(mut samples) = as_called(&Path::new(PROMPTS).join(format!("{name}.wav"))) else { continue };
        samples.truncate(seconds * 16_000);
        let mut took: Vec<f64> = (0..5)
            .map(|_| {
                let began = Instant::now();
                model.transcribe(&samples, &Cancellation::default()).unwrap();
                began.elapsed().as_secs_f64() * 1_000.0
            })
            .collect();
        took.sort_by(f64::total_cmp);
        eprintln!("{:.1} s: best {:.0} ms, median {:.0} ms", samples.len() as f64 / 16_000.0, took[0], took[2]);
        // The machine of the tests has other things to do: only what is far off fails.
        assert!(took[0] < 1_000.0, "{took:?}");
    }
}
