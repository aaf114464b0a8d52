//! The connections of a listener. At a cap the oldest idle connection is evicted: first those that never sent a
//! complete request, then the longest idle. So silent clients cannot lock others out.

use crate::counters::Closed;
use crate::source_address::SourceAddress;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCaps {
    /// In all.
    pub total: usize,
    /// Of these, kept free for those who are trusted.
    pub reserved: usize,
    /// Of one source that is a stranger.
    pub per_source: usize,
    /// Of one source on a list.
    pub per_listed_source: usize,
    /// Of one tenant, as far as connections are known to be a tenant's.
    pub per_tenant: usize,
}

/// What is known of a peer when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerClass {
    /// A peer that is on no list. It is evicted first and may not use the reserved places.
    Stranger,
    /// On a list: it may use the reserved places. No other peer takes its places as long as there are connections of
    /// strangers.
    Listed,
    /// Many peers come from there (a proxy), or we connect ourselves: as [`PeerClass::Listed`], and its connections are
    /// not counted by source.
    Exempt,
}

/// One connection of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(u64);

/// At the cap, with nothing to evict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefusedError {
    /// Its source has too many.
    Source,
    /// The listener is full.
    Total,
}

impl From<ConnectionRefusedError> for Closed {
    fn from(error: ConnectionRefusedError) -> Self {
        match error {
            ConnectionRefusedError::Source => Self::RefusedAddress,
            ConnectionRefusedError::Total => Self::RefusedTotal,
        }
    }
}

/// A place was found.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenedConnection<H> {
    /// Identifies the connection in later calls to the table. Never reused.
    pub id: ConnectionId,
    /// The evicted connection, which the caller must close.
    pub evicted: Option<H>,
}

/// Eviction order: strangers first, then those without a complete request, then the oldest.
type EvictionOrder = (bool, bool, u64);

#[derive(Debug)]
struct ConnectionEntry<H> {
    source: SourceAddress,
    standing: PeerClass,
    tenant: Option<u64>,
    /// Has finished a request.
    served: bool,
    /// Its place among those that can make room; none while it is in the middle of something.
    order: Option<EvictionOrder>,
    handle: H,
}

#[derive(Debug, Default)]
struct SourceConnections {
    count: usize,
    idle: BTreeSet<EvictionOrder>,
}

/// Connections with what closes them. All work is logarithmic in their number.
#[derive(Debug)]
pub struct EvictionTable<H> {
    caps: ConnectionCaps,
    entries: HashMap<ConnectionId, ConnectionEntry<H>>,
    idle: BTreeMap<EvictionOrder, ConnectionId>,
    sources: HashMap<SourceAddress, SourceConnections>,
    tenants: HashMap<u64, usize>,
    strangers: usize,
    next: u64,
}

impl<H> EvictionTable<H> {
    /// Creates an empty table; `caps` hold for its lifetime.
    pub fn new(caps: ConnectionCaps) -> Self {
        Self {
            caps,
            entries: HashMap::new(),
            idle: BTreeMap::new(),
            sources: HashMap::new(),
            tenants: HashMap::new(),
            strangers: 0,
            next: 0,
        }
    }

    /// Connections there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true while no connection is open, of any class.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Opens a connection that has sent nothing yet.
    pub fn open(
        &mut self, source: SourceAddress, standing: PeerClass, handle: H,
    ) -> Result<OpenedConnection<H>, ConnectionRefusedError> {
        let eviction_candidate = self.eviction_candidate(source, standing)?;
        let evicted = eviction_candidate.and_then(|id| self.close(id));
        let id = ConnectionId(self.next_order());
        self.entries.insert(id, ConnectionEntry { source, standing, tenant: None, served: false, order: None, handle });
        if standing != PeerClass::Exempt {
            self.sources.entry(source).or_default().count += 1;
        }
        self.strangers += usize::from(standing == PeerClass::Stranger);
        self.make_idle(id);
        Ok(OpenedConnection { id, evicted })
    }

    fn eviction_candidate(
        &self, source: SourceAddress, standing: PeerClass,
    ) -> Result<Option<ConnectionId>, ConnectionRefusedError> {
        let per_source = match standing {
            PeerClass::Stranger => self.caps.per_source,
            PeerClass::Listed => self.caps.per_listed_source,
            PeerClass::Exempt => usize::MAX,
        };
        if let Some(same) = self.sources.get(&source).filter(|same| same.count >= per_source) {
            let first = same.idle.first().and_then(|order| self.idle.get(order));
            return first.map(|id| Some(*id)).ok_or(ConnectionRefusedError::Source);
        }
        let places = match standing {
            PeerClass::Stranger => self.caps.total.saturating_sub(self.caps.reserved),
            PeerClass::Listed | PeerClass::Exempt => self.caps.total,
        };
        let is_full =
            self.entries.len() >= self.caps.total || (standing == PeerClass::Stranger && self.strangers >= places);
        if !is_full {
            return Ok(None);
        }
        let may_take = |order: &EvictionOrder| standing != PeerClass::Stranger || !order.0;
        let first = self.idle.first_key_value().filter(|(order, _)| may_take(order));
        first.map(|(_, id)| Some(*id)).ok_or(ConnectionRefusedError::Total)
    }

    /// A request is in progress: not evictable.
    pub fn make_busy(&mut self, id: ConnectionId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(order) = entry.order.take() {
            self.idle.remove(&order);
            if let Some(same) = self.sources.get_mut(&entry.source) {
                same.idle.remove(&order);
            }
        }
    }

    /// A request was completed: idle again.
    pub fn make_served(&mut self, id: ConnectionId) {
        self.make_busy(id);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.served = true;
            self.make_idle(id);
        }
    }

    /// Assigns the connection to a tenant: strangers are evicted first. False when the tenant is at its cap.
    pub fn assign_tenant(&mut self, id: ConnectionId, tenant: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if entry.tenant.is_some() {
            return true;
        }
        let count = self.tenants.entry(tenant).or_default();
        if *count >= self.caps.per_tenant {
            return false;
        }
        *count += 1;
        entry.tenant = Some(tenant);
        let is_idle = entry.order.is_some();
        if is_idle {
            self.make_busy(id);
            self.make_idle(id);
        }
        true
    }

    /// Forgets a connection and returns what closes it.
    pub fn close(&mut self, id: ConnectionId) -> Option<H> {
        self.make_busy(id);
        let entry = self.entries.remove(&id)?;
        if entry.standing != PeerClass::Exempt
            && let Some(same) = self.sources.get_mut(&entry.source)
        {
            same.count -= 1;
            if same.count == 0 {
                self.sources.remove(&entry.source);
            }
        }
        if let Some(tenant) = entry.tenant
            && let Some(count) = self.tenants.get_mut(&tenant)
        {
            *count -= 1;
            if *count == 0 {
                self.tenants.remove(&tenant);
            }
        }
        self.strangers -= usize::from(entry.standing == PeerClass::Stranger);
        Some(entry.handle)
    }

    fn make_idle(&mut self, id: ConnectionId) {
        let turn = self.next_order();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let is_known = entry.standing != PeerClass::Stranger || entry.tenant.is_some();
        let order = (is_known, entry.served, turn);
        entry.order = Some(order);
        self.idle.insert(order, id);
        if let Some(same) = self.sources.get_mut(&entry.source) {
            same.idle.insert(order);
        }
    }

    fn next_order(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PeerClass::{Exempt, Listed, Stranger};

    const CAPS: ConnectionCaps =
        ConnectionCaps { total: 8, reserved: 2, per_source: 4, per_listed_source: 5, per_tenant: 3 };

    fn from(n: u64) -> SourceAddress {
        SourceAddress::of(std::net::Ipv4Addr::from(n as u32).into())
    }

    /// Opens a connection whose handle is its number.
    fn open(
        table: &mut EvictionTable<u32>, source: u64, standing: PeerClass, handle: u32,
    ) -> Result<Option<u32>, ConnectionRefusedError> {
        table.open(from(source), standing, handle).map(|opened| opened.evicted)
    }

    #[test]
    fn at_the_cap_of_an_address_its_oldest_silent_connection_makes_room() {
        let mut table = EvictionTable::new(CAPS);
        let first = table.open(from(1), Stranger, 0).unwrap().id;
        (1..4).for_each(|n| assert_eq!(open(&mut table, 1, Stranger, n), Ok(None)));
        table.make_busy(first);
        assert_eq!(open(&mut table, 1, Stranger, 4), Ok(Some(1)), "the first one is busy");
        table.make_served(first);
        for (n, gone) in [(5, 2), (6, 3), (7, 4)] {
            assert_eq!(
                open(&mut table, 1, Stranger, n),
                Ok(Some(gone)),
                "who was served stays longer than who was not"
            );
        }
        assert_eq!(open(&mut table, 2, Stranger, 8), Ok(None), "another address has its own places");
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn who_is_in_the_middle_of_something_stays() {
        let mut table = EvictionTable::new(CAPS);
        let ids: Vec<_> = (0..4).map(|n| table.open(from(1), Stranger, n).unwrap().id).collect();
        ids.iter().for_each(|id| table.make_busy(*id));
        assert_eq!(open(&mut table, 1, Stranger, 9), Err(ConnectionRefusedError::Source));
        table.make_served(ids[2]);
        table.make_served(ids[0]);
        assert_eq!(open(&mut table, 1, Stranger, 9), Ok(Some(2)), "idle for the longest time");
    }

    #[test]
    fn silent_connections_from_many_addresses_do_not_lock_others_out() {
        let mut table = EvictionTable::new(CAPS);
        for n in 0..1_000 {
            open(&mut table, n, Stranger, n as u32).unwrap();
        }
        assert_eq!(table.len(), 6, "two places are reserved");
        assert_eq!(open(&mut table, 7_000, Listed, 1), Ok(None));
        assert_eq!(open(&mut table, 7_000, Listed, 2), Ok(None));
        assert_eq!(open(&mut table, 7_000, Listed, 3), Ok(Some(994)), "strangers make room for those on the list");
        for n in 0..1_000 {
            open(&mut table, n, Stranger, n as u32).unwrap();
        }
        assert_eq!(table.sources[&from(7_000)].count, 3, "and never the reverse");
    }

    #[test]
    fn strangers_who_are_busy_leave_the_reserved_places() {
        let mut table = EvictionTable::new(CAPS);
        for n in 0..6 {
            let id = table.open(from(n), Stranger, n as u32).unwrap().id;
            table.make_busy(id);
        }
        assert_eq!(open(&mut table, 50, Stranger, 0), Err(ConnectionRefusedError::Total));
        assert_eq!(open(&mut table, 51, Listed, 0), Ok(None));
        assert_eq!(open(&mut table, 52, Listed, 1), Ok(None));
        assert_eq!(open(&mut table, 53, Listed, 2), Ok(Some(0)), "among themselves the oldest silent one goes");
        assert_eq!(open(&mut table, 54, Stranger, 0), Err(ConnectionRefusedError::Total));
    }

    #[test]
    fn a_proxy_is_not_counted_by_its_address() {
        let mut table = EvictionTable::new(CAPS);
        for n in 0..8 {
            assert_eq!(open(&mut table, 1, Exempt, n), Ok(None));
        }
        assert_eq!(open(&mut table, 1, Exempt, 8), Ok(Some(0)), "but in all");
        assert!(table.sources.is_empty());
    }

    #[test]
    fn a_tenant_has_only_its_share_which_is_not_evicted() {
        let mut table = EvictionTable::new(ConnectionCaps {
            total: 8,
            reserved: 0,
            per_source: 8,
            per_listed_source: 8,
            per_tenant: 3,
        });
        let ids: Vec<_> = (0..8).map(|n| table.open(from(1), Stranger, n).unwrap().id).collect();
        let taken: Vec<bool> = ids.iter().take(5).map(|id| table.assign_tenant(*id, 77)).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(table.assign_tenant(ids[0], 77), "once is enough");
        let gone: Vec<_> = (10..15).map(|n| open(&mut table, n, Stranger, 100).unwrap()).collect();
        assert_eq!(gone, [Some(3), Some(4), Some(5), Some(6), Some(7)]);
        table.close(ids[1]);
        assert_eq!(table.tenants[&77], 2);
    }

    #[test]
    fn nothing_is_left_of_connections_that_are_gone() {
        let mut table = EvictionTable::new(CAPS);
        let mut random = 7_u64;
        let mut ids = vec![];
        for n in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n | 1);
            let standing = [Stranger, Listed, Exempt][(random >> 33) as usize % 3];
            let id = ids.get((random >> 40) as usize % (ids.len() + 1)).copied();
            match ((random >> 50) % 5, id) {
                (0, Some(id)) => table.make_busy(id),
                (1, Some(id)) => table.make_served(id),
                (2, Some(id)) => {
                    table.close(id);
                }
                (3, Some(id)) => {
                    table.assign_tenant(id, random >> 60);
                }
                _ => ids.extend(table.open(from(random >> 61), standing, n as u32).map(|opened| opened.id)),
            }
            assert!(table.len() <= CAPS.total && table.strangers <= CAPS.total - CAPS.reserved);
            assert!(table.sources.values().all(|same| same.count <= CAPS.per_listed_source));
            assert!(table.tenants.values().all(|count| *count <= CAPS.per_tenant));
        }
        ids.iter().for_each(|id| {
            table.close(*id);
        });
        assert!(table.is_empty() && table.idle.is_empty() && table.sources.is_empty() && table.tenants.is_empty());
        assert_eq!(table.strangers, 0);
    }
}
