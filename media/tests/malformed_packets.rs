//! Packets with one mutation, fed into every parser: no panics, no memory growth, and the call continues.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packet_mutator;

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::opus::{Opus, PACKET_SAMPLES_MAX};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::leg::{Latching, Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::{RtpPacket, header_len, is_rtcp};
use trunkline_media::rtp::rtcp;
use trunkline_media::transport::dtls::{self, DtlsHandshake, DtlsIdentity, DtlsParams, HandshakeProgress};
use trunkline_media::transport::ice::IceLiteAgent;
use trunkline_media::transport::srtp::{KEY_BYTES_MAX, SrtpKeys, SrtpProfile, SrtpSession};
use trunkline_media::transport::tcp_framing::{self, TcpDeframer};
use trunkline_media::transport::webrtc::{HostCandidates, IceTransport, PeerOutput, WebRtcPeer, ufrag_of_check};

const MS: Duration = Duration::from_millis(1);

fn peer() -> SocketAddr {
    "127.0.0.1:4000".parse().unwrap()
}

fn streams() -> [StreamConfig; 3] {
    let opus =
        StreamConfig { codec: Codec::Opus, payload_type: 111, payload_type_in: 111, ..StreamConfig::pcmu(peer()) };
    let g722 = StreamConfig { codec: Codec::G722, payload_type: 9, payload_type_in: 0, ..StreamConfig::pcmu(peer()) };
    [StreamConfig::pcmu(peer()), opus, g722]
}

/// A leg that is sent to and sends, with what it has made of it.
struct LegTest {
    start: Instant,
    now: Instant,
    leg: Leg,
    sent: usize,
    ticks: usize,
    frames: usize,
}

impl LegTest {
    fn new(stream: StreamConfig) -> Self {
        let start = Instant::now();
        let config =
            LegConfig { latching: Latching::Any, first_timestamp: u32::MAX - 1_000, ..LegConfig::basic(start, stream) };
        let mut leg = Leg::new(start, config);
        leg.play(SegmentId { response_id: 1, index: 0 }, vec![900; 60 * 8_000], true);
        Self { start, now: start, leg, sent: 0, ticks: 0, frames: 0 }
    }

    fn pass(&mut self, step: Duration) {
        self.now += step;
        while self.leg.due(self.now) <= self.now {
            let due = self.leg.due(self.now);
            self.ticks += 1;
            self.leg.tick(self.now, due, &mut |_, _, bytes| self.sent += usize::from(!bytes.is_empty()));
        }
        while let Some(event) = self.leg.poll_event() {
            if let LegEvent::RecordingBlock { block } = event {
                self.leg.recycle(block);
            } else {
                self.frames += usize::from(matches!(event, LegEvent::Audio { .. }));
            }
        }
    }

    /// Checks that the leg kept its pace and processed no more audio than real time permits.
    fn check(&self) {
        let ms = (self.now - self.start).as_millis() as usize;
        // Opus pauses once the minute of speech is over.
        assert!(self.ticks + 2 >= ms / 20 && self.sent + 2 >= (ms / 20).min(2_900), "{} packets in {ms} ms", self.sent);
        assert!(self.frames <= 500 + ms / 20 * 2 + 10, "{} frames in {ms} ms", self.frames);
    }
}

#[test]
fn mutated_rtp_does_not_harm_leg() {
    for stream in streams() {
        let mut bench = LegTest::new(stream);
        for base in packet_mutator::rtp() {
            for packet in packet_mutator::variants(&base) {
                let _ = header_len(&packet);
                assert!(RtpPacket::parse(&packet).is_none_or(|parsed| parsed.payload.len() <= packet.len() - 12));
                bench.leg.handle_rtp(bench.now, peer(), &packet);
                bench.pass(MS);
            }
            // The peer goes on as if nothing had been.
            bench.check();
        }
    }
}

#[test]
fn any_sequence_and_timestamp_jump_is_handled() {
    const JUMPS: [u32; 12] = [0, 1, 63, 64, 65, 160, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ff60];
    for stream in streams() {
        let mut bench = LegTest::new(stream);
        let (mut sequence, mut timestamp) = (0u16, 0u32);
        for (n, (ahead, later)) in JUMPS.iter().flat_map(|a| JUMPS.iter().map(move |b| (*a, *b))).enumerate() {
            // A few in a row, so that what follows a jump is seen as well.
            for _ in 0..4 {
                sequence = sequence.wrapping_add(ahead as u16);
                timestamp = timestamp.wrapping_add(later);
                for payload_type in [0u8, 101, 111, 13] {
                    let payload = if payload_type == 101 { &[5u8, 10, 0xff, 0xff][..] } else { &[0x78u8; 80][..] };
                    let marker = n % 2 == 0;
                    let packet = RtpPacket { payload_type, marker, sequence, timestamp, ssrc: n as u32 % 3, payload };
                    let mut buffer = [0; 100];
                    let len = packet.write(&mut buffer).unwrap();
                    bench.leg.handle_rtp(bench.now, peer(), &buffer[..len]);
                }
                bench.pass(5 * MS);
            }
        }
        bench.check();
        assert!(bench.leg.stats().jitter_ms.is_finite());
    }
}

#[test]
fn mutated_rtcp_is_parsed_partially() {
    let mut bench = LegTest::new(StreamConfig::pcmu(peer()));
    for base in packet_mutator::rtcp() {
        assert!(is_rtcp(&base));
        for report in packet_mutator::variants(&base) {
            let read = rtcp::parse(&report, 7);
            assert!(read.voip.is_none_or(|voip| voip.mos.is_none_or(|mos| mos <= 25.5)));
            bench.leg.handle_rtp(bench.now, peer(), &report);
            bench.leg.handle_rtcp(bench.now, peer(), &report);
            bench.leg.handle_authentic(bench.now, peer(), &report);
            bench.pass(MS);
        }
    }
    bench.check();
    let stats = bench.leg.stats();
    assert!(stats.round_trip_ms.is_none_or(|ms| (0.0..=60_000.0).contains(&ms)));
    assert!((0.0..=1.0).contains(&stats.remote_loss));
}

#[test]
fn mutated_srtp_is_rejected() {
    for suite in SrtpProfile::ALL {
        let keys =
            |ours: u8, theirs: u8| SrtpKeys { suite, send: [ours; KEY_BYTES_MAX], receive: [theirs; KEY_BYTES_MAX] };
        let (mut a, mut b) = (SrtpSession::new(keys(1, 2)).unwrap(), SrtpSession::new(keys(2, 1)).unwrap());
        for plain in packet_mutator::rtp().into_iter().chain(packet_mutator::rtcp()).filter(|plain| plain.len() < 300) {
            let kind = is_rtcp(&plain);
            let mut sealed = vec![];
            a.protect(&plain, kind, |bytes| sealed = bytes.to_vec());
            for packet in packet_mutator::variants(&sealed).filter(|packet| *packet != sealed) {
                for as_report in [false, true] {
                    assert!(!b.unprotect(&packet, as_report, |_| {}), "{suite:?} {packet:x?}");
                }
                a.protect(&packet, kind, |_| {}); // whatever it is, it is sealed or not
            }
        }
    }
}

#[test]
fn mutated_opus_has_bounded_duration() {
    let (mut encoder, mut decoder) = (Opus::new().unwrap(), Opus::new().unwrap());
    let frame: [i16; FRAME_SAMPLES] = std::array::from_fn(|n| ((n as f32 * 0.3).sin() * 9_000.0) as i16);
    let mut payload = vec![];
    for _ in 0..3 {
        let mut buffer = [0; 200];
        payload = encoder.encode(&frame, &mut buffer).unwrap().to_vec();
    }
    for base in [payload, vec![0x0b, 0x82, 1, 2, 3], vec![0xff; 3], vec![0xfc], vec![0xfb, 0x30]] {
        for (n, variant) in packet_mutator::variants(&base).enumerate() {
            let missing = [0, 160, 37, 16_000][n % 4];
            decoder.note_lost(missing);
            let mut heard = 0;
            decoder.decode(&variant, &mut |samples| heard += samples.len());
            assert!(heard <= PACKET_SAMPLES_MAX + missing, "{heard} samples of {variant:x?}");
        }
    }
}

/// A browser's first datagrams: checks of a path, the beginning of a handshake.
fn first_datagrams(now: Instant, host_candidates: &HostCandidates, there: SocketAddr) -> (WebRtcPeer, Vec<Vec<u8>>) {
    let own = HostCandidates { udp: vec![there], tcp: vec![] };
    let offered = WebRtcPeer::offer(now, &own, &[Codec::Opus, Codec::G711(Companding::MuLaw)]).unwrap();
    let answered = WebRtcPeer::answer(now, &offered.sdp, host_candidates, &[Codec::Opus]).unwrap();
    let (mut browser, _) = offered.accept(&answered.sdp).unwrap();
    let (mut server, mut said, mut at) = (answered.peer, vec![], now);
    let mut to_server: Vec<Vec<u8>> = vec![];
    for _ in 0..200 {
        at += 10 * MS;
        browser.handle_timeout(at);
        browser.poll(at, &mut |out| {
            if let PeerOutput::Send { bytes, .. } = out {
                to_server.push(bytes.to_vec());
            }
        });
        let mut to_browser: Vec<Vec<u8>> = vec![];
        for datagram in to_server.drain(..) {
            server.handle(at, IceTransport::Udp, there, host_candidates.udp[0], &datagram);
            said.push(datagram);
        }
        server.handle_timeout(at);
        server.poll(at, &mut |out| {
            if let PeerOutput::Send { bytes, .. } = out {
                to_browser.push(bytes.to_vec());
            }
        });
        for datagram in to_browser {
            browser.handle(at, IceTransport::Udp, host_candidates.udp[0], there, &datagram);
        }
    }
    assert!(server.is_connected() && browser.is_connected());
    (server, said)
}

#[test]
fn mutated_webrtc_datagrams_do_not_harm_peer() {
    let now = Instant::now();
    let (here, there) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 2)));
    let host_candidates = HostCandidates { udp: vec![here], tcp: vec![] };
    let (mut server, said) = first_datagrams(now, &host_candidates, there);
    let mut at = now + Duration::from_secs(3);
    // One of each kind: a check, a hello, a later flight, media or reports.
    let mut kinds: Vec<Vec<u8>> = vec![];
    for datagram in said {
        if !kinds.iter().any(|known| known[0] == datagram[0] && known.len().abs_diff(datagram.len()) < 40) {
            kinds.push(datagram);
        }
    }
    assert!(kinds.len() >= 3, "{}", kinds.len());
    for base in kinds {
        for (n, datagram) in packet_mutator::variants(&base).enumerate().filter(|(n, _)| base.len() < 150 || n % 7 == 0)
        {
            let _ = (ufrag_of_check(&datagram), IceLiteAgent::is_check(&datagram), dtls::is_dtls(&datagram));
            let source = if n % 2 == 0 { there } else { SocketAddr::from(([10, 0, 0, 3], n as u16)) };
            server.accepts(at, IceTransport::Udp, source, here, &datagram);
            server.handle(at, IceTransport::Udp, source, here, &datagram);
            at += MS / 4;
            server.poll(at, &mut |_| {});
            let framed = {
                let mut out = vec![];
                tcp_framing::write_framed(&datagram, &mut out);
                out
            };
            for cut in packet_mutator::variants(&framed[..framed.len().min(24)]).step_by(11) {
                let _ = TcpDeframer::default().push(&cut, |packet| assert!(packet.len() <= cut.len()));
            }
        }
    }
    assert!(server.is_connected());
}

#[test]
fn mutated_connectivity_checks_are_not_answered() {
    let lite = IceLiteAgent { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" };
    // A real one, with every attribute a browser sends; its password is another.
    let mut check = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    for (kind, value) in [
        (0x0006u16, &b"01234567:abcd"[..]),
        (0x0024, &[0x6e, 0, 0x1e, 0xff]),
        (0x802a, &[1, 2, 3, 4, 5, 6, 7, 8]),
        (0x0025, &[]),
        (0x0008, &[9; 20]),
        (0x8028, &[1, 2, 3, 4]),
    ] {
        check.extend(kind.to_be_bytes());
        check.extend((value.len() as u16).to_be_bytes());
        check.extend(value);
        check.extend(vec![0; value.len().next_multiple_of(4) - value.len()]);
    }
    let len = (check.len() - 20) as u16;
    check[2..4].copy_from_slice(&len.to_be_bytes());
    assert_eq!(ufrag_of_check(&check), Some("01234567"));
    for variant in packet_mutator::variants(&check) {
        let _ = ufrag_of_check(&variant);
        assert!(lite.handle_check(peer(), &variant, |_| panic!("an answer to {variant:x?}")).is_none());
    }
}

#[test]
fn mutated_dtls_handshake_never_panics() {
    let now = Instant::now();
    let (a, b) = (DtlsIdentity::new().unwrap(), DtlsIdentity::new().unwrap());
    let hello = {
        let mut said = vec![];
        let terms = DtlsParams { peer_fingerprint: b.fingerprint(), is_dtls_client: true, association: 0 };
        let mut client = DtlsHandshake::new(now, &a, terms).unwrap();
        client.handle_timeout(now, &mut |bytes| said.push(bytes.to_vec()));
        said.remove(0)
    };
    let terms = DtlsParams { peer_fingerprint: a.fingerprint(), is_dtls_client: false, association: 0 };
    let mut server = DtlsHandshake::new(now, &b, terms).unwrap();
    for (n, datagram) in packet_mutator::variants(&hello).enumerate() {
        if n % 50 == 0 {
            server = DtlsHandshake::new(now, &b, terms).unwrap();
        }
        server.handle(now + n as u32 * MS, &datagram, &mut |_| {});
    }
    assert!(!matches!(server.progress(), HandshakeProgress::Done(_)));
}
