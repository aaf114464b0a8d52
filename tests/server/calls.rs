//! Whole calls, in and out.

use super::support::{NUMBER, PATIENCE, Server, agent, lines};
use serde_json::json;
use trunkline_lab::caller::script::CallScript;
use trunkline_media::frame::level_dbfs;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::user_agent::{SipEvent, Transport};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_answered_understood_and_recorded() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let server = Server::start().await;
        let script =
            CallScript::parse("listen; say hello; listen; say opening_hours; listen; say goodbye; listen").unwrap();
        let report = server.phone.dial(&server.dial_to(NUMBER, transport), &script, None).await;
        assert_eq!(report.failure, None);
        assert!(report.ended_by_agent && report.responses_ms.len() >= 2, "{report:?}");
        let call = server.last_call().await;
        assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("agent_hung_up")));
        assert_eq!(
            lines(&call),
            [
                "assistant: Good morning, this is Acme.",
                "user: Hello, good morning.",
                "assistant: Good morning! How can I help you?",
                "user: What are your opening hours?",
                "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
                "user: Thank you, goodbye.",
                "assistant: You're welcome. Goodbye!",
                "tool: end_call: the call ends",
            ]
        );
        let (caller, agent) = server.recording(call["id"].as_str().unwrap()).await;
        let turn = |index: usize, name: &str| (call["transcript"][index][name].as_f64().unwrap() * 8.0) as usize;
        let (from, to) = (turn(4, "started_at_ms") + 800, turn(4, "ended_at_ms") - 800);
        assert!(level_dbfs(&agent[from..to]) > -35.0 && level_dbfs(&caller[from..to]) < -60.0);
        let (from, to) = (turn(3, "started_at_ms") + 800, turn(3, "ended_at_ms") - 800);
        assert!(level_dbfs(&caller[from..to]) > -35.0 && level_dbfs(&agent[from..to]) < -60.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_interrupts_and_the_transcript_says_what_was_heard() {
    let server = Server::start().await;
    let report = server.call("listen; say order_number; interrupt wait_stop; listen; say goodbye; listen").await;
    assert_eq!(report.failure, None);
    assert!(report.barge_ins_ms[0] < 400.0, "{:?}", report.barge_ins_ms);
    let call = server.last_call().await;
    let cut = &call["transcript"][2];
    let heard = cut["content"].as_str().unwrap();
    assert_eq!(cut["interrupted"], json!(true));
    assert!(heard.starts_with("Thank you.") && heard.len() < 120, "{heard}");
    assert_eq!(lines(&call)[3], "user: Wait, stop, one moment please.");
    assert_eq!(call["metrics"]["barge_ins"], json!(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_calls_out_once() {
    let mut server = Server::start().await;
    let task = json!({"agent_id": server.agent, "name": "Check", "to_number": "+15550199",
        "starting_message": "Hello, is your address still correct?", "context_data": {"name": "Jan"}});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    let call = server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].clone();
    let (status, refused) = server.send("POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await;
    assert_eq!((status, &refused["details"]["code"]), (400, &json!("invalid_state")));
    let incoming = server.incoming.recv().await.unwrap();
    assert_eq!(incoming.incoming.request_uri.user_plain().as_deref(), Some("+15550199"));
    let ringing = server.get(&format!("/calls/{}", call.as_str().unwrap())).await;
    assert_eq!(ringing["call"]["status"], json!("initiated"));
    assert_eq!(server.get(&format!("/tasks/{task}")).await["task"]["status"], json!("in_progress"));
    let script = CallScript::parse("listen; say yes_correct; listen; say goodbye; listen").unwrap();
    let report = server.phone.answer(incoming, &script, None).await;
    assert_eq!(report.failure, None);
    let last = server.last_call().await;
    assert_eq!((&last["id"], &last["task_id"], &last["direction"]), (&call, &json!(task), &json!("outbound")));
    assert_eq!(lines(&last)[..2], ["assistant: Hello, is your address still correct?", "user: Yes, that is correct."]);
    assert_eq!(server.get(&format!("/tasks/{task}")).await["task"]["status"], json!("completed"));
    let reset = server.post(&format!("/tasks/{task}/reset"), json!({})).await;
    assert_eq!(reset["task"]["status"], json!("pending"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_is_busy_or_a_call_is_cancelled_while_it_rings() {
    let mut server = Server::start().await;
    let make = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", make.clone()).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let call = server.incoming.recv().await.unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    assert_eq!(server.last_call().await["end_reason"], json!("busy"));
    assert_eq!(server.get(&format!("/tasks/{task}")).await["task"]["status"], json!("failed"));

    let task = server.post("/tasks", make).await["task"]["id"].as_str().unwrap().to_owned();
    let call = server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned();
    let mut ringing = server.incoming.recv().await.unwrap();
    server.phone.sip.send_provisional(ringing.incoming.call, 180, None).await;
    server.post(&format!("/calls/{call}/cancel"), json!({})).await;
    let ended = server.last_call().await;
    assert_eq!((&ended["status"], &ended["end_reason"]), (&json!("failed"), &json!("canceled")));
    let canceled = async {
        loop {
            match ringing.events.recv().await.expect("the phone is told that the call is over") {
                SipEvent::Ended { cause, .. } => return cause,
                SipEvent::Answered { .. } => panic!("nobody answered"),
                _ => {}
            }
        }
    };
    let cause = tokio::time::timeout(PATIENCE, canceled).await.expect("the phone stops ringing");
    assert!(matches!(cause, EndCause::RemoteCancel { .. }), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_ends_a_call_and_reset_cancels_a_task() {
    let server = Server::start().await;
    let script = "listen; pause 20000; hangup";
    let (report, ended) = tokio::join!(server.call(script), async {
        let id = server.live_call().await;
        let (status, body) = server.send("GET", &format!("/calls/{id}/recording"), None).await;
        assert_eq!((status, &body["details"]["code"]), (400, &json!("invalid_state")), "not before the end");
        server.post(&format!("/calls/{id}/end"), json!({})).await
    });
    assert!(report.ended_by_agent);
    assert_eq!((&ended["call"]["status"], &ended["call"]["end_reason"]), (&json!("completed"), &json!("ended_by_api")));
    let id = ended["call"]["id"].as_str().unwrap();
    let (status, body) = server.send("POST", &format!("/calls/{id}/end"), Some(json!({}))).await;
    assert_eq!((status, &body["details"]["code"]), (400, &json!("invalid_state")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digits_reach_the_model_and_a_hang_up_keeps_the_last_words() {
    let server = Server::start().await;
    let report = server.call("listen; dtmf 12#; listen; say speak_to_human; hangup").await;
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("customer_hung_up")));
    let lines = lines(&call);
    // The hang-up follows the words at once; the agent may have begun to answer them.
    let at = |wanted: &str| lines.iter().position(|line| line == wanted);
    let (digits, words) = (at("user: [DTMF 12]"), at("user: Can I speak to a human being?"));
    assert!(digits.is_some() && digits < words, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tts_provider_speaks() {
    let server = Server::start().await;
    for (provider, voice) in [("openai", "alloy"), ("local", "en-us"), ("elevenlabs", "v")] {
        let mut changed = agent();
        changed["tts_config"] = json!({"provider": provider, "voice_id": voice, "language": "en"});
        server.send("PATCH", &format!("/agents/{}", server.agent), Some(changed)).await;
        let report = server.call("listen; hangup").await;
        assert!(report.failure.is_none() && report.heard_seconds > 0.8, "{provider}: {report:?}");
        assert!((-40.0..-10.0).contains(&report.level_dbfs), "{provider}: {} dBFS", report.level_dbfs);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_tts_is_replaced_and_recorded() {
    let server = Server::start_with(|config| config.providers.cartesia.api_key = None).await;
    let voice = json!({"tts_config": {"provider": "cartesia", "voice_id": "v", "language": "en"}});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(voice)).await;
    let report = server.call("listen; hangup").await;
    assert!(report.failure.is_none() && report.heard_seconds > 0.5, "{report:?}");
    let call = server.last_call().await;
    assert_eq!(call["metrics"]["provider_errors"]["tts_not_configured"], json!(1), "{call}");
    let replaced = &call["metrics"]["failovers"][0];
    let wanted = ("cartesia/default", "local/default", "not_configured");
    let text = |name: &str| replaced[name].as_str().unwrap();
    assert_eq!((text("from"), text("to"), text("why")), wanted);
    assert_eq!(lines(&call), ["assistant: Good morning, this is Acme."]);
}
