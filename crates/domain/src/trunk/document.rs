//! A stored trunk.

use super::fields::TrunkFields;
use crate::ids::{OrganizationId, TrunkId};
use crate::inbound_claim::InboundClaim;
use crate::time::UnixMs;

/// A stored trunk: the customer's settings and what the server keeps beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Chosen by the server when the trunk is created; never changes.
    pub id: TrunkId,
    /// The organization that owns the trunk, and so the calls that come in over it.
    pub organization: OrganizationId,
    /// The customer's settings, as they were last saved.
    pub fields: TrunkFields,
    /// Since when it takes calls as it does.
    pub inbound_claim: InboundClaim,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    /// When the trunk was created.
    pub created_at: UnixMs,
    /// When the settings were last changed.
    pub updated_at: UnixMs,
}

impl Trunk {
    /// Creates a trunk in version 1 with a new id; its claims to inbound calls count from `at`.
    pub fn new(organization: OrganizationId, fields: TrunkFields, at: UnixMs) -> Self {
        let inbound_claim = InboundClaim::new(&fields, at);
        Self { id: TrunkId::new(), organization, fields, inbound_claim, version: 1, created_at: at, updated_at: at }
    }

    /// Changes the settings; earlier claims keep their age.
    pub fn change(&mut self, fields: TrunkFields, at: UnixMs) {
        self.inbound_claim = self.inbound_claim.changed(&self.fields, &fields, at);
        (self.fields, self.updated_at) = (fields, at);
    }
}
