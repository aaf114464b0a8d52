//! Legs with real threads and sockets. Panics on purpose: only the leg that panics ends, it is reported, and its
//! resources are released.

use super::super::ports::PortPool;
use super::*;
use crate::codec::{Codec, Companding};
use crate::leg::{LegEvent, MediaSecurity, RtcpRoute};
use crate::playout::ambience::AmbienceKind;
use crate::rtp::packet::RtpPacket;
use crate::transport::webrtc::WebRtcPeer;
use std::net::UdpSocket;
use std::sync::Mutex;
use std::time::Duration;
use trunkline_supervision::panics;

/// Panics are counted for the whole process: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// Nothing here takes as long as this on a machine that works at all.
const PATIENCE: Duration = Duration::from_secs(20);

fn counted(part: &str) -> u64 {
    panics().into_iter().find(|(known, _)| *known == part).map_or(0, |(_, count)| count)
}

/// A leg, the socket of its peer and the leg's events.
struct TestLeg {
    handle: Option<LegHandle>,
    peer: UdpSocket,
    port: u16,
    said: Arc<Mutex<Vec<LegEvent>>>,
    sequence: u16,
}

impl TestLeg {
    fn start(
        workers: &MediaWorkers, pool: &PortPool, recording: Option<PathBuf>, panics_at: fn(&LegEvent) -> bool,
    ) -> Self {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let ports = pool.take().unwrap();
        let port = ports.port();
        let said: Arc<Mutex<Vec<LegEvent>>> = Arc::default();
        let heard = said.clone();
        let sink = Box::new(move |event: LegEvent| {
            let panics = panics_at(&event);
            heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
            assert!(!panics, "on purpose");
            true
        });
        let config = LegConfig::basic(Instant::now(), StreamConfig::pcmu(peer.local_addr().unwrap()));
        let handle = workers.add(config, TransportSetup::Rtp(ports), recording, sink).unwrap();
        Self { handle: Some(handle), peer, port, said, sequence: 0 }
    }

    /// 20 ms of sound to the leg.
    fn speak(&mut self) {
        let timestamp = u32::from(self.sequence) * 160;
        let packet = RtpPacket {
            payload_type: 0,
            marker: false,
            sequence: self.sequence,
            timestamp,
            ssrc: 5,
            payload: &[0x30; 160],
        };
        let mut buffer = [0; 172];
        packet.write(&mut buffer).unwrap();
        self.sequence += 1;
        self.peer.send_to(&buffer, ("127.0.0.1", self.port)).unwrap();
    }

    fn has_said(&self, what: fn(&LegEvent) -> bool) -> bool {
        self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().any(what)
    }

    /// The next packet of sound from the leg: its source and its level.
    fn next_sound(&self) -> Option<(u32, f32)> {
        let mut buffer = [0; 2_000];
        let mut packets = std::iter::from_fn(|| {
            let len = self.peer.recv(&mut buffer).ok()?;
            Some(buffer[..len].to_vec())
        });
        packets.find_map(|bytes| {
            // Reports come here too.
            let packet = RtpPacket::parse(&bytes).filter(|packet| packet.payload_type == 0)?;
            let samples: Vec<i16> = packet.payload.iter().map(|code| Companding::MuLaw.decode(*code)).collect();
            Some((packet.ssrc, crate::frame::level_dbfs(&samples)))
        })
    }

    /// Packets received from the leg since the last call.
    fn received(&self) -> usize {
        let mut buffer = [0; 2_000];
        std::iter::from_fn(|| self.peer.recv(&mut buffer).ok()).count()
    }
}

/// Looks every 20 ms until it is `done`. The only place that waits.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Until `done`, with sound to everybody every 20 ms.
fn talk(sides: &mut [&mut TestLeg], mut done: impl FnMut(&[&mut TestLeg]) -> bool) {
    eventually("talk", || {
        let is_done = done(sides);
        if !is_done {
            sides.iter_mut().for_each(|side| side.speak());
        }
        is_done
    });
}

fn is_end(event: &LegEvent) -> bool {
    matches!(event, LegEvent::InternalError)
}

#[test]
fn panicking_leg_ends_alone_and_frees_its_ports() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 34_000, 34_199);
    let all = pool.available();
    let elsewhere = (counted("media_worker"), counted("recorder"));
    let mut beside = TestLeg::start(&workers, &pool, None, |_| false);
    let segment = SegmentId { response_id: 1, index: 0 };
    // By a packet, by the sound of one, in a tick of the leg, by a command, and on the way out.
    let causes: [fn(&LegEvent) -> bool; 5] = [
        |event| matches!(event, LegEvent::MediaStarted { .. }),
        |event| matches!(event, LegEvent::Audio { .. }),
        |event| matches!(event, LegEvent::SegmentStarted { .. }),
        |event| matches!(event, LegEvent::PlayoutFlushed { .. }),
        |event| !matches!(event, LegEvent::MediaStarted { .. } | LegEvent::Audio { .. }),
    ];
    for (number, cause) in causes.into_iter().enumerate() {
        let before = counted("media_leg");
        let mut broken = TestLeg::start(&workers, &pool, None, cause);
        let handle = broken.handle.take().unwrap();
        handle.play(segment, vec![500; 16_000], true).unwrap();
        if number >= 3 {
            handle.flush(1, false).unwrap();
        }
        talk(&mut [&mut broken, &mut beside], |sides| sides[0].has_said(is_end));
        // The sink that panics on every event also panics when the leg ends.
        let panicked = counted("media_leg") - before;
        assert!(if number == 4 { (2..=4).contains(&panicked) } else { panicked == 1 }, "{panicked} of {number}");
        assert!(number == 4 || broken.has_said(|event| matches!(event, LegEvent::Closed { .. })), "{number}");
        let came = beside.sequence;
        talk(&mut [&mut beside], |sides| pool.available() == all - 1 && sides[0].sequence > came + 5);
        // Commands to the ended leg have no effect.
        drop(handle);
    }
    assert!(!beside.has_said(is_end));
    beside.received();
    talk(&mut [&mut beside], |sides| sides[0].received() > 0);
    assert!(workers.liveness().iter().all(|one| !one.is_stuck()), "{:?}", workers.liveness());
    assert_eq!((counted("media_worker"), counted("recorder")), elsewhere);
}

#[test]
fn a_worker_that_panics_ends_its_legs_and_takes_new_ones() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let workers = MediaWorkers::start(2, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 34_200, 34_399);
    let all = pool.available();
    let before = counted("media_worker");
    // Legs 1 and 3 are on the second worker, leg 2 on the first.
    let [mut one, mut two, mut three] = std::array::from_fn(|_| TestLeg::start(&workers, &pool, None, |_| false));
    let started = |event: &LegEvent| matches!(event, LegEvent::MediaStarted { .. });
    talk(&mut [&mut one, &mut two, &mut three], |sides| sides.iter().all(|side| side.has_said(started)));
    workers.workers[1].commands.try_send(WorkerCommand::Panic).unwrap();
    talk(&mut [&mut one, &mut two, &mut three], |sides| sides[0].has_said(is_end) && sides[2].has_said(is_end));
    assert!(!two.has_said(is_end));
    assert_eq!(counted("media_worker"), before + 1);
    assert_eq!(pool.available(), all - 1);
    let [mut four, mut five] = std::array::from_fn(|_| TestLeg::start(&workers, &pool, None, |_| false));
    talk(&mut [&mut two, &mut four, &mut five], |sides| {
        sides.iter().all(|side| side.has_said(started)) && sides.iter().all(|side| side.received() > 0)
    });
    assert_eq!(workers.stats().legs.load(Ordering::Relaxed), 3);
}

#[test]
fn a_recording_that_panics_ends_alone() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 34_400, 34_599);
    let folder = std::env::temp_dir().join(format!("trunkline-containment-{}", std::process::id()));
    let before = counted("recorder");
    let mut sides: Vec<TestLeg> =
        (0..2).map(|n| TestLeg::start(&workers, &pool, Some(folder.join(format!("{n}.wav"))), |_| false)).collect();
    let [first, second] = &mut sides[..] else { panic!("two") };
    talk(&mut [first, second], |sides| sides.iter().all(|side| side.sequence > 20));
    let (done, recorded) = bounded(1);
    first.handle.take().unwrap().remove(Some(Box::new(|_| panic!("on purpose"))));
    second.handle.take().unwrap().remove(Some(Box::new(move |result| drop(done.send(result)))));
    let samples = recorded.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(samples > 1_000, "{samples}");
    assert_eq!(counted("recorder"), before + 1);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn panicking_leg_keeps_its_recording() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 34_600, 34_799);
    let folder = std::env::temp_dir().join(format!("trunkline-broken-off-{}", std::process::id()));
    let path = folder.join("one.wav");
    let mut side =
        TestLeg::start(&workers, &pool, Some(path.clone()), |event| matches!(event, LegEvent::PlayoutFlushed { .. }));
    let handle = side.handle.take().unwrap();
    // Two blocks of half a second.
    talk(&mut [&mut side], |sides| sides[0].sequence > 70);
    handle.flush(0, false).unwrap();
    talk(&mut [&mut side], |sides| sides[0].has_said(is_end));
    let (done, recorded) = bounded(1);
    handle.remove(Some(Box::new(move |result| drop(done.send(result)))));
    let samples = recorded.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(samples >= 4_000, "{samples}");
    assert_eq!(u64::from(hound::WavReader::open(path).unwrap().duration()), samples);
    let _ = std::fs::remove_dir_all(folder);
}

/// A worker with the browsers' port.
fn webrtc_worker() -> (MediaWorkers, HostCandidates) {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let host_candidates = HostCandidates { udp: vec![udp.local_addr().unwrap()], tcp: vec![] };
    let mut workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    workers
        .start_webrtc(WebRtcPortConfig {
            udp,
            tcp: None,
            host_candidates: host_candidates.clone(),
            limits: Default::default(),
            report: Arc::default(),
        })
        .unwrap();
    (workers, host_candidates)
}

/// A leg at the browsers' port with its browser, which plays a tone for 20 s.
struct WebRtcCall {
    said: Arc<Mutex<Vec<LegEvent>>>,
    _handles: [LegHandle; 2],
}

impl WebRtcCall {
    fn start(
        (workers, host_candidates): &(MediaWorkers, HostCandidates), browsers: &MediaWorkers,
        panics_at: fn(&LegEvent) -> bool,
    ) -> Self {
        let codecs = [Codec::Opus, Codec::G711(Companding::MuLaw)];
        let now = Instant::now();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = HostCandidates { udp: vec![socket.local_addr().unwrap()], tcp: vec![] };
        let offered = WebRtcPeer::offer(now, &own, &codecs).unwrap();
        let answered = WebRtcPeer::answer(now, &offered.sdp, host_candidates, &codecs).unwrap();
        let (peer, stream) = offered.accept(&answered.sdp).unwrap();
        let said: Arc<Mutex<Vec<LegEvent>>> = Arc::default();
        let heard = said.clone();
        let sink = Box::new(move |event: LegEvent| {
            let panics = panics_at(&event);
            heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
            assert!(!panics, "on purpose");
            true
        });
        let wire = TransportSetup::WebRtcSharedPort(Box::new(answered.peer));
        let leg = workers.add(LegConfig::basic(now, answered.stream), wire, None, sink).unwrap();
        let wire = TransportSetup::WebRtcOwnSocket(Box::new(peer), socket);
        let browser = browsers.add(LegConfig::basic(now, stream), wire, None, Box::new(|_| true)).unwrap();
        for index in 0..20 {
            let tone = |n: usize| ((n as f32 * 0.3).sin() * 8_000.0) as i16;
            browser.play(SegmentId { response_id: 1, index }, (0..8_000).map(tone).collect(), true).unwrap();
        }
        Self { said, _handles: [leg, browser] }
    }

    fn count(&self, what: fn(&LegEvent) -> bool) -> usize {
        self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().filter(|event| what(event)).count()
    }

    fn frames(&self) -> usize {
        self.count(|event| matches!(event, LegEvent::Audio { .. }))
    }
}

#[test]
fn panicking_webrtc_leg_ends_alone() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let port = webrtc_worker();
    let browsers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let before = counted("media_leg");
    let first = WebRtcCall::start(&port, &browsers, |_| false);
    let second = WebRtcCall::start(&port, &browsers, |event| matches!(event, LegEvent::MediaStarted { .. }));
    let third = WebRtcCall::start(&port, &browsers, |_| false);
    eventually("one ends, two are heard", || second.count(is_end) > 0 && first.frames() >= 20 && third.frames() >= 20);
    let heard = (first.frames(), third.frames());
    eventually("the others go on", || first.frames() >= heard.0 + 20 && third.frames() >= heard.1 + 20);
    assert_eq!((first.count(is_end), third.count(is_end)), (0, 0));
    assert_eq!(counted("media_leg"), before + 1);
}

/// Media starts as soon as the keys are known, without waiting for an unrelated timer.
#[test]
fn audio_starts_when_dtls_completes() {
    let workers = MediaWorkers::start(2, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 34_800, 34_899);
    let theirs = workers.fingerprint().unwrap();
    let (one, two) = (pool.take().unwrap(), pool.take().unwrap());
    let at = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let (first, second) = (at(one.port()), at(two.port()));
    let began = Instant::now();
    let (started, heard) = bounded(16);
    let mut legs = Vec::new();
    for (ports, remote, active) in [(two, first, false), (one, second, true)] {
        let security = MediaSecurity::Dtls(crate::transport::dtls::DtlsParams {
            peer_fingerprint: theirs,
            is_dtls_client: active,
            association: 1,
        });
        let stream = StreamConfig { security, rtcp: RtcpRoute::Muxed, ..StreamConfig::pcmu(remote) };
        let started = started.clone();
        let sink = Box::new(move |event| {
            if matches!(event, LegEvent::MediaStarted { .. }) {
                let _ = started.try_send(active);
            }
            true
        });
        legs.push(
            workers.add(LegConfig::basic(Instant::now(), stream), TransportSetup::Rtp(ports), None, sink).unwrap(),
        );
    }
    let both = [heard.recv_timeout(PATIENCE).unwrap(), heard.recv_timeout(PATIENCE).unwrap()];
    assert_ne!(both[0], both[1]);
    assert!(began.elapsed() < limits::PATH_DEADLINE / 2, "{:?}", began.elapsed());
}

#[test]
fn background_sound_begins_and_ends_during_a_call() {
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 35_100, 35_149);
    let side = TestLeg::start(&workers, &pool, None, |_| false);
    let handle = side.handle.as_ref().unwrap();
    eventually("silence", || side.next_sound().is_some_and(|(_, dbfs)| dbfs < -60.0));
    handle.set_ambience(Some(AmbienceMixer::new(AmbienceKind::HoldMusic, 0.0))).unwrap();
    eventually("music", || side.next_sound().is_some_and(|(_, dbfs)| dbfs > -40.0));
    handle.set_ambience(None).unwrap();
    eventually("silence again", || side.next_sound().is_some_and(|(_, dbfs)| dbfs < -60.0));
}

#[test]
fn reports_at_their_own_port_are_read() {
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 35_150, 35_199);
    let mut side = TestLeg::start(&workers, &pool, None, |_| false);
    let mut ours = None;
    talk(&mut [&mut side], |sides| {
        ours = sides[0].next_sound().map(|(ssrc, _)| ssrc);
        ours.is_some() && sides[0].has_said(|event| matches!(event, LegEvent::MediaStarted { .. }))
    });
    // Of the peer (source 5): half of our packets were lost.
    let mut report = [0; 32];
    report[..8].copy_from_slice(&[0x81, 201, 0, 7, 0, 0, 0, 5]);
    report[8..12].copy_from_slice(&ours.unwrap().to_be_bytes());
    report[12] = 128;
    side.peer.send_to(&report, ("127.0.0.1", side.port + 1)).unwrap();
    let spoken = side.sequence;
    talk(&mut [&mut side], |sides| sides[0].sequence > spoken + 10);
    side.handle.take().unwrap().remove(None);
    eventually("the end", || side.has_said(|event| matches!(event, LegEvent::Closed { .. })));
    assert!(side.has_said(|event| matches!(event, LegEvent::Closed { stats } if stats.remote_loss == 0.5)));
}

#[test]
fn another_offer_of_a_browser_is_answered_during_the_call() {
    let (workers, host_candidates) = webrtc_worker();
    let codecs = [Codec::Opus, Codec::G711(Companding::MuLaw)];
    let now = Instant::now();
    let own = HostCandidates { udp: vec!["127.0.0.1:9".parse().unwrap()], tcp: vec![] };
    let offered = WebRtcPeer::offer(now, &own, &codecs).unwrap().sdp;
    let answered = WebRtcPeer::answer(now, &offered, &host_candidates, &codecs).unwrap();
    let wire = TransportSetup::WebRtcSharedPort(Box::new(answered.peer));
    let leg = workers.add(LegConfig::basic(now, answered.stream), wire, None, Box::new(|_| true)).unwrap();
    let (done, answers) = bounded(1);
    let hold = offered.replace("a=sendrecv", "a=sendonly");
    leg.reoffer(hold, Box::new(move |answer| drop(done.send(answer)))).unwrap();
    let answer = answers.recv_timeout(PATIENCE).unwrap().unwrap();
    assert!(answer.contains("m=audio") && answer.contains("a=recvonly"), "{answer}");
}
