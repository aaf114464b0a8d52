//! The check's own media: sends a test signal and digits, and keeps what arrives with its time. One thread sends, one
//! receives, so that neither delays the other's clock.

use super::echo_probe;
use super::probe_codec::ProbeCodec;
use super::rtp_statistics::{PacketRecord, PayloadTypes, RECORDS_MAX, RtpStatistics, summarize};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use trunkline_media::frame::level_dbfs;
use trunkline_media::rtp::packet::{RtpPacket, is_rtcp};
use trunkline_media::rtp::rtcp;
use trunkline_media::rtp::telephone_event::{
    TelephoneEventReceiver, TelephoneEventSender, TelephoneEventStep, event_code,
};
use trunkline_media::transport::srtp::{KEY_BYTES_MAX, SrtpKeys, SrtpProfile, SrtpSession};

/// How often the receiver looks whether the call is over.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const RTCP_INTERVAL: Duration = Duration::from_secs(4);
/// Events of one kind that are kept.
const EVENTS_MAX: usize = 1_000;
/// Port pairs that are tried.
const PORT_ATTEMPTS: u16 = 200;

/// The stream as the answer describes it.
#[derive(Clone, Debug)]
pub(super) struct ProbeStream {
    pub target: SocketAddr,
    /// `PCMU`, `PCMA`, `G722`, `OPUS`.
    pub codec: String,
    pub types: PayloadTypes,
    /// Milliseconds of audio in a packet of ours.
    pub packet_ms: u16,
    /// Master keys with salts of the mandatory suite.
    pub keys: Option<ProbeKeys>,
}

/// Keys of both directions. Not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProbeKeys {
    pub send: Vec<u8>,
    pub receive: Vec<u8>,
}

impl std::fmt::Debug for ProbeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProbeKeys")
    }
}

impl ProbeKeys {
    fn session(&self) -> Option<SrtpSession> {
        let padded = |bytes: &[u8]| {
            let mut key = [0; KEY_BYTES_MAX];
            key.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            key
        };
        let suite = SrtpProfile::AesCm128HmacSha1_80;
        SrtpSession::new(SrtpKeys { suite, send: padded(&self.send), receive: padded(&self.receive) })
    }
}

/// What is shared by both threads and the call.
#[derive(Default)]
struct ProbeState {
    stream: Option<ProbeStream>,
    digits: VecDeque<char>,
    is_paused: bool,
    is_over: bool,
    log: MediaLog,
}

/// What happened, each with its time since the beginning in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct MediaLog {
    records: Vec<PacketRecord>,
    rtcp: Vec<(f64, Option<f32>)>,
    tones_s: Vec<f64>,
    digits: Vec<(f64, char, u8)>,
    undecryptable: Vec<f64>,
    sent: Vec<f64>,
    /// When the first sample of the test signal was sent.
    signal_s: Option<f64>,
    types: PayloadTypes,
}

impl MediaLog {
    /// Numbers of a part of the call.
    pub(super) fn statistics(&self, from_s: f64, to_s: f64) -> RtpStatistics {
        let part = from_s..to_s;
        let mut statistics = summarize(&self.records, &self.types, from_s, to_s);
        statistics.sent = self.sent.iter().filter(|at| part.contains(at)).count() as u64;
        let reports: Vec<_> = self.rtcp.iter().filter(|(at, _)| part.contains(at)).collect();
        statistics.rtcp_received = reports.len() as u64;
        statistics.reported_loss = reports.iter().rev().find_map(|(_, loss)| *loss);
        let digits = || self.digits.iter().filter(|(at, ..)| part.contains(at));
        statistics.digits.keys = digits().map(|(_, digit, _)| *digit).collect();
        statistics.digits.payload_type = digits().map(|(.., payload_type)| *payload_type).next();
        statistics.undecryptable = self.undecryptable.iter().filter(|at| part.contains(at)).count() as u64;
        statistics.echo_ms = self.signal_s.and_then(|signal_s| echo_probe::round_trip_ms(signal_s, &self.tones_s));
        statistics
    }
}

/// The media of one call.
pub(super) struct MediaProbe {
    state: Arc<Mutex<ProbeState>>,
    began: Instant,
    threads: Vec<JoinHandle<()>>,
    pub port: u16,
}

fn lock(state: &Mutex<ProbeState>) -> MutexGuard<'_, ProbeState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MediaProbe {
    /// Binds a pair of ports and starts listening.
    pub(super) fn open(like: IpAddr) -> std::io::Result<Self> {
        let (rtp, rtcp_socket) = bind_pair(like)?;
        let port = rtp.local_addr()?.port();
        rtp.set_read_timeout(Some(POLL_INTERVAL))?;
        rtcp_socket.set_nonblocking(true)?;
        let (state, began) = (Arc::<Mutex<ProbeState>>::default(), Instant::now());
        let receiver = Receiver::new(rtp.try_clone()?, state.clone(), began);
        let sender = Sender::new(rtp, rtcp_socket, state.clone(), began);
        let threads = vec![
            std::thread::Builder::new().name("check-rtp-in".to_owned()).spawn(move || receiver.run())?,
            std::thread::Builder::new().name("check-rtp-out".to_owned()).spawn(move || sender.run())?,
        ];
        Ok(Self { state, began, threads, port })
    }

    /// Seconds since the beginning.
    pub(super) fn now_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Begins to send, or goes on with another description.
    pub(super) fn set_stream(&self, stream: ProbeStream) {
        let mut state = lock(&self.state);
        state.log.types = stream.types.clone();
        state.stream = Some(stream);
    }

    pub(super) fn send_digits(&self, digits: &str) {
        lock(&self.state).digits.extend(digits.chars());
    }

    /// Sends nothing until it is told to go on.
    pub(super) fn pause(&self, is_paused: bool) {
        lock(&self.state).is_paused = is_paused;
    }

    /// Packets so far.
    pub(super) fn received(&self) -> u64 {
        lock(&self.state).log.records.len() as u64
    }

    /// Ends both threads and returns the log.
    pub(super) fn finish(mut self) -> MediaLog {
        self.end();
        std::mem::take(&mut lock(&self.state).log)
    }

    fn end(&mut self) {
        lock(&self.state).is_over = true;
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for MediaProbe {
    fn drop(&mut self) {
        self.end();
    }
}

fn bind_pair(like: IpAddr) -> std::io::Result<(UdpSocket, UdpSocket)> {
    let any: IpAddr = if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut failure = std::io::Error::other("no free pair of ports");
    for _ in 0..PORT_ATTEMPTS {
        let port = 20_000 + (rand::random::<u16>() % 15_000) * 2;
        match (UdpSocket::bind((any, port)), UdpSocket::bind((any, port + 1))) {
            (Ok(rtp), Ok(rtcp)) => return Ok((rtp, rtcp)),
            (Err(error), _) | (_, Err(error)) => failure = error,
        }
    }
    Err(failure)
}

/// The thread that receives.
struct Receiver {
    socket: UdpSocket,
    state: Arc<Mutex<ProbeState>>,
    began: Instant,
    codec: Option<(String, ProbeCodec)>,
    security: Option<(ProbeKeys, SrtpSession)>,
    events: TelephoneEventReceiver,
    samples: Vec<i16>,
}

impl Receiver {
    fn new(socket: UdpSocket, state: Arc<Mutex<ProbeState>>, began: Instant) -> Self {
        let events = TelephoneEventReceiver::default();
        Self { socket, state, began, codec: None, security: None, events, samples: Vec::new() }
    }

    fn run(mut self) {
        let mut buffer = [0; 2_048];
        loop {
            let received = self.socket.recv_from(&mut buffer);
            let at_s = self.began.elapsed().as_secs_f64();
            let state = self.state.clone();
            let mut state = lock(&state);
            if state.is_over {
                return;
            }
            match received {
                Ok((len, source)) => self.take(&mut state, at_s, source, buffer.get(..len).unwrap_or_default()),
                Err(error) if is_harmless(error.kind()) => {}
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, state: &mut ProbeState, at_s: f64, source: SocketAddr, datagram: &[u8]) {
        if is_rtcp(datagram) {
            if state.log.rtcp.len() < EVENTS_MAX {
                state.log.rtcp.push((at_s, None));
            }
            return;
        }
        let Some(stream) = state.stream.as_mut() else {
            // Early packets have nothing to be read with yet.
            self.record(&mut state.log, at_s, source, datagram, None);
            return;
        };
        // As the server does: our packets go where the peer's come from.
        stream.target = source;
        if self.codec.as_ref().is_none_or(|(name, _)| *name != stream.codec) {
            self.codec = ProbeCodec::of(&stream.codec).map(|codec| (stream.codec.clone(), codec));
        }
        if self.security.as_ref().map(|(keys, _)| keys) != stream.keys.as_ref() {
            self.security = stream.keys.as_ref().and_then(|keys| Some((keys.clone(), keys.session()?)));
        }
        let types = stream.types.clone();
        let mut plain = Vec::new();
        let datagram = match &mut self.security {
            None => datagram,
            Some((_, session)) => {
                if !session.unprotect(datagram, false, |opened| plain.extend_from_slice(opened)) {
                    if state.log.undecryptable.len() < RECORDS_MAX {
                        state.log.undecryptable.push(at_s);
                    }
                    return;
                }
                &plain
            }
        };
        self.record(&mut state.log, at_s, source, datagram, Some(&types));
    }

    fn record(
        &mut self, log: &mut MediaLog, at_s: f64, source: SocketAddr, datagram: &[u8], types: Option<&PayloadTypes>,
    ) {
        let Some(packet) = RtpPacket::parse(datagram).filter(|_| log.records.len() < RECORDS_MAX) else { return };
        let mut level = None;
        match types {
            Some(types) if packet.payload_type == types.audio => {
                if let Some((_, codec)) = &mut self.codec {
                    codec.decode(packet.payload, &mut self.samples);
                    level = Some(level_dbfs(&self.samples));
                    if echo_probe::is_tone(&self.samples) && log.tones_s.len() < EVENTS_MAX {
                        log.tones_s.push(at_s);
                    }
                }
            }
            // Digits come with numbers that were not agreed on, too.
            Some(types) if packet.payload.len() == 4 && packet.payload_type >= 96 => {
                let _ = types;
                if let Some(digit) = self.events.handle(packet.timestamp, packet.payload)
                    && log.digits.len() < EVENTS_MAX
                {
                    log.digits.push((at_s, digit, packet.payload_type));
                }
            }
            _ => {}
        }
        log.records.push(PacketRecord {
            at_s,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload_type: packet.payload_type,
            ssrc: packet.ssrc,
            source,
            level_dbfs: level,
        });
    }
}

fn is_harmless(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused | ErrorKind::Interrupted)
}

/// The thread that sends.
struct Sender {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    state: Arc<Mutex<ProbeState>>,
    began: Instant,
    codec: Option<(String, ProbeCodec)>,
    security: Option<(ProbeKeys, SrtpSession)>,
    digit: Option<TelephoneEventSender>,
    ssrc: u32,
    sequence: u16,
    /// Of the first sample.
    timestamp: u32,
    /// Samples at 8 kHz since the first one.
    position: u64,
    octets: u32,
    is_first: bool,
    rtcp_at: Instant,
}

/// Time until the next packet when nothing is being sent.
const IDLE: Duration = Duration::from_millis(10);

impl Sender {
    fn new(rtp: UdpSocket, rtcp: UdpSocket, state: Arc<Mutex<ProbeState>>, began: Instant) -> Self {
        Self {
            rtp,
            rtcp,
            state,
            began,
            codec: None,
            security: None,
            digit: None,
            ssrc: rand::random(),
            sequence: rand::random(),
            timestamp: rand::random(),
            position: 0,
            octets: 0,
            is_first: true,
            rtcp_at: began + Duration::from_secs(1),
        }
    }

    fn run(mut self) {
        let mut next = Instant::now();
        loop {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let state = self.state.clone();
            let mut state = lock(&state);
            if state.is_over {
                return;
            }
            self.read_reports(&mut state.log);
            let Some(stream) = state.stream.clone().filter(|_| !state.is_paused) else {
                next = Instant::now() + IDLE;
                continue;
            };
            let samples = self.step(&mut state, &stream);
            drop(state);
            self.send_report(&stream);
            next += Duration::from_micros(samples * 125);
            if next + Duration::from_millis(200) < Instant::now() {
                next = Instant::now(); // after a pause there is nothing to be made up for
            }
        }
    }

    /// Sends what is due and returns its length in samples.
    fn step(&mut self, state: &mut ProbeState, stream: &ProbeStream) -> u64 {
        if self.codec.as_ref().is_none_or(|(name, _)| *name != stream.codec) {
            self.codec = ProbeCodec::of(&stream.codec).map(|codec| (stream.codec.clone(), codec));
        }
        if self.security.as_ref().map(|(keys, _)| keys) != stream.keys.as_ref() {
            self.security = stream.keys.as_ref().and_then(|keys| Some((keys.clone(), keys.session()?)));
        }
        let now_s = self.began.elapsed().as_secs_f64();
        state.log.signal_s.get_or_insert(now_s);
        let event_type = stream.types.events.first().copied();
        if let (None, Some(_)) = (self.digit, event_type) {
            let code = state.digits.pop_front().and_then(event_code);
            self.digit = code.map(|code| TelephoneEventSender::new(code, self.position as u32));
        }
        let scale = stream.types.clock_hz.max(8_000) / 8_000;
        if let (Some(digit), Some(event_type)) = (&mut self.digit, event_type) {
            match digit.step() {
                TelephoneEventStep::Packet(packet) => {
                    let payload = packet.payload_scaled(scale);
                    self.send(state, stream, event_type, packet.marker, packet.timestamp, &payload);
                }
                TelephoneEventStep::Pause => {}
                TelephoneEventStep::Done => self.digit = None,
            }
            self.position += 160;
            return 160;
        }
        let length = u64::from(stream.packet_ms.clamp(10, 60)) * 8;
        let samples: Vec<i16> = (self.position..self.position + length).map(echo_probe::sample).collect();
        if let Some(payload) = self.codec.as_mut().and_then(|(_, codec)| codec.encode(&samples)) {
            let marker = self.is_first;
            self.send(state, stream, stream.types.audio, marker, self.position as u32, &payload);
        }
        self.position += length;
        length
    }

    fn send(
        &mut self, state: &mut ProbeState, stream: &ProbeStream, payload_type: u8, marker: bool, position: u32,
        payload: &[u8],
    ) {
        let scale = stream.types.clock_hz.max(8_000) / 8_000;
        let timestamp = self.timestamp.wrapping_add(position.wrapping_mul(scale));
        let packet = RtpPacket { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        let mut buffer = [0; 1_024];
        let Some(len) = packet.write(&mut buffer) else { return };
        let plain = buffer.get(..len).unwrap_or_default();
        match &mut self.security {
            None => drop(self.rtp.send_to(plain, stream.target)),
            Some((_, session)) => {
                session.protect(plain, false, |sealed| drop(self.rtp.send_to(sealed, stream.target)));
            }
        }
        (self.sequence, self.is_first) = (self.sequence.wrapping_add(1), false);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        if state.log.sent.len() < RECORDS_MAX {
            state.log.sent.push(self.began.elapsed().as_secs_f64());
        }
    }

    fn read_reports(&mut self, log: &mut MediaLog) {
        let mut buffer = [0; 2_048];
        while let Ok((len, _)) = self.rtcp.recv_from(&mut buffer) {
            let bytes = buffer.get(..len).unwrap_or_default();
            let report = rtcp::parse(bytes, self.ssrc).report.filter(|_| self.security.is_none());
            if log.rtcp.len() < EVENTS_MAX {
                let loss = report.map(|report| f32::from(report.fraction_lost) / 256.0);
                log.rtcp.push((self.began.elapsed().as_secs_f64(), loss));
            }
        }
    }

    /// Some carriers report only to those who report.
    fn send_report(&mut self, stream: &ProbeStream) {
        let now = Instant::now();
        if now < self.rtcp_at {
            return;
        }
        self.rtcp_at = now + RTCP_INTERVAL;
        let scale = stream.types.clock_hz.max(8_000) / 8_000;
        let since = now.duration_since(self.began);
        let report = rtcp::OutgoingRtcp {
            ssrc: self.ssrc,
            ntp: (since.as_secs() << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000),
            rtp_timestamp: self.timestamp.wrapping_add((self.position as u32).wrapping_mul(scale)),
            packets: u32::from(self.sequence),
            octets: self.octets,
            cname: "check",
            reception: None,
            voip: None,
            bye: false,
        };
        let mut buffer = [0; 256];
        let Some(len) = rtcp::write(&report, &mut buffer) else { return };
        let plain = buffer.get(..len).unwrap_or_default();
        let to = SocketAddr::new(stream.target.ip(), stream.target.port().saturating_add(1));
        match &mut self.security {
            None => drop(self.rtcp.send_to(plain, to)),
            Some((_, session)) => session.protect(plain, true, |sealed| drop(self.rtcp.send_to(sealed, to))),
        }
    }
}
