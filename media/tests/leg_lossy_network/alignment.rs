//! What STT gets and what is recorded last as long as the call, whatever the caller's packets are like.
//!
//! Tolerance: 350 ms and the length of a packet, however long the call is. That is the longest wait for a missing packet,
//! and what is left alone because jitter looks the same.

use crate::line::{MS, PEER, Rng, config};
use std::time::Instant;
use trunkline_media::codec::opus::Opus;
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::rtp::packet::RtpPacket;

const CALL_MS: u32 = 60_000;
const TOLERANCE_MS: usize = 350;
/// The caller makes a sound for so long, at whole multiples of the pause between two.
const SOUND_MS: u32 = 300;
const SOUND_EVERY_MS: u32 = 5_000;

/// What the caller's packets are like.
#[derive(Clone, Copy, Debug)]
struct Caller {
    codec: Codec,
    packet_ms: u32,
    /// The caller's clock runs faster by so much.
    drift_ppm: i64,
    loss_permille: u64,
    jitter_ms: u64,
    /// A new SSRC, with other sequence numbers and timestamps, after so many packets.
    packets_per_ssrc: u32,
    /// Silence is not sent.
    dtx: bool,
    /// After so many packets the timestamp jumps by nearly two seconds, although no time has passed.
    packets_per_jump: u32,
    /// Ticks of the timestamp in a sample: the negotiated clock, or a wrong one.
    ticks: u32,
}

const G711: Codec = Codec::G711(Companding::MuLaw);
const PLAIN: Caller = Caller {
    codec: G711,
    packet_ms: 20,
    drift_ppm: 0,
    loss_permille: 0,
    jitter_ms: 0,
    packets_per_ssrc: u32::MAX,
    dtx: false,
    packets_per_jump: u32::MAX,
    ticks: 1,
};

/// The call as both ends of it were recorded.
struct Outcome {
    stt_ms: usize,
    said_ms: usize,
    /// The caller's channel.
    recorded: Vec<i16>,
    leg: Leg,
}

fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::G711(_) => 0,
        Codec::G722 => 9,
        Codec::Opus => 111,
    }
}

fn new_leg(start: Instant, caller: &Caller) -> Leg {
    let base = config(start, Companding::MuLaw);
    let payload_type = payload_type(caller.codec);
    let stream = StreamConfig { codec: caller.codec, payload_type, payload_type_in: payload_type, ..base.stream };
    Leg::new(start, LegConfig { stream, analysis: AnalysisConfig::Off, ..base })
}

/// A packet of sound or silence; `None` where silence is not sent.
fn payload(caller: &Caller, encoder: &mut Opus, is_loud: bool, phase: &mut usize) -> Option<Vec<u8>> {
    let samples = caller.packet_ms as usize * 8;
    match caller.codec {
        Codec::Opus => {
            let mut frame = [0i16; FRAME_SAMPLES];
            for sample in frame.iter_mut().filter(|_| is_loud) {
                *sample = ((*phase as f32 * 0.3).sin() * 8_000.0) as i16;
                *phase += 1;
            }
            let mut buffer = [0; FRAME_SAMPLES];
            encoder.encode(&frame, &mut buffer).map(<[u8]>::to_vec)
        }
        Codec::G722 | Codec::G711(_) if !is_loud && caller.dtx => None,
        Codec::G711(_) if is_loud => Some((0..samples).map(|n| if n % 16 < 8 { 0x10 } else { 0x90 }).collect()),
        Codec::G711(_) => Some(vec![0xff; samples]),
        Codec::G722 => Some(vec![if is_loud { 0x10 } else { 0xff }; samples]),
    }
}

fn call(caller: Caller) -> Outcome {
    let start = Instant::now();
    let mut leg = new_leg(start, &caller);
    let (mut rng, mut encoder, mut phase) = (Rng::new(42), Opus::new().unwrap(), 0);
    let (mut ssrc, mut sequence, mut timestamp, mut sent) = (1u32, 65_500u16, u32::MAX - 9_000, 0u32);
    let mut flying: Vec<(Instant, Vec<u8>)> = vec![];
    let (mut stt, mut said_ms, mut recorded) = (0, 0, vec![]);
    let interval_ns = i64::from(caller.packet_ms) * 1_000_000 * 1_000_000 / (1_000_000 + caller.drift_ppm);
    for ms in (0..CALL_MS).step_by(2) {
        let now = start + ms * MS;
        // A packet leaves when its last sample was spoken.
        while i64::from(sent + 1) * interval_ns <= i64::from(ms) * 1_000_000 {
            sent += 1;
            if sent.is_multiple_of(caller.packets_per_ssrc) {
                (ssrc, sequence, timestamp) = (ssrc + 1, rng.roll(65_536) as u16, rng.roll(1 << 32) as u32);
            }
            // The first packet is sent, whatever is in it: the call's time begins there.
            let is_loud = ms >= SOUND_EVERY_MS && ms % SOUND_EVERY_MS < SOUND_MS;
            let caller = Caller { dtx: caller.dtx && sent > 1, ..caller };
            said_ms += if is_loud { caller.packet_ms as usize } else { 0 };
            if sent.is_multiple_of(caller.packets_per_jump) {
                timestamp = timestamp.wrapping_add(15_000);
            }
            if let Some(payload) = payload(&caller, &mut encoder, is_loud, &mut phase) {
                let payload_type = payload_type(caller.codec);
                let packet = RtpPacket { payload_type, marker: false, sequence, timestamp, ssrc, payload: &payload };
                let mut bytes = vec![0; 12 + payload.len()];
                packet.write(&mut bytes).unwrap();
                sequence = sequence.wrapping_add(1);
                if rng.roll(1_000) >= caller.loss_permille {
                    flying.push((now + rng.roll(caller.jitter_ms + 1) as u32 * MS, bytes));
                }
            }
            timestamp = timestamp.wrapping_add(caller.packet_ms * 8 * caller.ticks);
        }
        let (arrived, rest) = std::mem::take(&mut flying).into_iter().partition(|(at, _)| *at <= now);
        flying = rest;
        let arrived: Vec<(Instant, Vec<u8>)> = arrived;
        arrived.iter().for_each(|(_, bytes)| leg.handle_rtp(now, PEER.parse().unwrap(), bytes));
        while leg.due(now) <= now {
            let due = leg.due(now);
            leg.tick(now, due, &mut |_, _, _| {});
        }
        collect(&mut leg, &mut stt, &mut recorded);
    }
    leg.close(start + CALL_MS * MS, &mut |_, _, _| {});
    collect(&mut leg, &mut stt, &mut recorded);
    Outcome { stt_ms: stt / 8, said_ms, recorded, leg }
}

fn collect(leg: &mut Leg, stt: &mut usize, recorded: &mut Vec<i16>) {
    while let Some(event) = leg.poll_event() {
        match event {
            LegEvent::Audio { .. } => *stt += FRAME_SAMPLES,
            LegEvent::RecordingBlock { block } => {
                recorded.extend(block.chunks(2).map(|pair| pair[0]));
                leg.recycle(block);
            }
            _ => {}
        }
    }
}

/// Where sounds begin in the recording.
fn sounds_ms(recorded: &[i16]) -> Vec<usize> {
    let loud: Vec<usize> = recorded
        .chunks(80)
        .enumerate()
        .filter(|(_, ten_ms)| ten_ms.iter().any(|s| s.unsigned_abs() > 2_000))
        .map(|(n, _)| n * 10)
        .collect();
    let begins = loud.iter().enumerate().filter(|(n, at)| *n == 0 || **at > loud[n - 1] + 1_000);
    begins.map(|(_, at)| *at).collect()
}

fn check(caller: Caller) -> Outcome {
    let outcome = call(caller);
    let tolerance = TOLERANCE_MS + caller.packet_ms as usize;
    let (call_ms, recorded_ms) = (CALL_MS as usize, outcome.recorded.len() / 8);
    assert!(outcome.stt_ms.abs_diff(call_ms) <= tolerance, "STT got {} ms: {caller:?}", outcome.stt_ms);
    assert!(recorded_ms.abs_diff(call_ms) <= tolerance, "{recorded_ms} ms recorded: {caller:?}");
    let sounds = sounds_ms(&outcome.recorded);
    assert_eq!(sounds.len() as u32, (CALL_MS - 1) / SOUND_EVERY_MS, "{sounds:?}: {caller:?}");
    for (n, at) in sounds.iter().enumerate() {
        let said = (n + 1) * SOUND_EVERY_MS as usize;
        assert!(at.abs_diff(said) <= tolerance, "said at {said} ms, recorded at {at} ms: {caller:?}");
    }
    outcome
}

#[test]
fn packets_of_any_length_keep_the_time() {
    for packet_ms in [10, 20, 30, 40, 60, 80, 100, 120, 128, 150, 200] {
        for codec in [G711, Codec::G722] {
            let outcome = check(Caller { codec, packet_ms, ..PLAIN });
            let stats = outcome.leg.stats();
            assert_eq!((stats.packets_late, stats.concealed_ms, stats.packets_ignored), (0, 0, 0), "{packet_ms} ms");
            // All of each sound is there: nothing is cut out of a long packet.
            let loud = outcome.recorded.iter().filter(|sample| sample.unsigned_abs() > 2_000).count() / 8;
            let said = outcome.said_ms;
            assert!(codec != G711 || loud.abs_diff(said) <= 20, "{loud} of {said} ms in packets of {packet_ms} ms");
        }
    }
}

#[test]
fn clocks_that_differ_keep_the_time() {
    for drift_ppm in [-20_000, -2_000, -200, 200, 2_000, 20_000] {
        for packet_ms in [20, 60, 200] {
            check(Caller { drift_ppm, packet_ms, ..PLAIN });
        }
        check(Caller { drift_ppm, dtx: true, ..PLAIN });
        check(Caller { drift_ppm, codec: Codec::Opus, ticks: 6, ..PLAIN });
    }
}

#[test]
fn bad_lines_keep_the_time() {
    for (loss_permille, jitter_ms) in [(10, 20), (50, 60), (100, 0), (200, 100)] {
        for packet_ms in [20, 60, 200] {
            check(Caller { loss_permille, jitter_ms, packet_ms, ..PLAIN });
        }
        check(Caller { loss_permille, jitter_ms, codec: Codec::Opus, ticks: 6, ..PLAIN });
        check(Caller { loss_permille, jitter_ms, drift_ppm: 500, ..PLAIN });
    }
}

#[test]
fn other_sources_and_pauses_keep_the_time() {
    for packets_per_ssrc in [3, 10, 77, 500] {
        for packet_ms in [20, 60, 200] {
            check(Caller { packets_per_ssrc, packet_ms, ..PLAIN });
        }
        check(Caller { packets_per_ssrc, dtx: true, ..PLAIN });
        check(Caller { packets_per_ssrc, jitter_ms: 30, loss_permille: 20, ..PLAIN });
        check(Caller { packets_per_ssrc, codec: Codec::Opus, ticks: 6, ..PLAIN });
    }
    for packet_ms in [20, 40, 200] {
        check(Caller { dtx: true, packet_ms, ..PLAIN });
    }
}

#[test]
fn timestamps_that_jump_make_no_time() {
    for packets_per_jump in [25, 100, 1_000] {
        check(Caller { packets_per_jump, ..PLAIN });
        check(Caller { packets_per_jump, loss_permille: 30, jitter_ms: 30, ..PLAIN });
    }
}

#[test]
fn wrong_clocks_keep_the_time_and_the_sound() {
    for (codec, ticks) in
        [(Codec::Opus, 1), (Codec::Opus, 2), (Codec::G722, 2), (Codec::G722, 6), (G711, 2), (G711, 6), (G711, 0)]
    {
        let outcome = check(Caller { codec, ticks, ..PLAIN });
        let stats = outcome.leg.stats();
        assert!(stats.packets_late <= 8, "{} late: {codec:?} {ticks}", stats.packets_late);
        assert!(stats.mos.unwrap() > 3.9, "{:?}: {codec:?} {ticks}", stats.mos);
    }
}
