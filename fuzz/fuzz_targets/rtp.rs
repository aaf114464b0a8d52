//! Any datagrams, some of them on the right stream, into a leg: never a panic, and the leg goes on sending.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::leg::{Config, Leg, Stream};
use trunkline_media::turn::barge_in;

fuzz_target!(|bytes: &[u8]| {
    let start = Instant::now();
    let remote = SocketAddr::from(([127, 0, 0, 1], 4_000));
    let config = Config {
        // Both counters wrap early.
        first_sequence: 65_530,
        first_timestamp: u32::MAX - 1_000,
        barge_in: barge_in::Config::default(),
        ..Config::plain(start, Stream::pcmu(remote))
    };
    let mut leg = Leg::new(start, config);
    let mut sent = 0;
    // The first byte of each piece says how long the datagram is and how much time passes before it.
    let (mut rest, mut now) = (bytes, start);
    while let Some((first, after)) = rest.split_first() {
        let (datagram, next) = after.split_at(after.len().min(usize::from(*first)));
        now += Duration::from_millis(u64::from(*first % 41));
        leg.handle_rtp(now, remote, datagram);
        leg.handle_rtcp(now, datagram);
        while leg.due(now) <= now {
            let due = leg.due(now);
            leg.tick(now, due, &mut |_, _, _| sent += 1);
        }
        while leg.poll_event().is_some() {}
        rest = next;
    }
    assert!(sent > 0 || now - start < Duration::from_millis(20));
});
