//! Packets on a TCP connection (RFC 4571): two bytes of length before each.

use crate::limits;

/// Cuts what arrives into packets; bounded by the longest packet that is taken.
#[derive(Debug, Default)]
pub struct Deframer {
    bytes: Vec<u8>,
}

/// The other side does not speak this protocol, or sends packets nobody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl Deframer {
    /// Takes bytes and hands out every packet that is whole.
    pub fn push(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) -> Result<(), Broken> {
        self.bytes.extend_from_slice(bytes);
        let mut at = 0;
        while let Some([high, low]) = self.bytes.get(at..at + 2) {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length > limits::PACKET_BYTES_MAX {
                return Err(Broken);
            }
            let Some(packet) = self.bytes.get(at + 2..at + 2 + length) else { break };
            out(packet);
            at += 2 + length;
        }
        self.bytes.drain(..at);
        Ok(())
    }
}

/// A packet with its length before it.
pub fn frame(packet: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&packet[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_whole_however_they_are_cut() {
        let mut wire = vec![];
        for packet in [&b"one"[..], b"", b"three three"] {
            frame(packet, &mut wire);
        }
        for cut in 1..wire.len() {
            let mut deframer = Deframer::default();
            let mut got: Vec<Vec<u8>> = vec![];
            for part in wire.chunks(cut) {
                deframer.push(part, |packet| got.push(packet.to_vec())).unwrap();
            }
            assert_eq!(got, [&b"one"[..], b"", b"three three"]);
        }
        assert_eq!(Deframer::default().push(&[0xff, 0xff, 1], |_| {}), Err(Broken));
    }
}
