//! The RTP header (RFC 3550 section 5.1): read without copying, written in place.

/// A parsed packet; the payload borrows the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: &'a [u8],
}

pub const HEADER_BYTES: usize = 12;

impl<'a> Packet<'a> {
    /// `None` for anything that is not a complete RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        if header[0] >> 6 != 2 {
            return None;
        }
        let mut start = HEADER_BYTES + usize::from(header[0] & 0x0f) * 4;
        if header[0] & 0x10 != 0 {
            let extension = bytes.get(start..start + 4)?;
            start += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
        }
        let mut end = bytes.len();
        if header[0] & 0x20 != 0 {
            let padding = usize::from(*bytes.last()?);
            if padding == 0 {
                return None;
            }
            end = end.checked_sub(padding)?;
        }
        Some(Self {
            payload_type: header[1] & 0x7f,
            marker: header[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload: bytes.get(start..end)?,
        })
    }

    /// Writes header and payload; returns the length, or `None` when the buffer is too small.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let len = HEADER_BYTES + self.payload.len();
        let out = buffer.get_mut(..len)?;
        out[0] = 0x80;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        out[HEADER_BYTES..].copy_from_slice(self.payload);
        Some(len)
    }
}

/// RTCP shares the first bits; its packet types lie where RTP would have payload types 72 to 76 with
/// the marker set (RFC 5761 section 4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] >> 6 == 2 && (200..=207).contains(&bytes[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let packet =
            Packet { payload_type: 8, marker: true, sequence: 65_535, timestamp: 1 << 31, ssrc: 7, payload: b"abc" };
        let mut buffer = [0; 64];
        let len = packet.write(&mut buffer).unwrap();
        assert_eq!(Packet::parse(&buffer[..len]), Some(packet));
        assert_eq!(packet.write(&mut [0; 14]), None);
    }

    #[test]
    fn extension_csrc_and_padding_are_skipped() {
        let mut bytes = vec![0xB1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9; 4]); // one CSRC
        bytes.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]); // one extension word
        bytes.extend([0x55, 0x66, 0, 2]); // payload and two bytes of padding
        assert_eq!(Packet::parse(&bytes).unwrap().payload, [0x55, 0x66]);
    }

    #[test]
    fn cut_packets_are_refused() {
        for bytes in [
            &[0x80; 11][..],
            &[0x8F, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
            &[0x40; 20],
            &[0xA0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 200],
        ] {
            assert_eq!(Packet::parse(bytes), None);
        }
    }
}
