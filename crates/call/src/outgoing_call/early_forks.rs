//! The forks of an INVITE that answered before the 200: each is a dialog with its own offers and answers.

use crate::negotiate::{Negotiation, NegotiationError};
use trunkline_media::leg::{StreamConfig, StreamDirection};
use trunkline_signaling::sip::early_media::EarlyMediaAuthorization;

/// Forks that are kept; the user agent has as many early dialogs at most. A further fork is heard when it answers.
const FORKS_MAX: usize = 16;

/// What a description in a provisional response means for the 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlyAnswer {
    /// It came unreliably: the 200 repeats or replaces it (RFC 3261 section 13.2.1).
    Preview,
    /// An offer of the fork (UPDATE) has replaced it: that holds unless the 200 has a description.
    Renegotiated,
    /// It came reliably: it is the answer, whatever the 200 says (RFC 6337 section 2.2).
    Final,
}

/// A fork that answered early.
#[derive(Clone, Debug)]
pub struct EarlyFork {
    remote_tag: String,
    negotiation: Negotiation,
    stream: StreamConfig,
    answer: EarlyAnswer,
    /// The network stops its media.
    is_gated: bool,
}

impl EarlyFork {
    /// The fork's first description, an answer to the offer of `negotiation`.
    pub(super) fn from_answer(
        remote_tag: String, mut negotiation: Negotiation, answer: &[u8], is_reliable: bool,
    ) -> Result<Self, NegotiationError> {
        let stream = negotiation.accept(answer)?;
        let answer = if is_reliable { EarlyAnswer::Final } else { EarlyAnswer::Preview };
        Ok(Self { remote_tag, negotiation, stream, answer, is_gated: false })
    }

    /// The fork makes an offer (UPDATE) before a description of it could be used: the fork and our answer.
    pub(super) fn from_offer(
        remote_tag: String, mut negotiation: Negotiation, offer: &[u8],
    ) -> Result<(Self, Vec<u8>), NegotiationError> {
        let (stream, text) = negotiation.answer(offer)?;
        let answer = EarlyAnswer::Renegotiated;
        Ok((Self { remote_tag, negotiation, stream, answer, is_gated: false }, text))
    }

    /// Another description in a provisional response: false if it cannot be used, or an answer stands already.
    pub(super) fn handle_answer(&mut self, answer: &[u8], is_reliable: bool) -> bool {
        if self.answer == EarlyAnswer::Final {
            return false;
        }
        let Ok(stream) = self.negotiation.accept(answer) else { return false };
        self.stream = stream;
        if is_reliable {
            self.answer = EarlyAnswer::Final;
        }
        true
    }

    /// An offer inside the early dialog (UPDATE): our answer, `None` if it cannot be used.
    pub(super) fn handle_offer(&mut self, offer: &[u8]) -> Option<Vec<u8>> {
        let (stream, text) = self.negotiation.answer(offer).ok()?;
        self.stream = stream;
        if self.answer == EarlyAnswer::Preview {
            self.answer = EarlyAnswer::Renegotiated;
        }
        Some(text)
    }

    /// The fork's side of the dialog, and its stream if the answer was given already. `answer`: the description of the 200.
    pub(super) fn into_dialog(self, answer: Option<&Vec<u8>>) -> (Negotiation, Option<StreamConfig>) {
        let is_given = match self.answer {
            EarlyAnswer::Preview => false,
            EarlyAnswer::Renegotiated => answer.is_none(),
            EarlyAnswer::Final => true,
        };
        (self.negotiation, is_given.then_some(self.stream))
    }
}

/// At least one fork.
#[derive(Clone, Debug)]
pub struct EarlyForks {
    forks: Vec<EarlyFork>,
    /// Tag of the fork that is heard.
    heard: Option<String>,
}

impl EarlyForks {
    pub(super) fn of(first: EarlyFork) -> Self {
        Self { forks: vec![first], heard: None }
    }

    pub(super) fn find(&mut self, remote_tag: &str) -> Option<&mut EarlyFork> {
        self.forks.iter_mut().find(|fork| fork.remote_tag == remote_tag)
    }

    /// Adds a fork; false if there are too many.
    pub(super) fn add(&mut self, fork: EarlyFork) -> bool {
        let has_room = self.forks.len() < FORKS_MAX;
        if has_room {
            self.forks.push(fork);
        }
        has_room
    }

    /// The fork that answered the call.
    pub(super) fn take(mut self, remote_tag: &str) -> Option<EarlyFork> {
        let at = self.forks.iter().position(|fork| fork.remote_tag == remote_tag)?;
        Some(self.forks.swap_remove(at))
    }

    /// Takes what a message says about the media of a fork (RFC 5009); `is_described`: it has described them anew. The
    /// stream to be heard from now on; `None` if that does not change.
    pub(super) fn authorize(
        &mut self, remote_tag: &str, authorization: EarlyMediaAuthorization, is_described: bool,
    ) -> Option<StreamConfig> {
        let fork = self.forks.iter_mut().find(|fork| fork.remote_tag == remote_tag)?;
        let was_gated = fork.is_gated;
        match authorization {
            EarlyMediaAuthorization::Unspecified => {}
            EarlyMediaAuthorization::Authorized => fork.is_gated = false,
            EarlyMediaAuthorization::Refused => fork.is_gated = true,
        }
        let is_heard = self.heard.as_deref() == Some(remote_tag);
        match fork.is_gated {
            false if is_described || was_gated => {
                self.heard = Some(remote_tag.to_owned());
                Some(fork.stream)
            }
            true if is_heard => {
                self.heard = None;
                Some(StreamConfig { direction: StreamDirection::Inactive, ..fork.stream })
            }
            _ => None,
        }
    }
}
