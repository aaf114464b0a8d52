//! An hour of noise through the real model, faster than real time: no words, no growing memory. Without its files it
//! says so and passes. `MEASURE=1` hears the whole hour and prints what it measured.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, clippy::disallowed_methods, reason = "measures, and says what it skips")]

mod hearing;

use hearing::{models, root, rss_mb, stream};
use std::f32::consts::TAU;
use std::time::Instant;
use trunkline_media::codec::Companding;
use trunkline_media::codec::resample::PcmResampler;
use trunkline_speech_worker::engine::{Cancellation, Transcriber as _};
use trunkline_speech_worker::moonshine::Moonshine;

/// Seconds of one kind of noise at one level; short where nobody measures.
fn seconds() -> usize {
    if std::env::var_os("MEASURE").is_some() { 300 } else { 6 }
}

/// A random generator, -1 to 1.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / u32::MAX as f32 * 2.0 - 1.0
    }
}

/// Samples of 8 kHz at this level (dBFS), through mu-law, as the model gets them.
fn as_called(samples: &[f32], dbfs: f32) -> Vec<i16> {
    let mean = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    let gain = 10_f32.powf(dbfs / 20.0) / mean.sqrt().max(1e-9) * 32_768.0;
    let companding = Companding::MuLaw;
    let narrow = samples.iter().map(|sample| companding.decode(companding.encode((sample * gain) as i16)));
    let mut wide = Vec::new();
    PcmResampler::new(8_000, 16_000).unwrap().push(narrow, &mut wide);
    wide
}

/// White noise, and that of a street: low frequencies that come and go.
fn rustle(low_pass: f32, swell: f32) -> Vec<f32> {
    let (mut random, mut last) = (Random(0x2545_F491), 0.0);
    let sample = |n: usize| {
        last += (random.next() - last) * low_pass;
        last * (1.0 + swell * (n as f32 / 8_000.0 * 0.4 * TAU).sin())
    };
    (0..seconds() * 8_000).map(sample).collect()
}

/// Music on hold: chords that change every second, with overtones, a melody and a beat.
fn music() -> Vec<f32> {
    const CHORDS: [[f32; 3]; 4] =
        [[220.0, 277.2, 329.6], [196.0, 246.9, 293.7], [174.6, 220.0, 261.6], [164.8, 207.7, 246.9]];
    let mut random = Random(7);
    let sample = |n: usize| {
        let t = n as f32 / 8_000.0;
        let chord = CHORDS[(t as usize) % CHORDS.len()];
        let tone = |hz: f32| (1..=4).map(|k| (TAU * hz * k as f32 * t).sin() / (k * k) as f32).sum::<f32>();
        let beat = (t * 2.0).fract();
        let melody = tone(chord[(t * 4.0) as usize % 3] * 2.0) * (1.0 - (t * 4.0).fract());
        chord.iter().map(|hz| tone(*hz)).sum::<f32>() * 0.3 + melody + random.next() * (-beat * 20.0).exp()
    };
    (0..seconds() * 8_000).map(sample).collect()
}

/// A room in which so many people speak at once: the recorded people of the tests, each from another moment on.
fn babble(people: usize) -> Vec<f32> {
    let folder = std::fs::read_dir(root().join("fixtures/audio")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let speech: Vec<f32> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "wav"))
        .flat_map(|path| std::fs::read(path).unwrap().split_off(44))
        .collect::<Vec<u8>>()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0)
        .collect();
    let starts: Vec<usize> = (0..people).map(|one| one * speech.len() / people + one * 977).collect();
    (0..seconds() * 8_000).map(|n| starts.iter().map(|start| speech[(start + n) % speech.len()]).sum()).collect()
}

/// Words of noise that are told to a call, for all kinds and levels of it.
#[test]
fn noise_yields_no_words_and_memory_does_not_grow() {
    let Some(models) = models() else { return };
    let mut model = Moonshine::load(&models).unwrap();
    let kinds =
        [("white", rustle(1.0, 0.0)), ("street", rustle(0.05, 0.8)), ("music", music()), ("babble of 8", babble(8))];
    let (mut invented, mut memory) = (Vec::new(), Vec::new());
    for (kind, samples) in &kinds {
        for dbfs in [-45.0, -30.0, -18.0] {
            let began = Instant::now();
            let (text, asked, _) = stream(&mut model, &as_called(samples, dbfs));
            let words = text.split_whitespace().count();
            memory.push(rss_mb());
            eprintln!(
                "{kind} at {dbfs} dBFS: {words} words in {} s, {asked:.0} s asked for, {:.1} s computed, {} MB: {:?}",
                seconds(),
                began.elapsed().as_secs_f64(),
                memory.last().unwrap(),
                text.chars().take(200).collect::<String>()
            );
            if !kind.starts_with("babble") {
                invented.extend((words > 0).then(|| format!("{kind} {dbfs}: {text}")));
            }
        }
    }
    assert!(invented.len() <= kinds.len(), "{invented:?}");
    assert!(memory.last().unwrap() - memory[0] < 60 && *memory.last().unwrap() < 350, "{memory:?} MB");
}

/// Noise of a random generator, through mu-law.
fn short(seconds: usize, level: f32, low_pass: f32) -> Vec<i16> {
    let (mut random, mut last) = (Random(0x2545_F491), 0.0_f32);
    let samples = (0..seconds * 8_000).map(|_| {
        last += (random.next() - last) * low_pass;
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
        let audio = short(3, level, low_pass);
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
        let (text, asked, _) = stream(&mut model, &short(5, level, low_pass));
        if measure {
            eprintln!("{what} noise through a session: {text:?}, {asked:.1} s asked for");
        }
        assert_eq!(text, "", "{what}");
    }
    assert_eq!(heard_words, Vec::<&str>::new());
}
