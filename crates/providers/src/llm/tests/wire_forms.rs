//! Bodies in other forms than the protocol's: lines of JSON, line ends of every kind, encodings, pages, and errors at
//! status 200.

use super::*;

/// A server that answers with these bytes, head included, and keeps the heads and bodies that it was asked with.
struct RawServer {
    providers: ProviderRegistry,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

type RawAnswer = Vec<Vec<u8>>;

fn raw(head: &str, pieces: &[&[u8]]) -> RawAnswer {
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
    std::iter::once(head.into_bytes()).chain(pieces.iter().map(|piece| piece.to_vec())).collect()
}

async fn raw_request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..length]);
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_slice(&bytes[head + 4..]) {
            return (String::from_utf8_lossy(&bytes[..head]).to_lowercase(), body);
        }
    }
}

impl RawServer {
    async fn start(answer: impl Fn(usize, &str, &Value) -> RawAnswer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (head, body) = raw_request(&mut stream).await;
                let number = log.lock().unwrap().len();
                let pieces = answer(number, &head, &body);
                log.lock().unwrap().push((head, body));
                tokio::spawn(async move {
                    for piece in pieces {
                        if piece.is_empty() {
                            // The body does not end while the client reads.
                            let _ = stream.read(&mut [0]).await;
                        }
                        let _ = stream.write_all(&piece).await;
                        let _ = stream.flush().await;
                        tokio::task::yield_now().await;
                    }
                });
            }
        });
        Self { providers: registry(&base), asked }
    }

    fn vendor(&self) -> Vendor {
        Vendor { providers: self.providers.clone(), asked: Arc::default() }
    }

    async fn answer(&self) -> (String, Vec<ToolCall>, Result<(), String>) {
        self.vendor().answer().await
    }

    /// The failure of an answer, in words.
    async fn failure(&self) -> String {
        let vendor = self.vendor();
        let candidates = vec![vendor.candidate(LlmProvider::Openai, "m")];
        let plan = LlmPlan { candidates, rules: None, hedge_after: None };
        let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
        let mut stream = stream_llm_response(&vendor.providers, plan, request);
        while let Some(event) = stream.events.recv().await {
            if let LlmEvent::Failed(failure) = event {
                return failure.to_string();
            }
        }
        "none".to_owned()
    }

    fn bodies(&self) -> Vec<Value> {
        self.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }
}

fn chunk(words: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {"content": words}}]}).to_string()
}

fn last() -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string()
}

/// Forms of a stream of events: name, content type, body.
fn event_streams() -> Vec<(&'static str, &'static str, String)> {
    let (one, two, end) = (chunk("It is "), chunk("on its way."), last());
    let broken = one.replacen(':', ":\ndata: ", 1);
    vec![
        ("CR alone", "text/event-stream", format!("data: {one}\r\rdata: {two}\r\rdata: {end}\r\rdata: [DONE]\r\r")),
        (
            "CRLF",
            "text/event-stream",
            format!("data: {one}\r\n\r\ndata: {two}\r\n\r\ndata: {end}\r\n\r\ndata: [DONE]\r\n\r\n"),
        ),
        (
            "a byte order mark",
            "text/event-stream",
            format!("\u{feff}data: {one}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        ),
        (
            "comments between",
            "text/event-stream",
            format!(": hi\n\ndata: {one}\n: ping\n\n:\n\ndata: {two}\n\n: ping\ndata: {end}\n\ndata: [DONE]\n\n"),
        ),
        (
            "no space after the colon",
            "text/event-stream",
            format!("data:{one}\n\ndata:{two}\n\ndata:{end}\n\ndata:[DONE]\n\n"),
        ),
        (
            "data over several lines",
            "text/event-stream",
            format!("data: {broken}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        ),
        (
            "no last empty line",
            "text/event-stream",
            format!("data: {one}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]"),
        ),
        (
            "a last event without its line end",
            "text/event-stream",
            format!("data: {one}\n\ndata: {two}\n\ndata: {end}"),
        ),
        (
            "text/plain",
            "text/plain; charset=utf-8",
            format!("data: {one}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        ),
        (
            "no content type of a stream",
            "application/json",
            format!("data: {one}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        ),
    ]
}

/// Forms that are no stream of events.
fn other_forms() -> Vec<(&'static str, &'static str, String)> {
    let (one, two, end) = (chunk("It is "), chunk("on its way."), last());
    let native = |words: &str| json!({"model": "m", "created_at": "x", "message": {"role": "assistant", "content": words}, "done": false});
    let native_end = json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
        "total_duration": 5, "prompt_eval_count": 21, "eval_count": 9});
    let generated = |words: &str, done: bool| json!({"model": "m", "response": words, "done": done});
    let message = json!({"choices": [{"message": {"role": "assistant", "content": "It is on its way."}, "finish_reason": "stop"}]});
    vec![
        ("a whole answer", "application/json", message.to_string()),
        ("a whole answer over several lines", "application/json", format!("\u{feff}{message:#}\n")),
        ("lines of JSON", "application/x-ndjson", format!("{one}\n{two}\n{end}\n")),
        (
            "Ollama's own lines",
            "application/x-ndjson",
            format!("{}\n{}\n{native_end}\n", native("It is "), native("on its way.")),
        ),
        (
            "Ollama's generated lines",
            "application/x-ndjson",
            format!("{}\r\n{}\r\n{}", generated("It is ", false), generated("on its way.", false), generated("", true)),
        ),
    ]
}

#[tokio::test]
async fn streams_are_read_in_every_form_that_servers_write() {
    for (name, kind, body) in event_streams().into_iter().chain(other_forms()) {
        for size in [23, 10_000] {
            let head = format!("200 OK\r\ncontent-type: {kind}");
            let body = body.clone().into_bytes();
            let server = RawServer::start(move |_, _, _| raw(&head, &body.chunks(size).collect::<Vec<_>>())).await;
            assert_eq!(
                (server.answer().await, server.bodies().len()),
                (words("It is on its way."), 1),
                "{name}, {size}"
            );
        }
    }
}

#[tokio::test]
async fn lines_of_ollama_are_said_as_they_come_and_their_calls_are_made() {
    let native = |message: Value, done: bool| {
        format!("{}\n", json!({"model": "m", "message": message, "done": done, "done_reason": done.then_some("stop")}))
    };
    let call = json!({"function": {"name": "find", "arguments": {"number": "12"}}});
    let thought = native(json!({"role": "assistant", "content": "", "thinking": "hm"}), false);
    let first = native(json!({"role": "assistant", "content": "One moment."}), false);
    let calls = native(json!({"role": "assistant", "content": "", "tool_calls": [call]}), false);
    let end = native(json!({"role": "assistant", "content": ""}), true);
    let pieces = [thought, first, calls, end];
    let server = RawServer::start(move |_, _, _| {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        raw("200 OK\r\ncontent-type: application/x-ndjson", &pieces)
    })
    .await;
    let (said, calls, end) = server.answer().await;
    assert_eq!((said.as_str(), end), ("One moment.", Ok(())));
    let made: Vec<(&str, &str)> = calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
    assert_eq!(made, [("find", "{\"number\":\"12\"}")]);
    assert!(calls.iter().all(|call| !call.id.is_empty()));

    // The body does not end: the words are there all the same.
    let first = native(json!({"content": "It is here."}), false);
    let second = native(json!({"content": " It"}), false);
    let server = RawServer::start(move |_, _, _| raw("200 OK", &[first.as_bytes(), second.as_bytes(), b""])).await;
    let vendor = server.vendor();
    let plan = LlmPlan { candidates: vec![vendor.candidate(LlmProvider::Openai, "m")], rules: None, hedge_after: None };
    let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
    let mut stream = stream_llm_response(&vendor.providers, plan, request);
    let heard = tokio::time::timeout(Duration::from_millis(900), stream.events.recv()).await.unwrap();
    assert_eq!(heard, Some(LlmEvent::Text("It is here.".into())));
}

#[tokio::test]
async fn an_answer_of_ollama_that_was_cut_says_so_and_one_that_breaks_off_is_no_whole_one() {
    let line = |words: &str, done: Option<&str>| {
        format!("{}\n", json!({"message": {"content": words}, "done": done.is_some(), "done_reason": done}))
    };
    let cut = line("It is on", None) + &line("", Some("length"));
    let server = RawServer::start(move |_, _, _| raw("200 OK", &[cut.as_bytes()])).await;
    assert_eq!(server.answer().await, words("It is on|"));
    let broken = line("It is on", None) + &line(" its", None);
    let server = RawServer::start(move |_, _, _| raw("200 OK", &[broken.as_bytes()])).await;
    assert_eq!(server.answer().await, ("It is on its".to_owned(), vec![], Err("dropped".to_owned())));
}

#[tokio::test]
async fn a_body_in_an_encoding_is_refused_by_name_and_none_is_asked_for() {
    for name in ["gzip", "br", "deflate", "zstd", "identity, GZIP"] {
        let head = format!("200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: {name}");
        let server = RawServer::start(move |_, _, _| raw(&head, &[b"\x1f\x8b\x08\x00"])).await;
        let failure = server.failure().await;
        let named = name.split(", ").last().unwrap();
        assert!(failure.contains("content-encoding") && failure.contains(named), "{failure}");
        let asked = server.asked.lock().unwrap();
        assert!(asked.iter().all(|(head, _)| head.contains("accept-encoding: identity")), "{asked:?}");
        assert_eq!(asked.len(), 2, "once more, or a fallback");
    }
    let unsaid = RawServer::start(|_, _, _| raw("200 OK", &[b"\x1f\x8b\x08\x00"])).await;
    assert!(unsaid.failure().await.contains("content-encoding"));
    let refusal = RawServer::start(|_, _, _| raw("400 X\r\ncontent-encoding: gzip", &[b"\x1f\x8b\x08\x00"])).await;
    assert!(refusal.failure().await.contains("content-encoding gzip"));
    // Servers write other things there too.
    let body = format!("data: {}\n\ndata: {}\n\n", chunk("Yes."), last());
    let server = RawServer::start(move |_, _, _| raw("200 OK\r\ncontent-encoding: utf-8", &[body.as_bytes()])).await;
    assert_eq!(server.answer().await, words("Yes."));
}

#[tokio::test]
async fn a_server_that_encodes_once_is_asked_again() {
    let body = format!("data: {}\n\ndata: {}\n\n", chunk("Yes."), last());
    let server = RawServer::start(move |number, _, _| match number {
        0 => raw("200 OK\r\ncontent-encoding: gzip", &[b"\x1f\x8b"]),
        _ => raw("200 OK", &[body.as_bytes()]),
    })
    .await;
    assert_eq!((server.answer().await, server.bodies().len()), (words("Yes."), 2));
}

#[tokio::test]
async fn what_is_no_answer_at_status_200_is_a_failure_with_its_reason() {
    for (body, wanted) in [
        (json!({"error": {"message": "overloaded", "code": 503}}).to_string(), "overloaded"),
        (json!({"error": "model is loading"}).to_string(), "model is loading"),
        (json!({"object": "error", "message": "no slot", "code": 400}).to_string(), "no slot"),
        (json!({"type": "error", "message": "busy"}).to_string(), "busy"),
        (json!({"detail": "Not Found"}).to_string(), "Not Found"),
        (json!({"message": "no Route matched with those values"}).to_string(), "no Route matched"),
        (format!("data: {}\n\n", json!({"object": "error", "message": "no slot"})), "no slot"),
        ("<!DOCTYPE html><html><body>Sign in</body></html>".to_owned(), "HTML"),
        ("\n\n<html>".to_owned(), "HTML"),
    ] {
        let sent = body.clone();
        let server =
            RawServer::start(move |_, _, _| raw("200 OK\r\ncontent-type: text/plain", &[sent.as_bytes()])).await;
        let failure = server.failure().await;
        assert!(failure.contains(wanted), "{body}: {failure}");
        assert_eq!(server.bodies().len(), 2, "{body}: asked once more");
    }
}

fn answered(is_taken: bool, why: &str) -> RawAnswer {
    let body = format!("data: {}\n\ndata: {}\n\n", chunk("Yes."), last());
    match is_taken {
        true => raw("200 OK", &[body.as_bytes()]),
        false => raw("400 X", &[json!({"error": {"message": why}}).to_string().as_bytes()]),
    }
}

#[tokio::test]
async fn a_server_that_insists_on_tool_choice_gets_it_from_then_on() {
    for why in [
        "tool_choice is required when tools are given",
        "Field required: tool_choice",
        "you must specify `tool_choice`",
    ] {
        let server = RawServer::start(move |_, _, body| answered(body["tool_choice"] == "auto", why)).await;
        assert_eq!(server.answer().await, words("Yes."), "{why}");
        assert_eq!(server.answer().await, words("Yes."), "{why}");
        let choices: Vec<Value> = server.bodies().iter().map(|body| body["tool_choice"].clone()).collect();
        assert_eq!(choices, [Value::Null, json!("auto"), json!("auto")], "one more request, once: {why}");
    }
}

#[tokio::test]
async fn a_server_that_wants_tool_choice_and_then_does_not_take_it_is_left_alone() {
    let server = RawServer::start(|_, _, body| {
        let why =
            if body["tool_choice"].is_null() { "tool_choice is required" } else { "tool_choice is not supported" };
        answered(false, why)
    })
    .await;
    let (_, _, end) = server.answer().await;
    assert_eq!(end, Err("refused".to_owned()));
    assert!(server.bodies().len() <= 4, "{}", server.bodies().len());
}

#[tokio::test]
async fn a_server_that_refuses_tool_choice_is_asked_without_it() {
    let server = RawServer::start(|_, _, body| {
        answered(body["tool_choice"].is_null(), "tool_choice: Extra inputs are not permitted")
    })
    .await;
    let vendor = server.vendor();
    for _ in 0..2 {
        let candidates = vec![vendor.candidate(LlmProvider::Openai, "m")];
        let plan = LlmPlan { candidates, rules: None, hedge_after: None };
        let tools = vec![trunkline_domain::chat::ToolOffer { name: "find".into(), ..Default::default() }];
        let messages = vec![ChatMessage::User("Hi".into())];
        let tool_choice = trunkline_domain::chat::ToolChoice::None;
        let request = LlmRequest { messages, tools, tool_choice, ..LlmRequest::default() };
        assert_eq!(vendor.read(plan, request).await, words("Yes."));
    }
    let choices: Vec<(Value, bool)> =
        server.bodies().iter().map(|body| (body["tool_choice"].clone(), body["tools"].is_array())).collect();
    assert_eq!(choices, [(json!("none"), true), (Value::Null, false), (Value::Null, false)]);
}

#[tokio::test]
async fn a_server_that_is_busy_or_still_loading_is_waited_for() {
    let yes = || streamed(&[text("Yes."), stop()]);
    for (answers, requests, waited_ms) in [
        (vec![Answer(503, vec![]), yes()], 2, 750..1_600),
        (vec![Answer(529, vec![]), Answer(503, vec![]), yes()], 3, 3_100..4_200),
        (vec![Answer(500, vec![]), yes()], 2, 0..700),
    ] {
        let vendor = Vendor::start(answers).await;
        let events = timed(&vendor).await;
        let (ms, event) = &events[0];
        assert_eq!((event, vendor.asked().len()), (&LlmEvent::Text("Yes.".into()), requests));
        assert!(waited_ms.contains(ms), "{ms} ms after {requests} requests");
    }
}
