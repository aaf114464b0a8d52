//! Where a provider is asked, with which key, and how long it may take.

use super::error::ProviderError;
use std::time::Duration;
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::secret::Secret;
use trunkline_egress::EgressError;

/// Base URL, key and limits of a provider account.
#[derive(Clone, Debug)]
pub struct ProviderAccess {
    /// The provider account that the key and the limits belong to.
    pub account: ProviderAccount,
    /// Without a slash at the end.
    pub base_url: String,
    /// The key; `None` where none is configured or none may be sent to this address.
    pub api_key: Option<Secret>,
    /// Version of the API, where requests name one.
    pub api_version: String,
    /// Concurrent streams that the provider allows; 0: unknown.
    pub concurrency_max: usize,
    /// A customer named the address: every resolution is checked by the egress guard, and the server's keys are not
    /// sent there.
    pub is_customer_server: bool,
    /// Set when it must not be used, with the reason.
    pub blocked: Option<BlockReason>,
}

/// Why a provider must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// The agent names an address that the egress guard refuses.
    Address(EgressError),
    /// The organization's own key cannot be decrypted. No other key takes its place.
    Key,
}

impl ProviderAccess {
    /// Customers' own servers may need no key; vendors always do.
    pub fn is_usable(&self) -> bool {
        self.blocked.is_none() && (self.api_key.is_some() || self.is_customer_server || !self.account.needs_key())
    }

    /// What keeps it from being asked.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        match self.blocked {
            None => Ok(()),
            Some(BlockReason::Address(why)) => Err(ProviderError::AddressBlocked(why)),
            Some(BlockReason::Key) => Err(ProviderError::KeyUnreadable),
        }
    }

    /// A path, with a query if need be, below its address.
    pub(crate) fn url(&self, path: &str) -> Result<url::Url, ProviderError> {
        self.check()?;
        let url = url::Url::parse(&format!("{}{path}", self.base_url));
        url.map_err(|error| ProviderError::Unreachable(format!("address: {error}")))
    }

    /// The key in the clear, for the header of a request.
    pub(crate) fn key(&self) -> Result<&str, ProviderError> {
        self.check()?;
        match &self.api_key {
            Some(key) => Ok(key.expose()),
            None if self.is_customer_server => Ok("none"),
            None => Err(ProviderError::NotConfigured),
        }
    }
}

/// How long one stage of a provider may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// TCP, TLS and upgrade.
    pub connect: Duration,
    /// From the request to the first useful byte.
    pub first_byte: Duration,
    /// Between two bytes after that.
    pub between_bytes: Duration,
}
