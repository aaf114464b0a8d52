//! Faults of the settings.

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// `sip.listen`, or the file's name.
    pub path: String,
    /// What is wrong there, as `trunkline check-config` prints it after the path.
    pub message: String,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}
