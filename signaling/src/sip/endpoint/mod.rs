//! The whole endpoint as one machine: messages and commands in, messages and events out.
//!
//! A call is known to the outside by its [`CallId`]; it gets exactly one [`Event::Ended`]. Transactions
//! and dialogs stay inside. After every `handle_*` or command, drain [`Endpoint::poll_transmit`] and
//! [`Endpoint::poll_event`], then wait until [`Endpoint::poll_timeout`].

mod guard;
mod in_dialog;
mod options;
mod receive;
mod refer;
mod routing;
mod transactions;
mod uac;
mod uas;

pub use guard::{IpNet, TrunkRule};
pub use refer::Referral;

use super::dialog::Dialog;
use super::digest::{ClientSession, Credentials};
use super::failure::Cause;
use super::message::{Headers, NameAddr, Request, Uri};
use super::token::TokenSource;
use super::transaction::Wire;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// Methods this endpoint answers, as its `Allow` header.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    fn is_reliable(self) -> bool {
        self == Self::Tcp
    }
}

/// Where a message goes: an address, or a name the driver resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Addr(SocketAddr),
    Name { host: String, port: u16 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub transport: Transport,
    pub target: Target,
    pub bytes: Wire,
    /// Client transaction to be told through [`Endpoint::handle_unreachable`] when this cannot be sent.
    pub transaction: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Address in Via, Contact and SDP: the one the peers can reach.
    pub advertised: IpAddr,
    pub udp_port: u16,
    pub tcp_port: u16,
    pub user_agent: String,
    /// Realm of our own challenges.
    pub realm: String,
    /// Calls held at once; the next INVITE is answered 503.
    pub calls_max: usize,
    /// Value of Retry-After in that 503.
    pub retry_after_s: u32,
    pub trunks: Vec<TrunkRule>,
}

/// An outbound call.
#[derive(Clone, Debug)]
pub struct Invite {
    pub request_uri: Uri,
    pub from: NameAddr,
    pub to: NameAddr,
    /// Next hop when it is not the host of the Request-URI.
    pub proxy: Option<(String, Option<u16>)>,
    pub transport: Transport,
    pub credentials: Option<Credentials>,
    pub sdp: Vec<u8>,
    /// Further headers, `X-…` and the like.
    pub headers: Headers,
}

/// An INVITE that passed the guard.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub call: CallId,
    pub trunks: Vec<Arc<str>>,
    pub request_uri: Uri,
    pub from: NameAddr,
    pub to: NameAddr,
    pub sip_call_id: String,
    /// `None`: the offer is wanted from us (RFC 3261 section 13.2.1).
    pub sdp: Option<Vec<u8>>,
    pub source: SocketAddr,
}

#[derive(Clone, Debug)]
pub enum Event {
    Incoming(Box<Incoming>),
    /// Provisional response to our INVITE, with early media if it carries SDP.
    Progress {
        call: CallId,
        status: u16,
        sdp: Option<Vec<u8>>,
    },
    /// Our INVITE was accepted; the ACK is already queued.
    Answered {
        call: CallId,
        sdp: Option<Vec<u8>>,
        sip_call_id: String,
    },
    /// Our 200 was acknowledged; carries the answer to an offer of ours.
    Confirmed {
        call: CallId,
        sdp: Option<Vec<u8>>,
    },
    /// re-INVITE or UPDATE: answer with [`Endpoint::answer_reoffer`]. `None`: the peer wants our offer.
    Reoffer {
        call: CallId,
        sdp: Option<Vec<u8>>,
    },
    Info {
        call: CallId,
        content_type: String,
        body: Vec<u8>,
    },
    /// News of a transfer that was asked for with [`Endpoint::refer`].
    Referral {
        call: CallId,
        referral: Referral,
    },
    /// The answer to [`Endpoint::options`]; none when nobody answered.
    Probed {
        call: CallId,
        status: Option<u16>,
    },
    Ended {
        call: CallId,
        cause: Cause,
    },
}

/// A command that does not fit the state of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownCall,
    WrongState,
    Overload,
}

/// Counters for the metrics page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub received: u64,
    pub garbage: u64,
    pub refused: u64,
    pub retransmitted: u64,
    pub forbidden: u64,
    pub overload: u64,
}

#[derive(Debug)]
pub(crate) struct Session {
    state: SessionState,
    call_id: String,
    local_tag: String,
    credentials: Option<Credentials>,
    auth: Option<Authorization>,
    /// Where the peer's last message came from, for peers behind NAT.
    source: Option<(Transport, SocketAddr)>,
    transport: Transport,
    /// The owner has been told that the call ended.
    ended: bool,
}

#[derive(Debug)]
struct Authorization {
    session: ClientSession,
    proxy: bool,
}

#[derive(Debug)]
enum SessionState {
    /// Inbound, no final answer yet.
    Ringing {
        tx: Arc<str>,
        request: Box<Request>,
    },
    /// Inbound, 200 sent, ACK missing; `hang_up` sends BYE as soon as it comes.
    AwaitingAck {
        tx: Arc<str>,
        dialog: Box<Dialog>,
        hang_up: bool,
    },
    /// Outbound, no final answer yet.
    Calling(Box<uac::Calling>),
    Established {
        dialog: Box<Dialog>,
        ack: Option<uac::SentAck>,
        reoffer: Option<Arc<str>>,
    },
    /// BYE sent.
    Closing,
}

pub struct Endpoint {
    config: Config,
    started: Instant,
    tokens: TokenSource,
    next_call: u64,
    sessions: HashMap<CallId, Session>,
    /// Call-ID and local tag to call.
    dialogs: HashMap<String, CallId>,
    servers: HashMap<Arc<str>, transactions::ServerTx>,
    clients: HashMap<Arc<str>, transactions::ClientTx>,
    /// From tag, Call-ID and CSeq of initial INVITEs, to find merged requests (section 8.2.2.2).
    initial: HashMap<String, Arc<str>>,
    timers: BinaryHeap<transactions::Deadline>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counters: Counters,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("sessions", &self.sessions.len())
            .field("servers", &self.servers.len())
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// `seed` must be unguessable outside of tests: tags, branches and nonces come from it.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            started: now,
            tokens: TokenSource::new(seed),
            next_call: 1,
            sessions: HashMap::new(),
            dialogs: HashMap::new(),
            servers: HashMap::new(),
            clients: HashMap::new(),
            initial: HashMap::new(),
            timers: BinaryHeap::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Replaces the inbound rules; calls in progress are not touched.
    /// New calls over this number are refused with 503; those there are stay.
    pub fn set_calls_max(&mut self, calls_max: usize) {
        self.config.calls_max = calls_max;
    }

    pub fn set_trunks(&mut self, trunks: Vec<TrunkRule>) {
        self.config.trunks = trunks;
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Calls not yet ended for their owner.
    pub fn calls(&self) -> usize {
        self.sessions.values().filter(|session| !session.ended).count()
    }

    /// Sessions, server transactions, client transactions: all zero after an idle minute.
    pub fn held(&self) -> (usize, usize, usize) {
        (self.sessions.len(), self.servers.len(), self.clients.len())
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn new_call(&mut self) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        call
    }

    /// Tells the owner once; the session itself may live on until its last transaction is done.
    fn end(&mut self, call: CallId, cause: Cause) {
        if let Some(session) = self.sessions.get_mut(&call)
            && !session.ended
        {
            session.ended = true;
            self.events.push_back(Event::Ended { call, cause });
        }
    }

    fn remove_session(&mut self, call: CallId) {
        if let Some(session) = self.sessions.remove(&call) {
            self.dialogs.remove(&dialog_key(&session.call_id, &session.local_tag));
        }
    }
}

fn dialog_key(call_id: &str, local_tag: &str) -> String {
    format!("{call_id}\n{local_tag}")
}
