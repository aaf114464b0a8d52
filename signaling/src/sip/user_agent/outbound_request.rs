//! A request on its way to the next address that may be tried.

use super::answered_challenges::AnsweredChallenges;
use super::event::CallId;
use super::request_route::RequestRoute;
use crate::sip::end_cause::EndCause;
use crate::sip::message::Request;

/// Whether a request carries a Contact of ours, which depends on the address it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnContact {
    Absent,
    /// With this user part, or without one.
    Present(Option<String>),
}

/// An outgoing request, without Via.
#[derive(Debug)]
pub(super) struct OutboundRequest {
    pub(super) request: Request,
    pub(super) call: Option<CallId>,
    /// Challenges that it answers.
    pub(super) answered: AnsweredChallenges,
    /// How often it was sent again because its answer asked for it.
    pub(super) repeats: u8,
    pub(super) contact: OwnContact,
    pub(super) route: RequestRoute,
    /// Why the last attempt failed.
    pub(super) failure: Option<EndCause>,
}

impl OutboundRequest {
    /// A request that was not sent yet.
    pub(super) fn new(request: Request, call: Option<CallId>, contact: OwnContact, route: RequestRoute) -> Self {
        let answered = AnsweredChallenges::default();
        Self { request, call, answered, repeats: 0, contact, route, failure: None }
    }
}
