//! The threads that speak. They take the texts of the agenda piece by piece, so several texts are spoken by turns. A second
//! thread helps while listeners wait or are about to.

use super::agenda::{Agenda, Entry};
use super::replies::{contained, failed, send_shared};
use crate::engine::{Cancellation, EngineError, SpeechPiece, Synthesizer, Utterance};
use std::io::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use trunkline_local_speech::limits::{AUDIO_BYTES_MAX, SPOKEN_AT_ONCE_MAX};
use trunkline_local_speech::message::{RequestId, ServerMessage, WorkerMessage};

/// Texts at most. The server sends half as many at once; one that is over may still be here when the next one comes.
pub(super) const TEXTS_MAX: usize = 2 * SPOKEN_AT_ONCE_MAX;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Speaks all texts.
    Main,
    /// Speaks what is urgent.
    Helper,
}

impl Role {
    /// The threads of this machine: never more than it has cores.
    pub(super) fn all() -> &'static [Self] {
        match std::thread::available_parallelism() {
            Ok(cores) if cores.get() > 1 => &[Self::Main, Self::Helper],
            _ => &[Self::Main],
        }
    }
}

/// A text in the hands of a thread, or between two of its pieces.
struct Text {
    state: TextState,
    cancellation: Cancellation,
}

enum TextState {
    Asked { voice: String, speed: f32, text: String },
    Begun(Box<dyn Utterance>),
}

/// What the threads share.
struct Desk {
    agenda: Agenda<Text>,
    /// All texts that are not over, to cancel them.
    open: Vec<(RequestId, Cancellation)>,
    /// Nothing more comes.
    is_closed: bool,
}

/// The voices, the texts, and where their speech goes.
pub(super) struct Speaking<'a, W> {
    voices: Option<Box<dyn Synthesizer>>,
    advice: &'a str,
    output: &'a Mutex<W>,
    desk: Mutex<Desk>,
    changed: Condvar,
}

impl<'a, W: Write> Speaking<'a, W> {
    pub(super) fn new(voices: Option<Box<dyn Synthesizer>>, advice: &'a str, output: &'a Mutex<W>) -> Self {
        let desk = Desk { agenda: Agenda::new(TEXTS_MAX), open: Vec::new(), is_closed: false };
        Self { voices, advice, output, desk: Mutex::new(desk), changed: Condvar::new() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a text; false if the server sends more than it may.
    pub(super) fn push(&self, message: ServerMessage) -> bool {
        let ServerMessage::Synthesize { id, tenant, sound_ms, voice, speed_permille, text } = message else {
            return false;
        };
        let (speed, cancellation) = (speed_permille as f32 / 1_000.0, Cancellation::default());
        let asked = Text { state: TextState::Asked { voice, speed, text }, cancellation: cancellation.clone() };
        let sound = Duration::from_millis(u64::from(sound_ms));
        let mut desk = self.desk();
        // Those that a thread has in hand are open, and not on the agenda.
        let is_taken = desk.open.len() < TEXTS_MAX && desk.agenda.push(Instant::now(), id, tenant, sound, asked);
        if is_taken {
            desk.open.push((id, cancellation));
        }
        drop(desk);
        self.changed.notify_all();
        is_taken
    }

    /// Nobody waits for this text any more.
    pub(super) fn cancel(&self, id: RequestId) {
        let desk = self.desk();
        desk.open.iter().filter(|(other, _)| *other == id).for_each(|(_, cancellation)| cancellation.cancel());
        drop(desk);
        self.changed.notify_all();
    }

    /// Nothing more comes: the threads end with what they have.
    pub(super) fn close(&self) {
        self.desk().is_closed = true;
        self.changed.notify_all();
    }

    /// Speaks until there is nothing more to come.
    pub(super) fn run(&self, role: Role) {
        while let Some(mut entry) = self.next(role) {
            let spoken = self.speak(&mut entry);
            let mut desk = self.desk();
            match spoken {
                Some(piece) => {
                    entry.has_spoken(Instant::now(), piece);
                    desk.agenda.put_back(entry);
                }
                None => desk.open.retain(|(id, _)| *id != entry.id),
            }
            drop(desk);
            self.changed.notify_all();
        }
    }

    /// Waits for a text.
    fn next(&self, role: Role) -> Option<Entry<Text>> {
        let mut desk = self.desk();
        loop {
            let (now, is_helper) = (Instant::now(), role == Role::Helper);
            let is_over = |text: &Text| text.cancellation.check().is_err();
            if let Some(entry) = desk.agenda.take(now, is_helper, is_over) {
                return Some(entry);
            }
            // What the other thread has in hand comes back.
            if desk.is_closed && (is_helper || desk.open.is_empty()) {
                return None;
            }
            let due = desk.agenda.next_urgent().filter(|_| is_helper);
            desk = match due {
                Some(at) => {
                    let wait = at.saturating_duration_since(now).max(Duration::from_millis(1));
                    self.changed.wait_timeout(desk, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Speaks the next piece of a text and sends it; how long it is, or `None` if the text is over.
    fn speak(&self, entry: &mut Entry<Text>) -> Option<Duration> {
        let (id, Text { state, cancellation }) = (entry.id, &mut entry.text);
        let spoken = contained(|| {
            cancellation.check()?;
            let utterance = self.begun(state)?;
            let piece = utterance.next_piece(cancellation)?;
            cancellation.check()?;
            Ok((piece, utterance.is_over()))
        });
        match spoken {
            Ok((piece, is_over)) => {
                let length = self.send_piece(id, piece);
                if !is_over {
                    return Some(length);
                }
                send_shared(self.output, &WorkerMessage::Done { id });
            }
            Err(error) => send_shared(self.output, &failed(id, error)),
        }
        None
    }

    fn begun<'t>(&self, state: &'t mut TextState) -> Result<&'t mut Box<dyn Utterance>, EngineError> {
        if let TextState::Asked { voice, speed, text } = state {
            let voices = self
                .voices
                .as_ref()
                .ok_or_else(|| EngineError::unsupported(format!("the speech worker has no voice: {}", self.advice)))?;
            *state = TextState::Begun(voices.begin(voice, *speed, text)?);
        }
        match state {
            TextState::Begun(utterance) => Ok(utterance),
            TextState::Asked { .. } => Err(EngineError::model("it was not begun")),
        }
    }

    fn send_piece(&self, id: RequestId, piece: Option<SpeechPiece>) -> Duration {
        let Some(SpeechPiece { rate_hz, samples, word_ends }) = piece else { return Duration::ZERO };
        if !word_ends.is_empty() {
            send_shared(self.output, &WorkerMessage::WordEnds { id, samples: word_ends });
        }
        for piece in samples.chunks(AUDIO_BYTES_MAX / 2) {
            send_shared(self.output, &WorkerMessage::Audio { id, rate_hz, samples: piece.to_vec() });
        }
        Duration::from_millis(samples.len() as u64 * 1_000 / u64::from(rate_hz.max(1)))
    }
}
