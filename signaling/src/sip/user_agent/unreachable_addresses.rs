//! Addresses that did not answer, and for how long they are tried last.

use super::inbound_trunks::TrunkKey;
use crate::limits;
use crate::sip::transport::TransportAddress;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long an unreachable address is tried last.
const UNREACHABLE_FOR: Duration = Duration::from_secs(60);

/// Whose list of silent addresses a request uses and changes. A server that does not answer one customer, for example
/// because its certificate is not for the customer's name, may answer the next one. So each trunk has its own list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ReachabilityScope {
    /// Neither uses nor changes one, as a probe.
    Unlisted,
    /// Calls without a trunk share one list.
    WithoutTrunk,
    /// The list of one trunk.
    Trunk(TrunkKey),
}

impl From<Option<TrunkKey>> for ReachabilityScope {
    fn from(trunk: Option<TrunkKey>) -> Self {
        trunk.map_or(Self::WithoutTrunk, Self::Trunk)
    }
}

/// Unreachable addresses per trunk, with the time until which they are tried last.
#[derive(Debug, Default)]
pub(super) struct UnreachableAddresses {
    until: HashMap<(ReachabilityScope, TransportAddress), Instant>,
}

impl UnreachableAddresses {
    /// The address did not answer a request of this scope a short time ago.
    pub(super) fn contains(&self, now: Instant, scope: &ReachabilityScope, address: TransportAddress) -> bool {
        // Most of the time nothing is unreachable, and nothing has to be copied to look it up.
        !self.until.is_empty() && self.until.get(&(scope.clone(), address)).is_some_and(|until| *until > now)
    }

    /// That address did not answer: other addresses are tried first for a while.
    pub(super) fn insert(&mut self, now: Instant, scope: ReachabilityScope, address: TransportAddress) {
        if scope == ReachabilityScope::Unlisted {
            return;
        }
        if self.until.len() >= limits::UNREACHABLE_ADDRESSES_MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < limits::UNREACHABLE_ADDRESSES_MAX {
            self.until.insert((scope, address), now + UNREACHABLE_FOR);
        }
    }

    /// The address has answered.
    pub(super) fn remove(&mut self, scope: &ReachabilityScope, address: TransportAddress) {
        if !self.until.is_empty() {
            self.until.remove(&(scope.clone(), address));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transport::Transport;

    #[test]
    fn each_scope_has_its_own_list_for_a_minute() {
        let start = Instant::now();
        let address = |port| TransportAddress { transport: Transport::Udp, addr: ([192, 0, 2, 1], port).into() };
        let (ours, others) = (ReachabilityScope::from(Some(TrunkKey::from("a"))), ReachabilityScope::WithoutTrunk);
        let mut list = UnreachableAddresses::default();
        list.insert(start, ours.clone(), address(1));
        list.insert(start, ReachabilityScope::Unlisted, address(2));
        assert!(list.contains(start, &ours, address(1)) && !list.contains(start, &others, address(1)));
        assert!(!list.contains(start, &ReachabilityScope::Unlisted, address(2)), "a probe changes nothing");
        assert!(!list.contains(start + UNREACHABLE_FOR, &ours, address(1)));
        list.remove(&ours, address(1));
        assert!(!list.contains(start, &ours, address(1)));
        for port in 0..2_000 {
            list.insert(start, others.clone(), address(port));
        }
        assert_eq!(list.until.len(), limits::UNREACHABLE_ADDRESSES_MAX);
        list.insert(start + UNREACHABLE_FOR, others, address(1));
        assert_eq!(list.until.len(), 1, "the old ones make room");
    }
}
