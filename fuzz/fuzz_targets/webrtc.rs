//! Whatever a browser may send: offers and fragments as text, the transport's answer to them, checks, packets on a
//! stream, and datagrams into a peer with its leg. Never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::{Codec, Law};
use trunkline_media::transport::stream::Deframer;
use trunkline_media::transport::webrtc::{Peer, Reach, Way, checked_ufrag};
use trunkline_signaling::webrtc::{fragment, offer};

const CODECS: &[Codec] = &[Codec::Opus, Codec::G711(Law::Mu)];

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let (here, there) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 2)));
    let reach = Reach { udp: vec![here], tcp: vec![here] };
    let _ = fragment::parse(bytes);
    let _ = checked_ufrag(bytes);
    let _ = Deframer::default().push(bytes, |packet| {
        let _ = checked_ufrag(packet);
    });
    if let Ok(offer) = offer::check(bytes)
        && let Ok(mut answered) = Peer::answer(now, &offer, &reach, CODECS)
    {
        let mut later = now;
        for datagram in bytes.chunks(97) {
            later += Duration::from_millis(3);
            answered.peer.handle(later, Way::Udp, there, here, datagram);
            answered.peer.poll(later, &mut |_| {});
        }
    }
});
