//! Mails.

use super::error::AppError;
use crate::config::Config;
use crate::outbox::mail::{Mailer, SmtpSettings};

/// The SMTP client, if one is configured.
pub(super) fn mailer(config: &Config) -> Result<Option<Mailer>, AppError> {
    let smtp = &config.smtp;
    if smtp.host.is_empty() {
        return Ok(None);
    }
    let settings = SmtpSettings {
        host: smtp.host.clone(),
        port: smtp.port,
        username: smtp.username.clone(),
        password: smtp.password.clone(),
        from: smtp.from.clone(),
        tls: smtp.tls,
    };
    Mailer::new(&settings).map(Some).map_err(|error| AppError::Other(format!("smtp: {error}")))
}
