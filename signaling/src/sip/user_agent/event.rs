//! What the user agent tells: events of calls and registrations, refused commands, counters.

use super::inbound_trunks::TrunkCandidates;
use crate::sip::early_media::EarlyMediaAuthorization;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{Headers, NameAddr, Uri};
use crate::sip::transport::Transport;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Identifies a call in this process. Counts up from 1 and is never reused; not the Call-ID header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// An admitted INVITE. Its owner assigns the trunk with [`UserAgent::assign_trunk`](super::UserAgent::assign_trunk) or [`UserAgent::reject_unknown_number`](super::UserAgent::reject_unknown_number).
#[derive(Clone, Debug)]
pub struct IncomingInvite {
    /// Id of the new call, for all commands and events about it.
    pub call: CallId,
    /// The trunks it may have come over.
    pub candidates: TrunkCandidates,
    /// Request-URI of the INVITE: the number or address that was called.
    pub request_uri: Uri,
    /// From header: the caller as it names itself, not verified.
    pub from: NameAddr,
    /// To header: the called party as the caller wrote it; may differ from the Request-URI.
    pub to: NameAddr,
    /// Value of the Call-ID header, for matching with the carrier's records.
    pub sip_call_id: String,
    /// `None`: the offer is wanted from us (RFC 3261 section 13.2.1).
    pub sdp: Option<Vec<u8>>,
    /// Address and port the INVITE came from; a proxy's if there is one.
    pub source: SocketAddr,
    /// Transport the INVITE came over.
    pub transport: Transport,
    /// Other headers: identities, diversions, `X-…`.
    pub headers: Headers,
}

/// What an OPTIONS request found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The peer is there: status of its final response, whichever it is.
    Answered(u16),
    /// No response in four seconds.
    Silent,
    /// The request could not be sent: unknown host, refused connection. In words.
    Unreachable(String),
}

impl From<EndCause> for ProbeResult {
    fn from(cause: EndCause) -> Self {
        match cause {
            EndCause::Unreachable(why) => Self::Unreachable(why),
            _ => Self::Silent,
        }
    }
}

/// Something that happened to a call or a registration, for its owner.
#[derive(Clone, Debug)]
pub enum SipEvent {
    /// An inbound call was admitted; its owner must answer or reject it within 300 s.
    Incoming(Box<IncomingInvite>),
    /// Provisional response to our INVITE, with early media if it carries SDP.
    ProvisionalResponse {
        /// The outgoing call.
        call: CallId,
        /// Status of the response, 101 to 199; 100 is not reported.
        status: u16,
        /// Body of the response: an early answer to our offer; `None` without a body.
        sdp: Option<Vec<u8>>,
        /// Where the INVITE went.
        peer: SocketAddr,
        /// Tag of the fork that responded (RFC 3261 section 12.1.2); empty without one.
        remote_tag: String,
        /// Sent reliably (RFC 3262): a description in it is the answer to our offer, not a preview of it.
        is_reliable: bool,
        /// Whether the network lets media through before the answer (P-Early-Media).
        early_media: EarlyMediaAuthorization,
    },
    /// Our INVITE was accepted; the ACK is already queued, unless the INVITE had no offer: then this is the
    /// peer's, and [`UserAgent::acknowledge`](super::UserAgent::acknowledge) takes the answer.
    Answered {
        /// The outgoing call.
        call: CallId,
        /// Body of the 200: the peer's answer, or its offer if our INVITE had none; `None` without a body.
        sdp: Option<Vec<u8>>,
        /// Value of the Call-ID header, for matching with the carrier's records.
        sip_call_id: String,
        /// Where the INVITE went.
        peer: SocketAddr,
        /// Tag of the fork that answered; empty without one.
        remote_tag: String,
    },
    /// Our 200 was acknowledged; carries the answer to an offer of ours.
    Acknowledged {
        /// The call that we answered, or whose re-INVITE we answered.
        call: CallId,
        /// Body of the ACK: the answer to our offer; `None` if the offer came from the peer.
        sdp: Option<Vec<u8>>,
    },
    /// re-INVITE or UPDATE: answer with [`UserAgent::answer_reoffer`](super::UserAgent::answer_reoffer). `None`: the peer wants our offer.
    ReofferReceived {
        /// The answered call, or one in early dialog (UPDATE).
        call: CallId,
        /// The peer's new offer; `None` if it wants one from us.
        sdp: Option<Vec<u8>>,
        /// Tag of the peer, which tells the forks of an unanswered call apart; empty without one.
        remote_tag: String,
    },
    /// Our re-INVITE was accepted, a refresh of the session too.
    ReofferAccepted {
        /// The answered call.
        call: CallId,
        /// The peer's answer; `None` after a refresh by UPDATE without a description.
        sdp: Option<Vec<u8>>,
    },
    /// Our re-INVITE was refused: everything is as it was (RFC 3261 section 14.1).
    ReofferRejected {
        /// The answered call, which goes on.
        call: CallId,
        /// Status of the rejection, 300 to 699.
        status: u16,
    },
    /// The peer requests a transfer (REFER); answer with [`UserAgent::answer_refer`](super::UserAgent::answer_refer).
    ReferReceived {
        /// The answered call to transfer.
        call: CallId,
        /// Where the peer wants to be transferred to.
        referred: Box<ReferRequest>,
    },
    /// Another call replaces this one (RFC 3891): answer it and hang up this one.
    ReplacesReceived {
        /// The call to be replaced.
        call: CallId,
        /// The new INVITE; it uses the trunk of the replaced call.
        by: Box<IncomingInvite>,
    },
    /// The peer sent INFO for a key that was pressed. One request may be for several keys, each of them an event.
    DigitReceived {
        /// The call it belongs to.
        call: CallId,
        /// One of 0-9, `*`, `#` and A-D.
        digit: char,
    },
    /// Progress of a transfer requested with [`UserAgent::send_refer`](super::UserAgent::send_refer).
    ReferProgress {
        /// The call that we transfer.
        call: CallId,
        /// Progress of the transfer so far.
        referral: ReferStatus,
    },
    /// What became of [`UserAgent::send_options`](super::UserAgent::send_options).
    OptionsAnswered {
        /// Id of the probe, which is over with this event.
        call: CallId,
        /// The answer, or why there is none.
        result: ProbeResult,
    },
    /// The call is over. Comes exactly once per call, also for a call that was never answered.
    Ended {
        /// The call that ended.
        call: CallId,
        /// Why it ended.
        cause: EndCause,
    },
    /// The state of a registration changed.
    Registration {
        /// Key of the registration: the trunk it belongs to.
        id: Arc<str>,
        /// New state of the registration.
        event: RegistrationEvent,
    },
}

/// A command that does not fit the state of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SipCommandError {
    /// There is no call with this id, or it is over.
    UnknownCall,
    /// The call's state does not allow the command, or an argument cannot be sent.
    WrongState,
    /// The call limit, the probe limit (512) or the command queue is full; try again later.
    Overloaded,
}

/// Counters for the metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SipCounters {
    /// Messages that passed the rate limiter, since the start.
    pub received: u64,
    /// Messages that are no SIP or cannot be answered, and responses without a transaction.
    pub unparseable: u64,
    /// Requests answered without a transaction and with an error, challenges (401) included.
    pub refused: u64,
    /// Requests and responses that we sent again.
    pub retransmitted: u64,
    /// INVITEs that match no trunk and cannot authenticate, answered 403.
    pub forbidden: u64,
    /// Requests answered 503: call limit, slow owners, or too many transactions.
    pub overload: u64,
    /// Dropped by the rate limit, unread.
    pub rate_limited: u64,
    /// Credentials not checked, because too many wrong ones came before.
    pub credentials_limited: u64,
}

/// Progress of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferStatus {
    /// The peer will try (202).
    Accepted,
    /// The peer rejected the transfer: status of the response, 408 without one.
    Rejected {
        /// Status of the response, 300 to 699; 408 without a response.
        status: u16,
    },
    /// Status of the new call as notified: 180 ringing, 200 answered, 486 busy.
    Notified {
        /// Status of that call: 180 ringing, 200 answered, 486 busy.
        status: u16,
        /// No further report follows.
        last: bool,
    },
    /// The peer ended its reports without saying how the new call went.
    Ended,
}

/// A transfer the peer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferRequest {
    /// Refer-To URI without its headers.
    pub target: Uri,
    /// Value of the Replaces header for that call (RFC 3891), unescaped.
    pub replaces: Option<String>,
    /// Value of Referred-By, to be passed on.
    pub referred_by: Option<String>,
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationEvent {
    /// The registrar granted or refreshed it.
    Registered {
        /// Lifetime that was granted, in seconds, at least 1.
        expires_s: u32,
    },
    /// `status` of the refusal, none without an answer.
    Failed {
        /// Status of the rejection; `None` if no response came.
        status: Option<u16>,
        /// What went wrong, for people: status and reason phrase, or the transport error.
        why: String,
        /// Time until the next attempt: Retry-After, else 15 s to 30 min, doubling with each failure.
        retry_in: Duration,
    },
    /// The registration left the configuration or changed; it is unregistered if the registrar had answered.
    Removed,
}
