//! A WebRTC peer without sockets: ICE-lite, DTLS and SRTP around one audio stream, by str0m.
//!
//! Datagrams and instants go in; datagrams, RTP packets and the next deadline come out. It does not look into the
//! packets. str0m allocates for each packet it carries; see ARCHITECTURE.md.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::codec::{Codec, Companding};
use crate::leg::{StreamConfig, StreamDirection};
use crate::limits::ICE_ADDRESSES_MAX;
use crate::rtp::packet::RtpPacket;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc};

/// How often loss and round trip are asked for.
const STATS_EVERY: Duration = Duration::from_secs(2);
/// A path is given up after this much silence. A browser that changes networks restarts ICE earlier.
pub const DISCONNECTED_MAX: Duration = Duration::from_secs(12);

/// Transport protocol of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceTransport {
    /// UDP: the usual path.
    Udp,
    /// ICE-TCP (RFC 6544) with RFC 4571 framing, for networks that block UDP.
    Tcp,
}

impl IceTransport {
    fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            Self::Tcp => Protocol::Tcp,
        }
    }
}

/// Our ICE host candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCandidates {
    /// UDP addresses at which browsers reach us.
    pub udp: Vec<SocketAddr>,
    /// ICE-TCP addresses at which browsers connect to us (passive); empty if TCP is off.
    pub tcp: Vec<SocketAddr>,
}

/// Output of a peer.
#[derive(Debug)]
pub enum PeerOutput<'a> {
    /// A datagram to be sent now.
    Send {
        /// UDP, or the TCP connection to that address.
        transport: IceTransport,
        /// Address of the peer.
        to: SocketAddr,
        /// Encrypted packet, DTLS record or STUN message, without RFC 4571 framing.
        bytes: &'a [u8],
    },
    /// A decrypted RTP packet of the peer.
    Packet(RtpPacket<'a>),
    /// ICE and DTLS are complete: audio may be sent. Comes once.
    Connected,
    /// The other side said goodbye.
    Closed,
    /// The path is lost for good.
    Lost,
    /// What the peer's RTCP says about our stream, about every 2 s.
    PathStats {
        /// Share of our packets that were lost, 0 to 1; `None` without a report.
        loss: Option<f32>,
        /// Round trip of the path; `None` before it was measured.
        round_trip: Option<Duration>,
    },
}

/// Why an offer was rejected, as text for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRtcError(pub String);

/// Credentials of one ICE session.
#[derive(Clone, Debug)]
pub struct IceCredentials {
    /// User name fragment (`a=ice-ufrag`).
    pub ufrag: String,
    /// Password (`a=ice-pwd`).
    pub password: SecretString,
}

/// WebRTC session with one browser and one audio stream.
#[derive(Debug)]
pub struct WebRtcPeer {
    rtc: Rtc,
    mid: Mid,
    sequence: u64,
    state: PeerState,
    /// Sources of authentic checks; the library keeps a candidate for each.
    sources: Vec<(IceTransport, SocketAddr)>,
    /// Candidates that signalling has named.
    candidates: usize,
    /// The other side's latest offer, which has its ICE password; empty if the offer was ours.
    offer: SecretString,
}

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerState {
    /// There is no path yet.
    Connecting,
    Connected,
    /// The path was lost at this instant, and may come back.
    Interrupted {
        since: Instant,
    },
    /// Closed or given up, which is told once.
    Ended,
}

/// An answered offer.
#[derive(Debug)]
pub struct AnsweredOffer {
    /// Session to be driven with the peer's datagrams.
    pub peer: WebRtcPeer,
    /// Our answer as SDP.
    pub sdp: String,
    /// Agreed codec, payload types and directions. Its addresses are placeholders, as ICE finds the real ones.
    pub stream: StreamConfig,
}

/// An offer of ours that waits for its answer.
#[derive(Debug)]
pub struct PendingOffer {
    rtc: Rtc,
    pending: SdpPendingOffer,
    mid: Mid,
    /// Our offer as SDP, to be sent to the other side.
    pub sdp: String,
}

fn rtc(now: Instant, ice_lite: bool, codecs: &[Codec]) -> Rtc {
    let mut config = Rtc::builder()
        .set_ice_lite(ice_lite)
        .set_rtp_mode(true)
        .set_stats_interval(Some(STATS_EVERY))
        .clear_codecs()
        .enable_opus(codecs.contains(&Codec::Opus), false)
        .enable_pcmu(codecs.contains(&Codec::G711(Companding::MuLaw)), false)
        .enable_pcma(codecs.contains(&Codec::G711(Companding::ALaw)), false);
    let known = config.codec_config();
    for (payload_type, clock) in [(110, 48_000), (126, 8_000)] {
        let tele = str0m::format::Codec::Tele;
        if let Some(clock) = str0m::media::Frequency::new(clock) {
            known.add_config(payload_type.into(), None, tele, clock, None, Default::default());
        }
    }
    config.build(now)
}

impl WebRtcPeer {
    /// Takes an offer with one audio stream; we are ICE-lite and passive.
    pub fn answer(
        now: Instant, offer: &str, host_candidates: &HostCandidates, codecs: &[Codec],
    ) -> Result<AnsweredOffer, WebRtcError> {
        Self::answer_with(rtc(now, true, codecs), offer, host_candidates)
    }

    /// The same for a peer that is ICE-lite itself: we check the candidates of its offer and choose the path.
    pub fn answer_lite_peer(
        now: Instant, offer: &str, host_candidates: &HostCandidates, codecs: &[Codec],
    ) -> Result<AnsweredOffer, WebRtcError> {
        Self::answer_with(rtc(now, false, codecs), offer, host_candidates)
    }

    fn answer_with(mut rtc: Rtc, offer: &str, host_candidates: &HostCandidates) -> Result<AnsweredOffer, WebRtcError> {
        let parsed = SdpOffer::from_sdp_string(offer).map_err(|error| WebRtcError(format!("not SDP: {error}")))?;
        add_host_candidates(&mut rtc, host_candidates);
        let answer = rtc.sdp_api().accept_offer(parsed).map_err(|error| WebRtcError(error.to_string()))?;
        let sdp = answer.to_sdp_string();
        let mid = audio_mid(&sdp).ok_or_else(|| WebRtcError("no audio in the offer".to_owned()))?;
        let (mut peer, stream) = Self::new(rtc, mid)?;
        peer.offer = offer.to_owned().into();
        let sdp = if stream.codec.uses_dtx() { request_dtx(&sdp, stream.payload_type) } else { sdp };
        Ok(AnsweredOffer { peer, sdp, stream })
    }

    /// An offer of one audio stream, for callers that are not servers.
    pub fn offer(now: Instant, host_candidates: &HostCandidates, codecs: &[Codec]) -> Option<PendingOffer> {
        let mut rtc = rtc(now, false, codecs);
        add_host_candidates(&mut rtc, host_candidates);
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = api.apply()?;
        Some(PendingOffer { rtc, pending, mid, sdp: offer.to_sdp_string() })
    }

    fn new(rtc: Rtc, mid: Mid) -> Result<(Self, StreamConfig), WebRtcError> {
        let stream = stream(&rtc, mid)?;
        let (state, sources, offer) = (PeerState::Connecting, Vec::new(), SecretString::default());
        let peer = Self { rtc, mid, sequence: 1, state, sources, candidates: 0, offer };
        Ok((peer, stream))
    }

    /// There is a path, and what goes over it is encrypted.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, PeerState::Connected | PeerState::Interrupted { .. })
    }

    /// Answers another offer of the same session: other directions, or an ICE restart.
    pub fn answer_reoffer(&mut self, offer: &str) -> Result<(String, StreamConfig), WebRtcError> {
        let parsed = SdpOffer::from_sdp_string(offer).map_err(|error| WebRtcError(format!("not SDP: {error}")))?;
        let answer = self.rtc.sdp_api().accept_offer(parsed).map_err(|error| WebRtcError(error.to_string()))?;
        self.offer = offer.to_owned().into();
        let stream = stream(&self.rtc, self.mid)?;
        let sdp = answer.to_sdp_string();
        let sdp = if stream.codec.uses_dtx() { request_dtx(&sdp, stream.payload_type) } else { sdp };
        Ok((sdp, stream))
    }

    /// Our ICE ufrag.
    pub fn ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Candidates of the other side, as they come; ones with names instead of addresses (mDNS) are skipped:
    /// the other side's checks tell us where it is. Those over [`ICE_ADDRESSES_MAX`] are too.
    pub fn add_candidate(&mut self, line: &str) {
        if self.candidates >= ICE_ADDRESSES_MAX {
            return;
        }
        self.candidates += 1;
        if let Ok(candidate) = Candidate::from_sdp_string(line) {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    /// The peer restarts ICE; returns our new credentials, which are valid from now on. Our audio goes on over the former path
    /// until the peer has chosen a new one.
    pub fn restart_ice(&mut self, theirs: IceCredentials, host_candidates: &HostCandidates) -> IceCredentials {
        // The library forgets former paths only in answer to an offer: an unchanged one with the new credentials.
        let offer = with_credentials(self.offer.expose_secret(), &theirs);
        let is_answered =
            SdpOffer::from_sdp_string(&offer).is_ok_and(|offer| self.rtc.sdp_api().accept_offer(offer).is_ok());
        self.sources.clear();
        let mut api = self.rtc.direct_api();
        if !is_answered {
            api.set_local_ice_credentials(IceCreds::new());
            api.set_remote_ice_credentials(IceCreds {
                ufrag: theirs.ufrag,
                pass: theirs.password.expose_secret().to_owned(),
            });
        }
        let ours = api.local_ice_credentials();
        add_host_candidates(&mut self.rtc, host_candidates);
        IceCredentials { ufrag: ours.ufrag, password: ours.pass.into() }
    }

    /// Whether a datagram from there belongs to this peer: its address was proven by a check.
    pub fn accepts(
        &self, now: Instant, transport: IceTransport, source: SocketAddr, to: SocketAddr, bytes: &[u8],
    ) -> bool {
        let receive = Receive::new(transport.protocol(), source, to, bytes);
        receive.is_ok_and(|receive| self.rtc.accepts(&Input::Receive(now, receive)))
    }

    /// False for a datagram that makes no sense, and for checks from more addresses than a browser has.
    pub fn handle(
        &mut self, now: Instant, transport: IceTransport, source: SocketAddr, to: SocketAddr, bytes: &[u8],
    ) -> bool {
        let is_check = bytes.first() == Some(&0);
        if is_check && !self.sources.contains(&(transport, source)) {
            // Checks with a wrong password use no memory.
            if self.sources.len() >= ICE_ADDRESSES_MAX || !self.accepts(now, transport, source, to, bytes) {
                return false;
            }
            self.sources.push((transport, source));
        }
        let Ok(receive) = Receive::new(transport.protocol(), source, to, bytes) else { return false };
        self.rtc.handle_input(Input::Receive(now, receive)).is_ok()
    }

    /// Tells the session the time. Call it at the instant that `poll` returned; then poll again.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.state = PeerState::Ended;
        }
    }

    /// Sends a packet; drops it if there is no path yet.
    pub fn send(&mut self, now: Instant, packet: &RtpPacket<'_>) {
        if !self.is_connected() {
            return;
        }
        let (payload_type, sequence) = (Pt::from(packet.payload_type), SeqNo::from(self.sequence));
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(self.mid, None) else { return };
        stream.write_rtp(
            RtpWrite::new(payload_type, sequence, packet.timestamp, now, packet.payload).marker(packet.marker),
        );
        self.sequence += 1;
    }

    /// Closes the session; the closing packets come with the next [`WebRtcPeer::poll`].
    pub fn close(&mut self) {
        let _ = self.rtc.close();
    }

    /// Hands out everything there is and says when to come back.
    pub fn poll(&mut self, now: Instant, out: &mut impl FnMut(PeerOutput<'_>)) -> Instant {
        if self.give_up_at().is_some_and(|give_up| now >= give_up) {
            self.close_with(PeerOutput::Lost, out);
        }
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    return self.give_up_at().map_or(at, |give_up| at.min(give_up));
                }
                Ok(Output::Transmit(transmit)) => {
                    let transport = if transmit.proto == Protocol::Udp { IceTransport::Udp } else { IceTransport::Tcp };
                    out(PeerOutput::Send { transport, to: transmit.destination, bytes: &transmit.contents });
                }
                Ok(Output::Event(event)) => self.event(now, event, out),
                Err(error) => {
                    tracing::debug!(%error, "WebRTC peer failed");
                    self.close_with(PeerOutput::Lost, out);
                    return now + DISCONNECTED_MAX;
                }
            }
        }
    }

    /// When a lost path is given up.
    fn give_up_at(&self) -> Option<Instant> {
        match self.state {
            PeerState::Interrupted { since } => Some(since + DISCONNECTED_MAX),
            PeerState::Connecting | PeerState::Connected | PeerState::Ended => None,
        }
    }

    fn close_with(&mut self, how: PeerOutput<'_>, out: &mut impl FnMut(PeerOutput<'_>)) {
        if std::mem::replace(&mut self.state, PeerState::Ended) != PeerState::Ended {
            out(how);
        }
    }

    fn event(&mut self, now: Instant, event: Event, out: &mut impl FnMut(PeerOutput<'_>)) {
        match event {
            Event::Connected if self.state == PeerState::Connecting => {
                self.state = PeerState::Connected;
                out(PeerOutput::Connected);
            }
            Event::IceConnectionStateChange(state) => match (state, self.state) {
                (IceConnectionState::Disconnected, PeerState::Connected) => {
                    self.state = PeerState::Interrupted { since: now };
                }
                (IceConnectionState::Connected | IceConnectionState::Completed, PeerState::Interrupted { .. }) => {
                    self.state = PeerState::Connected;
                }
                _ => {}
            },
            Event::Closed => self.close_with(PeerOutput::Closed, out),
            Event::RtpPacket(packet) => {
                let header = &packet.header;
                out(PeerOutput::Packet(RtpPacket {
                    payload_type: *header.payload_type,
                    marker: header.marker,
                    sequence: header.sequence_number,
                    timestamp: header.timestamp,
                    ssrc: *header.ssrc,
                    payload: &packet.payload,
                }));
            }
            Event::MediaEgressStats(stats) => {
                out(PeerOutput::PathStats { loss: stats.loss, round_trip: stats.rtt });
            }
            _ => {}
        }
    }
}

impl PendingOffer {
    /// The other side's answer.
    pub fn accept(mut self, answer: &str) -> Result<(WebRtcPeer, StreamConfig), WebRtcError> {
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|error| WebRtcError(error.to_string()))?;
        self.rtc.sdp_api().accept_answer(self.pending, answer).map_err(|error| WebRtcError(error.to_string()))?;
        WebRtcPeer::new(self.rtc, self.mid)
    }
}

/// The negotiated stream.
fn stream(rtc: &Rtc, mid: Mid) -> Result<StreamConfig, WebRtcError> {
    let none = || WebRtcError("no common codec: supported are Opus, PCMU and PCMA".to_owned());
    let media = rtc.media(mid).ok_or_else(none)?;
    let direction = media.direction();
    let known = rtc.codec_config().params();
    let params = media.remote_pts().iter().filter_map(|pt| known.iter().find(|params| params.pt() == *pt));
    let params: Vec<_> = params.collect();
    let spoken = params.iter().find_map(|params| Some((params.pt(), codec(params.spec().codec)?)));
    let (payload_type, codec) = spoken.ok_or_else(none)?;
    let clock = codec.clock_scale() * crate::frame::SAMPLE_RATE_HZ;
    let digits = params.iter().find(|params| {
        let spec = params.spec();
        spec.codec == str0m::format::Codec::Tele && spec.clock_rate.get() == clock
    });
    // Placeholder address: ICE handles the real ones.
    let remote = SocketAddr::from(([127, 0, 0, 1], 9));
    Ok(StreamConfig {
        codec,
        payload_type: *payload_type,
        payload_type_in: *payload_type,
        telephone_event: digits.map(|params| *params.pt()),
        telephone_event_clock_hz: clock,
        telephone_event_in: digits.map(|params| *params.pt()),
        direction: StreamDirection::new(direction.is_sending(), direction.is_receiving()),
        ..StreamConfig::pcmu(remote)
    })
}

fn add_host_candidates(rtc: &mut Rtc, host_candidates: &HostCandidates) {
    for addr in &host_candidates.udp {
        if let Ok(candidate) = Candidate::builder().udp().host(*addr).build() {
            rtc.add_local_candidate(candidate);
        }
    }
    for addr in &host_candidates.tcp {
        if let Ok(candidate) = Candidate::builder().tcp().host(*addr).tcptype(TcpType::Passive).build() {
            rtc.add_local_candidate(candidate);
        }
    }
}

/// The first audio that the answer takes.
fn audio_mid(answer: &str) -> Option<Mid> {
    let media = answer.split("\r\nm=").skip(1);
    let mut taken = media.filter(|media| media.starts_with("audio ") && !media.starts_with("audio 0 "));
    let mid = taken.next()?.lines().find_map(|line| line.strip_prefix("a=mid:"))?;
    Some(Mid::from(mid.trim()))
}

/// The other side need not send silence (RFC 7587 section 6.1: `usedtx` says what we like to receive).
fn request_dtx(answer: &str, payload_type: u8) -> String {
    let start = format!("a=fmtp:{payload_type} ");
    let lines = answer.split_inclusive("\r\n").map(|line| match line.trim_end() {
        one if one.starts_with(&start) && !one.contains("usedtx") => format!("{one};usedtx=1\r\n"),
        _ => line.to_owned(),
    });
    lines.collect()
}

fn codec(codec: str0m::format::Codec) -> Option<Codec> {
    match codec {
        str0m::format::Codec::Opus => Some(Codec::Opus),
        str0m::format::Codec::PCMU => Some(Codec::G711(Companding::MuLaw)),
        str0m::format::Codec::PCMA => Some(Codec::G711(Companding::ALaw)),
        _ => None,
    }
}

/// An offer with other ICE credentials, and without candidates: the other side's checks tell where it is now.
fn with_credentials(offer: &str, theirs: &IceCredentials) -> String {
    let mut changed = String::with_capacity(offer.len());
    for line in offer.lines().filter(|line| !line.starts_with("a=candidate:")) {
        if line.starts_with("a=ice-ufrag:") {
            changed.extend(["a=ice-ufrag:", &theirs.ufrag]);
        } else if line.starts_with("a=ice-pwd:") {
            changed.extend(["a=ice-pwd:", theirs.password.expose_secret()]);
        } else {
            changed.push_str(line);
        }
        changed.push_str("\r\n");
    }
    changed
}

/// Our ufrag in the USERNAME of a check (RFC 8445 section 7.2.2).
pub fn ufrag_of_check(datagram: &[u8]) -> Option<&str> {
    let mut rest = datagram.get(20..).filter(|_| datagram.first().is_some_and(|first| *first <= 1))?;
    while let [t0, t1, l0, l1, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*t0, *t1]) == 0x0006 {
            let name = std::str::from_utf8(tail.get(..length)?).ok()?;
            return Some(name.split_once(':').map_or(name, |(ours, _)| ours));
        }
        rest = tail.get(length.next_multiple_of(4)..)?;
    }
    None
}
