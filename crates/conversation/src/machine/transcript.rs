//! Orders the turns of a call. A turn gets its position when everything before it is known: on realtime models the
//! caller's transcript arrives after the response has begun, and sometimes never. Positions have no gaps and no
//! duplicates.

use super::{CallMachine, CallOutput};
use trunkline_domain::transcript::{Turn, TurnRole};
use trunkline_media::turn::end_of_turn;

/// Index of a turn in its call, not its position: turns without words have none.
pub(super) type TurnNumber = u32;

#[derive(Clone, Debug, PartialEq)]
enum TurnSlot {
    /// Its transcript is outstanding; later turns wait.
    Awaited,
    /// Without words: takes no position.
    Empty,
    /// Its latest state, while an earlier turn is awaited.
    Waiting(Turn),
    Placed(u32),
}

/// As long as its call: a slot for each turn.
#[derive(Debug, Default)]
pub(super) struct TranscriptOrder {
    slots: Vec<TurnSlot>,
    /// Those before it have their positions.
    settled: usize,
    next_position: u32,
    /// Turns with positions that changed.
    grown: Vec<(u32, Turn)>,
}

impl TranscriptOrder {
    /// The next turn; what follows waits until it has words or is dropped.
    pub(super) fn open(&mut self) -> TurnNumber {
        self.slots.push(TurnSlot::Awaited);
        (self.slots.len() - 1) as TurnNumber
    }

    /// A turn has these words now.
    pub(super) fn put(&mut self, number: TurnNumber, turn: Turn) {
        match self.slots.get_mut(number as usize) {
            Some(TurnSlot::Placed(position)) => self.grown.push((*position, turn)),
            Some(TurnSlot::Empty) | None => {}
            Some(slot) => {
                *slot = TurnSlot::Waiting(turn);
                self.settle();
            }
        }
    }

    /// No words come of a turn.
    pub(super) fn drop(&mut self, number: TurnNumber) {
        if let Some(slot @ TurnSlot::Awaited) = self.slots.get_mut(number as usize) {
            *slot = TurnSlot::Empty;
            self.settle();
        }
    }

    /// Nothing is awaited any more: the call is over.
    pub(super) fn close(&mut self) {
        self.slots.iter_mut().filter(|slot| **slot == TurnSlot::Awaited).for_each(|slot| *slot = TurnSlot::Empty);
        self.settle();
    }

    /// Turns that are new or have grown, with their positions.
    pub(super) fn poll(&mut self) -> Vec<(u32, Turn)> {
        std::mem::take(&mut self.grown)
    }

    fn settle(&mut self) {
        while let Some(slot) = self.slots.get_mut(self.settled) {
            match slot {
                TurnSlot::Awaited => return,
                TurnSlot::Empty | TurnSlot::Placed(_) => {}
                TurnSlot::Waiting(_) => {
                    let placed = TurnSlot::Placed(self.next_position);
                    if let TurnSlot::Waiting(turn) = std::mem::replace(slot, placed) {
                        self.grown.push((self.next_position, turn));
                    }
                    self.next_position += 1;
                }
            }
            self.settled += 1;
        }
    }
}

impl CallMachine {
    pub(super) fn record_user(&mut self, turn: &end_of_turn::CallerTurn) {
        let number = self.transcript.open();
        let turn = Turn {
            role: TurnRole::User,
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
        self.emit_turns();
    }

    pub(super) fn emit_turns(&mut self) {
        for (position, turn) in self.transcript.poll() {
            self.output(CallOutput::Turn { position, turn });
        }
    }

    /// Records the response as far as it was heard; nothing for a response without audio.
    pub(super) fn record_response(&mut self, at_ms: u64, interrupted: bool, said: Option<String>) {
        let Some(response) = &self.response else { return };
        let (Some(number), Some(started_at_ms)) = (response.transcript_turn, response.started_at_ms) else { return };
        let turn = Turn {
            role: TurnRole::Assistant,
            content: said.unwrap_or_else(|| response.said()),
            started_at_ms,
            ended_at_ms: at_ms,
            interrupted,
            confidence: None,
        };
        self.record(number, turn);
    }
}
