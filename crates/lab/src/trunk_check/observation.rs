//! What a check has seen of a trunk: plain values, without judgement.

use super::rtp_statistics::RtpStatistics;
use std::net::{IpAddr, SocketAddr};

/// Everything that was seen.
#[derive(Clone, Debug)]
pub(super) struct TrunkObservations {
    pub settings: CheckSettings,
    pub name: NameObservation,
    pub connection: ConnectionObservation,
    pub options: Exchange,
    /// `None`: the trunk does not register.
    pub registration: Option<RegistrationObservation>,
    pub calls: Vec<CallObservation>,
    pub completion: Completion,
}

/// What was asked for, as far as the judgement depends on it.
#[derive(Clone, Debug)]
pub(super) struct CheckSettings {
    /// `UDP`, `TCP` or `TLS`.
    pub transport: &'static str,
    pub codecs: Vec<String>,
    pub srtp: SrtpRequest,
    pub has_credentials: bool,
    /// Port of the check, from which the requests come.
    pub local_port: u16,
    /// Port of the server beside which the check runs.
    pub server_port: u16,
    /// The address that we name in Contact and in the offer.
    pub advertised: IpAddr,
    /// What the trunk wants its number to be shown in, beside From.
    pub identity_header: Option<&'static str>,
    pub ptime_ms: u16,
    pub refer_to: Option<String>,
}

/// What the trunk says about SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SrtpRequest {
    Off,
    Preferred,
    Mandatory,
}

/// The steps of the lookup of the trunk's host.
#[derive(Clone, Debug)]
pub(super) struct NameObservation {
    pub host: String,
    /// Transports of NAPTR records.
    pub naptr: Vec<String>,
    /// `host:port` of SRV records.
    pub srv: Vec<String>,
    pub addresses: Result<Vec<SocketAddr>, String>,
}

/// How the requests travel.
#[derive(Clone, Debug)]
pub(super) enum ConnectionObservation {
    /// UDP has no connection.
    Datagrams,
    Connected,
    /// Version and cipher.
    Secured(String),
    NotConnected(String),
    /// The handshake or the certificate failed.
    NotSecured(String),
    NotTried,
}

/// Why the check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    Complete,
    Interrupted,
    TimeUp,
    ConnectionLost(String),
}

/// A request and what came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    pub outcome: ExchangeOutcome,
    pub authentication: Authentication,
    /// Where our request came from, as the carrier saw it: `received` and `rport` of the Via.
    pub seen_as: Option<SocketAddr>,
}

/// What came of a request.
#[derive(Clone, Debug, Default)]
pub(super) enum ExchangeOutcome {
    #[default]
    NotTried,
    /// Nothing came within the time.
    NoAnswer,
    Answered(Reply),
}

/// A final response.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub status: u16,
    pub reason: String,
    /// Text of a Warning or Reason header.
    pub explanation: Option<String>,
    /// Server or User-Agent.
    pub software: Option<String>,
    /// `None` without an Allow header.
    pub allow: Option<Vec<String>>,
    pub supported: Vec<String>,
    pub after_ms: u64,
}

/// What happened with a challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Authentication {
    #[default]
    NotAsked,
    /// We have no credentials for it.
    NoCredentials { realm: String },
    /// No scheme or algorithm of ours.
    NotUnderstood { challenge: String },
    /// Answered; the final response says with what success.
    Answered { realm: String },
    /// Answered, and challenged again with another nonce that is not stale.
    Repeated { realm: String },
}

/// A registration with the check's own Contact.
#[derive(Clone, Debug)]
pub(super) struct RegistrationObservation {
    pub exchange: Exchange,
    pub asked_s: u32,
    pub granted_s: Option<u32>,
    /// Other contacts of the account that the registrar listed.
    pub other_contacts: usize,
}

/// What a call was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallPurpose {
    /// Everything.
    Full,
    /// Whether the carrier takes this codec alone.
    OneCodec(String),
    /// The first call once more, because SRTP was refused.
    WithoutSrtp,
}

/// A call that was dialed.
#[derive(Clone, Debug)]
pub(super) struct CallObservation {
    pub purpose: CallPurpose,
    pub offered_srtp: bool,
    pub invite: Exchange,
    pub timer: TimerObservation,
    pub provisionals: Vec<Provisional>,
    pub answer: Option<AnswerObservation>,
    /// Before the answer.
    pub early: RtpStatistics,
    /// From the answer on, without what was on hold.
    pub media: RtpStatistics,
    pub hold: HoldObservation,
    pub refer: ReferObservation,
    pub sent_digits: String,
    pub end: CallEnd,
    /// Methods of requests that the peer sent in the call.
    pub peer_requests: Vec<String>,
}

/// Session timers (RFC 4028).
#[derive(Clone, Debug, Default)]
pub(super) struct TimerObservation {
    pub asked_s: u32,
    /// Min-SE of a 422.
    pub raised_to_s: Option<u32>,
    /// Session-Expires of the answer: seconds and refresher.
    pub agreed: Option<(u32, Option<String>)>,
}

/// A response before the final one.
#[derive(Clone, Debug)]
pub(super) struct Provisional {
    pub status: u16,
    pub after_ms: u64,
    pub has_description: bool,
    /// It needs a PRACK; the status of the answer to ours, `None` if none came.
    pub reliable: Option<Option<u16>>,
    pub early_media_header: Option<String>,
}

/// The answer to an INVITE.
#[derive(Clone, Debug)]
pub(super) struct AnswerObservation {
    pub after_ms: u64,
    pub description: Result<AnswerDescription, String>,
}

/// The audio stream of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerDescription {
    /// Audio codecs in the order of the answer.
    pub codecs: Vec<String>,
    pub ptime_ms: Option<u16>,
    pub maxptime_ms: Option<u16>,
    /// Payload type and clock of each telephone-event.
    pub telephone_events: Vec<(u8, u32)>,
    pub comfort_noise: Option<u8>,
    pub is_secure: bool,
    pub addr: Option<SocketAddr>,
    pub direction: &'static str,
    /// Payload type and clock of the first audio codec.
    pub audio: Option<(u8, u32)>,
}

/// Hold and resume.
#[derive(Clone, Debug, Default)]
pub(super) enum HoldObservation {
    #[default]
    NotTried,
    /// A re-INVITE was answered, or not; `None` without an answer.
    Refused(Option<u16>),
    Held {
        /// Direction in the answer to `sendonly`.
        direction: Option<&'static str>,
        packets_on_hold: u64,
        /// Status of the answer to `sendrecv`.
        resumed: Option<u16>,
        resumed_direction: Option<&'static str>,
        packets_after: u64,
        /// Packets that came in the same time before.
        packets_before: u64,
    },
}

/// A REFER.
#[derive(Clone, Debug, Default)]
pub(super) enum ReferObservation {
    #[default]
    NotTried,
    Answered {
        status: Option<u16>,
        /// Status lines of the NOTIFY requests.
        reports: Vec<String>,
    },
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// It was never answered.
    NotAnswered,
    /// We canceled it, because nobody answered in time or the check ended.
    Canceled { after_ms: u64 },
    /// We hung up; the status of the answer to our BYE.
    ByUs { status: Option<u16> },
    /// The peer hung up so long after the answer.
    ByPeer { after_ms: u64, reason: Option<String> },
}
