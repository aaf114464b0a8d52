//! A set of turns: rows and audio of a folder, read and checked before anything is played.

use super::row::{AUDIO_MAX, Half, RowError, TurnRow};
use super::words::WordSource;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trunkline_media::codec::resample::PcmResampler;
use trunkline_media::frame::SAMPLE_RATE_HZ;

/// Refusals that are printed; more are counted.
const REFUSALS_SHOWN: usize = 20;
/// Rates that are read.
const RATES_HZ: &[u32] = &[8_000, 16_000, 24_000, 32_000, 44_100, 48_000];

/// A row with its audio at 8 kHz.
#[derive(Debug)]
pub struct Turn {
    /// What is in the row.
    pub row: TurnRow,
    /// 16-bit mono at 8 kHz.
    pub samples: Vec<i16>,
}

/// Which rows are wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only rows of this half.
    pub half: Option<Half>,
    /// Only rows of these languages; empty for all.
    pub languages: Vec<String>,
}

impl Selection {
    /// Whether a row of this language and half is wanted.
    pub(super) fn takes(&self, language: &str, half: Option<Half>) -> bool {
        let is = |wanted: &String| {
            language.eq_ignore_ascii_case(wanted) || main_language(language).eq_ignore_ascii_case(wanted)
        };
        self.half.is_none_or(|wanted| half == Some(wanted))
            && (self.languages.is_empty() || self.languages.iter().any(is))
    }
}

/// `en` of `en-US`.
pub fn main_language(code: &str) -> &str {
    code.split('-').next().unwrap_or(code)
}

/// Reads all rows of a folder (`*.jsonl`) with their audio.
///
/// # Errors
///
/// What is refused, with file, line and field: all of it, so that a set is mended in one go.
pub fn read(folder: &Path, wanted: &Selection, words: WordSource) -> Result<Vec<Turn>, String> {
    let files = row_files(folder)?;
    let (mut turns, mut refusals, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(folder).unwrap_or(file).display().to_string();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match read_line(folder, line, wanted, words, &mut ids) {
                Ok(turn) => turns.extend(turn),
                Err(error) => refusals.push(format!("{name}:{}: {error}", index + 1)),
            }
        }
    }
    if !refusals.is_empty() {
        return Err(shown(refusals));
    }
    if turns.is_empty() {
        return Err(format!("{}: no row of the wanted half and languages", folder.display()));
    }
    Ok(turns)
}

/// The first refusals, and how many more there are.
pub(super) fn shown(mut refusals: Vec<String>) -> String {
    let more = refusals.len().saturating_sub(REFUSALS_SHOWN);
    refusals.truncate(REFUSALS_SHOWN);
    if more > 0 {
        refusals.push(format!("and {more} more"));
    }
    refusals.join("\n")
}

fn row_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    match files.is_empty() {
        true => Err(format!("{}: no rows: there is no .jsonl file in it", folder.display())),
        false => Ok(files),
    }
}

/// `None`: a row that is not wanted.
fn read_line(
    folder: &Path, line: &str, wanted: &Selection, words: WordSource, ids: &mut HashSet<String>,
) -> Result<Option<Turn>, RowError> {
    let row = TurnRow::parse(line)?;
    if !ids.insert(row.id.clone()) {
        return Err(RowError::new("id", format!("`{}` is there already", row.id)));
    }
    if !wanted.takes(&row.language, row.half) {
        return Ok(None);
    }
    if words == WordSource::Rows && row.words.as_ref().is_none_or(Vec::is_empty) {
        return Err(RowError::new("words", "is missing, and the words are to come from the rows"));
    }
    let samples = read_audio(&folder.join(&row.audio)).map_err(|problem| RowError::new("audio", problem))?;
    row.check_length(Duration::from_secs_f64(samples.len() as f64 / f64::from(SAMPLE_RATE_HZ)))?;
    Ok(Some(Turn { row, samples }))
}

/// A WAV file as 16-bit mono at 8 kHz.
pub(super) fn read_audio(path: &Path) -> Result<Vec<i16>, String> {
    let shown = path.display();
    let mut reader = hound::WavReader::open(path).map_err(|error| format!("{shown}: {error}"))?;
    let spec = reader.spec();
    if !RATES_HZ.contains(&spec.sample_rate) {
        let rates: Vec<String> = RATES_HZ.iter().map(u32::to_string).collect();
        return Err(format!("{shown}: a rate of {} Hz; it must be one of {}", spec.sample_rate, rates.join(", ")));
    }
    if !(1..=8).contains(&spec.channels) {
        return Err(format!("{shown}: {} channels", spec.channels));
    }
    if reader.duration() > AUDIO_MAX.as_secs() as u32 * spec.sample_rate {
        return Err(format!("{shown}: longer than {} s", AUDIO_MAX.as_secs()));
    }
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().map(|sample| sample.map(|s| s * 32_768.0)).collect(),
        hound::SampleFormat::Int => {
            let scale = 2f32.powi(16 - i32::from(spec.bits_per_sample));
            reader.samples::<i32>().map(|sample| sample.map(|s| s as f32 * scale)).collect()
        }
    };
    let samples = samples.map_err(|error| format!("{shown}: {error}"))?;
    let mono = samples.chunks(usize::from(spec.channels)).map(|frame| {
        let mean = frame.iter().sum::<f32>() / frame.len() as f32;
        mean.round().clamp(-32_768.0, 32_767.0) as i16
    });
    let mut narrow = Vec::with_capacity(mono.len());
    let mut resampler = PcmResampler::new(spec.sample_rate, SAMPLE_RATE_HZ).ok_or("cannot be resampled")?;
    resampler.push(mono, &mut narrow);
    resampler.finish(&mut narrow);
    Ok(narrow)
}
