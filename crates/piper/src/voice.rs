//! A voice that is loaded: model and configuration. It speaks a text piece by piece, so that one thread can speak
//! several texts by turns.

use crate::config::VoiceConfig;
use crate::error::VoiceError;
use crate::onnx_file;
use crate::operators::model_options;
use crate::pcm::PcmStream;
use crate::phonemes::{PhonemeIds, phoneme_ids};
use rten::{Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, Tensor};
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The largest voices (`high`) have 114 MB.
const MODEL_BYTES_MAX: u64 = 512 * 1024 * 1024;
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// What is spoken once when a voice is loaded: a model that is none of Piper's fails here, and not in a call.
const TRIAL: &str = "a a.";
/// Where models exported by Piper have the length of each phoneme, in frames of the vocoder.
const DURATIONS: &str = "/Ceil_output_0";
/// What the vocoder of these models makes samples of: `[1, channels, frames]`.
const LATENT: &str = "/Mul_7_output_0";
/// Frames of the vocoder that are made to samples first, 0.3 s at 22,050 Hz: the caller waits for them. Each further
/// piece is twice as long.
const FIRST_FRAMES: usize = 28;
/// Beyond it a piece needs more memory, 0.5 MB a frame, and saves no time.
const FRAMES_MAX: usize = 84;
/// Frames on both sides that a sample of a `medium` voice is made of, by the kernels of its vocoder.
const CONTEXT_FRAMES: usize = 12;
/// Sound of a text at most, in seconds: a damaged model must not fill the memory.
const SECONDS_MAX: usize = 120;

/// What was spoken, or a piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// 16-bit samples, mono, at the voice's rate.
    pub samples: Vec<i16>,
    /// The sample at which each word (phonemes between blanks) of the text is over. Of pieces the first one has it; empty
    /// if the model does not say.
    pub word_ends: Vec<u32>,
}

/// A voice, ready to speak. Several threads may speak with it at once, each with threads of its own to compute.
pub struct Voice {
    model: Model,
    config: VoiceConfig,
    inputs: Inputs,
    output: NodeId,
    durations: Option<NodeId>,
    /// `None`: the model is of another kind, and a text is made at once.
    latent: Option<NodeId>,
}

/// Threads that models compute with. They have the priority of the thread that made them.
#[derive(Clone)]
pub struct ComputeThreads(RunOptions);

impl ComputeThreads {
    /// So many threads, one at least.
    pub fn new(count: usize) -> Self {
        let pool = ThreadPool::with_num_threads(count.max(1));
        Self(RunOptions::default().with_thread_pool(Some(Arc::new(pool))))
    }
}

impl std::fmt::Debug for ComputeThreads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComputeThreads").finish_non_exhaustive()
    }
}

/// A text of a voice, spoken up to some place. [`Voice::next_piece`] goes on with it.
pub struct Utterance {
    read: PhonemeIds,
    speed: f32,
    stage: Stage,
}

impl Utterance {
    /// All of it was spoken.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl std::fmt::Debug for Utterance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Utterance").field("speed", &self.speed).finish_non_exhaustive()
    }
}

enum Stage {
    /// Nothing is made yet.
    Read,
    /// The vocoder has made some of its frames to samples.
    Frames(Frames),
    Over,
}

struct Frames {
    latent: NodeId,
    made: Tensor<f32>,
    count: usize,
    /// Frames that are samples already, and how many come next.
    at: usize,
    next: usize,
    durations: Vec<f32>,
    pcm: PcmStream,
    is_begun: bool,
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
    /// Loads a model (`….onnx`) and the configuration beside it (`….onnx.json`), and tries it. The model is read piece by
    /// piece: its weights are in memory once.
    ///
    /// # Errors
    ///
    /// Files that are missing, too large, broken, or of something else than a Piper voice.
    pub fn load(model: &Path, config: &Path, threads: &ComputeThreads) -> Result<Self, VoiceError> {
        let config = VoiceConfig::parse(&read(config, CONFIG_BYTES_MAX)?)?;
        let (file, bytes) = open(model, MODEL_BYTES_MAX)?;
        onnx_file::check(file, bytes)?;
        Self::new(model_options().load_file(model).map_err(|error| wrong(&error))?, config, threads)
    }

    fn new(model: Model, config: VoiceConfig, threads: &ComputeThreads) -> Result<Self, VoiceError> {
        let node = |name: &str| model.find_node(name).ok_or_else(|| VoiceError::Model(format!("it has no {name:?}")));
        let speaker = if config.has_speakers { Some(node("sid")?) } else { None };
        let inputs = Inputs { ids: node("input")?, length: node("input_lengths")?, scales: node("scales")?, speaker };
        let &[output, ..] = model.output_ids() else {
            return Err(VoiceError::Model("it has no output".to_owned()));
        };
        let (durations, latent) = (model.find_node(DURATIONS), model.find_node(LATENT));
        let voice = Self { model, config, inputs, output, durations, latent };
        match voice.synthesize(TRIAL, 1.0, threads) {
            Ok(_) | Err(VoiceError::NothingToSay) => Ok(voice),
            Err(error) => Err(wrong(&error)),
        }
    }

    /// What the voice is.
    pub fn config(&self) -> &VoiceConfig {
        &self.config
    }

    /// Begins to speak phonemes of espeak-ng, words between blanks, with the marks `,.;:!?` where the text has them. A
    /// speed of 2 is twice as fast. Nothing is computed yet.
    ///
    /// # Errors
    ///
    /// Too much or nothing to say.
    pub fn begin(&self, phonemes: &str, speed: f32) -> Result<Utterance, VoiceError> {
        Ok(Utterance { read: phoneme_ids(&self.config, phonemes)?, speed, stage: Stage::Read })
    }

    /// The next piece of a text, the first one after a fraction of the time of all; `None` after the last. The vocoder
    /// makes samples of some frames after the others: it takes most of the time. A piece may be without samples.
    ///
    /// # Errors
    ///
    /// A model that fails or returns what is no sound. The text is over then.
    pub fn next_piece(&self, text: &mut Utterance, threads: &ComputeThreads) -> Result<Option<Speech>, VoiceError> {
        match std::mem::replace(&mut text.stage, Stage::Over) {
            Stage::Over => Ok(None),
            Stage::Read => {
                let (made, durations) = self.run(&text.read.ids, text.speed, threads)?;
                let Some(latent) = self.latent else {
                    return self.at_once(text, made.into_data(), &durations).map(Some);
                };
                let &[1, _, count] = made.shape() else {
                    return Err(VoiceError::Synthesis("its vocoder takes other shapes".to_owned()));
                };
                let pcm = PcmStream::new(self.config.sample_rate_hz);
                let (at, next, is_begun) = (0, FIRST_FRAMES, false);
                self.piece(text, Frames { latent, made, count, at, next, durations, pcm, is_begun }, threads)
            }
            Stage::Frames(frames) => self.piece(text, frames, threads),
        }
    }

    /// Speech of a model of another kind.
    fn at_once(&self, text: &Utterance, samples: Vec<f32>, durations: &[f32]) -> Result<Speech, VoiceError> {
        self.check_length(samples.len())?;
        let mut pcm = PcmStream::new(self.config.sample_rate_hz);
        let mut made = pcm.push(&samples)?;
        made.extend(pcm.finish());
        let word_ends = word_ends(&text.read, durations, samples.len(), pcm.cut());
        Ok(Speech { samples: made, word_ends })
    }

    /// Makes the next frames to samples.
    fn piece(
        &self, text: &mut Utterance, mut frames: Frames, threads: &ComputeThreads,
    ) -> Result<Option<Speech>, VoiceError> {
        let Frames { at, next, count, .. } = frames;
        if at >= count {
            return Ok(None);
        }
        // A last piece of some frames would cost as much as a long one.
        let end = if count - at < next + next / 2 { count } else { at + next };
        let (samples, hop) = self.decode(frames.latent, &frames.made, at..end, count, threads)?;
        self.check_length(count * hop)?;
        let mut samples = frames.pcm.push(&samples)?;
        if end == count {
            samples.extend(frames.pcm.finish());
        }
        let mut ends = Vec::new();
        // The ends of words go with the first sample.
        if !samples.is_empty() && !std::mem::replace(&mut frames.is_begun, true) {
            ends = word_ends(&text.read, &frames.durations, count * hop, frames.pcm.cut());
        }
        (frames.at, frames.next) = (end, (next * 2).min(FRAMES_MAX));
        if end < count {
            text.stage = Stage::Frames(frames);
        }
        Ok(Some(Speech { samples, word_ends: ends }))
    }

    /// Samples of these frames, made with those around them, and samples of one frame.
    fn decode(
        &self, latent: NodeId, made: &Tensor<f32>, wanted: Range<usize>, frames: usize, threads: &ComputeThreads,
    ) -> Result<(Vec<f32>, usize), VoiceError> {
        let with = wanted.start.saturating_sub(CONTEXT_FRAMES)..(wanted.end + CONTEXT_FRAMES).min(frames);
        let part: Tensor<f32> = made.slice((.., .., with.clone())).to_tensor();
        let inputs = vec![(latent, Value::from(part).into())];
        let samples = self.outputs(inputs, &[self.output], threads)?.remove(0).into_data();
        let hop = samples.len() / with.len().max(1);
        let first = (wanted.start - with.start) * hop;
        let samples =
            samples.get(first..first + wanted.len() * hop).filter(|_| hop > 0 && hop * with.len() == samples.len());
        let samples = samples.ok_or_else(|| VoiceError::Synthesis("its vocoder returned another length".to_owned()))?;
        Ok((samples.to_vec(), hop))
    }

    fn check_length(&self, samples: usize) -> Result<(), VoiceError> {
        if samples > self.config.sample_rate_hz as usize * SECONDS_MAX {
            return Err(VoiceError::Synthesis(format!("it returned {samples} samples")));
        }
        Ok(())
    }

    /// Speaks a text to its end.
    ///
    /// # Errors
    ///
    /// As [`Voice::begin`] and [`Voice::next_piece`].
    pub fn synthesize(&self, phonemes: &str, speed: f32, threads: &ComputeThreads) -> Result<Speech, VoiceError> {
        let mut text = self.begin(phonemes, speed)?;
        let mut speech = Speech { samples: Vec::new(), word_ends: Vec::new() };
        while let Some(piece) = self.next_piece(&mut text, threads)? {
            speech.word_ends.extend(piece.word_ends);
            speech.samples.extend(piece.samples);
        }
        Ok(speech)
    }

    /// What the vocoder takes, or the samples of a model of another kind; and how long each phoneme is, in frames.
    fn run(&self, ids: &[i32], speed: f32, threads: &ComputeThreads) -> Result<(Tensor<f32>, Vec<f32>), VoiceError> {
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
        let mut wanted = vec![self.latent.unwrap_or(self.output)];
        wanted.extend(self.durations);
        let mut outputs = self.outputs(inputs, &wanted, threads)?;
        let durations = outputs.drain(1..).next().map(Tensor::into_data).unwrap_or_default();
        Ok((outputs.remove(0), durations))
    }

    /// One tensor for each wanted node.
    fn outputs(
        &self, inputs: Vec<(NodeId, ValueOrView<'_>)>, wanted: &[NodeId], threads: &ComputeThreads,
    ) -> Result<Vec<Tensor<f32>>, VoiceError> {
        let failed = |error: &dyn std::fmt::Display| VoiceError::Synthesis(error.to_string());
        let outputs = self.model.run(inputs, wanted, Some(threads.0.clone())).map_err(|error| failed(&error))?;
        let outputs: Vec<_> = outputs
            .into_iter()
            .map(Tensor::<f32>::try_from)
            .collect::<Result<_, _>>()
            .map_err(|error| failed(&error))?;
        if outputs.len() == wanted.len() { Ok(outputs) } else { Err(failed(&"it returned nothing")) }
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

fn wrong(error: &dyn std::fmt::Display) -> VoiceError {
    VoiceError::Model(error.to_string())
}

/// A file that is not larger than this, and its size.
fn open(path: &Path, max: u64) -> Result<(File, u64), VoiceError> {
    let name = || path.display().to_string();
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((bytes, _)) if bytes > max => Err(VoiceError::FileTooLarge { file: name(), bytes, max }),
        Ok((bytes, file)) => Ok((file, bytes)),
        Err(error) => Err(VoiceError::File { file: name(), error }),
    }
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, VoiceError> {
    let (file, bytes) = open(path, max)?;
    let mut content = Vec::with_capacity(bytes as usize);
    let read = file.take(max).read_to_end(&mut content);
    read.map_err(|error| VoiceError::File { file: path.display().to_string(), error })?;
    Ok(content)
}

#[cfg(test)]
#[path = "voice_tests.rs"]
mod tests;
