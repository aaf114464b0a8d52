//! Two WebRTC peers with a leg each, in virtual time: connect, exchange Opus, lose packets, restart ICE and close.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::{FRAME_SAMPLES, level_dbfs};
use trunkline_media::leg::{Leg, LegConfig, LegEvent, PortKind, StreamConfig, StreamDirection};
use trunkline_media::playout::pacer::SpurtStart;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::transport::webrtc::{
    HostCandidates, IceCredentials, IceTransport, PeerOutput, WebRtcPeer, ufrag_of_check,
};

const ALL: &[Codec] = &[Codec::Opus, Codec::G711(Companding::MuLaw), Codec::G711(Companding::ALaw)];

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn host_candidates(port: u16) -> HostCandidates {
    HostCandidates { udp: vec![addr(port)], tcp: vec![] }
}

struct TestPeer {
    leg: Leg,
    peer: WebRtcPeer,
    at: SocketAddr,
    due: Instant,
    flying: Vec<(SocketAddr, Vec<u8>)>,
    events: Vec<LegEvent>,
}

impl TestPeer {
    fn drain(&mut self, now: Instant) {
        let Self { leg, peer, flying, .. } = self;
        self.due = peer.poll(now, &mut |out| match out {
            PeerOutput::Send { transport: IceTransport::Udp, to, bytes } => flying.push((to, bytes.to_vec())),
            PeerOutput::Send { .. } => panic!("no TCP here"),
            PeerOutput::Packet(packet) => leg.handle_packet(now, &packet),
            PeerOutput::Connected => leg.handle_connected(now),
            PeerOutput::Closed => leg.handle_closed(),
            PeerOutput::Lost => leg.handle_disconnected(),
            PeerOutput::PathStats { loss, round_trip } => leg.handle_path_stats(loss, round_trip),
        });
        while let Some(event) = self.leg.poll_event() {
            self.events.push(event);
        }
    }

    fn tick(&mut self, now: Instant) {
        while self.leg.due(now) <= now {
            let (due, peer) = (self.leg.due(now), &mut self.peer);
            self.leg.tick(now, due, &mut |port, _, bytes| {
                if let (PortKind::Rtp, Some(packet)) = (port, RtpPacket::parse(bytes)) {
                    peer.send(now, &packet);
                }
            });
        }
        if self.due <= now {
            self.peer.handle_timeout(now);
        }
        self.drain(now);
    }

    fn heard(&self) -> Vec<i16> {
        let audio = self.events.iter().filter_map(|event| match event {
            LegEvent::Audio { frame, .. } => Some(frame),
            _ => None,
        });
        audio.flat_map(|frame| frame.samples().collect::<Vec<i16>>()).collect()
    }

    fn connected(&self) -> bool {
        self.events.iter().any(|event| matches!(event, LegEvent::Connected { .. }))
    }
}

struct PeerPair {
    now: Instant,
    server: TestPeer,
    browser: TestPeer,
    /// Every nth packet of media is lost.
    lose_every: usize,
    count: usize,
}

impl PeerPair {
    fn new(codecs: &[Codec]) -> Self {
        let now = Instant::now();
        let offered = WebRtcPeer::offer(now, &host_candidates(2), codecs).unwrap();
        let answered = WebRtcPeer::answer(now, &offered.sdp, &host_candidates(1), ALL).unwrap();
        assert!(answered.sdp.contains("a=ice-lite") && answered.sdp.contains("10.0.0.1 1 typ host"));
        assert!(!answered.sdp.contains("opus") || answered.sdp.contains("useinbandfec=1;usedtx=1"));
        let (peer, stream) = offered.accept(&answered.sdp).unwrap();
        let side = |peer, stream: StreamConfig, at| {
            let leg = Leg::new(now, LegConfig { spurt_start: SpurtStart::OnGrid, ..LegConfig::basic(now, stream) });
            TestPeer { leg, peer, at, due: now, flying: vec![], events: vec![] }
        };
        let server = side(answered.peer, answered.stream, addr(1));
        Self { now, server, browser: side(peer, stream, addr(2)), lose_every: usize::MAX, count: 0 }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(2);
            self.server.tick(self.now);
            self.browser.tick(self.now);
            for _ in 0..4 {
                let (to_browser, to_server) =
                    (std::mem::take(&mut self.server.flying), std::mem::take(&mut self.browser.flying));
                let (server_at, browser_at) = (self.server.at, self.browser.at);
                for (datagrams, from, to) in
                    [(to_browser, server_at, &mut self.browser), (to_server, browser_at, &mut self.server)]
                {
                    for (_, bytes) in datagrams {
                        self.count += 1;
                        let media = (128..192).contains(&bytes[0]);
                        if !(media && self.count.is_multiple_of(self.lose_every)) {
                            to.peer.handle(self.now, IceTransport::Udp, from, to.at, &bytes);
                            to.drain(self.now);
                        }
                    }
                }
            }
        }
    }
}

fn tone(seconds: usize) -> Vec<i16> {
    (0..seconds * 8_000)
        .map(|i| ((i as f32 / 8_000.0 * 500.0 * std::f32::consts::TAU).sin() * 8_000.0) as i16)
        .collect()
}

fn segment(index: u32) -> SegmentId {
    SegmentId { response_id: 1, index }
}

/// Levels of the 20 ms frames between the first and the last that carries sound.
fn inside(samples: &[i16]) -> Vec<f32> {
    let levels: Vec<f32> = samples.chunks_exact(FRAME_SAMPLES).map(level_dbfs).collect();
    let first = levels.iter().position(|level| *level > -30.0).unwrap();
    let last = levels.iter().rposition(|level| *level > -30.0).unwrap();
    levels[first..=last].to_vec()
}

#[test]
fn audio_flows_both_ways_in_each_codec() {
    for codecs in [ALL, &ALL[1..2], &ALL[2..3]] {
        let mut pair = PeerPair::new(codecs);
        pair.run(Duration::from_millis(400));
        assert!(pair.server.connected() && pair.browser.connected(), "{codecs:?}");
        // One after the other: the same sound at once would be taken for an echo.
        pair.server.leg.play(segment(0), tone(2), true);
        pair.run(Duration::from_secs(3));
        pair.browser.leg.play(segment(0), tone(2), true);
        pair.run(Duration::from_secs(3));
        for side in [&pair.server, &pair.browser] {
            let levels = inside(&side.heard());
            assert!((98..=103).contains(&levels.len()), "two seconds: {} frames", levels.len());
            let sent = level_dbfs(&tone(1));
            // Opus takes a moment to settle on a tone out of nothing.
            assert!(levels[30..95].iter().all(|level| (level - sent).abs() < 2.0), "{codecs:?}: {levels:?}");
        }
    }
}

#[test]
fn opus_dtx_sends_little_and_is_no_loss() {
    let mut pair = PeerPair::new(ALL);
    pair.run(Duration::from_secs(20));
    let stats = pair.server.leg.stats();
    assert!(stats.packets_received < 80, "{} packets of silence", stats.packets_received);
    assert_eq!((stats.packets_lost, stats.concealed_ms), (0, 0));
    let frames = pair.server.heard().len() / FRAME_SAMPLES;
    assert!((930..=1_000).contains(&frames), "its time passed all the same: {frames} frames");
}

#[test]
fn opus_fec_recovers_lost_packets() {
    let spoken: Vec<i16> = hound::WavReader::open("../fixtures/audio/order_number.wav")
        .unwrap()
        .into_samples::<i16>()
        .map(Result::unwrap)
        .collect();
    let run = |lose_every| {
        let mut pair = PeerPair::new(ALL);
        pair.run(Duration::from_millis(400));
        pair.lose_every = lose_every;
        for index in 0..6 {
            pair.browser.leg.play(segment(index), spoken.clone(), true);
        }
        pair.run(Duration::from_secs(18));
        (inside(&pair.server.heard()), pair.server.leg.stats(), pair.browser.leg.stats())
    };
    let (whole, ..) = run(usize::MAX);
    let (lossy, stats, sender) = run(10);
    assert!(stats.packets_lost > 40, "{stats:?}");
    assert!(whole.len().abs_diff(lossy.len()) <= 3, "time is kept: {} and {} frames", whole.len(), lossy.len());
    let loud = whole.iter().zip(&lossy).filter(|(whole, _)| **whole > -30.0);
    let (all, holes) =
        loud.fold((0, 0), |(all, holes), (whole, lossy)| (all + 1, holes + u32::from(*lossy < whole - 12.0)));
    assert!(holes * 50 < all, "{holes} holes in {all} frames of speech, {} lost", stats.packets_lost);
    // RTCP reports the loss to the sender, which sends more redundancy.
    assert!(sender.remote_loss > 0.02 && sender.round_trip_ms.is_some(), "{sender:?}");
}

#[test]
fn digits_arrive_once_each() {
    for codecs in [ALL, &ALL[1..2]] {
        let mut pair = PeerPair::new(codecs);
        pair.run(Duration::from_millis(400));
        pair.browser.leg.send_dtmf("12#");
        pair.run(Duration::from_secs(2));
        let digits: String = pair
            .server
            .events
            .iter()
            .filter_map(|event| match event {
                LegEvent::DtmfReceived { digit } => Some(*digit),
                _ => None,
            })
            .collect();
        assert_eq!(digits, "12#", "{codecs:?}");
    }
}

#[test]
fn close_is_reported_at_once_and_silence_by_timeout() {
    let mut pair = PeerPair::new(ALL);
    pair.run(Duration::from_millis(400));
    pair.browser.peer.close();
    pair.run(Duration::from_millis(300));
    assert!(pair.server.events.contains(&LegEvent::PeerClosed), "closed");

    let mut pair = PeerPair::new(ALL);
    pair.run(Duration::from_millis(400));
    for _ in 0..30_000 {
        pair.now += Duration::from_millis(2);
        pair.server.tick(pair.now);
    }
    let lost = pair.server.events.iter().filter(|event| **event == LegEvent::NetworkLost).count();
    assert_eq!(lost, 1, "a browser that vanished");
}

#[test]
fn ice_restart_changes_ufrag() {
    let mut pair = PeerPair::new(ALL);
    pair.run(Duration::from_millis(400));
    let before = pair.server.peer.ufrag();
    let theirs = IceCredentials { ufrag: "abcd".into(), password: "0123456789abcdef01234567".into() };
    let ours = pair.server.peer.restart_ice(theirs, &host_candidates(1));
    assert!(
        ours.ufrag != before && ours.ufrag == pair.server.peer.ufrag() && ours.password.expose_secret().len() >= 22
    );
}

#[test]
fn unusable_offers_are_rejected_with_text() {
    let now = Instant::now();
    let offered = WebRtcPeer::offer(now, &host_candidates(2), ALL).unwrap();
    let without = offered.sdp.replace("m=audio", "m=video");
    for (offer, word) in [("v=0", "SDP"), ("", "SDP"), (without.as_str(), "")] {
        let refused =
            WebRtcPeer::answer(now, offer, &host_candidates(1), ALL).err().unwrap_or_else(|| panic!("{offer}"));
        assert!(refused.0.contains(word), "{refused:?}");
    }
    let no_codec = WebRtcPeer::offer(now, &host_candidates(2), &ALL[1..2]).unwrap().sdp;
    assert!(WebRtcPeer::answer(now, &no_codec, &host_candidates(1), &ALL[..1]).is_err());
}

#[test]
fn ufrag_of_check_is_found() {
    let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    check.extend([7; 12]);
    check.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
    check.extend([0, 6, 0, 9]);
    check.extend(b"ours:them\0\0\0");
    assert_eq!(ufrag_of_check(&check), Some("ours"));
    for length in 0..check.len() {
        let _ = ufrag_of_check(&check[..length]);
    }
    assert_eq!(ufrag_of_check(&[0x80; 40]), None);
}

#[test]
fn chromiums_offers_are_answered_and_its_video_is_not_taken() {
    for (name, video) in [("chromium_audio", false), ("chromium_audio_video", true)] {
        let text = std::fs::read_to_string(format!("../fixtures/webrtc/corpus/{name}.sdp")).unwrap();
        let offer: String = text.split_inclusive("\r\n").filter(|link| !link.starts_with("a=candidate")).collect();
        let answered = WebRtcPeer::answer(Instant::now(), &offer, &host_candidates(1), ALL)
            .unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!((answered.stream.codec, answered.stream.payload_type), (Codec::Opus, 111));
        assert!(answered.stream.telephone_event.is_some() && answered.stream.direction == StreamDirection::SendReceive);
        let sdp = answered.sdp;
        assert!(sdp.contains("useinbandfec=1") && sdp.contains("usedtx=1"), "{sdp}");
        let refused = sdp.lines().any(|link| link.starts_with("m=video 0 ")) || sdp.contains("a=inactive");
        assert_eq!(refused, video, "{sdp}");
    }
}

#[test]
fn check_sources_are_bounded() {
    let mut pair = PeerPair::new(ALL);
    pair.run(Duration::from_secs(2));
    // A check with the right password, as a peer that knows it may send it from forged addresses.
    let mut check = Vec::new();
    while check.is_empty() {
        pair.now += Duration::from_millis(2);
        pair.browser.tick(pair.now);
        let is_check = |bytes: &&Vec<u8>| bytes.first() == Some(&0);
        check = pair.browser.flying.iter().map(|(_, bytes)| bytes).find(is_check).cloned().unwrap_or_default();
        pair.browser.flying.clear();
    }
    let mut foreign = check.clone();
    let last = foreign.len() - 9; // of the password's HMAC, before the fingerprint
    foreign[last] ^= 1;
    let from = |port: u16| SocketAddr::from(([10, 9, 9, 9], port));
    let server = &mut pair.server.peer;
    // Without the password, a check takes no place.
    let refused =
        (1..2_000).filter(|port| server.handle(pair.now, IceTransport::Udp, from(*port), addr(1), &foreign)).count();
    assert_eq!(refused, 0);
    let taken =
        (1..2_000).filter(|port| server.handle(pair.now, IceTransport::Udp, from(*port), addr(1), &check)).count();
    assert_eq!(taken, trunkline_media::limits::ICE_ADDRESSES_MAX - 1);
    // The address of the browser still works.
    assert!(server.handle(pair.now, IceTransport::Udp, addr(2), addr(1), &check));
    for port in 1..2_000 {
        server.add_candidate(&format!("candidate:1 1 udp 2122260223 10.8.8.8 {port} typ host"));
    }
    pair.run(Duration::from_secs(2));
    assert!(pair.server.peer.is_connected());
}
