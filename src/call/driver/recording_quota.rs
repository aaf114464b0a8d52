//! How much disk the recordings of each organization use. Files are measured as they are, so deleting some frees quota.
//! An organization over its quota keeps its calls, but they are not recorded.

use crate::domain::ids::OrganizationId;
use crate::domain::quota::FAMILY_FACTOR;
use crate::store::{Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often the folders are measured: a hundred calls write a gigabyte in this time.
const MEASURE_INTERVAL: Duration = Duration::from_secs(300);
const GIB: u64 = 1 << 30;

/// Organizations whose recordings take as much as they may.
#[derive(Clone, Debug, Default)]
pub struct RecordingQuota(Arc<RwLock<HashSet<OrganizationId>>>);

impl RecordingQuota {
    /// Returns whether another call of the organization may be recorded; measured every five minutes.
    pub fn has_room(&self, organization: OrganizationId) -> bool {
        !self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&organization)
    }
}

/// The folder of the recordings, with one folder for each organization.
#[derive(Clone, Debug)]
pub struct RecordingFolder {
    /// Path of the folder.
    pub folder: PathBuf,
    /// Which organizations are within their recording quota.
    pub quota: RecordingQuota,
    store: Store,
}

/// Looks at the folders until it is stopped.
pub async fn watch_recordings(recordings: RecordingFolder, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(MEASURE_INTERVAL);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = recordings.measure().await {
            tracing::error!(%error, "cannot measure the size of organizations' recordings");
        }
    }
}

impl RecordingFolder {
    /// Returns a folder with room for everybody until it is measured.
    pub fn build(folder: PathBuf, store: &Store) -> Self {
        Self { folder, quota: RecordingQuota::default(), store: store.clone() }
    }

    /// Finds out who has no room for another recording.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let families = self.store.families().await?;
        let folder = self.folder.clone();
        // A disk may be slow, and there may be a million files.
        let measured = crate::supervision::spawn_blocking("recording_space", move || sizes(&folder)).await;
        let sizes = measured.ok().and_then(Result::ok).unwrap_or_default();
        let full = full(&sizes, &families, u64::from(self.store.quotas().recordings_gib) * GIB);
        *self.quota.0.write().unwrap_or_else(PoisonError::into_inner) = full;
        Ok(())
    }
}

/// Bytes in the folder of each organization.
fn sizes(recordings: &Path) -> HashMap<OrganizationId, u64> {
    let mut all = HashMap::new();
    for folder in std::fs::read_dir(recordings).into_iter().flatten().flatten() {
        let Some(id) = folder.file_name().to_str().and_then(OrganizationId::parse) else { continue };
        let files = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
        let bytes = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).fold(0, u64::saturating_add);
        all.insert(id, bytes);
    }
    all
}

/// Who has `max` bytes, or belongs to a family that has ten times as many.
fn full(
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
    fn recording_folders_are_measured_and_full_ones_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other, child) = (OrganizationId::new(), OrganizationId::new(), OrganizationId::new());
        for (id, bytes) in [(one, 30), (other, 29), (child, 10)] {
            let own = folder.path().join(id.to_string());
            std::fs::create_dir(&own).unwrap();
            std::fs::write(own.join("a.wav"), vec![0; bytes - 5]).unwrap();
            std::fs::write(own.join("b.wav"), vec![0; 5]).unwrap();
        }
        std::fs::write(folder.path().join("readme"), "no organization's").unwrap();
        let sizes = sizes(folder.path());
        let families = [(one, one), (other, other), (child, one)];
        assert_eq!(full(&sizes, &families, 30), HashSet::from([one]));
        assert_eq!(full(&sizes, &families, 4), HashSet::from([one, other, child]), "forty are the whole family's");
        assert!(full(&sizes, &families, 31).is_empty());
    }
}
