//! What the demo prints: turns, figures of its callers, what is stored.

use crate::caller::report::CallReport;
use serde_json::{Value, json};
use std::path::Path;

/// One turn of a transcript.
pub(super) fn show_turn(turn: &Value) {
    let at = turn["started_at_ms"].as_f64().unwrap_or(0.0) / 1_000.0;
    let mark = if turn["interrupted"] == json!(true) { "  ← interrupted" } else { "" };
    let (role, content) = (turn["role"].as_str().unwrap_or(""), turn["content"].as_str().unwrap_or(""));
    println!("{at:7.2}s  {role:9}  {content}{mark}");
}

/// What a caller measured.
pub(super) fn show_report(report: &CallReport) {
    let list = |values: &[f64]| values.iter().map(|v| format!("{v:.0}")).collect::<Vec<_>>().join(", ");
    if let Some(setup) = report.setup_ms {
        println!("set-up        {setup:.1} ms (INVITE to 200)");
    }
    println!("responses     {} ms (caller's last sound to agent's first)", list(&report.responses_ms));
    if !report.barge_ins_ms.is_empty() {
        println!("barge-in      {} ms (caller's first sound to agent's last)", list(&report.barge_ins_ms));
    }
    println!(
        "heard         {:.1} s at {:.0} dBFS, {} of {} packets lost",
        report.heard_seconds,
        report.level_dbfs,
        report.packets_lost,
        report.packets_received + report.packets_lost
    );
}

/// The rows of calls, with their recordings below a folder.
pub(super) fn show_stored(calls: &Value, folder: &Path) {
    println!("\n── what is stored ──");
    for call in calls["calls"].as_array().into_iter().flatten() {
        let text = |field: &str| call[field].as_str().unwrap_or("").to_owned();
        let file = format!("{}.wav", text("id"));
        let path = folder.join("recordings").join(text("organization_id")).join(file);
        println!("{}  {}  {}  {}", text("direction"), text("status"), text("end_reason"), path.display());
    }
}
