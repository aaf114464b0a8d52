//! Outcomes, bills and reports of calls that are over.

use super::*;
use crate::domain::call::{CallProgress, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, CallId, OrganizationId, TaskId};
use crate::domain::task::TaskStatus;

/// A call of 90 seconds.
fn call(assistant: Value) -> Call {
    let mut all = json!({"name": "Agent"});
    all.as_object_mut().unwrap().extend(assistant.as_object().unwrap().clone());
    let mut call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0));
    (call.from_number, call.to_number) = ("+31201111111".into(), "+31202222222".into());
    call.assistant = Some(all);
    call.agent = Some(AgentId::new());
    call.progress = call.progress.answer(UnixMs(10_000)).end(EndReason::CustomerHungUp, UnixMs(100_000));
    call
}

fn task(call: &Call) -> Task {
    Task {
        id: TaskId::new(),
        organization: call.organization,
        batch: None,
        agent: AgentId::new(),
        status: TaskStatus::Completed,
        failure: None,
        fields: serde_json::from_value(json!({"to_number": "+31201111111", "webhook_url": "https://task.example"}))
            .unwrap(),
        version: 1,
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
    }
}

fn sent(call: &Call, task: Option<&Task>, sends_mail: bool) -> Vec<Delivery> {
    let facts = ReportFacts {
        turns: &[],
        task,
        recording_url: Some("https://here.example/recording".into()),
        call_url: "https://here.example/call".into(),
        sends_mail,
        now: UnixMs(200_000),
    };
    reports(call, &facts, DeliveryId::new)
}

fn prices() -> PriceTable {
    serde_json::from_value(json!({
        "telephony_per_minute": 1.0, "stt_per_minute": {"deepgram/*": 2.0},
        "tts_per_million_characters": {"elevenlabs/v3": 1_000_000.0},
        "llm": {"openai/gpt": {"prompt_per_million": 1_000_000.0, "completion_per_million": 2_000_000.0}},
    }))
    .unwrap()
}

#[test]
fn an_outcome_says_whether_and_why_a_call_was_analysed() {
    let quiet = CallAnalysis::without_conversation(&call(json!({})));
    assert_eq!(
        quiet.outcome.summary.unwrap(),
        "There was no conversation to look at; the call ended with customer_hung_up."
    );
    assert_eq!(quiet.outcome.report, Some(json!({"analysed": false})));
    let failed = CallAnalysis::not_begun("internal");
    assert_eq!(failed.outcome.report, Some(json!({"analysed": false, "error": "internal"})));
    let mut found = CallAnalysis { prompt_tokens: 7, ..CallAnalysis::default() };
    found.record_failure("timeout");
    assert_eq!((found.prompt_tokens, found.outcome.summary.clone()), (7, None));
    let analysis =
        Analysis { summary: "Good".into(), report: json!({"success": true}), structured_data: Some(json!(1)) };
    found.record(analysis, Some("too large".into()));
    assert_eq!(
        found.outcome.report,
        Some(json!({"success": true, "analysed": true, "structured_data_fault": "too large"}))
    );
    assert_eq!((found.outcome.summary.as_deref(), found.outcome.extracted_data), (Some("Good"), Some(json!(1))));
}

#[test]
fn a_plan_whose_schema_cannot_be_used_is_followed_without_it() {
    let plan = |schema: Value| -> Option<AnalysisPlan> {
        Some(serde_json::from_value(json!({"min_messages_threshold": 3, "structured_data_plan": schema})).unwrap())
    };
    let good = CompiledAnalysis::new(plan(json!({"type": "object"}))).unwrap();
    assert!(good.fault.is_none() && good.plan.unwrap().structured_data_plan.is_some());
    let bad = CompiledAnalysis::new(plan(json!({"type": "no type"}))).unwrap();
    let kept = bad.plan.unwrap();
    assert_eq!((bad.fault.is_some(), kept.structured_data_plan, kept.min_messages_threshold), (true, None, Some(3)));
    assert!(CompiledAnalysis::new(None).unwrap().plan.is_none());
}

#[test]
fn a_recording_is_waited_for_only_where_one_is_expected() {
    let answered = call(json!({}));
    assert!(awaits_recording(&answered));
    let progress = CallProgress::Initiated.end(EndReason::CustomerHungUp, UnixMs(100_000));
    assert!(!awaits_recording(&Call { progress, ..answered.clone() }));
    assert!(!awaits_recording(&Call { recording: Some("a.wav".into()), ..answered }));
    assert!(!awaits_recording(&call(json!({"recording_enabled": false}))));
}

#[test]
fn the_recorded_configuration_is_read_back_without_what_others_added() {
    let tts = json!({"provider": "elevenlabs", "voice_id": "v", "language": "nl"});
    let call = call(json!({"tts_config": tts, "campaign": "spring", "id": "x", "starting_message": "Hi"}));
    let fields = agent_fields(&call);
    assert_eq!((fields.name.as_str(), analysis_language(&fields)), ("Agent", "nl"));
    assert_eq!(analysis_language(&AgentFields::default()), "en");
    assert_eq!(agent_fields(&Call { assistant: None, ..call }), AgentFields::default());
}

#[test]
fn a_call_pays_for_what_it_used_and_its_analysis() {
    let mut call = call(json!({}));
    call.metrics = Some(json!({
        "prompt_tokens": 3, "completion_tokens": 4, "characters_spoken": 5,
        "used": {"tts": {"elevenlabs/v3": 5}, "llm": {"openai/gpt": {"prompt_tokens": 3, "completion_tokens": 4}}},
    }));
    let found =
        CallAnalysis { prompt_tokens: 10, completion_tokens: 1, model: "openai/gpt".into(), ..CallAnalysis::default() };
    let (_, billed) = bill(&prices(), &call, &found, UnixMs(0));
    // 1.5 minutes of line and STT, five characters, and the tokens of call and analysis.
    let micros = 1_500_000 + 3_000_000 + 5_000_000 + 11_000_000 + 12_000_000;
    let wanted = CallUsage {
        day: "1970-01-01".into(),
        seconds: 90,
        prompt_tokens: 13,
        completion_tokens: 5,
        characters: 5,
        micros,
    };
    assert_eq!(billed, wanted);
    let again = bill_analysis(&prices(), &found);
    assert_eq!((again.micros, again.prompt_tokens, again.completion_tokens, again.seconds), (12_000_000, 10, 1, 0));
}

#[test]
fn a_realtime_model_uses_no_stt() {
    let realtime = call(json!({"llm_config": {"provider": "openai_realtime", "model": "m"}}));
    let (_, billed) = bill(&prices(), &realtime, &CallAnalysis::default(), UnixMs(0));
    assert_eq!(billed.micros, 1_500_000, "the line alone");
    let other = call(json!({"stt_config": {"provider": "openai", "model": "whisper", "language": "en"}}));
    assert_eq!(bill(&prices(), &other, &CallAnalysis::default(), UnixMs(0)).1.micros, 1_500_000, "no price is known");
}

#[test]
fn agent_task_and_mail_each_get_their_report() {
    let call = call(json!({"webhook_url": "https://a.example", "notification_email": "a@b.example"}));
    let task = task(&call);
    let all = sent(&call, Some(&task), true);
    let kinds: Vec<_> = all.iter().map(|one| (one.event_type.as_str(), one.channel)).collect();
    let webhook = DeliveryChannel::Webhook;
    assert_eq!(kinds, [("end-of-call-report", webhook), ("call_completed", webhook), ("mail", DeliveryChannel::Mail)]);
    let keys: Vec<_> = all.iter().map(|one| one.order_key.rsplit(' ').next().unwrap()).collect();
    assert_eq!(keys, ["agent", "task", "mail"]);
    assert!(all[0].body.contains("https://here.example/recording") && all[0].body.contains(&all[0].id.to_string()));
    assert!(all.iter().all(|one| one.created_at == UnixMs(200_000) && one.agent == call.agent));
    assert_eq!(all[2].target, "a@b.example");
    assert_eq!(sent(&call, None, false).len(), 1, "without a mail server there is no mail");
}

#[test]
fn only_wanted_events_are_sent_and_a_failed_call_says_so() {
    let call = call(json!({"webhook_url": "https://a.example", "webhook_events": ["tool-calls"]}));
    let progress = CallProgress::Initiated.answer(UnixMs(10_000)).end(EndReason::NetworkLost, UnixMs(100_000));
    let failed = Call { progress, ..call };
    let mut task = task(&failed);
    assert_eq!(
        sent(&failed, Some(&task), true).iter().map(|one| one.event_type.as_str()).collect::<Vec<_>>(),
        ["call_failed"]
    );
    task.fields.webhook_events = Some(vec!["call_completed".into()]);
    assert!(sent(&failed, Some(&task), true).is_empty());
}

#[test]
fn a_mail_names_the_other_party_and_the_duration() {
    let call = call(json!({"notification_email": "a@b.example"}));
    let mail = mail(&call, &agent_fields(&call), "https://here.example/call");
    assert_eq!(mail.subject, "Call with +31201111111 (1 min 30 s)");
    assert!(
        mail.text
            .starts_with("There is no summary of this call.\n\nAgent: Agent\nFrom: +31201111111\nTo: +31202222222\n")
    );
    assert!(mail.text.ends_with("Duration: 1 min 30 s\nEnded: customer_hung_up\n\nhttps://here.example/call\n"));
}
