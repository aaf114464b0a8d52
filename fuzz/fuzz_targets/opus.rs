//! Any payloads into the Opus decoder of a leg: no panics, and no more audio than a packet can contain.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::codec::opus::{Opus, PACKET_SAMPLES_MAX};

fuzz_target!(|bytes: &[u8]| {
    let Some(mut opus) = Opus::new() else { return };
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let (payload, next) = after.split_at(after.len().min(usize::from(*first)));
        if first % 7 == 0 {
            opus.note_lost(160);
        }
        let mut heard = 0;
        opus.decode(payload, &mut |samples| heard += samples.len());
        assert!(heard <= PACKET_SAMPLES_MAX + 160);
        rest = next;
    }
});
