//! Trunks: an OPTIONS request to each.

use crate::finding::Finding;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::time::timeout;
use trunkline::app::ProbeAgent;
use trunkline::config::Config;
use trunkline::domain::trunk::Trunk;

const CHECK: &str = "trunks";
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
        findings.push(Finding::ok(CHECK, format!("{left_out} more were not asked")));
    }
    findings
}

async fn asked(agent: &ProbeAgent, trunk: &Trunk) -> Finding {
    let name = format!("{} ({})", trunk.fields.name, trunk.id);
    match timeout(DEADLINE, agent.options(trunk)).await {
        Ok(Ok(Some(status))) => Finding::ok(CHECK, format!("{name} answered OPTIONS with {status}")),
        Ok(Ok(None)) | Err(_) => Finding::warning(
            CHECK,
            format!("{name} did not answer OPTIONS"),
            "look at its host, port and transport, and at the firewall; some carriers never answer: \
             `trunkline check-trunk` makes a call",
        ),
        Ok(Err(why)) => Finding::error(
            CHECK,
            format!("{name} cannot be asked: {why}"),
            "look at its host, and at sip.allow_private",
        ),
    }
}
