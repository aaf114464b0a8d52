//! Two tenants who do their worst through the REST API: valid bodies with values that break careless servers, each other's
//! identifiers, and changes in any order, from a seed. `FUZZ_SECONDS` lets it run longer, `FUZZ_SEED` repeats a run.

use super::support::{NUMBER, Server, agent, until};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Requests of a run without `FUZZ_SECONDS`.
const REQUESTS: usize = 600;
/// No answer of the API takes longer, whatever it was sent.
const DEADLINE: Duration = Duration::from_secs(10);
const KINDS: [&str; 4] = ["agents", "tasks", "trunks", "phone-numbers"];

/// An organization with what it has made so far.
struct HostileTenant {
    key: String,
    /// `(kind, identifier)`.
    made: Vec<(&'static str, String)>,
}

struct Fuzzer<'a> {
    server: &'a Server,
    random: StdRng,
    tenants: [HostileTenant; 2],
    requests: usize,
    statuses: std::collections::BTreeMap<u16, usize>,
}

/// A valid body of each kind, for its owner.
fn valid(kind: &str, tenant: &HostileTenant, number: usize) -> Value {
    let of = |wanted: &str| tenant.made.iter().rev().find(|(kind, _)| *kind == wanted).map(|(_, id)| id.clone());
    match kind {
        "agents" => {
            let mut agent = agent();
            agent["analysis_plan"] =
                json!({"structured_data_plan": {"type": "object", "properties": {"a": {"type": "string"}}}});
            agent["dtmf_rules"] = json!({"rules": [{"digits": "1", "action": "say", "text": "One."}]});
            agent["turn_config"] = json!({"silence_ms": 700});
            agent["metadata"] = json!({"k": [1, {"x": "y"}]});
            agent["llm_config"]["tools"] =
                json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
            agent
        }
        "tasks" => {
            json!({"agent_id": of("agents"), "to_number": "+15550199", "context_data": {"a": "b"}, "priority": 1,
            "scheduled_at": "2030-01-01T12:00:00Z", "calling_windows": [{"time_zone": "Europe/Amsterdam", "days": ["mon"],
            "start": "09:00", "end": "18:00"}], "retry_policy": {"max_attempts": 2, "delay_seconds": 60, "on": ["busy"]}})
        }
        "trunks" => json!({"name": "t", "host": "127.0.0.1", "port": 9, "allowed_addresses": ["127.0.0.200"],
            "headers": {"X-A": "b"}, "targets": [{"host": "127.0.0.1", "port": 9}], "codecs": ["PCMU"]}),
        _ => json!({"number": format!("+1556{:07}", number), "agent_id": of("agents"), "trunk_id": of("trunks")}),
    }
}

/// A value that a parser, a database or arithmetic may not expect.
fn hostile(random: &mut StdRng) -> Value {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    match random.random_range(0..30) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(0),
        4 => json!(i64::MAX),
        5 => json!(u64::MAX),
        6 => json!(1e308),
        7 => json!(-1e-308),
        8 => json!(""),
        9 => json!("\u{0}"),
        10 => json!("a\r\nVia: x"),
        11 => json!("\u{e9}\u{20ac}\u{1f600}"),
        12 => json!("x".repeat(70_000)),
        13 => json!("../../etc/passwd"),
        14 => json!("%00%0d%0a"),
        15 => json!("sip:\u{e9}@[::1]:99999;lr"),
        16 => json!("https://127.0.0.1:1/#"),
        17 => json!("+"),
        18 => json!("+999999999999999999999"),
        19 => json!([]),
        20 => json!({}),
        21 => nested(100),
        22 => json!(vec![json!({"type": "x"}); 2_000]),
        23 => json!({"$ref": "#"}),
        24 => json!({"unevaluatedProperties": false, "$ref": "#"}),
        25 => json!({"pattern": "(a+)+$", "allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        26 => json!("0.0.0.0/0"),
        27 => json!("9999-99-99T99:99:99Z"),
        28 => json!("0000-01-01T00:00:00Z"),
        _ => json!("Etc/Nowhere"),
    }
}

/// Replaces, adds or takes away something at a place of a body.
fn mutate(body: &mut Value, random: &mut StdRng) {
    let depth = random.random_range(0..4);
    let mut place = body;
    for _ in 0..depth {
        let next = match &*place {
            Value::Object(fields) if !fields.is_empty() => {
                let at = random.random_range(0..fields.len());
                fields.keys().nth(at).cloned().map(|name| (Some(name), 0))
            }
            Value::Array(items) if !items.is_empty() => Some((None, random.random_range(0..items.len()))),
            _ => None,
        };
        place = match next {
            Some((Some(name), _)) => &mut place[name.as_str()],
            Some((None, at)) => &mut place[at],
            None => break,
        };
    }
    let value = hostile(random);
    match place {
        Value::Object(fields) if random.random_bool(0.5) => {
            let name = ["name", "unknown", "base_url", "webhook_url", "$ref", "\u{e9}"][random.random_range(0..6)];
            fields.insert(name.to_owned(), value);
        }
        place => *place = value,
    }
}

impl Fuzzer<'_> {
    /// One request of a tenant; checks what holds for every answer.
    async fn send(&mut self, who: usize, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = self.server.url(path);
        let request = self.server.http.request(method.parse().unwrap(), url).bearer_auth(&self.tenants[who].key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let said = || {
            format!(
                "{method} {path} {}",
                body.map_or(String::new(), |body| body.to_string().chars().take(600).collect())
            )
        };
        let answer = tokio::time::timeout(DEADLINE, request.send()).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("no answer to {}", said())).unwrap_or_else(|e| panic!("{e}: {}", said()));
        let status = answer.status().as_u16();
        assert!(answer.headers().contains_key("x-request-id"), "{}", said());
        let answer: Value = answer.json().await.unwrap_or_else(|error| panic!("{error}: {}", said()));
        assert!(status < 500 || status == 503, "{status} {answer} to {}", said());
        if status >= 400 {
            assert!(answer["details"]["code"].is_string(), "{answer} to {}", said());
        }
        self.requests += 1;
        *self.statuses.entry(status).or_default() += 1;
        (status, answer)
    }

    async fn step(&mut self) {
        let who = self.random.random_range(0..2);
        let kind = KINDS[self.random.random_range(0..KINDS.len())];
        let number = self.requests * 2 + who;
        let mut body = valid(kind, &self.tenants[who], number);
        for _ in 0..self.random.random_range(0..4) {
            mutate(&mut body, &mut self.random);
        }
        match self.random.random_range(0..10) {
            0..4 => {
                let (status, answer) = self.send(who, "POST", &format!("/{kind}"), Some(&body)).await;
                let name = kind.trim_end_matches('s').replace('-', "_");
                if let (201, Some(id)) = (status, answer["data"][name.as_str()]["id"].as_str()) {
                    self.tenants[who].made.push((kind, id.to_owned()));
                }
            }
            4..7 => {
                let Some((kind, id)) = self.any_of(who) else { return };
                let changes = match body {
                    Value::Object(fields) => Value::Object(fields.into_iter().take(3).collect::<Map<_, _>>()),
                    other => other,
                };
                self.send(who, "PATCH", &format!("/{kind}/{id}"), Some(&changes)).await;
            }
            7 => {
                // What is another tenant's is not there, whatever is asked of it.
                let Some((kind, id)) = self.any_of(1 - who) else { return };
                let method = ["GET", "PATCH", "DELETE"][self.random.random_range(0..3)];
                let change = (method == "PATCH").then(|| json!({"name": "stolen"}));
                let (status, answer) = self.send(who, method, &format!("/{kind}/{id}"), change.as_ref()).await;
                assert_eq!(status, 404, "{method} /{kind}/{id}: {answer}");
            }
            8 => {
                let Some((kind, id)) = self.any_of(who) else { return };
                let text = hostile(&mut self.random).to_string();
                let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).take(300).collect();
                // A request line has room for 64 KiB; the client sends no longer one.
                let text = &text[..text.floor_char_boundary(8_000)];
                self.send(who, "GET", &format!("/{kind}?limit=2&offset=0&status={text}&q={text}"), None).await;
                self.send(who, "GET", &format!("/{kind}/{id}"), None).await;
            }
            _ => {
                let Some((kind, id)) = self.any_of(who) else { return };
                let status = self.send(who, "DELETE", &format!("/{kind}/{id}"), None).await.0;
                if status == 200 {
                    self.tenants[who].made.retain(|(_, made)| *made != id);
                }
            }
        }
    }

    fn any_of(&mut self, who: usize) -> Option<(&'static str, String)> {
        let made = &self.tenants[who].made;
        (!made.is_empty()).then(|| made[self.random.random_range(0..made.len())].clone())
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hostile_tenants_break_nothing_and_see_nothing_of_each_other() {
    let server = Server::start().await;
    let store = &server.app.services.store;
    let hash = trunkline::domain::password::hash("a password of the tests").unwrap();
    let mut tenants = Vec::new();
    for name in ["First", "Second"] {
        let made = store.bootstrap(name, &format!("{name}@example.com"), &hash).await.unwrap();
        tenants.push(HostileTenant { key: made.key.text.expose().to_owned(), made: Vec::new() });
    }
    let seed: u64 = setting("FUZZ_SEED").unwrap_or(16);
    let until_then = setting("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let tenants = tenants.try_into().unwrap_or_else(|_| unreachable!("two were made"));
    let random = StdRng::seed_from_u64(seed);
    let mut fuzzer = Fuzzer { server: &server, random, tenants, requests: 0, statuses: Default::default() };
    while until_then.map_or(fuzzer.requests < REQUESTS, |end| Instant::now() < end) {
        fuzzer.step().await;
    }
    let figures = format!("{} requests from seed {seed}: {:?}", fuzzer.requests, fuzzer.statuses);
    assert!(fuzzer.statuses.get(&201).is_some_and(|count| *count > 20), "{figures}");
    assert!(fuzzer.statuses.get(&400).is_some_and(|count| *count > 20), "{figures}");
    // The third tenant's caller notices nothing.
    let report = server.call("listen; hangup").await;
    assert!(report.failure.is_none() && report.heard_seconds > 0.5, "{report:?}");
    let call = server.last_call().await;
    assert_eq!((&call["to_number"], &call["status"]), (&json!(NUMBER), &json!("completed")), "{call}");
    until("health", async || {
        let url = format!("http://{}/health", server.app.api_addr);
        (server.http.get(url).send().await.ok()?.status() == 200).then_some(())
    })
    .await;
}
