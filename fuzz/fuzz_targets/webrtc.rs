//! Arbitrary browser input: offers and fragments as text, the transport's answer to them, checks, packets on a stream,
//! and datagrams into a peer with its leg. Never a panic.
#![no_main]

#[path = "../../media/tests/packet_mutator/mod.rs"]
mod packet_mutator;

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::transport::dtls::{DtlsHandshake, DtlsIdentity, DtlsParams};
use trunkline_media::transport::tcp_framing::TcpDeframer;
use trunkline_media::transport::webrtc::{HostCandidates, IceTransport, WebRtcPeer, ufrag_of_check};
use trunkline_signaling::webrtc::{ice_fragment, offer};

const CODECS: &[Codec] = &[Codec::Opus, Codec::G711(Companding::MuLaw)];

fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let (here, there) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 2)));
    let reach = HostCandidates { udp: vec![here], tcp: vec![here] };
    let _ = ice_fragment::parse(bytes);
    let _ = ufrag_of_check(bytes);
    let _ = TcpDeframer::default().push(bytes, |packet| {
        let _ = ufrag_of_check(packet);
    });
    handshakes(now, bytes);
    if let Ok(offer) = offer::validate(bytes)
        && let Ok(mut answered) = WebRtcPeer::answer(now, &offer, &reach, CODECS)
    {
        let mut later = now;
        for datagram in bytes.chunks(97) {
            later += Duration::from_millis(3);
            answered.peer.handle(later, IceTransport::Udp, there, here, datagram);
            answered.peer.poll(later, &mut |_| {});
        }
    }
});

/// The DTLS handshake of phones: any datagrams, and a hello that is wrong in one place.
fn handshakes(now: Instant, bytes: &[u8]) {
    static IDENTITY: OnceLock<Option<DtlsIdentity>> = OnceLock::new();
    let Some(identity) = IDENTITY.get_or_init(DtlsIdentity::new) else { return };
    let [high, low, rest @ ..] = bytes else { return };
    for active in [false, true] {
        let terms = DtlsParams { peer_fingerprint: identity.fingerprint(), is_dtls_client: active, association: 0 };
        let Some(mut handshake) = DtlsHandshake::new(now, identity, terms) else { return };
        let mut said = vec![];
        handshake.handle_timeout(now, &mut |bytes| said.push(bytes.to_vec()));
        for (step, datagram) in rest.chunks(61).enumerate() {
            handshake.handle(now + Duration::from_millis(step as u64), datagram, &mut |_| {});
        }
        let server = DtlsParams { is_dtls_client: false, ..terms };
        if let (Some(hello), Some(mut handshake)) = (said.first(), DtlsHandshake::new(now, identity, server)) {
            let number = usize::from(u16::from_be_bytes([*high, *low])) % packet_mutator::count(hello.len());
            handshake.handle(now, &packet_mutator::variant(hello, number), &mut |_| {});
        }
    }
}
