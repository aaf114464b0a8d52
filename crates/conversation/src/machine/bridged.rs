//! Two people talk over a bridge: the agent has left the call, and with it STT, LLM and TTS.

use super::line::Line;
use std::time::{Duration, Instant};
use trunkline_domain::end_reason::EndReason;

/// Carriers end calls after four hours; bridged callers are not subject to the agent's limit.
const CONNECTED_MAX: Duration = Duration::from_secs(14_400);

/// The caller talks to somebody else.
#[derive(Debug)]
pub struct Bridged {
    pub(super) line: Line,
    /// When the call has lasted for too long.
    pub(super) until: Instant,
}

impl Bridged {
    pub(super) fn new(now: Instant, line: Line) -> Self {
        Self { line, until: now + CONNECTED_MAX }
    }

    /// The end reason when the caller is gone: a completed transfer is not a hang-up.
    pub(super) fn end_reason(&self, reason: EndReason) -> EndReason {
        if reason == EndReason::CustomerHungUp { EndReason::Transferred } else { reason }
    }
}
