//! A dialog after the final answer: waiting for the peer's ACK, owing it ours, or confirmed.

use super::offer_answer::{OfferAnswer, RemoteOffer};
use crate::limits;
use crate::sip::dialog::Dialog;
use crate::sip::message::Request;
use crate::sip::message::scan::param;
use crate::sip::session_timer::SessionTimer;
use crate::sip::transport::{Transmit, Transport, TransportAddress};
use crate::sip::user_agent::client_authenticator::ClientAuthenticator;
use crate::sip::user_agent::inbound_trunks::TrunkKey;
use crate::sip::user_agent::sips::goes_to_sips;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// The address at which a peer is known to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerAddress {
    /// Where its last request came from, for peers behind NAT. `is_symmetric`: it is reached there, because its request
    /// came over a connection or asked for answers to that port (rport, RFC 3581).
    SentFrom { address: TransportAddress, is_symmetric: bool },
    /// Where our INVITE went; the peer has sent no request yet.
    InviteWentTo(TransportAddress),
}

/// How requests inside a dialog travel, where its URIs leave that open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DialogPath {
    /// Of the INVITE: for next hops that name none.
    pub(crate) transport: Transport,
    pub(crate) peer: PeerAddress,
    /// Our Contact in this dialog is a SIPS URI.
    pub(crate) is_sips: bool,
}

impl PeerAddress {
    /// Where a request of the peer came from.
    pub(crate) fn of_request(request: &Request, address: TransportAddress) -> Self {
        let has_rport = || request.headers.top_via().is_some_and(|via| param(&via.params, "rport").is_some());
        Self::SentFrom { address, is_symmetric: address.transport.is_reliable() || has_rport() }
    }
}

impl DialogPath {
    /// Of the dialog of our INVITE, which went there.
    pub(crate) fn of_invite(invite: &Request, address: TransportAddress) -> Self {
        Self { transport: address.transport, peer: PeerAddress::InviteWentTo(address), is_sips: goes_to_sips(invite) }
    }

    /// A request of the peer came from there. Its first one of an address says how it is reached.
    pub(crate) fn meet(&mut self, request: &Request, from: TransportAddress) {
        if !matches!(self.peer, PeerAddress::SentFrom { address, .. } if address == from) {
            self.peer = PeerAddress::of_request(request, from);
        }
    }

    /// The peer was met where our INVITE went.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.peer, PeerAddress::InviteWentTo(_))
    }

    /// Where the peer was met: the address it sent from, else the one our INVITE went to.
    pub(crate) fn met_at(&self) -> TransportAddress {
        match self.peer {
            PeerAddress::SentFrom { address, .. } | PeerAddress::InviteWentTo(address) => address,
        }
    }
}

/// What the peer may do with the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallRights {
    /// The one trunk the call belongs to; only its callers may replace the call. `None`: nobody may.
    pub(crate) trunk: Option<TrunkKey>,
    /// The peer may transfer the call (REFER).
    pub(crate) accept_refer: bool,
}

/// Who made the call, with what only that side has.
#[derive(Debug)]
pub(crate) enum CallOrigin {
    /// We did: the Call-ID is ours. `None` if the trunk has no credentials.
    Ours { authenticator: Option<ClientAuthenticator> },
    /// The peer did, from this address, to which our tag was sent.
    Peers { invited_from: IpAddr },
}

/// A dialog with its final answer.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) dialog: Dialog,
    pub(crate) path: DialogPath,
    pub(crate) origin: CallOrigin,
    pub(crate) rights: CallRights,
    /// The peer takes UPDATE.
    pub(crate) peer_updates: bool,
    /// `None` if the sides agreed on none.
    pub(crate) timer: Option<SessionTimer>,
    /// Our last description, for refreshes by re-INVITE.
    pub(crate) local_sdp: Vec<u8>,
}

/// We sent a 200, and its ACK is still to come.
#[derive(Debug)]
pub(crate) struct AwaitingAck {
    /// Server transaction of the INVITE.
    pub(crate) tx: Arc<str>,
    /// Of the INVITE, which its ACK repeats.
    pub(crate) cseq: u32,
    /// What our 200 said.
    pub(crate) sent: SentDescription,
    /// An offer of the early dialog that has no answer yet.
    pub(crate) remote_offer: Option<RemoteOffer>,
    pub(crate) established: Established,
}

/// What the description of our 200 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentDescription {
    /// The answer to the peer's offer.
    Answer,
    /// Our offer: the ACK brings the answer.
    Offer,
}

impl AwaitingAck {
    /// The ACK came, or is no longer waited for.
    pub(crate) fn into_confirmed(self) -> Confirmed {
        let offer_answer = OfferAnswer::from(self.remote_offer);
        Confirmed {
            established: self.established,
            offer_answer,
            open_refer: None,
            peer_refer: PeerRefer::None,
            referral: Referral::None,
            ack: InviteAck::Peers,
        }
    }
}

/// The peer answered with an offer: our ACK waits for the answer of the owner.
#[derive(Debug)]
pub(crate) struct AnswerDue {
    /// Client transaction of the INVITE.
    pub(crate) invite: Arc<str>,
    pub(crate) cseq: u32,
    pub(crate) established: Established,
}

/// Who sent the last ACK.
#[derive(Debug)]
pub(crate) enum InviteAck {
    /// The peer: we answered.
    Peers,
    /// We: it is resent for every retransmission of the 2xx.
    Ours(SentAck),
}

/// A confirmed dialog.
#[derive(Debug)]
pub(crate) struct Confirmed {
    pub(crate) established: Established,
    pub(crate) offer_answer: OfferAnswer,
    /// Transaction of a REFER that is not answered yet.
    pub(crate) open_refer: Option<Arc<str>>,
    /// The REFER that our reports are about.
    pub(crate) peer_refer: PeerRefer,
    /// Our REFER, whose outcome the peer reports.
    pub(crate) referral: Referral,
    pub(crate) ack: InviteAck,
}

/// The subscription of a REFER of ours (RFC 3515 section 2.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Referral {
    /// There is none, or it is over.
    None,
    /// The peer may report. `since`: CSeq number of the REFER as it was first sent; challenges raise it.
    Open { since: u32 },
}

/// Which of the peer's REFERs our NOTIFYs are about (RFC 3515 section 2.4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerRefer {
    /// There was none.
    None,
    /// The first of the dialog needs no name.
    First,
    /// A later one is named by its CSeq number.
    Later { id: u32 },
}

impl PeerRefer {
    /// The next one, with this CSeq number.
    pub(crate) fn next(self, cseq: u32) -> Self {
        match self {
            Self::None => Self::First,
            Self::First | Self::Later { .. } => Self::Later { id: cseq },
        }
    }

    /// Value of the Event header of our reports.
    pub(crate) fn event(self) -> String {
        match self {
            Self::None | Self::First => "refer".to_owned(),
            Self::Later { id } => format!("refer;id={id}"),
        }
    }
}

impl Confirmed {
    /// A NOTIFY with this id, if it has one, is of our REFER (RFC 3515 section 2.4.6).
    pub(crate) fn is_referral(&self, id: Option<&str>) -> bool {
        let Referral::Open { since } = self.referral else { return false };
        let sent = since..=self.established.dialog.local_cseq();
        id.is_none_or(|id| id.trim().parse().is_ok_and(|id: u32| sent.contains(&id)))
    }
}

/// The ACK of a 2xx, resent for every retransmission of it.
#[derive(Clone, Debug)]
pub(crate) struct SentAck {
    /// The transaction of its INVITE.
    invite: Arc<str>,
    /// The same ACK for each place where the peer may be, the next one to be tried first.
    places: VecDeque<Transmit>,
    /// How often it was sent again.
    repeated: u8,
}

impl SentAck {
    /// An ACK that was sent to the first of these places.
    pub(crate) fn new(invite: Arc<str>, sent: impl IntoIterator<Item = Transmit>) -> Self {
        let mut places: VecDeque<Transmit> = sent.into_iter().collect();
        places.rotate_left(1.min(places.len()));
        Self { invite, places, repeated: 0 }
    }

    /// For a repetition of its 2xx, unless there were too many. Its repetition says that the ACK did not arrive, so each
    /// goes to the next place.
    pub(crate) fn resend(&mut self, invite: &str) -> Option<Transmit> {
        if *self.invite != *invite || self.repeated >= limits::ACKS_REPEATED_MAX {
            return None;
        }
        self.repeated = self.repeated.saturating_add(1);
        let next = self.places.pop_front()?;
        self.places.push_back(next.clone());
        Some(next)
    }
}
