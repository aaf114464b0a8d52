//! The SIP user agent as one state machine: messages and commands in, messages and events out.
//!
//! A call is identified by its [`CallId`] and ends with exactly one [`SipEvent::Ended`]. Transactions and dialogs stay
//! inside. After every `handle_*` or command, drain [`UserAgent::poll_transmit`] and [`UserAgent::poll_event`], then wait
//! until [`UserAgent::poll_timeout`].

mod authentication;
mod client_responses;
mod destination_policy;
mod failover;
mod in_dialog;
mod inbound_auth;
mod inbound_trunks;
mod internal_error;
mod known_traffic;
mod nonce_counts;
mod options;
mod receive;
mod recover;
mod refer;
mod registrations;
mod reliable_provisional;
mod replaces;
mod server_names;
mod session_refresh;
mod transaction_table;
mod uac;
mod uas;
mod via_and_contact;

pub use authentication::HostCredentials;
pub use destination_policy::DestinationPolicy;
pub use failover::{DnsQuery, NextHop, TransportAddress};
pub use inbound_trunks::{InboundTrunk, InboundTrunks, TrunkCandidates, TrunkEvidence, TrunkKey};
pub use options::PROBE_TIMEOUT;
pub use refer::{ReferRequest, ReferStatus};
pub use registrations::{RegistrationConfig, RegistrationEvent};

use super::dialog::Dialog;
use super::end_cause::EndCause;
use super::message::{Headers, NameAddr, Request, Uri};
use super::rate_limit::RateLimiter;
use super::session_timer::SessionTimer;
use super::token::TokenSource;
use super::transaction::MessageBytes;
use crate::limits;
use nonce_counts::NonceCounts;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Methods this user agent answers, as its `Allow` header.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY";
/// How long a new call may stay unattended before further calls are rejected. A caller retransmits after 500 ms (RFC
/// 3261 timer A).
const UNATTENDED_WAIT_MAX: Duration = Duration::from_millis(300);
/// Upper bound for a session after its call has ended: 64 T1 for a missing ACK and 64 T1 for the BYE. A safety net;
/// sessions normally end earlier.
const LINGER: Duration = Duration::from_secs(100);
/// Extensions it knows (RFC 3262, RFC 4028, RFC 3891), as its `Supported` header.
pub const SUPPORTED: &str = "100rel, timer, replaces";

/// Identifies a call in this process. Counts up from 1 and is never reused; not the Call-ID header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// SIP transport (RFC 3261 section 18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP, port 5060 by default. Requests above 1,300 bytes go over TCP.
    Udp,
    /// TCP, port 5060 by default.
    Tcp,
    /// TLS over TCP, port 5061 by default.
    Tls,
    /// WebSocket (RFC 7118); inbound connections only.
    Ws,
    /// WebSocket over TLS (RFC 7118); inbound connections only.
    Wss,
}

impl Transport {
    /// Every transport, for parsing its name.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// As in a Via header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// From a Via header or a `transport` parameter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(text))
    }

    /// Returns whether the transport delivers by itself, so that transactions need no retransmission.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Returns the default port: 5060 for UDP and TCP, 5061 for TLS, 80 for WS, 443 for WSS.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5_060,
            Self::Tls => 5_061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// URI parameter for this transport.
    fn uri_param(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }
}

/// Where a message goes: an address, or (the ACK of a 2xx) a name the driver resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransmitTarget {
    /// IP address and port to send to.
    Addr(SocketAddr),
    /// Host name that needs a next-hop lookup (RFC 3263).
    Name {
        /// Host name or IP address.
        host: String,
        /// Port; `None` for SRV lookup, or the default port of the transport.
        port: Option<u16>,
    },
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Transport to send with.
    pub transport: Transport,
    /// Address or name of the receiver.
    pub target: TransmitTarget,
    /// The whole message as on the wire.
    pub bytes: MessageBytes,
    /// Client transaction to be told through [`UserAgent::handle_unreachable`] when this cannot be sent.
    pub transaction: Option<Arc<str>>,
    /// The name that the address was found under, for the certificate. Without one, any connection to that address is
    /// used.
    pub server_name: Option<Arc<str>>,
}

/// Settings of the user agent.
#[derive(Clone, Debug)]
pub struct UserAgentConfig {
    /// Address in Via, Contact and SDP: the one the peers can reach.
    pub advertised: IpAddr,
    /// The same for peers of the other family, where there is one.
    pub advertised_other: Option<IpAddr>,
    /// UDP port in Via and Contact; the driver sets it to the bound port.
    pub udp_port: u16,
    /// TCP port in Via and Contact; the driver sets it to the bound port.
    pub tcp_port: u16,
    /// Port of TLS, where it is listened for.
    pub tls_port: Option<u16>,
    /// Port of WebSockets, in the clear or over TLS.
    pub ws_port: Option<u16>,
    /// Value of User-Agent in our requests and of Server in our responses.
    pub user_agent: String,
    /// Realm of the challenges that we send.
    pub realm: String,
    /// Calls held at once; the next INVITE is answered 503.
    pub calls_max: usize,
    /// Value of Retry-After in that 503.
    pub retry_after_s: u32,
    /// How long a session lives without a refresh (RFC 4028); 0 asks for no session timer.
    pub session_expires_s: u32,
    /// Where requests may go.
    pub destinations: DestinationPolicy,
    /// The inbound rules to begin with.
    pub trunks: Vec<InboundTrunk>,
}

/// An outbound call.
#[derive(Clone, Debug)]
pub struct InviteRequest {
    /// Request-URI: the number or address to call.
    pub request_uri: Uri,
    /// Caller for the From header, without a tag; the user agent adds it.
    pub from: NameAddr,
    /// Called party for the To header, without a tag.
    pub to: NameAddr,
    /// Where it goes, in the order to be tried; empty for the host of the Request-URI.
    pub hops: Vec<NextHop>,
    /// Of hops that name none.
    pub transport: Transport,
    /// Only for challenges of the hosts that they name.
    pub credentials: Option<HostCredentials>,
    /// Our offer; `None` lets the peer make one (RFC 3261 section 13.2.1), answered with [`UserAgent::acknowledge`].
    pub sdp: Option<Vec<u8>>,
    /// Further headers, `X-…` and the like.
    pub headers: Headers,
    /// The trunk it goes over: only callers of that trunk may replace the call (Replaces). `None` disables replacement.
    pub trunk: Option<TrunkKey>,
    /// The peer may transfer the call (REFER); otherwise 603.
    pub accept_refer: bool,
}

/// An admitted INVITE. Its owner assigns the trunk with [`UserAgent::assign_trunk`] or [`UserAgent::reject_unknown_number`].
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
    },
    /// Our INVITE was accepted; the ACK is already queued, unless the INVITE had no offer: then this is the
    /// peer's, and [`UserAgent::acknowledge`] takes the answer.
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
    /// re-INVITE or UPDATE: answer with [`UserAgent::answer_reoffer`]. `None`: the peer wants our offer.
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
    /// The peer requests a transfer (REFER); answer with [`UserAgent::answer_refer`].
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
    /// The peer sent INFO with a body, answered 200 already; mostly DTMF.
    InfoReceived {
        /// The call it belongs to.
        call: CallId,
        /// Value of Content-Type, such as `application/dtmf-relay`; empty if it is missing.
        content_type: String,
        /// Body bytes, never empty.
        body: Vec<u8>,
    },
    /// Progress of a transfer requested with [`UserAgent::send_refer`].
    ReferProgress {
        /// The call that we transfer.
        call: CallId,
        /// Progress of the transfer so far.
        referral: ReferStatus,
    },
    /// The answer to [`UserAgent::send_options`]; `None` without an answer.
    OptionsAnswered {
        /// Id of the probe, which is over with this event.
        call: CallId,
        /// Status of the response, any of which means that the peer is there; `None` without a response in 4 s.
        status: Option<u16>,
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

#[derive(Debug)]
pub(crate) struct SipSession {
    state: SipSessionState,
    call_id: String,
    local_tag: String,
    authenticator: authentication::ClientAuthenticator,
    /// Of a call we make: where its INVITE went.
    peer: Option<TransportAddress>,
    /// TLS server names of the peer's addresses.
    server_names: server_names::ServerNames,
    /// Where the peer's last message came from, for peers behind NAT.
    source: Option<(Transport, SocketAddr)>,
    /// Of a call that comes in: where its INVITE came from, and where our tag was sent.
    invited_from: Option<IpAddr>,
    /// Server transactions of requests inside the call.
    transactions: usize,
    transport: Transport,
    /// The owner has been told that the call ended.
    end_reported: bool,
    /// We own the Call-ID, so we wait longer after glare.
    is_caller: bool,
    /// The one trunk the call belongs to; of a call that comes in not before it is chosen.
    trunk: Option<TrunkKey>,
    /// The trunk permits REFER.
    accept_refer: bool,
    /// Of a call that comes in.
    caller_proof: inbound_auth::CallerProof,
    /// Incoming call: its owner has responded.
    attended: bool,
    /// The peer takes UPDATE.
    peer_updates: bool,
    timer: Option<SessionTimer>,
    /// Of a call that comes in: a provisional response that waits for its PRACK.
    reliable: Option<Box<reliable_provisional::ReliableProvisional>>,
    /// Of a call we make: who has answered provisionally.
    early_dialogs: Vec<reliable_provisional::EarlyDialog>,
    /// An offer of the peer inside the dialog, before the call is answered too (PRACK, UPDATE).
    remote_offer: Option<in_dialog::RemoteOffer>,
    /// The peer's offer came with its 200: CSeq and transaction of the INVITE whose ACK waits for our answer.
    unacknowledged: Option<(u32, Arc<str>)>,
    /// Our re-INVITE or UPDATE that is open or waits for its turn.
    local_offer: Option<session_refresh::LocalOffer>,
    /// A REFER that is not answered yet.
    pending_refer: Option<Arc<str>>,
    /// Our last description, for refreshes by re-INVITE.
    local_sdp: Vec<u8>,
    /// The call has ended; the session is dropped at this time.
    drop_at: Option<Instant>,
}

impl SipSession {
    fn new(state: SipSessionState, call_id: String, local_tag: String, transport: Transport) -> Self {
        Self {
            state,
            call_id,
            local_tag,
            authenticator: authentication::ClientAuthenticator::default(),
            peer: None,
            server_names: server_names::ServerNames::default(),
            source: None,
            invited_from: None,
            transactions: 0,
            transport,
            end_reported: false,
            is_caller: false,
            trunk: None,
            accept_refer: false,
            caller_proof: inbound_auth::CallerProof::AddressOnly { stale: false },
            attended: false,
            peer_updates: false,
            timer: None,
            reliable: None,
            early_dialogs: Vec::new(),
            unacknowledged: None,
            local_offer: None,
            remote_offer: None,
            pending_refer: None,
            local_sdp: Vec::new(),
            drop_at: None,
        }
    }

    fn is_options_probe(&self) -> bool {
        matches!(self.state, SipSessionState::OptionsPending(_))
    }

    /// True for an OPTIONS probe.
    fn is_unattended(&self) -> bool {
        !self.attended && matches!(self.state, SipSessionState::IncomingRinging { .. })
    }

    fn next_timeout(&self) -> Option<Instant> {
        let all = [
            self.timer.map(|timer| timer.at),
            self.reliable.as_ref().and_then(|reliable| reliable.next_timeout()),
            self.local_offer.as_ref().and_then(|ours| ours.retry_at),
            self.drop_at,
        ];
        all.into_iter().flatten().min()
    }
}

#[derive(Debug)]
enum SipSessionState {
    /// Inbound, no final answer yet.
    IncomingRinging {
        tx: Arc<str>,
        request: Box<Request>,
        /// Of the peer's last request in the early dialog.
        remote_cseq: u32,
    },
    /// Inbound, 200 sent, waiting for ACK; `hang_up` sends BYE when it arrives.
    AwaitingAck {
        tx: Arc<str>,
        /// Of the INVITE, which its ACK repeats.
        cseq: u32,
        dialog: Box<Dialog>,
        hang_up: bool,
    },
    /// Outbound, no final answer yet.
    OutgoingPending(Box<client_responses::PendingInvite>),
    Established {
        dialog: Box<Dialog>,
        ack: Option<client_responses::SentAck>,
    },
    /// BYE sent.
    ByeSent,
    /// A registration's.
    Registering(Arc<str>),
    /// OPTIONS sent: its latest transaction, `None` during DNS lookup.
    OptionsPending(Option<Arc<str>>),
}

/// The SIP user agent: all sessions, transactions, registrations and timers. It has no sockets and no clock.
pub struct UserAgent {
    config: UserAgentConfig,
    started: Instant,
    tokens: TokenSource,
    next_call: u64,
    sessions: HashMap<CallId, SipSession>,
    /// Calls whose owner has not been told of their end: what `calls_max` counts.
    open: usize,
    /// Calls that ended and whose last transaction may go on, the oldest first; some are gone already.
    lingering: VecDeque<CallId>,
    /// Sessions of probes.
    probes: usize,
    /// Call-ID and local tag to call.
    dialogs: HashMap<String, CallId>,
    servers: HashMap<Arc<str>, transaction_table::ServerEntry>,
    /// Bytes held by server transactions.
    server_bytes: usize,
    clients: HashMap<Arc<str>, transaction_table::ClientEntry>,
    /// From tag, Call-ID and CSeq of initial INVITEs, to find merged requests (section 8.2.2.2).
    initial_invites: HashSet<Arc<str>>,
    /// Unattended incoming calls, oldest first.
    unattended: VecDeque<(Instant, CallId)>,
    /// Requests whose next hop is being looked up.
    awaiting_dns: HashMap<u64, failover::OutboundRequest>,
    next_query: u64,
    queries: VecDeque<DnsQuery>,
    /// Unreachable addresses per trunk, with the time until which they are tried last.
    unreachable: HashMap<failover::TrunkAddress, Instant>,
    trunks: Arc<InboundTrunks>,
    registrations: HashMap<Arc<str>, registrations::RegistrationEntry>,
    registered: inbound_trunks::RegisteredTrunks,
    nonces: NonceCounts,
    rate_limit: RateLimiter,
    timers: BinaryHeap<transaction_table::TimerEntry>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<SipEvent>,
    /// Trunk of the last admitted message.
    admitted_trunk: Option<Arc<str>>,
    counters: SipCounters,
}

impl std::fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAgent")
            .field("sessions", &self.sessions.len())
            .field("servers", &self.servers.len())
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

impl UserAgent {
    /// `seed` must be unguessable outside of tests: tags, branches and nonces come from it.
    pub fn new(now: Instant, mut config: UserAgentConfig, seed: [u8; 32]) -> Self {
        let trunks = Arc::new(InboundTrunks::from(std::mem::take(&mut config.trunks)));
        Self {
            config,
            started: now,
            tokens: TokenSource::new(seed),
            next_call: 1,
            sessions: HashMap::new(),
            open: 0,
            lingering: VecDeque::new(),
            probes: 0,
            dialogs: HashMap::new(),
            servers: HashMap::new(),
            server_bytes: 0,
            clients: HashMap::new(),
            initial_invites: HashSet::new(),
            unattended: VecDeque::new(),
            awaiting_dns: HashMap::new(),
            next_query: 1,
            queries: VecDeque::new(),
            unreachable: HashMap::new(),
            trunks,
            registrations: HashMap::new(),
            registered: inbound_trunks::RegisteredTrunks::default(),
            nonces: NonceCounts::default(),
            rate_limit: RateLimiter::new(now),
            timers: BinaryHeap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            admitted_trunk: None,
            counters: SipCounters::default(),
        }
    }

    /// New calls over this number are refused with 503; those there are stay.
    pub fn set_calls_max(&mut self, calls_max: usize) {
        self.config.calls_max = calls_max;
    }

    /// Replaces the inbound rules; calls in progress are not touched.
    pub fn set_trunks(&mut self, trunks: Arc<InboundTrunks>) {
        self.trunks = trunks;
    }

    /// Returns the counters since the start.
    pub fn counters(&self) -> SipCounters {
        self.counters
    }

    /// Calls not yet ended for their owner.
    pub fn calls(&self) -> usize {
        self.open
    }

    /// Sessions, server transactions, client transactions: all zero after an idle minute.
    pub fn held_counts(&self) -> (usize, usize, usize) {
        (self.sessions.len(), self.servers.len(), self.clients.len())
    }

    /// Takes the next message to send, in order; `None` when all are taken.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// A next hop to be looked up; answer with [`UserAgent::handle_resolved`].
    pub fn poll_query(&mut self) -> Option<DnsQuery> {
        self.queries.pop_front()
    }

    /// If the last message was admitted for a trunk: a number that identifies the trunk. Its connection is trusted from
    /// now on.
    pub fn poll_admitted_trunk(&mut self) -> Option<u64> {
        let trunk = self.admitted_trunk.take()?;
        let digest = self.tokens.keyed(trunk.as_bytes());
        u64::from_str_radix(&digest, 16).ok()
    }

    /// Takes the next event, in order; `None` when all are taken.
    pub fn poll_event(&mut self) -> Option<SipEvent> {
        self.events.pop_front()
    }

    fn new_call(&mut self) -> CallId {
        let call = CallId(self.next_call);
        self.next_call = self.next_call.wrapping_add(1); // 2^64 calls later
        call
    }

    /// Reports the end of the call once; the session may remain until its last transaction ends.
    fn record_end(&mut self, now: Instant, call: CallId, cause: EndCause) {
        if let Some(session) = self.sessions.get_mut(&call)
            && !session.end_reported
        {
            session.end_reported = true;
            session.drop_at = Some(now + LINGER);
            self.open = self.open.saturating_sub(1);
            self.events.push_back(SipEvent::Ended { call, cause });
            self.arm_session(call);
            self.lingering.push_back(call);
            if self.lingering.len() > limits::LINGERING_CALLS_MAX {
                self.drop_oldest_lingering(now);
            }
        }
    }

    /// A peer that does not answer BYE keeps each ended call for 32 seconds. If there are too many, the oldest are
    /// dropped with their transactions and their requests are no longer retransmitted.
    fn drop_oldest_lingering(&mut self, now: Instant) {
        let sessions = &self.sessions;
        self.lingering.retain(|call| sessions.contains_key(call));
        let over = self.lingering.len().saturating_sub(limits::LINGERING_CALLS_MAX / 2);
        if self.lingering.len() <= limits::LINGERING_CALLS_MAX / 4 * 3 {
            return;
        }
        let gone: HashSet<CallId> = self.lingering.drain(..over).collect();
        for call in &gone {
            self.remove_session(now, *call);
        }
        let is_gone = |call: Option<CallId>| call.is_some_and(|call| gone.contains(&call));
        self.clients.retain(|_, tx| !is_gone(tx.call));
        self.awaiting_dns.retain(|_, outbound| !is_gone(outbound.call));
    }

    /// All sessions are added here, so that the call count is exact.
    fn add_session(&mut self, call: CallId, session: SipSession) {
        self.open = self.open.saturating_add(usize::from(!session.end_reported));
        self.probes = self.probes.saturating_add(usize::from(session.is_options_probe()));
        self.sessions.insert(call, session);
    }

    /// Recomputes the counts after a panic.
    fn count_sessions(&mut self) {
        self.open = self.sessions.values().filter(|session| !session.end_reported).count();
        self.probes = self.sessions.values().filter(|session| session.is_options_probe()).count();
        self.sessions.values_mut().for_each(|session| session.transactions = 0);
        for call in self.servers.values().filter(|tx| tx.is_counted).filter_map(|tx| tx.call) {
            if let Some(session) = self.sessions.get_mut(&call) {
                session.transactions = session.transactions.saturating_add(1);
            }
        }
    }

    /// Answers all pending requests of an ended call (RFC 3261 section 15.1.2).
    fn answer_pending_requests(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let invite = match &session.state {
            SipSessionState::IncomingRinging { tx, .. } => Some(tx.clone()),
            _ => None,
        };
        let offer = session.remote_offer.take().map(|offer| offer.key);
        let ours = match &session.state {
            SipSessionState::OutgoingPending(calling) => calling.key.clone(),
            _ => session.local_offer.take().and_then(|ours| ours.key),
        };
        let unanswered = [invite, offer, session.pending_refer.take()];
        if let Some(key) = ours {
            self.shorten_client(now, &key);
        }
        for key in unanswered.into_iter().flatten() {
            self.reply(now, &key, 487, |_| {});
        }
    }

    fn remove_session(&mut self, now: Instant, call: CallId) {
        self.answer_pending_requests(now, call);
        if let Some(session) = self.sessions.remove(&call) {
            self.open = self.open.saturating_sub(usize::from(!session.end_reported));
            self.probes = self.probes.saturating_sub(usize::from(session.is_options_probe()));
            self.dialogs.remove(&dialog_key(&session.call_id, &session.local_tag));
        }
    }

    /// True if `calls_max` is reached. Registrations, probes and ended calls do not count.
    fn is_at_calls_max(&self) -> bool {
        self.open >= self.config.calls_max
    }

    /// True if calls arrive faster than their owners attend to them.
    fn must_shed_load(&mut self, now: Instant) -> bool {
        while let Some((_, call)) = self.unattended.front() {
            if self.sessions.get(call).is_some_and(SipSession::is_unattended) {
                break;
            }
            self.unattended.pop_front();
        }
        let is_overdue = |unattended: &VecDeque<(Instant, CallId)>| {
            unattended.len() > limits::UNATTENDED_MIN
                && unattended
                    .front()
                    .is_some_and(|(since, _)| now.saturating_duration_since(*since) > UNATTENDED_WAIT_MAX)
        };
        if !is_overdue(&self.unattended) {
            return false;
        }
        // Remove attended calls behind one slow owner from the queue.
        let sessions = &self.sessions;
        self.unattended.retain(|(_, call)| sessions.get(call).is_some_and(SipSession::is_unattended));
        is_overdue(&self.unattended)
    }
}

fn increment(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

fn dialog_key(call_id: &str, local_tag: &str) -> String {
    format!("{call_id}\n{local_tag}")
}
