//! Piper's voices in the speech worker.

use super::super::speech::LocalSpeech;
use super::piper_voices::PATIENCE;
use super::speaker::{PartSpeaker, SpeakError, SpokenPart, SpokenPiece};
use super::text_room::{TextPermit, TextRoom};
use futures_util::{StreamExt, stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use trunkline_local_speech::io::PendingAnswer;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::models::{PIPER_VOICES, PiperVoice};
use trunkline_local_speech::request::{SpeechAnswer, SpeechError, SpeechRequest, Tenant};

/// How long a voice may take to load.
const LOAD_MAX: Duration = Duration::from_secs(20);
/// How much longer than its first sound a part may take: who listens gives up earlier, when his sound runs out.
const WHOLE_MAX: Duration = Duration::from_secs(10);
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
            let trial = request(&speech, Tenant::default(), LOAD_MAX, voice.name, TRIAL.to_owned(), 1_000, LOAD_MAX);
            let mut trial = pieces(trial, None);
            let mut is_spoken = false;
            while let Some(piece) = trial.next().await {
                is_spoken = piece.is_ok();
            }
            if is_spoken {
                warm.store(speech.worker().process_id().unwrap_or_default(), Ordering::Relaxed);
            }
        });
    }

    fn speak(
        &self, tenant: Tenant, voice: &'static PiperVoice, phonemes: String, speed_permille: u32, patience: Duration,
    ) -> SpokenPart {
        // A worker that has to start to say that there is nothing would keep the caller waiting.
        if let Some(advice) = self.speech.state(&voice.model).advice(&voice.model) {
            return failed(SpeakError::Unavailable(advice));
        }
        let Some(permit) = self.room.enter(tenant) else {
            return failed(SpeakError::Busy);
        };
        let (sound, timeout) = (patience.saturating_sub(PATIENCE), patience + WHOLE_MAX);
        pieces(request(&self.speech, tenant, sound, voice.name, phonemes, speed_permille, timeout), Some(permit))
    }
}

fn failed(error: SpeakError) -> SpokenPart {
    stream::once(std::future::ready(Err(error))).boxed()
}

fn request(
    speech: &LocalSpeech, tenant: Tenant, sound: Duration, voice: &str, phonemes: String, speed_permille: u32,
    timeout: Duration,
) -> PendingAnswer {
    let sound_ms = sound.as_millis() as u32;
    let request = SpeechRequest::Synthesize { sound_ms, voice: voice.to_owned(), speed_permille, text: phonemes };
    speech.worker().request(tenant, request, timeout)
}

/// The answers of the worker as pieces. A worker that ends without a sound has failed.
fn pieces(answers: PendingAnswer, permit: Option<TextPermit>) -> SpokenPart {
    let open = Some((answers, permit, false));
    stream::unfold(open, async |open| {
        let (mut answers, permit, is_heard) = open?;
        let silent = || SpeakError::Failed("the speech worker said nothing".to_owned());
        match answers.next().await {
            Some(SpeechAnswer::Audio { rate_hz, samples }) => {
                Some((Ok(SpokenPiece::Audio { rate_hz, samples }), Some((answers, permit, true))))
            }
            Some(SpeechAnswer::WordEnds(ends)) => {
                Some((Ok(SpokenPiece::WordEnds(ends)), Some((answers, permit, is_heard))))
            }
            Some(SpeechAnswer::Done) if is_heard => None,
            Some(SpeechAnswer::Failed(error)) => Some((Err(speak_error(error)), None)),
            Some(SpeechAnswer::Done | SpeechAnswer::Transcript { .. }) | None => Some((Err(silent()), None)),
        }
    })
    .boxed()
}

fn speak_error(error: SpeechError) -> SpeakError {
    match error {
        SpeechError::QueueFull => SpeakError::Busy,
        SpeechError::Deadline => SpeakError::Late,
        SpeechError::Unavailable(why) | SpeechError::Unsupported(why) => SpeakError::Unavailable(why),
        other => SpeakError::Failed(other.to_string()),
    }
}
