//! A row of a set of overlaps: what comes from the caller's side while the agent speaks.

use crate::row::{
    AUDIO_MAX, Half, LINE_BYTES_MAX, RowError, TimedWord, audio_path, half, language, name, optional, required, text,
    words,
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Tolerance at the end of the audio: a frame is cut or padded by some tools.
const TOLERANCE: Duration = Duration::from_millis(20);

/// What comes from the caller's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OverlapLabel {
    /// The caller wants to speak: the agent has to stop.
    Interruption,
    /// A short answer into the end of the agent's question: it is taken, and the agent may have finished.
    Answer,
    /// The caller listens: the agent goes on.
    Backchannel,
    /// Somebody else speaks near the caller.
    SideTalk,
    /// No speech that is meant for anybody.
    Noise,
    /// The agent's own voice comes back.
    Echo,
}

impl OverlapLabel {
    /// All labels, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Interruption, Self::Answer, Self::Backchannel, Self::SideTalk, Self::Noise, Self::Echo];

    /// Its name in rows and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interruption => "interruption",
            Self::Answer => "answer",
            Self::Backchannel => "backchannel",
            Self::SideTalk => "side_talk",
            Self::Noise => "noise",
            Self::Echo => "echo",
        }
    }

    /// The agent has to go on.
    pub fn is_negative(self) -> bool {
        !matches!(self, Self::Interruption | Self::Answer)
    }
}

/// One overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlapRow {
    /// Unique in its set.
    pub id: String,
    /// `en`, `en-US`.
    pub language: String,
    /// `None` if the set is not halved.
    pub half: Option<Half>,
    /// What it is.
    pub label: OverlapLabel,
    /// Path of the WAV file of the agent, from the folder of the rows.
    pub agent_audio: String,
    /// Path of the WAV file of the caller, of the same length.
    pub caller_audio: String,
    /// What the agent says.
    pub agent_text: String,
    /// Its words; one for each of the text.
    pub agent_words: Vec<TimedWord>,
    /// When the agent begins.
    pub agent_start: Duration,
    /// When its last word ends.
    pub agent_end: Duration,
    /// When the caller's sound begins.
    pub onset: Duration,
    /// When it ends.
    pub offset: Duration,
    /// What is said on the caller's side.
    pub words: Vec<TimedWord>,
    /// Kind of noise, if it is one.
    pub detail: Option<String>,
}

impl OverlapRow {
    /// Reads one line.
    ///
    /// # Errors
    ///
    /// The first field that is missing or wrong.
    pub fn parse(line: &str) -> Result<Self, RowError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(RowError::new("", format!("is longer than {LINE_BYTES_MAX} bytes")));
        }
        let value: Value =
            serde_json::from_str(line).map_err(|error| RowError::new("", format!("is no JSON: {error}")))?;
        let Value::Object(fields) = value else { return Err(RowError::new("", "must be a JSON object")) };
        let row = Self {
            id: required(&fields, "id", name)?,
            language: required(&fields, "language", language)?,
            half: optional(&fields, "half", half)?,
            label: required(&fields, "label", label)?,
            agent_audio: required(&fields, "agent_audio", audio_path)?,
            caller_audio: required(&fields, "caller_audio", audio_path)?,
            agent_text: required(&fields, "agent_text", |field, value| Ok(text(field, value)?.to_owned()))?,
            agent_words: required(&fields, "agent_words", words)?,
            agent_start: seconds(&fields, "agent_start")?,
            agent_end: seconds(&fields, "agent_end")?,
            onset: seconds(&fields, "onset")?,
            offset: seconds(&fields, "offset")?,
            words: optional(&fields, "words", words)?.unwrap_or_default(),
            detail: optional(&fields, "detail", name)?,
        };
        row.check_order()?;
        Ok(row)
    }

    fn check_order(&self) -> Result<(), RowError> {
        if self.agent_end <= self.agent_start {
            return Err(RowError::new("agent_end", "must lie after agent_start"));
        }
        if self.offset <= self.onset {
            return Err(RowError::new("offset", "must lie after onset"));
        }
        if self.onset < self.agent_start || self.onset >= self.agent_end {
            return Err(RowError::new("onset", "must lie between agent_start and agent_end: it is an overlap"));
        }
        Ok(())
    }

    /// Refuses times beyond the end of the shorter file.
    ///
    /// # Errors
    ///
    /// The first such field.
    pub fn check_length(&self, audio: Duration) -> Result<(), RowError> {
        let outside = [("agent_end", self.agent_end), ("offset", self.offset)];
        match outside.into_iter().find(|(_, at)| *at > audio + TOLERANCE) {
            Some((field, at)) => {
                let problem = format!("{} s lies outside of the audio of {} s", at.as_secs_f64(), audio.as_secs_f64());
                Err(RowError::new(field, problem))
            }
            None => Ok(()),
        }
    }
}

fn label(field: &str, value: &Value) -> Result<OverlapLabel, RowError> {
    let text = text(field, value)?;
    let names = || OverlapLabel::ALL.map(OverlapLabel::name).join(", ");
    OverlapLabel::ALL
        .into_iter()
        .find(|label| label.name() == text)
        .ok_or_else(|| RowError::new(field, format!("must be one of {}", names())))
}

fn seconds(fields: &Map<String, Value>, field: &str) -> Result<Duration, RowError> {
    let read = |field: &str, value: &Value| {
        value.as_f64().filter(|seconds| (0.0..=AUDIO_MAX.as_secs_f64()).contains(seconds)).ok_or_else(|| {
            RowError::new(field, format!("must be a number of seconds from 0 to {}", AUDIO_MAX.as_secs()))
        })
    };
    let seconds = required(fields, field, read)?;
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}
