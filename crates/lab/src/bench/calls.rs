//! Turns, barge-in, many calls, and set-up times.

use super::harness::{API, Bench, ProcessUsage, TALKER, TURNS};
use super::{api, live};
use crate::caller::report::{percentile, summarize};
use serde_json::{Value, json};
use std::time::Duration;

impl Bench {
    /// What the emulated model and voice take of every turn by design.
    pub(super) fn waited_ms(&self) -> f64 {
        (self.delays.llm_first_token_ms + self.delays.tts_first_byte_ms) as f64
    }

    pub(super) async fn turns(&self, calls: usize) -> Result<Value, String> {
        let script = "listen; say hello; listen; say where_is_my_order; listen; say opening_hours; listen; hangup";
        let reports = self.call(TURNS, script, calls, calls as f64 / 4.0, calls).await?;
        let stages = self.stages(calls.min(100)).await?;
        Ok(json!({"server_stages": stages, "calls": calls, "waited_for_model_and_voice_ms": self.waited_ms(),
            "callers": summarize(&reports)}))
    }

    /// The time of each part of a turn, from the server's records.
    pub(super) async fn stages(&self, calls: usize) -> Result<Value, String> {
        tokio::time::sleep(Duration::from_secs(2)).await; // the last calls are being written
        let request = reqwest::Client::new().get(format!("{}/calls?limit={calls}", self.api)).bearer_auth(&self.key);
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        let turns: Vec<&Value> = body["data"]["calls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| c["metrics"]["turns"].as_array())
            .flatten()
            .collect();
        let spread = |mut values: Vec<f64>| {
            let mut at = |share| percentile(&mut values, share);
            json!({"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)})
        };
        let of = |name: &str| spread(turns.iter().filter_map(|turn| turn[name].as_f64()).collect());
        // From whatever came last, STT's words or the end of the line's silence, to our first packet.
        let own = turns.iter().filter_map(|turn| {
            let (sound, decided) =
                (turn["timeline"]["first_packet_ms"].as_f64()?, turn["timeline"]["decided_ms"].as_f64()?);
            Some(sound - decided - self.waited_ms())
        });
        Ok(json!({"own_part_ms": spread(own.collect()), "end_of_turn_ms": of("end_of_turn_ms"),
            "first_token_ms": of("first_token_ms"), "first_audio_ms": of("first_audio_ms"), "response_ms": of("response_ms")}))
    }

    pub(super) async fn barge_in(&self, calls: usize) -> Result<Value, String> {
        let agent = self.agent().await?;
        let calling = self.call(TALKER, "interrupt wait_stop; listen; hangup", calls, calls as f64 / 4.0, calls);
        let requests = async {
            tokio::time::sleep(Duration::from_secs(4)).await; // all of them talk
            api::latency_under_load(API, &self.key, &agent).await
        };
        let (reports, requests) = tokio::join!(calling, requests);
        let reports = reports?;
        Ok(json!({"calls": calls, "api_requests_beside": requests?, "callers": summarize(&reports)}))
    }

    /// Calls that are being talked to, all at once: gaps, CPU, memory.
    pub(super) async fn many(&self, calls: usize, idle: ProcessUsage) -> Result<Value, String> {
        let ramp = Duration::from_secs_f64(calls as f64 / 50.0 + 1.0);
        let talking = Duration::from_secs(20);
        let script = format!("pause {}; hangup", (ramp + talking + Duration::from_secs(2)).as_millis());
        let measure = async {
            tokio::time::sleep(ramp).await;
            let from = self.server.usage();
            tokio::time::sleep(talking).await;
            (from, self.server.usage())
        };
        let agent = self.agent().await?;
        let requests = async {
            tokio::time::sleep(ramp).await;
            api::latency_under_load(API, &self.key, &agent).await
        };
        let calling = self.call(TALKER, &script, calls, 50.0, calls);
        let (reports, (from, to), requests) = tokio::join!(calling, measure, requests);
        let cpu = (to.cpu_s - from.cpu_s) / (to.at - from.at).as_secs_f64();
        Ok(json!({
            "calls": calls,
            "cpu_percent_of_a_core": cpu * 100.0,
            "cpu_percent_per_call": cpu * 100.0 / calls as f64,
            "memory_mb_per_call": (to.resident_mb - idle.resident_mb) / calls as f64,
            "api_requests_beside": requests?,
            "callers": summarize(&reports?),
        }))
    }

    /// From STT's result to the listener: the emulator's clock and the listener's are one.
    pub(super) async fn live(&self) -> Result<Value, String> {
        live::run(self).await
    }

    pub(super) async fn setup(&self, per_second: f64, seconds: f64) -> Result<Value, String> {
        let calls = (per_second * seconds) as usize;
        let reports = self.call(TURNS, "pause 100; hangup", calls, per_second, calls).await?;
        Ok(json!({"set_ups_per_second": per_second, "callers": summarize(&reports)}))
    }
}
