//! The audio path allocates nothing per packet once a leg has warmed up: packets in with voice activity
//! and jitter, speech out, digits. Recording blocks are handed over whole and come back to be reused.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use allocation_counter::measure;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::Companding;
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::leg::{Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::transport::srtp::{KEY_BYTES_MAX, SrtpKeys, SrtpProfile, SrtpSession};

const FRAME: Duration = Duration::from_millis(20);

#[test]
fn ten_seconds_of_talk_allocate_nothing() {
    let start = Instant::now();
    let remote: SocketAddr = "127.0.0.1:4000".parse().unwrap();
    let mut leg = Leg::new(start, LegConfig::basic(start, StreamConfig::pcmu(remote)));
    // Sound with pauses, loud enough to be judged.
    let sample = |at: usize| {
        let tone = (at as f32 * 0.12).sin() * 6_000.0 + (at as f32 * 0.37).sin() * 3_000.0;
        if at / 4_000 % 3 == 2 { 0 } else { tone as i16 }
    };
    let packet = |sequence: u16| {
        let mut payload = [0; FRAME_SAMPLES];
        for (index, code) in payload.iter_mut().enumerate() {
            *code = Companding::MuLaw.encode(sample(usize::from(sequence) * FRAME_SAMPLES + index));
        }
        let mut bytes = [0; 12 + FRAME_SAMPLES];
        let packet = RtpPacket {
            marker: sequence == 0,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * FRAME_SAMPLES as u32,
            ssrc: 7,
            payload: &payload,
        };
        let len = packet.write(&mut bytes).unwrap();
        (bytes, len)
    };
    let speech: Vec<i16> = (0..40 * 8_000).map(sample).collect();
    leg.play(SegmentId { response_id: 1, index: 0 }, speech, true);
    let turn = |leg: &mut Leg, number: u16| {
        let now = start + FRAME * u32::from(number) + Duration::from_millis(3);
        // One in fifty is lost, one in fifty comes late.
        if number % 50 != 7 && number % 50 != 21 {
            let (bytes, len) = packet(number);
            leg.handle_rtp(now, remote, &bytes[..len]);
        }
        if number % 50 == 22 {
            let (bytes, len) = packet(number - 1);
            leg.handle_rtp(now, remote, &bytes[..len]);
        }
        let due = leg.due(now);
        leg.tick(now, due.min(now), &mut |_, _, bytes| assert!(!bytes.is_empty()));
        while let Some(event) = leg.poll_event() {
            if let LegEvent::RecordingBlock { block } = event {
                leg.recycle(block);
            }
        }
    };
    (0..500).for_each(|number| turn(&mut leg, number));
    let counted = measure(|| (500..1_000).for_each(|number| turn(&mut leg, number)));
    assert_eq!(leg.stats().packets_lost, 20);
    assert_eq!(counted.count_total, 0, "{counted:?} in 500 frames each way");
}

#[test]
fn encrypting_and_decrypting_allocate_nothing() {
    for suite in SrtpProfile::ALL {
        let keys =
            |ours: u8, theirs: u8| SrtpKeys { suite, send: [ours; KEY_BYTES_MAX], receive: [theirs; KEY_BYTES_MAX] };
        let (mut a, mut b) = (SrtpSession::new(keys(1, 2)).unwrap(), SrtpSession::new(keys(2, 1)).unwrap());
        let mut turn = |sequence: u16| {
            let mut plain = [0; 172];
            let packet =
                RtpPacket { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 7, payload: &[3; 160] };
            packet.write(&mut plain).unwrap();
            let (mut heard, mut sealed, mut len) = (false, [0; 300], 0);
            a.protect(&plain, false, |bytes| {
                sealed[..bytes.len()].copy_from_slice(bytes);
                len = bytes.len();
            });
            b.unprotect(&sealed[..len], false, |inside| heard = inside == plain);
            assert!(heard);
            sealed[5] ^= 1;
            assert!(!b.unprotect(&sealed[..len], false, |_| {}));
        };
        (0..100).for_each(&mut turn);
        let counted = measure(|| (100..600).for_each(&mut turn));
        assert_eq!(counted.count_total, 0, "{suite:?}: {counted:?} in 500 packets");
    }
}
