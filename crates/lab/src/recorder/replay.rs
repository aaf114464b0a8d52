//! Reads a recording again, with the readers that calls use.

use super::recording::{Received, Recording};
use super::sanitize::with_silence;
use super::{stt, tts};
use std::path::{Path, PathBuf};
use trunkline::providers::transport::error_text;
use trunkline::providers::{LlmEvent, TtsEvent, vendors};
use trunkline_domain::provider::LlmProvider;

/// All recordings below a folder; an error names the file.
pub fn recordings_below(folder: &Path) -> Result<Vec<(PathBuf, Recording)>, String> {
    let told = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| told(folder, &error))? {
        let path = entry.map_err(|error| told(folder, &error))?.path();
        if path.is_dir() {
            found.extend(recordings_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).map_err(|error| told(&path, &error))?;
            let recording = serde_json::from_str(&text).map_err(|error| told(&path, &error))?;
            found.push((path, recording));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// What our readers make of a recording, a line for each thing; an error is one that they should not have.
pub fn replayed(recording: &Recording) -> Result<Vec<String>, String> {
    match recording.stage.as_str() {
        "llm" => llm(recording),
        "stt" => stt(recording),
        "tts" => tts(recording),
        other => Err(format!("{other:?} is no stage")),
    }
}

/// What stands for the same in all stages.
fn other(what: &Received) -> String {
    match what {
        Received::Status(status) => format!("status {status}"),
        Received::AudioBytes(bytes) => format!("audio {bytes}"),
        Received::Closed(_) => "closed".to_owned(),
        Received::Refused { status, message } => format!("refused {status}: {message}"),
        Received::Body(_) | Received::Event(_) | Received::Frame(_) => "not expected here".to_owned(),
    }
}

fn llm(recording: &Recording) -> Result<Vec<String>, String> {
    let provider: LlmProvider = serde_json::from_value(recording.provider.clone().into()).map_err(|e| e.to_string())?;
    let vendor = vendors::llm_vendor(provider).ok_or("a realtime model")?;
    let (mut reader, mut words, mut lines) = (vendor.reader(), Vec::new(), Vec::new());
    let (mut is_over, mut is_refused, mut is_stream) = (false, false, false);
    for one in &recording.exchange {
        match &one.what {
            Received::Event(data) if !is_over => {
                is_stream = true;
                is_over = reader.event(data, &mut words).map_err(|error| error.to_string())?;
            }
            Received::Event(_) => {}
            Received::Body(body) if is_refused => lines.extend(error_text(body).map(|words| format!("error: {words}"))),
            Received::Body(body) => {
                let whole = vendor.parse_complete(body.as_bytes()).map_err(|error| error.to_string())?;
                lines.push(format!("whole: {}", whole.text));
            }
            what => {
                is_refused |= matches!(what, Received::Status(status) if *status >= 400);
                lines.push(other(what));
            }
        }
    }
    if is_stream {
        lines.push(format!("text: {}", words.concat()));
        if reader.is_cut() {
            lines.push("cut".to_owned());
        }
        lines.extend(reader.finish().into_iter().map(|event| match event {
            LlmEvent::ToolCalls(calls) => {
                let calls: Vec<String> =
                    calls.into_iter().map(|call| format!("{}({})", call.name, call.arguments)).collect();
                format!("calls: {}", calls.join(", "))
            }
            LlmEvent::Done(usage) => format!(
                "tokens: {} + {}, {} from the cache",
                usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
            ),
            event => format!("{event:?}"),
        }));
    }
    Ok(lines)
}

fn stt(recording: &Recording) -> Result<Vec<String>, String> {
    let mut protocol = stt::protocol(&recording.provider, &recording.model).ok_or("no such STT")?;
    let mut lines = Vec::new();
    for one in &recording.exchange {
        let Received::Frame(text) = &one.what else {
            lines.push(other(&one.what));
            continue;
        };
        match protocol.read(text) {
            Ok(update) => lines.extend(update.events.iter().map(|event| format!("{event:?}"))),
            Err(error) => lines.push(format!("error: {error}")),
        }
    }
    Ok(lines)
}

fn tts(recording: &Recording) -> Result<Vec<String>, String> {
    let mut protocol = tts::protocol(&recording.provider, &recording.model, "v");
    let texts = recording.request["texts"].as_array().cloned().unwrap_or_default();
    if let Some(protocol) = &mut protocol {
        for (index, text) in texts.iter().enumerate() {
            protocol.speak(&tts::context(index), text.as_str().unwrap_or_default());
        }
    }
    let mut lines = Lines::default();
    for one in &recording.exchange {
        match (&one.what, &mut protocol) {
            (Received::Frame(text), Some(protocol)) => match protocol.read(&with_silence(text)) {
                Ok(events) => events.into_iter().for_each(|(context, event)| lines.add(&context, &event)),
                Err(error) => lines.push(format!("error: {error}")),
            },
            (Received::AudioBytes(bytes), _) => lines.audio("", *bytes),
            (what, _) => lines.push(other(what)),
        }
    }
    Ok(lines.finish())
}

/// Lines in which audio that follows audio is added up.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    audio: Option<(String, usize)>,
}

impl Lines {
    fn add(&mut self, context: &str, event: &TtsEvent) {
        match event {
            TtsEvent::Audio(bytes) => self.audio(context, bytes.len()),
            TtsEvent::WordTimestamps(marks) if marks.is_empty() => {}
            event => self.push(format!("{context} {event:?}")),
        }
    }

    fn audio(&mut self, context: &str, bytes: usize) {
        match &mut self.audio {
            Some((known, sum)) if known == context => *sum += bytes,
            _ => {
                self.end_audio();
                self.audio = Some((context.to_owned(), bytes));
            }
        }
    }

    fn end_audio(&mut self) {
        if let Some((context, bytes)) = self.audio.take() {
            self.lines.push(format!("{context} audio {bytes}").trim_start().to_owned());
        }
    }

    fn push(&mut self, line: String) {
        self.end_audio();
        self.lines.push(line);
    }

    fn finish(mut self) -> Vec<String> {
        self.end_audio();
        self.lines
    }
}
