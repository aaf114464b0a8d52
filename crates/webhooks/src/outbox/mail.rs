//! Mail over SMTP.

use crate::domain::secret::Secret;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailMessage {
    /// The Subject header, in one line.
    pub subject: String,
    /// The body, plain text.
    pub text: String,
}

/// Where mail goes out.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Host name of the SMTP server.
    pub host: String,
    /// Port of the SMTP server, mostly 587.
    pub port: u16,
    /// User name for the server. `None`, or without a password: no authentication.
    pub username: Option<String>,
    /// Password for the server, used only together with `username`.
    pub password: Option<Secret>,
    /// Sender address, with or without a name: `Trunkline <calls@example.com>`.
    pub from: String,
    /// STARTTLS is required; only loopback may do without.
    pub tls: bool,
}

/// Sends mails over SMTP; clones share the connections.
#[derive(Clone, Debug)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// Creates the client without connecting. Fails if `from` is no mailbox or the TLS settings cannot be used.
    pub fn new(settings: &SmtpSettings) -> Result<Self, String> {
        let from = settings.from.parse().map_err(|_| format!("{} is not an e-mail address", settings.from))?;
        let builder = if settings.tls {
            let relay = AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&settings.host);
            relay.map_err(|error| error.to_string())?
        } else {
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
        };
        let mut builder = builder.port(settings.port).timeout(Some(DEADLINE));
        if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// `id` becomes the Message-ID: an attempt made twice is one mail to the reader.
    pub async fn send(&self, id: &str, to: &str, mail: &MailMessage) -> Result<(), String> {
        let to: Mailbox = to.parse().map_err(|_| "the recipient is not an e-mail address".to_owned())?;
        let message = MessageBuilder::new()
            .from(self.from.clone())
            .to(to)
            .subject(&mail.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN);
        let message: Message = message.body(mail.text.clone()).map_err(|error| error.to_string())?;
        match tokio::time::timeout(DEADLINE * 2, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
}
