//! What browsers load: the console at `/`, the API's documentation, the client for customers' pages, an example of such a page. The console
//! is built by `build.rs`; nothing of it is written by hand here.

use super::auth::check_origin;
use super::client_ip::ClientIp;
use super::error::ApiError;
use super::openapi;
use super::settings::{DemoPhrase, DemoSettings};
use super::state::ApiState;
use super::web_calls::{WebCallBody, refusal};
use crate::call::driver::WebCallParams;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use rust_embed::Embed;
use serde_json::{Value, json};
use std::sync::Arc;
use tower_http::set_header::SetResponseHeaderLayer;

/// What Vite has built, each file with a compressed one (`.gz`) beside it where that is smaller.
#[derive(Embed)]
#[folder = "$OUT_DIR/console"]
struct ConsoleAssets;

const CLIENT: &str = include_str!("../../console/client/trunkline.js");
const CLIENT_TYPES: &str = include_str!("../../console/client/trunkline.d.ts");
const EXAMPLE: &str = include_str!("../../console/client/example.html");
const EXAMPLE_SCRIPT: &str = include_str!("../../console/client/example.js");

/// Content security policy: only our own scripts and styles, nothing inline, no framing, forms post to this origin
/// only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of every page and file of the console.
const PAGE_HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=()"),
];

pub(super) fn routes(api: &ApiState) -> Router<ApiState> {
    let pages = Router::new()
        .route("/", get(index))
        .route("/assets/{name}", get(asset))
        .route("/favicon.svg", get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }))
        .route("/examples/call.html", get(|| page(EXAMPLE, "text/html; charset=utf-8")))
        .route("/examples/call.js", get(|| page(EXAMPLE_SCRIPT, "text/javascript; charset=utf-8")))
        .route("/docs", get(|| page(openapi::PAGE, "text/html; charset=utf-8")))
        .route("/docs.css", get(|| page(openapi::PAGE_STYLE, "text/css; charset=utf-8")))
        .route("/docs.js", get(|| page(openapi::PAGE_SCRIPT, "text/javascript; charset=utf-8")));
    let secured = PAGE_HEADERS.into_iter().fold(pages, |pages, (name, value)| {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        pages.layer(SetResponseHeaderLayer::overriding(name, value))
    });
    let router = secured
        .route("/trunkline.js", get(|| script(CLIENT, "text/javascript; charset=utf-8")))
        .route("/trunkline.d.ts", get(|| script(CLIENT_TYPES, "text/plain; charset=utf-8")))
        .route("/demo", get(demo));
    if api.demo.is_none() {
        return router;
    }
    router.route("/demo/call", post(demo_call)).route("/demo/phrases/{name}", get(demo_phrase))
}

async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{name}"), &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ConsoleAssets::get(path) else {
        return ApiError::not_found("Page").into_response();
    };
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes_gzip = accepted.split(',').any(|one| one.trim().starts_with("gzip"));
    let gzip = takes_gzip.then(|| ConsoleAssets::get(&format!("{path}.gz"))).flatten();
    let kind = asset.metadata.mimetype();
    let charset = if kind.starts_with("text/") { "; charset=utf-8" } else { "" };
    // File names with a hash are immutable; the page that refers to them may change.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let encoding = gzip.is_some().then_some([(header::CONTENT_ENCODING, "gzip")]);
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}{charset}")),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::VARY, "Accept-Encoding".to_owned()),
    ];
    (headers, encoding.map(AppendHeaders), gzip.unwrap_or(asset).data).into_response()
}

/// For pages of any site.
async fn script(text: &'static str, kind: &'static str) -> Response {
    let everywhere = [
        (header::CONTENT_TYPE, kind),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    let mut response = (everywhere, text).into_response();
    let name = HeaderName::from_static("cross-origin-resource-policy");
    response.headers_mut().insert(name, HeaderValue::from_static("cross-origin"));
    response
}

async fn page(text: &'static str, kind: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

fn demo_of(api: &ApiState) -> Result<Arc<DemoSettings>, ApiError> {
    api.demo.clone().ok_or_else(|| ApiError::not_found("Demo"))
}

/// What the console shows in demo mode; empty otherwise.
async fn demo(State(api): State<ApiState>) -> Response {
    let Some(demo) = &api.demo else { return StatusCode::NO_CONTENT.into_response() };
    let shown = |phrases: &[DemoPhrase]| -> Vec<Value> {
        phrases.iter().map(|phrase| json!({"name": phrase.name, "text": phrase.text})).collect()
    };
    let (password, agent) = (demo.password.expose(), demo.agent.to_string());
    let body = json!({"email": demo.email, "password": password, "agent_id": agent,
        "phrases": shown(&demo.phrases), "examples": shown(&demo.examples)});
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body.to_string())
        .into_response()
}

/// Does what a customer's server would do with its key: creates a web call and returns its token for the page.
async fn demo_call(State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    check_origin(&api, &axum::http::Method::POST, &headers)?;
    let demo = demo_of(&api)?;
    let agent = api.store.agent(demo.scope, demo.agent).await?.ok_or_else(|| ApiError::not_found("Agent"))?;
    let call = api.calls.place_web(demo.scope, agent, WebCallParams::default()).await.map_err(refusal)?;
    let body = WebCallBody::new(&api, &api.http.base_url(&headers), "/api/v1", demo.scope, call, demo.agent);
    let body = serde_json::to_string(&body).unwrap_or_default();
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn demo_phrase(State(api): State<ApiState>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let demo = demo_of(&api)?;
    let phrase = demo.phrases.iter().chain(&demo.examples).find(|phrase| phrase.name == name);
    let phrase = phrase.ok_or_else(|| ApiError::not_found("Phrase"))?;
    Ok(([(header::CONTENT_TYPE, "audio/wav")], phrase.sound.clone()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_is_small_and_names_only_files_that_are_there() {
        let index = ConsoleAssets::get("index.html").expect("built by build.rs");
        let html = std::str::from_utf8(&index.data).unwrap();
        for part in html.split(['"', '\'']).filter(|part| part.starts_with("/assets/")) {
            assert!(ConsoleAssets::get(part.trim_start_matches('/')).is_some(), "{part} is missing");
        }
        assert!(!html.contains("<script>") && !html.contains(" style=") && !html.contains("onload="), "nothing inline");
        let zipped =
            ConsoleAssets::iter().filter(|path| path.ends_with(".gz")).filter_map(|path| ConsoleAssets::get(&path));
        let loaded: usize = zipped.map(|asset| asset.data.len()).sum();
        assert!(loaded <= 250 * 1_024, "{loaded} bytes compressed");
    }
}
