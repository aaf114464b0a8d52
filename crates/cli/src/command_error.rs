//! Why a command failed.

/// Exit code when the arguments cannot be used, as of the parser of the command line.
pub(crate) const EXIT_USAGE: u8 = 2;

/// Exit code when a component failed and cannot be restarted (EX_SOFTWARE of sysexits.h): the service manager should
/// restart the process. Startup errors exit with 1, an orderly end with 0.
pub const EXIT_PART_FAILED: u8 = 70;

/// Why a command failed, and the process's exit code.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub message: String,
    pub code: u8,
}

impl From<String> for CommandError {
    fn from(message: String) -> Self {
        Self { message, code: 1 }
    }
}

impl From<trunkline_client::ClientError> for CommandError {
    fn from(error: trunkline_client::ClientError) -> Self {
        Self { message: error.to_string(), code: error.exit_code() }
    }
}
