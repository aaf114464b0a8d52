//! Call quality estimated from packet loss and delay: the E-model (ITU-T G.107) with the packet-loss robustness of
//! G.113, and the mean opinion score (MOS).

/// Loss that halves the quality of G.711 with concealment (G.113 appendix I); the codecs here conceal alike.
const LOSS_ROBUSTNESS: f32 = 25.1;
/// Rating of a perfect line (G.107 with default values).
const R_FACTOR_MAX: f32 = 93.2;

/// `loss` between 0 and 1, of packets that were not there when they were due; `delay_ms` one way, mouth to ear.
pub fn r_factor(loss: f32, delay_ms: f32) -> f32 {
    let loss_percent = (loss.clamp(0.0, 1.0)) * 100.0;
    let equipment = 95.0 * loss_percent / (loss_percent + LOSS_ROBUSTNESS);
    // Delay up to 177 ms has little effect.
    let delay = 0.024 * delay_ms + if delay_ms > 177.3 { 0.11 * (delay_ms - 177.3) } else { 0.0 };
    (R_FACTOR_MAX - equipment - delay).clamp(0.0, 100.0)
}

/// Mean opinion score of a rating (G.107 annex B): from 1 (bad) to about 4.4 (best for telephony).
pub fn mos(rating: f32) -> f32 {
    let r = rating.clamp(0.0, 100.0);
    (1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r)).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_known_lines() {
        let score = |loss, delay| (mos(r_factor(loss, delay)) * 100.0).round() / 100.0;
        assert_eq!(score(0.0, 0.0), 4.41);
        assert!((4.0..4.2).contains(&score(0.02, 100.0)), "{}", score(0.02, 100.0));
        assert!((3.3..3.8).contains(&score(0.05, 150.0)), "{}", score(0.05, 150.0));
        assert!(score(0.0, 500.0) < 3.3);
        assert!(score(0.5, 100.0) < 1.8);
        assert!(score(1.0, 2_000.0) >= 1.0);
    }
}
