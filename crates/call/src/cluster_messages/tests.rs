//! Messages and what is done about them; subscriptions in virtual time.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use super::*;
use crate::domain::transcript::TurnRole;
use serde_json::json;

fn turn(content: &str) -> Turn {
    Turn {
        role: TurnRole::User,
        content: content.to_owned(),
        started_at_ms: 0,
        ended_at_ms: 0,
        interrupted: false,
        confidence: None,
        agent_id: None,
        said_by: None,
    }
}

/// The organization `ours` is known.
fn done(message: serde_json::Value) -> ClusterEffect<&'static str> {
    let message = serde_json::from_value(message).unwrap();
    effect(message, |organization| (organization == "ours").then_some("ours"))
}

#[test]
fn a_message_does_something_only_where_everything_it_names_is_known() {
    let (call, task) = (CallId::new(), TaskId::new());
    let (id, other) = (call.to_string(), task.to_string());
    let end = |organization: &str, call: &str, reason: &str| {
        done(json!({"type": "end", "organization": organization, "call": call, "reason": reason}))
    };
    assert_eq!(end("ours", &id, "ended_by_api"), ClusterEffect::End("ours", call, EndReason::EndedByApi));
    assert_eq!(end("theirs", &id, "ended_by_api"), ClusterEffect::Nothing);
    assert_eq!(end("ours", "no id", "ended_by_api"), ClusterEffect::Nothing);
    assert_eq!(end("ours", &id, "a later version's"), ClusterEffect::Nothing);
    let end_task = json!({"type": "end_task", "organization": "ours", "task": other, "reason": "canceled"});
    assert_eq!(done(end_task), ClusterEffect::EndTask("ours", task, EndReason::Canceled));
    let changed = |status: &str| done(json!({"type": "changed", "organization": "ours", "call": id, "status": status}));
    assert_eq!(changed("completed"), ClusterEffect::Announce("ours", call, CallStatus::Completed));
    assert_eq!(changed("paused"), ClusterEffect::Nothing);
    assert_eq!(done(json!({"type": "trunks"})), ClusterEffect::ReloadTrunks);
    assert_eq!(done(json!({"type": "over", "call": id})), ClusterEffect::DropListeners(call));
}

#[test]
fn a_subscription_of_an_older_version_is_no_new_listener() {
    let call = CallId::new();
    let listen = |more: serde_json::Value| {
        let mut message = json!({"type": "listen", "organization": "ours", "call": call.to_string()});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        done(message)
    };
    assert_eq!(listen(json!({})), ClusterEffect::Forward { scope: "ours", call, from_start: false });
    assert_eq!(listen(json!({"from_start": true})), ClusterEffect::Forward { scope: "ours", call, from_start: true });
}

#[test]
fn an_update_arrives_as_it_was_sent() {
    let call = CallId::new();
    let status = LiveUpdate::Status { status: CallStatus::Failed, end_reason: Some(EndReason::Busy) };
    for update in [
        LiveUpdate::Turn { position: 3, turn: turn("Hello") },
        LiveUpdate::Interim { text: "Hel".into() },
        LiveUpdate::Status { status: CallStatus::InProgress, end_reason: None },
        status,
    ] {
        let text = serde_json::to_value(update_message(call, update.clone())).unwrap();
        assert_eq!(done(text), ClusterEffect::Update(call, update));
    }
}

#[test]
fn a_turn_too_long_for_a_message_is_read_and_interim_words_are_cut() {
    let call = CallId::new();
    let sent = |content: &str| update_message(call, LiveUpdate::Turn { position: 1, turn: turn(content) });
    let long = "a".repeat(MESSAGE_BYTES_MAX / 2);
    assert!(matches!(sent(&long), ClusterMessage::Turn { .. }), "plain text needs no escapes");
    assert!(matches!(sent(&"\u{1}".repeat(MESSAGE_BYTES_MAX / 2)), ClusterMessage::LongTurn { position: 1, .. }));
    assert!(matches!(sent(&"a".repeat(MESSAGE_BYTES_MAX)), ClusterMessage::LongTurn { .. }));
    let ClusterMessage::Interim { text, .. } =
        update_message(call, LiveUpdate::Interim { text: "é".repeat(MESSAGE_BYTES_MAX) })
    else {
        panic!("another message");
    };
    assert!(text.len() <= MESSAGE_BYTES_MAX / 6 - 100 && text.chars().all(|c| c == 'é'));
    assert_eq!(
        done(serde_json::to_value(sent(&"a".repeat(MESSAGE_BYTES_MAX))).unwrap()),
        ClusterEffect::ReadTurn(call, 1)
    );
}

#[test]
fn updates_are_forwarded_until_nobody_renews() {
    let (start, call) = (Instant::now(), CallId::new());
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut calls = ForwardedCalls::default();
    assert_eq!(calls.until(call, start), start);
    assert_eq!(calls.subscribe(call, true, start, || 1), Subscribed::Start(1));
    assert_eq!(calls.until(call, start), at(15));
    assert_eq!(calls.subscribe(call, false, at(5), || 2), Subscribed::Renewed);
    assert_eq!(calls.subscribe(call, true, at(10), || 3), Subscribed::SendAgain(1));
    assert!(!calls.expire(call, at(24)), "renewed at ten");
    assert!(calls.expire(call, at(25)));
    assert_eq!(calls.subscribe(call, false, at(30), || 4), Subscribed::Start(4));
    calls.remove(call);
    assert!(calls.expire(call, at(30)));
}
