//! Messages between the processes that share a PostgreSQL server (LISTEN and NOTIFY). Nothing is kept
//! for a process that is away: whatever matters is in tables as well.
#![expect(clippy::disallowed_methods, reason = "the bus is a driver: one task that listens")]

use super::{DatabaseBackend, OrgScope, Store, StoreError};
use std::time::Duration;
use tokio::sync::broadcast;
use trunkline_domain::ids::OrganizationId;
use trunkline_supervision::Supervisor;

#[cfg(not(feature = "postgres"))]
#[path = "node_bus/without.rs"]
mod listener;
#[cfg(feature = "postgres")]
mod listener;

const CHANNEL: &str = "trunkline";
/// Longest payload PostgreSQL takes is 8000 bytes.
pub const MESSAGE_BYTES_MAX: usize = 7_900;
/// Messages a reader may lag behind by; a reader that lags further misses some.
const WAITING_MAX: usize = 4_096;
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// What other processes say.
#[derive(Clone, Debug)]
pub struct NodeBus {
    store: Store,
    heard: broadcast::Sender<String>,
}

impl NodeBus {
    /// `None` for a database that belongs to one process.
    pub fn start(store: &Store, supervisor: &Supervisor) -> Option<Self> {
        if store.backend != DatabaseBackend::Postgres {
            return None;
        }
        let bus = Self { store: store.clone(), heard: broadcast::Sender::new(WAITING_MAX) };
        let (url, heard) = (store.url.clone(), bus.heard.clone());
        supervisor.start("bus", move || listen(url.clone(), heard.clone()));
        Some(bus)
    }

    /// Everything that is said from now on, by this process too.
    pub fn subscribe(&self) -> broadcast::Receiver<String> {
        self.heard.subscribe()
    }

    /// The scope of a message that another process of this installation sent.
    pub fn scope(&self, organization: &str) -> Option<OrgScope> {
        OrganizationId::parse(organization).map(OrgScope::new)
    }

    /// Says something to every process.
    pub async fn publish(&self, message: &str) -> Result<(), StoreError> {
        sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(message).execute(&self.store.write).await?;
        Ok(())
    }
}

async fn listen(url: String, heard: broadcast::Sender<String>) {
    loop {
        match listener::connected(&url).await {
            Ok(mut listener) => {
                while let Ok(message) = listener::next(&mut listener).await {
                    let _ = heard.send(message);
                }
                tracing::warn!("the connection that listens to other processes was lost");
            }
            Err(error) => tracing::warn!(%error, "cannot listen to other processes"),
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}
