//! Arbitrary browser input: offers and fragments as text, the transport's answer to them, checks, packets on a stream,
//! and datagrams into a peer with its leg. Never a panic.
#![no_main]

#[path = "../../media/tests/mutate/mod.rs"]
mod mutate;

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use trunkline_media::codec::{Codec, Law};
use trunkline_media::transport::dtls::{Handshake, Identity, Terms};
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
    handshakes(now, bytes);
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

/// The handshake of telephones: any datagrams, and a hello that is wrong in one place.
fn handshakes(now: Instant, bytes: &[u8]) {
    static IDENTITY: OnceLock<Option<Identity>> = OnceLock::new();
    let Some(identity) = IDENTITY.get_or_init(Identity::new) else { return };
    let [high, low, rest @ ..] = bytes else { return };
    for active in [false, true] {
        let terms = Terms { theirs: identity.fingerprint(), active, association: 0 };
        let Some(mut handshake) = Handshake::new(now, identity, terms) else { return };
        let mut said = vec![];
        handshake.handle_timeout(now, &mut |bytes| said.push(bytes.to_vec()));
        for (step, datagram) in rest.chunks(61).enumerate() {
            handshake.handle(now + Duration::from_millis(step as u64), datagram, &mut |_| {});
        }
        let server = Terms { active: false, ..terms };
        if let (Some(hello), Some(mut handshake)) = (said.first(), Handshake::new(now, identity, server)) {
            let number = usize::from(u16::from_be_bytes([*high, *low])) % mutate::count(hello.len());
            handshake.handle(now, &mutate::variant(hello, number), &mut |_| {});
        }
    }
}
