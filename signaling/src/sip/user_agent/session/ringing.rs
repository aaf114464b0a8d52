//! The peer's INVITE before our final answer: the answering side of an early dialog.

use super::established::{CallRights, DialogPath};
use super::offer_answer::{OfferConflict, RemoteOffer};
use super::reliable_provisionals::ReliableProvisionals;
use crate::sip::message::{Method, Request};
use crate::sip::user_agent::inbound_trunks::{TrunkCandidates, TrunkKey};
use std::net::IpAddr;
use std::sync::Arc;

/// How the caller was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerProof {
    /// Credentials, or the secret Contact of a registration: no other trunk is possible.
    Authenticated,
    /// An address, which several trunks may list. `stale`: its credentials were right, but too old.
    AddressOnly { stale: bool },
}

impl CallerProof {
    pub(crate) fn of(candidates: &TrunkCandidates) -> Self {
        match candidates.is_proven() {
            true => Self::Authenticated,
            false => Self::AddressOnly { stale: candidates.stale },
        }
    }
}

/// Which trunk the call belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrunkMembership {
    /// Not chosen yet: the owner of the numbers does it.
    Unassigned,
    /// The call has the rights of this trunk.
    Assigned { trunk: TrunkKey, accept_refer: bool },
}

impl TrunkMembership {
    /// The rights of the call once it is answered.
    pub(crate) fn rights(&self) -> CallRights {
        match self {
            Self::Unassigned => CallRights { trunk: None, accept_refer: false },
            Self::Assigned { trunk, accept_refer } => {
                CallRights { trunk: Some(trunk.clone()), accept_refer: *accept_refer }
            }
        }
    }
}

/// An INVITE of the peer without a final answer.
#[derive(Debug)]
pub(crate) struct Ringing {
    /// Its server transaction.
    pub(crate) tx: Arc<str>,
    pub(crate) request: Request,
    /// Of the peer's last request in the early dialog.
    pub(crate) remote_cseq: u32,
    pub(crate) path: DialogPath,
    /// Where the INVITE came from, and where our tag is sent.
    pub(crate) invited_from: IpAddr,
    pub(crate) caller_proof: CallerProof,
    pub(crate) membership: TrunkMembership,
    /// Its owner has responded.
    pub(crate) is_attended: bool,
    pub(crate) provisionals: ReliableProvisionals,
    /// An offer of the peer in the early dialog (PRACK, UPDATE) that has no answer yet.
    pub(crate) remote_offer: Option<RemoteOffer>,
}

impl Ringing {
    /// The offer of its INVITE comes first, until it has acknowledged our answer to that one.
    pub(crate) fn check_remote(&self, method: &Method) -> Result<(), OfferConflict> {
        let may_offer = self.remote_offer.is_none() && self.provisionals.is_answered();
        if *method == Method::Update && may_offer { Ok(()) } else { Err(OfferConflict::Busy) }
    }

    /// CSeq number of the INVITE.
    pub(crate) fn cseq(&self) -> Option<u32> {
        self.request.headers.cseq().map(|cseq| cseq.number)
    }
}
