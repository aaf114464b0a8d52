//! Offers of browsers on their way to calls, and the counts of what browsers do.

use super::concurrency::{ConcurrencyKind, ConcurrencyLimit, ConcurrencyLimiter};
use crate::domain::ids::CallId;
use crate::domain::quota::Quotas;
use crate::web_quota::WebCallCounts;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use trunkline_media::transport::webrtc::IceCredentials;

pub use crate::web_quota::{WebCallError, WebCallLimits};

/// Calls from browsers.
#[derive(Clone, Debug)]
pub struct WebCallService {
    /// Counts of web calls per address and per token, and their ICE sessions.
    pub counts: WebCalls,
    /// Limits of calls from browsers.
    pub limits: WebCallLimits,
    /// Calls that wait for their browsers.
    pub waiting: ConcurrencyLimiter,
}

impl WebCallService {
    /// Returns a service without a call; `web_calls_waiting` of the quotas limits one organization's waiting calls.
    pub fn build(limits: WebCallLimits, quotas: &Quotas) -> Self {
        let waiting = ConcurrencyLimit::of(ConcurrencyKind::WebCallsWaiting, quotas);
        Self { counts: WebCalls::default(), limits, waiting: ConcurrencyLimiter::new(waiting) }
    }
}

/// A browser's offer on its way to its call.
#[derive(Debug)]
pub struct WebOffer {
    pub(super) sdp: String,
    pub(super) slot: AddressPermit,
    pub(super) reply: oneshot::Sender<Result<WebAnswer, WebCallError>>,
}

/// The answer to the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAnswer {
    /// Id of the call that took the offer.
    pub call: CallId,
    /// The SDP answer.
    pub sdp: String,
    /// Names the ICE session.
    pub ice_session: String,
}

/// A browser restarts ICE.
#[derive(Debug)]
pub struct IceRestart {
    pub(super) theirs: IceCredentials,
    pub(super) reply: oneshot::Sender<IceCredentials>,
}

/// Counters over all web calls of this process.
#[derive(Clone, Debug, Default)]
pub struct WebCalls(Arc<Mutex<WebCallCounts>>);

/// One call of an address; released with the call.
#[derive(Debug)]
pub(super) struct AddressPermit {
    address: IpAddr,
    calls: WebCalls,
}

impl WebCalls {
    pub(super) fn lock(&self) -> MutexGuard<'_, WebCallCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of an address, up to `max`.
    pub(super) fn take(&self, address: IpAddr, max: usize) -> Result<AddressPermit, WebCallError> {
        self.lock().take_address(address, max)?;
        Ok(AddressPermit { address, calls: self.clone() })
    }

    /// The call is over: no more PATCH.
    pub fn forget(&self, call: CallId) {
        self.lock().forget(call);
    }

    /// Whether a call is the token's, or was begun with it.
    pub fn owns(&self, token: CallId, call: CallId) -> bool {
        self.lock().owns(token, call)
    }

    /// The ICE session of a call, while it goes on.
    pub fn ice_session(&self, call: CallId) -> Option<String> {
        self.lock().ice_session(call)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        self.calls.lock().release_address(self.address);
    }
}
