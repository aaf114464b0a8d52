//! Our outgoing stream: sequence numbers, timestamps, the marker of a talk spurt.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::packet::RtpPacket;

/// Mask for sequence numbers in the lower half of the range.
const LOWER_HALF: u16 = 0x7fff;

/// Header state of one outgoing stream. Its own clock counts samples at 8 kHz.
#[derive(Clone, Debug)]
pub struct Packetizer {
    /// SSRC in use; changed only by `renew_ssrc`.
    pub ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Packets written under this SSRC, for the RTCP sender report; wraps.
    pub packets: u32,
    /// Payload bytes written under this SSRC, for the RTCP sender report; wraps.
    pub octets: u32,
}

impl Packetizer {
    /// Start values should be random (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, sequence, timestamp, packets: 0, octets: 0 }
    }

    /// Starts a new stream with a new SSRC, so that no packet index is reused under the same key. The sequence starts
    /// in the lower half, so that a receiver that joins late still knows the roll-over counter (RFC 3711 section
    /// 3.3.1).
    pub fn renew_ssrc(&mut self) {
        // Any odd multiplier gives every source a different successor; it need not be a secret.
        let mixed = self.ssrc.wrapping_add(u32::from(self.sequence)).wrapping_mul(0x9E37_79B1).rotate_left(11);
        self.ssrc = if mixed == self.ssrc { !mixed } else { mixed };
        self.sequence = (mixed >> 8) as u16 & LOWER_HALF;
        (self.packets, self.octets) = (0, 0);
    }

    /// Begins in the lower half of the sequence numbers.
    pub fn start_in_lower_half(&mut self) {
        self.sequence &= LOWER_HALF;
    }

    /// Timestamp of the next packet.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Media time passes, whether a packet carries it or not.
    pub fn advance(&mut self, samples: u32) {
        self.timestamp = self.timestamp.wrapping_add(samples);
    }

    /// Writes a packet at the given timestamp and counts it.
    pub fn write(
        &mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8], buffer: &mut [u8],
    ) -> usize {
        let packet = RtpPacket { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        let len = packet.write(buffer).unwrap_or(0);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        len
    }
}
