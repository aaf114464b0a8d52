//! One text on its way to sound: from the disk, from the voice part by part, or what is left of it from espeak-ng.

use super::super::espeak;
use super::clauses::{Clause, clauses, parts, phonemes};
use super::phrase_cache::{Phrase, PhraseCache, PhraseKey};
use super::piper_voices::PiperVoices;
use super::speaker::{SpeakError, SpokenPart, SpokenPiece};
use super::voices::primary;
use super::word_marks::marks;
use crate::{ProviderError, ProviderRegistry, TtsEvent, WordTimestamp};
use bytes::Bytes;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_local_speech::models::PiperVoice;
use trunkline_local_speech::request::Tenant;
use trunkline_media::codec::resample::PcmResampler;

/// What is said where the server has no worker.
const NO_WORKER: &str = "no models of local voices are installed: run `trunkline models fetch`";
/// Bytes of one event.
const AUDIO_BYTES: usize = 16_384;

/// A text, and who speaks it.
pub(super) struct Sentence {
    pub(super) providers: ProviderRegistry,
    pub(super) voice: &'static PiperVoice,
    pub(super) language: String,
    pub(super) speed: f64,
    pub(super) text: String,
    /// It stands in the agent's configuration: its sound is kept.
    pub(super) is_kept: bool,
    /// Until when the caller has sound from before.
    pub(super) sound_until: Option<Instant>,
}

/// One text of a call after the other; when the sound of the last one ends, if it was spoken to its end.
pub(super) type InTurn = Arc<tokio::sync::Mutex<Option<Instant>>>;

/// What was sent of a text.
#[derive(Default)]
struct Sent {
    samples: u64,
    /// Of a text that is kept.
    audio: Vec<u8>,
    marks: Vec<WordTimestamp>,
    /// Characters of the text that are spoken.
    chars: usize,
    first: Option<Instant>,
    /// Sound of earlier texts ends then.
    starts_at: Option<Instant>,
}

impl Sent {
    fn ms(&self) -> u64 {
        self.samples * 1_000 / u64::from(espeak::RATE_HZ)
    }

    /// When the sound so far has been heard.
    fn ends_at(&self, began: Instant) -> Instant {
        let first = self.first.unwrap_or(began).max(self.starts_at.unwrap_or(began));
        first + Duration::from_millis(self.ms())
    }

    /// How long the next part may take: as long as there is sound, and somewhat more.
    fn patience(&self, began: Instant, patience: Duration) -> Duration {
        (self.ends_at(began) + patience).saturating_duration_since(Instant::now())
    }
}

type Events = mpsc::Sender<TtsEvent>;

impl Sentence {
    /// Speaks the text to its end, after those of the call that came before: their sound comes first, so this one has time.
    pub(super) async fn speak_in_turn(mut self, in_turn: &InTurn, events: &Events) -> Result<(), ProviderError> {
        let asked = Instant::now();
        let had_to_wait = in_turn.try_lock().is_err();
        let mut last_end = in_turn.lock().await;
        // What was spoken while this text waited; what was broken off is not heard.
        let before = last_end.take().filter(|_| had_to_wait);
        self.sound_until = before.max(self.sound_until);
        let mut sent = Sent { starts_at: self.sound_until, ..Sent::default() };
        let spoken = self.speak(&mut sent, events).await;
        *last_end = Some(sent.ends_at(asked));
        spoken
    }

    async fn speak(self, sent: &mut Sent, events: &Events) -> Result<(), ProviderError> {
        let began = Instant::now();
        if primary(&self.language) != self.voice.language {
            return self.stand_in(SpeakError::Language(self.language.clone()), 0, events).await;
        }
        let Some(voices) = self.providers.piper().cloned() else {
            return self.stand_in(SpeakError::Unavailable(NO_WORKER.to_owned()), 0, events).await;
        };
        let stored = voices.cache.as_ref().filter(|_| self.is_kept).map(|cache| (Arc::clone(cache), self.key()));
        if let Some((cache, key)) = &stored
            && let Some(phrase) = read(cache, *key).await
        {
            metrics::counter!("trunkline_local_voice_phrases_total", "from" => "disk").increment(1);
            sent.samples = (phrase.audio.len() / 2) as u64;
            let _ = send(events, phrase.marks, &phrase.audio).await;
            return Ok(());
        }
        match self.synthesize(&voices, began, sent, events).await {
            Ok(()) => {
                voices.has_spoken();
                if let Some((cache, key)) = stored {
                    write(cache, key, std::mem::take(&mut sent.marks), std::mem::take(&mut sent.audio));
                }
                Ok(())
            }
            Err(Stopped::Unheard) => Ok(()),
            Err(Stopped::Failed(error)) => self.stand_in(error, sent.chars, events).await,
        }
    }

    fn key(&self) -> PhraseKey {
        PhraseKey::new(self.providers.tenant(), self.voice.name, self.voice.model_sha256(), self.permille(), &self.text)
    }

    fn permille(&self) -> u32 {
        (self.speed * 1_000.0) as u32
    }

    async fn synthesize(
        &self, voices: &PiperVoices, began: Instant, sent: &mut Sent, events: &Events,
    ) -> Result<(), Stopped> {
        let clauses = clauses(&self.text);
        let lines: Vec<&str> = clauses.iter().map(|clause| clause.words.as_str()).collect();
        let written = espeak::phonemes(&self.providers, self.voice.espeak_voice, &lines);
        let written = tokio::time::timeout(sent.patience(began, voices.patience), written).await;
        let written = written.map_err(|_| SpeakError::Late)?.map_err(|error| SpeakError::Failed(error.to_string()))?;
        let sounds = phonemes(&clauses, &written);
        let tenant = Tenant::of(self.providers.tenant());
        for part in spoken_parts(clauses, sounds) {
            let patience = sent.patience(began, voices.patience);
            let speech = voices.speaker.speak(tenant, self.voice, text_of(&part), self.permille(), patience);
            let mut pieces = Pieces {
                part: &part,
                speech,
                ends: Vec::new(),
                marks: Vec::new(),
                before_ms: sent.ms(),
                resampler: None,
            };
            let spoken = self.send_part(&mut pieces, voices.patience, began, sent, events).await;
            // After a part that broke off: the words of it that are out.
            let until = sent.ms();
            let whole = spoken.is_ok();
            let heard =
                pieces.marks.iter().filter(|mark| whole || u64::from(mark.at_ms) <= until).map(|mark| mark.chars);
            let last = part.last().and_then(|(clause, _)| clause.word_ends.last()).copied().filter(|_| whole);
            sent.chars = heard.chain(last).max().map_or(sent.chars, |chars| sent.chars.max(chars as usize));
            spoken?;
        }
        if sent.first.is_some() { Ok(()) } else { Err(SpeakError::Failed("the text has no words".to_owned()).into()) }
    }

    /// Sends a part while it is spoken. Each piece comes before the sound of those before it has run out, or too late.
    async fn send_part(
        &self, pieces: &mut Pieces<'_>, patience: Duration, began: Instant, sent: &mut Sent, events: &Events,
    ) -> Result<(), Stopped> {
        loop {
            let next = tokio::time::timeout(sent.patience(began, patience), pieces.speech.next()).await;
            let Some(piece) = next.map_err(|_| SpeakError::Late)?.transpose()? else { break };
            match piece {
                SpokenPiece::WordEnds(ends) => pieces.ends = ends,
                SpokenPiece::Audio { rate_hz, samples } => {
                    let marks = pieces.new_marks(rate_hz);
                    let samples = pieces.at_our_rate(rate_hz, samples)?;
                    self.send_piece(marks, &samples, sent, events).await?;
                }
            }
        }
        let rest = pieces.rest();
        self.send_piece(Vec::new(), &rest, sent, events).await
    }

    async fn send_piece(
        &self, marks: Vec<WordTimestamp>, samples: &[i16], sent: &mut Sent, events: &Events,
    ) -> Result<(), Stopped> {
        let audio: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        if !audio.is_empty() {
            sent.first.get_or_insert_with(Instant::now);
        }
        sent.samples += samples.len() as u64;
        if self.is_kept {
            sent.audio.extend_from_slice(&audio);
            sent.marks.extend_from_slice(&marks);
        }
        send(events, marks, &Bytes::from(audio)).await.ok_or(Stopped::Unheard)
    }

    /// espeak-ng says what is left of the text.
    async fn stand_in(&self, error: SpeakError, chars: usize, events: &Events) -> Result<(), ProviderError> {
        match self.providers.piper() {
            Some(voices) => {
                voices.report(self.voice, &error);
                // After a crash the next text finds the voice loaded.
                if matches!(error, SpeakError::Failed(_)) {
                    voices.speaker.warm_up();
                }
            }
            None => tracing::debug!(voice = self.voice.name, %error, "espeak-ng speaks in place of a local voice"),
        }
        let rest: String =
            self.text.chars().skip(chars).skip_while(|sign| chars > 0 && !sign.is_alphanumeric()).collect();
        if chars > 0 && rest.is_empty() {
            return Ok(());
        }
        let is_own = primary(&self.language) == self.voice.language;
        let base = if is_own { self.voice.espeak_voice } else { &self.language };
        let voice = format!("{base}{}", self.voice.stand_in);
        let voice = if espeak::is_voice(&voice) { voice } else { self.language.clone() };
        espeak::synthesize(&self.providers, &voice, espeak::words_per_minute(Some(self.speed)), &rest, events).await
    }
}

/// Why a text was not spoken to its end.
enum Stopped {
    /// The call does not want it any more.
    Unheard,
    Failed(SpeakError),
}

impl From<SpeakError> for Stopped {
    fn from(error: SpeakError) -> Self {
        Self::Failed(error)
    }
}

/// Clauses with their phonemes, in parts. Clauses without phonemes of their own are one.
fn spoken_parts(clauses: Vec<Clause>, sounds: Vec<String>) -> Vec<Vec<(Clause, String)>> {
    if clauses.len() != sounds.len() {
        let Some(whole) = joined(&clauses) else { return Vec::new() };
        return vec![sounds.into_iter().map(|sounds| (whole.clone(), sounds)).collect()];
    }
    let mut sounds = sounds.into_iter();
    parts(clauses).into_iter().map(|part| part.into_iter().zip(sounds.by_ref()).collect()).collect()
}

fn joined(clauses: &[Clause]) -> Option<Clause> {
    let words: Vec<&str> = clauses.iter().map(|clause| clause.words.as_str()).collect();
    let word_ends = clauses.iter().flat_map(|clause| clause.word_ends.clone()).collect();
    Some(Clause { words: words.join(" "), mark: clauses.last()?.mark, word_ends })
}

/// The phonemes of a part, each clause with its mark.
fn text_of(part: &[(Clause, String)]) -> String {
    part.iter().map(|(clause, sounds)| format!("{sounds}{}", clause.mark)).collect::<Vec<_>>().join(" ")
}

/// A part on its way to the listener.
struct Pieces<'a> {
    part: &'a [(Clause, String)],
    speech: SpokenPart,
    /// Ends of words that have no marks yet.
    ends: Vec<u32>,
    marks: Vec<WordTimestamp>,
    /// Sound of the text before this part.
    before_ms: u64,
    resampler: Option<(u32, PcmResampler)>,
}

impl Pieces<'_> {
    /// The marks of the part, once.
    fn new_marks(&mut self, rate_hz: u32) -> Vec<WordTimestamp> {
        let made = marks(self.part, &std::mem::take(&mut self.ends), rate_hz, self.before_ms as u32);
        self.marks.extend_from_slice(&made);
        made
    }

    fn at_our_rate(&mut self, rate_hz: u32, samples: Vec<i16>) -> Result<Vec<i16>, SpeakError> {
        if rate_hz == espeak::RATE_HZ {
            return Ok(samples);
        }
        let wrong = || SpeakError::Failed("a rate that cannot be converted".to_owned());
        let (rate, resampler) = match &mut self.resampler {
            Some(open) => open,
            none => none.insert((rate_hz, PcmResampler::new(rate_hz, espeak::RATE_HZ).ok_or_else(wrong)?)),
        };
        if *rate != rate_hz {
            return Err(wrong());
        }
        let mut made = Vec::new();
        resampler.push(samples.into_iter(), &mut made);
        Ok(made)
    }

    /// What the resampler still has.
    fn rest(&mut self) -> Vec<i16> {
        let mut rest = Vec::new();
        if let Some((_, mut resampler)) = self.resampler.take() {
            resampler.finish(&mut rest);
        }
        rest
    }
}

/// `None` if nobody listens any more.
async fn send(events: &Events, marks: Vec<WordTimestamp>, audio: &Bytes) -> Option<()> {
    if !marks.is_empty() {
        events.send(TtsEvent::WordTimestamps(marks)).await.ok()?;
    }
    for at in (0..audio.len()).step_by(AUDIO_BYTES) {
        let piece = audio.slice(at..audio.len().min(at + AUDIO_BYTES));
        events.send(TtsEvent::Audio(piece)).await.ok()?;
    }
    Some(())
}

async fn read(cache: &Arc<PhraseCache>, key: PhraseKey) -> Option<Phrase> {
    let cache = Arc::clone(cache);
    let read = trunkline_supervision::spawn_blocking("phrase_cache", move || cache.get(key)).await;
    read.ok()?.ok()?.filter(|phrase| phrase.rate_hz == espeak::RATE_HZ)
}

/// Writes it while the caller listens.
fn write(cache: Arc<PhraseCache>, key: PhraseKey, marks: Vec<WordTimestamp>, audio: Vec<u8>) {
    metrics::counter!("trunkline_local_voice_phrases_total", "from" => "voice").increment(1);
    let phrase = Phrase { rate_hz: espeak::RATE_HZ, marks, audio: audio.into() };
    drop(trunkline_supervision::spawn_blocking("phrase_cache", move || {
        if let Err(error) = cache.put(key, &phrase) {
            let advice = "make room in providers.local.phrases_folder; until then it is spoken anew in each call";
            tracing::warn!(%error, advice, "a phrase of a local voice was not stored");
        }
    }));
}
