//! Metrics of a call for its record, Prometheus and OpenTelemetry.
//!
//! Pure: the driver records and exports them.

use crate::domain::call::Call;
use crate::domain::end_reason::EndReason;
use crate::machine::TurnMetrics;
use crate::spans::{CallTrace, Span, TurnTrace};
use serde_json::{Value, json};
use trunkline_media::stats::LegStats;

/// Seconds of the stages of a turn, by name; missing stages are skipped. `end_of_turn` and `response` span several stages.
pub fn turn_seconds(turn: &TurnMetrics) -> Vec<(&'static str, f64)> {
    let seconds = |name: &'static str, from: u64, to: u64| (name, to.saturating_sub(from) as f64 / 1_000.0);
    let mut all: Vec<_> = turn.stages().into_iter().map(|(name, from, to)| seconds(name, from, to)).collect();
    all.push(seconds("end_of_turn", turn.speech_ended_ms, turn.decided_ms));
    all.extend(turn.first_packet_ms.map(|sound| seconds("response", turn.speech_ended_ms, sound)));
    all
}

/// The figures of a call that is over: those of its machine, of its leg, and those that were recorded before.
pub fn final_metrics(mut figures: Value, stats: Option<&LegStats>, before: Option<Value>) -> Value {
    if let Some(stats) = stats {
        figures["media"] = media_json(stats);
    }
    if let Some(Value::Object(before)) = before {
        // Which agents had the call, and which commands it was given, is recorded at each change, and is complete at the end.
        let is_newer = |name: &str| ["agents", "controls"].contains(&name) && figures.get(name).is_some();
        let before: Vec<_> = before.into_iter().filter(|(name, _)| !is_newer(name)).collect();
        for (name, value) in before {
            figures[name] = value;
        }
    }
    figures
}

/// The call as spans: one for it, one for each turn, one for each stage of a turn.
pub fn trace(call: &Call, turns: &[TurnMetrics]) -> Option<CallTrace> {
    let answered = call.answered_at()?;
    let at = |ms: u64| answered.0 + ms as i64;
    let turns = turns.iter().filter_map(|turn| {
        let stages = turn.stages();
        let end = stages.last()?.2;
        let span = |name, from: u64, to: u64| Span { name, from_ms: at(from), to_ms: at(to) };
        Some(TurnTrace {
            whole: span("turn", turn.speech_ended_ms, end),
            stages: stages.into_iter().map(|(name, from, to)| span(name, from, to)).collect(),
            model: turn.llm.clone(),
            voice: turn.tts.clone(),
        })
    });
    Some(CallTrace {
        id: call.id.to_string(),
        organization: call.organization.to_string(),
        agent: call.agent.map(|agent| agent.to_string()),
        direction: call.direction.name(),
        end_reason: call.end_reason().map(EndReason::name),
        whole: Span { name: "call", from_ms: answered.0, to_ms: call.ended_at().unwrap_or(answered).0 },
        turns: turns.collect(),
    })
}

fn media_json(stats: &LegStats) -> Value {
    json!({
        "packets_received": stats.packets_received,
        "packets_lost": stats.packets_lost,
        "packets_late": stats.packets_late,
        "packets_ignored": stats.packets_ignored,
        "packets_sent": stats.packets_sent,
        "jitter_ms": stats.jitter_ms,
        "round_trip_ms": stats.round_trip_ms,
        "remote_loss": stats.remote_loss,
        "packets_unauthentic": stats.packets_unauthentic,
        "mos": stats.mos.map(round_to_two_decimals),
        "mos_remote": stats.mos_remote.map(round_to_two_decimals),
        "concealed_ms": stats.concealed_ms,
        "underruns": stats.underruns,
        "playout_overflow_ms": stats.playout_overflow_ms,
        "echo": stats.echo.map(|path| json!({
            "delay_ms": path.delay_ms, "level_db": path.level_db.round(), "heard_ms": stats.echo_ms,
        })),
    })
}

fn round_to_two_decimals(score: f32) -> f64 {
    (f64::from(score) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
