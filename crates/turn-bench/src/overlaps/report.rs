//! The report of overlaps as a table and as JSON.

use super::score::{LOOKED_AT, LabelScore, OverlapScore, Rates, RatesAt, Spread, StateCounts};
use serde_json::{Value, json};

/// What the columns mean.
const LEGEND: &str = "\
At 200 and 500 ms from the onset: agent heard / held / stopped / finished.
yields: silent by then and for good; a hold that becomes a stop counts from its beginning, one that ends in resuming does not count.
stopped: the decision. silent: held or stopped at that time, also if every word is said later. Answers are in no rate.";

/// Lines for a terminal.
pub fn table(parts: &[OverlapScore]) -> String {
    let mut lines = Vec::new();
    for part in parts {
        lines.push(format!(
            "{}: {} overlaps",
            part.name,
            part.labels.iter().filter(|label| !label.name.starts_with(' ')).map(|label| label.rows).sum::<usize>()
        ));
        let heads = [
            "rows",
            "at 200 ms",
            "at 500 ms",
            "yields",
            "by 200",
            "by 500",
            "voice/words/turn",
            "early",
            "answered",
            "hold p50 p95",
            "stop p50 p95",
            "pause p50 p95",
        ];
        lines.push(line("label", &heads.map(str::to_owned)));
        lines.extend(part.labels.iter().map(label_line));
        lines.push(String::new());
        lines.push(line("interruptions", &["yields P", "R", "stopped P", "R", "silent P", "R"].map(str::to_owned)));
        lines.extend(part.rates.iter().map(rates_line));
        lines.push(String::new());
    }
    lines.push(LEGEND.to_owned());
    lines.join("\n")
}

fn line(first: &str, cells: &[String]) -> String {
    let mut line = format!("{first:<14}");
    for cell in cells {
        line.push_str(&format!(" {cell:>15}"));
    }
    line.trim_end().to_owned()
}

fn label_line(label: &LabelScore) -> String {
    let counts =
        |counts: &StateCounts| format!("{}/{}/{}/{}", counts.speaking, counts.held, counts.stopped, counts.finished);
    let spread = |spread: &Spread| match (spread.p50_ms, spread.p95_ms) {
        (Some(p50), Some(p95)) => format!("{p50} {p95}"),
        _ => "-".to_owned(),
    };
    let mut cells = vec![label.rows.to_string()];
    cells.extend(label.states.iter().map(counts));
    cells.push(label.yielded.to_string());
    cells.extend(label.yielded_by.iter().map(usize::to_string));
    cells.push(label.causes.map(|count| count.to_string()).join("/"));
    cells.extend([label.early.to_string(), label.answered.to_string()]);
    cells.extend([&label.hold, &label.stop, &label.pause].map(spread));
    line(&label.name, &cells)
}

fn rates_line(at: &RatesAt) -> String {
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let name = at.after.map_or("in the end".to_owned(), |after| format!("by {} ms", after.as_millis()));
    let cells: Vec<String> = [at.yielded, at.stopped, at.silent]
        .into_iter()
        .flat_map(|rates| [percent(rates.precision), percent(rates.recall)])
        .collect();
    line(&name, &cells)
}

/// Everything for other programs.
pub fn json(parts: &[OverlapScore]) -> Value {
    let part = |part: &OverlapScore| {
        json!({
            "part": part.name,
            "labels": part.labels.iter().map(label_json).collect::<Vec<_>>(),
            "rates": part.rates.iter().map(rates_json).collect::<Vec<_>>(),
        })
    };
    json!({"overlaps": parts.iter().map(part).collect::<Vec<_>>()})
}

fn label_json(label: &LabelScore) -> Value {
    let spread = |spread: &Spread| json!({"p50": spread.p50_ms, "p95": spread.p95_ms});
    let mut states = serde_json::Map::new();
    for ((after, counts), yielded) in LOOKED_AT.iter().zip(&label.states).zip(&label.yielded_by) {
        let value = json!({
            "heard": counts.speaking, "held": counts.held, "stopped": counts.stopped, "finished": counts.finished,
            "yields": yielded,
        });
        states.insert(format!("{}_ms", after.as_millis()), value);
    }
    let [voice, words, turn] = label.causes;
    json!({
        "label": label.name.trim(), "rows": label.rows, "at": states, "yields": label.yielded,
        "stopped_by": {"voice": voice, "words": words, "turn": turn}, "held_before_onset": label.early,
        "answered": label.answered, "hold_ms": spread(&label.hold), "stop_ms": spread(&label.stop),
        "pause_ms": spread(&label.pause),
    })
}

fn rates_json(at: &RatesAt) -> Value {
    let round = |share: Option<f64>| share.map(|share| (share * 10_000.0).round() / 10_000.0);
    let rates = |rates: Rates| json!({"precision": round(rates.precision), "recall": round(rates.recall)});
    json!({
        "within_ms": at.after.map(|after| after.as_millis() as u64),
        "yields": rates(at.yielded), "stopped": rates(at.stopped), "silent": rates(at.silent),
    })
}
