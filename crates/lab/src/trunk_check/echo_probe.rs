//! The tone with which a check finds an echo: when it is sent, and whether it comes back.

use std::f64::consts::PI;

/// No carrier plays this frequency, and codecs for speech carry it.
const TONE_HZ: f64 = 1_234.0;
const RATE_HZ: f64 = 8_000.0;
/// Begin of each tone in seconds of sent audio; the distances differ, so that an echo is recognized by its rhythm.
const BURSTS_S: [f64; 4] = [1.0, 1.9, 3.2, 4.0];
const BURST_S: f64 = 0.16;
/// 12 dB below full scale.
const AMPLITUDE: f64 = 8_000.0;
/// Part of a frame's energy that has to be in the tone.
const SHARE_MIN: f64 = 0.7;
/// Mean square below which nothing is a tone: -50 dBFS.
const POWER_MIN: f64 = 11_000.0;
/// An echo comes within this time, and each tone with the same delay.
const DELAY_MAX_S: f64 = 0.8;
const DELAY_SPREAD_S: f64 = 0.05;

/// The sample that is sent at this position.
pub(super) fn sample(position: u64) -> i16 {
    let at_s = position as f64 / RATE_HZ;
    let is_on = BURSTS_S.iter().any(|begin| (*begin..begin + BURST_S).contains(&at_s));
    if is_on { (AMPLITUDE * (2.0 * PI * TONE_HZ * at_s).sin()) as i16 } else { 0 }
}

/// Whether a piece of audio is the tone (Goertzel).
pub(super) fn is_tone(samples: &[i16]) -> bool {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let count = samples.len() as f64;
    if count < 40.0 || energy / count < POWER_MIN {
        return false;
    }
    let factor = 2.0 * (2.0 * PI * TONE_HZ / RATE_HZ).cos();
    let (mut one, mut two) = (0f64, 0f64);
    for sample in samples {
        (one, two) = (f64::from(*sample) + factor * one - two, one);
    }
    let power = one * one + two * two - factor * one * two;
    2.0 * power / count / energy > SHARE_MIN
}

/// Delay of the echo in milliseconds. `sent_s` is when the first sample was sent, `tones_s` when frames with the tone
/// arrived; `None` if at most one tone came back or the delays differ.
pub(super) fn round_trip_ms(sent_s: f64, tones_s: &[f64]) -> Option<f64> {
    let mut delays: Vec<f64> = BURSTS_S
        .iter()
        .filter_map(|begin| {
            let begin_s = sent_s + begin;
            let first = tones_s.iter().find(|at| (begin_s..begin_s + DELAY_MAX_S).contains(*at))?;
            Some(first - begin_s)
        })
        .collect();
    delays.sort_by(f64::total_cmp);
    let median = *delays.get(delays.len() / 2)?;
    let alike: Vec<f64> = delays.into_iter().filter(|delay| (delay - median).abs() <= DELAY_SPREAD_S).collect();
    (alike.len() >= 3).then_some(median * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_is_found_and_nothing_else_is() {
        let frame = |begin: u64| (begin..begin + 160).map(sample).collect::<Vec<i16>>();
        assert!(is_tone(&frame(8_320)));
        assert!(!is_tone(&frame(16_000 + 8_000)), "silence");
        let other: Vec<i16> =
            (0..160).map(|n| (8_000.0 * (2.0 * PI * 440.0 * f64::from(n) / RATE_HZ).sin()) as i16).collect();
        assert!(!is_tone(&other), "another tone");
        let mut random = 1u32;
        let noise: Vec<i16> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) as i16
        })
        .take(160)
        .collect();
        assert!(!is_tone(&noise), "noise");
    }

    #[test]
    fn an_echo_has_the_rhythm_of_the_tones() {
        let echo: Vec<f64> = BURSTS_S.iter().flat_map(|begin| [begin + 2.15, begin + 2.17]).collect();
        assert!((round_trip_ms(2.0, &echo).unwrap() - 150.0).abs() < 1.0);
        assert_eq!(round_trip_ms(2.0, &echo[..4]), None, "two tones may be chance");
        let song: Vec<f64> = vec![3.1, 4.6, 5.3, 6.75];
        assert_eq!(round_trip_ms(2.0, &song), None, "delays that differ");
        assert_eq!(round_trip_ms(0.0, &[]), None);
    }
}
