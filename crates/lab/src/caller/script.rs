//! What the caller does: `listen; say hello; interrupt wait_stop; dtmf 12#; tones 5; beep 1000 400; pause 500; hangup`.

use crate::emulator::fixture_phrases;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use trunkline_media::codec::Companding;

/// Samples at 8 kHz with the start and the end of their sound.
#[derive(Clone, Debug)]
pub struct SpeechClip {
    /// Name of the phrase, path of the WAV file, or the tones as the script writes them.
    pub name: String,
    /// Mono audio at 8 kHz.
    pub samples: Arc<Vec<i16>>,
    /// First and last 20 ms frame with sound.
    pub first_frame: u32,
    /// Last 20 ms frame with sound, counted from 0.
    pub last_frame: u32,
}

/// One step of a script.
#[derive(Clone, Debug)]
pub enum ScriptStep {
    /// Until the agent has spoken and fallen silent.
    Listen,
    /// Speaks the clip.
    Say(SpeechClip),
    /// Once the agent has been speaking for a while, over its words.
    Interrupt(SpeechClip),
    /// Sends digits as DTMF events (RFC 4733).
    Digits(String),
    /// Waits for this time, whatever the agent does.
    Pause(Duration),
    /// A call that came in is answered now; what came before was early media (183).
    Answer,
    /// Ends the call; later steps are not run.
    HangUp,
}

/// The steps of a caller in order.
#[derive(Clone, Debug)]
pub struct CallScript(pub Vec<ScriptStep>);

/// A frame louder than this is sound.
pub(super) const SOUND_DBFS: f32 = -48.0;

/// Texts in quotes with their sound at 8 kHz.
pub type SpokenTexts = HashMap<String, Vec<i16>>;

/// Steps of a script: what stands between semicolons, unless those are in quotes.
fn steps(text: &str) -> Vec<&str> {
    let mut in_quotes = false;
    let parts = text.split(|sign| {
        in_quotes ^= sign == '"';
        sign == ';' && !in_quotes
    });
    parts.map(str::trim).filter(|step| !step.is_empty()).collect()
}

/// The text in quotes; `None` for a name.
fn quoted(name: &str) -> Option<&str> {
    name.strip_prefix('"')?.strip_suffix('"').map(str::trim).filter(|text| !text.is_empty())
}

impl CallScript {
    /// Parses a script; names are built-in phrases or paths of WAV files (8 kHz, mono, 16 bit).
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_spoken(text, &SpokenTexts::new())
    }

    /// The texts in quotes that a script says, which a voice has to speak.
    pub fn texts(text: &str) -> Vec<&str> {
        let said =
            steps(text).into_iter().filter_map(|step| step.strip_prefix("say ").or(step.strip_prefix("interrupt ")));
        said.filter_map(|name| quoted(name.trim())).collect()
    }

    /// Parses a script whose texts in quotes have been spoken.
    pub fn parse_spoken(text: &str, spoken: &SpokenTexts) -> Result<Self, String> {
        let speech = |name: &str| speech(name, spoken);
        let steps = steps(text).into_iter().map(|step| {
            let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
            let rest = rest.trim();
            match verb {
                "listen" => Ok(ScriptStep::Listen),
                "say" => speech(rest).map(ScriptStep::Say),
                "interrupt" => speech(rest).map(ScriptStep::Interrupt),
                "tones" => key_tones(rest).map(ScriptStep::Say),
                "beep" => beep(rest).map(ScriptStep::Say),
                "dtmf" if !rest.is_empty() => Ok(ScriptStep::Digits(rest.to_owned())),
                "pause" => rest
                    .parse()
                    .map(|ms| ScriptStep::Pause(Duration::from_millis(ms)))
                    .map_err(|_| format!("pause wants milliseconds, not {rest:?}")),
                "answer" => Ok(ScriptStep::Answer),
                "hangup" => Ok(ScriptStep::HangUp),
                _ => Err(format!(
                    "{step:?} is not one of listen, say NAME or \"TEXT\", interrupt NAME, dtmf DIGITS, tones DIGITS, beep HZ MS, pause MS, answer, hangup"
                )),
            }
        });
        steps.collect::<Result<_, _>>().map(Self)
    }
}

/// Sine waves of the same level for so many milliseconds.
fn sines(hz: &[f64], ms: usize) -> Vec<i16> {
    let sample =
        |n: usize| hz.iter().map(|hz| (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin() * 5_000.0).sum::<f64>();
    (0..ms * 8).map(|n| sample(n) as i16).collect()
}

fn beep(text: &str) -> Result<SpeechClip, String> {
    let (hz, ms) = text.split_once(' ').ok_or("beep wants a frequency and milliseconds")?;
    match (hz.parse::<f64>(), ms.trim().parse::<usize>()) {
        (Ok(hz), Ok(ms)) => sounding(text, sines(&[hz], ms)),
        _ => Err(format!("beep wants a frequency and milliseconds, not {text:?}")),
    }
}

/// Keys as tones in the audio (ITU-T Q.23).
fn key_tones(digits: &str) -> Result<SpeechClip, String> {
    const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const COLUMNS: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
    let mut samples = Vec::new();
    for digit in digits.chars() {
        let at = "123A456B789C*0#D".find(digit).ok_or_else(|| format!("{digit:?} is no key"))?;
        samples.extend(sines(&[ROWS[at / 4], COLUMNS[at % 4]], 120));
        samples.extend([0; 800]);
    }
    sounding(digits, samples)
}

fn speech(name: &str, spoken: &SpokenTexts) -> Result<SpeechClip, String> {
    if name.starts_with('"') {
        let text = quoted(name).ok_or_else(|| format!("{name} is no text in quotes"))?;
        let samples = spoken.get(text).ok_or("a text in quotes needs a voice that speaks it (--voice)")?;
        return sounding(text, samples.clone());
    }
    sounding(name, if name.ends_with(".wav") { wav(Path::new(name))? } else { built_in(name)? })
}

fn sounding(name: &str, samples: Vec<i16>) -> Result<SpeechClip, String> {
    // Judged as it will be on the line: quantising lifts the last breath of a word.
    let on_the_line = |frame: &[i16]| {
        frame.iter().map(|s| Companding::MuLaw.decode(Companding::MuLaw.encode(*s))).collect::<Vec<i16>>()
    };
    let sound = |frame: &[i16]| trunkline_media::frame::level_dbfs(&on_the_line(frame)) > SOUND_DBFS;
    let frames: Vec<bool> = samples.chunks(160).map(sound).collect();
    let first = frames.iter().position(|sound| *sound).ok_or_else(|| format!("{name} is silent"))?;
    let last = frames.iter().rposition(|sound| *sound).unwrap_or(first);
    Ok(SpeechClip {
        name: name.to_owned(),
        samples: Arc::new(samples),
        first_frame: first as u32,
        last_frame: last as u32,
    })
}

fn built_in(name: &str) -> Result<Vec<i16>, String> {
    let texts = include_str!("../../../../fixtures/audio/phrases.tsv");
    let text = texts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t')?.split('\t').nth(1));
    let known = || texts.lines().filter_map(|line| line.split('\t').next()).collect::<Vec<_>>().join(", ");
    let text = text.ok_or_else(|| format!("{name:?} is neither a .wav file nor one of {}", known()))?;
    fixture_phrases()
        .into_iter()
        .find(|p| p.text == text)
        .map(|p| p.samples)
        .ok_or_else(|| format!("{name} is missing"))
}

fn wav(path: &Path) -> Result<Vec<i16>, String> {
    let mut reader = hound::WavReader::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let spec = reader.spec();
    if (spec.channels, spec.sample_rate, spec.bits_per_sample) != (1, 8_000, 16) {
        return Err(format!("{}: must be mono, 8 kHz, 16 bit", path.display()));
    }
    reader.samples::<i16>().collect::<Result<_, _>>().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_and_faults_named() {
        let script = CallScript::parse("listen; say hello ;interrupt wait_stop; dtmf 12#; pause 50; hangup;").unwrap();
        assert_eq!(script.0.len(), 6);
        assert!(CallScript::parse("shout hello").unwrap_err().contains("\"shout hello\" is not one of"));
        let text = "say \"Where is it; I wait.\"; interrupt \" Stop. \"; say hello; pause 50";
        assert_eq!(CallScript::texts(text), ["Where is it; I wait.", "Stop."]);
        assert!(CallScript::parse(text).unwrap_err().contains("--voice"));
        let spoken = CallScript::texts(text).into_iter().map(|text| (text.to_owned(), vec![9_000; 1_600])).collect();
        assert_eq!(CallScript::parse_spoken(text, &spoken).unwrap().0.len(), 4);
        assert!(CallScript::parse("say \"unfinished").unwrap_err().contains("no text in quotes"));
        assert!(CallScript::parse("say nothing_known").unwrap_err().contains("where_is_my_order"));
    }
}
