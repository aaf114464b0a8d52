//! The names that a call's addresses were resolved from. The certificate of a TLS server must be valid for the name that
//! the call was made to (RFC 5922 section 4). Each call keeps its own names, because a customer may give an address any name.

use crate::limits;
use std::net::SocketAddr;
use std::sync::Arc;

/// The names by which one call reached its addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerNames(Vec<(SocketAddr, Arc<str>)>);

impl ServerNames {
    /// DNS gave these addresses for the name. The newest name of an address counts; beyond the bound the oldest goes.
    pub(super) fn insert(&mut self, name: &Arc<str>, addrs: impl IntoIterator<Item = SocketAddr>) {
        for addr in addrs.into_iter().take(limits::ADDRESSES_MAX) {
            self.0.retain(|(known, _)| *known != addr);
            if self.0.len() >= limits::ADDRESSES_MAX {
                self.0.remove(0);
            }
            self.0.push((addr, name.clone()));
        }
    }

    /// The name that led to the address.
    pub(super) fn get(&self, addr: SocketAddr) -> Option<Arc<str>> {
        self.0.iter().find(|(known, _)| *known == addr).map(|(_, name)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_name_of_an_address_counts_and_there_is_a_bound() {
        let addr = |port| SocketAddr::from(([192, 0, 2, 7], port));
        let mut names = ServerNames::default();
        names.insert(&"old.example".into(), [addr(1), addr(2)]);
        names.insert(&"new.example".into(), [addr(2)]);
        assert_eq!(names.get(addr(1)).as_deref(), Some("old.example"));
        assert_eq!(names.get(addr(2)).as_deref(), Some("new.example"));
        assert_eq!(names.get(addr(3)), None);
        for round in 10..1_000 {
            names.insert(&"many.example".into(), [addr(round)]);
        }
        assert_eq!(names.0.len(), limits::ADDRESSES_MAX);
        assert_eq!(names.get(addr(1)), None);
        assert!(names.get(addr(999)).is_some());
    }
}
