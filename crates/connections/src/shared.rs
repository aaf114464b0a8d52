//! A table of connections that the tasks of a listener share.

use crate::report::{Closed, Report};
use crate::source::Source;
use crate::table::{Caps, ConnectionId, RefusedError, Standing, Table};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The connections of one listener, or of several that share their places.
#[derive(Debug)]
pub struct Connections {
    // Held for a few look-ups at a time, never across an await.
    table: Mutex<Table<oneshot::Sender<()>>>,
}

/// A place in the table, given back when it is dropped.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    standing: Standing,
    is_vouched: AtomicBool,
    connections: Arc<Connections>,
    report: Arc<Report>,
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

impl Connections {
    pub fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { table: Mutex::new(Table::new(caps)) })
    }

    fn table(&self) -> MutexGuard<'_, Table<oneshot::Sender<()>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection, and tells the one that makes room. What happens is counted in `report`.
    pub fn open(
        self: &Arc<Self>, ip: IpAddr, standing: Standing, report: &Arc<Report>,
    ) -> Result<(Connection, Eviction), RefusedError> {
        let (handle, evicted) = oneshot::channel();
        let opened = self.table().open(Source::of(ip), standing, handle);
        let opened = opened.inspect_err(|error| report.count(Closed::from(*error)))?;
        if let Some(handle) = opened.evicted {
            // Its task may be over already.
            let _ = handle.send(());
        }
        report.opened();
        let (connections, report) = (self.clone(), report.clone());
        let connection =
            Connection { id: opened.id, standing, is_vouched: AtomicBool::new(false), connections, report };
        Ok((connection, Eviction(evicted)))
    }

    /// Connections there are.
    pub fn count(&self) -> usize {
        self.table().len()
    }
}

impl Connection {
    /// A request is complete: nobody takes the place until it is answered.
    pub fn make_busy(&self) {
        self.connections.table().make_busy(self.id);
    }

    /// A request was answered.
    pub fn make_served(&self) {
        self.connections.table().make_served(self.id);
    }

    /// See [`Table::vouch`]. Further calls cost nothing.
    pub fn vouch(&self, tenant: u64) -> bool {
        if !self.is_vouched.load(Ordering::Relaxed) {
            let vouched = self.connections.table().vouch(self.id, tenant);
            self.is_vouched.store(vouched, Ordering::Relaxed);
            if !vouched {
                self.report.count(Closed::RefusedTenant);
            }
        }
        self.is_known()
    }

    /// What was known of the peer when it connected.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// On a list, or vouched for.
    pub fn is_known(&self) -> bool {
        self.standing != Standing::Stranger || self.is_vouched.load(Ordering::Relaxed)
    }

    pub fn count(&self, why: Closed) {
        self.report.count(why);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table().close(self.id);
        self.report.gone();
    }
}
