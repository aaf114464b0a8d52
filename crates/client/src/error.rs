//! Why a command failed: each kind has an exit code of its own, and its words say what to do.

use std::fmt;

/// The arguments, or a file that they name, cannot be used.
const EXIT_USAGE: u8 = 2;
/// Exit code when the server refused what it was asked.
pub const EXIT_REFUSED: u8 = 3;
/// Exit code when the server cannot be reached.
pub const EXIT_UNREACHABLE: u8 = 4;
/// Exit code when a call that was made has failed.
pub const EXIT_CALL_FAILED: u8 = 5;
/// Exit code after Ctrl-C, as shells have it.
const EXIT_INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Debug)]
pub enum ClientError {
    /// Something on this machine, such as a file that cannot be written.
    Local(String),
    /// The arguments or a file cannot be used.
    Usage(String),
    /// The server said no.
    Refused(Refusal),
    /// The server did not answer.
    Unreachable(String),
    /// The call has failed; the words name its end reason.
    CallFailed(String),
    /// Ctrl-C.
    Interrupted(String),
}

/// What a server answered instead of what it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// `details.code`, empty if there is none.
    pub code: String,
    /// What is wrong and what to do about it.
    pub message: String,
    /// Fields with what is wrong about each.
    pub faults: Vec<(String, String)>,
    /// Ids and names of the organizations that a login may be meant for.
    pub choices: Vec<(String, String)>,
    /// Seconds after which it may be asked again.
    pub retry_after_s: Option<u64>,
}

impl ClientError {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Local(_) => 1,
            Self::Usage(_) => EXIT_USAGE,
            Self::Refused(_) => EXIT_REFUSED,
            Self::Unreachable(_) => EXIT_UNREACHABLE,
            Self::CallFailed(_) => EXIT_CALL_FAILED,
            Self::Interrupted(_) => EXIT_INTERRUPTED,
        }
    }

    /// The status with which the server refused.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The same with words before it.
    pub(crate) fn after(self, words: &str) -> Self {
        let both = |message: String| format!("{words}{message}");
        match self {
            Self::Local(message) => Self::Local(both(message)),
            Self::Usage(message) => Self::Usage(both(message)),
            Self::Refused(refusal) => Self::Refused(Refusal { message: both(refusal.message.clone()), ..refusal }),
            Self::Unreachable(message) => Self::Unreachable(both(message)),
            Self::CallFailed(message) => Self::CallFailed(both(message)),
            Self::Interrupted(message) => Self::Interrupted(both(message)),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self {
            Self::Refused(refusal) => &refusal.message,
            Self::Local(message)
            | Self::Usage(message)
            | Self::Unreachable(message)
            | Self::CallFailed(message)
            | Self::Interrupted(message) => message,
        };
        // Parts of it come from a server: a terminal must not obey them.
        f.write_str(&crate::text::clean_lines(message))
    }
}

impl std::error::Error for ClientError {}
