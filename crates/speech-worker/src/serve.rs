//! The worker's loop: a thread reads, one transcribes, the others speak. Transcriptions are done one at a time, as the
//! server sends them; texts are spoken by turns.

mod agenda;
mod replies;
mod speaking;

use crate::engine::{Cancellation, EngineError, Engines, Transcriber, Transcription};
pub(crate) use replies::send;
use replies::{contained, failed, send_shared};
use speaking::{Role, Speaking};
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;
use trunkline_local_speech::frame::FrameReader;
use trunkline_local_speech::message::{Hello, RequestId, ServerMessage, VERSION, WorkerMessage};

/// Transcriptions that wait: the server sends one at a time.
const WAITING_MAX: usize = 8;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 65_536;

/// A transcription in the hands of its thread.
struct Job {
    id: RequestId,
    message: ServerMessage,
    cancellation: Cancellation,
}

/// The queue of the thread, and the requests that can be cancelled.
struct Lane {
    jobs: SyncSender<Job>,
    recent: Vec<(RequestId, Cancellation)>,
}

impl Lane {
    fn new() -> (Self, Receiver<Job>) {
        let (jobs, queue) = sync_channel(WAITING_MAX);
        (Self { jobs, recent: Vec::new() }, queue)
    }

    /// False if the server sends more than it may.
    fn push(&mut self, id: RequestId, message: ServerMessage) -> bool {
        let cancellation = Cancellation::default();
        if self.recent.len() > WAITING_MAX {
            self.recent.remove(0);
        }
        self.recent.push((id, cancellation.clone()));
        self.jobs.try_send(Job { id, message, cancellation }).is_ok()
    }

    fn cancel(&self, id: RequestId) {
        self.recent.iter().filter(|(other, _)| *other == id).for_each(|(_, cancellation)| cancellation.cancel());
    }
}

/// Answers requests until the input ends or is no message.
pub fn serve(engines: Engines, mut input: impl Read, output: impl Write + Send) {
    let output = Mutex::new(output);
    let Engines { stt, tts, stt_advice, tts_advice } = engines;
    send_shared(
        &output,
        &WorkerMessage::Hello(Hello {
            version: VERSION,
            stt_models: stt.iter().map(|model| model.name().to_owned()).collect(),
            voices: tts.iter().flat_map(|voices| voices.voices()).collect(),
        }),
    );
    let (mut stt_lane, stt_jobs) = Lane::new();
    let speaking = Speaking::new(tts, &tts_advice, &output);
    std::thread::scope(|scope| {
        let (speaking, output, stt_advice) = (&speaking, &output, &stt_advice);
        scope.spawn(move || transcribe_all(stt, stt_advice, &stt_jobs, output));
        for role in Role::all() {
            scope.spawn(move || speaking.run(*role));
        }
        read_all(&mut input, &mut stt_lane, speaking);
        drop(stt_lane);
        speaking.close();
    });
}

/// Reads requests until the input ends, or is no message.
fn read_all<W: Write>(input: &mut impl Read, stt_lane: &mut Lane, speaking: &Speaking<'_, W>) {
    let (mut frames, mut piece) = (FrameReader::default(), vec![0; PIECE_BYTES]);
    loop {
        let count = input.read(&mut piece).unwrap_or_default();
        if count == 0 {
            return;
        }
        frames.push(piece.get(..count).unwrap_or_default());
        loop {
            let message = match frames.next_frame() {
                Ok(Some(frame)) => ServerMessage::read(&frame),
                Ok(None) => break,
                // The server is another program; it sees the end.
                Err(_) => return,
            };
            let is_taken = match message {
                Ok(ServerMessage::Hello(hello)) => hello.version == VERSION,
                Ok(message @ ServerMessage::Transcribe { id, .. }) => stt_lane.push(id, message),
                Ok(message @ ServerMessage::Synthesize { .. }) => speaking.push(message),
                Ok(ServerMessage::Cancel { id }) => {
                    stt_lane.cancel(id);
                    speaking.cancel(id);
                    true
                }
                Err(_) => false,
            };
            if !is_taken {
                return;
            }
        }
    }
}

fn transcribe_all(
    mut model: Option<Box<dyn Transcriber>>, advice: &str, jobs: &Receiver<Job>, output: &Mutex<impl Write>,
) {
    while let Ok(Job { id, message, cancellation }) = jobs.recv() {
        let ServerMessage::Transcribe { samples, .. } = message else { continue };
        let began = Instant::now();
        let heard = match &mut model {
            Some(model) => contained(|| {
                cancellation.check()?;
                model.transcribe(&samples, &cancellation)
            }),
            None => Err(EngineError::unsupported(format!("the speech worker has no model of STT: {advice}"))),
        };
        let answer = match heard {
            Ok(Transcription { text, confidence }) => WorkerMessage::Transcript {
                id,
                text,
                confidence_permille: (confidence.clamp(0.0, 1.0) * 1_000.0) as u16,
                compute_us: began.elapsed().as_micros() as u32,
            },
            Err(error) => failed(id, error),
        };
        send_shared(output, &answer);
    }
}

#[cfg(test)]
mod tests;
