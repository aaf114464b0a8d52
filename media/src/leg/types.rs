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
    /// Codec of both directions. A peer that sends the other G.711 variant changes it.
    pub codec: Codec,
    /// Payload type of the audio we send.
    pub payload_type: u8,
    /// Payload type of the audio we are sent; mostly the same.
    pub payload_type_in: u8,
    /// Payload type of the DTMF events we send (RFC 4733); `None` sends DTMF as in-band tones.
    pub telephone_event: Option<u8>,
    /// Payload type of the DTMF events we are sent; `None` if the peer did not offer them.
    pub telephone_event_in: Option<u8>,
    /// Payload type of comfort noise (RFC 3389). The sender may use DTX.
    pub comfort_noise: Option<u8>,
    /// Sound in a packet of ours: 10 to 60.
    pub ptime_ms: u16,
    /// Where the description says that the peer's media is.
    pub remote: SocketAddr,
    /// Where our RTCP reports go when RTCP is not multiplexed.
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

/// Settings of a new leg. Stream, barge-in, ambience and recording can change later.
#[derive(Clone, Debug)]
pub struct LegConfig {
    /// Negotiated parameters at the start.
    pub stream: StreamConfig,
    /// Latching rule.
    pub latching: Latching,
    /// SSRC of the stream we send; random (RFC 3550 section 8).
    pub ssrc: u32,
    /// Sequence number of the first packet we send; random. Encrypted streams start in the lower half.
    pub first_sequence: u16,
    /// RTP timestamp of the first frame in samples at 8 kHz; random.
    pub first_timestamp: u32,
    /// Relates instants to NTP time for RTCP sender reports.
    pub clock: NtpClock,
    /// Canonical name in our RTCP (RFC 3550 section 6.5.1), such as the call's id; cut after 64 bytes.
    pub cname: String,
    /// Onset and hangover of voice detection.
    pub vad: vad::VadConfig,
    /// When the caller's voice pauses and stops playout.
    pub barge_in: barge_in::BargeInConfig,
    /// No packet for this long while one is expected: the network is lost.
    pub network_timeout: Duration,
    /// Record from the start. A leg with early media starts without, and records from the answer.
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
    /// Even port: RTP, and RTCP too when it is multiplexed.
    Rtp,
    /// Odd port: RTCP that is not multiplexed.
    Rtcp,
}

/// What a leg reports to its call, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub enum LegEvent {
    /// 20 ms of the caller in the companding of the codec that the leg began with; `at` is the arrival of the packet that filled it.
    Audio {
        /// Companded samples, one octet each; silence while echo or DTMF is heard.
        codes: [u8; FRAME_SAMPLES],
        /// Arrival of the packet that completed the frame, or the tick that filled it.
        at: Instant,
    },
    /// The caller began to speak.
    SpeechStarted {
        /// Start of the voiced sound; the event comes later by the onset.
        at: Instant,
    },
    /// `last_sound` lies before the event by the hangover.
    SpeechEnded {
        /// End of the last voiced sound.
        last_sound: Instant,
    },
    /// The first samples of a segment were sent.
    SegmentStarted {
        /// The segment that started.
        segment: SegmentId,
        /// When the frame with its first samples was sent.
        at: Instant,
    },
    /// A segment was sent to its last sample.
    SegmentFinished {
        /// The segment and how much of it was sent, always complete.
        heard: SegmentPlayed,
        /// When the frame with its last samples was sent.
        at: Instant,
    },
    /// The caller made a sound while the agent spoke. Playout is paused until resumed or flushed.
    PlayoutPaused {
        /// Response whose playout is paused.
        response_id: u32,
        /// When playout was paused. Speech that was playing fades out in the next frame.
        at: Instant,
    },
    /// An echo path was found.
    EchoPathFound {
        /// Delay and level of the echo.
        path: echo::EchoPath,
    },
    /// A single steady tone.
    Tone {
        /// Frequency and duration of the tone.
        tone: tone::Tone,
        /// Arrival of the frame in which it ended, or had lasted a second.
        at: Instant,
    },
    /// The playout queue was emptied; `barge_in` if the caller interrupted. One entry per segment. `response_id` is the
    /// newest that was silenced.
    PlayoutFlushed {
        /// True if the caller's voice or words interrupted; false if the call itself cleared the queue.
        barge_in: bool,
        /// Newest response that was silenced; older ones are silenced too.
        response_id: u32,
        /// How much of each segment was sent, oldest first; empty if nothing was queued.
        heard: Vec<SegmentPlayed>,
        /// When the queue was emptied. Speech that was playing fades out in the next frame.
        at: Instant,
    },
    /// The caller pressed a key: a telephone event, or in-band tones from a peer that sends no events.
    DtmfReceived {
        /// One of 0-9, *, #, A-D.
        digit: char,
    },
    /// The last digit asked for was sent.
    DtmfSent,
    /// The peer marked the first packet of a talk spurt (RFC 3551 section 4.1).
    TalkSpurtStarted {
        /// Arrival of the marked packet.
        at: Instant,
    },
    /// The path is open. Not emitted for plain RTP.
    Connected {
        /// When the path opened.
        at: Instant,
    },
    /// First packet of the peer.
    MediaStarted {
        /// Arrival of the packet.
        at: Instant,
    },
    /// No packet for the network timeout while one was expected, or the path was lost. Not repeated.
    NetworkLost,
    /// Internal error: the leg's cycle panicked. The leg has ended and its ports are free; [`LegEvent::Closed`] follows
    /// where its figures could still be read.
    InternalError,
    /// The other side ended the media by itself (WebRTC: DTLS close_notify).
    PeerClosed,
    /// Half a second of stereo recording.
    RecordingBlock {
        /// Interleaved 16-bit pairs at 8 kHz, caller left, agent right; 4,000 pairs, the last block may differ.
        block: Vec<i16>,
    },
    /// The last event of a leg.
    Closed {
        /// Statistics of the whole leg.
        stats: LegStats,
    },
}
