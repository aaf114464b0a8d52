//! `/calls/{id}/sip-log`: the SIP messages of a call, as JSON or as text for a carrier's support.

use super::auth::OrgAuth;
use super::calls::find;
use super::error::ApiError;
use super::input::{IdPath, QueryParams};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::call::Call;
use crate::domain::sip_log::{SipDirection, SipLog, SipLogMessage};
use crate::domain::time::UnixMs;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Write as _;
use utoipa::ToSchema;

/// A SIP message of a call.
#[derive(Serialize, ToSchema)]
#[schema(as = SipMessage)]
pub(super) struct SipMessageView<'a> {
    /// When the message went or came (RFC 3339, UTC).
    #[schema(format = "date-time")]
    at: String,
    /// `received` or `sent`.
    direction: &'static str,
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    transport: &'a str,
    /// Trunkline's address and port.
    local: &'a str,
    /// The peer's address and port.
    remote: &'a str,
    /// First line of the message: the request line or the status line.
    start_line: &'a str,
    /// Of the request, or of the request that the response answers.
    method: &'a str,
    /// Of a response.
    status: Option<u16>,
    /// Value of the CSeq header.
    cseq: &'a str,
    /// Value of the Call-ID header. Each leg of a call has its own.
    sip_call_id: &'a str,
    /// Bytes on the wire.
    length: usize,
    /// `text` is only the beginning.
    cut: bool,
    /// How often the same message went the same way again.
    retransmissions: u32,
    /// When it last did; `at` if it never did.
    #[schema(format = "date-time")]
    last_at: String,
    /// The message. Passwords, digest responses, keys of SRTP and DTMF digits read `***`; bytes that are no text read `\x00`.
    text: &'a str,
}

/// The SIP messages of a call.
#[derive(Serialize, ToSchema)]
pub(super) struct SipLogBody<'a> {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// No more messages will come: the call and its last transactions are over.
    complete: bool,
    /// Messages for which there was no room.
    left_out: u64,
    /// Of all legs, in the order in which they went.
    messages: Vec<SipMessageView<'a>>,
}

/// How the log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogFormat {
    Json,
    Text,
}

impl LogFormat {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "text" => Some(Self::Text),
            _ => None,
        }
    }

    /// Text for a client that names it and not JSON.
    fn of_accept(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        let names =
            |name: &str| accepted.split(',').any(|one| one.split(';').next().is_some_and(|one| one.trim() == name));
        if names("text/plain") && !names("application/json") { Self::Text } else { Self::Json }
    }
}

fn rfc3339(at_ms: u64) -> String {
    UnixMs(i64::try_from(at_ms).unwrap_or(i64::MAX)).rfc3339()
}

fn direction(message: &SipLogMessage) -> &'static str {
    match message.direction {
        SipDirection::Received => "received",
        SipDirection::Sent => "sent",
    }
}

impl<'a> From<&'a SipLogMessage> for SipMessageView<'a> {
    fn from(message: &'a SipLogMessage) -> Self {
        Self {
            at: rfc3339(message.at_ms),
            direction: direction(message),
            transport: &message.transport,
            local: &message.local,
            remote: &message.remote,
            start_line: message.start_line(),
            method: message.method(),
            status: message.status(),
            cseq: &message.cseq,
            sip_call_id: &message.sip_call_id,
            length: message.length,
            cut: message.is_cut,
            retransmissions: message.repetitions,
            last_at: rfc3339(message.last_at_ms),
            text: &message.text,
        }
    }
}

/// The log as sngrep writes it: a line with time and addresses before each message.
fn as_text(call: &Call, log: &SipLog) -> String {
    let mut text = format!("SIP messages of call {}, times in UTC\r\n", call.id);
    if !log.is_complete {
        text.push_str("More messages may follow\r\n");
    }
    if log.left_out > 0 {
        let _ = write!(text, "Left out for lack of room: {} messages\r\n", log.left_out);
    }
    for message in &log.messages {
        let at = rfc3339(message.at_ms).replace('T', " ").replace('Z', "").replace('-', "/");
        let (from, to) = match message.direction {
            SipDirection::Received => (&message.remote, &message.local),
            SipDirection::Sent => (&message.local, &message.remote),
        };
        let _ = write!(text, "\r\n{} {at} {from} -> {to}", message.transport.to_ascii_uppercase());
        if message.repetitions > 0 {
            let _ = write!(text, " (again {} times, last {})", message.repetitions, rfc3339(message.last_at_ms));
        }
        if message.is_cut {
            let _ = write!(text, " (cut, {} bytes)", message.length);
        }
        text.push_str("\r\n");
        text.push_str(message.text.trim_end());
        text.push_str("\r\n");
    }
    text
}

/// The SIP messages of a call, of all its attempts and transfers. A call that goes on has those so far, if this process
/// holds it.
#[utoipa::path(get, path = "/calls/{id}/sip-log", tag = "calls", operation_id = "get_sip_log", params(IdPath, ("format" = Option<String>, Query, description = "`json` or `text`. Without it, `Accept: text/plain` asks for text.", pattern = "^(json|text)$")), responses((status = 200, content((SipLogBody<'static> = "application/json"), (String = "text/plain")))))]
pub(super) async fn sip_log(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, headers: HeaderMap,
    query: QueryParams,
) -> Result<Response, ApiError> {
    let format = query.value("format", LogFormat::parse, "json or text")?;
    let call = find(&api, scope, &id).await?;
    let log = match api.live_calls.sip_logs.messages(call.id).await {
        Some(log) => log,
        None => api
            .store
            .sip_log(scope, call.id)
            .await?
            .unwrap_or_else(|| SipLog { is_complete: call.status().is_over(), ..SipLog::default() }),
    };
    if format.unwrap_or_else(|| LogFormat::of_accept(&headers)) == LogFormat::Text {
        let disposition = format!("attachment; filename=\"sip-{}-{}.txt\"", call.started_at.day(), call.id);
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CONTENT_DISPOSITION, disposition.as_str()),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        return Ok((headers, as_text(&call, &log)).into_response());
    }
    let messages = log.messages.iter().map(SipMessageView::from).collect();
    let (complete, left_out) = (log.is_complete, log.left_out);
    Ok(ApiResponse::ok(SipLogBody { call_id: call.id.to_string(), complete, left_out, messages }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::Direction;
    use crate::domain::ids::{CallId, OrganizationId};

    #[test]
    fn a_log_reads_like_that_of_sngrep() {
        let call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0));
        let message = SipLogMessage {
            at_ms: 1_774_612_800_123,
            direction: SipDirection::Received,
            transport: "udp".to_owned(),
            local: "192.0.2.1:5060".to_owned(),
            remote: "198.51.100.1:5060".to_owned(),
            sip_call_id: "a".to_owned(),
            cseq: "1 INVITE".to_owned(),
            length: 9_000,
            is_cut: true,
            repetitions: 2,
            last_at_ms: 1_774_612_801_623,
            text: "INVITE sip:a@b SIP/2.0\r\nTo: x\r\n\r\n".to_owned(),
        };
        let answer = SipLogMessage {
            direction: SipDirection::Sent,
            text: "SIP/2.0 486 Busy Here\r\n".to_owned(),
            is_cut: false,
            repetitions: 0,
            ..message.clone()
        };
        let log = SipLog { messages: vec![message, answer], left_out: 3, is_complete: false };
        let text = as_text(&call, &log);
        let (_, rest) = text.split_once("\r\n").unwrap();
        assert_eq!(
            rest,
            "More messages may follow\r\nLeft out for lack of room: 3 messages\r\n\r\n\
            UDP 2026/03/27 12:00:00.123 198.51.100.1:5060 -> 192.0.2.1:5060 (again 2 times, last 2026-03-27T12:00:01.623Z) (cut, 9000 bytes)\r\n\
            INVITE sip:a@b SIP/2.0\r\nTo: x\r\n\r\n\
            UDP 2026/03/27 12:00:00.123 192.0.2.1:5060 -> 198.51.100.1:5060\r\nSIP/2.0 486 Busy Here\r\n"
        );
    }

    #[test]
    fn text_is_for_those_who_name_it() {
        let accepted = |value: &'static str| {
            LogFormat::of_accept(&HeaderMap::from_iter([(header::ACCEPT, header::HeaderValue::from_static(value))]))
        };
        assert_eq!(accepted("text/plain"), LogFormat::Text);
        assert_eq!(accepted("text/html, text/plain;q=0.9"), LogFormat::Text);
        assert_eq!(accepted("application/json, text/plain"), LogFormat::Json);
        assert_eq!(accepted("*/*"), LogFormat::Json);
        assert_eq!(LogFormat::of_accept(&HeaderMap::new()), LogFormat::Json);
    }
}
