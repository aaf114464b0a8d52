//! G.711 (ITU-T G.711), mu-law and A-law: decoded by table, encoded by segment search.
//!
//! The 16-bit reference values are those of the ITU-T software tool library: 14-bit mu-law and 13-bit
//! A-law values shifted to the top of 16 bits.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

/// G.711 variant: how an octet encodes a 16-bit sample at 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companding {
    /// PCMU, static RTP payload type 0: 14-bit values, used in North America and Japan.
    MuLaw,
    /// PCMA, static RTP payload type 8: 13-bit values, used elsewhere.
    ALaw,
}

static MU_LAW_DECODE: [i16; 256] = mu_law_table();
static A_LAW_DECODE: [i16; 256] = a_law_table();

#[expect(clippy::indexing_slicing, reason = "computed at compile time, where an index out of bounds does not compile")]
const fn mu_law_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let inverted = !(code as u8);
        let exponent = (inverted >> 4) & 7;
        let mantissa = (inverted & 15) as i16;
        let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
        table[code] = if inverted & 0x80 != 0 { -magnitude } else { magnitude };
        code += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "computed at compile time, where an index out of bounds does not compile")]
const fn a_law_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let toggled = (code as u8) ^ 0x55;
        let exponent = (toggled >> 4) & 7;
        let mantissa = ((toggled & 15) as i16) << 4;
        let magnitude = if exponent == 0 { mantissa + 8 } else { (mantissa + 0x108) << (exponent - 1) };
        table[code] = if toggled & 0x80 != 0 { magnitude } else { -magnitude };
        code += 1;
    }
    table
}

impl Companding {
    /// The code of digital silence.
    pub fn silence(self) -> u8 {
        match self {
            Self::MuLaw => 0xFF,
            Self::ALaw => 0xD5,
        }
    }

    /// Decodes one octet to a 16-bit sample.
    #[expect(clippy::indexing_slicing, reason = "the tables have 256 entries, one per octet")]
    pub fn decode(self, code: u8) -> i16 {
        match self {
            Self::MuLaw => MU_LAW_DECODE[usize::from(code)],
            Self::ALaw => A_LAW_DECODE[usize::from(code)],
        }
    }

    /// Encodes one 16-bit sample to an octet.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::MuLaw => encode_mu_law(sample),
            Self::ALaw => encode_a_law(sample),
        }
    }

    /// Decodes into `samples`, which must not be shorter than `codes`.
    pub fn decode_into(self, codes: &[u8], samples: &mut [i16]) {
        let table = match self {
            Self::MuLaw => &MU_LAW_DECODE,
            Self::ALaw => &A_LAW_DECODE,
        };
        for (sample, code) in samples.iter_mut().zip(codes) {
            #[expect(clippy::indexing_slicing, reason = "the tables have 256 entries, one per octet")]
            let decoded = table[usize::from(*code)];
            *sample = decoded;
        }
    }

    /// Encodes sample by sample and stops at the shorter slice. `codes` should be as long as `samples`.
    pub fn encode_into(self, samples: &[i16], codes: &mut [u8]) {
        for (code, sample) in codes.iter_mut().zip(samples) {
            *code = self.encode(*sample);
        }
    }
}

fn encode_mu_law(sample: i16) -> u8 {
    // 14-bit magnitude; negative values by ones' complement, as the ITU reference does.
    let negative = sample < 0;
    let magnitude = (i32::from(if negative { !sample } else { sample }) >> 2) + 33;
    let magnitude = magnitude.min(0x1FFF);
    let exponent = 26 - (magnitude as u32).leading_zeros(); // 33..=0x1FFF has its top bit at 5..=12
    let mantissa = (magnitude >> (exponent + 1)) & 15;
    let code = ((exponent as u8) << 4) | mantissa as u8;
    !(code | if negative { 0x80 } else { 0 })
}

fn encode_a_law(sample: i16) -> u8 {
    let negative = sample < 0;
    let magnitude = i32::from(if negative { !sample } else { sample }) >> 4; // 12 bits
    let code = if magnitude > 15 {
        let exponent = 28 - (magnitude as u32).leading_zeros(); // 16..=31 has its top bit at 4: segment 1
        ((exponent as u8) << 4) | ((magnitude >> (exponent - 1)) & 15) as u8
    } else {
        magnitude as u8
    };
    (code | if negative { 0 } else { 0x80 }) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends of the positive segments (ITU-T G.711 tables 1a and 2a, decision values), in 14 and 12 bits.
    const MU_ENDS: [i32; 8] = [31, 95, 223, 479, 991, 2_015, 4_063, 8_159];
    const A_ENDS: [i32; 8] = [16, 32, 64, 128, 256, 512, 1_024, 2_048];

    /// The interval number by walking the decision values, sixteen equal steps in each segment.
    fn interval(magnitude: i32, ends: &[i32; 8], first: impl Fn(i32) -> i32) -> u8 {
        let mut start = 0;
        for (segment, end) in ends.iter().enumerate() {
            if magnitude < *end || segment == 7 {
                let step = if segment == 0 { first(magnitude) } else { (magnitude - start) * 16 / (end - start) };
                return (segment as u8) << 4 | step.min(15) as u8;
            }
            start = *end;
        }
        unreachable!("the last segment takes everything")
    }

    #[test]
    fn encodes_every_sample_to_the_standard_interval() {
        for sample in i16::MIN..=i16::MAX {
            let negative = sample < 0;
            let magnitude = i32::from(if negative { !sample } else { sample });
            // The first mu-law interval is half as wide as the others of its segment: 0..1, 1..3, 3..5.
            let mu = interval(magnitude >> 2, &MU_ENDS, |m| (m + 1) / 2);
            let a = interval(magnitude >> 4, &A_ENDS, |m| m);
            assert_eq!(Companding::MuLaw.encode(sample), !(mu | if negative { 0x80 } else { 0 }), "mu {sample}");
            assert_eq!(Companding::ALaw.encode(sample), (a | if negative { 0 } else { 0x80 }) ^ 0x55, "A {sample}");
        }
    }

    #[test]
    fn every_code_round_trips() {
        for companding in [Companding::MuLaw, Companding::ALaw] {
            for code in 0..=255u8 {
                let again = companding.encode(companding.decode(code));
                // Mu-law has two zeros; the negative one (0x7F) comes back as the positive.
                assert!(
                    again == code || (companding == Companding::MuLaw && code == 0x7F && again == 0xFF),
                    "{companding:?} {code:#x}"
                );
            }
        }
    }

    #[test]
    fn anchor_values_of_the_standard() {
        // G.711 tables: positive full scale, first positive step, silence.
        for (companding, code, sample) in [
            (Companding::MuLaw, 0x80, 32_124),
            (Companding::MuLaw, 0x00, -32_124),
            (Companding::MuLaw, 0xFF, 0),
            (Companding::MuLaw, 0xFE, 8),
            (Companding::ALaw, 0xAA, 32_256),
            (Companding::ALaw, 0x2A, -32_256),
            (Companding::ALaw, 0xD5, 8),
            (Companding::ALaw, 0x55, -8),
        ] {
            assert_eq!(companding.decode(code), sample, "{companding:?} {code:#x}");
        }
        assert_eq!(
            (
                Companding::MuLaw.encode(0),
                Companding::MuLaw.encode(-1),
                Companding::ALaw.encode(0),
                Companding::ALaw.encode(-1)
            ),
            (0xFF, 0x7F, 0xD5, 0x55)
        );
        assert_eq!((Companding::MuLaw.encode(i16::MAX), Companding::ALaw.encode(i16::MIN)), (0x80, 0x2A));
    }
}
