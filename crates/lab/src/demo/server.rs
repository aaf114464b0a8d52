//! The running server of the demo: its API as a customer uses it, and its calls as they go on.

use super::report::show_turn;
use crate::caller::report::CallReport;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use trunkline::app::App;
use trunkline_domain::secret::Secret;

/// How often a call's transcript is read.
const LOOK: Duration = Duration::from_millis(250);
/// The last turn is written when the call has ended.
const LAST_TURN: Duration = Duration::from_millis(400);

/// A call that is watched.
#[derive(Clone, Debug)]
pub(super) enum WatchedCall {
    /// One that was made through the API.
    Id(String),
    /// The newest one from this number.
    From(&'static str),
}

/// When a transcript is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Printing {
    /// While it grows.
    Live,
    /// As a whole: other calls go on at the same time.
    AtEnd,
}

/// The server, and the key of its organization.
pub(super) struct DemoServer {
    pub(super) app: App,
    pub(super) http: reqwest::Client,
    /// `http://…/api/v1`.
    pub(super) base: String,
    pub(super) key: Secret,
}

impl DemoServer {
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let response =
            self.http.post(format!("{}{path}", self.base)).bearer_auth(self.key.expose()).json(body).send().await;
        Self::data(response).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, String> {
        let response = self.http.get(format!("{}{path}", self.base)).bearer_auth(self.key.expose()).send().await;
        Self::data(response).await
    }

    async fn data(response: Result<reqwest::Response, reqwest::Error>) -> Result<Value, String> {
        let body: Value =
            response.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())?;
        match body["success"].as_bool() {
            Some(true) => Ok(body["data"].clone()),
            _ => Err(body["error"].as_str().unwrap_or("no answer").to_owned()),
        }
    }

    /// Trunk and number through the API, as a customer would.
    pub(super) async fn set_up(&self, agent: &str, number: &str, callee: SocketAddr) -> Result<(), String> {
        // SIP URIs: the agent transfers to phones of this machine.
        let trunk = json!({"name": "Loopback", "host": callee.ip().to_string(), "port": callee.port(),
            "allowed_addresses": [callee.ip().to_string()], "allow_sip_uri": true});
        let trunk = self.post("/trunks", &trunk).await?["trunk"]["id"].clone();
        let body = json!({"number": number, "agent_id": agent, "trunk_id": trunk});
        self.post("/phone-numbers", &body).await?;
        println!("agent         {agent}\nnumber        {number}");
        Ok(())
    }

    /// Prints a call's transcript.
    pub(super) async fn watch(
        &self, title: &str, call: WatchedCall, report: impl Future<Output = CallReport>, printing: Printing,
    ) -> Result<CallReport, String> {
        if printing == Printing::Live {
            println!("\n── {title} ──");
        }
        let mut report = std::pin::pin!(report);
        let mut printed = 0;
        loop {
            let done = tokio::select! {
                report = &mut report => Some(report),
                () = tokio::time::sleep(LOOK) => None,
            };
            if done.is_some() {
                tokio::time::sleep(LAST_TURN).await;
            }
            if printing == Printing::Live || done.is_some() {
                let turns = self.turns(&call).await?;
                if printing == Printing::AtEnd {
                    println!("\n── {title} ──");
                }
                // The last turn may still grow, until the end.
                let until = if done.is_some() { turns.len() } else { turns.len().saturating_sub(1) };
                turns.iter().take(until).skip(printed).for_each(show_turn);
                printed = printed.max(until);
            }
            if let Some(report) = done {
                return Ok(report);
            }
        }
    }

    async fn turns(&self, call: &WatchedCall) -> Result<Vec<Value>, String> {
        let id = match call {
            WatchedCall::Id(id) => Some(id.clone()),
            WatchedCall::From(number) => {
                let calls = self.get("/calls?limit=20").await?;
                let mut calls = calls["calls"].as_array().into_iter().flatten();
                let own = calls.find(|call| call["from_number"].as_str() == Some(number));
                own.and_then(|call| call["id"].as_str()).map(str::to_owned)
            }
        };
        let Some(id) = id else { return Ok(Vec::new()) };
        let call = self.get(&format!("/calls/{id}")).await?;
        Ok(call["call"]["transcript"].as_array().cloned().unwrap_or_default())
    }
}
