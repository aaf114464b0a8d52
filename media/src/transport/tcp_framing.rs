//! Packets on a TCP connection (RFC 4571): two bytes of length before each.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::limits;

/// Splits received bytes into packets; memory is bounded by the longest accepted packet.
#[derive(Debug, Default)]
pub struct TcpDeframer {
    bytes: Vec<u8>,
}

/// The remote side does not use RFC 4571 framing, or sends invalid packet lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingError;

impl TcpDeframer {
    /// No packet has begun.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes and hands out every packet that is whole.
    pub fn push(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) -> Result<(), FramingError> {
        self.bytes.extend_from_slice(bytes);
        let mut rest = self.bytes.as_slice();
        while let [high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            // Length zero is a keep-alive (RFC 4571 section 2). Shorter than any header is invalid.
            if length > limits::PACKET_BYTES_MAX || (1..limits::PACKET_BYTES_MIN).contains(&length) {
                return Err(FramingError);
            }
            let Some((packet, after)) = after.split_at_checked(length) else { break };
            if !packet.is_empty() {
                out(packet);
            }
            rest = after;
        }
        let taken = self.bytes.len().saturating_sub(rest.len());
        self.bytes.drain(..taken);
        Ok(())
    }
}

/// A packet with its length before it.
pub fn write_framed(packet: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(packet.get(..usize::from(length)).unwrap_or(packet));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_reassembled_from_any_chunks() {
        let mut wire = vec![];
        for packet in [&b"one and one"[..], b"", b"three three"] {
            write_framed(packet, &mut wire);
        }
        for cut in 1..wire.len() {
            let mut deframer = TcpDeframer::default();
            let mut got: Vec<Vec<u8>> = vec![];
            for part in wire.chunks(cut) {
                deframer.push(part, |packet| got.push(packet.to_vec())).unwrap();
            }
            assert_eq!(got, [&b"one and one"[..], b"three three"]);
            assert!(deframer.is_empty());
        }
        for wrong in [&[0xff, 0xff, 1][..], &[0, 1, 1], &[0, 7, 1], b"GET / HTTP/1.1"] {
            assert_eq!(TcpDeframer::default().push(wrong, |_| {}), Err(FramingError), "{wrong:?}");
        }
        let mut half = TcpDeframer::default();
        assert_eq!(half.push(&[0], |_| {}), Ok(()));
        assert!(!half.is_empty());
    }
}
