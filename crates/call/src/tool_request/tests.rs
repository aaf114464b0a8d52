//! Tool definition, arguments and variables become a request.

use super::*;
use crate::domain::call::Direction;
use crate::domain::collected::CollectedValues;
use crate::domain::ids::{CallId, OrganizationId};
use serde_json::json;

struct Scene {
    tool: Tool,
    call: Call,
    agent: AgentFields,
    task: TaskFields,
    variables: CallVariables,
}

fn scene(url: &str, request: Value) -> Scene {
    let tool = json!({"function": {"name": "find"}, "url": url, "request": request});
    let mut call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0));
    call.metadata = Some(json!({"crm": "c 1"}));
    let context = json!({"shop": "a/b", "evil": "x\r\nX-Evil: 1", "city": "Zoë", "up": ".."});
    Scene {
        tool: serde_json::from_value(tool).unwrap(),
        call,
        agent: serde_json::from_value(json!({"name": "Ada"})).unwrap(),
        task: TaskFields { context_data: context.as_object().cloned(), ..TaskFields::default() },
        variables: CallVariables(json!({"order": {"id": 12}}).as_object().unwrap().clone()),
    }
}

impl Scene {
    fn plan(&self, arguments: Value) -> Result<PlannedRequest, String> {
        let wanted =
            ToolCall { id: "1".into(), name: "find".into(), arguments: arguments.to_string(), ..ToolCall::default() };
        let mut collected = CollectedValues::default();
        collected.put("pin", "4711#".into(), true);
        let of = ToolSituation {
            call: &self.call,
            agent: &self.agent,
            task: Some(&self.task),
            variables: &self.variables,
            collected: &collected,
            webhook_url: Some("https://hook.example"),
            now: UnixMs(0),
        };
        plan(&self.tool, &wanted, DeliveryId::new(), &of)
    }
}

fn url(template: &str, request: Value, arguments: Value) -> Result<String, String> {
    scene(template, request).plan(arguments).map(|planned| planned.url)
}

fn body(request: Value, arguments: Value) -> PlannedBody {
    scene("https://a.example/", request).plan(arguments).unwrap().body.unwrap()
}

fn header(planned: &PlannedRequest, name: &str) -> Option<String> {
    planned.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose().to_owned())
}

#[test]
fn a_tool_without_a_request_posts_the_message_below_the_agents_webhook() {
    let mut scene = scene("https://own.example/book", json!({}));
    (scene.tool.request, scene.tool.url) = (None, None);
    let planned = scene.plan(json!({"a": 1})).unwrap();
    assert_eq!((planned.method, planned.url.as_str()), (HttpMethod::Post, "https://hook.example/tool-calls"));
    assert_eq!(planned.kept.unwrap().body["tool_calls"][0]["arguments"], json!({"a": 1}));
    assert!(planned.headers.is_empty());
    scene.tool.url = Some("https://own.example/book".to_owned());
    assert_eq!(scene.plan(json!({})).unwrap().url, "https://own.example/book");
}

/// What the caller has entered goes into arguments alone, not into a value of the call that names it.
#[test]
fn values_in_the_message_are_not_read_for_what_was_entered() {
    let mut scene = scene("https://own.example/book", json!({}));
    scene.tool.request = None;
    // A page chooses the name of its caller.
    scene.call.from_number = "{{collected.pin}}".to_owned();
    let text = scene.plan(json!({"pin": "{{collected.pin}}"})).unwrap().body.unwrap().text;
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(sent["tool_calls"][0]["arguments"]["pin"], "4711#");
    assert!(text.contains("{{collected.pin}}") && text.matches("4711#").count() == 1, "{text}");
}

#[test]
fn arguments_of_get_and_delete_stand_in_the_query() {
    let arguments = json!({"q": "a&b=c d", "n": 5, "yes": true, "none": null, "list": ["x", 2], "object": {"a": "\""}});
    for method in ["GET", "DELETE"] {
        let planned =
            scene("https://a.example/find?v=1#part", json!({"method": method, "static_parameters": {"n": 7}}));
        let planned = planned.plan(arguments.clone()).unwrap();
        let query = "list=x&list=2&n=7&object=%7B%22a%22%3A%22%5C%22%22%7D&q=a%26b%3Dc+d&yes=true";
        assert_eq!(planned.url, format!("https://a.example/find?v=1&{query}"));
        assert_eq!((planned.body, planned.kept), (None, None));
    }
    let get = json!({"method": "GET"});
    assert_eq!(url("https://a.example/find", get.clone(), json!({})).unwrap(), "https://a.example/find");
    assert_eq!(
        url("https://a.example/find?v=1", get.clone(), json!({"v": 2})).unwrap(),
        "https://a.example/find?v=1",
        "not twice"
    );
    let long = url("https://a.example/", get, json!({"q": "x".repeat(9_000)}));
    assert_eq!(long.unwrap_err(), "the arguments are too long for a URL");
}

#[test]
fn bodies_are_json_forms_or_the_message() {
    let arguments = json!({"a": "x\"\n", "b": [1], "limit": 3});
    let fixed = json!({"a": "{{metadata.crm}}", "c": {"d": ["{{order.id}}", "{{none|-}}"]}});
    let json = body(
        json!({"body_format": "json", "static_parameters": fixed, "query_parameters": ["limit"]}),
        arguments.clone(),
    );
    assert_eq!(json.content_type, Some("application/json"));
    let sent: Value = serde_json::from_str(&json.text).unwrap();
    assert_eq!(sent, json!({"a": "c 1", "b": [1], "c": {"d": ["12", "-"]}}));
    let form = body(json!({"method": "PUT", "body_format": "form"}), arguments.clone());
    assert_eq!(form.content_type, Some("application/x-www-form-urlencoded"));
    assert_eq!(form.text, "a=x%22%0A&b=1&limit=3");
    let message = body(json!({"static_parameters": {"limit": 9}}), arguments.clone());
    let sent: Value = serde_json::from_str(&message.text).unwrap();
    assert_eq!(sent["tool_calls"][0]["arguments"], json!({"a": "x\"\n", "b": [1], "limit": 9}));
    assert_eq!(sent["type"], json!("tool-calls"));
    let own = json!({"body_format": "json", "headers": {"content-type": "application/vnd.api+json"}});
    assert_eq!(body(own, arguments).content_type, None, "the tool's own header");
    let wrong = scene("https://a.example/", json!({})).plan(json!([1]));
    assert_eq!(wrong.unwrap_err(), "the arguments must be an object");
}

#[test]
fn values_stay_in_their_part_of_the_url() {
    let get = || json!({"method": "GET"});
    let built = |template: &str, arguments: Value| url(template, get(), arguments);
    let template = "https://a.example/{{shop}}/orders/{id}?city={{city}}&order={{order.id}}";
    let wanted = "https://a.example/a%2Fb/orders/x%2F..%2F..%2Fy%3Fz%23?city=Zo%C3%AB&order=12";
    assert_eq!(built(template, json!({"id": "x/../../y?z#"})).unwrap(), wanted);
    assert_eq!(built("https://a.example/{id}", json!({"id": 7, "more": 1})).unwrap(), "https://a.example/7?more=1");
    for id in [
        json!("@evil.example"),
        json!("//evil.example"),
        json!("\\evil.example"),
        json!(":8080"),
        json!("a\r\nHost: x"),
    ] {
        let built = built("https://a.example/{id}", json!({"id": id})).unwrap();
        let parsed = url::Url::parse(&built).unwrap();
        assert_eq!((parsed.host_str(), parsed.port()), (Some("a.example"), None), "{built}");
        assert_eq!(parsed.path_segments().unwrap().count(), 1, "{built}");
    }
    let missing = "the value of id is missing";
    for nothing in [json!({}), json!({"id": ""}), json!({"id": " "}), json!({"id": null})] {
        assert_eq!(built("https://a.example/orders/{id}/cancel", nothing).unwrap_err(), missing);
    }
    assert_eq!(built("https://a.example/{{unknown}}", json!({})).unwrap_err(), "the value of unknown is missing");
    assert_eq!(built("https://a.example/?x={{unknown}}&y={id}", json!({})).unwrap(), "https://a.example/?x=&y=");
    assert_eq!(built("https://a.example/{id}", json!({"id": [1]})).unwrap_err(), "id must be a single value");
    for (template, arguments) in [
        ("https://a.example/v1/{id}", json!({"id": ".."})),
        ("https://a.example/v1/{id}", json!({"id": "."})),
        ("https://a.example/v1/{{up}}", json!({})),
        ("https://a.example/v1/{a}{b}/x", json!({"a": ".", "b": "."})),
        ("https://a.example/v1/.{a}", json!({"a": "."})),
        ("https://a.example/v1/%2e{a}", json!({"a": "."})),
    ] {
        assert_eq!(built(template, arguments).unwrap_err(), "a value must not lead to another path", "{template}");
    }
}

#[test]
fn headers_have_the_secrets_and_no_second_line() {
    let secrets = json!({"KEY": "k".repeat(900), "PASS": "p:w"});
    let request = json!({"headers": {"X-Key": "{{secrets.KEY}}", "X-Crm": "{{metadata.crm}}-{{order.id}}", "X-None": "{{none}}"},
        "secrets": secrets, "auth": {"type": "basic", "username": "u", "password": "{{secrets.PASS}}"}});
    let planned = scene("https://a.example/", request).plan(json!({})).unwrap();
    assert_eq!(header(&planned, "X-Key"), Some("k".repeat(900)), "tokens are long");
    assert_eq!(header(&planned, "X-Crm").as_deref(), Some("c 1-12"));
    assert_eq!(header(&planned, "X-None"), None, "an empty header is not sent");
    assert_eq!(header(&planned, "authorization").as_deref(), Some("Basic dTpwOnc="));
    let own =
        json!({"auth": {"type": "header", "name": "X-Token", "value": "t0ken"}, "headers": {"Accept": "text/csv"}});
    let planned = scene("https://a.example/", own).plan(json!({})).unwrap();
    assert_eq!(header(&planned, "X-Token").as_deref(), Some("t0ken"));
    assert_eq!((header(&planned, "accept"), header(&planned, "Accept").as_deref()), (None, Some("text/csv")));
    let broken = scene("https://a.example/", json!({"headers": {"X-A": "a {{evil}}"}})).plan(json!({}));
    assert_eq!(broken.unwrap_err(), "the header X-A cannot be sent: the value of evil has a line break in it");
    let shown = format!("{planned:?}");
    assert!(!shown.contains("t0ken"), "{shown}");
}

#[test]
fn a_secret_is_removed_in_every_form() {
    let redaction = Redaction::new([Secret::from("a b+c/d"), Secret::from("abc")].iter());
    assert_eq!(
        redaction.text("x a b+c/d y a%20b%2Bc%2Fd z abc"),
        "x [removed] y [removed] z abc",
        "three letters are no secret"
    );
    assert_eq!(
        redaction.text("é a+b%2bc%2Fd %61%20b+c/d a%20b%2Bc%2F %"),
        "é [removed] [removed] a%20b%2Bc%2F %",
        "partly encoded"
    );
    let value = redaction.value(json!({"a b+c/d": ["a b+c/d", 1, {"n": "no"}]}));
    assert_eq!(value, json!({"[removed]": ["[removed]", 1, {"n": "no"}]}));
}

#[test]
fn what_the_caller_has_entered_is_sent_and_not_kept() {
    let request = json!({"static_parameters": {"pin": "{{collected.pin}}"}});
    let planned =
        scene("https://a.example/x?q={{collected.pin}}", request).plan(json!({"code": "{{collected.pin}}"})).unwrap();
    assert_eq!(planned.url, "https://a.example/x?q=4711%23");
    let body = planned.body.unwrap().text;
    assert!(body.contains("4711#") && !body.contains("collected"), "{body}");
    let kept = planned.kept.unwrap();
    let kept = format!("{} {}", kept.target, kept.body);
    assert!(kept.contains("{{collected.pin}}") && !kept.contains("4711"), "{kept}");

    let form = json!({"body_format": "form"});
    let planned = scene("https://a.example/x", form).plan(json!({"code": "{{collected.pin}}"})).unwrap();
    assert_eq!(planned.body.unwrap().text, "code=4711%23");
}

#[test]
fn parameters_have_a_bound_and_secrets_an_address_of_their_own() {
    let many = json!({"static_parameters": {"all": vec!["{{shop}} and some words more"; 20_000]}});
    assert!(scene("https://a.example/x", many).plan(json!({})).is_err_and(|why| why.contains("too long")));
    let mut without = scene("https://a.example/x", json!({"secrets": {"KEY": "k-1234"}}));
    without.tool.url = None;
    assert!(without.plan(json!({})).is_err());
}

#[test]
fn digits_that_a_model_writes_are_sent_and_not_kept() {
    let planned = scene("https://a.example/x", json!({})).plan(json!({"code": "4711#"})).unwrap();
    assert!(planned.body.unwrap().text.contains("4711#"));
    assert!(!planned.kept.unwrap().body.to_string().contains("4711"));
}
