//! The events of a call that somebody asks for later: what its webhooks said, and what they would have said where none
//! were sent.
//!
//! Pure: rows and links are arguments.

use crate::domain::call::Call;
use crate::domain::ids::{AgentId, DeliveryId};
use crate::domain::time::UnixMs;
use crate::domain::transcript::Turn;
use crate::webhooks::event;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The events that a call has, whether or not somebody is told of them.
pub const OF_EVERY_CALL: [&str; 3] = [event::STATUS_UPDATE, event::AGENT_CHANGED, event::END_OF_CALL_REPORT];

/// How far the time of a change may be from that of the webhook that told it.
const SAME_CHANGE_MS: i64 = 5_000;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct PastEvent {
    /// When it happened; events are listed by it.
    pub at: UnixMs,
    /// The same JSON as the body of a webhook.
    pub body: Value,
}

/// The events of a call that were not sent. `sent` are the bodies of its status updates, changes of agent and reports that
/// were.
pub fn unsent(call: &Call, turns: &[Turn], recording_url: Option<String>, sent: &[Value]) -> Vec<PastEvent> {
    let mut all = Vec::new();
    let is_sent = |kind: &str, status: Option<&Value>| {
        sent.iter().any(|one| one["type"] == kind && status.is_none_or(|status| one["status"] == *status))
    };
    all.extend(ignored(call));
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
    all.extend(agent_changes(call).into_iter().filter(|change| !sent.iter().any(|one| tells(one, change))));
    all.extend(controls(call));
    let mut add_status = |call: &Call, at: UnixMs| {
        let body = event::status_update(id_of(call, call.status().name()), call, at);
        if !is_sent(event::STATUS_UPDATE, Some(&body["status"])) {
            all.push(PastEvent { at, body });
        }
    };
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

/// The changes of agent, as the call's metrics have them. The assistant of the last one is known; of those between there
/// are id and name.
fn agent_changes(call: &Call) -> Vec<PastEvent> {
    let agents = call.metrics.as_ref().and_then(|metrics| metrics.get("agents")).and_then(Value::as_array);
    let (Some(agents), Some(answered)) = (agents, call.answered_at()) else { return Vec::new() };
    let id_of_agent = |agent: &Value| agent["agent_id"].as_str().and_then(AgentId::parse);
    let changes = agents.iter().zip(agents.iter().skip(1)).enumerate();
    let change = |(place, (previous, next)): (usize, (&Value, &Value))| {
        let at = UnixMs(answered.0 + next["from_ms"].as_i64().unwrap_or_default());
        let known = call.assistant.clone().filter(|_| place + 2 == agents.len());
        let assistant = known.unwrap_or_else(|| json!({"id": next["agent_id"], "name": next["name"]}));
        let call = Call { agent: id_of_agent(next), assistant: Some(assistant), ..call.clone() };
        let id = id_of(&call, &format!("{} {place}", event::AGENT_CHANGED));
        PastEvent { at, body: event::agent_changed(id, &call, id_of_agent(previous), at) }
    };
    changes.map(change).collect()
}

/// The commands from beside the call, which no webhook tells.
fn controls(call: &Call) -> Vec<PastEvent> {
    let notes = call.metrics.as_ref().and_then(|metrics| metrics.get("controls")).and_then(Value::as_array);
    let (Some(notes), Some(answered)) = (notes, call.answered_at()) else { return Vec::new() };
    let told = |(place, note): (usize, &Value)| {
        let at = UnixMs(answered.0 + note["at_ms"].as_i64().unwrap_or_default());
        let id = id_of(call, &format!("{} {place}", event::CALL_CONTROL));
        PastEvent { at, body: event::call_control(id, call, note, at) }
    };
    notes.iter().enumerate().map(told).collect()
}

/// What of the customer's answer to `assistant-request` was ignored; no webhook tells it.
fn ignored(call: &Call) -> Option<PastEvent> {
    let faults = call.metrics.as_ref()?.get("assistant_request")?.get("faults")?.as_array()?;
    let faults: Vec<String> = faults.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let at = call.started_at;
    let body = event::assistant_ignored(id_of(call, event::ASSISTANT_IGNORED), call, faults, at);
    Some(PastEvent { at, body })
}

/// Whether a webhook told this change: a call may go to the same agent several times.
fn tells(sent: &Value, change: &PastEvent) -> bool {
    let is_same = ["type", "agent_id", "previous_agent_id"].iter().all(|field| sent[field] == change.body[field]);
    let at = sent["timestamp"].as_str().and_then(UnixMs::parse);
    is_same && at.is_some_and(|at| at.0.abs_diff(change.at.0) <= SAME_CHANGE_MS.unsigned_abs())
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
    fn every_change_of_agent_is_an_event() {
        let agents = [AgentId::new(), AgentId::new()];
        let share = |agent: usize, from_ms: u64| json!({"agent_id": agents[agent], "name": "n", "from_ms": from_ms});
        let metrics = json!({"agents": [share(0, 0), share(1, 2_000), share(0, 2_500), share(1, 20_000)]});
        let assistant = json!({"id": agents[1], "name": "Billing"});
        let call =
            Call { metrics: Some(metrics), assistant: Some(assistant.clone()), agent: Some(agents[1]), ..call() };
        let changes = |sent: &[Value]| {
            let all = unsent(&call, &[], None, sent);
            all.into_iter().filter(|one| one.body["type"] == "agent-changed").collect::<Vec<_>>()
        };
        let all = changes(&[]);
        assert_eq!(all.iter().map(|one| one.at.0).collect::<Vec<_>>(), [4_000, 4_500, 22_000]);
        assert_eq!(
            (&all[0].body["agent_id"], &all[0].body["previous_agent_id"]),
            (&json!(agents[1]), &json!(agents[0]))
        );
        assert_eq!((&all[0].body["agent_name"], &all[2].body["agent_name"]), (&json!("n"), &json!("Billing")));
        assert_eq!(all[2].body["assistant"], assistant);
        assert!(all[0].body["message_id"] != all[2].body["message_id"]);
        let told = event::agent_changed(DeliveryId::new(), &call, Some(agents[0]), UnixMs(22_030));
        let left: Vec<i64> = changes(&[told]).iter().map(|one| one.at.0).collect();
        assert_eq!(left, [4_000, 4_500], "the same agents at another time are another change");
        let order = |one: &PastEvent| one.body["type"].as_str().unwrap().to_owned();
        let kinds: Vec<String> = unsent(&call, &[], None, &[]).iter().map(order).collect();
        assert_eq!(kinds[..2], ["status-update", "agent-changed"]);
        assert_eq!(kinds.last().unwrap(), "end-of-call-report");
    }

    #[test]
    fn what_was_ignored_of_the_customers_answer_is_an_event() {
        let metrics = json!({"assistant_request": {"faults": ["assistant_override: ignored"]}});
        let call = Call { metrics: Some(metrics), ..call() };
        assert_eq!(told(&call, &[])[..2], ["1000 assistant-ignored -", "2000 status-update in-progress"]);
        assert_eq!(unsent(&call, &[], None, &[])[0].body["faults"], json!(["assistant_override: ignored"]));
    }

    #[test]
    fn commands_from_beside_a_call_are_its_events() {
        let note =
            |control: &str, at_ms: u64| json!({"control": control, "text": "Hi.", "by": "a@b.c", "at_ms": at_ms});
        let metrics = json!({"controls": [note("instruct", 1_500), note("say", 2_500)]});
        let call = Call { metrics: Some(metrics), ..call() };
        let all = ["2000 status-update in-progress", "3500 call-control -", "4500 call-control -"];
        assert_eq!(told(&call, &[])[..3], all);
        let body = &unsent(&call, &[], None, &[])[1].body;
        assert_eq!(
            (&body["control"], &body["text"], &body["by"]),
            (&json!("instruct"), &json!("Hi."), &json!("a@b.c"))
        );
        let sent = [json!({"type": "status-update", "status": "in-progress"})];
        assert_eq!(told(&call, &sent)[..2], all[1..], "webhooks do not tell them");
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
