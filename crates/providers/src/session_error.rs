//! Error frames within a session: what each of a vendor's codes means for the session. Every vendor's folder has one table.

use super::ProviderError;

/// Whose fault an error frame is, and so what ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionFault {
    /// One event of ours was refused: the session goes on.
    Event,
    /// This session is over, or its server has trouble: the next one is as good.
    Session,
    /// Too much is asked of the account at the moment.
    RateLimit,
    /// The key is wrong, or may not do this.
    Key,
    /// The account has no credit left.
    Credit,
    /// Model, voice or settings: every further session would be refused.
    Configuration,
}

impl SessionFault {
    /// The error that ends the session; `None` where it goes on.
    pub(crate) fn error(self, message: &str) -> Option<ProviderError> {
        Some(match self {
            Self::Event => return None,
            Self::Session => ProviderError::SessionEnded(bounded(message)),
            Self::RateLimit => ProviderError::refused(429, message),
            Self::Key => ProviderError::refused(401, message),
            Self::Credit => ProviderError::refused(402, message),
            Self::Configuration => ProviderError::refused(400, message),
        })
    }
}

fn bounded(message: &str) -> String {
    message[..message.floor_char_boundary(300)].to_owned()
}

/// A vendor's codes.
#[derive(Debug)]
pub(crate) struct SessionErrors {
    /// A part of the code or type, in lower case, and what it means. The first that occurs counts.
    pub rows: &'static [(&'static str, SessionFault)],
    /// What is not in the table.
    pub otherwise: SessionFault,
}

impl SessionErrors {
    /// What an error with these codes means: its code first, then what else names it.
    pub(crate) fn fault(&self, codes: &[&str]) -> SessionFault {
        let codes: Vec<String> = codes.iter().map(|code| code.to_lowercase()).collect();
        let known = self.rows.iter().find(|(part, _)| codes.iter().any(|code| code.contains(part)));
        known.map_or(self.otherwise, |(_, fault)| *fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_and_configuration_are_final() {
        let retryable = |fault: SessionFault| fault.error("x").is_none_or(|error| error.is_retryable());
        for fault in [SessionFault::Event, SessionFault::Session, SessionFault::RateLimit] {
            assert!(retryable(fault), "{fault:?}");
        }
        for fault in [SessionFault::Key, SessionFault::Credit, SessionFault::Configuration] {
            assert!(!retryable(fault), "{fault:?}");
        }
        let Some(ProviderError::SessionEnded(long)) = SessionFault::Session.error(&"é".repeat(400)) else { panic!() };
        assert_eq!(long.len(), 300);
    }
}
