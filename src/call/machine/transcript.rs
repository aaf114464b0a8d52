//! Orders the turns of a call. A turn gets its position when everything before it is known: on realtime models the
//! caller's transcript arrives after the response has begun, and sometimes never. Positions have no gaps and no
//! duplicates.

use super::{Machine, Output};
use crate::domain::transcript::{Role, Turn};
use trunkline_media::turn::endpoint;

/// Index of a turn in its call, not its position: turns without words have none.
pub(super) type TurnNumber = u32;

#[derive(Clone, Debug, PartialEq)]
enum Slot {
    /// Its transcript is outstanding; later turns wait.
    Awaited,
    /// Without words: takes no position.
    Dropped,
    /// Its latest state, while an earlier turn is awaited.
    Waiting(Turn),
    Placed(u32),
}

/// As long as its call: a slot for each turn.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    slots: Vec<Slot>,
    /// Those before it have their positions.
    settled: usize,
    next_position: u32,
    /// Turns with positions that changed.
    grown: Vec<(u32, Turn)>,
}

impl Transcript {
    /// The next turn; what follows waits until it has words or is dropped.
    pub(super) fn open(&mut self) -> TurnNumber {
        self.slots.push(Slot::Awaited);
        (self.slots.len() - 1) as TurnNumber
    }

    /// A turn has these words now.
    pub(super) fn put(&mut self, number: TurnNumber, turn: Turn) {
        match self.slots.get_mut(number as usize) {
            Some(Slot::Placed(position)) => self.grown.push((*position, turn)),
            Some(Slot::Dropped) | None => {}
            Some(slot) => {
                *slot = Slot::Waiting(turn);
                self.settle();
            }
        }
    }

    /// No words come of a turn.
    pub(super) fn drop(&mut self, number: TurnNumber) {
        if let Some(slot @ Slot::Awaited) = self.slots.get_mut(number as usize) {
            *slot = Slot::Dropped;
            self.settle();
        }
    }

    /// Nothing is awaited any more: the call is over.
    pub(super) fn close(&mut self) {
        self.slots.iter_mut().filter(|slot| **slot == Slot::Awaited).for_each(|slot| *slot = Slot::Dropped);
        self.settle();
    }

    /// Turns that are new or have grown, with their positions.
    pub(super) fn poll(&mut self) -> Vec<(u32, Turn)> {
        std::mem::take(&mut self.grown)
    }

    fn settle(&mut self) {
        while let Some(slot) = self.slots.get_mut(self.settled) {
            match slot {
                Slot::Awaited => return,
                Slot::Dropped | Slot::Placed(_) => {}
                Slot::Waiting(_) => {
                    let placed = Slot::Placed(self.next_position);
                    if let Slot::Waiting(turn) = std::mem::replace(slot, placed) {
                        self.grown.push((self.next_position, turn));
                    }
                    self.next_position += 1;
                }
            }
            self.settled += 1;
        }
    }
}

impl Machine {
    pub(super) fn record_user(&mut self, turn: &endpoint::Turn) {
        let number = self.transcript.open();
        let turn = Turn {
            role: Role::User,
            content: turn.text.clone(),
            started_at_ms: self.ms(turn.started),
            ended_at_ms: self.ms(turn.ended),
            interrupted: false,
            confidence: turn.confidence,
        };
        self.record(number, turn);
    }

    /// Writes a turn down, and those that have waited for it.
    pub(super) fn record(&mut self, number: TurnNumber, turn: Turn) {
        self.transcript.put(number, turn);
        self.tell_turns();
    }

    pub(super) fn tell_turns(&mut self) {
        for (position, turn) in self.transcript.poll() {
            self.output(Output::Turn { position, turn });
        }
    }

    /// Records the response as far as it was heard; nothing for a response without audio.
    pub(super) fn record_reply(&mut self, at_ms: u64, interrupted: bool, said: Option<String>) {
        let Some(reply) = &self.reply else { return };
        let (Some(number), Some(started_at_ms)) = (reply.turn, reply.started_at_ms) else { return };
        let turn = Turn {
            role: Role::Assistant,
            content: said.unwrap_or_else(|| reply.said()),
            started_at_ms,
            ended_at_ms: at_ms,
            interrupted,
            confidence: None,
        };
        self.record(number, turn);
    }
}
