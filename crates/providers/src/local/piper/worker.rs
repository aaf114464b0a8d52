//! Piper's voices in the speech worker.

use super::super::speech::LocalSpeech;
use super::speaker::{PartSpeaker, SpeakError, SpokenPart};
use super::text_room::TextRoom;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use trunkline_local_speech::io::PendingAnswer;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::models::{PIPER_VOICES, PiperVoice};
use trunkline_local_speech::request::{SpeechAnswer, SpeechError, SpeechRequest, Tenant};

/// How long a voice may take to load.
const LOAD_MAX: Duration = Duration::from_secs(20);
/// What is spoken to nobody, so that a voice is loaded.
const TRIAL: &str = "a.";

/// The worker of this server.
#[derive(Debug)]
pub struct WorkerSpeaker {
    speech: LocalSpeech,
    room: TextRoom,
    /// The process whose voice is loaded.
    warm: Arc<AtomicU32>,
}

impl WorkerSpeaker {
    /// Speaks with the worker of these models.
    pub fn new(speech: LocalSpeech) -> Self {
        Self { speech, room: TextRoom::default(), warm: Arc::default() }
    }
}

impl PartSpeaker for WorkerSpeaker {
    fn warm_up(&self) {
        let current = self.speech.worker().process_id().unwrap_or_default();
        if current != 0 && self.warm.load(Ordering::Relaxed) == current {
            return;
        }
        let is_there = |voice: &&PiperVoice| self.speech.state(&voice.model) == ModelState::Present;
        let Some(voice) = PIPER_VOICES.iter().find(is_there) else { return };
        let (speech, warm) = (self.speech.clone(), Arc::clone(&self.warm));
        trunkline_supervision::spawn("local_voice", async move {
            if spoken(request(&speech, Tenant::default(), voice.name, TRIAL.to_owned(), 1_000, LOAD_MAX)).await.is_ok()
            {
                warm.store(speech.worker().process_id().unwrap_or_default(), Ordering::Relaxed);
            }
        });
    }

    fn speak(
        &self, tenant: Tenant, voice: &'static PiperVoice, phonemes: String, speed_permille: u32, patience: Duration,
    ) -> BoxFuture<'static, Result<SpokenPart, SpeakError>> {
        // A worker that has to start to say that there is nothing would keep the caller waiting.
        if let Some(advice) = self.speech.state(&voice.model).advice(&voice.model) {
            return Box::pin(std::future::ready(Err(SpeakError::Unavailable(advice))));
        }
        let Some(permit) = self.room.enter(tenant) else {
            return Box::pin(std::future::ready(Err(SpeakError::Busy)));
        };
        let answers = request(&self.speech, tenant, voice.name, phonemes, speed_permille, patience);
        Box::pin(async move {
            let spoken = spoken(answers).await;
            drop(permit);
            spoken
        })
    }
}

fn request(
    speech: &LocalSpeech, tenant: Tenant, voice: &str, phonemes: String, speed_permille: u32, patience: Duration,
) -> PendingAnswer {
    let request = SpeechRequest::Synthesize { voice: voice.to_owned(), speed_permille, text: phonemes };
    speech.worker().request(tenant, request, patience)
}

async fn spoken(mut answers: PendingAnswer) -> Result<SpokenPart, SpeakError> {
    let mut part = SpokenPart::default();
    while let Some(answer) = answers.next().await {
        match answer {
            SpeechAnswer::Audio { rate_hz, samples } => {
                part.rate_hz = rate_hz;
                part.samples.extend(samples);
            }
            SpeechAnswer::WordEnds(ends) => part.word_ends = ends,
            SpeechAnswer::Done if part.samples.is_empty() => break,
            SpeechAnswer::Done => return Ok(part),
            SpeechAnswer::Failed(error) => return Err(speak_error(error)),
            SpeechAnswer::Transcript { .. } => break,
        }
    }
    Err(SpeakError::Failed("the speech worker said nothing".to_owned()))
}

fn speak_error(error: SpeechError) -> SpeakError {
    match error {
        SpeechError::QueueFull => SpeakError::Busy,
        SpeechError::Deadline => SpeakError::Late,
        SpeechError::Unavailable(why) | SpeechError::Unsupported(why) => SpeakError::Unavailable(why),
        other => SpeakError::Failed(other.to_string()),
    }
}
