//! Fair shares of what the server does at once: so many for one organization, so many for a family, so many in all.

use super::ids::OrganizationId;
use std::collections::HashMap;

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct ShareLimits {
    /// Units that one organization may take.
    pub of_one: usize,
    /// Of a root with everything below it.
    pub of_family: usize,
    /// Units that all organizations together may take.
    pub in_all: usize,
}

/// Whose part is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareExceededError {
    /// The organization or its family has all that it may take; others may still take some.
    Organization,
    /// All units are taken.
    Server,
}

/// What is taken.
#[derive(Debug)]
pub struct FairShares {
    max: ShareLimits,
    organizations: HashMap<OrganizationId, usize>,
    families: HashMap<OrganizationId, usize>,
    all: usize,
}

impl FairShares {
    /// Creates the counters for these limits, with nothing taken.
    pub fn new(max: ShareLimits) -> Self {
        Self { max, organizations: HashMap::new(), families: HashMap::new(), all: 0 }
    }

    /// What is left in all.
    pub fn room(&self) -> usize {
        self.max.in_all.saturating_sub(self.all)
    }

    /// What is left for an organization below a root.
    pub fn room_of(&self, organization: OrganizationId, root: OrganizationId) -> usize {
        let own = self.max.of_one.saturating_sub(of(&self.organizations, organization));
        let family = self.max.of_family.saturating_sub(of(&self.families, root));
        own.min(family).min(self.room())
    }

    /// Units that an organization and its family have taken: those with the fewest go first.
    pub fn taken_by(&self, organization: OrganizationId, root: OrganizationId) -> (usize, usize) {
        (of(&self.families, root), of(&self.organizations, organization))
    }

    /// Takes one unit. Fails with `Organization` if its or its family's share is used up, with `Server` if all are.
    pub fn take(&mut self, organization: OrganizationId, root: OrganizationId) -> Result<(), ShareExceededError> {
        let own = of(&self.organizations, organization) >= self.max.of_one;
        if own || of(&self.families, root) >= self.max.of_family {
            return Err(ShareExceededError::Organization);
        }
        if self.all >= self.max.in_all {
            return Err(ShareExceededError::Server);
        }
        *self.organizations.entry(organization).or_default() += 1;
        *self.families.entry(root).or_default() += 1;
        self.all += 1;
        Ok(())
    }

    /// Returns one unit that was taken for the same organization and root.
    pub fn give_back(&mut self, organization: OrganizationId, root: OrganizationId) {
        count_down(&mut self.organizations, organization);
        count_down(&mut self.families, root);
        self.all = self.all.saturating_sub(1);
    }
}

fn of(counts: &HashMap<OrganizationId, usize>, id: OrganizationId) -> usize {
    counts.get(&id).copied().unwrap_or(0)
}

fn count_down(counts: &mut HashMap<OrganizationId, usize>, id: OrganizationId) {
    if let Some(count) = counts.get_mut(&id) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> OrganizationId {
        OrganizationId::new()
    }

    #[test]
    fn an_organization_takes_its_own_and_leaves_the_others_theirs() {
        let mut shares = FairShares::new(ShareLimits { of_one: 3, of_family: 4, in_all: 6 });
        let (own, other) = (id(), id());
        assert_eq!((0..5).filter(|_| shares.take(own, own).is_ok()).count(), 3);
        assert_eq!(shares.take(own, own), Err(ShareExceededError::Organization));
        assert_eq!((shares.room_of(own, own), shares.room_of(other, other)), (0, 3));
        assert!(shares.taken_by(own, own) > shares.taken_by(other, other));
        assert_eq!((0..5).filter(|_| shares.take(other, other).is_ok()).count(), 3);
        let third = id();
        assert_eq!(shares.take(third, third), Err(ShareExceededError::Server));
        shares.give_back(own, own);
        assert_eq!(shares.take(third, third), Ok(()));
        for (one, times) in [(own, 2), (other, 3), (third, 1)] {
            (0..times).for_each(|_| shares.give_back(one, one));
        }
        assert!(shares.organizations.is_empty() && shares.families.is_empty() && shares.room() == 6);
    }

    #[test]
    fn children_take_no_more_than_their_family_may() {
        let mut shares = FairShares::new(ShareLimits { of_one: 3, of_family: 4, in_all: 16 });
        let root = id();
        assert_eq!((0..10).filter(|_| shares.take(id(), root).is_ok()).count(), 4);
        assert_eq!((shares.room_of(id(), root), shares.room_of(root, root)), (0, 0));
    }
}
