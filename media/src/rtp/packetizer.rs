//! Our outgoing stream: sequence numbers, timestamps, the marker of a talk spurt.

use super::packet::Packet;

#[derive(Clone, Debug)]
pub struct Packetizer {
    pub ssrc: u32,
    sequence: u16,
    timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

impl Packetizer {
    /// Start values should be random (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, sequence, timestamp, packets: 0, octets: 0 }
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
        let packet = Packet { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        let len = packet.write(buffer).unwrap_or(0);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        len
    }
}
