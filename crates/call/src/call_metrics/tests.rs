//! Stages of turns, spans, and the figures of a record.

use super::*;
use crate::domain::call::Direction;
use crate::domain::ids::{CallId, OrganizationId};
use crate::domain::time::UnixMs;

fn turn() -> TurnMetrics {
    TurnMetrics {
        response_id: 1,
        speech_ended_ms: 1_000,
        final_ms: Some(1_100),
        decided_ms: 1_300,
        first_token_ms: Some(1_600),
        first_segment_ms: None,
        first_audio_ms: Some(1_900),
        first_packet_ms: Some(2_000),
        llm: Some("openai/gpt".into()),
        tts: None,
        decision: None,
    }
}

#[test]
fn a_turn_is_timed_by_stage_and_as_a_whole() {
    let wanted = [
        ("recogniser", 0.1),
        ("decision", 0.2),
        ("model", 0.3),
        ("voice", 0.3),
        ("playout", 0.1),
        ("end_of_turn", 0.3),
        ("response", 1.0),
    ];
    assert_eq!(turn_seconds(&turn()), wanted);
    let silent = TurnMetrics { first_packet_ms: None, ..turn() };
    assert!(turn_seconds(&silent).iter().all(|(name, _)| *name != "response"));
}

#[test]
fn spans_begin_with_the_answer_and_an_unanswered_call_has_none() {
    let mut call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0));
    assert!(trace(&call, &[turn()]).is_none());
    call.progress = call.progress.answer(UnixMs(10_000)).end(EndReason::CustomerHungUp, UnixMs(20_000));
    let spans = trace(&call, &[turn()]).unwrap();
    assert_eq!((spans.whole.from_ms, spans.whole.to_ms, spans.end_reason), (10_000, 20_000, Some("customer_hung_up")));
    let whole = &spans.turns[0].whole;
    assert_eq!((whole.from_ms, whole.to_ms), (11_000, 12_000));
    assert_eq!((spans.turns[0].stages.len(), spans.turns[0].model.as_deref()), (5, Some("openai/gpt")));
}

#[test]
fn what_was_recorded_before_the_end_stays_in_the_record() {
    let stats = LegStats { packets_received: 7, mos: Some(4.256), ..LegStats::default() };
    let before = Some(json!({"schemas": {"faults": ["x"]}, "turns": "kept"}));
    let figures = final_metrics(json!({"turns": []}), Some(&stats), before);
    assert_eq!((&figures["turns"], &figures["schemas"]["faults"][0]), (&json!("kept"), &json!("x")));
    assert_eq!((&figures["media"]["packets_received"], &figures["media"]["mos"]), (&json!(7), &json!(4.26)));
    assert_eq!(final_metrics(json!({"turns": []}), None, None), json!({"turns": []}));
}
