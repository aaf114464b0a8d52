//! The database, its schema, and the master key.

use std::time::Duration;
use tokio::time::timeout;
use trunkline::app::master_key;
use trunkline::config::Config;
use trunkline::domain::agent::Agent;
use trunkline::domain::finding::Finding;
use trunkline::domain::trunk::Trunk;
use trunkline::store::{Store, StoreError};

const DATABASE: &str = "database";
const KEY: &str = "master_key";
const DEADLINE: Duration = Duration::from_secs(6);

/// Agents whose webhooks are looked at.
const AGENTS_MAX: i64 = 1_000;

/// What is read of the database for other checks.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Trunks of everybody.
    pub trunks: Vec<Trunk>,
    /// Active agents of everybody, the newest first.
    pub agents: Vec<Agent>,
}

/// Looks at the database, and returns what others look at.
pub(crate) async fn look(config: &Config) -> (Vec<Finding>, Stored) {
    let (mut findings, stored) = match timeout(DEADLINE, database(config)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => (vec![unreachable(config, &error.to_string())], Stored::default()),
        Err(_) => (vec![unreachable(config, "it does not answer")], Stored::default()),
    };
    if config.secrets.master_key.is_empty() {
        findings.push(Finding::warning(
            KEY,
            "none is set: organizations cannot store provider keys of their own",
            "set secrets.master_key to a long random text, and keep a copy of it elsewhere",
        ));
    }
    (findings, stored)
}

fn unreachable(config: &Config, why: &str) -> Finding {
    let url = config.database.url.expose();
    match url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//").split('?').next().unwrap_or_default()) {
        Some(path) if !std::path::Path::new(path).exists() => {
            let advice = "`trunkline serve` creates it, and `trunkline bootstrap` the first organization";
            Finding::warning(DATABASE, format!("{path} does not exist yet (database.url)"), advice)
        }
        Some(path) => Finding::error(
            DATABASE,
            format!("{path} cannot be opened: {why}"),
            "look at its owner and mode, and at the disk",
        ),
        // The URL holds a password.
        None => Finding::error(
            DATABASE,
            format!("PostgreSQL cannot be used: {why}"),
            "look at database.url: is the server running, and are name and password right?",
        ),
    }
}

async fn database(config: &Config) -> Result<(Vec<Finding>, Stored), StoreError> {
    let store = Store::open_existing(config.database.url.expose()).await?;
    let found = read(config, &store).await;
    store.close().await;
    found
}

async fn read(config: &Config, store: &Store) -> Result<(Vec<Finding>, Stored), StoreError> {
    store.ping().await?;
    let schema = store.schema_difference().await?;
    if schema.unknown > 0 {
        let found = format!("it is of a newer version: {} of its migrations are not known here", schema.unknown);
        return Ok((
            vec![Finding::error(DATABASE, found, "install that version, or restore the copy from before it")],
            Stored::default(),
        ));
    }
    if schema.missing > 0 {
        let found = format!("it answers, and lacks {} migrations", schema.missing);
        let advice = "`trunkline serve` brings it up to date when it starts, `trunkline migrate` before";
        return Ok((vec![Finding::warning(DATABASE, found, advice)], Stored::default()));
    }
    let mut findings = vec![Finding::ok(DATABASE, "it answers, and has this version's schema")];
    let unreadable = store.unreadable_secrets(master_key(config).as_ref()).await?;
    if !unreadable.is_empty() {
        findings.push(Finding::error(
            KEY,
            format!("{} stored provider keys cannot be decrypted", unreadable.len()),
            "set secrets.master_key to the key they were stored with, or see `trunkline secrets`",
        ));
    } else if !config.secrets.master_key.is_empty() {
        findings.push(Finding::ok(KEY, "it is set, and opens every stored key"));
    }
    let trunks = store.trunks_of_everyone().await?;
    Ok((findings, Stored { trunks, agents: store.active_agents_of_everyone(AGENTS_MAX).await? }))
}
