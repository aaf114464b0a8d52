//! Moonshine tiny: English speech to text. An encoder reads the audio at once, a decoder writes one token after the
//! other. <https://arxiv.org/abs/2410.15608>

mod decoding;
mod tokens;

use crate::engine::{Cancellation, EngineError, Transcriber, Transcription};
use decoding::{Decoding, is_loop};
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor};
use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;
use tokens::Tokens;
use trunkline_local_speech::limits::STT_RATE_HZ;
use trunkline_local_speech::message::FailureKind;
use trunkline_local_speech::models::{LIBRARY, MOONSHINE_TINY_EN};

/// Layers, heads and their width: what the decoder keeps of earlier steps.
const LAYERS: usize = 6;
const HEADS: usize = 8;
const HEAD_WIDTH: usize = 36;
/// Shorter audio gives no frame of the encoder.
const SAMPLES_MIN: usize = STT_RATE_HZ as usize / 2;

/// What helps against files that are not the published ones.
const FETCH: &str = "run `trunkline models fetch`";

/// The model, loaded.
pub struct Moonshine {
    encoder: Session,
    decoder: Session,
    tokens: Tokens,
    /// Names of what the decoder keeps: as its input, as its output, whether it is of the encoder.
    kept: Vec<(String, String, bool)>,
}

impl std::fmt::Debug for Moonshine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moonshine").finish_non_exhaustive()
    }
}

/// The library, which a process loads once.
static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

fn environment(library: &Path) -> Result<&'static Environment, String> {
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let builder = ort::init_from(library).map_err(|error| error.to_string())?;
    let environment = builder.build().map_err(|error| error.to_string())?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

fn unusable(message: String) -> EngineError {
    EngineError { kind: FailureKind::FilesMissing, message }
}

impl Moonshine {
    /// Checks the files and loads them; fails in words that say what to do.
    pub fn load(models: &Path) -> Result<Self, EngineError> {
        let model = &MOONSHINE_TINY_EN;
        if let Some(advice) = model.check(models).advice(model) {
            return Err(unusable(advice));
        }
        let folder = model.folder(models);
        let library = folder.join(LIBRARY);
        let environment = environment(&library).map_err(|error| {
            let advice = "it cannot be loaded on this system (it needs glibc 2.34 or later)";
            unusable(format!("{}/{LIBRARY}: {advice}: {error}", model.name))
        })?;
        let open = |name: &str| {
            session(environment, &folder.join(name))
                .map_err(|error| unusable(format!("{name} cannot be loaded: {error}: {FETCH}")))
        };
        let (encoder, decoder) = (open("encoder_model.ort")?, open("decoder_model_merged.ort")?);
        let tokens = std::fs::read(folder.join("tokenizer.bin")).ok().and_then(|bytes| Tokens::read(&bytes));
        let tokens = tokens.ok_or_else(|| unusable(format!("tokenizer.bin cannot be read: {FETCH}")))?;
        Ok(Self { encoder, decoder, tokens, kept: kept_values() })
    }

    fn run(&mut self, samples: &[i16], cancellation: &Cancellation) -> Result<Transcription, ModelError> {
        let mut audio: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        audio.resize(audio.len().max(SAMPLES_MIN), 0.0);
        let length = audio.len();
        let mask = || Tensor::from_array(([1, length], vec![1_i64; length]));
        let mut encoded = self.encoder.run(ort::inputs! {
            "input_values" => Tensor::from_array(([1, length], audio))?,
            "attention_mask" => mask()?,
        })?;
        let hidden = encoded.remove("last_hidden_state").ok_or("the encoder gives no state")?;
        drop(encoded);
        let mask = mask()?;
        let mut past = self.empty_past()?;
        let mut decoding = Decoding::new(samples.len());
        loop {
            cancellation.check()?;
            let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = ort::inputs! {
                "input_ids" => Tensor::from_array(([1, 1], vec![decoding.last()]))?,
                "encoder_hidden_states" => &hidden,
                "encoder_attention_mask" => &mask,
                "use_cache_branch" => Tensor::from_array(([1], vec![!decoding.is_first()]))?,
            };
            let kept = self.kept.iter().zip(&past);
            inputs.extend(kept.map(|((input, ..), value)| (Cow::from(input.as_str()), value.into())));
            let mut outputs = self.decoder.run(inputs)?;
            let logits = outputs.get("logits").ok_or("the decoder gives no logits")?;
            let is_over = decoding.push(logits.try_extract_tensor::<f32>()?.1);
            if is_over {
                break;
            }
            for ((_, output, of_encoder), value) in self.kept.iter().zip(&mut past) {
                // What is kept of the encoder stays as it was after the first step.
                if !*of_encoder || decoding.steps() == 1 {
                    *value = outputs.remove(output).ok_or("the decoder gives no state")?;
                }
            }
        }
        let text = self.tokens.text(decoding.tokens());
        let text = if is_loop(&text) { String::new() } else { text };
        Ok(Transcription { text, confidence: decoding.confidence() })
    }

    fn empty_past(&self) -> Result<Vec<DynValue>, ort::Error> {
        let empty = |_| Ok(Tensor::<f32>::from_array(([1, HEADS, 0, HEAD_WIDTH], Vec::new()))?.into_dyn());
        self.kept.iter().map(empty).collect()
    }
}

fn kept_values() -> Vec<(String, String, bool)> {
    let names = (0..LAYERS)
        .flat_map(|layer| ["decoder.key", "decoder.value", "encoder.key", "encoder.value"].map(|part| (layer, part)));
    names
        .map(|(layer, part)| {
            (format!("past_key_values.{layer}.{part}"), format!("present.{layer}.{part}"), part.starts_with("encoder"))
        })
        .collect()
}

/// One thread a model: the worker's other model and the server's media need the other cores. Without the library's arena,
/// which keeps what the longest segment needed: 40 MB less, in the same time.
fn session(environment: &Environment, path: &Path) -> Result<Session, ort::Error> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_memory_pattern(false)?
        .with_execution_providers([ort::ep::CPU::default().with_arena_allocator(false).build()])?
        .commit_from_file(path)
}

/// Why a run gave nothing.
enum ModelError {
    Cancelled(EngineError),
    Failed(String),
}

impl From<ort::Error> for ModelError {
    fn from(error: ort::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<&str> for ModelError {
    fn from(error: &str) -> Self {
        Self::Failed(error.to_owned())
    }
}

impl From<EngineError> for ModelError {
    fn from(error: EngineError) -> Self {
        Self::Cancelled(error)
    }
}

impl Transcriber for Moonshine {
    fn name(&self) -> &str {
        MOONSHINE_TINY_EN.name
    }

    fn transcribe(&mut self, samples: &[i16], cancellation: &Cancellation) -> Result<Transcription, EngineError> {
        self.run(samples, cancellation).map_err(|error| match error {
            ModelError::Cancelled(error) => error,
            ModelError::Failed(error) => EngineError::model(error),
        })
    }
}
