//! A table of connections that the tasks of a listener share.

use crate::connection_table::{ConnectionCaps, ConnectionId, ConnectionRefusedError, EvictionTable, PeerClass};
use crate::counters::{Closed, ConnectionCounters};
use crate::source_address::SourceAddress;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The connections of one listener, or of several that share their places.
#[derive(Debug)]
pub struct ConnectionPool {
    // Held for a few look-ups at a time, never across an await.
    table: Mutex<EvictionTable<oneshot::Sender<()>>>,
}

/// A place in the table, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionGuard {
    id: ConnectionId,
    standing: PeerClass,
    has_tenant: AtomicBool,
    connections: Arc<ConnectionPool>,
    report: Arc<ConnectionCounters>,
}

/// Comes when a connection has to make room for another one.
#[derive(Debug)]
pub struct Eviction(oneshot::Receiver<()>);

impl Eviction {
    /// Ends when the connection has to be closed; never, when its place was given back before.
    pub async fn wait(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl ConnectionPool {
    /// Creates a pool without connections. Listeners that hold the same pool share its caps.
    pub fn new(caps: ConnectionCaps) -> Arc<Self> {
        Arc::new(Self { table: Mutex::new(EvictionTable::new(caps)) })
    }

    fn table(&self) -> MutexGuard<'_, EvictionTable<oneshot::Sender<()>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection, and tells the one that makes room. What happens is counted in `report`.
    pub fn open(
        self: &Arc<Self>, ip: IpAddr, standing: PeerClass, report: &Arc<ConnectionCounters>,
    ) -> Result<(ConnectionGuard, Eviction), ConnectionRefusedError> {
        let (handle, evicted) = oneshot::channel();
        let opened = self.table().open(SourceAddress::of(ip), standing, handle);
        let opened = opened.inspect_err(|error| report.record_close_reason(Closed::from(*error)))?;
        if let Some(handle) = opened.evicted {
            // Its task may be over already.
            let _ = handle.send(());
        }
        report.record_opened();
        let (connections, report) = (self.clone(), report.clone());
        let connection =
            ConnectionGuard { id: opened.id, standing, has_tenant: AtomicBool::new(false), connections, report };
        Ok((connection, Eviction(evicted)))
    }

    /// Connections there are.
    pub fn count(&self) -> usize {
        self.table().len()
    }
}

impl ConnectionGuard {
    /// A request is complete: the connection cannot be evicted until it is answered.
    pub fn mark_busy(&self) {
        self.connections.table().make_busy(self.id);
    }

    /// A request was answered.
    pub fn mark_idle(&self) {
        self.connections.table().make_served(self.id);
    }

    /// See [`EvictionTable::assign_tenant`]. Further calls cost nothing.
    pub fn assign_tenant(&self, tenant: u64) -> bool {
        if !self.has_tenant.load(Ordering::Relaxed) {
            let is_assigned = self.connections.table().assign_tenant(self.id, tenant);
            self.has_tenant.store(is_assigned, Ordering::Relaxed);
            if !is_assigned {
                self.report.record_close_reason(Closed::RefusedTenant);
            }
        }
        self.is_known()
    }

    /// Class of the peer, as known when it connected.
    pub fn standing(&self) -> PeerClass {
        self.standing
    }

    /// On a list, or vouched for.
    pub fn is_known(&self) -> bool {
        self.standing != PeerClass::Stranger || self.has_tenant.load(Ordering::Relaxed)
    }

    /// Counts why this connection was refused or closed. Does not close it.
    pub fn count(&self, why: Closed) {
        self.report.record_close_reason(why);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.connections.table().close(self.id);
        self.report.record_closed();
    }
}
