//! The real model on recorded people through G.711. Without its files (`trunkline models fetch --folder target/models`)
//! it says so and passes. `MEASURE=1` hears many prompts and prints what it measured; `TRUNKLINE_TEST_PROMPTS` names a list
//! of others, in each line a WAV file of 8 or 16 kHz, a tab, and what it says.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, clippy::disallowed_methods, reason = "measures, and says what it skips")]

use std::path::{Path, PathBuf};
use std::time::Instant;
use trunkline_local_speech::message::Urgency;
use trunkline_local_speech::models::MOONSHINE_TINY_EN;
use trunkline_local_speech::segmenter::{HeardWords, Segmenter, SegmenterOutput};
use trunkline_media::codec::Companding;
use trunkline_media::codec::resample::PcmResampler;
use trunkline_media::vad::{VadConfig, VoiceActivityDetector};
use trunkline_speech_worker::engine::{Cancellation, Transcriber as _};
use trunkline_speech_worker::moonshine::Moonshine;

const PROMPTS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
const TEXTS: &str = "/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of the prompts.
fn texts() -> String {
    std::env::var("TRUNKLINE_TEST_TEXTS").unwrap_or_else(|_| TEXTS.to_owned())
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

/// What a session tells of audio at 16 kHz, asked of the model at once, with the seconds of audio that it asked for.
fn stream(model: &mut Moonshine, wide: &[i16]) -> (String, f64, Vec<f64>) {
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

/// Noise of a random generator, through mu-law.
fn noise(seconds: usize, level: f32, low_pass: f32) -> Vec<i16> {
    let (mut state, mut last) = (0x2545_F491_u32, 0.0_f32);
    let samples = (0..seconds * 8_000).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let white = state as f32 / u32::MAX as f32 * 2.0 - 1.0;
        last += (white - last) * low_pass;
        let companding = Companding::MuLaw;
        companding.decode(companding.encode((last * level) as i16))
    });
    let mut wide = Vec::new();
    PcmResampler::new(8_000, 16_000).unwrap().push(samples, &mut wide);
    wide
}

#[test]
fn noise_yields_no_words_even_if_it_is_taken_for_voice() {
    let Some(models) = models() else { return };
    let mut model = Moonshine::load(&models).unwrap();
    let measure = std::env::var_os("MEASURE").is_some();
    let mut heard_words = Vec::new();
    for (what, level, low_pass) in
        [("white", 3_000.0, 1.0), ("quiet", 200.0, 1.0), ("low", 12_000.0, 0.05), ("loud", 20_000.0, 0.6)]
    {
        let audio = noise(3, level, low_pass);
        let began = Instant::now();
        let heard = model.transcribe(&audio, &Cancellation::default()).unwrap();
        if measure {
            eprintln!(
                "{what} noise: {:?} {:.2}, {:.0} ms",
                heard.text,
                heard.confidence,
                began.elapsed().as_secs_f64() * 1e3
            );
        }
        if heard.confidence >= 0.4 && heard.text.chars().any(char::is_alphanumeric) {
            heard_words.push(what);
        }
        let (text, asked, _) = stream(&mut model, &noise(if measure { 60 } else { 5 }, level, low_pass));
        if measure {
            eprintln!("{what} noise through a session: {text:?}, {asked:.1} s asked for");
        }
        assert_eq!(text, "", "{what}");
    }
    assert_eq!(heard_words, Vec::<&str>::new());
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
