//! The loop with models that are none.

use super::*;
use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
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

/// Its text "long" goes on until it has said another one.
#[derive(Default)]
struct Beeper {
    /// Told when "long" begins.
    began: Option<Sender<()>>,
    said: AtomicUsize,
}

/// Pieces of "long", if nothing else is said.
const PIECES_MAX: usize = 1_000_000;

impl Synthesizer for Beeper {
    fn voices(&self) -> Vec<String> {
        vec!["beeper".to_owned()]
    }

    fn synthesize(
        &self, voice: &str, _: f32, text: &str, _: &Cancellation, speech: &mut dyn FnMut(SpeechPiece<'_>),
    ) -> Result<(), EngineError> {
        if voice != "beeper" {
            return Err(EngineError::unsupported("no such voice"));
        }
        if text == "long" {
            self.began.iter().for_each(|began| began.send(()).unwrap());
            for _ in (0..PIECES_MAX).take_while(|_| self.said.load(Ordering::Relaxed) == 0) {
                std::thread::yield_now();
                speech(SpeechPiece::Audio { rate_hz: 16_000, samples: &[1] });
            }
            return Ok(());
        }
        self.said.fetch_add(1, Ordering::Relaxed);
        speech(SpeechPiece::WordEnds(&[1_000]));
        speech(SpeechPiece::Audio { rate_hz: 16_000, samples: &vec![1; text.len() * 10_000] });
        Ok(())
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
struct Later(Receiver<()>, Cursor<Vec<u8>>);

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

fn both() -> Engines {
    Engines { stt: Some(Box::new(Counter)), tts: Some(Box::new(Beeper::default())), ..Engines::default() }
}

#[test]
fn requests_are_answered_and_a_model_that_panics_has_failed_on_one_input() {
    let speak = |id, voice: &str| ServerMessage::Synthesize {
        id: RequestId(id),
        urgency: SpeechUrgency::Waited,
        voice: voice.into(),
        speed_permille: 1_000,
        text: "beep".into(),
    };
    let input = [
        ServerMessage::Hello(Hello::of_server()),
        audio(1, &[-1]),
        audio(2, &[1, 2, 3]),
        speak(3, "beeper"),
        speak(4, "other"),
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
}

#[test]
fn speech_that_is_waited_for_is_made_in_the_middle_of_other_speech() {
    let speak = |id, urgency, text: &str| ServerMessage::Synthesize {
        id: RequestId(id),
        urgency,
        voice: "beeper".into(),
        speed_permille: 1_000,
        text: text.into(),
    };
    let input = [
        ServerMessage::Hello(Hello::of_server()),
        speak(1, SpeechUrgency::Ahead, "long"),
        speak(2, SpeechUrgency::Ahead, "b"),
    ];
    let (began, begins) = channel();
    let later = Later(begins, Cursor::new(bytes(&[speak(3, SpeechUrgency::Waited, "b")])));
    let beeper = Beeper { began: Some(began), ..Beeper::default() };
    let engines = Engines { tts: Some(Box::new(beeper)), ..both() };
    let done: Vec<u64> = answers_to(engines, Cursor::new(bytes(&input)).chain(later))
        .iter()
        .filter_map(|message| match message {
            WorkerMessage::Done { id } => Some(id.0),
            _ => None,
        })
        .collect();
    assert_eq!(done, [3, 1, 2]);
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
