//! The report as a table and as JSON.

use super::cost::TurnCost;
use super::score::{CurvePoint, Score};
use super::summary::{Beside, CUT_BUDGETS, LATENCY_BUDGETS_MS, OperatingPoints, PartSummary, Summary};
use super::timers;
use serde_json::{Value, json};

/// Lines for a terminal.
pub fn table(summary: &Summary) -> String {
    let mut lines = Vec::new();
    if let Some(all) = summary.parts.first() {
        let score = &all.configured.policy;
        lines.push(format!(
            "{} turns, {} pauses of 0.2 to 5 s in them, {} settings",
            score.turns,
            score.holds,
            summary.settings.len()
        ));
        lines.push(String::new());
        lines.push("Operating points, each chosen on the part itself: pauses cut within a mean latency, mean latency within a share of cuts".to_owned());
        lines.push(row("part", &["curve", "<= 300 ms", "<= 600 ms", "<= 5 %", "<= 10 %"]));
    }
    for part in &summary.parts {
        lines.extend(operating_lines(part));
    }
    for (title, pick) in columns(summary) {
        lines.push(String::new());
        lines.push(title);
        let heads =
            ["pauses", "cut", "heard", "silence alone", "ratio", "turns cut", "mean", "p50", "p90", "no answer"];
        lines.push(row("part", &heads));
        for part in &summary.parts {
            lines.extend(pick(part).map(|beside| beside_line(part, beside)));
        }
    }
    lines.join("\n")
}

type Pick = Box<dyn Fn(&PartSummary) -> Option<&Beside>>;

/// The settings whose rates are told for each part.
fn columns(summary: &Summary) -> Vec<(String, Pick)> {
    let mut columns: Vec<(String, Pick)> =
        vec![("As configured".to_owned(), Box::new(|part: &PartSummary| Some(&part.configured)))];
    for (index, budget) in LATENCY_BUDGETS_MS.into_iter().enumerate() {
        let all = summary.parts.first().and_then(|all| all.chosen.get(index)?.as_ref());
        let name = all.and_then(|beside| summary.settings.get(beside.setting));
        let title = match name {
            Some(name) => format!("The best setting within {budget:.0} ms on all rows: {name}"),
            None => format!("No setting has a mean latency of {budget:.0} ms or less"),
        };
        columns.push((title, Box::new(move |part: &PartSummary| part.chosen.get(index)?.as_ref())));
    }
    columns
}

/// A line of a table.
pub(super) fn row(first: &str, cells: &[&str]) -> String {
    let mut line = format!("{first:<36}");
    for cell in cells {
        line.push_str(&format!(" {cell:>13}"));
    }
    line.trim_end().to_owned()
}

/// A share as it is shown.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn operating_lines(part: &PartSummary) -> Vec<String> {
    let curves = [("policy", &part.policy), ("silence", &part.silence), ("silence heard", &part.detected)];
    let line = |(index, (name, points)): (usize, (&str, &OperatingPoints))| {
        let cut = |point: &Option<CurvePoint>| point.map_or("-".to_owned(), |point| percent(point.cut));
        let latency =
            |point: &Option<CurvePoint>| point.map_or("-".to_owned(), |point| format!("{:.0} ms", point.mean_ms));
        let mut cells = vec![name.to_owned()];
        cells.extend(points.within_latency.iter().map(cut));
        cells.extend(points.within_cuts.iter().map(latency));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let name = if index == 0 { part.part.name() } else { String::new() };
        row(&name, &cells)
    };
    curves.into_iter().enumerate().map(line).collect()
}

fn beside_line(part: &PartSummary, beside: &Beside) -> String {
    let score = &beside.policy;
    let ms = |value: f64| format!("{value:.0} ms");
    let has_pauses = score.holds > 0;
    let share = |value: f64| if has_pauses { percent(value) } else { "-".to_owned() };
    let cells = [
        score.holds.to_string(),
        share(score.cut),
        share(score.heard),
        share(beside.silence_cut),
        beside.ratio().filter(|_| has_pauses).map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        percent(score.turns_cut),
        ms(score.mean_ms),
        ms(score.p50_ms),
        ms(score.p90_ms),
        score.unanswered.to_string(),
    ];
    row(&part.part.name(), &cells.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What turn-taking costs a call whose caller talks all the time.
pub fn cost(cost: &TurnCost) -> String {
    let TurnCost { policy, voice_detection, overlap } = cost;
    let parts = [
        ("policy, at all events", policy),
        ("voice detection, with the levels of pauses", voice_detection),
        ("whose sound it is, by its level", overlap),
    ];
    let line = |(name, share): (&str, &f64)| format!("{name:<44} {:>8.4} % of a core for each call", share * 100.0);
    parts.map(line).join("\n")
}

/// Everything for other programs.
pub fn json(summary: &Summary) -> Value {
    let parts: Vec<Value> = summary.parts.iter().map(|part| part_json(summary, part)).collect();
    let curve = |points: &[CurvePoint]| -> Value {
        points.iter().map(|point| json!({"mean_ms": round(point.mean_ms), "cut": round(point.cut)})).collect()
    };
    let settings = summary.settings.iter().zip(&summary.curves.settings);
    json!({
        "parts": parts,
        "settings": settings.map(|(name, point)| json!({
            "name": name, "mean_ms": round(point.mean_ms), "cut": round(point.cut),
        })).collect::<Vec<_>>(),
        "curves": {
            "policy": curve(&summary.curves.policy),
            "silence_alone": curve(&summary.curves.silence),
            "silence_heard": curve(&summary.curves.detected),
        },
    })
}

/// Four places: the rest is noise.
fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn part_json(summary: &Summary, part: &PartSummary) -> Value {
    let name = |setting: usize| summary.settings.get(setting).cloned();
    let delay = |index: usize| timers::delays().nth(index).map(|delay| format!("{} ms", delay.as_millis()));
    let mut chosen = serde_json::Map::new();
    for (budget, beside) in LATENCY_BUDGETS_MS.iter().zip(&part.chosen) {
        let value = beside.as_ref().map(|beside| beside_json(name(beside.setting), beside));
        chosen.insert(format!("within_{budget:.0}_ms"), json!(value));
    }
    json!({
        "part": part.part.name(),
        "as_configured": beside_json(name(0), &part.configured),
        "chosen_on_all_rows": chosen,
        "operating_points": {
            "policy": points_json(&part.policy, name),
            "silence_alone": points_json(&part.silence, delay),
            "silence_heard": points_json(&part.detected, delay),
        },
    })
}

fn points_json(points: &OperatingPoints, name: impl Fn(usize) -> Option<String>) -> Value {
    let mut fields = serde_json::Map::new();
    let value = |point: &Option<CurvePoint>| {
        json!(point.map(|point| json!({
            "cut": round(point.cut), "mean_ms": round(point.mean_ms), "setting": name(point.setting),
        })))
    };
    for (budget, point) in LATENCY_BUDGETS_MS.iter().zip(&points.within_latency) {
        fields.insert(format!("within_{budget:.0}_ms"), value(point));
    }
    for (budget, point) in CUT_BUDGETS.iter().zip(&points.within_cuts) {
        fields.insert(format!("within_{:.0}_percent", budget * 100.0), value(point));
    }
    Value::Object(fields)
}

fn beside_json(setting: Option<String>, beside: &Beside) -> Value {
    let Score { holds, turns, cut, heard, turns_cut, outside, mean_ms, p50_ms, p90_ms, unanswered } = beside.policy;
    json!({
        "setting": setting,
        "pauses": holds, "turns": turns, "cut": round(cut), "heard": round(heard), "turns_cut": round(turns_cut),
        "outside_of_pauses_per_turn": round(outside), "mean_ms": round(mean_ms), "p50_ms": round(p50_ms),
        "p90_ms": round(p90_ms), "unanswered": unanswered, "silence_alone_cut": round(beside.silence_cut),
    })
}
