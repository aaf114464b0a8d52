//! Reordering and loss.
//!
//! The consumer is STT, which needs no steady clock. A packet in order is released at once; only a gap waits, as long
//! as the measured jitter suggests. When the network goes quiet (loss at the end of a burst, DTX, hold) the clock fills
//! in, and packets that come after their time was filled are dropped.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_DURATION, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::limits;
use crate::rtp::sequence::Extender;
use std::time::{Duration, Instant};

/// A packet waiting for its turn; payload copied into a fixed place.
#[derive(Clone, Debug)]
struct BufferedPacket {
    sequence: i64,
    timestamp: i64,
    arrived: Instant,
    /// How long the payload lasts.
    samples: u16,
    len: u16,
    payload: [u8; limits::PACKET_SAMPLES_MAX],
}

/// What the buffer releases.
#[derive(Debug, PartialEq, Eq)]
pub enum JitterOutput<'a> {
    /// The payload of one packet.
    Audio(&'a [u8]),
    /// Lost samples to be concealed.
    Lost(usize),
    /// Samples the sender did not send (DTX).
    Silence(usize),
}

/// Packet counts of one buffer since its creation; restarts do not reset them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterCounters {
    /// Packets that arrived, including late ones, duplicates, DTMF events and comfort noise.
    pub received: u64,
    /// Packets that came after their turn, or after the clock had filled their time, and were dropped.
    pub late: u64,
    /// Copies of a packet that still waits in the buffer. A copy of a released packet counts as late.
    pub duplicate: u64,
    /// Packets that had not come when their wait was over. One that comes after it counts as late too.
    pub lost: u64,
    /// Packets that came ahead of a missing one while none waited. A gap that ends as loss counts too.
    pub reordered: u64,
    /// Times a new timeline began: another SSRC, or a jump of sequence number or timestamp.
    pub restarts: u64,
    /// Always zero: the buffer never refuses a packet for lack of room.
    pub overflow: u64,
}

/// Jitter buffer of one received stream: at most 64 packets, released in order.
#[derive(Debug)]
pub struct JitterBuffer {
    slots: Vec<Option<Box<BufferedPacket>>>,
    #[expect(clippy::vec_box, reason = "a slot moves between the lists without its payload being copied")]
    free: Vec<Box<BufferedPacket>>,
    held: usize,
    sequence: Extender<16>,
    timestamp: Extender<32>,
    /// Next sequence number and timestamp to release; `None` before the first packet.
    next: Option<(i64, i64)>,
    /// Sequence number last released, which may be far behind `next` in time after a fill.
    last_release: Option<Instant>,
    late_in_a_row: u32,
    jitter_samples: f32,
    last_transit: Option<i64>,
    origin: Option<Instant>,
    wait: Duration,
    /// Length of the packet last released: the next one comes no earlier than after it.
    last_samples: u16,
    /// Samples filled by the clock since the last packet.
    filled: i64,
    /// True if the filled gap was a pause that the sender had announced.
    paused: bool,
    /// Packet counts so far, for statistics and RTCP.
    pub counters: JitterCounters,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self {
            // Allocated by the first packet: a leg that hears nothing needs none.
            slots: Vec::new(),
            free: Vec::new(),
            held: 0,
            sequence: Extender::default(),
            timestamp: Extender::default(),
            next: None,
            last_release: None,
            late_in_a_row: 0,
            jitter_samples: 0.0,
            last_transit: None,
            origin: None,
            wait: limits::JITTER_WAIT_MIN,
            last_samples: 0,
            filled: 0,
            paused: false,
            counters: JitterCounters::default(),
        }
    }
}

impl JitterBuffer {
    /// Resets the timeline for another SSRC or a renegotiated stream.
    pub fn restart(&mut self) {
        self.counters.restarts += 1;
        for slot in &mut self.slots {
            self.free.extend(slot.take());
        }
        self.held = 0;
        self.sequence.reset();
        self.timestamp.reset();
        self.next = None;
        self.late_in_a_row = 0;
        self.last_transit = None;
    }

    /// Interarrival jitter (RFC 3550 section 6.4.1) in timestamp units.
    pub fn jitter_samples(&self) -> u32 {
        self.jitter_samples as u32
    }

    /// Current wait for a missing packet.
    pub fn gap_wait(&self) -> Duration {
        self.wait
    }

    /// Takes a packet that lasts `samples`, as its timestamp is in samples. An empty payload (comfort noise, a
    /// digit) only keeps the sequence whole.
    pub fn insert(&mut self, now: Instant, sequence: u16, timestamp: u32, samples: usize, payload: &[u8]) {
        let sequence = self.sequence.extend(u32::from(sequence));
        let timestamp = self.timestamp.extend(timestamp);
        self.counters.received += 1;
        if !payload.is_empty() {
            self.measure_jitter(now, timestamp);
        }
        let (next_sequence, next_timestamp) = *self.next.get_or_insert((sequence, timestamp));
        // Digits may have a clock of their own: without sound there is no new timeline.
        let jumped = (timestamp - next_timestamp).abs() > limits::TIMESTAMP_JUMP_SAMPLES_MAX;
        let timestamp = if jumped && payload.is_empty() { next_timestamp } else { timestamp };
        if (timestamp - next_timestamp).abs() > limits::TIMESTAMP_JUMP_SAMPLES_MAX
            || (sequence - next_sequence).abs() > limits::JITTER_PACKETS_MAX as i64
        {
            self.restart_at(sequence, timestamp);
        } else if sequence < next_sequence {
            self.counters.late += 1;
            self.wait = (self.wait + Duration::from_millis(10)).min(limits::JITTER_WAIT_MAX);
            return;
        } else if sequence > next_sequence {
            self.counters.reordered += u64::from(self.held == 0);
        }
        self.store(now, sequence, timestamp, samples, payload);
    }

    fn store(&mut self, now: Instant, sequence: i64, timestamp: i64, samples: usize, payload: &[u8]) {
        if self.slots.is_empty() {
            self.slots.resize_with(limits::JITTER_PACKETS_MAX, || None);
        }
        let Some(place) = self.slots.get_mut(place(sequence)) else { return };
        if place.is_some() {
            self.counters.duplicate += 1;
            return;
        }
        let mut slot = self.free.pop().unwrap_or_else(|| {
            Box::new(BufferedPacket {
                sequence,
                timestamp,
                arrived: now,
                samples: 0,
                len: 0,
                payload: [0; limits::PACKET_SAMPLES_MAX],
            })
        });
        let payload = payload.get(..limits::PACKET_SAMPLES_MAX).unwrap_or(payload);
        slot.sequence = sequence;
        slot.timestamp = timestamp;
        slot.arrived = now;
        slot.len = payload.len() as u16;
        slot.samples = samples.min(limits::TIMESTAMP_JUMP_SAMPLES_MAX as usize) as u16;
        slot.payload.iter_mut().zip(payload).for_each(|(to, from)| *to = *from);
        *place = Some(slot);
        self.held = self.held.saturating_add(1);
    }

    /// The sender's timeline jumped: follow it without concealing the gap.
    fn restart_at(&mut self, sequence: i64, timestamp: i64) {
        self.counters.restarts += 1;
        for slot in &mut self.slots {
            self.free.extend(slot.take());
        }
        self.held = 0;
        self.next = Some((sequence, timestamp));
        self.late_in_a_row = 0;
    }

    fn measure_jitter(&mut self, now: Instant, timestamp: i64) {
        let origin = *self.origin.get_or_insert(now);
        let arrival =
            (now.saturating_duration_since(origin).as_micros() * u128::from(SAMPLE_RATE_HZ) / 1_000_000) as i64;
        let transit = arrival - timestamp;
        if let Some(last) = self.last_transit {
            let distance = ((transit - last).abs() as f32).min(8_000.0);
            self.jitter_samples += (distance - self.jitter_samples) / 16.0;
        }
        self.last_transit = Some(transit);
        let wanted = Duration::from_millis(10) + crate::frame::samples_to_duration((self.jitter_samples * 3.0) as u64);
        let wanted = wanted.clamp(limits::JITTER_WAIT_MIN, limits::JITTER_WAIT_MAX);
        // Increases at once and decreases slowly, because jitter often returns.
        self.wait = if wanted > self.wait { wanted } else { self.wait - (self.wait - wanted) / 256 };
    }

    /// Hands everything that is due to `out`, in order.
    pub fn release(&mut self, now: Instant, out: impl FnMut(JitterOutput<'_>)) {
        self.release_after(now, self.wait, out);
    }

    /// Hands everything that is held to `out`, and waits for nothing: the stream ends.
    pub fn flush(&mut self, now: Instant, out: impl FnMut(JitterOutput<'_>)) {
        self.release_after(now, Duration::ZERO, out);
    }

    fn release_after(&mut self, now: Instant, wait: Duration, mut out: impl FnMut(JitterOutput<'_>)) {
        while self.held > 0 {
            let Some((sequence, timestamp)) = self.next else { return };
            if let Some(slot) = self.slots.get_mut(place(sequence)).and_then(Option::take) {
                self.held = self.held.saturating_sub(1);
                self.release_slot(now, timestamp, &slot, &mut out);
                self.free.push(slot);
                continue;
            }
            let Some((found_at, found_timestamp, arrived)) = self.earliest() else { return };
            if now.saturating_duration_since(arrived) < wait {
                return;
            }
            self.counters.lost += (found_at - sequence) as u64;
            let missing = (found_timestamp - timestamp).clamp(0, limits::TIMESTAMP_JUMP_SAMPLES_MAX);
            if missing > 0 {
                out(JitterOutput::Lost(missing as usize));
            }
            self.next = Some((found_at, timestamp + missing));
        }
    }

    fn release_slot(
        &mut self, now: Instant, expected: i64, slot: &BufferedPacket, out: &mut impl FnMut(JitterOutput<'_>),
    ) {
        let gap = slot.timestamp - expected;
        let mut next_timestamp = expected.max(slot.timestamp);
        if slot.len > 0 {
            // Of a long packet the clock may have filled the beginning; most of it is still to be heard.
            let samples = i64::from(slot.samples);
            let is_overlap = slot.samples > FRAME_SAMPLES as u16 && -gap * 2 <= samples;
            if gap < 0 && !is_overlap && self.late_in_a_row < 3 && !self.paused {
                // Its time was already filled by the clock. A sender that stays behind (it paused its
                // timestamps) is followed after three packets.
                self.late_in_a_row += 1;
                self.counters.late += 1;
                self.wait = (self.wait + Duration::from_millis(10)).min(limits::JITTER_WAIT_MAX);
                next_timestamp = expected;
            } else {
                if gap > 0 {
                    out(JitterOutput::Silence(gap as usize));
                }
                self.late_in_a_row = 0;
                self.filled = 0;
                // The clocks drift by less than a packet over a pause, so the first word after it is complete.
                self.paused = false;
                out(JitterOutput::Audio(slot.payload.get(..usize::from(slot.len)).unwrap_or(&slot.payload)));
                next_timestamp = slot.timestamp + samples;
                self.last_samples = slot.samples;
            }
            self.last_release = Some(now);
        } else {
            // A peer that begins with a pause has a timeline as well.
            self.last_release.get_or_insert(now);
        }
        self.next = Some((slot.sequence + 1, next_timestamp));
    }

    fn earliest(&self) -> Option<(i64, i64, Instant)> {
        self.slots.iter().flatten().min_by_key(|slot| slot.sequence).map(|s| (s.sequence, s.timestamp, s.arrived))
    }

    /// Called once per frame: how many samples the clock must fill because nothing came.
    /// `announced`: the sender has said that it sends nothing, so that nothing is waited for.
    pub fn fill_gap(&mut self, now: Instant, frame_samples: usize, announced: bool) -> Option<JitterOutput<'static>> {
        let last = self.last_release?;
        let quiet = now.saturating_duration_since(last);
        let filled = crate::frame::samples_to_duration(self.filled.max(0) as u64);
        // The packet that is due lasts as long as the last one. Beyond that and the gap that was already filled, the
        // wait and a frame.
        let packet = crate::frame::samples_to_duration(u64::from(self.last_samples)).max(FRAME_DURATION);
        let grace = if announced { packet } else { self.wait + FRAME_DURATION + packet };
        if self.held > 0 || quiet < filled + grace {
            return None;
        }
        let loss = self.filled < 480 && !announced;
        self.paused = announced;
        self.filled += frame_samples as i64;
        self.next = self.next.map(|(sequence, timestamp)| (sequence, timestamp + frame_samples as i64));
        Some(if loss { JitterOutput::Lost(frame_samples) } else { JitterOutput::Silence(frame_samples) })
    }
}

/// Index of a sequence number.
fn place(sequence: i64) -> usize {
    sequence.rem_euclid(limits::JITTER_PACKETS_MAX as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    struct BufferTest {
        now: Instant,
        buffer: JitterBuffer,
        out: Vec<String>,
    }

    impl BufferTest {
        fn new() -> Self {
            #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
            let now = Instant::now();
            Self { now, buffer: JitterBuffer::default(), out: vec![] }
        }

        fn take(&mut self) {
            let out = &mut self.out;
            self.buffer.release(self.now, |release| {
                out.push(match release {
                    JitterOutput::Audio(payload) => format!("{}", payload[0]),
                    JitterOutput::Lost(samples) => format!("lost{samples}"),
                    JitterOutput::Silence(samples) => format!("silence{samples}"),
                });
            });
        }

        fn arrive(&mut self, sequence: u16, timestamp: u32) {
            self.buffer.insert(self.now, sequence, timestamp, 160, &[sequence as u8; 160]);
            self.take();
        }

        fn pass_ms(&mut self, ms: u64) {
            for _ in 0..ms / 20 {
                self.now += Duration::from_millis(20);
                self.take();
                match self.buffer.fill_gap(self.now, 160, false) {
                    Some(JitterOutput::Lost(_)) => self.out.push("fill".into()),
                    Some(_) => self.out.push("quiet".into()),
                    None => {}
                }
            }
        }
    }

    #[test]
    fn in_order_packets_are_released_at_once_across_wraps() {
        let mut bench = BufferTest::new();
        for n in 0..4u32 {
            bench.arrive(65_534u16.wrapping_add(n as u16), (u32::MAX - 200).wrapping_add(n * 160));
            bench.now += Duration::from_millis(20);
        }
        assert_eq!(bench.out, ["254", "255", "0", "1"]);
    }

    #[test]
    fn gap_waits_for_reordered_packet_and_gives_up_lost_one() {
        let mut bench = BufferTest::new();
        bench.arrive(1, 0);
        bench.arrive(3, 320);
        bench.arrive(2, 160);
        bench.arrive(2, 160);
        assert_eq!(bench.out, ["1", "2", "3"]);
        bench.arrive(5, 640);
        assert_eq!(bench.out.len(), 3);
        bench.now += bench.buffer.gap_wait();
        bench.take();
        assert_eq!(bench.out[3..], ["lost160", "5"]);
        assert_eq!((bench.buffer.counters.lost, bench.buffer.counters.late), (1, 1));
    }

    #[test]
    fn a_pause_of_the_sender_becomes_silence() {
        let mut bench = BufferTest::new();
        bench.arrive(1, 0);
        bench.pass_ms(20);
        bench.arrive(2, 480); // DTX: the sequence goes on, time jumped
        assert_eq!(bench.out, ["1", "silence320", "2"]);
    }

    #[test]
    fn clock_fills_gap_and_late_packets_are_dropped() {
        let mut bench = BufferTest::new();
        bench.arrive(1, 0);
        bench.pass_ms(200);
        assert!(bench.out.iter().filter(|o| *o == "fill").count() == 3, "{:?}", bench.out);
        let filled = bench.out.len() - 1;
        bench.arrive(2, 160);
        assert_eq!(bench.out.len() - 1, filled, "late by its own timestamp");
        // A sender whose clock stood still goes on where it was: the fourth packet is heard again.
        for n in 3..7 {
            bench.arrive(n, u32::from(n) * 160 - 160);
        }
        assert_eq!(bench.out.last().map(String::as_str), Some("6"));
    }

    #[test]
    fn announced_dtx_fills_silence_without_loss() {
        let mut bench = BufferTest::new();
        bench.arrive(1, 0);
        for _ in 0..10 {
            bench.now += Duration::from_millis(20);
            assert_eq!(bench.buffer.fill_gap(bench.now, 160, true), Some(JitterOutput::Silence(160)));
        }
        // The sender's clock is a little behind ours.
        bench.arrive(2, 1_500);
        bench.now += Duration::from_millis(20);
        bench.arrive(3, 1_660);
        assert_eq!(bench.out, ["1", "2", "3"]);
        assert_eq!(bench.buffer.counters.late, 0);
    }

    #[test]
    fn a_jump_in_time_starts_a_new_timeline() {
        let mut bench = BufferTest::new();
        bench.arrive(1, 0);
        bench.arrive(2, 900_000);
        bench.arrive(3, 900_160);
        bench.arrive(40_000, 5);
        bench.arrive(40_001, 165);
        assert_eq!(bench.out.len(), 5);
        assert_eq!(bench.buffer.counters.restarts, 2);
    }

    #[test]
    fn wait_for_a_missing_packet_is_short_again_once_the_line_is_good() {
        let mut bench = BufferTest::new();
        let arrive = |bench: &mut BufferTest, n: u32, after_ms: u64| {
            bench.now += Duration::from_millis(after_ms);
            bench.arrive(n as u16, n * 160);
        };
        for n in 0..100 {
            arrive(&mut bench, n, if n % 2 == 0 { 2 } else { 38 });
        }
        assert!(bench.buffer.gap_wait() > Duration::from_millis(50), "{:?}", bench.buffer.gap_wait());
        for n in 100..2_100 {
            arrive(&mut bench, n, 20);
        }
        assert!(bench.buffer.gap_wait() < Duration::from_millis(25), "{:?}", bench.buffer.gap_wait());
    }
}
