//! Who answers an INVITE: asks the store for the owners of the numbers that the candidate trunks read, in up to three
//! steps, and ends with a trunk or without one. And what a caller is told whom nobody answers.
//!
//! Pure: the driver carries each question to the store and its answer back.

use super::admission::LimitExceededError;
use super::trunk_selection::{
    CalledParty, CredentialTrunks, NumberOwners, NumberReading, SelectedTrunk, choose, readings, readings_of_others,
    readings_of_to, trunk_by_name,
};
use crate::domain::ids::OrganizationId;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::time::UnixMs;
use crate::domain::trunk::Trunk;
use std::net::IpAddr;
use std::sync::Arc;
use trunkline_signaling::sip::user_agent::TrunkEvidence;

/// Trunks that a call may have come over.
pub type Candidates = Vec<(Arc<Trunk>, TrunkEvidence)>;

/// What is known of an INVITE before anybody is asked.
#[derive(Clone, Debug)]
pub struct InboundFacts {
    /// The trunks it may have come over.
    pub candidates: Candidates,
    /// Whom it calls.
    pub called: CalledParty,
    /// Where it came from.
    pub source: IpAddr,
    /// Trunks that take callers by credentials, of everybody.
    pub rivals: Arc<CredentialTrunks>,
}

/// What comes next.
#[derive(Debug)]
pub enum RoutingStep {
    /// The store is to say whose these numbers are; the answer goes to [`RoutingQuestion::answer`].
    FindOwners(Vec<PhoneNumber>, RoutingQuestion),
    /// The store is to say which number this trunk has, if it has only one; the answer goes to
    /// [`RoutingQuestion::answer`].
    FindOnlyNumber(Arc<Trunk>, RoutingQuestion),
    /// A trunk takes the call.
    Selected(SelectedTrunk),
    /// No candidate has the number, or a caller with credentials may have the better claim: it is challenged.
    UnknownNumber,
}

/// Why the owners of numbers are asked for.
#[derive(Debug)]
pub enum RoutingQuestion {
    /// The numbers of the Request-URI.
    Request {
        /// Of the INVITE.
        facts: InboundFacts,
        /// How the candidates read the Request-URI.
        readings: Vec<NumberReading>,
    },
    /// Nobody has those: the numbers of the To header.
    To {
        /// Of the INVITE.
        facts: InboundFacts,
        /// How registered candidates read the To header.
        readings: Vec<NumberReading>,
    },
    /// Nobody has those either: the numbers of other headers, for the trunk that the Request-URI names.
    Others {
        /// Of the INVITE.
        facts: InboundFacts,
        /// How that trunk reads them.
        readings: Vec<NumberReading>,
        /// The trunk.
        trunk: Arc<Trunk>,
    },
    /// No header names a number of the trunk that the Request-URI names: its only number.
    OnlyNumber(Arc<Trunk>),
    /// A trunk was chosen by its address alone: the numbers that trunks with credentials would read.
    Rivals {
        /// Of the INVITE.
        facts: InboundFacts,
        /// The trunk that takes the call, unless a rival has the better claim.
        chosen: SelectedTrunk,
    },
}

fn numbers(readings: &[NumberReading]) -> Vec<PhoneNumber> {
    readings.iter().map(|reading| reading.number.clone()).collect()
}

/// Begins to route an INVITE.
pub fn start(facts: InboundFacts) -> RoutingStep {
    let readings = readings(facts.candidates.iter().cloned(), &facts.called, facts.source);
    RoutingStep::FindOwners(numbers(&readings), RoutingQuestion::Request { facts, readings })
}

impl RoutingQuestion {
    /// Takes the owners of the numbers that were asked for.
    pub fn answer(self, owners: &NumberOwners) -> RoutingStep {
        match self {
            Self::Request { facts, .. } if owners.is_empty() => {
                let readings = readings_of_to(facts.candidates.iter().cloned(), &facts.called, facts.source);
                RoutingStep::FindOwners(numbers(&readings), Self::To { facts, readings })
            }
            Self::Request { facts, readings } | Self::To { facts, readings } => match choose(&readings, owners) {
                None => by_name(facts, owners),
                Some(chosen) => confirm(facts, chosen),
            },
            Self::Others { facts, readings, trunk } => match choose(&readings, owners) {
                None => RoutingStep::FindOnlyNumber(trunk.clone(), Self::OnlyNumber(trunk)),
                Some(chosen) => confirm(facts, chosen),
            },
            Self::OnlyNumber(trunk) => match owners.values().next() {
                None => RoutingStep::UnknownNumber,
                Some(owner) => RoutingStep::Selected(SelectedTrunk::of_only_number(trunk, owner.clone())),
            },
            Self::Rivals { facts, chosen } => match facts.rivals.contest(&chosen, &facts.called, owners) {
                true => RoutingStep::UnknownNumber,
                false => RoutingStep::Selected(chosen),
            },
        }
    }
}

fn confirm(facts: InboundFacts, chosen: SelectedTrunk) -> RoutingStep {
    if !chosen.is_contestable {
        return RoutingStep::Selected(chosen);
    }
    RoutingStep::FindOwners(facts.rivals.numbers(&facts.called), RoutingQuestion::Rivals { facts, chosen })
}

/// No candidate has the number. A registrar that calls the Contact or the account means its trunk, unless the number
/// that was called is somebody else's.
fn by_name(facts: InboundFacts, owners: &NumberOwners) -> RoutingStep {
    let named = trunk_by_name(facts.candidates.iter().cloned(), &facts.called);
    match named.filter(|_| owners.is_empty()) {
        None => RoutingStep::UnknownNumber,
        Some(named) => {
            let readings = readings_of_others(&named, &facts.called, facts.source);
            let (trunk, _) = named;
            RoutingStep::FindOwners(numbers(&readings), RoutingQuestion::Others { facts, readings, trunk })
        }
    }
}

/// Whether a Replaces call has dialled a number of another organization than `own`: carriers shared by several
/// organizations could otherwise move calls between them. `None`: the owners could not be read in time.
pub fn calls_other_organization(owners: Option<&NumberOwners>, own: OrganizationId) -> bool {
    owners.is_none_or(|owners| !owners.is_empty() && owners.values().all(|owner| owner.organization != own))
}

/// The final response to a caller whom nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No trunk has the number. The user agent challenges the caller, or answers 404.
    UnknownNumber,
    /// A status, and after how many seconds another attempt may succeed.
    Status(u16, Option<u32>),
}

impl Rejection {
    /// The number has no agent that is switched on.
    pub const NO_ACTIVE_AGENT: Self = Self::Status(404, None);
    /// The database does not answer, or not in time.
    pub const UNAVAILABLE: Self = Self::Status(503, Some(10));
    /// No RTP port is free.
    pub const NO_PORT: Self = Self::Status(503, Some(5));

    /// A limit is reached.
    pub fn of_limit(denied: LimitExceededError, now: UnixMs) -> Self {
        Self::Status(denied.sip_status(), denied.retry_after_s(now))
    }
}

#[cfg(test)]
mod tests;
