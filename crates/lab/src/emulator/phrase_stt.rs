//! An STT that really listens, for a few phrases: it compares the audio received, so lost or garbled audio is not
//! recognised.

use std::f32::consts::TAU;

const RATE_HZ: f32 = 8_000.0;
/// One spectrum every 20 ms over 32 ms.
const HOP: usize = 160;
const WINDOW: usize = 256;
const BANDS: usize = 18;
/// A frame louder than this is sound.
const SOUND_DBFS: f32 = -48.0;
/// Sound must last this many frames to open an utterance.
const ONSET_FRAMES: usize = 3;
/// How far the received phrase may be shifted against the known one.
const SHIFT: isize = 8;
/// Similarity from which a phrase counts as recognised. Clean phrases reach 0.97 and more, different
/// ones stay below 0.6.
const RECOGNISED: f32 = 0.80;
/// Given for speech that is none of the phrases.
pub(super) const UNKNOWN: &str = "unrecognised speech";

type Spectrum = [f32; BANDS];

/// A recorded phrase with its text.
#[derive(Clone, Debug)]
pub struct FixturePhrase {
    /// Name of its file in `fixtures/audio`, without `.wav`.
    pub name: String,
    /// What is said, as the emulated STT returns it.
    pub text: String,
    /// The audio: 16-bit mono at 8 kHz.
    pub samples: Vec<i16>,
}

struct KnownPhrase {
    text: String,
    frames: Vec<Spectrum>,
}

/// Recognizes known phrases by their spectra; one value serves any number of streams.
pub struct PhraseRecognizer {
    known: Vec<KnownPhrase>,
    bands: [f32; BANDS],
}

impl std::fmt::Debug for PhraseRecognizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhraseRecognizer").field("phrases", &self.known.len()).finish_non_exhaustive()
    }
}

/// The phrases of `fixtures/audio`, built into the program.
pub fn fixture_phrases() -> Vec<FixturePhrase> {
    const FILES: &[(&str, &[u8])] = &[
        ("hello", include_bytes!("../../../../fixtures/audio/hello.wav")),
        ("where_is_my_order", include_bytes!("../../../../fixtures/audio/where_is_my_order.wav")),
        ("order_number", include_bytes!("../../../../fixtures/audio/order_number.wav")),
        ("wait_stop", include_bytes!("../../../../fixtures/audio/wait_stop.wav")),
        ("yes_correct", include_bytes!("../../../../fixtures/audio/yes_correct.wav")),
        ("no_thank_you", include_bytes!("../../../../fixtures/audio/no_thank_you.wav")),
        ("opening_hours", include_bytes!("../../../../fixtures/audio/opening_hours.wav")),
        ("goodbye", include_bytes!("../../../../fixtures/audio/goodbye.wav")),
        ("speak_to_human", include_bytes!("../../../../fixtures/audio/speak_to_human.wav")),
        ("pakket_nl", include_bytes!("../../../../fixtures/audio/pakket_nl.wav")),
        ("mailbox", include_bytes!("../../../../fixtures/audio/mailbox.wav")),
        ("leave_message", include_bytes!("../../../../fixtures/audio/leave_message.wav")),
        ("screening", include_bytes!("../../../../fixtures/audio/screening.wav")),
    ];
    let texts = include_str!("../../../../fixtures/audio/phrases.tsv");
    FILES
        .iter()
        .filter_map(|(name, bytes)| {
            let text =
                texts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t')?.split('\t').nth(1))?;
            let samples = hound::WavReader::new(*bytes).ok()?.into_samples::<i16>().filter_map(Result::ok).collect();
            Some(FixturePhrase { name: (*name).to_owned(), text: text.to_owned(), samples })
        })
        .collect()
}

/// The language of a phrase, or of its beginning; English for everything else.
pub(super) fn language_of(text: &str) -> &'static str {
    let texts: &'static str = include_str!("../../../../fixtures/audio/phrases.tsv");
    let mut rows = texts.lines().map(|line| line.split('\t'));
    let found = rows.find_map(|mut row| {
        let (_, language, phrase) = (row.next()?, row.next()?, row.next()?);
        (!text.is_empty() && phrase.starts_with(text)).then_some(language)
    });
    found.unwrap_or("en")
}

fn level_dbfs(samples: &[i16]) -> f32 {
    let energy: f32 = samples.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
    20.0 * ((energy / samples.len().max(1) as f32).sqrt() / 32_768.0).max(1e-5).log10()
}

impl PhraseRecognizer {
    /// Creates a recognizer and computes the spectra of the phrases, which are 8 kHz audio.
    pub fn new(phrases: Vec<FixturePhrase>) -> Self {
        // Evenly on the mel scale from 200 to 3,600 Hz.
        let mel = |hz: f32| 2_595.0 * (1.0 + hz / 700.0).log10();
        let (low, high) = (mel(200.0), mel(3_600.0));
        let bands = std::array::from_fn(|band| {
            let at = low + (high - low) * band as f32 / (BANDS - 1) as f32;
            700.0 * (10f32.powf(at / 2_595.0) - 1.0)
        });
        let mut this = Self { known: Vec::new(), bands };
        for phrase in phrases {
            let mut listener = RecognitionStream::default();
            let mut frames = Vec::new();
            listener.spectra(&this, &phrase.samples, |spectrum, dbfs| frames.push((spectrum, dbfs)));
            let first = frames.iter().position(|(_, dbfs)| *dbfs > SOUND_DBFS).unwrap_or(0);
            let last = frames.iter().rposition(|(_, dbfs)| *dbfs > SOUND_DBFS).unwrap_or(0);
            let frames = frames[first..=last].iter().map(|(spectrum, _)| *spectrum).collect();
            this.known.push(KnownPhrase { text: phrase.text, frames });
        }
        this
    }

    /// Energy of each band by Goertzel's algorithm, in dB around the frame's mean: level plays no part.
    fn spectrum(&self, window: &[f32]) -> Spectrum {
        let mut spectrum: Spectrum = std::array::from_fn(|band| {
            let coefficient = 2.0 * (TAU * self.bands[band] / RATE_HZ).cos();
            let (mut s1, mut s2) = (0.0f32, 0.0f32);
            for sample in window {
                let s0 = sample + coefficient * s1 - s2;
                s2 = s1;
                s1 = s0;
            }
            // The floor keeps line noise from looking like a spectrum.
            10.0 * (s1 * s1 + s2 * s2 - coefficient * s1 * s2 + 4.0).max(1.0).log10()
        });
        let mean = spectrum.iter().sum::<f32>() / BANDS as f32;
        for value in &mut spectrum {
            *value -= mean;
        }
        spectrum
    }

    /// The most similar phrase: text, similarity, length in frames. `prefix` compares only as far as
    /// the heard frames go.
    fn best(&self, heard: &[Spectrum], prefix: bool) -> Option<(&str, f32, usize)> {
        let mut best: Option<(&str, f32, usize)> = None;
        for known in &self.known {
            let ratio = heard.len() as f32 / known.frames.len() as f32;
            if (!prefix && !(0.85..=1.15).contains(&ratio)) || ratio > 1.15 {
                continue;
            }
            for shift in -SHIFT..=SHIFT {
                let score = similarity(heard, &known.frames, shift, prefix);
                if best.is_none_or(|(_, other, _)| score > other) {
                    best = Some((&known.text, score, known.frames.len()));
                }
            }
        }
        best
    }
}

/// Correlation of two spectrograms over all frames and bands; frames without a partner count as zero.
fn similarity(heard: &[Spectrum], known: &[Spectrum], shift: isize, prefix: bool) -> f32 {
    let (mut product, mut heard_energy, mut known_energy) = (0.0f32, 1e-6f32, 1e-6f32);
    for (index, spectrum) in heard.iter().enumerate() {
        heard_energy += spectrum.iter().map(|v| v * v).sum::<f32>();
        let partner = usize::try_from(index as isize + shift).ok().and_then(|at| known.get(at));
        if let Some(partner) = partner {
            product += spectrum.iter().zip(partner).map(|(a, b)| a * b).sum::<f32>();
        }
    }
    let span = if prefix { heard.len().min(known.len()) } else { known.len() };
    for spectrum in &known[..span] {
        known_energy += spectrum.iter().map(|v| v * v).sum::<f32>();
    }
    product / (heard_energy * known_energy).sqrt()
}

/// Frames of silence after which the words are sent once more, as STT services with a delay do.
const TRAILING_FRAMES: usize = 8;

/// What a listener makes of the sound so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RecognitionEvent {
    Started,
    Interim(String),
    /// An utterance is over: its words and how sure they are.
    Final {
        text: String,
        confidence: f32,
    },
}

/// One stream being listened to.
#[derive(Default)]
pub(super) struct RecognitionStream {
    window: Vec<f32>,
    hop: Vec<i16>,
    frames: Vec<Spectrum>,
    /// Frames since the last sound.
    quiet: usize,
    sounding: usize,
    /// Words of the utterance that were final before its end.
    settled: usize,
    pub(super) samples: u64,
}

impl RecognitionStream {
    fn spectra(&mut self, stt: &PhraseRecognizer, samples: &[i16], mut each: impl FnMut(Spectrum, f32)) {
        for sample in samples {
            self.hop.push(*sample);
            if self.hop.len() < HOP {
                continue;
            }
            let dbfs = level_dbfs(&self.hop);
            self.window.extend(self.hop.drain(..).map(f32::from));
            let excess = self.window.len().saturating_sub(WINDOW);
            self.window.drain(..excess);
            each(stt.spectrum(&self.window), dbfs);
        }
    }

    /// Listens on; an utterance ends after `endpointing` of silence.
    pub(super) fn listen(
        &mut self, stt: &PhraseRecognizer, samples: &[i16], endpointing_ms: u64,
        mut heard: impl FnMut(RecognitionEvent),
    ) {
        self.samples += samples.len() as u64;
        let end_after = (endpointing_ms as usize / 20).max(1);
        let mut new = Vec::new();
        self.spectra(stt, samples, |spectrum, dbfs| new.push((spectrum, dbfs)));
        for (spectrum, dbfs) in new {
            let sound = dbfs > SOUND_DBFS;
            self.sounding = if sound { self.sounding + 1 } else { 0 };
            self.quiet = if sound { 0 } else { self.quiet + 1 };
            let open = !self.frames.is_empty();
            if !open && !sound {
                continue;
            }
            self.frames.push(spectrum);
            if !open {
                heard(RecognitionEvent::Started);
            }
            if self.quiet >= end_after {
                if let Some(last) = self.finish(stt) {
                    heard(last);
                }
            } else if (sound && self.frames.len().is_multiple_of(25) || self.quiet == TRAILING_FRAMES)
                && let Some(interim) = self.interim(stt)
            {
                heard(RecognitionEvent::Interim(interim));
            }
        }
    }

    fn interim(&self, stt: &PhraseRecognizer) -> Option<String> {
        let (text, score, length) = stt.best(&self.frames, true)?;
        if score < RECOGNISED {
            return None;
        }
        let words: Vec<&str> = text.split(' ').collect();
        let count = (words.len() * self.frames.len() / length.max(1)).clamp(1, words.len());
        words.get(self.settled..count).filter(|words| !words.is_empty()).map(|words| words.join(" "))
    }

    /// Settles the words so far. Of the beginning of a phrase they are final, and the rest of it is still listened for.
    pub(super) fn finalize(&mut self, stt: &PhraseRecognizer) -> Option<RecognitionEvent> {
        let heard = self.frames.get(..self.frames.len().saturating_sub(self.quiet)).unwrap_or_default();
        let is_whole = stt.best(heard, false).is_some_and(|(_, score, _)| score >= RECOGNISED);
        let beginning = stt.best(heard, true).filter(|(_, score, _)| *score >= RECOGNISED).map(|(_, score, _)| score);
        match (is_whole, beginning, self.interim(stt)) {
            (false, Some(confidence), Some(text)) if heard.len() >= ONSET_FRAMES => {
                self.settled += text.split(' ').count();
                Some(RecognitionEvent::Final { text, confidence })
            }
            (false, Some(_), None) => None,
            _ => self.finish(stt),
        }
    }

    /// Ends the utterance now. `None` when there was none, or only a click.
    pub(super) fn finish(&mut self, stt: &PhraseRecognizer) -> Option<RecognitionEvent> {
        let mut frames = std::mem::take(&mut self.frames);
        let settled = std::mem::take(&mut self.settled);
        frames.truncate(frames.len().saturating_sub(self.quiet));
        if frames.len() < ONSET_FRAMES {
            return None;
        }
        let best = stt.best(&frames, false).filter(|(_, score, _)| *score >= RECOGNISED);
        Some(match best {
            Some((text, score, _)) => {
                let text = text.split(' ').skip(settled).collect::<Vec<_>>().join(" ");
                RecognitionEvent::Final { text, confidence: score.min(1.0) }
            }
            None => RecognitionEvent::Final { text: UNKNOWN.to_owned(), confidence: 0.1 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(samples: &[i16]) -> (String, f32) {
        let stt = PhraseRecognizer::new(fixture_phrases());
        let mut listener = RecognitionStream::default();
        let mut last = (String::new(), 0.0);
        let mut padded = vec![0i16; 1_600];
        padded.extend_from_slice(samples);
        padded.extend_from_slice(&[0; 8_000]);
        for chunk in padded.chunks(160) {
            listener.listen(&stt, chunk, 300, |heard| {
                if let RecognitionEvent::Final { text, confidence } = heard {
                    last = (text, confidence);
                }
            });
        }
        last
    }

    #[test]
    fn every_phrase_is_recognized_also_in_narrowband() {
        use trunkline_media::codec::Companding;
        for phrase in fixture_phrases() {
            let telephone: Vec<i16> =
                phrase.samples.iter().map(|s| Companding::MuLaw.decode(Companding::MuLaw.encode(*s / 2))).collect();
            let (text, confidence) = recognise(&telephone);
            assert_eq!(text, phrase.text);
            assert!(confidence > 0.9, "{text}: {confidence}");
        }
    }

    /// A client may ask for the words in any pause: nothing of a phrase is lost or said twice by that.
    #[test]
    fn words_so_far_are_settled_and_the_rest_follows() {
        let stt = PhraseRecognizer::new(fixture_phrases());
        for phrase in fixture_phrases() {
            let mut listener = RecognitionStream::default();
            let mut finals = Vec::new();
            let asked_at = phrase.samples.len() / 2;
            let samples: Vec<i16> = phrase.samples.iter().copied().chain([0; 8_000]).collect();
            for (index, chunk) in samples.chunks(160).enumerate() {
                listener.listen(&stt, chunk, 300, |heard| finals.extend(Some(heard).filter(is_final)));
                if index == asked_at / 160 {
                    finals.extend(listener.finalize(&stt));
                }
            }
            let words: Vec<String> = finals
                .iter()
                .filter_map(|heard| match heard {
                    RecognitionEvent::Final { text, .. } => Some(text.clone()),
                    _ => None,
                })
                .collect();
            assert!(words.len() >= 2, "{}: {words:?}", phrase.name);
            assert_eq!(words.join(" "), phrase.text, "{}", phrase.name);
        }
    }

    fn is_final(heard: &RecognitionEvent) -> bool {
        matches!(heard, RecognitionEvent::Final { .. })
    }

    #[test]
    fn lost_garbled_and_foreign_speech_is_not_understood() {
        let phrase = &fixture_phrases()[1];
        let half: Vec<i16> = phrase.samples[..phrase.samples.len() / 2].to_vec();
        assert_eq!(recognise(&half).0, UNKNOWN);
        let backwards: Vec<i16> = phrase.samples.iter().rev().copied().collect();
        assert_eq!(recognise(&backwards).0, UNKNOWN);
        let wrong_law: Vec<i16> = phrase
            .samples
            .iter()
            .map(|s| {
                trunkline_media::codec::Companding::ALaw.decode(trunkline_media::codec::Companding::MuLaw.encode(*s))
            })
            .collect();
        assert_eq!(recognise(&wrong_law).0, UNKNOWN);
        assert_eq!(recognise(&[0; 8_000]).0, "");
    }
}
