//! The configuration that lies beside a voice's model (`en_US-joe-medium.onnx.json`).

use crate::error::VoiceError;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Sampling rates of voices in Hz; Piper's are 16,000 (`low`) and 22,050.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=48_000;
/// Ids of one phoneme; Piper's voices have one.
const IDS_PER_PHONEME_MAX: usize = 4;
/// The marks that every voice has: start, end, and what stands between phonemes.
pub(crate) const START: char = '^';
pub(crate) const END: char = '$';
pub(crate) const PAD: char = '_';

#[derive(Deserialize)]
struct Document {
    audio: Audio,
    espeak: Espeak,
    #[serde(default)]
    inference: Inference,
    #[serde(default)]
    phoneme_type: Option<String>,
    phoneme_id_map: BTreeMap<String, Vec<i32>>,
    num_symbols: i32,
    #[serde(default = "one")]
    num_speakers: u32,
}

#[derive(Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Deserialize)]
struct Espeak {
    voice: String,
}

#[derive(Deserialize)]
#[serde(default)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Default for Inference {
    fn default() -> Self {
        Self { noise_scale: 0.667, length_scale: 1.0, noise_w: 0.8 }
    }
}

fn one() -> u32 {
    1
}

/// What a voice is, and which ids its phonemes have.
#[derive(Clone, Debug)]
pub struct VoiceConfig {
    /// Sampling rate of its samples in Hz.
    pub sample_rate_hz: u32,
    /// The voice of espeak-ng that makes its phonemes, `en-us`: also its language.
    pub espeak_voice: String,
    /// How much the sound of phonemes varies; 0 for not at all.
    pub noise_scale: f32,
    /// How long phonemes are at speed 1.
    pub length_scale: f32,
    /// How much the length of phonemes varies; 0 for not at all.
    pub noise_w: f32,
    /// The model speaks as one of several people; it is asked for the first.
    pub has_speakers: bool,
    ids: HashMap<char, Vec<i32>>,
}

impl VoiceConfig {
    /// Reads the JSON of a voice.
    ///
    /// # Errors
    ///
    /// What is missing or out of its limits.
    pub fn parse(json: &[u8]) -> Result<Self, VoiceError> {
        let wrong = |what: String| VoiceError::Config(what);
        let document: Document = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        let kind = document.phoneme_type.as_deref().unwrap_or("espeak");
        if kind != "espeak" {
            return Err(wrong(format!("phoneme_type is {kind:?}; only voices with phonemes of espeak-ng are spoken")));
        }
        if !RATES_HZ.contains(&document.audio.sample_rate) {
            return Err(wrong(format!(
                "audio.sample_rate is {}; 8000 to 48000 are possible",
                document.audio.sample_rate
            )));
        }
        let voice = document.espeak.voice;
        if voice.is_empty()
            || voice.len() > 32
            || !voice.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+_".contains(&b))
        {
            return Err(wrong("espeak.voice is no voice of espeak-ng".to_owned()));
        }
        let Inference { noise_scale, length_scale, noise_w } = document.inference;
        let within = |value: f32, max: f32| (0.0..=max).contains(&value);
        if !within(noise_scale, 2.0) || !within(noise_w, 2.0) || !within(length_scale, 4.0) || length_scale < 0.1 {
            return Err(wrong("inference has values that no voice has".to_owned()));
        }
        let ids = phoneme_ids(document.phoneme_id_map, document.num_symbols)?;
        Ok(Self {
            sample_rate_hz: document.audio.sample_rate,
            espeak_voice: voice,
            noise_scale,
            length_scale,
            noise_w,
            has_speakers: document.num_speakers > 1,
            ids,
        })
    }

    /// The ids of a phoneme; empty for one that the voice does not know.
    pub(crate) fn ids(&self, phoneme: char) -> &[i32] {
        self.ids.get(&phoneme).map_or(&[], Vec::as_slice)
    }
}

/// The map by single characters, as text is looked up in it.
fn phoneme_ids(map: BTreeMap<String, Vec<i32>>, symbols: i32) -> Result<HashMap<char, Vec<i32>>, VoiceError> {
    let mut ids = HashMap::new();
    for (phoneme, of) in map {
        let mut characters = phoneme.chars();
        let (Some(character), None) = (characters.next(), characters.next()) else { continue };
        let known = |id: &i32| (0..symbols).contains(id);
        if of.is_empty() || of.len() > IDS_PER_PHONEME_MAX || !of.iter().all(known) {
            return Err(VoiceError::Config(format!(
                "phoneme_id_map has ids for {phoneme:?} that are none of num_symbols"
            )));
        }
        ids.insert(character, of);
    }
    match [START, END, PAD].into_iter().find(|mark| !ids.contains_key(mark)) {
        None => Ok(ids),
        Some(mark) => Err(VoiceError::Config(format!("phoneme_id_map has no {mark:?}"))),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
