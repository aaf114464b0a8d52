//! How much disk the recordings of each organization use. Files are measured as they are, so deleting some frees quota.
//! An organization over its quota keeps its calls, but they are not recorded.

use crate::domain::ids::OrganizationId;
use crate::recordings::full;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_each_organization_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (OrganizationId::new(), OrganizationId::new());
        for (id, bytes) in [(one, 30), (other, 29)] {
            let own = folder.path().join(id.to_string());
            std::fs::create_dir(&own).unwrap();
            std::fs::write(own.join("a.wav"), vec![0; bytes - 5]).unwrap();
            std::fs::write(own.join("b.wav"), vec![0; 5]).unwrap();
        }
        std::fs::write(folder.path().join("readme"), "no organization's").unwrap();
        assert_eq!(sizes(folder.path()), HashMap::from([(one, 30), (other, 29)]));
    }
}
