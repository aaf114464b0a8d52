//! Calls that one agent hands to another, over real SIP: who speaks, with which providers, and what is recorded.

use super::conversation::rule;
use super::support::{CustomerServer, NUMBER, Server, agent, at_once, lines};
use serde_json::{Value, json};
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::emulator::{ReplyScript, ScriptedTool};
use trunkline_signaling::sip::user_agent::Transport;

fn wants_billing() -> ReplyScript {
    let mut script = ReplyScript::default();
    let arguments = json!({"agent": "billing", "summary": "The caller asks about an invoice."});
    let mut asks = rule(&["human"], "I will ask billing.", None);
    asks.tool = Some(ScriptedTool { name: "transfer_agent".into(), arguments });
    script.0.insert(0, asks);
    script
}

/// Billing, which has other providers for everything.
fn billing() -> Value {
    let mut billing = agent();
    billing["name"] = json!("Billing");
    billing["first_message"] = json!("Billing here, how can I help?");
    billing["stt_config"] = json!({"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"});
    billing["llm_config"] = json!({"provider": "anthropic", "model": "claude-haiku-5-5"});
    billing["tts_config"] = json!({"provider": "cartesia", "voice_id": "v", "language": "en"});
    billing
}

impl Server {
    /// Creates an agent that the one of the test's number can hand calls to.
    async fn can_hand_over_to(&self, next: Value, more: Value) -> String {
        let id = self.post("/agents", next).await["agent"]["id"].as_str().unwrap().to_owned();
        let mut target = json!({"agent_id": id, "name": "billing", "description": "Invoices"});
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, body) = self.patch_agent(json!({"handover_config": {"agents": [target]}})).await;
        assert_eq!(status, 200, "{body}");
        id
    }

    async fn patch_agent(&self, changes: Value) -> (u16, Value) {
        self.send("PATCH", &format!("/agents/{}", self.agent), Some(changes)).await
    }

    /// A caller who asks for billing.
    async fn call_billing(&self, caller: &str) -> Value {
        let dial = self.dial_to(NUMBER, Transport::Udp);
        let report = self.phone.dial(&dial, &CallScript::parse(caller).unwrap(), None).await;
        assert_eq!(report.failure, None);
        self.last_call().await
    }
}

/// Who said a turn.
fn speaker<'a>(call: &'a Value, words: &str) -> &'a Value {
    let turns = call["transcript"].as_array().unwrap();
    let turn = turns.iter().find(|turn| turn["content"].as_str().unwrap().contains(words));
    &turn.unwrap_or_else(|| panic!("{words}: {:?}", lines(call)))["agent_id"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_agent_goes_on_in_the_same_call_with_its_own_providers() {
    let server = Server::start_scripted(wants_billing(), |_| {}).await;
    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    let (status, body) = server.patch_agent(json!({"webhook_url": receiver.url})).await;
    assert_eq!(status, 200, "{body}");
    let next = server.can_hand_over_to(billing(), json!({"opening": "greet"})).await;
    let caller = "listen; say speak_to_human; listen; pause 3000; say opening_hours; listen; say goodbye; listen";
    let call = server.call_billing(caller).await;
    assert_eq!(call["end_reason"], json!("agent_hung_up"), "{:?}", lines(&call));
    assert_eq!(server.get("/calls").await["total"], json!(1), "it is one call");
    let (first, next) = (json!(server.agent), json!(next));
    assert_eq!(speaker(&call, "Good morning, this is Acme."), &first);
    assert_eq!(speaker(&call, "transfer_agent: handed over to billing"), &first);
    assert_eq!(speaker(&call, "Billing here, how can I help?"), &next);
    assert_eq!(speaker(&call, "We are open"), &next);
    assert_eq!(speaker(&call, "What are your opening hours"), &Value::Null, "the caller is no agent");
    assert_eq!(call["agent_id"], next, "the last agent has the call");
    let metrics = &call["metrics"];
    assert_eq!((&metrics["agents"][0]["agent_id"], &metrics["agents"][1]["agent_id"]), (&first, &next), "{metrics}");
    assert_eq!(metrics["agents"][1]["stt"], json!("openai/gpt-4o-transcribe"));
    let used = metrics["used"].to_string();
    for name in ["openai/gpt-4o-mini", "anthropic/claude-haiku-5-5", "elevenlabs/", "cartesia/"] {
        assert!(used.contains(name), "{name}: {used}");
    }
    let changed = &receiver.wait("/agent-changed", 1).await[0].body;
    assert_eq!((&changed["agent_id"], &changed["previous_agent_id"]), (&next, &first), "{changed}");
    assert_eq!((&changed["agent_name"], &changed["call"]["id"]), (&json!("Billing"), &call["id"]));
    let report = &receiver.wait("/end-of-call-report", 1).await[0].body;
    let events = server.get(&format!("/calls/{}/events", call["id"].as_str().unwrap())).await;
    let all = events["events"].as_array().unwrap();
    assert_eq!(all.iter().filter(|one| one["type"] == json!("agent-changed")).count(), 1, "once: {events}");
    assert_eq!(report["assistant"]["name"], json!("Billing"), "{report}");
    let items = report["cost"]["items"].as_array().unwrap();
    let heard: Vec<&Value> =
        items.iter().filter(|item| item["kind"] == json!("stt")).map(|item| &item["model"]).collect();
    assert_eq!(heard, [&json!("nova-3-general"), &json!("gpt-4o-transcribe")], "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_speaks_while_the_agents_change_is_heard_once() {
    let server = Server::start_scripted(wants_billing(), |_| {}).await;
    server.can_hand_over_to(billing(), json!({"opening": "greet", "announcement": "One moment please."})).await;
    let caller = "listen; say speak_to_human; listen; say opening_hours; listen; pause 2000; say goodbye; listen";
    let call = server.call_billing(caller).await;
    let said = lines(&call);
    let heard = said.iter().filter(|line| line.starts_with("user:") && line.contains("opening hours")).count();
    assert_eq!(heard, 1, "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("assistant: We are open")), "{said:?}");
    let greetings = said.iter().filter(|line| line.contains("Billing here")).count();
    assert!(greetings <= 1, "{said:?}");
    // Nobody was told of the change, and it is among the events that can be asked for.
    let events = server.get(&format!("/calls/{}/events", call["id"].as_str().unwrap())).await;
    let all = events["events"].as_array().unwrap();
    let changed = all.iter().find(|one| one["type"] == json!("agent-changed")).unwrap_or_else(|| panic!("{events}"));
    assert_eq!((&changed["agent_id"], &changed["agent_name"]), (&call["agent_id"], &json!("Billing")), "{changed}");
    assert_eq!(changed["previous_agent_id"], json!(server.agent));
    assert_eq!(events["total"], json!(all.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_agent_knows_what_tools_of_the_one_before_have_set() {
    let customer = CustomerServer::start(|_| at_once(&json!({"name": "Jan"}))).await;
    let mut script = wants_billing();
    let mut finds = rule(&["order"], "", None);
    finds.tool = Some(ScriptedTool { name: "find_customer".into(), arguments: json!({}) });
    finds.after_tool = Some("I found you.".into());
    script.0.insert(0, finds);
    let server = Server::start_scripted(script, |_| {}).await;
    let tool = json!({"function": {"name": "find_customer"}, "url": format!("{}/customer", customer.url),
        "request": {"method": "GET", "response": {"variables": {"customer": "name"}}}});
    let mut first = agent();
    first["llm_config"]["tools"] = json!([tool]);
    let changes = json!({"llm_config": first["llm_config"], "first_message": "Good morning, {{shop}} this is Acme."});
    let (status, body) = server.patch_agent(changes).await;
    assert_eq!(status, 200, "{body}");
    let mut next = billing();
    next["first_message"] = json!("Billing here, {{customer}}, about {{invoice}}?");
    server.can_hand_over_to(next, json!({"opening": "greet"})).await;
    let caller =
        "listen; say where_is_my_order; listen; listen; say speak_to_human; listen; pause 3000; say goodbye; listen";
    let call = server.call_billing(caller).await;
    let said = lines(&call);
    assert!(said.contains(&"assistant: Billing here, Jan, about?".to_owned()), "{said:?}");
    let missing = &call["metrics"]["templates"]["missing_variables"];
    assert_eq!(*missing, json!(["shop", "invoice"]), "of both agents");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_cannot_take_over_leaves_the_caller_with_the_present_one() {
    let server = Server::start_scripted(wants_billing(), |_| {}).await;
    let next = server.can_hand_over_to(billing(), json!({})).await;
    let path = format!("/agents/{next}");
    let broken = json!({"provider": "openai", "model": "gpt-4o-transcribe", "language": "en",
        "base_url": "http://127.0.0.1:1/v1"});
    let changes = [
        (Some(json!({"stt_config": broken})), "the agent's speech recognition does not work"),
        (Some(json!({"llm_config": {"provider": "xai_realtime", "model": "m"}})), "has a realtime model"),
        (Some(json!({"is_active": false})), "the agent is switched off"),
        (None, "there is no such agent any more"),
    ];
    for (change, why) in changes {
        let (status, body) = match change {
            Some(change) => server.send("PATCH", &path, Some(change)).await,
            None => server.send("DELETE", &path, None).await,
        };
        assert_eq!(status, 200, "{why}: {body}");
        let call = server.call_billing("listen; say speak_to_human; listen; listen; say goodbye; listen").await;
        let said = lines(&call);
        assert!(
            said.iter().any(|line| line.starts_with("tool: transfer_agent: error:") && line.contains(why)),
            "{said:?}"
        );
        assert_eq!(
            (&call["agent_id"], &call["end_reason"]),
            (&json!(server.agent), &json!("agent_hung_up")),
            "{said:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handovers_that_cannot_work_are_refused_when_they_are_saved() {
    let server = Server::start().await;
    let refused = async |target: &str, words: &str| {
        let config = json!({"agents": [{"agent_id": target, "name": "billing"}]});
        let (status, body) = server.patch_agent(json!({"handover_config": config})).await;
        assert_eq!(status, 400, "{body}");
        let text = body.to_string();
        assert!(text.contains("handover_config.agents[0].agent_id") && text.contains(words), "{text}");
    };
    refused("0194a8a6-1111-7000-8000-000000000009", "is not an agent of the organization").await;
    refused(&server.agent, "must be another agent").await;
    refused("billing", "must be the id of an agent").await;
    let mut realtime = agent();
    realtime["llm_config"] = json!({"provider": "xai_realtime", "model": "grok-voice-latest"});
    let realtime = server.post("/agents", realtime).await["agent"]["id"].as_str().unwrap().to_owned();
    refused(&realtime, "has a realtime model").await;
}
