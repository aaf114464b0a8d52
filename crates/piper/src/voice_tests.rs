//! A voice without weights (`fixtures/piper`), files that are none, and the real one where it is installed.

use super::*;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/piper").join(name)
}

fn config() -> VoiceConfig {
    VoiceConfig::parse(&std::fs::read(fixture("tiny.onnx.json")).unwrap()).unwrap()
}

fn one() -> ComputeThreads {
    ComputeThreads::new(1)
}

fn tiny() -> Voice {
    Voice::load(&fixture("tiny.onnx"), &fixture("tiny.onnx.json"), &one()).unwrap()
}

#[test]
fn phonemes_become_samples_and_words_know_their_end() {
    let voice = tiny();
    let said = voice.synthesize("aa e, io.", 1.0, &one()).unwrap();
    // Start, pad, each sign with a pad, end: 4 frames of 256 samples each, without the silence of the first marks.
    let ids = 2 + 2 * "aa e, io.".len() + 1;
    let whole = ids * 4 * 256;
    assert!(said.samples.len() <= whole && said.samples.len() > whole - 4 * 256, "{} of {whole}", said.samples.len());
    let cut = (whole - said.samples.len()) as u32;
    assert_eq!(said.word_ends, [6, 12, 20].map(|ids| ids * 4 * 256 - cut));
    assert!(said.samples.iter().any(|sample| sample.unsigned_abs() > 10_000));
}

/// Silence that was left out at the start is in no word's time, and lengths of another text are in none.
#[test]
fn words_end_where_they_do_in_what_is_sent() {
    let read = PhonemeIds { ids: vec![1; 6], word_ends: vec![3, 6] };
    assert_eq!(word_ends(&read, &[1.0; 6], 6_000, 500), [2_500, 5_500]);
    assert_eq!(word_ends(&read, &[4.0, 1.0, 1.0, 1.0, 1.0, 2.0], 10_000, 0), [6_000, 10_000]);
    for other in [&[1.0; 5][..], &[0.0; 6], &[f32::NAN; 6], &[]] {
        assert_eq!(word_ends(&read, other, 6_000, 0), [] as [u32; 0]);
    }
}

#[test]
fn speed_makes_phonemes_shorter() {
    let voice = tiny();
    let length = |speed| voice.synthesize("aa e io.", speed, &one()).unwrap().samples.len();
    let normal = length(1.0);
    assert!((length(2.0) * 2).abs_diff(normal) < 1_100 && (length(0.5)).abs_diff(normal * 2) < 1_100);
    assert_eq!(length(100.0), length(2.0), "beyond its limits");
}

#[test]
fn a_text_that_fails_is_an_error_and_the_next_one_is_spoken() {
    let voice = tiny();
    assert!(matches!(voice.synthesize("axa", 1.0, &one()), Err(VoiceError::Synthesis(_))), "no number");
    assert!(matches!(voice.synthesize("", 1.0, &one()), Err(VoiceError::NothingToSay)));
    assert!(matches!(voice.synthesize("ǂǂǂ", 1.0, &one()), Err(VoiceError::NothingToSay)), "unknown to the voice");
    assert!(matches!(voice.synthesize(&"a".repeat(601), 1.0, &one()), Err(VoiceError::TooLong { phonemes: 601 })));
    assert!(voice.synthesize("a", 1.0, &one()).is_ok());
}

/// What is said of a file with these contents.
fn refused(content: &[u8], config: VoiceConfig) -> VoiceError {
    let path = std::env::temp_dir().join(format!("trunkline-voice-{}.onnx", std::process::id()));
    std::fs::write(&path, content).unwrap();
    let file = File::open(&path).unwrap();
    let loaded = onnx_file::check(file, content.len() as u64)
        .and_then(|()| model_options().load_file(&path).map_err(|error| wrong(&error)))
        .and_then(|model| Voice::new(model, config, &one()));
    std::fs::remove_file(&path).unwrap();
    loaded.unwrap_err()
}

/// A download that was cut, the file of another program, a model for something else, swapped files.
#[test]
fn files_that_are_no_voice_are_refused_in_words() {
    let model = std::fs::read(fixture("tiny.onnx")).unwrap();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:5945dee6\nsize 63201294\n".to_vec();
    let cut = model[..model.len() / 2].to_vec();
    for broken in [Vec::new(), cut, pointer, b"<!DOCTYPE html>".to_vec(), vec![0xFF; 10_000]] {
        let refused = refused(&broken, config());
        assert!(refused.to_string().starts_with("the voice's model: "), "{refused}");
    }
    let renamed = |from: &str, to: &str| {
        let mut other = model.clone();
        let places: Vec<usize> =
            other.windows(from.len()).enumerate().filter(|(_, w)| *w == from.as_bytes()).map(|(n, _)| n).collect();
        places.into_iter().for_each(|at| other[at..at + to.len()].copy_from_slice(to.as_bytes()));
        other
    };
    let foreign = refused(&renamed("scales", "speeds"), config());
    assert!(foreign.to_string().contains("\"scales\""), "{foreign}");
    let mut several = config();
    several.has_speakers = true;
    assert!(refused(&model, several).to_string().contains("\"sid\""));
    let swapped = Voice::load(&fixture("tiny.onnx.json"), &fixture("tiny.onnx"), &one()).unwrap_err();
    assert!(matches!(swapped, VoiceError::Config(_)), "{swapped}");
    let missing = Voice::load(&fixture("none.onnx"), &fixture("tiny.onnx.json"), &one()).unwrap_err();
    assert!(missing.to_string().contains("none.onnx"), "{missing}");
}

/// `TRUNKLINE_PIPER_VOICE=…/en_US-joe-medium.onnx`; the configuration lies beside it.
#[test]
#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
fn the_real_voice_speaks_where_it_is_installed() {
    let Some(model) = std::env::var_os("TRUNKLINE_PIPER_VOICE").map(PathBuf::from) else {
        return eprintln!("skipped: TRUNKLINE_PIPER_VOICE names no voice");
    };
    let voice = Voice::load(&model, &model.with_extension("onnx.json"), &one()).unwrap();
    let said = voice.synthesize("ɡˈʊd mˈɔːɹnɪŋ, hˌaʊ kæn aɪ hˈɛlp juː?", 1.0, &one()).unwrap();
    let rate = voice.config().sample_rate_hz as usize;
    assert!((rate..rate * 3).contains(&said.samples.len()), "{} samples", said.samples.len());
    assert_eq!(said.word_ends.len(), 7);
    assert!(said.word_ends.is_sorted() && said.word_ends[6] as usize <= said.samples.len());
    let energy: f64 = said.samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let dbfs = 10.0 * (energy / said.samples.len() as f64 / 32_768f64.powi(2)).log10();
    assert!((-28.0..-17.0).contains(&dbfs), "{dbfs} dBFS");
}

/// What is made in pieces is what is made at once: each piece has enough around it.
#[test]
#[expect(clippy::print_stderr, reason = "says why nothing was tested")]
fn pieces_of_the_real_voice_are_its_whole() {
    let Some(model) = std::env::var_os("TRUNKLINE_PIPER_VOICE").map(PathBuf::from) else {
        return eprintln!("skipped: TRUNKLINE_PIPER_VOICE names no voice");
    };
    let voice = Voice::load(&model, &model.with_extension("onnx.json"), &one()).unwrap();
    let text = "wiː ɑːɹ ˈoʊpən fɹʌm mˈʌndeɪ tə sˈæɾɚdˌeɪ, nˈaɪn ɪnðə mˈɔːɹnɪŋ tə sˈɪks ɪnðɪ ˈiːvnɪŋ.";
    let read = phoneme_ids(voice.config(), text).unwrap();
    let (made, _) = voice.run(&read.ids, 1.0, &one()).unwrap();
    let frames = made.shape()[2];
    let latent = voice.latent.expect("pieces are made of it");
    let (whole, hop) = voice.decode(latent, &made, 0..frames, frames, &one()).unwrap();
    assert_eq!((whole.len(), hop), (frames * 256, 256));
    let mut joined = Vec::new();
    let ends = [FIRST_FRAMES, FIRST_FRAMES * 3, frames];
    for (start, end) in std::iter::once(0).chain(ends).zip(ends) {
        joined.extend(voice.decode(latent, &made, start..end, frames, &one()).unwrap().0);
    }
    let furthest = whole.iter().zip(&joined).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(joined.len() == whole.len() && furthest < 1e-3, "{furthest}");

    let mut utterance = voice.begin(text, 1.0).unwrap();
    let first = voice.next_piece(&mut utterance, &one()).unwrap().unwrap();
    assert!((2_000..=FIRST_FRAMES * 256).contains(&first.samples.len()), "{} samples", first.samples.len());
    assert_eq!(first.word_ends.len(), 10, "the ends of words come with the first piece");
}

/// One thread speaks several texts by turns, and several threads speak with one voice.
#[test]
fn texts_are_spoken_by_turns() {
    let voice = tiny();
    let alone = ["aa e, io.", "o e i."].map(|text| voice.synthesize(text, 1.0, &one()).unwrap());
    let mut texts = ["aa e, io.", "o e i."].map(|text| voice.begin(text, 1.0).unwrap());
    let mut spoken = [Vec::new(), Vec::new()];
    let mut is_over = [false; 2];
    while is_over != [true; 2] {
        for ((text, spoken), is_over) in texts.iter_mut().zip(&mut spoken).zip(&mut is_over) {
            match voice.next_piece(text, &one()).unwrap() {
                Some(piece) => spoken.extend(piece.samples),
                None => *is_over = true,
            }
        }
    }
    assert_eq!(spoken, [alone[0].samples.clone(), alone[1].samples.clone()]);
    std::thread::scope(|scope| {
        for (text, alone) in ["aa e, io.", "o e i."].into_iter().zip(&alone) {
            let voice = &voice;
            scope.spawn(move || assert_eq!(&voice.synthesize(text, 1.0, &one()).unwrap(), alone));
        }
    });
}
