//! What is known of a turn at one moment.

use super::asked::Asked;
use std::time::Duration;

/// What STT says about the end of the turn by itself. Final words that we asked for say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SttSign {
    /// Nothing, or the caller went on.
    #[default]
    None,
    /// It heard a pause (`speech_final`).
    SpeechFinal,
    /// It heard no words for long (`UtteranceEnd`).
    UtteranceEnd,
    /// Its turn model holds the turn for over (`EndOfTurn`).
    EndOfTurn,
}

/// What the full stops of STT have been worth in this call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopTrust {
    /// They have stood at pauses after which the caller went on.
    Doubted,
    /// Nothing is known.
    #[default]
    Unknown,
    /// They have stood at the ends of turns.
    Proven,
}

/// How the voice ended, as the leg measures it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prosody {
    /// How far pitch and level fell at the end, from -1 (rose) to 1 (fell).
    pub fall: f32,
    /// How much longer the last voiced stretch was than usual, from 0 to 1.
    pub lengthening: f32,
}

/// What is known of a turn at one moment. All of it is optional but the words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Words so far, final ones first.
    pub words: &'a str,
    /// Language code of the words; empty or `multi` if it is not known.
    pub language: &'a str,
    /// The last of the words may still change.
    pub is_interim: bool,
    /// How long after the last sound the last words came; `None` if they came before it.
    pub words_after_sound: Option<Duration>,
    /// STT has put marks in this call.
    pub is_written: bool,
    /// What its full stops have been worth.
    pub stops: StopTrust,
    /// What STT says by itself.
    pub stt: SttSign,
    /// What the agent asked.
    pub asked: Asked,
    /// How the voice ended, where the leg has measured it.
    pub prosody: Option<Prosody>,
}
