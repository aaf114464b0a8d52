//! Deepgram's error frames: whose fault each is. <https://developers.deepgram.com/docs/errors>

use crate::ProviderError;
use crate::session_error::{SessionErrors, SessionFault};
use crate::stt::SttUpdate;

/// What the codes mean.
pub(crate) const SESSION_ERRORS: SessionErrors = SessionErrors {
    rows: &[
        ("insufficient_permissions", SessionFault::Key),
        ("invalid_auth", SessionFault::Key),
        ("unauthorized", SessionFault::Key),
        ("payment", SessionFault::Credit),
        ("credit", SessionFault::Credit),
        ("too_many_requests", SessionFault::RateLimit),
        ("rate_limit", SessionFault::RateLimit),
        ("query_parameter", SessionFault::Configuration),
        ("model", SessionFault::Configuration),
        ("invalid_parameter", SessionFault::Configuration),
        ("unparsable", SessionFault::Event),
        ("client_message", SessionFault::Event),
    ],
    otherwise: SessionFault::Session,
};

/// What follows an error frame.
pub(super) fn error_frame(code: &str, said: &str) -> Result<SttUpdate, ProviderError> {
    let said = said.trim();
    SESSION_ERRORS.fault(&[code]).error(format!("{code} {said}").trim()).map_or_else(|| Ok(SttUpdate::default()), Err)
}
