//! `trunkline record-provider`: a fixed set of requests to one vendor, written as fixtures that the tests read again.
//! Whoever has a key can run it; nothing that names the key or its owner is written.

mod llm;
mod recording;
mod replay;
mod sanitize;
mod socket;
mod stt;
mod target;
mod tts;

pub use recording::{Exchange, Recording};
pub use replay::{recordings_below, replayed};
pub use target::RecordProviderArgs;

use sanitize::Sanitizer;
use std::path::{Path, PathBuf};
use target::Target;
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_domain::secret::Secret;

/// Records everything that the provider offers. Returns the files that were written.
pub async fn run(args: RecordProviderArgs) -> Result<Vec<PathBuf>, String> {
    let account = ProviderAccount::parse(&args.name).filter(|account| account.needs_key());
    let account = account.ok_or_else(|| format!("{:?} is not a provider with a key", args.name))?;
    let key = target::key_of(account, args.key_file.as_deref())?;
    let out = args.out.join(account.name());
    let recorder = Target::new(account, key.clone(), args)?;
    let mut recordings = Vec::new();
    for stage in account.stages() {
        recordings.extend(match stage {
            PipelineStage::Llm => llm::record(&recorder).await,
            PipelineStage::Stt => stt::record(&recorder).await,
            PipelineStage::Tts => tts::record(&recorder).await,
            PipelineStage::Realtime => Vec::new(),
        });
    }
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    recordings.into_iter().map(|recording| write(&out, recording, &key)).collect()
}

/// Writes a recording without what names the key or its owner; one that could not be cleaned is not written.
fn write(out: &Path, recording: Recording, key: &Secret) -> Result<PathBuf, String> {
    let place = out.join(format!("{}.json", recording.case));
    let mut recording = Sanitizer::new(key.expose()).recording(recording);
    recording.result = replayed(&recording)?;
    let text = serde_json::to_string_pretty(&recording).map_err(|error| error.to_string())? + "\n";
    if sanitize::shows_key(&text, key.expose()) {
        return Err(format!("{} would show the key, and was not written", recording.case));
    }
    std::fs::write(&place, text).map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(place)
}

#[cfg(test)]
mod tests;
