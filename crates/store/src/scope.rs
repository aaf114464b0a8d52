//! Which organization a request or call acts for.

use trunkline_domain::ids::OrganizationId;

/// Proof that an organization was established: by an API key, by a call's trunk, or by the rows of the
/// process's own work. Cannot be made outside of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrgScope(OrganizationId);

impl OrgScope {
    pub(super) fn new(organization: OrganizationId) -> Self {
        Self(organization)
    }

    /// Returns the id of the organization, as queries bind it.
    pub fn organization(self) -> OrganizationId {
        self.0
    }
}
