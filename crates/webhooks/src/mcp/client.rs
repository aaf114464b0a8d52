//! The HTTP side of the Model Context Protocol (streamable HTTP) with our bounds: the protocol's official client reads
//! answers of sixteen megabytes, which take half a gigabyte as values.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Sse, SseStream};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use trunkline_json::document::DocumentLimits;

/// A message of a server: a list of its tools, an answer of one.
pub(super) const MESSAGE: DocumentLimits = DocumentLimits { bytes_max: 1 << 20, depth_max: 80, values_max: 50_000 };
/// What is read of a refusal.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;
const SESSION_ID: &str = "Mcp-Session-Id";

type Error = StreamableHttpError<reqwest::Error>;
type SseEvents = BoxStream<'static, Result<Sse, SseError>>;

/// A client whose answers have bounds.
#[derive(Clone, Debug)]
pub(super) struct BoundedMcpClient(pub Client);

/// Bytes of an event that have come; an empty line ends it.
#[derive(Debug, Default)]
struct SseEventSize {
    line: usize,
    event: usize,
}

impl SseEventSize {
    /// False when the event is too large.
    fn add(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' if self.line == 0 => self.event = 0,
                b'\n' => {
                    self.event += self.line;
                    self.line = 0;
                }
                b'\r' => {}
                _ => self.line += 1,
            }
            if self.event + self.line > MESSAGE.bytes_max {
                return false;
            }
        }
        true
    }
}

fn too_large(what: &str) -> std::io::Error {
    std::io::Error::other(format!("{what} is larger than {} bytes", MESSAGE.bytes_max))
}

/// Events whose size and values have bounds.
fn events(bytes: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static) -> SseEvents {
    let mut size = SseEventSize::default();
    let bounded = bytes.map(move |chunk| {
        let chunk = chunk.map_err(std::io::Error::other)?;
        if size.add(&chunk) { Ok(chunk) } else { Err(too_large("an event")) }
    });
    checked(SseStream::from_bytes_stream(bounded.boxed()).boxed())
}

fn checked(events: SseEvents) -> SseEvents {
    let check = |event: Result<Sse, SseError>| {
        let event = event?;
        let data = event.data.as_deref().unwrap_or_default();
        MESSAGE.check_text(data.as_bytes()).map_err(|error| SseError::Body(Box::new(error)))?;
        Ok(event)
    };
    // Events after an error are ignored.
    let mut failed = false;
    events
        .map(check)
        .take_while(move |event| std::future::ready(!std::mem::replace(&mut failed, event.is_err())))
        .boxed()
}

/// A body as far as `bytes_max`; `None` for a longer one.
async fn body(mut response: Response, bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(StreamableHttpError::Client)? {
        if body.len() + part.len() > bytes_max {
            return Ok(None);
        }
        body.extend_from_slice(&part);
    }
    Ok(Some(body))
}

/// A refusal. Servers of before refuse the question what they can do in many ways: that is an answer to it.
async fn refused(
    response: Response, message: &ClientJsonRpcMessage, had_session: bool,
) -> Result<StreamableHttpPostResponse, Error> {
    let status = response.status();
    if status == StatusCode::NOT_FOUND && had_session {
        return Err(StreamableHttpError::SessionExpired);
    }
    let body = body(response, REFUSAL_BYTES_MAX).await?.unwrap_or_default();
    let said = match MESSAGE.check_text(&body).map(|()| serde_json::from_slice(&body)) {
        Ok(Ok(ServerJsonRpcMessage::Error(error))) => Some(error.error),
        _ => None,
    };
    let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    match (message, said) {
        (ClientJsonRpcMessage::Request(request), said) if status.is_client_error() && !is_denied => {
            let asks_abilities = matches!(request.request, ClientRequest::DiscoverRequest(_)) && !had_session;
            let unsaid = || ErrorData::invalid_request(format!("refused with status {status}"), None);
            match said.or_else(|| asks_abilities.then(unsaid)) {
                Some(error) => {
                    let answer = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
                    Ok(StreamableHttpPostResponse::Json(answer, None))
                }
                None => Err(unexpected(format!("status {status}"))),
            }
        }
        _ => Err(unexpected(format!("status {status}"))),
    }
}

fn unexpected(what: impl Into<Cow<'static, str>>) -> Error {
    StreamableHttpError::UnexpectedServerResponse(what.into())
}

/// What a server answered with success.
async fn answered(response: Response, expects_answer: bool) -> Result<StreamableHttpPostResponse, Error> {
    if matches!(response.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        return Ok(StreamableHttpPostResponse::Accepted);
    }
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (kind, session) = (text(CONTENT_TYPE.as_str()).unwrap_or_default(), text(SESSION_ID));
    if kind.starts_with("text/event-stream") {
        return Ok(StreamableHttpPostResponse::Sse(events(response.bytes_stream()), session));
    }
    if !kind.starts_with("application/json") && expects_answer {
        return Err(StreamableHttpError::UnexpectedContentType(Some(kind)));
    }
    let body = body(response, MESSAGE.bytes_max).await?.ok_or_else(|| too_large("the answer"))?;
    let read = match MESSAGE.check_text(&body) {
        Ok(()) => serde_json::from_slice(&body).map_err(StreamableHttpError::Deserialize),
        Err(bound) => Err(unexpected(format!("the answer {bound}"))),
    };
    match read {
        Ok(answer) => Ok(StreamableHttpPostResponse::Json(answer, session)),
        Err(_) if !expects_answer => Ok(StreamableHttpPostResponse::Accepted),
        Err(error) => Err(error),
    }
}

impl StreamableHttpClient for BoundedMcpClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self, uri: Arc<str>, message: ClientJsonRpcMessage, session_id: Option<Arc<str>>, auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let mut request = self.0.post(uri.as_ref()).header(ACCEPT, "text/event-stream, application/json");
        if let Some(token) = auth_header {
            request = request.bearer_auth(token);
        }
        for (name, value) in custom_headers {
            request = request.header(name, value);
        }
        if let Some(session) = &session_id {
            request = request.header(SESSION_ID, session.as_ref());
        }
        let response = request.json(&message).send().await.map_err(StreamableHttpError::Client)?;
        if !response.status().is_success() {
            return refused(response, &message, session_id.is_some()).await;
        }
        answered(response, matches!(message, ClientJsonRpcMessage::Request(_))).await
    }

    async fn delete_session(
        &self, uri: Arc<str>, session_id: Arc<str>, auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        self.0.delete_session(uri, session_id, auth_header, custom_headers).await
    }

    async fn get_stream(
        &self, uri: Arc<str>, session_id: Option<Arc<str>>, last_event_id: Option<String>, auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<SseEvents, Error> {
        let open = self.0.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            MESSAGE.bytes_max,
        );
        Ok(checked(open.await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn an_event_that_never_ends_is_given_up() {
        let chunk = || reqwest::Result::Ok(Bytes::from_static(b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"));
        let endless = events(stream::repeat_with(chunk));
        let all: Vec<_> = endless.collect().await;
        assert!(matches!(all.as_slice(), [Err(SseError::Body(_))]), "{} events", all.len());
        let two = "data: a\r\n\r\ndata: b\n\n".repeat(2);
        let some = events(stream::iter([reqwest::Result::Ok(Bytes::from(two))]));
        assert_eq!(some.filter_map(async |event| event.ok()?.data).collect::<Vec<_>>().await, ["a", "b", "a", "b"]);
    }

    #[tokio::test]
    async fn an_event_of_many_values_is_given_up() {
        for data in [format!("data: [{}1]\n\n", "1,".repeat(60_000)), format!("data: {}\n\n", "[".repeat(1_000))] {
            let all: Vec<_> = events(stream::iter([reqwest::Result::Ok(Bytes::from(data))])).collect().await;
            assert!(matches!(all.as_slice(), [Err(SseError::Body(_))]));
        }
    }

    #[test]
    fn many_events_are_no_large_one() {
        let mut size = SseEventSize::default();
        assert!((0..100_000).all(|_| size.add(b"data: xxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n")));
        assert!(!size.add(&vec![b'x'; MESSAGE.bytes_max + 1]));
    }
}
