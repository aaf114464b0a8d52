//! Servers that end their streams in every way, refuse extras, think aloud and say nothing.

mod continuation;
mod local_servers;
mod refusals;
mod rules;
mod tool_choice;
mod wire_forms;
mod written;

use super::*;
use crate::{Deadlines, LocalTtsPrograms, ProviderAccess, ProviderSettings, StageDeadlines, Stall, vendors};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use trunkline_domain::chat::ToolCall;
use trunkline_domain::llm_options::LlmOptions;
use trunkline_domain::provider::{LlmProvider, ProviderAccount};

/// What a server answers: status, and the pieces of its body, each written by itself.
#[derive(Clone)]
struct Answer(u16, Vec<String>);

/// A server whose answers are given; the last one is repeated. It keeps what it was asked.
struct Vendor {
    providers: ProviderRegistry,
    asked: Arc<Mutex<Vec<Value>>>,
}

fn text(words: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": words}}]}))
}

fn call(arguments: &str) -> String {
    let call = json!({"index": 0, "id": "a", "function": {"name": "find", "arguments": arguments}});
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
}

fn finish(reason: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
}

fn stop() -> String {
    finish("stop") + "data: [DONE]\n\n"
}

fn streamed(pieces: &[String]) -> Answer {
    Answer(200, pieces.to_vec())
}

fn refused(message: &str) -> Answer {
    Answer(400, vec![json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string()])
}

fn whole(content: &str) -> Answer {
    Answer(200, vec![json!({"choices": [{"message": {"content": content}}]}).to_string()])
}

async fn request_of(stream: &mut TcpStream) -> Value {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..length]);
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_slice(&bytes[head + 4..]) {
            return body;
        }
    }
}

async fn write_answer(mut stream: TcpStream, Answer(status, pieces): Answer) {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // Pieces that come together would be read as one.
    let mut apart = tokio::time::interval(Duration::from_millis(20));
    for piece in pieces {
        apart.tick().await;
        let _ = stream.write_all(piece.as_bytes()).await;
        let _ = stream.flush().await;
    }
}

impl Vendor {
    async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let body = request_of(&mut stream).await;
                let number = log.lock().unwrap().len();
                log.lock().unwrap().push(body);
                let answer = answers[number.min(answers.len() - 1)].clone();
                // A request may be repeated beside one that is not answered.
                tokio::spawn(write_answer(stream, answer));
            }
        });
        Self { providers: registry(&base), asked }
    }

    fn candidate(&self, provider: LlmProvider, model: &str) -> LlmCandidate {
        vendors::llm_candidate(&self.providers, provider, model, LlmOptions::default(), None).unwrap()
    }

    /// Words, tool calls, and how it ended, of one answer; what was retracted is not in it.
    async fn answer_to(&self, model: &str, messages: Vec<ChatMessage>) -> (String, Vec<ToolCall>, Result<(), String>) {
        let candidates = vec![self.candidate(LlmProvider::Openai, model)];
        let plan = LlmPlan { candidates, rules: None, hedge_after: None };
        let tools = vec![trunkline_domain::chat::ToolOffer { name: "find".into(), ..Default::default() }];
        self.read(plan, LlmRequest { messages, tools, ..LlmRequest::default() }).await
    }

    async fn read(&self, plan: LlmPlan, request: LlmRequest) -> (String, Vec<ToolCall>, Result<(), String>) {
        let mut stream = stream_llm_response(&self.providers, plan, request);
        let (mut words, mut calls) = (String::new(), vec![]);
        while let Some(event) = stream.events.recv().await {
            match event {
                LlmEvent::Text(text) => words.push_str(&text),
                LlmEvent::Retracted => words.clear(),
                LlmEvent::ToolCalls(all) => calls = all,
                LlmEvent::Done(_) => return (words, calls, Ok(())),
                LlmEvent::Failed(failure) => return (words, calls, Err(failure.kind().to_owned())),
                LlmEvent::Cut => words.push('|'),
                LlmEvent::FailedOver(_) | LlmEvent::Stalled(_) | LlmEvent::ToolCallBegan => {}
            }
        }
        unreachable!("the last event is the end")
    }

    async fn answer(&self) -> (String, Vec<ToolCall>, Result<(), String>) {
        self.answer_to("m", vec![ChatMessage::User("Hi".into())]).await
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn registry(base: &str) -> ProviderRegistry {
    let ms = Duration::from_millis;
    let deadlines = Deadlines { connect: ms(2_000), first_byte: ms(2_000), between_bytes: ms(2_000) };
    let endpoint = |account: &ProviderAccount| ProviderAccess {
        account: *account,
        base_url: base.to_owned(),
        api_key: Some("secret-key".into()),
        api_version: "2026-10-21".into(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    };
    let settings = ProviderSettings {
        timeouts: StageDeadlines { stt: deadlines, llm: deadlines, tts: deadlines, realtime: deadlines },
        endpoints: ProviderAccount::ALL.iter().map(endpoint).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".into(), flite: "flite".into() },
        speech: crate::LocalSpeechSettings::default(),
        guard: trunkline_egress::EgressGuard::unrestricted(),
    };
    ProviderRegistry::new(settings).unwrap()
}

fn words(text: &str) -> (String, Vec<ToolCall>, Result<(), String>) {
    (text.to_owned(), vec![], Ok(()))
}

#[tokio::test]
async fn words_that_came_count_however_the_stream_ends() {
    let way = "Your order is on its way.";
    for (name, pieces) in [
        ("no end mark", vec![text(way)]),
        (
            "no empty line behind the last event",
            vec![text("Your order is "), text("on its way.").trim_end().to_owned()],
        ),
        ("only [DONE]", vec![text(way), "data: [DONE]\n\n".to_owned()]),
        (
            "an error after the finish reason",
            vec![text(way), finish("stop"), "data: {\"error\":{\"message\":\"x\"}}\n\n".into()],
        ),
        ("garbage after the finish reason", vec![text(way), finish("stop") + "data: <html>\n\n"]),
    ] {
        let vendor = Vendor::start(vec![streamed(&pieces)]).await;
        assert_eq!((vendor.answer().await, vendor.asked().len()), (words(way), 1), "{name}");
    }
    for (name, pieces, kind) in [
        ("an error", vec![text(way), "data: {\"error\":{\"message\":\"overloaded\"}}\n\n".to_owned()], "refused"),
        (
            "an error in the same piece",
            vec![text(way) + "data: {\"error\":{\"message\":\"overloaded\"}}\n\n"],
            "refused",
        ),
        ("garbage", vec![text(way), "data: <html>\n\n".to_owned()], "garbage"),
    ] {
        let vendor = Vendor::start(vec![streamed(&pieces)]).await;
        let (said, _, end) = vendor.answer().await;
        assert!(way.starts_with(&said) && !said.is_empty(), "{name}: {said}");
        assert_eq!((end, vendor.asked().len()), (Err(kind.to_owned()), 1), "{name}");
    }
}

#[tokio::test]
async fn half_a_tool_call_is_none_and_a_whole_one_needs_no_end_mark() {
    let half = streamed(&[call("{\"number\": \"12"), finish("")]);
    let vendor = Vendor::start(vec![half, streamed(&[text("One moment."), stop()])]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("One moment."), 2), "asked once more");
    let spoken = streamed(&[text("Let me look."), call("{\"number\": \"12")]);
    let vendor = Vendor::start(vec![spoken]).await;
    let (said, calls, end) = vendor.answer().await;
    assert_eq!((said.as_str(), calls.len(), end), ("Let me look.", 0, Err("dropped".to_owned())));
    let vendor = Vendor::start(vec![streamed(&[text("Let me look."), call("{\"number\": \"12\"}")])]).await;
    let (said, calls, end) = vendor.answer().await;
    assert_eq!((said.as_str(), calls.len(), end), ("Let me look.", 1, Ok(())));
}

#[tokio::test]
async fn nothing_is_asked_for_once_more_and_then_an_answer() {
    let vendor = Vendor::start(vec![streamed(&[stop()])]).await;
    for asked in [2, 4] {
        assert_eq!((vendor.answer().await, vendor.asked().len()), (words(""), asked));
    }
    let state = vendor.providers.circuit_state(ProviderAccount::Openai, PipelineStage::Llm);
    assert_eq!(state, Some(crate::circuit_breaker::CircuitState::Available { failures: 0 }), "it is no failure");
    let late = Vendor::start(vec![streamed(&[stop()]), streamed(&[text("Yes."), stop()])]).await;
    assert_eq!((late.answer().await, late.asked().len()), (words("Yes."), 2));
    let broken = Vendor::start(vec![streamed(&[stop()]), Answer(500, vec![])]).await;
    assert_eq!(broken.answer().await, (String::new(), vec![], Err("refused".to_owned())), "the caller hears of it");
    let late = [streamed(&[stop()]), Answer(500, vec![]), streamed(&[text("Yes."), stop()])];
    let late = Vendor::start(late.to_vec()).await;
    assert_eq!((late.answer().await, late.asked().len()), (words("Yes."), 3), "a failure is asked about once");
    let open = streamed(&[text("<think>Only a thought."), stop()]);
    let cut = streamed(&[text("<think>Only a thought."), finish("length")]);
    let thoughts = Vendor::start(vec![open, cut]).await;
    assert_eq!(thoughts.answer().await.2, Err("garbage".to_owned()));
    let after_tool = Vendor::start(vec![streamed(&[text(""), stop()])]).await;
    let call = ToolCall { id: "a".into(), name: "find".into(), arguments: "{}".into(), ..ToolCall::default() };
    let messages = vec![
        ChatMessage::User("Hi".into()),
        ChatMessage::Assistant { content: String::new(), tool_calls: vec![call] },
        ChatMessage::Tool { call_id: "a".into(), content: "noted".into() },
    ];
    assert_eq!((after_tool.answer_to("m", messages).await, after_tool.asked().len()), (words(""), 1));
}

#[tokio::test]
async fn thoughts_are_not_passed_on() {
    let tagged = ["<thi", "nk>The caller wants an order.\n", "Keep it short.</think>\n\nYour order ", "is on its way."];
    let lone = ["The caller wants an order. Keep it ", "short.</think>\n\nYour order is on its way."];
    let channels = [
        "<|channel|>analysis<|mess",
        "age|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Your order is on its way.",
    ];
    for pieces in [tagged.as_slice(), &lone, &channels] {
        let mut pieces: Vec<String> = pieces.iter().map(|piece| text(piece)).collect();
        pieces.push(stop());
        let vendor = Vendor::start(vec![streamed(&pieces)]).await;
        for _ in 0..2 {
            assert_eq!(vendor.answer().await, words("Your order is on its way."));
        }
    }
}

#[tokio::test]
async fn a_model_that_has_shown_a_lone_closing_tag_is_not_heard_thinking_again() {
    let pieces = [text("The caller wants an order. "), text("Hm.</think>Yes."), stop()];
    let vendor =
        Vendor::start(vec![streamed(&pieces), streamed(&pieces), streamed(&[text("Just words."), stop()])]).await;
    let retractions = async || {
        let candidates = vec![vendor.candidate(LlmProvider::Openai, "m")];
        let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
        let mut stream =
            stream_llm_response(&vendor.providers, LlmPlan { candidates, rules: None, hedge_after: None }, request);
        let mut events = vec![];
        while let Some(event) = stream.events.recv().await {
            events.push(event);
        }
        (events.iter().filter(|event| **event == LlmEvent::Retracted).count(), events.remove(0))
    };
    assert_eq!(retractions().await, (1, LlmEvent::Text("The caller wants an order. ".into())));
    assert_eq!(retractions().await, (0, LlmEvent::Text("Yes.".into())));
    assert_eq!(vendor.answer().await, words("Just words."));
}

#[tokio::test]
async fn thoughts_return_beside_their_calls_when_the_server_asks_for_them() {
    let thought = format!("data: {}\n\n", json!({"choices": [{"delta": {"reasoning_content": "I should look."}}]}));
    let vendor = Vendor::start(vec![
        streamed(&[thought, call("{}"), finish("tool_calls")]),
        refused("The reasoning_content in the thinking mode must be passed back to the API"),
        streamed(&[text("It is 7."), stop()]),
    ])
    .await;
    let (_, calls, _) = vendor.answer().await;
    let messages = vec![
        ChatMessage::User("Hi".into()),
        ChatMessage::Assistant { content: String::new(), tool_calls: calls },
        ChatMessage::Tool { call_id: "a".into(), content: "7".into() },
    ];
    for asked in [3, 4] {
        assert_eq!((vendor.answer_to("m", messages.clone()).await, vendor.asked().len()), (words("It is 7."), asked));
    }
    let sent: Vec<Value> = vendor.asked().iter().map(|body| body["messages"][1]["reasoning_content"].clone()).collect();
    let thought = json!("I should look.");
    assert_eq!(sent, [json!(null), json!(null), thought.clone(), thought]);
}

#[tokio::test]
async fn a_tool_that_is_refused_costs_that_tool() {
    let error = json!({"error": {"message": "string too long", "code": "string_above_max_length", "param": "tools[0].function.description"}});
    let vendor = Vendor::start(vec![Answer(400, vec![error.to_string()]), streamed(&[text("Hello."), stop()])]).await;
    assert_eq!(vendor.answer().await, words("Hello."));
    let offered: Vec<bool> = vendor.asked().iter().map(|body| body.get("tools").is_some()).collect();
    assert_eq!(offered, [true, false]);
}

#[tokio::test]
async fn a_shape_of_answers_that_is_refused_is_asked_for_in_words() {
    let refusal = refused("This model does not support response format `json_schema`.");
    let vendor = Vendor::start(vec![
        refusal.clone(),
        refused("response_format json_object is not supported"),
        whole("<think>Short.</think>{\"a\": 1}"),
    ])
    .await;
    let plan = LlmPlan { candidates: vec![vendor.candidate(LlmProvider::Groq, "m")], rules: None, hedge_after: None };
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let messages = [ChatMessage::System("Report.".into()), ChatMessage::User("Hello".into())];
    let ask =
        async || complete(&vendor.providers, &plan, &messages, &schema, Duration::from_secs(2)).await.unwrap().0.text;
    assert_eq!(ask().await, "{\"a\": 1}");
    assert_eq!(ask().await, "{\"a\": 1}");
    let asked = vendor.asked();
    let shapes: Vec<&Value> = asked.iter().map(|body| &body["response_format"]["type"]).collect();
    assert_eq!(json!(shapes), json!(["json_schema", "json_object", null, null]), "remembered");
    assert!(asked[1]["messages"][0]["content"].as_str().unwrap().contains("\"integer\""), "{}", asked[1]);
    let other = Vendor::start(vec![refused("context length exceeded"), whole("{}")]).await;
    let plan =
        LlmPlan { candidates: vec![other.candidate(LlmProvider::Anthropic, "m")], rules: None, hedge_after: None };
    let failed = complete(&other.providers, &plan, &messages, &schema, Duration::from_secs(2)).await;
    assert!(failed.is_err(), "no text in Anthropic's form: {failed:?}");
    assert!(
        other.providers.unsupported_parameters.for_model(&plan.candidates[0].key()).is_empty(),
        "not about the shape"
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_at_its_most_tokens_says_so_and_its_open_tool_call_is_not_made() {
    let whole = call("{}").replace("\"index\":0,\"id\":\"a\"", "\"index\":1,\"id\":\"b\"");
    for (pieces, words, calls) in [
        (vec![text("It costs 12 euros. And it")], "It costs 12 euros. And it|", 0),
        (vec![text("One moment."), call("{\"x\": ")], "One moment.|", 0),
        (vec![call("{\"x\": 1}"), whole], "|", 2),
    ] {
        for reason in ["length", "model_length"] {
            let pieces: Vec<String> = pieces.iter().cloned().chain([finish(reason)]).collect();
            let vendor = Vendor::start(vec![streamed(&pieces)]).await;
            let (said, made, end) = vendor.answer().await;
            assert_eq!((said.as_str(), made.len(), end), (words, calls, Ok(())), "{pieces:?}");
        }
    }
}

#[tokio::test]
async fn a_model_that_only_thinks_until_the_limit_has_failed_and_is_asked_once_more() {
    let thought = "data: {\"choices\": [{\"index\": 0, \"delta\": {\"reasoning_content\": \"Hm\"}}]}\n\n".to_owned();
    let only_thoughts = streamed(&[thought, finish("length")]);
    let open_call = streamed(&[call("{\"x\": "), finish("length")]);
    let answer = streamed(&[text("Yes."), stop()]);
    for failed in [only_thoughts, open_call] {
        let vendor = Vendor::start(vec![failed.clone(), answer.clone()]).await;
        assert_eq!(vendor.answer().await, ("Yes.".to_owned(), vec![], Ok(())));
        let vendor = Vendor::start(vec![failed]).await;
        assert_eq!(vendor.answer().await, (String::new(), vec![], Err("garbage".to_owned())));
        assert_eq!(vendor.asked().len(), 2);
    }
}

#[tokio::test]
async fn words_are_not_held_until_the_arguments_of_a_call_have_come() {
    for first in [text("One moment.") + &call("{\"x\": "), text("One moment.")] {
        let args = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "find", "arguments": "{\"x\": 1}"}}]}}]});
        let pieces = [first, format!("data: {args}\n\n"), text(" I look."), finish("tool_calls")];
        let vendor = Vendor::start(vec![streamed(&pieces)]).await;
        let events = timed(&vendor).await;
        let began: Vec<usize> = (0..events.len()).filter(|index| events[*index].1 == LlmEvent::ToolCallBegan).collect();
        let made = events.iter().position(|(_, event)| matches!(event, LlmEvent::ToolCalls(_))).unwrap();
        assert!(began.len() == 1 && began[0] > 0 && began[0] < made, "told once: {events:?}");
    }
    let vendor = Vendor::start(vec![streamed(&[call("{}"), finish("tool_calls")])]).await;
    assert!(timed(&vendor).await.iter().all(|(_, event)| *event != LlmEvent::ToolCallBegan), "no words were held");
}

/// The events of one answer, and when each came.
async fn timed(vendor: &Vendor) -> Vec<(u128, LlmEvent)> {
    let plan = LlmPlan { candidates: vec![vendor.candidate(LlmProvider::Openai, "m")], rules: None, hedge_after: None };
    let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
    let (began, mut events) = (Instant::now(), vec![]);
    let mut stream = stream_llm_response(&vendor.providers, plan, request);
    while let Some(event) = stream.events.recv().await {
        events.push((began.elapsed().as_millis(), event));
    }
    events
}

#[tokio::test]
async fn a_whole_sentence_does_not_wait_for_a_stream_that_stands_still() {
    let stalls = [(Stall::Brief, 450..900), (Stall::Long, 1_450..1_900)];
    for (words, pause_ms, count) in [("It is here.", 800, 1), ("It is here. ", 1_900, 2), ("It is", 600, 0)] {
        let mut pieces = vec![text(words)];
        // Comments keep the connection alive; they are no words.
        pieces.extend(std::iter::repeat_n(": ping\n\n".to_owned(), pause_ms / 20));
        pieces.extend([text(" And more."), stop()]);
        let vendor = Vendor::start(vec![streamed(&pieces)]).await;
        let events = timed(&vendor).await;
        let told = events.iter().filter(|(_, event)| matches!(event, LlmEvent::Stalled(_)));
        assert_eq!(told.count(), count, "{events:?}");
        for (index, (stall, at_ms)) in stalls.iter().take(count).enumerate() {
            let (ms, event) = &events[index + 1];
            assert!(*event == LlmEvent::Stalled(*stall) && at_ms.contains(ms), "{events:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_is_read() {
    let message = |message: Value| {
        Answer(200, vec![json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string()])
    };
    let vendor = Vendor::start(vec![message(json!({"role": "assistant", "content": "It is on its way."}))]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("It is on its way."), 1));
    let calls = json!([{"id": "a", "type": "function", "function": {"name": "find", "arguments": "{\"x\":1}"}},
        {"id": "b", "type": "function", "function": {"name": "find", "arguments": "{\"x\":2}"}}]);
    let vendor = Vendor::start(vec![message(json!({"content": null, "tool_calls": calls}))]).await;
    let (said, made, end) = vendor.answer().await;
    let arguments: Vec<&str> = made.iter().map(|call| call.arguments.as_str()).collect();
    assert_eq!((said.as_str(), arguments.as_slice(), end), ("", ["{\"x\":1}", "{\"x\":2}"].as_slice(), Ok(())));
    let vendor = Vendor::start(vec![Answer(200, vec!["{\"error\": {\"message\": \"quota\"}}".into()])]).await;
    assert_eq!(vendor.answer().await.2, Err("refused".to_owned()));
    let vendor = Vendor::start(vec![Answer(200, vec!["{\"status\": \"ok\"}".into()])]).await;
    assert!(vendor.answer().await.2.is_err(), "no answer");
    let anthropic = json!({"type": "message", "role": "assistant", "stop_reason": "tool_use", "usage": {"input_tokens": 3, "output_tokens": 5},
        "content": [{"type": "text", "text": "One moment."}, {"type": "tool_use", "id": "t", "name": "find", "input": {"x": 1}}]});
    let vendor = Vendor::start(vec![Answer(200, vec![anthropic.to_string()])]).await;
    let plan =
        LlmPlan { candidates: vec![vendor.candidate(LlmProvider::Anthropic, "m")], rules: None, hedge_after: None };
    let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
    let mut stream = stream_llm_response(&vendor.providers, plan, request);
    assert_eq!(stream.events.recv().await, Some(LlmEvent::Text("One moment.".into())));
    let Some(LlmEvent::ToolCalls(calls)) = stream.events.recv().await else { panic!("no calls") };
    assert_eq!((calls[0].name.as_str(), calls[0].arguments.as_str()), ("find", "{\"x\":1}"));
    assert!(matches!(stream.events.recv().await, Some(LlmEvent::Done(usage)) if usage.completion_tokens == 5));
}

#[tokio::test]
async fn one_broken_event_costs_that_event() {
    let broken = || "data: {\"choices\":[{\"ind\n\n".to_owned();
    let vendor = Vendor::start(vec![streamed(&[text("It is here. And"), broken(), text(" more."), stop()])]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("It is here. And more."), 1));
    let first = Vendor::start(vec![streamed(&[broken(), text("It is here."), stop()])]).await;
    assert_eq!((first.answer().await, first.asked().len()), (words("It is here."), 1));
    let many = [vec![text("It is")], vec![broken(); 4], vec![text(" here."), stop()]].concat();
    let vendor = Vendor::start(vec![streamed(&many)]).await;
    assert_eq!(vendor.answer().await.2, Err("garbage".to_owned()), "there is an end to it");
    let within = [call("{\"x\": \"1"), broken(), call("2\"}"), finish("tool_calls")];
    let vendor = Vendor::start(vec![streamed(&within)]).await;
    assert_eq!(vendor.answer().await.1, [], "a call with a hole is none");
}

#[tokio::test]
async fn calls_that_are_written_as_words_are_made() {
    let written = "<tool_call>{\"name\": \"find\", \"arguments\": {\"x\": 1}}</tool_call>";
    for pieces in [vec![text(written), stop()], vec![text("One moment. <tool_"), text(&written[6..]), stop()]] {
        let vendor = Vendor::start(vec![streamed(&pieces)]).await;
        let (said, calls, end) = vendor.answer().await;
        assert!(said.is_empty() || said.starts_with("One moment."), "{said}");
        assert!(!said.contains(['<', '{']), "{said}");
        assert_eq!((calls.len(), end), (1, Ok(())));
        assert_eq!((calls[0].name.as_str(), calls[0].arguments.as_str()), ("find", "{\"x\":1}"));
    }
    let harmony = "<|channel|>commentary to=functions.find <|constrain|>json<|message|>{\"x\":1}<|call|>";
    let vendor = Vendor::start(vec![streamed(&[text(harmony), stop()])]).await;
    assert_eq!(vendor.answer().await.1.len(), 1);
    let unknown = streamed(&[text(&written.replace("find", "none")), stop()]);
    let vendor = Vendor::start(vec![unknown, streamed(&[text("Yes."), stop()])]).await;
    assert_eq!(vendor.answer().await, words("Yes."), "asked once more");
    let cut = [text("<tool_call>{\"name\": \"find\", \"argum"), finish("length")];
    let vendor = Vendor::start(vec![streamed(&cut), streamed(&[text("Yes."), stop()])]).await;
    assert_eq!(vendor.answer().await, words("Yes."));
}
