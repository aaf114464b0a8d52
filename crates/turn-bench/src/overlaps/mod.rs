//! Interruptions measured on labelled overlaps: each row is played through the leg and the call machine of a call
//! ([`playing`]); told is what the agent did by 200 and 500 ms of overlap ([`score`]).

pub mod playing;
pub mod report;
pub mod row;
pub mod score;

use crate::data::{Selection, main_language, read_audio, shown};
use crate::words::SttDelays;
use playing::{Overlap, OverlapOutcome};
use row::OverlapRow;
use score::{Judged, OverlapScore};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use trunkline_domain::turn_config::TurnConfig;
use trunkline_media::frame::SAMPLE_RATE_HZ;

/// The file with the rows: a folder that has it is a set of overlaps.
const FILE: &str = "overlaps.jsonl";

/// The rows of a folder, if it is a set of overlaps.
pub fn rows_file(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(FILE);
    file.is_file().then_some(file)
}

/// Reads all rows with their audio.
///
/// # Errors
///
/// What is refused, with file, line and field.
pub fn read(folder: &Path, wanted: &Selection) -> Result<Vec<Overlap>, String> {
    let file = folder.join(FILE);
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (mut overlaps, mut refusals, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match read_line(folder, line, wanted, &mut ids) {
            Ok(overlap) => overlaps.extend(overlap),
            Err(error) => refusals.push(format!("{FILE}:{}: {error}", index + 1)),
        }
    }
    match (refusals.is_empty(), overlaps.is_empty()) {
        (false, _) => Err(shown(refusals)),
        (true, true) => Err(format!("{}: no row of the wanted half and languages", folder.display())),
        (true, false) => Ok(overlaps),
    }
}

fn read_line(
    folder: &Path, line: &str, wanted: &Selection, ids: &mut HashSet<String>,
) -> Result<Option<Overlap>, crate::row::RowError> {
    use crate::row::RowError;
    let row = OverlapRow::parse(line)?;
    if !ids.insert(row.id.clone()) {
        return Err(RowError::new("id", format!("`{}` is there already", row.id)));
    }
    if !wanted.takes(&row.language, row.half) {
        return Ok(None);
    }
    let audio =
        |field: &str, path: &str| read_audio(&folder.join(path)).map_err(|problem| RowError::new(field, problem));
    let agent = audio("agent_audio", &row.agent_audio)?;
    let caller = audio("caller_audio", &row.caller_audio)?;
    let shorter = agent.len().min(caller.len());
    row.check_length(Duration::from_secs_f64(shorter as f64 / f64::from(SAMPLE_RATE_HZ)))?;
    Ok(Some(Overlap { row, agent, caller }))
}

/// Plays all overlaps on all cores; the outcomes are in their order.
pub fn measure(overlaps: &[Overlap], turn: &TurnConfig, delays: SttDelays) -> Vec<OverlapOutcome> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(overlaps.len().max(1));
    let next = AtomicUsize::new(0);
    let origin = Instant::now();
    let first_turn = playing::first_turn(overlaps).unwrap_or_default();
    let play = || {
        let mut played = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(overlap) = overlaps.get(index) else { return played };
            played.push((index, playing::play(origin, overlap, &first_turn, turn, delays)));
        }
    };
    let mut outcomes = vec![OverlapOutcome::default(); overlaps.len()];
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        for (index, outcome) in workers.into_iter().filter_map(|worker| worker.join().ok()).flatten() {
            if let Some(place) = outcomes.get_mut(index) {
                *place = outcome;
            }
        }
    });
    outcomes
}

/// All rows, then each language if there are several.
pub fn scores(overlaps: &[Overlap], outcomes: &[OverlapOutcome]) -> Vec<OverlapScore> {
    let judged = |language: Option<&str>| -> Vec<Judged<'_>> {
        let rows = overlaps.iter().zip(outcomes).map(|(overlap, outcome)| Judged { row: &overlap.row, outcome });
        rows.filter(|judged| language.is_none_or(|one| main_language(&judged.row.language) == one)).collect()
    };
    let languages: BTreeSet<&str> = overlaps.iter().map(|overlap| main_language(&overlap.row.language)).collect();
    let all = score::score("all", &judged(None));
    let parts = languages.into_iter().map(|language| score::score(language, &judged(Some(language))));
    std::iter::once(all).chain(parts).collect()
}

/// What became of a row, in milliseconds from the onset of its sound.
pub fn details(row: &OverlapRow, outcome: &OverlapOutcome) -> Value {
    let ms = |at: Duration| at.as_millis() as i64 - row.onset.as_millis() as i64;
    let holds: Vec<Value> = outcome.holds.iter().map(|hold| json!([ms(hold.from), hold.until.map(ms)])).collect();
    json!({
        "id": row.id, "language": row.language, "label": row.label.name(), "detail": row.detail,
        "length_ms": ms(row.offset), "holds": holds,
        "stopped_ms": outcome.stopped.map(|(at, _)| ms(at)), "stopped_by": outcome.stopped.map(|(_, cause)| cause.name()),
        "finished_ms": outcome.finished.map(ms), "answered_ms": outcome.answered.as_ref().map(|(at, _)| ms(*at)),
        "turn": outcome.answered.as_ref().map(|(_, words)| words),
        "said": row.words.iter().map(|word| word.word.as_str()).collect::<Vec<_>>().join(" "),
    })
}
