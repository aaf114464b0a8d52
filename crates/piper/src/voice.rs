//! A voice that is loaded: model and configuration.

use crate::config::VoiceConfig;
use crate::error::VoiceError;
use crate::onnx_file;
use crate::pcm::pcm;
use crate::phonemes::{PhonemeIds, phoneme_ids};
use rten::{Model, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::{NdTensor, Tensor};
use std::path::Path;
use std::sync::Arc;

/// The largest voices (`high`) have 114 MB.
const MODEL_BYTES_MAX: u64 = 512 * 1024 * 1024;
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// What is spoken once when a voice is loaded: a model that is none of Piper's fails here, and not in a call.
const TRIAL: &str = "a a.";
/// Where models exported by Piper have the length of each phoneme, in frames of the vocoder.
const DURATIONS: &str = "/Ceil_output_0";
/// Sound of a text at most, in seconds: a damaged model must not fill the memory.
const SECONDS_MAX: usize = 120;

/// What was spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// 16-bit samples, mono, at the voice's rate.
    pub samples: Vec<i16>,
    /// The sample at which each word (phonemes between blanks) is over; empty if the model does not say.
    pub word_ends: Vec<u32>,
}

/// A voice, ready to speak. One text at a time is spoken; who wants several at once loads it several times.
pub struct Voice {
    model: Model,
    config: VoiceConfig,
    inputs: Inputs,
    output: NodeId,
    durations: Option<NodeId>,
    options: RunOptions,
}

struct Inputs {
    ids: NodeId,
    length: NodeId,
    scales: NodeId,
    speaker: Option<NodeId>,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Voice {
    /// Loads a model and the configuration beside it (`….onnx.json`), which synthesize with so many threads.
    ///
    /// # Errors
    ///
    /// Files that are missing, too large, broken, or of something else than a Piper voice.
    pub fn load(model: &Path, config: &Path, threads: usize) -> Result<Self, VoiceError> {
        let config = VoiceConfig::parse(&read(config, CONFIG_BYTES_MAX)?)?;
        Self::new(read(model, MODEL_BYTES_MAX)?, config, threads)
    }

    /// The same, from the contents of the model's file.
    ///
    /// # Errors
    ///
    /// A model that is broken or no Piper voice.
    pub fn new(model: Vec<u8>, config: VoiceConfig, threads: usize) -> Result<Self, VoiceError> {
        let wrong = |error: &dyn std::fmt::Display| VoiceError::Model(error.to_string());
        onnx_file::check(&model)?;
        let model = Model::load(model).map_err(|error| wrong(&error))?;
        let node = |name: &str| model.find_node(name).ok_or_else(|| VoiceError::Model(format!("it has no {name:?}")));
        let speaker = if config.has_speakers { Some(node("sid")?) } else { None };
        let inputs = Inputs { ids: node("input")?, length: node("input_lengths")?, scales: node("scales")?, speaker };
        let &[output, ..] = model.output_ids() else {
            return Err(VoiceError::Model("it has no output".to_owned()));
        };
        let durations = model.find_node(DURATIONS);
        let pool = ThreadPool::with_num_threads(threads.max(1));
        let options = RunOptions::default().with_thread_pool(Some(Arc::new(pool)));
        let voice = Self { model, config, inputs, output, durations, options };
        match voice.synthesize(TRIAL, 1.0) {
            Ok(_) | Err(VoiceError::NothingToSay) => Ok(voice),
            Err(error) => Err(wrong(&error)),
        }
    }

    /// What the voice is.
    pub fn config(&self) -> &VoiceConfig {
        &self.config
    }

    /// Speaks phonemes of espeak-ng, words between blanks, with the marks `,.;:!?` where the text has them. A speed of 2
    /// is twice as fast.
    ///
    /// # Errors
    ///
    /// Too much or nothing to say; a model that fails or returns what is no sound.
    pub fn synthesize(&self, phonemes: &str, speed: f32) -> Result<Speech, VoiceError> {
        let read = phoneme_ids(&self.config, phonemes)?;
        let (samples, durations) = self.run(&read.ids, speed)?;
        if samples.len() > self.config.sample_rate_hz as usize * SECONDS_MAX {
            return Err(VoiceError::Synthesis(format!("it returned {} samples", samples.len())));
        }
        let pcm = pcm(&samples, self.config.sample_rate_hz)?;
        let word_ends = word_ends(&read, &durations, samples.len(), pcm.cut);
        Ok(Speech { samples: pcm.samples, word_ends })
    }

    fn run(&self, ids: &[i32], speed: f32) -> Result<(Vec<f32>, Vec<f32>), VoiceError> {
        let failed = |error: &dyn std::fmt::Display| VoiceError::Synthesis(error.to_string());
        let VoiceConfig { noise_scale, length_scale, noise_w, .. } = self.config;
        let length = length_scale / speed.clamp(0.5, 2.0);
        let ids_tensor: Value = NdTensor::from_data([1, ids.len()], ids.to_vec()).into();
        let count: Value = NdTensor::from_data([1], vec![ids.len() as i32]).into();
        let scales: Value = NdTensor::from_data([3], vec![noise_scale, length, noise_w]).into();
        let mut inputs = vec![
            (self.inputs.ids, ids_tensor.into()),
            (self.inputs.length, count.into()),
            (self.inputs.scales, scales.into()),
        ];
        if let Some(speaker) = self.inputs.speaker {
            let first: Value = NdTensor::from_data([1], vec![0i32]).into();
            inputs.push((speaker, first.into()));
        }
        let mut wanted = vec![self.output];
        wanted.extend(self.durations);
        let outputs = self.model.run(inputs, &wanted, Some(self.options.clone())).map_err(|error| failed(&error))?;
        let mut outputs = outputs.into_iter().map(|value| Tensor::<f32>::try_from(value).map(Tensor::into_data));
        let samples = outputs.next().ok_or_else(|| failed(&"it returned nothing"))?.map_err(|error| failed(&error))?;
        let durations = outputs.next().and_then(Result::ok).unwrap_or_default();
        Ok((samples, durations))
    }
}

/// When words are over, by how long the model made each phoneme; nothing if the lengths do not belong to these ids.
fn word_ends(read: &PhonemeIds, durations: &[f32], samples: usize, cut: usize) -> Vec<u32> {
    let total: f32 = durations.iter().sum();
    if durations.len() != read.ids.len() || !total.is_finite() || total < 1.0 {
        return Vec::new();
    }
    let sample = |frames: f32| ((frames / total * samples as f32) as usize).saturating_sub(cut) as u32;
    let mut ends = Vec::with_capacity(read.word_ends.len());
    let (mut at, mut frames) = (0, 0.0);
    for &end in &read.word_ends {
        frames += durations.get(at..end).unwrap_or_default().iter().sum::<f32>();
        at = end;
        ends.push(sample(frames));
    }
    ends
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, VoiceError> {
    let file = path.display().to_string();
    let size = std::fs::metadata(path).map(|found| found.len());
    match size.and_then(|bytes| if bytes > max { Ok((bytes, Vec::new())) } else { Ok((bytes, std::fs::read(path)?)) }) {
        Ok((bytes, _)) if bytes > max => Err(VoiceError::FileTooLarge { file, bytes, max }),
        Ok((_, content)) => Ok(content),
        Err(error) => Err(VoiceError::File { file, error }),
    }
}

#[cfg(test)]
#[path = "voice_tests.rs"]
mod tests;
