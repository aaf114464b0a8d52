//! One child a sentence; a synthesis takes tens of milliseconds. The child dies with its stream.

use crate::providers::{AudioFormat, Failure, Providers, Speech, Stream, TtsEvent};
use bytes::Bytes;
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Sampling rate of espeak-ng's voices.
const RATE_HZ: u32 = 22_050;
/// Words a minute at speed 1.0 (the program's own default).
const WORDS_PER_MINUTE: f64 = 175.0;
/// Bytes of the WAV header that espeak-ng writes to a pipe.
const HEADER_BYTES: usize = 44;
/// Children at once: synthesis is a thousand times faster than speech, so a few serve every call.
static CHILDREN: Semaphore = Semaphore::const_new(8);

/// Speaks a text. The voice is espeak-ng's own name, or the language where it has none of that name.
pub fn speech(providers: &Providers, voice: &str, language: &str, speed: Option<f64>, text: &str) -> Speech {
    let (providers, text) = (providers.clone(), text.to_owned());
    let voice = if is_voice(voice) { voice.to_owned() } else { language.to_owned() };
    let words = (WORDS_PER_MINUTE * speed.unwrap_or(1.0).clamp(0.5, 2.0)) as u32;
    let stream = Stream::spawn(move |events| async move {
        let last = match synthesize(&providers, &voice, words, &text, &events).await {
            Ok(()) => TtsEvent::Done,
            Err(failure) => TtsEvent::Failed(failure),
        };
        let _ = events.send(last).await;
    });
    Speech { format: AudioFormat::Pcm16 { rate_hz: RATE_HZ }, stream }
}

/// espeak-ng's voices are language codes, possibly with a variant: `en-us+f3`, `nl`.
fn is_voice(voice: &str) -> bool {
    let base = voice.split('+').next().unwrap_or(voice);
    (2..=6).contains(&base.len()) && voice.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+".contains(&b))
}

async fn synthesize(
    providers: &Providers, voice: &str, words_per_minute: u32, text: &str, events: &mpsc::Sender<TtsEvent>,
) -> Result<(), Failure> {
    let _permit = timeout(providers.deadlines.first_byte, CHILDREN.acquire())
        .await
        .map_err(|_| Failure::Deadline("turn for the local voice"))?
        .map_err(|_| Failure::Unreachable("closed".to_owned()))?;
    let mut child = Command::new(&providers.espeak)
        .args(["--stdin", "--stdout", "-v", voice, "-s", &words_per_minute.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Failure::Unreachable(format!("{}: {error}", providers.espeak)))?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::Unreachable("no pipes".to_owned()));
    };
    // The text goes in on standard input: it is never seen in a process list.
    let write = async {
        stdin.write_all(text.as_bytes()).await?;
        stdin.shutdown().await
    };
    timeout(providers.deadlines.first_byte, write)
        .await
        .map_err(|_| Failure::Deadline("local voice"))?
        .map_err(|error| Failure::Dropped(error.to_string()))?;
    drop(stdin);
    let mut header_left = HEADER_BYTES;
    let mut heard = false;
    loop {
        let mut buffer = vec![0; 8_192];
        let count = timeout(providers.deadlines.first_byte, stdout.read(&mut buffer))
            .await
            .map_err(|_| Failure::Deadline("local voice"))?
            .map_err(|error| Failure::Dropped(error.to_string()))?;
        if count == 0 {
            return if heard { Ok(()) } else { Err(Failure::Dropped("the local voice said nothing".to_owned())) };
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
