//! What a stream of RTP packets says about the network and the sender's clock. Pure: the arrival times are in the records.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Packets that are kept of a call: 15 minutes at 50 a second.
pub(super) const RECORDS_MAX: usize = 45_000;
/// A jump of the sequence number beyond this begins a new stream.
const SEQUENCE_JUMP_MAX: i32 = 1_000;
/// A jump of arrival against timestamp beyond this begins a new timeline.
const TRANSIT_JUMP_S: f64 = 0.3;
/// The best packet of each of these intervals counts for the drift: the others were delayed on the way.
const DRIFT_INTERVAL_S: f64 = 0.5;
/// Drift is measured over this time at least.
pub(super) const DRIFT_SECONDS_MIN: f64 = 10.0;

/// A packet as it arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PacketRecord {
    /// Seconds since the media began.
    pub at_s: f64,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    pub ssrc: u32,
    pub source: SocketAddr,
    /// Level of its audio; `None` if it is no audio that can be decoded.
    pub level_dbfs: Option<f32>,
}

/// Payload types that were agreed on, and the clock.
#[derive(Clone, Debug, Default)]
pub(super) struct PayloadTypes {
    pub audio: u8,
    pub clock_hz: u32,
    pub events: Vec<u8>,
    pub comfort_noise: Option<u8>,
}

/// Difference between the sender's clock and ours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum ClockDrift {
    #[default]
    NotMeasured,
    /// Parts per million, positive if the sender is fast, and the standard error.
    Measured { ppm: f64, error_ppm: f64, seconds: f64 },
}

/// What the sequence numbers tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PacketOrder {
    pub lost: u64,
    pub reordered: u64,
    pub duplicates: u64,
}

/// Digits that the peer sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReceivedDigits {
    pub keys: String,
    pub payload_type: Option<u8>,
}

/// Numbers of one stream, or of one part of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RtpStatistics {
    pub sent: u64,
    pub received: u64,
    /// Seconds that were listened.
    pub listened_s: f64,
    /// When the first packet came, counted from the beginning of this part.
    pub first_s: Option<f64>,
    pub rtcp_received: u64,
    /// Loss of our packets, as the peer reports it: 0 to 1.
    pub reported_loss: Option<f32>,
    pub order: PacketOrder,
    pub jitter_ms: f64,
    pub drift: ClockDrift,
    /// Milliseconds of audio in a packet, of most packets.
    pub packet_ms: Option<u16>,
    /// Another length of at least a fifth of the packets.
    pub other_packet_ms: Option<u16>,
    /// Packets by payload type.
    pub payload_types: BTreeMap<u8, u64>,
    pub sources: Vec<SocketAddr>,
    pub ssrcs: usize,
    /// Level of the packets that are not silent.
    pub level_dbfs: Option<f32>,
    pub comfort_noise: u64,
    /// Pauses in which nothing was sent while the timestamps went on.
    pub pauses: u64,
    pub digits: ReceivedDigits,
    /// Round trip of our test tone, if the peer echoes.
    pub echo_ms: Option<f64>,
    /// SRTP packets that could not be authenticated.
    pub undecryptable: u64,
}

/// What is silent: nothing below counts for the level.
const SILENT_DBFS: f32 = -60.0;

/// Summarizes the packets of `from_s..to_s`.
pub(super) fn summarize(records: &[PacketRecord], types: &PayloadTypes, from_s: f64, to_s: f64) -> RtpStatistics {
    let part: Vec<&PacketRecord> =
        records.iter().filter(|record| record.at_s >= from_s && record.at_s < to_s).collect();
    let mut statistics = RtpStatistics {
        received: part.len() as u64,
        listened_s: (to_s - from_s).max(0.0),
        first_s: part.first().map(|first| first.at_s - from_s),
        ..RtpStatistics::default()
    };
    let mut by_ssrc: BTreeMap<u32, Vec<&PacketRecord>> = BTreeMap::new();
    for record in &part {
        *statistics.payload_types.entry(record.payload_type).or_default() += 1;
        if !statistics.sources.contains(&record.source) {
            statistics.sources.push(record.source);
        }
        by_ssrc.entry(record.ssrc).or_default().push(record);
    }
    statistics.ssrcs = by_ssrc.len();
    statistics.comfort_noise = part.iter().filter(|r| Some(r.payload_type) == types.comfort_noise).count() as u64;
    statistics.level_dbfs = level(&part);
    if let Some(stream) = by_ssrc.values().max_by_key(|stream| stream.len()) {
        add_sequence(&mut statistics, stream);
        let audio: Vec<&PacketRecord> = stream.iter().copied().filter(|r| r.payload_type == types.audio).collect();
        if types.clock_hz > 0 {
            add_timing(&mut statistics, &audio, f64::from(types.clock_hz));
        }
    }
    statistics
}

/// Mean level of what is not silent; that of everything if all is.
fn level(part: &[&PacketRecord]) -> Option<f32> {
    let levels: Vec<f32> = part.iter().filter_map(|record| record.level_dbfs).collect();
    let loud: Vec<f32> = levels.iter().copied().filter(|level| *level > SILENT_DBFS).collect();
    let counted = if loud.is_empty() { &levels } else { &loud };
    let power: f64 = counted.iter().map(|level| 10f64.powf(f64::from(*level) / 10.0)).sum();
    (!counted.is_empty()).then(|| (10.0 * (power / counted.len() as f64).log10()) as f32)
}

/// Loss, order and repetition.
fn add_sequence(statistics: &mut RtpStatistics, stream: &[&PacketRecord]) {
    let mut seen: BTreeSet<i64> = BTreeSet::new();
    let mut highest: Option<i64> = None;
    let close = |statistics: &mut RtpStatistics, seen: &mut BTreeSet<i64>| {
        if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
            statistics.order.lost += (last - first + 1 - seen.len() as i64).max(0) as u64;
        }
        seen.clear();
    };
    for record in stream {
        let number = match highest {
            None => i64::from(record.sequence),
            Some(highest) => {
                let step = i32::from(record.sequence.wrapping_sub(highest as u16) as i16);
                if step.abs() > SEQUENCE_JUMP_MAX {
                    close(statistics, &mut seen);
                }
                highest + i64::from(step)
            }
        };
        if !seen.insert(number) {
            statistics.order.duplicates += 1;
        } else if highest.is_some_and(|highest| number < highest && highest - number <= i64::from(SEQUENCE_JUMP_MAX)) {
            statistics.order.reordered += 1;
        }
        highest = Some(match highest {
            Some(highest) if (highest - number).abs() <= i64::from(SEQUENCE_JUMP_MAX) => highest.max(number),
            _ => number,
        });
    }
    close(statistics, &mut seen);
}

/// Packet length, jitter (RFC 3550 section 6.4.1), pauses and drift.
fn add_timing(statistics: &mut RtpStatistics, audio: &[&PacketRecord], clock_hz: f64) {
    let mut lengths: BTreeMap<u16, u64> = BTreeMap::new();
    let mut timelines: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    let mut elapsed_ticks = 0i64;
    let mut jitter_s = 0f64;
    for (index, record) in audio.iter().enumerate() {
        if let Some(before) = index.checked_sub(1).and_then(|at| audio.get(at)) {
            let ticks = i64::from(record.timestamp.wrapping_sub(before.timestamp) as i32);
            elapsed_ticks += ticks;
            let step_s = ticks as f64 / clock_hz;
            let difference_s = (record.at_s - before.at_s) - step_s;
            let sequence = record.sequence.wrapping_sub(before.sequence);
            if sequence == 1 && (0.0..0.2001).contains(&step_s) {
                *lengths.entry((step_s * 1_000.0).round() as u16).or_default() += 1;
            }
            if sequence == 1 && step_s > 0.2001 {
                statistics.pauses += 1;
            }
            if difference_s.abs() > TRANSIT_JUMP_S {
                timelines.push(Vec::new());
            } else {
                jitter_s += (difference_s.abs() - jitter_s) / 16.0;
            }
        }
        let transit_s = record.at_s - elapsed_ticks as f64 / clock_hz;
        if let Some(timeline) = timelines.last_mut() {
            timeline.push((record.at_s, transit_s));
        }
    }
    statistics.jitter_ms = jitter_s * 1_000.0;
    let all: u64 = lengths.values().sum();
    let mut lengths: Vec<(u16, u64)> = lengths.into_iter().collect();
    lengths.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    statistics.packet_ms = lengths.first().map(|(ms, _)| *ms);
    statistics.other_packet_ms = lengths.get(1).filter(|(_, count)| count * 5 >= all).map(|(ms, _)| *ms);
    let longest = timelines.iter().max_by_key(|timeline| timeline.len());
    statistics.drift = longest.map_or(ClockDrift::NotMeasured, |timeline| drift(timeline));
}

/// Fits a line through the least delayed packets: its slope is the difference of the clocks.
fn drift(timeline: &[(f64, f64)]) -> ClockDrift {
    let (Some((first_s, _)), Some((last_s, _))) = (timeline.first(), timeline.last()) else {
        return ClockDrift::NotMeasured;
    };
    let seconds = last_s - first_s;
    let mut best: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (at_s, transit_s) in timeline {
        let interval = ((at_s - first_s) / DRIFT_INTERVAL_S) as u64;
        let kept = best.entry(interval).or_insert((*at_s, *transit_s));
        if *transit_s < kept.1 {
            *kept = (*at_s, *transit_s);
        }
    }
    // Half of a second may be missing at the ends.
    if seconds < DRIFT_SECONDS_MIN - 0.5 || best.len() < 12 {
        return ClockDrift::NotMeasured;
    }
    let count = best.len() as f64;
    let mean_at = best.values().map(|(at, _)| at).sum::<f64>() / count;
    let mean_transit = best.values().map(|(_, transit)| transit).sum::<f64>() / count;
    let spread: f64 = best.values().map(|(at, _)| (at - mean_at).powi(2)).sum();
    let slope = best.values().map(|(at, transit)| (at - mean_at) * (transit - mean_transit)).sum::<f64>() / spread;
    let residual: f64 =
        best.values().map(|(at, transit)| (transit - mean_transit - slope * (at - mean_at)).powi(2)).sum::<f64>();
    let error = (residual / (count - 2.0) / spread).sqrt();
    ClockDrift::Measured { ppm: -slope * 1e6, error_ppm: error * 1e6, seconds }
}

#[cfg(test)]
mod tests;
