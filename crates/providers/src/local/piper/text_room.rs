//! Room for texts at the worker: each organization has its own, so that one with many calls does not take the others' voices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use trunkline_local_speech::request::Tenant;

/// Texts of one organization at the worker, one of each call at most: the first piece of a part takes some 100 ms, and who
/// waits for more than twelve of them has waited too long.
const TEXTS_MAX: usize = 12;
/// Texts of all of them: the worker takes turns.
const ALL_TEXTS_MAX: usize = 24;

/// Texts that are at the worker, by organization.
#[derive(Clone, Debug, Default)]
pub(super) struct TextRoom(Arc<Mutex<HashMap<Tenant, usize>>>);

/// Room for one text, until it is dropped.
#[derive(Debug)]
pub(super) struct TextPermit {
    room: TextRoom,
    tenant: Tenant,
}

impl TextRoom {
    /// Room for a text; `None` if there is none.
    pub(super) fn enter(&self, tenant: Tenant) -> Option<TextPermit> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, all) = (texts.get(&tenant).copied().unwrap_or_default(), texts.values().sum::<usize>());
        if own >= TEXTS_MAX || all >= ALL_TEXTS_MAX {
            return None;
        }
        texts.insert(tenant, own + 1);
        drop(texts);
        Some(TextPermit { room: self.clone(), tenant })
    }
}

impl Drop for TextPermit {
    fn drop(&mut self) {
        let mut texts = self.room.0.lock().unwrap_or_else(PoisonError::into_inner);
        match texts.get_mut(&self.tenant) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(texts.remove(&self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_organization_takes_no_room_of_another() {
        let room = TextRoom::default();
        let mut busy: Vec<_> = (0..TEXTS_MAX).map(|_| room.enter(Tenant(1)).unwrap()).collect();
        assert!(room.enter(Tenant(1)).is_none());
        let other = room.enter(Tenant(2));
        assert!(other.is_some());
        busy.pop();
        assert!(room.enter(Tenant(1)).is_some());
        drop((busy, other));
        assert!(room.0.lock().unwrap().is_empty());
        let all: Vec<_> = (0..100).filter_map(|tenant| room.enter(Tenant(tenant))).collect();
        assert_eq!(all.len(), ALL_TEXTS_MAX);
    }
}
