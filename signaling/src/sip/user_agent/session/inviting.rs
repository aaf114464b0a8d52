//! Our INVITE before its final answer, with the early dialogs of those who rang.

use super::early_dialog::EarlyDialog;
use super::established::CallRights;
use super::pending_request::PendingRequest;
use crate::limits;
use crate::sip::user_agent::client_authenticator::ClientAuthenticator;
use std::sync::Arc;

/// An INVITE of ours without a final answer.
#[derive(Debug)]
pub(crate) struct Inviting {
    pub(crate) request: PendingRequest,
    /// `None` if the trunk has no credentials.
    pub(crate) authenticator: Option<ClientAuthenticator>,
    pub(crate) rights: CallRights,
    /// Our offer; empty when the peer is to make one.
    pub(crate) local_sdp: Vec<u8>,
    early_dialogs: Vec<EarlyDialog>,
}

impl Inviting {
    pub(crate) fn new(authenticator: Option<ClientAuthenticator>, rights: CallRights, local_sdp: Vec<u8>) -> Self {
        Self { request: PendingRequest::Resolving, authenticator, rights, local_sdp, early_dialogs: Vec::new() }
    }

    pub(crate) fn early_dialog(&self, tag: &str) -> Option<&EarlyDialog> {
        self.early_dialogs.iter().find(|early| early.dialog.remote_tag == tag)
    }

    pub(crate) fn early_dialog_mut(&mut self, tag: &str) -> Option<&mut EarlyDialog> {
        self.early_dialogs.iter_mut().find(|early| early.dialog.remote_tag == tag)
    }

    /// The early dialog of a tag, made by `new` if it is the first of its tag; `None` if there are too many.
    pub(crate) fn early_dialog_or(&mut self, tag: &str, new: impl FnOnce() -> EarlyDialog) -> Option<&mut EarlyDialog> {
        let at = match self.early_dialogs.iter().position(|early| early.dialog.remote_tag == tag) {
            Some(at) => at,
            None if self.early_dialogs.len() >= limits::EARLY_DIALOGS_MAX => return None,
            None => {
                self.early_dialogs.push(new());
                self.early_dialogs.len().saturating_sub(1)
            }
        };
        self.early_dialogs.get_mut(at)
    }

    /// The fork whose offer the owner has to answer: one at a time, because the owner has one media session.
    pub(crate) fn offering_fork(&mut self) -> Option<&mut EarlyDialog> {
        self.early_dialogs.iter_mut().find(|early| early.remote_key().is_some())
    }

    /// Some fork has an offer open.
    pub(crate) fn has_remote_offer(&self) -> bool {
        self.early_dialogs.iter().any(|early| early.remote_key().is_some())
    }

    /// The final answer of a tag completes its early dialog; the others are over.
    pub(crate) fn complete(self, tag: &str) -> CompletedInvite {
        let (won, lost): (Vec<_>, Vec<_>) =
            self.early_dialogs.into_iter().partition(|early| early.dialog.remote_tag == tag);
        let unanswered = lost.iter().filter_map(|early| early.remote_key().cloned()).collect();
        let mut answers = lost.into_iter().filter_map(EarlyDialog::into_answer);
        let other_answer = answers.next().filter(|_| answers.next().is_none());
        CompletedInvite {
            early: won.into_iter().next(),
            other_answer,
            unanswered,
            authenticator: self.authenticator,
            rights: self.rights,
            local_sdp: self.local_sdp,
        }
    }

    /// Transactions of offers without an answer.
    pub(crate) fn open_offers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.early_dialogs.iter().filter_map(EarlyDialog::remote_key)
    }
}

/// What is left of an INVITE that was accepted.
#[derive(Debug)]
pub(crate) struct CompletedInvite {
    /// The early dialog of the tag that answered, if it has rung before.
    pub(crate) early: Option<EarlyDialog>,
    /// The only description of another tag.
    pub(crate) other_answer: Option<Vec<u8>>,
    /// Transactions of the other forks' offers.
    pub(crate) unanswered: Vec<Arc<str>>,
    pub(crate) authenticator: Option<ClientAuthenticator>,
    pub(crate) rights: CallRights,
    pub(crate) local_sdp: Vec<u8>,
}
