//! Faults on order: which stage fails how, and how often.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
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
}

#[derive(Debug, Default)]
struct Stage {
    fault: Option<Fault>,
    times: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<[Stage; 3]>>);

const STAGES: [&str; 3] = ["stt", "llm", "tts"];

impl Faults {
    /// False for an unknown stage.
    pub fn set(&self, stage: &str, fault: Option<Fault>, times: u32) -> bool {
        let Some(index) = STAGES.iter().position(|name| *name == stage) else { return false };
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index] = Stage { fault, times };
        true
    }

    /// The fault for one request of a stage.
    pub(super) fn take(&self, stage: &str) -> Option<Fault> {
        let index = STAGES.iter().position(|name| *name == stage)?;
        let stage = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner)[index];
        if stage.times == 0 {
            return None;
        }
        stage.times -= 1;
        stage.fault
    }
}
