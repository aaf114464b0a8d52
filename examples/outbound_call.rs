//! Calls a number with a new agent, follows the call to its end and prints the transcript.
//!
//! Against `make demo`, whose output begins with an API key (`examples/README.md` has a phone that answers):
//!
//! `cargo run --example outbound_call -- --key va_… --to +15550199`
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(clippy::disallowed_methods, reason = "it waits in real time")]

use clap::Parser;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

type Error = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
struct Args {
    /// Address of the server.
    #[arg(long, default_value = "http://127.0.0.1:3008")]
    url: String,
    /// An API key.
    #[arg(long)]
    key: String,
    /// Number to call, in E.164.
    #[arg(long)]
    to: String,
}

/// The REST API, whose answers are `{"success": true, "data": …}` or `{"success": false, "error": "…"}`.
struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value, Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer: Value = request.send().await?.json().await?;
        match answer["success"].as_bool() {
            Some(true) => Ok(answer["data"].clone()),
            _ => Err(format!("{path}: {}", answer["error"]).into()),
        }
    }

    async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Error> {
        self.send(Method::POST, path, body).await
    }

    /// Follows a call until it is over, and prints each change of its status.
    async fn follow(&self, call: &str) -> Result<Value, Error> {
        let mut last = String::new();
        loop {
            let call = self.get(&format!("/calls/{call}")).await?["call"].clone();
            let status = text(&call, "status");
            if status != last {
                println!("status: {status}");
                last = status.to_owned();
            }
            if matches!(status, "completed" | "failed") {
                return Ok(call);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or("")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let api = Api { http: reqwest::Client::new(), base: format!("{}/api/v1", args.url), key: args.key };
    let agent = json!({
        "name": "Address check",
        "system_prompt": "You call for Acme and ask whether the delivery address is still correct. Be brief.",
        "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
        "llm_config": {"provider": "openai", "model": "gpt-4o-mini"},
        "tts_config": {"provider": "elevenlabs", "voice_id": "21m00Tcm4TlvDq8ikWAM", "language": "en"},
    });
    let agent = api.post("/agents", agent).await?["agent"]["id"].clone();
    let task = json!({
        "agent_id": agent,
        "to_number": args.to,
        "starting_message": "Hello, this is Acme. Is your delivery address still correct?",
        "context_data": {"customer_name": "Jan"},
    });
    let task = api.post("/tasks", task).await?["task"].clone();
    let executed = api.post(&format!("/tasks/{}/execute", text(&task, "id")), Value::Null).await?;
    let call = api.follow(text(&executed, "call_id")).await?;
    println!("end reason: {}", text(&call, "end_reason"));
    for turn in call["transcript"].as_array().into_iter().flatten() {
        println!("{}: {}", text(turn, "role"), text(turn, "content"));
    }
    Ok(())
}
