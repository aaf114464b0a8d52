//! What the SIP task owns.

use crate::io::dns::{DnsCache, LookupResult};
use crate::io::listener::ListenerContext;
use crate::io::message_recorder::MessageRecorder;
use crate::io::open_connections::OpenConnections;
use crate::io::self_checks::SelfChecks;
use crate::io::tls::TlsCertificates;
use crate::sip::user_agent::{CallId, IncomingInvite, RegistrationEvent, SipEvent, UserAgent};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, mpsc};

/// An incoming call and its event queue.
#[derive(Debug)]
pub struct IncomingCall {
    /// The admitted INVITE with its trunk candidates, not answered yet.
    pub incoming: IncomingInvite,
    /// Events of this call, at most 64 waiting; the call is ended when its owner does not read them.
    pub events: mpsc::Receiver<SipEvent>,
}

pub(in crate::io) struct SipDriver {
    pub(in crate::io) user_agent: UserAgent,
    pub(in crate::io) udp: Arc<UdpSocket>,
    pub(in crate::io) streams: OpenConnections,
    pub(in crate::io) admission: ListenerContext,
    pub(in crate::io) certificates: TlsCertificates,
    pub(in crate::io) calls: HashMap<CallId, mpsc::Sender<SipEvent>>,
    /// Event queues of calls that replace another call, until the owner takes them.
    pub(in crate::io) unclaimed_events: HashMap<CallId, mpsc::Receiver<SipEvent>>,
    pub(in crate::io) incoming: mpsc::Sender<IncomingCall>,
    pub(in crate::io) registrations: mpsc::Sender<(Arc<str>, RegistrationEvent)>,
    pub(in crate::io) names: DnsCache,
    pub(in crate::io) resolved: mpsc::Sender<LookupResult>,
    /// Limits DNS lookups for ACKs.
    pub(in crate::io) ack_lookups: Arc<Semaphore>,
    pub(in crate::io) self_checks: SelfChecks,
    pub(in crate::io) messages: MessageRecorder,
}
