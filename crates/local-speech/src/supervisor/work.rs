//! A request on its way to the worker.

use crate::message::{RequestId, ServerMessage, SessionId, Urgency};
use crate::request::{SpeechRequest, Tenant};
use std::time::Instant;

/// How often a request is sent to a worker.
const ATTEMPTS_MAX: u8 = 2;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Work {
    id: RequestId,
    tenant: Tenant,
    request: SpeechRequest,
    deadline: Instant,
    attempts: u8,
}

impl Work {
    pub(super) fn new(id: RequestId, tenant: Tenant, request: SpeechRequest, deadline: Instant) -> Self {
        Self { id, tenant, request, deadline, attempts: 0 }
    }

    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// How much work it is, beside other work of its kind.
    pub(super) fn length(&self) -> u64 {
        let length = match &self.request {
            SpeechRequest::Transcribe { samples, .. } => samples.len(),
            SpeechRequest::Synthesize { text, .. } => text.len(),
        };
        length.max(1) as u64
    }

    /// It asks for words so far.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self.request, SpeechRequest::Transcribe { urgency: Urgency::Partial, .. })
    }

    /// Whose speech it is of.
    pub(super) fn session(&self) -> Option<SessionId> {
        match &self.request {
            SpeechRequest::Transcribe { session, .. } => Some(*session),
            SpeechRequest::Synthesize { .. } => None,
        }
    }

    /// The message to the worker, once more or for the first time.
    pub(super) fn send(&mut self) -> ServerMessage {
        self.attempts += 1;
        let id = self.id;
        match self.request.clone() {
            SpeechRequest::Transcribe { session, urgency, samples } => {
                ServerMessage::Transcribe { id, session, urgency, samples }
            }
            SpeechRequest::Synthesize { sound_ms, voice, speed_permille, text } => {
                ServerMessage::Synthesize { id, tenant: self.tenant.0, sound_ms, voice, speed_permille, text }
            }
        }
    }

    /// It has not been sent as often as it may.
    pub(super) fn may_be_sent_again(&self) -> bool {
        self.attempts < ATTEMPTS_MAX
    }

    /// When nobody waits any more.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}
