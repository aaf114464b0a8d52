//! The server under the fault soak, as its peers know it: addresses, trunks, numbers, and what it holds.

use super::callees::Callees;
use crate::caller::softphone::Softphone;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the server is, before it knows the peers.
#[derive(Clone, Debug)]
pub struct FaultServer {
    /// Address of the API, the WebSocket and the metrics.
    pub api: SocketAddr,
    /// An API key of the organization that the calls belong to.
    pub key: String,
    /// Where SIP over UDP and TCP arrives.
    pub sip: SocketAddr,
    /// SIP over WebSocket, if the server listens for it.
    pub websocket: Option<SocketAddr>,
    /// The server's process; `None` if its memory and descriptors are not its own.
    pub pid: Option<u32>,
}

/// Numbers that callers dial, each with its trunk.
pub(super) mod number {
    /// In the clear, with an agent that hangs up at 0 and transfers at 1.
    pub const PLAIN: &str = "+31200001001";
    /// The agent lets callers wait for two seconds.
    pub const RINGS: &str = "+31200001002";
    /// SRTP is optional.
    pub const SRTP: &str = "+31200001003";
    /// DTLS-SRTP is required.
    pub const DTLS: &str = "+31200001004";
    /// Opus alone.
    pub const OPUS: &str = "+31200001005";
    /// Callers need credentials.
    pub const DIGEST: &str = "+31200001006";
    /// Of two accounts at one registrar.
    pub const ACCOUNTS: [&str; 2] = ["+31200001007", "+31200001008"];
}

/// The server with everything that the calls need.
#[derive(Debug)]
pub struct FaultTarget {
    pub(super) server: FaultServer,
    pub(super) callees: Arc<Callees>,
    pub(super) phone: Softphone,
    http: reqwest::Client,
    agent: String,
    serial: AtomicU64,
}

impl FaultTarget {
    /// Makes trunks, agents and numbers, and registers two accounts with the callees' registrar.
    pub(super) async fn set_up(server: FaultServer) -> Result<Arc<Self>, String> {
        let callees = Callees::open().await.map_err(|error| error.to_string())?;
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let (phone, _) = Softphone::open(loopback, (50_000, 59_999)).await.map_err(|error| error.to_string())?;
        let http = reqwest::Client::new();
        let mut target = Self { server, callees, phone, http, agent: String::new(), serial: AtomicU64::new(0) };
        target.agent = target.make_agent(json!({})).await?;
        let ringing = target.make_agent(json!({"ringing": {"ring_ms": 2_000}})).await?;
        let open = json!({"allowed_addresses": ["127.0.0.1"], "username": "account", "password": "secret"});
        let plain = target.trunk("plain", &open, json!({})).await?;
        let agent = target.agent.clone();
        target.number(number::PLAIN, &agent, &plain).await?;
        target.number(number::RINGS, &ringing, &plain).await?;
        let dtls = json!({"srtp": "mandatory", "srtp_keying": "dtls"});
        for (dialled, name, more) in [
            (number::SRTP, "srtp", json!({"srtp": "preferred"})),
            (number::DTLS, "dtls", dtls),
            (number::OPUS, "opus", json!({"codecs": ["OPUS"]})),
            (
                number::DIGEST,
                "digest",
                json!({"allowed_addresses": [], "inbound_username": "pbx", "inbound_password": "secret"}),
            ),
            (number::ACCOUNTS[0], "first", json!({"username": "first", "register": true})),
            (number::ACCOUNTS[1], "second", json!({"username": "second", "register": true})),
        ] {
            let trunk = target.trunk(name, &open, more).await?;
            target.number(dialled, &agent, &trunk).await?;
        }
        Ok(Arc::new(target))
    }

    async fn make_agent(&self, more: Value) -> Result<String, String> {
        let rules = json!([{"digits": "0", "action": "end_call"}, {"digits": "1", "action": "transfer", "target": "tel:+15550100"}]);
        let mut agent = json!({
            "name": "Faults", "first_message": "Good morning.", "dtmf_rules": {"rules": rules},
            "transfer_config": {"mode": "refer"},
            "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
            "llm_config": {"provider": "openai", "model": "gpt-4o-mini"},
            "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "en"},
        });
        merge(&mut agent, &more);
        id(&self.ask("POST", "/agents", Some(agent)).await?, "agent")
    }

    async fn trunk(&self, name: &str, base: &Value, more: Value) -> Result<String, String> {
        let mut trunk = json!({"name": name, "host": "127.0.0.1", "port": self.callees.port()});
        merge(&mut trunk, base);
        merge(&mut trunk, &more);
        id(&self.ask("POST", "/trunks", Some(trunk)).await?, "trunk")
    }

    async fn number(&self, number: &str, agent: &str, trunk: &str) -> Result<(), String> {
        let body = json!({"number": number, "agent_id": agent, "trunk_id": trunk});
        self.ask("POST", "/phone-numbers", Some(body)).await.map(drop)
    }

    /// A trunk that registers with an address of its own, for as long as the call needs it.
    pub(super) async fn registering_trunk(&self, registrar: u16) -> Result<String, String> {
        let more =
            json!({"port": registrar, "transport": "tcp", "register": true, "username": "short", "password": "lived"});
        self.trunk(&format!("short-lived {}", self.unique()), &json!({}), more).await
    }

    pub(super) async fn delete_trunk(&self, id: &str) -> Result<(), String> {
        self.ask("DELETE", &format!("/trunks/{id}"), None).await.map(drop)
    }

    /// Has the agent call a number over the trunk of `from`; returns the id of the call.
    pub(super) async fn dial_out(&self, from: &str, to: &str) -> Result<String, String> {
        let task = json!({"agent_id": self.agent, "to_number": to, "from_number": from});
        let task = id(&self.ask("POST", "/tasks", Some(task)).await?, "task")?;
        let begun = self.ask("POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await?;
        Ok(begun["call_id"].as_str().unwrap_or_default().to_owned())
    }

    /// Ends a call by the API.
    pub(super) async fn end_call(&self, call: &str) -> Result<(), String> {
        self.ask("POST", &format!("/calls/{call}/end"), Some(json!({}))).await.map(drop)
    }

    /// A number that no other call has.
    pub(super) fn unique(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let method = method.parse().map_err(|_| "no method".to_owned())?;
        let url = format!("http://{}/api/v1{path}", self.server.api);
        let mut request = self.http.request(method, url).bearer_auth(&self.server.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let body: Value = answer.json().await.map_err(|error| error.to_string())?;
        if body["success"] == json!(true) { Ok(body["data"].clone()) } else { Err(format!("{path}: {body}")) }
    }

    /// What the server holds now.
    pub(super) async fn holdings(&self) -> Result<Holdings, String> {
        let answer = self.http.get(format!("http://{}/metrics", self.server.api)).send().await;
        let text = answer.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())?;
        let sum = |name: &str| {
            let values = text.lines().filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
            });
            values.sum::<f64>() as i64
        };
        let proc = |name: &str| self.server.pid.map(|pid| format!("/proc/{pid}/{name}"));
        let status = proc("status").and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
        Ok(Holdings {
            calls: sum("trunkline_calls"),
            sessions: sum("trunkline_sip_sessions"),
            transactions: sum("trunkline_sip_transactions"),
            port_pairs_free: sum("trunkline_media_port_pairs_free"),
            tasks: sum("trunkline_tasks"),
            descriptors: proc("fd").and_then(|path| std::fs::read_dir(path).ok()).map_or(0, |all| all.count() as i64),
            resident_mb: resident.unwrap_or(0.0) / 1_024.0,
            panics: sum("trunkline_panics_total"),
        })
    }
}

/// What a server holds.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Holdings {
    /// Calls in progress.
    pub calls: i64,
    /// Sessions of the SIP user agent.
    pub sessions: i64,
    /// SIP transactions of both roles.
    pub transactions: i64,
    /// Pairs of RTP ports that no call holds.
    pub port_pairs_free: i64,
    /// Tasks of the async runtime.
    pub tasks: i64,
    /// Open file descriptors; 0 where the process is not known.
    pub descriptors: i64,
    /// Resident memory in MB; 0 where the process is not known.
    pub resident_mb: f64,
    /// Contained panics since the start.
    pub panics: i64,
}

impl Holdings {
    /// What is held beyond an earlier moment, by name; memory apart.
    pub fn beyond(&self, before: &Self) -> Vec<String> {
        // A pool may hold a connection more, and its descriptor and task, without growing with the calls.
        const SPARE: i64 = 8;
        let more = [
            ("calls", self.calls - before.calls, 0),
            ("SIP sessions", self.sessions - before.sessions, 0),
            ("SIP transactions", self.transactions - before.transactions, 0),
            ("RTP port pairs", before.port_pairs_free - self.port_pairs_free, 0),
            ("tasks", self.tasks - before.tasks, SPARE),
            ("descriptors", self.descriptors - before.descriptors, SPARE),
            ("panics", self.panics - before.panics, 0),
        ];
        let named = more.into_iter().filter(|(_, count, spare)| count > spare);
        named.map(|(what, count, _)| format!("{count} {what}")).collect()
    }
}

fn merge(into: &mut Value, more: &Value) {
    if let (Some(into), Some(more)) = (into.as_object_mut(), more.as_object()) {
        into.extend(more.clone());
    }
}

fn id(body: &Value, name: &str) -> Result<String, String> {
    body[name]["id"].as_str().map(str::to_owned).ok_or_else(|| body.to_string())
}
