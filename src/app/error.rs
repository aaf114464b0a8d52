//! Why the server cannot start.

use crate::call::driver::MediaBuildError;
use crate::store::StoreError;
use crate::store::secrets::UnreadableSecret;

/// Why the server cannot start, or cannot open its database.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A socket, file or thread that the system refuses.
    #[error("{what}: {source}")]
    Io {
        /// Setting and value, path or part that failed, such as `sip.listen 0.0.0.0:5060`
        what: String,
        /// Error of the operating system
        source: std::io::Error,
    },
    /// The database cannot be opened, migrated, read or written.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// Without their keys, calls of these organizations would run on the server's keys.
    #[error("{}", unreadable_text(.0))]
    UnreadableSecrets(Vec<UnreadableSecret>),
    /// Any other failure at startup; the text names the setting or the client that failed.
    #[error("{0}")]
    Other(String),
}

/// Describes which keys are unreadable and what can be done, without secret values.
fn unreadable_text(secrets: &[UnreadableSecret]) -> String {
    let mut text = format!(
        "secrets.master_key does not open {} stored provider key(s); set the key they were stored with, seal them anew \
         with `trunkline secrets reseal`, or delete them with `trunkline secrets delete-unreadable`",
        secrets.len()
    );
    for secret in secrets.iter().take(UNREADABLE_SHOWN_MAX) {
        text.push_str(&format!("\n  {secret}"));
    }
    if secrets.len() > UNREADABLE_SHOWN_MAX {
        text.push_str(&format!("\n  and {} more", secrets.len() - UNREADABLE_SHOWN_MAX));
    }
    text
}

/// Keys that a message names: the rest is in `trunkline secrets list-unreadable`.
const UNREADABLE_SHOWN_MAX: usize = 50;

impl AppError {
    /// A socket, file or thread that the system refuses.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

impl From<MediaBuildError> for AppError {
    fn from(error: MediaBuildError) -> Self {
        let what = error.to_string();
        match error {
            MediaBuildError::Workers(source) | MediaBuildError::WebRtc(_, source) => Self::Io { what, source },
        }
    }
}
