//! Whose packets count, and how much a peer or a stranger can make the leg do.

use crate::line::{LossyLine, MS, PEER, config};
use std::net::SocketAddr;
use std::time::Instant;
use trunkline_media::codec::Companding;
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::leg::{Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::rtp::packet::RtpPacket;

#[test]
fn a_third_party_cannot_take_the_stream_over() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(200);
    let before = link.heard().len();
    let thief: SocketAddr = "127.0.0.66:4000".parse().unwrap();
    let mut targets = vec![];
    for n in 0..50u16 {
        let packet =
            RtpPacket { payload_type: 0, marker: true, sequence: n, timestamp: 0, ssrc: 9, payload: &[0; 160] };
        let mut buffer = [0; 200];
        let len = packet.write(&mut buffer).unwrap();
        link.leg.handle_rtp(link.now, thief, &buffer[..len]);
    }
    let (now, due) = (link.now, link.leg.due(link.now));
    link.leg.tick(now, due, &mut |_, to, _| targets.push(to));
    assert_eq!(targets[0], PEER.parse::<SocketAddr>().unwrap());
    assert_eq!(link.heard().len(), before);
    assert_eq!(link.leg.stats().packets_ignored, 50);
}

#[test]
fn a_peer_behind_nat_is_followed_after_three_packets() {
    let now = Instant::now();
    let stream = StreamConfig {
        remote: "192.168.1.5:4000".parse().unwrap(),
        signalling: Some("198.51.100.7".parse().unwrap()),
        ..config(now, Companding::MuLaw).stream
    };
    let mut leg = Leg::new(now, LegConfig { stream, ..config(now, Companding::MuLaw) });
    let nat: SocketAddr = "198.51.100.7:9999".parse().unwrap();
    let mut targets = vec![];
    for n in 0..5u16 {
        leg.handle_rtp(now, nat, &sound(n, 9));
    }
    leg.tick(now, now, &mut |_, to, _| targets.push(to));
    assert_eq!(targets, [nat]);
    assert_eq!((leg.stats().packets_received, leg.stats().packets_ignored), (3, 2));
}

/// A packet of PCMU.
fn sound(sequence: u16, ssrc: u32) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 160;
    let packet = RtpPacket { payload_type: 0, marker: false, sequence, timestamp, ssrc, payload: &[0x20; 160] };
    let mut buffer = vec![0; 172];
    packet.write(&mut buffer).unwrap();
    buffer
}

/// A packet of one digit.
fn key(sequence: u16, ssrc: u32) -> Vec<u8> {
    let packet = RtpPacket { payload_type: 101, marker: true, sequence, timestamp: 0, ssrc, payload: &[5, 10, 0, 160] };
    let mut buffer = vec![0; 16];
    packet.write(&mut buffer).unwrap();
    buffer
}

#[test]
fn unknown_sources_are_ignored_before_first_packet() {
    let now = Instant::now();
    let mut leg = Leg::new(now, config(now, Companding::MuLaw));
    let peer: SocketAddr = PEER.parse().unwrap();
    let (mut at, mut targets) = (now, vec![]);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    for n in 0..100u16 {
        at += 20 * MS;
        for stranger in ["127.0.0.8:4000", "127.0.0.9:4001", "203.0.113.1:9"] {
            let stranger = stranger.parse().unwrap();
            leg.handle_rtp(at, stranger, &sound(n, 1));
            leg.handle_rtp(at, stranger, &key(n, 1));
            leg.handle_rtp(at, stranger, &report);
            leg.handle_rtcp(at, stranger, &report);
        }
        if n >= 50 {
            leg.handle_rtp(at, peer, &sound(n, 2));
        }
        let due = leg.due(at);
        leg.tick(at, due, &mut |_, to, _| targets.push(to));
    }
    assert!(targets.len() >= 100 && targets.iter().all(|to| to.ip() == peer.ip()), "{targets:?}");
    let stats = leg.stats();
    assert_eq!((stats.packets_received, stats.packets_lost, stats.packets_late), (50, 0, 0));
    let mut heard = 0;
    while let Some(event) = leg.poll_event() {
        assert!(!matches!(event, LegEvent::DtmfReceived { .. }));
        heard += usize::from(matches!(event, LegEvent::Audio { .. }));
    }
    assert!((48..=52).contains(&heard), "{heard} frames");
}

#[test]
fn timestamp_jumps_and_floods_are_limited() {
    for jump in [160u32, 15_999, 1 << 31, u32::MAX - 5, 0] {
        let now = Instant::now();
        let mut leg = Leg::new(now, config(now, Companding::MuLaw));
        let (mut timestamp, mut at, mut frames) = (0u32, now, 0);
        for n in 0..20_000u32 {
            // Sixteen thousand packets a second.
            at = now + n * MS / 16;
            let packet = RtpPacket {
                payload_type: 0,
                marker: false,
                sequence: n as u16,
                timestamp,
                ssrc: 3,
                payload: &[1; 160],
            };
            let mut buffer = [0; 172];
            packet.write(&mut buffer).unwrap();
            leg.handle_rtp(at, PEER.parse().unwrap(), &buffer);
            timestamp = timestamp.wrapping_add(jump);
            while let Some(event) = leg.poll_event() {
                frames += usize::from(matches!(event, LegEvent::Audio { .. }));
            }
        }
        let (real, burst) = ((at - now).as_millis() as usize / 20, 500);
        assert!(frames <= burst + real * 2, "{frames} frames in {:?} at a jump of {jump}", at - now);
    }
}

#[test]
fn source_flood_does_not_grow_leg() {
    let now = Instant::now();
    let mut leg = Leg::new(now, config(now, Companding::MuLaw));
    for ssrc in 0..100_000u32 {
        leg.handle_rtp(now + ssrc * MS / 50, PEER.parse().unwrap(), &sound(ssrc as u16, ssrc));
        leg.handle_rtp(now + ssrc * MS / 50, "127.0.0.1:9".parse().unwrap(), &sound(ssrc as u16, ssrc));
    }
    assert!(leg.stats().packets_received == 100_000);
    let mut events = 0;
    while leg.poll_event().is_some() {
        events += 1;
    }
    assert!(events <= 256, "{events}");
}

#[test]
fn packets_of_300_ms_are_accepted_and_longer_counted() {
    let now = Instant::now();
    let mut leg = Leg::new(now, config(now, Companding::MuLaw));
    let mut heard = 0;
    for (n, len) in [1_024usize, 2_400, 0, 2_401, 160].into_iter().enumerate() {
        let payload = vec![0x20; len];
        let packet = RtpPacket {
            payload_type: 0,
            marker: false,
            sequence: n as u16,
            timestamp: [0, 1_024, 3_424, 3_424, 3_424][n],
            ssrc: 3,
            payload: &payload,
        };
        let mut buffer = vec![0; 12 + len];
        packet.write(&mut buffer).unwrap();
        leg.handle_rtp(now + n as u32 * 300 * MS, PEER.parse().unwrap(), &buffer);
        while let Some(event) = leg.poll_event() {
            heard += usize::from(matches!(event, LegEvent::Audio { .. })) * FRAME_SAMPLES;
        }
    }
    assert_eq!(heard, (1_024 + 2_400 + 160) / FRAME_SAMPLES * FRAME_SAMPLES);
    assert_eq!(leg.stats().packets_ignored, 1);
}

#[test]
fn reports_of_strangers_are_ignored_and_counted() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(200);
    // Half of our packets were lost, says a source that never sent any.
    let mut report = [0; 32];
    report[..4].copy_from_slice(&[0x81, 201, 0, 7]);
    (report[7], report[11], report[12]) = (1, 7, 128);
    for _ in 0..3 {
        link.leg.handle_rtcp(link.now, "203.0.113.5:4001".parse().unwrap(), &report);
    }
    let stats = link.leg.stats();
    assert_eq!((stats.packets_ignored, stats.remote_loss), (3, 0.0));
    link.leg.handle_rtcp(link.now, "127.0.0.1:4001".parse().unwrap(), &report);
    assert_eq!(link.leg.stats().remote_loss, 0.5, "the same from the peer");
}
