//! Why the agent has no words of a speech.

/// What became of the speech, and how often the agent has said so since it last understood the caller.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnclearSpeech {
    pub(super) cause: UnclearCause,
    pub(super) answers: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UnclearCause {
    #[default]
    NotUnderstood,
    /// STT has brought no words: the caller is asked to repeat them.
    Lost,
}
