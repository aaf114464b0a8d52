//! Faults on order: which stage fails how, and how often; for one provider only, or for all of a stage.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How an emulated provider misbehaves for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectedFault {
    /// 500 before anything else.
    Refuse,
    /// 401.
    Unauthorized,
    /// 429 with `retry-after: 1`.
    RateLimit,
    /// Accepted and never answered.
    Stall,
    /// Answered in part, then nothing more.
    StallMidStream,
    /// Answered in part, then the connection is gone.
    Drop,
    /// Something that is not the protocol.
    Garbage,
    /// A proper answer with nothing in it.
    Empty,
    /// A proper answer in chunks of odd sizes: not a fault of the vendor.
    OddChunks,
    /// The other end is gone without closing the connection: it takes everything and answers nothing, not even a ping.
    HalfOpen,
    /// ElevenLabs' sockets: the second sentence of a socket ends without a sound, once.
    EmptySentence,
    /// The same sentence brings nothing at all, not even its end.
    LostSentence,
    /// Realtime and transcription sessions: the session has had its time when the caller has spoken twice.
    SessionExpired,
}

impl InjectedFault {
    /// Every fault of a whole request, for tests that try them all on every stage.
    pub const ALL: [Self; 10] = [
        Self::Refuse,
        Self::Unauthorized,
        Self::RateLimit,
        Self::Stall,
        Self::StallMidStream,
        Self::Drop,
        Self::Garbage,
        Self::Empty,
        Self::OddChunks,
        Self::HalfOpen,
    ];
}

/// The faults that are due, by stage (`llm`) or stage and provider (`llm.groq`). Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FaultInjection(Arc<Mutex<HashMap<String, (InjectedFault, u32)>>>);

const STAGES: [&str; 4] = ["stt", "llm", "tts", "engine"];

impl FaultInjection {
    /// `llm`, or `llm.groq`. False for an unknown stage.
    pub fn set(&self, target: &str, fault: Option<InjectedFault>, times: u32) -> bool {
        if !STAGES.contains(&target.split('.').next().unwrap_or(target)) {
            return false;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => all.insert(target.to_owned(), (fault, times)),
            None => all.remove(target),
        };
        true
    }

    /// The fault for one request.
    pub(super) fn take(&self, stage: &str, provider: &str) -> Option<InjectedFault> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for target in [format!("{stage}.{provider}"), stage.to_owned()] {
            if let Some((fault, times)) = all.get_mut(&target).filter(|(_, times)| *times > 0) {
                *times -= 1;
                return Some(*fault);
            }
        }
        None
    }
}
