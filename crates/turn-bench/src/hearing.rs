//! Lets an STT service hear the rows once, in real time, and keeps what it said beside them.

use super::data::Turn;
use super::heard_words::HeardEvent;
use super::line::{CallerAudio, RecordedLine};
use super::playing::{answered, lead_segments};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use trunkline_domain::provider::SttProvider;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_media::frame::FRAME_DURATION;
use trunkline_media::leg::LegEvent;
use trunkline_providers::stt::{SttInput, SttSession, SttSessionConfig};
use trunkline_providers::stt_session::open_stt_session;
use trunkline_providers::{ProviderRegistry, SttEvent, vendors};

/// Silence after the row in which its last words come.
const TAIL: Duration = Duration::from_millis(2_500);
/// How long a session may take to open, and to send the rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// An STT service as it is asked.
#[derive(Clone, Debug)]
pub struct Hearer {
    /// `provider/model`.
    pub name: String,
    /// Another address of the provider.
    pub base_url: Option<String>,
    /// Folder of the models of the local STT.
    pub models: PathBuf,
    /// Rows that are heard at the same time.
    pub sessions: usize,
    /// Silence that ends an utterance.
    pub endpointing_ms: u64,
}

impl Hearer {
    fn parts(&self) -> Result<(SttProvider, &str), String> {
        let parsed = self.name.split_once('/').and_then(|(provider, model)| {
            let provider: SttProvider = serde_json::from_value(json!(provider)).ok()?;
            Some((provider, model))
        });
        parsed.ok_or_else(|| format!("--stt: {} must be PROVIDER/MODEL, such as deepgram/nova-3-general", self.name))
    }

    /// The file beside the rows.
    fn file(&self, folder: &Path) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        folder.join(format!("heard-{name}-{}.json", self.endpointing_ms))
    }
}

/// What was heard of each row, in their order: from the file, or from the service where the file has none.
///
/// # Errors
///
/// A service that is unknown or cannot be used, or a file that cannot be read or written.
pub async fn hear(
    turns: &[Turn], folder: &Path, hearer: &Hearer, providers: impl FnOnce(&Hearer) -> Result<ProviderRegistry, String>,
) -> Result<Vec<Vec<HeardEvent>>, String> {
    let (provider, model) = hearer.parts()?;
    let file = hearer.file(folder);
    let mut known = read(&file)?;
    let missing: Vec<usize> = (0..turns.len()).filter(|index| !known.contains_key(&turns[*index].row.id)).collect();
    if !missing.is_empty() {
        eprintln!("{} hears {} rows in real time", hearer.name, missing.len());
        let providers = providers(hearer)?;
        let mut waiting = missing.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < hearer.sessions.max(1) {
                let Some(index) = waiting.next() else { break };
                let turn = &turns[index];
                let setup = SttSessionConfig {
                    model: model.to_owned(),
                    language: turn.row.language.clone(),
                    keyterms: Vec::new(),
                    encoding: "mulaw",
                    endpointing_ms: hearer.endpointing_ms,
                    eager: false,
                };
                let candidate = vendors::stt_candidate(&providers, provider, hearer.base_url.as_deref(), setup);
                let session = open_stt_session(&providers, vec![candidate]);
                running.spawn(hear_row(turn.row.id.clone(), Script::of(turn), session));
            }
            let Some(heard) = running.join_next().await else { break };
            let (id, events) = heard.map_err(|error| error.to_string())??;
            known.insert(id, events);
            write(&file, &known)?;
        }
    }
    Ok(turns.iter().map(|turn| known.remove(&turn.row.id).unwrap_or_default()).collect())
}

fn read(file: &Path) -> Result<HashMap<String, Vec<HeardEvent>>, String> {
    if !file.exists() {
        return Ok(HashMap::new());
    }
    let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| problem(&error))?;
    let rows: HashMap<String, Vec<Value>> = serde_json::from_str(&text).map_err(|error| problem(&error))?;
    let events = |(id, events): (String, Vec<Value>)| {
        let read: Option<Vec<HeardEvent>> = events.iter().map(HeardEvent::of_json).collect();
        read.map(|read| (id.clone(), read)).ok_or_else(|| problem(&format!("{id}: an event that is unknown")))
    };
    rows.into_iter().map(events).collect()
}

fn write(file: &Path, known: &HashMap<String, Vec<HeardEvent>>) -> Result<(), String> {
    let rows: HashMap<&String, Vec<Value>> =
        known.iter().map(|(id, events)| (id, events.iter().filter_map(HeardEvent::to_json).collect())).collect();
    let text = serde_json::to_string(&rows).unwrap_or_default();
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// What is sent to STT, and when: audio, and what voice detection says.
struct Script {
    inputs: Vec<(Duration, SttInput)>,
}

impl Script {
    fn of(turn: &Turn) -> Self {
        let length = turn.row.end() + TAIL;
        let audio = CallerAudio::new(&turn.samples, turn.row.end(), length);
        let origin = std::time::Instant::now();
        let config = TurnConfig::default();
        let lead = lead_segments(&mut answered(origin, &turn.row, &config));
        let line = RecordedLine::record(origin, &audio, &config, &lead);
        let frame = |(index, codes): (usize, &[u8; 160])| {
            (FRAME_DURATION * (index as u32 + 1), SttInput::Audio(bytes::Bytes::copy_from_slice(codes)))
        };
        let mut inputs: Vec<(Duration, SttInput)> = audio.row_frames().iter().enumerate().map(frame).collect();
        let begins = CallerAudio::begins();
        inputs.extend(line.events.iter().filter(|(at, _)| *at >= begins).filter_map(|(at, event)| match event {
            LegEvent::SpeechStarted { .. } => Some((*at - begins, SttInput::SpeechStarted)),
            LegEvent::SpeechEnded { .. } => Some((*at - begins, SttInput::SpeechEnded)),
            _ => None,
        }));
        inputs.sort_by_key(|(at, _)| *at);
        Self { inputs }
    }
}

/// One row in real time.
async fn hear_row(id: String, script: Script, mut session: SttSession) -> Result<(String, Vec<HeardEvent>), String> {
    let mut heard = Vec::new();
    // The clock starts when the service listens.
    loop {
        match timeout(PATIENCE, session.stream.events.recv()).await {
            Ok(Some(SttEvent::Ready)) => break,
            Ok(Some(SttEvent::Failed(failure))) => return Err(format!("{id}: {failure}")),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Err(format!("{id}: STT does not answer")),
        }
    }
    let start = Instant::now();
    for (at, input) in script.inputs {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(start + at) => break,
                event = session.stream.events.recv() => take(&id, start, event, &mut heard)?,
            }
        }
        if session.input.send(input).await.is_err() {
            return Err(format!("{id}: STT has ended"));
        }
    }
    Ok((id, heard))
}

fn take(id: &str, start: Instant, event: Option<SttEvent>, heard: &mut Vec<HeardEvent>) -> Result<(), String> {
    match event {
        Some(SttEvent::Failed(failure)) => Err(format!("{id}: {failure}")),
        None => Err(format!("{id}: STT has ended")),
        Some(event) => {
            heard.push(HeardEvent { at: start.elapsed(), event });
            Ok(())
        }
    }
}
