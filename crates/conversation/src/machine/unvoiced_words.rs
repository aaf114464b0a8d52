//! Words of STT with which no sound came, as far as they wait for the agent's end.

use trunkline_media::turn::end_of_turn::CallerTurn;

/// Turns without a sound, one after the other, after which voice detection is known not to hear the caller.
const INAUDIBLE_TURNS: u32 = 2;
/// Letters of words without a sound that wait for the agent's end at most.
const CHARS_MAX: usize = 1_000;

/// Words without a sound.
#[derive(Debug, Default)]
pub(super) struct UnvoicedWords {
    /// Those that came while the agent spoke: they are answered when it has finished.
    turn: Option<CallerTurn>,
    /// Turns of them while the agent was silent, since the last one with a sound.
    inaudible_turns: u32,
}

impl UnvoicedWords {
    /// What waits for the agent's end, as far as STT may still write it differently.
    pub(super) fn turn_mut(&mut self) -> Option<&mut CallerTurn> {
        self.turn.as_mut()
    }

    /// Takes what waits for the agent's end.
    pub(super) fn take(&mut self) -> Option<CallerTurn> {
        self.turn.take()
    }

    /// Lets a turn wait for the agent's end, behind those that wait.
    pub(super) fn queue(&mut self, turn: CallerTurn) {
        let chars = self.turn.as_ref().map_or(0, |first| first.text.chars().count());
        if chars + turn.text.chars().count() <= CHARS_MAX {
            self.turn = Some(joined(self.turn.take(), turn));
        }
    }

    /// A turn that does not wait. `is_made_up`: its words look like those that STT makes of silence.
    pub(super) fn record(&mut self, turn: &CallerTurn, is_made_up: bool) {
        self.inaudible_turns = match turn.is_voiced {
            true => 0,
            false => self.inaudible_turns + u32::from(!is_made_up),
        };
    }

    /// The caller is too quiet for voice detection: a sound says nothing about words.
    pub(super) fn is_inaudible(&self) -> bool {
        self.inaudible_turns >= INAUDIBLE_TURNS
    }
}

/// Two turns as one.
pub(super) fn joined(first: Option<CallerTurn>, turn: CallerTurn) -> CallerTurn {
    match first {
        Some(first) => CallerTurn { text: format!("{} {}", first.text, turn.text), ..turn },
        None => turn,
    }
}
