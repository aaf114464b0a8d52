//! Real calls over every provider of the reference, and what is done when one of them is busy or slow.

use super::support::{CustomerServer, Server, at_once, lines, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trunkline_lab::emulator::{Delays, InjectedFault, ReplyRule, ReplyScript, ScriptedTool};

fn voice(provider: &str, more: Value) -> Value {
    let mut voice = json!({"provider": provider, "voice_id": "v", "language": "en"});
    voice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    voice
}

fn agent(stt: Value, llm: Value, tts: Value) -> Value {
    let mut stt = stt;
    stt["language"] = json!("en");
    json!({"stt_config": stt, "llm_config": llm, "tts_config": tts})
}

async fn change(server: &Server, changes: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

async fn check(changes: Value) {
    let server = Server::start().await;
    change(&server, changes.clone()).await;
    let report = server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    let what = format!("{changes}: {report:?} {call}");
    assert!(report.failure.is_none(), "{what}");
    assert_eq!(
        lines(&call),
        [
            "assistant: Good morning, this is Acme.",
            "user: What are your opening hours?",
            "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
            "user: Thank you, goodbye.",
            "assistant: You're welcome. Goodbye!",
            "tool: end_call: the call ends",
        ],
        "{what}"
    );
    assert_eq!(call["metrics"]["provider_errors"], json!({}), "{what}");
    assert_eq!(call["metrics"]["failovers"], json!([]), "{what}");
    assert_eq!(call["end_reason"], json!("agent_hung_up"));
    let used = &call["metrics"]["used"]["llm"];
    let name = format!(
        "{}/{}",
        changes["llm_config"]["provider"].as_str().unwrap(),
        changes["llm_config"]["model"].as_str().unwrap()
    );
    assert!(used[&name]["completion_tokens"].as_u64().unwrap() > 0, "{what}");
    let (_, agent) = server.recording(call["id"].as_str().unwrap()).await;
    let loud = agent.iter().filter(|sample| sample.unsigned_abs() > 1_000).count();
    assert!(loud > 8_000, "{loud} loud samples of the agent: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_runs_on_every_stt_llm_and_tts() {
    let nova = || json!({"provider": "deepgram", "model": "nova-3-general"});
    let flux = || json!({"provider": "deepgram", "model": "flux-general-en"});
    let whisper = || json!({"provider": "openai", "model": "gpt-4o-transcribe"});
    let model = |provider: &str, model: &str| json!({"provider": provider, "model": model});
    let casts = [
        agent(nova(), model("openai", "gpt-4o-mini"), voice("elevenlabs", json!({}))),
        agent(flux(), model("anthropic", "claude-haiku-5-5"), voice("cartesia", json!({"speed": 1.1}))),
        agent(whisper(), model("groq", "openai/gpt-oss-20b"), voice("openai", json!({"voice_id": "alloy"}))),
        agent(nova(), model("mistral", "mistral-small-latest"), voice("elevenlabs", json!({"model": "eleven_v3"}))),
        agent(
            flux(),
            model("xai", "grok-4-1-fast-non-reasoning"),
            voice("elevenlabs", json!({"model": "eleven_monolingual_v1"})),
        ),
        agent(nova(), model("openai", "gpt-5.4-mini"), voice("local", json!({"voice_id": "flite:slt"}))),
        agent(
            nova(),
            model("anthropic", "claude-opus-5-5"),
            voice("elevenlabs", json!({"model": "eleven_multilingual_v2"})),
        ),
        agent(
            nova(),
            json!({"provider": "openai", "model": "o1", "temperature": 0.2}),
            voice("local", json!({"voice_id": "en-gb"})),
        ),
    ];
    for some in casts.chunks(4) {
        futures_util::future::join_all(some.iter().cloned().map(check)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_end_at_the_limit_that_the_agent_sets_whatever_the_vendor_calls_it() {
    let check = async |provider: &str, model: &str| {
        let reply = "One moment please. This sentence is far too long to be whole.".to_owned();
        let rule = ReplyRule { words: Vec::new(), reply, tool: None, more_tools: Vec::new(), after_tool: None };
        let server = Server::start_scripted(ReplyScript(vec![rule]), |_| {}).await;
        let llm = json!({"provider": provider, "model": model, "max_tokens": 6, "top_p": 0.9, "stop": ["END"],
            "extra_body": {"metadata": {"team": "north"}}});
        change(&server, json!({"llm_config": llm})).await;
        server.call("listen; say opening_hours; listen; hangup").await;
        let call = server.last_call().await;
        assert!(lines(&call).contains(&"assistant: One moment please.".to_owned()), "{provider}: {call}");
        assert_eq!(call["metrics"]["provider_errors"], json!({"llm_cut": 1}), "{provider}");
    };
    tokio::join!(
        check("openai", "gpt-4o-mini"),
        check("openai", "o1"),
        check("anthropic", "claude-sonnet-4"),
        check("groq", "openai/gpt-oss-20b"),
        check("mistral", "mistral-small-latest"),
        check("xai", "grok-4-1-fast-non-reasoning"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transcript_keeps_what_the_voice_says_in_its_own_way() {
    let model = json!({"provider": "openai", "model": "gpt-4o-mini"});
    let mut changes = agent(
        json!({"provider": "deepgram", "model": "nova-3-general"}),
        model,
        voice("elevenlabs", json!({"model": "eleven_flash_v2"})),
    );
    changes["pronunciation_dictionary"] =
        json!([{"text": "Acme", "say_as": "ack me"}, {"text": "weekdays", "ipa": "ˈwiːkdeɪz", "say_as": "week days"}]);
    check(changes).await;
}

/// A model that wants two tools at once.
fn with_tools() -> ReplyScript {
    let tool = |name: &str| ScriptedTool { name: name.to_owned(), arguments: json!({"name": name}) };
    let rule = |words: &[&str], reply: &str| ReplyRule {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        reply: reply.to_owned(),
        tool: None,
        more_tools: Vec::new(),
        after_tool: None,
    };
    let both = ReplyRule {
        tool: Some(tool("look_up")),
        more_tools: vec![tool("note")],
        after_tool: Some("Both are done.".to_owned()),
        ..rule(&["order"], "One moment.")
    };
    ReplyScript(vec![both, rule(&[], "Yes?")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_model_calls_two_tools_at_once() {
    let check = async |provider: &str| {
        let server = Server::start_scripted(with_tools(), |_| {}).await;
        let receiver =
            CustomerServer::start(|one| at_once(&json!({"result": one.body["tool_calls"][0]["name"]}))).await;
        let tool = |name: &str| {
            json!({"type": "function", "url": receiver.url,
            "function": {"name": name, "parameters": {"type": "object", "properties": {"name": {"type": "string"}}}}})
        };
        let llm = json!({"provider": provider, "model": "m", "tools": [tool("look_up"), tool("note")]});
        change(&server, json!({"llm_config": llm})).await;
        server.call("listen; say where_is_my_order; listen; listen; hangup").await;
        let said = lines(&server.last_call().await);
        for line in ["tool: look_up: look_up", "tool: note: note", "assistant: Both are done."] {
            assert!(said.contains(&line.to_owned()), "{provider}: {said:?}");
        }
    };
    tokio::join!(check("openai"), check("anthropic"), check("groq"), check("mistral"), check("xai"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_is_refused_by_its_provider_and_the_call_goes_on() {
    let server = Server::start().await;
    change(
        &server,
        json!({"llm_config": {"provider": "openai", "model": "no-such-model"}, "fallbacks": {"take_messages": false}}),
    )
    .await;
    server.call("listen; say hello; listen; say hello; listen; say hello; listen; hangup").await;
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], json!("customer_hung_up"), "{call}");
    assert_eq!(call["metrics"]["provider_errors"]["llm_refused"], json!(3), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_own_server_is_asked_without_our_key() {
    let server = Server::start().await;
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"This is my own model.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let own = CustomerServer::start(move |_| (200, stream.to_owned(), Duration::ZERO)).await;
    let llm = json!({"provider": "openai", "model": "llama3.1:8b", "base_url": format!("{}/v1/", own.url)});
    change(&server, json!({"llm_config": llm})).await;
    server.call("listen; say hello; listen; hangup").await;
    assert_eq!(lines(&server.last_call().await).last().unwrap(), "assistant: This is my own model.");
    let told = &own.wait("/v1/chat/completions", 1).await[0];
    assert_eq!(told.headers["authorization"], "Bearer none");
    assert_eq!((&told.body["model"], &told.body["prompt_cache_key"]), (&json!("llama3.1:8b"), &json!(null)));
    // Without leave such servers are public and speak https.
    let strict = Server::start_with(|config| config.providers.allow_private = false).await;
    for url in ["http://models.example.com/v1", "https://127.0.0.1/v1", "https://10.1.2.3/v1", "ftp://example.com"] {
        let llm = json!({"llm_config": {"provider": "openai", "model": "m", "base_url": url}});
        let (status, body) = strict.send("PATCH", &format!("/agents/{}", strict.agent), Some(llm)).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!("llm_config.base_url")), "{url}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_stt_and_tts_servers_are_used_at_their_base_url() {
    // The vendors are unreachable: all audio and text must come from the customer's servers.
    let server = Server::start_with(|config| {
        config.providers.openai.base_url = "http://127.0.0.1:9".to_owned();
        config.providers.openai.api_key = None;
    })
    .await;
    let own = server.emulator.address_of("openai");
    let stt = json!({"provider": "openai", "model": "whisper-large", "language": "en", "base_url": own});
    let llm = json!({"provider": "openai", "model": "qwen3:8b", "base_url": own});
    let tts = voice("openai", json!({"model": "kokoro", "base_url": own}));
    change(&server, json!({"stt_config": stt, "llm_config": llm, "tts_config": tts})).await;
    let report = server.call("listen; say hello; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(
        lines(&call)[1..],
        ["user: Hello, good morning.", "assistant: Good morning! How can I help you?"],
        "{call}"
    );
    assert_eq!(call["metrics"]["provider_errors"], json!({}), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_model_is_joined_by_the_next_and_the_first_word_wins() {
    let server = Server::start().await;
    server.emulator.faults.set("llm.openai", Some(InjectedFault::Stall), u32::MAX);
    let fallbacks =
        json!({"llm": [{"provider": "xai", "model": "grok-4-1-fast-non-reasoning"}], "hedge_after_ms": 300});
    change(&server, json!({"fallbacks": fallbacks})).await;
    let report = server.call("listen; say hello; listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    let failovers = call["metrics"]["failovers"].as_array().unwrap();
    assert_eq!(failovers.len(), 2, "{call}");
    for one in failovers {
        assert_eq!((&one["to"], &one["why"]), (&json!("xai/grok-4-1-fast-non-reasoning"), &json!("slow")), "{one}");
        let added = one["added_ms"].as_u64().unwrap();
        assert!((300..1_400).contains(&added), "{one}");
    }
    assert_eq!(lines(&call)[2], "assistant: Good morning! How can I help you?");
    assert_eq!(call["metrics"]["provider_errors"], json!({}), "slow is no failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_offered_when_no_model_answers_and_the_model_comes_back() {
    let server = Server::start().await;
    // The first question, and its repetition.
    server.emulator.faults.set("llm.openai", Some(InjectedFault::Refuse), 2);
    let report = server.call("listen; say hello; listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(
        lines(&call)[1..],
        [
            "user: Hello, good morning.",
            "assistant: I am sorry, our assistant cannot be reached at the moment. Shall I take a message?",
            "user: What are your opening hours?",
            "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
        ],
        "{call}"
    );
    assert_eq!(call["metrics"]["failovers"][0]["to"], json!("local/messages"), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_answers_by_the_rules_of_a_flow() {
    let server = Server::start().await;
    let flow = json!({"start": "menu",
        "states": {"menu": {"type": "menu", "question": "What else?", "exhausted": "bye", "choices": [{"intent": "goodbye", "next": "bye"}]},
            "bye": {"type": "end", "text": "Goodbye from the rules."}},
        "intents": [{"name": "goodbye", "phrases": ["goodbye"]}],
        "documents": [{"title": "Opening hours", "text": "The rules are open day and night."}]});
    let analysis = json!({"structured_data_plan": {"type": "object", "properties": {"order": {"type": "string"}}}});
    change(&server, json!({"llm_config": {"provider": "local", "flow": flow}, "analysis_plan": analysis})).await;
    let report = server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(
        lines(&call)[1..5],
        [
            "user: What are your opening hours?",
            "assistant: The rules are open day and night. What else?",
            "user: Thank you, goodbye.",
            "assistant: Goodbye from the rules.",
        ],
        "{call}"
    );
    assert_eq!(call["end_reason"], json!("agent_hung_up"), "{call}");
    assert_eq!(
        (&call["metrics"]["provider_errors"], &call["metrics"]["failovers"]),
        (&json!({}), &json!([])),
        "{call}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_keeps_failing_is_not_asked_by_the_next_calls() {
    let server = Server::start().await;
    server.emulator.faults.set("llm.openai", Some(InjectedFault::Refuse), u32::MAX);
    change(&server, json!({"fallbacks": {"llm": [{"provider": "groq", "model": "openai/gpt-oss-20b"}]}})).await;
    let mut causes = Vec::new();
    for _ in 0..6 {
        let report = server.call("listen; say hello; listen; hangup").await;
        assert!(report.failure.is_none(), "{report:?}");
        let call = server.last_call().await;
        causes.push(call["metrics"]["failovers"][0]["why"].as_str().unwrap_or("none").to_owned());
    }
    // The reports after the calls ask the same model, so that five failures come together sooner.
    assert_eq!(causes[0], "refused");
    // After five seconds one call tries again, and finds it as it was.
    assert!(causes.iter().any(|cause| cause == "closed"), "{causes:?}");
    assert!(causes.iter().all(|cause| cause == "closed" || cause == "refused"), "{causes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_a_provider_takes_wait_or_go_to_another_one() {
    let server = Server::start_with(|config| {
        config.providers.elevenlabs.concurrency_max = 1;
        config.providers.deepgram.concurrency_max = 2;
        config.providers.timeouts.stt.first_byte_ms = 20_000;
        config.providers.timeouts.tts.first_byte_ms = 8_000;
    })
    .await;
    // The third call's STT has to wait for one of the others: its fallback takes over.
    change(
        &server,
        json!({"fallbacks": {"stt": [{"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"}]}}),
    )
    .await;
    let calls = (0..4).map(|_| server.call("listen; say hello; listen; say opening_hours; listen; hangup"));
    for report in futures_util::future::join_all(calls).await {
        assert!(report.failure.is_none() && report.responses_ms.len() == 2, "{report:?}");
    }
    let all = until("all calls are over", || async {
        let calls = server.get("/calls?status=completed").await;
        (calls["total"] == json!(4)).then(|| calls["calls"].clone())
    })
    .await;
    let mut replaced = 0;
    for call in all.as_array().unwrap() {
        let errors = call["metrics"]["provider_errors"].as_object().unwrap();
        assert!(errors.keys().all(|name| name == "stt_closed"), "{call}");
        replaced += call["metrics"]["failovers"].as_array().unwrap().len();
        assert!(call["metrics"]["used"]["tts"]["elevenlabs/default"].is_u64(), "{call}");
    }
    assert_eq!(replaced, 2, "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordered_wait_is_obeyed_by_every_call() {
    let server = Server::start().await;
    server.emulator.faults.set("llm.openai", Some(InjectedFault::RateLimit), 1);
    let began = Instant::now();
    let report = server.call("listen; say hello; listen; hangup").await;
    assert!(report.failure.is_none() && began.elapsed() > Duration::from_secs(1), "{report:?}");
    let call = server.last_call().await;
    assert_eq!(lines(&call).last().unwrap(), "assistant: Good morning! How can I help you?", "{call}");
    // Refused with `retry-after: 1`: asked again when that second was over, and answered.
    assert!(report.responses_ms[0] > 1_000.0, "{report:?}");
}

/// With word timestamps an interruption is cut where the words were, not where they would be on average.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_timestamps_say_what_was_heard() {
    for tts in [voice("cartesia", json!({})), voice("elevenlabs", json!({"model": "eleven_v3"}))] {
        let server = Server::start().await;
        change(&server, json!({"tts_config": tts})).await;
        server.call("listen; say order_number; interrupt wait_stop; listen; hangup").await;
        let call = server.last_call().await;
        let turns = call["transcript"].as_array().unwrap();
        let cut = turns.iter().find(|turn| turn["interrupted"] == json!(true)).unwrap_or_else(|| panic!("{call}"));
        let said = cut["content"].as_str().unwrap();
        assert!(said.starts_with("Thank you.") && said.len() < 120, "{said}");
    }
}

/// Slow first tokens are no failure as long as they come in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_failover_without_a_failure() {
    let slow = Delays { stt_final_ms: 300, llm_first_token_ms: 700, llm_token_ms: 20, tts_first_byte_ms: 500 };
    let server = Server::start_slow(slow).await;
    change(
        &server,
        json!({"fallbacks": {"stt": [{"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"}],
            "llm": [{"provider": "groq", "model": "m"}], "tts": [voice("cartesia", json!({}))]}}),
    )
    .await;
    let report = server.call("listen; say hello; listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(
        (&call["metrics"]["failovers"], &call["metrics"]["provider_errors"]),
        (&json!([]), &json!({})),
        "{call}"
    );
}
