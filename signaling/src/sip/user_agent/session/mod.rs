//! One SIP session as an enum of modes, each owning only what it has: our INVITE or the peer's before the final answer,
//! the dialog after it, the last request after the end; and the requests outside of calls (registrations, probes).

mod early_dialog;
mod established;
mod inviting;
mod offer_answer;
mod pending_request;
mod reliable_provisionals;
mod ringing;
mod session_mode;
mod session_requests;
mod session_table;
mod terminating;

pub(super) use early_dialog::{EarlyDialog, EarlyOfferAnswer, ProvisionalAction, is_reliable};
pub(super) use established::{
    AnswerDue, AwaitingAck, CallOrigin, CallRights, Confirmed, DialogPath, Established, InviteAck, PeerAddress,
    PeerRefer, Referral, SentAck, SentDescription,
};
pub(super) use inviting::Inviting;
pub(super) use offer_answer::{OfferAnswer, OfferConflict, OfferContent, OfferStart, RemoteOffer};
pub(super) use pending_request::PendingRequest;
pub(super) use reliable_provisionals::{AcknowledgedProvisional, AwaitingPrack, ReliableProvisionals, ReliableTimeout};
pub(super) use ringing::{CallerProof, Ringing, TrunkMembership};
pub(super) use session_mode::{DialogIds, SessionMode, SipSession};
pub(super) use session_requests::OpenRequests;
pub(super) use session_table::SessionTable;
pub(super) use terminating::{CancelStage, Canceling, LastRequest, Terminating};
