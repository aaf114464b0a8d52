//! Streams whose faults are known.

use super::*;

const TYPES: PayloadTypes = PayloadTypes { audio: 8, clock_hz: 8_000, events: Vec::new(), comfort_noise: Some(13) };

/// A packet of `packet_ms` each; a sender that is `ppm` fast, and a network that delays by up to `noise_s`.
fn stream(count: u32, packet_ms: u32, ppm: f64, noise_s: f64) -> Vec<PacketRecord> {
    let mut random = 1u32;
    (0..count)
        .map(|number| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = noise_s * f64::from(random >> 16) / 65_536.0;
            PacketRecord {
                at_s: f64::from(number * packet_ms) / 1_000.0 / (1.0 + ppm / 1e6) + noise,
                sequence: (65_000 + number) as u16,
                timestamp: u32::MAX.wrapping_sub(8_000).wrapping_add(number * packet_ms * 8),
                payload_type: 8,
                ssrc: 1,
                source: ([127, 0, 0, 1], 4_000).into(),
                level_dbfs: Some(-20.0),
            }
        })
        .collect()
}

fn ppm_of(records: &[PacketRecord]) -> Option<f64> {
    match summarize(records, &TYPES, 0.0, 1_000.0).drift {
        ClockDrift::NotMeasured => None,
        ClockDrift::Measured { ppm, .. } => Some(ppm),
    }
}

#[test]
fn drift_is_found_below_the_jitter() {
    for wanted in [0.0, 200.0, -200.0, 1_000.0] {
        let found = ppm_of(&stream(1_000, 20, wanted, 0.01)).unwrap();
        assert!((found - wanted).abs() < 60.0, "{found} instead of {wanted}");
    }
    assert_eq!(ppm_of(&stream(400, 20, 200.0, 0.0)), None, "eight seconds are too short");
}

#[test]
fn loss_order_and_repetition_are_told_apart_over_the_wrap() {
    let mut records = stream(1_000, 20, 0.0, 0.0);
    records.remove(600);
    records.remove(700);
    records.swap(100, 101);
    records.insert(50, records[49]);
    let found = summarize(&records, &TYPES, 0.0, 1_000.0);
    assert_eq!((found.order.lost, found.order.reordered, found.order.duplicates, found.received), (2, 1, 1, 999));
}

#[test]
fn a_new_sequence_is_no_loss() {
    let mut records = stream(200, 20, 0.0, 0.0);
    records.iter_mut().skip(100).for_each(|record| record.sequence = record.sequence.wrapping_add(20_000));
    assert_eq!(summarize(&records, &TYPES, 0.0, 1_000.0).order.lost, 0);
}

#[test]
fn packet_length_pauses_level_and_payload_types() {
    let mut records = stream(300, 30, 0.0, 0.0);
    for record in records.iter_mut().skip(150) {
        record.timestamp = record.timestamp.wrapping_add(8_000);
        record.at_s += 1.0;
        record.level_dbfs = Some(-90.0);
    }
    records[150].payload_type = 13;
    let found = summarize(&records, &TYPES, 0.0, 1_000.0);
    assert_eq!((found.packet_ms, found.comfort_noise, found.payload_types[&8]), (Some(30), 1, 299));
    assert!((found.level_dbfs.unwrap() + 20.0).abs() < 0.1, "{found:?}");
    assert_eq!(found.pauses, 0, "the packet of comfort noise stands between");
    records[150].payload_type = 8;
    assert_eq!(summarize(&records, &TYPES, 0.0, 1_000.0).pauses, 1);
}

#[test]
fn only_the_asked_part_counts() {
    let records = stream(500, 20, 0.0, 0.0);
    let found = summarize(&records, &TYPES, 2.0, 4.0);
    assert_eq!((found.received, found.order.lost), (100, 0));
    assert!(found.first_s.unwrap() < 0.02);
    assert_eq!(summarize(&[], &TYPES, 0.0, 5.0).first_s, None);
}

#[test]
fn a_packet_time_that_changes_is_seen() {
    let mut records = stream(300, 40, 0.0, 0.0);
    for (index, record) in records.iter_mut().enumerate().skip(200) {
        let since = index as u32 - 200;
        record.timestamp = record.timestamp.wrapping_sub(since * 160);
        record.at_s -= f64::from(since) * 0.02;
    }
    let found = summarize(&records, &TYPES, 0.0, 1_000.0);
    assert_eq!((found.packet_ms, found.other_packet_ms), (Some(40), Some(20)));
    assert_eq!(summarize(&stream(300, 20, 0.0, 0.0), &TYPES, 0.0, 1_000.0).other_packet_ms, None);
}
