//! Settings of a new leg.

use super::latch::Latching;
use super::stream_config::StreamConfig;
use crate::playout::ambience::AmbienceMixer;
use crate::playout::pacer::SpurtStart;
use crate::rtp::rtcp::NtpClock;
use crate::turn::barge_in;
use crate::vad;
use std::time::{Duration, Instant};

/// In which form a leg hands received audio on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudioDelivery {
    /// Not at all.
    Off,
    /// In the G.711 variant of the codec that the leg begins with, untouched where the peer sends it; other codecs are
    /// handed on as mu-law. It does not change on renegotiation.
    #[default]
    G711,
}

/// What a leg listens for in received audio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnalysisConfig {
    /// Nothing: phones and load generators.
    Off,
    /// The caller's voice, echo of ours, DTMF tones.
    Voice {
        /// Onset and hangover of voice detection.
        vad: vad::VadConfig,
        /// When the caller's voice pauses and stops playout.
        barge_in: barge_in::BargeInConfig,
        /// Also single tones: voicemail beeps, fax tones.
        tones: bool,
    },
}

impl AnalysisConfig {
    /// Voice with these rules for interruptions; no single tones.
    pub fn voice(barge_in: barge_in::BargeInConfig) -> Self {
        Self::Voice { vad: vad::VadConfig::default(), barge_in, tones: false }
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
    /// What is listened for in received audio.
    pub analysis: AnalysisConfig,
    /// No packet for this long while one is expected: the network is lost.
    pub network_timeout: Duration,
    /// Record from the start. A leg with early media starts without, and records from the answer.
    pub record: bool,
    /// The form in which received audio is handed on.
    pub audio: AudioDelivery,
    /// When a talk spurt leaves: at once for agents; a phone sends on its own clock.
    pub spurt_start: SpurtStart,
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
            analysis: AnalysisConfig::voice(barge_in::BargeInConfig {
                enabled: false,
                ..barge_in::BargeInConfig::default()
            }),
            network_timeout: Duration::from_secs(3_600),
            record: true,
            audio: AudioDelivery::G711,
            spurt_start: SpurtStart::Immediate,
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
