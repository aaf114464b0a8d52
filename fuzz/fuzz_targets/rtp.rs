//! Any datagrams into a leg, from its peer and from others, most of them packets that are wrong in one place; between
//! them time passes and descriptions change. No panics, the leg keeps sending, nothing is sent to unknown addresses,
//! and audio is never processed faster than the sample budget permits.
#![no_main]

#[path = "../../media/tests/packet_mutator/mod.rs"]
mod packet_mutator;

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::Codec;
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::turn::barge_in;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let start = Instant::now();
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (remote, stranger) = (at(4_000), SocketAddr::from(([127, 0, 0, 66], 4_000)));
    let stream = match kind % 3 {
        0 => StreamConfig::pcmu(remote),
        1 => StreamConfig { codec: Codec::Opus, payload_type: 111, payload_type_in: 111, ..StreamConfig::pcmu(remote) },
        _ => StreamConfig { codec: Codec::G722, payload_type: 9, payload_type_in: 0, ..StreamConfig::pcmu(remote) },
    };
    let config = LegConfig {
        // Both counters wrap early.
        first_sequence: 65_530,
        first_timestamp: u32::MAX - 1_000,
        analysis: AnalysisConfig::voice(barge_in::BargeInConfig::default()),
        ..LegConfig::basic(start, stream)
    };
    let mut leg = Leg::new(start, config);
    let (bases, reports) = (packet_mutator::rtp(), packet_mutator::rtcp());
    let (mut sent, mut frames) = (0, 0);
    // The first byte of each chunk says what it is, the second how much time passes before it.
    let (mut rest, mut now) = (bytes, start);
    while let [what, wait, after @ ..] = rest {
        now += Duration::from_millis(u64::from(*wait % 41));
        let (word, next) = match after {
            [high, low, next @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), next),
            _ => (0, &[][..]),
        };
        let base = &bases[usize::from(*what) % bases.len()];
        let report = &reports[usize::from(*what) % reports.len()];
        rest = next;
        match what % 8 {
            0 => {
                let (datagram, next) = after.split_at(after.len().min(usize::from(*wait)));
                leg.handle_rtp(now, remote, datagram);
                leg.handle_rtcp(now, remote, datagram);
                rest = next;
            }
            1 | 2 => {
                leg.handle_rtp(now, remote, &packet_mutator::variant(base, word % packet_mutator::count(base.len())))
            }
            3 => leg.handle_rtcp(
                now,
                remote,
                &packet_mutator::variant(report, word % packet_mutator::count(report.len())),
            ),
            4 => leg.handle_rtp(now, stranger, base),
            5 => leg.handle_rtp(now, at(4_001), base),
            6 => leg.handle_authentic(
                now,
                remote,
                &packet_mutator::variant(base, word % packet_mutator::count(base.len())),
            ),
            _ => leg.renegotiate(now, StreamConfig { ptime_ms: word as u16, telephone_event: Some(*wait), ..stream }),
        }
        while leg.due(now) <= now {
            let due = leg.due(now);
            leg.tick(now, due, &mut |_, to, _| {
                assert_ne!(to, stranger);
                sent += 1;
            });
        }
        while let Some(event) = leg.poll_event() {
            frames += u128::from(matches!(event, LegEvent::Audio { .. }));
        }
    }
    let ms = (now - start).as_millis();
    assert!(sent > 0 || ms < 61);
    assert!(frames <= 510 + ms / 10);
});
