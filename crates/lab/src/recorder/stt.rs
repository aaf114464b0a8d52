//! A recorded sentence in real time, silence, and the end; a wrong key.

use super::recording::{Notes, Recording};
use super::socket::RecordedSocket;
use super::target::Target;
use crate::emulator::fixture_phrases;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use trunkline::providers::stt::{SttProtocol, SttSessionConfig};
use trunkline::providers::{ProviderAccess, vendors};
use trunkline_domain::provider::{PipelineStage, ProviderAccount, SttProvider};
use trunkline_media::codec::Companding;

/// The sentence that is sent.
const SENTENCE: &str = "where_is_my_order";
const FRAME_SAMPLES: usize = 160;
const FRAME: Duration = Duration::from_millis(20);
/// Frames of silence after it.
const SILENCE_FRAMES: usize = 100;
/// How long the last words are waited for.
const LAST_WORDS: Duration = Duration::from_secs(4);

fn models(account: ProviderAccount) -> &'static [&'static str] {
    match account {
        ProviderAccount::Deepgram => &["nova-3-general", "flux-general-en"],
        ProviderAccount::Openai => &["gpt-4o-transcribe"],
        _ => &[],
    }
}

fn provider(name: &str) -> Option<SttProvider> {
    serde_json::from_value(json!(name)).ok()
}

/// The protocol of one connection.
pub(super) fn protocol(name: &str, model: &str) -> Option<Box<dyn SttProtocol>> {
    let setup = SttSessionConfig {
        model: model.to_owned(),
        language: "en".to_owned(),
        keyterms: Vec::new(),
        encoding: "mulaw",
        endpointing_ms: 300,
        eager: true,
    };
    Some(vendors::stt_vendor(provider(name)?).open(&setup))
}

/// All cases of all models.
pub(super) async fn record(target: &Target) -> Vec<Recording> {
    let mut recordings = Vec::new();
    for model in models(target.account) {
        let kind = model.split('-').next().unwrap_or(model);
        recordings.extend(sentence(target, &target.endpoint, &format!("{kind}_sentence"), model).await);
        recordings.extend(sentence(target, &target.with_wrong_key(), &format!("{kind}_wrong_key"), model).await);
    }
    recordings
}

async fn sentence(target: &Target, endpoint: &ProviderAccess, case: &str, model: &str) -> Option<Recording> {
    let mut protocol = protocol(target.account.name(), model)?;
    let mut recorded = target.recording(PipelineStage::Stt, case, model);
    let mut notes = Notes::new();
    if let Some(mut socket) = RecordedSocket::open(endpoint, protocol.upgrade(endpoint), &mut notes).await {
        stream(&mut socket, protocol.as_mut(), &mut notes).await;
        recorded.request = json!({"sentence": SENTENCE, "messages": socket.sent});
    }
    recorded.exchange = notes.exchange;
    Some(recorded)
}

async fn stream(socket: &mut RecordedSocket, protocol: &mut dyn SttProtocol, notes: &mut Notes) {
    for message in protocol.initial_messages() {
        socket.send(message).await;
    }
    let phrases = fixture_phrases();
    let samples = phrases.iter().find(|phrase| phrase.name == SENTENCE).map_or(&[][..], |phrase| &phrase.samples);
    let spoken =
        samples.chunks(FRAME_SAMPLES).map(|frame| frame.iter().map(|s| Companding::MuLaw.encode(*s)).collect());
    let silence = std::iter::repeat_n(vec![Companding::MuLaw.silence(); FRAME_SAMPLES], SILENCE_FRAMES);
    let frames: Vec<Vec<u8>> = spoken.chain(silence).collect();
    let spoken_frames = frames.len() - SILENCE_FRAMES;
    let mut due = Instant::now();
    for (index, frame) in frames.into_iter().enumerate() {
        if let Some(message) = protocol.audio(&frame) {
            socket.send(message).await;
        }
        if index == spoken_frames
            && let Some(message) = protocol.speech_ended_message()
        {
            socket.send(message).await;
        }
        due += FRAME;
        if !socket.receive(notes, due.saturating_duration_since(Instant::now()), |_| false).await {
            return;
        }
        sleep_until(due).await;
    }
    for message in [protocol.finalize(), protocol.close()].into_iter().flatten() {
        socket.send(message).await;
        if !socket.receive(notes, LAST_WORDS / 2, |_| false).await {
            return;
        }
    }
}
