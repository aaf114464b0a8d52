//! Cartesia's error frames: whose fault each is. <https://docs.cartesia.ai/api-reference/tts/websocket>

use crate::session_error::{SessionErrors, SessionFault};

/// What the codes mean.
pub(crate) const SESSION_ERRORS: SessionErrors = SessionErrors {
    rows: &[
        ("concurrency", SessionFault::RateLimit),
        ("rate_limit", SessionFault::RateLimit),
        ("quota", SessionFault::Credit),
        ("credit", SessionFault::Credit),
        ("payment", SessionFault::Credit),
        ("unauthorized", SessionFault::Key),
        ("api_key", SessionFault::Key),
        ("forbidden", SessionFault::Key),
        ("not_found", SessionFault::Configuration),
        ("invalid", SessionFault::Configuration),
        ("unsupported", SessionFault::Configuration),
    ],
    otherwise: SessionFault::Session,
};
