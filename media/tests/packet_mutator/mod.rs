//! Systematic packet mutator: all single mutations of a valid packet. Shared by the tests that run on every change and
//! by the fuzz targets, which combine them.

/// Octet values that often break parsers.
const OCTETS: [u8; 9] = [0, 1, 2, 15, 127, 128, 200, 254, 255];
/// And of two and four octets: around zero, around half, at the end.
const WORDS: [u32; 9] = [0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x7fff_ffff, 0xffff_ffff];
/// Room behind a packet that says it has more, or less.
const TAILS: [usize; 5] = [1, 3, 4, 16, 64];

/// How many variants a packet of this length has.
pub fn count(len: usize) -> usize {
    len * (1 + OCTETS.len() + 8 + 2 * WORDS.len()) + TAILS.len() * 2 + len.saturating_sub(4) / 4 + 2
}

/// One of them.
pub fn variant(packet: &[u8], number: usize) -> Vec<u8> {
    let mut out = packet.to_vec();
    let len = packet.len().max(1);
    let (kind, at) = (number / len, number % len);
    let put = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    };
    let (octets, bits, pairs, fours) = (OCTETS.len(), 8, WORDS.len(), WORDS.len());
    match kind {
        0 => out.truncate(at),
        kind if kind <= octets => put(&mut out, &[OCTETS[kind - 1]]),
        kind if kind <= octets + bits => {
            let bit = 1 << (kind - octets - 1);
            out.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= bit);
        }
        kind if kind <= octets + bits + pairs => {
            put(&mut out, &(WORDS[kind - octets - bits - 1] as u16).to_be_bytes());
        }
        kind if kind <= octets + bits + pairs + fours => {
            put(&mut out, &WORDS[kind - octets - bits - pairs - 1].to_be_bytes());
        }
        _ => whole(packet, number - len * (1 + octets + bits + pairs + fours), &mut out),
    }
    out
}

/// Changes without a fixed position: tails, swapped words, the packet twice, nothing.
fn whole(packet: &[u8], number: usize, out: &mut Vec<u8>) {
    let tails = TAILS.len();
    match number {
        number if number < tails => out.extend(vec![0; TAILS[number]]),
        number if number < tails * 2 => out.extend(vec![0xff; TAILS[number - tails]]),
        number if number == tails * 2 => out.extend_from_slice(packet),
        number if number == tails * 2 + 1 => out.clear(),
        number => {
            let at = (number - tails * 2 - 2) * 4;
            if at + 8 <= out.len() {
                let (first, second) = out[at..at + 8].split_at_mut(4);
                first.swap_with_slice(second);
            }
        }
    }
}

/// Every variant of a packet.
pub fn variants(packet: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..count(packet.len())).map(|number| variant(packet, number))
}

/// RTP of every shape: sources, extensions of both kinds, padding, digits, noise, long and empty payloads.
pub fn rtp() -> Vec<Vec<u8>> {
    let header = |first: u8, second: u8| vec![first, second, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
    let mut all = vec![];
    let mut push = |mut packet: Vec<u8>, parts: &[&[u8]]| {
        parts.iter().for_each(|part| packet.extend_from_slice(part));
        all.push(packet);
    };
    push(header(0x80, 0), &[&[0x30; 160]]);
    push(header(0x80, 0x80), &[]);
    push(header(0x8f, 0), &[&[7; 60], &[0x30; 40]]);
    push(header(0x90, 0), &[&[0xbe, 0xde, 0, 2, 0x10, 5, 0x21, 1, 2, 0, 0, 0], &[0x30; 40]]);
    push(header(0x90, 8), &[&[0x10, 0, 0, 1, 1, 2, 3, 4], &[0x30; 40]]);
    push(header(0xa0, 0), &[&[0x30; 40], &[0, 0, 0, 4]]);
    push(header(0xbf, 0), &[&[7; 60], &[0, 0, 0, 1, 1, 2, 3, 4], &[0x30; 8], &[0, 2]]);
    push(header(0x80, 101), &[&[5, 10, 0, 160]]);
    push(header(0x80, 0xe5), &[&[11, 0x8a, 0xff, 0xff]]);
    push(header(0x80, 13), &[&[60]]);
    push(header(0x80, 111), &[&[0x78, 1, 2, 3, 4, 5, 6, 7, 8]]);
    push(header(0x80, 111), &[&[0x0b, 0x82, 1, 2, 3]]);
    push(header(0x80, 0), &[&[0x30; 1_600]]);
    all
}

/// Compound reports as peers send them, about the source 7.
pub fn rtcp() -> Vec<Vec<u8>> {
    let sender = [0x81u8, 200, 0, 12, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 160, 0, 0, 0, 1, 0, 0, 0, 160];
    let block = [0u8, 0, 0, 7, 64, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 80, 3, 4, 5, 6, 0, 0, 128, 0];
    let name = [0x81u8, 202, 0, 3, 0, 0, 0, 9, 1, 4, b'p', b'e', b'e', b'r', 0, 0];
    let voip = [
        7u8, 0, 0, 8, 0, 0, 0, 7, 12, 3, 0, 0, 0, 0, 0, 0, 0, 80, 0, 40, 127, 127, 127, 16, 88, 127, 42, 42, 0, 0, 0,
        40, 0, 40, 0, 200,
    ];
    let extended = [&[0x80u8, 207, 0, 10, 0, 0, 0, 9][..], &voip].concat();
    let bye = [0x81u8, 203, 0, 1, 0, 0, 0, 9];
    vec![
        [&sender[..], &block, &name, &extended, &bye].concat(),
        [&[0x81u8, 201, 0, 7, 0, 0, 0, 9][..], &block].concat(),
        [&[0x9fu8, 201, 0, 1, 0, 0, 0, 9][..], &bye].concat(),
        extended,
    ]
}
