//! A speech worker without models, which does what a test says: by its first argument how it starts, and by the first
//! sample of the audio, or the first word of the text, what it does with a request.
#![expect(clippy::disallowed_methods, clippy::print_stderr, reason = "a program of the tests")]

use std::io::{Read as _, Write as _};
use std::time::Duration;
use trunkline_local_speech::frame::FrameReader;
use trunkline_local_speech::message::{FailureKind, Hello, RequestId, ServerMessage, VERSION, WorkerMessage};

/// The second sample of audio whose first one is a command.
const COMMAND_MARK: i16 = 12_345;

fn write(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes);
    let _ = out.flush();
}

fn send(message: &WorkerMessage) {
    write(&message.frame().encode());
}

fn main() {
    let start = std::env::args().nth(1).unwrap_or_default();
    let hello = |version| {
        let (stt_models, voices) = (vec!["moonshine-tiny-en".to_owned()], vec!["fake".to_owned()]);
        send(&WorkerMessage::Hello(Hello { version, stt_models, voices }));
    };
    match start.as_str() {
        "" | "speech-worker" => hello(VERSION),
        "other-version" => hello(VERSION + 1),
        "garbage" => write(b"panicked at src/main.rs: no such file"),
        "silent" => {}
        "dies" => {
            eprintln!("the models are broken");
            std::process::exit(7);
        }
        "files-missing" => {
            let message = "encoder_model.ort is missing: run `trunkline models fetch`".to_owned();
            send(&WorkerMessage::Failed { id: RequestId(0), kind: FailureKind::FilesMissing, message });
            return;
        }
        // Whether the server's environment is seen.
        "environment" => {
            let stt_models = std::env::vars().map(|(name, _)| name).take(60).collect();
            send(&WorkerMessage::Hello(Hello { version: VERSION, stt_models, voices: Vec::new() }));
        }
        other => panic!("no way to start: {other}"),
    }
    let mut frames = FrameReader::default();
    let mut piece = vec![0; 65_536];
    loop {
        let count = std::io::stdin().lock().read(&mut piece).unwrap_or_default();
        if count == 0 {
            return;
        }
        frames.push(&piece[..count]);
        while let Ok(Some(frame)) = frames.next_frame() {
            match ServerMessage::read(&frame) {
                Ok(message) => handle(message),
                Err(error) => {
                    eprintln!("{error}");
                    std::process::exit(2);
                }
            }
        }
    }
}

fn handle(message: ServerMessage) {
    match message {
        ServerMessage::Hello(_) => {}
        ServerMessage::Transcribe { id, session, samples, .. } => {
            let heard = WorkerMessage::Transcript {
                id,
                text: format!("session {} said {} samples", session.0, samples.len()),
                confidence_permille: 900,
                compute_us: 1_000,
            };
            // Callers' audio is never taken for a command.
            let command = samples.split_first_chunk::<2>().filter(|([_, mark], _)| *mark == COMMAND_MARK);
            match command.map(|([command, _], _)| *command) {
                Some(-1) => std::process::exit(3),
                Some(-2) => {}
                Some(-3) => {
                    std::thread::sleep(Duration::from_millis(300));
                    send(&heard);
                }
                Some(-4) => write(b"thread 'main' panicked"),
                Some(-5) => write(&u32::MAX.to_le_bytes()),
                Some(-6) => {
                    let bytes = heard.frame().encode();
                    write(&bytes[..bytes.len() / 2]);
                    std::process::exit(0);
                }
                Some(-7) => {
                    let message = "no such input".to_owned();
                    send(&WorkerMessage::Failed { id, kind: FailureKind::Model, message });
                }
                _ => send(&heard),
            }
        }
        ServerMessage::Synthesize { id, text, .. } => {
            for word in text.split_whitespace() {
                // In English, and as a voice of Piper gets it.
                if word == "crash" || word.starts_with("kɹˈæʃ") {
                    std::process::exit(3);
                }
                send(&WorkerMessage::Audio { id, rate_hz: 22_050, samples: vec![2_000; 2_205] });
            }
            send(&WorkerMessage::Done { id });
        }
        ServerMessage::Cancel { id } => {
            send(&WorkerMessage::Failed { id, kind: FailureKind::Cancelled, message: String::new() });
        }
    }
}
