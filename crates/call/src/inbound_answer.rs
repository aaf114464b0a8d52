//! Whether and as whom an inbound call is answered: attestation of the caller, the customer's answer to
//! `assistant-request`, and the call's first row.
//!
//! Pure: the driver verifies, asks and reads; the results are arguments.

use super::assistant::{self, JudgedAnswer, ResolvedAssistant};
use crate::domain::agent::Agent;
use crate::domain::attestation::Attestation;
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, OrganizationId, TrunkId};
use crate::domain::time::UnixMs;
use crate::stir::passport::IdentityError;
use crate::webhooks::event;
use serde_json::{Map, Value, json};

/// Why a trunk that requires an attestation refuses a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttestationError {
    /// The INVITE has no Identity header (RFC 8224 section 6.2.2).
    Missing,
    /// It is verified, but vouches for less than is required.
    TooWeak,
    /// It is not verified.
    NotVerified(IdentityError),
    /// There is nothing to verify it with: `sip.stir.roots` is not set.
    NotChecked,
}

impl AttestationError {
    /// Status of the response to the caller.
    pub fn sip_status(self) -> u16 {
        match self {
            Self::Missing => 428,
            Self::TooWeak => 403,
            Self::NotVerified(error) => error.sip_status,
            Self::NotChecked => 503,
        }
    }
}

/// Whether a caller without an Identity header may call.
pub fn check_missing_identity(required: Option<Attestation>) -> Result<(), AttestationError> {
    required.map_or(Ok(()), |_| Err(AttestationError::Missing))
}

/// Whether what its Identity header claims, and what came of verifying it, is enough. `verified` is `None` where there
/// was nothing to check it with.
pub fn check_identity(
    required: Option<Attestation>, claimed: Option<Attestation>, verified: Option<Result<(), IdentityError>>,
) -> Result<(), AttestationError> {
    match (required, verified) {
        (None, _) => Ok(()),
        (Some(required), Some(Ok(()))) if claimed >= Some(required) => Ok(()),
        (Some(_), Some(Ok(()))) => Err(AttestationError::TooWeak),
        (Some(_), Some(Err(error))) => Err(AttestationError::NotVerified(error)),
        (Some(_), None) => Err(AttestationError::NotChecked),
    }
}

/// What a call that came in is known by.
#[derive(Clone, Debug)]
pub struct InboundCallFacts {
    /// The call.
    pub id: CallId,
    /// Whose number was called.
    pub organization: OrganizationId,
    /// The trunk that takes it.
    pub trunk: TrunkId,
    /// Who calls.
    pub from_number: String,
    /// The number that was called.
    pub to_number: String,
    /// Value of the Call-ID header.
    pub sip_call_id: String,
    /// What its headers say, see `invite::header_facts`.
    pub headers: Map<String, Value>,
    /// What its Identity header says; `None` without one.
    pub identity: Option<Map<String, Value>>,
}

impl InboundCallFacts {
    /// The call's row before anybody answers.
    pub fn into_call(self, now: UnixMs) -> Call {
        let mut call = Call::begun(self.id, self.organization, Direction::Inbound, now);
        let mut facts = self.headers;
        facts.extend(self.identity.map(|identity| ("identity".to_owned(), Value::Object(identity))));
        call.from_number = self.from_number;
        call.to_number = self.to_number;
        call.signalling = (!facts.is_empty()).then_some(Value::Object(facts));
        call.sip_call_id = Some(self.sip_call_id);
        call.trunk = Some(self.trunk);
        call
    }
}

/// The call as the customer's server is asked about it: with the agent that answers unless the server names another.
pub fn call_with_saved_agent(call: &Call, saved: Option<&Agent>) -> Call {
    let assistant = saved.map(|agent| event::assistant(Some(agent.id), &agent.fields, &Map::new()));
    Call { agent: saved.map(|agent| agent.id), assistant, ..call.clone() }
}

/// Why nobody answers a call that had a number and a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAnsweredError {
    /// The caller hung up.
    CallerGone,
    /// The call was ended from outside.
    Ended(EndReason),
    /// The customer's server refuses it.
    RejectedByCustomer {
        /// The customer's reason; may be empty.
        reason: String,
        /// Status of the SIP response.
        sip_status: u16,
        /// What of the answer was ignored.
        faults: Vec<String>,
    },
    /// The number has no agent, and its webhook named none; what of its answer was ignored.
    NoAgent(Vec<String>),
}

impl NotAnsweredError {
    /// The end reason of the call.
    pub fn end_reason(&self) -> EndReason {
        match self {
            Self::CallerGone => EndReason::Canceled,
            Self::Ended(reason) => *reason,
            Self::RejectedByCustomer { .. } | Self::NoAgent(_) => EndReason::Rejected,
        }
    }

    /// Status for the caller; `None` when it has hung up.
    pub fn sip_status(&self) -> Option<u16> {
        match self {
            Self::CallerGone => None,
            Self::Ended(_) | Self::NoAgent(_) => Some(480),
            Self::RejectedByCustomer { sip_status, .. } => Some(*sip_status),
        }
    }

    /// Writes into the call's row who would have answered, and why nobody did.
    pub fn note_in(&self, call: &mut Call, saved: Option<&Agent>) {
        call.agent = saved.map(|agent| agent.id);
        let (rejected, faults) = match self {
            Self::RejectedByCustomer { reason, faults, .. } => (Some(reason), faults.as_slice()),
            Self::NoAgent(faults) => (None, faults.as_slice()),
            Self::CallerGone | Self::Ended(_) => (None, &[][..]),
        };
        let mut told = Map::new();
        told.extend(rejected.map(|reason| ("rejected".to_owned(), json!(reason))));
        told.extend((!faults.is_empty()).then(|| ("faults".to_owned(), json!(faults))));
        if !told.is_empty() {
            call.metrics = Some(json!({"assistant_request": told}));
        }
    }
}

/// What the customer's answer asks for, or that there was none: `Err` with the reason.
pub fn read_answer(answer: Result<&[u8], String>) -> JudgedAnswer {
    match answer {
        Ok(body) => assistant::decide(body),
        Err(why) => JudgedAnswer::unusable(&format!("assistant-request: {why}")),
    }
}

/// Who answers: whom the customer's server named, or else the number's agent. `faults` are those of the answer as a whole.
pub fn who_answers(
    named: Option<ResolvedAssistant>, saved: Option<&Agent>, mut faults: Vec<String>,
) -> Result<ResolvedAssistant, NotAnsweredError> {
    let Some(mut found) = named.or_else(|| saved.map(ResolvedAssistant::saved)) else {
        return Err(NotAnsweredError::NoAgent(faults));
    };
    faults.append(&mut found.faults);
    Ok(ResolvedAssistant { faults, ..found })
}

/// Takes over the configuration that the call runs with. `webhook_url` gets the events where the configuration names no
/// address itself.
pub fn configure(call: &mut Call, resolved: &mut ResolvedAssistant, webhook_url: Option<&String>) {
    if !resolved.faults.is_empty() {
        call.metrics = Some(json!({"assistant_request": {"faults": resolved.faults}}));
    }
    if resolved.fields.webhook_url.is_none() {
        resolved.fields.webhook_url = webhook_url.cloned();
    }
    call.agent = resolved.agent;
    call.metadata = resolved.fields.metadata.clone().map(Value::Object);
    call.assistant = Some(event::assistant(resolved.agent, &resolved.fields, &resolved.added));
}

#[cfg(test)]
mod tests;
