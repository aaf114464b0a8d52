//! Fillers that were said while the caller waited.

/// Fillers to one turn of the caller: half a minute.
const FILLERS_MAX: u32 = 5;

/// What was said so far while the caller waited.
#[derive(Debug, Default)]
pub(super) struct SaidFillers {
    /// The last one: it is not repeated at once.
    pub(super) last: Option<String>,
    /// Since the caller's last turn.
    count: u32,
}

impl SaidFillers {
    /// The caller had a turn.
    pub(super) fn start_over(&mut self) {
        self.count = 0;
    }

    /// None was said since the caller's last turn.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// No further one is said before the caller's next turn.
    pub(super) fn is_exhausted(&self) -> bool {
        self.count >= FILLERS_MAX
    }

    pub(super) fn record(&mut self, words: String) {
        self.count += 1;
        self.last = Some(words);
    }
}
