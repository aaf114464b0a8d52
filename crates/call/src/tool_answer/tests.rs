//! Answers become texts for the model, and variables.

use super::*;
use crate::domain::secret::Secret;
use bytes::Bytes;

fn tool(request: Value) -> Tool {
    serde_json::from_value(json!({"function": {"name": "find"}, "url": "https://a.example/", "request": request}))
        .unwrap()
}

fn answer(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> ToolAnswer {
    let content_type = (!content_type.is_empty()).then(|| content_type.to_owned());
    ToolAnswer { status, content_type, body: Bytes::copy_from_slice(body.as_ref()), ..ToolAnswer::default() }
}

fn read(request: Value, answer: &ToolAnswer) -> ToolOutcome {
    let secrets = [Secret::from("s3cret-key")];
    outcome(&tool(request), "call_1", Ok(answer), &Redaction::new(secrets.iter()))
}

fn check(status: u16, content_type: &str, body: impl AsRef<[u8]>, wanted: &str) {
    let shown = String::from_utf8_lossy(body.as_ref()).into_owned();
    let read = read(json!({"body_format": "json"}), &answer(status, content_type, body));
    assert_eq!(read, ToolOutcome::new(wanted), "{status} {content_type} {shown}");
}

#[test]
fn text_json_and_nothing_are_results() {
    check(200, "application/json", r#"{"a":1}"#, r#"{"a":1}"#);
    check(200, "application/problem+json; charset=utf-8", "[1]", "[1]");
    check(200, "", r#"{"a":1}"#, r#"{"a":1}"#);
    check(200, "text/plain", "It is on its way.\n", "It is on its way.");
    check(200, "text/csv", "a,b\n1,2", "a,b\n1,2");
    check(200, "application/xml", "<order id=\"1\"/>", "<order id=\"1\"/>");
    check(200, "text/plain", r#"{"a":1}"#, r#"{"a":1}"#);
    check(200, "application/json", "\"plain\"", "plain");
    check(200, "application/json", "null", "null");
    check(200, "application/json", "{\"a\":\"b\nc\"}", r#"{"a":"b c"}"#);
    check(204, "", "", "done");
    check(205, "text/html", "", "done");
    check(201, "application/json", " \r\n", "done");
}

#[test]
fn charsets_are_read() {
    check(200, "text/plain; charset=ISO-8859-1", b"caf\xE9", "café");
    check(200, "text/plain; charset=\"windows-1252\"", b"\x80 5 \x93ok\x94 \x99", "€ 5 “ok” ™");
    check(200, "text/plain", b"caf\xE9", "café");
    check(200, "application/json; charset=utf-8", b"\xEF\xBB\xBF{\"a\":\"\xC3\xA9\"}", "{\"a\":\"é\"}");
    check(200, "text/plain; charset=utf-16", b"\xFF\xFEh\0i\0", "hi");
    check(200, "text/plain; charset=utf-16be", b"\0h\0i", "hi");
    check(200, "text/plain; charset=koi8-r", "x", "error: the answer has the charset koi8-r, which cannot be read");
}

#[test]
fn what_is_no_result_is_a_short_honest_error() {
    let page = "error: the answer is a web page (HTML)";
    check(200, "text/html; charset=utf-8", "<h1>Log in</h1>", page);
    check(200, "application/json", "  <!DOCTYPE html><html>", page);
    check(200, "application/json", "{\"a\":", "error: the answer is not valid JSON");
    check(200, "application/pdf", "%PDF-1.7", "error: the answer is application/pdf, which is no text");
    check(200, "image/png\u{1b}[31m", "x", "error: the answer is image/png31m, which is no text");
    check(200, "", b"\0\x01", "error: the answer is no text");
    check(200, "application/json", "[".repeat(100), "error: the answer is nested more than 64 levels deep");
    check(302, "text/html", "<a>", "error: the server answered with a redirect (status 302) that is not followed");
    check(
        404,
        "application/json",
        r#"{"message":"No such order"}"#,
        "error: the server answered with status 404: No such order",
    );
    check(
        422,
        "application/json",
        r#"{"error":{"message":"Too many"}}"#,
        "error: the server answered with status 422: Too many",
    );
    check(503, "text/html", "<html><h1>Unavailable</h1>", "error: the server answered with status 503");
    check(
        500,
        "text/plain",
        "é".repeat(1_000),
        &format!("error: the server answered with status 500: {}", "é".repeat(300)),
    );
    check(500, "application/json", "[1]", "error: the server answered with status 500");
    let compressed = ToolAnswer { content_encoding: Some("br".into()), ..answer(200, "application/json", "xx") };
    assert_eq!(read(json!({}), &compressed).text, "error: the answer is compressed (br), which was not asked for");
}

#[test]
fn without_an_answer_the_model_learns_neither_address_nor_cause() {
    let failed = |error: WebhookError| {
        let mut tool = tool(json!({}));
        tool.timeout_ms = Some(1_500);
        outcome(&tool, "1", Err(&error), &Redaction::default()).text
    };
    assert_eq!(failed(WebhookError::Deadline), "error: the tool did not answer within 2 s");
    assert_eq!(failed(WebhookError::TooLarge), "error: the answer is too large");
    let cause = WebhookError::Unreachable("connection refused at 10.0.0.7".into());
    assert_eq!(failed(cause), "error: the tool did not answer");
}

#[test]
fn an_answer_that_repeats_a_secret_is_told_without_it() {
    check(401, "text/plain", "bad key s3cret-key", "error: the server answered with status 401: bad key [removed]");
    check(
        200,
        "application/json",
        r#"{"headers":{"x":"Bearer s3cret\u002dkey"}}"#,
        r#"{"headers":{"x":"Bearer [removed]"}}"#,
    );
    let mapping = json!({"body_format": "json", "response": {"variables": {"seen": "k"}}});
    let read = read(mapping, &answer(200, "application/json", r#"{"k":"s3cret-key"}"#));
    assert_eq!(read.variables["seen"], json!("[removed]"));
}

#[test]
fn parts_of_an_answer_reach_the_model_and_the_call() {
    let mapping = json!({"body_format": "json", "response": {
        "fields": {"state": "/data/state", "first": "data.items[0].name", "none": "/x"},
        "variables": {"order": "data.id", "items": "/data/items", "gone": "/nope", "nothing": "data.null"}}});
    let body = json!({"data": {"state": "sent", "id": 7, "null": null, "items": [{"name": "chair"}]}, "internal": "x"})
        .to_string();
    let found = read(mapping.clone(), &answer(200, "application/json", &body));
    assert_eq!(found.text, r#"{"first":"chair","state":"sent"}"#);
    assert_eq!(Value::Object(found.variables), json!({"order": 7, "items": [{"name": "chair"}]}));
    let other = read(mapping.clone(), &answer(200, "application/json", "{}"));
    assert_eq!(other, ToolOutcome::new("error: the answer has none of the fields first, none, state"));
    let failed = read(mapping, &answer(500, "application/json", body));
    assert!(failed.variables.is_empty(), "a failure sets nothing");
    let large = json!({"body_format": "json", "response": {"variables": {"v": "$"}}});
    assert!(read(large, &answer(200, "text/plain", "x".repeat(20_000))).variables.is_empty());
}

#[test]
fn an_answer_to_a_message_has_the_four_formats() {
    let mapping = json!({"response": {"fields": {"name": "name"}}});
    for body in [
        json!({"results": [{"tool_call_id": "call_1", "result": {"name": "Jan", "x": 1}}]}),
        json!({"result": {"name": "Jan", "x": 1}}),
        json!({"name": "Jan", "x": 1}),
    ] {
        let read = read(mapping.clone(), &answer(200, "application/json", body.to_string()));
        assert_eq!(read.text, r#"{"name":"Jan"}"#, "{body}");
    }
    assert_eq!(read(json!({}), &answer(200, "application/json", r#"{"error":"gone"}"#)).text, "error: gone");
    assert_eq!(read(json!({"method": "GET"}), &answer(200, "", r#"{"result":1,"b":2}"#)).text, r#"{"b":2,"result":1}"#);
    let plain: Tool = serde_json::from_value(json!({"function": {"name": "find"}})).unwrap();
    let read = |answer: &ToolAnswer| outcome(&plain, "1", Ok(answer), &Redaction::default()).text;
    assert_eq!(read(&answer(200, "text/plain", "It is sent.")), "It is sent.");
    assert_eq!(read(&answer(204, "", "")), "done");
    assert_eq!(read(&answer(200, "text/html", "<html>Log in")), "error: the answer is a web page (HTML)");
    assert_eq!(read(&answer(500, "text/plain", "secret path /etc")), "error: the server answered with status 500");
}

#[test]
fn an_answer_to_a_message_is_a_result_whatever_its_form_and_a_failure_has_its_true_words() {
    let plain: Tool = serde_json::from_value(json!({"function": {"name": "find"}})).unwrap();
    let read = |answer: &ToolAnswer| outcome(&plain, "call_1", Ok(answer), &Redaction::default()).text;
    let cases: [(&str, &[u8], &str); 13] = [
        ("text/html; charset=utf-8", b"{\"result\":\"shipped\"}", "shipped"),
        ("text/html", b"{\"results\":[{\"tool_call_id\":\"call_1\",\"result\":\"shipped\"}]}", "shipped"),
        ("text/html", b"<html><body>shipped</body></html>", "shipped"),
        ("text/plain", b"<html><body>shipped</body></html>", "shipped"),
        ("text/plain; charset=iso-8859-1", b"Gr\xF6\xDFe verf\xFCgbar", "Größe verfügbar"),
        ("application/json; charset=iso-8859-1", b"{\"result\":\"Gr\xF6\xDFe\"}", "Größe"),
        ("text/html; charset=iso-8859-1", b"<p>Gr\xF6\xDFe</p>", "Größe"),
        ("text/plain", b"caf\xE9", "café"),
        ("application/json", b"{\"result\": tru", "{\"result\": tru"),
        ("application/pdf", b"Accepted", "Accepted"),
        ("text/plain; charset=koi8-r", b"Accepted", "Accepted"),
        ("text/html", b"<html><body><form></form></body></html>", "error: the answer is a web page (HTML)"),
        ("text/html", b"{oops", "{oops"),
    ];
    for (kind, body, wanted) in cases {
        assert_eq!(read(&answer(200, kind, body)), wanted, "{kind} {}", String::from_utf8_lossy(body));
    }
    assert_eq!(
        read(&answer(302, "text/html", "")),
        "error: the server answered with a redirect (status 302) that is not followed"
    );
    assert_eq!(read(&answer(404, "application/json", "{}")), "error: the server answered with status 404");
    let failed = |error: WebhookError| outcome(&plain, "1", Err(&error), &Redaction::default()).text;
    assert_eq!(failed(WebhookError::TooLarge), "error: the answer is too large");
    assert!(failed(WebhookError::Deadline).starts_with("error: the tool did not answer within"));
    assert_eq!(failed(WebhookError::Unreachable("reset".into())), "error: the tool did not answer");
}

#[test]
fn failures_that_may_pass_are_repeated_within_the_time() {
    let request = |retry: Value, method: &str| tool(json!({"method": method, "retry": retry})).request;
    let get = request(json!({"count": 2, "delay_ms": 400}), "GET");
    let left = Duration::from_secs(5);
    let ms = |ms| Some(Duration::from_millis(ms));
    for (status, wanted) in [(200, None), (404, None), (302, None), (429, ms(400)), (500, ms(400)), (503, ms(400))] {
        assert_eq!(repeat_after(get.as_ref(), 0, Ok(&answer(status, "", "")), left), wanted, "{status}");
    }
    let gone = WebhookError::Unreachable("reset".into());
    assert_eq!(repeat_after(get.as_ref(), 0, Err(&gone), left), ms(400));
    assert_eq!(repeat_after(get.as_ref(), 1, Err(&gone), left), ms(800));
    assert_eq!(repeat_after(get.as_ref(), 2, Err(&gone), left), None, "no more");
    assert_eq!(repeat_after(get.as_ref(), 1, Err(&gone), Duration::from_millis(800)), None, "no time");
    for error in [WebhookError::Deadline, WebhookError::TooLarge] {
        assert_eq!(repeat_after(get.as_ref(), 0, Err(&error), left), None, "{error}");
    }
    let asked = ToolAnswer { retry_after: Some(Duration::from_secs(2)), ..answer(429, "", "") };
    assert_eq!(repeat_after(get.as_ref(), 0, Ok(&asked), left), ms(2_000));
    assert_eq!(repeat_after(get.as_ref(), 0, Ok(&asked), Duration::from_secs(2)), None, "not before the server's time");
    let post = request(json!({"count": 2}), "POST");
    assert_eq!(repeat_after(post.as_ref(), 0, Err(&gone), left), None, "a POST may have been done");
    let asked_for = request(json!({"count": 2, "post": true}), "POST");
    assert_eq!(repeat_after(asked_for.as_ref(), 0, Err(&gone), left), ms(500));
    assert_eq!(repeat_after(None, 0, Err(&gone), left), None);
}

#[test]
fn of_a_file_the_model_learns_type_and_size() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\xFF";
    check(200, "image/png", png, "a file of type image/png, 11 bytes");
    check(200, "", png, "a file of type image/png, 11 bytes");
    check(200, "application/octet-stream", b"\0\x01\xFF", "a file of type application/octet-stream, 3 bytes");
    let plain: Tool = serde_json::from_value(json!({"function": {"name": "find"}})).unwrap();
    let read = |answer: &ToolAnswer| outcome(&plain, "call_1", Ok(answer), &Redaction::default()).text;
    assert_eq!(read(&answer(200, "image/png", png)), "a file of type image/png, 11 bytes");
    let problem =
        answer(422, "application/problem+json", r#"{"title":"Bad order","detail":"No such order 12","status":422}"#);
    assert_eq!(read(&problem), "error: the server answered with status 422: No such order 12");
}
