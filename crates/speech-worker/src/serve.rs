//! The worker's loop: a thread reads, one transcribes, one synthesizes. Each does one request at a time, as the server
//! sends them; speech that somebody waits for is made between two pieces of other speech.

use crate::engine::{Cancellation, EngineError, Engines, SpeechPiece, Synthesizer, Transcriber, Transcription};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use trunkline_local_speech::frame::FrameReader;
use trunkline_local_speech::limits::AUDIO_BYTES_MAX;
use trunkline_local_speech::message::{Hello, RequestId, ServerMessage, SpeechUrgency, VERSION, WorkerMessage};
use trunkline_supervision::contain_sync;

/// Requests of one kind that wait for their thread: the server sends one of each urgency at a time.
const WAITING_MAX: usize = 8;
/// Texts that are spoken between two pieces of another one at most, so that its end, if it is given up, is not late.
const IN_A_ROW_MAX: usize = 3;
/// How long it takes the server to send the next text.
const NEXT_MAX: Duration = Duration::from_millis(3);
/// Bytes that are read at once.
const PIECE_BYTES: usize = 65_536;

/// A request in the hands of a thread.
struct Job {
    id: RequestId,
    message: ServerMessage,
    cancellation: Cancellation,
}

impl Job {
    /// A listener hears nothing until it is done.
    fn is_waited_for(&self) -> bool {
        matches!(self.message, ServerMessage::Synthesize { urgency: SpeechUrgency::Waited, .. })
    }
}

/// The queue of one thread, and the requests that can be cancelled.
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
    std::thread::scope(|scope| {
        let ((mut stt_lane, stt_jobs), (mut tts_lane, tts_jobs)) = (Lane::new(), Lane::new());
        let output = &output;
        scope.spawn(move || transcribe_all(stt, &stt_advice, &stt_jobs, output));
        scope.spawn(move || synthesize_all(tts, &tts_advice, &tts_jobs, output));
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
                    Ok(message @ ServerMessage::Synthesize { id, .. }) => tts_lane.push(id, message),
                    Ok(ServerMessage::Cancel { id }) => {
                        stt_lane.cancel(id);
                        tts_lane.cancel(id);
                        true
                    }
                    Err(_) => false,
                };
                if !is_taken {
                    return;
                }
            }
        }
    });
}

/// Writes a message; a server that does not read any more is seen at the input.
pub(crate) fn send(output: &mut impl Write, message: &WorkerMessage) {
    let _ = output.write_all(&message.frame().encode());
    let _ = output.flush();
}

fn send_shared(output: &Mutex<impl Write>, message: &WorkerMessage) {
    send(&mut *output.lock().unwrap_or_else(PoisonError::into_inner), message);
}

fn failed(id: RequestId, error: EngineError) -> WorkerMessage {
    WorkerMessage::Failed { id, kind: error.kind, message: error.message }
}

/// A model that panics has failed on this input, and goes on with the next.
fn contained<T>(run: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    contain_sync("speech_model", run).unwrap_or_else(|panic| Err(EngineError::model(panic)))
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

fn synthesize_all(
    voices: Option<Box<dyn Synthesizer>>, advice: &str, jobs: &Receiver<Job>, output: &Mutex<impl Write>,
) {
    let speaker = Speaker { voices, advice, output };
    let mut waiting = VecDeque::new();
    while let Some(job) = waiting.pop_front().or_else(|| jobs.recv().ok()) {
        if job.is_waited_for() {
            speaker.speak(job, &mut || {});
            continue;
        }
        // Whoever hears nothing does not wait for the end of what others hear later.
        let mut speak_waited = || {
            let mut patience = Duration::ZERO;
            for _ in 0..IN_A_ROW_MAX {
                let Ok(job) = jobs.recv_timeout(patience) else { return };
                if job.is_waited_for() {
                    speaker.speak(job, &mut || {})
                } else {
                    waiting.push_back(job)
                }
                patience = NEXT_MAX;
            }
        };
        speak_waited();
        speaker.speak(job, &mut speak_waited);
    }
}

/// The voices, and where their speech goes.
struct Speaker<'a, W> {
    voices: Option<Box<dyn Synthesizer>>,
    advice: &'a str,
    output: &'a Mutex<W>,
}

impl<W: Write> Speaker<'_, W> {
    /// Speaks a text; calls `between` after each piece of it.
    fn speak(&self, job: Job, between: &mut dyn FnMut()) {
        let Job { id, message, cancellation } = job;
        let ServerMessage::Synthesize { voice, speed_permille, text, .. } = message else { return };
        let speed = speed_permille as f32 / 1_000.0;
        let mut speech = |piece: SpeechPiece<'_>| match piece {
            SpeechPiece::Audio { rate_hz, samples } => {
                for piece in samples.chunks(AUDIO_BYTES_MAX / 2) {
                    send_shared(self.output, &WorkerMessage::Audio { id, rate_hz, samples: piece.to_vec() });
                }
                between();
            }
            SpeechPiece::WordEnds(ends) => {
                send_shared(self.output, &WorkerMessage::WordEnds { id, samples: ends.to_vec() });
            }
        };
        let spoken = match &self.voices {
            Some(voices) => contained(|| {
                cancellation.check()?;
                voices.synthesize(&voice, speed, &text, &cancellation, &mut speech)
            }),
            None => Err(EngineError::unsupported(format!("the speech worker has no voice: {}", self.advice))),
        };
        send_shared(self.output, &spoken.map_or_else(|error| failed(id, error), |()| WorkerMessage::Done { id }));
    }
}

#[cfg(test)]
mod tests;
