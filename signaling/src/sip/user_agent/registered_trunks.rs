//! Which trunks are registered where: calls to a registration's Contact, or from its registrar, may be the trunk's.

use super::inbound_trunks::TrunkKey;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Trunks by what is known of their registrations.
#[derive(Debug, Default)]
pub(super) struct RegisteredTrunks {
    by_contact: HashMap<String, TrunkKey>,
    by_registrar: HashMap<IpAddr, Arc<Vec<TrunkKey>>>,
}

impl RegisteredTrunks {
    pub(super) fn add(&mut self, contact_user: &str, id: &TrunkKey) {
        self.by_contact.insert(contact_user.to_owned(), id.clone());
    }

    pub(super) fn remove(&mut self, contact_user: &str, id: &TrunkKey) {
        if self.by_contact.get(contact_user) == Some(id) {
            self.by_contact.remove(contact_user);
        }
    }

    /// A registrar has granted, or no longer grants, the trunk's registration.
    pub(super) fn set_registrar(&mut self, id: &TrunkKey, before: Option<IpAddr>, now: Option<IpAddr>) {
        let (before, now) = (before.map(|ip| ip.to_canonical()), now.map(|ip| ip.to_canonical()));
        if before == now {
            return;
        }
        if let Some(before) = before
            && let Some(trunks) = self.by_registrar.get_mut(&before)
        {
            Arc::make_mut(trunks).retain(|there| there != id);
            if trunks.is_empty() {
                self.by_registrar.remove(&before);
            }
        }
        if let Some(now) = now {
            Arc::make_mut(self.by_registrar.entry(now).or_default()).push(id.clone());
        }
    }

    pub(super) fn with_contact(&self, user: &str) -> Option<TrunkKey> {
        self.by_contact.get(user).cloned()
    }

    pub(super) fn registered_at(&self, source: IpAddr) -> Arc<Vec<TrunkKey>> {
        self.by_registrar.get(&source.to_canonical()).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_trunks_are_registered_at_one_registrar() {
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let (a, b): (TrunkKey, TrunkKey) = ("a".into(), "b".into());
        let mut all = RegisteredTrunks::default();
        all.add("ta", &a);
        all.add("tb", &b);
        all.set_registrar(&a, None, ip("192.0.2.1"));
        all.set_registrar(&b, None, ip("::ffff:192.0.2.1"));
        assert_eq!(*all.registered_at("192.0.2.1".parse().unwrap()), [a.clone(), b.clone()]);
        all.set_registrar(&a, ip("192.0.2.1"), ip("::ffff:192.0.2.1"));
        assert_eq!(all.registered_at("192.0.2.1".parse().unwrap()).len(), 2, "the same address is no move");
        all.set_registrar(&a, ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!(*all.registered_at("192.0.2.1".parse().unwrap()), *std::slice::from_ref(&b));
        all.set_registrar(&b, ip("192.0.2.1"), None);
        assert!(all.registered_at("192.0.2.1".parse().unwrap()).is_empty());
        assert_eq!(all.by_registrar.len(), 1);
        all.remove("ta", &b);
        assert_eq!(all.with_contact("ta"), Some(a.clone()), "another trunk's");
        all.remove("ta", &a);
        assert_eq!(all.with_contact("ta"), None);
    }
}
