//! A customer's server: verifies the signature of each webhook and prints what happened.
//!
//! Beside `make demo` (`examples/README.md` shows how the agent learns the address and the secret):
//!
//! `cargo run --example webhook_receiver -- --secret whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxl`
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(clippy::disallowed_methods, reason = "it compares timestamps with the clock")]

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::net::SocketAddr;
use std::time::SystemTime;

/// Older messages may be replayed recordings; the specification suggests five minutes.
const TOLERANCE_S: u64 = 300;

#[derive(Debug, Parser)]
struct Args {
    /// The agent's `webhook_secret`.
    #[arg(long)]
    secret: String,
    #[arg(long, default_value = "127.0.0.1:8099")]
    listen: SocketAddr,
}

/// A secret `whsec_…` is base64, any other is used as it is.
fn key(secret: &str) -> Vec<u8> {
    let decoded = secret.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// Checks a request as standardwebhooks.com says: HMAC-SHA256 over `id.timestamp.body`. The reason, if it is refused.
fn verify(key: &[u8], headers: &HeaderMap, body: &[u8], now_s: u64) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("webhook-id").ok_or("no webhook-id")?;
    let timestamp = header("webhook-timestamp").ok_or("no webhook-timestamp")?;
    let signatures = header("webhook-signature").ok_or("no webhook-signature")?;
    let sent_s: u64 = timestamp.parse().map_err(|_| "webhook-timestamp is no number")?;
    if sent_s.abs_diff(now_s) > TOLERANCE_S {
        return Err("too old");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| "unusable secret")?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    // There is more than one signature while a secret is replaced. The comparison takes the same time for each guess.
    let is_ours = |signature: &str| {
        let decoded = signature.strip_prefix("v1,").and_then(|base64| STANDARD.decode(base64).ok());
        decoded.is_some_and(|signature| mac.clone().verify_slice(&signature).is_ok())
    };
    match signatures.split(' ').any(is_ours) {
        true => Ok(()),
        false => Err("wrong signature"),
    }
}

async fn receive(State(key): State<Vec<u8>>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if let Err(reason) = verify(&key, &headers, &body, now.as_secs()) {
        println!("refused {}: {reason}", uri.path());
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": reason})));
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "not JSON"})));
    };
    (StatusCode::OK, Json(answer(&event)))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// Prints an event and returns the answer to the server.
fn answer(event: &Value) -> Value {
    let call = &event["call"];
    match text(&event["type"]) {
        // An empty answer leaves the call to the saved agent.
        "assistant-request" => {
            println!("assistant-request: {} calls {}", text(&call["from_number"]), text(&call["to_number"]));
        }
        "tool-calls" => {
            println!("tool-calls: {}", event["tool_calls"]);
            return json!({"result": "done"});
        }
        "status-update" => println!("status-update: {}", text(&event["status"])),
        "end-of-call-report" => {
            println!("end-of-call-report: {} s, {}", event["duration_seconds"], text(&event["end_reason"]));
            for turn in event["messages"].as_array().into_iter().flatten() {
                println!("  {}: {}", text(&turn["role"]), text(&turn["content"]));
            }
        }
        other => println!("{other}: {event}"), // a task's event
    }
    json!({})
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new().fallback(receive).with_state(key(&args.secret));
    axum::serve(listener, router).await
}
