//! Updates that a call sends to its listeners, and the feed that carries them.

use crate::domain::call::CallStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::AgentId;
use crate::domain::transcript::Turn;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// Updates a listener may lag behind; beyond that it is dropped, the call never waits.
pub const UPDATES_MAX: usize = 256;

/// An update for those who follow a live call.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveUpdate {
    /// A turn, new or grown; the same position again replaces it.
    Turn {
        /// Place of the turn in the transcript, counted from 0.
        position: u32,
        /// The turn as it is now.
        turn: Turn,
    },
    /// Interim STT result of the current utterance.
    Interim {
        /// The words of the utterance so far; a later update replaces them.
        text: String,
    },
    /// Another agent has the call from here on.
    AgentChanged {
        /// The agent that speaks now; `None` if it is not stored.
        agent: Option<AgentId>,
        /// Its name.
        name: String,
    },
    /// Somebody beside the call has given it a command: an entry of `metrics.controls`. It is not for the caller.
    Controlled(Value),
    /// The status of the call has changed.
    Status {
        /// The new status.
        status: CallStatus,
        /// Why the call ended; `None` while it goes on.
        end_reason: Option<EndReason>,
    },
}

/// Publishes a call's turns so far and its updates. Subscribing returns both atomically, so that late listeners miss
/// nothing.
#[derive(Clone, Debug)]
pub struct LiveFeed {
    turns: Arc<Mutex<BTreeMap<u32, Turn>>>,
    updates: broadcast::Sender<LiveUpdate>,
}

/// A listener's: the turns so far by position, and what follows.
pub type LiveSubscription = (BTreeMap<u32, Turn>, broadcast::Receiver<LiveUpdate>);

impl Default for LiveFeed {
    fn default() -> Self {
        Self { turns: Arc::default(), updates: broadcast::Sender::new(UPDATES_MAX) }
    }
}

impl LiveFeed {
    /// Sends to listeners; never waits.
    pub fn send(&self, update: LiveUpdate) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let LiveUpdate::Turn { position, turn } = &update {
            turns.insert(*position, turn.clone());
        }
        let _ = self.updates.send(update); // no listener is fine
    }

    /// Returns the turns so far and a receiver of all later updates, with none missing between.
    pub fn listen(&self) -> LiveSubscription {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        (turns.clone(), self.updates.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::transcript::TurnRole;

    fn turn(position: u32, words: usize) -> LiveUpdate {
        let turn = Turn {
            role: TurnRole::User,
            content: vec!["word"; words].join(" "),
            started_at_ms: 0,
            ended_at_ms: 0,
            interrupted: false,
            confidence: None,
            agent_id: None,
            said_by: None,
        };
        LiveUpdate::Turn { position, turn }
    }

    /// Turns grow while later ones begin; interim results stand between them.
    #[test]
    fn a_late_listener_has_what_an_early_one_has() {
        let told: Vec<LiveUpdate> = (0..24).map(|step| turn(step / 3 + step % 2, step as usize)).collect();
        let mut early = BTreeMap::new();
        for update in &told {
            if let LiveUpdate::Turn { position, turn } = update {
                early.insert(*position, turn.clone());
            }
        }
        for joined in 0..=told.len() {
            let live = LiveFeed::default();
            let tell = |update: &LiveUpdate| {
                live.send(update.clone());
                live.send(LiveUpdate::Interim { text: "wor".into() });
            };
            told.iter().take(joined).for_each(tell);
            let (mut late, mut updates) = live.listen();
            told.iter().skip(joined).for_each(tell);
            while let Ok(update) = updates.try_recv() {
                if let LiveUpdate::Turn { position, turn } = update {
                    late.insert(position, turn);
                }
            }
            assert_eq!(late, early, "from {joined} on");
        }
    }
}
