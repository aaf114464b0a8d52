//! `trunkline doctor`: looks at the machine, the settings and what they name, and says what is wrong and what to do.
#![expect(clippy::disallowed_methods, reason = "tools are programs: they read clocks and wait")]

mod certificates;
mod clock;
mod finding;
mod holders;
mod machine;
mod network;
mod ports;
mod providers;
mod server;
mod storage;
mod trunks;

use clap::Args;
pub use finding::{Finding, Level, Report};
use std::io::Write as _;
use trunkline::config::Config;

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
    let server = server::find(config).await;
    let (storage, trunks) = Box::pin(storage::look(config)).await;
    let (network, clock, providers, trunks) = tokio::join!(
        network::look(config),
        clock::look(config),
        Box::pin(providers::look(config)),
        Box::pin(trunks::look(config, trunks, server.is_some()))
    );
    let mut findings = vec![server::finding(config, server.as_ref())];
    findings.extend(ports::look(config, server.as_ref()));
    findings.extend(network);
    findings.extend(clock);
    findings.extend(machine::look(config, server.as_ref()));
    findings.extend(storage);
    findings.extend(providers);
    findings.extend(trunks);
    findings.extend(certificates::look(config));
    Report::of(findings)
}
