//! `trunkline calls tail`: follows a call over the live WebSocket until it ends, across lost connections.

use crate::api::Api;
use crate::error::{ClientError, Refusal};
use crate::output::cell;
use crate::resource::CALLS;
use crate::transcript_view::TranscriptView;
use clap::Args;
use futures_util::StreamExt as _;
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The server asks for a sign of life more often.
const SILENCE: Duration = Duration::from_secs(90);
/// Attempts to connect again without a message in between.
const ATTEMPTS_MAX: u32 = 10;
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Between two looks for a call that goes on.
const LOOK: Duration = Duration::from_millis(500);

const BAD_CREDENTIALS: u16 = 4401;
const NO_SUCH_CALL: u16 = 4404;

/// What `trunkline calls tail` takes.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Id of the call; without it, the next call that goes on.
    id: Option<String>,
    /// Print the messages of the server as they come, one JSON document in a line.
    #[arg(long)]
    json: bool,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallEnd {
    pub status: String,
    pub reason: Option<String>,
}

/// What is written while a call goes on.
#[derive(Debug)]
pub(crate) enum TailOutput {
    /// Nothing: only its end matters.
    Silent,
    /// The server's messages.
    Json,
    /// A transcript for people.
    Lines(TranscriptView),
}

impl TailOutput {
    pub(crate) fn lines() -> Self {
        Self::Lines(TranscriptView::default())
    }

    fn write(&mut self, text: &str) -> Result<(), ClientError> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(ClientError::Local(format!("standard output: {error}"))),
        }
    }

    fn message(&mut self, message: &Value) -> Result<(), ClientError> {
        let text = match self {
            Self::Silent => return Ok(()),
            Self::Json => format!("{message}\n"),
            Self::Lines(view) => match message["type"].as_str().unwrap_or_default() {
                "transcript_update" => {
                    let turns = message["data"]["transcript"].as_array().into_iter().flatten();
                    turns.map(|turn| view.turn(turn)).collect()
                }
                "agent_changed" => view.note(&format!("{} has the call", cell(&message["data"]["agent_name"]))),
                "call_status_update" => match &message["data"]["end_reason"] {
                    Value::Null => view.note(&cell(&message["data"]["status"])),
                    reason => view.note(&format!("{}: {}", cell(&message["data"]["status"]), cell(reason))),
                },
                _ => String::new(),
            },
        };
        self.write(&text)
    }

    /// Words about the connection; not among the lines that programs read.
    fn remark(&mut self, words: &str) -> Result<(), ClientError> {
        if let Self::Lines(view) = self {
            let text = view.end_of_line();
            self.write(&text)?;
        }
        eprintln!("trunkline: {words}");
        Ok(())
    }
}

/// Follows a call to its end, or to Ctrl-C.
pub(crate) async fn run(api: &Api, args: TailArgs) -> Result<(), ClientError> {
    let mut output = if args.json { TailOutput::Json } else { TailOutput::lines() };
    let following = async {
        let id = match &args.id {
            Some(id) => CALLS.id_of(api, id).await?,
            None => next_call(api).await?,
        };
        follow(api, &id, &mut output).await.map(drop)
    };
    tokio::select! {
        outcome = following => outcome,
        _ = tokio::signal::ctrl_c() => Err(ClientError::Interrupted("stopped; the call goes on".to_owned())),
    }
}

/// Waits for a call that goes on.
async fn next_call(api: &Api) -> Result<String, ClientError> {
    let filters = [("status".to_owned(), "in_progress".to_owned())];
    let mut has_told = false;
    loop {
        let (calls, _) = api.list(CALLS.path, CALLS.many, &filters, 1).await?;
        if let Some(id) = calls.first().and_then(|call| call["id"].as_str()) {
            return Ok(id.to_owned());
        }
        if !std::mem::replace(&mut has_told, true) && std::io::stderr().is_terminal() {
            eprintln!("waiting for a call");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Why a connection is over.
enum Closed {
    /// The call is over.
    Ended(CallEnd),
    /// The connection was lost; whether anything came over it, and why.
    Lost { had_messages: bool, why: String },
}

/// Shows a call until it is over.
pub(crate) async fn follow(api: &Api, id: &str, output: &mut TailOutput) -> Result<CallEnd, ClientError> {
    let (mut attempts, mut backoff) = (0, BACKOFF_FIRST);
    loop {
        let why = match connection(api, id, output).await {
            Ok(Closed::Ended(end)) => return Ok(end),
            Ok(Closed::Lost { had_messages, why }) => {
                if had_messages {
                    (attempts, backoff) = (0, BACKOFF_FIRST);
                }
                why
            }
            Err(ClientError::Unreachable(why)) => why,
            // A server that is being restarted, or has too many listeners now.
            Err(ClientError::Refused(refusal)) if refusal.status >= 500 || refusal.status == 429 => refusal.message,
            Err(error) => return Err(error),
        };
        attempts += 1;
        if attempts > ATTEMPTS_MAX {
            return Err(ClientError::Unreachable(format!("the call cannot be followed: {why}")));
        }
        output.remark(&format!("the connection was lost ({why}); connecting again"))?;
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// One connection, from its beginning to its end.
async fn connection(api: &Api, id: &str, output: &mut TailOutput) -> Result<Closed, ClientError> {
    let live = api.get(&format!("/calls/{id}/live")).await?;
    let token = live["temp_token"].as_str().unwrap_or_default();
    let mut socket = api.websocket(&format!("/ws/calls/{id}?session_token={token}")).await?;
    let (mut had_messages, mut end) = (false, None);
    let why = loop {
        let Ok(next) = tokio::time::timeout(SILENCE, socket.next()).await else {
            break "nothing came for too long".to_owned();
        };
        match next {
            Some(Ok(Message::Text(text))) => {
                let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
                had_messages = true;
                end = ended(&message).or(end);
                output.message(&message)?;
            }
            Some(Ok(Message::Close(frame))) => break closed(frame, end.is_some())?,
            Some(Ok(_)) => {}
            Some(Err(error)) => break error.to_string(),
            None => break "the server closed it".to_owned(),
        }
    };
    match end {
        Some(end) => Ok(Closed::Ended(end)),
        None => Ok(Closed::Lost { had_messages, why }),
    }
}

/// Why the server closed the connection; an error where it is of no use to come again.
fn closed(frame: Option<CloseFrame>, is_over: bool) -> Result<String, ClientError> {
    let (code, reason) = frame.map_or((1005, String::new()), |frame| (u16::from(frame.code), frame.reason.to_string()));
    let refused =
        |status: u16, message: String| Err(ClientError::Refused(Refusal { status, message, ..Refusal::default() }));
    match code {
        BAD_CREDENTIALS if !is_over => refused(401, format!("the call may not be followed: {reason}")),
        NO_SUCH_CALL if !is_over => refused(404, "there is no such call".to_owned()),
        _ => Ok(if reason.is_empty() { format!("closed with {code}") } else { reason }),
    }
}

/// The end of the call, if a message tells of it.
fn ended(message: &Value) -> Option<CallEnd> {
    let status = message["data"]["status"].as_str().filter(|_| message["type"] == "call_status_update")?;
    let reason = message["data"]["end_reason"].as_str().map(str::to_owned);
    let is_over = reason.is_some() || matches!(status, "completed" | "failed");
    is_over.then(|| CallEnd { status: status.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_end_of_a_call_is_known_by_its_status() {
        let update = |status: &str, reason: Value| {
            ended(&json!({"type": "call_status_update", "data": {"status": status, "end_reason": reason}}))
        };
        assert_eq!(update("in_progress", json!(null)), None);
        let busy = update("failed", json!("busy")).unwrap();
        assert_eq!((busy.status.as_str(), busy.reason.as_deref()), ("failed", Some("busy")));
        assert!(update("completed", json!(null)).is_some());
        assert_eq!(ended(&json!({"type": "connected", "data": {"status": "completed"}})), None);
    }

    #[test]
    fn who_may_not_listen_does_not_come_again() {
        let frame = |code: u16| Some(CloseFrame { code: code.into(), reason: "no".into() });
        assert_eq!(closed(frame(4401), false).unwrap_err().status(), Some(401));
        assert_eq!(closed(frame(4404), false).unwrap_err().status(), Some(404));
        assert_eq!(closed(frame(1008), false).unwrap(), "no");
        assert_eq!(closed(None, false).unwrap(), "closed with 1005");
    }
}
