//! What the API shows of a call's progress.

use super::*;
use crate::domain::call::CallProgress;
use crate::domain::ids::OrganizationId;
use serde_json::json;

/// Status, reason, times and duration, as JSON shows them.
fn shown(progress: CallProgress) -> Value {
    let call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0));
    let view = serde_json::to_value(CallView::from(&Call { progress, ..call })).unwrap();
    json!([view["status"], view["end_reason"], view["answered_at"], view["ended_at"], view["duration_seconds"]])
}

#[test]
fn a_call_shows_how_far_it_has_come() {
    let (begin, end) = ("1970-01-01T00:00:05.000Z", "1970-01-01T00:00:09.000Z");
    let answered = CallProgress::Initiated.answer(UnixMs(5_000));
    for (progress, wanted) in [
        (CallProgress::Initiated, json!(["initiated", null, null, null, null])),
        (answered, json!(["in_progress", null, begin, null, null])),
        (
            answered.end(EndReason::CustomerHungUp, UnixMs(9_000)),
            json!(["completed", "customer_hung_up", begin, end, 4]),
        ),
        (answered.end(EndReason::NetworkLost, UnixMs(9_000)), json!(["failed", "network_lost", begin, end, 4])),
        (
            CallProgress::Initiated.end(EndReason::CustomerHungUp, UnixMs(9_000)),
            json!(["failed", "customer_hung_up", null, end, null]),
        ),
    ] {
        assert_eq!(shown(progress), wanted);
    }
}

/// Rows that other versions wrote: the status is the row's own, also where this version would say another.
#[test]
fn a_row_of_another_version_shows_what_it_says() {
    let (begin, end) = (Some(UnixMs(5_000)), Some(UnixMs(9_000)));
    let (began, ended) = ("1970-01-01T00:00:05.000Z", "1970-01-01T00:00:09.000Z");
    for (status, reason, answered_at, ended_at, wanted) in [
        (CallStatus::Completed, None, begin, end, json!(["completed", null, began, ended, 4])),
        (CallStatus::Failed, None, None, None, json!(["failed", null, null, null, null])),
        (CallStatus::Completed, Some(EndReason::Busy), None, end, json!(["completed", "busy", null, ended, null])),
        (CallStatus::Failed, Some(EndReason::Silence), begin, end, json!(["failed", "silence", began, ended, 4])),
        (CallStatus::InProgress, None, None, None, json!(["in_progress", null, null, null, null])),
        (CallStatus::Initiated, None, begin, end, json!(["initiated", null, began, ended, 4])),
    ] {
        assert_eq!(shown(CallProgress::from_columns(status, reason, answered_at, ended_at)), wanted);
    }
}
