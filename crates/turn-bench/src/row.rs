//! A row of a set of turns: the schema of eot-bench as a line of JSON, with optional fields of our own.
//!
//! Required: `id`, `language`, `audio`, `silence_spans`. Optional: `messages`, `words`, and ours: `kind`, `seam`, `half`,
//! `speaker`, `source`, `noise`. Everything else is left out.

use serde_json::{Map, Value};
use std::time::Duration;

/// Silences that are shorter are no pauses, as in eot-bench.
pub const SILENCE_MIN: Duration = Duration::from_millis(100);
/// Holds that count, as in eot-bench (`--min-hold-span-duration`, `--max-hold-span-duration`).
pub const HOLD_MIN: Duration = Duration::from_millis(200);
/// The longest hold that counts.
pub const HOLD_MAX: Duration = Duration::from_secs(5);
/// Longer turns are refused.
pub const AUDIO_MAX: Duration = Duration::from_secs(120);
/// Characters of a line, so that one row cannot fill the memory.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;
/// Characters of names: ids, speakers, sources.
const NAME_CHARS_MAX: usize = 128;
/// Silences, words and messages of a row.
const ITEMS_MAX: usize = 2_000;
/// Tolerance of times: alignments and frames are not exact.
const TOLERANCE: Duration = Duration::from_millis(1);

/// What a silence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanLabel {
    /// A pause inside of the turn.
    Hold,
    /// The end of the turn.
    Eot,
}

/// What kind of pause it is, or of turn that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseKind {
    /// Between clauses.
    Clause,
    /// Between groups of digits.
    Digits,
    /// Between spelled letters.
    Letters,
    /// Inside of a clause.
    MidSentence,
    /// Between the items of a list.
    List,
    /// A whole sentence.
    Whole,
    /// A short answer.
    Short,
}

impl PauseKind {
    /// All kinds, in the order of reports.
    pub const ALL: [Self; 7] =
        [Self::Clause, Self::Digits, Self::Letters, Self::MidSentence, Self::List, Self::Whole, Self::Short];

    /// Its name in rows and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clause => "clause",
            Self::Digits => "digits",
            Self::Letters => "letters",
            Self::MidSentence => "mid_sentence",
            Self::List => "list",
            Self::Whole => "whole",
            Self::Short => "short",
        }
    }
}

/// Whether a pause lies in one recording or between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seam {
    /// Inside of one recording: the melody is that of a pause.
    Inside,
    /// Between two recordings that were joined: the melody is that of an end.
    Joined,
}

/// Which half of a set the row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// For tuning.
    Tune,
    /// For the final figures.
    Test,
}

/// A silence of the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceSpan {
    /// When it begins, from the first sample.
    pub start: Duration,
    /// When it ends.
    pub end: Duration,
    /// What it is.
    pub label: SpanLabel,
    /// `None` if the row does not say.
    pub kind: Option<PauseKind>,
    /// `None` if the row does not say.
    pub seam: Option<Seam>,
}

impl SilenceSpan {
    /// How long it lasts.
    pub fn length(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }
}

/// A word with its times.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedWord {
    /// As STT writes it.
    pub word: String,
    /// When it begins.
    pub start: Duration,
    /// When it ends.
    pub end: Duration,
}

/// One turn of a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnRow {
    /// Unique in its set.
    pub id: String,
    /// `en`, `en-US`.
    pub language: String,
    /// Path of the WAV file, from the folder of the rows.
    pub audio: String,
    /// Every silence of 100 ms and more, in order; the last one is the end of the turn.
    pub spans: Vec<SilenceSpan>,
    /// The last words of the agent before this turn.
    pub asked: Option<String>,
    /// The words; `None` if the row has none.
    pub words: Option<Vec<TimedWord>>,
    /// `None` if the set is not halved.
    pub half: Option<Half>,
    /// Who speaks.
    pub speaker: Option<String>,
    /// Where the recording is from.
    pub source: Option<String>,
    /// What is heard behind the voice.
    pub noise: Option<String>,
}

/// Why a row is refused: the field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Path of the field: `silence_spans[1].start`; empty if it is the whole line.
    pub field: String,
    /// What is wrong.
    pub problem: String,
}

impl RowError {
    /// An error of this field.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field.is_empty() {
            true => f.write_str(&self.problem),
            false => write!(f, "{}: {}", self.field, self.problem),
        }
    }
}

type Parsed<T> = Result<T, RowError>;

impl TurnRow {
    /// Reads one line.
    ///
    /// # Errors
    ///
    /// The first field that is missing or wrong.
    pub fn parse(line: &str) -> Parsed<Self> {
        if line.len() > LINE_BYTES_MAX {
            return Err(RowError::new("", format!("is longer than {LINE_BYTES_MAX} bytes")));
        }
        let value: Value =
            serde_json::from_str(line).map_err(|error| RowError::new("", format!("is no JSON: {error}")))?;
        let Value::Object(fields) = value else { return Err(RowError::new("", "must be a JSON object")) };
        let kind = optional(&fields, "kind", pause_kind)?;
        Ok(Self {
            id: required(&fields, "id", name)?,
            language: required(&fields, "language", language)?,
            audio: required(&fields, "audio", audio_path)?,
            spans: required(&fields, "silence_spans", |field, value| spans(field, value, kind))?,
            asked: optional(&fields, "messages", last_question)?.flatten(),
            words: optional(&fields, "words", words)?,
            half: optional(&fields, "half", half)?,
            speaker: optional(&fields, "speaker", name)?,
            source: optional(&fields, "source", name)?,
            noise: optional(&fields, "noise", name)?,
        })
    }

    /// The end of the turn.
    pub fn end(&self) -> Duration {
        self.spans.last().map_or(Duration::ZERO, |span| span.start)
    }

    /// Refuses what lies outside of the audio.
    ///
    /// # Errors
    ///
    /// The first time beyond the end.
    pub fn check_length(&self, audio: Duration) -> Parsed<()> {
        let outside = |field: String, at: Duration| {
            let problem = format!("{} s lies outside of the audio of {} s", at.as_secs_f64(), audio.as_secs_f64());
            Err(RowError::new(field, problem))
        };
        for (index, span) in self.spans.iter().enumerate() {
            if span.start > audio + TOLERANCE {
                return outside(format!("silence_spans[{index}].start"), span.start);
            }
            // A frame at the end is cut or padded by some tools.
            if span.end > audio + 20 * TOLERANCE {
                return outside(format!("silence_spans[{index}].end"), span.end);
            }
        }
        for (index, word) in self.words.iter().flatten().enumerate() {
            if word.end > audio + 20 * TOLERANCE {
                return outside(format!("words[{index}].end"), word.end);
            }
        }
        Ok(())
    }
}

pub(super) fn required<'a, T>(
    fields: &'a Map<String, Value>, field: &str, read: impl FnOnce(&str, &'a Value) -> Parsed<T>,
) -> Parsed<T> {
    match fields.get(field) {
        None | Some(Value::Null) => Err(RowError::new(field, "is missing")),
        Some(value) => read(field, value),
    }
}

pub(super) fn optional<'a, T>(
    fields: &'a Map<String, Value>, field: &str, read: impl FnOnce(&str, &'a Value) -> Parsed<T>,
) -> Parsed<Option<T>> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(field, value).map(Some),
    }
}

pub(super) fn text<'a>(field: &str, value: &'a Value) -> Parsed<&'a str> {
    value.as_str().ok_or_else(|| RowError::new(field, "must be a string"))
}

pub(super) fn name(field: &str, value: &Value) -> Parsed<String> {
    let text = text(field, value)?.trim();
    match text.chars().count() {
        1..=NAME_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(RowError::new(field, format!("must have 1 to {NAME_CHARS_MAX} characters"))),
    }
}

pub(super) fn language(field: &str, value: &Value) -> Parsed<String> {
    let code = name(field, value)?;
    let fits = code.len() <= 12 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let starts = code.bytes().take_while(u8::is_ascii_alphabetic).count();
    match fits && matches!(starts, 2 | 3) && matches!(code.as_bytes().get(starts), None | Some(b'-')) {
        true => Ok(code),
        false => Err(RowError::new(field, "must be a language code like en or en-US")),
    }
}

/// A path, or an object with one, as audio features of data sets have it.
pub(super) fn audio_path(field: &str, value: &Value) -> Parsed<String> {
    let (field, path) = match value {
        Value::Object(audio) => {
            let path = audio.get("path").filter(|path| path.is_string());
            let hint = "is missing: write the audio as a WAV file beside the rows and name it here";
            ("audio.path", path.ok_or_else(|| RowError::new("audio.path", hint))?)
        }
        other => (field, other),
    };
    let path = text(field, path)?;
    let inside = std::path::Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    match !path.is_empty() && path.len() <= 1_024 && inside {
        true => Ok(path.to_owned()),
        false => Err(RowError::new(field, "must be a relative path inside of the folder")),
    }
}

fn items<'a>(field: &str, value: &'a Value) -> Parsed<&'a [Value]> {
    let items = value.as_array().ok_or_else(|| RowError::new(field, "must be a list"))?;
    match items.len() {
        0..=ITEMS_MAX => Ok(items),
        _ => Err(RowError::new(field, format!("must have at most {ITEMS_MAX} items"))),
    }
}

fn object<'a>(field: &str, value: &'a Value) -> Parsed<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| RowError::new(field, "must be an object"))
}

fn seconds(fields: &Map<String, Value>, parent: &str, field: &str) -> Parsed<Duration> {
    let path = format!("{parent}.{field}");
    let value = fields.get(field).ok_or_else(|| RowError::new(&path, "is missing"))?;
    let seconds = value.as_f64().ok_or_else(|| RowError::new(&path, "must be a number of seconds"))?;
    if !(0.0..=AUDIO_MAX.as_secs_f64()).contains(&seconds) {
        return Err(RowError::new(path, format!("must be from 0 to {} seconds", AUDIO_MAX.as_secs())));
    }
    Ok(Duration::from_micros((seconds * 1e6).round() as u64))
}

fn spans(field: &str, value: &Value, kind: Option<PauseKind>) -> Parsed<Vec<SilenceSpan>> {
    let items = items(field, value)?;
    let mut spans: Vec<SilenceSpan> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{field}[{index}]");
        let fields = object(&path, item)?;
        let (start, end) = (seconds(fields, &path, "start")?, seconds(fields, &path, "end")?);
        if end <= start {
            return Err(RowError::new(format!("{path}.end"), "must lie after start"));
        }
        if spans.last().is_some_and(|before| start + TOLERANCE < before.end) {
            let problem = "must not lie before the end of the silence before it";
            return Err(RowError::new(format!("{path}.start"), problem));
        }
        let label = if index + 1 == items.len() { SpanLabel::Eot } else { SpanLabel::Hold };
        check_label(fields, &path, label)?;
        let kind = optional(fields, "kind", |_, value| pause_kind(&format!("{path}.kind"), value))?.or(kind);
        let seam = optional(fields, "seam", |_, value| seam(&format!("{path}.seam"), value))?;
        spans.push(SilenceSpan { start, end, label, kind, seam });
    }
    let Some(last) = spans.last() else { return Err(RowError::new(field, "must have at least the end of the turn")) };
    if last.length() + TOLERANCE < SILENCE_MIN {
        let path = format!("{field}[{}].end", spans.len() - 1);
        return Err(RowError::new(path, "must be 0.1 seconds after start or more: it is the end of the turn"));
    }
    spans.retain(|span| span.length() + TOLERANCE >= SILENCE_MIN);
    Ok(spans)
}

/// A label says what the place says already.
fn check_label(fields: &Map<String, Value>, parent: &str, wanted: SpanLabel) -> Parsed<()> {
    let path = format!("{parent}.label");
    let Some(label) = optional(fields, "label", |_, value| text(&path, value))? else { return Ok(()) };
    match (label, wanted) {
        ("hold", SpanLabel::Hold) | ("eot", SpanLabel::Eot) => Ok(()),
        ("hold", SpanLabel::Eot) => Err(RowError::new(path, "must be eot: the last silence is the end of the turn")),
        ("eot", SpanLabel::Hold) => Err(RowError::new(path, "must be hold: only the last silence is the end")),
        _ => Err(RowError::new(path, "must be hold or eot")),
    }
}

fn pause_kind(field: &str, value: &Value) -> Parsed<PauseKind> {
    let text = text(field, value)?;
    PauseKind::ALL
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| RowError::new(field, "must be clause, digits, letters, mid_sentence, list, whole or short"))
}

fn seam(field: &str, value: &Value) -> Parsed<Seam> {
    match text(field, value)? {
        "inside" => Ok(Seam::Inside),
        "joined" => Ok(Seam::Joined),
        _ => Err(RowError::new(field, "must be inside or joined")),
    }
}

pub(super) fn half(field: &str, value: &Value) -> Parsed<Half> {
    match text(field, value)? {
        "tune" => Ok(Half::Tune),
        "test" => Ok(Half::Test),
        _ => Err(RowError::new(field, "must be tune or test")),
    }
}

fn last_question(field: &str, value: &Value) -> Parsed<Option<String>> {
    let mut asked = None;
    for (index, item) in items(field, value)?.iter().enumerate() {
        let path = format!("{field}[{index}]");
        let fields = object(&path, item)?;
        let role = required(fields, "role", |_, value| text(&format!("{path}.role"), value));
        let role = role.map_err(|error| RowError::new(format!("{path}.role"), error.problem))?;
        let content = optional(fields, "content", |_, value| text(&format!("{path}.content"), value))?.unwrap_or("");
        match role {
            "assistant" => asked = Some(content.trim()).filter(|text| !text.is_empty()).map(str::to_owned).or(asked),
            "user" | "system" | "developer" | "tool" => {}
            _ => return Err(RowError::new(format!("{path}.role"), "must be assistant, user or system")),
        }
    }
    Ok(asked)
}

pub(super) fn words(field: &str, value: &Value) -> Parsed<Vec<TimedWord>> {
    let mut words: Vec<TimedWord> = Vec::new();
    for (index, item) in items(field, value)?.iter().enumerate() {
        let path = format!("{field}[{index}]");
        let fields = object(&path, item)?;
        let word = fields.get("word").ok_or_else(|| RowError::new(format!("{path}.word"), "is missing"))?;
        let word = text(&format!("{path}.word"), word)?.trim();
        let (start, end) = (seconds(fields, &path, "start")?, seconds(fields, &path, "end")?);
        if end < start {
            return Err(RowError::new(format!("{path}.end"), "must not lie before start"));
        }
        if words.last().is_some_and(|before| start + TOLERANCE < before.start) {
            return Err(RowError::new(format!("{path}.start"), "must not lie before the word before it"));
        }
        if !word.is_empty() {
            words.push(TimedWord { word: word.to_owned(), start, end });
        }
    }
    Ok(words)
}
