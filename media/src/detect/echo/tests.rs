//! Echo of made-up sound, with a delay and a level that are known.

use super::*;

/// Vowels of 60 to 160 ms, in which each band has a level of its own.
fn vowels(seed: u64, frames: usize) -> Vec<Frame> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut roll = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut all: Vec<Frame> = Vec::new();
    while all.len() < frames {
        let peaks = CENTRES_HZ.map(|hz| (hz, (512 << roll(5)) as f32));
        for _ in 0..3 + roll(6) {
            let sample = |n: usize| {
                let t = (all.len() * FRAME_SAMPLES + n) as f32 / SAMPLE_RATE_HZ as f32;
                peaks.iter().map(|(hz, peak)| (2.0 * PI * hz * t).sin() * peak).sum::<f32>() as i16
            };
            all.push(std::array::from_fn(sample));
        }
    }
    all.truncate(frames);
    all
}

/// Sends frames, and hears each of them again after `delay` frames with this gain.
fn play(detector: &mut EchoDetector, sent: &[Frame], delay: usize, gain_db: f32) -> Vec<EchoJudgement> {
    let gain = 10f32.powf(gain_db / 20.0);
    let step = |n: usize| {
        let heard = n.checked_sub(delay).map_or([0; FRAME_SAMPLES], |n| sent[n].map(|s| (f32::from(s) * gain) as i16));
        detector.handle_sent(&sent[n], true);
        detector.classify(&heard)
    };
    (0..sent.len()).map(step).collect()
}

#[test]
fn delay_and_level_of_an_echo_are_found_and_its_frames_are_counted() {
    let mut detector = EchoDetector::default();
    let judged = play(&mut detector, &vowels(1, 400), 8, -12.0);
    let path = detector.path().unwrap();
    assert!(path.delay_ms.abs_diff(160) <= 20 && (path.level_db + 12.0).abs() < 3.0, "{path:?}");
    let echo = judged.iter().filter(|one| **one == EchoJudgement::Echo).count() as u64;
    assert!(echo > 200, "{echo} of 400 frames");
    assert_eq!(detector.echo_frames, echo, "each of them was audible");
}

#[test]
fn silence_on_a_line_with_an_echo_is_not_counted() {
    let mut detector = EchoDetector::default();
    play(&mut detector, &vowels(1, 400), 8, -12.0);
    let before = detector.echo_frames;
    for _ in 0..40 {
        detector.handle_sent(&[0; FRAME_SAMPLES], false);
        detector.classify(&[0; FRAME_SAMPLES]);
    }
    assert_eq!(detector.echo_frames, before);
}

#[test]
fn level_of_a_path_follows_the_echo() {
    let mut detector = EchoDetector::default();
    let sent = vowels(1, 800);
    play(&mut detector, &sent[..300], 8, -20.0);
    let before = detector.path().unwrap().level_db;
    play(&mut detector, &sent, 8, -15.0);
    let after = detector.path().unwrap().level_db;
    assert!((before + 20.0).abs() < 2.0 && (after + 15.0).abs() < 2.0, "from {before} to {after} dB");
}

#[test]
fn unrelated_sound_of_the_caller_makes_no_path() {
    for seed in 2..6 {
        let mut detector = EchoDetector::default();
        for (sent, heard) in vowels(1, 500).iter().zip(&vowels(seed, 500)) {
            detector.handle_sent(sent, true);
            detector.classify(heard);
            assert_eq!(detector.path(), None, "{seed}");
        }
    }
}
