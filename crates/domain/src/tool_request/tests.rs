//! What is refused when a tool with a request is saved, with path and reason, and what is shown of it.

use super::*;
use crate::agent::AgentFields;
use crate::faults;
use crate::template::TemplateValues;
use serde_json::json;

fn agent(tool: Value) -> AgentFields {
    let mut all = json!({"function": {"name": "find", "parameters": {"type": "object", "additionalProperties": false,
        "properties": {"id": {"type": "string"}, "limit": {"type": "integer", "maximum": 10}}, "required": ["id", "limit"]}},
        "url": "https://a.example/orders/{id}"});
    all.as_object_mut().unwrap().extend(tool.as_object().unwrap().clone());
    let config = json!({"provider": "openai", "model": "m", "tools": [all]});
    serde_json::from_value(json!({"name": "A", "llm_config": config})).unwrap()
}

/// The faults of a tool, with paths below the tool.
fn refused(tool: Value) -> Vec<String> {
    let found = faults(&agent(tool));
    found
        .into_iter()
        .map(|f| format!("{}: {}", f.field.trim_start_matches("llm_config.tools[0]."), f.message))
        .collect()
}

fn check(tool: Value, wanted: &str) {
    let found = refused(tool.clone());
    assert!(found.len() == 1 && found[0].starts_with(wanted), "{tool}: {found:?}, not {wanted}");
}

fn request(request: Value, wanted: &str) {
    check(json!({"request": request}), wanted);
}

#[test]
fn a_whole_request_is_taken() {
    let request = json!({"method": "PUT", "body_format": "json",
        "headers": {"X-Shop": "{{shop|main}}", "X-Key": "{{secrets.KEY}}", "Content-Type": "application/vnd.api+json"},
        "query_parameters": ["limit"], "static_parameters": {"source": "phone of {{agent_name}}", "limit": 5},
        "auth": {"type": "bearer", "token": "{{secrets.KEY}}"}, "secrets": {"KEY": "k-1"},
        "response": {"fields": {"state": "/data/state"}, "variables": {"order": "data.id"}},
        "retry": {"count": 2, "delay_ms": 200, "post": true}});
    let tool = json!({"request": request, "timeout_ms": 120_000, "progress": {"phrases": ["Just a second."]}});
    assert_eq!(refused(tool.clone()), Vec::<String>::new());
    assert_eq!(agent(tool).check_schemas(""), Ok(()));
}

#[test]
fn headers_that_cannot_be_sent_or_are_ours_are_refused() {
    let own = "is a header that the server sets itself";
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Idempotency-Key",
        "webhook-signature",
        "Proxy-Authorization",
        "Sec-Fetch-Mode",
        "TE",
    ] {
        request(json!({"headers": {name: "x"}}), &format!("request.headers.{name}: {own}"));
    }
    for name in ["X Key", "X:Key", "X-Key\r\nX", "é", ""] {
        request(json!({"headers": {name: "x"}}), &format!("request.headers.{name}: must be the name of a header"));
    }
    for value in ["a\r\nX: y", "a\nb", "a\0b", "\u{7f}", "", "é", " a"] {
        request(json!({"headers": {"X-A": value}}), "request.headers.X-A: must be one line of visible ASCII");
    }
    request(json!({"headers": {"X-A": "1", "x-a": "2"}}), "request.headers.x-a: is named twice");
    request(json!({"headers": {"Content-Type": "text/xml"}}), "request.headers.Content-Type: is set by body_format");
    request(json!({"headers": {"Authorization": "Bearer abc"}}), "request.headers.Authorization: would be shown");
    let twice = json!({"headers": {"authorization": "{{secrets.K}}"}, "secrets": {"K": "k"}, "auth": {"type": "bearer", "token": "t"}});
    request(twice, "request.auth: and headers both set Authorization");
    let twice = json!({"headers": {"x-key": "1"}, "auth": {"type": "header", "name": "X-Key", "value": "v"}});
    request(twice, "request.auth.name: is in headers too");
    request(json!({"auth": {"type": "header", "name": "Host", "value": "v"}}), &format!("request.auth.name: {own}"));
    request(json!({"auth": {"type": "basic", "username": "a:b", "password": "p"}}), "request.auth.username: must have");
    let many: Map<String, Value> = (0..31).map(|n| (format!("X-{n}"), json!("x"))).collect();
    request(json!({"headers": many}), "request.headers: must have at most 30 entries");
}

#[test]
fn templates_that_loop_or_name_unknown_things_are_refused() {
    for template in ["{{#each items}}", "{% for a in b %}", "{{call.colour}}", "{{a", "{{a|upcase}}"] {
        request(json!({"headers": {"X-A": template}}), "request.headers.X-A: is not a valid template");
        request(
            json!({"static_parameters": {"a": {"b": [template]}}}),
            "request.static_parameters.a: is not a valid template",
        );
        request(json!({"auth": {"type": "bearer", "token": template}}), "request.auth.token: is not a valid template");
    }
    request(
        json!({"headers": {"X-A": "{{secrets.NO}}"}}),
        "request.headers.X-A: names secrets.NO, which is not in secrets",
    );
    request(json!({"auth": {"type": "bearer", "token": "{{secrets.NO}}"}}), "request.auth.token: names secrets.NO");
    let secrets = json!({"K": "k-1"});
    request(
        json!({"secrets": secrets, "static_parameters": {"key": "{{secrets.K}}"}}),
        "request.static_parameters.key: must not have a secret",
    );
    check(
        json!({"url": "https://a.example/{id}?k={{secrets.K}}", "request": {"secrets": secrets}}),
        "request: must not have a secret in url",
    );
    check(
        json!({"url": "https://a.example/{nope}", "request": {}}),
        "request: has a url with {nope}, which is no argument",
    );
    check(json!({"url": "https://a.example/{id}/{id}", "request": {}}), "request: has the parameter id twice");
    check(json!({"url": "https://{id}.example/", "request": {}}), "url: is not a valid template");
    check(json!({"url": "https://a.example{id}/", "request": {}}), "url: is not a valid template");
    check(json!({"url": "https://a.example/{", "request": {}}), "url: is not a valid template");
    assert_eq!(refused(json!({"url": "https://a.example/{"})), Vec::<String>::new(), "as it always was");
}

#[test]
fn parameters_are_named_once_and_known() {
    request(json!({"query_parameters": ["limit", "limit"]}), "request.query_parameters[1]: must not be named twice");
    request(json!({"query_parameters": ["nope"]}), "request.query_parameters[0]: is no argument of the function");
    request(json!({"query_parameters": ["id"]}), "request.query_parameters[0]: stands in url already");
    check(
        json!({"url": "https://a.example/{id}?limit=1", "request": {"method": "GET"}}),
        "request.query_parameters: would send limit twice",
    );
    request(json!({"static_parameters": {"": 1}}), "request.static_parameters.: must have a name");
    let open =
        json!({"function": {"name": "find"}, "url": "https://a.example/{any}", "request": {"query_parameters": ["x"]}});
    assert_eq!(refused(open), Vec::<String>::new(), "a function without a schema takes any argument");
}

#[test]
fn a_fixed_value_fits_the_schema_that_describes_it() {
    let fixed = |value: Value| {
        agent(json!({"request": {"static_parameters": {"limit": value, "more": true}}})).check_schemas("")
    };
    assert_eq!(fixed(json!(10)), Ok(()));
    assert_eq!(fixed(json!("{{limit}}")), Ok(()), "not known yet");
    let fault = fixed(json!(11)).unwrap_err();
    assert_eq!(fault.field, "llm_config.tools[0].request.static_parameters");
    assert!(fault.message.starts_with("do not fit function.parameters: limit"), "{}", fault.message);
}

#[test]
fn secrets_paths_and_numbers_have_their_limits() {
    request(json!({"secrets": {"a b": "x"}}), "request.secrets.a b: must have a name");
    request(json!({"secrets": {"A": MASK}}), "request.secrets.A: is a mask");
    request(json!({"secrets": {"A": "line\nbreak"}}), "request.secrets.A: must be one line");
    request(json!({"auth": {"type": "bearer", "token": MASK}}), "request.auth.token: is a mask");
    request(json!({"response": {"fields": {"a": "a..b"}}}), "request.response.fields.a: must be a JSON pointer");
    request(json!({"response": {"variables": {"a-b": "a"}}}), "request.response.variables.a-b: must have a name");
    request(
        json!({"response": {"variables": {"secrets": "a"}}}),
        "request.response.variables.secrets: has a name that",
    );
    request(json!({"retry": {"count": 6}}), "request.retry.count: must be between 0 and 5");
    request(json!({"retry": {"delay_ms": 99}}), "request.retry.delay_ms: must be between 100 and 10000");
    check(json!({"timeout_ms": 120_001}), "timeout_ms: must be between 1 and 120000");
    check(json!({"progress": {"after_ms": 299}}), "progress.after_ms: must be between 300 and 60000");
    check(json!({"progress": {"phrases": [" "]}}), "progress.phrases[0]: must have 1 to 500 characters");
    for method in ["GET", "DELETE"] {
        let words = "request.body_format: is only for methods with a body";
        request(json!({"method": method, "body_format": "json"}), words);
        request(json!({"method": method, "body_format": "form"}), words);
        assert_eq!(refused(json!({"request": {"method": method}})), Vec::<String>::new());
    }
    check(json!({"url": null, "request": {"method": "GET"}}), "request: needs the tool's url");
    check(json!({"url": null, "request": {"body_format": "form"}}), "request: needs the tool's url");
    assert_eq!(refused(json!({"url": null, "request": {}})), Vec::<String>::new(), "the agent's webhook_url");
    let server = json!({"type": "mcp", "server_url": "https://a.example", "request": {}, "progress": {}});
    let config = json!({"provider": "openai", "model": "m", "tools": [server]});
    let agent: AgentFields = serde_json::from_value(json!({"name": "A", "llm_config": config})).unwrap();
    let found: Vec<String> = faults(&agent).into_iter().map(|fault| fault.field).collect();
    assert_eq!(found, ["llm_config.tools[0].progress", "llm_config.tools[0].request"]);
}

#[test]
fn no_refusal_repeats_a_secret() {
    let secret = "sup3r-s3cret\u{7}";
    for tool in [
        json!({"request": {"secrets": {"A": secret}}}),
        json!({"request": {"auth": {"type": "bearer", "token": secret}}}),
        json!({"request": {"auth": {"type": "bearer", "token": "{{sup3r-s3cret"}}}),
        json!({"request": {"auth": {"type": "basic", "username": "u", "password": secret}}}),
    ] {
        let found = refused(tool);
        assert!(!found.is_empty() && !format!("{found:?}").contains("sup3r"), "{found:?}");
    }
}

#[test]
fn what_is_shown_and_logged_holds_no_secret() {
    let agent = agent(
        json!({"request": {"secrets": {"KEY": "s3cret-1"}, "auth": {"type": "basic", "username": "u", "password": "s3cret-2"}}}),
    );
    let shown = serde_json::to_value(agent.without_secrets()).unwrap();
    let request = &shown["llm_config"]["tools"][0]["request"];
    assert_eq!(request["secrets"], json!({"KEY": MASK}));
    assert_eq!(request["auth"], json!({"type": "basic", "username": "u", "password": MASK}));
    assert!(!format!("{agent:?}{shown}").contains("s3cret"), "{agent:?}");
    assert!(serde_json::to_string(&agent).unwrap().contains("s3cret-1"), "it is stored");
}

#[test]
fn only_what_may_be_done_twice_is_repeated() {
    let retry = |post| ToolRetry { count: 3, delay_ms: 200, post };
    for (method, post, count) in [
        (HttpMethod::Get, false, 3),
        (HttpMethod::Put, false, 3),
        (HttpMethod::Delete, false, 3),
        (HttpMethod::Post, false, 0),
        (HttpMethod::Patch, false, 0),
        (HttpMethod::Post, true, 3),
    ] {
        assert_eq!(retry(post).count(method), count, "{method:?}");
    }
    assert_eq!(retry(false).delay(2, None), Duration::from_millis(800));
    assert_eq!(retry(false).delay(0, Some(Duration::from_secs(3))), Duration::from_secs(3));
}

struct NoValues;

impl TemplateValues for NoValues {
    fn value(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn a_request_keeps_its_templates_and_what_a_tool_sets_is_not_missing() {
    let mut agent = agent(json!({"url": "https://a.example/{id}?s={{shop}}", "request": {"headers": {"X-A": "{{who}}",
        "X-B": "{{secrets.K}}", "X-C": "{{order.id}}"}, "secrets": {"K": "k"}, "response": {"variables": {"order": "$"}}}}));
    agent.first_message = Some("Hi {{order}}.".to_owned());
    let report = crate::agent_texts::fill_in(&mut agent, None, &NoValues);
    assert_eq!(report.missing.into_iter().collect::<Vec<_>>(), ["shop", "who"]);
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(agent.first_message.as_deref(), Some("Hi."));
    let tool = &agent.llm_config.unwrap().tools[0];
    assert_eq!(tool.url.as_deref(), Some("https://a.example/{id}?s={{shop}}"));
    assert_eq!(tool.request.as_ref().unwrap().headers["X-A"], "{{who}}");
}
