//! Texts of a Piper voice with a speaker in the place of the worker: parts, marks, what espeak-ng says instead, phrases.

use super::*;
use crate::tts::TtsSession;
use crate::{AudioFormat, ProviderError, TtsStream};
use crate::{Deadlines, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings, StageDeadlines};
use crate::{TtsEvent, WordTimestamp, vendors};
use futures_util::{StreamExt, stream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline_egress::EgressGuard;
use trunkline_local_speech::models::PiperVoice;
use trunkline_local_speech::request::Tenant;

/// What a speaker does with its n-th part.
type Play = dyn Fn(usize, &str) -> Played + Send + Sync;

/// Speaks at once, or when a permit is given.
struct FakeSpeaker {
    asked: Mutex<Vec<String>>,
    patience: Mutex<Vec<Duration>>,
    warm: Mutex<u32>,
    permits: Option<Arc<Semaphore>>,
    play: Box<Play>,
}

impl std::fmt::Debug for FakeSpeaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FakeSpeaker")
    }
}

#[derive(Debug)]
struct Shared(Arc<FakeSpeaker>);

impl PartSpeaker for Shared {
    fn warm_up(&self) {
        *self.0.warm.lock().unwrap() += 1;
    }

    fn speak(
        &self, _: Tenant, voice: &'static PiperVoice, phonemes: String, speed_permille: u32, patience: Duration,
    ) -> SpokenPart {
        let speaker = Arc::clone(&self.0);
        speaker.patience.lock().unwrap().push(patience);
        let number = {
            let mut asked = speaker.asked.lock().unwrap();
            asked.push(format!("{} {speed_permille} {phonemes}", voice.name));
            asked.len() - 1
        };
        let played = async move {
            if let Some(permits) = &speaker.permits {
                permits.acquire().await.unwrap().forget();
            }
            (speaker.play)(number, &phonemes)
        };
        stream::once(played).flat_map(stream::iter).boxed()
    }
}

type Played = Vec<Result<SpokenPiece, SpeakError>>;

/// A tenth of a second for each word, of a value that no other voice has.
fn spoken(phonemes: &str) -> Played {
    let words = phonemes.split(' ').count();
    let word = || Ok(SpokenPiece::Audio { rate_hz: 22_050, samples: vec![4_242; 2_205] });
    let ends = SpokenPiece::WordEnds((1..=words as u32).map(|word| word * 2_205).collect());
    std::iter::once(Ok(ends)).chain(std::iter::repeat_with(word).take(words)).collect()
}

fn speaker(play: impl Fn(usize, &str) -> Played + Send + Sync + 'static) -> Arc<FakeSpeaker> {
    let (asked, patience, warm) = Default::default();
    Arc::new(FakeSpeaker { asked, patience, warm, permits: None, play: Box::new(play) })
}

fn registry() -> ProviderRegistry {
    let seconds = Duration::from_secs(5);
    let of = Deadlines { connect: seconds, first_byte: seconds, between_bytes: seconds };
    let endpoint = |account: &ProviderAccount| ProviderAccess {
        account: *account,
        base_url: String::new(),
        api_key: None,
        api_version: String::new(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    };
    ProviderRegistry::new(ProviderSettings {
        timeouts: StageDeadlines { stt: of, llm: of, tts: of, realtime: of },
        endpoints: ProviderAccount::ALL.iter().map(endpoint).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".into(), flite: "flite".into() },
        speech: crate::LocalSpeechSettings::default(),
        guard: EgressGuard::unrestricted(),
    })
    .unwrap()
}

fn with(speaker: &Arc<FakeSpeaker>, cache: Option<Arc<PhraseCache>>) -> ProviderRegistry {
    registry().with_piper(PiperVoices::new(Arc::new(Shared(Arc::clone(speaker))), cache))
}

fn config(voice: &str, language: &str) -> TtsConfig {
    serde_json::from_value(serde_json::json!({"provider": "local", "voice_id": voice, "language": language})).unwrap()
}

fn session(providers: &ProviderRegistry, voice: &str, language: &str) -> Box<dyn TtsSession> {
    vendors::tts_session(providers, &config(voice, language), &VoiceSettings::default(), false)
}

/// What a caller hears.
#[derive(Debug, Default)]
struct Heard {
    samples: Vec<i16>,
    marks: Vec<WordTimestamp>,
    failure: Option<ProviderError>,
}

impl Heard {
    fn of_voice(&self) -> usize {
        self.samples.chunk_by(|a, b| a == b).filter(|run| run.len() > 1 && run[0] == 4_242).map(<[i16]>::len).sum()
    }

    fn of_espeak(&self) -> usize {
        self.samples.len() - self.of_voice()
    }
}

async fn heard(mut speech: TtsStream) -> Heard {
    assert_eq!(speech.format, AudioFormat::Pcm16 { rate_hz: 22_050 });
    let mut heard = Heard::default();
    loop {
        match speech.stream.events.recv().await.expect("an end") {
            TtsEvent::Audio(bytes) => {
                assert_eq!(bytes.len() % 2, 0);
                heard.samples.extend(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
            }
            TtsEvent::WordTimestamps(marks) => heard.marks.extend(marks),
            TtsEvent::Done => return heard,
            TtsEvent::Failed(failure) => {
                heard.failure = Some(failure);
                return heard;
            }
        }
    }
}

const TEXT: &str = "Good morning, this is Acme and we are glad. How can I help you?";

#[tokio::test]
async fn a_text_is_spoken_part_by_part_with_the_end_of_each_word() {
    let voice = speaker(|_, phonemes| spoken(phonemes));
    let providers = with(&voice, None);
    let heard = heard(session(&providers, "piper:joe", "en-GB").speak(TEXT, true)).await;
    assert_eq!((heard.failure.as_ref(), heard.of_espeak()), (None, 0));
    let asked = voice.asked.lock().unwrap().clone();
    assert!(asked.len() > 1 && asked[0].starts_with("joe 1000 ɡˈʊd mˈɔːɹnɪŋ, "), "{asked:?}");
    assert!(asked.last().unwrap().ends_with('?'), "{asked:?}");
    assert_eq!(heard.marks.len(), TEXT.split(' ').count());
    assert!(heard.marks.is_sorted_by_key(|mark| (mark.at_ms, mark.chars)));
    let last = heard.marks.last().unwrap();
    assert_eq!(u64::from(last.at_ms), heard.samples.len() as u64 * 1_000 / 22_050);
    assert_eq!(last.chars as usize, TEXT.chars().count() - 1, "without its mark");
    assert_eq!(*voice.warm.lock().unwrap(), 1);
}

/// While a sentence is heard, the next one has the time of its sound, and the voice of other calls comes first.
#[tokio::test]
async fn a_text_behind_another_one_is_spoken_after_it_and_has_the_time_of_its_sound() {
    let voice = speaker(|_, phonemes| spoken(phonemes));
    let providers = with(&voice, None);
    let mut session = session(&providers, "piper:joe", "en");
    let (first, second) = (session.speak(TEXT, true), session.speak("Goodbye.", true));
    let (second, first) = tokio::join!(heard(second), heard(first));
    assert_eq!((first.of_espeak(), second.of_espeak()), (0, 0));
    let patience = || voice.patience.lock().unwrap().last().copied().unwrap();
    let usual = Duration::from_millis(1_500);
    let sound = Duration::from_millis(first.samples.len() as u64 * 1_000 / 22_050);
    assert!(voice.asked.lock().unwrap().last().unwrap().contains("ɡʊdbˈaɪ"), "in turn");
    assert!(patience() + Duration::from_millis(500) > usual + sound, "{:?} for {sound:?}", patience());
    assert!(voice.patience.lock().unwrap()[0] <= usual, "nothing was heard before the first");
    session.set_sound_until(Some(Instant::now() + Duration::from_secs(3)));
    heard(session.speak("Goodbye.", true)).await;
    assert!(patience() > Duration::from_millis(3_500), "{:?}", patience());
    // An interruption: nothing of it is heard.
    session.set_sound_until(None);
    drop(session.speak(TEXT, true));
    heard(session.speak("Goodbye.", true)).await;
    assert!(patience() <= usual, "{:?}", patience());
}

#[tokio::test]
async fn the_speed_of_the_agent_goes_to_the_voice() {
    let voice = speaker(|_, phonemes| spoken(phonemes));
    let providers = with(&voice, None);
    let faster = TtsConfig { speed: Some(1.25), ..config("piper:joe", "en") };
    let mut session = vendors::tts_session(&providers, &faster, &VoiceSettings::default(), false);
    heard(session.speak("Yes.", true)).await;
    assert_eq!(*voice.asked.lock().unwrap(), ["joe 1250 jˈɛs."]);
}

#[tokio::test]
async fn another_language_no_model_and_a_full_queue_are_espeaks() {
    let errors = [SpeakError::Unavailable("run `trunkline models fetch`".into()), SpeakError::Busy];
    for error in errors {
        let voice = speaker(move |_, _| vec![Err(error.clone())]);
        let providers = with(&voice, None);
        let heard = heard(session(&providers, "piper:joe", "en").speak(TEXT, true)).await;
        assert_eq!((heard.failure.as_ref(), heard.of_voice()), (None, 0));
        assert!(heard.of_espeak() > 22_050, "{} samples", heard.of_espeak());
    }
    let voice = speaker(|_, phonemes| spoken(phonemes));
    let dutch = heard(session(&with(&voice, None), "piper:joe", "nl").speak("Goedemorgen.", true)).await;
    assert!(dutch.failure.is_none() && dutch.of_espeak() > 5_000 && voice.asked.lock().unwrap().is_empty());
    let none = heard(session(&registry(), "piper:joe", "en").speak("Good morning.", true)).await;
    assert!(none.failure.is_none() && none.of_espeak() > 5_000, "a server without voices");
}

/// The worker crashes in the middle of a text: what was heard is not said again.
#[tokio::test]
async fn espeak_says_what_is_left_of_a_text() {
    let voice = speaker(|number, phonemes| match number {
        0 => spoken(phonemes),
        _ => vec![Err(SpeakError::Failed("the speech worker ended".into()))],
    });
    let providers = with(&voice, None);
    let whole = heard(session(&registry(), "piper:joe", "en").speak(TEXT, true)).await;
    let heard = heard(session(&providers, "piper:joe", "en").speak(TEXT, true)).await;
    assert!(heard.failure.is_none());
    assert!(heard.of_voice() > 4_000 && heard.of_espeak() > 8_000);
    assert!(heard.of_espeak() < whole.of_espeak() * 3 / 4, "{} of {}", heard.of_espeak(), whole.of_espeak());
    assert!(heard.samples[..heard.of_voice()].iter().all(|sample| *sample == 4_242), "first the voice, then espeak-ng");
}

/// A voice that hangs: the caller hears espeak-ng before the call asks another voice.
#[tokio::test]
async fn a_voice_that_is_too_slow_is_not_waited_for() {
    let permits = Arc::new(Semaphore::new(0));
    let slow = FakeSpeaker {
        asked: Mutex::default(),
        patience: Mutex::default(),
        warm: Mutex::default(),
        permits: Some(permits),
        play: Box::new(|_, phonemes| spoken(phonemes)),
    };
    let slow = Arc::new(slow);
    let providers = with(&slow, None);
    let began = std::time::Instant::now();
    let heard = heard(session(&providers, "piper:joe", "en").speak("Good morning.", true)).await;
    assert!(heard.failure.is_none() && heard.of_voice() == 0 && heard.of_espeak() > 5_000);
    assert!(began.elapsed() >= Duration::from_millis(1_400));
}

#[tokio::test]
async fn a_voice_of_another_rate_is_heard_at_the_streams() {
    let voice = speaker(|_, _| {
        let half = || Ok(SpokenPiece::Audio { rate_hz: 16_000, samples: vec![4_242; 8_000] });
        vec![Ok(SpokenPiece::WordEnds(vec![16_000])), half(), half()]
    });
    let heard = heard(session(&with(&voice, None), "piper:joe", "en").speak("Yes.", true)).await;
    assert!(heard.samples.len().abs_diff(22_050) < 300, "{}", heard.samples.len());
    assert_eq!(heard.marks, [WordTimestamp { at_ms: 1_000, chars: 3 }]);
}

#[tokio::test]
async fn a_name_that_is_no_voice_is_refused_with_those_that_are() {
    let voice = speaker(|_, phonemes| spoken(phonemes));
    let providers = with(&voice, None);
    let heard = heard(session(&providers, "piper:jo", "en").speak("Yes.", true)).await;
    let Some(ProviderError::Refused { status: 400, message, .. }) = heard.failure else { panic!("{heard:?}") };
    assert_eq!(message, "voice_id \"piper:jo\" is no voice; there is piper:joe");
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn folder() -> (Folder, Arc<PhraseCache>) {
    let folder = Folder(std::env::temp_dir().join(format!("trunkline-voice-{}", uuid::Uuid::new_v4())));
    let cache = Arc::new(PhraseCache::open(&folder.0, 10_000_000).unwrap());
    (folder, cache)
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if what() {
            return;
        }
        tokio::task::yield_now().await;
        let _ = tokio::task::spawn_blocking(std::thread::yield_now).await;
    }
    panic!("it did not come about");
}

/// The greeting of the agent is kept, in its sentences; an answer of the LLM is not.
#[tokio::test]
async fn only_the_agents_own_phrases_are_kept() {
    let (_folder, cache) = folder();
    let voice = speaker(|_, phonemes| spoken(phonemes));
    let providers = with(&voice, Some(Arc::clone(&cache)));
    let mut first = session(&providers, "piper:joe", "en");
    let phrases = ["Good morning, this is Acme.", "How can I help you?"].map(str::to_owned);
    first.keep_phrases(&phrases);
    let greeting = heard(first.speak("Good morning, this is Acme.", true)).await;
    until(|| cache.bytes() > 0).await;
    let stored = cache.bytes();
    heard(first.speak("Your code is 1 2 3 4.", true)).await;
    heard(first.speak("Good morning", true)).await;
    let asked = voice.asked.lock().unwrap().len();
    let mut second = session(&providers, "piper:joe", "en");
    second.keep_phrases(&phrases);
    let again = heard(second.speak("Good morning, this is Acme.", true)).await;
    assert_eq!((again.samples, again.marks), (greeting.samples, greeting.marks));
    assert_eq!((voice.asked.lock().unwrap().len(), cache.bytes()), (asked, stored), "neither made nor stored again");
    // Without the phrase, or for another organization, it is made anew.
    heard(session(&providers, "piper:joe", "en").speak("Good morning, this is Acme.", true)).await;
    assert_eq!(voice.asked.lock().unwrap().len(), asked + 1);
    let other = providers.of_organization("other", crate::OrganizationKeys::Known(Vec::new()));
    let mut third = session(&other, "piper:joe", "en");
    third.keep_phrases(&phrases);
    heard(third.speak("Good morning, this is Acme.", true)).await;
    assert_eq!(voice.asked.lock().unwrap().len(), asked + 2);
}

/// What espeak-ng said in its place is not the voice's phrase.
#[tokio::test]
async fn a_phrase_that_espeak_ended_is_not_kept() {
    let (_folder, cache) = folder();
    let voice = speaker(|number, phonemes| if number == 0 { spoken(phonemes) } else { vec![Err(SpeakError::Busy)] });
    let mut session = session(&with(&voice, Some(Arc::clone(&cache))), "piper:joe", "en");
    session.keep_phrases(&[TEXT.to_owned()]);
    let heard = heard(session.speak(TEXT, true)).await;
    assert!(heard.failure.is_none() && heard.of_espeak() > 0);
    assert_eq!(cache.bytes(), 0);
}

/// A worker that ends within a part: espeak-ng goes on behind the words that are out.
#[tokio::test]
async fn a_part_that_breaks_off_goes_on_behind_its_last_word() {
    let voice = speaker(|number, phonemes| {
        let mut played = spoken(phonemes);
        if number == 1 {
            played.truncate(4);
            played.push(Err(SpeakError::Failed("the speech worker ended".into())));
        }
        played
    });
    let providers = with(&voice, None);
    let broken = heard(session(&providers, "piper:joe", "en-GB").speak(TEXT, true)).await;
    let asked = voice.asked.lock().unwrap()[1].clone();
    assert!(broken.failure.is_none() && broken.of_espeak() > 5_000);
    let whole = heard(
        session(&with(&speaker(|_, _| vec![Err(SpeakError::Busy)]), None), "piper:joe", "en-GB").speak(TEXT, true),
    )
    .await;
    assert!(broken.of_espeak() < whole.of_espeak(), "{} of {} for {asked}", broken.of_espeak(), whole.of_espeak());
    let first_words = voice.asked.lock().unwrap()[0].split(' ').count() - 2;
    assert_eq!(broken.of_voice(), (first_words + 3) * 2_205);
}
