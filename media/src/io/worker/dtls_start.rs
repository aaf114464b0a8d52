//! Sound starts with the keys: when the first packet comes, with real sockets and a DTLS peer that completes at once.

use super::super::ports::{PortPair, PortPool};
use super::*;
use crate::leg::{LegEvent, MediaSecurity, RtcpRoute};
use crate::rtp::packet::RtpPacket;
use crate::transport::dtls::{self, DtlsHandshake, DtlsParams, HandshakeProgress};
use crate::transport::ice::IceLiteAgent;
use crate::transport::srtp::SrtpSession;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A start that waits for a timer is late by a quarter of a second, a second or ten.
const AT_ONCE: Duration = Duration::from_millis(120);
/// A busy machine may be late once, but not every time.
const ATTEMPTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);
const ICE: IceLiteAgent = IceLiteAgent { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" };

/// Lets time pass: a socket's read that times out, as nobody sends to it.
fn rest(time: Duration) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(time)).unwrap();
    let _ = socket.recv(&mut [0]);
}

/// The other side of a leg.
struct DtlsPeer {
    socket: UdpSocket,
    leg: SocketAddr,
    identity: DtlsIdentity,
    handshake: Option<DtlsHandshake>,
    /// It sends media as soon as it has keys.
    speaks: bool,
    srtp: Option<SrtpSession>,
    sequence: u16,
}

impl DtlsPeer {
    fn new(leg: u16, speaks: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let leg = SocketAddr::from(([127, 0, 0, 1], leg));
        let identity = DtlsIdentity::new().unwrap();
        Self { socket, leg, identity, handshake: None, speaks, srtp: None, sequence: 0 }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The stream as the leg has to have it.
    fn stream(&self, leg_is_client: bool, association: u64) -> StreamConfig {
        let peer_fingerprint = self.identity.fingerprint();
        let security = MediaSecurity::Dtls(DtlsParams { peer_fingerprint, is_dtls_client: leg_is_client, association });
        StreamConfig { security, rtcp: RtcpRoute::Muxed, ..StreamConfig::pcmu(self.addr()) }
    }

    /// Begins a handshake; a client sends its first flight, and never again by itself.
    fn begin(&mut self, workers: &MediaWorkers, is_dtls_client: bool) {
        let params = DtlsParams { peer_fingerprint: workers.fingerprint().unwrap(), is_dtls_client, association: 0 };
        let mut handshake = DtlsHandshake::new(Instant::now(), &self.identity, params).unwrap();
        let (socket, leg) = (&self.socket, self.leg);
        handshake.handle_timeout(Instant::now(), &mut |bytes| drop(socket.send_to(bytes, leg)));
        (self.handshake, self.srtp) = (Some(handshake), None);
    }

    /// Until the first packet of the leg can be read: the time from the keys to it.
    fn wait_for_sound(&mut self) -> Duration {
        let (began, mut keys_at, mut buffer) = (Instant::now(), None, [0; 2_000]);
        loop {
            assert!(began.elapsed() < PATIENCE, "keys: {keys_at:?}");
            while let Ok((len, source)) = self.socket.recv_from(&mut buffer) {
                assert_eq!(source, self.leg);
                let (bytes, handshake) = (&buffer[..len], self.handshake.as_mut().unwrap());
                if dtls::is_dtls(bytes) {
                    let socket = &self.socket;
                    handshake.handle(Instant::now(), bytes, &mut |bytes| drop(socket.send_to(bytes, source)));
                    if let (HandshakeProgress::Done(keys), None) = (handshake.progress(), &self.srtp) {
                        keys_at.get_or_insert_with(Instant::now);
                        self.srtp = SrtpSession::new(keys);
                    }
                } else if self.srtp.as_mut().is_some_and(|srtp| srtp.unprotect(bytes, false, |_| {})) {
                    return keys_at.unwrap().elapsed();
                }
            }
            if self.speaks {
                self.speak();
            }
            rest(Duration::from_millis(1));
        }
    }

    /// Packets of speech in a while.
    fn count_speech(&mut self, during: Duration) -> usize {
        let (began, mut count, mut buffer) = (Instant::now(), 0, [0; 2_000]);
        while began.elapsed() < during {
            while let (Ok((len, _)), Some(srtp)) = (self.socket.recv_from(&mut buffer), &mut self.srtp) {
                srtp.unprotect(&buffer[..len], false, |packet| {
                    count += usize::from(RtpPacket::parse(packet).is_some_and(|packet| packet.payload[80] != 0xff));
                });
            }
            rest(Duration::from_millis(1));
        }
        count
    }

    fn speak(&mut self) {
        let Some(srtp) = &mut self.srtp else { return };
        let (sequence, timestamp) = (self.sequence, u32::from(self.sequence) * 160);
        let packet = RtpPacket { payload_type: 0, marker: false, sequence, timestamp, ssrc: 5, payload: &[0x30; 160] };
        let mut buffer = [0; 172];
        packet.write(&mut buffer).unwrap();
        self.sequence += 1;
        let (socket, leg) = (&self.socket, self.leg);
        srtp.protect(&buffer, false, |sealed| drop(socket.send_to(sealed, leg)));
    }
}

fn start(workers: &MediaWorkers, ports: PortPair, stream: StreamConfig) -> LegHandle {
    let sink = Box::new(|_: LegEvent| true);
    let handle = workers.add(LegConfig::basic(Instant::now(), stream), TransportSetup::Rtp(ports), None, sink).unwrap();
    handle.play(SegmentId { response_id: 1, index: 0 }, vec![900; 8_000], true).unwrap();
    handle
}

/// The shortest of some attempts.
fn shortest<const N: usize>(mut attempt: impl FnMut() -> [Duration; N]) -> [Duration; N] {
    let mut best = [PATIENCE; N];
    for _ in 0..ATTEMPTS {
        best.iter_mut().zip(attempt()).for_each(|(best, one)| *best = one.min(*best));
        if best.iter().all(|one| *one < AT_ONCE) {
            break;
        }
    }
    best
}

/// The times from the keys to the first packet, in a call and after a re-offer in which the roles change.
fn start_and_reoffer(workers: &MediaWorkers, pool: &PortPool, leg_is_client: bool, speaks: bool) -> [Duration; 2] {
    let ports = pool.take().unwrap();
    let mut peer = DtlsPeer::new(ports.port(), speaks);
    if leg_is_client {
        peer.begin(workers, false);
    }
    let leg = start(workers, ports, peer.stream(leg_is_client, 1));
    if !leg_is_client {
        rest(Duration::from_millis(50));
        peer.begin(workers, true);
    }
    let first = peer.wait_for_sound();
    // Another association, as after a transfer.
    let leg_is_client = !leg_is_client;
    if leg_is_client {
        peer.begin(workers, false);
    }
    leg.renegotiate(peer.stream(leg_is_client, 2)).unwrap();
    if !leg_is_client {
        rest(Duration::from_millis(50));
        peer.begin(workers, true);
    }
    [first, peer.wait_for_sound()]
}

#[test]
fn sound_starts_with_the_keys_in_both_roles_also_after_a_reoffer() {
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 34_900, 34_999);
    for (leg_is_client, speaks) in [(true, false), (true, true), (false, false), (false, true)] {
        let [first, again] = shortest(|| start_and_reoffer(&workers, &pool, leg_is_client, speaks));
        assert!(first < AT_ONCE, "{first:?} after the keys, client {leg_is_client}, speaks {speaks}");
        assert!(again < AT_ONCE, "{again:?} after new keys, client {leg_is_client}, speaks {speaks}");
    }
}

#[test]
fn speech_waits_for_new_keys() {
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 35_200, 35_299);
    let ports = pool.take().unwrap();
    let mut peer = DtlsPeer::new(ports.port(), false);
    peer.begin(&workers, false);
    let leg = start(&workers, ports, peer.stream(true, 1));
    peer.wait_for_sound();
    peer.count_speech(Duration::from_millis(1_300));
    // Another association, whose handshake takes its time.
    leg.renegotiate(peer.stream(false, 2)).unwrap();
    leg.play(SegmentId { response_id: 2, index: 0 }, vec![900; 8_000], true).unwrap();
    rest(Duration::from_millis(500));
    peer.begin(&workers, true);
    peer.wait_for_sound();
    let count = peer.count_speech(Duration::from_millis(1_500));
    assert!((46..=52).contains(&count), "{count} of 50 packets of speech");
}

#[test]
fn handshake_that_begins_before_the_leg_is_answered_at_once() {
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 35_000, 35_099);
    let [shortest] = shortest(|| {
        let ports = pool.take().unwrap();
        let mut peer = DtlsPeer::new(ports.port(), false);
        let stray = [0x80; 172];
        peer.socket.send_to(&stray, peer.leg).unwrap();
        // Its first flight comes with the answer, before the ACK starts the leg, and is not repeated.
        peer.begin(&workers, true);
        rest(Duration::from_millis(50));
        let began = Instant::now();
        let _leg = start(&workers, ports, peer.stream(false, 1));
        peer.wait_for_sound();
        [began.elapsed()]
    });
    assert!(shortest < 2 * AT_ONCE, "{shortest:?} from the leg to its sound");
}

/// A check of the peer that nominates its path.
fn nominating_check() -> Vec<u8> {
    let hmac = str0m::crypto::from_feature_flags().sha1_hmac_provider;
    let check = str0m::ice::StunMessageBuilder::new()
        .binding()
        .request()
        .username("01234567:them")
        .prio(1)
        .ice_controlling(1)
        .use_candidate()
        .build(str0m::ice::TransId::new());
    let mut bytes = vec![0; 256];
    let len = check.to_bytes(Some(&ICE.password), &mut bytes, |key, parts| hmac.sha1_hmac(key, parts)).unwrap();
    bytes.truncate(len);
    bytes
}

/// The time from the nomination to the sound, where the description names an address at which nobody is.
fn nominate_another_path(workers: &MediaWorkers, pool: &PortPool) -> Duration {
    let ports = pool.take().unwrap();
    let mut peer = DtlsPeer::new(ports.port(), false);
    peer.begin(workers, false);
    let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stream = StreamConfig { ice: Some(ICE), remote: nowhere.local_addr().unwrap(), ..peer.stream(true, 1) };
    let _leg = start(workers, ports, stream);
    // The handshake that nobody answers is repeated ever later.
    rest(Duration::from_millis(800));
    let began = Instant::now();
    peer.socket.send_to(&nominating_check(), peer.leg).unwrap();
    let mut answer = [0; 500];
    while !peer.socket.recv(&mut answer).is_ok_and(|_| IceLiteAgent::is_check(&answer)) {
        assert!(began.elapsed() < PATIENCE);
    }
    peer.wait_for_sound();
    began.elapsed()
}

#[test]
fn handshake_goes_to_the_path_that_ice_has_chosen() {
    let workers = MediaWorkers::start(1, ReceiveTimestamping::PerCycle).unwrap();
    let pool = PortPool::new([127, 0, 0, 1].into(), 35_100, 35_199);
    let [shortest] = shortest(|| [nominate_another_path(&workers, &pool)]);
    assert!(shortest < 2 * AT_ONCE, "{shortest:?} from the nomination to the sound");
}
