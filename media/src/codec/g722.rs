//! G.722 (ITU-T, 64 kbit/s) at 8 kHz: the lower sub-band carries the speech below 4 kHz, sampled at 8 kHz.
//! The received upper band is ignored and the sent upper band is silent, because the leg works at 8 kHz. One octet is
//! one 8 kHz sample, and the RTP clock counts it as one (RFC 3551 section 4.5.2).

/// Quantiser of the lower band, 60 levels (table 14/G.722).
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219,
    1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// Code words of positive and negative differences.
const ILN: [u8; 31] = [
    0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
];
const ILP: [u8; 31] = [
    0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34,
    33, 32,
];
/// Logarithmic scale factor multipliers, and which of them a code word means.
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1_198, 3_042];
const RL42: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
/// From the logarithmic to the linear scale factor.
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];
/// Inverse quantisers: four bits for the predictor, six for the output.
const QM4: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];
/// What an encoder of the upper band makes of silence, from the first octet on.
const SILENT_UPPER_BAND: u8 = 3;
/// The highest logarithmic scale factor, and the linear one to begin with.
const LOG_SCALE_MAX: i32 = 18_432;
const FIRST_SCALE: i32 = 32;

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// A product of fixed-point numbers.
fn fixed_multiply(a: i32, b: i32, shift: u32) -> i32 {
    (a * b) >> shift
}

/// Predictor and scale factor of the lower band (blocks 3 and 4 of the recommendation).
#[derive(Clone, Debug)]
struct LowerBand {
    /// Predicted signal, and its part from the zeros of the predictor.
    s: i32,
    sz: i32,
    r: [i32; 3],
    a: [i32; 3],
    p: [i32; 3],
    d: [i32; 7],
    b: [i32; 7],
    nb: i32,
    det: i32,
}

impl Default for LowerBand {
    fn default() -> Self {
        Self { s: 0, sz: 0, r: [0; 3], a: [0; 3], p: [0; 3], d: [0; 7], b: [0; 7], nb: 0, det: FIRST_SCALE }
    }
}

impl LowerBand {
    /// Updates the scale factor from the code words.
    fn scale(&mut self, weight: i32) {
        self.nb = (fixed_multiply(self.nb, 127, 7) + weight).clamp(0, LOG_SCALE_MAX);
        let mantissa = ILB[(self.nb >> 6 & 31) as usize];
        let down = 8 - (self.nb >> 11);
        self.det = if down < 0 { mantissa << -down } else { mantissa >> down } << 2;
    }

    /// Adapts the predictor to a quantised difference and predicts the next sample.
    fn predict(&mut self, difference: i32) {
        self.d[0] = difference;
        self.r[0] = saturate(self.s + difference);
        self.p[0] = saturate(self.sz + difference);
        let same = |x: i32, y: i32| (x < 0) == (y < 0);
        // Poles.
        let doubled = saturate(self.a[1] << 2);
        let turned = if same(self.p[0], self.p[1]) { saturate(-doubled) } else { doubled };
        let step = if same(self.p[0], self.p[2]) { 128 } else { -128 };
        let a2 = ((turned >> 7) + step + fixed_multiply(self.a[2], 32_512, 15)).clamp(-12_288, 12_288);
        let step = if same(self.p[0], self.p[1]) { 192 } else { -192 };
        let bound = saturate(15_360 - a2);
        let a1 = saturate(step + fixed_multiply(self.a[1], 32_640, 15)).clamp(-bound, bound);
        // Zeros.
        let step = if difference == 0 { 0 } else { 128 };
        for at in 1..7 {
            let sign = if same(self.d[at], difference) { step } else { -step };
            self.b[at] = saturate(sign + fixed_multiply(self.b[at], 32_640, 15));
        }
        self.a = [0, a1, a2];
        self.d.copy_within(0..6, 1);
        self.r.copy_within(0..2, 1);
        self.p.copy_within(0..2, 1);
        let pole = |a: i32, r: i32| fixed_multiply(a, saturate(r + r), 15);
        let sp = saturate(pole(self.a[1], self.r[1]) + pole(self.a[2], self.r[2]));
        let zeros: i32 = (1..7).map(|at| fixed_multiply(self.b[at], saturate(self.d[at] + self.d[at]), 15)).sum();
        self.sz = saturate(zeros);
        self.s = saturate(sp + self.sz);
    }
}

/// Both directions of one stream.
#[derive(Clone, Debug, Default)]
pub struct G722 {
    heard: LowerBand,
    said: LowerBand,
}

impl G722 {
    /// Octets to samples, one for one.
    pub fn decode_into(&mut self, octets: &[u8], samples: &mut [i16]) {
        let band = &mut self.heard;
        for (octet, sample) in octets.iter().zip(samples) {
            let code = usize::from(octet & 63);
            let fine = fixed_multiply(band.det, QM6[code], 15);
            let low = (band.s + fine).clamp(-16_384, 16_383);
            *sample = (low << 1) as i16;
            let coarse = code >> 2;
            let difference = fixed_multiply(band.det, QM4[coarse], 15);
            band.scale(WL[RL42[coarse]]);
            band.predict(difference);
        }
    }

    /// Samples to octets, one for one; the upper band is silent.
    pub fn encode_into(&mut self, samples: &[i16], octets: &mut [u8]) {
        for (sample, octet) in samples.iter().zip(octets) {
            *octet = SILENT_UPPER_BAND << 6 | self.encode_low(i32::from(*sample) >> 1);
        }
    }

    fn encode_low(&mut self, x: i32) -> u8 {
        let band = &mut self.said;
        let error = saturate(x - band.s);
        let size = if error >= 0 { error } else { -(error + 1) };
        let level = (1..30).find(|level| size < fixed_multiply(Q6[*level], band.det, 12)).unwrap_or(30);
        let code = if error < 0 { ILN[level] } else { ILP[level] };
        let coarse = usize::from(code >> 2);
        let difference = fixed_multiply(band.det, QM4[coarse], 15);
        band.scale(WL[RL42[coarse]]);
        band.predict(difference);
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speechlike(samples: usize) -> Vec<i16> {
        let wave = |at: usize| {
            let t = at as f32 / 8_000.0;
            let swell = 0.5 + 0.5 * (t * 19.0).sin();
            let tone = (t * 2_200.0).sin() + 0.6 * (t * 5_100.0).sin() + 0.3 * (t * 11_000.0).sin();
            (tone * swell * 6_000.0) as i16
        };
        (0..samples).map(wave).collect()
    }

    #[test]
    fn encoded_audio_decodes_to_the_original() {
        let samples = speechlike(16_000);
        let mut codec = G722::default();
        let (mut octets, mut heard) = (vec![0; samples.len()], vec![0; samples.len()]);
        codec.encode_into(&samples, &mut octets);
        codec.decode_into(&octets, &mut heard);
        let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        let noise: f64 = samples.iter().zip(&heard).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        let snr_db = 10.0 * (power / noise).log10();
        assert!(snr_db > 25.0, "{snr_db}");
    }

    #[test]
    fn silence_round_trips_and_random_octets_decode() {
        let mut codec = G722::default();
        let mut octets = [0; 800];
        codec.encode_into(&[0; 800], &mut octets);
        let mut heard = [0; 800];
        codec.decode_into(&octets, &mut heard);
        assert!(heard.iter().all(|sample| sample.abs() <= 16), "{:?}", heard.iter().max());
        let mut seed = 1u32;
        for _ in 0..2_000 {
            octets.iter_mut().for_each(|octet| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *octet = (seed >> 24) as u8;
            });
            codec.decode_into(&octets, &mut heard);
        }
    }

    /// Tones and noise from faint to overdriven, in whole numbers.
    fn rising_tones(samples: usize) -> Vec<i16> {
        let (mut seed, mut phase) = (1u32, 0);
        let sample = |at: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (seed >> 16) as i32 - 32_768;
            let loud = [64, 8_192, 1_024, 32_767][at / 400 % 4];
            phase = (phase + 700 + at as i32) & 0xFFFF;
            let triangle = phase.min(65_535 - phase) * 2 - 32_768;
            saturate(((triangle * loud) >> 15) + i32::try_from((i64::from(noise) * i64::from(loud)) >> 18).unwrap())
                as i16
        };
        (0..samples).map(sample).collect()
    }

    fn samples_of(octets: &[u8]) -> Vec<i16> {
        octets.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
    }

    /// The fixtures were written by libg722 1.2 (PyPI `G722`) at 8 kHz; it sets the two bits of the upper band, which is
    /// ours to keep silent.
    #[test]
    fn another_implementation_writes_and_reads_the_same() {
        let theirs = include_bytes!("../../../fixtures/g722/speech.g722");
        let mut octets = vec![0; theirs.len()];
        let mut codec = G722::default();
        codec.encode_into(&rising_tones(theirs.len()), &mut octets);
        let differing = octets.iter().zip(theirs).position(|(ours, theirs)| ours & 63 != theirs & 63);
        assert_eq!(differing, None);
        let pairs: [(&[u8], &[u8]); 2] = [
            (theirs, include_bytes!("../../../fixtures/g722/speech.s16")),
            (include_bytes!("../../../fixtures/g722/any.g722"), include_bytes!("../../../fixtures/g722/any.s16")),
        ];
        for (octets, heard) in pairs {
            let mut samples = vec![0; octets.len()];
            G722::default().decode_into(octets, &mut samples);
            assert_eq!(samples, samples_of(heard));
        }
    }
}
