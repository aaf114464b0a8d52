//! Orders the turns of a call. A turn gets its position when everything before it is known: on realtime models the
//! caller's transcript arrives after the response has begun, and sometimes never. Positions have no gaps and no
//! duplicates.

use trunkline_domain::transcript::Turn;

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
