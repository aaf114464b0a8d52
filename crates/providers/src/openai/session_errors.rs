//! OpenAI's error frames: whose fault each is. <https://platform.openai.com/docs/guides/realtime>

use crate::session_error::{SessionErrors, SessionFault};

/// What the codes mean.
pub(crate) const SESSION_ERRORS: SessionErrors = SessionErrors {
    rows: &[
        ("api_key", SessionFault::Key),
        ("authentication", SessionFault::Key),
        ("permission", SessionFault::Key),
        ("insufficient_quota", SessionFault::Credit),
        ("billing", SessionFault::Credit),
        ("quota", SessionFault::Credit),
        ("rate_limit", SessionFault::RateLimit),
        ("expired", SessionFault::Session),
        ("session_limit", SessionFault::Session),
        ("max_duration", SessionFault::Session),
        ("server_error", SessionFault::Session),
        ("internal_error", SessionFault::Session),
        ("overloaded", SessionFault::Session),
        ("timeout", SessionFault::Session),
        ("unavailable", SessionFault::Session),
        ("model", SessionFault::Configuration),
    ],
    otherwise: SessionFault::Event,
};
