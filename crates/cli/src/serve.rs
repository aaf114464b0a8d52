//! `trunkline serve`: runs the server, and does what signals ask.

use crate::command_error::{CommandError, EXIT_PART_FAILED};
use crate::service_manager::ServiceManager;
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use trunkline::app::{App, AppExtras};
use trunkline::config::{self, Config};
use trunkline::supervision::{self, PartFailedError};
use trunkline::telemetry::{self, log::LogControl};
use trunkline_lab::stop_signal;

/// How long a process with a failed component may take for its last entries and deliveries.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// What the end of a process may take besides waiting for calls: deregistering, last entries, deliveries under way.
const DRAIN_EXTRA: Duration = Duration::from_secs(120);

/// Runs until a signal or a failed part ends it. `load` reads the settings: now, and again on SIGHUP.
pub(crate) async fn serve(load: impl Fn() -> Result<Config, String>) -> Result<(), CommandError> {
    // From here on SIGHUP no longer ends the process; one that comes too early waits.
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP: {error}"))?;
    let on_terminal = std::io::stderr().is_terminal();
    let config = load()?;
    let log = telemetry::log::start(&config.log)?;
    supervision::install_hook();
    advise(&config);
    let manager = ServiceManager::from_environment();
    let prometheus = telemetry::metrics::install().map_err(|error| error.to_string())?;
    let extras = AppExtras { demo: None, machine: Some(trunkline_doctor::machine_examiner(&config)) };
    let app = App::start_with(&config, prometheus, extras).await.map_err(|error| error.to_string())?;
    manager.ready();
    let mut stop = std::pin::pin!(stop_signal());
    let given_up = loop {
        tokio::select! {
            () = &mut stop => break None,
            given_up = app.failed() => break Some(given_up),
            Some(()) = hangup.recv() => {
                // The window that it was started in has been closed: it ends as any program there does.
                if on_terminal && !std::io::stderr().is_terminal() {
                    break None;
                }
                manager.reloading();
                reload(&config, &load, &log, &app);
                manager.ready();
            }
        }
    };
    tracing::info!("stopping");
    manager.stopping(Duration::from_millis(config.calls.drain_timeout_ms) + DRAIN_EXTRA);
    match given_up {
        None => app.drain().await,
        // A hanging component may block others: the process ends anyway.
        Some(_) => drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, app.drain()).await),
    }
    match given_up {
        None => Ok(()),
        Some(PartFailedError { part, why }) => {
            Err(CommandError { message: format!("{part} was given up: {why}"), code: EXIT_PART_FAILED })
        }
    }
}

fn advise(config: &Config) {
    for advice in config::advice(config) {
        tracing::warn!(setting = advice.path, "{}", advice.message);
    }
}

/// Takes over what can change while calls go on: the log's filter and certificates. Settings with an error change
/// nothing; settings that need a restart are named.
fn reload(started_with: &Config, load: impl Fn() -> Result<Config, String>, log: &LogControl, app: &App) {
    app.reload_certificates();
    let new = match load() {
        Ok(new) => new,
        Err(message) => return refuse(&message),
    };
    if let Err(message) = log.set_filter(&new.log.filter) {
        return refuse(&message);
    }
    match started_with.sections_changed(&new).as_slice() {
        [] => tracing::info!("settings reloaded"),
        sections => tracing::warn!("settings reloaded; what changed in [{}] needs a restart", sections.join("], [")),
    }
}

/// One entry for each line: a journal gives each its priority.
fn refuse(message: &str) {
    tracing::error!("not reloaded, everything goes on as before");
    for line in message.lines() {
        tracing::error!("{}", line.trim());
    }
}
