//! Follows a call while it goes on and prints each turn as soon as it is complete.
//!
//! Beside `make demo`, it waits for the next call:
//!
//! `cargo run --example live_transcript -- --key va_…`
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(clippy::disallowed_methods, reason = "it waits in real time")]

use clap::Parser;
use futures_util::StreamExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

type Error = Box<dyn std::error::Error>;

#[derive(Debug, Parser)]
struct Args {
    /// Address of the server.
    #[arg(long, default_value = "http://127.0.0.1:3008")]
    url: String,
    /// An API key.
    #[arg(long)]
    key: String,
    /// The call's id; without it, the next call that is in progress.
    #[arg(long)]
    call: Option<String>,
}

impl Args {
    async fn get(&self, http: &reqwest::Client, path: &str) -> Result<Value, Error> {
        let request = http.get(format!("{}/api/v1{path}", self.url)).bearer_auth(&self.key);
        let answer: Value = request.send().await?.json().await?;
        match answer["success"].as_bool() {
            Some(true) => Ok(answer["data"].clone()),
            _ => Err(format!("{path}: {}", answer["error"]).into()),
        }
    }

    /// The call that is asked for, or waits for one.
    async fn call(&self, http: &reqwest::Client) -> Result<String, Error> {
        if let Some(call) = &self.call {
            return Ok(call.clone());
        }
        println!("waiting for a call");
        loop {
            let calls = self.get(http, "/calls?status=in_progress&limit=1").await?;
            if let Some(id) = calls["calls"][0]["id"].as_str() {
                return Ok(id.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Turns by position. A turn that comes again replaces what came before: it has grown.
#[derive(Default)]
struct Transcript {
    turns: BTreeMap<u64, String>,
    printed: usize,
}

impl Transcript {
    fn take(&mut self, turns: &Value) {
        for turn in turns.as_array().into_iter().flatten() {
            // An interim turn has no position: its words may still change.
            if let Some(position) = turn["position"].as_u64() {
                let text = |name: &str| turn[name].as_str().unwrap_or("");
                self.turns.insert(position, format!("{}: {}", text("role"), text("content")));
            }
        }
    }

    /// Prints what is complete: all but the last turn, or all at the end.
    fn print(&mut self, open: usize) {
        let complete = self.turns.len().saturating_sub(open);
        for turn in self.turns.values().take(complete).skip(self.printed) {
            println!("{turn}");
        }
        self.printed = self.printed.max(complete);
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    let http = reqwest::Client::new();
    let call = args.call(&http).await?;
    // A token for this call alone: the key itself stays out of URLs, which proxies log.
    let live = args.get(&http, &format!("/calls/{call}/live")).await?;
    let text = |name: &str| live[name].as_str().unwrap_or("").to_owned();
    let url = format!("{}?session_token={}", text("websocket_url"), text("temp_token"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
    let mut transcript = Transcript::default();
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text)?;
                match message["type"].as_str().unwrap_or("") {
                    "transcript_update" => transcript.take(&message["data"]["transcript"]),
                    "call_status_update" => {
                        println!("status: {}", message["data"]["status"].as_str().unwrap_or(""));
                    }
                    "error" => return Err(message["error"].to_string().into()),
                    _ => {}
                }
                transcript.print(1);
            }
            // 1000: the call is over. 4401: wrong credentials. 4404: no such call.
            Message::Close(Some(frame)) if u16::from(frame.code) != 1000 => return Err(frame.to_string().into()),
            Message::Close(_) => break,
            _ => {} // pings are answered by the library
        }
    }
    transcript.print(0);
    Ok(())
}
