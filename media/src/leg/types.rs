//! Configuration and events of a leg.

use super::Latching;
use crate::codec::{Codec, Companding};
use crate::detect::{echo, tone};
use crate::frame::FRAME_SAMPLES;
use crate::limits;
use crate::playout::ambience::AmbienceMixer;
use crate::playout::queue::{SegmentId, SegmentPlayed};
use crate::rtp::rtcp::NtpClock;
use crate::stats::LegStats;
use crate::transport::dtls::DtlsParams;
use crate::transport::ice::IceLiteAgent;
use crate::transport::srtp::SrtpKeys;
use crate::turn::barge_in;
use crate::vad;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Negotiated parameters of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    pub codec: Codec,
    /// Payload type of the audio we send.
    pub payload_type: u8,
    /// Payload type of the audio we are sent; mostly the same.
    pub payload_type_in: u8,
    pub telephone_event: Option<u8>,
    pub telephone_event_in: Option<u8>,
    /// Payload type of comfort noise (RFC 3389). The sender may use DTX.
    pub comfort_noise: Option<u8>,
    /// Sound in a packet of ours: 10 to 60.
    pub ptime_ms: u16,
    /// Where the description says that the peer's media is.
    pub remote: SocketAddr,
    pub remote_rtcp: SocketAddr,
    /// Where the peer's signalling comes from, when that is known: behind a NAT its media comes from there too.
    pub signalling: Option<IpAddr>,
    /// RTCP goes where RTP goes (RFC 5761).
    pub rtcp_mux: bool,
    /// Both directions are encrypted.
    pub srtp: Option<SrtpKeys>,
    /// Keys come from a DTLS handshake on the stream; nothing is sent or accepted before.
    pub dtls: Option<DtlsParams>,
    /// ICE: the peer sends connectivity checks and nominates a path.
    pub ice: Option<IceLiteAgent>,
    /// False while the peer holds us or asked not to hear us.
    pub sending: bool,
    /// False while the peer has announced that it sends nothing; silence is then not a network loss.
    pub receiving: bool,
}

impl StreamConfig {
    /// PCMU both ways with telephone events as 101, RTP and RTCP at one address.
    pub fn pcmu(remote: SocketAddr) -> Self {
        Self {
            codec: Codec::G711(Companding::MuLaw),
            payload_type: 0,
            payload_type_in: 0,
            telephone_event: Some(101),
            telephone_event_in: Some(101),
            comfort_noise: None,
            ptime_ms: 20,
            remote,
            remote_rtcp: remote,
            signalling: None,
            rtcp_mux: false,
            srtp: None,
            dtls: None,
            ice: None,
            sending: true,
            receiving: true,
        }
    }

    /// True with SRTP, whichever key exchange is used.
    pub(super) fn is_encrypted(&self) -> bool {
        self.srtp.is_some() || self.dtls.is_some()
    }

    /// True if a new SSRC is needed: the keys changed, or the same key is now used towards another peer, as with a
    /// forked offer.
    pub(super) fn needs_new_ssrc(&self, before: &Self) -> bool {
        let moved = self.remote != before.remote && !self.remote.ip().is_unspecified();
        let other_keys = (self.srtp, self.dtls) != (before.srtp, before.dtls);
        self.is_encrypted() && (other_keys || moved && self.ice.is_none())
    }

    /// Clamps the packet duration to what the leg's buffers can hold.
    pub(super) fn normalized(self) -> Self {
        let ptime_ms = self.ptime_ms.clamp(10, limits::PACKET_OUT_SAMPLES_MAX as u16 / 8);
        Self { ptime_ms, ..self }
    }
}

#[derive(Clone, Debug)]
pub struct LegConfig {
    pub stream: StreamConfig,
    /// Latching rule.
    pub latching: Latching,
    pub ssrc: u32,
    pub first_sequence: u16,
    pub first_timestamp: u32,
    pub clock: NtpClock,
    pub cname: String,
    pub vad: vad::VadConfig,
    pub barge_in: barge_in::BargeInConfig,
    /// No packet for this long while one is expected: the network is lost.
    pub network_timeout: Duration,
    pub record: bool,
    /// Hand every received frame on.
    pub deliver_audio: bool,
    /// A talk spurt leaves in the next turn instead of on the 20 ms grid: used for agents; a phone sends on its own
    /// clock.
    pub start_spurt_immediately: bool,
    /// Analyse the received audio; off for load generators.
    pub detect_voice: bool,
    /// Detect single tones: voicemail beeps, fax tones.
    pub detect_tones: bool,
    /// What is heard under the voice.
    pub ambience: Option<AmbienceMixer>,
}

impl LegConfig {
    /// An agent's leg that records, listens and is not interrupted, numbered from zero: a base for tests
    /// and benches, which change what they are about.
    pub fn basic(origin: Instant, stream: StreamConfig) -> Self {
        Self {
            stream,
            latching: Latching::default(),
            ssrc: 1,
            first_sequence: 0,
            first_timestamp: 0,
            clock: NtpClock { origin, ntp_origin: 0 },
            cname: "plain".into(),
            vad: vad::VadConfig::default(),
            barge_in: barge_in::BargeInConfig { enabled: false, ..barge_in::BargeInConfig::default() },
            network_timeout: Duration::from_secs(3_600),
            record: true,
            deliver_audio: true,
            start_spurt_immediately: true,
            detect_voice: true,
            detect_tones: false,
            ambience: None,
        }
    }
}

/// Which of the two sockets of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    Rtp,
    Rtcp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum LegEvent {
    /// 20 ms of the caller in the companding of the codec that the leg began with; `at` is the arrival of the packet that filled it.
    Audio {
        codes: [u8; FRAME_SAMPLES],
        at: Instant,
    },
    SpeechStarted {
        at: Instant,
    },
    /// `last_sound` lies before the event by the hangover.
    SpeechEnded {
        last_sound: Instant,
    },
    SegmentStarted {
        segment: SegmentId,
        at: Instant,
    },
    SegmentFinished {
        heard: SegmentPlayed,
        at: Instant,
    },
    /// The caller made a sound while the agent spoke. Playout is paused until resumed or flushed.
    PlayoutPaused {
        response_id: u32,
        at: Instant,
    },
    /// An echo path was found.
    EchoPathFound {
        path: echo::EchoPath,
    },
    /// A single steady tone.
    Tone {
        tone: tone::Tone,
        at: Instant,
    },
    /// The playout queue was emptied; `barge_in` if the caller interrupted. One entry per segment. `generation` is the
    /// newest that was silenced.
    PlayoutFlushed {
        barge_in: bool,
        response_id: u32,
        heard: Vec<SegmentPlayed>,
        at: Instant,
    },
    DtmfReceived {
        digit: char,
    },
    /// The last digit asked for was sent.
    DtmfSent,
    /// The peer marked the first packet of a talk spurt (RFC 3551 section 4.1).
    TalkSpurtStarted {
        at: Instant,
    },
    /// The path is open. Not emitted for plain RTP.
    Connected {
        at: Instant,
    },
    /// First packet of the peer.
    MediaStarted {
        at: Instant,
    },
    NetworkLost,
    /// Internal error: the leg's cycle panicked. The leg has ended and its ports are free; [`LegEvent::Closed`] follows
    /// where its figures could still be read.
    InternalError,
    /// The other side ended the media by itself (WebRTC: DTLS close_notify).
    PeerClosed,
    /// Half a second of stereo recording.
    RecordingBlock {
        block: Vec<i16>,
    },
    /// The last event of a leg.
    Closed {
        stats: LegStats,
    },
}
