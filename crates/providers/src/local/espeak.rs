//! One child a sentence; a synthesis takes tens of milliseconds. The child dies with its stream. The same program makes the
//! phonemes of the neural voices.

use crate::tts::{TtsSession, TtsSetup};
use crate::{AudioFormat, EventStream, ProviderError, ProviderRegistry, TtsEvent, TtsStream};
use bytes::Bytes;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Sampling rate of espeak-ng's voices.
pub(super) const RATE_HZ: u32 = 22_050;
/// Sampling rate of flite's better voices (`slt`, `rms`, `awb`, `kal16`).
const FLITE_RATE_HZ: u32 = 16_000;
/// Words a minute at speed 1.0 (the program's default).
const WORDS_PER_MINUTE: f64 = 175.0;
/// Bytes of the WAV header that both programs write.
const HEADER_BYTES: usize = 44;
/// Children at once: synthesis is a thousand times faster than speech, so a few serve every call.
static CHILD_PROCESSES: Semaphore = Semaphore::const_new(8);

/// Bytes of phonemes that are read: a text of the longest request has a tenth of them.
const PHONEME_BYTES_MAX: u64 = 256 * 1_024;

/// A voice of espeak-ng or flite in one call.
pub(super) struct LocalTtsSession(pub(super) TtsSetup);

impl TtsSession for LocalTtsSession {
    fn speak(&mut self, text: &str, _alone: bool) -> TtsStream {
        let config = &self.0.config;
        match config.voice_id.strip_prefix("flite") {
            Some(voice) => {
                let voice = voice.trim_start_matches(':');
                flite(&self.0.providers, if voice.is_empty() { "slt" } else { voice }, config.speed, text)
            }
            None => speech(&self.0.providers, &config.voice_id, &config.language, config.speed, text),
        }
    }
}

/// Speaks a text. The voice is a voice name of espeak-ng, or the language if it has no voice of that name.
pub fn speech(providers: &ProviderRegistry, voice: &str, language: &str, speed: Option<f64>, text: &str) -> TtsStream {
    let (providers, text) = (providers.clone(), text.to_owned());
    let voice = if is_voice(voice) { voice.to_owned() } else { language.to_owned() };
    let words = words_per_minute(speed);
    let stream = EventStream::spawn("tts", move |events| async move {
        let last = match synthesize(&providers, &voice, words, &text, &events).await {
            Ok(()) => TtsEvent::Done,
            Err(failure) => TtsEvent::Failed(failure),
        };
        let _ = events.send(last).await;
    });
    TtsStream { format: AudioFormat::Pcm16 { rate_hz: RATE_HZ }, stream }
}

/// How fast the program speaks.
pub(super) fn words_per_minute(speed: Option<f64>) -> u32 {
    (WORDS_PER_MINUTE * speed.unwrap_or(1.0).clamp(0.5, 2.0)) as u32
}

/// The second local voice: English only, and a person's.
fn flite(providers: &ProviderRegistry, voice: &str, speed: Option<f64>, text: &str) -> TtsStream {
    let (providers, text) = (providers.clone(), text.to_owned());
    let voice = if voice.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') { voice } else { "slt" }.to_owned();
    let stretch = 1.0 / speed.unwrap_or(1.0).clamp(0.5, 2.0);
    let stream = EventStream::spawn("tts", move |events| async move {
        // It writes to files only.
        let file = std::env::temp_dir().join(format!("trunkline-{}.wav", uuid::Uuid::new_v4()));
        let result = run_flite(&providers, &voice, stretch, &text, &file).await;
        let read = tokio::fs::read(&file).await;
        let _ = tokio::fs::remove_file(&file).await;
        let last = match (result, read) {
            (Ok(()), Ok(wav)) if wav.len() > HEADER_BYTES => {
                let _ = events.send(TtsEvent::Audio(Bytes::from(wav).slice(HEADER_BYTES..))).await;
                TtsEvent::Done
            }
            (Ok(()), _) => TtsEvent::Failed(ProviderError::Disconnected("the local voice said nothing".to_owned())),
            (Err(failure), _) => TtsEvent::Failed(failure),
        };
        let _ = events.send(last).await;
    });
    // `kal` is the one voice at 8 kHz.
    TtsStream { format: AudioFormat::Pcm16 { rate_hz: FLITE_RATE_HZ }, stream }
}

async fn run_flite(
    providers: &ProviderRegistry, voice: &str, stretch: f64, text: &str, file: &std::path::Path,
) -> Result<(), ProviderError> {
    let _permit = turn(providers).await?;
    let program = &providers.programs().flite;
    let stretch = format!("duration_stretch={stretch:.2}");
    let mut child = Command::new(program)
        .args(["-voice", voice, "--setf", &stretch, "-f", "-", "-o"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProviderError::Unreachable(format!("{program}: {error}")))?;
    let limit = providers.timeouts.tts.first_byte;
    write_stdin(&mut child, text, limit).await?;
    let done = timeout(limit, child.wait()).await.map_err(|_| ProviderError::Timeout("local voice"))?;
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(ProviderError::Disconnected(format!("the local voice ended with {status}"))),
        Err(error) => Err(ProviderError::Disconnected(error.to_string())),
    }
}

async fn turn(providers: &ProviderRegistry) -> Result<tokio::sync::SemaphorePermit<'static>, ProviderError> {
    timeout(providers.timeouts.tts.first_byte, CHILD_PROCESSES.acquire())
        .await
        .map_err(|_| ProviderError::Timeout("turn for the local voice"))?
        .map_err(|_| ProviderError::Unreachable("closed".to_owned()))
}

/// The text goes in on standard input: it is never seen in a process list.
async fn write_stdin(child: &mut Child, text: &str, limit: Duration) -> Result<(), ProviderError> {
    let Some(mut stdin) = child.stdin.take() else { return Err(ProviderError::Unreachable("no pipe".to_owned())) };
    let write = async {
        stdin.write_all(text.as_bytes()).await?;
        stdin.shutdown().await
    };
    let written = timeout(limit, write).await.map_err(|_| ProviderError::Timeout("local voice"))?;
    written.map_err(|error| ProviderError::Disconnected(error.to_string()))
}

/// espeak-ng's voices are language codes, possibly with a variant: `en-us+f3`, `nl`.
pub(super) fn is_voice(voice: &str) -> bool {
    let base = voice.split('+').next().unwrap_or(voice);
    (2..=6).contains(&base.len()) && voice.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+".contains(&b))
}

pub(super) async fn synthesize(
    providers: &ProviderRegistry, voice: &str, words_per_minute: u32, text: &str, events: &mpsc::Sender<TtsEvent>,
) -> Result<(), ProviderError> {
    let _permit = turn(providers).await?;
    let program = &providers.programs().espeak;
    let limit = providers.timeouts.tts.first_byte;
    let mut child = Command::new(program)
        .args(["--stdin", "--stdout", "-v", voice, "-s", &words_per_minute.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProviderError::Unreachable(format!("{program}: {error}")))?;
    let Some(mut stdout) = child.stdout.take() else { return Err(ProviderError::Unreachable("no pipe".to_owned())) };
    write_stdin(&mut child, text, limit).await?;
    let mut header_left = HEADER_BYTES;
    let mut heard = false;
    loop {
        let mut buffer = vec![0; 8_192];
        let count = timeout(limit, stdout.read(&mut buffer))
            .await
            .map_err(|_| ProviderError::Timeout("local voice"))?
            .map_err(|error| ProviderError::Disconnected(error.to_string()))?;
        if count == 0 {
            return if heard {
                Ok(())
            } else {
                Err(ProviderError::Disconnected("the local voice said nothing".to_owned()))
            };
        }
        let skip = header_left.min(count);
        header_left -= skip;
        if count > skip {
            heard = true;
            buffer.truncate(count);
            if events.send(TtsEvent::Audio(Bytes::from(buffer).slice(skip..))).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The phonemes of lines of text in the international alphabet, a line for each.
pub(super) async fn phonemes(
    providers: &ProviderRegistry, voice: &str, lines: &[&str],
) -> Result<String, ProviderError> {
    let _permit = turn(providers).await?;
    let program = &providers.programs().espeak;
    let limit = providers.timeouts.tts.first_byte;
    let mut child = Command::new(program)
        .args(["-q", "--ipa", "-v", voice])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProviderError::Unreachable(format!("{program}: {error}")))?;
    let Some(stdout) = child.stdout.take() else { return Err(ProviderError::Unreachable("no pipe".to_owned())) };
    let text: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
    let mut phonemes = String::new();
    let mut stdout = stdout.take(PHONEME_BYTES_MAX);
    // Both at once: a pipe that is full in one direction would stop the other.
    let (written, read) =
        tokio::join!(write_stdin(&mut child, &text, limit), timeout(limit, stdout.read_to_string(&mut phonemes)),);
    written?;
    read.map_err(|_| ProviderError::Timeout("local voice"))?
        .map_err(|error| ProviderError::Disconnected(error.to_string()))?;
    Ok(phonemes)
}
