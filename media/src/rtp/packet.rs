//! The RTP header (RFC 3550 section 5.1): read without copying, written in place.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

/// A parsed packet; the payload borrows the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Payload type, 0 to 127: names the codec, static or as negotiated.
    pub payload_type: u8,
    /// Marker bit: first packet of a talk spurt (RFC 3551 section 4.1) or of a DTMF event.
    pub marker: bool,
    /// Sequence number; grows by one per packet and wraps.
    pub sequence: u16,
    /// Time of the first sample in ticks of the codec's RTP clock; wraps.
    pub timestamp: u32,
    /// Synchronization source: identifies the sender's stream.
    pub ssrc: u32,
    /// Encoded audio or event, without header extension and padding.
    pub payload: &'a [u8],
}

/// Length of the fixed header in bytes, without contributing sources and extension.
pub const HEADER_BYTES: usize = 12;

impl<'a> RtpPacket<'a> {
    /// `None` for anything that is not a complete RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3, ..] = *bytes else { return None };
        let mut payload = bytes.get(header_len(bytes)?..)?;
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?).filter(|_| padding > 0)?;
        }
        Some(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload,
        })
    }

    /// Writes header and payload; returns the length, or `None` when the buffer is too small.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let (header, rest) = buffer.split_first_chunk_mut::<HEADER_BYTES>()?;
        rest.get_mut(..self.payload.len())?.copy_from_slice(self.payload);
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let second = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        *header = [0x80, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        HEADER_BYTES.checked_add(self.payload.len())
    }
}

/// Where the payload of an RTP packet begins: behind contributing sources and header extension, which may be as long as
/// the packet and no longer. `None` for anything else.
pub fn header_len(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut len = usize::from(first & 0x0f).checked_mul(4)?.checked_add(HEADER_BYTES)?;
    if first & 0x10 != 0 {
        let [_, _, high, low] = *bytes.get(len..)?.first_chunk()?;
        let words = usize::from(u16::from_be_bytes([high, low]));
        len = words.checked_mul(4)?.checked_add(4)?.checked_add(len)?;
    }
    (len <= bytes.len()).then_some(len)
}

/// RTCP shares the first bits; its packet types lie where RTP would have payload types 72 to 76 with
/// the marker set (RFC 5761 section 4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 200..=207, _, _, _, _, _, _, ..] if first >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_round_trips() {
        let packet =
            RtpPacket { payload_type: 8, marker: true, sequence: 65_535, timestamp: 1 << 31, ssrc: 7, payload: b"abc" };
        let mut buffer = [0; 64];
        let len = packet.write(&mut buffer).unwrap();
        assert_eq!(RtpPacket::parse(&buffer[..len]), Some(packet));
        assert_eq!(packet.write(&mut [0; 14]), None);
    }

    #[test]
    fn extension_csrc_and_padding_are_skipped() {
        let mut bytes = vec![0xB1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([9; 4]); // one CSRC
        bytes.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]); // one extension word
        bytes.extend([0x55, 0x66, 0, 2]); // payload and two bytes of padding
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload, [0x55, 0x66]);
    }

    #[test]
    fn truncated_packets_are_rejected() {
        for bytes in [
            &[0x80; 11][..],
            &[0x8F, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
            &[0x40; 20],
            &[0xA0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 200],
        ] {
            assert_eq!(RtpPacket::parse(bytes), None);
        }
    }
}
