//! The modes of a session and what each allows.

use super::established::{AnswerDue, AwaitingAck, CallOrigin, Confirmed, Established};
use super::inviting::Inviting;
use super::pending_request::PendingRequest;
use super::ringing::{Ringing, TrunkMembership};
use super::terminating::{Canceling, LastRequest, Terminating};
use crate::sip::user_agent::client_authenticator::ClientAuthenticator;
use crate::sip::user_agent::inbound_trunks::TrunkKey;
use crate::sip::user_agent::server_names::ServerNames;
use crate::sip::user_agent::unreachable_addresses::ReachabilityScope;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// What names our side of a dialog on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DialogIds {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    /// User part of our Contact, the same in all messages of the dialog.
    pub(crate) contact_user: Option<String>,
}

/// The modes of a session.
#[derive(Debug)]
pub(crate) enum SessionMode {
    /// Our INVITE, no final answer yet.
    Inviting(Box<Inviting>),
    /// The peer's INVITE, no final answer of ours yet.
    Ringing(Box<Ringing>),
    /// We answered; the ACK is still to come.
    AwaitingAck(Box<AwaitingAck>),
    /// The peer answered with an offer; our ACK waits for the owner's answer.
    AnswerDue(Box<AnswerDue>),
    /// Both sides have answered and acknowledged.
    Confirmed(Box<Confirmed>),
    /// The owner knows of the end; the last request goes on.
    Terminating(Box<Terminating>),
    /// A registration's: the key of the registration.
    Registering { id: Arc<str>, authenticator: Option<ClientAuthenticator> },
    /// An OPTIONS probe, which is given up at this time.
    Probing { request: PendingRequest, authenticator: Option<ClientAuthenticator>, drop_at: Instant },
}

impl SessionMode {
    /// A call whose owner has not been told of its end.
    pub(crate) fn is_open_call(&self) -> bool {
        match self {
            Self::Inviting(_) | Self::Ringing(_) | Self::AwaitingAck(_) | Self::AnswerDue(_) | Self::Confirmed(_) => {
                true
            }
            Self::Terminating(_) | Self::Registering { .. } | Self::Probing { .. } => false,
        }
    }
}

/// A call, a registration or a probe.
#[derive(Debug)]
pub(crate) struct SipSession {
    pub(crate) ids: DialogIds,
    pub(super) mode: SessionMode,
    /// TLS server names of the peer's addresses.
    pub(crate) server_names: ServerNames,
}

impl SipSession {
    pub(crate) fn new(ids: DialogIds, mode: SessionMode) -> Self {
        Self { ids, mode, server_names: ServerNames::default() }
    }

    /// The mode, to be read. Only the session table changes it, because it counts the calls.
    pub(crate) fn mode(&self) -> &SessionMode {
        &self.mode
    }

    pub(crate) fn inviting(&mut self) -> Option<&mut Inviting> {
        if let SessionMode::Inviting(inviting) = &mut self.mode { Some(inviting) } else { None }
    }

    pub(crate) fn ringing(&mut self) -> Option<&mut Ringing> {
        if let SessionMode::Ringing(ringing) = &mut self.mode { Some(ringing) } else { None }
    }

    pub(crate) fn confirmed(&mut self) -> Option<&mut Confirmed> {
        if let SessionMode::Confirmed(confirmed) = &mut self.mode { Some(confirmed) } else { None }
    }

    pub(crate) fn canceling(&mut self) -> Option<&mut Canceling> {
        match &mut self.mode {
            SessionMode::Terminating(over) => match &mut over.last {
                LastRequest::Cancel(canceling) => Some(canceling),
                _ => None,
            },
            _ => None,
        }
    }

    /// Our INVITE is cancelled.
    pub(crate) fn is_canceling(&self) -> bool {
        matches!(&self.mode, SessionMode::Terminating(over) if matches!(over.last, LastRequest::Cancel(_)))
    }

    /// The dialog inside which we may send requests.
    pub(crate) fn dialog_for_requests(&mut self) -> Option<&mut Established> {
        match &mut self.mode {
            SessionMode::AnswerDue(due) => Some(&mut due.established),
            SessionMode::Confirmed(confirmed) => Some(&mut confirmed.established),
            _ => None,
        }
    }

    /// The dialog after a final answer, while the call lasts.
    pub(crate) fn established(&mut self) -> Option<&mut Established> {
        match &mut self.mode {
            SessionMode::AwaitingAck(waiting) => Some(&mut waiting.established),
            SessionMode::AnswerDue(due) => Some(&mut due.established),
            SessionMode::Confirmed(confirmed) => Some(&mut confirmed.established),
            _ => None,
        }
    }

    /// An inbound call whose owner has not responded.
    pub(crate) fn is_unattended(&self) -> bool {
        matches!(&self.mode, SessionMode::Ringing(ringing) if !ringing.is_attended)
    }

    pub(crate) fn is_options_probe(&self) -> bool {
        matches!(self.mode, SessionMode::Probing { .. })
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match &self.mode {
            SessionMode::Inviting(_) | SessionMode::AwaitingAck(_) | SessionMode::Registering { .. } => None,
            SessionMode::Ringing(ringing) => ringing.provisionals.next_timeout(),
            SessionMode::AnswerDue(due) => due.established.timer.map(|timer| timer.at),
            SessionMode::Confirmed(confirmed) => {
                let timer = confirmed.established.timer.map(|timer| timer.at);
                [timer, confirmed.offer_answer.next_timeout()].into_iter().flatten().min()
            }
            SessionMode::Terminating(over) => Some(over.drop_at),
            SessionMode::Probing { drop_at, .. } => Some(*drop_at),
        }
    }

    /// The call's credentials with the challenges they have answered; `None` without credentials.
    pub(crate) fn authenticator(&mut self) -> Option<&mut ClientAuthenticator> {
        match &mut self.mode {
            SessionMode::Inviting(inviting) => inviting.authenticator.as_mut(),
            SessionMode::Registering { authenticator, .. } | SessionMode::Probing { authenticator, .. } => {
                authenticator.as_mut()
            }
            SessionMode::Terminating(over) => match &mut over.last {
                LastRequest::Cancel(canceling) => canceling.inviting.authenticator.as_mut(),
                LastRequest::Unregister { authenticator } => authenticator.as_mut(),
                LastRequest::Bye { origin, .. } => origin.authenticator(),
                LastRequest::AwaitingAck(waiting) => waiting.established.origin.authenticator(),
            },
            SessionMode::AwaitingAck(waiting) => waiting.established.origin.authenticator(),
            SessionMode::AnswerDue(due) => due.established.origin.authenticator(),
            SessionMode::Confirmed(confirmed) => confirmed.established.origin.authenticator(),
            SessionMode::Ringing(_) => None,
        }
    }

    /// Of a call that the peer made: the address that its INVITE came from.
    pub(crate) fn invited_from(&self) -> Option<IpAddr> {
        let origin = match &self.mode {
            SessionMode::Ringing(ringing) => return Some(ringing.invited_from),
            SessionMode::AwaitingAck(waiting) => &waiting.established.origin,
            SessionMode::Confirmed(confirmed) => &confirmed.established.origin,
            SessionMode::Terminating(over) => match &over.last {
                LastRequest::AwaitingAck(waiting) => &waiting.established.origin,
                LastRequest::Bye { origin, .. } => origin,
                LastRequest::Cancel(_) | LastRequest::Unregister { .. } => return None,
            },
            SessionMode::Inviting(_)
            | SessionMode::AnswerDue(_)
            | SessionMode::Registering { .. }
            | SessionMode::Probing { .. } => return None,
        };
        match origin {
            CallOrigin::Peers { invited_from } => Some(*invited_from),
            CallOrigin::Ours { .. } => None,
        }
    }

    /// The trunk of a call, once it is chosen.
    pub(crate) fn trunk(&self) -> Option<&TrunkKey> {
        match &self.mode {
            SessionMode::Inviting(inviting) => inviting.rights.trunk.as_ref(),
            SessionMode::Ringing(ringing) => match &ringing.membership {
                TrunkMembership::Unassigned => None,
                TrunkMembership::Assigned { trunk, .. } => Some(trunk),
            },
            SessionMode::AwaitingAck(waiting) => waiting.established.rights.trunk.as_ref(),
            SessionMode::AnswerDue(due) => due.established.rights.trunk.as_ref(),
            SessionMode::Confirmed(confirmed) => confirmed.established.rights.trunk.as_ref(),
            SessionMode::Terminating(over) => match &over.last {
                LastRequest::Cancel(canceling) => canceling.inviting.rights.trunk.as_ref(),
                LastRequest::Bye { trunk, .. } => trunk.as_ref(),
                LastRequest::AwaitingAck(waiting) => waiting.established.rights.trunk.as_ref(),
                LastRequest::Unregister { .. } => None,
            },
            SessionMode::Registering { .. } | SessionMode::Probing { .. } => None,
        }
    }

    /// Whose list of silent addresses its requests use.
    pub(crate) fn reachability_scope(&self) -> ReachabilityScope {
        match &self.mode {
            SessionMode::Probing { .. } => ReachabilityScope::Unlisted,
            SessionMode::Registering { id, .. } => ReachabilityScope::Trunk(id.clone()),
            _ => self.trunk().cloned().into(),
        }
    }
}

impl SessionMode {
    /// The dialog in which the peer may send requests.
    pub(super) fn dialog_of_peer(&mut self) -> Option<&mut Established> {
        match self {
            Self::AwaitingAck(waiting) => Some(&mut waiting.established),
            Self::AnswerDue(due) => Some(&mut due.established),
            Self::Confirmed(confirmed) => Some(&mut confirmed.established),
            Self::Terminating(over) => match &mut over.last {
                LastRequest::AwaitingAck(waiting) => Some(&mut waiting.established),
                LastRequest::Cancel(_) | LastRequest::Bye { .. } | LastRequest::Unregister { .. } => None,
            },
            Self::Inviting(_) | Self::Ringing(_) | Self::Registering { .. } | Self::Probing { .. } => None,
        }
    }

    /// The dialog after a final answer, to be ended; else the mode as it is.
    pub(crate) fn into_established(self) -> Result<Established, Box<Self>> {
        match self {
            Self::AwaitingAck(waiting) => Ok(waiting.established),
            Self::AnswerDue(due) => Ok(due.established),
            Self::Confirmed(confirmed) => Ok(confirmed.established),
            Self::Terminating(over) => match *over {
                Terminating { last: LastRequest::AwaitingAck(waiting), .. } => Ok(waiting.established),
                same => Err(Box::new(Self::Terminating(Box::new(same)))),
            },
            same => Err(Box::new(same)),
        }
    }

    pub(super) fn is_bye_sent(&self) -> bool {
        matches!(self, Self::Terminating(over) if matches!(over.last, LastRequest::Bye { .. }))
    }
}

impl CallOrigin {
    fn authenticator(&mut self) -> Option<&mut ClientAuthenticator> {
        match self {
            Self::Ours { authenticator } => authenticator.as_mut(),
            Self::Peers { .. } => None,
        }
    }
}
