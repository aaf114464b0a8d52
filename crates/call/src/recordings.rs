//! Whether a call is recorded, where, and who has no room for another recording.
//!
//! Pure: the driver measures the folders.

use crate::domain::ids::{CallId, OrganizationId};
use crate::domain::quota::FAMILY_FACTOR;
use std::collections::{HashMap, HashSet};

/// Whether a call is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingPlan {
    /// The agent does not want it.
    Off,
    /// The organization has used up its quota.
    NoRoom,
    /// Into this file, relative to the recordings folder.
    To(String),
}

impl RecordingPlan {
    /// Plans a call's recording. `wanted` is the agent's setting; calls are recorded without one.
    pub fn new(wanted: Option<bool>, has_room: bool, organization: OrganizationId, call: CallId) -> Self {
        match (wanted.unwrap_or(true), has_room) {
            (false, _) => Self::Off,
            (true, false) => Self::NoRoom,
            (true, true) => Self::To(path(organization, call)),
        }
    }

    /// The file, if there is one.
    pub fn into_path(self) -> Option<String> {
        match self {
            Self::To(path) => Some(path),
            Self::Off | Self::NoRoom => None,
        }
    }
}

/// Where the recording of a call is, relative to the recordings folder.
pub fn path(organization: OrganizationId, call: CallId) -> String {
    format!("{organization}/{call}.wav")
}

/// Who has `max` bytes, or belongs to a family that has ten times as many. `sizes` are the bytes of each organization,
/// `families` every organization with its root.
pub fn full(
    sizes: &HashMap<OrganizationId, u64>, families: &[(OrganizationId, OrganizationId)], max: u64,
) -> HashSet<OrganizationId> {
    let own = |id: &OrganizationId| sizes.get(id).copied().unwrap_or(0);
    let mut of_root: HashMap<OrganizationId, u64> = HashMap::new();
    for (organization, root) in families {
        let bytes = of_root.entry(*root).or_default();
        *bytes = bytes.saturating_add(own(organization));
    }
    let of_family = max.saturating_mul(FAMILY_FACTOR.unsigned_abs());
    let is_full = |organization: &OrganizationId, root: &OrganizationId| {
        own(organization) >= max || of_root.get(root).is_some_and(|bytes| *bytes >= of_family)
    };
    families.iter().filter(|(organization, root)| is_full(organization, root)).map(|(one, _)| *one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_recorded_unless_the_agent_or_the_quota_says_no() {
        let (organization, call) = (OrganizationId::new(), CallId::new());
        let plan = |wanted, has_room| RecordingPlan::new(wanted, has_room, organization, call);
        let file = format!("{organization}/{call}.wav");
        assert_eq!(plan(None, true).into_path(), Some(file.clone()));
        assert_eq!(plan(Some(true), true), RecordingPlan::To(file));
        assert_eq!(plan(Some(false), false), RecordingPlan::Off, "the quota does not matter");
        assert_eq!(plan(None, false), RecordingPlan::NoRoom);
        assert_eq!(plan(None, false).into_path(), None);
    }

    #[test]
    fn an_organization_is_full_by_itself_or_with_its_family() {
        let (one, other, child) = (OrganizationId::new(), OrganizationId::new(), OrganizationId::new());
        let sizes = HashMap::from([(one, 30), (other, 29), (child, 10)]);
        let families = [(one, one), (other, other), (child, one)];
        assert_eq!(full(&sizes, &families, 30), HashSet::from([one]));
        assert_eq!(full(&sizes, &families, 4), HashSet::from([one, other, child]), "forty are the whole family's");
        assert!(full(&sizes, &families, 31).is_empty());
        let unknown = OrganizationId::new();
        assert!(full(&sizes, &[(unknown, unknown)], 1).is_empty(), "nothing is recorded");
    }
}
