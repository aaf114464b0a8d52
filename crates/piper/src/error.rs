//! What can be wrong with a voice, in words for whoever installs it.

/// Phonemes that are spoken at once: some 30 seconds. Memory and time of a synthesis grow with them.
pub const PHONEMES_MAX: usize = 600;

/// An error of a voice.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// A file could not be read.
    #[error("{file}: {error}")]
    File {
        /// Its path.
        file: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is larger than any voice.
    #[error("{file} has {bytes} bytes; a voice's file has at most {max}")]
    FileTooLarge {
        /// Its path.
        file: String,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        max: u64,
    },
    /// The JSON beside the model is not the configuration of a Piper voice.
    #[error("the voice's configuration: {0}")]
    Config(String),
    /// The ONNX file is broken, or is no Piper voice.
    #[error("the voice's model: {0}")]
    Model(String),
    /// The text has more phonemes than are spoken at once.
    #[error("{phonemes} phonemes at once; at most {} are spoken", PHONEMES_MAX)]
    TooLong {
        /// How many.
        phonemes: usize,
    },
    /// Nothing of the text is a phoneme of the voice.
    #[error("no phoneme of the text is known to the voice")]
    NothingToSay,
    /// The model failed on this text.
    #[error("the voice's model failed: {0}")]
    Synthesis(String),
}
