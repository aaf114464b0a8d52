//! Policy for destination addresses. Every address is checked, wherever it comes from (a trunk's host, the URI of a
//! call, a Contact, a Record-Route, a name's records).

use std::net::SocketAddr;
use std::sync::Arc;

type DestinationCheck = dyn Fn(SocketAddr) -> Result<(), String> + Send + Sync;

/// Checks an address before sending; the error text gives the reason.
#[derive(Clone)]
pub struct DestinationPolicy(Arc<DestinationCheck>);

impl std::fmt::Debug for DestinationPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DestinationGuard")
    }
}

impl DestinationPolicy {
    /// `judge` must be pure: it is asked once for each attempt, and its answer is not remembered.
    pub fn new(judge: impl Fn(SocketAddr) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(judge))
    }

    /// Why an address must not be sent to, if so.
    pub(super) fn check(&self, addr: SocketAddr) -> Result<(), String> {
        (self.0)(addr)
    }

    /// Allows every address.
    pub fn allow_all() -> Self {
        Self::new(|_| Ok(()))
    }
}
