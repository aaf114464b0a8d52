//! The database and the master key.

use super::error::AppError;
use crate::config::Config;
use crate::store::Store;
pub use crate::store::secrets::MasterKey;
use std::time::Duration;

/// The master key of the settings.
pub fn master_key(config: &Config) -> Option<MasterKey> {
    let text = &config.secrets.master_key;
    (!text.is_empty()).then(|| MasterKey::new(text.expose()))
}

/// The same check for a database that may not exist yet: nothing is created or changed.
pub async fn check_stored_secrets(config: &Config) -> Result<(), AppError> {
    let looking = async {
        let store = Store::open_existing(config.database.url.expose()).await.ok()?;
        let unreadable = store.unreadable_secrets(master_key(config).as_ref()).await;
        store.close().await;
        unreadable.ok() // of an older schema: `serve` brings it up to date and looks again
    };
    match tokio::time::timeout(CHECK_DEADLINE, looking).await.ok().flatten() {
        Some(unreadable) if !unreadable.is_empty() => Err(AppError::UnreadableSecrets(unreadable)),
        _ => Ok(()),
    }
}

/// How long the check of the settings waits for a database.
const CHECK_DEADLINE: Duration = Duration::from_secs(5);

/// Every stored key can be opened, and this process's master key is the installation's.
async fn check_secrets(store: &Store, master: Option<&MasterKey>) -> Result<(), AppError> {
    let unreadable = store.unreadable_secrets(master).await?;
    if !unreadable.is_empty() {
        return Err(AppError::UnreadableSecrets(unreadable));
    }
    match master {
        Some(master) => Ok(store.adopt_master_key(master).await?),
        None => Ok(()),
    }
}

/// Opens the database, creates a SQLite file's folder, and applies migrations. Fails if one of these does.
pub async fn open_store(url: &str) -> Result<Store, AppError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//");
        if let Some(folder) = std::path::Path::new(path.split('?').next().unwrap_or(path)).parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| AppError::Io { what: folder.display().to_string(), source })?;
        }
    }
    let store = Store::open(url).await?;
    store.migrate().await?;
    Ok(store)
}

/// Opens the database of the settings, and sees that every stored key can be opened.
pub(super) async fn build(config: &Config) -> Result<Store, AppError> {
    let store = open_store(config.database.url.expose())
        .await?
        .with_quotas(config.quotas)
        .with_dead_after(config.node.dead_after_ms);
    check_secrets(&store, master_key(config).as_ref()).await?;
    Ok(store)
}
