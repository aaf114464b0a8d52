//! What a call's row says as it goes on and ends, and which rows belong to no call any more.
//!
//! Pure: the driver writes.

use crate::domain::call::Call;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::time::UnixMs;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The call was answered.
pub fn answer(call: &mut Call, now: UnixMs) {
    call.progress = call.progress.answer(now);
}

/// The call is over. One that was not answered has failed, whatever the reason.
pub fn end(call: &mut Call, reason: EndReason, now: UnixMs) {
    call.progress = call.progress.end(reason, now);
}

/// Facts from signalling that the row has.
pub fn signalling_facts(call: &Call) -> Map<String, Value> {
    match &call.signalling {
        Some(Value::Object(known)) => known.clone(),
        _ => Map::new(),
    }
}

/// A header that the call came with, among its facts.
pub fn received_header<'a>(facts: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let mut headers = facts.get("headers")?.as_object()?.iter();
    headers.find(|(there, _)| there.eq_ignore_ascii_case(name))?.1.as_str()
}

/// Sets one entry of the call's metrics.
pub fn set_metric(call: &mut Call, name: &str, value: Value) {
    call.metrics.get_or_insert_with(|| Value::Object(Map::new()))[name] = value;
}

/// Open rows of this process that no task of it holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Orphans<S> {
    /// Found now: those that are still there at the next check are ended.
    pub found: HashSet<CallId>,
    /// Found at the previous check too.
    pub to_end: Vec<(S, CallId)>,
}

/// Looks for orphans among `open` rows; `before` are those of the previous check. A row that is new may belong to a
/// call whose task starts just now.
pub fn find_orphans<S>(
    mut open: Vec<(S, CallId)>, is_held: impl Fn(CallId) -> bool, before: &HashSet<CallId>,
) -> Orphans<S> {
    open.retain(|(_, call)| !is_held(*call));
    let found = open.iter().map(|(_, call)| *call).collect();
    open.retain(|(_, call)| before.contains(call));
    Orphans { found, to_end: open }
}

/// Adds to one entry of the metrics: lists that are there already get what they do not have yet.
pub fn add_metric(call: &mut Call, name: &str, more: Value) {
    let before = call.metrics.as_mut().and_then(|metrics| metrics.get_mut(name)).map(Value::take);
    let (Some(Value::Object(mut all)), Value::Object(more)) = (before, &more) else {
        return set_metric(call, name, more);
    };
    for (field, value) in more {
        match (all.get_mut(field), value) {
            (Some(Value::Array(known)), Value::Array(new)) => {
                let unknown: Vec<Value> = new.iter().filter(|one| !known.contains(one)).cloned().collect();
                known.extend(unknown);
            }
            _ => {
                all.insert(field.clone(), value.clone());
            }
        }
    }
    set_metric(call, name, Value::Object(all));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::{CallStatus, Direction};
    use crate::domain::ids::OrganizationId;
    use serde_json::json;

    fn call() -> Call {
        Call::begun(CallId::new(), OrganizationId::new(), Direction::Outbound, UnixMs(0))
    }

    #[test]
    fn only_an_answered_call_can_be_completed() {
        for (answered, reason, wanted) in [
            (true, EndReason::CustomerHungUp, CallStatus::Completed),
            (true, EndReason::NetworkLost, CallStatus::Failed),
            (false, EndReason::CustomerHungUp, CallStatus::Failed),
            (false, EndReason::Busy, CallStatus::Failed),
        ] {
            let mut row = call();
            if answered {
                answer(&mut row, UnixMs(5));
                assert_eq!((row.status(), row.answered_at()), (CallStatus::InProgress, Some(UnixMs(5))));
            }
            end(&mut row, reason, UnixMs(9));
            assert_eq!(
                (row.status(), row.end_reason(), row.ended_at()),
                (wanted, Some(reason), Some(UnixMs(9))),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn metrics_and_facts_are_added_to_what_is_there() {
        let mut row = call();
        assert_eq!(signalling_facts(&row), Map::new());
        row.signalling = Some(json!({"headers": {}}));
        assert!(signalling_facts(&row).contains_key("headers"));
        set_metric(&mut row, "a", json!(1));
        set_metric(&mut row, "b", json!(2));
        assert_eq!(row.metrics, Some(json!({"a": 1, "b": 2})));
        for missing in [json!(["x", "y"]), json!(["y", "z"])] {
            add_metric(&mut row, "templates", json!({"missing_variables": missing, "faults": []}));
        }
        let templates = &row.metrics.unwrap()["templates"];
        assert_eq!(*templates, json!({"missing_variables": ["x", "y", "z"], "faults": []}));
    }

    #[test]
    fn a_row_is_an_orphan_when_no_task_holds_it_at_two_checks() {
        let (held, new, old) = (CallId::new(), CallId::new(), CallId::new());
        let open = || vec![((), held), ((), new), ((), old)];
        let first = find_orphans(open(), |call| call == held, &HashSet::new());
        assert_eq!((first.found.len(), first.to_end), (2, Vec::new()));
        let second = find_orphans(open(), |call| call == held, &HashSet::from([old, held]));
        assert_eq!((second.found, second.to_end), (HashSet::from([new, old]), vec![((), old)]));
    }
}
