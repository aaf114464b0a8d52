//! ElevenLabs's error frames: whose fault each is. <https://elevenlabs.io/docs/api-reference>

use crate::session_error::{SessionErrors, SessionFault};

/// What the codes mean.
pub(crate) const SESSION_ERRORS: SessionErrors = SessionErrors {
    rows: &[
        ("max_duration", SessionFault::Session),
        ("timeout", SessionFault::Session),
        ("too_many_concurrent", SessionFault::RateLimit),
        ("system_busy", SessionFault::RateLimit),
        ("max_active_conversations", SessionFault::RateLimit),
        ("rate_limit", SessionFault::RateLimit),
        ("quota", SessionFault::Credit),
        ("payment", SessionFault::Credit),
        ("api_key", SessionFault::Key),
        ("unusual_activity", SessionFault::Key),
        ("auth", SessionFault::Key),
        ("permission", SessionFault::Key),
        ("not_found", SessionFault::Configuration),
        ("not_allowed", SessionFault::Configuration),
        ("invalid", SessionFault::Configuration),
        ("unsupported", SessionFault::Configuration),
    ],
    otherwise: SessionFault::Session,
};
