//! Hold, recording, packet lengths, comfort noise, payload types.

use crate::line::{LossyLine, config, fixture, segment};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::level_dbfs;
use trunkline_media::leg::{LegEvent, StreamConfig, StreamDirection};
use trunkline_media::rtp::packet::RtpPacket;

#[test]
fn a_silent_network_is_reported_once_and_not_while_on_hold() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(100);
    link.pass(9_900);
    assert!(!link.events.contains(&LegEvent::NetworkLost));
    link.pass(10_000);
    assert_eq!(link.events.iter().filter(|e| **e == LegEvent::NetworkLost).count(), 1);
    let mut held = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig { direction: StreamDirection::Inactive, ..config(held.now, Companding::MuLaw).stream };
    held.leg.renegotiate(held.now, stream);
    held.pass(30_000);
    assert!(held.sent.is_empty() && !held.events.contains(&LegEvent::NetworkLost));
}

#[test]
fn recording_keeps_both_channels_aligned() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(400);
    link.leg.play(segment(1, 0), fixture("hello"), true);
    link.silence_ms(3_000);
    link.speak(&fixture("yes_correct"));
    link.silence_ms(1_000);
    let now = link.now;
    link.leg.close(now, &mut |_, _, _| {});
    while let Some(event) = link.leg.poll_event() {
        link.events.push(event);
    }
    let mut pairs = vec![];
    for event in &link.events {
        if let LegEvent::RecordingBlock { block } = event {
            pairs.extend(block.chunks(2).map(|p| (p[0], p[1])));
        }
    }
    let level = |side: fn(&(i16, i16)) -> i16, from_ms: usize, to_ms: usize| {
        level_dbfs(&pairs[from_ms * 8..to_ms * 8].iter().map(side).collect::<Vec<_>>())
    };
    let total_ms = link.now.duration_since(link.start).as_millis() as usize;
    assert!(pairs.len().abs_diff(total_ms * 8) < 1_000, "{} samples in {total_ms} ms", pairs.len());
    let speech_ms = fixture("hello").len() / 8;
    assert!(level(|p| p.1, 400, 400 + speech_ms) > -30.0 && level(|p| p.0, 400, 400 + speech_ms) < -60.0);
    assert!(level(|p| p.1, 3_450, 4_400) < -60.0 && level(|p| p.0, 3_450, 4_400) > -30.0);
}

#[test]
fn packets_have_the_length_the_peer_asked_for() {
    for (ptime_ms, companding) in [
        (10u16, Companding::MuLaw),
        (30, Companding::ALaw),
        (40, Companding::MuLaw),
        (50, Companding::ALaw),
        (60, Companding::MuLaw),
    ] {
        let mut link = LossyLine::new(companding);
        let stream = StreamConfig { ptime_ms, ..config(link.now, companding).stream };
        link.leg.renegotiate(link.now, stream);
        let words = fixture("hello");
        link.leg.play(segment(1, 0), words.clone(), true);
        for _ in 0..150 {
            link.pass(20);
        }
        let bytes = usize::from(ptime_ms) * 8;
        let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
        assert!(packets.iter().all(|packet| packet.payload.len() == bytes), "{ptime_ms} ms");
        for pair in packets.windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), bytes as u32, "{ptime_ms} ms");
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
        }
        // Every sample of the words leaves, in order.
        let sent: Vec<i16> =
            packets.iter().flat_map(|packet| packet.payload.iter().map(|c| companding.decode(*c))).collect();
        let coded: Vec<i16> =
            words[800..words.len() - 800].iter().map(|s| companding.decode(companding.encode(*s))).collect();
        assert!(sent.windows(coded.len()).any(|window| window == coded), "{ptime_ms} ms");
        assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1, "{ptime_ms} ms: one talk spurt");
    }
}

/// The first packet, the first after a pause in sending, and the first of speech; sequence numbers have no gap, and the time
/// of the pause is in the timestamps.
#[test]
fn packets_that_follow_a_pause_are_marked() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let active = config(link.now, Companding::MuLaw).stream;
    link.pass(200);
    for direction in [StreamDirection::ReceiveOnly, StreamDirection::Inactive] {
        link.leg.renegotiate(link.now, StreamConfig { direction, ..active });
        link.pass(400);
        link.leg.renegotiate(link.now, active);
        link.pass(200);
    }
    link.leg.play(segment(1, 0), fixture("hello"), true);
    link.pass(200);
    let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
    assert!(packets[0].marker, "the stream begins");
    let (mut pauses, mut marked) = (0, 1);
    for pair in packets.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        pauses += u32::from(step > 160);
        marked += u32::from(pair[1].marker);
        assert!(step == 160 || (pair[1].marker && (3_040..=3_360).contains(&step)), "{step}");
    }
    assert_eq!((pauses, marked), (2, 4));
}

#[test]
fn no_sample_is_lost_when_the_packet_length_changes() {
    for every_ms in [20, 40, 60, 100] {
        let (companding, mut lengths) = (Companding::MuLaw, [60, 10, 30, 50, 20, 40].into_iter().cycle());
        let mut link = LossyLine::new(companding);
        let words = fixture("hello");
        link.leg.play(segment(1, 0), words.clone(), true);
        let mut passed_ms = 0;
        while passed_ms < 3_000 {
            let stream = StreamConfig { ptime_ms: lengths.next().unwrap(), ..config(link.now, companding).stream };
            link.leg.renegotiate(link.now, stream);
            link.pass(every_ms);
            passed_ms += every_ms;
        }
        let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
        for pair in packets.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert_eq!(step as usize, pair[0].payload.len(), "every {every_ms} ms");
        }
        let sent: Vec<i16> =
            packets.iter().flat_map(|packet| packet.payload.iter().map(|c| companding.decode(*c))).collect();
        let coded: Vec<i16> =
            words[800..words.len() - 800].iter().map(|s| companding.decode(companding.encode(*s))).collect();
        assert!(sent.windows(coded.len()).any(|window| window == coded), "every {every_ms} ms");
    }
}

#[test]
fn a_peer_that_pauses_with_comfort_noise_loses_nothing() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig { comfort_noise: Some(13), ..config(link.now, Companding::MuLaw).stream };
    link.leg.renegotiate(link.now, stream);
    link.silence_ms(500);
    link.speak(&fixture("hello"));
    let before = link.heard().len();
    // Half the level a quiet room has, once; then nothing for two seconds.
    link.send_packet(13, &[60]);
    link.timestamp = link.timestamp.wrapping_add(16_000);
    link.pass(2_000);
    let pause = link.heard().split_off(before + 1_600);
    link.speak(&fixture("hello"));
    link.silence_ms(200);
    assert!((14_000..16_000).contains(&pause.len()), "{} samples of the pause", pause.len());
    let level = level_dbfs(&pause[..8_000]);
    assert!((-66.0..-54.0).contains(&level), "{level} dB of comfort noise");
    let stats = link.leg.stats();
    assert_eq!((stats.packets_lost, stats.concealed_ms), (0, 0));
    assert!(stats.mos.unwrap() > 4.2, "{:?}", stats.mos);
}

#[test]
fn each_side_has_its_own_payload_types() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig {
        payload_type: 96,
        payload_type_in: 111,
        telephone_event: Some(97),
        telephone_event_in: Some(101),
        ..config(link.now, Companding::MuLaw).stream
    };
    link.leg.renegotiate(link.now, stream);
    let codes: Vec<u8> = fixture("hello")[..1_600].iter().map(|sample| Companding::MuLaw.encode(*sample)).collect();
    for payload in codes.chunks(160) {
        link.send_packet(111, payload);
        link.timestamp = link.timestamp.wrapping_add(160);
        link.pass(20);
    }
    assert_eq!(link.leg.stats().packets_ignored, 0);
    assert!(link.heard().len() >= 1_280);
    assert!(link.sent.iter().all(|(_, bytes)| RtpPacket::parse(bytes).unwrap().payload_type == 96));
    link.leg.send_dtmf("5");
    link.pass(400);
    assert!(link.sent.iter().any(|(_, bytes)| RtpPacket::parse(bytes).unwrap().payload_type == 97));
}

#[test]
fn stt_audio_keeps_its_companding() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.speak(&fixture("hello"));
    let before = link.heard().len();
    let stream = StreamConfig {
        codec: Codec::G711(Companding::MuLaw),
        payload_type: 0,
        payload_type_in: 0,
        ..config(link.now, Companding::ALaw).stream
    };
    link.leg.renegotiate(link.now, stream);
    let words = fixture("hello");
    for frame in words.chunks_exact(160) {
        let codes: Vec<u8> = frame.iter().map(|sample| Companding::MuLaw.encode(*sample)).collect();
        link.send_packet(0, &codes);
        link.timestamp = link.timestamp.wrapping_add(160);
        link.pass(20);
    }
    let (first, second) = (level_dbfs(&link.heard()[..before]), level_dbfs(&link.heard()[before..]));
    assert!((first - second).abs() < 1.0, "{first} and {second} dB: the second was taken for other companding");
}

/// Mu-law has two zeros, and the negative one is handed on as the positive: the same sample (ITU-T G.711, table 2b).
#[test]
fn every_octet_is_handed_on_as_it_came_but_for_the_sign_of_zero() {
    for companding in [Companding::MuLaw, Companding::ALaw] {
        let mut line = LossyLine::new(companding);
        let came: Vec<u8> = (0..=u8::MAX).cycle().take(160 * 48).collect();
        for codes in came.chunks(160) {
            line.send_packet(if companding == Companding::MuLaw { 0 } else { 8 }, codes);
            line.timestamp = line.timestamp.wrapping_add(160);
            line.pass(20);
        }
        line.pass(200);
        let mut handed_on = vec![];
        for event in &line.events {
            if let LegEvent::Audio { frame, .. } = event {
                handed_on.extend_from_slice(frame.as_g711().unwrap().1);
            }
        }
        let is_negative_zero = |octet: u8| companding == Companding::MuLaw && octet == 0x7F;
        let wanted: Vec<u8> = came.iter().map(|octet| if is_negative_zero(*octet) { 0xFF } else { *octet }).collect();
        assert!(handed_on.windows(wanted.len()).any(|part| part == wanted), "{companding:?}");
    }
}

#[test]
fn a_plain_stream_keeps_its_source_when_the_peer_moves() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(100);
    let moved =
        StreamConfig { remote: "127.0.0.9:4500".parse().unwrap(), ..config(link.now, Companding::MuLaw).stream };
    link.leg.renegotiate(link.now, moved);
    link.silence_ms(100);
    let packets: Vec<(u32, u16)> = link
        .sent
        .iter()
        .map(|(_, bytes)| RtpPacket::parse(bytes).unwrap())
        .map(|packet| (packet.ssrc, packet.sequence))
        .collect();
    assert!(packets.len() >= 9, "{packets:?}");
    assert!(packets.windows(2).all(|pair| pair[1] == (7, pair[0].1.wrapping_add(1))), "{packets:?}");
}
