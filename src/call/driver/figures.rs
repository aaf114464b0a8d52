//! What the loop of a call reads from the wire and writes into metrics, shape by shape.

use crate::call::machine::{Referral, TurnFigures};
use crate::domain::call::Call;
use crate::domain::end_reason::EndReason;
use crate::telemetry::spans::{CallTrace, Span, TurnTrace};
use trunkline_media::stats::LegStats;
use trunkline_signaling::sip::endpoint;
use trunkline_signaling::sip::failure::Cause;

/// The stages of one turn; those it did not reach are left out. `end_of_turn` and `response` span several.
pub(super) fn turn_histograms(turn: &TurnFigures) {
    let record = |name: &'static str, from: u64, to: u64| {
        let seconds = to.saturating_sub(from) as f64 / 1_000.0;
        metrics::histogram!("trunkline_turn_seconds", "stage" => name).record(seconds);
    };
    for (name, from, to) in turn.stages() {
        record(name, from, to);
    }
    record("end_of_turn", turn.speech_ended_ms, turn.decided_ms);
    if let Some(sound) = turn.first_sound_ms {
        record("response", turn.speech_ended_ms, sound);
    }
}

/// The call as spans: one for it, one for each turn, one for each stage of a turn.
pub(super) fn trace(call: &Call, turns: &[TurnFigures]) -> Option<CallTrace> {
    let answered = call.answered_at?;
    let at = |ms: u64| answered.0 + ms as i64;
    let turns = turns.iter().filter_map(|turn| {
        let stages = turn.stages();
        let end = stages.last()?.2;
        let span = |name, from: u64, to: u64| Span { name, from_ms: at(from), to_ms: at(to) };
        Some(TurnTrace {
            whole: span("turn", turn.speech_ended_ms, end),
            stages: stages.into_iter().map(|(name, from, to)| span(name, from, to)).collect(),
            model: turn.model.clone(),
            voice: turn.voice.clone(),
        })
    });
    Some(CallTrace {
        id: call.id.to_string(),
        organization: call.organization.to_string(),
        agent: call.agent.map(|agent| agent.to_string()),
        direction: call.direction.name(),
        end_reason: call.end_reason.map(EndReason::name),
        whole: Span { name: "call", from_ms: answered.0, to_ms: call.ended_at.unwrap_or(answered).0 },
        turns: turns.collect(),
    })
}

pub(super) fn media_json(stats: &LegStats) -> serde_json::Value {
    serde_json::json!({
        "packets_received": stats.packets_received,
        "packets_lost": stats.packets_lost,
        "packets_late": stats.packets_late,
        "packets_ignored": stats.packets_ignored,
        "packets_sent": stats.packets_sent,
        "jitter_ms": stats.jitter_ms,
        "round_trip_ms": stats.round_trip_ms,
        "remote_loss": stats.remote_loss,
        "concealed_ms": stats.concealed_ms,
        "underruns": stats.underruns,
        "playout_overflow_ms": stats.playout_overflow_ms,
        "echo": stats.echo.map(|path| serde_json::json!({
            "delay_ms": path.delay_ms, "level_db": path.level_db.round(), "heard_ms": stats.echo_ms,
        })),
    })
}

pub(super) fn referral_news(referral: endpoint::Referral) -> Referral {
    match referral {
        endpoint::Referral::Accepted => Referral::Accepted,
        endpoint::Referral::Refused { status } => Referral::Refused { status },
        endpoint::Referral::Progress { status, last } => Referral::Progress { status, last },
    }
}

/// Why an answered call is over, as the endpoint saw it.
pub(super) fn ended_by(cause: &Cause) -> EndReason {
    match cause {
        Cause::RemoteBye | Cause::RemoteCancel => EndReason::CustomerHungUp,
        Cause::NotAcknowledged | Cause::NoResponse | Cause::DialogLost => EndReason::NetworkLost,
        Cause::Unreachable(_) | Cause::Refused { .. } => EndReason::TrunkError,
        Cause::Local => EndReason::AgentHungUp,
    }
}

/// A digit of `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).
pub(super) fn info_digit(content_type: &str, body: &[u8]) -> Option<char> {
    let kind = content_type.split(';').next()?.trim().to_ascii_lowercase();
    let text = std::str::from_utf8(body).ok()?;
    let signal = match kind.as_str() {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        _ => signal.chars().next().filter(|c| signal.len() == 1 && "0123456789*#ABCD".contains(*c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_info_bodies() {
        assert_eq!(info_digit("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(info_digit("application/dtmf-relay; x", b"signal= *\n"), Some('*'));
        assert_eq!(info_digit("application/dtmf", b"11"), Some('#'));
        assert_eq!(info_digit("text/plain", b"5"), None);
        assert_eq!(info_digit("application/dtmf", b"55"), None);
    }
}
