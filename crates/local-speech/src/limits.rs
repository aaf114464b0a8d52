//! Bounds of the speech worker's protocol.

/// Sampling rate of the audio that is transcribed, in Hz.
pub const STT_RATE_HZ: u32 = 16_000;
/// Longest audio of one request to transcribe: what is longer is cut before it is sent.
pub const TRANSCRIBE_SAMPLES_MAX: usize = 16 * STT_RATE_HZ as usize;
/// Longest text to synthesize, in bytes: a segment has 240, a scripted response some thousand.
pub const SYNTHESIZE_BYTES_MAX: usize = 8_192;
/// Longest name of a voice, in bytes.
pub const VOICE_BYTES_MAX: usize = 200;
/// Longest text that was heard, in bytes.
pub const TRANSCRIPT_BYTES_MAX: usize = 8_192;
/// Longest message of a failure, in bytes.
pub const FAILURE_BYTES_MAX: usize = 1_024;
/// Most bytes of audio in one answer; longer audio comes in several.
pub const AUDIO_BYTES_MAX: usize = 65_536;
/// Most words of one text whose ends are told.
pub const WORD_ENDS_MAX: usize = 2_048;
/// Most names of one kind that a worker may announce.
pub const NAMES_MAX: usize = 64;
/// Longest frame without its length: the longest audio, and room for the rest of its message.
pub const FRAME_BYTES_MAX: usize = 2 * TRANSCRIBE_SAMPLES_MAX + 64;

/// Requests of one kind that may wait for the worker; more are refused. A final transcription pushes out a partial one.
pub const WAITING_MAX: usize = 64;
/// Texts that the worker speaks by turns; more wait for it.
pub const SPOKEN_AT_ONCE_MAX: usize = 24;
/// Pieces of audio of one request that may wait for whoever asked: a text of [`SYNTHESIZE_BYTES_MAX`] has fewer.
pub const ANSWERS_WAITING_MAX: usize = 512;
