//! The clock of a received stream: from timestamps to samples at 8 kHz.
//!
//! Some senders count with another clock than the negotiated one: Opus by 160 for 20 ms, G.722 by 320. Where timestamps
//! contradict the length of the packets steadily, and the packets come as fast as they play, their length is right.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::sequence::Extender;
use crate::frame::samples_to_duration;
use std::time::Instant;

/// Packets in a row that show another clock.
const EVIDENCE_PACKETS: u32 = 6;
/// A packet that is further behind begins another sequence.
const LATE_PACKETS_MAX: u16 = 3_000;

/// Converts timestamps of one source. A new source needs a new clock.
#[derive(Clone, Copy, Debug)]
pub struct RtpClock {
    /// Ticks of the negotiated clock in one sample.
    scale: u32,
    ticks: Extender<32>,
    pace: ClockPace,
    /// A timestamp and its sample.
    origin: (i64, i64),
    evidence: ClockEvidence,
}

/// How fast the timestamps run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockPace {
    Negotiated,
    /// So many ticks for so many samples.
    Measured {
        ticks: i64,
        samples: i64,
    },
    /// Not at all: only the sequence tells the time.
    Stopped,
}

/// What the last packets say about the pace.
#[derive(Clone, Copy, Debug)]
enum ClockEvidence {
    /// No audio was received.
    None,
    /// The last packet fits the pace, or nothing follows from it.
    Fits(ClockedPacket),
    /// The last packets contradict it, all in the same way.
    Contradicts { last: ClockedPacket, step: i64, count: u32, since: Instant },
}

/// A packet with its place on both clocks.
#[derive(Clone, Copy, Debug)]
struct ClockedPacket {
    sequence: u16,
    ticks: i64,
    at: i64,
    samples: i64,
    came: Instant,
}

impl RtpClock {
    /// A clock of `scale` ticks for each sample.
    pub fn new(scale: u32) -> Self {
        let scale = scale.max(1);
        let (ticks, evidence) = (Extender::default(), ClockEvidence::None);
        Self { scale, ticks, pace: ClockPace::Negotiated, origin: (0, 0), evidence }
    }

    /// Ticks of the negotiated clock in one sample.
    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// The sample at which a packet begins; wraps as timestamps do. `samples`: its length, zero for one without audio.
    pub fn to_samples(&mut self, now: Instant, sequence: u16, timestamp: u32, samples: usize) -> u32 {
        let ticks = self.ticks.extend(timestamp);
        let samples = i64::try_from(samples).unwrap_or(0);
        let at = self.convert(sequence, ticks);
        if samples == 0 {
            return at as u32;
        }
        let packet = ClockedPacket { sequence, ticks, at, samples, came: now };
        let (packet, evidence) = self.weigh(packet);
        self.evidence = evidence;
        packet.at as u32
    }

    fn last(&self) -> Option<ClockedPacket> {
        match self.evidence {
            ClockEvidence::None => None,
            ClockEvidence::Fits(last) | ClockEvidence::Contradicts { last, .. } => Some(last),
        }
    }

    fn convert(&self, sequence: u16, ticks: i64) -> i64 {
        let (origin_ticks, origin_sample) = self.origin;
        let passed = ticks - origin_ticks;
        match self.pace {
            ClockPace::Negotiated => origin_sample + passed.div_euclid(i64::from(self.scale)),
            ClockPace::Measured { ticks, samples } => {
                let at = i128::from(passed) * i128::from(samples) / i128::from(ticks.max(1));
                origin_sample + at as i64
            }
            ClockPace::Stopped => self.last().map_or(origin_sample, |last| {
                last.at + i64::from(sequence.wrapping_sub(last.sequence) as i16) * last.samples
            }),
        }
    }

    /// By how much the timestamp rises over a packet of that length.
    fn step(&self, samples: i64) -> i64 {
        match self.pace {
            ClockPace::Negotiated => samples * i64::from(self.scale),
            ClockPace::Measured { ticks, samples: of } => samples * ticks / of.max(1),
            ClockPace::Stopped => 0,
        }
    }

    /// Compares a packet with the one before it, and changes the pace where enough of them agree.
    fn weigh(&mut self, packet: ClockedPacket) -> (ClockedPacket, ClockEvidence) {
        let Some(last) = self.last() else { return (packet, ClockEvidence::Fits(packet)) };
        let ahead = packet.sequence.wrapping_sub(last.sequence);
        if last.sequence.wrapping_sub(packet.sequence) <= LATE_PACKETS_MAX {
            return (packet, self.evidence); // a copy, or a late one
        }
        let step = packet.ticks - last.ticks;
        if ahead != 1 || step < 0 || step == self.step(last.samples) || packet.samples != last.samples {
            return (packet, ClockEvidence::Fits(packet));
        }
        let (count, since) = match self.evidence {
            ClockEvidence::Contradicts { step: before, count, since, .. } if before == step => (count + 1, since),
            _ => (1, last.came),
        };
        if count < EVIDENCE_PACKETS {
            return (packet, ClockEvidence::Contradicts { last: packet, step, count, since });
        }
        // Packets that come as seldom as their timestamps say are right: the sender pauses (DTX).
        let played = samples_to_duration(packet.samples.unsigned_abs() * u64::from(count));
        let passed = packet.came.saturating_duration_since(since);
        if passed < played / 2 || passed > played * 7 / 4 {
            return (packet, ClockEvidence::Fits(packet));
        }
        self.pace = match step {
            0 => ClockPace::Stopped,
            _ if step == packet.samples * i64::from(self.scale) => ClockPace::Negotiated,
            _ => ClockPace::Measured { ticks: step, samples: packet.samples },
        };
        let packet = ClockedPacket { at: last.at + last.samples, ..packet };
        self.origin = (packet.ticks, packet.at);
        (packet, ClockEvidence::Fits(packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// Where packets of a length lie, whose timestamps rise by `ticks`, and which come every `every_ms`.
    fn places(scale: u32, samples: usize, ticks: u32, every_ms: u64, count: u16) -> Vec<u32> {
        let (now, mut clock) = (origin(), RtpClock::new(scale));
        let packet = |n: u16| {
            let at = now + Duration::from_millis(every_ms) * u32::from(n);
            clock.to_samples(at, n.wrapping_add(65_530), (u32::MAX - 2_000).wrapping_add(u32::from(n) * ticks), samples)
        };
        (0..count).map(packet).collect()
    }

    fn steps(places: &[u32]) -> Vec<u32> {
        places.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
    }

    #[test]
    fn right_clocks_are_taken_as_they_are() {
        for (scale, samples) in [(1, 160), (1, 80), (1, 1_600), (2, 160), (6, 160), (6, 960), (6, 20)] {
            let steps = steps(&places(scale, samples, scale * samples as u32, samples as u64 / 8, 50));
            assert!(steps.iter().all(|step| *step == samples as u32), "{scale} {samples}: {steps:?}");
        }
    }

    #[test]
    fn wrong_clocks_are_found_over_a_handful_of_packets() {
        for (scale, samples) in [(6, 160usize), (6, 480), (1, 160), (1, 240), (2, 160)] {
            for clock_khz in [0, 8, 16, 24, 32, 48u32] {
                let ticks = samples as u32 / 8 * clock_khz;
                let steps = steps(&places(scale, samples, ticks, samples as u64 / 8, 300));
                let right = steps[6..].iter().all(|step| *step == samples as u32);
                assert!(right, "{scale} {samples} {clock_khz} kHz: {steps:?}");
            }
        }
    }

    #[test]
    fn sender_that_pauses_is_right() {
        // Opus in DTX: a packet of 20 ms every 400 ms.
        let dtx = steps(&places(6, 160, 19_200, 400, 40));
        assert!(dtx.iter().all(|step| *step == 3_200), "{dtx:?}");
        // The same at once, after the network stood still.
        let burst = steps(&places(6, 160, 19_200, 0, 40));
        assert!(burst.iter().all(|step| *step == 3_200), "{burst:?}");
    }

    #[test]
    fn pauses_are_kept_and_a_clock_that_is_corrected_is_followed() {
        let (mut now, mut clock) = (origin(), RtpClock::new(6));
        let (mut sequence, mut timestamp, mut places) = (0u16, 7u32, vec![]);
        let mut pass = |count: u32, ticks: u32, lost: u16| {
            for _ in 0..count {
                now += Duration::from_millis(20);
                sequence = sequence.wrapping_add(1 + lost);
                timestamp = timestamp.wrapping_add(ticks * u32::from(1 + lost));
                places.push(clock.to_samples(now, sequence, timestamp, 160));
            }
            places.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).next_back().unwrap()
        };
        assert_eq!(pass(20, 160, 0), 160);
        assert_eq!(pass(1, 160, 2), 480, "two are lost");
        assert_eq!(pass(1, 8_000, 0), 8_000, "a second of pause at 8 kHz");
        assert_eq!(pass(20, 960, 0), 160, "corrected");
        assert_eq!(pass(1, 48_000, 0), 8_000);
        assert_eq!(pass(20, 0, 0), 160, "stopped");
        assert_eq!(pass(1, 0, 3), 640, "three are lost");
    }

    #[test]
    fn copies_and_late_packets_prove_nothing() {
        let (now, mut clock) = (origin(), RtpClock::new(1));
        for n in 0..200u16 {
            let at = now + Duration::from_millis(20) * u32::from(n);
            for late in [0, 0, 3] {
                let sequence = n.wrapping_sub(late);
                let place = clock.to_samples(at, sequence, u32::from(sequence) * 160 + 1_000, 160);
                assert!(n < late || place == u32::from(sequence) * 160 + 1_000);
            }
        }
    }
}
