//! Requests to the REST API, and what its refusals mean for the person who asked.

use crate::credentials::{KEY_VARIABLE, Server, written};
use crate::error::{ClientError, Refusal};
use futures_util::StreamExt as _;
use reqwest::header::{COOKIE, ETAG, IF_MATCH, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Upgraded};
use serde_json::Value;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use trunkline_domain::secret::Secret;
use url::Url;

const CONNECT: Duration = Duration::from_secs(10);
/// A report may take a language model's time.
const ANSWER: Duration = Duration::from_secs(90);
/// A page of agents with long prompts has some megabytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Entries of a page: as many as the API gives.
const PAGE: usize = 100;
/// How often a request is repeated because there were too many.
const REPETITIONS_MAX: u32 = 3;
/// Longest time to wait before one.
const WAIT_S_MAX: u64 = 60;
/// Shown of an answer that is none of the API's.
const FOREIGN_CHARS_MAX: usize = 120;

/// Who asks.
#[derive(Clone, Debug)]
enum Caller {
    Nobody,
    Key(Secret),
    /// The cookie of a person who is logged in.
    Session(Secret),
}

/// A server's REST API, as one caller uses it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    caller: Caller,
}

/// An answer with the version of the document in it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub body: Value,
    pub etag: Option<String>,
    cookie: Option<Secret>,
}

impl Api {
    /// An API that is used with the server's key, if there is one.
    pub(crate) fn new(server: &Server) -> Result<Self, ClientError> {
        let http = builder().timeout(ANSWER).build().map_err(|error| no_tls(&error))?;
        let caller = server.api_key.clone().map_or(Caller::Nobody, Caller::Key);
        Ok(Self { http, base: server.url.clone(), caller })
    }

    /// The same server, used by a person instead of a key.
    pub(crate) async fn logged_in(&self, login: &Value) -> Result<Self, ClientError> {
        let nobody = Self { caller: Caller::Nobody, ..self.clone() };
        let answer = nobody.request(Method::POST, "/auth/login", &[], Some(login), None).await?;
        let cookie = answer.cookie.ok_or_else(|| {
            ClientError::Unreachable(format!("{} gave no session: is it a Trunkline server?", written(&self.base)))
        })?;
        Ok(Self { caller: Caller::Session(cookie), ..self.clone() })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ClientError> {
        Ok(self.request(Method::GET, path, &[], None, None).await?.body)
    }

    /// The server's OpenAPI document.
    pub(crate) async fn description(&self) -> Result<Value, ClientError> {
        self.get("/openapi.json").await
    }

    pub(crate) async fn get_with_version(&self, path: &str) -> Result<Answer, ClientError> {
        self.request(Method::GET, path, &[], None, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        Ok(self.request(Method::POST, path, &[], Some(body), None).await?.body)
    }

    /// Changes a document, if it is still the version that was read.
    pub(crate) async fn patch(&self, path: &str, body: &Value, etag: Option<&str>) -> Result<Value, ClientError> {
        Ok(self.request(Method::PATCH, path, &[], Some(body), etag).await?.body)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.request(Method::DELETE, path, &[], None, None).await.map(drop)
    }

    /// Opens a WebSocket, over the same TLS and proxies as all requests.
    pub(crate) async fn websocket(&self, path: &str) -> Result<WebSocketStream<Upgraded>, ClientError> {
        let key = generate_key();
        let address = format!("{}{path}", written(&self.base));
        // HTTP/2 has no Upgrade.
        let http = builder().http1_only().build().map_err(|error| no_tls(&error))?;
        let request = http.get(address).header("connection", "upgrade").header("upgrade", "websocket");
        let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", &key);
        let asked = tokio::time::timeout(ANSWER, request.send()).await;
        let response = match asked {
            Ok(sent) => sent.map_err(|error| self.unreachable(&error))?,
            Err(_) => return Err(ClientError::Unreachable(format!("{} did not answer in time", written(&self.base)))),
        };
        let accepted = response.headers().get("sec-websocket-accept").and_then(|value| value.to_str().ok());
        if response.status() != StatusCode::SWITCHING_PROTOCOLS
            || accepted != Some(derive_accept_key(key.as_bytes()).as_str())
        {
            let status = response.status().as_u16();
            return Err(foreign(
                &self.base,
                &format!("{status} instead of a WebSocket: does a proxy let Upgrade through?"),
            ));
        }
        let upgraded = response.upgrade().await.map_err(|error| self.unreachable(&error))?;
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
    }

    /// The first `limit` entries of a list, page by page, and how many there are.
    pub(crate) async fn list(
        &self, path: &str, many: &str, filters: &[(String, String)], limit: usize,
    ) -> Result<(Vec<Value>, u64), ClientError> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let mut query = filters.to_vec();
            query.push(("limit".to_owned(), PAGE.min(limit - entries.len()).max(1).to_string()));
            if let Some(last) = entries.last().and_then(|entry| entry["id"].as_str()) {
                query.push(("before".to_owned(), last.to_owned()));
            }
            let mut page = self.request(Method::GET, path, &query, None, None).await?.body;
            let total = page["total"].as_u64().unwrap_or_default();
            let Value::Array(more) = page[many].take() else {
                return Err(foreign(&self.base, &format!("{path} has no {many}")));
            };
            let is_last = more.is_empty();
            entries.extend(more);
            if is_last || entries.len() >= limit {
                entries.truncate(limit);
                return Ok((entries, total));
            }
            if entries.len() as u64 >= total {
                return Ok((entries, total));
            }
        }
    }

    async fn request(
        &self, method: Method, path: &str, query: &[(String, String)], body: Option<&Value>, etag: Option<&str>,
    ) -> Result<Answer, ClientError> {
        // The same for every repetition: the server carries the request out once.
        let key = uuid::Uuid::new_v4().to_string();
        let has_effect_once = method == Method::POST && !holds_secrets(path);
        let mut repetitions = 0;
        loop {
            let mut request = self.http.request(method.clone(), self.address(path, query)?);
            request = self.authorized(request);
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Some(etag) = etag {
                request = request.header(IF_MATCH, etag);
            }
            if has_effect_once {
                request = request.header("idempotency-key", &key);
            }
            let sent = request.send().await.map_err(|error| self.unreachable(&error));
            let outcome = match sent {
                Ok(response) => self.read(response, &method, path).await,
                Err(error) => Err(error),
            };
            repetitions += 1;
            match outcome {
                Err(ClientError::Refused(refusal)) if refusal.status == 429 && repetitions <= REPETITIONS_MAX => {
                    let wait_s = refusal.retry_after_s.unwrap_or(1);
                    if wait_s > WAIT_S_MAX {
                        return Err(ClientError::Refused(refusal));
                    }
                    eprintln!("trunkline: the server has too many requests; going on in {wait_s} s");
                    tokio::time::sleep(Duration::from_secs(wait_s)).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn address(&self, path: &str, query: &[(String, String)]) -> Result<Url, ClientError> {
        let text = format!("{}/v1{path}", written(&self.base));
        let mut url = Url::parse(&text).map_err(|error| ClientError::Usage(format!("{text}: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.caller {
            Caller::Nobody => request,
            Caller::Key(key) => request.bearer_auth(key.expose()),
            Caller::Session(cookie) => request.header(COOKIE, cookie.expose()),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        let base = written(&self.base);
        let cause = chain(error);
        let advice = if error.is_timeout() {
            "it did not answer in time"
        } else if cause.contains("certificate") {
            "its certificate is not trusted here: give the address that the certificate names, or install its root"
        } else if cause.contains("InvalidContentType") || cause.contains("corrupt message") {
            "it speaks no TLS: does the address begin with http://?"
        } else {
            "is it running, and is the address right (TRUNKLINE_URL, or `trunkline login`)?"
        };
        ClientError::Unreachable(format!("{base} cannot be reached: {advice} ({cause})"))
    }

    async fn read(&self, response: Response, method: &Method, path: &str) -> Result<Answer, ClientError> {
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cookie = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|text| text.split(';').next()).map(Secret::from);
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after_s = retry_after.and_then(|text| text.parse().ok());
        let bytes = self.bytes(response).await?;
        let body = match serde_json::from_slice::<Value>(&bytes) {
            Ok(body) => body,
            Err(_) if status.is_success() && bytes.is_empty() => Value::Null,
            Err(_) => return Err(foreign(&self.base, &format!("{} {}", status.as_u16(), excerpt(&bytes)))),
        };
        if status.is_success() {
            return Ok(Answer { body, etag, cookie });
        }
        let mut refusal = self.refusal(status, &body, method, path);
        refusal.retry_after_s = retry_after_s;
        Err(ClientError::Refused(refusal))
    }

    async fn bytes(&self, response: Response) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| self.unreachable(&error))?;
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(foreign(&self.base, &format!("more than {} MB", ANSWER_BYTES_MAX >> 20)));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    fn refusal(&self, status: StatusCode, body: &Value, method: &Method, path: &str) -> Refusal {
        let code = body["details"]["code"].as_str().unwrap_or_default().to_owned();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = |list: &str, first: &str, second: &str| -> Vec<(String, String)> {
            let entries = body["details"][list].as_array().into_iter().flatten();
            entries.map(|entry| (text(&entry[first]), text(&entry[second]))).collect()
        };
        let faults = pairs("faults", "field", "message");
        let choices = pairs("organizations", "id", "name");
        let said = body["error"].as_str().unwrap_or("it did not say why");
        let message = match (status.as_u16(), code.as_str()) {
            (401, "wrong_credentials") => said.to_owned(),
            (401, _) => format!(
                "{} refuses the API key: run `trunkline login`, or set {KEY_VARIABLE} to a key that is valid",
                written(&self.base)
            ),
            (403, "session_required") => {
                format!("{method} {path} is for people, not for keys: {said}")
            }
            (404, _) if said == "Endpoint not found" => format!(
                "{} does not know {method} {path}: it may be older than this client ({}); its version is in {0}/v1/health",
                written(&self.base),
                env!("CARGO_PKG_VERSION")
            ),
            (500.., _) => format!("the server failed with {status}: {said}"),
            _ if faults.len() > 1 => {
                let lines: Vec<String> =
                    faults.iter().map(|(field, message)| format!("  {field}: {message}")).collect();
                format!("the server refuses {} fields\n{}", faults.len(), lines.join("\n"))
            }
            _ => said.to_owned(),
        };
        Refusal { status: status.as_u16(), code, message, faults, choices, retry_after_s: None }
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        // A key goes to the server it belongs to, wherever that points.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")))
}

fn no_tls(error: &reqwest::Error) -> ClientError {
    ClientError::Local(format!("TLS cannot be used: {}", chain(error)))
}

/// Their answers hold secrets, which are not kept for a repetition.
fn holds_secrets(path: &str) -> bool {
    ["/auth/", "/api-keys", "/secrets"].iter().any(|start| path.starts_with(start))
}

fn foreign(base: &Url, what: &str) -> ClientError {
    ClientError::Unreachable(format!(
        "{} is no Trunkline server, or something stands before it that answers in its place: {what}",
        written(base)
    ))
}

fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..1_024).unwrap_or(bytes)).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(FOREIGN_CHARS_MAX).collect()
}

/// An error with its causes; reqwest's own words hold the URL alone.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::parse_url;
    use serde_json::json;

    fn api() -> Api {
        Api::new(&Server { url: parse_url("http://127.0.0.1:1").unwrap(), api_key: Some("va_1".into()) }).unwrap()
    }

    fn refused(status: u16, body: &Value) -> String {
        api().refusal(StatusCode::from_u16(status).unwrap(), body, &Method::GET, "/agents").message
    }

    #[test]
    fn refusals_say_what_to_do() {
        let key = refused(401, &json!({"error": "Missing or invalid API key", "details": {"code": "unauthorized"}}));
        assert!(key.contains("trunkline login") && key.contains("TRUNKLINE_API_KEY"), "{key}");
        let old = refused(404, &json!({"error": "Endpoint not found", "details": {"code": "not_found"}}));
        assert!(old.contains("older than this client"), "{old}");
        let faults =
            json!([{"field": "name", "message": "must not be empty"}, {"field": "llm_config", "message": "x"}]);
        let fields = refused(400, &json!({"error": "…", "details": {"code": "invalid_field", "faults": faults}}));
        assert!(fields.contains("\n  name: must not be empty\n"), "{fields}");
        assert!(refused(500, &json!({})).contains("500"), "an answer without words");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let error = api().get("/agents").await.unwrap_err();
        assert_eq!(error.exit_code(), crate::EXIT_UNREACHABLE);
        assert!(error.to_string().contains("http://127.0.0.1:1 cannot be reached"), "{error}");
    }
}
