//! A call whose owner knows of its end, while its last request goes on.

use super::established::{AwaitingAck, CallOrigin, Established};
use super::inviting::Inviting;
use crate::sip::user_agent::client_authenticator::ClientAuthenticator;
use crate::sip::user_agent::inbound_trunks::TrunkKey;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Upper bound for a session after its call has ended: 64 T1 for a missing ACK and 64 T1 for the BYE. A safety net;
/// sessions normally end earlier.
const LINGER: Duration = Duration::from_secs(100);

/// How far a CANCEL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelStage {
    /// Wanted before any response came: sent with the first provisional (RFC 3261 section 9.1).
    AwaitingProvisional,
    /// Sent.
    Sent,
}

/// Our INVITE that is cancelled: a 200 may still cross the CANCEL.
#[derive(Debug)]
pub(crate) struct Canceling {
    /// Its client transaction.
    pub(crate) invite: Arc<str>,
    pub(crate) stage: CancelStage,
    /// What the dialog of a crossing 200 takes over.
    pub(crate) inviting: Box<Inviting>,
}

/// What the session still waits for.
#[derive(Debug)]
pub(crate) enum LastRequest {
    /// The final answer of a cancelled INVITE.
    Cancel(Canceling),
    /// The ACK of our 200: a UAS must not send BYE before the ACK or its timeout (section 15).
    AwaitingAck(Box<AwaitingAck>),
    /// The answer to our BYE.
    Bye { origin: CallOrigin, trunk: Option<TrunkKey> },
    /// The answer to the REGISTER that ends a registration.
    Unregister { authenticator: Option<ClientAuthenticator> },
}

impl LastRequest {
    /// A BYE was sent in this dialog: what is left of the call.
    pub(crate) fn bye(dialog: Established) -> Self {
        Self::Bye { origin: dialog.origin, trunk: dialog.rights.trunk }
    }
}

/// A session that has ended for its owner.
#[derive(Debug)]
pub(crate) struct Terminating {
    pub(crate) last: LastRequest,
    /// It is dropped at this time.
    pub(crate) drop_at: Instant,
}

impl Terminating {
    pub(crate) fn new(now: Instant, last: LastRequest) -> Self {
        Self { last, drop_at: now + LINGER }
    }
}
