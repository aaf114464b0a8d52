//! `trunkline bench turns`: turn-taking measured on rows of eot-bench's schema.
//!
//! Each row is played through the leg and the call machine of a call in virtual time ([`playing`]), with every setting of a
//! sweep ([`policy`]). Told are the shares of pauses cut off and the latency of ends ([`score`]), beside silence alone
//! ([`timers`]).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints")]
#![expect(clippy::disallowed_methods, reason = "a tool is a program: it reads clocks and files, and starts tasks")]

pub mod cost;
pub mod curve;
pub mod data;
pub mod goals;
pub mod heard_words;
pub mod hearing;
pub mod line;
pub mod measuring;
pub mod overlaps;
pub mod playing;
pub mod policy;
pub mod report;
pub mod row;
pub mod score;
pub mod signs;
pub mod speakers;
pub mod stt_source;
pub mod summary;
pub mod timers;
pub mod weights;
pub mod words;

use clap::Args;
use data::Selection;
use hearing::Hearer;
use measuring::{Conditions, RowResult};
use policy::Sweep;
use row::Half;
use score::holds;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use summary::Results;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_providers::ProviderRegistry;
use weights::PauseWeights;
use words::{Punctuation, SttDelays, WordSource};

/// Which weights the pauses have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Weights {
    /// Each counts the same.
    None,
    /// The lengths of the English pauses of eot-bench.
    Public,
}

/// What `trunkline bench turns` takes.
#[derive(Debug, Args)]
pub struct TurnBenchArgs {
    /// Folder with rows (`*.jsonl`) in eot-bench's schema, and their WAV files; or with `overlaps.jsonl`, which measures
    /// interruptions.
    #[arg(long)]
    data: PathBuf,
    /// Only rows of this half.
    #[arg(long)]
    half: Option<Half>,
    /// Only rows of these languages.
    #[arg(long, value_delimiter = ',')]
    languages: Vec<String>,
    /// JSON file with the `turn_config` of the agent; without it, the defaults.
    #[arg(long)]
    turn_config: Option<PathBuf>,
    /// FIELD=VALUE,VALUE of `turn_config`, or `scale=` factors for all its silences. Several are combined. Without any,
    /// scale, min_silence_ms and endpointing_ms are swept.
    #[arg(long)]
    sweep: Vec<Sweep>,
    /// Measure the settings as they are, without a sweep.
    #[arg(long, conflicts_with = "sweep")]
    no_sweep: bool,
    /// From a decision to the agent's first sound: LLM and TTS.
    #[arg(long, default_value_t = 500)]
    response_ms: u64,
    /// Where the words come from.
    #[arg(long, value_enum, default_value = "rows")]
    words: WordSource,
    /// How the words are punctuated.
    #[arg(long, value_enum, default_value = "rows")]
    punctuation: Punctuation,
    #[command(flatten)]
    stt: SttArgs,
    /// Which weights the pauses have.
    #[arg(long, value_enum, default_value = "none")]
    weights: Weights,
    /// Write everything as JSON into this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the curve as SVG into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Write what became of each row with the agent's own settings into this file, a line of JSON each.
    #[arg(long)]
    details: Option<PathBuf>,
    /// Tell each speaker too, the spread, and what settings that were chosen on all others do to each of them.
    #[arg(long)]
    speakers: bool,
    /// Fail if a goal is missed: no language and no kind of pause is cut more often than by silence alone at the same mean
    /// latency; of interruptions, precision 0.9 and recall 0.97 within 500 ms.
    #[arg(long)]
    check: bool,
    /// Tell what turn-taking costs a call, in shares of a core, and nothing else.
    #[arg(long)]
    cost: bool,
    /// Write the signs that the policy sees at each pause and end into this file, a line of JSON each.
    #[arg(long)]
    signs: Option<PathBuf>,
}

/// Who hears the words, and when they come.
#[derive(Debug, Args)]
struct SttArgs {
    /// PROVIDER/MODEL of an STT service that hears the rows, in place of their words. It hears each row once, in real time;
    /// what it said is kept beside the rows. The key is read from the provider's environment variable.
    #[arg(long)]
    stt: Option<String>,
    /// Another address of that service.
    #[arg(long)]
    stt_base_url: Option<String>,
    /// Rows that it hears at the same time.
    #[arg(long, default_value_t = 4)]
    stt_sessions: usize,
    /// Folder of the models, for `--stt local/...`.
    #[arg(long, default_value = "models")]
    models: PathBuf,
    /// Time between two interim results of STT.
    #[arg(long, default_value_t = 500)]
    stt_interim_ms: u64,
    /// How far interim results are behind the voice.
    #[arg(long, default_value_t = 200)]
    stt_interim_delay_ms: u64,
    /// From the silence that STT waits for (`endpointing_ms`) to its final result.
    #[arg(long, default_value_t = 100)]
    stt_final_delay_ms: u64,
    /// From a request to finalize to the final result.
    #[arg(long, default_value_t = 100)]
    stt_finalize_delay_ms: u64,
}

impl TurnBenchArgs {
    fn conditions(&self) -> Conditions {
        let ms = Duration::from_millis;
        Conditions {
            response: ms(self.response_ms),
            stt: SttDelays {
                interim_every: ms(self.stt.stt_interim_ms.max(20)),
                interim_delay: ms(self.stt.stt_interim_delay_ms),
                endpointing: Duration::ZERO,
                final_delay: ms(self.stt.stt_final_delay_ms),
                finalize_delay: ms(self.stt.stt_finalize_delay_ms),
                utterance_end: ms(1_000),
            },
            words: self.words,
            punctuation: self.punctuation,
        }
    }

    fn hearer(&self, endpointing_ms: u64) -> Option<Hearer> {
        Some(Hearer {
            name: self.stt.stt.clone()?,
            base_url: self.stt.stt_base_url.clone(),
            models: self.stt.models.clone(),
            sessions: self.stt.stt_sessions,
            endpointing_ms,
        })
    }

    fn sweep(&self) -> Vec<Sweep> {
        match (self.no_sweep, self.sweep.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => policy::default_sweep(),
            (false, false) => self.sweep.clone(),
        }
    }
}

/// Measures and prints. `providers`: clients of the STT services, where one is to hear the rows.
///
/// # Errors
///
/// What is wrong with the rows or the settings, or which file could not be written.
pub async fn run(
    args: &TurnBenchArgs, providers: impl FnOnce(&Hearer) -> Result<ProviderRegistry, String>,
) -> Result<(), String> {
    let own = own_settings(args.turn_config.as_deref())?;
    if overlaps::rows_file(&args.data).is_some() {
        return run_overlaps(args, &own);
    }
    let mut settings = policy::settings(&own, &args.sweep())?;
    if !args.no_sweep {
        settings.extend(policy::presets());
    }
    let wanted = Selection { half: args.half, languages: args.languages.clone() };
    // Whoever hears the rows needs no words in them.
    let words = if args.stt.stt.is_some() { WordSource::None } else { args.words };
    let turns = data::read(&args.data, &wanted, words)?;
    if args.cost {
        let cost = cost::measure(&turns, args.conditions().stt, &own);
        println!("{}", report::cost(&cost));
        return Ok(());
    }
    let heard = match args.hearer(own.endpointing_ms) {
        Some(hearer) => Some(hearing::hear(&turns, &args.data, &hearer, providers).await?),
        None => None,
    };
    let lengths = turns.iter().flat_map(|turn| holds(&turn.row)).map(row::SilenceSpan::length);
    let weights = match args.weights {
        Weights::None => PauseWeights::default(),
        Weights::Public => PauseWeights::public(lengths),
    };
    let started = Instant::now();
    let results = measuring::measure(&turns, &settings, args.conditions(), heard.as_deref());
    let played = turns.len() * settings.len();
    eprintln!("{played} turns played in {:.1} s", started.elapsed().as_secs_f64());
    let results = Results { turns: &turns, results: &results, settings: &settings, weights: &weights };
    tell(args, &results)
}

/// Prints what is read from the results, and writes the files that were asked for.
fn tell(args: &TurnBenchArgs, results: &Results<'_>) -> Result<(), String> {
    let summary = summary::summarize(results);
    println!("{}", report::table(&summary));
    let speakers = if args.speakers { speakers::speaker_scores(results, results.turns) } else { Vec::new() };
    if args.speakers {
        println!("\n{}", speakers::table(&speakers));
    }
    let lines = |values: Vec<Value>| values.iter().map(|value| format!("{value}\n")).collect::<String>();
    if let Some(path) = &args.json {
        let mut all = report::json(&summary);
        if args.speakers {
            all["speakers"] = speakers::json(&speakers, &summary.settings);
        }
        write(path, &serde_json::to_string_pretty(&all).unwrap_or_default())?;
    }
    if let Some(path) = &args.svg {
        write(path, &curve::svg(&summary))?;
    }
    if let Some(path) = &args.details {
        let rows = results.turns.iter().zip(results.results);
        write(path, &lines(rows.map(|(turn, result)| details(&turn.row, result)).collect()))?;
    }
    if let Some(path) = &args.signs {
        write(path, &lines(results.turns.iter().flat_map(|turn| signs::signs(&turn.row)).collect()))?;
    }
    match args.check {
        true => goals::require(&goals::worse_than_silence(&summary)),
        false => Ok(()),
    }
}

/// Interruptions, on a set of overlaps.
fn run_overlaps(args: &TurnBenchArgs, own: &TurnConfig) -> Result<(), String> {
    let wanted = Selection { half: args.half, languages: args.languages.clone() };
    let rows = overlaps::read(&args.data, &wanted)?;
    let started = Instant::now();
    let outcomes = overlaps::measure(&rows, own, args.conditions().stt);
    eprintln!("{} overlaps played in {:.1} s", rows.len(), started.elapsed().as_secs_f64());
    let scores = overlaps::scores(&rows, &outcomes);
    println!("{}", overlaps::report::table(&scores));
    if let Some(path) = &args.json {
        write(path, &serde_json::to_string_pretty(&overlaps::report::json(&scores)).unwrap_or_default())?;
    }
    if let Some(path) = &args.details {
        let lines: Vec<String> =
            rows.iter().zip(&outcomes).map(|(one, outcome)| overlaps::details(&one.row, outcome).to_string()).collect();
        write(path, &(lines.join("\n") + "\n"))?;
    }
    match args.check {
        true => goals::require(&goals::missed_at_overlaps(&scores)),
        false => Ok(()),
    }
}

fn own_settings(path: Option<&Path>) -> Result<TurnConfig, String> {
    let Some(path) = path else { return Ok(TurnConfig::default()) };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What became of a row with the agent's own settings.
fn details(row: &row::TurnRow, result: &RowResult) -> Value {
    let outcome = result.outcomes.first().cloned().unwrap_or_default();
    let ms = |at: Duration| at.as_millis() as u64;
    let pauses: Vec<Value> = holds(row)
        .zip(&outcome.cuts)
        .map(|(hold, cut)| {
            json!({
                "start_ms": ms(hold.start), "length_ms": ms(hold.length()), "kind": hold.kind.map(row::PauseKind::name),
                "counts": score::counts(hold),
                "cut_after_ms": cut.map(|(at, _)| ms(at.saturating_sub(hold.start))),
                "heard_after_ms": cut.and_then(|(_, heard)| heard).map(|at| ms(at.saturating_sub(hold.start))),
            })
        })
        .collect();
    let decisions: Vec<Value> = result
        .decisions
        .iter()
        .map(|decision| json!({"at_ms": ms(decision.at), "heard_ms": decision.heard.map(ms), "text": decision.text}))
        .collect();
    json!({
        "id": row.id, "language": row.language, "end_ms": ms(row.end()),
        "end_kind": row.spans.last().and_then(|span| span.kind).map(row::PauseKind::name),
        "latency_ms": outcome.latency.map(ms), "outside": outcome.outside, "pauses": pauses, "decisions": decisions,
    })
}
