//! The offer/answer exchange of a confirmed dialog (RFC 3264, RFC 6337): at most one offer is open, and one of ours may
//! wait behind it.

use super::pending_request::PendingRequest;
use crate::limits;
use crate::sip::message::{HeaderName, Headers, Method, Request};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Delay of our offer while the peer's offer is open.
const REMOTE_OFFER_WAIT: Duration = Duration::from_secs(1);

/// An offer of the peer that has no answer yet.
#[derive(Debug)]
pub(crate) struct RemoteOffer {
    /// Its server transaction.
    pub(crate) key: Arc<str>,
    /// Number of its request, which the ACK of a re-INVITE repeats.
    cseq: u32,
    kind: RemoteOfferKind,
    /// Headers needed for our answer.
    pub(crate) headers: Headers,
}

/// What the peer's request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RemoteOfferKind {
    /// UPDATE or PRACK with an offer: answered in its 2xx.
    Update,
    /// A re-INVITE with an offer: its 2xx waits for an ACK.
    Invite,
    /// A re-INVITE that wants an offer of ours: the ACK of its 2xx brings the answer.
    OfferWanted,
}

impl RemoteOffer {
    pub(crate) fn of(key: Arc<str>, request: &Request) -> Self {
        Self {
            key,
            cseq: request.headers.cseq().map_or(0, |cseq| cseq.number),
            kind: match request.method {
                Method::Invite if request.body.is_empty() => RemoteOfferKind::OfferWanted,
                Method::Invite => RemoteOfferKind::Invite,
                _ => RemoteOfferKind::Update,
            },
            headers: timer_headers(&request.headers),
        }
    }
}

/// What the answer to an offer has to know of its request later.
fn timer_headers(headers: &Headers) -> Headers {
    let kept = [HeaderName::Supported, HeaderName::SessionExpires];
    headers.iter().filter(|header| kept.contains(&header.name)).cloned().collect::<Vec<_>>().into()
}

/// What our re-INVITE or UPDATE is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OfferContent {
    /// Nothing changes; the session lives on.
    Refresh,
    /// The owner changes the media to this description.
    MediaChange(Vec<u8>),
}

/// Our re-INVITE or UPDATE on its way.
#[derive(Debug)]
pub(crate) struct LocalOffer {
    pub(crate) request: PendingRequest,
    pub(crate) content: OfferContent,
    /// How often it was sent again: it had crossed one of the peer's, or the peer wanted it later.
    pub(crate) repeats: u8,
}

/// Our offer that waits for its turn.
#[derive(Debug)]
pub(crate) struct QueuedOffer {
    content: OfferContent,
    at: Instant,
    repeats: u8,
}

/// How far the peer's offer is.
#[derive(Debug)]
pub(crate) enum RemoteStage {
    /// The owner has to answer it.
    Open(RemoteOffer),
    /// A re-INVITE that was accepted: its ACK is still to come.
    AwaitingAck { key: Arc<str>, cseq: u32, kind: RemoteOfferKind },
}

/// Who has an offer open.
#[derive(Debug)]
pub(crate) enum OfferAnswer {
    /// Nobody.
    Idle,
    /// Nobody; ours waits for its turn.
    Queued(QueuedOffer),
    /// The peer; ours may wait behind it.
    Remote { stage: RemoteStage, queued: Option<QueuedOffer> },
    /// We.
    Local(LocalOffer),
}

/// Why an offer of the peer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfferConflict {
    /// Glare with our own offer (491).
    Glare,
    /// Another offer is open, or the first one is not answered for certain (500).
    Busy,
}

/// What becomes of an offer of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfferStart {
    /// It is to be sent.
    Send,
    /// It waits for its turn.
    Queued,
}

impl From<Option<RemoteOffer>> for OfferAnswer {
    /// Of a dialog that was just confirmed, with an offer of its early dialog that has no answer yet.
    fn from(early: Option<RemoteOffer>) -> Self {
        early.map_or(Self::Idle, |offer| Self::Remote { stage: RemoteStage::Open(offer), queued: None })
    }
}

impl OfferAnswer {
    /// When our offer's turn is.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Queued(queued) | Self::Remote { queued: Some(queued), .. } => Some(queued.at),
            Self::Idle | Self::Remote { queued: None, .. } | Self::Local(_) => None,
        }
    }

    /// Takes an offer of ours; `None` when there is one already.
    pub(crate) fn offer(&mut self, now: Instant, content: OfferContent) -> Option<OfferStart> {
        match self {
            Self::Idle => {
                *self = Self::Local(LocalOffer { request: PendingRequest::Resolving, content, repeats: 0 });
                Some(OfferStart::Send)
            }
            Self::Remote { queued: queued @ None, .. } => {
                *queued = Some(QueuedOffer { content, at: now + REMOTE_OFFER_WAIT, repeats: 0 });
                Some(OfferStart::Queued)
            }
            Self::Queued(_) | Self::Remote { queued: Some(_), .. } | Self::Local(_) => None,
        }
    }

    /// Starts our offer if its turn has come; behind an open offer of the peer it waits on.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<OfferStart> {
        if self.next_timeout().is_none_or(|at| at > now) {
            return None;
        }
        match std::mem::replace(self, Self::Idle) {
            Self::Queued(QueuedOffer { content, repeats, .. }) => {
                *self = Self::Local(LocalOffer { request: PendingRequest::Resolving, content, repeats });
                Some(OfferStart::Send)
            }
            Self::Remote { stage, queued } => {
                let queued = queued.map(|queued| QueuedOffer { at: now + REMOTE_OFFER_WAIT, ..queued });
                *self = Self::Remote { stage, queued };
                Some(OfferStart::Queued)
            }
            same => {
                *self = same;
                None
            }
        }
    }

    /// Our offer that is on its way.
    pub(crate) fn local(&self) -> Option<&LocalOffer> {
        match self {
            Self::Local(ours) => Some(ours),
            Self::Idle | Self::Queued(_) | Self::Remote { .. } => None,
        }
    }

    /// Our offer is this transaction.
    pub(crate) fn is_local_request(&self, key: &str) -> bool {
        self.local().is_some_and(|ours| ours.request.is(key))
    }

    /// An offer of ours is on its way or waits.
    pub(crate) fn has_local(&self) -> bool {
        matches!(self, Self::Local(_) | Self::Queued(_) | Self::Remote { queued: Some(_), .. })
    }

    /// The newest transaction of our offer.
    pub(crate) fn set_local_request(&mut self, request: PendingRequest) {
        if let Self::Local(ours) = self {
            ours.request = request;
        }
    }

    /// Our offer was accepted or refused for good.
    pub(crate) fn finish_local(&mut self) -> Option<OfferContent> {
        match std::mem::replace(self, Self::Idle) {
            Self::Local(ours) => Some(ours.content),
            same => {
                *self = same;
                None
            }
        }
    }

    /// Our offer, which was refused for now, is repeated at this time; false when that was too often.
    pub(crate) fn queue_again(&mut self, at: Instant) -> bool {
        match std::mem::replace(self, Self::Idle) {
            Self::Local(LocalOffer { content, repeats, .. }) if repeats < limits::REQUEST_RETRIES_MAX => {
                *self = Self::Queued(QueuedOffer { content, at, repeats: repeats.saturating_add(1) });
                true
            }
            same => {
                *self = same;
                false
            }
        }
    }

    /// Whether an offer of the peer can be taken now (RFC 3261 section 14.2, RFC 3311 section 5.2).
    pub(crate) fn check_remote(&self) -> Result<(), OfferConflict> {
        match self {
            Self::Idle | Self::Queued(_) => Ok(()),
            Self::Local(_) => Err(OfferConflict::Glare),
            // Our offer is in the 2xx, and its answer is still to come.
            Self::Remote { stage: RemoteStage::AwaitingAck { kind: RemoteOfferKind::OfferWanted, .. }, .. } => {
                Err(OfferConflict::Glare)
            }
            Self::Remote { .. } => Err(OfferConflict::Busy),
        }
    }

    /// Takes an offer of the peer, for which [`Self::check_remote`] found room; ours waits behind it.
    pub(crate) fn receive_remote(&mut self, offer: RemoteOffer) {
        let queued = match std::mem::replace(self, Self::Idle) {
            Self::Queued(queued) => Some(queued),
            Self::Remote { queued, .. } => queued,
            Self::Idle | Self::Local(_) => None,
        };
        *self = Self::Remote { stage: RemoteStage::Open(offer), queued };
    }

    /// Takes the peer's open offer to answer it. An accepted INVITE then waits for its ACK.
    pub(crate) fn answer_remote(&mut self, is_accepted: bool) -> Option<RemoteOffer> {
        match std::mem::replace(self, Self::Idle) {
            Self::Remote { stage: RemoteStage::Open(offer), queued } => {
                *self = if is_accepted && offer.kind != RemoteOfferKind::Update {
                    let stage = RemoteStage::AwaitingAck { key: offer.key.clone(), cseq: offer.cseq, kind: offer.kind };
                    Self::Remote { stage, queued }
                } else {
                    Self::after_remote(queued)
                };
                Some(offer)
            }
            same => {
                *self = same;
                None
            }
        }
    }

    /// The ACK with this number came: the transaction of the re-INVITE that it is for.
    pub(crate) fn acknowledge(&mut self, number: Option<u32>) -> Option<Arc<str>> {
        match self {
            Self::Remote { stage: RemoteStage::AwaitingAck { key, cseq, .. }, queued } if number == Some(*cseq) => {
                let key = key.clone();
                *self = Self::after_remote(queued.take());
                Some(key)
            }
            _ => None,
        }
    }

    /// An accepted re-INVITE with this transaction waits for its ACK.
    pub(crate) fn is_awaiting_ack(&self, tx: &str) -> bool {
        matches!(self, Self::Remote { stage: RemoteStage::AwaitingAck { key, .. }, .. } if **key == *tx)
    }

    /// The peer's offer with this transaction is over: cancelled, or answered for its owner.
    pub(crate) fn forget_remote(&mut self, tx: &str) {
        if self.remote_key().is_some_and(|key| **key == *tx)
            && let Self::Remote { queued, .. } = self
        {
            *self = Self::after_remote(queued.take());
        }
    }

    /// The transaction of the peer's offer.
    pub(crate) fn remote_key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Remote { stage: RemoteStage::Open(RemoteOffer { key, .. }), .. }
            | Self::Remote { stage: RemoteStage::AwaitingAck { key, .. }, .. } => Some(key),
            Self::Idle | Self::Queued(_) | Self::Local(_) => None,
        }
    }

    fn after_remote(queued: Option<QueuedOffer>) -> Self {
        queued.map_or(Self::Idle, Self::Queued)
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;

    fn remote(key: &str, cseq: u32, kind: RemoteOfferKind) -> RemoteOffer {
        RemoteOffer { key: key.into(), cseq, kind, headers: Headers::default() }
    }

    #[test]
    fn one_offer_at_a_time_and_ours_waits_behind_the_peers() {
        let now = Instant::now();
        let mut exchange = OfferAnswer::Idle;
        exchange.receive_remote(remote("theirs", 3, RemoteOfferKind::Invite));
        assert_eq!(exchange.check_remote(), Err(OfferConflict::Busy));
        assert_eq!(exchange.offer(now, OfferContent::Refresh), Some(OfferStart::Queued));
        assert_eq!(exchange.offer(now, OfferContent::Refresh), None, "one of ours at a time");
        let turn = now + REMOTE_OFFER_WAIT;
        assert_eq!(exchange.handle_timeout(now), None);
        assert_eq!(exchange.handle_timeout(turn), Some(OfferStart::Queued), "still open");
        assert!(exchange.answer_remote(true).is_some() && exchange.answer_remote(true).is_none());
        assert!(exchange.is_awaiting_ack("theirs"));
        assert_eq!(exchange.acknowledge(Some(2)), None, "the ACK of another INVITE");
        assert_eq!(exchange.acknowledge(Some(3)).as_deref(), Some("theirs"));
        assert_eq!(exchange.check_remote(), Ok(()), "ours was not sent yet");
        assert_eq!(exchange.handle_timeout(turn + REMOTE_OFFER_WAIT), Some(OfferStart::Send));
        assert_eq!(exchange.check_remote(), Err(OfferConflict::Glare));
        assert_eq!(exchange.finish_local(), Some(OfferContent::Refresh));
        assert!(!exchange.has_local() && exchange.next_timeout().is_none());
    }

    #[test]
    fn glare_repeats_our_offer_a_bounded_number_of_times() {
        let now = Instant::now();
        let mut exchange = OfferAnswer::Idle;
        assert_eq!(exchange.offer(now, OfferContent::MediaChange(vec![1])), Some(OfferStart::Send));
        for _ in 0..limits::REQUEST_RETRIES_MAX {
            exchange.set_local_request(PendingRequest::Sent { key: "ours".into() });
            assert!(exchange.is_local_request("ours") && exchange.queue_again(now));
            assert_eq!(exchange.handle_timeout(now), Some(OfferStart::Send));
        }
        assert!(!exchange.queue_again(now), "enough");
        assert_eq!(exchange.finish_local(), Some(OfferContent::MediaChange(vec![1])));
    }

    #[test]
    fn a_refused_or_forgotten_offer_leaves_nothing_open() {
        let mut exchange = OfferAnswer::from(Some(remote("early", 2, RemoteOfferKind::Update)));
        exchange.forget_remote("other");
        assert_eq!(exchange.remote_key().map(|key| &**key), Some("early"));
        assert!(exchange.answer_remote(true).is_some());
        assert_eq!(exchange.check_remote(), Ok(()), "an UPDATE has no ACK");
        exchange.receive_remote(remote("re-INVITE", 3, RemoteOfferKind::Invite));
        exchange.forget_remote("re-INVITE");
        assert!(matches!(exchange, OfferAnswer::Idle));
    }

    #[test]
    fn an_offer_of_ours_in_a_2xx_crosses_theirs_until_its_answer_comes() {
        let mut exchange = OfferAnswer::Idle;
        exchange.receive_remote(remote("offerless", 3, RemoteOfferKind::OfferWanted));
        assert_eq!(exchange.check_remote(), Err(OfferConflict::Busy), "not answered yet");
        exchange.answer_remote(true);
        assert_eq!(exchange.check_remote(), Err(OfferConflict::Glare));
        exchange.acknowledge(Some(3));
        assert_eq!(exchange.check_remote(), Ok(()));
    }
}
