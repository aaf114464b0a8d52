//! Trunks: an OPTIONS request to each.

use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::time::timeout;
use trunkline::app::ProbeAgent;
use trunkline::checkup::trunks::{self as judged, CHECK};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline::domain::trunk::Trunk;
use trunkline_signaling::sip::user_agent::ProbeResult;

/// Trunks that are asked; the others are counted.
const ASKED_MAX: usize = 100;
const AT_ONCE: usize = 8;
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks every trunk that calls out.
pub(crate) async fn look(config: &Config, trunks: Vec<Trunk>, server_runs: bool) -> Vec<Finding> {
    let mut out: Vec<Trunk> = trunks.into_iter().filter(|trunk| trunk.fields.calls_out()).collect();
    if out.is_empty() {
        return vec![Finding::ok(CHECK, "there are none that calls go out over")];
    }
    let left_out = out.len().saturating_sub(ASKED_MAX);
    out.truncate(ASKED_MAX);
    let agent = match ProbeAgent::start(config, server_runs).await {
        Ok(agent) => agent,
        Err(error) => {
            return vec![Finding::warning(
                CHECK,
                format!("they cannot be asked: {error}"),
                "mend the settings of [sip]",
            )];
        }
    };
    let asked = futures_util::stream::iter(&out).map(|trunk| asked(&agent, trunk)).buffered(AT_ONCE);
    let mut findings: Vec<Finding> = asked.collect().await;
    if left_out > 0 {
        findings.push(judged::left_out(left_out));
    }
    findings
}

async fn asked(agent: &ProbeAgent, trunk: &Trunk) -> Finding {
    let name = format!("{} ({})", trunk.fields.name, trunk.id);
    let result = timeout(DEADLINE, agent.options(trunk)).await.unwrap_or(ProbeResult::Silent);
    judged::finding(&name, &result, trunk.fields.username.is_some())
}
