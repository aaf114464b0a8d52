//! Maps between wire formats and metrics for the call loop.

use crate::call::machine::{ReferProgress, TurnMetrics};
use crate::domain::call::Call;
use crate::domain::end_reason::EndReason;
use crate::telemetry::spans::{CallTrace, Span, TurnTrace};
use serde_json::{Map, Value, json};
use trunkline_media::stats::LegStats;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::reason::Reason;
use trunkline_signaling::sip::user_agent;

/// Records the stages of a turn; missing stages are skipped. `end_of_turn` and `response` span several stages.
pub(super) fn record_turn_histograms(turn: &TurnMetrics) {
    let record = |name: &'static str, from: u64, to: u64| {
        let seconds = to.saturating_sub(from) as f64 / 1_000.0;
        metrics::histogram!("trunkline_turn_seconds", "stage" => name).record(seconds);
    };
    for (name, from, to) in turn.stages() {
        record(name, from, to);
    }
    record("end_of_turn", turn.speech_ended_ms, turn.decided_ms);
    if let Some(sound) = turn.first_packet_ms {
        record("response", turn.speech_ended_ms, sound);
    }
}

/// The call as spans: one for it, one for each turn, one for each stage of a turn.
pub(super) fn trace(call: &Call, turns: &[TurnMetrics]) -> Option<CallTrace> {
    let answered = call.answered_at?;
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
        end_reason: call.end_reason.map(EndReason::name),
        whole: Span { name: "call", from_ms: answered.0, to_ms: call.ended_at.unwrap_or(answered).0 },
        turns: turns.collect(),
    })
}

pub(super) fn media_json(stats: &LegStats) -> Value {
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
        "mos": stats.mos.map(two_places),
        "mos_remote": stats.mos_remote.map(two_places),
        "concealed_ms": stats.concealed_ms,
        "underruns": stats.underruns,
        "playout_overflow_ms": stats.playout_overflow_ms,
        "echo": stats.echo.map(|path| json!({
            "delay_ms": path.delay_ms, "level_db": path.level_db.round(), "heard_ms": stats.echo_ms,
        })),
    })
}

fn two_places(score: f32) -> f64 {
    (f64::from(score) * 100.0).round() / 100.0
}

pub(super) fn refer_progress(referral: user_agent::ReferStatus) -> ReferProgress {
    match referral {
        user_agent::ReferStatus::Accepted => ReferProgress::Accepted,
        user_agent::ReferStatus::Rejected { status } => ReferProgress::Refused { status },
        user_agent::ReferStatus::Notified { status, last } => ReferProgress::Progress { status, last },
    }
}

/// The end reason of an answered call. Networks that clear a call put the cause into Reason.
pub(super) fn end_reason_of_cause(cause: &EndCause) -> EndReason {
    match cause {
        EndCause::RemoteBye { why } | EndCause::RemoteCancel { why } => match why {
            Some(Reason { q850: Some(27 | 34 | 38 | 41 | 42 | 44 | 47 | 58), .. }) => EndReason::TrunkError,
            Some(Reason { q850: None | Some(31 | 102), sip: Some(408 | 481 | 500..=599), .. }) => {
                EndReason::NetworkLost
            }
            _ => EndReason::CustomerHungUp,
        },
        EndCause::NotAcknowledged | EndCause::NoResponse | EndCause::DialogLost | EndCause::SessionExpired => {
            EndReason::NetworkLost
        }
        EndCause::Unreachable(_) | EndCause::Rejected { .. } | EndCause::Redirected { .. } => EndReason::TrunkError,
        EndCause::LocalHangUp => EndReason::AgentHungUp,
        EndCause::InternalError => EndReason::ServerCrash,
    }
}

/// The end reason of an unanswered outbound call: the network's cause (RFC 3326) if given, else the status.
pub(super) fn end_reason_of_unanswered(cause: &EndCause) -> EndReason {
    match cause {
        EndCause::Rejected { status, why, .. } => why
            .as_ref()
            .and_then(|why| why.q850)
            .and_then(EndReason::from_q850)
            .unwrap_or_else(|| EndReason::from_sip_status(*status)),
        EndCause::LocalHangUp => EndReason::Canceled,
        EndCause::InternalError => EndReason::ServerCrash,
        _ => EndReason::TrunkError,
    }
}

/// Status, cause and text of an end, for the call's `signalling` field.
pub(super) fn reason_facts(cause: &EndCause) -> Map<String, Value> {
    let mut facts = Map::new();
    let why = match cause {
        EndCause::RemoteBye { why } | EndCause::RemoteCancel { why } => why.as_ref(),
        EndCause::Rejected { status, reason, why, .. } => {
            facts.insert("sip_status".to_owned(), json!(status));
            facts.insert("sip_reason".to_owned(), json!(reason));
            why.as_ref()
        }
        EndCause::Redirected { status, .. } => {
            facts.insert("sip_status".to_owned(), json!(status));
            None
        }
        EndCause::Unreachable(why) => {
            facts.insert("problem".to_owned(), json!(why));
            None
        }
        EndCause::NoResponse => {
            facts.insert("problem".to_owned(), json!("no answer from the trunk"));
            None
        }
        EndCause::SessionExpired => {
            facts.insert("problem".to_owned(), json!("the session was not refreshed in time"));
            None
        }
        EndCause::LocalHangUp | EndCause::NotAcknowledged | EndCause::DialogLost | EndCause::InternalError => None,
    };
    if let Some(why) = why {
        let named =
            [("reason_sip_cause", json!(why.sip)), ("q850_cause", json!(why.q850)), ("reason_text", json!(why.text))];
        facts.extend(named.into_iter().filter(|(_, v)| !v.is_null()).map(|(name, value)| (name.to_owned(), value)));
    }
    facts
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
    fn ends_are_named_by_the_networks_cause() {
        let why = |sip, q850| Some(Reason { sip, q850, text: None });
        for (status, q850, wanted) in [
            (480, Some(17), EndReason::Busy),
            (480, Some(1), EndReason::InvalidNumber),
            (503, Some(21), EndReason::Rejected),
            (503, Some(34), EndReason::TrunkError),
            (480, None, EndReason::NoAnswer),
            (486, Some(16), EndReason::Busy),
        ] {
            let why = q850.and_then(|q850| why(None, Some(q850)));
            let cause = EndCause::Rejected { status, reason: String::new(), retry_after_s: None, why };
            assert_eq!(end_reason_of_unanswered(&cause), wanted, "{status} {q850:?}");
        }
        for (sip, q850, wanted) in [
            (None, Some(16), EndReason::CustomerHungUp),
            (None, Some(38), EndReason::TrunkError),
            (Some(408), None, EndReason::NetworkLost),
            (Some(200), None, EndReason::CustomerHungUp),
        ] {
            assert_eq!(end_reason_of_cause(&EndCause::RemoteBye { why: why(sip, q850) }), wanted, "{sip:?} {q850:?}");
        }
        assert_eq!(end_reason_of_cause(&EndCause::RemoteBye { why: None }), EndReason::CustomerHungUp);
    }

    #[test]
    fn digits_in_info_bodies() {
        assert_eq!(info_digit("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(info_digit("application/dtmf-relay; x", b"signal= *\n"), Some('*'));
        assert_eq!(info_digit("application/dtmf", b"11"), Some('#'));
        assert_eq!(info_digit("text/plain", b"5"), None);
        assert_eq!(info_digit("application/dtmf", b"55"), None);
    }
}
