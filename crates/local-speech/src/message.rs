//! The messages of the speech worker: what the server asks, and what the worker answers. Both sides begin with
//! [`Hello`]; a worker of another version is not asked anything.
//!
//! A request has an id; its answers carry it. The worker does one transcription at a time, and speaks some texts by
//! turns: whose listener runs out of sound first gets the next piece. Numbers are little-endian; a text is a length of four
//! bytes and UTF-8.

mod body;

use super::frame::Frame;
use super::limits::{
    AUDIO_BYTES_MAX, FAILURE_BYTES_MAX, NAMES_MAX, SYNTHESIZE_BYTES_MAX, TRANSCRIBE_SAMPLES_MAX, TRANSCRIPT_BYTES_MAX,
    VOICE_BYTES_MAX, WORD_ENDS_MAX,
};
pub use body::MessageError;
use body::{BodyReader, BodyWriter};

/// The version of these messages. Every change of them is another version.
pub const VERSION: u16 = 3;
/// The first bytes of a hello, so that another program is not taken for a worker.
const MAGIC: u32 = u32::from_le_bytes(*b"TLSW");

/// Which request an answer belongs to. Ids are not used twice by one server process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Whose speech is transcribed: a listening session of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// How soon a transcription is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Words that do not change any more: before all partial ones.
    Final,
    /// Words so far: a newer request of the session takes its place.
    Partial,
}

/// The first message of each side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// [`VERSION`] of the side that sends it.
    pub version: u16,
    /// Models of STT that the worker has loaded; empty from the server.
    pub stt_models: Vec<String>,
    /// Voices that the worker can speak with; empty from the server.
    pub voices: Vec<String>,
}

/// What the server sends.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage {
    /// The first message.
    Hello(Hello),
    /// Speech to text; answered by [`WorkerMessage::Transcript`] or [`WorkerMessage::Failed`].
    Transcribe {
        /// Id of the request.
        id: RequestId,
        /// Whose speech.
        session: SessionId,
        /// How soon.
        urgency: Urgency,
        /// Mono at 16 kHz; at most [`TRANSCRIBE_SAMPLES_MAX`].
        samples: Vec<i16>,
    },
    /// Text to speech; answered by any number of [`WorkerMessage::Audio`], then [`WorkerMessage::Done`] or
    /// [`WorkerMessage::Failed`].
    Synthesize {
        /// Id of the request.
        id: RequestId,
        /// Whose text: organizations share the voices.
        tenant: u64,
        /// Sound that the listener has before it, in milliseconds. With 0 he hears nothing until it comes.
        sound_ms: u32,
        /// One of the worker's voices.
        voice: String,
        /// Speed in thousandths: 1,000 is the voice's own.
        speed_permille: u32,
        /// What is said, as the voice takes it: phonemes of espeak-ng for a Piper voice; at most
        /// [`SYNTHESIZE_BYTES_MAX`].
        text: String,
    },
    /// The answer is not needed any more. The worker ends the request as soon as it can, with
    /// [`FailureKind::Cancelled`] or with the answer, if that was ready.
    Cancel {
        /// Id of the request.
        id: RequestId,
    },
}

/// Why the worker could not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The server has cancelled the request.
    Cancelled,
    /// The worker does not have this model or voice.
    Unsupported,
    /// The model failed on this input.
    Model,
    /// Files of the models are missing or are other files, so the worker cannot work at all; sent in place of the hello,
    /// with the id 0.
    FilesMissing,
}

/// What the worker sends.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerMessage {
    /// The first message: the models are loaded.
    Hello(Hello),
    /// What was said.
    Transcript {
        /// Id of the request.
        id: RequestId,
        /// The words; empty if there were none.
        text: String,
        /// Mean probability of the words, in thousandths.
        confidence_permille: u16,
        /// How long the models took, in microseconds.
        compute_us: u32,
    },
    /// A part of the speech.
    Audio {
        /// Id of the request.
        id: RequestId,
        /// Sampling rate in Hz.
        rate_hz: u32,
        /// Mono.
        samples: Vec<i16>,
    },
    /// When the words of the speech are over; voices that know it say it before the audio.
    WordEnds {
        /// Id of the request.
        id: RequestId,
        /// The sample at which each word is over; at most [`WORD_ENDS_MAX`].
        samples: Vec<u32>,
    },
    /// All of the speech was sent.
    Done {
        /// Id of the request.
        id: RequestId,
    },
    /// The request has failed.
    Failed {
        /// Id of the request.
        id: RequestId,
        /// What kind of failure.
        kind: FailureKind,
        /// In words, without the text or the audio of the request.
        message: String,
    },
}

impl Hello {
    /// The server's hello.
    pub fn of_server() -> Self {
        Self { version: VERSION, ..Self::default() }
    }

    fn write(&self, kind: u8) -> Frame {
        let mut body = BodyWriter::new(kind);
        body.u32(MAGIC);
        body.u16(self.version);
        for names in [&self.stt_models, &self.voices] {
            let names = names.get(..NAMES_MAX).unwrap_or(names);
            body.u16(names.len() as u16);
            names.iter().for_each(|name| body.text(name, VOICE_BYTES_MAX));
        }
        body.finish()
    }

    /// Of another version only the version is read: what follows may be anything.
    fn read(body: &mut BodyReader<'_>) -> Result<Self, MessageError> {
        if body.u32()? != MAGIC {
            return Err(MessageError::NotOurs);
        }
        let version = body.u16()?;
        if version != VERSION {
            body.skip_rest();
            return Ok(Self { version, ..Self::default() });
        }
        let mut names = || -> Result<Vec<String>, MessageError> {
            let count = body.u16()? as usize;
            if count > NAMES_MAX {
                return Err(MessageError::TooLong("names"));
            }
            (0..count).map(|_| body.text(VOICE_BYTES_MAX, "name")).collect()
        };
        Ok(Self { version, stt_models: names()?, voices: names()? })
    }
}

const HELLO: u8 = 0x01;
const TRANSCRIBE: u8 = 0x02;
const SYNTHESIZE: u8 = 0x03;
const CANCEL: u8 = 0x04;
const WORKER_HELLO: u8 = 0x81;
const TRANSCRIPT: u8 = 0x82;
const AUDIO: u8 = 0x83;
const DONE: u8 = 0x84;
const FAILED: u8 = 0x85;
const WORD_ENDS: u8 = 0x86;

impl ServerMessage {
    /// Writes the message as a frame.
    pub fn frame(&self) -> Frame {
        match self {
            Self::Hello(hello) => hello.write(HELLO),
            Self::Transcribe { id, session, urgency, samples } => {
                let mut body = BodyWriter::new(TRANSCRIBE);
                body.u64(id.0);
                body.u64(session.0);
                body.u8(match urgency {
                    Urgency::Final => 0,
                    Urgency::Partial => 1,
                });
                body.samples(samples, TRANSCRIBE_SAMPLES_MAX);
                body.finish()
            }
            Self::Synthesize { id, tenant, sound_ms, voice, speed_permille, text } => {
                let mut body = BodyWriter::new(SYNTHESIZE);
                body.u64(id.0);
                body.u64(*tenant);
                body.u32(*sound_ms);
                body.u32(*speed_permille);
                body.text(voice, VOICE_BYTES_MAX);
                body.text(text, SYNTHESIZE_BYTES_MAX);
                body.finish()
            }
            Self::Cancel { id } => {
                let mut body = BodyWriter::new(CANCEL);
                body.u64(id.0);
                body.finish()
            }
        }
    }

    /// Reads what a server sends.
    pub fn read(frame: &Frame) -> Result<Self, MessageError> {
        let mut body = BodyReader::new(&frame.body);
        let message = match frame.kind {
            HELLO => Self::Hello(Hello::read(&mut body)?),
            TRANSCRIBE => Self::Transcribe {
                id: RequestId(body.u64()?),
                session: SessionId(body.u64()?),
                urgency: match body.u8()? {
                    0 => Urgency::Final,
                    1 => Urgency::Partial,
                    _ => return Err(MessageError::UnknownValue("urgency")),
                },
                samples: body.samples(TRANSCRIBE_SAMPLES_MAX)?,
            },
            SYNTHESIZE => {
                let (id, tenant, sound_ms) = (RequestId(body.u64()?), body.u64()?, body.u32()?);
                let speed_permille = body.u32()?;
                let voice = body.text(VOICE_BYTES_MAX, "voice")?;
                let text = body.text(SYNTHESIZE_BYTES_MAX, "text")?;
                Self::Synthesize { id, tenant, sound_ms, voice, speed_permille, text }
            }
            CANCEL => Self::Cancel { id: RequestId(body.u64()?) },
            kind => return Err(MessageError::UnknownKind(kind)),
        };
        body.finish(message)
    }
}

impl FailureKind {
    const ALL: [Self; 4] = [Self::Cancelled, Self::Unsupported, Self::Model, Self::FilesMissing];

    fn code(self) -> u8 {
        match self {
            Self::Cancelled => 0,
            Self::Unsupported => 1,
            Self::Model => 2,
            Self::FilesMissing => 3,
        }
    }
}

impl WorkerMessage {
    /// Writes the message as a frame.
    pub fn frame(&self) -> Frame {
        match self {
            Self::Hello(hello) => hello.write(WORKER_HELLO),
            Self::Transcript { id, text, confidence_permille, compute_us } => {
                let mut body = BodyWriter::new(TRANSCRIPT);
                body.u64(id.0);
                body.u16(*confidence_permille);
                body.u32(*compute_us);
                body.text(text, TRANSCRIPT_BYTES_MAX);
                body.finish()
            }
            Self::Audio { id, rate_hz, samples } => {
                let mut body = BodyWriter::new(AUDIO);
                body.u64(id.0);
                body.u32(*rate_hz);
                body.samples(samples, AUDIO_BYTES_MAX / 2);
                body.finish()
            }
            Self::WordEnds { id, samples } => {
                let mut body = BodyWriter::new(WORD_ENDS);
                body.u64(id.0);
                body.numbers(samples, WORD_ENDS_MAX);
                body.finish()
            }
            Self::Done { id } => {
                let mut body = BodyWriter::new(DONE);
                body.u64(id.0);
                body.finish()
            }
            Self::Failed { id, kind, message } => {
                let mut body = BodyWriter::new(FAILED);
                body.u64(id.0);
                body.u8(kind.code());
                body.text(message, FAILURE_BYTES_MAX);
                body.finish()
            }
        }
    }

    /// Reads what a worker sends.
    pub fn read(frame: &Frame) -> Result<Self, MessageError> {
        let mut body = BodyReader::new(&frame.body);
        let message = match frame.kind {
            WORKER_HELLO => Self::Hello(Hello::read(&mut body)?),
            TRANSCRIPT => {
                let (id, confidence_permille) = (RequestId(body.u64()?), body.u16()?.min(1_000));
                let compute_us = body.u32()?;
                let text = body.text(TRANSCRIPT_BYTES_MAX, "transcript")?;
                Self::Transcript { id, text, confidence_permille, compute_us }
            }
            AUDIO => {
                let (id, rate_hz) = (RequestId(body.u64()?), body.u32()?);
                Self::Audio { id, rate_hz, samples: body.samples(AUDIO_BYTES_MAX / 2)? }
            }
            WORD_ENDS => {
                let id = RequestId(body.u64()?);
                Self::WordEnds { id, samples: body.numbers(WORD_ENDS_MAX, "word ends")? }
            }
            DONE => Self::Done { id: RequestId(body.u64()?) },
            FAILED => {
                let (id, code) = (RequestId(body.u64()?), body.u8()?);
                let kind = FailureKind::ALL.into_iter().find(|kind| kind.code() == code);
                let kind = kind.ok_or(MessageError::UnknownValue("kind of failure"))?;
                Self::Failed { id, kind, message: body.text(FAILURE_BYTES_MAX, "message")? }
            }
            kind => return Err(MessageError::UnknownKind(kind)),
        };
        body.finish(message)
    }
}

#[cfg(test)]
mod tests;
