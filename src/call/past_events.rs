//! The events of a call that somebody asks for later: what its webhooks said, and what they would have said where none
//! were sent.
//!
//! Pure: rows and links are arguments.

use crate::domain::call::Call;
use crate::domain::ids::DeliveryId;
use crate::domain::time::UnixMs;
use crate::domain::transcript::Turn;
use crate::webhooks::event;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The events that every call has, whether or not somebody is told of them.
pub const OF_EVERY_CALL: [&str; 2] = [event::STATUS_UPDATE, event::END_OF_CALL_REPORT];

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct PastEvent {
    /// When it happened; events are listed by it.
    pub at: UnixMs,
    /// The same JSON as the body of a webhook.
    pub body: Value,
}

/// The events of a call that were not sent. `sent` are the bodies of its status updates and reports that were.
pub fn unsent(call: &Call, turns: &[Turn], recording_url: Option<String>, sent: &[Value]) -> Vec<PastEvent> {
    let mut all = Vec::new();
    let is_sent = |kind: &str, status: Option<&Value>| {
        sent.iter().any(|one| one["type"] == kind && status.is_none_or(|status| one["status"] == *status))
    };
    let mut add_status = |call: &Call, at: UnixMs| {
        let body = event::status_update(id_of(call, call.status().name()), call, at);
        if !is_sent(event::STATUS_UPDATE, Some(&body["status"])) {
            all.push(PastEvent { at, body });
        }
    };
    if let Some(at) = call.answered_at() {
        let begun = Call::begun(call.id, call.organization, call.direction, call.started_at);
        add_status(&Call { progress: begun.progress.answer(at), ..call.clone() }, at);
    }
    if let Some(at) = call.ended_at() {
        add_status(call, at);
        let is_reported = call.outcome.report.is_some() || call.outcome.summary.is_some();
        if is_reported && !is_sent(event::END_OF_CALL_REPORT, None) {
            let id = id_of(call, event::END_OF_CALL_REPORT);
            all.push(PastEvent { at, body: event::end_of_call_report(id, call, turns, recording_url, at) });
        }
    }
    all
}

/// The id of an event that was never sent: the same each time somebody asks.
fn id_of(call: &Call, name: &str) -> DeliveryId {
    let hash = Sha256::digest(format!("{} {name}", call.id));
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    DeliveryId::parse(&hex).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::{CallOutcome, Direction};
    use crate::domain::end_reason::EndReason;
    use crate::domain::ids::{CallId, OrganizationId};
    use serde_json::json;

    fn call() -> Call {
        let begun = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(1_000));
        let progress = begun.progress.answer(UnixMs(2_000)).end(EndReason::CustomerHungUp, UnixMs(9_000));
        let outcome = CallOutcome { summary: Some("Short.".into()), report: Some(json!({})), ..CallOutcome::default() };
        Call { progress, outcome, ..begun }
    }

    fn told(call: &Call, sent: &[Value]) -> Vec<String> {
        let name = |event: &PastEvent| {
            format!(
                "{} {} {}",
                event.at.0,
                event.body["type"].as_str().unwrap(),
                event.body["status"].as_str().unwrap_or("-")
            )
        };
        unsent(call, &[], None, sent).iter().map(name).collect()
    }

    #[test]
    fn a_call_that_nobody_was_told_of_has_its_events() {
        let all = ["2000 status-update in-progress", "9000 status-update ended", "9000 end-of-call-report -"];
        assert_eq!(told(&call(), &[]), all);
        let sent = [json!({"type": "status-update", "status": "in-progress"}), json!({"type": "end-of-call-report"})];
        assert_eq!(told(&call(), &sent), all[1..2]);
    }

    #[test]
    fn what_has_not_happened_yet_is_no_event() {
        let begun = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(1_000));
        assert!(told(&begun, &[]).is_empty());
        let answered = Call { progress: begun.progress.answer(UnixMs(2_000)), ..begun.clone() };
        assert_eq!(told(&answered, &[]), ["2000 status-update in-progress"]);
        let failed = Call { progress: begun.progress.end(EndReason::Busy, UnixMs(3_000)), ..begun };
        assert_eq!(told(&failed, &[]), ["3000 status-update ended-with-error"]);
    }

    #[test]
    fn an_event_has_the_same_id_each_time_and_another_than_its_neighbours() {
        let call = call();
        let ids = || {
            unsent(&call, &[], None, &[]).iter().map(|event| event.body["message_id"].to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(), ids());
        assert!(ids()[0] != ids()[1] && ids()[1] != ids()[2]);
    }
}
