//! Digits as senders write them, the standard's and others.

use super::*;

fn packets(digit: char, timestamp: u32) -> Vec<TelephoneEventPacket> {
    let mut sender = TelephoneEventSender::new(event_code(digit).unwrap(), timestamp);
    let mut packets = Vec::new();
    loop {
        match sender.step() {
            TelephoneEventStep::Packet(packet) => packets.push(packet),
            TelephoneEventStep::Pause => {}
            TelephoneEventStep::Done => return packets,
        }
    }
}

#[test]
fn sent_digit_matches_the_packet_diagram() {
    let sent = packets('5', 4_000);
    let durations: Vec<u16> = sent.iter().map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]])).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    assert_eq!(sent.iter().map(|p| p.marker).collect::<Vec<_>>(), [true, false, false, false, false, false, false]);
    assert_eq!(sent.iter().filter(|p| p.payload[1] & 0x80 != 0).count(), 3);
    assert!(sent.iter().all(|p| p.timestamp == 4_000));
}

#[test]
fn one_packet_suffices_and_digit_is_reported_once() {
    for lost_all_but in 0..7 {
        let mut receiver = TelephoneEventReceiver::default();
        let mut heard = Vec::new();
        for (start, digit) in [(u32::MAX - 100, '1'), (2_000, '1'), (4_000, '#')] {
            let packet = packets(digit, start)[lost_all_but];
            heard.extend(receiver.handle(packet.timestamp, &packet.payload));
            heard.extend(receiver.handle(packet.timestamp, &packet.payload));
        }
        assert_eq!(heard, ['1', '1', '#']);
    }
}

/// What is heard of packets of the key 5: timestamp, duration, end.
fn heard(packets: &[(u32, u16, bool)]) -> String {
    let mut receiver = TelephoneEventReceiver::default();
    let payload = |duration: u16, end: bool| {
        let [high, low] = duration.to_be_bytes();
        [5, u8::from(end) << 7 | 10, high, low]
    };
    packets.iter().filter_map(|(at, duration, end)| receiver.handle(*at, &payload(*duration, *end))).collect()
}

/// A key that is held: durations grow by `step` up to the end, in as many segments as it takes.
fn held(start: u32, step: u32, steps: u32) -> Vec<(u32, u16, bool)> {
    let (mut segment, mut packets) = (start, vec![]);
    for n in 1..=steps {
        let mut duration = start.wrapping_add(n * step).wrapping_sub(segment);
        if duration > SEGMENT_DURATION {
            packets.push((segment, 0xffff, false));
            segment = segment.wrapping_add(SEGMENT_DURATION);
            duration -= SEGMENT_DURATION;
        }
        packets.push((segment, duration as u16, false));
    }
    let (at, duration, _) = *packets.last().unwrap();
    packets.extend([(at, duration, true); 3]);
    packets
}

#[test]
fn held_key_is_one_digit_over_all_its_segments() {
    for (step, steps) in [(160, 500), (320, 500), (960, 500), (160, 2_000), (480, 4_000)] {
        for start in [0, 5_000, u32::MAX - 70_000] {
            let all = held(start, step, steps);
            assert_eq!(heard(&all), "5", "{step} {steps} {start}");
            for every in [2, 3, 7] {
                let some: Vec<_> = all.iter().copied().enumerate().filter(|(n, _)| n % every != 0).collect();
                let some: Vec<_> = some.into_iter().map(|(_, packet)| packet).collect();
                assert_eq!(heard(&some), "5", "{step} {steps} {start}, every {every}th lost");
            }
            // The key is pressed again.
            let next = start.wrapping_add(steps * step + 3 * step);
            assert_eq!(heard(&[all, held(next, step, 5)].concat()), "55", "{step} {steps} {start}");
        }
    }
    // A sender whose segments are whole steps.
    let first = (1..=409u16).map(|n| (0, n * 160, false));
    let second = (1..=90u16).map(|n| (65_440, n * 160, n >= 88));
    assert_eq!(heard(&first.chain(second).collect::<Vec<_>>()), "5");
}

#[test]
fn end_packets_whose_timestamp_moves_on_are_no_digits() {
    for step in [160u32, 320, 960] {
        let begin: Vec<_> = (1..=5).map(|n| (9_000, (n * step) as u16, false)).collect();
        for (from, grows) in [(step, false), (step, true), (5 * step, false), (6 * step, true), (0, false)] {
            let ends = (0..3).map(|n| {
                let at = from + n * step;
                (9_000 + at, (if grows { at.max(5 * step) } else { 5 * step }) as u16, true)
            });
            let packets: Vec<_> = begin.iter().copied().chain(ends).collect();
            assert_eq!(heard(&packets), "5", "{step} from {from}, {grows}");
            let again = held(9_000 + from + 6 * step, step, 5);
            assert_eq!(heard(&[packets, again].concat()), "55", "{step} from {from}, {grows}");
        }
    }
}

/// A key whose packets each have a timestamp of their own; the last three say that it ends.
fn moving(start: u32, step: u32, packets: u32, duration: impl Fn(u32) -> u32) -> Vec<(u32, u16, bool)> {
    (0..packets).map(|n| (start.wrapping_add(n * step), duration(n) as u16, n + 3 >= packets)).collect()
}

#[test]
fn a_key_whose_every_packet_has_its_own_timestamp_is_one_digit() {
    for step in [160u32, 480, 960] {
        for start in [5_000, u32::MAX - 3 * step] {
            let grows = |n: u32| (n + 1) * step;
            let forms: [&dyn Fn(u32) -> u32; 4] = [&grows, &|_| 7 * step, &|_| step, &|n| grows(n).min(5 * step)];
            for (form, duration) in forms.into_iter().enumerate() {
                let key = moving(start, step, 9, duration);
                assert_eq!(heard(&key), "5", "{step} {start}, form {form}");
                // A second packet that says no more than the first has to follow it.
                for lost in (1..8).filter(|lost| (form, *lost) != (2, 1)) {
                    let some: Vec<_> = key.iter().copied().enumerate().filter(|(n, _)| *n != lost).collect();
                    let some: Vec<_> = some.into_iter().map(|(_, packet)| packet).collect();
                    assert_eq!(heard(&some), "5", "{step} {start}, form {form} without {lost}");
                }
                let doubled: Vec<_> = key.iter().flat_map(|packet| [*packet, *packet]).collect();
                assert_eq!(heard(&doubled), "5", "{step} {start}, form {form} twice");
                // The key is pressed again: directly after the end, and after a pause.
                for gap in [9, 10, 12, 30] {
                    let again = moving(start.wrapping_add(gap * step), step, 9, duration);
                    let both = [key.clone(), again].concat();
                    assert_eq!(heard(&both), "55", "{step} {start}, form {form}, {gap}");
                }
            }
        }
    }
    // The end packets repeat the last one, as they should.
    let mut key = moving(0, 160, 7, |n| (n + 1) * 160);
    key.iter_mut().for_each(|packet| packet.2 = false);
    key.extend([(960, 1_120, true); 3]);
    assert_eq!(heard(&[key.clone(), held(1_120, 160, 5)].concat()), "55");
    assert_eq!(heard(&[held(0, 160, 5), moving(800, 160, 9, |n| (n + 1) * 160)].concat()), "55");
}

#[test]
fn a_key_that_is_pressed_again_directly_after_its_end_is_two() {
    for step in [160u32, 320, 960] {
        let first = held(0, step, 5);
        for start in [5 * step, 5 * step + step / 2, 6 * step] {
            let both = [first.clone(), held(start, step, 5)].concat();
            assert_eq!(heard(&both), "55", "{step}, at {start}");
            // Without any end packet of the first.
            let unended: Vec<_> = both.iter().copied().enumerate().filter(|(n, _)| !(5..8).contains(n)).collect();
            let unended: Vec<_> = unended.into_iter().map(|(_, packet)| packet).collect();
            assert_eq!(heard(&unended), "55", "{step}, at {start}, no end");
        }
    }
}

#[test]
fn quick_digits_without_markers_stay_two() {
    for step in [160u32, 320, 960] {
        let first = held(0, step, 3);
        // A pause of a packet.
        let second = held(4 * step, step, 3);
        assert_eq!(heard(&[first.clone(), second.clone()].concat()), "55");
        for lost in 0..5 {
            let (first, second) = (first[lost..=lost].to_vec(), second[lost..=lost].to_vec());
            let together = [first, second].concat();
            assert_eq!(heard(&together), "55", "{step}, all but the packet {lost}");
        }
    }
}

#[test]
fn digits_go_on_after_the_clock_was_set_back() {
    assert_eq!(heard(&[(4_000_000_000, 800, true), (3_999_990_000, 800, true), (1_000, 800, true)]), "55");
    assert_eq!(heard(&[(3_900_000_000, 800, true), (3_800_000_000, 160, false), (3_800_000_000, 800, true)]), "55");
}

#[test]
fn durations_are_in_units_of_the_clock() {
    for (scale, wanted) in [(1, [160, 800]), (2, [320, 1_600]), (6, [960, 4_800])] {
        let sent = packets('5', 0);
        let duration = |packet: &TelephoneEventPacket| {
            let [_, _, high, low] = packet.payload_scaled(scale);
            u16::from_be_bytes([high, low])
        };
        assert_eq!([duration(&sent[0]), duration(&sent[6])], wanted);
    }
}

#[test]
fn reordered_and_foreign_events_are_ignored() {
    let mut receiver = TelephoneEventReceiver::default();
    assert_eq!(receiver.handle(5_000, &[1, 0, 0, 160]), Some('1'));
    assert_eq!(receiver.handle(3_000, &[2, 0, 0, 160]), None);
    assert_eq!(receiver.handle(6_000, &[16, 0, 0, 160]), None, "hook flash");
    assert_eq!(receiver.handle(6_000, &[1]), None);
}

/// livekit/sip#796: the next key has the timestamp of the one before.
#[test]
fn another_key_of_the_same_timestamp_is_another_key() {
    let mut receiver = TelephoneEventReceiver::default();
    let mut heard = String::new();
    for code in [1, 11, 0] {
        for (flags, duration) in [(10, 160u16), (10, 320), (0x8a, 480), (0x8a, 480), (0x8a, 480)] {
            let [high, low] = duration.to_be_bytes();
            heard.extend(receiver.handle(9_000, &[code, flags, high, low]));
        }
    }
    assert_eq!(heard, "1#0");
}
