//! Calls from browsers, by our WebRTC callers: set-up from click to sound, the extra delay compared with a
//! phone call, and the cost of an Opus call.

use super::harness::{Bench, TALKER, TURNS};
use crate::caller::report::{CallReport, percentile, summarize};
use crate::caller::script::CallScript;
use crate::caller::softphone::Codec;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Calls one after the other for the set-up.
const SET_UPS: usize = 30;
/// Concurrent calls for the comparison with phone calls.
const TURN_CALLS: usize = 20;

/// What a page does: asks for a call, offers, hangs up.
#[derive(Clone)]
struct BrowserPage {
    http: reqwest::Client,
    api: String,
    key: String,
    agent: String,
}

impl BrowserPage {
    async fn place(&self) -> Result<(String, String), String> {
        let request = self.http.post(format!("{}/calls/web", self.api)).bearer_auth(&self.key);
        let response =
            request.json(&json!({"agent_id": self.agent})).send().await.map_err(|error| error.to_string())?;
        let body: Value = response.json().await.map_err(|error| error.to_string())?;
        let text = |name: &str| body["data"][name].as_str().map(str::to_owned).ok_or_else(|| body.to_string());
        Ok((text("whip_url")?, text("token")?))
    }
}

impl Bench {
    async fn page(&self, number: &str) -> Result<BrowserPage, String> {
        let http = reqwest::Client::new();
        let request = http.get(format!("{}/phone-numbers", self.api())).bearer_auth(self.key());
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        let rows = body["data"]["phone_numbers"].as_array().cloned().unwrap_or_default();
        let agent = rows.iter().find(|row| row["number"] == number).and_then(|row| row["agent_id"].as_str());
        let agent = agent.ok_or("no agent")?.to_owned();
        Ok(BrowserPage { http, api: self.api().to_owned(), key: self.key().to_owned(), agent })
    }

    /// One call; its times count from the click, which also asks for the call.
    async fn web_call(&self, page: &BrowserPage, script: &CallScript) -> CallReport {
        let clicked = Instant::now();
        let (url, token) = match page.place().await {
            Ok(placed) => placed,
            Err(failure) => return CallReport { failure: Some(failure), ..CallReport::default() },
        };
        let asked_ms = clicked.elapsed().as_secs_f64() * 1_000.0;
        let location = std::sync::Mutex::new(None);
        let exchange = async |offer: String| {
            let request = page.http.post(&url).bearer_auth(&token).header("content-type", "application/sdp");
            let response = request.body(offer).send().await.map_err(|error| error.to_string())?;
            let taken = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
            if let Ok(mut location) = location.lock() {
                *location = taken;
            }
            let (status, text) = (response.status(), response.text().await.map_err(|error| error.to_string())?);
            if status == 201 { Ok(text) } else { Err(text) }
        };
        let mut report = self.phone().dial_web(&[Codec::Opus], script, exchange).await;
        let session = location.into_inner().ok().flatten();
        if let (Some(session), Ok(base)) = (session, url::Url::parse(&url)) {
            let session = base.join(&session).map_or(url.clone(), String::from);
            let _ = page.http.delete(session).bearer_auth(&token).send().await;
        }
        for time in [&mut report.setup_ms, &mut report.first_sound_ms] {
            *time = time.map(|ms| ms + asked_ms);
        }
        report
    }

    async fn web_calls(
        self: &std::sync::Arc<Self>, page: &BrowserPage, script: &str, calls: usize, over: Duration,
    ) -> Result<Vec<CallReport>, String> {
        let script = std::sync::Arc::new(CallScript::parse(script)?);
        let mut running = JoinSet::new();
        for _ in 0..calls {
            let (bench, page, script) = (self.clone(), page.clone(), script.clone());
            running.spawn(async move { bench.web_call(&page, &script).await });
            tokio::time::sleep((over / calls as u32).mul_f64(0.5 + rand::random::<f64>())).await;
        }
        Ok(running.join_all().await)
    }

    pub(super) async fn web(self: &std::sync::Arc<Self>, calls: usize) -> Result<Value, String> {
        let (turns, talker) = (self.page(TURNS).await?, self.page(TALKER).await?);
        let mut set_ups = Vec::new();
        for _ in 0..SET_UPS {
            set_ups.extend(self.web_calls(&turns, "listen; hangup", 1, Duration::ZERO).await?);
        }
        // The same conversation over SIP and from a browser, one after the other.
        let script = "listen; say hello; listen; say where_is_my_order; listen; hangup";
        let telephone = self.call(TURNS, script, TURN_CALLS, 10.0, TURN_CALLS).await?;
        let browser = self.web_calls(&turns, script, TURN_CALLS, Duration::from_secs(2)).await?;
        let response = |reports: &[CallReport]| {
            percentile(&mut reports.iter().flat_map(|report| report.responses_ms.clone()).collect::<Vec<_>>(), 0.5)
        };
        let added = response(&browser).zip(response(&telephone)).map(|(browser, telephone)| browser - telephone);
        let ramp = Duration::from_secs_f64(calls as f64 / 25.0 + 2.0);
        let talking = Duration::from_secs(20);
        let pause = format!("pause {}; hangup", (ramp + talking + Duration::from_secs(2)).as_millis());
        let measure = async {
            tokio::time::sleep(ramp).await;
            let from = self.cpu_s();
            tokio::time::sleep(talking).await;
            (self.cpu_s() - from) / talking.as_secs_f64() * 100.0
        };
        let (talked, cpu) =
            tokio::join!(self.web_calls(&talker, &pause, calls, Duration::from_secs_f64(calls as f64 / 25.0)), measure);
        Ok(json!({
            "set_up": summarize(&set_ups),
            "turns": {"telephone": summarize(&telephone), "browser": summarize(&browser), "added_to_response_p50_ms": added},
            "talking": {"calls": calls, "cpu_percent_of_a_core": cpu, "cpu_percent_per_call": cpu / calls as f64, "callers": summarize(&talked?)},
        }))
    }
}
