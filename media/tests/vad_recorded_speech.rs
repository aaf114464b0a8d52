//! The detector on recorded human speech at phone level, clean and with line noise. The prompts are real (Debian's
//! asterisk-core-sounds-en-wav, which `make test` installs); they are read, never shipped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use std::path::Path;
use std::time::{Duration, Instant};
use trunkline_media::codec::Companding;
use trunkline_media::frame::{FRAME_SAMPLES, Frame};
use trunkline_media::vad::{SpeechChange, VadConfig, VoiceActivityDetector};

const FOLDER: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
/// Whole sentences of three to ten seconds.
const PROMPTS: &[&str] = &[
    "agent-incorrect",
    "agent-newlocation",
    "auth-incorrect",
    "cannot-complete-as-dialed",
    "check-number-dial-again",
    "conf-onlyperson",
    "conf-waitforleader",
    "demo-echotest",
    "demo-nogo",
    "dir-nomatch",
    "dir-welcome",
    "privacy-prompt",
    "vm-instructions",
    "vm-review",
    "vm-savedto",
    "vm-tempgreeting",
];

fn prompt(name: &str) -> Vec<i16> {
    let path = Path::new(FOLDER).join(format!("{name}.wav"));
    let reader = hound::WavReader::open(&path)
        .unwrap_or_else(|error| panic!("{}: {error} (make test installs asterisk-core-sounds-en-wav)", path.display()));
    assert_eq!((reader.spec().sample_rate, reader.spec().channels), (8_000, 1));
    reader.into_samples::<i16>().map(Result::unwrap).collect()
}

fn rms(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// Scales the speech (its sounding part) to a level.
fn at_level(samples: &[i16], dbfs: f64) -> Vec<f64> {
    let loud: Vec<i16> =
        samples.chunks_exact(FRAME_SAMPLES).filter(|frame| rms(frame) > 200.0).flatten().copied().collect();
    let gain = 32_768.0 * 10f64.powf(dbfs / 20.0) / rms(&loud);
    samples.iter().map(|s| f64::from(*s) * gain).collect()
}

/// Noise like that of a line: low frequencies stronger, from a seed.
struct NoiseGenerator {
    seed: u64,
    state: f64,
}

impl NoiseGenerator {
    fn next(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let white = (self.seed >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        self.state = 0.7 * self.state + white;
        self.state / 0.81 // to an RMS of one: uniform noise has 0.577, the filter makes 0.81 of it
    }
}

struct VadResult {
    /// Late by, for the first speech after the leading silence; none if it was missed.
    onset: Option<Duration>,
    voiced_frames: usize,
    voiced_missed: usize,
    silent_frames: usize,
    silent_taken: usize,
}

/// One second of noise, the prompt over noise, one second of noise; through mu-law.
fn judge(index: usize, dbfs: f64, noise_below_db: Option<f64>) -> VadResult {
    let clean = prompt(PROMPTS[index]);
    let speech = at_level(&clean, dbfs);
    let lead = vec![0.0; 8_000];
    let speech: Vec<f64> = lead.iter().chain(&speech).chain(&lead).copied().collect();
    let mut noise = NoiseGenerator { seed: 0x9E37_79B9 + index as u64, state: 0.0 };
    // A line without noise is a line at -65 dBFS.
    let noise_dbfs = noise_below_db.map_or(-65.0, |below| dbfs - below);
    let noise_rms = 32_768.0 * 10f64.powf(noise_dbfs / 20.0);
    let mixed: Vec<i16> = speech
        .iter()
        .map(|sample| {
            let sum = sample + noise.next() * noise_rms;
            Companding::MuLaw.decode(Companding::MuLaw.encode(sum.clamp(-32_768.0, 32_767.0) as i16))
        })
        .collect();
    // What is speech is seen in the clean recording: frames within 25 dB of its level.
    let truth: Vec<bool> = speech
        .chunks_exact(FRAME_SAMPLES)
        .map(|frame| {
            let frame: Vec<i16> = frame.iter().map(|s| s.clamp(-32_768.0, 32_767.0) as i16).collect();
            20.0 * (rms(&frame).max(1.0) / 32_768.0).log10() > dbfs - 25.0
        })
        .collect();
    let origin = Instant::now();
    let mut detector = VoiceActivityDetector::new(VadConfig::default());
    let mut judged = VadResult { onset: None, voiced_frames: 0, voiced_missed: 0, silent_frames: 0, silent_taken: 0 };
    let first = truth.iter().position(|voiced| *voiced).unwrap();
    for (at, frame) in mixed.chunks_exact(FRAME_SAMPLES).enumerate() {
        let frame: Frame = frame.try_into().unwrap();
        let now = origin + Duration::from_millis(20) * (at as u32 + 1);
        let change = detector.handle_frame(now, &frame);
        if let (Some(SpeechChange::Started(_)), None, true) = (change, judged.onset, at >= first) {
            judged.onset = Some(Duration::from_millis(20) * (at - first) as u32);
        }
        // Frames with speech within 300 ms on either side are neither clearly speech nor clearly silence.
        let near = |host_candidates: usize| {
            truth[at.saturating_sub(host_candidates)..(at + host_candidates + 1).min(truth.len())].iter()
        };
        if truth[at] && near(2).all(|voiced| *voiced) {
            judged.voiced_frames += 1;
            judged.voiced_missed += usize::from(!detector.is_speaking());
        } else if near(15).all(|voiced| !voiced) {
            judged.silent_frames += 1;
            judged.silent_taken += usize::from(detector.is_speaking());
        }
    }
    judged
}

/// Median and worst onset, share of speech missed, share of silence taken for speech.
fn over_all(dbfs: f64, noise_below_db: Option<f64>) -> (Duration, Duration, f64, f64) {
    let all: Vec<VadResult> = (0..PROMPTS.len()).map(|index| judge(index, dbfs, noise_below_db)).collect();
    let mut onsets: Vec<Duration> = all.iter().map(|one| one.onset.unwrap_or(Duration::from_secs(99))).collect();
    onsets.sort();
    let sum = |pick: fn(&VadResult) -> usize| all.iter().map(pick).sum::<usize>() as f64;
    (
        onsets[onsets.len() / 2],
        onsets[onsets.len() - 1],
        sum(|one| one.voiced_missed) / sum(|one| one.voiced_frames),
        sum(|one| one.silent_taken) / sum(|one| one.silent_frames),
    )
}

#[test]
fn vad_detects_speech_at_every_level_and_in_noise() {
    for (dbfs, background) in
        [(-15.0, None), (-25.0, None), (-40.0, None), (-20.0, Some(20.0)), (-25.0, Some(15.0)), (-25.0, Some(10.0))]
    {
        let (median, worst, missed, taken) = over_all(dbfs, background);
        let figures = format!("{dbfs} dBFS over {background:?}: {median:?}, {worst:?}, {missed:.3}, {taken:.3}");
        assert!(median <= Duration::from_millis(200) && worst <= Duration::from_millis(600), "late: {figures}");
        assert!(missed < 0.15, "speech is missed: {figures}");
        assert!(taken < 0.02, "silence is taken for speech: {figures}");
    }
}
