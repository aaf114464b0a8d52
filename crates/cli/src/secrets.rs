//! `trunkline secrets`: what an operator can do about provider keys that the master key cannot decrypt.

use clap::Subcommand;
use std::path::PathBuf;
use trunkline::app::{MasterKey, master_key, open_store};
use trunkline::config::Config;

#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// List the stored provider keys that secrets.master_key cannot decrypt (without secret values).
    ListUnreadable,
    /// Delete these keys. Calls of their organizations then use the server's keys.
    DeleteUnreadable,
    /// Re-encrypt every key from the former master key to secrets.master_key. Stop all servers first.
    Reseal {
        /// File with the former master key.
        #[arg(long)]
        old_key_file: PathBuf,
    },
}

fn to_message(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Runs one of them on the database of the settings.
pub async fn run(config: &Config, command: SecretsCommand) -> Result<(), String> {
    let master = master_key(config);
    let store = open_store(config.database.url.expose()).await.map_err(to_message)?;
    match command {
        SecretsCommand::ListUnreadable => {
            for secret in store.unreadable_secrets(master.as_ref()).await.map_err(to_message)? {
                println!("{secret}");
            }
        }
        SecretsCommand::DeleteUnreadable => {
            let count = store.delete_unreadable_secrets(master.as_ref()).await.map_err(to_message)?;
            println!("{count} deleted");
        }
        SecretsCommand::Reseal { old_key_file } => {
            let new = master.ok_or("secrets.master_key is not configured")?;
            let old = std::fs::read_to_string(&old_key_file)
                .map_err(|error| format!("{}: {error}", old_key_file.display()))?;
            let count = store.seal_secrets_anew(&MasterKey::new(old.trim()), &new).await.map_err(to_message)?;
            println!("{count} re-encrypted");
            let left = store.unreadable_secrets(Some(&new)).await.map_err(to_message)?;
            if !left.is_empty() {
                return Err(format!("{} opened with neither key; see `trunkline secrets list-unreadable`", left.len()));
            }
            store.adopt_master_key(&new).await.map_err(to_message)?;
        }
    }
    store.close().await;
    Ok(())
}
