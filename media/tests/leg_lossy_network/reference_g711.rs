//! G.711 by the tables of the recommendation (ITU-T G.711, tables 1a to 2b): decision values and the values between
//! them. It shares nothing with the codec that is tested.

use trunkline_media::codec::Companding;

/// Ends of the positive segments as decision values: 14-bit magnitudes for mu-law, 12-bit ones for A-law.
const MU_ENDS: [i32; 8] = [31, 95, 223, 479, 991, 2_015, 4_063, 8_159];
const A_ENDS: [i32; 8] = [16, 32, 64, 128, 256, 512, 1_024, 2_048];

fn ends(companding: Companding) -> [i32; 8] {
    match companding {
        Companding::MuLaw => MU_ENDS,
        Companding::ALaw => A_ENDS,
    }
}

/// Bounds of a segment; sixteen equal steps lie between them.
fn bounds(companding: Companding, segment: usize) -> (i32, i32) {
    let ends = ends(companding);
    (if segment == 0 { 0 } else { ends[segment - 1] }, ends[segment])
}

/// The octet of a 16-bit sample.
pub fn encode(companding: Companding, sample: i16) -> u8 {
    let negative = sample < 0;
    let magnitude = i32::from(if negative { !sample } else { sample });
    let magnitude = magnitude >> if companding == Companding::MuLaw { 2 } else { 4 };
    let segment = ends(companding).iter().position(|end| magnitude < *end).unwrap_or(7);
    let (start, end) = bounds(companding, segment);
    let step = match (companding, segment) {
        // The first interval of mu-law is half as wide as the others: 0 to 1, 1 to 3, 3 to 5.
        (Companding::MuLaw, 0) => (magnitude + 1) / 2,
        _ => (magnitude - start) * 16 / (end - start),
    };
    let code = (segment as u8) << 4 | step.min(15) as u8;
    match companding {
        Companding::MuLaw => !(code | if negative { 0x80 } else { 0 }),
        Companding::ALaw => (code | if negative { 0 } else { 0x80 }) ^ 0x55,
    }
}

/// The 16-bit value of an octet: the middle of its interval.
pub fn value(companding: Companding, octet: u8) -> i16 {
    let (code, negative) = match companding {
        Companding::MuLaw => (!octet & 0x7F, octet & 0x80 == 0),
        Companding::ALaw => ((octet ^ 0x55) & 0x7F, octet & 0x80 == 0),
    };
    let (segment, step) = (usize::from(code >> 4), i32::from(code & 15));
    let (start, end) = bounds(companding, segment);
    let magnitude = match (companding, segment) {
        (Companding::MuLaw, 0) => step * 2 * 4,
        // Twice the middle, so that it is whole, at the scale of 16 bits.
        (Companding::MuLaw, _) => (2 * start + (2 * step + 1) * (end - start) / 16) * 2,
        (Companding::ALaw, _) => (2 * start * 16 + (2 * step + 1) * (end - start)) / 2,
    };
    (if negative { -magnitude } else { magnitude }) as i16
}
