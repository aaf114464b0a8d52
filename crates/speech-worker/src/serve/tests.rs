//! The loop with models that are none.

use super::*;
use crate::engine::{SpeechPiece, Synthesizer, Utterance};
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use trunkline_local_speech::limits::AUDIO_BYTES_MAX;
use trunkline_local_speech::message::{FailureKind, SessionId, Urgency};

/// Says how many samples it got, and panics at the sample -1.
struct Counter;

impl Transcriber for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn transcribe(&mut self, samples: &[i16], cancellation: &Cancellation) -> Result<Transcription, EngineError> {
        assert_ne!(samples.first(), Some(&-1), "a model that panics");
        cancellation.check()?;
        Ok(Transcription { text: samples.len().to_string(), confidence: 2.0 })
    }
}

/// Its text "long" goes on, without a sound, until it has said another one.
#[derive(Default)]
struct Beeper {
    /// Told when "long" begins.
    began: Mutex<Option<Sender<()>>>,
    said: Arc<AtomicUsize>,
}

/// Pieces of "long", if nothing else is said.
const PIECES_MAX: usize = usize::MAX;

struct Beeps {
    pieces: usize,
    samples: usize,
    is_long: bool,
    said: Arc<AtomicUsize>,
}

impl Utterance for Beeps {
    fn next_piece(&mut self, _: &Cancellation) -> Result<Option<SpeechPiece>, EngineError> {
        assert_ne!(self.samples, 5 * 10_000, "a model that panics");
        self.pieces -= 1;
        if self.is_long {
            std::thread::yield_now();
            let is_over = self.said.load(Ordering::Relaxed) > 0;
            self.pieces = if is_over { 0 } else { self.pieces };
        }
        let word_ends = if self.is_long { Vec::new() } else { vec![1_000] };
        Ok(Some(SpeechPiece { rate_hz: 16_000, samples: vec![1; self.samples], word_ends }))
    }

    fn is_over(&self) -> bool {
        self.pieces == 0
    }
}

/// A text is said when its end has been sent.
impl Drop for Beeps {
    fn drop(&mut self) {
        if !self.is_long {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Synthesizer for Beeper {
    fn voices(&self) -> Vec<String> {
        vec!["beeper".to_owned()]
    }

    fn begin(&self, voice: &str, _: f32, text: &str) -> Result<Box<dyn Utterance>, EngineError> {
        if voice != "beeper" {
            return Err(EngineError::unsupported("no such voice"));
        }
        let is_long = text == "long";
        if is_long && let Some(began) = self.began.lock().unwrap().take() {
            began.send(()).unwrap();
        }
        let (pieces, samples) = if is_long { (PIECES_MAX, 0) } else { (1, text.len() * 10_000) };
        Ok(Box::new(Beeps { pieces, samples, is_long, said: Arc::clone(&self.said) }))
    }
}

fn audio(id: u64, samples: &[i16]) -> ServerMessage {
    let (id, session) = (RequestId(id), SessionId(1));
    ServerMessage::Transcribe { id, session, urgency: Urgency::Final, samples: samples.to_vec() }
}

/// What a worker answers to these bytes, by request.
fn answers(engines: Engines, input: Vec<u8>) -> Vec<WorkerMessage> {
    answers_to(engines, Cursor::new(input))
}

fn answers_to(engines: Engines, input: impl Read) -> Vec<WorkerMessage> {
    let mut output = Vec::new();
    serve(engines, input, &mut output);
    let (mut frames, mut messages) = (FrameReader::default(), Vec::new());
    frames.push(&output);
    while let Some(frame) = frames.next_frame().unwrap() {
        messages.push(WorkerMessage::read(&frame).unwrap());
    }
    messages
}

/// Bytes that come when something else has begun.
struct Later(std::sync::mpsc::Receiver<()>, Cursor<Vec<u8>>);

impl Read for Later {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.position() == 0 {
            self.0.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        self.1.read(buffer)
    }
}

fn bytes(messages: &[ServerMessage]) -> Vec<u8> {
    messages.iter().flat_map(|message| message.frame().encode()).collect()
}

fn speak(id: u64, sound_ms: u32, voice: &str, text: &str) -> ServerMessage {
    let (id, voice, text) = (RequestId(id), voice.to_owned(), text.to_owned());
    ServerMessage::Synthesize { id, tenant: 1, sound_ms, voice, speed_permille: 1_000, text }
}

fn both() -> Engines {
    Engines { stt: Some(Box::new(Counter)), tts: Some(Box::new(Beeper::default())), ..Engines::default() }
}

#[test]
fn requests_are_answered_and_a_model_that_panics_has_failed_on_one_input() {
    let input = [
        ServerMessage::Hello(Hello::of_server()),
        audio(1, &[-1]),
        audio(2, &[1, 2, 3]),
        speak(3, 0, "beeper", "beep"),
        speak(4, 0, "other", "beep"),
        speak(5, 0, "beeper", "panic"),
        speak(6, 0, "beeper", "b"),
    ];
    let messages = answers(both(), bytes(&input));
    let hello = Hello { version: VERSION, stt_models: vec!["counter".into()], voices: vec!["beeper".into()] };
    assert_eq!(messages[0], WorkerMessage::Hello(hello));
    let of = |id: u64| {
        let is_of = |message: &&WorkerMessage| match message {
            WorkerMessage::Transcript { id: other, .. }
            | WorkerMessage::Audio { id: other, .. }
            | WorkerMessage::WordEnds { id: other, .. }
            | WorkerMessage::Done { id: other }
            | WorkerMessage::Failed { id: other, .. } => other.0 == id,
            WorkerMessage::Hello(_) => false,
        };
        messages.iter().filter(is_of).collect::<Vec<_>>()
    };
    assert!(matches!(of(1)[..], [WorkerMessage::Failed { kind: FailureKind::Model, .. }]));
    assert!(matches!(of(2)[..], [WorkerMessage::Transcript { text, confidence_permille: 1_000, .. }] if text == "3"));
    let [
        WorkerMessage::WordEnds { .. },
        WorkerMessage::Audio { samples: first, .. },
        WorkerMessage::Audio { samples: second, .. },
        WorkerMessage::Done { .. },
    ] = of(3)[..]
    else {
        panic!("{:?}", of(3).len())
    };
    assert_eq!((first.len(), second.len()), (AUDIO_BYTES_MAX / 2, 40_000 - AUDIO_BYTES_MAX / 2));
    assert!(matches!(of(4)[..], [WorkerMessage::Failed { kind: FailureKind::Unsupported, .. }]));
    assert!(matches!(of(5)[..], [WorkerMessage::Failed { kind: FailureKind::Model, .. }]));
    assert!(matches!(of(6).last(), Some(WorkerMessage::Done { .. })));
}

/// The texts that are over, in order.
fn done(messages: &[WorkerMessage]) -> Vec<u64> {
    let is_done = |message: &WorkerMessage| match message {
        WorkerMessage::Done { id } | WorkerMessage::Failed { id, .. } => Some(id.0),
        _ => None,
    };
    messages.iter().filter_map(is_done).collect()
}

#[test]
fn speech_that_is_waited_for_is_made_in_the_middle_of_other_speech() {
    let input = [ServerMessage::Hello(Hello::of_server()), speak(1, 60_000, "beeper", "long")];
    let (began, begins) = channel();
    let later = Later(begins, Cursor::new(bytes(&[speak(3, 0, "beeper", "b")])));
    let beeper = Beeper { began: Mutex::new(Some(began)), ..Beeper::default() };
    let engines = Engines { tts: Some(Box::new(beeper)), ..both() };
    assert_eq!(done(&answers_to(engines, Cursor::new(bytes(&input)).chain(later))), [3, 1]);
}

/// What nobody waits for ends at once, however much else there is to speak; more texts than allowed end the worker.
#[test]
fn texts_are_cancelled_and_bounded() {
    let (began, begins) = channel();
    let beeper = Beeper { began: Mutex::new(Some(began)), ..Beeper::default() };
    let engines = Engines { tts: Some(Box::new(beeper)), ..both() };
    let later = Later(begins, Cursor::new(bytes(&[ServerMessage::Cancel { id: RequestId(1) }])));
    let messages = answers_to(engines, Cursor::new(bytes(&[speak(1, 0, "beeper", "long")])).chain(later));
    let [.., WorkerMessage::Failed { id: RequestId(1), kind: FailureKind::Cancelled, .. }] = &messages[..] else {
        panic!("{:?}", messages.last())
    };
    let many: Vec<_> = (0..=speaking::TEXTS_MAX as u64).map(|id| speak(id, 60_000, "beeper", "long")).collect();
    let beeper = Beeper { said: Arc::new(AtomicUsize::new(1)), ..Beeper::default() };
    let engines = Engines { tts: Some(Box::new(beeper)), ..both() };
    let pushed: Vec<bool> = {
        let output = Mutex::new(Vec::new());
        let speaking = Speaking::new(engines.tts, "", &output);
        many.into_iter().map(|text| speaking.push(text)).collect()
    };
    assert_eq!(pushed.iter().filter(|is_taken| !**is_taken).count(), 1, "the one too many");
}

#[test]
fn a_worker_without_a_model_says_so() {
    let messages = answers(Engines::default(), bytes(&[audio(1, &[1])]));
    assert!(matches!(&messages[1], WorkerMessage::Failed { kind: FailureKind::Unsupported, .. }));
}

#[test]
fn the_worker_ends_with_its_input_and_at_what_is_no_message() {
    assert_eq!(answers(both(), Vec::new()).len(), 1);
    let mut garbage = bytes(&[audio(1, &[1])]);
    garbage.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    garbage.extend(bytes(&[audio(2, &[1])]));
    assert_eq!(answers(both(), garbage).len(), 2, "what comes after it is not read");
    let other = ServerMessage::Hello(Hello { version: VERSION + 1, ..Hello::default() });
    assert_eq!(answers(both(), bytes(&[other, audio(1, &[1])])).len(), 1, "a server of another version");
    let mut truncated = bytes(&[audio(1, &[1, 2, 3])]);
    truncated.pop();
    assert_eq!(answers(both(), truncated).len(), 1);
}
