//! `trunkline doctor`: looks at the machine, the settings and what they name, and says what is wrong and what to do.
#![expect(clippy::disallowed_methods, reason = "tools are programs: they read clocks and wait")]

mod certificate_names;
mod certificates;
mod clock;
mod holders;
mod machine;
mod models;
mod name_servers;
mod network;
mod ports;
mod providers;
mod server;
mod storage;
mod tls_peers;
mod trunks;
mod webhooks;

use clap::Args;
use clock::ClockReading;
use std::io::Write as _;
use std::sync::Arc;
use storage::Stored;
use trunkline::api::MachineExaminer;
use trunkline::config::Config;
use trunkline::domain::finding::{Finding, Level, Report};

/// What `trunkline doctor` takes.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// Looks at everything and prints it. True if no finding is an error.
pub async fn run(args: &DoctorArgs, config: Result<Config, String>) -> bool {
    let report = match config {
        Ok(config) => examine(&config).await,
        Err(faults) => Report::of(vec![Finding::error(
            "settings",
            faults,
            "mend the settings; `trunkline check-config` reads them again, and the other checks need them",
        )]),
    };
    let text = if args.json { serde_json::to_string_pretty(&report).unwrap_or_default() } else { report.to_string() };
    // A reader that has gone away has seen enough.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    report.level != Level::Error
}

/// All findings about a server with these settings.
pub async fn examine(config: &Config) -> Report {
    let (mut findings, stored, server_runs) = look(config, ClockReading::now()).await;
    let (trunks, webhooks) = tokio::join!(
        Box::pin(trunks::look(config, stored.trunks.clone(), server_runs)),
        Box::pin(webhooks::look(config, &stored))
    );
    findings.extend(trunks);
    findings.extend(webhooks);
    Report::of(findings)
}

/// Looks at the machine of a server for its operator, from the server itself. What is of organizations is left out: they look
/// at it themselves. The clock is compared with how it was at this call.
pub fn machine_examiner(config: &Config) -> MachineExaminer {
    let (config, start) = (Arc::new(config.clone()), ClockReading::now());
    MachineExaminer::new(move || {
        let config = config.clone();
        Box::pin(async move { Box::pin(look(&config, start)).await.0 })
    })
}

/// Everything but trunks and webhooks; what those need; and whether a server runs.
async fn look(config: &Config, clock_before: ClockReading) -> (Vec<Finding>, Stored, bool) {
    let server = server::find(config).await;
    let (storage, stored) = Box::pin(storage::look(config)).await;
    let (network, name_servers, clock, models, providers, certificates, tls_peers) = tokio::join!(
        network::look(config),
        name_servers::look(config),
        clock::look(config, clock_before),
        models::look(config),
        Box::pin(providers::look(config)),
        Box::pin(certificates::look(config)),
        Box::pin(tls_peers::look(config))
    );
    let mut findings = vec![server::finding(config, server.as_ref())];
    findings.extend(trunkline::config::advice(config).into_iter().map(|advice| {
        Finding::warning(
            "settings",
            format!("{}: {}", advice.path, advice.message),
            "config.toml says what each is for",
        )
    }));
    findings.extend(ports::look(config, server.as_ref()));
    findings.extend(network);
    findings.extend(name_servers);
    findings.extend(clock);
    findings.extend(machine::look(config, server.as_ref()));
    findings.extend(models);
    findings.extend(storage);
    findings.extend(providers);
    findings.extend(certificates);
    findings.extend(tls_peers);
    (findings, stored, server.is_some())
}
